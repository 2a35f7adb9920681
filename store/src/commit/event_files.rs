//! Events into data files: sorted, encoded and indexed in parallel, and put beside the log before any commit names them.

use std::collections::BTreeMap;
use std::sync::Arc;

use casebook_event::{Event, Timestamp};
use fail::fail_point;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::config::StoreConfig;
use crate::data_file::{self, EncodedEvents, EventsFile, date_text, file_name};
use crate::error::BoxError;
use crate::index::{IndexWriter, bundle_name, bundle_path};
use crate::limits::MAX_FILE_ROWS;
use crate::schema::TableSchema;
use crate::table::Add;
use crate::tables::Tables;
use crate::{StoreError, TableName};

/// Rows of one record batch on the way into a data file.
const BATCH_ROWS: usize = 8 * 1024;

/// Files of events that are written and in no commit yet: so a worker need not keep in memory what it reads between two
/// commits, however long that is.
#[derive(Debug, Default)]
#[must_use = "files that are in no commit are orphans"]
pub struct PreparedFiles {
    pub(super) adds: Vec<Add>,
    pub(super) rows: u64,
    /// Bytes of data files and indexes.
    pub(super) stored_bytes: u64,
}

impl std::iter::Sum for PreparedFiles {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |mut sum, mut one| {
            sum.adds.append(&mut one.adds);
            sum.rows += one.rows;
            sum.stored_bytes += one.stored_bytes;
            sum
        })
    }
}

/// Writes the events into data files with their indexes: one file for each date, several where a date has too much.
pub(super) async fn write_events(
    files: &Arc<dyn ObjectStore>,
    config: &StoreConfig,
    events: Vec<Event>,
    now: Timestamp,
) -> Result<PreparedFiles, StoreError> {
    let mut written = PreparedFiles::default();
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

/// Writes events as files that a later commit names.
pub(crate) async fn prepare_events(
    tables: &Tables,
    events: Vec<Event>,
    now: Timestamp,
) -> Result<PreparedFiles, StoreError> {
    let prepared = write_events(tables.files(), &tables.config, events, now).await?;
    fail_point!("store.prepared");
    Ok(prepared)
}

/// Deletes files that no commit names, with their indexes.
pub(crate) async fn discard_files(tables: &Tables, prepared: &PreparedFiles) {
    let files: Vec<String> = prepared.adds.iter().map(|add| add.path.clone()).collect();
    let bundles: Vec<String> = files.iter().map(|path| bundle_name(path)).collect();
    tables.discard(TableName::Events, &files).await;
    tables.discard(TableName::Events, &bundles).await;
}

/// The events by date, each in the order of its file: by source, time and position.
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
        file.write(&data_file::events(&chunk)?, &chunk)?;
    }
    file.finish()
}

fn index_events(events: &[Event], heap_bytes: usize) -> Result<Vec<u8>, BoxError> {
    let mut writer = IndexWriter::new(heap_bytes)?;
    for event in events {
        writer.add(event)?;
    }
    writer.finish()
}
