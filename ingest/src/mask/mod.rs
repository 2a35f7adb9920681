//! Here is a record's text, give me the same without its secrets: before anything else reads it, so that no field, table or alert
//! ever has one.
//!
//! ```text
//! &[u8] ─needles─▶ Found ─search─▶ values, headers, commands, marks, connection, blocks ─┐
//!                        ├─▶ structure (what only JSON's structure shows) ───────────────┼─▶ [Span] ─▶ Masked { text, [Removed] }
//!                        └─▶ encoded, arguments, exec ─decoded text, searched again──────┘
//! ```
//!
//! One pass looks for words that stand at or in every secret; only around them is anything read twice. What is written in
//! another encoding (percent signs, base64, hexadecimal digits, arrays of bytes, escapes of JSON) is decoded, searched in the
//! same way, and masked where it stands ([`encoded`]). What is masked, and what is not, is `docs/masking.md`.
//!
//! It owns what a secret looks like. It never parses a record, knows no source, and changes no byte that is no secret.

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
mod search;
mod secret_value;
mod span;
mod structure;
mod syntax;
mod text;
mod values;
mod view;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use search::spans;
use span::{Span, StandsIn, without};

pub(crate) use removed::{Digest, MaskedRecord, Removed};

/// Encodings within one another that are looked into.
const MAX_ENCODINGS: usize = 4;

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
