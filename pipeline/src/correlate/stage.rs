//! The correlate side: signals in, alerts and the state that produced them out, in one commit with the signals' offsets.
//!
//! Each partition of the signals topic has an engine and a state of its own, so that a partition moves between workers
//! with all that belongs to it. The state is not written with every commit: whoever goes on reads the signals since the last
//! state again, which gives the same alerts again, and sends them again, as the alerts that were committed with the state:
//! so that a crash between commit and sending loses none. They are not committed again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use casebook_correlate::{ColdStore, CorrelationConfig, CorrelationEngine, RuleSet};
use casebook_event::{Alert, CheckpointDelta, OffsetRange, Partition, RawRecord, StartOffset};
use casebook_ingest::{ConsumerEvent, EndOffset};
use casebook_store::{AlertsCommit, CommitError, StoreError};
use fail::fail_point;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, error, info, info_span, warn};

use crate::config::deployment::Config;
use crate::config::group::correlate_group;
use crate::correlate::gathering::{Gathered, gather};
use crate::correlate::partition::{PartitionState, restore};
use crate::correlate::repair::Repairs;
use crate::error::PipelineError;
use crate::ports::runtime::SharedRuntime;
use crate::ports::source::RecordSource;
use crate::ports::tables::Tables;
use crate::progress::committed::Progress;
use crate::progress::stalls::{Stage, Stalls, Waiting};
use crate::telemetry::metrics::Metrics;
use crate::topic::alerts::write_alerts;
use crate::topic::signals::parse;
use crate::topic::writer::{TopicWriter, Transport};

/// Wait before a commit that the store refused is tried again.
const RETRY_WAIT: Duration = Duration::from_secs(1);
/// Commits that fail in a row before the stage gives up.
const MAX_FAILED_COMMITS: u32 = 30;
/// Alerts gathered before a commit, whatever the interval.
const MAX_PENDING_ALERTS: usize = 10_000;

/// Time between two commits, as a multiple of what the log took for the last one.
const LOG_TIME_FACTOR: u32 = 10;
/// That time at most: alerts wait for it.
const MAX_PACE: Duration = Duration::from_secs(5);

pub(crate) struct CorrelateStage<S: Tables, T: Transport> {
    config: Config,
    rules: Arc<RuleSet>,
    /// The rules to apply, which may change.
    reloaded: watch::Receiver<Arc<RuleSet>>,
    /// Tells detection of them.
    detect_rules: watch::Sender<Arc<RuleSet>>,
    store: Arc<S>,
    source: Box<dyn RecordSource>,
    sink: Option<TopicWriter<T>>,
    metrics: Arc<Metrics>,
    progress: Arc<Progress>,
    stalls: Arc<Stalls>,
    shutdown: CancellationToken,
    runtime: SharedRuntime,
    /// Where groups go that do not fit into memory, and how much each engine has.
    spill: Spill,
    memory_bytes: usize,
    partitions: BTreeMap<Partition, PartitionState<S::Part>>,
    checkpoint: CheckpointDelta,
    pending: usize,
    since: Instant,
    /// When the next commit may be: as in the commit stage.
    not_before: Instant,
    failed_commits: u32,
    repairs: Repairs,
}

/// Makes a place for the groups of one partition that do not fit into memory.
pub(crate) type Spill = Box<dyn Fn() -> Box<dyn ColdStore> + Send + Sync>;

/// What the stage is built from.
pub(crate) struct CorrelateParts<S: Tables, T: Transport> {
    pub(crate) config: Config,
    pub(crate) signals_partitions: i32,
    pub(crate) rules: Arc<RuleSet>,
    pub(crate) reloaded: watch::Receiver<Arc<RuleSet>>,
    pub(crate) detect_rules: watch::Sender<Arc<RuleSet>>,
    pub(crate) store: Arc<S>,
    pub(crate) source: Box<dyn RecordSource>,
    pub(crate) transport: T,
    pub(crate) spill: Spill,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) stalls: Arc<Stalls>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) runtime: SharedRuntime,
}

impl<S: Tables, T: Transport> CorrelateStage<S, T> {
    pub(crate) fn new(parts: CorrelateParts<S, T>) -> Self {
        let CorrelateParts {
            config,
            signals_partitions,
            rules,
            reloaded,
            detect_rules,
            store,
            source,
            transport,
            spill,
            metrics,
            progress,
            stalls,
            shutdown,
            runtime,
        } = parts;
        let now = runtime.instant();
        let sink = config
            .kafka
            .alerts_topic
            .as_deref()
            .map(|topic| TopicWriter::new(transport, topic));
        // The partitions of the signals may all be this worker's.
        let share = usize::try_from(signals_partitions).unwrap_or(1).max(1);
        Self {
            memory_bytes: config.correlation.memory_bytes / share,
            spill,
            config,
            rules,
            reloaded,
            detect_rules,
            store,
            source,
            sink,
            metrics,
            progress,
            stalls,
            shutdown,
            partitions: BTreeMap::new(),
            checkpoint: CheckpointDelta::new(),
            pending: 0,
            since: now,
            not_before: now,
            failed_commits: 0,
            repairs: Repairs::new(signals_partitions, runtime.clone()),
            runtime,
        }
    }

    /// Runs until asked to stop, or until it cannot go on. What is pending is committed before it returns.
    pub(crate) async fn run(mut self, mut input: mpsc::Receiver<ConsumerEvent>) -> Result<(), PipelineError> {
        let shutdown = self.shutdown.clone();
        loop {
            let (now, deadline) = (self.runtime.instant(), self.deadline());
            let repairs = self.repairs.next(&self.partitions).map(|at| at.max(self.not_before));
            if self.pending >= MAX_PENDING_ALERTS
                || (!self.checkpoint.is_empty() && now >= deadline)
                || repairs.is_some_and(|at| now >= at)
            {
                self.commit().await?;
                continue;
            }
            let due = self.runtime.sleep_until(deadline);
            let repairs_due = self.runtime.sleep_until(repairs.unwrap_or(deadline));
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Ok(()) = self.reloaded.changed() => self.take_rules()?,
                event = input.recv() => match event {
                    Some(event) => self.on_event(event).await?,
                    None => break,
                },
                () = due, if !self.checkpoint.is_empty() => {}
                () = repairs_due, if repairs.is_some() => {}
            }
        }
        // Whoever goes on has nothing to read again.
        for (partition, state) in &mut self.partitions {
            if let (Some(start), Some(expected)) = (state.start, state.expected)
                && start.next <= expected
                && start.resume < expected
            {
                self.checkpoint.begin(partition, start);
                state.state_is_due = true;
            }
        }
        self.commit().await?;
        self.source.stop().await?;
        info!("correlate stopped");
        Ok(())
    }

    /// Goes on with changed rules, and then lets detection do so.
    fn take_rules(&mut self) -> Result<(), PipelineError> {
        self.rules = self.reloaded.borrow_and_update().clone();
        for state in self.partitions.values_mut() {
            state.engine.set_rules(&self.rules)?;
            // What comes before is not to be applied again under other rules.
            state.state_is_due = true;
        }
        self.detect_rules.send_replace(self.rules.clone());
        Ok(())
    }

    fn deadline(&self) -> Instant {
        let commit = &self.config.commit;
        let interval = match self.pending {
            0 => commit.interval,
            _ => commit.alert_interval,
        };
        (self.since + interval.0).max(self.not_before)
    }

    async fn on_event(&mut self, event: ConsumerEvent) -> Result<(), PipelineError> {
        match event {
            ConsumerEvent::Assigned(partitions) => {
                for (partition, start) in partitions {
                    let next = start.map_or(0, |start| start.next);
                    self.stalls
                        .assigned(Stage::Correlate, partition.clone(), next, self.runtime.instant());
                    self.restore(partition, start).await?;
                }
            }
            ConsumerEvent::Revoked(partitions) => {
                for partition in partitions {
                    self.checkpoint.remove(&partition);
                    self.metrics.forget_signals(&partition);
                    self.stalls.revoked(Stage::Correlate, &partition);
                    if let Some(state) = self.partitions.remove(&partition) {
                        self.pending -= state.alerts.len();
                    }
                }
            }
            ConsumerEvent::Restarted(partitions) => {
                for (partition, start) in partitions {
                    self.stalls
                        .restarted(Stage::Correlate, &partition, start.next, self.runtime.instant());
                    self.restore(partition, Some(start)).await?;
                }
            }
            ConsumerEvent::Records { records, .. } => {
                for record in &records {
                    self.apply(record).await?;
                }
            }
            ConsumerEvent::EndOffsets(ends) => self.on_ends(&ends),
            ConsumerEvent::Lost { partition, from, to } => {
                error!(%partition, from, to, "signals were deleted by retention before they were applied: alerts may be missing; raise the retention of the signals topic");
                self.metrics.lost_records(&partition, to - from);
            }
            ConsumerEvent::Failed(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn on_ends(&mut self, ends: &[EndOffset]) {
        let now = self.runtime.instant();
        for EndOffset { partition, end, high } in ends {
            self.stalls.ends(Stage::Correlate, partition, *end, *high, now);
        }
    }

    async fn restore(&mut self, partition: Partition, start: Option<StartOffset>) -> Result<(), PipelineError> {
        let group = correlate_group(&self.config.kafka.group);
        let (engine, parts) = loop {
            let parts = match self.store.correlation_state(&group, &partition).await {
                Ok(parts) => parts,
                Err(error) => {
                    self.wait_after(error).await?;
                    continue;
                }
            };
            let store = (self.spill)();
            let engine = CorrelationEngine::new(&self.rules, CorrelationConfig::default())
                .with_cold_store(store, self.memory_bytes);
            match restore(&*self.store, &partition, engine, parts.as_deref().unwrap_or_default()).await {
                Ok((engine, committed_alerts)) => {
                    let engine = self.repairs.restored(engine, &self.config.correlation);
                    self.send(&committed_alerts).await?;
                    break (engine, parts);
                }
                // A commit of whoever had the partition before may have replaced it between the two reads; what is read
                // then is fenced by the offsets.
                Err(error) if self.store.correlation_state(&group, &partition).await? == parts => return Err(error),
                Err(_) => {}
            }
        };
        fail_point!("correlate.restored");
        let state = PartitionState {
            engine,
            alerts: Vec::new(),
            caused: Vec::new(),
            expected: start.map(|start| start.resume),
            state: parts,
            start,
            state_is_due: false,
            state_since: self.runtime.instant(),
            state_took: Duration::ZERO,
        };
        self.partitions.insert(partition, state);
        Ok(())
    }

    async fn apply(&mut self, record: &RawRecord) -> Result<(), PipelineError> {
        let partition = Partition {
            topic: record.position.topic.clone(),
            partition: record.position.partition,
        };
        let offset = record.position.offset;
        // Records of a partition that is being read again are void until it is.
        let Some(state) = self.partitions.get_mut(&partition) else {
            return Ok(());
        };
        let expected = state.expected.unwrap_or(offset);
        if offset < expected {
            return Ok(());
        }
        let message = parse(&partition, offset, &record.payload)?;
        let before = state.alerts.len();
        state.engine.at_offset(offset);
        state.engine.apply(message, &mut state.alerts)?;
        state.expected = Some(offset + 1);
        self.stalls.read(Stage::Correlate, &partition, None, offset + 1);
        let start = *state.start.get_or_insert(StartOffset::at(expected));
        if offset < start.next {
            // Its alerts are committed, but may not have been sent.
            let again = state.alerts.split_off(before);
            return self.send(&again).await;
        }
        state.caused.resize(state.alerts.len(), record.timestamp);
        self.pending += state.alerts.len() - before;
        fail_point!("correlate.applied");
        if self.checkpoint.is_empty() {
            self.since = self.runtime.instant();
        }
        self.checkpoint.begin(&partition, start);
        self.checkpoint.record(&partition, start.next, offset);
        Ok(())
    }

    /// Keeps and repairs what there is to be, as a part of a commit.
    async fn keep_and_repair(&mut self) -> Result<(), PipelineError> {
        let group = correlate_group(&self.config.kafka.group);
        let repaired = self
            .repairs
            .run(&*self.store, &group, &mut self.partitions, &self.metrics)
            .await?;
        for (partition, start) in repaired {
            self.checkpoint.begin(&partition, start);
        }
        self.pending = self.partitions.values().map(|state| state.alerts.len()).sum();
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), PipelineError> {
        match self.keep_and_repair().await {
            // Nothing was read, and nothing repaired.
            Ok(()) if self.checkpoint.is_empty() => return Ok(()),
            Ok(()) => {}
            Err(PipelineError::Store(error)) => return self.start_over(error).await,
            Err(error) => return Err(error),
        }
        let checkpoint = std::mem::take(&mut self.checkpoint);
        let interval = self.config.correlation.interval.0;
        let gathered = gather(&*self.store, &*self.runtime, &mut self.partitions, checkpoint, interval).await;
        self.pending = 0;
        let Gathered {
            alerts,
            caused,
            checkpoint,
            follows,
            states,
        } = match gathered {
            Ok(gathered) => gathered,
            Err(PipelineError::Store(error)) => return self.start_over(error).await,
            Err(error) => return Err(error),
        };
        let ranges: Vec<_> = checkpoint.iter().map(|(p, range)| (p.clone(), range)).collect();
        let group = correlate_group(&self.config.kafka.group);
        let commit = AlertsCommit {
            group: &group,
            alerts: &alerts,
            checkpoint,
            follows,
            states: states.clone(),
            now: self.runtime.now(),
        };
        let span = info_span!("commit_alerts", alerts = alerts.len());
        self.stalls
            .waits(Stage::Correlate, Waiting::Store, self.runtime.instant());
        match self.store.commit_alerts(commit).instrument(span).await {
            Ok(committed) => {
                self.not_before = self.runtime.instant() + (committed.log_time * LOG_TIME_FACTOR).min(MAX_PACE);
                caused.into_iter().for_each(|written| self.metrics.alert_delay(written));
                self.landed(&alerts, ranges, states).await
            }
            Err(error @ (CommitError::Fenced { .. } | CommitError::FencedByState { .. })) => {
                self.stalls.goes_on(Stage::Correlate);
                warn!(%error, "another worker has committed this partition of the signals; reading again from there");
                self.metrics.fenced(Stage::Correlate);
                self.restart().await
            }
            Err(CommitError::Store(error)) => self.start_over(error).await,
        }
    }

    /// Takes note of a commit that has landed, and sends its alerts.
    async fn landed(
        &mut self,
        alerts: &[Alert],
        ranges: Vec<(Partition, OffsetRange)>,
        states: Vec<(Partition, Vec<S::Part>)>,
    ) -> Result<(), PipelineError> {
        fail_point!("alerts.landed");
        let next: Vec<_> = ranges.iter().map(|(p, range)| (p.clone(), range.end)).collect();
        self.failed_commits = 0;
        self.stalls.committed(Stage::Correlate, &next, self.runtime.instant());
        self.metrics.committed_now(Stage::Correlate);
        for (partition, range) in ranges {
            if let Some(state) = self.partitions.get_mut(&partition) {
                let (next, resume) = (range.end, range.resume);
                state.state_is_due &= resume < next;
                state.start = Some(StartOffset { next, resume });
            }
        }
        for (partition, parts) in states {
            if let Some(state) = self.partitions.get_mut(&partition) {
                state.state = Some(parts);
            }
        }
        self.metrics.alerts(alerts);
        let engines = self.partitions.iter();
        self.metrics
            .correlation(engines.map(|(partition, state)| (partition, state.engine.stats())));
        let stats = self.partitions.values().map(|state| state.engine.stats());
        self.repairs.warn(stats, self.runtime.instant());
        self.send(alerts).await?;
        fail_point!("alerts.sent");
        self.progress.signals_committed(&next, alerts.len());
        self.source.commit(next);
        Ok(())
    }

    /// Takes note of a failure of the store and waits before the next try; gives up after too many in a row.
    async fn wait_after(&mut self, error: StoreError) -> Result<(), PipelineError> {
        if self.failed_commits >= MAX_FAILED_COMMITS {
            return Err(error.into());
        }
        self.failed_commits += 1;
        self.metrics.commit_failed();
        self.stalls.failed(Stage::Correlate, &error, self.runtime.instant());
        error!(%error, attempt = self.failed_commits, "the alerts table failed; trying again");
        self.runtime.sleep(RETRY_WAIT).await;
        Ok(())
    }

    /// Waits after a failure of the store, and goes on from its tables.
    async fn start_over(&mut self, error: StoreError) -> Result<(), PipelineError> {
        self.pending = 0;
        self.checkpoint = CheckpointDelta::new();
        self.wait_after(error).await?;
        self.restart().await
    }

    /// Forgets what is not committed; the partitions come back when the consumer says that it reads them again.
    async fn restart(&mut self) -> Result<(), PipelineError> {
        let group = correlate_group(&self.config.kafka.group);
        let offsets = loop {
            match self.store.signal_offsets(&group).await {
                Ok(offsets) => break offsets,
                Err(error) => self.wait_after(error).await?,
            }
        };
        let to = self
            .partitions
            .keys()
            .map(|p| (p.clone(), offsets.get(p).copied().unwrap_or(StartOffset::at(0))))
            .collect();
        self.partitions.clear();
        self.source.seek(to);
        Ok(())
    }

    async fn send(&mut self, alerts: &[Alert]) -> Result<(), PipelineError> {
        let Some(sink) = &mut self.sink else { return Ok(()) };
        self.stalls
            .waits(Stage::Correlate, Waiting::Brokers, self.runtime.instant());
        let least_forms = write_alerts(sink, alerts).await?;
        self.stalls.goes_on(Stage::Correlate);
        self.metrics.alerts_without_evidence(least_forms);
        Ok(())
    }
}
