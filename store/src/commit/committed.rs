//! What a commit gives back.

use std::time::Duration;

/// A commit that has landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The table's version that holds it.
    pub version: u64,
    /// Data files in it.
    pub files: u64,
    /// Rows in it.
    pub rows: u64,
    /// Bytes of its data files and indexes.
    pub stored_bytes: u64,
    /// How long the log took to take it, other writers' commits included that came first.
    pub log_time: Duration,
}
