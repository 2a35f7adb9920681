//! JSON values, one after another, in batches and in envelopes, down to a source's own record.

use casebook_event::json::{Members, value_end};
use casebook_event::{Native, Source, Tape, Value};

use super::decoding::{Decoding, Part, first_line};
use super::envelope::{self, Batch, Envelope, Inner, Member, Opened};
use crate::format::json;
use crate::format::reject::{self, Reject};
use crate::limits::{MAX_ENVELOPES, MAX_EVENTS_PER_RECORD};
use crate::normalize;
use crate::source_kind::SourceKind;

impl Decoding<'_> {
    /// Decodes the values that follow one another in `text`, with commas between where they were lines of an array.
    pub(super) fn values(&mut self, text: &str) {
        let mut rest = text;
        let mut broken_values = 0;
        while !rest.is_empty() {
            let read = self.next_value(rest, &mut broken_values);
            rest = rest[read..].trim_start_matches(|c: char| c == ',' || c.is_ascii_whitespace());
        }
    }

    /// Decodes the value that `text` begins with, and returns how many bytes that took: always at least one.
    fn next_value(&mut self, text: &str, broken_values: &mut u32) -> usize {
        if !text.starts_with(['{', '[']) {
            let line = first_line(text);
            let detail = format!("{} after a JSON value", reject::quote(line));
            self.sink
                .reject(Reject::new(reject::INVALID_JSON, detail), line.as_bytes());
            return line.len().max(1);
        }
        // Of an array or a well-known batch, the members are parsed one by one: never the whole.
        if text.strip_prefix('[').is_some_and(|rest| rest.trim_ascii().is_empty()) {
            // An array that begins and is cut off: an empty one has its end.
            self.sink.reject(
                Reject::new(reject::INVALID_JSON, "an array without an end"),
                text.as_bytes(),
            );
            return text.len();
        }
        if let Some(batch) = self.batch_at(text) {
            let all = match batch {
                None => Members::of_array(text),
                Some(key) => Members::of_object(text, &[key]),
            };
            if let Some(all) = all {
                let slices = all.map(|slice| (slice, None)).collect();
                let end = self.members(slices, batch.map(Batch::Key), Part::whole(text));
                return if text.starts_with('[') {
                    text[end..].find(']').map_or(text.len(), |at| end + at + 1)
                } else {
                    value_end(text).unwrap_or(text.len())
                };
            }
        }
        if let Some((tape, end)) = self.tape_of(text) {
            self.sink.enter(&text[..end]);
            if self.plain(tape, Part::whole(&text[..end])) {
                return end;
            }
        }
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        match values.next() {
            Some(Ok(value)) => {
                let end = values.byte_offset();
                self.sink.enter(&text[..end]);
                self.value(value, Part::whole(&text[..end]));
                end.max(1)
            }
            Some(Err(error)) => self.refused(text, &error, broken_values),
            None => text.len().max(1),
        }
    }

    /// Whether `text` begins with an array (`None`) or with the key of a batch: what a file of events looks like.
    fn batch_at(&self, text: &str) -> Option<Option<&'static str>> {
        if text.starts_with('[') {
            return Some(None);
        }
        let inner = text[1..].trim_ascii_start();
        let records = inner.starts_with(r#""Records""#)
            && matches!(self.kind, SourceKind::Auto | SourceKind::Source(Source::CloudTrail));
        let list = matches!(
            self.kind,
            SourceKind::Auto | SourceKind::Source(Source::KubernetesAudit)
        ) && inner.get(..160).unwrap_or(inner).contains(r#""EventList""#);
        match (records, list) {
            (true, _) => Some(Some("Records")),
            (_, true) => Some(Some("items")),
            _ => None,
        }
    }

    /// Decodes each member on its own. Returns where in the outer text the last one ends.
    fn members(&mut self, slices: Vec<(&str, Option<Envelope>)>, batch: Option<Batch>, outer: Part<'_>) -> usize {
        let offset = |slice: &str| (slice.as_ptr() as usize).saturating_sub(outer.text.as_ptr() as usize);
        let mut end = 1;
        let mut last = None;
        for (n, (slice, own)) in (0u32..).zip(slices) {
            last = Some((n, slice));
            end = offset(slice) + slice.len();
            if self.sink.parts >= MAX_EVENTS_PER_RECORD {
                let detail = format!("more than {MAX_EVENTS_PER_RECORD} events in a record");
                let rest = outer.text.get(offset(slice)..).unwrap_or(slice);
                self.sink.reject(Reject::new(reject::TOO_MANY, detail), rest.as_bytes());
                return outer.text.len();
            }
            let slice = slice.trim_ascii_end();
            self.sink.enter(slice);
            let envelope = own.map(|own| own.within(outer.envelope));
            let part = Part {
                text: slice,
                raw: slice,
                envelope: envelope.as_ref().unwrap_or(outer.envelope),
                depth: outer.depth + 1,
            };
            self.member(n, batch, part);
        }
        self.no_end(last, end, outer);
        end
    }

    /// Decodes the `n`-th member of a batch.
    fn member(&mut self, n: u32, batch: Option<Batch>, part: Part<'_>) {
        let member = batch.map_or(Member::Record, envelope::member_of);
        if matches!(member, Member::Record)
            && let Some((tape, end)) = self.tape_of(part.text)
            && end == part.text.len()
            && self.plain(tape, part)
        {
            return;
        }
        let mut marked = None;
        let value = match serde_json::from_str::<Value>(part.text) {
            Ok(value @ Value::Map(_)) => value,
            Ok(_) => {
                let detail = format!("{} is no JSON object", reject::quote(part.text));
                let reject = Reject::new(reject::WRONG_SHAPE, detail).in_member(n);
                return self.sink.reject(reject, part.text.as_bytes());
            }
            Err(error) => match json::recover_all(part.text) {
                Some(found) => {
                    marked = Some(Envelope::of_recovered(&found).within(part.envelope));
                    found.value
                }
                None => {
                    let reject = self.reject_of(&error).in_member(n);
                    return self.sink.reject(reject, part.text.as_bytes());
                }
            },
        };
        let part = Part {
            envelope: marked.as_ref().unwrap_or(part.envelope),
            ..part
        };
        match member {
            Member::Record => self.value(value, part),
            Member::Wrapped(open) => {
                let hidden = part.envelope.truncated && !envelope::wants_inner(self.kind);
                let (inner, own) = open(value, hidden);
                let own = own.within(part.envelope);
                self.inner(inner, Part { envelope: &own, ..part });
            }
        }
    }

    /// The object that `text` begins with, where the topic's records may be read in place.
    fn tape_of(&self, text: &str) -> Option<(Tape, usize)> {
        match self.kind {
            SourceKind::Source(source) if normalize::reads_in_place(source) => Tape::parse_object(text),
            _ => None,
        }
    }

    /// Decodes an object of the topic's own source in place, `part` having its text and nothing around it. Whether it was one.
    fn plain(&mut self, tape: Tape, part: Part<'_>) -> bool {
        let SourceKind::Source(source) = self.kind else {
            return false;
        };
        let context = self.sink.context(part.text, part.envelope);
        match normalize::plain_object(source, tape.root(part.text), &context) {
            None => return false,
            Some(Ok(mut normalized)) => {
                if normalized.native.is_none() {
                    normalized.native = Native::OfRaw(tape);
                }
                self.sink.event(normalized, part.raw, part.envelope);
            }
            Some(Err(reject)) => self.sink.reject(reject, part.raw.as_bytes()),
        }
        true
    }

    /// Decodes a parsed value, which `part.text` is the text of.
    pub(super) fn value(&mut self, value: Value, part: Part<'_>) {
        if part.depth > MAX_ENVELOPES {
            let detail = format!("more than {MAX_ENVELOPES} envelopes around one another");
            return self
                .sink
                .reject(Reject::new(reject::TOO_DEEP, detail), part.raw.as_bytes());
        }
        if self.is_own(&value) {
            return self.leaf(value, part);
        }
        match envelope::open(value, self.kind, part.envelope) {
            Ok(Opened::Leaf(value)) => self.leaf(value, part),
            Ok(Opened::One(inner, envelope)) => self.inner(
                inner,
                Part {
                    envelope: &envelope,
                    ..part
                },
            ),
            Ok(Opened::Many(batch, envelope)) => {
                let slices = envelope::members(part.text, batch);
                let part = Part {
                    envelope: &envelope,
                    ..part
                };
                self.members(slices, Some(batch), part);
            }
            Err(reject) => self.sink.reject(reject, part.raw.as_bytes()),
        }
    }

    /// Whether an object is by its first look a record of the topic's own source: no envelope needs to be looked for.
    fn is_own(&self, value: &Value) -> bool {
        match self.kind {
            SourceKind::Source(Source::KubernetesAudit) => value.get("auditID").is_some(),
            SourceKind::Source(Source::CloudTrail) => value.get("eventName").is_some(),
            SourceKind::Source(Source::ContainerLog) => value.get("log").is_some(),
            SourceKind::Source(source) => normalize::recognizes(source, value),
            SourceKind::Auto => false,
        }
    }

    /// Decodes what was inside an envelope.
    fn inner(&mut self, inner: Inner, part: Part<'_>) {
        match inner {
            Inner::Value(value) => {
                // Its text is within the envelope's, and nothing needs it but members, which have it parsed.
                let text = serde_json::to_string(&value).unwrap_or_default();
                let part = Part {
                    text: &text,
                    depth: part.depth + 1,
                    ..part
                };
                self.value(value, part);
            }
            Inner::Text(text) => {
                let text = text.trim_end();
                let raw = if part.envelope.encoded { text } else { part.raw };
                let part = Part {
                    text,
                    raw,
                    depth: part.depth + 1,
                    ..part
                };
                let inner = text.trim_ascii_start();
                if inner.starts_with('{') {
                    let part = Part { text: inner, ..part };
                    match serde_json::from_str::<Value>(inner) {
                        Ok(value @ Value::Map(_)) => return self.value(value, part),
                        Ok(_) => {}
                        Err(_) => {
                            if let Some(recovered) = json::recover_all(inner) {
                                return self.recovered(recovered, part);
                            }
                        }
                    }
                }
                self.line(part, raw.as_bytes());
            }
        }
    }
}
