//! The arguments of a program as the Linux audit daemon writes them: `a0="mysql" a1="-p" a2=68756E746572`, in quotes where they
//! are harmless, else in hexadecimal digits; a long one in parts (`a1[0]=…`), many of them over several records.
//!
//! They are read as the one command line that they were, so that an option's value is found after the option.

use casebook_event::json::quote;

use super::encoded::{hex_byte, quoted};
use super::span::{NestedSearch, Span, StandsIn};

/// How much of the next line is read to see whether the arguments go on in it, in bytes.
const MAX_HEAD_BYTES: usize = 256;

/// An argument, or a part of one.
struct Argument {
    /// Its place in the command line.
    line: (usize, usize),
    /// Its place in the text.
    start: usize,
    end: usize,
    is_hex: bool,
}

/// Appends the secrets of the arguments that follow `from`. Returns where they end.
pub(super) fn find(text: &[u8], from: usize, nested: NestedSearch, found: &mut Vec<Span>) -> usize {
    let mut line = Vec::new();
    let mut arguments = Vec::new();
    let mut at = from;
    while let Some(next) = next_field(text, at) {
        at = next;
        if let Some(after) = argument(text, at, &mut line, &mut arguments) {
            at = after;
        } else {
            at += word(text, at).max(1);
        }
    }
    for secret in nested.spans(&line) {
        for argument in &arguments {
            let (start, end) = (secret.start.max(argument.line.0), secret.end.min(argument.line.1));
            if start >= end {
                continue;
            }
            let (start, end) = (start - argument.line.0, end - argument.line.0);
            let own = Span {
                start,
                end,
                kind: secret.kind,
                stands_in: StandsIn::Kind,
            };
            found.push(match argument.is_hex {
                false => Span {
                    start: argument.start + start,
                    end: argument.start + end,
                    ..own
                },
                true => Span {
                    start: argument.start,
                    end: argument.end,
                    kind: secret.kind,
                    stands_in: in_quotes(text, line.get(argument.line.0..argument.line.1), own),
                },
            });
        }
    }
    at
}

/// The text of an argument in quotes, where quotes may stand.
fn in_quotes(text: &[u8], argument: Option<&[u8]>, secret: Span) -> StandsIn {
    let is_json = matches!(text.trim_ascii_start().first(), Some(b'{' | b'['));
    match argument {
        Some(argument) if !is_json => quoted(argument, &[secret]),
        _ => StandsIn::Kind,
    }
}

/// The length of the word at `at`.
fn word(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    rest.iter()
        .take_while(|byte| !byte.is_ascii_whitespace() && **byte != b'"' && **byte != b'\\')
        .count()
}

/// Where the next field begins; `None` where the record ends, and no other follows that has arguments.
fn next_field(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match text.get(at)? {
            b' ' | b'\t' | 0x1d => at += 1,
            b'\n' | b'\r' => {
                let rest = text.get(at + 1..)?;
                let head = rest.get(..rest.len().min(MAX_HEAD_BYTES)).unwrap_or_default();
                let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
                if !line.windows(7).any(|part| part == b"EXECVE ") {
                    return None;
                }
                at += 1;
            }
            b'"' | b'\\' | b'\'' => return None,
            _ => return Some(at),
        }
    }
}

/// Reads an argument at `at`, and returns where it ends.
fn argument(text: &[u8], at: usize, line: &mut Vec<u8>, arguments: &mut Vec<Argument>) -> Option<usize> {
    let digits = |at: usize| {
        text.iter()
            .skip(at)
            .take(6)
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    };
    if text.get(at) != Some(&b'a') {
        return None;
    }
    let mut end = at + 1 + digits(at + 1);
    if end == at + 1 {
        return None;
    }
    let mut goes_on = false;
    if text.get(end) == Some(&b'[') {
        goes_on = text.get(end + 1) != Some(&b'0');
        end += 1 + digits(end + 1);
        if text.get(end) != Some(&b']') {
            return None;
        }
        end += 1;
    }
    if text.get(end) != Some(&b'=') {
        return None;
    }
    if !line.is_empty() && !goes_on {
        line.push(b' ');
    }
    let (start, close, after, decoded) = if let Some((level, start)) = quote(text, end + 1) {
        let rest = text.get(start..)?;
        let mark = start + rest.iter().position(|byte| *byte == b'"').unwrap_or(rest.len());
        let close = mark.saturating_sub(level).max(start);
        (start, close, (mark + 1).min(text.len()), None)
    } else {
        let start = end + 1;
        let length = word(text, start);
        let pairs = (0..length / 2).map_while(|n| hex_byte(text, start + 2 * n));
        (start, start + length, start + length, Some(pairs.collect::<Vec<u8>>()))
    };
    let is_hex = decoded.is_some();
    let value = decoded.as_deref().unwrap_or(text.get(start..close)?);
    // One that has spaces is one word all the same.
    let quotes = !goes_on && value.contains(&b' ') && !value.contains(&b'"');
    line.extend(quotes.then_some(b'"'));
    let place = (line.len(), line.len() + value.len());
    line.extend_from_slice(value);
    line.extend(quotes.then_some(b'"'));
    arguments.push(Argument {
        line: place,
        start,
        end: close,
        is_hex,
    });
    Some(after)
}
