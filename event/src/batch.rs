//! What travels from ingest to the tables: records, events, and records that could not become events.

use serde::Serialize;

use crate::{
    CheckpointDelta, Event, MAX_LETTER_BYTES, MAX_LETTER_DETAIL_BYTES, Position, Timestamp, bounded_text, sha256_hex,
};

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
    /// The bytes: whole, or the beginning of them where `cut` says what they were.
    pub payload: Vec<u8>,
    /// What the payload was, where it was too large to be kept.
    pub cut: Option<Cut>,
}

/// What a payload was of which only the beginning is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cut {
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256, as hexadecimal digits.
    pub sha256: String,
}

impl Cut {
    /// That of a whole payload.
    pub fn of(payload: &[u8]) -> Self {
        Self {
            bytes: payload.len() as u64,
            sha256: sha256_hex(payload),
        }
    }
}

impl DeadLetter {
    /// The letter of a payload of any size: what is beyond [`MAX_LETTER_BYTES`] is cut off.
    pub fn new(position: Position, ingested: Timestamp, reason: &'static str, detail: &str, payload: &[u8]) -> Self {
        let kept = payload.get(..MAX_LETTER_BYTES).unwrap_or(payload);
        Self {
            position,
            ingested,
            reason,
            detail: bounded_text(detail, MAX_LETTER_DETAIL_BYTES).into_owned(),
            payload: kept.to_vec(),
            cut: (kept.len() < payload.len()).then(|| Cut::of(payload)),
        }
    }
}

/// What became of a run of records of one or more partitions.
#[derive(Debug, Clone, Default)]
pub struct EventBatch {
    /// The events, in the order of reading within each partition.
    pub events: Vec<Event>,
    /// What could not become an event.
    pub dead_letters: Vec<DeadLetter>,
    /// The offsets that all of these came from.
    pub checkpoint: CheckpointDelta,
    /// Bytes read: the payloads, before decompression by any envelope.
    pub input_bytes: u64,
}
