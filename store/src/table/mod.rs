//! Here is a Delta table: give me what it holds at its latest version, and put this commit on top.
//!
//! Owns the log (entries, checkpoints, its cleanup), the snapshot in memory, the check of every commit against the latest version,
//! and what the log says of a data file's rows. Never reads or writes a data file.
//!
//! The log follows the Delta transaction log protocol, reader version 1: every Delta reader reads the tables as they are.
//!
//! ```text
//! delta_table ─▶ load ─▶ checkpoint ─▶ log ─▶ action        entry: Proposal ─▶ the text of a log entry
//!      └─▶ entry  └─▶ snapshot ─▶ stats ─▶ source_counts, source_topics, letter_counts
//! ```

mod action;
mod checkpoint;
mod delta_table;
mod entry;
mod letter_counts;
mod load;
mod log;
mod snapshot;
mod source_counts;
mod source_topics;
mod stats;

pub(crate) use action::{Add, DomainMetadata, Remove, Txn};
pub(crate) use delta_table::Table;
pub(crate) use entry::Proposal;
pub(crate) use letter_counts::LetterCounts;
pub(crate) use snapshot::{DataFile, Snapshot, TOMBSTONE_RETENTION_MS};
pub(crate) use source_counts::SourceCount;
pub(crate) use source_topics::SourceTopics;
pub(crate) use stats::StatsBuilder;
