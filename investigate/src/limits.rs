//! How much an investigation reads, at most. An answer says where one of these was reached.

/// Most events that a story or a profile reads, the newest first.
pub const MAX_EVENTS: usize = 100_000;
/// Most events that are read to learn what an entity is also called, for a story: of each whose names were found, and of each whose
/// addresses.
pub const MAX_BINDING_EVENTS: usize = 2_000;
/// Most events of which a story reads the record, since no field says what happened: the newest.
pub const MAX_RECORDS: usize = 2_000;
/// Events that are read at once, of a few KiB each where they are whole.
pub const PAGE_EVENTS: usize = 10_000;
/// How long before the range asked for bindings are looked for: an address holds for a day after it was last reported.
pub const BINDINGS_BEFORE_NANOS: i64 = 24 * 3_600 * 1_000_000_000;
/// How long before and after an alert its story goes.
pub const AROUND_NANOS: i64 = 30 * 60 * 1_000_000_000;
/// Most events that are sorted by a field: those of them that matter are chosen by time.
pub const MAX_SORTED_EVENTS: usize = 100_000;
