//! Here is a batch of events with the offsets it came from, commit it; here is a group, say where its reading goes on.
//!
//! Owns the order of a commit, the files that are prepared ahead of one, the offsets of consumer groups in every table's log, and the
//! fence that they are. Never reads rows back.
//!
//! ```text
//! EventsCommit ─▶ dead_letters ─▶ event_files (data files, indexes) ─▶ events: one log entry ─▶ Committed
//!                                      offsets, read_to_end: the entry's `txn` actions
//! ```

mod committed;
mod dead_letters;
mod event_files;
mod events;
mod offsets;
mod read_to_end;

pub use committed::Committed;
pub use event_files::PreparedFiles;
pub(crate) use event_files::{discard_files, prepare_events};
pub use events::EventsCommit;
pub(crate) use events::commit_events;
pub(crate) use offsets::{app_id, fence, groups, offsets, resume_txns, starts, txns};
pub(crate) use read_to_end::topics;
pub use read_to_end::{ReadToEnd, TopicCoverage};
