//! Values behind names: of JSON, of settings (`name=value`, `name: value`), of options (`--name value`), of headers.

use super::marks::{is_user_and_password, run};
use super::names::{MAX_NAME_BYTES, kind_of, secret_name};
use super::text::{quote, skip_space, string_end};
use super::{BASIC_AUTH, BEARER_TOKEN, DOCKER_AUTH, JWT, PASSWORD, Spans};

/// How far before a quote its opposite is looked for, in bytes.
const MAX_LOOK_BACK_BYTES: usize = 1024;

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// What stands behind a name.
enum Value {
    /// A string's content, behind a quote with that many backslashes.
    Quoted(usize, usize),
    /// The same in single quotes.
    Single(usize),
    /// No string, where a key of JSON stands before it.
    Scalar(usize, usize),
    /// Up to the next white space or mark.
    Plain(usize, Separator),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Separator {
    Colon,
    Equals,
    /// Of an option and its value.
    Space,
}

/// A hit inside a name: masks the name's value if it is a secret.
pub(super) fn named(found: &mut Spans<'_>, start: usize, end: usize) {
    let text = found.text;
    // The needles with quotes begin at one.
    let start = start + usize::from(text.get(start) == Some(&b'"'));
    let before = text
        .get(start.saturating_sub(MAX_NAME_BYTES)..start)
        .unwrap_or_default();
    let mut left = start - before.iter().rev().take_while(|byte| is_name(**byte)).count();
    // The letter of an escape is no part of a name: `\npassword=`.
    if left > 0 && text.get(left - 1) == Some(&b'\\') && matches!(text.get(left), Some(b'n' | b'r' | b't')) {
        left += 1;
    }
    let end = start
        + run(
            text.get(..text.len().min(end + MAX_NAME_BYTES)).unwrap_or_default(),
            start,
            is_name,
        );
    let left = left.min(end);
    let Some(name) = text.get(left..end) else { return };
    // A file, such as /etc/passwd.
    // Or a resource's name: arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME.
    let in_path = match left.checked_sub(1).and_then(|before| text.get(before)) {
        Some(b'/') => true,
        Some(b':') => name == b"secret",
        _ => false,
    };
    value_of(found, name, end, in_path);
}

/// A name with letters as `\u0070`: read as what it means.
pub(super) fn escaped_name(found: &mut Spans<'_>, hit: usize) {
    let text = found.text;
    let is_escaped_name = |byte: u8| is_name(byte) || byte == b'\\';
    let before = text.get(hit.saturating_sub(MAX_NAME_BYTES)..hit).unwrap_or_default();
    let start = hit - before.iter().rev().take_while(|byte| is_escaped_name(**byte)).count();
    let mut name = Vec::new();
    let mut at = start;
    while let Some(rest) = text.get(at..) {
        let escape = rest
            .strip_prefix(b"\\u00")
            .and_then(|rest| rest.get(..2))
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (escape, rest.first()) {
            (Some(byte), _) => {
                name.push(byte);
                at += 6;
            }
            (None, Some(byte)) if is_name(*byte) => {
                name.push(*byte);
                at += 1;
            }
            _ => break,
        }
        if name.len() > MAX_NAME_BYTES {
            return;
        }
    }
    value_of(found, &name, at, false);
}

/// `Bearer …` and `Basic …` without a header's name before them.
pub(super) fn scheme(found: &mut Spans<'_>, start: usize, end: usize) {
    let text = found.text;
    let at = end + run(text, end, |byte| byte == b' ');
    let length = credential(text, at);
    let Some(value) = text.get(at..at + length) else { return };
    if text.get(start).is_some_and(|byte| byte.eq_ignore_ascii_case(&b'b'))
        && text.get(start + 1).is_some_and(|byte| byte.eq_ignore_ascii_case(&b'a'))
    {
        if length >= 4 && is_user_and_password(value) {
            found.push(at, at + length, BASIC_AUTH);
        }
    } else if length >= 8 && (length >= 32 || value.iter().any(u8::is_ascii_digit)) {
        // A shorter word without a digit is prose: "bearer authentication".
        found.push(at, at + length, kind_of(value, BEARER_TOKEN));
    }
}

/// The length of RFC 6750's `b64token` at `at`.
fn credential(text: &[u8], at: usize) -> usize {
    let length = run(text, at, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/')
    });
    length + run(text, at + length, |byte| byte == b'=')
}

fn value_of(found: &mut Spans<'_>, name: &[u8], end: usize, in_path: bool) {
    let text = found.text;
    if name.len() >= 13 && name.to_ascii_lowercase().ends_with(b"authorization") {
        return match behind(text, name, end) {
            Some(Value::Quoted(start, level)) => header(found, start, string_end(text, start, level)),
            Some(Value::Plain(start, separator)) if separator != Separator::Space => {
                let line = run(text, start, |byte| {
                    !matches!(byte, b'"' | b'\'' | b'\n' | b'\r' | b'\\' | b',' | b';')
                });
                header(found, start, start + line);
            }
            Some(Value::Single(start)) => header(found, start, start + single(text, start)),
            _ => {}
        };
    }
    let Some(kind) = secret_name(name) else { return };
    match behind(text, name, end) {
        Some(Value::Quoted(start, level)) => string(found, start, level, kind),
        Some(Value::Single(start)) => secret(found, start, start + single(text, start), kind),
        Some(Value::Scalar(start, level)) if text.get(start) == Some(&b'[') => strings(found, start + 1, level, kind),
        Some(Value::Scalar(start, level)) => {
            let length = run(text, start, |byte| {
                byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E')
            });
            // Numbers under the other names are counts and lengths.
            if kind == PASSWORD {
                found.push_quoted(start, start + length, kind, Some(level));
            }
        }
        Some(Value::Plain(start, separator)) if !in_path || separator == Separator::Equals => {
            let length = plain(text, start);
            let value = text.get(start..start + length).unwrap_or_default();
            // "invalid token: expired", "secret: not found", "passwd: no such user": prose.
            let prose = separator == Separator::Colon
                && (kind != PASSWORD || matches!(name, b"secret" | b"Secret" | b"passwd"))
                && length < 16;
            let directory = name.to_ascii_lowercase().ends_with(b"pwd") && value.starts_with(b"/");
            let option = separator == Separator::Space && value.starts_with(b"-");
            if !prose && !directory && !option {
                secret(found, start, start + length, kind);
            }
        }
        _ => {}
    }
}

/// The value behind a name that ends at `end`.
fn behind(text: &[u8], name: &[u8], end: usize) -> Option<Value> {
    let option = name.starts_with(b"-");
    if let Some((level, behind)) = quote(text, end) {
        let at = skip_space(text, behind);
        return match text.get(at)? {
            b':' => json_value(text, skip_space(text, at + 1), level),
            b',' => {
                let (next, start) = quote(text, skip_space(text, at + 1))?;
                if next != level {
                    return None;
                }
                if option {
                    // Of an object, what follows is the next key.
                    let close = skip_space(text, string_end(text, start, level) + level + 1);
                    return (text.get(close) != Some(&b':')).then_some(Value::Quoted(start, level));
                }
                // The two of a pair: {"name": "DB_PASSWORD", "value": "…"}.
                let key = text.get(start..start + 5)?;
                let (close, behind) = quote(text, start + 5)?;
                let colon = skip_space(text, behind);
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
            _ => None,
        };
    }
    let end = end + usize::from(text.get(end) == Some(&b'\''));
    let space = run(text, end, |byte| byte == b' ' || byte == b'\t');
    let at = end + space;
    let (separator, at) = match (text.get(at), text.get(at + 1)) {
        (Some(b'='), Some(b'>')) => (Separator::Equals, at + 2),
        (Some(b'='), _) => (Separator::Equals, at + 1),
        (Some(b':'), _) => (Separator::Colon, at + 1),
        _ if option && space > 0 => (Separator::Space, at),
        _ => return None,
    };
    let at = at + run(text, at, |byte| byte == b' ' || byte == b'\t');
    match (quote(text, at), text.get(at)) {
        (Some((level, start)), _) => (!closes(text, at, start, level)).then_some(Value::Quoted(start, level)),
        (None, Some(b'\'')) => Some(Value::Single(at + 1)),
        _ => Some(Value::Plain(at, separator)),
    }
}

/// Whether the quote behind `name=` ends the string that the name is in, rather than beginning a value.
fn closes(text: &[u8], at: usize, behind: usize, level: usize) -> bool {
    if level == 0 && matches!(text.trim_ascii_start().first(), Some(b'{' | b'[')) {
        return true;
    }
    let next = skip_space(text, behind);
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

fn string(found: &mut Spans<'_>, start: usize, level: usize, kind: &'static str) {
    let end = string_end(found.text, start, level);
    secret(found, start, end, kind);
}

/// The strings of a list.
fn strings(found: &mut Spans<'_>, mut at: usize, level: usize, kind: &'static str) {
    while let Some((same, start)) = quote(found.text, skip_space(found.text, at)) {
        if same != level {
            return;
        }
        let end = string_end(found.text, start, level);
        secret(found, start, end, kind);
        at = skip_space(found.text, end + level + 1);
        if found.text.get(at) != Some(&b',') {
            return;
        }
        at += 1;
    }
}

/// Masks a value, unless it says that there is none.
fn secret(found: &mut Spans<'_>, start: usize, end: usize, kind: &'static str) {
    let value = found.text.get(start..end).unwrap_or_default();
    let none = [&b"null"[..], b"none", b"nil", b"true", b"false", b"undefined"];
    if value.iter().all(|byte| *byte == b'*') || none.iter().any(|word| value.eq_ignore_ascii_case(word)) {
        return;
    }
    if kind == DOCKER_AUTH && !is_user_and_password(value) {
        return;
    }
    // A header that is named for its token: X-Auth-Token: Bearer ….
    let scheme = value.get(..7).is_some_and(|word| word.eq_ignore_ascii_case(b"bearer "));
    let start = if scheme { start + 7 } else { start };
    let kind = kind_of(found.text.get(start..end).unwrap_or_default(), kind);
    found.push(start, end, kind);
}

/// RFC 9110, 11.6.2: a scheme and its credentials, or an older header that is all credentials.
fn header(found: &mut Spans<'_>, start: usize, end: usize) {
    let text = found.text;
    let value = text.get(start..end).unwrap_or_default();
    let word = run(value, 0, |byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let spaces = run(value, word, |byte| byte == b' ');
    let credentials = start + word + spaces;
    let scheme = value.get(..word).unwrap_or_default().to_ascii_lowercase();
    match scheme.as_slice() {
        _ if spaces == 0 && value.len() >= 16 && credential(text, start) == value.len() => {
            found.push(start, end, kind_of(value, BEARER_TOKEN));
        }
        b"bearer" | b"token" | b"negotiate" | b"apikey" => {
            let length = credential(text, credentials).min(end.saturating_sub(credentials));
            let value = text.get(credentials..credentials + length).unwrap_or_default();
            let kind = if value.starts_with(b"eyJ") {
                JWT
            } else {
                kind_of(value, BEARER_TOKEN)
            };
            found.push(credentials, credentials + length, kind);
        }
        b"basic" => {
            let length = credential(text, credentials).min(end.saturating_sub(credentials));
            found.push(credentials, credentials + length, BASIC_AUTH);
        }
        // AWS4-HMAC-SHA256, Digest: a signature of this one request.
        _ => {}
    }
}

fn single(text: &[u8], start: usize) -> usize {
    let length = run(text, start, |byte| !matches!(byte, b'\'' | b'"' | b'\n'));
    let value = text.get(start..start + length).unwrap_or_default();
    // Not between a backslash and what it escapes.
    length - value.iter().rev().take_while(|byte| **byte == b'\\').count()
}

/// The length of a value without quotes.
fn plain(text: &[u8], start: usize) -> usize {
    let mut at = start;
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
