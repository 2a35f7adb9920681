//! White space, line breaks, colors and marks of masking, also where strings of JSON have them escaped.

use casebook_event::json::LEVELS;

use super::kinds::KINDS;

/// After white space, also where a string of JSON has it escaped.
pub(super) fn skip_space(text: &[u8], mut at: usize) -> usize {
    loop {
        match text.get(at) {
            Some(b' ' | b'\t' | b'\r' | b'\n') => at += 1,
            Some(b'\\') => {
                let run = text.iter().skip(at).take(16).take_while(|byte| **byte == b'\\').count();
                match text.get(at + run) {
                    Some(b'n' | b'r' | b't') => at += run + 1,
                    _ => return at,
                }
            }
            _ => return at,
        }
    }
}

/// The length of a line's end at `at`, also where a string of JSON has it escaped.
pub(super) fn line_break(text: &[u8], at: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    match rest {
        [b'\n', ..] => return Some(1),
        [b'\r', b'\n', ..] => return Some(2),
        _ => {}
    }
    let run = rest.iter().take(16).take_while(|byte| **byte == b'\\').count();
    match (run, rest.get(run)) {
        (1.., Some(b'n')) => Some(run + 1),
        (1.., Some(b'r')) => {
            let more = line_break(text, at + run + 1)?;
            Some(run + 1 + more)
        }
        _ => None,
    }
}

/// After the sequences that set a terminal's colors, as they are or escaped.
pub(super) fn skip_colors(text: &[u8], mut at: usize) -> usize {
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let run = rest.iter().take(16).take_while(|byte| **byte == b'\\').count();
        let escape = match rest.get(run..) {
            Some([0x1b, b'[', ..]) if run == 0 => 2,
            Some([b'u', b'0', b'0', b'1', b'b' | b'B', b'[', ..]) if run > 0 => run + 6,
            Some([b'x', b'1', b'b' | b'B', b'[', ..]) if run > 0 => run + 4,
            _ => return at,
        };
        let numbers = rest.iter().skip(escape).take(16);
        let length = numbers.take_while(|byte| matches!(byte, b'0'..=b'9' | b';')).count();
        match rest.get(escape + length) {
            Some(b'm' | b'K') => at += escape + length + 1,
            _ => return at,
        }
    }
}

/// A string of JSON, in quotes with `level` backslashes before each.
pub(super) fn json_string(content: &str, level: usize) -> Vec<u8> {
    let mut string = serde_json::to_string(content).unwrap_or_default();
    for _ in LEVELS.iter().skip(1).take_while(|deeper| **deeper <= level) {
        let outer = serde_json::to_string(&string).unwrap_or_default();
        string = outer
            .get(1..outer.len().saturating_sub(1))
            .unwrap_or_default()
            .to_owned();
    }
    string.into_bytes()
}

/// The length of what stands in for a secret, if that is at `at`.
pub(super) fn marker(text: &[u8], at: usize) -> Option<usize> {
    let rest = text.get(at..)?.strip_prefix(b"[masked:")?;
    let kind = KINDS.iter().find(|kind| {
        rest.strip_prefix(kind.as_bytes())
            .is_some_and(|rest| rest.first() == Some(&b']'))
    })?;
    Some(kind.len() + 9)
}

/// Whether the part is the text that stands for a secret.
pub(super) fn is_masked(text: &[u8], start: usize, end: usize) -> bool {
    // A plain value's end may be taken for before the bracket.
    marker(text, start).is_some_and(|length| end - start == length || end - start + 1 == length)
}
