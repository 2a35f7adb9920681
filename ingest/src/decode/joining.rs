//! How lines and events of several records are joined: cut lines and stack traces of containers, stack traces in text, and
//! the records of audit events. What waits is kept by the [`Joiner`](super::joiner::Joiner).

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use casebook_event::Source;

use super::decoding::{Decoding, Part};
use super::envelope::Envelope;
use super::joiner::{Body, JoinKey, PendingFragment};
use super::{joined_secrets, stack_trace};
use crate::format::auditd::AuditdHead;
use crate::format::reject::Reject;
use crate::normalize;
use crate::normalize::ContainerLine;
use crate::normalize::Normalized;

impl Decoding<'_> {
    /// A container's line: joined with its other parts, then with the lines of its stack trace.
    pub(super) fn container(&mut self, line: ContainerLine<'_>, part: Part<'_>) {
        let cut = container_key(&line, part.envelope, &self.sink.topic(), 0);
        let mut since = i64::MAX;
        let (line, raw) = if self.joiner.get(cut).is_some() {
            let (message, more) = (line.message.to_string(), line.partial);
            let added = self.joiner.add(cut, (part.raw, self.sink.digest()), |body| {
                if let Body::Container(fragment) = body {
                    fragment.append("", &message);
                }
            });
            if added {
                let own = self.own_message(&line, part);
                self.joiner.add_original(cut, own);
            }
            if added && more {
                return;
            }
            let Some(mut fragment) = self.joiner.take(cut) else {
                return;
            };
            if !added {
                // Full: what there is is an event, and this part begins the next one.
                self.release(fragment);
                return self.container(line, part);
            }
            since = fragment.first_offset();
            match std::mem::replace(&mut fragment.body, Body::Auditd(Vec::new(), 0)) {
                Body::Container(joined) => {
                    // With this part it is whole.
                    let line = ContainerLine {
                        partial: more,
                        ..Self::whole_line(joined, &mut fragment)
                    };
                    self.sink.joined(Some(fragment.digest));
                    (line, Cow::Owned(fragment.raw))
                }
                _ => return,
            }
        } else if line.partial {
            let own = self.own_message(&line, part);
            let fragment = PendingFragment::new(
                Body::Container(line.into_owned()),
                part.raw,
                part.envelope,
                self.sink.digest(),
            );
            return self.joiner.hold(cut, fragment.with_original(own));
        } else {
            (line.into_owned(), Cow::Borrowed(part.raw))
        };
        self.whole_container_line(line, &raw, part, since);
        self.sink.joined(None);
    }

    /// A container's line that is whole, of parts from the offset `since` on: joined with the lines of its stack trace.
    fn whole_container_line(&mut self, line: ContainerLine<'static>, raw: &str, part: Part<'_>, since: i64) {
        let trace = container_key(&line, part.envelope, &self.sink.topic(), 1);
        if self.joiner.get(trace).is_some() {
            let added = stack_trace::continues(&line.message)
                && self.joiner.add(trace, (raw, self.sink.digest()), |body| {
                    if let Body::Container(fragment) = body {
                        fragment.append("\n", &line.message);
                    }
                });
            if added {
                return;
            }
            if let Some(fragment) = self.joiner.take(trace) {
                let own = self.sink.joined(None);
                self.release(fragment);
                self.sink.joined(own);
            }
        }
        if stack_trace::is_head(&line.message) {
            let fragment =
                PendingFragment::new(Body::Container(line), raw, part.envelope, self.sink.digest()).since(since);
            self.joiner.hold(trace, fragment);
        } else {
            self.container_event(line, raw, part.envelope);
        }
    }

    fn container_event(&mut self, line: ContainerLine<'_>, raw: &str, envelope: &Envelope) {
        let context = self.sink.context(raw, envelope);
        let normalized = normalize::container(line, &context);
        self.sink.event(normalized, raw, envelope);
    }

    /// A line of an application's own file.
    pub(super) fn text(&mut self, source: Source, part: Part<'_>) {
        let mut hasher = DefaultHasher::new();
        (2u8, &part.envelope.file, &self.sink.topic()).hash(&mut hasher);
        for (_, text) in &part.envelope.place {
            text.hash(&mut hasher);
        }
        let key = hasher.finish();
        if self.joiner.get(key).is_some() {
            let added = stack_trace::continues(part.text)
                && self.joiner.add(key, (part.raw, self.sink.digest()), |body| {
                    if let Body::Text(_, text) = body {
                        text.push('\n');
                        text.push_str(part.text);
                    }
                });
            if added {
                return;
            }
            if let Some(fragment) = self.joiner.take(key) {
                self.release(fragment);
            }
        }
        let body = Body::Text(source, part.text.to_owned());
        let fragment = PendingFragment::new(body, part.raw, part.envelope, self.sink.digest());
        if stack_trace::is_head(part.text) {
            return self.joiner.hold(key, fragment);
        }
        self.release(fragment);
    }

    /// A record of the audit daemon.
    pub(super) fn auditd(&mut self, head: AuditdHead<'_>, part: Part<'_>) {
        while let Some(fragment) = self.joiner.take_stale(Some(head.time_ms)) {
            self.release(fragment);
        }
        let body = || Body::Auditd(vec![part.text.to_owned()], head.time_ms);
        if head.is_whole() {
            return self.release(PendingFragment::new(
                body(),
                part.raw,
                part.envelope,
                self.sink.digest(),
            ));
        }
        let mut hasher = DefaultHasher::new();
        (3u8, head.node, head.time_ms, head.serial, &self.sink.topic()).hash(&mut hasher);
        part.envelope.place.iter().for_each(|(_, text)| text.hash(&mut hasher));
        let key = hasher.finish();
        // The kernel writes PROCTITLE last, and the daemon's own file has no EOE.
        let last = head.is_last() || head.kind == "PROCTITLE";
        if self.joiner.get(key).is_none() {
            if head.is_last() {
                // The end of an event that was emitted already.
                return;
            }
            let fragment = PendingFragment::new(body(), part.raw, part.envelope, self.sink.digest());
            self.joiner.hold(key, fragment);
        } else {
            let added = self.joiner.add(key, (part.raw, self.sink.digest()), |body| {
                if let Body::Auditd(records, _) = body {
                    records.push(part.text.to_owned());
                }
            });
            if !added {
                if let Some(fragment) = self.joiner.take(key) {
                    self.release(fragment);
                }
                let fragment = PendingFragment::new(body(), part.raw, part.envelope, self.sink.digest());
                self.joiner.hold(key, fragment);
            }
        }
        if last && let Some(fragment) = self.joiner.take(key) {
            self.release(fragment);
        }
    }

    /// Emits what was pending, joined or not.
    pub(super) fn release(&mut self, mut fragment: PendingFragment) {
        match std::mem::replace(&mut fragment.body, Body::Auditd(Vec::new(), 0)) {
            Body::Container(line) => {
                let line = Self::whole_line(line, &mut fragment);
                let before = self.sink.joined(Some(fragment.digest));
                self.container_event(line, &fragment.raw, &fragment.envelope);
                self.sink.joined(before);
            }
            Body::Text(source, text) => {
                let text = joined_secrets::whole_lines(&text, &mut fragment);
                let before = self.sink.joined(Some(fragment.digest));
                let context = self.sink.context(&text, &fragment.envelope);
                let result = normalize::line(source, &context);
                self.emit_joined(result, &fragment);
                self.sink.joined(before);
            }
            Body::Auditd(records, _) => {
                let records = joined_secrets::whole_records(records, &mut fragment);
                let records: Vec<&str> = records.iter().map(String::as_str).collect();
                let before = self.sink.joined(Some(fragment.digest));
                let context = self.sink.context(&fragment.raw, &fragment.envelope);
                let result = normalize::auditd(&records, &context);
                self.emit_joined(result, &fragment);
                self.sink.joined(before);
            }
        }
    }

    fn emit_joined(&mut self, result: Result<Normalized, Reject>, fragment: &PendingFragment) {
        match result {
            Ok(normalized) => self.sink.event(normalized, &fragment.raw, &fragment.envelope),
            Err(reject) => self.sink.reject(reject, fragment.raw.as_bytes()),
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
