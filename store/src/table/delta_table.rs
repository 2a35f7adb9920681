//! One Delta table: the newest snapshot that this process knows, and the commit on top of it.
//!
//! ```text
//! data files ─put─▶ object store        Proposal ─check fences─▶ _delta_log/<version>.json (put if absent)
//!                                           ▲                          │ taken by another writer: reload, check again
//!                                           └──────────────────────────┘
//! ```

use std::sync::Arc;

use fail::fail_point;
use object_store::ObjectStore;
use tokio::sync::Mutex;

use super::checkpoint;
use super::entry::{self, Entry, Proposal};
use super::load::{follow, load};
use super::log::Log;
use super::snapshot::Snapshot;
use crate::clock::now_ms;
use crate::config::StoreConfig;
use crate::fault::injected_write_failure;
use crate::limits::MAX_COMMIT_ATTEMPTS;
use crate::{CommitError, StoreError, TableName};

/// One Delta table.
#[derive(Debug)]
pub(crate) struct Table {
    pub name: TableName,
    log: Log,
    /// The newest version that this process knows. Held by whoever reads new log entries or writes one, so that this process does
    /// not compete with itself. An entry changes it in place, unless a reader still holds it: then the reader keeps the old one.
    newest: Mutex<Arc<Snapshot>>,
    config: StoreConfig,
}

impl Table {
    /// Opens the table, or creates it where it has no log and `create` is given.
    pub async fn open(
        files: Arc<dyn ObjectStore>,
        name: TableName,
        config: &StoreConfig,
        create: bool,
    ) -> Result<Option<Self>, StoreError> {
        let log = Log { table: name, files };
        if !log.exists().await? {
            if !create {
                return Ok(None);
            }
            // Another process may create it at the same moment: whichever entry lands is the table.
            log.put(0, entry::first(name)?).await?;
        }
        let snapshot = load(&log).await?;
        Ok(Some(Self {
            name,
            log,
            newest: Mutex::new(Arc::new(snapshot)),
            config: config.clone(),
        }))
    }

    /// A table that stores of older versions lack, and most readers do not ask for: nothing is read of it before somebody does.
    /// Where it has no log, it is empty until the first commit makes it.
    pub fn unread(files: Arc<dyn ObjectStore>, name: TableName, config: &StoreConfig) -> Self {
        Self {
            name,
            log: Log { table: name, files },
            newest: Mutex::default(),
            config: config.clone(),
        }
    }

    /// The table's latest version. Whoever holds it while entries come costs the next one a copy of the table's maps.
    pub async fn snapshot(&self) -> Result<Arc<Snapshot>, StoreError> {
        let mut newest = self.newest.lock().await;
        self.refresh(&mut newest).await?;
        Ok(newest.clone())
    }

    /// Reads what is new in the log.
    async fn refresh(&self, newest: &mut Arc<Snapshot>) -> Result<(), StoreError> {
        if newest.is_absent() {
            if self.log.exists().await? {
                *newest = Arc::new(load(&self.log).await?);
            }
            return Ok(());
        }
        let next = newest.version + 1;
        match self.log.entry(next).await? {
            Some(actions) => {
                let snapshot = Arc::make_mut(newest);
                let applied = snapshot.apply(next, actions);
                applied.map_err(|reason| self.log.broken(next, reason))?;
                follow(&self.log, snapshot, next + 1).await
            }
            // The entries after ours may have been cleaned away, with a checkpoint in their place.
            None => {
                if checkpoint::read_hint(&self.log)
                    .await?
                    .is_some_and(|hint| hint > newest.version)
                {
                    *newest = Arc::new(load(&self.log).await?);
                }
                Ok(())
            }
        }
    }

    /// Commits `proposal` on top of the latest version at which `check` agrees; returns the version that holds it.
    ///
    /// The entry of the next version is put only if absent. Where another writer was first, its entry is read and
    /// `check` is asked again, so that nothing is ever decided on an outdated table.
    ///
    /// # Errors
    /// What `check` says, or the store failed; then nothing of the proposal is in the table.
    pub async fn commit(
        &self,
        proposal: Proposal,
        check: &(dyn Fn(&Snapshot) -> Result<(), CommitError> + Sync),
    ) -> Result<u64, CommitError> {
        let mut newest = self.newest.lock().await;
        let commit_id = uuid::Uuid::new_v4().to_string();
        let entry = Entry::new(self.name, proposal, &commit_id)?;
        if newest.is_absent() {
            self.refresh(&mut newest).await?;
        }
        if newest.is_absent() {
            // Another process may create it at the same moment: whichever entry lands is the table.
            self.log.put(0, entry::first(self.name)?).await?;
        }
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            self.refresh(&mut newest).await?;
            check(&newest)?;
            let version = newest.version + 1;
            let widening = entry.widening(self.name, &newest)?;
            let Entry { text, actions } = widening.as_ref().unwrap_or(&entry);
            fail_point!("store.entry");
            if !self.log.put(version, text.clone()).await? && !self.is_ours(version, &commit_id).await? {
                continue;
            }
            fail_point!("store.entry-written", |reason| Err(injected_write_failure(
                self.name.name(),
                "_delta_log",
                reason
            )
            .into()));
            let applied = Arc::make_mut(&mut newest).apply(version, actions.clone());
            applied.map_err(|reason| self.log.broken(version, reason))?;
            self.checkpoint_in_background(&newest);
            return Ok(version);
        }
        Err(StoreError::Log {
            table: self.name.name(),
            version: newest.version,
            reason: format!(
                "{MAX_COMMIT_ATTEMPTS} attempts to commit each conflicted with another writer's; try again"
            ),
        }
        .into())
    }

    /// Whether the entry of `version` is the one with that id: an object store may report a put that it has itself
    /// retried as a conflict, although the first attempt landed.
    async fn is_ours(&self, version: u64, commit_id: &str) -> Result<bool, StoreError> {
        let actions = self.log.entry(version).await?.unwrap_or_default();
        Ok(Entry::has_id(&actions, commit_id))
    }

    fn checkpoint_in_background(&self, snapshot: &Arc<Snapshot>) {
        let interval = self.config.checkpoint_interval_commits;
        if interval == 0 || !snapshot.version.is_multiple_of(interval) {
            return;
        }
        let (log, snapshot, retention_ms) = (self.log.clone(), snapshot.clone(), self.config.log_retention_ms);
        tokio::spawn(async move {
            // A checkpoint only makes opening faster: its failure is no failure of the commit.
            if let Err(error) = write_checkpoint(&log, snapshot, retention_ms).await {
                tracing::warn!(%error, "cannot write a checkpoint");
            }
        });
    }

    /// Bytes of the log: its entries and checkpoints.
    pub async fn log_bytes(&self) -> Result<u64, StoreError> {
        self.log.bytes().await
    }

    /// Writes a checkpoint of the latest version now.
    pub async fn checkpoint(&self) -> Result<(), StoreError> {
        let snapshot = self.snapshot().await?;
        if snapshot.is_absent() {
            return Ok(());
        }
        write_checkpoint(&self.log, snapshot, self.config.log_retention_ms).await
    }
}

async fn write_checkpoint(log: &Log, snapshot: Arc<Snapshot>, retention_ms: i64) -> Result<(), StoreError> {
    let now_ms = now_ms();
    fail_point!("store.checkpoint", |_| Ok(()));
    checkpoint::write(log, snapshot, now_ms).await?;
    fail_point!("store.checkpoint-written", |_| Ok(()));
    log.clean(now_ms, retention_ms).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use casebook_event::Timestamp;
    use object_store::memory::InMemory;

    use super::*;
    use crate::table::Add;

    fn add(number: usize) -> Add {
        Add {
            path: format!(
                "event_date=2024-05-{:02}/part-{number:06}.zstd.parquet",
                number % 28 + 1
            ),
            partition_values: [("event_date".to_owned(), Some("2024-05-01".to_owned()))].into(),
            size: 1_000_000,
            modification_time: 0,
            data_change: true,
            stats: Some(r#"{"numRecords":1000,"minValues":{"source":"auth"},"maxValues":{"source":"auth"}}"#.into()),
            tags: None,
            deletion_vector: None,
        }
    }

    async fn table() -> Table {
        let config = StoreConfig {
            checkpoint_interval_commits: 0,
            ..StoreConfig::default()
        };
        let files: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let table = Table::open(files, TableName::Events, &config, true).await.unwrap();
        table.unwrap()
    }

    async fn commit(table: &Table, numbers: std::ops::Range<usize>) -> u64 {
        let proposal = Proposal {
            adds: numbers.map(add).collect(),
            now: Timestamp::from_seconds(1),
            ..Proposal::default()
        };
        table.commit(proposal, &|_| Ok(())).await.unwrap()
    }

    #[tokio::test]
    async fn an_entry_changes_the_snapshot_in_place_unless_a_reader_holds_it() {
        let table = table().await;
        let address = async || Arc::as_ptr(&*table.newest.lock().await);
        commit(&table, 0..3).await;
        let before = address().await;
        assert_eq!(commit(&table, 3..4).await, 2);
        assert_eq!(address().await, before, "nobody holds it: nothing is copied");
        let held = table.snapshot().await.unwrap();
        assert_eq!(commit(&table, 4..6).await, 3);
        assert_ne!(address().await, before);
        assert_eq!((held.version, held.files.len()), (2, 4), "a reader keeps what it holds");
        let newest = table.snapshot().await.unwrap();
        assert_eq!((newest.version, newest.files.len()), (3, 6));
    }

    #[tokio::test]
    async fn an_entry_that_is_refused_changes_nothing() {
        let table = table().await;
        commit(&table, 0..2).await;
        let bad = r#"{"add":{"path":"a","partitionValues":{},"size":1,"modificationTime":1,"dataChange":true}}
{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["deletionVectors"],"writerFeatures":[]}}"#;
        assert!(table.log.put(2, bad.into()).await.unwrap());
        assert!(table.snapshot().await.is_err());
        let newest = table.newest.lock().await;
        assert_eq!((newest.version, newest.files.len()), (1, 2));
    }

    /// Not a check: prints what a commit costs on a table of many files, with and without a reader that holds the version before.
    /// `cargo test --release --workspace --lib commits_on_a_table_of_50_000_files -- --ignored --nocapture`
    #[tokio::test]
    #[ignore = "measures"]
    async fn commits_on_a_table_of_50_000_files() {
        const FILES: usize = 50_000;
        const COMMITS: usize = 200;
        let table = table().await;
        commit(&table, 0..FILES).await;
        let mut number = FILES;
        for hold in [false, true, false, true] {
            let mut took = Duration::ZERO;
            for _ in 0..COMMITS {
                let held = match hold {
                    true => Some(table.snapshot().await.unwrap()),
                    false => None,
                };
                let begun = Instant::now();
                commit(&table, number..number + 1).await;
                took += begun.elapsed();
                drop(held);
                number += 1;
            }
            println!("held by a reader: {hold}: {:?} a commit", took / COMMITS as u32);
        }
    }
}
