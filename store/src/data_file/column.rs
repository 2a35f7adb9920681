//! The columns of an event's row that can be asked for by name.

use casebook_event::FieldId;

/// A column of the events table that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Column {
    /// A normalized field.
    Field(FieldId),
    /// The source's name.
    Source,
    /// The event's identity.
    EventId,
    /// The Kafka topic.
    Topic,
    /// The Kafka partition.
    Partition,
    /// The Kafka offset.
    Offset,
}

impl Column {
    /// The column of those of its values that a client only claims. Where a name stands for several columns (`ip`), they do not
    /// count: who looks for an address looks for who had it.
    pub fn claims(self) -> Option<Self> {
        (self == Self::Field(FieldId::RelatedIps)).then_some(Self::Field(FieldId::ClaimedIps))
    }

    /// Its name in the events table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Field(id) => id.info().column,
            Self::Source => "source",
            Self::EventId => "event_id",
            Self::Topic => "kafka_topic",
            Self::Partition => "kafka_partition",
            Self::Offset => "kafka_offset",
        }
    }
}
