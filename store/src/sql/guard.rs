//! A statement's bounds of time and memory.
//!
//! DataFusion's pool counts what sorts, joins and groups keep, and not what single functions make of single batches. Here the
//! process itself is watched: a statement runs on threads of its own, so that whoever waits for it is never held up by it, and
//! is left alone once it takes too long or too much.

use std::future::Future;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, sleep, sleep_until};

use crate::StoreError;
use crate::limits::{DEFAULT_SQL_MEMORY_BYTES, DEFAULT_SQL_TIME, SQL_STACK_BYTES};

/// What a statement may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqlLimits {
    /// Rows of its answer.
    pub rows: usize,
    /// Memory, in bytes: half of it for what it sorts, joins and groups, a quarter for its answer; and no more in all, as far as
    /// the operating system says so (Linux).
    pub memory_bytes: usize,
    /// Time.
    pub time: Duration,
}

impl SqlLimits {
    /// So many rows, and the usual of everything else.
    pub fn rows(rows: usize) -> Self {
        Self {
            rows,
            memory_bytes: DEFAULT_SQL_MEMORY_BYTES,
            time: DEFAULT_SQL_TIME,
        }
    }

    /// For what is sorted, joined and grouped.
    pub(super) fn pool_bytes(self) -> usize {
        self.memory_bytes / 2
    }

    /// For the answer, and for what one function makes of one batch.
    pub(super) fn answer_bytes(self) -> usize {
        self.memory_bytes / 4
    }
}

/// How often the memory is measured: at some gigabytes a second, some ten megabytes are taken in between.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Threads that are left alone when it is dropped, wherever that is: a function that does not end cannot be stopped.
struct Threads(Option<Runtime>);

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Carries out `statement` within `limits`.
pub(super) async fn run<T: Send + 'static>(
    limits: SqlLimits,
    statement: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    let started = Instant::now();
    let before = resident_bytes().unwrap_or(0);
    let runtime = Builder::new_multi_thread()
        .thread_name("sql")
        .thread_stack_size(SQL_STACK_BYTES)
        .enable_all()
        .build()
        .map_err(|error| StoreError::Sql(format!("its threads cannot be started: {error}")))?;
    let task = runtime.spawn(statement);
    let _threads = Threads(Some(runtime));
    let exceeded = |what: String| Err(StoreError::SqlLimit(what));
    tokio::select! {
        done = task => match done {
            Ok(answer) => answer,
            Err(error) => Err(StoreError::Sql(format!("it could not be carried out: {}", reason(error)))),
        },
        () = memory_beyond(before.saturating_add(limits.memory_bytes as u64)) => {
            exceeded(format!("it took more than {} MiB of memory", limits.memory_bytes >> 20))
        }
        () = sleep_until(started + limits.time) => {
            exceeded(format!("it took longer than {:?}", limits.time))
        }
    }
}

/// Why a task ended without an answer.
fn reason(error: tokio::task::JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else {
        return "it was stopped".to_owned();
    };
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("an error without a text")
        .to_owned()
}

/// Waits until the process holds more memory than that; for ever where the operating system does not say.
async fn memory_beyond(bytes: u64) {
    while resident_bytes().is_none_or(|held| held <= bytes) {
        sleep(LOOK_EVERY).await;
    }
}

/// Bytes of memory that the process holds, where the operating system says so (Linux).
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(memory_bytes: usize, time: Duration) -> SqlLimits {
        SqlLimits {
            rows: 1,
            memory_bytes,
            time,
        }
    }

    /// What holds its thread, and gives no chance to stop it, does not hold who waits for it.
    #[tokio::test]
    async fn a_statement_that_never_yields_is_left_alone() {
        let endless = async {
            loop {
                std::hint::spin_loop();
                if std::env::var_os("never set").is_some() {
                    return Ok(());
                }
            }
        };
        let error = run(limits(1 << 30, Duration::from_millis(50)), endless)
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "SQL: it took longer than 50ms");
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let failing = async {
            if resident_bytes() == Some(1) {
                Ok(())
            } else {
                panic!("no such thing")
            }
        };
        let error = run(limits(1 << 30, Duration::from_secs(60)), failing)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("no such thing"), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn memory_is_what_the_process_holds() {
        let hungry = async {
            let mut held: Vec<Vec<u8>> = Vec::new();
            loop {
                held.push(vec![1; 1 << 20]);
                if held.len() > 100_000 {
                    return Ok(held.len());
                }
                tokio::task::yield_now().await;
            }
        };
        let error = run(limits(64 << 20, Duration::from_secs(60)), hungry)
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "SQL: it took more than 64 MiB of memory");
    }
}
