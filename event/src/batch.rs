//! What travels from ingest to the tables: records, events, and records that could not become events.

use serde::Serialize;

use crate::{Checkpoint, Event, Position, Timestamp};

/// A record as it was read, before any decoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRecord {
    /// Where it was read; `index` is 0, but for the later pieces of a file's array that is too large for one record.
    pub position: Position,
    /// The time the broker (or the file's reader) put on it: the fallback for records that carry no full date.
    pub timestamp: Timestamp,
    /// Its bytes.
    pub payload: Vec<u8>,
}

/// A record, or a part of one, that is no event: kept with the reason, and counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadLetter {
    /// Where it was read.
    pub position: Position,
    /// When it was read.
    pub ingested: Timestamp,
    /// A stable word for counting: `invalid_json`, `unknown_source`, `no_timestamp`, `too_large`, ….
    pub reason: &'static str,
    /// What exactly was wrong, and where in the record.
    pub detail: String,
    /// The bytes, whole.
    pub payload: Vec<u8>,
}

/// What became of a run of records of one or more partitions.
#[derive(Debug, Clone, Default)]
pub struct EventBatch {
    /// The events, in the order of reading within each partition.
    pub events: Vec<Event>,
    /// What could not become an event.
    pub dead_letters: Vec<DeadLetter>,
    /// The offsets that all of these came from.
    pub checkpoint: Checkpoint,
    /// Bytes read: the payloads, before decompression by any envelope.
    pub input_bytes: u64,
}
