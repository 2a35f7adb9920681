//! From a message of librdkafka to a record of our own.

use casebook_event::{Position, RawRecord, Timestamp};
use rdkafka::Message as _;
use rdkafka::message::BorrowedMessage;

/// A copy of what is wanted of a message.
pub(crate) fn raw_record(message: &BorrowedMessage<'_>) -> RawRecord {
    RawRecord {
        position: Position {
            topic: message.topic().into(),
            partition: message.partition(),
            offset: message.offset(),
            index: 0,
        },
        timestamp: message
            .timestamp()
            .to_millis()
            .map_or(Timestamp::MIN, Timestamp::from_millis),
        payload: message.payload().unwrap_or_default().to_vec(),
    }
}
