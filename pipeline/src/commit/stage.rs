//! The end of the ingest side: signals out, then events, dead letters and offsets into the tables in one commit.
//!
//! One batch is open and gathers what detection hands over; at most one is being committed, or written to files that a later
//! commit names where the log does not take one yet. The order within a commit
//! is that of the design: the brokers have all signals of the batch, then the tables have its rows and offsets, then the
//! group's offsets are written for lag tools. A commit that finds other offsets in the table than it started from was
//! overtaken by another worker; it and the open batch are forgotten, and reading starts again where the table says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use casebook_event::{Checkpoint, Event, EventBatch, Partition, SignalMessage, StartOffset, Timestamp};
use casebook_ingest::Consumer;
use casebook_store::{ReadToEnd, Store};
use fail::fail_point;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, error, info, info_span, warn};

use crate::commit::prepared::{Staged, remove_partitions};
use crate::commit::task::{CommitTask, OpenBatch, Outcome, stage};
use crate::config::deployment::Config;
use crate::config::duration::as_nanos;
use crate::detect::stage::Detected;
use crate::error::PipelineError;
use crate::progress::committed::Progress;
use crate::progress::stalls::{Stage, Stalls};
use crate::telemetry::metrics::Metrics;
use crate::topic::letters::LetterTopic;
use crate::topic::signals::SignalWriter;
use crate::topic::writer::Producer;

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

pub(crate) struct CommitStage {
    pub(crate) config: Config,
    pub(crate) store: Arc<Store>,
    pub(crate) consumer: Consumer,
    pub(crate) signals: SignalWriter,
    pub(crate) dead_letters: Option<LetterTopic>,
    pub(crate) producer: Producer,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) stalls: Arc<Stalls>,
    pub(crate) shutdown: CancellationToken,
}

/// The state of the running stage.
struct Running {
    stage: CommitStage,
    open: Option<OpenBatch>,
    /// What was gathered before, and is in files already.
    staged: Option<Box<Staged>>,
    in_flight: Option<JoinHandle<Outcome>>,
    /// When the next commit may be: the log is shared by all workers, and no worker takes more than a tenth of its time for it.
    not_before: Instant,
    /// Whether what is staged is to be committed at once, since a partition of it is somebody else's now.
    hurry: bool,
    assigned: BTreeSet<Partition>,
    /// Partitions whose records are void until the consumer says that it reads them again.
    awaiting_restart: BTreeSet<Partition>,
    failed_commits: u32,
    /// Up to when the table says that each partition is read; and when it may next be told of partitions alone.
    told_ends: BTreeMap<Partition, Option<Timestamp>>,
    idle_commit_at: Instant,
    /// Partitions of which a part of a line or event waits for its rest: they are not read to their end.
    half_read: BTreeSet<Partition>,
}

impl CommitStage {
    /// Runs until told to stop, or until it cannot go on. What is open is committed before it returns.
    pub(crate) async fn run(self, mut input: mpsc::Receiver<Detected>) -> Result<(), PipelineError> {
        let shutdown = self.shutdown.clone();
        let mut running = Running {
            stage: self,
            open: None,
            staged: None,
            in_flight: None,
            not_before: Instant::now(),
            hurry: false,
            assigned: BTreeSet::new(),
            awaiting_restart: BTreeSet::new(),
            failed_commits: 0,
            told_ends: BTreeMap::new(),
            idle_commit_at: Instant::now(),
            half_read: BTreeSet::new(),
        };
        running.idle_commit_at += running.stage.config.commit.idle_interval.0 / FIRST_IDLE_SHARE;
        loop {
            let full = running.is_full();
            running.start_what_is_due().await?;
            let deadline = running.deadline();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                outcome = wait_for(&mut running.in_flight), if running.in_flight.is_some() => running.on_outcome(outcome).await?,
                // A full batch waits for the one in flight; meanwhile the channel fills and the consumer pauses.
                item = input.recv(), if !(full && running.in_flight.is_some()) => match item {
                    Some(item) => running.on_detected(item).await?,
                    None => break,
                },
                () = tokio::time::sleep_until(deadline.into()), if running.has_something() && running.in_flight.is_none() => {}
                () = tokio::time::sleep_until(running.idle_commit_at.into()), if running.is_idle() => running.start_idle_commit(),
            }
        }
        running.finish().await
    }
}

async fn wait_for(in_flight: &mut Option<JoinHandle<Outcome>>) -> Outcome {
    match in_flight {
        Some(task) => match task.await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::Failed(PipelineError::StagePanicked("commit")),
        },
        None => std::future::pending().await,
    }
}

impl Running {
    fn is_full(&self) -> bool {
        self.open.as_ref().is_some_and(|open| {
            open.batch.input_bytes as usize >= self.stage.config.commit.max_bytes
                || open.batch.events.len() >= MAX_BATCH_ROWS
        })
    }

    fn has_something(&self) -> bool {
        self.open.is_some() || self.staged.is_some()
    }

    fn is_idle(&self) -> bool {
        !self.has_something() && self.in_flight.is_none()
    }

    /// When what is gathered is to be committed.
    fn deadline(&self) -> Instant {
        let staged = self.staged.as_ref().map(|staged| staged.since);
        let oldest = staged.or(self.open.as_ref().map(|open| open.since));
        match oldest {
            Some(oldest) if self.hurry => oldest,
            Some(oldest) => (oldest + self.stage.config.commit.interval.0).max(self.not_before),
            None => Instant::now(),
        }
    }

    /// Commits what is due. A full batch that may not be committed yet is written to files, so that memory is free for the next.
    async fn start_what_is_due(&mut self) -> Result<(), PipelineError> {
        if self.in_flight.is_some() || !self.has_something() {
            return Ok(());
        }
        let now = Instant::now();
        let full = self.is_full();
        // Dead letters stay in memory until the commit.
        let heavy = self
            .staged
            .as_ref()
            .is_some_and(|staged| staged.letter_bytes() >= self.stage.config.commit.max_bytes);
        if now >= self.deadline() || (full && now >= self.not_before) || heavy {
            return self.start_commit().await;
        }
        if full && let Some(open) = self.open.take() {
            let (store, metrics) = (self.stage.store.clone(), self.stage.metrics.clone());
            let span = info_span!(
                "stage",
                events = open.batch.events.len(),
                bytes = open.batch.input_bytes
            );
            let stalls = self.stage.stalls.clone();
            self.in_flight = Some(tokio::spawn(stage(store, metrics, stalls, open).instrument(span)));
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
                    self.told_ends.remove(partition);
                    self.half_read.remove(partition);
                    self.stage.metrics.forget_partition(partition);
                }
                // Whoever has them now reads again what is not in the table.
                self.hurry = self.staged.is_some() || self.in_flight.is_some();
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
        let open = self.open.get_or_insert_with(|| OpenBatch {
            batch: EventBatch::default(),
            since: Instant::now(),
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
        let mut staged = self.staged.take().unwrap_or_default();
        let open = self.open.take().map(|open| open.batch).unwrap_or_default();
        self.hurry = false;
        if let Err(error) = staged.checkpoint.extend(&open.checkpoint) {
            error!(%error, "records out of order; reading again from the table's positions");
            self.stage.store.discard_staged(staged.files).await;
            return self.restart().await;
        }
        staged.dead_letters.extend(open.dead_letters);
        staged.input_bytes += open.input_bytes;
        let read_to_end = self.ends_due(&staged.checkpoint);
        self.spawn_commit(*staged, open.events, read_to_end);
        Ok(())
    }

    fn spawn_commit(&mut self, staged: Staged, events: Vec<Event>, read_to_end: Vec<ReadToEnd>) {
        let stage = &mut self.stage;
        let commit = CommitTask {
            store: stage.store.clone(),
            group: stage.config.kafka.group.clone(),
            dead_letters: stage.dead_letters.clone().map(|topic| (topic, stage.producer.clone())),
            signals: stage.signals.take_deliveries(),
            events,
            staged,
            read_to_end,
            metrics: stage.metrics.clone(),
            stalls: stage.stalls.clone(),
        };
        let span = info_span!(
            "commit",
            events = commit.events.len(),
            bytes = commit.staged.input_bytes
        );
        self.in_flight = Some(tokio::spawn(commit.run().instrument(span)));
    }

    /// Tells the table up to when partitions are read of which nothing came: now and then, and only where it does not know.
    fn start_idle_commit(&mut self) {
        self.idle_commit_at = Instant::now() + self.stage.config.commit.idle_interval.0;
        let read_to_end = self.ends_due(&Checkpoint::new());
        if !read_to_end.is_empty() {
            self.spawn_commit(Staged::default(), Vec::new(), read_to_end);
        }
    }

    /// What a commit of `checkpoint` can say of how far partitions are read: of its own always, of the others now and then.
    fn ends_due(&self, checkpoint: &Checkpoint) -> Vec<ReadToEnd> {
        let next: BTreeMap<Partition, i64> = checkpoint.iter().map(|(p, range)| (p.clone(), range.end)).collect();
        // Half of the time between two: the brokers were asked a little before the last one.
        let idle_nanos = as_nanos(self.stage.config.commit.idle_interval.0) / 2;
        let mut ends = self.stage.stalls.read_to_end(&next);
        ends.retain(|ReadToEnd { partition, at, .. }| {
            let range = checkpoint
                .iter()
                .find(|(own, _)| *own == partition)
                .map(|(_, range)| range);
            let is_half_read = match range {
                Some(range) => range.resume < range.end,
                None => self.half_read.contains(partition),
            };
            let is_news = match (self.told_ends.get(partition), at) {
                (None, _) | (Some(None), Some(_)) => true,
                (Some(Some(told)), Some(at)) if range.is_some() => at > told,
                (Some(Some(told)), Some(at)) => *at >= told.saturating_add_nanos(idle_nanos),
                (Some(_), None) => false,
            };
            self.assigned.contains(partition) && !is_half_read && is_news
        });
        ends
    }

    async fn on_outcome(&mut self, outcome: Outcome) -> Result<(), PipelineError> {
        self.in_flight = None;
        match outcome {
            Outcome::Idle(read_to_end) => {
                self.stage.stalls.committed(Stage::Ingest, &[], Instant::now());
                // Lag tools are told once more too: a rebalance may have refused what they were told with the last commit.
                let next = read_to_end.iter().map(|end| (end.partition.clone(), end.next));
                self.stage.consumer.commit(next.collect());
                self.told(read_to_end);
                Ok(())
            }
            // Nothing is lost by it: it is told the next time.
            Outcome::IdleFailed(error) => {
                self.stage.metrics.commit_failed();
                self.stage.stalls.failed(Stage::Ingest, &error, Instant::now());
                warn!(%error, "the table was not told how far partitions are read");
                Ok(())
            }
            Outcome::Committed {
                checkpoint,
                committed,
                raw_bytes,
                read_to_end,
            } => {
                let (next, half_read) = checkpoint;
                self.half_read
                    .retain(|partition| next.iter().all(|(own, _)| own != partition));
                self.half_read.extend(half_read);
                self.told(read_to_end);
                self.failed_commits = 0;
                self.hurry = false;
                let pace = (committed.log_time * LOG_TIME_FACTOR).min(self.stage.config.stall_after.0 / PACE_SHARE);
                self.not_before = Instant::now() + pace;
                fail_point!("events.landed");
                self.stage.stalls.committed(Stage::Ingest, &next, Instant::now());
                self.stage.progress.logs_committed(&next, &committed, raw_bytes);
                self.stage.consumer.commit(next);
                Ok(())
            }
            Outcome::Staged(mut new) => {
                self.stage.stalls.goes_on(Stage::Ingest);
                if let Some(old) = self.staged.take()
                    && let Err(error) = new.follow(*old)
                {
                    error!(%error, "records out of order; reading again from the table's positions");
                    self.stage.store.discard_staged(new.files).await;
                    return self.restart().await;
                }
                self.staged = Some(new);
                Ok(())
            }
            Outcome::Overtaken {
                partition,
                expected,
                found,
            } => {
                self.stage.stalls.goes_on(Stage::Ingest);
                warn!(%partition, expected, found, "another worker has committed this partition; reading again from there");
                self.stage.metrics.fenced(Stage::Ingest);
                self.restart().await
            }
            Outcome::Failed(error @ PipelineError::Store(_)) if self.failed_commits < MAX_FAILED_COMMITS => {
                self.failed_commits += 1;
                self.stage.metrics.commit_failed();
                self.stage.stalls.failed(Stage::Ingest, &error, Instant::now());
                error!(%error, attempt = self.failed_commits, "commit failed; reading again from the table's positions");
                tokio::time::sleep(RETRY_WAIT).await;
                self.restart().await
            }
            Outcome::Failed(error) => Err(error),
        }
    }

    /// The table has been told how far partitions are read.
    fn told(&mut self, read_to_end: Vec<ReadToEnd>) {
        self.stage.metrics.read_to_end(&read_to_end);
        let own = read_to_end
            .into_iter()
            .filter(|end| self.assigned.contains(&end.partition));
        self.told_ends.extend(own.map(|end| (end.partition, end.at)));
    }

    /// Forgets what is not committed and reads again from where the table is.
    async fn restart(&mut self) -> Result<(), PipelineError> {
        self.open = None;
        self.hurry = false;
        let mut staged: Vec<Box<Staged>> = self.staged.take().into_iter().collect();
        if let Some(task) = self.in_flight.take()
            // Whatever becomes of it, the table's positions are read after it.
            && let Ok(Outcome::Staged(files)) = task.await
        {
            staged.push(files);
        }
        for staged in staged {
            self.stage.store.discard_staged(staged.files).await;
        }
        let offsets = loop {
            match self.stage.store.start_offsets(&self.stage.config.kafka.group).await {
                Ok(offsets) => break offsets,
                Err(error) if self.failed_commits < MAX_FAILED_COMMITS => {
                    self.failed_commits += 1;
                    self.stage.stalls.failed(Stage::Ingest, &error, Instant::now());
                    error!(%error, attempt = self.failed_commits, "the table's positions cannot be read");
                    tokio::time::sleep(RETRY_WAIT).await;
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
        self.stage.consumer.seek(to);
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
        let consumer = self.stage.consumer;
        tokio::task::spawn_blocking(move || consumer.stop())
            .await
            .map_err(|_| PipelineError::StagePanicked("consumer"))?;
        info!("ingest stopped");
        Ok(())
    }
}
