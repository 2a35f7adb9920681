//! A secret's place in a text, and what is written there instead.

use super::removed::{Digest, Removed};
use super::text::is_masked;

/// A part of the text that is a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) kind: &'static str,
    pub(super) stands_in: StandsIn,
}

/// What is written in a secret's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StandsIn {
    /// The kind alone.
    Kind,
    /// The kind in quotes with that many backslashes before each: of a number, which JSON allows no words in place of.
    Quoted(usize),
    /// What was encoded, without its secrets.
    Text(Vec<u8>),
}

/// The secrets found so far, in the order of the text.
pub(super) struct Spans<'a> {
    pub(super) text: &'a [u8],
    pub(super) spans: Vec<Span>,
    /// What lies before is done with.
    pub(super) done: usize,
    /// There are pairs of names and values, which only the structure around them shows.
    pub(super) structure: bool,
    /// Documents of YAML before this have been searched.
    pub(super) documents: usize,
}

impl<'a> Spans<'a> {
    pub(super) fn of(text: &'a [u8]) -> Self {
        Self {
            text,
            spans: Vec::new(),
            done: 0,
            structure: false,
            documents: 0,
        }
    }

    /// Notes a secret, unless it is empty or has been masked already.
    pub(super) fn push(&mut self, start: usize, end: usize, kind: &'static str) {
        self.push_as(start, end, kind, StandsIn::Kind);
    }

    pub(super) fn push_as(&mut self, start: usize, end: usize, kind: &'static str, stands_in: StandsIn) {
        let start = start.max(self.done);
        if start >= end || end > self.text.len() {
            return;
        }
        self.done = end;
        if !is_masked(self.text, start, end) {
            self.spans.push(Span {
                start,
                end,
                kind,
                stands_in,
            });
        }
    }

    /// Notes one that lies before what is done with, or whose surroundings are to be searched too.
    pub(super) fn push_aside(&mut self, start: usize, end: usize, kind: &'static str) {
        if start < end && end <= self.text.len() && !is_masked(self.text, start, end) {
            self.spans.push(Span {
                start,
                end,
                kind,
                stands_in: StandsIn::Kind,
            });
        }
    }
}

/// How a text that was decoded is searched: with the whole search again, which is handed down so that what decodes need not
/// know it. `encodings` within one another are looked into.
#[derive(Clone, Copy)]
pub(super) struct NestedSearch {
    pub(super) search: fn(&[u8], usize) -> Vec<Span>,
    pub(super) encodings: usize,
}

impl NestedSearch {
    /// The secrets of a decoded text.
    pub(super) fn spans(self, decoded: &[u8]) -> Vec<Span> {
        (self.search)(decoded, self.encodings.saturating_sub(1))
    }
}

/// Spans in the order of the text, of which none overlaps another.
pub(super) fn merged(text: &[u8], mut spans: Vec<Span>) -> Vec<Span> {
    if spans.len() < 2 {
        return spans;
    }
    spans.sort_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
    let mut out: Vec<Span> = Vec::with_capacity(spans.len());
    for mut span in spans {
        let end = out.last().map_or(0, |last| last.end);
        if span.start < end {
            if span.end <= end {
                continue;
            }
            // What is left of an overlap goes too.
            let Some(last) = out.last_mut() else { continue };
            last.end = span.end;
            if let StandsIn::Text(_) = last.stands_in {
                last.stands_in = StandsIn::Kind;
            }
            continue;
        }
        span.end = span.end.min(text.len());
        out.push(span);
    }
    out
}

/// `text` with what stands in for `spans`, which are in its order.
pub(super) fn without(text: &[u8], spans: &[Span]) -> (Vec<u8>, Vec<Removed>) {
    let mut out = Vec::with_capacity(text.len());
    let mut removed = Vec::with_capacity(spans.len());
    let mut at = 0;
    for span in spans {
        out.extend_from_slice(text.get(at..span.start).unwrap_or_default());
        removed.push(Removed {
            at: out.len(),
            kind: span.kind,
            digest: Digest::of(text.get(span.start..span.end).unwrap_or_default()),
        });
        write(&mut out, span);
        at = span.end;
    }
    out.extend_from_slice(text.get(at..).unwrap_or_default());
    (out, removed)
}

pub(super) fn write(out: &mut Vec<u8>, span: &Span) {
    let quote = |out: &mut Vec<u8>| {
        if let StandsIn::Quoted(backslashes) = span.stands_in {
            out.extend(std::iter::repeat_n(b'\\', backslashes));
            out.push(b'"');
        }
    };
    if let StandsIn::Text(text) = &span.stands_in {
        return out.extend_from_slice(text);
    }
    quote(out);
    out.extend_from_slice(b"[masked:");
    out.extend_from_slice(span.kind.as_bytes());
    out.push(b']');
    quote(out);
}
