//! The tokens of JSON, one after another.

use super::quotes::{quote, string_end};
use super::special;

/// What stands in a text of JSON, white space apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// `{` or `[`.
    Open(u8),
    /// `}` or `]`.
    Close(u8),
    /// `,`.
    Comma,
    /// `:`.
    Colon,
    /// A string: where its content begins and ends, without its quotes.
    String {
        /// The place after the opening quote.
        start: usize,
        /// The place of the closing quote.
        end: usize,
    },
    /// A run of letters, digits, `+`, `-` and `.`: a number, `true`, `null`, or what is none of these.
    Scalar {
        /// Where it begins.
        start: usize,
        /// The place after it.
        end: usize,
    },
    /// A byte that JSON has nowhere outside of strings; or the line's end within one, for [`Scanner::of_lines`].
    Stray(u8),
}

/// A token of which the end has not come yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Pending {
    #[default]
    None,
    String(usize),
    Scalar(usize),
}

/// Reads a text token by token. It is resumable: a text may grow between two calls, and no byte is scanned twice. It is
/// tolerant: it goes on after whatever is no JSON, so that its caller decides what that means.
#[derive(Debug, Clone, Default)]
pub struct Scanner {
    at: usize,
    level: usize,
    lines: bool,
    pending: Pending,
}

impl Scanner {
    /// A scanner that begins at `at`.
    pub fn new(at: usize) -> Self {
        Self { at, ..Self::default() }
    }

    /// The same, of JSON whose quotes have `level` backslashes before them, since it stands in strings of JSON. Above level 0,
    /// a string that is cut off ends where the text does.
    pub fn of_level(at: usize, level: usize) -> Self {
        Self {
            at,
            level,
            ..Self::default()
        }
    }

    /// The same, of JSON in which no string spans lines: the end of a line in one is a [`Token::Stray`].
    pub fn of_lines(at: usize) -> Self {
        Self {
            at,
            lines: true,
            ..Self::default()
        }
    }

    /// How far the scan has come: after the last token, or as far as all of the text goes.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Follows a text whose first `bytes` bytes were taken away.
    pub fn rebase(&mut self, bytes: usize) {
        self.at -= bytes;
        match &mut self.pending {
            Pending::None => {}
            Pending::String(start) | Pending::Scalar(start) => *start -= bytes,
        }
    }

    /// Where a string or a scalar begins that goes on at the end of the text, with its quote.
    pub fn pending(&self) -> Option<usize> {
        match self.pending {
            Pending::None => None,
            Pending::String(start) => Some(start - 1),
            Pending::Scalar(start) => Some(start),
        }
    }

    pub(super) fn is_in_string(&self) -> bool {
        matches!(self.pending, Pending::String(_))
    }

    /// The next token; `None` where the text ends before it does.
    #[inline]
    pub fn next(&mut self, text: &[u8]) -> Option<Token> {
        if self.pending != Pending::None {
            return self.resume(text);
        }
        while let Some(&byte) = text.get(self.at) {
            let start = self.at;
            self.at += 1;
            return Some(match byte {
                b' ' | b'\t' | b'\n' | b'\r' | b'\x0c' => continue,
                b'"' if self.level == 0 => return self.string(text, start + 1),
                b'"' | b'\\' if self.level > 0 => match quote(text, start) {
                    Some((level, content)) if level == self.level => self.nested_string(text, content),
                    _ => Token::Stray(byte),
                },
                b'{' | b'[' => Token::Open(byte),
                b'}' | b']' => Token::Close(byte),
                b',' => Token::Comma,
                b':' => Token::Colon,
                _ if is_scalar(byte) => return self.scalar(text, start),
                _ => Token::Stray(byte),
            });
        }
        None
    }

    /// Reads on within a token of which the end had not come.
    #[cold]
    fn resume(&mut self, text: &[u8]) -> Option<Token> {
        match std::mem::take(&mut self.pending) {
            Pending::None => None,
            Pending::String(start) => self.string(text, start),
            Pending::Scalar(start) => self.scalar(text, start),
        }
    }

    /// The string or scalar that the end of the text cuts off, as far as it goes; a text that grows is over with it.
    pub fn finish(&mut self, text: &[u8]) -> Option<Token> {
        let token = match std::mem::take(&mut self.pending) {
            Pending::None => return None,
            Pending::String(start) => Token::String {
                start,
                end: string_end(text, start, 0),
            },
            Pending::Scalar(start) => Token::Scalar { start, end: text.len() },
        };
        self.at = text.len();
        Some(token)
    }

    /// A string whose content begins at `start`, read from where the scan has come to.
    #[inline]
    fn string(&mut self, text: &[u8], start: usize) -> Option<Token> {
        let mut at = self.at;
        loop {
            let Some(found) = text.get(at..).and_then(special) else {
                at = text.len();
                break;
            };
            at += found;
            match text.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Some(Token::String { start, end: at });
                }
                Some(b'\\') if at + 1 < text.len() => at += 2,
                // What it escapes has not come.
                Some(b'\\') => break,
                Some(b'\n') if self.lines => {
                    self.at = at;
                    return Some(Token::Stray(b'\n'));
                }
                _ => at += 1,
            }
        }
        (self.at, self.pending) = (at, Pending::String(start));
        None
    }

    fn nested_string(&mut self, text: &[u8], start: usize) -> Token {
        let end = string_end(text, start, self.level);
        self.at = (end + self.level + 1).min(text.len());
        Token::String { start, end }
    }

    #[inline]
    fn scalar(&mut self, text: &[u8], start: usize) -> Option<Token> {
        while let Some(&byte) = text.get(self.at) {
            if !is_scalar(byte) {
                return Some(Token::Scalar { start, end: self.at });
            }
            self.at += 1;
        }
        self.pending = Pending::Scalar(start);
        None
    }
}

#[inline]
fn is_scalar(byte: u8) -> bool {
    IS_SCALAR[usize::from(byte)]
}

/// Bytes that numbers and words are made of.
const IS_SCALAR: [bool; 256] = {
    let mut is_scalar = [false; 256];
    let mut byte = 0u8;
    while byte < 0x80 {
        is_scalar[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        byte += 1;
    }
    is_scalar
};
