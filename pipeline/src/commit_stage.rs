//! The end of the ingest side: signals out, then events, dead letters and offsets into the tables in one commit.
//!
//! One batch is open and gathers what detection hands over; at most one is being committed. The order within a commit
//! is that of the design: the brokers have all signals of the batch, then the tables have its rows and offsets, then the
//! group's offsets are written for lag tools. A commit that finds other offsets in the table than it started from was
//! overtaken by another worker; it and the open batch are forgotten, and reading starts again where the table says.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use casebook_event::{EventBatch, Partition, SignalMessage, StartOffset};
use casebook_ingest::Consumer;
use casebook_store::{CommitError, Committed, EventsCommit, Store};
use rdkafka::producer::FutureProducer;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::clock;
use crate::config::Config;
use crate::detect_stage::Detected;
use crate::error::PipelineError;
use crate::progress::Progress;
use crate::signal_topic::{Deliveries, SignalWriter, TopicWriter};
use crate::telemetry::Metrics;

/// Wait before a commit that the store refused is tried again.
const RETRY_WAIT: Duration = Duration::from_secs(1);
/// Commits that fail in a row before the stage gives up.
const MAX_FAILED_COMMITS: u32 = 30;
/// Rows that a batch gathers whatever their size: what is kept of each beyond its bytes is bounded by this.
const MAX_BATCH_ROWS: usize = 400_000;

pub(crate) struct CommitStage {
    pub(crate) config: Config,
    pub(crate) store: Arc<Store>,
    pub(crate) consumer: Consumer,
    pub(crate) signals: SignalWriter,
    pub(crate) producer: FutureProducer,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) shutdown: CancellationToken,
}

/// What is gathered for the next commit.
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
    in_flight: Option<JoinHandle<Outcome>>,
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
            in_flight: None,
            assigned: BTreeSet::new(),
            awaiting_restart: BTreeSet::new(),
            failed_commits: 0,
        };
        loop {
            let full = running.is_full();
            if full || running.is_due() {
                running.start_commit().await?;
            }
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
                () = tokio::time::sleep_until(deadline.into()), if running.open.is_some() && running.in_flight.is_none() => {}
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

    fn is_due(&self) -> bool {
        self.in_flight.is_none() && self.open.is_some() && Instant::now() >= self.deadline()
    }

    fn deadline(&self) -> Instant {
        self.open
            .as_ref()
            .map_or_else(Instant::now, |open| open.since + self.stage.config.commit.interval.0)
    }

    async fn on_detected(&mut self, item: Detected) -> Result<(), PipelineError> {
        match item {
            Detected::Assigned(partitions) => self.assigned.extend(partitions),
            Detected::Revoked(partitions) => {
                for partition in &partitions {
                    self.assigned.remove(partition);
                    self.awaiting_restart.remove(partition);
                }
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
        if self.in_flight.is_some() {
            return Ok(());
        }
        let Some(open) = self.open.take() else { return Ok(()) };
        let stage = &self.stage;
        let commit = Commit {
            store: stage.store.clone(),
            group: stage.config.kafka.group.clone(),
            dead_letters: stage
                .config
                .kafka
                .dead_letters_topic
                .as_deref()
                .map(|topic| TopicWriter::new(stage.producer.clone(), topic)),
            signals: self.stage.signals.take_deliveries(),
            batch: open.batch,
            metrics: self.stage.metrics.clone(),
        };
        self.in_flight = Some(tokio::spawn(commit.run()));
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
                self.stage.progress.logs_committed(&checkpoint, &committed, raw_bytes);
                self.stage.consumer.commit(checkpoint);
                Ok(())
            }
            Outcome::Overtaken {
                partition,
                expected,
                found,
            } => {
                warn!(%partition, expected, found, "another worker has committed this partition; reading again from there");
                self.restart().await
            }
            Outcome::Failed(error @ PipelineError::Store(_)) if self.failed_commits < MAX_FAILED_COMMITS => {
                self.failed_commits += 1;
                self.stage.metrics.commit_failed();
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
        if let Some(task) = self.in_flight.take() {
            // Whatever becomes of it, the table's positions are read after it.
            let _ = task.await;
        }
        let offsets = self.stage.store.start_offsets(&self.stage.config.kafka.group).await?;
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
        self.start_commit().await?;
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

fn remove_partitions(batch: &mut EventBatch, partitions: &BTreeSet<Partition>) {
    let removed = |position: &casebook_event::Position| {
        partitions
            .iter()
            .any(|p| p.partition == position.partition && p.topic == position.topic)
    };
    batch.events.retain(|event| !removed(&event.position));
    batch.dead_letters.retain(|letter| !removed(&letter.position));
    for partition in partitions {
        batch.checkpoint.remove(partition);
    }
}

/// One commit on its way.
struct Commit {
    store: Arc<Store>,
    group: String,
    dead_letters: Option<TopicWriter>,
    signals: Deliveries,
    batch: EventBatch,
    metrics: Arc<Metrics>,
}

impl Commit {
    async fn run(self) -> Outcome {
        let started = Instant::now();
        debug!(
            events = self.batch.events.len(),
            dead_letters = self.batch.dead_letters.len(),
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
        self.signals.confirmed().await?;
        if let Some(writer) = &mut self.dead_letters {
            for letter in &self.batch.dead_letters {
                let header = serde_json::json!({ "position": letter.position, "reason": letter.reason, "detail": letter.detail });
                writer
                    .write(None, header.to_string().as_bytes(), &letter.payload)
                    .await?;
            }
            writer.take_deliveries().confirmed().await?;
        }
        let checkpoint: Vec<_> = self
            .batch
            .checkpoint
            .iter()
            .map(|(partition, range)| (partition.clone(), range.end))
            .collect();
        let raw_bytes = self.batch.input_bytes;
        let commit = EventsCommit {
            group: &self.group,
            events: self.batch.events,
            dead_letters: self.batch.dead_letters,
            checkpoint: self.batch.checkpoint,
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
