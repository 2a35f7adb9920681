//! Indexes anew, for files that have none or one that is not used.

use std::sync::Arc;

use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::index_check::check_index;
use super::problem::Problem;
use super::progress::{MaintenanceProgress, OnProgress};
use super::readable::batch_rows;
use super::weight::{Weights, weight};
use super::worker::{Chunk, Worker, build_index};
use crate::data_file::{EventColumns, scan_whole};
use crate::error::BoxError;
use crate::index::bundle_path;
use crate::table::DataFile;
use crate::tables::Tables;
use crate::{StoreError, TableName};

/// What became of the indexes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Data files of events.
    pub files: u64,
    /// Indexes that were built.
    pub built: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Rows in them.
    pub rows: u64,
    /// Files of which no index could be built.
    pub problems: Vec<Problem>,
}

/// Builds the index of every file of events that has none, or one that is broken or of an older version; with `all`, of
/// every file. An index takes the place of the old one as a whole: a search uses one or the other.
///
/// # Errors
/// The log cannot be read. A file that cannot be read, or an index that cannot be written, is a problem in the answer.
pub(crate) async fn rebuild_indexes(
    tables: &Tables,
    all: bool,
    on_progress: OnProgress<'_>,
) -> Result<Rebuilt, StoreError> {
    let snapshot = tables.events.snapshot().await?;
    let mut rebuilt = Rebuilt {
        files: snapshot.files.len() as u64,
        ..Rebuilt::default()
    };
    let mut progress = MaintenanceProgress {
        done_bytes: 0,
        total_bytes: snapshot.files.values().map(|file| file.bytes()).sum(),
    };
    for file in snapshot.files.values() {
        if all || check_index(tables, file, None, Vec::new()).await?.is_err() {
            match rebuild_index(tables, file).await {
                Ok((rows, bytes)) => {
                    rebuilt.built += 1;
                    rebuilt.rows += rows;
                    rebuilt.bytes += bytes;
                }
                Err(StoreError::Cancelled) => return Err(StoreError::Cancelled),
                // One that was replaced and deleted meanwhile needs none.
                Err(error) => {
                    if tables.events.snapshot().await?.files.contains_key(&file.path) {
                        let problem = Problem::unreadable(TableName::Events, file, &error);
                        rebuilt.problems.push(problem);
                    }
                }
            }
        }
        progress.done_bytes += file.bytes();
        on_progress(progress);
    }
    Ok(rebuilt)
}

/// Builds the index of one file; returns its rows and the bytes of the index.
async fn rebuild_index(tables: &Tables, file: &DataFile) -> Result<(u64, u64), StoreError> {
    let failed = |action: &'static str, path: String, source: BoxError| StoreError::File {
        table: TableName::Events.name(),
        action,
        path,
        source,
    };
    let weight = weight(tables, TableName::Events, file, &mut Weights::default()).await?;
    let mut batches = scan_whole(
        tables.files(),
        TableName::Events,
        file,
        batch_rows(weight.bytes, weight.rows, 1),
    )
    .await?;
    let heap_bytes = tables.config.index_heap_bytes;
    let worker = Worker::begin(move |chunks| build_index(heap_bytes, chunks));
    let mut rows = 0;
    while let Some(batch) = batches.try_next().await? {
        rows += batch.num_rows() as u64;
        let columns = EventColumns::new(&batch);
        let events: Result<Vec<_>, String> = (0..batch.num_rows()).map(|row| columns.event(row)).collect();
        let events = events.map_err(|reason| failed("read", file.path.clone(), reason.into()))?;
        worker.give(&Arc::new(Chunk { batch, events })).await;
    }
    if file.stats.rows.is_some_and(|known| known != rows) {
        let reason = format!("it has {rows} rows, not those that the log says");
        return Err(failed("index", file.path.clone(), reason.into()));
    }
    let bundle = worker.finish().await?;
    let bundle = bundle.map_err(|error| failed("index", file.path.clone(), error))?;
    let bytes = bundle.len() as u64;
    let path = bundle_path(&file.path);
    let put = tables.files().put(&Path::from(path.as_str()), bundle.into()).await;
    put.map_err(|error| failed("write", path, error.into()))?;
    Ok((rows, bytes))
}
