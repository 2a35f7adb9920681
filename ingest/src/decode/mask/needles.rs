//! The search for words that stand at or in every secret: the only thing that is done to every byte of every record.
//!
//! Three bytes at every other place are looked up in a table of those that a needle may have at its first or second byte; what
//! passes is compared. An automaton over the same needles reads each byte in the light
//! of the one before, which takes longer (`docs/performance.md`); it is what this must agree with.

use std::sync::LazyLock;

use super::{Hit, NEEDLES};

/// Bits of a place in the table: four KiB, which stay in the fastest cache.
const SLOT_BITS: u32 = 15;
const SLOT_WORDS: usize = 1 << (SLOT_BITS - 6);

struct Table {
    /// A bit for each hash of three bytes.
    slots: [u64; SLOT_WORDS],
    /// For each first byte, in either case, the needles that begin with it, in their order.
    by_first: Vec<Vec<usize>>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table {
        slots: [0; SLOT_WORDS],
        by_first: vec![Vec::new(); 256],
    };
    for (index, (needle, _)) in NEEDLES.iter().enumerate() {
        let bytes = needle.as_bytes();
        let at = |n: usize| bytes.get(n).copied();
        let (Some(first), Some(second), Some(third)) = (at(0), at(1), at(2)) else {
            continue;
        };
        for byte in [first.to_ascii_lowercase(), first.to_ascii_uppercase()] {
            let places = &mut table.by_first[usize::from(byte)];
            if !places.contains(&index) {
                places.push(index);
            }
        }
        table.add([first, second, third]);
        match at(3) {
            Some(fourth) => table.add([second, third, fourth]),
            // What follows a needle of three bytes may be anything.
            None => (0..=u8::MAX).for_each(|any| table.add([second, third, any])),
        }
    }
    table
});

/// The place of the three lowest bytes, without regard to the case of letters.
fn slot(bytes: u64) -> u32 {
    let folded = (bytes as u32 | 0x0020_2020) & 0x00ff_ffff;
    folded.wrapping_mul(0x9e37_79b1) >> (32 - SLOT_BITS)
}

impl Table {
    fn add(&mut self, bytes: [u8; 3]) {
        let slot = slot(u64::from(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0])));
        self.slots[(slot >> 6) as usize % SLOT_WORDS] |= 1 << (slot & 63);
    }

    /// One where a needle may have its first or second byte at the lowest of `bytes`, else zero.
    fn may_hold(&self, bytes: u64) -> u64 {
        let slot = slot(bytes);
        self.slots[(slot >> 6) as usize % SLOT_WORDS] >> (slot & 63) & 1
    }

    /// The first place from `at` on, going by two, where a needle may have its first or second byte.
    fn candidate(&self, text: &[u8], mut at: usize) -> Option<usize> {
        // Three places are asked at once, and only then is anything decided.
        while let Some(Ok(eight)) = text.get(at..at + 8).map(<[u8; 8]>::try_from) {
            let bytes = u64::from_le_bytes(eight);
            let (first, second, third) = (
                self.may_hold(bytes),
                self.may_hold(bytes >> 16),
                self.may_hold(bytes >> 32),
            );
            if first | second | third != 0 {
                return Some(if first != 0 {
                    at
                } else if second != 0 {
                    at + 2
                } else {
                    at + 4
                });
            }
            at += 6;
        }
        // Every needle has three bytes: one that begins at or before a place has its first or second byte there.
        while at + 1 < text.len() {
            let byte = |n: usize| text.get(at + n).map_or(0, |byte| u64::from(*byte));
            if self.may_hold(byte(0) | byte(1) << 8 | byte(2) << 16) != 0 {
                return Some(at);
            }
            at += 2;
        }
        None
    }

    /// The first needle, in their order, that stands at `start`.
    fn needle_at(&self, text: &[u8], start: usize) -> Option<Found> {
        let rest = text.get(start..)?;
        let index = *self.by_first[usize::from(*rest.first()?)].iter().find(|index| {
            let needle = NEEDLES[**index].0.as_bytes();
            rest.get(..needle.len())
                .is_some_and(|text| text.eq_ignore_ascii_case(needle))
        })?;
        let (needle, hit) = NEEDLES[index];
        Some(Found {
            needle,
            hit,
            start,
            end: start + needle.len(),
        })
    }
}

/// A needle in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) needle: &'static str,
    pub(super) hit: Hit,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The needles in `text`, from left to right: where one ends, the search for the next begins.
pub(super) fn find(text: &[u8]) -> Finder<'_> {
    Finder {
        table: &TABLE,
        text,
        from: 0,
        at: 0,
    }
}

/// See [`find`].
pub(super) struct Finder<'a> {
    table: &'static Table,
    text: &'a [u8],
    /// No needle begins before this.
    from: usize,
    /// The next place to look at.
    at: usize,
}

impl Iterator for Finder<'_> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        while let Some(at) = self.table.candidate(self.text, self.at) {
            let before = at.checked_sub(1).filter(|start| *start >= self.from);
            let found = before
                .and_then(|start| self.table.needle_at(self.text, start))
                .or_else(|| self.table.needle_at(self.text, at));
            if let Some(found) = found {
                (self.from, self.at) = (found.end, found.end);
                return Some(found);
            }
            self.at = at + 2;
        }
        self.at = self.text.len();
        None
    }
}

#[cfg(test)]
mod tests {
    use aho_corasick::{AhoCorasick, MatchKind};
    use proptest::prelude::*;

    use super::*;

    fn check(text: &[u8]) {
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::LeftmostFirst)
            .build(NEEDLES.iter().map(|(needle, _)| needle))
            .unwrap();
        let want: Vec<_> = automaton
            .find_iter(text)
            .map(|hit| (NEEDLES[hit.pattern().as_usize()].0, hit.start(), hit.end()))
            .collect();
        let got: Vec<_> = find(text).map(|found| (found.needle, found.start, found.end)).collect();
        assert_eq!(got, want, "{:?}", String::from_utf8_lossy(text));
    }

    #[test]
    fn each_needle_is_found_wherever_it_stands() {
        assert!(NEEDLES.iter().all(|(needle, _)| needle.len() >= 3));
        for (needle, _) in NEEDLES {
            for before in ["", "x", "xy", "xyz"] {
                for after in ["", "x", "xy"] {
                    check(format!("{before}{needle}{after}").as_bytes());
                    check(format!("{before}{}{after}{needle}", needle.to_ascii_uppercase()).as_bytes());
                }
            }
        }
    }

    proptest! {
        #[test]
        fn it_finds_what_an_automaton_finds(parts in prop::collection::vec((0..NEEDLES.len(), 0usize..12, "[a-zA-Z:/\\\\\"_é -]{0,3}"), 0..12)) {
            let text: String = parts
                .iter()
                .map(|(needle, cut, other)| {
                    let needle = NEEDLES[*needle].0;
                    format!("{}{other}", &needle[..needle.len().saturating_sub(*cut)])
                })
                .collect();
            check(text.as_bytes());
        }

        #[test]
        fn any_bytes(text in prop::collection::vec(any::<u8>(), 0..64)) {
            check(&text);
        }
    }
}
