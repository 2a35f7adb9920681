//! Here is a derived table: which version made a file, since when it is complete, and what stays of it at a cut.
//!
//! A table is derived where its rows can be made again from another: today `signals` and `bindings`, which correlation keeps. What
//! such a table needs beside its columns is the same for each, and stands here or in `maintenance`:
//!
//! ```text
//! version    each file says which made it (its tag); a newer one is refused, an older one is read until a rebuild
//! cut        the table says since when it is complete; what is older went with an expiry
//! base       rows of before a cut that answers of later times still need: they stay, in the first date that is kept
//! rebuild    rows made again from the events, beside those that are nowhere else (maintenance/rebuild_kept.rs)
//! ```
//!
//! Compaction, verification and vacuum are the same as of every other table.

mod base;
mod cut;
mod version;

pub(crate) use base::Base;
pub(crate) use cut::{complete_since, cut_txn};
pub(crate) use version::check_version;
