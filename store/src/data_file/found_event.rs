//! An event as a data file holds it.

use casebook_event::{Event, EventId, FieldId, Fields, Native, Position, Source, Timestamp, Value};

/// An event that a search has found.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundEvent {
    /// Its identity.
    pub event_id: EventId,
    /// When it happened.
    pub time: Timestamp,
    /// When it was read, to the microsecond.
    pub ingested: Timestamp,
    /// What kind of log reported it.
    pub source: Source,
    /// Where it was read.
    pub position: Position,
    /// The normalized fields, in column order.
    pub fields: Vec<(FieldId, Value)>,
    /// The record as it was read.
    pub raw: String,
}

impl From<&Event> for FoundEvent {
    fn from(event: &Event) -> Self {
        Self {
            event_id: event.id,
            time: event.time,
            ingested: Timestamp::from_nanos(event.ingested.as_nanos().div_euclid(1_000).saturating_mul(1_000)),
            source: event.source,
            position: event.position.clone(),
            fields: event.fields.iter().map(|(id, value)| (id, value.clone())).collect(),
            raw: event.raw.to_string(),
        }
    }
}

impl FoundEvent {
    /// The event in ECS form: see [`Event::to_ecs`].
    pub fn to_ecs(&self) -> Value {
        self.to_event().to_ecs()
    }

    /// The event as it was stored: without the source's own record, which is to be decoded again.
    pub fn to_event(&self) -> Event {
        let mut fields = Fields::new();
        for (id, value) in &self.fields {
            fields.set(*id, value.clone());
        }
        Event {
            id: self.event_id,
            time: self.time,
            ingested: self.ingested,
            source: self.source,
            position: self.position.clone(),
            fields,
            native: Native::NONE,
            raw: self.raw.as_str().into(),
        }
    }

    /// The value of a normalized field.
    pub fn field(&self, id: FieldId) -> Option<&Value> {
        self.fields
            .binary_search_by_key(&id, |(id, _)| *id)
            .ok()
            .map(|at| &self.fields[at].1)
    }
}
