//! From a record's bytes to events: which format, which source, one event or several.
//!
//! ```text
//! RawRecord ─▶ text ─┬─ JSON ─▶ values, members of batches ─▶ detect ─▶ normalize/{kubernetes_audit, cloudtrail, …} ─▶ Event
//!                    └─ line ─▶ cri | syslog ───────────────▶ detect ─▶ normalize/{container_log, auth} ─────────────▶ Event
//!                                                     whatever fails on the way, with its own bytes only ─▶ DeadLetter
//! ```
//!
//! Decoding keeps nothing between records: the same record gives the same events, whatever came before it.

mod auditd;
#[cfg_attr(not(any(test, fuzzing)), allow(dead_code, reason = "called by the decoder soon"))]
pub(crate) mod compression;
mod cri;
mod detect;
#[allow(dead_code)]
mod envelope;
#[cfg_attr(not(any(test, fuzzing)), allow(dead_code, reason = "called by the decoder soon"))]
pub(crate) mod mask;
mod members;
pub(crate) mod reject;
mod syslog;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use casebook_event::{DeadLetter, Event, EventBatch, RawRecord, Source, Timestamp, UnknownSource, Value};
use compact_str::CompactString;

pub(crate) use auditd::AuditdHead;
pub(crate) use cri::CriLine;
pub use detect::detect_source;
use members::Members;
pub use reject::Reject;
pub(crate) use syslog::SyslogLine;

use crate::limits::{MAX_BROKEN_VALUES, MAX_EVENTS_PER_RECORD, MAX_RECORD_BYTES};
use crate::normalize::{self, Context, Normalized};

/// What a topic's records are said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SourceKind {
    /// Told by each record's content.
    #[default]
    Auto,
    /// All of one source. What is not is a dead letter.
    Source(Source),
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.pad("auto"),
            Self::Source(source) => f.pad(source.name()),
        }
    }
}

impl FromStr for SourceKind {
    type Err = UnknownSource;

    fn from_str(name: &str) -> Result<Self, UnknownSource> {
        if name == "auto" {
            Ok(Self::Auto)
        } else {
            name.parse().map(Self::Source)
        }
    }
}

/// Turns records into events.
#[derive(Debug, Clone, Copy, Default)]
pub struct Decoder {
    kind: SourceKind,
}

/// The top-level keys under which a record holds several events.
const BATCH_KEYS: &[&str] = &["Records", "items", "Events"];

impl Decoder {
    /// A decoder of records of that kind.
    pub fn new(kind: SourceKind) -> Self {
        Self { kind }
    }

    /// Appends what `record` holds: events, and a dead letter for every part that is none. Every record leaves at least
    /// one of either, but for an empty batch (`{"Records":[]}`), which leaves none.
    ///
    /// Positions are the record's, with `index` counted on from the record's own. The caller keeps `checkpoint` and
    /// `input_bytes`.
    pub fn decode(&self, record: &RawRecord, ingested: Timestamp, out: &mut EventBatch) {
        let mut sink = Sink {
            position: record.position.clone(),
            timestamp: record.timestamp,
            ingested,
            out,
            index: 0,
            broken_values: 0,
        };
        if record.payload.len() > MAX_RECORD_BYTES {
            let detail = format!("{} bytes are more than {MAX_RECORD_BYTES}", record.payload.len());
            return sink.reject(Reject::new(reject::TOO_LARGE, detail), &record.payload);
        }
        let payload = trim(&record.payload);
        match payload.first() {
            None => sink.reject(Reject::new(reject::EMPTY, "no content"), &record.payload),
            Some(b'{') => self.decode_json(payload, &mut sink),
            // `[` also begins many a line of text.
            Some(b'[') if matches!(payload[1..].trim_ascii_start().first(), None | Some(b'{' | b'[' | b']')) => {
                self.decode_json(payload, &mut sink);
            }
            Some(_) => self.decode_line(payload, &mut sink),
        }
    }

    fn decode_json(&self, payload: &[u8], sink: &mut Sink<'_>) {
        let mut rest = match std::str::from_utf8(payload) {
            Ok(text) => text,
            Err(error) => return sink.reject(Reject::utf8(error), payload),
        };
        while !rest.is_empty() {
            let read = self.decode_value(rest, sink);
            // Several values in a record follow one another, with commas where they were lines of an array.
            rest = rest[read..].trim_start_matches(|c: char| c == ',' || c.is_ascii_whitespace());
        }
    }

    /// Decodes the value that `text` begins with, and returns how many bytes that took: always at least one.
    fn decode_value(&self, text: &str, sink: &mut Sink<'_>) -> usize {
        if !text.starts_with(['{', '[']) {
            let line = first_line(text);
            sink.reject(
                Reject::new(
                    reject::INVALID_JSON,
                    format!("{} behind a JSON value", reject::quote(line)),
                ),
                line.as_bytes(),
            );
            return line.len().max(1);
        }
        let batch = self.batch_of(text);
        if let Some(members) = batch {
            return self.decode_members(text, members, sink);
        }
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        match values.next() {
            Some(Ok(value)) => {
                let end = values.byte_offset();
                let slice = &text[..end];
                if self.is_batch(&value)
                    && let Some(members) = Members::of_object(slice, BATCH_KEYS)
                {
                    self.decode_members(slice, members, sink);
                } else {
                    match self.normalize(value, slice, sink) {
                        Ok(normalized) => sink.events(normalized, slice),
                        Err(reject) => sink.reject(reject, slice.as_bytes()),
                    }
                }
                end.max(1)
            }
            Some(Err(error)) => {
                // In a record of several lines, the next line is a new chance: but not for ever, since each costs a look
                // at all that follows.
                sink.broken_values += 1;
                let line = first_line(text);
                let again =
                    text[line.len()..].trim_ascii_start().starts_with('{') && sink.broken_values < MAX_BROKEN_VALUES;
                let broken = if again { line } else { text };
                sink.reject(Reject::json(&error), broken.as_bytes());
                broken.len().max(1)
            }
            None => text.len().max(1),
        }
    }

    /// The members of `text` where its beginning already says that it holds several events: saves a parse of the whole.
    fn batch_of<'a>(&self, text: &'a str) -> Option<Members<'a>> {
        if text.starts_with('[') {
            return Members::of_array(text);
        }
        let inner = text[1..].trim_ascii_start();
        let records = inner.starts_with(r#""Records""#)
            && matches!(self.kind, SourceKind::Auto | SourceKind::Source(Source::CloudTrail));
        let list = matches!(
            self.kind,
            SourceKind::Auto | SourceKind::Source(Source::KubernetesAudit)
        ) && inner.get(..160).unwrap_or(inner).contains(r#""EventList""#);
        if records || list {
            Members::of_object(text, BATCH_KEYS)
        } else {
            None
        }
    }

    /// Whether a parsed object is an envelope around several events.
    fn is_batch(&self, value: &Value) -> bool {
        let list = |key: &str| value.get(key).and_then(Value::as_list);
        let audit = || value.get("kind").and_then(Value::as_str) == Some("EventList") && list("items").is_some();
        let cloudtrail = || {
            let holds = |items: Option<&[Value]>, key: &str| {
                items.is_some_and(|items| items.is_empty() || items.iter().any(|item| item.get(key).is_some()))
            };
            holds(list("Records"), "eventSource") || holds(list("Events"), "CloudTrailEvent")
        };
        match self.kind {
            SourceKind::Auto => audit() || cloudtrail(),
            SourceKind::Source(Source::KubernetesAudit) => audit(),
            SourceKind::Source(Source::CloudTrail) => cloudtrail(),
            SourceKind::Source(_) => false,
        }
    }

    /// Decodes each member on its own. Returns how many bytes of `text` that took.
    fn decode_members<'a>(&self, text: &'a str, members: Members<'a>, sink: &mut Sink<'_>) -> usize {
        let offset = |slice: &str| slice.as_ptr() as usize - text.as_ptr() as usize;
        let mut end = 1;
        for (n, slice) in (0u32..).zip(members) {
            end = offset(slice) + slice.len();
            if sink.index >= MAX_EVENTS_PER_RECORD {
                let detail = format!("more than {MAX_EVENTS_PER_RECORD} events in a record");
                sink.reject(Reject::new(reject::TOO_MANY, detail), &text.as_bytes()[offset(slice)..]);
                return text.len();
            }
            let slice = slice.trim_ascii_end();
            let result = serde_json::from_str::<Value>(slice)
                .map_err(|error| Reject::json(&error))
                .and_then(|value| self.normalize(value, slice, sink));
            match result {
                Ok(normalized) => sink.events(normalized, slice),
                Err(reject) => sink.reject(reject.in_member(n), slice.as_bytes()),
            }
        }
        if end == 1 && text.len() <= 1 + text.bytes().skip(1).take_while(u8::is_ascii_whitespace).count() {
            // An array that begins and is cut off: an empty one has its end.
            sink.reject(
                Reject::new(reject::INVALID_JSON, "an array without an end"),
                text.as_bytes(),
            );
            return text.len();
        }
        // Behind the members stand the closing bracket and the envelope's other keys: they are no events.
        if text.starts_with('[') {
            text[end..].find(']').map_or(text.len(), |at| end + at + 1)
        } else {
            members::value_end(text).unwrap_or(text.len())
        }
    }

    fn normalize(&self, value: Value, raw: &str, sink: &Sink<'_>) -> Result<Vec<Normalized>, Reject> {
        if !matches!(value, Value::Map(_)) {
            return Err(Reject::new(
                reject::WRONG_SHAPE,
                format!("{} is no JSON object", reject::quote(raw)),
            ));
        }
        let source = match self.kind {
            SourceKind::Source(source) => source,
            SourceKind::Auto => detect::detect_object(&value)?.0,
        };
        let mut out = Vec::with_capacity(1);
        normalize::object(source, value, &sink.context(raw), &mut out)?;
        Ok(out)
    }

    fn decode_line(&self, payload: &[u8], sink: &mut Sink<'_>) {
        let text = match self.kind {
            SourceKind::Source(Source::KubernetesAudit | Source::CloudTrail) => {
                let reject = match serde_json::from_slice::<Value>(payload) {
                    Ok(_) => Reject::new(reject::WRONG_SHAPE, "no JSON object"),
                    Err(error) => Reject::json(&error),
                };
                return sink.reject(reject, payload);
            }
            _ => String::from_utf8_lossy(payload),
        };
        let context = sink.context(&text);
        let result = match self.kind {
            SourceKind::Auto => detect::detect_line(&text).map(|(source, _)| source),
            SourceKind::Source(source) => Ok(source),
        }
        .and_then(|source| normalize::line(source, &context));
        match result {
            Ok(mut normalized) => {
                if let (Cow::Owned(_), Value::Map(entries)) = (&text, &mut normalized.native) {
                    entries.push(("invalid_utf8".into(), Value::Bool(true)));
                }
                let raw = CompactString::new(&text);
                sink.event(normalized, raw);
            }
            Err(reject) => sink.reject(reject, payload),
        }
    }
}

/// Where the parts of one record go.
struct Sink<'a> {
    /// Where the next part stands.
    position: casebook_event::Position,
    timestamp: Timestamp,
    ingested: Timestamp,
    out: &'a mut EventBatch,
    /// Parts so far.
    index: u32,
    broken_values: u32,
}

impl Sink<'_> {
    fn context<'b>(&'b self, raw: &'b str) -> Context<'b> {
        Context {
            raw,
            position: &self.position,
            timestamp: self.timestamp,
        }
    }

    fn take_position(&mut self) -> casebook_event::Position {
        let position = self.position.clone();
        self.position.index = position.index.saturating_add(1);
        self.index += 1;
        position
    }

    fn events(&mut self, normalized: Vec<Normalized>, raw: &str) {
        for normalized in normalized {
            self.event(normalized, raw.into());
        }
    }

    fn event(&mut self, normalized: Normalized, raw: CompactString) {
        let Normalized {
            source,
            id,
            time,
            fields,
            native,
        } = normalized;
        let position = self.take_position();
        self.out.events.push(Event {
            id,
            time,
            ingested: self.ingested,
            source,
            position,
            fields,
            native,
            raw,
        });
    }

    fn reject(&mut self, reject: Reject, payload: &[u8]) {
        let position = self.take_position();
        let Reject { reason, detail } = reject;
        self.out.dead_letters.push(DeadLetter {
            position,
            ingested: self.ingested,
            reason,
            detail,
            payload: payload.to_vec(),
        });
    }
}

fn first_line(text: &str) -> &str {
    text.split_once('\n').map_or(text, |(line, _)| line)
}

/// Without white space at the end, a byte order mark at the beginning, and NULs at either: a log that was truncated
/// under a writer's hands begins with a hole that reads as NULs.
fn trim(payload: &[u8]) -> &[u8] {
    let mut payload = payload.strip_prefix(b"\xef\xbb\xbf").unwrap_or(payload);
    while let [0, rest @ ..] = payload {
        payload = rest;
    }
    while let [rest @ .., 0 | b'\n' | b'\r' | b' ' | b'\t'] = payload {
        payload = rest;
    }
    // Text keeps its indentation; JSON does not need it.
    let inner = payload.trim_ascii_start();
    if matches!(inner.first(), Some(b'{' | b'[')) {
        inner
    } else {
        payload
    }
}
