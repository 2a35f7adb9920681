//! Terms on their way into tantivy, and the form of a keyword term.
//!
//! The words of a row are found before tantivy sees them ([`super::tokenizer`]), so all it has to do is to cut them apart
//! at a separator. A keyword term is the column's code and the value in lower case; a value that is too long, or holds the
//! separator, is cut and ends in [`CLIPPED`]: it is a candidate for whatever the whole value might match.

use std::borrow::Cow;

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

use super::tokenizer::fold;
use crate::limits::MAX_KEYWORD_BYTES;

/// Separates the terms of a row: ASCII "unit separator".
pub(super) const SEPARATOR: char = '\u{1f}';

/// Ends a keyword term whose value goes on: ASCII "record separator".
pub(super) const CLIPPED: char = '\u{1e}';

/// The character that a column's terms begin with.
pub(super) fn column_code(position: usize) -> char {
    // From `!` on: above the separators. Columns are few; beyond the last character nothing would be indexed.
    u32::try_from(position)
        .ok()
        .and_then(|n| char::from_u32(0x21 + n))
        .unwrap_or('\u{10ffff}')
}

/// The part of a folded value that the index holds: at most [`MAX_KEYWORD_BYTES`], and nothing from a character on that the
/// index uses itself. What is asked for must be cut by the same rule.
pub(super) fn indexed_part(folded: &str) -> &str {
    let end = folded.find([SEPARATOR, CLIPPED]).unwrap_or(folded.len());
    &folded[..folded.floor_char_boundary(end.min(MAX_KEYWORD_BYTES))]
}

/// Appends the keyword term of a value to `out`, without a separator.
pub(super) fn push_keyword(out: &mut String, code: char, value: &str) {
    out.push(code);
    let folded: Cow<'_, str> = fold(value);
    let kept = indexed_part(&folded);
    out.push_str(kept);
    if kept.len() < folded.len() {
        out.push(CLIPPED);
    }
}

/// Cuts a text apart at [`SEPARATOR`].
#[derive(Clone, Default)]
pub(super) struct TermTokenizer {
    token: Token,
}

/// See [`TermTokenizer`].
pub(super) struct Terms<'a> {
    rest: &'a str,
    token: &'a mut Token,
}

impl Tokenizer for TermTokenizer {
    type TokenStream<'a> = Terms<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Terms<'a> {
        self.token.reset();
        Terms {
            rest: text,
            token: &mut self.token,
        }
    }
}

impl TokenStream for Terms<'_> {
    fn advance(&mut self) -> bool {
        while !self.rest.is_empty() {
            let (term, rest) = self.rest.split_once(SEPARATOR).unwrap_or((self.rest, ""));
            self.rest = rest;
            if !term.is_empty() {
                self.token.text.clear();
                self.token.text.push_str(term);
                self.token.position = self.token.position.wrapping_add(1);
                return true;
            }
        }
        false
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}
