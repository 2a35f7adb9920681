//! An application's lines that are no JSON: logfmt and plain text, with the stack traces that belong to them.

use casebook_event::{FieldId, Fields, Source, Value};

use super::plain_text;
use crate::normalize::context::{Context, Normalized, content_id};
use crate::settings::TrustedProxies;

/// The mark by which a line is known as an application's: logfmt's, with a level and a message. Other text may be anything.
pub(crate) fn recognize(line: &str) -> Option<&'static str> {
    let mut fields = Fields::new();
    let read = plain_text::read(line, &TrustedProxies::NONE, &mut fields);
    let logfmt = read.time.is_some() && fields.get(FieldId::LogLevel).is_some() && !read.native.is_empty();
    logfmt.then_some("pairs with a time and a level (logfmt)")
}

/// Any line is an application's. The identity is the line and its time; without one, where it was read.
pub(crate) fn normalize(line: &str, context: &Context<'_>) -> Normalized {
    let mut fields = Fields::new();
    fields.set(FieldId::EventKind, "event");
    let read = plain_text::read(line, &context.settings.trusted_proxies, &mut fields);
    if read.time.is_none() {
        context.mark_time(&mut fields);
    }
    let native = match read.native.is_empty() {
        true => Value::Null,
        false => Value::Map(read.native),
    };
    Normalized {
        source: Source::Application,
        id: content_id(Source::Application, line.as_bytes(), read.time, context),
        time: read.time.unwrap_or(context.timestamp),
        fields,
        native: native.into(),
    }
}
