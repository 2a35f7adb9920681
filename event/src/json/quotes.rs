//! Quotes of JSON, also of JSON that stands in strings of JSON, without parsing what is around them.
//!
//! A quote of JSON that is in n strings stands after 2ⁿ − 1 backslashes: this number, the *level*, distinguishes them.

/// Backslashes before a quote of each level that is followed: JSON, and JSON in a string, in a string, in a string.
pub const LEVELS: &[usize] = &[0, 1, 3, 7, 15];

/// The quote at `at`, after its backslashes: how many of these there are, and where the quote ends.
pub fn quote(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let rest = text.get(at..)?;
    // A longer run is none of the levels.
    let run = rest.iter().take(17).take_while(|byte| **byte == b'\\').count();
    (rest.get(run) == Some(&b'"') && LEVELS.contains(&run)).then_some((run, at + run + 1))
}

/// Where the content of a string ends that begins at `start`, after a quote with `level` backslashes. Of a string that
/// is cut off, the end of the text.
pub fn string_end(text: &[u8], start: usize, level: usize) -> usize {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A text as a string of JSON, without the quotes around it.
    fn in_string(text: &str) -> String {
        let string = serde_json::to_string(text).unwrap();
        string[1..string.len() - 1].to_owned()
    }

    proptest::proptest! {
        #[test]
        fn a_string_ends_alike_at_every_level(text in r#"[a-z\\"\n é]{0,12}"#) {
            let mut json = serde_json::to_string(&text).unwrap();
            for level in LEVELS {
                let around = format!("{json}, and more");
                let (found, start) = quote(around.as_bytes(), 0).unwrap();
                proptest::prop_assert_eq!(found, *level);
                proptest::prop_assert_eq!(string_end(around.as_bytes(), start, *level), json.len() - level - 1, "{}", json);
                json = in_string(&json);
            }
        }
    }

    #[test]
    fn a_string_that_is_cut_off_ends_before_half_an_escape() {
        assert_eq!(string_end(br#"ab\"#, 0, 0), 2);
        assert_eq!(string_end(br#"ab"#, 0, 0), 2);
        assert_eq!(string_end(br#"ab\"c"#, 0, 1), 2);
        assert_eq!(quote(br#"\\"x"#, 0), None);
    }
}
