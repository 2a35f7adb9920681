//! The time of a long piece of work.

use std::time::Instant;

use casebook_event::Timestamp;

/// The time that was given, moved on by what has gone by since: a removal at the end of hours of work must not be dated to
/// their beginning, or the file would go from the disk too early.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    given: Timestamp,
    begun: Instant,
}

impl Clock {
    pub fn begin(given: Timestamp) -> Self {
        Self {
            given,
            begun: Instant::now(),
        }
    }

    pub fn now(self) -> Timestamp {
        let gone = i64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(i64::MAX);
        self.given.saturating_add_nanos(gone)
    }
}
