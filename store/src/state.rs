//! Correlation state snapshots: one file for each partition of the signals topic, named by the commit that holds it.

use casebook_event::Partition;
use object_store::path::Path;
use object_store::{Error as ObjectError, ObjectStoreExt};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::commit::app_id;
use crate::limits::MAX_STATE_BYTES;
use crate::table::{DomainMetadata, Snapshot};
use crate::{Store, StoreError, TableName};

/// The folder of the snapshots in the alerts table; Delta readers and cleaners leave folders with `_` alone.
const FOLDER: &str = "_casebook_state";

/// What a commit says of a state snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reference {
    /// Relative to the alerts table.
    pub path: String,
    /// In bytes.
    pub length: u64,
    /// Lower-case hexadecimal.
    pub sha256: String,
}

impl Reference {
    /// The reference that `snapshot` holds under `domain`.
    pub fn of(snapshot: &Snapshot, domain: &str) -> Option<Self> {
        serde_json::from_str(&snapshot.domains.get(domain)?.configuration).ok()
    }

    /// The action that makes this the state of `domain`.
    pub fn action(&self, domain: &str) -> DomainMetadata {
        let configuration = serde_json::to_string(self).unwrap_or_default();
        DomainMetadata {
            domain: domain.to_owned(),
            configuration,
            removed: false,
        }
    }
}

/// The metadata domain of a partition's state.
fn domain(group: &str, partition: &Partition) -> String {
    format!("casebook.state/{}", app_id(group, partition))
}

fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes)
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

impl Store {
    /// Writes the state of `partition` as a file that no commit names yet.
    pub(crate) async fn write_state(
        &self,
        group: &str,
        partition: &Partition,
        state: Vec<u8>,
    ) -> Result<(String, Reference), StoreError> {
        if state.len() > MAX_STATE_BYTES {
            return Err(StoreError::TooLarge {
                what: format!("the correlation state of {partition}"),
                size: state.len(),
                limit: MAX_STATE_BYTES,
            });
        }
        let reference = Reference {
            path: format!("{FOLDER}/{}.state", uuid::Uuid::new_v4()),
            length: state.len() as u64,
            sha256: sha256(&state),
        };
        let path = Path::from(format!("{}/{}", TableName::Alerts.name(), reference.path));
        self.location
            .files
            .put(&path, state.into())
            .await
            .map_err(|error| StoreError::File {
                table: TableName::Alerts.name(),
                action: "write",
                path: path.to_string(),
                source: Box::new(error),
            })?;
        Ok((domain(group, partition), reference))
    }

    /// The correlation state of `partition` that belongs to the offsets in the alerts table; `None` where none was
    /// ever committed.
    ///
    /// # Errors
    /// [`StoreError::State`] where the file is missing or is not the one that was committed; else the table cannot be
    /// read.
    pub async fn correlation_state(&self, group: &str, partition: &Partition) -> Result<Option<Vec<u8>>, StoreError> {
        let domain = domain(group, partition);
        let mut reference = Reference::of(&*self.alerts.snapshot().await?, &domain);
        loop {
            let Some(found) = reference else { return Ok(None) };
            let path = Path::from(format!("{}/{}", TableName::Alerts.name(), found.path));
            let broken = |reason: String| StoreError::State {
                partition: partition.clone(),
                path: path.to_string(),
                reason,
            };
            let bytes = match self.location.files.get(&path).await {
                Ok(file) => file.bytes().await.map_err(|error| broken(error.to_string()))?,
                Err(ObjectError::NotFound { .. }) => {
                    // A commit may have replaced it between the two reads.
                    reference = Reference::of(&*self.alerts.snapshot().await?, &domain);
                    if reference.as_ref() == Some(&found) {
                        return Err(broken("the file is missing".into()));
                    }
                    continue;
                }
                Err(error) => return Err(broken(error.to_string())),
            };
            if bytes.len() as u64 != found.length {
                return Err(broken(format!(
                    "it has {} bytes, not the {} that were committed",
                    bytes.len(),
                    found.length
                )));
            }
            if sha256(&bytes) != found.sha256 {
                return Err(broken("its SHA-256 is not the one that was committed".into()));
            }
            return Ok(Some(bytes.to_vec()));
        }
    }
}
