//! The wall clock: read here and nowhere else, so that everything after it stays a function of its input.

use std::time::{SystemTime, UNIX_EPOCH};

use casebook_event::Timestamp;
use fail::fail_point;

/// Now, by the machine's clock.
pub fn now() -> Timestamp {
    let now = at(SystemTime::now());
    // A test may let the clock jump, by so many seconds.
    fail_point!("clock", |seconds| now.saturating_add_nanos(jump(seconds)));
    now
}

fn jump(seconds: Option<String>) -> i64 {
    let seconds: i64 = seconds.and_then(|text| text.parse().ok()).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000)
}

/// A time of the machine's clock as event time; the epoch for what lies before it.
pub(crate) fn at(time: SystemTime) -> Timestamp {
    let nanos = time
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX));
    Timestamp::from_nanos(nanos)
}
