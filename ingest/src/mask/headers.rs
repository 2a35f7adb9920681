//! Headers of HTTP: `Authorization`, cookies, and schemes that stand alone.

use casebook_event::json::{quote, string_end};

use super::kinds::*;
use super::marks::{is_user_and_password, run};
use super::names::kind_of;
use super::span::Spans;
use super::text::{marker, skip_space};

/// Attributes of a cookie that say nothing of its value (RFC 6265, 4.1.2).
const COOKIE_ATTRIBUTES: &[&[u8]] = &[
    b"path",
    b"domain",
    b"expires",
    b"max-age",
    b"samesite",
    b"priority",
    b"version",
];

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

/// RFC 9110, 11.6.2: a scheme and its credentials, or an older header that is all credentials.
pub(super) fn authorization(found: &mut Spans<'_>, start: usize, end: usize) {
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
        b"bearer"
        | b"token"
        | b"negotiate"
        | b"ntlm"
        | b"apikey"
        | b"api-key"
        | b"key"
        | b"splunk"
        | b"bot"
        | b"genie-key"
        | b"pveapitoken"
        | b"sharedaccesssignature"
        | b"sharedkey" => {
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

/// The values of the cookies from `start` to `end`; their names stay. A list of strings, or one value alone, is all secret.
pub(super) fn cookies(found: &mut Spans<'_>, start: usize, end: usize) {
    let text = found.text;
    let mut at = start;
    while at < end {
        let rest = text.get(at..end).unwrap_or_default();
        let length = rest.iter().position(|byte| *byte == b';').unwrap_or(rest.len());
        let pair = rest.get(..length).unwrap_or_default();
        let blank = run(pair, 0, |byte| byte == b' ' || byte == b'\t');
        let equals = pair.iter().position(|byte| *byte == b'=');
        let name = pair.get(blank..equals.unwrap_or(blank)).unwrap_or_default();
        let known = COOKIE_ATTRIBUTES.iter().any(|word| name.eq_ignore_ascii_case(word));
        let value = match equals {
            Some(equals) => at + equals + 1,
            // `HttpOnly`, `Secure`: only a first value stands alone.
            None if at == start && length >= 8 => at + blank,
            None => at + length,
        };
        if !known && value < at + length && marker(text, value).is_none() {
            found.push(value, at + length, COOKIE);
        }
        at += length + 1;
    }
}

/// The strings of the object or list that begins at `at`, after a name that says they are cookies.
pub(super) fn cookie_values(found: &mut Spans<'_>, at: usize, level: usize) {
    let is_list = found.text.get(at) == Some(&b'[');
    let mut at = at + 1;
    loop {
        at = skip_space(found.text, at);
        let Some((same, start)) = quote(found.text, at).filter(|(same, _)| *same == level) else {
            return;
        };
        let end = string_end(found.text, start, same);
        let after = skip_space(found.text, end + level + 1);
        match found.text.get(after) {
            Some(b':') if !is_list => {
                at = skip_space(found.text, after + 1);
                let Some((same, start)) = quote(found.text, at).filter(|(same, _)| *same == level) else {
                    return;
                };
                let end = string_end(found.text, start, same);
                found.push(start, end, COOKIE);
                at = skip_space(found.text, end + level + 1);
            }
            _ => {
                cookies(found, start, end);
                at = after;
            }
        }
        if found.text.get(at) != Some(&b',') {
            return;
        }
        at += 1;
    }
}
