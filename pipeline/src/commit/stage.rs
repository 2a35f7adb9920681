//! The end of the ingest side: signals out, then events, dead letters and offsets into the tables in one commit.
//!
//! One batch is open and gathers what detection hands over; at most one is being committed, or written to files that a later
//! commit names where the log does not take one yet. The order within a commit
//! is that of the design: the brokers have all signals of the batch, then the tables have its rows and offsets, then the
//! group's offsets are written for lag tools. A commit that finds other offsets in the table than it started from was
//! fenced by another worker's; it and the open batch are forgotten, and reading starts again where the table says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use casebook_event::{CheckpointDelta, Event, EventBatch, Partition, SignalMessage, StartOffset, Timestamp};
use casebook_store::ReadToEnd;
use fail::fail_point;
use futures::future::BoxFuture;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, error, info, info_span, warn};

use crate::commit::prepared::{Prepared, remove_partitions};
use crate::commit::task::{CommitTask, OpenBatch, Outcome, prepare};
use crate::config::deployment::Config;
use crate::config::duration::as_nanos;
use crate::detect::stage::Detected;
use crate::error::PipelineError;
use crate::ports::runtime::{SharedRuntime, Task};
use crate::ports::source::RecordSource;
use crate::ports::tables::Tables;
use crate::progress::committed::Progress;
use crate::progress::stalls::{Stage, Stalls};
use crate::telemetry::metrics::Metrics;
use crate::topic::letters::LetterTopic;
use crate::topic::signals::SignalWriter;
use crate::topic::writer::Transport;

/// Wait before a commit that the store refused is tried again.
const RETRY_WAIT: Duration = Duration::from_secs(1);
/// Commits that fail in a row before the stage gives up.
const MAX_FAILED_COMMITS: u32 = 30;
/// Time between two commits, as a multiple of what the log took for the last one: where many workers share a log, or its store
/// is slow, each commits less often, and more at a time.
const LOG_TIME_FACTOR: u32 = 10;
/// The pace is a fourth of the time that makes a stall at most: waiting for one's turn is none.
const PACE_SHARE: u32 = 4;
/// The first commit that only tells how far partitions are read comes after this part of the time between two.
const FIRST_IDLE_SHARE: u32 = 12;
/// Rows that a batch gathers whatever their size: what is kept of each beyond its bytes is bounded by this.
const MAX_BATCH_ROWS: usize = 400_000;

pub(crate) struct CommitStage<S: Tables, T: Transport> {
    pub(crate) config: Config,
    pub(crate) store: Arc<S>,
    pub(crate) source: Box<dyn RecordSource>,
    pub(crate) signals: SignalWriter<T>,
    pub(crate) dead_letters: Option<LetterTopic>,
    pub(crate) transport: T,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) stalls: Arc<Stalls>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) runtime: SharedRuntime,
}

/// The state of the running stage.
struct Running<S: Tables, T: Transport> {
    stage: CommitStage<S, T>,
    open: Option<OpenBatch>,
    /// What was gathered before, and is in files already, written ahead of their commit.
    prepared: Option<Box<Prepared<S::Prepared>>>,
    in_flight: Option<Task<Outcome<S::Prepared>>>,
    /// When the next commit may be: the log is shared by all workers, and no worker takes more than a tenth of its time for it.
    not_before: Instant,
    /// Whether what is prepared is to be committed at once, since a partition of it is somebody else's now.
    force_commit: bool,
    assigned: BTreeSet<Partition>,
    /// Partitions whose records are void until the consumer says that it reads them again.
    awaiting_restart: BTreeSet<Partition>,
    failed_commits: u32,
    /// Up to when the table says that each partition is read; and when the next commit may be that says nothing else.
    reported_ends: BTreeMap<Partition, Option<Timestamp>>,
    idle_commit_at: Instant,
    /// Partitions of which a part of a line or event waits for its rest: they are not read to their end.
    partial: BTreeSet<Partition>,
}

impl<S: Tables, T: Transport> CommitStage<S, T> {
    /// Runs until asked to stop, or until it cannot go on. What is open is committed before it returns.
    pub(crate) async fn run(self, mut input: mpsc::Receiver<Detected>) -> Result<(), PipelineError> {
        let shutdown = self.shutdown.clone();
        let now = self.runtime.instant();
        let mut running = Running {
            stage: self,
            open: None,
            prepared: None,
            in_flight: None,
            not_before: now,
            force_commit: false,
            assigned: BTreeSet::new(),
            awaiting_restart: BTreeSet::new(),
            failed_commits: 0,
            reported_ends: BTreeMap::new(),
            idle_commit_at: now,
            partial: BTreeSet::new(),
        };
        running.idle_commit_at += running.stage.config.commit.idle_interval.0 / FIRST_IDLE_SHARE;
        loop {
            let full = running.is_full();
            running.start_what_is_due().await?;
            let (deadline, idle_at) = (
                running.sleep_until(running.deadline()),
                running.sleep_until(running.idle_commit_at),
            );
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                outcome = wait_for(&mut running.in_flight), if running.in_flight.is_some() => running.on_outcome(outcome).await?,
                // A full batch waits for the one in flight; meanwhile the channel fills and the consumer pauses.
                item = input.recv(), if !(full && running.in_flight.is_some()) => match item {
                    Some(item) => running.on_detected(item).await?,
                    None => break,
                },
                () = deadline, if running.has_something() && running.in_flight.is_none() => {}
                () = idle_at, if running.is_idle() => running.start_idle_commit(),
            }
        }
        running.finish().await
    }
}

async fn wait_for<F>(in_flight: &mut Option<Task<Outcome<F>>>) -> Outcome<F> {
    match in_flight {
        Some(task) => match task.await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::Failed(PipelineError::StagePanicked("commit")),
        },
        None => std::future::pending().await,
    }
}

impl<S: Tables, T: Transport> Running<S, T> {
    fn now(&self) -> Instant {
        self.stage.runtime.instant()
    }

    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()> {
        self.stage.runtime.sleep_until(deadline)
    }

    fn is_full(&self) -> bool {
        self.open.as_ref().is_some_and(|open| {
            open.batch.input_bytes as usize >= self.stage.config.commit.max_bytes
                || open.batch.events.len() >= MAX_BATCH_ROWS
        })
    }

    fn has_something(&self) -> bool {
        self.open.is_some() || self.prepared.is_some()
    }

    fn is_idle(&self) -> bool {
        !self.has_something() && self.in_flight.is_none()
    }

    /// When what is gathered is to be committed.
    fn deadline(&self) -> Instant {
        let prepared = self.prepared.as_ref().map(|prepared| prepared.since);
        let oldest = prepared.or(self.open.as_ref().map(|open| open.since));
        match oldest {
            Some(oldest) if self.force_commit => oldest,
            Some(oldest) => (oldest + self.stage.config.commit.interval.0).max(self.not_before),
            None => self.now(),
        }
    }

    /// Commits what is due. A full batch that may not be committed yet is written to files, so that memory is free for the next.
    async fn start_what_is_due(&mut self) -> Result<(), PipelineError> {
        if self.in_flight.is_some() || !self.has_something() {
            return Ok(());
        }
        let now = self.now();
        let full = self.is_full();
        // Dead letters stay in memory until the commit.
        let heavy = self
            .prepared
            .as_ref()
            .is_some_and(|prepared| prepared.letter_bytes() >= self.stage.config.commit.max_bytes);
        if now >= self.deadline() || (full && now >= self.not_before) || heavy {
            return self.start_commit().await;
        }
        if full && let Some(open) = self.open.take() {
            let (store, metrics) = (self.stage.store.clone(), self.stage.metrics.clone());
            let span = info_span!(
                "prepare",
                events = open.batch.events.len(),
                bytes = open.batch.input_bytes
            );
            let (stalls, runtime) = (self.stage.stalls.clone(), self.stage.runtime.clone());
            let prepare = prepare(store, runtime, metrics, stalls, open).instrument(span);
            self.in_flight = Some(self.stage.runtime.spawn(prepare));
        }
        Ok(())
    }

    async fn on_detected(&mut self, item: Detected) -> Result<(), PipelineError> {
        match item {
            Detected::Assigned(partitions) => self.assigned.extend(partitions),
            Detected::Revoked(partitions) => {
                for partition in &partitions {
                    self.assigned.remove(partition);
                    self.awaiting_restart.remove(partition);
                    self.reported_ends.remove(partition);
                    self.partial.remove(partition);
                    self.stage.metrics.forget_partition(partition);
                }
                // Whoever has them now reads again what is not in the table.
                self.force_commit = self.prepared.is_some() || self.in_flight.is_some();
                self.forget(&partitions.into_iter().collect());
            }
            Detected::Restarted(partitions) => {
                for partition in &partitions {
                    self.awaiting_restart.remove(partition);
                }
            }
            Detected::Batch(batch, messages) => self.on_batch(batch, &messages).await?,
            Detected::Failed(error) => return Err(error.into()),
        }
        Ok(())
    }

    async fn on_batch(&mut self, mut batch: EventBatch, messages: &[SignalMessage]) -> Result<(), PipelineError> {
        // Signals of a partition that is about to be read again are right all the same: they will only come twice.
        for message in messages {
            self.stage.signals.write(message).await?;
        }
        fail_point!("signals.produced");
        if !self.awaiting_restart.is_empty() {
            remove_partitions(&mut batch, &self.awaiting_restart);
        }
        if batch.checkpoint.is_empty() {
            return Ok(());
        }
        let since = self.now();
        let open = self.open.get_or_insert_with(|| OpenBatch {
            batch: EventBatch::default(),
            since,
        });
        if let Err(error) = open.batch.checkpoint.extend(&batch.checkpoint) {
            error!(%error, "records out of order; reading again from the table's positions");
            return self.restart().await;
        }
        open.batch.events.append(&mut batch.events);
        open.batch.dead_letters.append(&mut batch.dead_letters);
        open.batch.input_bytes += batch.input_bytes;
        Ok(())
    }

    async fn start_commit(&mut self) -> Result<(), PipelineError> {
        let now = self.now();
        let mut prepared = self.prepared.take().unwrap_or_else(|| Box::new(Prepared::begun(now)));
        let open = self.open.take().map(|open| open.batch).unwrap_or_default();
        self.force_commit = false;
        if let Err(error) = prepared.checkpoint.extend(&open.checkpoint) {
            error!(%error, "records out of order; reading again from the table's positions");
            self.stage.store.discard_prepared(prepared.files).await;
            return self.restart().await;
        }
        prepared.dead_letters.extend(open.dead_letters);
        prepared.input_bytes += open.input_bytes;
        let read_to_end = self.ends_due(&prepared.checkpoint);
        self.spawn_commit(*prepared, open.events, read_to_end);
        Ok(())
    }

    fn spawn_commit(&mut self, prepared: Prepared<S::Prepared>, events: Vec<Event>, read_to_end: Vec<ReadToEnd>) {
        let stage = &mut self.stage;
        let commit = CommitTask {
            store: stage.store.clone(),
            group: stage.config.kafka.group.clone(),
            dead_letters: stage.dead_letters.clone().map(|topic| (topic, stage.transport.clone())),
            signals: stage.signals.take_deliveries(),
            events,
            prepared,
            read_to_end,
            metrics: stage.metrics.clone(),
            stalls: stage.stalls.clone(),
            runtime: stage.runtime.clone(),
        };
        let span = info_span!(
            "commit",
            events = commit.events.len(),
            bytes = commit.prepared.input_bytes
        );
        self.in_flight = Some(stage.runtime.spawn(commit.run().instrument(span)));
    }

    /// Tells the table up to when partitions are read of which nothing came: now and then, and only where it does not know.
    fn start_idle_commit(&mut self) {
        self.idle_commit_at = self.now() + self.stage.config.commit.idle_interval.0;
        let read_to_end = self.ends_due(&CheckpointDelta::new());
        if !read_to_end.is_empty() {
            let now = self.now();
            self.spawn_commit(Prepared::begun(now), Vec::new(), read_to_end);
        }
    }

    /// What a commit of `checkpoint` can say of how far partitions are read: of its own always, of the others now and then.
    fn ends_due(&self, checkpoint: &CheckpointDelta) -> Vec<ReadToEnd> {
        let next: BTreeMap<Partition, i64> = checkpoint.iter().map(|(p, range)| (p.clone(), range.end)).collect();
        // Half of the time between two: the brokers were asked a little before the last one.
        let idle_nanos = as_nanos(self.stage.config.commit.idle_interval.0) / 2;
        let mut ends = self.stage.stalls.read_to_end(&next);
        ends.retain(|ReadToEnd { partition, at, .. }| {
            let range = checkpoint
                .iter()
                .find(|(own, _)| *own == partition)
                .map(|(_, range)| range);
            let is_partial = match range {
                Some(range) => range.resume < range.end,
                None => self.partial.contains(partition),
            };
            let is_news = match (self.reported_ends.get(partition), at) {
                (None, _) | (Some(None), Some(_)) => true,
                (Some(Some(reported)), Some(at)) if range.is_some() => at > reported,
                (Some(Some(reported)), Some(at)) => *at >= reported.saturating_add_nanos(idle_nanos),
                (Some(_), None) => false,
            };
            self.assigned.contains(partition) && !is_partial && is_news
        });
        ends
    }

    async fn on_outcome(&mut self, outcome: Outcome<S::Prepared>) -> Result<(), PipelineError> {
        self.in_flight = None;
        match outcome {
            Outcome::Idle(read_to_end) => {
                self.stage.stalls.committed(Stage::Ingest, &[], self.now());
                // Once more for lag tools too: a rebalance may have refused the offsets of the last commit.
                let next = read_to_end.iter().map(|end| (end.partition.clone(), end.next));
                self.stage.source.commit(next.collect());
                self.reported(read_to_end);
                Ok(())
            }
            // Nothing is lost by it: the next commit says it.
            Outcome::IdleFailed(error) => {
                self.stage.metrics.commit_failed();
                self.stage.stalls.failed(Stage::Ingest, &error, self.now());
                warn!(%error, "how far partitions are read was not committed");
                Ok(())
            }
            Outcome::Committed {
                checkpoint,
                committed,
                raw_bytes,
                read_to_end,
            } => {
                let (next, partial) = checkpoint;
                self.partial
                    .retain(|partition| next.iter().all(|(own, _)| own != partition));
                self.partial.extend(partial);
                self.reported(read_to_end);
                self.failed_commits = 0;
                self.force_commit = false;
                let pace = (committed.log_time * LOG_TIME_FACTOR).min(self.stage.config.stall_after.0 / PACE_SHARE);
                self.not_before = self.now() + pace;
                fail_point!("events.landed");
                self.stage.stalls.committed(Stage::Ingest, &next, self.now());
                self.stage.progress.logs_committed(&next, &committed, raw_bytes);
                self.stage.source.commit(next);
                Ok(())
            }
            Outcome::Prepared(files) => self.on_prepared(files).await,
            Outcome::Fenced(error) => {
                self.stage.stalls.goes_on(Stage::Ingest);
                warn!(%error, "another worker has committed this partition; reading again from there");
                self.stage.metrics.fenced(Stage::Ingest);
                self.restart().await
            }
            Outcome::Failed(error @ PipelineError::Store(_)) if self.failed_commits < MAX_FAILED_COMMITS => {
                self.failed_commits += 1;
                self.stage.metrics.commit_failed();
                self.stage.stalls.failed(Stage::Ingest, &error, self.now());
                error!(%error, attempt = self.failed_commits, "commit failed; reading again from the table's positions");
                self.stage.runtime.sleep(RETRY_WAIT).await;
                self.restart().await
            }
            Outcome::Failed(error) => Err(error),
        }
    }

    /// Files are written ahead of a commit: they come after those that were written before.
    async fn on_prepared(&mut self, mut new: Box<Prepared<S::Prepared>>) -> Result<(), PipelineError> {
        self.stage.stalls.goes_on(Stage::Ingest);
        if let Some(old) = self.prepared.take()
            && let Err(error) = new.follow(*old)
        {
            error!(%error, "records out of order; reading again from the table's positions");
            self.stage.store.discard_prepared(new.files).await;
            return self.restart().await;
        }
        self.prepared = Some(new);
        Ok(())
    }

    /// The table knows now how far partitions are read.
    fn reported(&mut self, read_to_end: Vec<ReadToEnd>) {
        self.stage.metrics.read_to_end(&read_to_end);
        let own = read_to_end
            .into_iter()
            .filter(|end| self.assigned.contains(&end.partition));
        self.reported_ends.extend(own.map(|end| (end.partition, end.at)));
    }

    /// Forgets what is not committed and reads again from where the table is.
    async fn restart(&mut self) -> Result<(), PipelineError> {
        self.open = None;
        self.force_commit = false;
        let mut prepared: Vec<Box<Prepared<S::Prepared>>> = self.prepared.take().into_iter().collect();
        if let Some(task) = self.in_flight.take()
            // Whatever becomes of it, the table's positions are read after it.
            && let Ok(Outcome::Prepared(files)) = task.await
        {
            prepared.push(files);
        }
        for prepared in prepared {
            self.stage.store.discard_prepared(prepared.files).await;
        }
        let offsets = loop {
            match self.stage.store.start_offsets(&self.stage.config.kafka.group).await {
                Ok(offsets) => break offsets,
                Err(error) if self.failed_commits < MAX_FAILED_COMMITS => {
                    self.failed_commits += 1;
                    self.stage.stalls.failed(Stage::Ingest, &error, self.now());
                    error!(%error, attempt = self.failed_commits, "the table's positions cannot be read");
                    self.stage.runtime.sleep(RETRY_WAIT).await;
                }
                Err(error) => return Err(error.into()),
            }
        };
        // A partition of which nothing was ever committed starts at its beginning.
        let to: Vec<_> = self
            .assigned
            .iter()
            .map(|p| (p.clone(), offsets.get(p).copied().unwrap_or(StartOffset::at(0))))
            .collect();
        self.awaiting_restart = self.assigned.clone();
        self.stage.source.seek(to);
        Ok(())
    }

    fn forget(&mut self, partitions: &BTreeSet<Partition>) {
        if let Some(open) = &mut self.open {
            remove_partitions(&mut open.batch, partitions);
            if open.batch.checkpoint.is_empty() {
                self.open = None;
            }
        }
    }

    /// Commits what is open, then leaves the group.
    async fn finish(mut self) -> Result<(), PipelineError> {
        if self.in_flight.is_some() {
            let outcome = wait_for(&mut self.in_flight).await;
            self.on_outcome(outcome).await?;
        }
        if self.has_something() {
            self.start_commit().await?;
        }
        if self.in_flight.is_some() {
            let outcome = wait_for(&mut self.in_flight).await;
            self.on_outcome(outcome).await?;
        }
        // Watermarks that belong to no batch may still be on their way.
        self.stage.signals.take_deliveries().confirmed().await?;
        self.stage.source.stop().await?;
        info!("ingest stopped");
        Ok(())
    }
}
