//! Texts of any length, brought to a length that is known: the same text always to the same.

use std::borrow::Cow;

use sha2::{Digest as _, Sha256};

/// What stands between the beginning of a text that was cut and the hash of the whole.
const CUT: char = '…';
/// Hexadecimal digits of the hash: 128 bits of SHA-256. Who writes logs must not be able to make two texts one.
const HASH_DIGITS: usize = 32;
/// Most bytes of JSON that one byte of a text becomes: `\u0000`.
const MAX_ESCAPED: usize = 6;

/// `text`, if it takes at most `limit_bytes` as the inside of a JSON string; else its beginning, `…` and a hash of the whole,
/// which take no more together.
///
/// It is the only way in which group values, identifiers and what an alert shows are shortened, so that the same value has the
/// same key wherever it is asked for. What it returns, it leaves alone.
pub fn bounded_text(text: &str, limit_bytes: usize) -> Cow<'_, str> {
    if fits(text, limit_bytes) {
        return Cow::Borrowed(text);
    }
    let room = limit_bytes.saturating_sub(CUT.len_utf8() + HASH_DIGITS);
    let mut taken = 0;
    let end = text.char_indices().find_map(|(at, one)| {
        taken += json_bytes_of(one);
        (taken > room).then_some(at)
    });
    let mut hash = sha256_hex(text.as_bytes());
    hash.truncate(HASH_DIGITS);
    Cow::Owned(format!("{}{CUT}{hash}", &text[..end.unwrap_or(text.len())]))
}

/// Whether a text takes at most `limit_bytes` as the inside of a JSON string.
pub fn fits(text: &str, limit_bytes: usize) -> bool {
    // Nearly every text is short; one that is longer than the limit need not be scanned either.
    text.len() * MAX_ESCAPED <= limit_bytes
        || (text.len() <= limit_bytes && text.chars().map(json_bytes_of).sum::<usize>() <= limit_bytes)
}

/// What a character takes inside of a JSON string.
fn json_bytes_of(one: char) -> usize {
    match one {
        '"' | '\\' | '\u{8}' | '\u{c}' | '\n' | '\r' | '\t' => 2,
        '\0'..='\u{1f}' => MAX_ESCAPED,
        other => other.len_utf8(),
    }
}

/// The SHA-256 of bytes, as 64 hexadecimal digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json_bytes(text: &str) -> usize {
        serde_json::to_string(text).unwrap().len() - 2
    }

    #[test]
    fn a_text_that_fits_stays_as_it_is_and_a_longer_one_ends_with_its_hash() {
        let whole = "a".repeat(64);
        assert_eq!(bounded_text(&whole, 64), whole);
        let long = "a".repeat(65);
        let want = format!("{}…{}", "a".repeat(29), &sha256_hex(long.as_bytes())[..32]);
        assert_eq!(bounded_text(&long, 64), want);
        // Ten control characters take sixty bytes, eleven take more than there are.
        assert!(fits(&"\0".repeat(10), 64) && !fits(&"\0".repeat(11), 64));
        assert_eq!(
            sha256_hex(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    proptest! {
        #[test]
        fn bounded_is_bounded_the_same_each_time_and_left_alone_then(
            text in prop_oneof!["\\PC{0,600}", "[\\x00-\\x20\"\\\\é…]{0,600}"], limit in 35usize..700
        ) {
            let bounded = bounded_text(&text, limit);
            prop_assert!(json_bytes(&bounded) <= limit, "{} > {limit}", json_bytes(&bounded));
            prop_assert_eq!(bounded_text(&bounded, limit), bounded.clone());
            prop_assert_eq!(matches!(bounded, Cow::Borrowed(_)), json_bytes(&text) <= limit);
        }

        #[test]
        fn texts_that_differ_stay_apart(a in "[ab]{500,600}", b in "[ab]{500,600}") {
            prop_assert_eq!(a == b, bounded_text(&a, 100) == bounded_text(&b, 100));
        }
    }
}
