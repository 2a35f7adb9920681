//! Where the value of a name stands: in JSON, in settings (`name=value`, `name: value`), options (`--name value`), literals of Ruby,
//! Python and Go, and elements of XML.

use casebook_event::json::{quote, string_end};

use super::blocks;
use super::marks::run;
use super::text::{marker, skip_colors, skip_space};

/// How far before a quote its opposite is looked for, in bytes.
const MAX_LOOK_BACK_BYTES: usize = 1024;

/// What stands after a name.
pub(super) enum Value {
    /// A string's content, after a quote with that many backslashes.
    Quoted(usize, usize),
    /// The same in single quotes.
    Single(usize),
    /// The same in backticks.
    Backticks(usize),
    /// No string, where a key of JSON stands before it.
    Scalar(usize, usize),
    /// Up to the next white space or mark.
    Plain(usize, Separator),
    /// From one place to another: lines, or an element's text.
    Whole(usize, usize),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Separator {
    Colon,
    Equals,
    /// Of an option and its value.
    Space,
}

/// The value after a name that stands from `start` to `end`.
pub(super) fn value_after(text: &[u8], start: usize, end: usize) -> Option<Value> {
    let name = text.get(start..end)?;
    let option = name.starts_with(b"-");
    if let Some((level, after)) = quote(text, end) {
        return after_quote(text, option, start, level, after);
    }
    if let Some((from, to)) = blocks::element(text, start, end) {
        return Some(Value::Whole(from, to));
    }
    let single = text.get(end) == Some(&b'\'');
    let end = end + usize::from(single);
    // Of a subscript: environ['NAME'] = 'value'.
    let end = skip_colors(text, end + usize::from(single && text.get(end) == Some(&b']')));
    let space = run(text, end, is_blank);
    let at = end + space;
    let (separator, at) = match (text.get(at), text.get(at + 1)) {
        (Some(b'='), Some(b'>')) => (Separator::Equals, at + 2),
        (Some(b'='), _) => (Separator::Equals, at + 1),
        (Some(b':'), Some(b'=')) => (Separator::Equals, at + 2),
        (Some(b':'), _) => (Separator::Colon, at + 1),
        // Of a pair in Python: ('password', 'x').
        (Some(b','), _) if single && opens_pair(text, start) => (Separator::Equals, at + 1),
        (Some(b' '), _) | (Some(b'\''), _) if space > 0 => return None,
        _ if option && space > 0 => (Separator::Space, at),
        _ => return None,
    };
    let at = skip_colors(text, at + run(text, at, is_blank));
    if separator == Separator::Colon
        && let Some((from, to)) = blocks::block(text, start, at)
    {
        return Some(Value::Whole(from, to));
    }
    let tag = run(text, at, |byte| byte == b'!');
    let tag = if tag > 0 {
        tag + run(text, at + tag, |byte| byte.is_ascii_alphabetic())
    } else {
        0
    };
    // A type of YAML.
    let at = if tag > 0 && text.get(at + tag) == Some(&b' ') {
        at + tag + 1
    } else {
        at
    };
    let at = at + prefix(text, at);
    match (quote(text, at), text.get(at)) {
        (Some((level, start)), _) => {
            let triple = level == 0 && text.get(at..at + 3) == Some(b"\"\"\"");
            let start = start + if triple { 2 } else { 0 };
            (triple || !closes(text, at, start, level)).then_some(Value::Quoted(start, level))
        }
        (None, Some(b'\'')) => Some(Value::Single(
            at + if text.get(at..at + 3) == Some(b"'''") { 3 } else { 1 },
        )),
        (None, Some(b'`')) => Some(Value::Backticks(at + 1)),
        _ => Some(Value::Plain(at, separator)),
    }
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// The letters before a quote: `b'…'`, `u"…"`, `$'…'`, `@"…"`.
fn prefix(text: &[u8], at: usize) -> usize {
    let length = run(text, at, |byte| {
        matches!(
            byte,
            b'b' | b'B' | b'u' | b'U' | b'r' | b'R' | b'f' | b'F' | b'$' | b'@'
        )
    });
    let quoted = text.get(at + length) == Some(&b'\'') || quote(text, at + length).is_some();
    if length <= 2 && quoted { length } else { 0 }
}

/// Whether a bracket opens before the quote of the name at `start`.
fn opens_pair(text: &[u8], start: usize) -> bool {
    let before = text.get(..start).unwrap_or_default();
    let before = before.strip_suffix(b"u'").or_else(|| before.strip_suffix(b"'"));
    before.is_some_and(|before| before.ends_with(b"("))
}

/// The value after a name in quotes, of which the second, of that level, ends at `after`.
fn after_quote(text: &[u8], option: bool, name: usize, level: usize, after: usize) -> Option<Value> {
    let at = skip_space(text, after);
    match text.get(at)? {
        b':' => json_value(text, skip_space(text, at + 1), level),
        // Of a subscript: ENV["NAME"] = "value".
        b']' => {
            let equals = skip_space(text, at + 1);
            let assigned = text.get(equals) == Some(&b'=') && text.get(equals + 1) != Some(&b'=');
            assigned.then(|| json_value(text, skip_space(text, equals + 1), level))?
        }
        // Ruby: "password" => "x".
        b'=' if text.get(at + 1) == Some(&b'>') => json_value(text, skip_space(text, at + 2), level),
        b',' => {
            let (next, start) = quote(text, skip_space(text, at + 1))?;
            if next != level {
                return None;
            }
            // Python and Go: ("password", "x").
            let before = text.get(..name.saturating_sub(level + 1)).unwrap_or_default();
            if option || before.ends_with(b"(") {
                // Of an object, what follows is the next key.
                let close = skip_space(text, string_end(text, start, level) + level + 1);
                return (text.get(close) != Some(&b':')).then_some(Value::Quoted(start, level));
            }
            // The two of a pair: {"name": "DB_PASSWORD", "value": "…"}.
            let key = text.get(start..start + 5)?;
            let (close, after) = quote(text, start + 5)?;
            let colon = skip_space(text, after);
            let pair = key.eq_ignore_ascii_case(b"value") && close == level && text.get(colon) == Some(&b':');
            pair.then(|| json_value(text, skip_space(text, colon + 1), level))?
        }
        // Arguments of auditd: a1="--password" a2="…".
        b'a' if option => {
            let digits = run(text, at + 1, |byte| byte.is_ascii_digit());
            let equals = at + 1 + digits;
            let (next, start) = quote(text, equals + 1)?;
            (text.get(equals) == Some(&b'=') && next == level).then_some(Value::Quoted(start, level))
        }
        _ => {
            let (from, to) = blocks::attribute(text, after)?;
            Some(Value::Whole(from, to))
        }
    }
}

/// Whether a text is JSON by its first two marks, rather than a literal of Ruby or a line that begins with its time in brackets.
fn is_json(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    let inner = text.get(1..).unwrap_or_default().trim_ascii_start();
    match (text.first(), inner.first()) {
        (Some(b'{'), next) => matches!(next, None | Some(b'"' | b'}')),
        (Some(b'['), next) => matches!(next, None | Some(b'{' | b'"' | b'[' | b']')),
        _ => false,
    }
}

/// Whether the quote after `name=` ends the string that the name is in, rather than beginning a value.
fn closes(text: &[u8], at: usize, after: usize, level: usize) -> bool {
    if level == 0 && is_json(text) {
        return true;
    }
    let next = skip_space(text, after);
    let ends = matches!(text.get(next), None | Some(b',' | b'}' | b']' | b':'))
        || quote(text, next).is_some_and(|(outer, _)| outer < level);
    let before = text.get(at.saturating_sub(MAX_LOOK_BACK_BYTES)..at).unwrap_or_default();
    let opening = before.iter().rposition(|byte| *byte == b'"').is_some_and(|quote| {
        let backslashes = before
            .iter()
            .take(quote)
            .rev()
            .take_while(|byte| **byte == b'\\')
            .count();
        backslashes == level
    });
    ends && opening
}

fn json_value(text: &[u8], at: usize, level: usize) -> Option<Value> {
    match quote(text, at) {
        Some((same, start)) if same == level => Some(Value::Quoted(start, level)),
        Some(_) => None,
        None => Some(Value::Scalar(at, level)),
    }
}

pub(super) fn single(text: &[u8], start: usize) -> usize {
    let length = run(text, start, |byte| !matches!(byte, b'\'' | b'"' | b'\n'));
    let value = text.get(start..start + length).unwrap_or_default();
    // Not between a backslash and what it escapes.
    length - value.iter().rev().take_while(|byte| **byte == b'\\').count()
}

/// The length of a value without quotes.
pub(super) fn plain(text: &[u8], start: usize) -> usize {
    // The rest of a value whose beginning was masked in another part of the line.
    let mut at = start + marker(text, start).unwrap_or(0);
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' => {
                let backslashes = run(text, at, |byte| byte == b'\\');
                match text.get(at + backslashes) {
                    // White space, a quote, or a character that could be either.
                    None | Some(b'n' | b'r' | b't' | b'u' | b'"' | b'\'') => break,
                    Some(_) => at += backslashes,
                }
            }
            b'"' | b'\'' | b',' | b';' | b'&' | b')' | b'}' | b']' | b'|' | b'<' | b'>' | b'`' => break,
            byte if byte.is_ascii_whitespace() || *byte == 0 => break,
            _ => at += 1,
        }
    }
    at - start
}
