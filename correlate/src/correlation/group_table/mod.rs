//! Here is a group's key: where is the group, in memory or on disk, and when is it due?
//!
//! Owns all groups, the order in which they are due, and the bound on what they take in memory. What the groups say is
//! `group`'s; what is made of it is the evaluator's.

mod cold;
mod table;

pub use cold::{Change, ColdError, ColdStore, Found};
pub(super) use table::GroupTable;
