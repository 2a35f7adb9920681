//! A table at one version: its files, how far each application has come, and its named texts.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::action::{Action, Add, DomainMetadata, MetaData, Protocol, Remove, Txn, decode_path};
use super::stats::FileStats;

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

/// A table at one version. Cheap to share: a commit copies the maps only while a reader holds the version before.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    pub version: u64,
    pub protocol: Protocol,
    pub meta_data: MetaData,
    /// By path, which begins with the date.
    pub files: BTreeMap<String, Arc<DataFile>>,
    pub txns: BTreeMap<String, Txn>,
    pub domains: BTreeMap<String, DomainMetadata>,
    /// Removed files that other readers may still hold; checkpoints carry them on.
    pub tombstones: BTreeMap<String, Remove>,
}

impl Snapshot {
    /// Takes the actions of `version`, which follows this one (or is a checkpoint that begins it).
    ///
    /// # Errors
    /// The table asks for something that this version of the store does not support.
    pub fn apply(&mut self, version: u64, actions: impl IntoIterator<Item = Action>) -> Result<(), String> {
        for action in actions {
            if let Some(protocol) = action.protocol {
                protocol.check()?;
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
                self.tombstones.insert(path, remove);
            }
            if let Some(add) = action.add {
                if add.deletion_vector.is_some() {
                    return Err(format!(
                        "{} has a deletion vector, which this version does not support",
                        add.path
                    ));
                }
                let path = decode_path(&add.path);
                self.tombstones.remove(&path);
                let stats = FileStats::of(&add);
                self.files.insert(path.clone(), Arc::new(DataFile { path, add, stats }));
            }
        }
        self.version = version;
        Ok(())
    }

    /// The next offset that `app_id` has reached.
    pub fn txn(&self, app_id: &str) -> Option<i64> {
        self.txns.get(app_id).map(|txn| txn.version)
    }
}
