//! Every bound of this crate's decoders, and what happens when it is reached.

/// Longest record, in bytes. A longer one becomes a dead letter (`too_large`); a longer line of a file is cut to one byte
/// more than this, so that the same happens to it. A file's JSON array that is longer is read in pieces of this size.
pub const MAX_RECORD_BYTES: usize = 16 << 20;

/// Most text that a dead letter keeps of a compressed payload that is broken or too long, in bytes.
pub(crate) const MAX_REFUSED_TEXT_BYTES: usize = 1 << 20;

/// Most events of one record (`Records`, `EventList`, arrays). What follows them becomes one dead letter (`too_many`).
pub const MAX_EVENTS_PER_RECORD: u32 = 200_000;

/// Most values of one record that may be broken. After the last of them, the rest of the record is one dead letter.
pub(crate) const MAX_BROKEN_VALUES: u32 = 64;

/// How far an event's time may be after the broker's, in nanoseconds, before the event says so (`casebook.time.origin: ahead`):
/// clocks of two machines differ by less.
pub(crate) const MAX_CLOCK_SKEW_NANOS: i64 = 300_000_000_000;

/// Deepest nesting of JSON, in levels: the parser's own bound. Deeper records become dead letters (`too_deep`).
pub const MAX_JSON_DEPTH: usize = 128;

/// Longest container message that is tried as JSON, in bytes. A longer one stays text.
pub(crate) const MAX_NESTED_JSON_BYTES: usize = 1 << 20;

/// Most `command` parameters of an exec request that become `process.args`. The whole stays in `url.original`.
pub(crate) const MAX_PROCESS_ARGS: usize = 256;

/// Most addresses that `related.ip` holds. The native record keeps the others.
pub(crate) const MAX_RELATED_IPS: usize = 64;

/// Most addresses that `casebook.claimed_ip` holds: those nearest to the server. The raw record keeps the others.
pub(crate) const MAX_CLAIMED_IPS: usize = 32;

/// Most text of a record that an error's detail quotes, in bytes.
pub(crate) const MAX_QUOTED_BYTES: usize = 80;

/// Deepest object below which an application's record is searched for ECS names.
pub(crate) const MAX_ECS_DEPTH: usize = 5;

/// Bytes asked of a file at once.
pub(crate) const FILE_READ_BYTES: usize = 64 << 10;

/// Deepest value of OpenTelemetry's `AnyValue` that is taken apart, in levels; below it stays text.
pub(crate) const MAX_OTLP_DEPTH: usize = 16;

/// Most envelopes around one another, in levels. What is deeper becomes a dead letter (`too_deep`).
pub(crate) const MAX_ENVELOPES: usize = 6;

/// Most text of one joined event, in bytes: parts beyond it begin another event.
pub(crate) const MAX_JOIN_BYTES: usize = 1 << 20;

/// Most parts of one joined event.
pub(crate) const MAX_JOIN_PARTS: usize = 4_096;

/// Most groups of parts that wait in one partition; the oldest is emitted as it is.
pub(crate) const MAX_OPEN_JOINS: usize = 4_096;

/// Most text that waits in one partition, in bytes; the same.
pub(crate) const MAX_OPEN_JOIN_BYTES: usize = 16 << 20;

/// Longest wait for a further part, in milliseconds of the broker's time.
pub(crate) const MAX_JOIN_AGE_MS: i64 = 30_000;

/// Longest wait for a further part, in records of the partition.
pub(crate) const MAX_JOIN_DISTANCE_RECORDS: i64 = 20_000;

/// After how many milliseconds of the log's own time an audit event is over, as the audit library has it
/// (`EOE_TIMEOUT` of libauparse).
pub(crate) const AUDITD_EVENT_MS: i64 = 2_000;

/// Most fields of one audit record; what follows stays in the raw text.
pub(crate) const MAX_AUDITD_FIELDS: usize = 1_024;

/// Most operations of a JSON patch that are read: what the API server itself takes (`maxJSONPatchOperations`).
pub(crate) const MAX_PATCH_OPERATIONS: usize = 10_000;

/// Longest path of a JSON patch that is followed, in keys: deeper than anything that is looked for.
pub(crate) const MAX_PATCH_DEPTH: usize = 32;

/// Most members that are known of one array which a JSON patch writes to; more than fit into an object of the API server.
pub(crate) const MAX_PATCH_LIST: usize = 4_096;

/// Most that a JSON patch may copy and move, in bytes: copies of copies double. What is beyond stays unknown.
pub(crate) const MAX_PATCH_COPY_BYTES: usize = 1 << 20;

/// Most risks that an event names of a pod. The native record keeps the others.
pub(crate) const MAX_POD_RISKS: usize = 64;

/// Most networks of trusted proxies that a topic may have: each address that a record claims is looked for in all of them. More
/// are refused with the configuration.
pub const MAX_TRUSTED_PROXIES: usize = 256;

/// Longest name of a cluster in the configuration, in bytes. A longer one is refused.
pub const MAX_CLUSTER_NAME_BYTES: usize = 253;
