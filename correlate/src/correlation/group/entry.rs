//! One event of a group.

use casebook_event::{Attributed, Entities, EventId, EventRef, Evidence, Position, Timestamp};
use compact_str::CompactString;

use crate::correlation::codec::{Damaged, Names, Reader, put_bytes, put_number, put_signed, put_u128};
use crate::sigma::correlation::comparison::Fixed;

/// The order of events: by time, and among simultaneous ones by identity.
pub(super) type Order = (Timestamp, EventId);

/// An event of a group, with the members that it matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// One bit for each member of the correlation that the event matched.
    pub members: u64,
    /// The value that the correlation requires, if it requires one.
    pub value: Option<CompactString>,
    /// The event.
    pub event: EventRef,
    /// Where the event is an alert of another correlation: the evidence of that.
    pub evidence: Option<Box<EvidenceSubset>>,
    /// Where the group is that of an entity: how the event came to it.
    pub attributed: Option<Box<Attributed>>,
}

/// The evidence of an alert that is an event of another correlation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EvidenceSubset {
    /// How many events there were.
    pub total: u64,
    /// The first of them.
    pub events: Vec<Evidence>,
}

impl Entry {
    /// Its place in the order.
    pub(super) fn order(&self) -> Order {
        (self.event.time, self.event.event_id)
    }

    /// Its value as a number, where it is one; else nothing.
    pub(crate) fn number(&self) -> i128 {
        let number = self.value.as_deref().and_then(|text| text.parse::<Fixed>().ok());
        number.unwrap_or_default().units()
    }

    /// The bytes it takes in memory, about: allocations have sizes of their own, some eighth above what is requested.
    pub(super) fn bytes(&self) -> usize {
        let value = self.value.as_ref().map_or(0, |value| value.len());
        let evidence = self
            .evidence
            .as_ref()
            .map_or(0, |evidence| evidence.events.len() * 1_024);
        let attributed = self.attributed.as_ref().map_or(0, |_| 512);
        let whole = attributed + size_of::<Self>() + self.event.entities.as_bytes().len() + value + evidence;
        whole + whole / 8
    }

    /// Writes it, with its time as the distance from `before`.
    pub(crate) fn encode(&self, before: i64, out: &mut Vec<u8>, names: &mut Names) {
        let EventRef {
            event_id,
            time,
            source,
            position,
            entities,
        } = &self.event;
        put_signed(out, time.as_nanos().wrapping_sub(before));
        put_u128(out, event_id.as_u128());
        put_number(out, self.members);
        put_number(out, names.number_of(source.name()));
        put_number(out, names.number(&position.topic));
        put_signed(out, position.partition.into());
        put_signed(out, position.offset);
        put_number(out, position.index.into());
        put_bytes(out, entities.as_bytes());
        let (has_value, is_alert) = (u8::from(self.value.is_some()), u8::from(self.evidence.is_some()));
        let is_attributed = u8::from(self.attributed.is_some());
        out.push(has_value | is_alert << 1 | is_attributed << 2);
        if let Some(value) = &self.value {
            put_bytes(out, value.as_bytes());
        }
        if let Some(evidence) = &self.evidence {
            put_number(out, evidence.total);
            // Plain data: serde_json cannot fail on it.
            put_bytes(out, &serde_json::to_vec(&evidence.events).unwrap_or_default());
        }
        if let Some(attributed) = &self.attributed {
            put_bytes(out, &serde_json::to_vec(attributed).unwrap_or_default());
        }
    }

    pub(crate) fn decode(before: i64, from: &mut Reader<'_>, names: &Names) -> Result<Self, Damaged> {
        let time = Timestamp::from_nanos(before.wrapping_add(from.signed()?));
        let event_id = EventId::from_u128(from.u128()?);
        let members = from.number()?;
        let source = names.get(from.number()?).and_then(|name| name.parse().ok());
        let source = source.ok_or(from.damaged())?;
        let topic = names.get(from.number()?).cloned().ok_or(from.damaged())?;
        let position = Position {
            topic,
            partition: i32::try_from(from.signed()?).map_err(|_| from.damaged())?,
            offset: from.signed()?,
            index: u32::try_from(from.number()?).map_err(|_| from.damaged())?,
        };
        let entities = Entities::from_bytes(from.bytes()?).ok_or(from.damaged())?;
        let flags = from.byte()?;
        let value = if flags & 1 == 1 { Some(from.text()?) } else { None };
        let evidence = if flags & 2 == 2 {
            let total = from.number()?;
            let events = serde_json::from_slice(from.bytes()?).map_err(|_| from.damaged())?;
            Some(Box::new(EvidenceSubset { total, events }))
        } else {
            None
        };
        let attributed = if flags & 4 == 4 {
            Some(serde_json::from_slice(from.bytes()?).map_err(|_| from.damaged())?)
        } else {
            None
        };
        Ok(Self {
            members,
            value,
            attributed,
            event: EventRef {
                event_id,
                time,
                source,
                position,
                entities,
            },
            evidence,
        })
    }
}
