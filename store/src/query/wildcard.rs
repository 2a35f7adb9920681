//! Patterns with `*` (any number of characters) and `?` (one character).

use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use crate::index::tokenizer::{LETTERS, is_letter};
use crate::limits::MAX_REGEX_BYTES;

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// These characters, in lower case.
    Literal(String),
    /// `*`.
    Any,
    /// `?`.
    One,
}

/// A pattern with at least one wildcard, in lower case.
#[derive(Debug, Clone)]
pub(crate) struct Wildcard {
    pieces: Arc<[Piece]>,
    /// For a whole value.
    whole: Regex,
    /// For a position in a text, where a wildcard stays within what has no space or quotation mark.
    within: Regex,
}

impl Wildcard {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// It is too large.
    pub fn new(pieces: Vec<Piece>) -> Result<Self, String> {
        let compile = |one: &str, left: &str, right: &str| {
            let mut pattern = String::from(left);
            for piece in &pieces {
                match piece {
                    Piece::Literal(text) => pattern.push_str(&regex::escape(text)),
                    Piece::Any => {
                        pattern.push_str(one);
                        pattern.push('*');
                    }
                    Piece::One => pattern.push_str(one),
                }
            }
            pattern.push_str(right);
            RegexBuilder::new(&pattern)
                .size_limit(MAX_REGEX_BYTES)
                .dfa_size_limit(MAX_REGEX_BYTES)
                .build()
                .map_err(|error| error.to_string())
        };
        // An end that is a letter must not be in the middle of a word.
        let starts_with_letter =
            matches!(pieces.first(), Some(Piece::Literal(t)) if t.chars().next().is_some_and(is_letter));
        let ends_with_letter =
            matches!(pieces.last(), Some(Piece::Literal(t)) if t.chars().next_back().is_some_and(is_letter));
        let left = if starts_with_letter {
            format!("(?:^|[^{}])", *LETTERS)
        } else {
            String::new()
        };
        let right = if ends_with_letter {
            format!("(?:$|[^{}])", *LETTERS)
        } else {
            String::new()
        };
        Ok(Self {
            whole: compile("(?s:.)", "^", "$")?,
            within: compile(r#"[^\s"]"#, &left, &right)?,
            pieces: pieces.into(),
        })
    }

    /// Whether a whole value in lower case is what the pattern stands for.
    pub fn is_whole(&self, value: &str) -> bool {
        self.whole.is_match(value)
    }

    /// Whether a text in lower case has what the pattern stands for, at the edges of words where the pattern ends in a
    /// letter or a digit.
    pub fn is_within(&self, text: &str) -> bool {
        self.within.is_match(text)
    }

    /// The parts.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// What every value that it stands for begins with.
    pub fn prefix(&self) -> &str {
        match self.pieces.first() {
            Some(Piece::Literal(text)) => text,
            _ => "",
        }
    }
}
