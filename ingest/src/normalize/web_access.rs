//! Access and error logs of web servers, read from their own files; what a server in a container prints is the container's
//! ([`super::container_log`]), and is read the same way.
//!
//! Nothing in a line is its own id: the identity is the line and its time.

use casebook_event::{FieldId, Fields, Source, Value};

use super::{Context, Normalized, content_id, web_line};
use crate::decode::reject::{self, Reject};
use crate::settings::TrustedProxies;

/// The mark by which a line is known as a web server's.
pub(crate) fn recognize(line: &str) -> Option<&'static str> {
    web_line::read(line, &TrustedProxies::NONE, &mut Fields::new()).map(|read| read.mark)
}

/// One line.
pub(crate) fn normalize(line: &str, context: &Context<'_>) -> Result<Normalized, Reject> {
    let mut fields = Fields::new();
    fields.set(FieldId::EventKind, "event");
    let Some(read) = web_line::read(line, &context.settings.trusted_proxies, &mut fields) else {
        let detail = format!("no access or error log of a web server: {}", reject::quote(line));
        return Err(Reject::new(reject::WRONG_SHAPE, detail));
    };
    fields.set(FieldId::Message, line);
    Ok(Normalized {
        source: Source::WebAccess,
        id: content_id(Source::WebAccess, line.as_bytes(), Some(read.time), context),
        time: read.time,
        fields,
        native: Value::Map(read.native).into(),
    })
}
