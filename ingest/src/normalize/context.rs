//! What a normalizer is given beside the record, and what it gives back.

use casebook_event::{EventId, FieldId, Fields, Native, Position, Source, Timestamp};

use crate::mask::Digest;
use crate::settings::TopicSettings;

/// What a normalizer may read beside the parsed record.
pub(crate) struct Context<'a> {
    /// The event's own text, without what an envelope around it adds.
    pub(crate) raw: &'a str,
    /// Where it was read, with its place in the record.
    pub(crate) position: &'a Position,
    /// What stands in where the record has no time of its own: its shipper's, else the broker's.
    pub(crate) timestamp: Timestamp,
    /// Whether that is the shipper's or queue's, and not the broker's.
    pub(crate) carried: bool,
    /// What the deployment says of the topic.
    pub(crate) settings: &'a TopicSettings,
    /// The machine, as what carried the record calls it.
    pub(crate) host: Option<&'a str>,
    /// Where in a file the shipper read the record: the file and the offset, in bytes.
    pub(crate) place_in_file: Option<(&'a str, i64)>,
    /// The record ended too early: what is missing may have stood after its end.
    pub(crate) truncated: bool,
    /// Its text is one that was cut itself.
    pub(crate) half: bool,
    /// What distinguishes the event from another that differs only in a secret.
    pub(crate) removed: Digest,
}

impl Context<'_> {
    /// An identity that is made of the event's content, with what was masked of it.
    pub(crate) fn with_removed(&self, source: Source, id: EventId) -> EventId {
        match self.removed {
            Digest::NONE => id,
            removed => EventId::from_parts(source, &[id.to_string().as_bytes(), &removed.to_bytes()]),
        }
    }

    /// Says in the event that its time is not its own.
    pub(crate) fn mark_time(&self, fields: &mut Fields) {
        fields.set(FieldId::TimeOrigin, if self.carried { "envelope" } else { "broker" });
    }

    /// What stands in for the time of a record that was cut before it, or of which it was cut; of any other, nothing may.
    pub(crate) fn time_of_cut(&self) -> Option<Timestamp> {
        self.truncated.then_some(self.timestamp)
    }
}

/// An event without what the reading of it adds.
#[derive(Debug)]
pub(crate) struct Normalized {
    /// What kind of log it is: not always the one that was asked for, since a journal holds sshd's lines too.
    pub(crate) source: Source,
    pub(crate) id: EventId,
    pub(crate) time: Timestamp,
    pub(crate) fields: Fields,
    pub(crate) native: Native,
}

/// The identity of an event whose source gives it none: its content and its time. Where the time is the reader's and not
/// the event's, two events of the same content are distinguished by where they stand.
pub(crate) fn content_id(source: Source, content: &[u8], time: Option<Timestamp>, context: &Context<'_>) -> EventId {
    match (time, context.place_in_file) {
        // Whoever makes a program write the same line twice in one second must not make the two one. Where the shipper says where
        // in its file each stood, they are two, and each of them is itself however often it is sent.
        (Some(time), Some((file, offset))) => EventId::from_parts(
            source,
            &[
                content,
                &time.as_nanos().to_le_bytes(),
                context.host.unwrap_or_default().as_bytes(),
                file.as_bytes(),
                &offset.to_le_bytes(),
            ],
        ),
        (Some(time), None) => {
            let id = EventId::from_parts(source, &[content, &time.as_nanos().to_le_bytes()]);
            context.with_removed(source, id)
        }
        (None, _) => {
            let position = context.position;
            let (partition, offset) = (position.partition.to_le_bytes(), position.offset.to_le_bytes());
            let index = position.index.to_le_bytes();
            let parts: &[&[u8]] = &[content, position.topic.as_bytes(), &partition, &offset, &index];
            EventId::from_parts(source, parts)
        }
    }
}

#[cfg(test)]
impl<'a> Context<'a> {
    /// A context for tests: read at the first offset of a topic `t`, one second after the epoch, of which nothing is said.
    pub(crate) fn of(raw: &'a str) -> Self {
        static SETTINGS: TopicSettings = TopicSettings::NONE;
        use std::sync::LazyLock;
        static POSITION: LazyLock<Position> = LazyLock::new(|| Position {
            topic: "t".into(),
            partition: 0,
            offset: 1,
            index: 0,
        });
        Self {
            raw,
            position: &POSITION,
            timestamp: Timestamp::from_seconds(1),
            settings: &SETTINGS,
            truncated: false,
            half: false,
            carried: false,
            host: None,
            place_in_file: None,
            removed: Digest::NONE,
        }
    }
}
