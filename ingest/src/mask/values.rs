//! Names whose values are secrets, wherever they stand.

use casebook_event::json::{quote, string_end};

use super::kinds::*;
use super::marks::run;
use super::names::{MAX_NAME_BYTES, Named, secret_name};
use super::secret_value::secret;
use super::span::{Spans, StandsIn};
use super::syntax::{Separator, Value, plain, single, value_after};
use super::text::skip_space;
use super::{commands, headers, structure};

/// How far before a name in quotes its key is looked for, in bytes.
const MAX_LOOK_BACK_BYTES: usize = 256;

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
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
    // So is that of a color.
    let colors = run(text, left, |byte| byte.is_ascii_digit() || byte == b';');
    if left > 0 && text.get(left - 1) == Some(&b'[') && text.get(left + colors) == Some(&b'm') && left + colors < start
    {
        left += colors + 1;
    }
    let blank = text.get(start..end).unwrap_or_default().contains(&b' ');
    let from = if blank { end } else { start };
    let end = from
        + run(
            text.get(..text.len().min(end + MAX_NAME_BYTES)).unwrap_or_default(),
            from,
            is_name,
        );
    // A path, or a group of the API: `authorization.k8s.io/decision`.
    if text.get(end) == Some(&b'/') {
        return;
    }
    let left = left.min(end);
    let Some(name) = text.get(left..end) else { return };
    if commands::named(found, name, end) {
        return;
    }
    // A file, such as /etc/passwd.
    // Or a resource's name: arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME.
    let in_path = match left.checked_sub(1).and_then(|before| text.get(before)) {
        Some(b'/') => true,
        Some(b':') => name == b"secret",
        _ => false,
    };
    value_of(found, left, end, in_path);
}

fn value_of(found: &mut Spans<'_>, start: usize, end: usize, in_path: bool) {
    let text = found.text;
    let Some(name) = text.get(start..end) else { return };
    let ends = |word: &[u8]| {
        let tail = name.len().checked_sub(word.len()).and_then(|from| name.get(from..));
        tail.is_some_and(|tail| tail.eq_ignore_ascii_case(word))
    };
    if ends(b"authorization") {
        return header(found, start, end, headers::authorization);
    }
    if ends(b"cookie") || ends(b"cookies") {
        if let Some(Value::Scalar(at, level)) = value_after(text, start, end)
            && matches!(text.get(at), Some(b'{' | b'['))
        {
            return headers::cookie_values(found, at, level);
        }
        return header(found, start, end, headers::cookies);
    }
    if ends(b"identified by") {
        return identified(found, end);
    }
    let Some(named) = secret_name(name) else { return };
    if is_value_of_key(text, start, end) {
        found.structure = true;
    }
    let Some(value) = value_after(text, start, end) else {
        // SQL: `WITH PASSWORD 'x'`.
        if ends(b"password") {
            let at = end + run(text, end, |byte| byte == b' ' || byte == b'(');
            if at > end && text.get(at) == Some(&b'\'') {
                secret(found, at + 1, at + 1 + single(text, at + 1), named);
            }
        }
        return;
    };
    match value {
        Value::Quoted(start, level) => secret(found, start, string_end(text, start, level), named),
        Value::Single(start) => secret(found, start, start + single(text, start), named),
        Value::Backticks(start) => secret(
            found,
            start,
            start + run(text, start, |byte| byte != b'`' && byte != b'"'),
            named,
        ),
        Value::Whole(start, end) => secret(found, start, end, named),
        Value::Scalar(start, level) => match text.get(start) {
            Some(b'[') => strings(found, start + 1, level, named),
            Some(b'{') => found.structure = true,
            Some(b'\'') => secret(found, start + 1, start + 1 + single(text, start + 1), named),
            _ => {
                let length = run(text, start, |byte| {
                    byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E')
                });
                // Numbers under the other names are counts and lengths.
                if named.kind == PASSWORD && !named.doubtful {
                    found.push_as(start, start + length, PASSWORD, StandsIn::Quoted(level));
                }
            }
        },
        Value::Plain(at, separator) if !in_path || separator == Separator::Equals => {
            setting(found, name, at, separator, named);
        }
        Value::Plain(..) => {}
    }
}

/// The value of a setting, an option or a word of prose.
fn setting(found: &mut Spans<'_>, name: &[u8], start: usize, separator: Separator, named: Named) {
    let text = found.text;
    let length = plain(text, start);
    let value = text.get(start..start + length).unwrap_or_default();
    // "invalid token: expired", "secret: not found", "passwd: no such user", "pass: 12": prose.
    let prose = separator == Separator::Colon
        && (named.kind != PASSWORD || named.doubtful || matches!(name, b"secret" | b"Secret" | b"passwd"))
        && length
            < if named.doubtful && value.iter().any(u8::is_ascii_digit) {
                6
            } else {
                16
            };
    let directory = name.to_ascii_lowercase().ends_with(b"pwd") && value.starts_with(b"/");
    // "--client-key string": a description.
    let described = named.doubtful && !value.iter().any(u8::is_ascii_digit);
    let option = separator == Separator::Space && (value.starts_with(b"-") || described);
    if !prose && !directory && !option {
        secret(found, start, start + length, named);
    }
}

/// Whether the name, in quotes, is itself a value: of `"name"`, whose own value stands beside it, or of a patch's `"path"`.
fn is_value_of_key(text: &[u8], start: usize, end: usize) -> bool {
    let Some((level, _)) = quote(text, end) else {
        return false;
    };
    let from = start.saturating_sub(MAX_LOOK_BACK_BYTES);
    let before = text.get(from..start).unwrap_or_default();
    let Some(open) = before.iter().rposition(|byte| *byte == b'"') else {
        return false;
    };
    let before = before.get(..open.saturating_sub(level)).unwrap_or_default();
    // Spaces, also where they are escaped, around the colon.
    let Some(colon) = before.iter().rposition(|byte| *byte == b':') else {
        return false;
    };
    let key = before.get(..colon).map(<[u8]>::trim_ascii_end).unwrap_or_default();
    let Some(key) = key.strip_suffix(b"\"").filter(|_| before.len() - colon <= 8) else {
        return false;
    };
    let key = key.get(..key.len() - level.min(key.len())).unwrap_or_default();
    structure::names_value(key.rsplit(|byte| *byte == b'"').next().unwrap_or_default())
}

/// A header's value, up to its end.
fn header(found: &mut Spans<'_>, start: usize, end: usize, read: fn(&mut Spans<'_>, usize, usize)) {
    let text = found.text;
    if is_value_of_key(text, start, end) {
        found.structure = true;
    }
    match value_after(text, start, end) {
        Some(Value::Quoted(start, level)) => read(found, start, string_end(text, start, level)),
        Some(Value::Plain(start, separator)) if separator != Separator::Space => {
            let line = run(text, start, |byte| {
                !matches!(byte, b'"' | b'\'' | b'\n' | b'\r' | b'\\' | b',')
            });
            read(found, start, start + line);
        }
        Some(Value::Single(start)) => read(found, start, start + single(text, start)),
        Some(Value::Scalar(start, level)) if text.get(start) == Some(&b'[') => {
            let at = skip_space(text, start + 1);
            if let Some((same, start)) = quote(text, at)
                && same == level
            {
                read(found, start, string_end(text, start, level));
            }
        }
        _ => {}
    }
}

/// SQL: `IDENTIFIED BY 'x'`, `IDENTIFIED BY PASSWORD "x"`.
fn identified(found: &mut Spans<'_>, end: usize) {
    let text = found.text;
    let mut at = end + run(text, end, |byte| byte == b' ');
    if text
        .get(at..at + 9)
        .is_some_and(|word| word.eq_ignore_ascii_case(b"password "))
    {
        at += 9;
    }
    match (quote(text, at), text.get(at)) {
        (Some((level, start)), _) => found.push(start, string_end(text, start, level), PASSWORD),
        (None, Some(b'\'')) => found.push(at + 1, at + 1 + single(text, at + 1), PASSWORD),
        _ => found.push(at, at + plain(text, at), PASSWORD),
    }
}

/// The strings of a list.
fn strings(found: &mut Spans<'_>, mut at: usize, level: usize, named: Named) {
    if found.text.get(skip_space(found.text, at)) == Some(&b'{') {
        found.structure = true;
        return;
    }
    while let Some((same, start)) = quote(found.text, skip_space(found.text, at)) {
        if same != level {
            return;
        }
        let end = string_end(found.text, start, level);
        secret(found, start, end, named);
        at = skip_space(found.text, end + level + 1);
        if found.text.get(at) != Some(&b',') {
            return;
        }
        at += 1;
    }
}
