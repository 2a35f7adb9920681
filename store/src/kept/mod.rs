//! What correlation keeps: the matches it was told, the windows it decided, and what names stood for.
//!
//! ```text
//! KeptCommit ─rows below a partition's own offset are left out─▶ encode ─order─▶ bindings table, then signals table
//!                                                                                      │
//!   KeySpan ─▶ keyed_file: log bounds ▶ row groups ▶ bloom filter ▶ pages ▶ rows ──────┘─▶ decode ─▶ Signal, DecidedWindow,
//!                                                                                                   Binding
//! ```
//!
//! The rows of a file are sorted by a key: of a match and a window [`Signal::key`](casebook_event::Signal::key), of a binding
//! a hash of the name that stood for another. So what belongs to one group lies together, and is found without reading a
//! whole table. Two rows that are equal in every column are one: what is committed or sent twice counts once.

mod bindings;
mod collect;
mod commit;
mod decode;
mod encode;
mod file_ends;
mod identifiers;
mod keyed_file;
mod order;
mod signals;
mod since;
mod windows;

pub use commit::{KeptCommit, KeptCommitted};
pub(crate) use decode::check_rows;
pub(crate) use encode::{alert_text, note};
pub(crate) use file_ends::FileEnds;
pub(crate) use keyed_file::may_have_text;
pub(crate) use order::Order;
pub use signals::KeptSignals;
pub(crate) use since::since_txn;

use casebook_event::Timestamp;

use crate::{StoreError, TableName};

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
fn key_column(key: u64) -> i64 {
    key.cast_signed()
}

/// What is wrong with a file that lacks what every file of its table has.
const COLUMNS: &str = "a column is missing or of another type";

fn unreadable(table: TableName, path: &str, reason: String) -> StoreError {
    StoreError::File {
        table: table.name(),
        action: "read",
        path: format!("{}/{path}", table.name()),
        source: reason.into(),
    }
}

fn too_many(what: &str, found: usize) -> StoreError {
    StoreError::TooMany {
        what: what.to_owned(),
        found,
        limit: crate::limits::MAX_KEPT_ROWS,
    }
}
