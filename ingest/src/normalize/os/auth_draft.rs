//! An event of a syslog line in the making: what the readers of the programs' messages add to.

use casebook_event::{FieldId, Fields, Value};
use compact_str::CompactString;

use crate::normalize::address;

/// An event in the making.
pub(crate) struct Draft {
    pub(crate) fields: Fields,
    pub(crate) native: Vec<(CompactString, Value)>,
}

impl Draft {
    /// Says what happened, in ECS words and in ours.
    pub(crate) fn act(&mut self, category: &'static str, kind: &'static str, action: &'static str) {
        self.fields.push(FieldId::EventCategory, category);
        self.fields.push(FieldId::EventType, kind);
        self.fields.set(FieldId::EventAction, action);
    }

    /// The same, with how it ended.
    pub(crate) fn outcome(
        &mut self,
        category: &'static str,
        kind: &'static str,
        action: &'static str,
        outcome: &'static str,
    ) {
        self.act(category, kind, action);
        self.fields.set(FieldId::EventOutcome, outcome);
    }

    /// Keeps a part of the message under a native name, if it says anything.
    pub(crate) fn note(&mut self, key: &str, text: &str) {
        if !text.is_empty() {
            self.native.push((key.into(), Value::str(text)));
        }
    }

    /// Keeps a mark.
    pub(crate) fn mark(&mut self, key: &str) {
        self.native.push((key.into(), Value::Bool(true)));
    }

    /// The account that acted.
    pub(crate) fn user(&mut self, name: &str) {
        self.fields.set(FieldId::UserName, name.trim());
    }

    /// Where it came from.
    pub(crate) fn source(&mut self, text: &str) {
        address::set_source(&mut self.fields, text);
    }

    /// The command that the program reports on.
    pub(crate) fn command(&mut self, text: &str) {
        let text = text.trim();
        let program = text.split_ascii_whitespace().next().unwrap_or_default();
        if program.starts_with('/') {
            self.fields.set(FieldId::ProcessExecutable, program);
        }
        self.fields.set(FieldId::ProcessCommandLine, text);
    }
}
