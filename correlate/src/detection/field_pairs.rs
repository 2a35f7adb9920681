//! Whether any text of one field relates to any of another (`fieldref`), where both have many.
//!
//! Pairs are their product, and both come from an event: whoever writes it chooses both. The others are put into a trie, with
//! the links of Aho and Corasick where they may stand anywhere. The library that looks for the rules' own texts is not made
//! for texts that an attacker chooses: its building takes the square of their number for some.

use std::collections::{HashMap, HashSet};

use crate::limits::MAX_COMPARED_PAIRS;
use crate::sigma::value::Relation;

/// Whether any of `texts` relates so to any of `others`.
pub(super) fn any_pair_holds(texts: &[String], others: &[String], relation: Relation) -> bool {
    if texts.len().saturating_mul(others.len()) <= MAX_COMPARED_PAIRS {
        return texts
            .iter()
            .any(|text| others.iter().any(|other| holds(text, other, relation)));
    }
    match relation {
        Relation::Equals => {
            let others: HashSet<&String> = others.iter().collect();
            texts.iter().any(|text| others.contains(text))
        }
        Relation::StartsWith => {
            let trie = Trie::new(others.iter().map(|other| other.bytes()));
            texts.iter().any(|text| trie.begins(text.bytes()))
        }
        Relation::EndsWith => {
            let trie = Trie::new(others.iter().map(|other| other.bytes().rev()));
            texts.iter().any(|text| trie.begins(text.bytes().rev()))
        }
        Relation::Contains => {
            let mut trie = Trie::new(others.iter().map(|other| other.bytes()));
            trie.link();
            texts.iter().any(|text| trie.is_in(text.bytes()))
        }
    }
}

/// Whether a text relates so to another.
pub(super) fn holds(text: &str, other: &str, relation: Relation) -> bool {
    match relation {
        Relation::Equals => text == other,
        Relation::StartsWith => text.starts_with(other),
        Relation::EndsWith => text.ends_with(other),
        Relation::Contains => text.contains(other),
    }
}

/// Texts by their beginnings. Nodes are numbered as they came, the root is 0.
struct Trie {
    next: HashMap<(usize, u8), usize>,
    nodes: Vec<Node>,
}

#[derive(Clone, Copy)]
struct Node {
    /// The node before it, and the byte between them.
    parent: usize,
    byte: u8,
    depth: usize,
    /// The node of the longest end of its text that begins one.
    link: usize,
    /// Whether a text ends here, or at a link of it.
    ends: bool,
}

impl Trie {
    fn new<B: Iterator<Item = u8>>(texts: impl Iterator<Item = B>) -> Self {
        let root = Node {
            parent: 0,
            byte: 0,
            depth: 0,
            link: 0,
            ends: false,
        };
        let mut trie = Self {
            next: HashMap::new(),
            nodes: vec![root],
        };
        for text in texts {
            let mut at = 0;
            for byte in text {
                let new = trie.nodes.len();
                let next = *trie.next.entry((at, byte)).or_insert(new);
                if next == new {
                    trie.nodes.push(Node {
                        parent: at,
                        byte,
                        depth: trie.nodes[at].depth + 1,
                        ..root
                    });
                }
                at = next;
            }
            trie.nodes[at].ends = true;
        }
        trie
    }

    /// Sets the links, those of shorter texts first.
    fn link(&mut self) {
        let mut order: Vec<usize> = (1..self.nodes.len()).collect();
        order.sort_by_key(|&at| self.nodes[at].depth);
        for at in order {
            let Node { parent, byte, .. } = self.nodes[at];
            let link = if parent == 0 {
                0
            } else {
                self.step(self.nodes[parent].link, byte)
            };
            self.nodes[at].link = link;
            self.nodes[at].ends |= self.nodes[link].ends;
        }
    }

    /// The node of the longest end of what was read, with one more byte, that begins a text.
    fn step(&self, mut at: usize, byte: u8) -> usize {
        loop {
            match self.next.get(&(at, byte)) {
                Some(&next) => return next,
                None if at == 0 => return 0,
                None => at = self.nodes[at].link,
            }
        }
    }

    /// Whether a text is a beginning of these bytes.
    fn begins(&self, bytes: impl Iterator<Item = u8>) -> bool {
        let mut at = 0;
        for byte in bytes {
            if self.nodes[at].ends {
                return true;
            }
            match self.next.get(&(at, byte)) {
                Some(&next) => at = next,
                None => return false,
            }
        }
        self.nodes[at].ends
    }

    /// Whether a text is anywhere in these bytes.
    fn is_in(&self, bytes: impl Iterator<Item = u8>) -> bool {
        let mut at = 0;
        let mut found = self.nodes[0].ends;
        for byte in bytes {
            if found {
                return true;
            }
            at = self.step(at, byte);
            found = self.nodes[at].ends;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELATIONS: [Relation; 4] = [
        Relation::Equals,
        Relation::StartsWith,
        Relation::EndsWith,
        Relation::Contains,
    ];

    proptest::proptest! {
        #[test]
        fn many_values_relate_as_each_pair_does(
            texts in proptest::collection::vec("[abé]{0,6}", 0..40), others in proptest::collection::vec("[abé]{0,6}", 0..40),
        ) {
            for relation in RELATIONS {
                let pairs = texts.iter().any(|text| others.iter().any(|other| holds(text, other, relation)));
                proptest::prop_assert_eq!(any_pair_holds(&texts, &others, relation), pairs, "{:?}", relation);
            }
        }
    }

    /// Of a size for which the product of the two numbers would not end.
    #[test]
    fn many_values_are_not_compared_pair_by_pair() {
        let texts: Vec<String> = (0..150_000).map(|n| format!("a{n}")).collect();
        let others: Vec<String> = (0..150_000).map(|n| format!("b{n}")).collect();
        let repetitive = ["a".repeat(1 << 20)];
        let nearly = (0..1_000).map(|n| "a".repeat(n) + "b").collect::<Vec<_>>();
        for relation in RELATIONS {
            assert!(!any_pair_holds(&texts, &others, relation));
            assert!(!any_pair_holds(&repetitive, &nearly, relation));
        }
    }
}
