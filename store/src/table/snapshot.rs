//! A table at one version: its files, how far each application has come, and its named texts.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::action::{Action, Add, DomainMetadata, MetaData, Protocol, Remove, Txn, decode_path};
use super::stats::FileStats;
use crate::TableName;
use crate::schema::TableSchema;

/// How long a table remembers what was removed, in milliseconds: a week, as `delta.deletedFileRetentionDuration`.
pub(crate) const TOMBSTONE_RETENTION_MS: i64 = 7 * 24 * 3600 * 1000;

/// A data file of a table.
#[derive(Debug)]
pub(crate) struct DataFile {
    /// Relative to the table, decoded.
    pub path: String,
    /// The action that added it.
    pub add: Add,
    /// What the log says of its rows.
    pub stats: FileStats,
}

impl DataFile {
    /// The date of the file's partition; empty where the log does not say it.
    pub fn date(&self, table: TableName) -> &str {
        self.add
            .partition_values
            .get(TableSchema::of(table).partition)
            .and_then(Option::as_deref)
            .unwrap_or_default()
    }

    /// The size of the file, in bytes.
    pub fn bytes(&self) -> u64 {
        self.add.size.unsigned_abs()
    }
}

/// A table at one version. Cheap to share: a commit copies the maps only while a reader holds the version before
/// ([`Table`](super::Table)).
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    pub version: u64,
    pub protocol: Protocol,
    pub meta_data: MetaData,
    /// By path, which begins with the date.
    pub files: BTreeMap<String, Arc<DataFile>>,
    pub txns: BTreeMap<String, Txn>,
    pub domains: BTreeMap<String, DomainMetadata>,
    /// Removed files that other readers may still hold; checkpoints carry them on. Shared between versions: most commits
    /// remove nothing.
    pub tombstones: Arc<BTreeMap<String, Remove>>,
}

impl Snapshot {
    /// Takes the actions of `version`, which follows this one (or is a checkpoint that begins it): all of them, or none.
    ///
    /// # Errors
    /// The table asks for something that this version of the store does not support.
    pub fn apply(&mut self, version: u64, actions: Vec<Action>) -> Result<(), String> {
        actions.iter().try_for_each(check)?;
        let mut newest_removal = None;
        for action in actions {
            if let Some(protocol) = action.protocol {
                self.protocol = protocol;
            }
            if let Some(meta_data) = action.meta_data {
                self.meta_data = meta_data;
            }
            if let Some(txn) = action.txn {
                self.txns.insert(txn.app_id.clone(), txn);
            }
            if let Some(domain) = action.domain_metadata {
                if domain.removed {
                    self.domains.remove(&domain.domain);
                } else {
                    self.domains.insert(domain.domain.clone(), domain);
                }
            }
            if let Some(remove) = action.remove {
                let path = decode_path(&remove.path);
                self.files.remove(&path);
                newest_removal = newest_removal.max(remove.deletion_timestamp);
                Arc::make_mut(&mut self.tombstones).insert(path, remove);
            }
            if let Some(add) = action.add {
                let path = decode_path(&add.path);
                if self.tombstones.contains_key(&path) {
                    Arc::make_mut(&mut self.tombstones).remove(&path);
                }
                let stats = FileStats::of(&add);
                self.files.insert(path.clone(), Arc::new(DataFile { path, add, stats }));
            }
        }
        if let Some(newest) = newest_removal {
            // A process that lives for months would else remember every file that ever was.
            let oldest = newest.saturating_sub(TOMBSTONE_RETENTION_MS);
            Arc::make_mut(&mut self.tombstones)
                .retain(|_, remove| remove.deletion_timestamp.is_none_or(|time| time >= oldest));
        }
        self.version = version;
        Ok(())
    }

    /// Whether nothing was read of the table yet, or it has no log.
    pub fn is_absent(&self) -> bool {
        self.meta_data.id.is_empty()
    }

    /// The next offset that `app_id` has reached.
    pub fn txn(&self, app_id: &str) -> Option<i64> {
        self.txns.get(app_id).map(|txn| txn.version)
    }
}

/// Refuses what this version of the store does not support.
fn check(action: &Action) -> Result<(), String> {
    if let Some(protocol) = &action.protocol {
        protocol.check()?;
    }
    match &action.add {
        Some(add) if add.deletion_vector.is_some() => Err(format!(
            "{} has a deletion vector, which this version does not support",
            add.path
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn removed(path: &str, deletion_timestamp: i64) -> Action {
        Action {
            remove: Some(Remove {
                path: path.to_owned(),
                deletion_timestamp: Some(deletion_timestamp),
                data_change: false,
                extended_file_metadata: None,
                partition_values: None,
                size: None,
            }),
            ..Action::default()
        }
    }

    #[test]
    fn what_was_removed_is_remembered_for_a_week() {
        let mut snapshot = Snapshot::default();
        snapshot.apply(1, vec![removed("a", 0), removed("b", 1)]).unwrap();
        let before = snapshot.clone();
        snapshot.apply(2, vec![removed("c", TOMBSTONE_RETENTION_MS)]).unwrap();
        assert_eq!(snapshot.tombstones.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
        snapshot
            .apply(3, vec![removed("d", TOMBSTONE_RETENTION_MS + 1)])
            .unwrap();
        assert_eq!(snapshot.tombstones.keys().collect::<Vec<_>>(), ["b", "c", "d"]);
        assert_eq!(before.tombstones.len(), 2, "an older version stays as it was");
    }
}
