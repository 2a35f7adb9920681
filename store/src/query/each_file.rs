//! The files that a question is about, and many of them at once.

use std::sync::Arc;

use futures::{Stream, StreamExt};
use tokio::task::JoinHandle;

use super::answer::{FilesRead, UnreadableFile};
use super::plan::Plan;
use crate::StoreError;
use crate::table::DataFile;
use crate::tables::Tables;

/// How many times as many files of an object store are read at the same time as files of a local disk.
const REMOTE_FILES_FACTOR: usize = 4;

/// A task that ends with whoever waits for it.
struct Task<T>(JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The files that may hold a match, at the table's latest version, in the order of the table.
pub(super) async fn files_of(tables: &Tables, plan: &Plan) -> Result<(Vec<Arc<DataFile>>, FilesRead), StoreError> {
    let snapshot = tables.events.snapshot().await?;
    let files = snapshot.files.values().filter(|file| plan.may_hold(file));
    let files: Vec<Arc<DataFile>> = files.cloned().collect();
    let total = snapshot.files.len() as u64;
    let read = FilesRead {
        total,
        pruned: total - files.len() as u64,
        ..FilesRead::default()
    };
    Ok((files, read))
}

/// What `read` finds in each file, in their order; some are read at the same time. A file that cannot be read is an
/// item like any other.
pub(super) fn each_file<T, Found>(
    tables: &Arc<Tables>,
    files: &[Arc<DataFile>],
    read: impl Fn(Arc<Tables>, Arc<DataFile>) -> Found,
) -> impl Stream<Item = Result<Result<T, UnreadableFile>, StoreError>>
where
    T: Send + 'static,
    Found: Future<Output = Result<T, StoreError>> + Send + 'static,
{
    let tasks = files.iter().cloned().map(move |file| {
        let found = read(tables.clone(), file.clone());
        async move {
            let mut task = Task(tokio::spawn(found));
            match (&mut task.0).await.map_err(|_| StoreError::Cancelled)? {
                Ok(found) => Ok(Ok(found)),
                Err(error) => UnreadableFile::of(&file, error).map(Err),
            }
        }
    });
    // Of a local disk the processor is what limits; an object store answers many requests at once.
    let at_once = match tables.location.directory {
        Some(_) => tables.config.search_files,
        None => tables.config.search_files * REMOTE_FILES_FACTOR,
    };
    futures::stream::iter(tasks).buffered(at_once.max(1))
}
