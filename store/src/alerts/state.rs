//! Correlation state snapshots: the parts of one partition of the signals topic are files, named by the commit that holds
//! them.

use casebook_event::Partition;
use object_store::path::Path;
use object_store::{Error as ObjectError, ObjectStoreExt};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::commit::app_id;
use crate::limits::MAX_STATE_PART_BYTES;
use crate::table::{DomainMetadata, Snapshot};
use crate::tables::Tables;
use crate::{StoreError, TableName};

/// The folder of the snapshots in the alerts table; Delta readers and cleaners leave folders with `_` alone.
pub(crate) const FOLDER: &str = "_casebook_state";

/// A file of a state snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatePart {
    /// Relative to the alerts table.
    path: String,
    /// In bytes.
    length: u64,
    /// Lower-case hexadecimal.
    sha256: String,
}

/// What a commit says of a state snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reference {
    pub parts: Vec<StatePart>,
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

    /// The paths of the parts, relative to the alerts table.
    pub fn paths(&self) -> impl Iterator<Item = &String> {
        self.parts.iter().map(|part| &part.path)
    }
}

/// The metadata domain of a partition's state.
pub(super) fn domain(group: &str, partition: &Partition) -> String {
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

/// Writes a part of the state of `partition` as a file, which counts once an [`AlertsCommit`](crate::AlertsCommit) has
/// landed that names it.
///
/// # Errors
/// The part is larger than a file may be, or cannot be written.
pub(crate) async fn write_state_part(
    tables: &Tables,
    partition: &Partition,
    part: Vec<u8>,
) -> Result<StatePart, StoreError> {
    if part.len() > MAX_STATE_PART_BYTES {
        return Err(StoreError::TooLarge {
            what: format!("a group of the correlation state of {partition}"),
            size: part.len(),
            limit: MAX_STATE_PART_BYTES,
        });
    }
    let written = StatePart {
        path: format!("{FOLDER}/{}.state", uuid::Uuid::new_v4()),
        length: part.len() as u64,
        sha256: sha256(&part),
    };
    let path = Path::from(format!("{}/{}", TableName::Alerts.name(), written.path));
    tables
        .files()
        .put(&path, part.into())
        .await
        .map_err(|error| StoreError::File {
            table: TableName::Alerts.name(),
            action: "write",
            path: path.to_string(),
            source: Box::new(error),
        })?;
    Ok(written)
}

/// The parts of the correlation state of `partition` that belongs to the offsets in the alerts table; `None` where none
/// was ever committed. A later commit removes the files of those before.
///
/// # Errors
/// The alerts table cannot be read.
pub(crate) async fn correlation_state(
    tables: &Tables,
    group: &str,
    partition: &Partition,
) -> Result<Option<Vec<StatePart>>, StoreError> {
    let reference = Reference::of(&*tables.alerts.snapshot().await?, &domain(group, partition));
    Ok(reference.map(|reference| reference.parts))
}

/// Reads a part of the state of `partition`.
///
/// # Errors
/// [`StoreError::State`] where the file is missing or is not the one that was committed.
pub(crate) async fn read_state_part(
    tables: &Tables,
    partition: &Partition,
    part: &StatePart,
) -> Result<Vec<u8>, StoreError> {
    let path = Path::from(format!("{}/{}", TableName::Alerts.name(), part.path));
    let broken = |reason: String| StoreError::State {
        partition: partition.clone(),
        path: path.to_string(),
        reason,
    };
    let bytes = match tables.files().get(&path).await {
        Ok(file) => file.bytes().await.map_err(|error| broken(error.to_string()))?,
        Err(ObjectError::NotFound { .. }) => return Err(broken("the file is missing".into())),
        Err(error) => return Err(broken(error.to_string())),
    };
    if bytes.len() as u64 != part.length {
        return Err(broken(format!(
            "it has {} bytes, not the {} that were committed",
            bytes.len(),
            part.length
        )));
    }
    if sha256(&bytes) != part.sha256 {
        return Err(broken("its SHA-256 is not the one that was committed".into()));
    }
    Ok(bytes.to_vec())
}
