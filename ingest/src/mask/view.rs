//! A text as a decoder will read it, with the way back to where each part of it stands.

use super::span::{Span, StandsIn, write};

/// A decoded text, in parts.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) text: Vec<u8>,
    parts: Vec<Part>,
}

/// A part of a view.
#[derive(Debug, Clone, Copy)]
struct Part {
    /// Where it begins in the view, and in the text.
    view: usize,
    start: usize,
    /// Where it ends in the text.
    end: usize,
    /// It is the text's own, byte for byte. Any other part stands for all of its text.
    copied: bool,
}

impl View {
    /// Appends what `text` has from `start` to `end`, as it is.
    pub(super) fn copy(&mut self, text: &[u8], start: usize, end: usize) {
        let part = text.get(start..end).unwrap_or_default();
        if part.is_empty() {
            return;
        }
        if let Some(last) = self.parts.last_mut()
            && last.copied
            && last.end == start
        {
            last.end = end;
        } else {
            self.parts.push(Part {
                view: self.text.len(),
                start,
                end,
                copied: true,
            });
        }
        self.text.extend_from_slice(part);
    }

    /// Appends what the text from `start` to `end` stands for.
    pub(super) fn decoded(&mut self, decoded: &[u8], start: usize, end: usize) {
        if decoded.is_empty() {
            return;
        }
        self.parts.push(Part {
            view: self.text.len(),
            start,
            end,
            copied: false,
        });
        self.text.extend_from_slice(decoded);
    }

    /// Appends another view of the same text.
    pub(super) fn append(&mut self, other: Self) {
        let from = self.text.len();
        self.text.extend(other.text);
        self.parts.extend(other.parts.into_iter().map(|part| Part {
            view: part.view + from,
            ..part
        }));
    }

    /// The part that holds a place of the view.
    fn part(&self, at: usize) -> Option<&Part> {
        let n = self.parts.partition_point(|part| part.view <= at);
        self.parts.get(n.checked_sub(1)?)
    }

    /// Where a part of the view stands in the text.
    pub(super) fn place(&self, start: usize, end: usize) -> Option<(usize, usize)> {
        let (first, last) = (self.part(start)?, self.part(end.checked_sub(1)?)?);
        let begin = if first.copied {
            first.start + (start - first.view)
        } else {
            first.start
        };
        let after = if last.copied {
            last.start + (end - last.view)
        } else {
            last.end
        };
        (begin < after).then_some((begin, after))
    }

    /// Spans of the view as spans of the text. What stands in for them is written by `encode`.
    pub(super) fn map(&self, spans: Vec<Span>, encode: impl Fn(Vec<u8>) -> Vec<u8>) -> impl Iterator<Item = Span> {
        spans.into_iter().filter_map(move |span| {
            let (start, end) = self.place(span.start, span.end)?;
            let stands_in = match &span.stands_in {
                StandsIn::Kind => StandsIn::Kind,
                StandsIn::Quoted(_) | StandsIn::Text(_) => {
                    let mut text = Vec::new();
                    write(&mut text, &span);
                    StandsIn::Text(encode(text))
                }
            };
            Some(Span {
                start,
                end,
                kind: span.kind,
                stands_in,
            })
        })
    }
}
