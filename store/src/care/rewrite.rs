//! Some data files of one date as one: merged, encoded and indexed while they stream by.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use casebook_event::{Event, Source, Timestamp};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use super::group::Weights;
use super::merge::{Merge, unusable};
use super::verify::Problem;
use crate::config::StoreConfig;
use crate::decode::EventColumns;
use crate::error::BoxError;
use crate::events_file::{EncodedEvents, EventsFile};
use crate::index::{IndexWriter, bundle_path};
use crate::schema::TableSchema;
use crate::table::{Add, DataFile, DataFileWriter, Encoded, StatsBuilder, file_name};
use crate::write::put_file;
use crate::{Store, StoreError, TableName, kept};

/// Memory for the batches of all the files that are merged at once, in bytes.
const INPUT_BYTES: u64 = 64 << 20;

/// Fewest and most rows of a batch of one file.
const BATCH_ROWS: std::ops::RangeInclusive<u64> = 64..=4096;

/// Batches that wait for the encoder and the indexer.
const WAITING_BATCHES: usize = 2;

/// What is to be made one file.
pub(super) struct Job<'a> {
    pub table: TableName,
    pub date: &'a str,
    pub files: &'a [Arc<DataFile>],
    /// Rows of all of them, and bytes of their records, as far as is known.
    pub rows: u64,
    pub raw_bytes: u64,
    /// Events of these sources are left out.
    pub without: &'a [Source],
    pub now: Timestamp,
}

/// What became of it.
pub(super) struct Rewritten {
    /// The new file; `None` where no row is left.
    pub add: Option<Add>,
    pub rows_read: u64,
    pub rows_written: u64,
}

/// A batch of events, for the encoder and the indexer.
pub(super) struct Chunk {
    pub batch: RecordBatch,
    pub events: Vec<Event>,
}

/// The file in the making.
enum Output {
    Events {
        file: Stage<Result<EncodedEvents, StoreError>>,
        index: Option<Stage<Result<Vec<u8>, BoxError>>>,
    },
    Other(Box<Small>),
}

/// A file of another table, which has no index.
struct Small {
    writer: DataFileWriter,
    stats: StatsBuilder,
}

/// A thread that takes batches, and gives its result when there are no more.
pub(super) struct Stage<T> {
    chunks: Sender<Arc<Chunk>>,
    done: JoinHandle<T>,
}

impl<T: Send + 'static> Stage<T> {
    pub fn begin(work: impl FnOnce(Receiver<Arc<Chunk>>) -> T + Send + 'static) -> Self {
        let (chunks, waiting) = channel(WAITING_BATCHES);
        Self {
            chunks,
            done: tokio::task::spawn_blocking(move || work(waiting)),
        }
    }

    /// Hands a batch over. One that has failed takes no more, and says so at the end.
    pub async fn give(&self, chunk: &Arc<Chunk>) {
        let _ = self.chunks.send(chunk.clone()).await;
    }

    pub async fn finish(self) -> Result<T, StoreError> {
        drop(self.chunks);
        self.done.await.map_err(|_| StoreError::Cancelled)
    }
}

/// Rows of a batch of each of so many files that are read at once.
pub(super) fn batch_rows(raw_bytes: u64, rows: u64, files: usize) -> usize {
    // A row in memory takes its record, its fields, which are mostly in the record too, and its place in each column.
    let row_bytes = raw_bytes.saturating_mul(2) / rows.max(1) + 512;
    let rows = INPUT_BYTES / row_bytes / files.max(1) as u64;
    rows.clamp(*BATCH_ROWS.start(), *BATCH_ROWS.end()) as usize
}

impl Store {
    /// Which of some files cannot be rewritten, and why. One that belongs to the table no more is no problem.
    pub(super) async fn unreadable(
        &self,
        table: TableName,
        files: &[Arc<DataFile>],
    ) -> Result<Vec<(Arc<DataFile>, Option<Problem>)>, StoreError> {
        let mut broken = Vec::new();
        for file in files {
            if let Err(error) = self.read_whole(table, file).await {
                let there = self.table(table).snapshot().await?.files.contains_key(&file.path);
                let problem = there.then(|| Problem::unreadable(table, file, &error));
                broken.push((file.clone(), problem));
            }
        }
        Ok(broken)
    }

    /// Reads a file as a rewriting does.
    async fn read_whole(&self, table: TableName, file: &Arc<DataFile>) -> Result<(), StoreError> {
        let weight = self.weight(table, file, &mut Weights::default()).await?;
        let rows = batch_rows(weight.bytes, weight.rows, 1);
        let mut merge = Merge::open(self, table, std::slice::from_ref(file), &[], rows).await?;
        while let Some(batch) = merge.next().await? {
            if table == TableName::Events {
                let columns = EventColumns::new(&batch);
                for row in 0..batch.num_rows() {
                    columns.event(row).map_err(|reason| unusable(table, file, reason))?;
                }
            }
        }
        match file.stats.rows {
            Some(rows) if rows != merge.rows_read => {
                let reason = format!("it has {} rows, the log says {rows}", merge.rows_read);
                Err(unusable(table, file, reason))
            }
            _ => Ok(()),
        }
    }

    /// Merges the files of a job into one, which no log entry names yet. `on_rows` is told of rows that were read.
    pub(super) async fn rewrite(
        &self,
        job: &Job<'_>,
        on_rows: &mut (dyn FnMut(u64) + Send),
    ) -> Result<Rewritten, StoreError> {
        let batch_rows = batch_rows(job.raw_bytes, job.rows, job.files.len());
        let mut merge = Merge::open(self, job.table, job.files, job.without, batch_rows).await?;
        let (mut output, mut rows_written) = (None, 0);
        let mut told = 0;
        while let Some(batch) = merge.next().await? {
            let output = match &mut output {
                Some(output) => output,
                none => none.insert(Output::begin(&self.config, job)?),
            };
            rows_written += batch.num_rows() as u64;
            output.write(job, batch).await?;
            on_rows(merge.rows_read - told);
            told = merge.rows_read;
        }
        on_rows(merge.rows_read - told);
        // What the log says of a file is what it must have: else rows would get lost here without anybody's notice.
        let known: Option<u64> = job.files.iter().map(|file| file.stats.rows).sum();
        if let (Some(known), Some(first)) = (known, job.files.first())
            && known != merge.rows_read
        {
            let reason = format!(
                "it and the {} files beside it have {} rows, the log says {known}: `casebook store verify` tells more",
                job.files.len() - 1,
                merge.rows_read
            );
            return Err(unusable(job.table, first, reason));
        }
        let add = match output {
            Some(output) => Some(output.put(self, job).await?),
            None => None,
        };
        Ok(Rewritten {
            add,
            rows_read: merge.rows_read,
            rows_written,
        })
    }
}

impl Output {
    fn begin(config: &StoreConfig, job: &Job<'_>) -> Result<Self, StoreError> {
        let rows = usize::try_from(job.rows).unwrap_or(usize::MAX);
        if job.table == TableName::Events {
            let (file_config, heap_bytes) = (config.clone(), config.index_heap_bytes);
            return Ok(Self::Events {
                file: Stage::begin(move |chunks| encode(&file_config, rows, chunks)),
                index: config
                    .write_index
                    .then(|| Stage::begin(move |chunks| index(heap_bytes, chunks))),
            });
        }
        Ok(Self::Other(Box::new(Small {
            writer: DataFileWriter::new(job.table, config, rows)?,
            stats: StatsBuilder::new(TableSchema::of(job.table).time),
        })))
    }

    async fn write(&mut self, job: &Job<'_>, batch: RecordBatch) -> Result<(), StoreError> {
        match self {
            Self::Events { file, index } => {
                let columns = EventColumns::new(&batch);
                let events: Result<Vec<Event>, String> = (0..batch.num_rows()).map(|row| columns.event(row)).collect();
                let events = events.map_err(|reason| match job.files.first() {
                    Some(first) => unusable(job.table, first, reason),
                    None => StoreError::Cancelled,
                })?;
                let chunk = Arc::new(Chunk { batch, events });
                file.give(&chunk).await;
                if let Some(index) = index {
                    index.give(&chunk).await;
                }
                Ok(())
            }
            Self::Other(file) => {
                note(job.table, &batch, &mut file.stats);
                file.writer.write(&batch)
            }
        }
    }

    /// Puts the file, and its index, into the store.
    async fn put(self, store: &Store, job: &Job<'_>) -> Result<Add, StoreError> {
        let path = file_name(TableSchema::of(job.table).partition, job.date);
        let files = &store.location.files;
        match self {
            Self::Events { file, index } => {
                let encoded = file.finish().await??;
                let add = encoded.put(files, &path, job.date, job.now).await?;
                if let Some(index) = index {
                    match index.finish().await? {
                        Ok(bundle) => {
                            if let Err(error) = files.put(&Path::from(bundle_path(&path)), bundle.into()).await {
                                tracing::warn!(path, %error, "cannot write the index of a data file");
                            }
                        }
                        Err(error) => tracing::warn!(path, %error, "cannot build the index of a data file"),
                    }
                }
                Ok(add)
            }
            Self::Other(file) => {
                let Small { writer, stats } = *file;
                let encoded: Encoded = writer.finish()?;
                put_file(files, job.table, &path, job.date, encoded, stats, job.now).await
            }
        }
    }
}

fn encode(config: &StoreConfig, rows: usize, mut chunks: Receiver<Arc<Chunk>>) -> Result<EncodedEvents, StoreError> {
    let mut file = EventsFile::new(config, rows)?;
    while let Some(chunk) = chunks.blocking_recv() {
        let events: Vec<&Event> = chunk.events.iter().collect();
        file.write(&chunk.batch, &events)?;
    }
    file.finish()
}

/// Builds the index of the events that come.
pub(super) fn index(heap_bytes: usize, mut chunks: Receiver<Arc<Chunk>>) -> Result<Vec<u8>, BoxError> {
    let mut writer = IndexWriter::new(heap_bytes)?;
    while let Some(chunk) = chunks.blocking_recv() {
        for event in &chunk.events {
            writer.add(event)?;
        }
    }
    writer.finish()
}

/// Notes rows in the statistics of their file, as their writers do.
fn note(table: TableName, batch: &RecordBatch, stats: &mut StatsBuilder) {
    let texts: &[&'static str] = match table {
        TableName::Alerts => &["id", "rule_id"],
        TableName::DeadLetters => &["topic", "reason"],
        TableName::Signals | TableName::Bindings => return kept::note(table, batch, stats),
        TableName::Events => return,
    };
    let time = TableSchema::of(table).time;
    let times = batch
        .column_by_name(time)
        .and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
    let Some(times) = times else { return };
    times
        .iter()
        .flatten()
        .for_each(|micros| stats.row(Timestamp::from_nanos(micros.saturating_mul(1_000))));
    for &name in texts {
        let column = batch
            .column_by_name(name)
            .and_then(|column| column.as_string_opt::<i32>());
        let values = column.into_iter().flat_map(|column| column.iter().flatten());
        values.for_each(|value| stats.text(name, value));
    }
}
