//! All literals that rules look for in one field, found in one pass over its value.

use aho_corasick::AhoCorasick;

use super::atom::AtomId;
use crate::sigma::value::Relation;
use crate::text::fold;

/// The literals of one field.
#[derive(Debug)]
pub(crate) struct FieldScan {
    /// `None` where the automaton would be larger than its library can build; then the texts are tried one by one.
    automaton: Option<AhoCorasick>,
    texts: Vec<String>,
    /// For each text, who asks about it and where in the value it has to be.
    askers: Vec<Vec<(Relation, AtomId)>>,
}

impl FieldScan {
    /// Builds the scan for folded texts, none of them empty.
    pub(crate) fn new(literals: impl IntoIterator<Item = (String, Relation, AtomId)>) -> Self {
        let mut by_text: std::collections::BTreeMap<String, Vec<(Relation, AtomId)>> =
            std::collections::BTreeMap::new();
        for (text, relation, atom) in literals {
            by_text.entry(text).or_default().push((relation, atom));
        }
        let (texts, askers): (Vec<_>, Vec<_>) = by_text.into_iter().unzip();
        let automaton = AhoCorasick::builder().ascii_case_insensitive(true).build(&texts).ok();
        Self {
            automaton,
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
            Some(automaton) => {
                for found_match in automaton.find_overlapping_iter(value) {
                    found(found_match.pattern().as_usize(), found_match.start(), found_match.end());
                }
            }
            None => {
                let value = fold(value);
                for (pattern, text) in self.texts.iter().enumerate() {
                    value
                        .match_indices(text.as_str())
                        .for_each(|(at, _)| found(pattern, at, at + text.len()));
                    if value.ends_with(text.as_str()) {
                        found(pattern, value.len() - text.len(), value.len());
                    }
                }
            }
        }
    }
}
