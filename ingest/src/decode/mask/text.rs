//! Strings of JSON, also of JSON that stands in strings of JSON, without parsing what is around them.
//!
//! A quote of JSON that is in n strings stands behind 2ⁿ − 1 backslashes: this number tells the levels apart.

use super::KINDS;

/// Backslashes before a quote of each level that is looked at: JSON, and JSON in a string, in a string, in a string.
const LEVELS: &[usize] = &[0, 1, 3, 7, 15];

/// The quote at `at`, behind its backslashes: how many of these there are, and where the quote ends.
pub(super) fn quote(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let rest = text.get(at..)?;
    // A longer run is none of the levels.
    let run = rest.iter().take(17).take_while(|byte| **byte == b'\\').count();
    (rest.get(run) == Some(&b'"') && LEVELS.contains(&run)).then_some((run, at + run + 1))
}

/// Where the content of a string ends that begins at `start`, behind a quote with `level` backslashes. Of a string that
/// is cut off, the end of the text.
pub(super) fn string_end(text: &[u8], start: usize, level: usize) -> usize {
    let mut run = 0;
    for (at, byte) in text.iter().enumerate().skip(start) {
        match byte {
            b'\\' => run += 1,
            // A lower level's quote ends what is in it. At the same level, pairs of backslashes are content.
            b'"' if run < level => return at - run,
            b'"' if (run - level).is_multiple_of(2 * (level + 1)) => return at - level,
            _ => run = 0,
        }
    }
    // Never between a backslash and what it escapes.
    text.len() - run
}

/// Behind white space, also where a string of JSON has it escaped.
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

/// Whether the part is the text that stands for a secret.
pub(super) fn is_masked(text: &[u8], start: usize, end: usize) -> bool {
    let rest = text.get(start..).unwrap_or_default();
    KINDS.iter().any(|kind| {
        let length = kind.len() + 9;
        let masked = rest
            .strip_prefix(b"[masked:")
            .and_then(|rest| rest.strip_prefix(kind.as_bytes()))
            .is_some_and(|rest| rest.first() == Some(&b']'));
        // A plain value's end may be taken for before the bracket.
        masked && (end - start == length || end - start + 1 == length)
    })
}
