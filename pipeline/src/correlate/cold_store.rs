//! Groups of correlation on a local disk: an LSM tree that is deleted with its owner.

use std::fs::File;
use std::path::{Path, PathBuf};

use casebook_correlate::{Change, ColdError, ColdStore, Found};
use fjall::config::PinningPolicy;
use fjall::{Database, Keyspace, KeyspaceCreateOptions};
use tracing::{info, warn};

/// What the directories begin with.
const PREFIX: &str = "casebook-spill-";
/// The file in each that its process has locked.
const OWNER: &str = "owner";
/// Memory for blocks that were read, in bytes.
const CACHE_BYTES: u64 = 16 << 20;
/// Memory for what was written and is not in a file yet, in bytes, of each of the two trees.
const WRITE_BUFFER_BYTES: u64 = 8 << 20;
/// Journals on disk before write buffers are forced into files, in bytes.
const MAX_JOURNAL_BYTES: u64 = 128 << 20;

/// One store for the groups of one partition of the signals topic. Nothing is on disk before something is written.
pub(crate) struct DiskStore {
    directory: PathBuf,
    open: Option<Open>,
}

struct Open {
    /// Locked as long as this process lives, however it ends: what nobody holds is a leftover.
    _owner: File,
    database: Database,
    /// A tree for each prefix, so that looking for what is due does not wade through the groups.
    trees: Vec<(u8, Keyspace)>,
}

impl std::fmt::Debug for DiskStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiskStore").field("directory", &self.directory).finish()
    }
}

impl DiskStore {
    /// A store in a new directory below `parent`.
    pub(crate) fn below(parent: &Path) -> Self {
        Self {
            directory: parent.join(format!("{PREFIX}{}", uuid::Uuid::new_v4())),
            open: None,
        }
    }

    /// Removes what processes that were killed have left below `parent`.
    pub(crate) fn remove_leftovers(parent: &Path) {
        let Ok(entries) = std::fs::read_dir(parent) else { return };
        for entry in entries.flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_ours = name.starts_with(PREFIX) && !name.ends_with(".begun");
            let Some(owner) = is_ours.then(|| File::open(path.join(OWNER)).ok()).flatten() else {
                continue;
            };
            if owner.try_lock().is_err() {
                continue;
            }
            match std::fs::remove_dir_all(&path) {
                Ok(()) => info!(path = %path.display(), "removed groups that a killed process left on disk"),
                Err(error) => {
                    warn!(path = %path.display(), %error, "cannot remove groups that a killed process left on disk")
                }
            }
        }
    }

    fn opened(&mut self) -> Result<&mut Open, fjall::Error> {
        if self.open.is_none() {
            // Locked before it has its name: whoever looks for leftovers must not find one that nobody seems to hold.
            let begun = self.directory.with_extension("begun");
            std::fs::create_dir_all(&begun)?;
            let owner = File::create(begun.join(OWNER))?;
            owner.try_lock().map_err(std::io::Error::from)?;
            std::fs::rename(&begun, &self.directory)?;
            let database = Database::builder(self.directory.join("groups"))
                .cache_size(CACHE_BYTES)
                .max_journaling_size(MAX_JOURNAL_BYTES)
                .worker_threads(1)
                .manual_journal_persist(true)
                .temporary(true)
                .open()?;
            self.open = Some(Open {
                _owner: owner,
                database,
                trees: Vec::new(),
            });
        }
        self.open.as_mut().ok_or(fjall::Error::Poisoned)
    }
}

impl Drop for DiskStore {
    fn drop(&mut self) {
        if self.open.take().is_some()
            && let Err(error) = std::fs::remove_dir_all(&self.directory)
        {
            warn!(path = %self.directory.display(), %error, "cannot remove groups on disk");
        }
    }
}

impl Open {
    fn tree(&mut self, key: &[u8]) -> Result<Keyspace, fjall::Error> {
        let prefix = key.first().copied().unwrap_or_default();
        if let Some((_, tree)) = self.trees.iter().find(|(of, _)| *of == prefix) {
            return Ok(tree.clone());
        }
        // Most keys that are looked for are not here, which the filters know: some ten bits a key, which must not be read from
        // disk each time.
        let options = || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(WRITE_BUFFER_BYTES)
                .filter_block_pinning_policy(PinningPolicy::all(true))
                .index_block_pinning_policy(PinningPolicy::all(true))
        };
        let tree = self.database.keyspace(&format!("tree-{prefix}"), options)?;
        self.trees.push((prefix, tree.clone()));
        Ok(tree)
    }
}

fn failed(error: fjall::Error) -> ColdError {
    ColdError::Store(Box::new(error))
}

impl ColdStore for DiskStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ColdError> {
        let Some(tree) = self.tree_of(key.first().copied()) else {
            return Ok(None);
        };
        let value = tree.get(key).map_err(failed)?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn write(&mut self, changes: Vec<Change>) -> Result<(), ColdError> {
        if changes.is_empty() {
            return Ok(());
        }
        let open = self.opened().map_err(failed)?;
        let mut batch = open.database.batch();
        for (key, value) in changes {
            let tree = open.tree(&key).map_err(failed)?;
            match value {
                Some(value) => batch.insert(&tree, key, value),
                None => batch.remove(&tree, key),
            }
        }
        batch.commit().map_err(failed)
    }

    fn scan(&self, prefix: u8, after: &[u8], limit: usize) -> Result<Vec<Found>, ColdError> {
        let Some(tree) = self.tree_of(Some(prefix)) else {
            return Ok(Vec::new());
        };
        let later = (std::ops::Bound::Excluded(after.to_vec()), std::ops::Bound::Unbounded);
        let found = tree.range::<Vec<u8>, _>(later).take(limit).map(|found| {
            let (key, value) = found.into_inner()?;
            Ok((key.to_vec(), value.to_vec()))
        });
        found.collect::<Result<_, fjall::Error>>().map_err(failed)
    }
}

impl DiskStore {
    fn tree_of(&self, prefix: Option<u8>) -> Option<&Keyspace> {
        let trees = &self.open.as_ref()?.trees;
        trees.iter().find(|(of, _)| Some(*of) == prefix).map(|(_, tree)| tree)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_found_in_order_and_gone_with_the_store() {
        let parent = tempfile::tempdir().unwrap();
        let mut store = DiskStore::below(parent.path());
        let files = || std::fs::read_dir(parent.path()).unwrap().count();
        assert_eq!(store.scan(b'g', &[], 10).unwrap(), []);
        assert_eq!(store.get(b"g1").unwrap(), None);
        assert_eq!(files(), 0, "nothing is on disk yet");
        let put = |key: &str, value: &str| (key.as_bytes().to_vec(), Some(value.as_bytes().to_vec()));
        store
            .write(vec![
                put("g2", "two"),
                put("g1", "one"),
                put("d9", ""),
                put("g3", "three"),
            ])
            .unwrap();
        store.write(vec![(b"g3".to_vec(), None)]).unwrap();
        assert_eq!(store.get(b"g2").unwrap().as_deref(), Some(b"two".as_slice()));
        assert_eq!(store.get(b"g3").unwrap(), None);
        let found = |after: &str, limit| {
            let found = store.scan(b'g', after.as_bytes(), limit).unwrap();
            found
                .into_iter()
                .map(|(key, _)| String::from_utf8(key).unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(found("", 10), ["g1", "g2"]);
        assert_eq!(found("g1", 10), ["g2"]);
        assert_eq!(found("", 1), ["g1"]);
        assert_eq!(files(), 1);
        drop(store);
        assert_eq!(files(), 0, "nothing is left");
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_is_in_use_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let mut live = DiskStore::below(parent.path());
        live.write(vec![(b"g1".to_vec(), Some(Vec::new()))]).unwrap();
        let left = parent.path().join("casebook-spill-left");
        std::fs::create_dir_all(left.join("groups")).unwrap();
        std::fs::write(left.join(OWNER), "").unwrap();
        let other = parent.path().join("other");
        std::fs::create_dir(&other).unwrap();
        DiskStore::remove_leftovers(parent.path());
        assert!(!left.exists() && other.exists() && live.directory.exists());
        assert!(live.get(b"g1").unwrap().is_some());
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_an_error() {
        let parent = tempfile::NamedTempFile::new().unwrap();
        let mut store = DiskStore::below(parent.path());
        let error = store.write(vec![(b"g1".to_vec(), Some(Vec::new()))]).unwrap_err();
        assert!(error.to_string().contains("on disk"), "{error}");
    }
}
