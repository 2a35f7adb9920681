//! Secrets are masked in a record's text before anything else reads it, so that no field, table or alert ever has one.
//!
//! One pass looks for words that stand at or in every secret; only around them is anything read twice. What is written in
//! another encoding (percent signs, base64, hexadecimal digits, arrays of bytes, escapes of JSON) is decoded, searched in the
//! same way, and masked where it stands ([`encoded`]). What is masked, and what is not, is `docs/masking.md`.

mod arguments;
mod blocks;
mod commands;
mod connection;
mod encoded;
mod exec;
mod headers;
mod kinds;
mod marks;
mod names;
mod needle_list;
mod needles;
mod removed;
mod runs;
mod structure;
mod syntax;
mod text;
mod values;
mod view;

#[cfg(test)]
mod encoded_tests;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use needle_list::Hit;
pub(crate) use removed::{Digest, MaskedRecord, Removed};
use text::is_masked;

/// Encodings within one another that are looked into.
const MAX_ENCODINGS: usize = 4;

/// A part of the text that is a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Span {
    start: usize,
    end: usize,
    kind: &'static str,
    stands_in: StandsIn,
}

/// What is written in a secret's place.
#[derive(Debug, Clone, PartialEq, Eq)]
enum StandsIn {
    /// The kind alone.
    Kind,
    /// The kind in quotes with that many backslashes before each: of a number, which JSON allows no words in place of.
    Quoted(usize),
    /// What was encoded, without its secrets.
    Text(Vec<u8>),
}

/// The secrets found so far, in the order of the text.
struct Spans<'a> {
    text: &'a [u8],
    spans: Vec<Span>,
    /// What lies before is done with.
    done: usize,
    /// There are pairs of names and values, which only the structure around them tells.
    structure: bool,
    /// Documents of YAML before this have been searched.
    documents: usize,
}

impl<'a> Spans<'a> {
    fn of(text: &'a [u8]) -> Self {
        Self {
            text,
            spans: Vec::new(),
            done: 0,
            structure: false,
            documents: 0,
        }
    }

    /// Notes a secret, unless it is empty or has been masked already.
    fn push(&mut self, start: usize, end: usize, kind: &'static str) {
        self.push_as(start, end, kind, StandsIn::Kind);
    }

    fn push_as(&mut self, start: usize, end: usize, kind: &'static str, stands_in: StandsIn) {
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
    fn push_aside(&mut self, start: usize, end: usize, kind: &'static str) {
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

/// A text without its secrets.
pub(crate) struct Masked<'a> {
    pub(crate) text: Cow<'a, [u8]>,
    /// What was removed, in the order of the text.
    pub(crate) removed: Vec<Removed>,
}

/// Masks the secrets in `text`. What is no secret stays byte for byte; JSON stays JSON.
pub(crate) fn mask(text: &[u8]) -> Masked<'_> {
    let spans = spans(text, MAX_ENCODINGS);
    if spans.is_empty() {
        return Masked {
            text: Cow::Borrowed(text),
            removed: Vec::new(),
        };
    }
    let (text, removed) = without(text, &spans);
    Masked {
        text: Cow::Owned(text),
        removed,
    }
}

/// The secrets of `text` in its order, none within another; `encodings` within one another are looked into.
fn spans(text: &[u8], encodings: usize) -> Vec<Span> {
    let Some(mut spans) = plain_spans(text, encodings) else {
        return encoded::unescaped(text, encodings);
    };
    if encodings > 0 {
        encoded::find(text, encodings, &mut spans);
    }
    merged(text, spans)
}

/// The secrets that stand in `text` as they are. `None` where letters are escaped, so that only the text without these
/// escapes can be searched.
fn plain_spans(text: &[u8], encodings: usize) -> Option<Vec<Span>> {
    let mut found = Spans::of(text);
    let (mut data, mut secret, mut journal) = (false, false, false);
    // Arguments are searched once.
    let (mut aside, mut searched) = (Vec::new(), 0);
    for needles::Found {
        needle,
        hit,
        start,
        end,
    } in needles::find(text)
    {
        match hit {
            Hit::Escape if encodings > 0 && encoded::is_letter_escape(text, end) => return None,
            Hit::CharEscape if encodings > 0 => return None,
            Hit::Data => data = true,
            Hit::Structure => found.structure |= structure::is_needed(text, needle, end),
            Hit::Journal => journal = true,
            Hit::Arguments if encodings > 0 && end > searched => {
                searched = arguments::find(text, end, encodings, &mut aside);
            }
            Hit::Exec if encodings > 0 && end > searched => searched = exec::find(text, start, encodings, &mut aside),
            _ => {}
        }
        secret |= needle == "secret" && structure::names_secrets(text, start, end);
        if hit == Hit::Name && needle == "secret" {
            blocks::secret_document(&mut found, start, end);
        }
        if start < found.done {
            continue;
        }
        match hit {
            Hit::Name => values::named(&mut found, start, end),
            Hit::Scheme => headers::scheme(&mut found, start, end),
            Hit::Jwt => marks::jwt(&mut found, start),
            Hit::Pem => marks::pem(&mut found, start),
            Hit::Putty => marks::putty(&mut found, end),
            Hit::Url => connection::url(&mut found, end),
            Hit::Dsn => connection::dsn(&mut found, start, end),
            Hit::Oracle => connection::oracle(&mut found, end),
            Hit::Signature => marks::signature(&mut found, start, end),
            Hit::Query(kind) => marks::query(&mut found, start, end, kind),
            Hit::Webhook => marks::webhook(&mut found, end),
            Hit::Prefixed(kind, least) => marks::prefixed(&mut found, start, end, kind, least),
            Hit::Command => commands::command(&mut found, needle, start, end),
            _ => {}
        }
    }
    if journal && encodings > 0 {
        encoded::byte_arrays(text, encodings, &mut aside);
    }
    let structure = found.structure || (data && secret) || structure::is_cut(text);
    let mut spans = found.spans;
    spans.append(&mut aside);
    if structure {
        structure::secrets(text, &mut spans);
    }
    Some(spans)
}

/// Spans in the order of the text, of which none overlaps another.
fn merged(text: &[u8], mut spans: Vec<Span>) -> Vec<Span> {
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
fn without(text: &[u8], spans: &[Span]) -> (Vec<u8>, Vec<Removed>) {
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

/// Masks what `parts` say together, with `separator` between; each loses its share of a secret that lies across several. `None` where
/// there is no secret in it.
pub(crate) fn mask_parts(parts: &[&str], separator: &str) -> Option<(Vec<String>, Digest)> {
    let text = parts.join(separator);
    let spans = spans(text.as_bytes(), MAX_ENCODINGS);
    let digest = spans.iter().fold(Digest::NONE, |all, span| {
        all.and(Digest::of(
            text.as_bytes().get(span.start..span.end).unwrap_or_default(),
        ))
    });
    if spans.is_empty() {
        return None;
    }
    let mut begin = 0;
    let masked = parts.iter().map(|part| {
        let (start, end) = (begin, begin + part.len());
        begin = end + separator.len();
        let own: Vec<Span> = spans
            .iter()
            .filter(|span| span.start < end && span.end > start)
            .map(|span| Span {
                start: span.start.max(start) - start,
                end: span.end.min(end) - start,
                kind: span.kind,
                stands_in: match &span.stands_in {
                    whole if span.start >= start && span.end <= end => whole.clone(),
                    _ => StandsIn::Kind,
                },
            })
            .collect();
        String::from_utf8_lossy(&without(part.as_bytes(), &own).0).into_owned()
    });
    Some((masked.collect(), digest))
}

fn write(out: &mut Vec<u8>, span: &Span) {
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
