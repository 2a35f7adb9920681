//! A record's text by its form: JSON, a line, or bytes that are neither; and a source's own record, which a normalizer takes.

use std::borrow::Cow;

use casebook_event::{Source, Value};

use super::decoding::{Decoding, Part};
use super::envelope::Envelope;
use super::{detect, marks};
use crate::format::auditd::AuditdHead;
use crate::format::cri::CriLine;
use crate::format::reject::{self, Reject};
use crate::normalize::{self, ContainerLine};
use crate::source_kind::SourceKind;

impl Decoding<'_> {
    /// Decodes a whole payload.
    pub(super) fn record(&mut self, payload: &[u8]) {
        while let Some(fragment) = self.joiner.take_stale(None) {
            self.release(fragment);
        }
        match payload.first() {
            None => self.sink.reject(Reject::new(reject::EMPTY, "no content"), payload),
            Some(b'{' | b'[') if is_json(payload) => match std::str::from_utf8(payload) {
                Ok(text) => self.values(text),
                // It ends within a character: what was cut off there is no text, and the rest of it is.
                Err(error) if error.error_len().is_none() => self.values(&String::from_utf8_lossy(payload)),
                Err(error) => self.sink.reject(Reject::utf8(error), payload),
            },
            Some(_) => match String::from_utf8_lossy(payload) {
                Cow::Borrowed(text) => self.line(Part::whole(text), payload),
                Cow::Owned(text) if is_binary(&text) => {
                    let detail = "bytes that are mostly no text";
                    self.sink.reject(Reject::new(reject::INVALID_UTF8, detail), payload);
                }
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

    /// Decodes a source's own object.
    pub(super) fn leaf(&mut self, value: Value, part: Part<'_>) {
        if !matches!(value, Value::Map(_)) {
            let detail = format!("{} is no JSON object", reject::quote(part.text));
            return self
                .sink
                .reject(Reject::new(reject::WRONG_SHAPE, detail), part.raw.as_bytes());
        }
        let source = match self.kind {
            SourceKind::Source(source) => Ok(source),
            SourceKind::Auto if part.envelope.container => Ok(Source::ContainerLog),
            SourceKind::Auto if part.envelope.truncated => {
                marks::detect_cut(&value, detect::source_around(part.envelope)).map(|(source, _)| source)
            }
            SourceKind::Auto => marks::detect_object(&value).map(|(source, _)| source),
        };
        let named = source.as_ref().ok().copied();
        let done = source.and_then(|source| {
            if source == Source::ContainerLog {
                let mut line = ContainerLine::of_object(value)?;
                // Whether there is more of its text to come stood after its end.
                line.partial &= !part.envelope.truncated;
                self.container(line, part);
                return Ok(());
            }
            let context = self.sink.context(part.text, part.envelope);
            normalize::object(source, value, &context, self.scratch)
        });
        match done {
            Ok(()) => self.emit(part),
            Err(reject) => {
                self.scratch.clear();
                let reject = if part.envelope.truncated {
                    reject.of_cut(named)
                } else {
                    reject
                };
                self.sink.reject(reject, part.raw.as_bytes());
            }
        }
    }

    /// Decodes a line of text; `payload` is what a dead letter of it holds.
    pub(super) fn line(&mut self, part: Part<'_>, payload: &[u8]) {
        let source = match self.kind {
            SourceKind::Source(source) => source,
            SourceKind::Auto if part.envelope.container => Source::ContainerLog,
            SourceKind::Auto => match marks::detect_line(part.text) {
                Ok((source, _)) => source,
                Err(reject) => {
                    // The little that is left of an object says nothing; what is around it may.
                    let named = part.text.starts_with('{').then(|| detect::source_around(part.envelope));
                    let reject = match named.flatten() {
                        Some(source) => reject.of_cut(Some(source)),
                        None => reject,
                    };
                    return self.sink.reject(reject, payload);
                }
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
                Err(error) => self.reject_of(&error),
            }),
            _ => {
                let context = self.sink.context(part.text, part.envelope);
                normalize::line(source, &context)
            }
        };
        match result {
            Ok(normalized) => self.sink.event(normalized, part.raw, part.envelope),
            Err(reject) if part.envelope.truncated => self.sink.reject(reject.of_cut(Some(source)), payload),
            Err(reject) => self.sink.reject(reject, payload),
        }
    }

    fn emit(&mut self, part: Part<'_>) {
        // Of a record that reports several things, each event keeps its own part.
        let several = self.scratch.len() > 1;
        for normalized in self.scratch.drain(..) {
            if several {
                let own = normalized.native.root("").to_text().into_owned();
                self.sink.event(normalized, &own, part.envelope);
            } else {
                self.sink.event(normalized, part.raw, part.envelope);
            }
        }
    }
}

/// Whether a repaired text was none: a quarter of it are characters that replace bytes, or control characters.
fn is_binary(text: &str) -> bool {
    let (mut odd, mut all) = (0usize, 0usize);
    for c in text.chars() {
        all += 1;
        odd += usize::from(
            c == char::REPLACEMENT_CHARACTER
                || (c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{1b}' | '\u{1d}')),
        );
    }
    odd * 4 > all
}

/// `[` also begins many a line of text.
fn is_json(payload: &[u8]) -> bool {
    payload.first() == Some(&b'{')
        || matches!(
            payload.get(1..).unwrap_or_default().trim_ascii_start().first(),
            None | Some(b'{' | b'[' | b']')
        )
}
