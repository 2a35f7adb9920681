//! Time and tasks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use casebook_event::Timestamp;
use futures::future::BoxFuture;
use tokio::sync::oneshot;

use crate::clock;

/// Time and tasks, as the stages see them.
pub(crate) trait Runtime: Send + Sync + 'static {
    /// The wall clock.
    fn now(&self) -> Timestamp;

    /// The monotonic clock.
    fn instant(&self) -> Instant;

    /// Ends at `deadline`, or at once where that has passed.
    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()>;

    /// Runs a task beside the caller.
    fn spawn_boxed(&self, task: BoxFuture<'static, ()>);
}

/// What all stages of a worker share.
pub(crate) type SharedRuntime = Arc<dyn Runtime>;

/// The answer of a task; an error where it panicked.
pub(crate) type Task<T> = oneshot::Receiver<T>;

impl dyn Runtime {
    /// Runs a task beside the caller, and hands its answer over.
    pub(crate) fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> Task<T> {
        let (answer, answered) = oneshot::channel();
        self.spawn_boxed(Box::pin(async move {
            // Whoever waited may have gone.
            let _ = answer.send(task.await);
        }));
        answered
    }

    /// Ends after `duration`.
    pub(crate) fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.sleep_until(self.instant() + duration)
    }
}

/// The machine's clocks, and tokio.
#[derive(Debug)]
pub(crate) struct TokioRuntime {
    handle: tokio::runtime::Handle,
}

impl TokioRuntime {
    /// The runtime that this is called from.
    pub(crate) fn current() -> Self {
        Self {
            handle: tokio::runtime::Handle::current(),
        }
    }
}

impl Runtime for TokioRuntime {
    fn now(&self) -> Timestamp {
        clock::now()
    }

    fn instant(&self) -> Instant {
        Instant::now()
    }

    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep_until(deadline.into()))
    }

    fn spawn_boxed(&self, task: BoxFuture<'static, ()>) {
        self.handle.spawn(task);
    }
}
