//! Where a phrase stands in a text.

use crate::index::tokenizer::joins;

/// Occurrences of a phrase that are tested one by one; a text that has more goes to [`any_occurrence`].
const FEW_OCCURRENCES: usize = 16;

/// Whether a folded text holds a folded phrase at the edges of words.
pub(crate) fn holds_phrase(text: &str, phrase: &str) -> bool {
    if phrase.is_empty() {
        return true;
    }
    let mut from = 0;
    for _ in 0..FEW_OCCURRENCES {
        let Some(found) = text[from..].find(phrase) else {
            return false;
        };
        let start = from + found;
        if at_word_edges(text, start, start + phrase.len()) {
            return true;
        }
        from = start + text[start..].chars().next().map_or(1, char::len_utf8);
    }
    any_occurrence(text, phrase, from, &mut |start, end| at_word_edges(text, start, end))
}

/// Whether any occurrence of a phrase from that byte on is accepted, overlapping ones too, in time linear in the text: searching
/// anew after each occurrence would cost the phrase's length for each of them (Knuth, Morris and Pratt).
fn any_occurrence(text: &str, phrase: &str, from: usize, accepts: &mut dyn FnMut(usize, usize) -> bool) -> bool {
    let (text, phrase) = (text.as_bytes(), phrase.as_bytes());
    // For each beginning of the phrase, the length of the longest shorter one that it ends with.
    let mut borders = vec![0; phrase.len()];
    let mut matched = 0;
    for at in 1..phrase.len() {
        while matched > 0 && phrase[at] != phrase[matched] {
            matched = borders[matched - 1];
        }
        matched += usize::from(phrase[at] == phrase[matched]);
        borders[at] = matched;
    }
    matched = 0;
    for (at, byte) in text.iter().enumerate().skip(from) {
        while matched > 0 && (matched == phrase.len() || *byte != phrase[matched]) {
            matched = borders[matched - 1];
        }
        matched += usize::from(*byte == phrase[matched]);
        if matched == phrase.len() && accepts(at + 1 - matched, at + 1) {
            return true;
        }
    }
    false
}

/// Whether a part of a text begins and ends at the edges of words.
fn at_word_edges(text: &str, start: usize, end: usize) -> bool {
    let part = &text[start..end];
    let cut = |a: Option<char>, b: Option<char>| a.zip(b).is_some_and(|(a, b)| joins(a, b));
    !cut(text[..start].chars().next_back(), part.chars().next())
        && !cut(part.chars().next_back(), text[end..].chars().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every occurrence, one by one.
    fn reference(text: &str, phrase: &str) -> bool {
        let starts = text.char_indices().map(|(at, _)| at);
        phrase.is_empty()
            || starts
                .filter(|&at| text[at..].starts_with(phrase))
                .any(|at| at_word_edges(text, at, at + phrase.len()))
    }

    proptest::proptest! {
        #[test]
        fn a_phrase_is_found_where_it_stands(text in "[aé .]{0,80}", phrase in "[aé .]{0,5}") {
            proptest::prop_assert_eq!(holds_phrase(&text, &phrase), reference(&text, &phrase), "{:?} in {:?}", phrase, text);
            let anywhere = !phrase.is_empty() && any_occurrence(&text, &phrase, 0, &mut |start, end| {
                assert_eq!(&text[start..end], phrase);
                at_word_edges(&text, start, end)
            });
            proptest::prop_assert_eq!(anywhere, !phrase.is_empty() && reference(&text, &phrase));
        }
    }

    #[test]
    fn a_phrase_that_is_nearly_everywhere_is_no_more_work() {
        // Every occurrence of the phrase lies within a word: none counts. The product of the two lengths would not end.
        let text = format!("{}b", "a".repeat(8 << 20));
        assert!(!holds_phrase(&text, &"a".repeat(8_000)));
        let mut count = 0;
        any_occurrence("aaaa", "aa", 0, &mut |_, _| {
            count += 1;
            false
        });
        assert_eq!(count, 3, "overlapping occurrences count");
    }
}
