//! What the fuzz targets share: each feeds one entry of the decoder, and checks what holds of any input.

use casebook_event::{EventBatch, Position, RawRecord, Tape, Timestamp, Value};
use casebook_ingest::{Decoder, FileRecords};

pub use casebook_event::Source;
pub use casebook_ingest::SourceKind;

/// A fixed present, so that a run can be repeated.
const NOW: i64 = 1_795_478_400_000_000_000;
/// The bound that decompression is held to.
const MAX_BYTES: usize = 1 << 20;

/// Decodes each line of the input as a record, so that what joins lines is met too, and then the input as one record.
pub fn decode(kind: SourceKind, data: &[u8]) {
    let mut decoder = Decoder::new(kind);
    let mut batch = EventBatch::default();
    for line in data.split(|byte| *byte == b'\n').take(64).chain([data]) {
        decoder.decode(&record(line), present(), &mut batch);
    }
    decoder.flush(&record(&[]).position, present(), &mut batch);
    assert_eq!(decoder.resume(), None);
    for event in &batch.events {
        // The input went in twice, may be joined, and U+FFFD is three bytes in place of one.
        assert!(event.raw.len() <= 6 * data.len() + 128);
        event.visit_all(&mut |value| {
            value.to_text();
            false
        });
    }
}

/// What is read in place is what the other parser reads.
pub fn tape(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some((tape, end)) = Tape::parse_object(text) else { return };
    let value: Result<Value, _> = serde_json::from_str(&text[..end]);
    assert!(value.is_ok_and(|value| value == tape.root(text).to_value()));
}

/// Masks twice: the second finds nothing.
pub fn mask(data: &[u8]) {
    let mut kinds = Vec::new();
    let once = casebook_ingest::fuzz::mask(data, &mut kinds);
    assert_eq!(kinds.is_empty(), matches!(once, std::borrow::Cow::Borrowed(_)));
}

/// Never more than the bound.
pub fn compression(data: &[u8]) {
    if let Ok(text) = casebook_ingest::fuzz::decompress(data, MAX_BYTES) {
        assert!(text.len() <= MAX_BYTES.max(data.len()));
    }
}

/// Reads a file's records, and decodes none.
pub fn file_records(data: &[u8]) {
    let records = FileRecords::new(data, "fuzz", SourceKind::Auto).with_timestamp(present());
    // Compressed input may hold much; a thousand records say enough.
    for record in records.take(1000) {
        if record.is_err() {
            return;
        }
    }
}

fn present() -> Timestamp {
    Timestamp::from_nanos(NOW)
}

fn record(payload: &[u8]) -> RawRecord {
    RawRecord {
        position: Position {
            topic: "fuzz".into(),
            partition: 0,
            offset: 0,
            index: 0,
        },
        timestamp: present(),
        payload: payload.to_vec(),
    }
}
