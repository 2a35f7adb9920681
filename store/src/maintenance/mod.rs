//! Here is a store that has grown: fewer and larger files, an end for what is old, room on the disk, and the proof that nothing is
//! wrong.
//!
//! Owns compaction, expiry, vacuum, verification, rebuilding of indexes, and what there is to count. Never moves an offset, and
//! never changes an answer but by what expired.
//!
//! ```text
//! compact ─┐                                    ┌─ merge: sorted files, batch by batch ─┐
//!          ├─ group: which files ─▶ rewrite ────┤                                       ├─▶ replace: one log entry
//! expire ──┘                                    └─ data file and index (worker) ────────┘   (remove + add)
//!
//! vacuum: what no log entry names goes from the disk      verify: everything is read, and compared with the log
//! rebuild: indexes anew                                   inspect: what there is, by the log
//! rebuild_kept: derived rows anew, from the events        cut: what of a date stays where it expires
//! ```
//!
//! Everything here runs beside live workers, readers and itself. An entry lands only if every file that it removes still
//! belongs to the table. What is removed stays on the disk until a vacuum finds it old enough, so that no reader of an older
//! version misses it.

mod clock;
mod compact;
mod cut;
mod expire;
mod group;
mod index_check;
mod inspect;
mod keys;
mod merge;
mod problem;
mod progress;
mod readable;
mod rebuild;
mod rebuild_kept;
mod replace;
mod rewrite;
mod unique;
mod vacuum;
mod verify;
mod verify_file;
mod weight;
mod worker;

pub use compact::Compacted;
pub(crate) use compact::compact;
pub use expire::{ExpireRequest, Expired};
pub(crate) use expire::{expire, expire_kept};
pub use inspect::{DateCounts, SourceCounts, TableCounts};
pub(crate) use inspect::{source_counts, table_counts};
pub use problem::Problem;
pub use progress::{MaintenanceProgress, OnProgress};
pub use rebuild::Rebuilt;
pub(crate) use rebuild::rebuild_indexes;
pub(crate) use rebuild_kept::rebuild_kept;
pub use rebuild_kept::{Derive, KeptRebuilt};
pub(crate) use vacuum::vacuum;
pub use vacuum::{VacuumRequest, Vacuumed};
pub use verify::Verified;
pub(crate) use verify::verify;
