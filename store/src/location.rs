//! Where a store is: a local directory, or a folder of an object store.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{
    ClientConfigKey, Error as ObjectError, ObjectStore, ObjectStoreExt as _, ObjectStoreScheme, PutMode, PutOptions,
    RetryConfig,
};
use url::Url;

use crate::StoreError;

/// Longest time of one request to an object store, the transfer of a data file included.
const REQUEST_TIMEOUT: &str = "120s";
/// Longest time that a request is tried again: after it, a commit fails and is begun anew.
const RETRY_TIMEOUT: Duration = Duration::from_secs(60);
/// Most tries of a request.
const MAX_RETRIES: usize = 6;

/// A store's place, opened.
#[derive(Debug, Clone)]
pub(crate) struct Location {
    /// As it was given.
    pub text: String,
    /// The directory, where it is a local one: index bundles are then read in place.
    pub directory: Option<PathBuf>,
    /// The files below it.
    pub files: Arc<dyn ObjectStore>,
}

impl Location {
    /// Opens the place that `text` names: a path, or a URL (`file://`, `s3://`, `gs://`, `az://`). Credentials of an object
    /// store come from the environment.
    ///
    /// # Errors
    /// The scheme is unknown, the directory is missing (and `create` is not given) or cannot be made, or the settings in
    /// the environment do not suffice.
    pub fn open(text: &str, create: bool) -> Result<Self, StoreError> {
        match text.split_once("://") {
            None => Self::local(text, PathBuf::from(text), create),
            Some((scheme, _)) => {
                let url = Url::parse(text).map_err(|error| refusal(text, error))?;
                if scheme == "file" {
                    let directory = url.to_file_path().map_err(|()| {
                        refusal(
                            text,
                            "a file URL needs an absolute path, as in file:///var/lib/casebook",
                        )
                    })?;
                    return Self::local(text, directory, create);
                }
                Self::remote(text, &url)
            }
        }
    }

    fn local(text: &str, directory: PathBuf, create: bool) -> Result<Self, StoreError> {
        if create {
            std::fs::create_dir_all(&directory).map_err(|error| refusal(text, error))?;
        }
        let directory = match std::fs::canonicalize(&directory) {
            Ok(directory) if directory.is_dir() => directory,
            Ok(_) => return Err(refusal(text, "it is a file, not a directory")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(StoreError::NoStore {
                    location: text.to_owned(),
                });
            }
            Err(error) => return Err(refusal(text, error)),
        };
        let files = LocalFileSystem::new_with_prefix(&directory).map_err(|error| refusal(text, error))?;
        Ok(Self {
            text: text.to_owned(),
            directory: Some(directory),
            files: Arc::new(files),
        })
    }

    fn remote(text: &str, url: &Url) -> Result<Self, StoreError> {
        let failed = |error: ObjectError| refusal(text, error);
        let (scheme, folder) = ObjectStoreScheme::parse(url).map_err(|_| {
            refusal(
                text,
                format!(
                    "`{}://` is not supported; give a directory, or a URL that begins with file://, s3://, gs:// or az://",
                    url.scheme()
                ),
            )
        })?;
        let retry = RetryConfig {
            max_retries: MAX_RETRIES,
            retry_timeout: RETRY_TIMEOUT,
            ..RetryConfig::default()
        };
        let files: Arc<dyn ObjectStore> = match scheme {
            ObjectStoreScheme::AmazonS3 => Arc::new(
                AmazonS3Builder::from_env()
                    .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::Timeout), REQUEST_TIMEOUT)
                    .with_retry(retry)
                    .with_url(url.as_str())
                    .build()
                    .map_err(failed)?,
            ),
            ObjectStoreScheme::GoogleCloudStorage => Arc::new(
                GoogleCloudStorageBuilder::from_env()
                    .with_config(GoogleConfigKey::Client(ClientConfigKey::Timeout), REQUEST_TIMEOUT)
                    .with_retry(retry)
                    .with_url(url.as_str())
                    .build()
                    .map_err(failed)?,
            ),
            ObjectStoreScheme::MicrosoftAzure => Arc::new(
                MicrosoftAzureBuilder::from_env()
                    .with_config(AzureConfigKey::Client(ClientConfigKey::Timeout), REQUEST_TIMEOUT)
                    .with_retry(retry)
                    .with_url(url.as_str())
                    .build()
                    .map_err(failed)?,
            ),
            _ => return Err(refusal(text, format!("`{}://` is not supported", url.scheme()))),
        };
        let files: Arc<dyn ObjectStore> = if folder.as_ref().is_empty() {
            files
        } else {
            Arc::new(PrefixStore::new(files, folder))
        };
        Ok(Self {
            text: text.to_owned(),
            directory: None,
            files,
        })
    }

    /// Whether the place can be written to, and refuses to put what is there already, as every commit relies on: two
    /// workers would else overwrite each other's entries, and neither would know.
    ///
    /// # Errors
    /// One of the two does not hold.
    pub async fn check_writing(&self) -> Result<(), StoreError> {
        let path = Path::from(format!("_casebook_probe-{}", uuid::Uuid::new_v4()));
        let put = async || {
            let options = PutOptions {
                mode: PutMode::Create,
                ..PutOptions::default()
            };
            self.files.put_opts(&path, "probe".into(), options).await
        };
        match put().await {
            // Nobody else uses this name: a put that was tried again had landed at first.
            Ok(_) | Err(ObjectError::AlreadyExists { .. }) => {}
            Err(error) => return Err(refusal(&self.text, error)),
        }
        let again = put().await;
        if let Err(error) = self.files.delete(&path).await {
            tracing::debug!(%path, %error, "cannot delete a probe");
        }
        match again {
            Err(ObjectError::AlreadyExists { .. }) => Ok(()),
            Err(error) => Err(refusal(&self.text, error)),
            Ok(_) => Err(refusal(
                &self.text,
                "this object store ignores If-None-Match: commits of two workers would overwrite each other",
            )),
        }
    }

    /// The local path of a file of the store, where the store is a local directory.
    pub fn local_path(&self, path: &str) -> Option<PathBuf> {
        self.directory
            .as_ref()
            .map(|directory| directory.join(FilePath::new(path)))
    }
}

fn refusal(text: &str, reason: impl std::fmt::Display) -> StoreError {
    StoreError::Location {
        location: text.to_owned(),
        reason: reason.to_string(),
    }
}
