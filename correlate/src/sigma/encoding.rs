//! The modifiers that respell a value: `windash`, the UTF-16 family, `base64` and `base64offset`.
//!
//! Specification: Sigma modifiers 2.1, "String Modifiers".

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What Windows programs take for a dash before a flag.
const DASHES: [char; 5] = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'];

/// Every spelling of `text` with each flag's dash replaced by each of the five.
///
/// A flag's dash is a `-` or `/` with no word character before it and one after it: `-enc`, not `well-known`.
pub(crate) fn windash(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let is_word = |at: Option<usize>| {
        at.and_then(|at| chars.get(at))
            .is_some_and(|c| c.is_alphanumeric() || *c == '_')
    };
    let mut spellings = vec![String::new()];
    for (at, &c) in chars.iter().enumerate() {
        let is_flag = matches!(c, '-' | '/') && !is_word(at.checked_sub(1)) && is_word(Some(at + 1));
        if is_flag && spellings.len() <= crate::limits::MAX_WINDASH_VARIANTS {
            spellings = spellings
                .iter()
                .flat_map(|s| DASHES.map(|dash| format!("{s}{dash}")))
                .collect();
        } else {
            spellings.iter_mut().for_each(|s| s.push(c));
        }
    }
    spellings
}

/// UTF-16, little endian (`wide`, `utf16le`) or big endian.
pub(crate) fn utf16(text: &str, little_endian: bool, byte_order_mark: bool) -> Vec<u8> {
    let mark = byte_order_mark.then_some(0xfeff);
    mark.into_iter()
        .chain(text.encode_utf16())
        .flat_map(|unit: u16| {
            if little_endian {
                unit.to_le_bytes()
            } else {
                unit.to_be_bytes()
            }
        })
        .collect()
}

/// Base64 with padding (RFC 4648, section 4).
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// What every Base64 text that has `bytes` somewhere inside must contain: one text for each of the three alignments,
/// less the characters at either end that also depend on the neighboring bytes.
pub(crate) fn base64_offsets(bytes: &[u8]) -> Vec<String> {
    (0..3usize)
        .filter_map(|shift| {
            let mut padded = vec![0; shift];
            padded.extend_from_slice(bytes);
            let encoded = STANDARD.encode(&padded);
            // The first characters hold `shift` foreign bytes; the last ones hold bits of what follows.
            let start = [0, 2, 3][shift];
            let end = encoded.len() - [0, 3, 2][padded.len() % 3];
            encoded
                .get(start..end)
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windash_touches_flags_only() {
        assert_eq!(windash(" -enc").len(), 5);
        assert_eq!(
            windash("a-b /c"),
            ["a-b -c", "a-b /c", "a-b \u{2013}c", "a-b \u{2014}c", "a-b \u{2015}c"]
        );
        assert_eq!(windash("well-known - x"), ["well-known - x"]);
        assert_eq!(windash("/a /b").len(), 25);
    }

    #[test]
    fn utf16_is_as_in_the_specification() {
        assert_eq!(utf16("cmd", true, false), b"c\0m\0d\0");
        assert_eq!(utf16("cmd", false, false), b"\0c\0m\0d");
        assert_eq!(utf16("c", true, true), b"\xff\xfec\0");
    }

    proptest::proptest! {
        #[test]
        fn a_text_is_found_at_every_offset(before in ".{0,7}", text in "[a-z]{4,12}", after in ".{0,7}") {
            let encoded = base64(format!("{before}{text}{after}").as_bytes());
            proptest::prop_assert!(base64_offsets(text.as_bytes()).iter().any(|part| encoded.contains(part.as_str())));
        }
    }
}
