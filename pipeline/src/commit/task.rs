//! One commit on its way: signals confirmed, dead letters to their topic, then events, letters and offsets into the tables.

use std::sync::Arc;
use std::time::Instant;

use casebook_event::{Event, EventBatch, Partition};
use casebook_store::{CommitError, Committed, EventsCommit, ReadToEnd};
use fail::fail_point;
use tracing::{Instrument as _, debug, info_span};

use crate::commit::prepared::Prepared;
use crate::error::PipelineError;
use crate::ports::runtime::SharedRuntime;
use crate::ports::tables::Tables;
use crate::progress::stalls::{Stage, Stalls, Waiting};
use crate::telemetry::metrics::Metrics;
use crate::topic::letters::LetterTopic;
use crate::topic::writer::{Deliveries, Transport};

/// What is gathered in memory.
pub(crate) struct OpenBatch {
    pub(crate) batch: EventBatch,
    pub(crate) since: Instant,
}

/// What became of a commit, or of files that are written ahead of one.
pub(crate) enum Outcome<F> {
    Committed {
        /// The next offset of each partition, and those of which something is a partial record.
        checkpoint: (Vec<(Partition, i64)>, Vec<Partition>),
        committed: Committed,
        raw_bytes: u64,
        /// How far partitions are read, as it says.
        read_to_end: Vec<ReadToEnd>,
    },
    /// It says how far partitions are read, and nothing else.
    Idle(Vec<ReadToEnd>),
    /// It was not.
    IdleFailed(PipelineError),
    Prepared(Box<Prepared<F>>),
    /// Another worker has committed a partition; the error says which.
    Fenced(CommitError),
    Failed(PipelineError),
}

/// One commit on its way.
pub(crate) struct CommitTask<S: Tables, T: Transport> {
    pub(crate) store: Arc<S>,
    pub(crate) group: String,
    /// Where dead letters go beside the table.
    pub(crate) dead_letters: Option<(LetterTopic, T)>,
    pub(crate) signals: Deliveries<T>,
    pub(crate) events: Vec<Event>,
    pub(crate) prepared: Prepared<S::Prepared>,
    /// How far partitions are read, as it is to say.
    pub(crate) read_to_end: Vec<ReadToEnd>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) stalls: Arc<Stalls>,
    pub(crate) runtime: SharedRuntime,
}

impl<S: Tables, T: Transport> CommitTask<S, T> {
    pub(crate) async fn run(self) -> Outcome<S::Prepared> {
        let runtime = self.runtime.clone();
        let started = runtime.instant();
        debug!(
            events = self.events.len(),
            files = self.prepared.files.len(),
            dead_letters = self.prepared.dead_letters.len(),
            "commit started"
        );
        let metrics = self.metrics.clone();
        let is_idle = self.prepared.checkpoint.is_empty();
        let outcome = match self.try_run().await {
            Ok(outcome) => outcome,
            Err(error @ PipelineError::Store(_)) if is_idle => Outcome::IdleFailed(error),
            Err(error) => Outcome::Failed(error),
        };
        if let Outcome::Committed { committed, .. } = &outcome {
            let took = runtime.instant() - started;
            metrics.committed(committed, took);
            debug!(
                version = committed.version,
                rows = committed.rows,
                took_ms = took.as_millis(),
                "events committed"
            );
        }
        outcome
    }

    async fn try_run(self) -> Result<Outcome<S::Prepared>, PipelineError> {
        self.stalls
            .waits(Stage::Ingest, Waiting::Brokers, self.runtime.instant());
        self.signals.confirmed().instrument(info_span!("signals")).await?;
        fail_point!("signals.confirmed");
        if let Some((topic, producer)) = &self.dead_letters {
            topic.send(producer, &self.prepared.dead_letters, &self.metrics).await?;
            fail_point!("dead-letters.sent");
        }
        self.stalls.waits(Stage::Ingest, Waiting::Store, self.runtime.instant());
        let prepared = self.prepared;
        let next: Vec<_> = prepared
            .checkpoint
            .iter()
            .map(|(partition, range)| (partition.clone(), range.end))
            .collect();
        let partial = prepared.checkpoint.iter().filter(|(_, range)| range.resume < range.end);
        let partial: Vec<Partition> = partial.map(|(partition, _)| partition.clone()).collect();
        let read_to_end = self.read_to_end;
        let raw_bytes = prepared.input_bytes;
        let commit = EventsCommit {
            group: &self.group,
            events: self.events,
            prepared: prepared.files,
            dead_letters: prepared.dead_letters,
            checkpoint: prepared.checkpoint,
            read_to_end: read_to_end.clone(),
            now: self.runtime.now(),
        };
        match self.store.commit_events(commit).await {
            Ok(_) if next.is_empty() => Ok(Outcome::Idle(read_to_end)),
            Ok(committed) => Ok(Outcome::Committed {
                checkpoint: (next, partial),
                committed,
                raw_bytes,
                read_to_end,
            }),
            Err(fenced @ (CommitError::Fenced { .. } | CommitError::FencedByState { .. })) => {
                Ok(Outcome::Fenced(fenced))
            }
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }
}

/// Writes a batch to files, for a later commit.
pub(crate) async fn prepare<S: Tables>(
    store: Arc<S>,
    runtime: SharedRuntime,
    metrics: Arc<Metrics>,
    stalls: Arc<Stalls>,
    open: OpenBatch,
) -> Outcome<S::Prepared> {
    stalls.waits(Stage::Ingest, Waiting::Store, runtime.instant());
    let OpenBatch { batch, since } = open;
    match store.prepare_events(batch.events, runtime.now()).await {
        Ok(files) => {
            metrics.prepared();
            Outcome::Prepared(Box::new(Prepared {
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
