//! Some data files of one date as one: merged, encoded and indexed while they stream by.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use casebook_event::{Event, Source, Timestamp};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use tokio::sync::mpsc::Receiver;

use super::merge::{Merge, unusable};
use super::readable::batch_rows;
use super::worker::{Chunk, Worker, build_index};
use crate::config::StoreConfig;
use crate::data_file::{DataFileWriter, EncodedEvents, EventColumns, EventsFile, file_name, letter_counts, put_file};
use crate::error::BoxError;
use crate::index::bundle_path;
use crate::schema::TableSchema;
use crate::table::{Add, DataFile, StatsBuilder};
use crate::tables::Tables;
use crate::{StoreError, TableName, kept};

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

/// The file in the making.
enum Output {
    Events {
        file: Worker<Result<EncodedEvents, StoreError>>,
        index: Option<Worker<Result<Vec<u8>, BoxError>>>,
    },
    Other(Box<Small>),
}

/// A file of another table, which has no index.
struct Small {
    writer: DataFileWriter,
    stats: StatsBuilder,
}

/// Merges the files of a job into one, which no log entry names yet. `on_rows` is called with the number of rows that were read.
pub(super) async fn rewrite(
    tables: &Tables,
    job: &Job<'_>,
    on_rows: &mut (dyn FnMut(u64) + Send),
) -> Result<Rewritten, StoreError> {
    let batch_rows = batch_rows(job.raw_bytes, job.rows, job.files.len());
    let mut merge = Merge::open(tables, job.table, job.files, job.without, batch_rows).await?;
    let (mut output, mut rows_written) = (None, 0);
    let mut reported = 0;
    while let Some(batch) = merge.next().await? {
        let output = match &mut output {
            Some(output) => output,
            none => none.insert(Output::begin(&tables.config, job)?),
        };
        rows_written += batch.num_rows() as u64;
        output.write(job, batch).await?;
        on_rows(merge.rows_read - reported);
        reported = merge.rows_read;
    }
    on_rows(merge.rows_read - reported);
    // What the log says of a file is what it must have: else rows would get lost here without anybody's notice.
    let known: Option<u64> = job.files.iter().map(|file| file.stats.rows).sum();
    if let (Some(known), Some(first)) = (known, job.files.first())
        && known != merge.rows_read
    {
        let reason = format!(
            "it and the {} files beside it have {} rows, the log says {known}: `casebook store verify` says more",
            job.files.len() - 1,
            merge.rows_read
        );
        return Err(unusable(job.table, first, reason));
    }
    let mut add = match output {
        Some(output) => Some(output.put(tables, job).await?),
        None => None,
    };
    if let (Some(add), Some(_)) = (&mut add, job.table.derived_version()) {
        add.mark_derived_from(job.files.iter().map(|file| &file.add));
    }
    Ok(Rewritten {
        add,
        rows_read: merge.rows_read,
        rows_written,
    })
}

impl Output {
    fn begin(config: &StoreConfig, job: &Job<'_>) -> Result<Self, StoreError> {
        let rows = usize::try_from(job.rows).unwrap_or(usize::MAX);
        if job.table == TableName::Events {
            let (file_config, heap_bytes) = (config.clone(), config.index_heap_bytes);
            return Ok(Self::Events {
                file: Worker::begin(move |chunks| encode(&file_config, rows, chunks)),
                index: config
                    .write_index
                    .then(|| Worker::begin(move |chunks| build_index(heap_bytes, chunks))),
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
    async fn put(self, tables: &Tables, job: &Job<'_>) -> Result<Add, StoreError> {
        let path = file_name(TableSchema::of(job.table).partition, job.date);
        let files = tables.files();
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
                let encoded = writer.finish()?;
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
    if table == TableName::DeadLetters {
        stats.letters(&letter_counts(batch));
    }
}
