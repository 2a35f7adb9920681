//! Texts with wildcards, matched in time linear in the text.
//!
//! ```text
//! pieces ─split at `*`─▶ segments: the first at the beginning, the last at the end, each other one at its first place
//! ```
//!
//! Between two `*` the first place is as good as any: what is left for the rest of the pattern is longest then, so there is
//! nothing to go back for. A segment of text alone is found by the standard library's two-way search; one with `?` inside
//! by a row of bits, one for each of its characters (Baeza-Yates and Gonnet, "A New Approach to Text Searching"), of which a
//! character of the text moves all in one step.

use crate::sigma::pattern::Piece;
use crate::text::fold;

/// A pattern made ready.
#[derive(Debug, Clone)]
pub(crate) struct Glob {
    cased: bool,
    shape: Shape,
}

#[derive(Debug, Clone)]
enum Shape {
    /// Without `*`: the whole text.
    Whole(Segment),
    /// What begins the text, what follows it in this order, and what ends the text.
    Split {
        first: Segment,
        middle: Vec<Segment>,
        last: Segment,
    },
}

impl Glob {
    /// Makes a pattern ready; folds it unless `cased`.
    pub(crate) fn new(pieces: &[Piece], cased: bool) -> Self {
        let mut runs: Vec<Segment> = pieces
            .split(|piece| *piece == Piece::Many)
            .map(|run| Segment::new(run, cased))
            .collect();
        let shape = match (runs.pop(), runs.is_empty()) {
            (None, _) => Shape::Whole(Segment::default()),
            (Some(only), true) => Shape::Whole(only),
            (Some(last), false) => Shape::Split {
                first: runs.remove(0),
                // An empty run is found everywhere.
                middle: runs.into_iter().filter(|run| !run.is_empty()).collect(),
                last,
            },
        };
        Self { cased, shape }
    }

    /// Whether the whole of `text` matches.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let folded;
        let text = if self.cased {
            text
        } else {
            folded = fold(text);
            &folded
        };
        match &self.shape {
            Shape::Whole(only) => only.strip_front(text).is_some_and(str::is_empty),
            Shape::Split { first, middle, last } => {
                let rest = first.strip_front(text).and_then(|rest| last.strip_back(rest));
                rest.and_then(|rest| middle.iter().try_fold(rest, |rest, run| run.find(rest)))
                    .is_some()
            }
        }
    }
}

/// What stands between two `*`: texts and `?`.
#[derive(Debug, Clone, Default)]
struct Segment {
    /// `?` before the first text.
    ones_before: usize,
    /// From the first text to the last.
    pieces: Vec<Piece>,
    /// `?` after the last text.
    ones_after: usize,
    /// For `pieces` with `?` inside.
    bits: Option<Bits>,
}

impl Segment {
    fn new(run: &[Piece], cased: bool) -> Self {
        let is_one = |piece: &Piece| *piece == Piece::One;
        let ones_before = run.iter().take_while(|piece| is_one(piece)).count();
        let ones_after = run[ones_before..]
            .iter()
            .rev()
            .take_while(|piece| is_one(piece))
            .count();
        let pieces: Vec<Piece> = run[ones_before..run.len() - ones_after]
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) if !cased => Piece::Text(fold(text).into_owned()),
                other => other.clone(),
            })
            .collect();
        let bits = pieces.iter().any(is_one).then(|| Bits::new(&pieces));
        Self {
            ones_before,
            pieces,
            ones_after,
            bits,
        }
    }

    fn is_empty(&self) -> bool {
        self.ones_before == 0 && self.pieces.is_empty() && self.ones_after == 0
    }

    /// What is after the segment, where the text begins with it.
    fn strip_front<'a>(&self, text: &'a str) -> Option<&'a str> {
        let rest = skip(text, self.ones_before)?;
        let rest = self.pieces.iter().try_fold(rest, |rest, piece| match piece {
            Piece::Text(wanted) => rest.strip_prefix(wanted.as_str()),
            Piece::One | Piece::Many => skip(rest, 1),
        })?;
        skip(rest, self.ones_after)
    }

    /// What is before the segment, where the text ends with it.
    fn strip_back<'a>(&self, text: &'a str) -> Option<&'a str> {
        let rest = skip_back(text, self.ones_after)?;
        let rest = self.pieces.iter().rev().try_fold(rest, |rest, piece| match piece {
            Piece::Text(wanted) => rest.strip_suffix(wanted.as_str()),
            Piece::One | Piece::Many => skip_back(rest, 1),
        })?;
        skip_back(rest, self.ones_before)
    }

    /// What is after the first place at which the segment stands.
    fn find<'a>(&self, text: &'a str) -> Option<&'a str> {
        // A `?` at an end asks for one character more: the first place for the rest is the first place for all.
        let text = skip(text, self.ones_before)?;
        let rest = match (&self.bits, self.pieces.first()) {
            (Some(bits), _) => bits.find(text)?,
            (None, Some(Piece::Text(wanted))) => &text[text.find(wanted.as_str())? + wanted.len()..],
            (None, _) => text,
        };
        skip(rest, self.ones_after)
    }
}

/// A text without its first characters, where it has so many.
fn skip(text: &str, count: usize) -> Option<&str> {
    let mut chars = text.chars();
    (0..count).try_for_each(|_| chars.next().map(drop))?;
    Some(chars.as_str())
}

/// A text without its last characters, where it has so many.
fn skip_back(text: &str, count: usize) -> Option<&str> {
    let mut chars = text.chars();
    (0..count).try_for_each(|_| chars.next_back().map(drop))?;
    Some(chars.as_str())
}

/// For each character, a bit for each place of the pattern at which it may stand.
#[derive(Debug, Clone)]
struct Bits {
    /// For any other character: the places of `?`.
    others: Box<[u64]>,
    /// In the order of the characters.
    chars: Vec<(char, Box<[u64]>)>,
    /// How many characters the pattern stands for.
    length: usize,
}

impl Bits {
    fn new(pieces: &[Piece]) -> Self {
        let mut places: Vec<Option<char>> = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => places.extend(text.chars().map(Some)),
                Piece::One | Piece::Many => places.push(None),
            }
        }
        let mut others = vec![0u64; places.len().div_ceil(64).max(1)].into_boxed_slice();
        let mut by_char = std::collections::BTreeMap::new();
        for (at, _) in places.iter().enumerate().filter(|(_, place)| place.is_none()) {
            others[at / 64] |= 1 << (at % 64);
        }
        for (at, place) in places.iter().enumerate() {
            if let Some(c) = place {
                by_char.entry(*c).or_insert_with(|| others.clone())[at / 64] |= 1 << (at % 64);
            }
        }
        Self {
            others,
            chars: by_char.into_iter().collect(),
            length: places.len(),
        }
    }

    fn of(&self, c: char) -> &[u64] {
        match self.chars.binary_search_by_key(&c, |(known, _)| *known) {
            Ok(at) => &self.chars[at].1,
            Err(_) => &self.others,
        }
    }

    /// What is after the first place at which the pattern stands.
    fn find<'a>(&self, text: &'a str) -> Option<&'a str> {
        let last = self.length.checked_sub(1)?;
        // A bit is set where the pattern up to it ends at the character under way.
        let mut state = vec![0u64; self.others.len()];
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            let mut carry = 1;
            for (word, mask) in state.iter_mut().zip(self.of(c)) {
                let moved = *word << 1 | carry;
                carry = *word >> 63;
                *word = moved & mask;
            }
            if state[last / 64] >> (last % 64) & 1 == 1 {
                return Some(chars.as_str());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sigma::pattern::Pattern;

    fn matches(pattern: &str, text: &str) -> bool {
        Glob::new(Pattern::parse(pattern).pieces(), false).matches(text)
    }

    #[test]
    fn wildcards_match_the_whole_text() {
        let check = |pattern: &str, text: &str, want: bool| {
            assert_eq!(matches(pattern, text), want, "{pattern} on {text}");
        };
        check("a*b*c", "AxxBxxC", true);
        check("a*b*c", "axxc", false);
        check("*", "", true);
        check("", "", true);
        check("", "x", false);
        check("?", "é", true);
        check("?", "", false);
        check("a?c", "abc", true);
        check("*aab", "aaaaab", true);
        check("*a?b*", "xxazbxx", true);
        check("*a?b?c*", "a1b1a2b2c", true);
        check("*?a?*", "ba", false);
        check("*?a?*", "aab", true);
        check("*??*", "a", false);
        check("a*", "b", false);
        // What begins and what ends the text do not overlap.
        check("ab*ba", "aba", false);
        check("ab*ba", "abba", true);
        check("?*?", "a", false);
    }

    /// The table of "these first pieces match these first characters".
    fn reference(pattern: &Pattern, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let mut matched = vec![false; text.len() + 1];
        matched[0] = true;
        let step = |matched: &[bool], accepts: &dyn Fn(char) -> bool| {
            let mut next = vec![false; matched.len()];
            for at in 0..text.len() {
                next[at + 1] = matched[at] && accepts(text[at]);
            }
            next
        };
        for piece in pattern.pieces() {
            match piece {
                Piece::Text(wanted) => {
                    for c in wanted.chars() {
                        matched = step(&matched, &|found| found == c);
                    }
                }
                Piece::One => matched = step(&matched, &|_| true),
                Piece::Many => {
                    let first = matched.iter().position(|&here| here).unwrap_or(matched.len());
                    matched[first..].fill(true);
                }
            }
        }
        matched[text.len()]
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2_000))]

        /// Few characters, so that the pattern repeats itself and the text nearly matches in many places.
        #[test]
        fn every_pattern_means_what_the_table_says(pattern in "[abé?*]{0,14}", text in "[abé]{0,24}") {
            let pattern = Pattern::parse(&pattern);
            proptest::prop_assert_eq!(
                Glob::new(pattern.pieces(), true).matches(&text),
                reference(&pattern, &text)
            );
        }

        /// Patterns of more places than a word has bits.
        #[test]
        fn long_segments_mean_what_the_table_says(
            pattern in "[ab?]{60,140}", before in "[ab]{0,40}", cut in 0usize..3, after in "[ab]{0,5}",
        ) {
            let inside = pattern.replace('?', "b");
            let inside = &inside[..inside.len() - cut];
            let pattern = Pattern::parse(&format!("*{pattern}*"));
            let text = format!("{before}{inside}{after}");
            proptest::prop_assert_eq!(
                Glob::new(pattern.pieces(), true).matches(&text),
                reference(&pattern, &text)
            );
        }
    }

    /// The work on texts that nearly match everywhere, of a size for which a product of the two lengths would not end.
    #[test]
    fn repetitive_text_is_no_more_work_than_any_other() {
        let text = "a".repeat(4 << 20);
        let long = "a".repeat(16_000);
        assert!(!matches(&format!("*{long}b*"), &text));
        assert!(!matches(&format!("*{long}b{long}*"), &text));
        assert!(!matches(&format!("*{long}*b{long}*"), &text));
        assert!(!matches(&"*a".repeat(8_000).replacen('a', "b", 1), &text));
        assert!(matches(&format!("{}*", "*a".repeat(8_000)), &text));
        assert!(!matches(&format!("*{}?b*", "a".repeat(500)), &text));
    }
}
