//! The investigator's pivot: from a name to everything that is told of what it names.
//!
//! ```text
//! text ─EntityName─▶ EntityQuery ─store─▶ events ─Telling, bindings_of─▶ Learned ─▶ EntityQuery with uids, containers, addresses
//!                                                                              │
//!                             Line ◀─tell─ Entry, Told ◀─ events, alerts ◀─────┘
//! ```
//!
//! Everything but [`gather`] is a function of what it is given, without a store.

pub mod alerts;
pub mod clusters;
pub mod entity_name;
pub mod entity_query;
pub mod entry;
pub mod gather;
pub mod learned;
pub mod neighbours;
pub mod story;
pub mod subjects;
pub mod telling;
pub mod wording;

/// Most events that a story or a profile reads, the newest first. The answer says when there were more.
pub const MAX_EVENTS: usize = 100_000;
/// Most events that are looked at to learn what an entity is also called, for a story: of each whose names were found, and of each
/// whose addresses.
pub const MAX_LEARNED_EVENTS: usize = 2_000;
/// Events that are read at once, of a few KiB each where they are whole.
pub const PAGE_EVENTS: usize = 10_000;
/// How long before the range asked for bindings are looked for: an address holds for a day after it was last told.
pub const LEARN_BEFORE_NANOS: i64 = 24 * 3_600 * 1_000_000_000;
/// How long before and after an alert its story goes.
pub const AROUND_NANOS: i64 = 30 * 60 * 1_000_000_000;
