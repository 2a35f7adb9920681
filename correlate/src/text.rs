//! Case folding, in one place, so that every part of the engine agrees on what "case-insensitive" means.
//!
//! A character folds to its Unicode lower case where that is a single character, and to itself otherwise. This covers
//! every bicameral script (`Ä` = `ä`, `Σ` = `σ`), also K (Kelvin) = k; it leaves alone what would change length:
//! `ß` is not `SS`, and `İ` is not `i`. No normalization form is applied: composed and decomposed letters differ.

use std::borrow::Cow;

/// Folds one character.
pub(crate) fn fold_char(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(only), None) => only,
        _ => c,
    }
}

/// Folds a text; borrows it where nothing changes.
pub(crate) fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return match text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            false => Cow::Borrowed(text),
            true => Cow::Owned(text.to_ascii_lowercase()),
        };
    }
    if text.chars().all(|c| fold_char(c) == c) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.chars().map(fold_char).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_one_to_one() {
        let check = |text: &str, want: &str| assert_eq!(fold(text), want);
        check("ABC-xyz", "abc-xyz");
        check("ÄΣЖ", "äσж");
        check("ẞß", "ßß");
        check("İ", "İ");
        check("\u{212a}", "k");
    }

    proptest::proptest! {
        #[test]
        fn folding_is_idempotent_and_keeps_the_number_of_characters(text in "\\PC*") {
            let once = fold(&text).into_owned();
            proptest::prop_assert_eq!(fold(&once).into_owned(), once.clone());
            proptest::prop_assert_eq!(once.chars().count(), text.chars().count());
        }
    }
}
