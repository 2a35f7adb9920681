//! One event as a search sees it.

use std::borrow::Cow;
use std::cell::OnceCell;

use casebook_event::{Event, EventId, FieldId, Fields, Native, Position, Source, Timestamp, Value};

use super::ast::Column;
use super::native;
use crate::index::tokenizer::record_text;

/// An event that a search has found.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundEvent {
    /// Its identity.
    pub event_id: EventId,
    /// When it happened.
    pub time: Timestamp,
    /// When it was read, to the microsecond.
    pub ingested: Timestamp,
    /// What kind of log told of it.
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

/// An event with what is derived from it, once.
pub(crate) struct Row<'a> {
    pub event: &'a FoundEvent,
    text: OnceCell<Cow<'a, str>>,
    native: OnceCell<Value>,
}

impl<'a> Row<'a> {
    pub fn new(event: &'a FoundEvent) -> Self {
        Self {
            event,
            text: OnceCell::new(),
            native: OnceCell::new(),
        }
    }

    /// The record's text, which phrases are looked for in.
    pub fn text(&self) -> &str {
        self.text.get_or_init(|| record_text(&self.event.raw))
    }

    /// Calls `visit` with every value of a column until it returns `true`; returns whether it did.
    pub fn visit(&self, column: Column, visit: &mut dyn FnMut(&str) -> bool) -> bool {
        match column {
            Column::Field(id) => match self.event.field(id) {
                None => false,
                Some(Value::List(items)) => items.iter().any(|item| visit(&item.to_text())),
                Some(value) => visit(&value.to_text()),
            },
            Column::Source => visit(self.event.source.name()),
            Column::EventId => visit(&self.event.event_id.to_string()),
            Column::Topic => visit(&self.event.position.topic),
            Column::Partition => visit(&self.event.position.partition.to_string()),
            Column::Offset => visit(&self.event.position.offset.to_string()),
        }
    }

    /// The same for a path into the source's own record. `null` counts as absent.
    pub fn visit_native(&self, path: &str, visit: &mut dyn FnMut(&str) -> bool) -> bool {
        let record = self.native.get_or_init(|| native::parse(&self.event.raw));
        native::visit(record, path, &mut |value| !value.is_null() && visit(&value.to_text()))
    }
}
