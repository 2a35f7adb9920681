//! A query's text, cut into tokens with their offsets.

use super::wildcard::Piece;
use crate::QueryError;

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Open,
    Close,
    And,
    Or,
    Not,
    /// `+`: what follows is asked for, as everything is.
    Plus,
    /// A name and its colon.
    Field(String),
    /// A word or a pattern: characters that are meant literally, and wildcards.
    Word(Word),
    /// Between quotation marks.
    Phrase(String),
    /// Between slashes.
    Regex(String),
    /// `>`, `>=`, `<` or `<=` before a value.
    Compare {
        less: bool,
        inclusive: bool,
        value: String,
    },
    /// `[a TO b]`, or with braces for ends that are left out.
    Range {
        low: Option<String>,
        low_inclusive: bool,
        high: Option<String>,
        high_inclusive: bool,
    },
}

/// A word as it is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Word {
    /// With escapes resolved; wildcards stand for themselves.
    pub text: String,
    pub pieces: Vec<Piece>,
}

impl Word {
    /// Whether a wildcard is in it.
    pub fn is_pattern(&self) -> bool {
        self.pieces.iter().any(|piece| !matches!(piece, Piece::Literal(_)))
    }
}

/// A token and the byte at which it begins.
pub(super) type Spanned = (usize, Token);

/// Cuts a query into tokens.
///
/// # Errors
/// A quotation mark, slash or bracket without its partner, or an escape with nothing after it.
pub(super) fn tokens(text: &str) -> Result<Vec<Spanned>, QueryError> {
    let mut lexer = Lexer {
        text,
        at: 0,
        tokens: Vec::new(),
    };
    lexer.run()?;
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    tokens: Vec<Spanned>,
}

/// Ends a word.
fn ends_word(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')' | '"')
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn push(&mut self, start: usize, token: Token) {
        self.tokens.push((start, token));
    }

    /// Whether the last token is a field's name, so that a value must follow.
    fn after_field(&self) -> bool {
        matches!(self.tokens.last(), Some((_, Token::Field(_))))
    }

    fn run(&mut self) -> Result<(), QueryError> {
        while let Some(c) = self.rest().chars().next() {
            let start = self.at;
            match c {
                _ if c.is_whitespace() => {
                    if self.after_field() {
                        return Err(QueryError::new(start, "a value is expected right after the colon"));
                    }
                    self.at += c.len_utf8();
                }
                '(' => self.single(Token::Open),
                ')' => self.single(Token::Close),
                '"' => {
                    let phrase = self.quoted(start)?;
                    self.push(start, Token::Phrase(phrase));
                }
                '/' if self.regex_end().is_some() => {
                    let end = self.regex_end().unwrap_or(self.text.len());
                    let pattern = self.text[start + 1..end].replace("\\/", "/");
                    self.at = end + 1;
                    self.push(start, Token::Regex(pattern));
                }
                '[' | '{' if self.after_field() => self.range(start, c == '[')?,
                '>' | '<' if self.after_field() => self.compare(start, c == '<')?,
                '+' if !self.after_field() && self.begins_operand(1) => self.single(Token::Plus),
                '-' | '!' if !self.after_field() && self.begins_operand(1) => self.single(Token::Not),
                _ => self.word(start)?,
            }
        }
        Ok(())
    }

    fn single(&mut self, token: Token) {
        self.push(self.at, token);
        self.at += 1;
    }

    /// Whether something follows that an operator can stand before.
    fn begins_operand(&self, skip: usize) -> bool {
        self.rest()[skip..]
            .chars()
            .next()
            .is_some_and(|c| !c.is_whitespace() && c != ')')
    }

    /// The slash that ends an expression which begins here: one that ends the token, with no other one before it.
    /// So `/usr/bin/curl` is a word.
    fn regex_end(&self) -> Option<usize> {
        let mut escaped = false;
        for (n, c) in self.rest().char_indices().skip(1) {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '/' => {
                    let next = self.rest()[n + 1..].chars().next();
                    return (n > 1 && next.is_none_or(|c| c.is_whitespace() || c == ')')).then_some(self.at + n);
                }
                _ => {}
            }
        }
        None
    }

    /// The inside of quotation marks, with `\"` and `\\` resolved.
    fn quoted(&mut self, start: usize) -> Result<String, QueryError> {
        let mut out = String::new();
        let mut chars = self.text[start + 1..].char_indices();
        while let Some((n, c)) = chars.next() {
            match c {
                '"' => {
                    self.at = start + 1 + n + 1;
                    return Ok(out);
                }
                '\\' => match chars.next() {
                    Some((_, c @ ('"' | '\\'))) => out.push(c),
                    Some((_, c)) => {
                        out.push('\\');
                        out.push(c);
                    }
                    None => break,
                },
                c => out.push(c),
            }
        }
        Err(QueryError::new(start, "this quotation mark has no partner"))
    }

    fn range(&mut self, start: usize, low_inclusive: bool) -> Result<(), QueryError> {
        let Some(length) = self.rest().find([']', '}']) else {
            return Err(QueryError::new(
                start,
                "this bracket has no partner; a range is written [a TO b]",
            ));
        };
        let end = start + length;
        let inside = self.text[start + 1..end].trim();
        let high_inclusive = self.text.as_bytes()[end] == b']';
        let Some((low, high)) = inside.split_once(" TO ") else {
            return Err(QueryError::new(
                start,
                "a range is written [a TO b], with * for an open end",
            ));
        };
        let bound = |text: &str| {
            let text = text.trim();
            let text = text
                .strip_prefix('"')
                .and_then(|text| text.strip_suffix('"'))
                .unwrap_or(text);
            (text != "*" && !text.is_empty()).then(|| text.to_owned())
        };
        let (low, high) = (bound(low), bound(high));
        self.at = end + 1;
        self.push(
            start,
            Token::Range {
                low,
                low_inclusive,
                high,
                high_inclusive,
            },
        );
        Ok(())
    }

    fn compare(&mut self, start: usize, less: bool) -> Result<(), QueryError> {
        self.at += 1;
        let inclusive = self.rest().starts_with('=');
        self.at += usize::from(inclusive);
        let value = if self.rest().starts_with('"') {
            self.quoted(self.at)?
        } else {
            let value: String = self.rest().chars().take_while(|c| !ends_word(*c)).collect();
            self.at += value.len();
            value
        };
        if value.is_empty() {
            return Err(QueryError::new(self.at, "a value is expected after the comparison"));
        }
        self.push(start, Token::Compare { less, inclusive, value });
        Ok(())
    }

    /// A word, an operator in letters, or a field's name.
    fn word(&mut self, start: usize) -> Result<(), QueryError> {
        let mut word = Word {
            text: String::new(),
            pieces: Vec::new(),
        };
        let mut literal = String::new();
        let mut chars = self.rest().char_indices().peekable();
        let mut end = self.text.len();
        let value = self.after_field();
        while let Some((n, c)) = chars.next() {
            let wildcard = match c {
                _ if ends_word(c) => {
                    end = start + n;
                    break;
                }
                '\\' => {
                    let Some((_, c)) = chars.next() else {
                        return Err(QueryError::new(
                            start + n,
                            "a backslash at the end; write \\\\ for the character itself",
                        ));
                    };
                    word.text.push(c);
                    literal.push(c);
                    continue;
                }
                ':' if !value && is_name(&word.text) && word.text.len() == n => {
                    let rest = &self.text[start + n + 1..];
                    if self.is_field(&word.text, rest) {
                        self.at = start + n + 1;
                        self.push(start, Token::Field(word.text));
                        if self.rest().is_empty() {
                            return Err(QueryError::new(self.at, "a value is expected after the colon"));
                        }
                        return Ok(());
                    }
                    None
                }
                '*' => Some(Piece::Any),
                '?' => Some(Piece::One),
                _ => None,
            };
            word.text.push(c);
            match wildcard {
                None => literal.push(c),
                Some(piece) => {
                    if !literal.is_empty() {
                        word.pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                    }
                    // Several `*` in a row are one.
                    if !(piece == Piece::Any && word.pieces.last() == Some(&Piece::Any)) {
                        word.pieces.push(piece);
                    }
                }
            }
        }
        if !literal.is_empty() {
            word.pieces.push(Piece::Literal(literal));
        }
        self.at = end;
        let token = match &self.text[start..end] {
            "AND" | "&&" if !value => Token::And,
            "OR" | "||" if !value => Token::Or,
            "NOT" if !value => Token::Not,
            _ => Token::Word(word),
        };
        self.push(start, token);
        Ok(())
    }

    /// Whether a name before a colon names a field. A known one always does. Of the others, `system:serviceaccount:x`,
    /// `fe80::1`, `12:30` and `https://x` are words: a second colon, a slash after it, or no letter in the name say so.
    fn is_field(&self, name: &str, rest: &str) -> bool {
        use super::field::{Named, resolve};
        if !matches!(resolve(name), Named::Unknown) {
            return true;
        }
        let value: &str = rest.split(ends_word).next().unwrap_or_default();
        let quoted = rest.starts_with(['"', '(', '[', '{']);
        let dotted = name.contains('.') && !name.starts_with(|c: char| c.is_ascii_digit());
        name.chars().any(|c| c.is_ascii_alphabetic())
            && (quoted || !value.is_empty())
            && !value.starts_with("//")
            && !value.starts_with(':')
            && (dotted || quoted || !value.contains(':'))
    }
}

/// What a field's name consists of.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '@' | '/'))
        && !text.starts_with(['/', '-', '.'])
}
