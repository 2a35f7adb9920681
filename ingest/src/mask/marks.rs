//! Secrets that are known by their own form, whatever stands before them.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::kinds::*;
use super::span::Spans;
use super::text::line_break;

/// Longest base64 that is decoded to see what it is, in bytes.
const MAX_BASE64_BYTES: usize = 4096;

/// RFC 4648, padded or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// How many bytes from `at` are such.
pub(super) fn run(text: &[u8], at: usize, is: impl Fn(u8) -> bool) -> usize {
    text.get(at..)
        .unwrap_or_default()
        .iter()
        .take_while(|byte| is(**byte))
        .count()
}

/// Whether a word begins at `at`.
pub(super) fn begins(text: &[u8], at: usize) -> bool {
    at.checked_sub(1)
        .and_then(|before| text.get(before))
        .is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')
        || escaped_letter(text, at)
}

/// Whether the letter before `at` is that of an escape, such as `\n`.
fn escaped_letter(text: &[u8], at: usize) -> bool {
    at >= 2 && matches!(text.get(at - 2..at), Some([b'\\', b'n' | b'r' | b't']))
}

/// RFC 7519: three parts, of which the first is the base64 of `{"…`. The last may be empty (`alg` `none`). Of an encrypted one
/// (RFC 7516) there are five. One that is cut off within its second part is known by that.
pub(super) fn jwt(found: &mut Spans<'_>, start: usize) {
    let text = found.text;
    if !text.get(start..).is_some_and(|rest| rest.starts_with(b"eyJ")) || !begins(text, start) {
        return;
    }
    let header = run(text, start, is_base64url);
    let claims = start + header + 1;
    if header < 10 || text.get(claims - 1) != Some(&b'.') {
        return;
    }
    let mut end = claims + run(text, claims, is_base64url);
    let mut parts = 2;
    while parts < 5 && text.get(end) == Some(&b'.') {
        let length = run(text, end + 1, is_base64url);
        // A sentence's end is no part.
        if length == 0 && parts > 2 {
            break;
        }
        end += 1 + length;
        parts += 1;
    }
    let is_claims = text.get(claims..).is_some_and(|rest| rest.starts_with(b"eyJ"));
    if is_claims || (parts > 2 && end > claims + 4) {
        found.push(start, end, JWT);
    }
}

/// RFC 7468: from the first line of a private key to its last, or as far as there is one.
pub(super) fn pem(found: &mut Spans<'_>, start: usize) {
    let text = found.text;
    let rest = text.get(start..).unwrap_or_default();
    let head = rest.get(..rest.len().min(64)).unwrap_or_default().to_ascii_uppercase();
    // A space may have been lost where a line was cut.
    if !head
        .windows(10)
        .any(|window| window == b"PRIVATE KE" || window == b"PRIVATEKEY")
    {
        return;
    }
    let quote = rest.iter().position(|byte| *byte == b'"').unwrap_or(rest.len());
    let body = rest.get(..quote).unwrap_or_default();
    let end = find_end(body).unwrap_or_else(|| {
        let backslashes = body.iter().rev().take_while(|byte| **byte == b'\\').count();
        body.len() - backslashes
    });
    found.push(start, start + end, PRIVATE_KEY);
}

fn find_end(body: &[u8]) -> Option<usize> {
    let end = body
        .windows(8)
        .position(|window| window.eq_ignore_ascii_case(b"-----END"))?;
    let tail = body.get(end + 8..)?;
    let close = tail
        .get(..tail.len().min(64))?
        .windows(5)
        .position(|window| window == b"-----")?;
    Some(end + 8 + close + 5)
}

/// The signature of an Azure SAS URL: it alone grants the access.
pub(super) fn signature(found: &mut Spans<'_>, start: usize, end: usize) {
    let text = found.text;
    let length = run(text, end, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'%' | b'+' | b'/' | b'=' | b'-' | b'_')
    });
    if length >= 20 && (begins(text, start) || text.get(start.saturating_sub(6)..start) == Some(b"\\u0026")) {
        found.push(end, end + length, AZURE_SECRET);
    }
}

/// The private half of a key file of PuTTY: lines of base64 after their number, which ends at `start`.
pub(super) fn putty(found: &mut Spans<'_>, start: usize) {
    let text = found.text;
    let mut at = start + run(text, start, |byte| byte == b' ' || byte.is_ascii_digit());
    let begin = at;
    while let Some(length) = line_break(text, at) {
        let line = run(text, at + length, |byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
        });
        if line == 0 {
            break;
        }
        at += length + line;
    }
    let first = line_break(text, begin).unwrap_or(0);
    found.push(begin + first, at, PRIVATE_KEY);
}

/// A parameter of a query that opens something: an authorization code, the key of a function, the signature of an address.
pub(super) fn query(found: &mut Spans<'_>, start: usize, end: usize, kind: &'static str) {
    let text = found.text;
    let before = text.get(..start).unwrap_or_default();
    let named = text.get(start).is_some_and(|byte| matches!(byte, b'?' | b'&' | b'-'));
    if !(named || before.ends_with(b"?") || before.ends_with(b"&") || before.ends_with(b"\\u0026")) {
        return;
    }
    let length = run(text, end, |byte| {
        byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'%' | b'+' | b'/' | b'=' | b'-' | b'_' | b'.' | b'~' | b'!' | b'*'
            )
    });
    let value = text.get(end..end + length).unwrap_or_default();
    let letters = value.iter().any(u8::is_ascii_alphabetic);
    let digits = value.iter().any(u8::is_ascii_digit);
    // A code of HTTP or an error's word is no secret; neither is the key of an object.
    let least = if kind == OAUTH_CODE { 8 } else { 20 };
    if length >= least && letters && (digits || length >= 20) {
        found.push(end, end + length, kind);
    }
}

/// The part of a webhook's address that only its owner knows.
pub(super) fn webhook(found: &mut Spans<'_>, start: usize) {
    let text = found.text;
    let length = run(text, start, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'@' | b'.' | b'%')
    });
    let path = text.get(start..start + length).unwrap_or_default();
    // `services/`, `workflows/`: what it is stays.
    let word = run(path, 0, |byte| byte.is_ascii_lowercase());
    let kept = if path.get(word) == Some(&b'/') { word + 1 } else { 0 };
    if length >= kept + 16 {
        found.push(start + kept, start + length, SLACK_TOKEN);
    }
}

/// A token that begins with its issuer's mark.
pub(super) fn prefixed(found: &mut Spans<'_>, start: usize, end: usize, kind: &'static str, least: usize) {
    let text = found.text;
    let mut length = run(text, end, |byte| is_base64url(byte) || matches!(byte, b'.' | b'~'));
    // A sentence's end is none of it.
    length -= usize::from(length > 0 && text.get(end + length - 1) == Some(&b'.'));
    if length >= least && begins(text, start) {
        found.push(start, end + length, kind);
    }
}

/// Whether the base64 is that of `user:password`.
pub(super) fn is_user_and_password(value: &[u8]) -> bool {
    value.len() <= MAX_BASE64_BYTES
        && BASE64
            .decode(value)
            .is_ok_and(|plain| plain.contains(&b':') && plain.iter().all(|byte| !byte.is_ascii_control()))
}
