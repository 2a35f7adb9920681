//! What the rows of a file are found by.

use casebook_event::Timestamp;

/// What belongs to one key, within a span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeySpan {
    /// [`Signal::key`](casebook_event::Signal::key).
    pub key: u64,
    /// The first time that belongs to it.
    pub from: Timestamp,
    /// The first time that does not.
    pub to: Timestamp,
}

/// A key as its column has it.
pub(super) fn key_column(key: u64) -> i64 {
    key.cast_signed()
}
