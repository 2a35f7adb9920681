//! One event as a search sees it.

use std::borrow::Cow;
use std::cell::OnceCell;

use casebook_event::{Event, Value};

use super::native;
use crate::data_file::Column;
use crate::index::tokenizer::record_text;

/// An event with what is derived from it, once.
pub(crate) struct Row<'a> {
    pub event: &'a Event,
    text: OnceCell<Cow<'a, str>>,
    native: OnceCell<Value>,
}

impl<'a> Row<'a> {
    pub fn new(event: &'a Event) -> Self {
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
            Column::Field(id) => match self.event.fields.get(id) {
                None => false,
                Some(Value::List(items)) => items.iter().any(|item| visit(&item.to_text())),
                Some(value) => visit(&value.to_text()),
            },
            Column::Source => visit(self.event.source.name()),
            Column::EventId => visit(&self.event.id.to_string()),
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
