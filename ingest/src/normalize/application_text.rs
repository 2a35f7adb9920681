//! An application's lines that are no JSON: logfmt and plain text.

use casebook_event::{FieldId, Fields, Source, Value};

use super::{Context, Normalized, content_id};

/// Any line is an application's.
pub(crate) fn normalize(line: &str, context: &Context<'_>) -> Normalized {
    let mut fields = Fields::new();
    fields.set(FieldId::EventKind, "event");
    fields.set(FieldId::Message, line);
    Normalized {
        source: Source::Application,
        id: content_id(Source::Application, line.as_bytes(), None, context),
        time: context.timestamp,
        fields,
        native: Value::Null,
    }
}
