//! Every bound of this crate's decoders, and what happens when it is reached.

/// Longest record, in bytes. A longer one becomes a dead letter (`too_large`); a longer line of a file is cut to one byte
/// more than this, so that the same happens to it. A file's JSON array that is longer is read in pieces of this size.
pub const MAX_RECORD_BYTES: usize = 16 << 20;

/// Most events of one record (`Records`, `EventList`, arrays). What follows them becomes one dead letter (`too_many`).
pub const MAX_EVENTS_PER_RECORD: u32 = 200_000;

/// Most values of one record that may be broken. Behind the last of them, the rest of the record is one dead letter.
pub(crate) const MAX_BROKEN_VALUES: u32 = 64;

/// Deepest nesting of JSON, in levels: the parser's own bound. Deeper records become dead letters (`too_deep`).
pub const MAX_JSON_DEPTH: usize = 128;

/// Longest container message that is tried as JSON, in bytes. A longer one stays text.
pub(crate) const MAX_NESTED_JSON_BYTES: usize = 1 << 20;

/// Most `command` parameters of an exec request that become `process.args`. The whole stays in `url.original`.
pub(crate) const MAX_PROCESS_ARGS: usize = 256;

/// Most addresses that `related.ip` holds. The native record keeps the others.
pub(crate) const MAX_RELATED_IPS: usize = 64;

/// Most text of a record that an error's detail quotes, in bytes.
pub(crate) const MAX_QUOTED_BYTES: usize = 80;

/// Deepest object below which an application's record is searched for ECS names.
pub(crate) const MAX_ECS_DEPTH: usize = 5;

/// Bytes asked of a file at once.
pub(crate) const FILE_READ_BYTES: usize = 64 << 10;

/// Deepest value of OpenTelemetry's `AnyValue` that is taken apart, in levels; below it stays text.
pub(crate) const MAX_OTLP_DEPTH: usize = 16;
