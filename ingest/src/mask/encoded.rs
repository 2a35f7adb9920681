//! Secrets that are written in another encoding: they are decoded, searched, and masked where they stand.
//!
//! What a person can still read keeps all but the secret (percent signs, escapes of JSON). Of the others the whole encoded
//! part is lost: what stands in is the kind, or the text itself without its secrets where the form allows a text
//! (an array of bytes, digits after a name of the audit daemon), or the same encoding of it where a decoder opens it
//! (`data` of an envelope).

use casebook_event::json::quote;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::kinds::BOOTSTRAP_TOKEN;
use super::runs::{LEAST_RUN_BYTES, is_letter, long_runs, rare};
use super::span::{NestedSearch, Span, StandsIn, merged, without};
use super::text::{json_string, line_break};
use super::view::View;

/// Longest text that is taken out of compressed bytes within a text, in bytes.
const MAX_INFLATED_BYTES: u64 = 1 << 20;
/// How far before an array a quote is looked for, in bytes.
const MAX_LOOK_BACK_BYTES: usize = 4096;
/// Fewest bytes of an array that may be a text.
const LEAST_ARRAY_BYTES: usize = 6;

/// Appends the secrets that stand in `text` in another encoding. `found` are those that stand in it as they are.
pub(super) fn find(text: &[u8], nested: NestedSearch, found: &mut Vec<Span>) {
    found.sort_by_key(|span| span.start);
    let known = found.len();
    percent(text, nested, known, found);
    runs(text, nested, known, found);
}

/// Whether a place is within one of the first `known` spans, which are in order.
fn is_known(found: &[Span], known: usize, at: usize) -> bool {
    let found = found.get(..known).unwrap_or_default();
    let n = found.partition_point(|span| span.start <= at);
    n.checked_sub(1)
        .and_then(|n| found.get(n))
        .is_some_and(|span| at < span.end)
}

/// Two hexadecimal digits at `at`.
pub(super) fn hex_byte(text: &[u8], at: usize) -> Option<u8> {
    let digit = |at: usize| char::from(*text.get(at)?).to_digit(16);
    u8::try_from(digit(at)? << 4 | digit(at + 1)?).ok()
}

/// Whether the digits of an escape at `at` (`\u00` is before it, or `\x`) stand for a letter or a mark. Go writes `&` like this in
/// every address, where it hides nothing.
pub(super) fn is_letter_escape(text: &[u8], at: usize) -> bool {
    hex_byte(text, at).is_some_and(|byte| matches!(byte, b' '..=b'~') && byte != b'&')
}

/// The secrets of a text in which letters are escaped: of `\u0070` and `\x70`, also where JSON is in a string of JSON.
pub(super) fn unescaped(text: &[u8], nested: NestedSearch) -> Vec<Span> {
    let mut view = View::default();
    let (mut at, mut copied) = (0, 0);
    while let Some(start) = rare(text, b'\\', at) {
        let backslashes = text.iter().skip(start).take_while(|byte| **byte == b'\\').count();
        let after = start + backslashes;
        let digits = match text.get(after..) {
            Some([b'u', b'0', b'0', ..]) => after + 3,
            Some([b'x', ..]) => after + 1,
            _ => {
                at = after;
                continue;
            }
        };
        at = after;
        let Some(byte) = hex_byte(text, digits).filter(|byte| matches!(byte, b' '..=b'~')) else {
            continue;
        };
        // JSON in n strings of JSON has 2ⁿ backslashes before an escape; any other odd number ends in one.
        let own = match backslashes {
            n if n.is_power_of_two() => n,
            n if n % 2 == 1 => 1,
            _ => continue,
        };
        view.copy(text, copied, after - own);
        let mut decoded = match byte {
            b'"' => vec![b'\\'; 2 * own - 1],
            b'\\' => vec![b'\\'; 2 * own - 1],
            _ => Vec::new(),
        };
        decoded.push(byte);
        view.decoded(&decoded, after - own, digits + 2);
        (at, copied) = (digits + 2, digits + 2);
    }
    view.copy(text, copied, text.len());
    let inner = nested.spans(&view.text);
    let found: Vec<Span> = view.map(inner, |text| text).collect();
    merged(text, found)
}

/// What ends a part of a text in which percent signs are decoded.
fn ends_address(byte: u8) -> bool {
    matches!(byte, 0..=b' ' | b'"' | b'<' | b'>' | b'\\' | b'`' | 0x7f)
}

/// Text with percent signs (RFC 3986, and `application/x-www-form-urlencoded`).
fn percent(text: &[u8], nested: NestedSearch, known: usize, found: &mut Vec<Span>) {
    let mut at = 0;
    while let Some(sign) = rare(text, b'%', at) {
        at = sign + 1;
        if hex_byte(text, at).is_none() {
            continue;
        }
        let before = text.get(..sign).unwrap_or_default();
        let start = sign - before.iter().rev().take_while(|byte| !ends_address(**byte)).count();
        let rest = text.get(sign..).unwrap_or_default();
        at = sign + rest.iter().take_while(|byte| !ends_address(**byte)).count();
        let mut view = View::default();
        decode_percent(text, start, at, &mut view);
        for span in view.map(nested.spans(&view.text), percent_quotes) {
            if !is_known(found, known, span.start) || !is_known(found, known, span.end - 1) {
                found.push(span);
            }
        }
    }
}

/// Appends the part from `start` to `end`, decoded.
pub(super) fn decode_percent(text: &[u8], start: usize, end: usize, view: &mut View) {
    let (mut at, mut copied) = (start, start);
    while at < end {
        let (decoded, length) = match text.get(at) {
            Some(b'%') => match hex_byte(text, at + 1) {
                Some(byte) => (byte, 3),
                None => (b'%', 1),
            },
            Some(b'+') => (b' ', 1),
            _ => {
                at += 1;
                continue;
            }
        };
        view.copy(text, copied, at);
        view.decoded(&[decoded], at, (at + length).min(end));
        at += length;
        copied = at;
    }
    view.copy(text, copied, end);
}

pub(super) fn percent_quotes(text: Vec<u8>) -> Vec<u8> {
    let text = String::from_utf8_lossy(&text);
    text.replace('\\', "%5C").replace('"', "%22").into_bytes()
}

/// Base64 and hexadecimal digits.
fn runs(text: &[u8], nested: NestedSearch, known: usize, found: &mut Vec<Span>) {
    let mut done = 0;
    for (start, end) in long_runs(text) {
        if start < done || is_known(found, known, start) {
            continue;
        }
        if is_bootstrap_token(text, start, end) {
            found.push(span(start - 7, end, BOOTSTRAP_TOKEN, StandsIn::Kind));
            continue;
        }
        let letters = text.get(start..end).unwrap_or_default();
        let Some(head) = letters.first_chunk() else { continue };
        let is_hex = head.iter().all(|byte| HEX[usize::from(*byte)] < 16);
        if !begins_a_text(first_bytes(head, is_hex)) {
            continue;
        }
        let is_hex = is_hex && letters.iter().all(u8::is_ascii_hexdigit);
        let (letters, end) = if is_hex {
            (letters.to_vec(), end)
        } else {
            whole_base64(text, start, end)
        };
        done = end;
        let decoded = as_text(decode_run(&letters, is_hex));
        let inner = nested.spans(&decoded);
        let Some(kind) = inner.first().map(|span| span.kind) else {
            continue;
        };
        let stands_in = if is_hex {
            audit_text(text, start, end, &decoded, &inner)
        } else {
            envelope_data(text, start, end, &decoded, &inner)
        };
        found.push(span(start, end, kind, stands_in));
    }
}

fn span(start: usize, end: usize, kind: &'static str, stands_in: StandsIn) -> Span {
    Span {
        start,
        end,
        kind,
        stands_in,
    }
}

/// A bootstrap token of Kubernetes: `[a-z0-9]{6}\.[a-z0-9]{16}`, of which the second part is the secret.
fn is_bootstrap_token(text: &[u8], start: usize, end: usize) -> bool {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let Some(id) = start.checked_sub(7).and_then(|from| text.get(from..start)) else {
        return false;
    };
    let secret = text.get(start..end).unwrap_or_default();
    end - start == 16
        && id.ends_with(b".")
        && id.get(..6).is_some_and(|id| id.iter().all(plain))
        && secret.iter().all(plain)
        && secret.iter().any(u8::is_ascii_digit)
        && text.get(end) != Some(&b'.')
        && !start
            .checked_sub(8)
            .and_then(|before| text.get(before))
            .is_some_and(|byte| is_letter(*byte) || *byte == b'.')
}

/// The run from `start` to `end` as base64: with its padding, and with the lines that follow it. Returns its letters, and its end.
fn whole_base64(text: &[u8], start: usize, mut end: usize) -> (Vec<u8>, usize) {
    let mut letters = text.get(start..end).unwrap_or_default().to_vec();
    loop {
        let next = if text.get(end) == Some(&b'\\') && text.get(end + 1) == Some(&b'/') {
            // As PHP writes it.
            letters.push(b'/');
            end + 2
        } else if let Some(length) = line_break(text, end).filter(|_| letters.len().is_multiple_of(4)) {
            end + length
        } else {
            break;
        };
        let more = text.get(next..).unwrap_or_default();
        let length = more.iter().take_while(|byte| is_letter(**byte)).count();
        if length == 0 {
            break;
        }
        letters.extend_from_slice(more.get(..length).unwrap_or_default());
        end = next + length;
    }
    let padding = text.iter().skip(end).take(2).take_while(|byte| **byte == b'=').count();
    (letters, end + padding)
}

/// The first bytes that the letters stand for.
fn first_bytes(letters: &[u8; LEAST_RUN_BYTES], is_hex: bool) -> [u8; 6] {
    if is_hex {
        return std::array::from_fn(|n| HEX[usize::from(letters[2 * n])] << 4 | HEX[usize::from(letters[2 * n + 1])]);
    }
    let three = |n: usize| {
        let sextets = [n, n + 1, n + 2, n + 3].map(|n| u32::from(SEXTETS[usize::from(letters[n])]));
        (sextets[0] << 18 | sextets[1] << 12 | sextets[2] << 6 | sextets[3]).to_be_bytes()
    };
    let ([_, a, b, c], [_, d, e, f]) = (three(0), three(4));
    [a, b, c, d, e, f]
}

/// What each hexadecimal digit stands for; of others, more.
const HEX: [u8; 256] = {
    let mut values = [16; 256];
    let mut n = 0;
    while n < 16 {
        values[b"0123456789abcdef"[n] as usize] = n as u8;
        values[b"0123456789ABCDEF"[n] as usize] = n as u8;
        n += 1;
    }
    values
};

/// The bytes that the letters stand for, as far as they go.
fn decode_run(letters: &[u8], is_hex: bool) -> Vec<u8> {
    if is_hex {
        return (0..letters.len() / 2).map_while(|n| hex_byte(letters, 2 * n)).collect();
    }
    let mut out = Vec::with_capacity(letters.len() * 3 / 4);
    for group in letters.chunks(4) {
        let bits = group
            .iter()
            .fold(0u32, |bits, letter| bits << 6 | u32::from(sextet(*letter)));
        let bytes = (bits << (6 * (4 - group.len()))).to_be_bytes();
        out.extend_from_slice(bytes.get(1..group.len()).unwrap_or_default());
    }
    out
}

/// What each letter of base64 and base64url stands for.
const SEXTETS: [u8; 256] = {
    let mut sextets = [0; 256];
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut n = 0;
    while n < letters.len() {
        sextets[letters[n] as usize] = n as u8;
        n += 1;
    }
    sextets[b'-' as usize] = 62;
    sextets[b'_' as usize] = 63;
    sextets
};

fn sextet(letter: u8) -> u8 {
    SEXTETS[usize::from(letter)]
}

/// Whether a text, UTF-16 or gzip may begin like this.
fn begins_a_text(bytes: [u8; 6]) -> bool {
    match bytes {
        [0x1f, 0x8b, 0x08, ..] | [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0xef, 0xbb, 0xbf, ..] => true,
        _ => bytes.iter().fold(true, |all, byte| {
            all & matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t' | 0x1b | 0)
        }),
    }
}

/// What decoded bytes say: without compression, and without the NULs of UTF-16 or of arguments that end with one.
fn as_text(bytes: Vec<u8>) -> Vec<u8> {
    let bytes = if bytes.starts_with(&[0x1f, 0x8b, 0x08]) {
        let mut text = Vec::new();
        // As far as it goes.
        let reader = flate2::bufread::MultiGzDecoder::new(bytes.as_slice());
        let _ = reader.take(MAX_INFLATED_BYTES).read_to_end(&mut text);
        text
    } else {
        bytes
    };
    let nuls = bytes.iter().filter(|byte| **byte == 0).count();
    if nuls * 3 >= bytes.len() {
        bytes.into_iter().filter(|byte| *byte != 0).collect()
    } else {
        bytes
            .into_iter()
            .map(|byte| if byte == 0 { b' ' } else { byte })
            .collect()
    }
}

/// What the audit daemon would have written, had the text been harmless: the text in quotes.
fn audit_text(text: &[u8], start: usize, end: usize, decoded: &[u8], inner: &[Span]) -> StandsIn {
    let value = start > 0 && text.get(start - 1) == Some(&b'=') && !is_letter(*text.get(end).unwrap_or(&b' '));
    let is_json = matches!(text.trim_ascii_start().first(), Some(b'{' | b'['));
    if !value || is_json {
        return StandsIn::Kind;
    }
    quoted(decoded, inner)
}

/// The text without its secrets in quotes, where it has none itself.
pub(super) fn quoted(decoded: &[u8], inner: &[Span]) -> StandsIn {
    let (masked, _) = without(decoded, inner);
    if masked
        .iter()
        .any(|byte| *byte == b'"' || *byte == b'\'' || byte.is_ascii_control())
    {
        return StandsIn::Kind;
    }
    StandsIn::Text([b"\"".as_slice(), masked.as_slice(), b"\""].concat())
}

/// The same base64 without the secrets, where it is the `data` of an envelope that a decoder opens.
fn envelope_data(text: &[u8], start: usize, end: usize, decoded: &[u8], inner: &[Span]) -> StandsIn {
    let before = text.get(..start).unwrap_or_default();
    let key = before
        .strip_suffix(b"\"")
        .map(<[u8]>::trim_ascii_end)
        .and_then(|before| before.strip_suffix(b":"))
        .map(<[u8]>::trim_ascii_end);
    let opened = key.is_some_and(|key| key.ends_with(b"\"data\"")) && text.get(end) == Some(&b'"');
    if !opened || std::str::from_utf8(decoded).is_err() {
        return StandsIn::Kind;
    }
    let (masked, _) = without(decoded, inner);
    StandsIn::Text(STANDARD.encode(masked).into_bytes())
}

/// Arrays of bytes that are a text, as the journal writes one that is no UTF-8: a text in quotes stands in for them.
pub(super) fn byte_arrays(text: &[u8], nested: NestedSearch, found: &mut Vec<Span>) {
    let mut at = 0;
    while let Some(start) = rare(text, b'[', at) {
        at = start + 1;
        let Some((bytes, end)) = byte_array(text, at) else {
            continue;
        };
        at = end;
        let inner = nested.spans(&bytes);
        let Some(kind) = inner.first().map(|span| span.kind) else {
            continue;
        };
        let (masked, _) = without(&bytes, &inner);
        let level = nearest_level(text, start);
        let stands_in = StandsIn::Text(json_string(&String::from_utf8_lossy(&masked), level));
        found.push(span(start, end, kind, stands_in));
    }
}

/// The bytes of the array whose first member is at `at`, and its end; of one that is cut off, as far as it goes.
fn byte_array(text: &[u8], mut at: usize) -> Option<(Vec<u8>, usize)> {
    let mut bytes = Vec::new();
    loop {
        let rest = text.get(at..)?;
        at += rest.len() - rest.trim_ascii_start().len();
        let digits = text
            .iter()
            .skip(at)
            .take(4)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let number = std::str::from_utf8(text.get(at..at + digits)?).ok()?;
        if let Ok(byte) = number.parse() {
            bytes.push(byte);
        } else if digits > 0 || at < text.len() {
            return None;
        }
        at += digits;
        let rest = text.get(at..)?;
        at += rest.len() - rest.trim_ascii_start().len();
        match text.get(at) {
            Some(b',') => at += 1,
            Some(b']') => return (bytes.len() >= LEAST_ARRAY_BYTES).then_some((bytes, at + 1)),
            None => return (bytes.len() >= LEAST_ARRAY_BYTES).then_some((bytes, at)),
            Some(_) => return None,
        }
    }
}

/// The backslashes before the quote that is nearest before `at`.
fn nearest_level(text: &[u8], at: usize) -> usize {
    let from = at.saturating_sub(MAX_LOOK_BACK_BYTES);
    let before = text.get(from..at).unwrap_or_default();
    let Some(mark) = before.iter().rposition(|byte| *byte == b'"') else {
        return 0;
    };
    let run = before
        .iter()
        .take(mark)
        .rev()
        .take_while(|byte| **byte == b'\\')
        .count();
    quote(text, from + mark - run).map_or(0, |(level, _)| level)
}
