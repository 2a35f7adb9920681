//! The care of a store: fewer and larger files, an end for what is old, room on the disk, and the proof that all is well.
//!
//! ```text
//! compact ─┐                                    ┌─ merge: sorted files, batch by batch ─┐
//!          ├─ group: which files ─▶ rewrite ────┤                                       ├─▶ replace: one log entry
//! expire ──┘                                    └─ data file and index ─────────────────┘   (remove + add)
//!
//! vacuum: what no log entry names goes from the disk      verify: everything is read, and compared with the log
//! rebuild: indexes anew                                   inspect: what there is, by the log
//! ```
//!
//! Everything here runs beside live workers, readers and itself. An entry lands only if every file that it removes still
//! belongs to the table; no offset is moved. What is removed stays on the disk until [`Store::vacuum`] finds it old enough,
//! so that no reader of an older version misses it.
//!
//! [`Store::vacuum`]: crate::Store::vacuum

mod compact;
mod expire;
mod group;
mod index_check;
mod inspect;
mod keys;
mod merge;
mod rebuild;
mod replace;
mod rewrite;
mod unique;
mod vacuum;
mod verify;
mod verify_file;

pub use compact::Compacted;
pub use expire::{ExpireRequest, Expired};
pub use inspect::{DateCounts, SourceCounts, TableCounts};
pub use rebuild::Rebuilt;
pub use vacuum::{VacuumRequest, Vacuumed};
pub use verify::{Problem, Verified};

use std::time::Instant;

use casebook_event::Timestamp;

use crate::TableName;
use crate::schema::TableSchema;
use crate::table::DataFile;

/// How far a piece of maintenance has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CareProgress {
    /// Bytes of the data files that were gone through.
    pub done_bytes: u64,
    /// Bytes of all data files that are to be, as far as is known.
    pub total_bytes: u64,
}

/// Is told how far a piece of maintenance has come.
pub type OnProgress<'a> = &'a mut (dyn FnMut(CareProgress) + Send);

/// The time that was given, moved on by what has gone by since: a removal at the end of hours of work must not be dated to
/// their beginning, or the file would go from the disk too early.
#[derive(Debug, Clone, Copy)]
struct Clock {
    given: Timestamp,
    begun: Instant,
}

impl Clock {
    fn begin(given: Timestamp) -> Self {
        Self {
            given,
            begun: Instant::now(),
        }
    }

    fn now(self) -> Timestamp {
        let gone = i64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(i64::MAX);
        self.given.saturating_add_nanos(gone)
    }
}

/// The date of a file's partition; empty where the log does not say it.
fn date_of(table: TableName, file: &DataFile) -> &str {
    file.add
        .partition_values
        .get(TableSchema::of(table).partition)
        .and_then(Option::as_deref)
        .unwrap_or_default()
}
