//! Here is what correlation observed and decided, keep it; here are keys and names with spans of time, give me what was kept.
//!
//! Owns the tables `signals` and `bindings`: their rows, their order, their offsets, and how rows of some keys are found without
//! reading a whole table. Never decides what is kept, and is never read for an answer to a user.
//!
//! ```text
//! KeptCommit ─rows below a partition's own offset are left out─▶ encode ─order─▶ bindings table, then signals table
//!                                                                                      │
//!   KeySpan ─▶ keyed_file: log bounds ▶ row groups ▶ bloom filter ▶ pages ▶ rows ──────┘─▶ decode ─▶ Signal, DecidedWindow,
//!                                                                                                   Binding
//! ```
//!
//! The rows of a file are sorted by a key: of a match and a window [`Signal::key`](casebook_event::Signal::key), of a binding
//! a hash of the name that stood for another. So what belongs to one group lies together. Two rows that are equal in every column
//! are one: what is committed or sent twice counts once.

mod base;
mod bindings;
mod collect;
mod commit;
mod decode;
mod encode;
mod failure;
mod identifiers;
mod key;
mod keyed_file;
mod order;
mod signals;
mod since;
mod windows;

pub use base::NeededBindings;
pub(crate) use base::{kept_base, windows};
pub(crate) use bindings::kept_bindings;
pub(crate) use commit::{Batches, commit_kept, kept_batches, write_kept};
pub use commit::{KeptCommit, KeptCommitted};
pub(crate) use decode::check_rows;
pub(crate) use encode::{alert_text, note};
pub use key::KeySpan;
pub(crate) use order::Order;
pub use signals::KeptSignals;
pub(crate) use signals::kept_signals;
pub(crate) use since::kept_since;
pub(crate) use windows::kept_windows;
