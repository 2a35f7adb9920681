//! All literals that rules look for in one field, found in one pass over its value.

use std::collections::{BTreeMap, HashSet};

use aho_corasick::automaton::Automaton as _;
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{AhoCorasick, AhoCorasickKind, Anchored};

use super::atom::AtomId;
use crate::limits::{MAX_NESTED_TEXTS, MAX_TABLE_TEXT_BYTES};
use crate::sigma::value::Relation;
use crate::text::fold;

/// The literals of one field.
#[derive(Debug)]
pub(crate) struct FieldScan {
    automaton: Texts,
    texts: Vec<String>,
    /// For each text, who asks about it and where in the value it has to be.
    askers: Vec<Vec<(Relation, AtomId)>>,
}

/// What finds the texts.
#[derive(Debug)]
enum Texts {
    /// Every place of every text is reported.
    Every(AhoCorasick),
    /// So many texts end with others (`a`, `aa`, `aaa`, …) that reporting every place would take the product of their number
    /// and the value's length: what a state reports is reported the first time, and at the value's end.
    Once(Box<NFA>),
    /// The automaton would be larger than its library can build: the texts are tried one by one.
    OneByOne,
}

impl Texts {
    fn new(texts: &[String]) -> Self {
        let bytes: usize = texts.iter().map(String::len).sum();
        let kind = (bytes > MAX_TABLE_TEXT_BYTES).then_some(AhoCorasickKind::ContiguousNFA);
        let built = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(kind)
            .build(texts);
        let Ok(every) = built else { return Self::OneByOne };
        if !is_nested(&every, texts) {
            return Self::Every(every);
        }
        NFA::builder()
            .ascii_case_insensitive(true)
            .build(texts)
            .map_or(Self::OneByOne, |automaton| Self::Once(Box::new(automaton)))
    }
}

/// Whether more texts than are bearable end at one place of a value. Wherever a value is, the automaton has seen the
/// beginning of one of the texts: they alone need to be examined.
fn is_nested(automaton: &AhoCorasick, texts: &[String]) -> bool {
    texts.iter().any(|text| {
        let (mut end, mut here) = (0, 0);
        automaton.find_overlapping_iter(text.as_str()).any(|found| {
            here = if found.end() == end { here + 1 } else { 1 };
            end = found.end();
            here > MAX_NESTED_TEXTS
        })
    })
}

impl FieldScan {
    /// Builds the scan for folded texts, none of them empty.
    pub(crate) fn new(literals: impl IntoIterator<Item = (String, Relation, AtomId)>) -> Self {
        let mut by_text: BTreeMap<String, Vec<(Relation, AtomId)>> = BTreeMap::new();
        for (text, relation, atom) in literals {
            by_text.entry(text).or_default().push((relation, atom));
        }
        let (texts, askers): (Vec<_>, Vec<_>) = by_text.into_iter().unzip();
        Self {
            automaton: Texts::new(&texts),
            texts,
            askers,
        }
    }

    /// Calls `hit` with every atom that is true of `value`; an atom may come more than once.
    pub(crate) fn scan(&self, value: &str, hit: &mut dyn FnMut(AtomId)) {
        // The texts are folded, and the automaton ignores ASCII case by itself: only other letters need folding here.
        let folded;
        let value = if value.is_ascii() {
            value
        } else {
            folded = fold(value);
            &folded
        };
        let mut found = |pattern: usize, start: usize, end: usize| {
            for &(relation, atom) in &self.askers[pattern] {
                let here = match relation {
                    Relation::Contains => true,
                    Relation::StartsWith => start == 0,
                    Relation::EndsWith => end == value.len(),
                    Relation::Equals => start == 0 && end == value.len(),
                };
                if here {
                    hit(atom);
                }
            }
        };
        match &self.automaton {
            Texts::Every(automaton) => {
                for found_match in automaton.find_overlapping_iter(value) {
                    found(found_match.pattern().as_usize(), found_match.start(), found_match.end());
                }
            }
            Texts::Once(automaton) => scan_once(automaton, value, &mut found),
            Texts::OneByOne => {
                let value = fold(value);
                for (pattern, text) in self.texts.iter().enumerate() {
                    let (first, length) = (value.find(text.as_str()), text.len());
                    first.into_iter().for_each(|at| found(pattern, at, at + length));
                    if value.ends_with(text.as_str()) {
                        found(pattern, value.len() - length, value.len());
                    }
                }
            }
        }
    }
}

/// Reports the first place of every text, and those that end with the value. A text at the value's beginning is always reported:
/// the automaton is then in a state that has seen the whole value so far, and so never was before.
fn scan_once(automaton: &NFA, value: &str, found: &mut dyn FnMut(usize, usize, usize)) {
    let Ok(mut state) = automaton.start_state(Anchored::No) else {
        return;
    };
    let mut seen = HashSet::new();
    for (at, byte) in value.bytes().enumerate() {
        state = automaton.next_state(Anchored::No, state, byte);
        let end = at + 1;
        if automaton.is_match(state) && (seen.insert(state) || end == value.len()) {
            for n in 0..automaton.match_len(state) {
                let pattern = automaton.match_pattern(state, n);
                found(pattern.as_usize(), end - automaton.pattern_len(pattern), end);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const RELATIONS: [Relation; 4] = [
        Relation::Equals,
        Relation::StartsWith,
        Relation::EndsWith,
        Relation::Contains,
    ];

    /// A scan for every relation to every text; the atom's number says which.
    fn scan_of(texts: &[String]) -> FieldScan {
        FieldScan::new(texts.iter().enumerate().flat_map(|(n, text)| {
            let id = move |r: usize| u32::try_from(n * 4 + r).unwrap();
            RELATIONS
                .iter()
                .enumerate()
                .map(move |(r, relation)| (text.clone(), *relation, id(r)))
        }))
    }

    fn hits(scan: &FieldScan, value: &str) -> (BTreeSet<AtomId>, usize) {
        let (mut atoms, mut reported) = (BTreeSet::new(), 0);
        scan.scan(value, &mut |atom| {
            atoms.insert(atom);
            reported += 1;
        });
        (atoms, reported)
    }

    fn expected(texts: &[String], value: &str) -> BTreeSet<AtomId> {
        let value = fold(value).into_owned();
        let holds = |text: &str| {
            [
                value == text,
                value.starts_with(text),
                value.ends_with(text),
                value.contains(text),
            ]
        };
        let all = texts.iter().flat_map(|text| holds(text));
        all.enumerate()
            .filter(|(_, holds)| *holds)
            .map(|(n, _)| u32::try_from(n).unwrap())
            .collect()
    }

    proptest::proptest! {
        #[test]
        fn every_automaton_answers_alike(
            texts in proptest::collection::btree_set("[abä]{1,6}", 1..12), nested in proptest::bool::ANY,
            value in "[abAäÄ]{0,30}",
        ) {
            let mut texts: BTreeSet<String> = texts;
            if nested {
                texts.extend((1..40).map(|n| "a".repeat(n)));
            }
            let texts: Vec<String> = texts.into_iter().collect();
            let mut scan = scan_of(&texts);
            proptest::prop_assert_eq!(matches!(scan.automaton, Texts::Once(_)), nested);
            let want = expected(&texts, &value);
            proptest::prop_assert_eq!(&hits(&scan, &value).0, &want);
            scan.automaton = Texts::OneByOne;
            proptest::prop_assert_eq!(&hits(&scan, &value).0, &want);
        }
    }

    #[test]
    fn texts_within_texts_are_reported_once_each() {
        let texts: Vec<String> = (1..=1_000).map(|n| "a".repeat(n)).collect();
        let scan = scan_of(&texts);
        let (atoms, reported) = hits(&scan, &"a".repeat(1 << 20));
        // Every text begins, ends and is in the value; none is it.
        assert_eq!(atoms.len(), 3_000);
        // Each of a thousand states reports its texts once, and the last one again: not each of a million places.
        assert!(reported <= 4 * 1_000 * 1_001, "{reported}");
    }

    #[test]
    fn a_long_text_is_found_in_a_repetitive_value() {
        let long = "a".repeat(40_000);
        let scan = scan_of(&[long.clone() + "b", "b".to_owned() + &long, long]);
        assert!(matches!(scan.automaton, Texts::Every(_)));
        let (atoms, _) = hits(&scan, &"a".repeat(1 << 20));
        // It begins, ends and is in the value; the other two are not there.
        assert_eq!(atoms.into_iter().collect::<Vec<_>>(), [9, 10, 11]);
    }
}
