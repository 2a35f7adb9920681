//! The wall clock: read here and nowhere else, so that everything behind it stays a function of its input.

use std::time::{SystemTime, UNIX_EPOCH};

use casebook_event::Timestamp;

/// Now, by the machine's clock.
pub fn now() -> Timestamp {
    at(SystemTime::now())
}

/// A time of the machine's clock as event time; the epoch for what lies before it.
pub(crate) fn at(time: SystemTime) -> Timestamp {
    let nanos = time
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX));
    Timestamp::from_nanos(nanos)
}
