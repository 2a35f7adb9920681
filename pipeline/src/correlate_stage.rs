//! The correlate side: signals in, alerts and the state that produced them out, in one commit with the signals' offsets.
//!
//! Each partition of the signals topic has an engine and a state of its own, so that a partition moves between workers
//! with all that belongs to it. The state file of a commit also holds the alerts of that commit: whoever restores it
//! sends them again, so that a crash between commit and sending loses none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use casebook_correlate::{CorrelationConfig, CorrelationEngine, RuleSet};
use casebook_event::{Alert, Checkpoint, Partition, RawRecord, StartOffset};
use casebook_ingest::{Consumer, ConsumerEvent};
use casebook_store::{AlertsCommit, CommitError, Store};
use rdkafka::producer::FutureProducer;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::clock;
use crate::config::Config;
use crate::error::PipelineError;
use crate::progress::Progress;
use crate::signal_topic::{TopicWriter, parse};
use crate::telemetry::Metrics;

/// Wait before a commit that the store refused is tried again.
const RETRY_WAIT: Duration = Duration::from_secs(1);
/// Commits that fail in a row before the stage gives up.
const MAX_FAILED_COMMITS: u32 = 30;
/// Alerts gathered before a commit, whatever the interval.
const MAX_PENDING_ALERTS: usize = 10_000;

/// The content of a state file.
#[derive(Serialize, Deserialize)]
struct StateFile {
    /// The engine's own snapshot, which names its version.
    engine: String,
    /// The alerts that were committed together with it.
    committed_alerts: Vec<Alert>,
}

struct PartitionState {
    engine: CorrelationEngine,
    /// Alerts since the last commit.
    alerts: Vec<Alert>,
    /// The next offset to apply, where known.
    expected: Option<i64>,
}

pub(crate) struct CorrelateStage {
    config: Config,
    rules: Arc<RuleSet>,
    /// The rules to apply, which may change.
    reloaded: watch::Receiver<Arc<RuleSet>>,
    /// Tells detection of them.
    detect_rules: watch::Sender<Arc<RuleSet>>,
    store: Arc<Store>,
    consumer: Consumer,
    sink: Option<TopicWriter>,
    metrics: Arc<Metrics>,
    progress: Arc<Progress>,
    shutdown: CancellationToken,
    partitions: BTreeMap<Partition, PartitionState>,
    checkpoint: Checkpoint,
    pending: usize,
    since: Instant,
    failed_commits: u32,
}

/// What the stage is built from.
pub(crate) struct CorrelateParts {
    pub(crate) config: Config,
    pub(crate) rules: Arc<RuleSet>,
    pub(crate) reloaded: watch::Receiver<Arc<RuleSet>>,
    pub(crate) detect_rules: watch::Sender<Arc<RuleSet>>,
    pub(crate) store: Arc<Store>,
    pub(crate) consumer: Consumer,
    pub(crate) producer: FutureProducer,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) shutdown: CancellationToken,
}

/// The name under which the tables keep the positions of the signals topic, and its consumer group.
pub(crate) fn correlate_group(group: &str) -> String {
    format!("{group}-correlate")
}

impl CorrelateStage {
    pub(crate) fn new(parts: CorrelateParts) -> Self {
        let CorrelateParts {
            config,
            rules,
            reloaded,
            detect_rules,
            store,
            consumer,
            producer,
            metrics,
            progress,
            shutdown,
        } = parts;
        let sink = config
            .kafka
            .alerts_topic
            .as_deref()
            .map(|topic| TopicWriter::new(producer, topic));
        Self {
            config,
            rules,
            reloaded,
            detect_rules,
            store,
            consumer,
            sink,
            metrics,
            progress,
            shutdown,
            partitions: BTreeMap::new(),
            checkpoint: Checkpoint::new(),
            pending: 0,
            since: Instant::now(),
            failed_commits: 0,
        }
    }

    /// Runs until told to stop, or until it cannot go on. What is pending is committed before it returns.
    pub(crate) async fn run(mut self, mut input: mpsc::Receiver<ConsumerEvent>) -> Result<(), PipelineError> {
        let shutdown = self.shutdown.clone();
        loop {
            let deadline = self.deadline();
            if self.pending >= MAX_PENDING_ALERTS || (!self.checkpoint.is_empty() && Instant::now() >= deadline) {
                self.commit().await?;
                continue;
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Ok(()) = self.reloaded.changed() => self.take_rules(),
                event = input.recv() => match event {
                    Some(event) => self.on_event(event).await?,
                    None => break,
                },
                () = tokio::time::sleep_until(deadline.into()), if !self.checkpoint.is_empty() => {}
            }
        }
        self.commit().await?;
        let consumer = self.consumer;
        tokio::task::spawn_blocking(move || consumer.stop())
            .await
            .map_err(|_| PipelineError::StagePanicked("consumer"))?;
        info!("correlate stopped");
        Ok(())
    }

    /// Goes on with changed rules, and then lets detection do so.
    fn take_rules(&mut self) {
        self.rules = self.reloaded.borrow_and_update().clone();
        for state in self.partitions.values_mut() {
            state.engine.set_rules(&self.rules);
        }
        self.detect_rules.send_replace(self.rules.clone());
    }

    fn deadline(&self) -> Instant {
        let commit = &self.config.commit;
        self.since
            + if self.pending > 0 {
                commit.alert_interval.0
            } else {
                commit.interval.0
            }
    }

    async fn on_event(&mut self, event: ConsumerEvent) -> Result<(), PipelineError> {
        match event {
            ConsumerEvent::Assigned(partitions) => {
                for (partition, start) in partitions {
                    self.restore(partition, start.map(|start| start.next)).await?;
                }
            }
            ConsumerEvent::Revoked(partitions) => {
                for partition in partitions {
                    self.checkpoint.remove(&partition);
                    if let Some(state) = self.partitions.remove(&partition) {
                        self.pending -= state.alerts.len();
                    }
                }
            }
            ConsumerEvent::Restarted(partitions) => {
                for (partition, start) in partitions {
                    self.restore(partition, Some(start.next)).await?;
                }
            }
            ConsumerEvent::Records { records, .. } => {
                for record in &records {
                    self.apply(record)?;
                }
            }
            ConsumerEvent::EndOffsets(_) => {}
            ConsumerEvent::Failed(error) => return Err(error.into()),
        }
        Ok(())
    }

    async fn restore(&mut self, partition: Partition, offset: Option<i64>) -> Result<(), PipelineError> {
        let group = correlate_group(&self.config.kafka.group);
        let bad = |reason: String| PipelineError::State {
            partition: partition.clone(),
            reason,
        };
        let engine = match self.store.correlation_state(&group, &partition).await? {
            None => CorrelationEngine::new(&self.rules, CorrelationConfig::default()),
            Some(bytes) => {
                let state: StateFile = serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
                self.send(&state.committed_alerts).await?;
                CorrelationEngine::restore(&self.rules, CorrelationConfig::default(), state.engine.as_bytes())
                    .map_err(|error| bad(error.to_string()))?
            }
        };
        self.partitions.insert(
            partition,
            PartitionState {
                engine,
                alerts: Vec::new(),
                expected: offset,
            },
        );
        Ok(())
    }

    fn apply(&mut self, record: &RawRecord) -> Result<(), PipelineError> {
        let partition = Partition {
            topic: record.position.topic.clone(),
            partition: record.position.partition,
        };
        let offset = record.position.offset;
        // Records of a partition that is being read again are void until it is.
        let Some(state) = self.partitions.get_mut(&partition) else {
            return Ok(());
        };
        let start = state.expected.unwrap_or(offset);
        if offset < start {
            return Ok(());
        }
        let message = parse(&partition, offset, &record.payload)?;
        let before = state.alerts.len();
        state.engine.apply(message, &mut state.alerts);
        self.pending += state.alerts.len() - before;
        state.expected = Some(offset + 1);
        if self.checkpoint.is_empty() {
            self.since = Instant::now();
        }
        self.checkpoint.record(&partition, start, offset);
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), PipelineError> {
        if self.checkpoint.is_empty() {
            return Ok(());
        }
        let checkpoint = std::mem::take(&mut self.checkpoint);
        let mut alerts = Vec::with_capacity(self.pending);
        let mut states = Vec::new();
        for (partition, _) in checkpoint.iter() {
            let Some(state) = self.partitions.get_mut(partition) else {
                continue;
            };
            let committed_alerts = std::mem::take(&mut state.alerts);
            let engine = String::from_utf8(state.engine.snapshot()).map_err(|error| PipelineError::State {
                partition: partition.clone(),
                reason: error.to_string(),
            })?;
            alerts.extend(committed_alerts.iter().cloned());
            let bytes = serde_json::to_vec(&StateFile {
                engine,
                committed_alerts,
            })
            .map_err(|error| PipelineError::State {
                partition: partition.clone(),
                reason: error.to_string(),
            })?;
            states.push((partition.clone(), bytes));
        }
        self.pending = 0;
        let next: Vec<_> = checkpoint
            .iter()
            .map(|(partition, range)| (partition.clone(), range.end))
            .collect();
        let group = correlate_group(&self.config.kafka.group);
        let commit = AlertsCommit {
            group: &group,
            alerts: &alerts,
            checkpoint,
            states,
            now: clock::now(),
        };
        match self.store.commit_alerts(commit).await {
            Ok(_) => {
                self.failed_commits = 0;
                self.metrics.alerts(&alerts);
                self.send(&alerts).await?;
                self.progress.signals_committed(&next, alerts.len());
                self.consumer.commit(next);
                Ok(())
            }
            Err(CommitError::Fenced {
                partition,
                expected,
                found,
            }) => {
                warn!(%partition, expected, found, "another worker has committed this partition of the signals; reading again from there");
                self.restart().await
            }
            Err(CommitError::Store(error)) if self.failed_commits < MAX_FAILED_COMMITS => {
                self.failed_commits += 1;
                self.metrics.commit_failed();
                error!(%error, attempt = self.failed_commits, "commit of alerts failed; reading again from the table's positions");
                tokio::time::sleep(RETRY_WAIT).await;
                self.restart().await
            }
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }

    /// Forgets what is not committed; the partitions come back when the consumer says that it reads them again.
    async fn restart(&mut self) -> Result<(), PipelineError> {
        let group = correlate_group(&self.config.kafka.group);
        let offsets = self.store.signal_offsets(&group).await?;
        let to = self
            .partitions
            .keys()
            .map(|p| (p.clone(), StartOffset::at(offsets.get(p).copied().unwrap_or(0))))
            .collect();
        self.partitions.clear();
        self.consumer.seek(to);
        Ok(())
    }

    async fn send(&mut self, alerts: &[Alert]) -> Result<(), PipelineError> {
        let Some(sink) = &mut self.sink else { return Ok(()) };
        for alert in alerts {
            let payload = serde_json::to_vec(alert).unwrap_or_default();
            sink.write(None, alert.alert.id.as_bytes(), &payload).await?;
        }
        sink.take_deliveries().confirmed().await
    }
}
