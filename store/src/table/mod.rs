//! A Delta table: its log, the snapshot kept in memory, and the commit.
//!
//! ```text
//! data files ─put─▶ object store        Proposal ─check fences─▶ _delta_log/<version>.json (put if absent)
//!                                           ▲                          │ taken by another writer: reload, check again
//!                                           └──────────────────────────┘
//! ```
//!
//! The log follows the Delta transaction log protocol, reader version 1: every Delta reader reads the tables as they are.

mod action;
mod checkpoint;
mod data_file;
mod log;
mod snapshot;
mod source_counts;
mod source_topics;
mod stats;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use casebook_event::Timestamp;
use fail::fail_point;
use object_store::ObjectStore;
use serde_json::json;

use action::{Action, Format, MetaData, Protocol};
pub(crate) use action::{Add, DomainMetadata, Remove, Txn};
pub(crate) use data_file::{DataFileWriter, Encoded, file_name};
use log::Log;
pub(crate) use snapshot::{DataFile, Snapshot, TOMBSTONE_RETENTION_MS};
pub(crate) use source_counts::SourceCount;
pub(crate) use source_topics::SourceTopics;
pub(crate) use stats::StatsBuilder;

use crate::config::StoreConfig;
use crate::limits::MAX_COMMIT_ATTEMPTS;
use crate::schema::{TableSchema, widened};
use crate::write::injected;
use crate::{CommitError, StoreError};

/// The tables of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TableName {
    /// Every event.
    Events,
    /// Every revision of every alert, and the reference to the correlation state.
    Alerts,
    /// What could not become an event.
    DeadLetters,
    /// Matches that correlation was told, and windows that it decided.
    Signals,
    /// What names stood for.
    Bindings,
}

impl TableName {
    /// Every table.
    pub const ALL: &[TableName] = &[
        Self::Events,
        Self::Alerts,
        Self::DeadLetters,
        Self::Signals,
        Self::Bindings,
    ];

    /// What correlation keeps, for the time in which late events repair what was decided.
    pub const KEPT: &[TableName] = &[Self::Signals, Self::Bindings];

    /// The table's name, which is also its folder in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Alerts => "alerts",
            Self::DeadLetters => "dead_letters",
            Self::Signals => "signals",
            Self::Bindings => "bindings",
        }
    }
}

/// What one commit changes in a table.
#[derive(Debug, Default)]
pub(crate) struct Proposal {
    pub adds: Vec<Add>,
    /// Data files that belong to the table no more. They stay on the disk: whoever reads an older version still needs them.
    pub removes: Vec<Remove>,
    pub txns: Vec<Txn>,
    pub domains: Vec<DomainMetadata>,
    /// The time to write into the log.
    pub now: Timestamp,
}

/// One Delta table.
#[derive(Debug)]
pub(crate) struct Table {
    pub name: TableName,
    log: Log,
    /// The newest version that this process knows. Replaced whole; the lock is held for the exchange of a pointer.
    newest: RwLock<Arc<Snapshot>>,
    /// Held by whoever reads new log entries or writes one, so that this process does not compete with itself.
    following: tokio::sync::Mutex<()>,
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
            log.put(0, first_entry(name)).await?;
        }
        let snapshot = log.load().await?;
        Ok(Some(Self {
            name,
            log,
            newest: RwLock::new(Arc::new(snapshot)),
            following: tokio::sync::Mutex::new(()),
            config: config.clone(),
        }))
    }

    /// A table that stores of older versions lack, and most readers do not ask for: nothing is read of it before somebody does.
    /// Where it has no log, it is empty until the first commit makes it.
    pub fn unread(files: Arc<dyn ObjectStore>, name: TableName, config: &StoreConfig) -> Self {
        Self {
            name,
            log: Log { table: name, files },
            newest: RwLock::default(),
            following: tokio::sync::Mutex::new(()),
            config: config.clone(),
        }
    }

    /// The newest version that this process knows.
    fn known(&self) -> Arc<Snapshot> {
        self.newest.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, snapshot: Arc<Snapshot>) {
        *self.newest.write().unwrap_or_else(PoisonError::into_inner) = snapshot;
    }

    /// The table's latest version.
    pub async fn snapshot(&self) -> Result<Arc<Snapshot>, StoreError> {
        let _following = self.following.lock().await;
        self.follow().await
    }

    /// Reads what is new in the log. The caller holds `following`.
    async fn follow(&self) -> Result<Arc<Snapshot>, StoreError> {
        let known = self.known();
        if known.is_absent() {
            if !self.log.exists().await? {
                return Ok(known);
            }
            let snapshot = Arc::new(self.log.load().await?);
            self.set(snapshot.clone());
            return Ok(snapshot);
        }
        let next = known.version + 1;
        let snapshot = match self.log.entry(next).await? {
            Some(actions) => {
                let mut snapshot = Snapshot::clone(&known);
                snapshot.apply(next, actions).map_err(|reason| StoreError::Log {
                    table: self.name.name(),
                    version: next,
                    reason,
                })?;
                self.log.follow(&mut snapshot, next + 1).await?;
                snapshot
            }
            // The entries after ours may have been cleaned away, with a checkpoint in their place.
            None => match checkpoint::read_hint(&self.log).await? {
                Some(version) if version > known.version => self.log.load().await?,
                _ => return Ok(known),
            },
        };
        let snapshot = Arc::new(snapshot);
        self.set(snapshot.clone());
        Ok(snapshot)
    }

    /// Commits `proposal` on top of the latest version at which `check` agrees.
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
    ) -> Result<Arc<Snapshot>, CommitError> {
        let _following = self.following.lock().await;
        let commit_id = uuid::Uuid::new_v4().to_string();
        let (entry, actions) = self.entry(proposal, &commit_id)?;
        if self.known().is_absent() && self.follow().await?.is_absent() {
            // Another process may create it at the same moment: whichever entry lands is the table.
            self.log.put(0, first_entry(self.name)).await?;
        }
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let known = self.follow().await?;
            check(&known)?;
            let version = known.version + 1;
            let (entry, actions) = match self.widened(&known) {
                Some(meta_data) => self.with_meta_data(&actions, meta_data)?,
                None => (entry.clone(), actions.clone()),
            };
            fail_point!("store.entry");
            if !self.log.put(version, entry).await? && !self.is_ours(version, &commit_id).await? {
                continue;
            }
            fail_point!("store.entry-written", |reason| Err(injected(
                self.name.name(),
                "_delta_log",
                reason
            )
            .into()));
            let mut snapshot = Snapshot::clone(&known);
            snapshot.apply(version, actions).map_err(|reason| StoreError::Log {
                table: self.name.name(),
                version,
                reason,
            })?;
            let snapshot = Arc::new(snapshot);
            self.set(snapshot.clone());
            self.checkpoint_in_background(&snapshot);
            return Ok(snapshot);
        }
        Err(StoreError::Log {
            table: self.name.name(),
            version: self.known().version,
            reason: format!("{MAX_COMMIT_ATTEMPTS} attempts to commit were each overtaken by other writers; try again"),
        }
        .into())
    }

    /// Whether the entry of `version` is the one with that id: an object store may report a put that it has itself
    /// retried as a conflict, although the first attempt landed.
    async fn is_ours(&self, version: u64, commit_id: &str) -> Result<bool, StoreError> {
        let actions = self.log.entry(version).await?.unwrap_or_default();
        Ok(actions
            .iter()
            .filter_map(|action| action.commit_info.as_ref())
            .any(|info| info.get("txnId").and_then(|id| id.as_str()) == Some(commit_id)))
    }

    fn entry(&self, proposal: Proposal, commit_id: &str) -> Result<(bytes::Bytes, Vec<Action>), StoreError> {
        // The names that Delta gives to an append, to a compaction, and to rows that go.
        let (operation, parameters) = match proposal.removes.as_slice() {
            [] => ("WRITE", json!({"mode": "Append"})),
            removes if removes.iter().any(|remove| remove.data_change) => ("DELETE", json!({})),
            _ => ("OPTIMIZE", json!({})),
        };
        let info = json!({
            "timestamp": proposal.now.as_nanos().div_euclid(1_000_000),
            "operation": operation,
            "operationParameters": parameters,
            "isBlindAppend": proposal.removes.is_empty(),
            "engineInfo": concat!("casebook/", env!("CARGO_PKG_VERSION")),
            "txnId": commit_id,
        });
        let mut actions = vec![Action {
            commit_info: Some(info),
            ..Action::default()
        }];
        actions.extend(proposal.txns.into_iter().map(|txn| Action {
            txn: Some(txn),
            ..Action::default()
        }));
        actions.extend(proposal.domains.into_iter().map(|domain| Action {
            domain_metadata: Some(domain),
            ..Action::default()
        }));
        actions.extend(proposal.removes.into_iter().map(|remove| Action {
            remove: Some(remove),
            ..Action::default()
        }));
        actions.extend(proposal.adds.into_iter().map(|add| Action {
            add: Some(add),
            ..Action::default()
        }));
        Ok((self.lines(&actions)?, actions))
    }

    /// The table's metadata with the columns that this version writes and the table does not name yet: readers of other
    /// engines see only named columns.
    fn widened(&self, snapshot: &Snapshot) -> Option<MetaData> {
        let ours = TableSchema::of(self.name).delta_json();
        let schema_string = widened(&snapshot.meta_data.schema_string, &ours)?;
        Some(MetaData {
            schema_string,
            ..snapshot.meta_data.clone()
        })
    }

    fn with_meta_data(
        &self,
        actions: &[Action],
        meta_data: MetaData,
    ) -> Result<(bytes::Bytes, Vec<Action>), StoreError> {
        let mut actions = actions.to_vec();
        actions.insert(
            1,
            Action {
                meta_data: Some(meta_data),
                ..Action::default()
            },
        );
        Ok((self.lines(&actions)?, actions))
    }

    fn lines(&self, actions: &[Action]) -> Result<bytes::Bytes, StoreError> {
        lines(actions).map_err(|error| StoreError::Encode {
            table: self.name.name(),
            rows: actions.len(),
            source: error.into(),
        })
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
    let now_ms = chrono::Utc::now().timestamp_millis();
    fail_point!("store.checkpoint", |_| Ok(()));
    checkpoint::write(log, snapshot, now_ms).await?;
    fail_point!("store.checkpoint-written", |_| Ok(()));
    log.clean(now_ms, retention_ms).await?;
    Ok(())
}

fn lines(actions: &[Action]) -> Result<bytes::Bytes, serde_json::Error> {
    let mut text = Vec::new();
    for action in actions {
        serde_json::to_writer(&mut text, action)?;
        text.push(b'\n');
    }
    Ok(text.into())
}

/// Version 0: what the table is.
fn first_entry(name: TableName) -> bytes::Bytes {
    let schema = TableSchema::of(name);
    let now_ms = chrono::Utc::now().timestamp_millis();
    let info = json!({
        "timestamp": now_ms,
        "operation": "CREATE TABLE",
        "operationParameters": {},
        "engineInfo": concat!("casebook/", env!("CARGO_PKG_VERSION")),
    });
    let meta_data = MetaData {
        id: uuid::Uuid::new_v4().to_string(),
        name: Some(name.name().to_owned()),
        description: Some(schema.description.to_owned()),
        format: Format::default(),
        schema_string: schema.delta_json(),
        partition_columns: vec![schema.partition.to_owned()],
        configuration: BTreeMap::new(),
        created_time: Some(now_ms),
    };
    let actions = [
        Action {
            commit_info: Some(info),
            ..Action::default()
        },
        Action {
            protocol: Some(Protocol::new(name == TableName::Alerts)),
            ..Action::default()
        },
        Action {
            meta_data: Some(meta_data),
            ..Action::default()
        },
    ];
    lines(&actions).unwrap_or_default()
}
