//! A source's own record: as a tree, or as places in the text that the event keeps anyway.

use crate::{Tape, Value, ValueRef};

/// The source's own record, for native field names.
#[derive(Debug, Clone, PartialEq)]
pub enum Native {
    /// A tree of its own. `Null` where the record is text, and where it is no longer needed.
    Tree(Value),
    /// Places in the event's raw text, which is the record and nothing else.
    OfRaw(Tape),
}

impl Native {
    /// No record.
    pub const NONE: Self = Self::Tree(Value::Null);

    /// Whether there is no record.
    pub fn is_none(&self) -> bool {
        matches!(self, Self::Tree(Value::Null))
    }

    /// The record, `raw` being the event's raw text.
    pub fn root<'a>(&'a self, raw: &'a str) -> ValueRef<'a> {
        match self {
            Self::Tree(value) => value.as_ref(),
            Self::OfRaw(tape) => tape.root(raw),
        }
    }
}

impl From<Value> for Native {
    fn from(value: Value) -> Self {
        Self::Tree(value)
    }
}
