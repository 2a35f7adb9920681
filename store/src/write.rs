//! Rows into data files: sorted, encoded and indexed in parallel, and put beside the log before any commit names them.

use std::collections::BTreeMap;
use std::sync::Arc;

use casebook_event::{Event, Timestamp};
use fail::fail_point;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::config::StoreConfig;
use crate::events_file::{EncodedEvents, EventsFile};
use crate::index::{IndexWriter, bundle_path};
use crate::limits::MAX_FILE_ROWS;
use crate::schema::TableSchema;
use crate::table::{Add, Encoded, StatsBuilder, file_name};
use crate::{StoreError, TableName, record_batch};

/// Rows of one record batch on the way into a data file.
const BATCH_ROWS: usize = 8 * 1024;

/// Data files that are in the store, but in no commit yet.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub adds: Vec<Add>,
    pub rows: u64,
    /// Bytes of data files and indexes.
    pub stored_bytes: u64,
}

impl std::iter::Sum for Written {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |mut sum, mut one| {
            sum.adds.append(&mut one.adds);
            sum.rows += one.rows;
            sum.stored_bytes += one.stored_bytes;
            sum
        })
    }
}

/// `YYYY-MM-DD` of a day.
pub(crate) fn date_text(time: Timestamp) -> String {
    let (year, month, day, ..) = time.civil();
    format!("{year:04}-{month:02}-{day:02}")
}

/// Writes the events into data files with their indexes: one file for each date, several where a date has too much.
pub(crate) async fn write_events(
    files: &Arc<dyn ObjectStore>,
    config: &StoreConfig,
    events: Vec<Event>,
    now: Timestamp,
) -> Result<Written, StoreError> {
    let mut written = Written::default();
    for (date, events) in chunks(config, events) {
        let path = file_name(TableSchema::of(TableName::Events).partition, &date);
        let events = Arc::new(events);
        let encode = {
            let (events, config) = (events.clone(), config.clone());
            tokio::task::spawn_blocking(move || encode_events(&config, &events))
        };
        let index = config.write_index.then(|| {
            let (events, heap_bytes) = (events.clone(), config.index_heap_bytes);
            tokio::task::spawn_blocking(move || index_events(&events, heap_bytes))
        });
        let encoded = encode.await.map_err(|_| StoreError::Cancelled)??;
        written.rows += encoded.encoded.rows as u64;
        let add = encoded.put(files, &path, &date, now).await?;
        written.stored_bytes += add.size.unsigned_abs();
        written.adds.push(add);
        fail_point!("store.index");
        if let Some(index) = index {
            // The index is derived: without it the file is searched by reading it.
            match index.await.map_err(|_| StoreError::Cancelled)? {
                Ok(bundle) => {
                    let size = bundle.len() as u64;
                    match files.put(&Path::from(bundle_path(&path)), bundle.into()).await {
                        Ok(_) => written.stored_bytes += size,
                        Err(error) => tracing::warn!(path, %error, "cannot write the index of a data file"),
                    }
                }
                Err(error) => tracing::warn!(path, %error, "cannot build the index of a data file"),
            }
        }
    }
    Ok(written)
}

/// The events by date, each in the order of its file: by source, time and place.
fn chunks(config: &StoreConfig, events: Vec<Event>) -> Vec<(String, Vec<Event>)> {
    let mut dates: BTreeMap<i32, Vec<Event>> = BTreeMap::new();
    for event in events {
        dates.entry(event.time.days()).or_default().push(event);
    }
    let mut chunks = Vec::new();
    for events in dates.into_values() {
        let (mut chunk, mut bytes) = (Vec::new(), 0);
        let Some(date) = events.first().map(|event| date_text(event.time)) else {
            continue;
        };
        for event in events {
            bytes += event.raw.len();
            chunk.push(event);
            if bytes >= config.target_file_bytes || chunk.len() >= MAX_FILE_ROWS {
                chunks.push((date.clone(), std::mem::take(&mut chunk)));
                bytes = 0;
            }
        }
        if !chunk.is_empty() {
            chunks.push((date, chunk));
        }
    }
    for (_, chunk) in &mut chunks {
        chunk.sort_by(|a, b| (a.source.name(), a.time, &a.position).cmp(&(b.source.name(), b.time, &b.position)));
    }
    chunks
}

fn encode_events(config: &StoreConfig, events: &[Event]) -> Result<EncodedEvents, StoreError> {
    let mut file = EventsFile::new(config, events.len())?;
    for chunk in events.chunks(BATCH_ROWS) {
        let chunk: Vec<&Event> = chunk.iter().collect();
        file.write(&record_batch::events(&chunk)?, &chunk)?;
    }
    file.finish()
}

fn index_events(events: &[Event], heap_bytes: usize) -> Result<Vec<u8>, crate::error::BoxError> {
    let mut writer = IndexWriter::new(heap_bytes)?;
    for event in events {
        writer.add(event)?;
    }
    writer.finish()
}

/// Puts one encoded file into the store; returns the action that adds it to its table.
pub(crate) async fn put_file(
    files: &Arc<dyn ObjectStore>,
    table: TableName,
    path: &str,
    date: &str,
    encoded: Encoded,
    stats: StatsBuilder,
    now: Timestamp,
) -> Result<Add, StoreError> {
    let full = Path::from(format!("{}/{path}", table.name()));
    let size = encoded.bytes.len();
    fail_point!("store.file", |reason| Err(injected(
        table.name(),
        full.as_ref(),
        reason
    )));
    files
        .put(&full, encoded.bytes.into())
        .await
        .map_err(|error| StoreError::File {
            table: table.name(),
            action: "write",
            path: full.to_string(),
            source: Box::new(error),
        })?;
    Ok(Add {
        path: path.to_owned(),
        partition_values: [(TableSchema::of(table).partition.to_owned(), Some(date.to_owned()))].into(),
        size: i64::try_from(size).unwrap_or(i64::MAX),
        modification_time: now.as_nanos().div_euclid(1_000_000),
        data_change: true,
        tags: stats.tags(),
        stats: Some(stats.finish()),
        deletion_vector: None,
    })
}

/// The failure of a disk or an object store that a test asked for.
pub(crate) fn injected(table: &'static str, path: &str, reason: Option<String>) -> StoreError {
    StoreError::File {
        table,
        action: "write",
        path: path.to_owned(),
        source: reason.unwrap_or_else(|| "injected failure".into()).into(),
    }
}
