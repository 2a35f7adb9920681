//! What can go wrong with a store, and where.

use std::fmt;

use casebook_event::Partition;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A store that cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no store at that place.
    #[error(
        "there is no store at {location}: name one with --store or CASEBOOK_STORE, or let `casebook run` or `casebook demo` create it"
    )]
    NoStore {
        /// The place, as it was given.
        location: String,
    },
    /// A place that no store can be at.
    #[error("{location} cannot hold a store: {reason}")]
    Location {
        /// The place, as it was given.
        location: String,
        /// Why not.
        reason: String,
    },
    /// A file of a table cannot be read or written.
    #[error("table {table}: cannot {action} {path}: {source}")]
    File {
        /// The table's name.
        table: &'static str,
        /// What was tried.
        action: &'static str,
        /// The file, relative to the store.
        path: String,
        /// Why it failed.
        source: BoxError,
    },
    /// A table's log does not describe a table that this version understands.
    #[error("table {table}, version {version}: {reason}")]
    Log {
        /// The table's name.
        table: &'static str,
        /// The version of the table at which it was met.
        version: u64,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A batch of rows could not be turned into a data file.
    #[error("table {table}: cannot encode {rows} rows: {source}")]
    Encode {
        /// The table's name.
        table: &'static str,
        /// How many rows it held.
        rows: usize,
        /// Why it failed.
        source: BoxError,
    },
    /// A correlation state snapshot is missing, short or changed.
    #[error(
        "correlation state of {partition}: {path}: {reason}; restore the file, or move the alerts table away to correlate anew from the first signal"
    )]
    State {
        /// The partition of the signals topic.
        partition: Partition,
        /// The file, relative to the store.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A query that is not understood.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// A SQL statement that failed.
    #[error("SQL: {0}")]
    Sql(String),
    /// A SQL statement that needs more than it may take.
    #[error("SQL: {0}")]
    SqlLimit(String),
    /// An alert id prefix that more than one alert has.
    #[error("{count} alerts begin with `{prefix}`: {}{}", ids.join(", "), if *count > ids.len() { ", …" } else { "" })]
    Ambiguous {
        /// The prefix that was asked for.
        prefix: String,
        /// How many alerts have it.
        count: usize,
        /// The first of them.
        ids: Vec<String>,
    },
    /// A value is larger than the store takes.
    #[error("{what} is {size} bytes, more than the {limit} that a store takes")]
    TooLarge {
        /// What is too large.
        what: String,
        /// Its size, in bytes.
        size: usize,
        /// The bound, in bytes.
        limit: usize,
    },
    /// An answer that would have more rows than is safe to hold.
    #[error("{found} {what} are more than the {limit} that one answer may have: ask for a shorter span")]
    TooMany {
        /// Of what.
        what: String,
        /// How many were found until the answer was given up.
        found: usize,
        /// The bound.
        limit: usize,
    },
    /// A file that was to be replaced belongs to the table no more: another compaction or expiry was first.
    #[error("table {table}: {path} belongs to the table no more: other maintenance was first; run the command again")]
    Replaced {
        /// The table's name.
        table: &'static str,
        /// The file, relative to the table.
        path: String,
    },
    /// A file of a derived table that a newer version of Casebook has made.
    #[error(
        "table {table}: {path} is of version {version} of what is derived, and this program knows version {known}: use the newer program, or let this one make it anew with `casebook store rebuild {table}`"
    )]
    NewerDerived {
        /// The table's name.
        table: &'static str,
        /// The file, relative to the table.
        path: String,
        /// The version that the file says.
        version: u32,
        /// The version that this program makes.
        known: u32,
    },
    /// What is asked for would break a promise of the table.
    #[error("table {table}: {reason}")]
    Refused {
        /// The table's name.
        table: &'static str,
        /// Why, and what to do.
        reason: String,
    },
    /// A background task was cancelled: the process is shutting down.
    #[error("the work was cancelled while the process shuts down")]
    Cancelled,
}

/// Why a commit did not land. A caller must tell the two apart.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Another worker has committed this partition since: this batch is not wanted any more.
    #[error("{partition} stands at offset {found} in the table, not at {expected}: another worker has taken it over")]
    Fenced {
        /// The partition.
        partition: Partition,
        /// Where this commit begins.
        expected: i64,
        /// The next offset, by the table.
        found: i64,
    },
    /// Another worker has committed another correlation state of this partition since, as a repair does without moving an offset:
    /// this batch is not wanted any more either.
    #[error(
        "{partition} has another correlation state in the table than the one that this commit follows: another worker has taken it over"
    )]
    FencedByState {
        /// The partition of the signals topic.
        partition: Partition,
    },
    /// The store failed. Nothing of the batch counts; it may be tried again from the table's offsets.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A query that is not understood, with the offset in its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryError {
    /// Where, in bytes from the beginning of the query, on a character boundary.
    pub offset: usize,
    /// What is wrong there.
    pub message: String,
}

impl QueryError {
    pub(crate) fn new(offset: usize, message: impl Into<String>) -> Self {
        Self {
            offset,
            message: message.into(),
        }
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "query, character {}: {}", self.offset + 1, self.message)
    }
}

impl std::error::Error for QueryError {}
