//! Indexes anew, for files that have none or one that is not used.

use std::sync::Arc;

use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::group::Weights;
use super::rewrite::{Chunk, Stage, batch_rows, index};
use super::{CareProgress, OnProgress, Problem};
use crate::decode::EventColumns;
use crate::index::bundle_path;
use crate::scan::scan_whole;
use crate::table::DataFile;
use crate::{Store, StoreError, TableName};

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

impl Store {
    /// Builds the index of every file of events that has none, or one that is broken or of an older version; with `all`, of
    /// every file. An index takes the place of the old one as a whole: a search uses one or the other.
    ///
    /// # Errors
    /// The log cannot be read. A file that cannot be read, or an index that cannot be written, is a problem in the answer.
    pub async fn rebuild_indexes(&self, all: bool, on_progress: OnProgress<'_>) -> Result<Rebuilt, StoreError> {
        let snapshot = self.events.snapshot().await?;
        let mut rebuilt = Rebuilt {
            files: snapshot.files.len() as u64,
            ..Rebuilt::default()
        };
        let mut progress = CareProgress {
            done_bytes: 0,
            total_bytes: snapshot.files.values().map(|file| file.add.size.unsigned_abs()).sum(),
        };
        for file in snapshot.files.values() {
            if all || self.check_index(file, None, Vec::new()).await?.is_err() {
                match self.rebuild_index(file).await {
                    Ok((rows, bytes)) => {
                        rebuilt.built += 1;
                        rebuilt.rows += rows;
                        rebuilt.bytes += bytes;
                    }
                    Err(StoreError::Cancelled) => return Err(StoreError::Cancelled),
                    // One that was replaced and deleted meanwhile needs none.
                    Err(error) => {
                        if self.events.snapshot().await?.files.contains_key(&file.path) {
                            let problem = Problem::unreadable(TableName::Events, file, &error);
                            rebuilt.problems.push(problem);
                        }
                    }
                }
            }
            progress.done_bytes += file.add.size.unsigned_abs();
            on_progress(progress);
        }
        Ok(rebuilt)
    }

    /// Builds the index of one file; returns its rows and the bytes of the index.
    async fn rebuild_index(&self, file: &DataFile) -> Result<(u64, u64), StoreError> {
        let failed = |action: &'static str, path: String, source: crate::error::BoxError| StoreError::File {
            table: TableName::Events.name(),
            action,
            path,
            source,
        };
        let weight = self.weight(TableName::Events, file, &mut Weights::default()).await?;
        let mut batches = scan_whole(self, TableName::Events, file, batch_rows(weight.bytes, weight.rows, 1)).await?;
        let heap_bytes = self.config.index_heap_bytes;
        let stage = Stage::begin(move |chunks| index(heap_bytes, chunks));
        let mut rows = 0;
        while let Some(batch) = batches.try_next().await? {
            rows += batch.num_rows() as u64;
            let columns = EventColumns::new(&batch);
            let events: Result<Vec<_>, String> = (0..batch.num_rows()).map(|row| columns.event(row)).collect();
            let events = events.map_err(|reason| failed("read", file.path.clone(), reason.into()))?;
            stage.give(&Arc::new(Chunk { batch, events })).await;
        }
        if file.stats.rows.is_some_and(|known| known != rows) {
            let reason = format!("it has {rows} rows, not those that the log says");
            return Err(failed("index", file.path.clone(), reason.into()));
        }
        let bundle = stage.finish().await?;
        let bundle = bundle.map_err(|error| failed("index", file.path.clone(), error))?;
        let bytes = bundle.len() as u64;
        let path = bundle_path(&file.path);
        let put = self.location.files.put(&Path::from(path.as_str()), bundle.into()).await;
        put.map_err(|error| failed("write", path, error.into()))?;
        Ok((rows, bytes))
    }
}
