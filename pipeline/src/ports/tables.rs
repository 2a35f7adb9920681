//! The tables: what stages commit, and what they read back.

use std::collections::{BTreeMap, BTreeSet};

use casebook_event::{Alert, Binding, DecidedWindow, Event, Identifier, Partition, StartOffset, Timestamp};
use casebook_store::{
    AlertsCommit, CommitError, Committed, EventsCommit, Expired, KeptCommit, KeptCommitted, KeptSignals, KeySpan,
    PreparedFiles, StatePart, Store, StoreError,
};

/// The tables of a deployment, shared by all its workers. Each method is that of [`Store`] of the same name: there it says what
/// is promised.
pub(crate) trait Tables: Send + Sync + 'static {
    /// Files of events that are in no commit yet.
    type Prepared: Send + Sync + 'static;
    /// A part of the state of a partition of the signals topic.
    type Part: Clone + PartialEq + Send + Sync + 'static;

    fn start_offsets(&self, group: &str) -> impl Answer<Result<BTreeMap<Partition, StartOffset>, StoreError>>;
    fn prepare_events(&self, events: Vec<Event>, now: Timestamp) -> impl Answer<Result<Self::Prepared, StoreError>>;
    fn discard_prepared(&self, files: Vec<Self::Prepared>) -> impl Answer<()>;
    fn commit_events(&self, commit: EventsCommit<'_, Self::Prepared>) -> impl Answer<Result<Committed, CommitError>>;

    fn signal_offsets(&self, group: &str) -> impl Answer<Result<BTreeMap<Partition, StartOffset>, StoreError>>;
    fn correlation_state(
        &self,
        group: &str,
        partition: &Partition,
    ) -> impl Answer<Result<Option<Vec<Self::Part>>, StoreError>>;
    fn write_state_part(&self, partition: &Partition, part: Vec<u8>) -> impl Answer<Result<Self::Part, StoreError>>;
    fn read_state_part(&self, partition: &Partition, part: &Self::Part) -> impl Answer<Result<Vec<u8>, StoreError>>;
    fn commit_alerts(&self, commit: AlertsCommit<'_, Self::Part>) -> impl Answer<Result<Committed, CommitError>>;
    fn alerts_by_id(&self, wanted: &[(u128, Timestamp)]) -> impl Answer<Result<Vec<Alert>, StoreError>>;

    fn commit_kept(&self, commit: KeptCommit<'_>) -> impl Answer<Result<KeptCommitted, CommitError>>;
    fn kept_signals(&self, spans: &[KeySpan], max_rows: usize) -> impl Answer<Result<KeptSignals, StoreError>>;
    fn kept_windows(&self, spans: &[KeySpan]) -> impl Answer<Result<Vec<DecidedWindow>, StoreError>>;
    fn kept_bindings(
        &self,
        identifiers: &BTreeSet<Identifier>,
        from: Timestamp,
        to: Timestamp,
    ) -> impl Answer<Result<Vec<Binding>, StoreError>>;
    fn kept_since(&self) -> impl Answer<Result<Timestamp, StoreError>>;
    fn expire_kept(&self, before: (Timestamp, Timestamp), now: Timestamp) -> impl Answer<Result<Expired, StoreError>>;
}

/// What a call of the tables comes to.
pub(crate) trait Answer<T>: Future<Output = T> + Send {}
impl<T, F: Future<Output = T> + Send> Answer<T> for F {}

impl Tables for Store {
    type Prepared = PreparedFiles;
    type Part = StatePart;

    async fn start_offsets(&self, group: &str) -> Result<BTreeMap<Partition, StartOffset>, StoreError> {
        Self::start_offsets(self, group).await
    }

    async fn prepare_events(&self, events: Vec<Event>, now: Timestamp) -> Result<Self::Prepared, StoreError> {
        Self::prepare_events(self, events, now).await
    }

    async fn discard_prepared(&self, files: Vec<Self::Prepared>) {
        Self::discard_prepared(self, files).await
    }

    async fn commit_events(&self, commit: EventsCommit<'_, Self::Prepared>) -> Result<Committed, CommitError> {
        Self::commit_events(self, commit).await
    }

    async fn signal_offsets(&self, group: &str) -> Result<BTreeMap<Partition, StartOffset>, StoreError> {
        Self::signal_offsets(self, group).await
    }

    async fn correlation_state(
        &self,
        group: &str,
        partition: &Partition,
    ) -> Result<Option<Vec<Self::Part>>, StoreError> {
        Self::correlation_state(self, group, partition).await
    }

    async fn write_state_part(&self, partition: &Partition, part: Vec<u8>) -> Result<Self::Part, StoreError> {
        Self::write_state_part(self, partition, part).await
    }

    async fn read_state_part(&self, partition: &Partition, part: &Self::Part) -> Result<Vec<u8>, StoreError> {
        Self::read_state_part(self, partition, part).await
    }

    async fn commit_alerts(&self, commit: AlertsCommit<'_, Self::Part>) -> Result<Committed, CommitError> {
        Self::commit_alerts(self, commit).await
    }

    async fn alerts_by_id(&self, wanted: &[(u128, Timestamp)]) -> Result<Vec<Alert>, StoreError> {
        Self::alerts_by_id(self, wanted).await
    }

    async fn commit_kept(&self, commit: KeptCommit<'_>) -> Result<KeptCommitted, CommitError> {
        Self::commit_kept(self, commit).await
    }

    async fn kept_signals(&self, spans: &[KeySpan], max_rows: usize) -> Result<KeptSignals, StoreError> {
        Self::kept_signals(self, spans, max_rows).await
    }

    async fn kept_windows(&self, spans: &[KeySpan]) -> Result<Vec<DecidedWindow>, StoreError> {
        Self::kept_windows(self, spans).await
    }

    async fn kept_bindings(
        &self,
        identifiers: &BTreeSet<Identifier>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Binding>, StoreError> {
        Self::kept_bindings(self, identifiers, from, to).await
    }

    async fn kept_since(&self) -> Result<Timestamp, StoreError> {
        Self::kept_since(self).await
    }

    async fn expire_kept(&self, before: (Timestamp, Timestamp), now: Timestamp) -> Result<Expired, StoreError> {
        Self::expire_kept(self, before, now).await
    }
}
