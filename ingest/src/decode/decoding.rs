//! One record on its way: values, envelopes, lines, and what is joined with other records.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use casebook_event::{Source, Value};

use super::envelope::{self, Batch, Envelope, Inner, Member, Opened};
use super::join::{Body, Held, JoinKey, Joiner};
use super::reject::{self, Reject};
use super::sink::Sink;
use super::{AuditdHead, CriLine, Members, SourceKind, detect, members, stack_trace};
use crate::limits::{MAX_BROKEN_VALUES, MAX_ENVELOPES, MAX_EVENTS_PER_RECORD};
use crate::normalize::{self, ContainerLine, Normalized};

/// One record on its way.
pub(super) struct Decoding<'a> {
    pub(super) kind: SourceKind,
    pub(super) joiner: &'a mut Joiner,
    pub(super) sink: Sink<'a>,
    pub(super) scratch: &'a mut Vec<Normalized>,
}

/// A text under way: what is decoded, and what the event shall keep of it.
#[derive(Clone, Copy)]
struct Part<'a> {
    /// The record's own text.
    text: &'a str,
    /// What is kept: the same, or with the envelope around it.
    raw: &'a str,
    envelope: &'a Envelope,
    depth: usize,
}

impl Decoding<'_> {
    /// Decodes a whole payload.
    pub(super) fn record(&mut self, payload: &[u8]) {
        let stale = self.joiner.take_stale(None);
        if let Some(held) = stale {
            self.release(held);
        }
        match payload.first() {
            None => self.sink.reject(Reject::new(reject::EMPTY, "no content"), payload),
            Some(b'{' | b'[') if is_json(payload) => match std::str::from_utf8(payload) {
                Ok(text) => self.values(text),
                Err(error) => self.sink.reject(Reject::utf8(error), payload),
            },
            Some(_) => match String::from_utf8_lossy(payload) {
                Cow::Borrowed(text) => self.line(Part::whole(text), payload),
                Cow::Owned(text) => {
                    // The repaired text says that it was repaired.
                    let envelope = Envelope {
                        entries: vec![("invalid_utf8".into(), Value::Bool(true))],
                        ..Envelope::default()
                    };
                    let part = Part {
                        envelope: &envelope,
                        ..Part::whole(&text)
                    };
                    self.line(part, payload);
                }
            },
        }
    }

    /// Decodes the values that follow one another in `text`, with commas between where they were lines of an array.
    fn values(&mut self, text: &str) {
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
            let detail = format!("{} behind a JSON value", reject::quote(line));
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
                    members::value_end(text).unwrap_or(text.len())
                };
            }
        }
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        match values.next() {
            Some(Ok(value)) => {
                let end = values.byte_offset();
                self.value(value, Part::whole(&text[..end]));
                end.max(1)
            }
            Some(Err(error)) => {
                // In a record of several lines, the next line is a new chance: but not for ever, since each costs a look
                // at all that follows.
                *broken_values += 1;
                let line = first_line(text);
                let again =
                    text[line.len()..].trim_ascii_start().starts_with('{') && *broken_values < MAX_BROKEN_VALUES;
                let broken = if again { line } else { text };
                self.sink.reject(Reject::json(&error), broken.as_bytes());
                broken.len().max(1)
            }
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
        for (n, (slice, own)) in (0u32..).zip(slices) {
            end = offset(slice) + slice.len();
            if self.sink.parts >= MAX_EVENTS_PER_RECORD {
                let detail = format!("more than {MAX_EVENTS_PER_RECORD} events in a record");
                let rest = outer.text.get(offset(slice)..).unwrap_or(slice);
                self.sink.reject(Reject::new(reject::TOO_MANY, detail), rest.as_bytes());
                return outer.text.len();
            }
            let slice = slice.trim_ascii_end();
            let envelope = own.map(|own| own.within(outer.envelope));
            let part = Part {
                text: slice,
                raw: slice,
                envelope: envelope.as_ref().unwrap_or(outer.envelope),
                depth: outer.depth + 1,
            };
            let value = match serde_json::from_str::<Value>(slice) {
                Ok(value @ Value::Map(_)) => value,
                Ok(_) => {
                    let detail = format!("{} is no JSON object", reject::quote(slice));
                    let reject = Reject::new(reject::WRONG_SHAPE, detail).in_member(n);
                    self.sink.reject(reject, slice.as_bytes());
                    continue;
                }
                Err(error) => {
                    self.sink.reject(Reject::json(&error).in_member(n), slice.as_bytes());
                    continue;
                }
            };
            match batch.map_or(Member::Record, envelope::member_of) {
                Member::Record => self.value(value, part),
                Member::Wrapped(open) => {
                    let (inner, own) = open(value);
                    let own = own.within(part.envelope);
                    self.inner(inner, Part { envelope: &own, ..part });
                }
            }
        }
        end
    }

    /// Decodes a parsed value, which `part.text` is the text of.
    fn value(&mut self, value: Value, part: Part<'_>) {
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
                if inner.starts_with('{')
                    && let Ok(value @ Value::Map(_)) = serde_json::from_str::<Value>(inner)
                {
                    return self.value(value, Part { text: inner, ..part });
                }
                self.line(part, raw.as_bytes());
            }
        }
    }

    /// Decodes a source's own object.
    fn leaf(&mut self, value: Value, part: Part<'_>) {
        if !matches!(value, Value::Map(_)) {
            let detail = format!("{} is no JSON object", reject::quote(part.text));
            return self
                .sink
                .reject(Reject::new(reject::WRONG_SHAPE, detail), part.raw.as_bytes());
        }
        let source = match self.kind {
            SourceKind::Source(source) => Ok(source),
            SourceKind::Auto if part.envelope.container => Ok(Source::ContainerLog),
            SourceKind::Auto => detect::detect_object(&value).map(|(source, _)| source),
        };
        let done = source.and_then(|source| {
            if source == Source::ContainerLog {
                let line = ContainerLine::of_object(value)?;
                self.container(line, part);
                return Ok(());
            }
            let context = self.sink.context(part.text, part.envelope);
            normalize::object(source, value, &context, self.scratch)
        });
        match done {
            Ok(()) => self.give_out(part),
            Err(reject) => {
                self.scratch.clear();
                self.sink.reject(reject, part.raw.as_bytes());
            }
        }
    }

    /// Decodes a line of text; `payload` is what a dead letter of it holds.
    fn line(&mut self, part: Part<'_>, payload: &[u8]) {
        let source = match self.kind {
            SourceKind::Source(source) => source,
            SourceKind::Auto if part.envelope.container => Source::ContainerLog,
            SourceKind::Auto => match detect::detect_line(part.text) {
                Ok((source, _)) => source,
                Err(reject) => return self.sink.reject(reject, payload),
            },
        };
        let result = match source {
            Source::ContainerLog => match CriLine::parse(part.text) {
                Some(line) => {
                    self.container(ContainerLine::of_cri(&line), part);
                    return;
                }
                None if part.envelope.container => {
                    let line = ContainerLine::of_text(part.text, part.envelope.time);
                    self.container(line, part);
                    return;
                }
                None => {
                    let detail = format!("no CRI line and no JSON: {}", reject::quote(part.text));
                    Err(Reject::new(reject::WRONG_SHAPE, detail))
                }
            },
            Source::Auditd => match AuditdHead::parse(part.text) {
                Some(head) => {
                    self.auditd(head, part);
                    return;
                }
                None => {
                    let detail = format!("no type= and msg=audit(…): {}", reject::quote(part.text));
                    Err(Reject::new(reject::WRONG_SHAPE, detail))
                }
            },
            Source::Application => {
                self.text(source, part);
                return;
            }
            source if normalize::is_json_only(source) => Err(match serde_json::from_str::<Value>(part.text) {
                Ok(_) => Reject::new(reject::WRONG_SHAPE, "no JSON object"),
                Err(error) => Reject::json(&error),
            }),
            _ => {
                let context = self.sink.context(part.text, part.envelope);
                normalize::line(source, &context)
            }
        };
        match result {
            Ok(normalized) => self.sink.event(normalized, part.raw, part.envelope),
            Err(reject) => self.sink.reject(reject, payload),
        }
    }

    /// A container's line: joined with its other parts, then with the lines of its stack trace.
    fn container(&mut self, line: ContainerLine<'_>, part: Part<'_>) {
        let cut = container_key(&line, part.envelope, &self.sink_topic(), 0);
        let (line, raw) = if self.joiner.get(cut).is_some() {
            let (message, more) = (line.message.to_string(), line.partial);
            let added = self.joiner.add(cut, part.raw, |body| {
                if let Body::Container(held) = body {
                    held.append("", &message);
                }
            });
            if added && more {
                return;
            }
            let Some(held) = self.joiner.take(cut) else { return };
            if !added {
                // Full: what there is is an event, and this part begins the next one.
                self.release(held);
                return self.container(line, part);
            }
            match held.body {
                Body::Container(line) => (line, Cow::Owned(held.raw)),
                _ => return,
            }
        } else if line.partial {
            let held = Held::new(Body::Container(line.into_owned()), part.raw, part.envelope);
            return self.joiner.hold(cut, held);
        } else {
            (line.into_owned(), Cow::Borrowed(part.raw))
        };
        let trace = container_key(&line, part.envelope, &self.sink_topic(), 1);
        if self.joiner.get(trace).is_some() {
            let added = stack_trace::continues(&line.message)
                && self.joiner.add(trace, &raw, |body| {
                    if let Body::Container(held) = body {
                        held.append("\n", &line.message);
                    }
                });
            if added {
                return;
            }
            if let Some(held) = self.joiner.take(trace) {
                self.release(held);
            }
        }
        if stack_trace::is_head(&line.message) {
            let held = Held::new(Body::Container(line), &raw, part.envelope);
            return self.joiner.hold(trace, held);
        }
        self.container_event(line, &raw, part.envelope);
    }

    fn container_event(&mut self, line: ContainerLine<'_>, raw: &str, envelope: &Envelope) {
        let context = self.sink.context(raw, envelope);
        let normalized = normalize::container(line, &context);
        self.sink.event(normalized, raw, envelope);
    }

    /// A line of an application's own file.
    fn text(&mut self, source: Source, part: Part<'_>) {
        let mut hasher = DefaultHasher::new();
        (2u8, &part.envelope.file, &self.sink_topic()).hash(&mut hasher);
        for (_, text) in &part.envelope.place {
            text.hash(&mut hasher);
        }
        let key = hasher.finish();
        if self.joiner.get(key).is_some() {
            let added = stack_trace::continues(part.text)
                && self.joiner.add(key, part.raw, |body| {
                    if let Body::Text(_, text) = body {
                        text.push('\n');
                        text.push_str(part.text);
                    }
                });
            if added {
                return;
            }
            if let Some(held) = self.joiner.take(key) {
                self.release(held);
            }
        }
        let held = Held::new(Body::Text(source, part.text.to_owned()), part.raw, part.envelope);
        if stack_trace::is_head(part.text) {
            return self.joiner.hold(key, held);
        }
        self.release(held);
    }

    /// A record of the audit daemon.
    fn auditd(&mut self, head: AuditdHead<'_>, part: Part<'_>) {
        while let Some(held) = self.joiner.take_stale(Some(head.time_ms)) {
            self.release(held);
        }
        let body = || Body::Auditd(vec![part.text.to_owned()], head.time_ms);
        if head.is_whole() {
            return self.release(Held::new(body(), part.raw, part.envelope));
        }
        let mut hasher = DefaultHasher::new();
        (3u8, head.node, head.time_ms, head.serial, &self.sink_topic()).hash(&mut hasher);
        part.envelope.place.iter().for_each(|(_, text)| text.hash(&mut hasher));
        let key = hasher.finish();
        // The kernel writes PROCTITLE last, and the daemon's own file has no EOE.
        let last = head.is_last() || head.kind == "PROCTITLE";
        if self.joiner.get(key).is_none() {
            if head.is_last() {
                // The end of an event that was given out already.
                return;
            }
            self.joiner.hold(key, Held::new(body(), part.raw, part.envelope));
        } else {
            let added = self.joiner.add(key, part.raw, |body| {
                if let Body::Auditd(records, _) = body {
                    records.push(part.text.to_owned());
                }
            });
            if !added {
                if let Some(held) = self.joiner.take(key) {
                    self.release(held);
                }
                self.joiner.hold(key, Held::new(body(), part.raw, part.envelope));
            }
        }
        if last && let Some(held) = self.joiner.take(key) {
            self.release(held);
        }
    }

    /// Gives out what was held, joined or not.
    pub(super) fn release(&mut self, held: Held) {
        let Held {
            body, raw, envelope, ..
        } = held;
        let result = match body {
            Body::Container(line) => return self.container_event(line, &raw, &envelope),
            Body::Text(source, text) => {
                let context = self.sink.context(&text, &envelope);
                normalize::line(source, &context)
            }
            Body::Auditd(records, _) => {
                let records: Vec<&str> = records.iter().map(String::as_str).collect();
                let context = self.sink.context(&raw, &envelope);
                normalize::auditd(&records, &context)
            }
        };
        match result {
            Ok(normalized) => self.sink.event(normalized, &raw, &envelope),
            Err(reject) => self.sink.reject(reject, raw.as_bytes()),
        }
    }

    fn give_out(&mut self, part: Part<'_>) {
        // Of a record that tells of several things, each event keeps its own part.
        let several = self.scratch.len() > 1;
        for normalized in self.scratch.drain(..) {
            if several {
                let own = normalized.native.to_text().into_owned();
                self.sink.event(normalized, &own, part.envelope);
            } else {
                self.sink.event(normalized, part.raw, part.envelope);
            }
        }
    }

    fn sink_topic(&self) -> std::sync::Arc<str> {
        self.sink.topic()
    }
}

impl<'a> Part<'a> {
    /// A text without an envelope.
    fn whole(text: &'a str) -> Self {
        static NONE: Envelope = Envelope::NONE;
        Self {
            text,
            raw: text,
            envelope: &NONE,
            depth: 0,
        }
    }
}

/// What names a container's stream: whatever the record and its envelopes say of the place.
fn container_key(line: &ContainerLine<'_>, envelope: &Envelope, topic: &str, slot: u8) -> JoinKey {
    let mut hasher = DefaultHasher::new();
    (slot, topic, line.stream.as_str(), &envelope.file).hash(&mut hasher);
    for (_, text) in &envelope.place {
        text.hash(&mut hasher);
    }
    line.place(&mut |text| text.hash(&mut hasher));
    hasher.finish()
}

/// `[` also begins many a line of text.
fn is_json(payload: &[u8]) -> bool {
    payload.first() == Some(&b'{')
        || matches!(
            payload.get(1..).unwrap_or_default().trim_ascii_start().first(),
            None | Some(b'{' | b'[' | b']')
        )
}

fn first_line(text: &str) -> &str {
    text.split_once('\n').map_or(text, |(line, _)| line)
}
