//! What reads the records of topics.

use casebook_event::{Partition, StartOffset};
use casebook_ingest::Consumer;
use futures::future::BoxFuture;

use crate::error::PipelineError;

/// What reads the records of topics, as a stage steers it. What it reads comes through a channel of
/// [`ConsumerEvent`](casebook_ingest::ConsumerEvent)s, in order.
pub(crate) trait RecordSource: Send + Sync + 'static {
    /// Reads partitions again from these offsets. `Restarted` says when it does.
    fn seek(&self, to: Vec<(Partition, StartOffset)>);

    /// Writes the group's offsets, for lag tools.
    fn commit(&self, next: Vec<(Partition, i64)>);

    /// Leaves the group.
    fn stop(self: Box<Self>) -> BoxFuture<'static, Result<(), PipelineError>>;
}

impl RecordSource for Consumer {
    fn seek(&self, to: Vec<(Partition, StartOffset)>) {
        Self::seek(self, to);
    }

    fn commit(&self, next: Vec<(Partition, i64)>) {
        Self::commit(self, next);
    }

    fn stop(self: Box<Self>) -> BoxFuture<'static, Result<(), PipelineError>> {
        Box::pin(async move {
            tokio::task::spawn_blocking(move || Self::stop(*self))
                .await
                .map_err(|_| PipelineError::StagePanicked("consumer"))
        })
    }
}
