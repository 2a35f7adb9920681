//! Where a store is: a local directory today, any object store tomorrow.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;

use crate::StoreError;

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
    /// Opens the place that `text` names: a path, or a `file://` URL.
    ///
    /// # Errors
    /// The scheme is unknown, or the directory is missing (and `create` is not given) or cannot be made.
    pub fn open(text: &str, create: bool) -> Result<Self, StoreError> {
        let refuse = |reason: String| StoreError::Location {
            location: text.to_owned(),
            reason,
        };
        let directory = match text.split_once("://") {
            None => PathBuf::from(text),
            Some(("file", _)) => url::Url::parse(text)
                .map_err(|error| refuse(error.to_string()))?
                .to_file_path()
                .map_err(|()| refuse("a file URL needs an absolute path, as in file:///var/lib/casebook".into()))?,
            Some((scheme, _)) => {
                return Err(refuse(format!(
                    "`{scheme}://` is not supported; give a directory or a file:// URL"
                )));
            }
        };
        if create {
            std::fs::create_dir_all(&directory).map_err(|error| refuse(error.to_string()))?;
        }
        let directory = match std::fs::canonicalize(&directory) {
            Ok(directory) if directory.is_dir() => directory,
            Ok(_) => return Err(refuse("it is a file, not a directory".into())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(StoreError::NoStore {
                    location: text.to_owned(),
                });
            }
            Err(error) => return Err(refuse(error.to_string())),
        };
        let files = LocalFileSystem::new_with_prefix(&directory).map_err(|error| refuse(error.to_string()))?;
        Ok(Self {
            text: text.to_owned(),
            directory: Some(directory),
            files: Arc::new(files),
        })
    }

    /// The local path of a file of the store, where the store is a local directory.
    pub fn local_path(&self, path: &str) -> Option<PathBuf> {
        self.directory
            .as_ref()
            .map(|directory| directory.join(FilePath::new(path)))
    }
}
