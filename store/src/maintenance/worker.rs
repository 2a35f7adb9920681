//! Threads beside a rewrite: they take batches of events while they stream by, and encode or index them.

use std::sync::Arc;

use arrow::array::RecordBatch;
use casebook_event::Event;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use crate::StoreError;
use crate::error::BoxError;
use crate::index::IndexWriter;

/// Batches that wait for the encoder and the indexer.
const WAITING_BATCHES: usize = 2;

/// A batch of events, for the encoder and the indexer.
pub(super) struct Chunk {
    pub batch: RecordBatch,
    pub events: Vec<Event>,
}

/// A thread that takes batches, and gives its result when there are no more.
pub(super) struct Worker<T> {
    chunks: Sender<Arc<Chunk>>,
    done: JoinHandle<T>,
}

impl<T: Send + 'static> Worker<T> {
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

/// Builds the index of the events that come.
pub(super) fn build_index(heap_bytes: usize, mut chunks: Receiver<Arc<Chunk>>) -> Result<Vec<u8>, BoxError> {
    let mut writer = IndexWriter::new(heap_bytes)?;
    while let Some(chunk) = chunks.blocking_recv() {
        for event in &chunk.events {
            writer.add(event)?;
        }
    }
    writer.finish()
}
