//! Every bound of the bindings, named once, with its unit and what happens when it is reached.

const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3_600 * SECOND;

pub use casebook_event::MAX_IDENTIFIER_BYTES;
/// Most addresses of a machine that are tried to find it. Those beyond it name nothing.
pub const MAX_HOST_ADDRESSES: usize = 8;
/// Most bindings that one event reports. Those beyond it are left out: a list of pods may have any number.
pub const MAX_BINDINGS_PER_EVENT: usize = 4_096;
/// Most facts kept of one identifier. Beyond it, the earliest go first.
pub const MAX_FACTS_PER_IDENTIFIER: usize = 4_096;
/// Most facts kept in all (about 100 MB). Beyond it, the earliest go first, those of the same grain of time together.
pub const MAX_FACTS: usize = 1_000_000;

/// Most bindings between what an event names and the entity it leads to.
pub const MAX_STEPS: usize = 6;
/// Most entities that one identifier leads to at one time; the others are not looked for.
pub const MAX_CANDIDATES: usize = 8;
/// Most identifiers that are visited to find them. What lies beyond is not found.
pub const MAX_VISITS: usize = 64;

/// How long an address is taken to belong to whoever was seen with it last, in nanoseconds: a day.
pub const MAX_ADDRESS_AGE_NANOS: i64 = 24 * HOUR;
/// The same for the name of a pod or a node, in nanoseconds: a week.
pub const MAX_NAME_AGE_NANOS: i64 = 7 * 24 * HOUR;
/// The same for what an id that is never given twice (of a pod, a container) belongs to, in nanoseconds: thirty days.
pub const MAX_ID_AGE_NANOS: i64 = 30 * 24 * HOUR;
/// The same for a cloud role's session, in nanoseconds: the twelve hours that a session lasts at most.
pub const MAX_SESSION_AGE_NANOS: i64 = 12 * HOUR;

/// How far back a uid that is observed later is the one that a pod's name stood for, in nanoseconds: a week, as long as a name is
/// believed.
pub const MAX_REACH_NANOS: i64 = MAX_NAME_AGE_NANOS;
/// Grain in which the creation of an older pod is reported, in nanoseconds: once a day, as of some time within the last week.
pub const REACH_GRAIN_NANOS: i64 = 24 * HOUR;

/// Most facts of an identifier for which it is computed exactly what one binding more changes. Of one with more, the outermost bounds
/// are given.
pub const MAX_EXACT_FACTS: usize = 512;

/// How long a binding is still believed after it ended, in nanoseconds: a pod's last words come after its end.
pub const LINGER_NANOS: i64 = 60 * SECOND;
/// How long after the request a deleted pod ends, in nanoseconds, where the answer does not say: the API's default.
pub const DEFAULT_GRACE_NANOS: i64 = 30 * SECOND;
/// The longest such time that is believed, in nanoseconds.
pub const MAX_GRACE_NANOS: i64 = 24 * HOUR;

/// Grain of time in which the same fact is kept once, in nanoseconds, for what may pass to another: five minutes.
pub const FINE_GRAIN_NANOS: i64 = 300 * SECOND;
/// The same for what never passes to another: an hour.
pub const COARSE_GRAIN_NANOS: i64 = HOUR;

/// Most bindings that are remembered as emitted. Beyond it, all are forgotten, and emitted again.
pub const MAX_EMITTED: usize = 200_000;
