//! Passwords in the addresses of databases and services.

use super::kinds::URL_PASSWORD;
use super::span::Spans;

/// Longest user and password, in bytes.
const MAX_USERINFO_BYTES: usize = 512;
/// Fewest letters of a user without a password that is taken for a token.
const LEAST_TOKEN_BYTES: usize = 20;

/// RFC 3986, 3.2.1: `user:password@` after the slashes at `start`.
pub(super) fn url(found: &mut Spans<'_>, start: usize) {
    let text = found.text;
    let mut colon = None;
    let mut at_sign = None;
    for (at, byte) in text.iter().enumerate().skip(start).take(MAX_USERINFO_BYTES) {
        match byte {
            b':' if colon.is_none() => colon = Some(at),
            // A password with an unescaped @ goes on to the last.
            b'@' => at_sign = Some(at),
            b'/' | b'?' | b'#' | b'"' | b'\'' | b'\\' | b'<' | b'>' | b'`' | 0..=b' ' => break,
            _ => {}
        }
    }
    match (colon, at_sign) {
        (Some(colon), Some(at_sign)) if colon < at_sign => found.push(colon + 1, at_sign, URL_PASSWORD),
        (_, Some(at_sign)) => {
            // `https://TOKEN@host`.
            let user = text.get(start..at_sign).unwrap_or_default();
            if user.len() >= LEAST_TOKEN_BYTES && user.iter().any(u8::is_ascii_digit) && !user.contains(&b'.') {
                found.push(start, at_sign, URL_PASSWORD);
            }
        }
        _ => {}
    }
}

/// What cannot be within a data source's name.
fn ends_name(byte: u8) -> bool {
    matches!(byte, 0..=b' ' | b'"' | b'\'' | b'<' | b'>' | b'`' | b'\\' | b'(')
}

/// Go's `user:password@tcp(host)/name`, and Oracle's `user/password@//host/name` or `user/password@host:1521/name`, known by what
/// stands after the password.
pub(super) fn dsn(found: &mut Spans<'_>, start: usize, end: usize) {
    let text = found.text;
    let from = start.saturating_sub(MAX_USERINFO_BYTES);
    let before = text.get(from..start).unwrap_or_default();
    let mut begin = start - before.iter().rev().take_while(|byte| !ends_name(**byte)).count();
    let mut after = start;
    let mark = text.get(start..end).unwrap_or_default();
    let mut slash = mark != b"@tcp(" && mark != b"@unix(";
    if mark == b":1521" {
        let host = text.get(begin..start).unwrap_or_default();
        let Some(at_sign) = host.iter().rposition(|byte| *byte == b'@') else {
            return;
        };
        after = begin + at_sign;
        slash = true;
    }
    let user = text.get(begin..after).unwrap_or_default();
    if user.windows(3).any(|part| part == b"://") {
        return;
    }
    // `dsn=user:…`, `jdbc:oracle:thin:user/…`.
    let separator = if slash { b'/' } else { b':' };
    let first = user.iter().position(|byte| *byte == separator).unwrap_or(user.len());
    let prefix = user.get(..first).unwrap_or_default();
    if let Some(equals) = prefix.iter().rposition(|byte| *byte == b'=') {
        begin += equals + 1;
    }
    let user = text.get(begin..after).unwrap_or_default();
    if let Some(colon) = user.iter().position(|byte| *byte == separator)
        && colon > 0
    {
        found.push(begin + colon + 1, after, URL_PASSWORD);
    }
}

/// Oracle's `jdbc:oracle:thin:user/password@…`, of which the mark ends at `start`.
pub(super) fn oracle(found: &mut Spans<'_>, start: usize) {
    let text = found.text;
    let rest = text
        .get(start..text.len().min(start + MAX_USERINFO_BYTES))
        .unwrap_or_default();
    let length = rest.iter().take_while(|byte| !ends_name(**byte)).count();
    user_slash_password(found, start, start + length);
}

/// `user/password@name`, or without a name.
pub(super) fn user_slash_password(found: &mut Spans<'_>, start: usize, end: usize) {
    let word = found.text.get(start..end).unwrap_or_default();
    let Some(slash) = word.iter().position(|byte| *byte == b'/').filter(|slash| *slash > 0) else {
        return;
    };
    let end = word
        .iter()
        .rposition(|byte| *byte == b'@')
        .map_or(end, |at_sign| start + at_sign);
    found.push(start + slash + 1, end, URL_PASSWORD);
}
