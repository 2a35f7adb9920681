//! What the stages of a pipeline ask: commits, offsets, correlation state, and what correlation keeps.

use std::collections::{BTreeMap, BTreeSet};

use casebook_event::{Alert, Binding, DecidedWindow, Event, Identifier, Partition, StartOffset, Timestamp};

use super::open::Store;
use crate::alerts::{self, AlertsCommit, StatePart};
use crate::commit::{self, Committed, EventsCommit, PreparedFiles};
use crate::kept::{self, KeptCommit, KeptCommitted, KeptSignals, KeySpan};
use crate::{CommitError, StoreError};

/// Events.
impl Store {
    /// Commits a batch of events with the offsets it came from. One without events still moves the offsets, and one without
    /// either says only up to when partitions are read.
    ///
    /// # Errors
    /// [`CommitError::Fenced`] where a partition does not stand where the checkpoint begins (one that the table does
    /// not know yet may begin anywhere); else the store failed. In both cases none of the events is in the table.
    pub async fn commit_events(&self, commit: EventsCommit<'_>) -> Result<Committed, CommitError> {
        commit::commit_events(&self.tables, commit).await
    }

    /// Writes events as files that a later [`EventsCommit`] names.
    ///
    /// # Errors
    /// A file cannot be encoded or written.
    pub async fn prepare_events(&self, events: Vec<Event>, now: Timestamp) -> Result<PreparedFiles, StoreError> {
        commit::prepare_events(&self.tables, events, now).await
    }

    /// Deletes prepared files that are not wanted any more.
    pub async fn discard_prepared(&self, prepared: Vec<PreparedFiles>) {
        for files in prepared {
            commit::discard_files(&self.tables, &files).await;
        }
    }

    /// The next offset of every partition that `group` has committed events of.
    ///
    /// # Errors
    /// The events table cannot be read.
    pub async fn offsets(&self, group: &str) -> Result<BTreeMap<Partition, i64>, StoreError> {
        Ok(commit::offsets(&*self.tables.events.snapshot().await?, group))
    }

    /// Where reading of every partition goes on that `group` has committed events of.
    ///
    /// # Errors
    /// The events table cannot be read.
    pub async fn start_offsets(&self, group: &str) -> Result<BTreeMap<Partition, StartOffset>, StoreError> {
        Ok(commit::starts(&*self.tables.events.snapshot().await?, group))
    }
}

/// Alerts and correlation state.
impl Store {
    /// Commits alerts, the signals offsets they came from and the correlation state after them, as one.
    ///
    /// The parts of a state are files that were written before, and the commit carries their paths, lengths and SHA-256 in a
    /// `domainMetadata` action: that survives Delta checkpoints, and readers of the table need not know it.
    ///
    /// # Errors
    /// [`CommitError::Fenced`] where a partition does not stand where the checkpoint begins, [`CommitError::FencedByState`] where it
    /// has another state than the one that this follows; else the store failed.
    pub async fn commit_alerts(&self, commit: AlertsCommit<'_>) -> Result<Committed, CommitError> {
        alerts::commit_alerts(&self.tables, commit).await
    }

    /// The groups that have committed alerts, or offsets of the signals topic.
    ///
    /// # Errors
    /// The alerts table cannot be read.
    pub async fn signal_groups(&self) -> Result<BTreeSet<String>, StoreError> {
        Ok(commit::groups(&*self.tables.alerts.snapshot().await?))
    }

    /// Where reading of every partition of the signals topic goes on that `group` has committed alerts of: `resume` is where
    /// its state stands.
    ///
    /// # Errors
    /// The alerts table cannot be read.
    pub async fn signal_offsets(&self, group: &str) -> Result<BTreeMap<Partition, StartOffset>, StoreError> {
        Ok(commit::starts(&*self.tables.alerts.snapshot().await?, group))
    }

    /// Writes a part of the state of `partition` as a file, which counts once an [`AlertsCommit`] has landed that names it.
    ///
    /// # Errors
    /// The part is larger than a file may be, or cannot be written.
    pub async fn write_state_part(&self, partition: &Partition, part: Vec<u8>) -> Result<StatePart, StoreError> {
        alerts::write_state_part(&self.tables, partition, part).await
    }

    /// The parts of the correlation state of `partition` that belongs to the offsets in the alerts table; `None` where none
    /// was ever committed. A later commit removes the files of those before.
    ///
    /// # Errors
    /// The alerts table cannot be read.
    pub async fn correlation_state(
        &self,
        group: &str,
        partition: &Partition,
    ) -> Result<Option<Vec<StatePart>>, StoreError> {
        alerts::correlation_state(&self.tables, group, partition).await
    }

    /// Reads a part of the state of `partition`.
    ///
    /// # Errors
    /// [`StoreError::State`] where the file is missing or is not the one that was committed.
    pub async fn read_state_part(&self, partition: &Partition, part: &StatePart) -> Result<Vec<u8>, StoreError> {
        alerts::read_state_part(&self.tables, partition, part).await
    }

    /// The latest revisions of some alerts, each with a time that one of its revisions has or was about; those that are found, in
    /// the order of their ids.
    ///
    /// # Errors
    /// The alerts table cannot be read.
    pub async fn alerts_by_id(&self, wanted: &[(u128, Timestamp)]) -> Result<Vec<Alert>, StoreError> {
        alerts::alerts_by_id(&self.tables, wanted).await
    }
}

/// What correlation keeps.
impl Store {
    /// Keeps matches, windows and bindings: they are in their tables when this returns. Rows at offsets that a table has
    /// already came with an earlier attempt, and are left out; windows of a repair have the offset `i64::MAX` and are always
    /// written. A table that there is nothing new for gets no commit.
    ///
    /// Whoever writes is not fenced: rows that a fenced worker writes are equal to those of the one that took over, and equal rows
    /// count once.
    ///
    /// # Errors
    /// A table cannot be read or written. What was written before stays, and is left out by the next attempt.
    pub async fn commit_kept(&self, commit: KeptCommit<'_>) -> Result<KeptCommitted, CommitError> {
        kept::commit_kept(&self.tables, commit).await
    }

    /// The matches that were kept of some keys, each within its span: the first `max_rows` at most. Matches at one time come
    /// together or not at all, so that none may come where more than `max_rows` are at the first time.
    ///
    /// # Errors
    /// The signals table cannot be read.
    pub async fn kept_signals(&self, spans: &[KeySpan], max_rows: usize) -> Result<KeptSignals, StoreError> {
        kept::kept_signals(&self.tables, spans, max_rows).await
    }

    /// The windows that were decided of some keys, each with all its revisions: those that begin before the end of the key's
    /// span, and whose last time is at its beginning or later. In the order of key, first time, alert and revision; equal
    /// ones once.
    ///
    /// # Errors
    /// [`StoreError::TooMany`] where there are more than [`MAX_KEPT_ROWS`](crate::limits::MAX_KEPT_ROWS); else the signals table
    /// cannot be read.
    pub async fn kept_windows(&self, spans: &[KeySpan]) -> Result<Vec<DecidedWindow>, StoreError> {
        kept::kept_windows(&self.tables, spans).await
    }

    /// The bindings that were kept, from one of the identifiers or to one, at a time from `from` (inclusive) to `to`
    /// (exclusive). In the order of time and names; equal ones once.
    ///
    /// # Errors
    /// [`StoreError::TooMany`] where there are more than [`MAX_KEPT_ROWS`](crate::limits::MAX_KEPT_ROWS); else the bindings table
    /// cannot be read.
    pub async fn kept_bindings(
        &self,
        identifiers: &BTreeSet<Identifier>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Binding>, StoreError> {
        kept::kept_bindings(&self.tables, identifiers, from, to).await
    }

    /// From when on all that was reported to correlation is kept, as far as an expiry took anything: the later one of both tables.
    /// The beginning of time where none did.
    ///
    /// # Errors
    /// A table cannot be read.
    pub async fn kept_since(&self) -> Result<Timestamp, StoreError> {
        kept::kept_since(&self.tables).await
    }
}
