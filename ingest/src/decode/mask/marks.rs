//! Secrets that are known by their own form, whatever stands before them.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{AZURE_SECRET, JWT, PRIVATE_KEY, Spans, URL_PASSWORD};

/// Longest user and password of a URL, in bytes.
const MAX_USERINFO_BYTES: usize = 512;
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
fn begins(text: &[u8], at: usize) -> bool {
    at.checked_sub(1)
        .and_then(|before| text.get(before))
        .is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')
        || escaped_letter(text, at)
}

/// Whether the letter before `at` is that of an escape, such as `\n`.
fn escaped_letter(text: &[u8], at: usize) -> bool {
    at >= 2 && matches!(text.get(at - 2..at), Some([b'\\', b'n' | b'r' | b't']))
}

/// RFC 7519: three parts, of which the first is the base64 of `{"…`. The last may be empty (`alg` `none`).
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
    let length = run(text, claims, is_base64url);
    let signature = claims + length + 1;
    if length < 4 || text.get(signature - 1) != Some(&b'.') {
        return;
    }
    found.push(start, signature + run(text, signature, is_base64url), JWT);
}

/// RFC 7468: from the first line of a private key to its last, or as far as there is one.
pub(super) fn pem(found: &mut Spans<'_>, start: usize) {
    let text = found.text;
    let rest = text.get(start..).unwrap_or_default();
    let head = rest.get(..rest.len().min(64)).unwrap_or_default().to_ascii_uppercase();
    if !head.windows(11).any(|window| window == b"PRIVATE KEY") {
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

/// RFC 3986, 3.2.1: `user:password@` behind the slashes.
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
    if let (Some(colon), Some(at_sign)) = (colon, at_sign) {
        found.push(colon + 1, at_sign, URL_PASSWORD);
    }
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

/// A token that begins with its issuer's mark.
pub(super) fn prefixed(found: &mut Spans<'_>, start: usize, end: usize, kind: &'static str) {
    let text = found.text;
    let length = run(text, end, |byte| is_base64url(byte) || byte == b'.');
    let least = if kind == super::GCP_KEY { 30 } else { 10 };
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
