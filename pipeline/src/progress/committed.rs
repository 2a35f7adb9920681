//! How far a running pipeline has come, for whoever waits for it.

use std::collections::BTreeMap;

use casebook_event::Partition;
use casebook_store::Committed;
use tokio::sync::watch;

/// What is committed by this process.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The next offset of each partition of the logs.
    pub logs: BTreeMap<Partition, i64>,
    /// The next offset of each partition of the signals topic.
    pub signals: BTreeMap<Partition, i64>,
    /// Rows of the events table.
    pub events: u64,
    /// Bytes of the records that they came from.
    pub raw_bytes: u64,
    /// Bytes written: Parquet files and indexes.
    pub stored_bytes: u64,
    /// Commits of events.
    pub commits: u64,
    /// Reports of alerts, revisions included.
    pub alerts: u64,
}

/// The current [`Snapshot`], to be waited for.
#[derive(Debug)]
pub struct Progress {
    snapshot: watch::Sender<Snapshot>,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            snapshot: watch::Sender::new(Snapshot::default()),
        }
    }
}

impl Progress {
    pub(crate) fn logs_committed(&self, next: &[(Partition, i64)], committed: &Committed, raw_bytes: u64) {
        self.snapshot.send_modify(|snapshot| {
            snapshot.logs.extend(next.iter().cloned());
            snapshot.events += committed.rows;
            snapshot.raw_bytes += raw_bytes;
            snapshot.stored_bytes += committed.stored_bytes;
            snapshot.commits += 1;
        });
    }

    pub(crate) fn signals_committed(&self, next: &[(Partition, i64)], alerts: usize) {
        self.snapshot.send_modify(|snapshot| {
            snapshot.signals.extend(next.iter().cloned());
            snapshot.alerts += alerts as u64;
        });
    }

    /// Follows the progress.
    pub fn subscribe(&self) -> watch::Receiver<Snapshot> {
        self.snapshot.subscribe()
    }
}
