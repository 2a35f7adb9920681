//! Events for this crate's tests.

use casebook_event::{Event, EventId, FieldId, Native, Position, Source, Timestamp, Value};

/// An event of that second, with these fields.
pub fn event(source: Source, seconds: i64, fields: &[(FieldId, &str)]) -> Event {
    Event {
        id: EventId::from_u128(u128::from(seconds.unsigned_abs())),
        time: Timestamp::from_seconds(seconds),
        ingested: Timestamp::from_seconds(seconds),
        source,
        position: Position {
            topic: "t".into(),
            partition: 0,
            offset: seconds,
            index: 0,
        },
        fields: fields.iter().map(|(id, text)| (*id, Value::str(text))).collect(),
        native: Native::NONE,
        raw: "raw text".into(),
    }
}
