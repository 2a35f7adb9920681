//! One commit on its way: signals confirmed, dead letters to their topic, then events, letters and offsets into the tables.

use std::sync::Arc;
use std::time::Instant;

use casebook_event::{Event, EventBatch, Partition};
use casebook_store::{CommitError, Committed, EventsCommit, ReadToEnd, Store};
use fail::fail_point;
use tracing::{Instrument as _, debug, info_span};

use crate::clock;
use crate::commit::prepared::Staged;
use crate::error::PipelineError;
use crate::progress::stalls::{Stage, Stalls, Waiting};
use crate::telemetry::metrics::Metrics;
use crate::topic::letters::LetterTopic;
use crate::topic::writer::{Deliveries, Producer};

/// What is gathered in memory.
pub(crate) struct OpenBatch {
    pub(crate) batch: EventBatch,
    pub(crate) since: Instant,
}

/// What became of a commit, or of files that are written ahead of one.
pub(crate) enum Outcome {
    Committed {
        /// The next offset of each partition, and those of which something is half read.
        checkpoint: (Vec<(Partition, i64)>, Vec<Partition>),
        committed: Committed,
        raw_bytes: u64,
        /// What the table was told of how far partitions are read.
        read_to_end: Vec<ReadToEnd>,
    },
    /// The table was told how far partitions are read, and nothing else.
    Idle(Vec<ReadToEnd>),
    /// It was not.
    IdleFailed(PipelineError),
    Staged(Box<Staged>),
    Overtaken {
        partition: Partition,
        expected: i64,
        found: i64,
    },
    Failed(PipelineError),
}

/// One commit on its way.
pub(crate) struct CommitTask {
    pub(crate) store: Arc<Store>,
    pub(crate) group: String,
    /// Where dead letters go beside the table.
    pub(crate) dead_letters: Option<(LetterTopic, Producer)>,
    pub(crate) signals: Deliveries,
    pub(crate) events: Vec<Event>,
    pub(crate) staged: Staged,
    /// What the table is told of how far partitions are read.
    pub(crate) read_to_end: Vec<ReadToEnd>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) stalls: Arc<Stalls>,
}

impl CommitTask {
    pub(crate) async fn run(self) -> Outcome {
        let started = Instant::now();
        debug!(
            events = self.events.len(),
            files = self.staged.files.len(),
            dead_letters = self.staged.dead_letters.len(),
            "commit started"
        );
        let metrics = self.metrics.clone();
        let is_idle = self.staged.checkpoint.is_empty();
        let outcome = match self.try_run().await {
            Ok(outcome) => outcome,
            Err(error @ PipelineError::Store(_)) if is_idle => Outcome::IdleFailed(error),
            Err(error) => Outcome::Failed(error),
        };
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

    async fn try_run(self) -> Result<Outcome, PipelineError> {
        self.stalls.waits(Stage::Ingest, Waiting::Brokers, Instant::now());
        self.signals.confirmed().instrument(info_span!("signals")).await?;
        fail_point!("signals.confirmed");
        if let Some((topic, producer)) = &self.dead_letters {
            topic.send(producer, &self.staged.dead_letters, &self.metrics).await?;
            fail_point!("dead-letters.sent");
        }
        self.stalls.waits(Stage::Ingest, Waiting::Store, Instant::now());
        let staged = self.staged;
        let next: Vec<_> = staged
            .checkpoint
            .iter()
            .map(|(partition, range)| (partition.clone(), range.end))
            .collect();
        let half_read = staged.checkpoint.iter().filter(|(_, range)| range.resume < range.end);
        let half_read: Vec<Partition> = half_read.map(|(partition, _)| partition.clone()).collect();
        let read_to_end = self.read_to_end;
        let raw_bytes = staged.input_bytes;
        let commit = EventsCommit {
            group: &self.group,
            events: self.events,
            staged: staged.files,
            dead_letters: staged.dead_letters,
            checkpoint: staged.checkpoint,
            read_to_end: read_to_end.clone(),
            now: clock::now(),
        };
        match self.store.commit_events(commit).await {
            Ok(_) if next.is_empty() => Ok(Outcome::Idle(read_to_end)),
            Ok(committed) => Ok(Outcome::Committed {
                checkpoint: (next, half_read),
                committed,
                raw_bytes,
                read_to_end,
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
pub(crate) async fn stage(store: Arc<Store>, metrics: Arc<Metrics>, stalls: Arc<Stalls>, open: OpenBatch) -> Outcome {
    stalls.waits(Stage::Ingest, Waiting::Store, Instant::now());
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
