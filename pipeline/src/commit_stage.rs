//! The end of the ingest side: signals out, then events, dead letters and offsets into the tables in one commit.
//!
//! One batch is open and gathers what detection hands over; at most one is being committed, or written to files that a later
//! commit names where the log does not take one yet. The order within a commit
//! is that of the design: the brokers have all signals of the batch, then the tables have its rows and offsets, then the
//! group's offsets are written for lag tools. A commit that finds other offsets in the table than it started from was
//! overtaken by another worker; it and the open batch are forgotten, and reading starts again where the table says.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use casebook_event::{Event, EventBatch, Partition, SignalMessage, StartOffset};
use casebook_ingest::Consumer;
use casebook_store::{CommitError, Committed, EventsCommit, Store};
use fail::fail_point;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug, error, info, info_span, warn};

use crate::clock;
use crate::config::Config;
use crate::detect_stage::Detected;
use crate::error::PipelineError;
use crate::progress::Progress;
use crate::signal_topic::{Deliveries, Producer, SignalWriter, TopicWriter};
use crate::staged::{Staged, remove_partitions};
use crate::stall::{Stage, Stalls};
use crate::telemetry::Metrics;

/// Wait before a commit that the store refused is tried again.
const RETRY_WAIT: Duration = Duration::from_secs(1);
/// Commits that fail in a row before the stage gives up.
const MAX_FAILED_COMMITS: u32 = 30;
/// Time between two commits, as a multiple of what the log took for the last one: where many workers share a log, or its store
/// is slow, each commits less often, and more at a time.
const LOG_TIME_FACTOR: u32 = 10;
/// The pace is a fourth of the time that makes a stall at most: waiting for one's turn is none.
const PACE_SHARE: u32 = 4;
/// Rows that a batch gathers whatever their size: what is kept of each beyond its bytes is bounded by this.
const MAX_BATCH_ROWS: usize = 400_000;

pub(crate) struct CommitStage {
    pub(crate) config: Config,
    pub(crate) store: Arc<Store>,
    pub(crate) consumer: Consumer,
    pub(crate) signals: SignalWriter,
    pub(crate) producer: Producer,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) stalls: Arc<Stalls>,
    pub(crate) shutdown: CancellationToken,
}

/// What is gathered in memory.
struct OpenBatch {
    batch: EventBatch,
    since: Instant,
}

enum Outcome {
    Committed {
        checkpoint: Vec<(Partition, i64)>,
        committed: Committed,
        raw_bytes: u64,
    },
    Staged(Box<Staged>),
    Overtaken {
        partition: Partition,
        expected: i64,
        found: i64,
    },
    Failed(PipelineError),
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
        };
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
            self.in_flight = Some(tokio::spawn(stage(store, metrics, open).instrument(span)));
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
        let stage = &mut self.stage;
        let commit = Commit {
            store: stage.store.clone(),
            group: stage.config.kafka.group.clone(),
            dead_letters: stage
                .config
                .kafka
                .dead_letters_topic
                .as_deref()
                .map(|topic| TopicWriter::new(stage.producer.clone(), topic)),
            signals: stage.signals.take_deliveries(),
            events: open.events,
            staged: *staged,
            metrics: stage.metrics.clone(),
        };
        let span = info_span!(
            "commit",
            events = commit.events.len(),
            bytes = commit.staged.input_bytes
        );
        self.in_flight = Some(tokio::spawn(commit.run().instrument(span)));
        Ok(())
    }

    async fn on_outcome(&mut self, outcome: Outcome) -> Result<(), PipelineError> {
        self.in_flight = None;
        match outcome {
            Outcome::Committed {
                checkpoint,
                committed,
                raw_bytes,
            } => {
                self.failed_commits = 0;
                self.hurry = false;
                let pace = (committed.log_time * LOG_TIME_FACTOR).min(self.stage.config.stall_after.0 / PACE_SHARE);
                self.not_before = Instant::now() + pace;
                fail_point!("events.landed");
                self.stage.stalls.committed(Stage::Ingest, &checkpoint, Instant::now());
                self.stage.progress.logs_committed(&checkpoint, &committed, raw_bytes);
                self.stage.consumer.commit(checkpoint);
                Ok(())
            }
            Outcome::Staged(mut new) => {
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
                warn!(%partition, expected, found, "another worker has committed this partition; reading again from there");
                self.stage.metrics.fenced(Stage::Ingest);
                self.restart().await
            }
            Outcome::Failed(error @ PipelineError::Store(_)) if self.failed_commits < MAX_FAILED_COMMITS => {
                self.failed_commits += 1;
                self.stage.metrics.commit_failed();
                self.stage.stalls.failed(Stage::Ingest, &error);
                error!(%error, attempt = self.failed_commits, "commit failed; reading again from the table's positions");
                tokio::time::sleep(RETRY_WAIT).await;
                self.restart().await
            }
            Outcome::Failed(error) => Err(error),
        }
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
                    self.stage.stalls.failed(Stage::Ingest, &error);
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

/// One commit on its way.
struct Commit {
    store: Arc<Store>,
    group: String,
    dead_letters: Option<TopicWriter>,
    signals: Deliveries,
    events: Vec<Event>,
    staged: Staged,
    metrics: Arc<Metrics>,
}

impl Commit {
    async fn run(self) -> Outcome {
        let started = Instant::now();
        debug!(
            events = self.events.len(),
            files = self.staged.files.len(),
            dead_letters = self.staged.dead_letters.len(),
            "commit started"
        );
        let metrics = self.metrics.clone();
        let outcome = self.try_run().await.unwrap_or_else(Outcome::Failed);
        if let Outcome::Committed { committed, .. } = &outcome {
            metrics.committed(committed, started.elapsed());
            debug!(
                version = committed.version,
                rows = committed.rows,
                took_ms = started.elapsed().as_millis(),
                "events committed"
            );
        }
        outcome
    }

    async fn try_run(mut self) -> Result<Outcome, PipelineError> {
        self.signals.confirmed().instrument(info_span!("signals")).await?;
        fail_point!("signals.confirmed");
        if let Some(writer) = &mut self.dead_letters {
            for letter in &self.staged.dead_letters {
                let header = serde_json::json!({ "position": letter.position, "reason": letter.reason, "detail": letter.detail });
                writer
                    .write(None, header.to_string().as_bytes(), &letter.payload)
                    .await?;
            }
            writer.take_deliveries().confirmed().await?;
            fail_point!("dead-letters.sent");
        }
        let staged = self.staged;
        let checkpoint: Vec<_> = staged
            .checkpoint
            .iter()
            .map(|(partition, range)| (partition.clone(), range.end))
            .collect();
        let raw_bytes = staged.input_bytes;
        let commit = EventsCommit {
            group: &self.group,
            events: self.events,
            staged: staged.files,
            dead_letters: staged.dead_letters,
            checkpoint: staged.checkpoint,
            now: clock::now(),
        };
        match self.store.commit_events(commit).await {
            Ok(committed) => Ok(Outcome::Committed {
                checkpoint,
                committed,
                raw_bytes,
            }),
            Err(CommitError::Fenced {
                partition,
                expected,
                found,
            }) => Ok(Outcome::Overtaken {
                partition,
                expected,
                found,
            }),
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }
}

/// Writes a batch to files, for a later commit.
async fn stage(store: Arc<Store>, metrics: Arc<Metrics>, open: OpenBatch) -> Outcome {
    let OpenBatch { batch, since } = open;
    match store.stage_events(batch.events, clock::now()).await {
        Ok(files) => {
            metrics.staged();
            Outcome::Staged(Box::new(Staged {
                files: vec![files],
                dead_letters: batch.dead_letters,
                checkpoint: batch.checkpoint,
                input_bytes: batch.input_bytes,
                since,
            }))
        }
        Err(error) => Outcome::Failed(error.into()),
    }
}
