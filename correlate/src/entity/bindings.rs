//! All that is known: which identifier stood for which, when.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use casebook_event::Timestamp;

use super::ending::{Ending, text_bytes_of};
use super::history::{History, Sighting, Taken};
use super::limits::{MAX_FACTS, MAX_FACTS_PER_IDENTIFIER, MAX_ID_AGE_NANOS, MAX_IDENTIFIER_BYTES};
use super::relation::{Relation, relation};
use super::{Binding, Identifier};

/// Most facts that are kept. See [`MAX_FACTS_PER_IDENTIFIER`] and [`MAX_FACTS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) per_identifier: usize,
    pub(super) all: usize,
}

/// What one identifier stood for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// In the order of what they are to. The one to itself has the identifier's own ends.
    pub(super) pairs: Vec<(Identifier, History)>,
    pub(super) facts: usize,
}

/// The bindings that were learned.
///
/// What is answered about a time depends on the *set* of bindings: neither on the order in which they were learned, nor on how
/// often. Of those of a later time, only the next uid of a pod's name counts, and only where the name's former holder has ended.
///
/// What is kept is bounded. Each binding is kept once in a grain of time (five minutes; an hour for ids that are never given
/// twice). Beyond 4,096 facts of one identifier or a million in all (`entity/limits.rs`), the earliest go first. Which they are
/// depends on the set of bindings alone, too; [`Bindings::complete_since`] says from when on nothing is missing.
#[derive(Debug, Clone)]
pub struct Bindings {
    pub(super) entries: HashMap<Arc<Identifier>, Entry>,
    /// By the beginning of a grain of time, the identifiers that have facts of it: what goes first is found here.
    pub(super) by_start: BTreeMap<i64, HashSet<Arc<Identifier>>>,
    /// Who stands for what no longer once it has ended.
    pub(super) ending: Ending,
    pub(super) limits: Limits,
    pub(super) facts: usize,
    pub(super) text_bytes: usize,
    pub(super) pairs: usize,
    /// Nothing before it is learned any more.
    pub(super) floor: Timestamp,
    /// Grains that begin here or before were dropped whole.
    pub(super) dropped: Option<i64>,
    /// The latest beginning of a grain of which facts were dropped.
    pub(super) incomplete: Option<i64>,
    pub(super) late: u64,
}

impl Default for Bindings {
    fn default() -> Self {
        Self::new()
    }
}

impl Bindings {
    /// Nothing known.
    pub fn new() -> Self {
        Self::with_limits(Limits {
            per_identifier: MAX_FACTS_PER_IDENTIFIER,
            all: MAX_FACTS,
        })
    }

    pub(super) fn with_limits(limits: Limits) -> Self {
        Self {
            entries: HashMap::new(),
            by_start: BTreeMap::new(),
            ending: Ending::default(),
            limits,
            facts: 0,
            text_bytes: 0,
            pairs: 0,
            floor: Timestamp::MIN,
            dropped: None,
            incomplete: None,
            late: 0,
        }
    }

    /// Takes in what one event told. What is of no known relation, or before what was forgotten, is left out; but not since when
    /// a pod exists, which answers of later times need.
    ///
    /// The caller must not let in events that claim to be from the future: they would be the last to go where room is needed.
    pub fn learn(&mut self, binding: &Binding) {
        let Binding { from, to, time, .. } = binding;
        if *time < self.floor && !binding.how.is_of_earlier() {
            self.late = self.late.saturating_add(1);
            return;
        }
        let known_length = |id: &Identifier| {
            (1..=MAX_IDENTIFIER_BYTES).contains(&id.value.len()) && id.cluster.len() <= MAX_IDENTIFIER_BYTES
        };
        if !known_length(from) || !known_length(to) {
            return;
        }
        if binding.ends {
            self.keep(from, to, &mut |history, _| history.end(*time), *time);
        } else if from != to {
            let sighting = Sighting {
                time: *time,
                confidence: binding.confidence,
                how: binding.how,
                joined: false,
            };
            self.keep(
                from,
                to,
                &mut |history, relation| history.see(sighting, relation),
                *time,
            );
        }
    }

    /// Forgets what no answer about `time` or later needs. From then on, nothing earlier than `time` is learned but since when a
    /// pod exists ([`Bindings::late`] counts it), and answers about a time before it are not to be relied upon.
    pub fn forget_before(&mut self, time: Timestamp) {
        if time <= self.floor {
            return;
        }
        self.floor = time;
        for (from, entry) in &mut self.entries {
            for (to, history) in &mut entry.pairs {
                match relation(from, to) {
                    Some(_) if **from == *to => history.forget_ends_before(time, MAX_ID_AGE_NANOS),
                    Some(relation) => history.forget_before(time, &relation),
                    None => *history = History::default(),
                }
            }
        }
        self.count_anew();
    }

    /// The same with what was told before, as far as it is given: answers about earlier times can be relied upon as far back as that
    /// is all that was told.
    pub fn with_earlier(&self, told: &[Binding]) -> Self {
        let mut all = self.clone();
        all.floor = Timestamp::MIN;
        told.iter().for_each(|binding| all.learn(binding));
        all
    }

    /// From when on answers can be relied upon, as far as nothing was dropped for want of room.
    pub(crate) fn floor(&self) -> Timestamp {
        self.floor
    }

    /// How many facts are kept: sightings of bindings, and ends.
    pub fn len(&self) -> usize {
        self.facts
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.facts == 0
    }

    /// About how much memory is in use, in bytes.
    pub fn approximate_bytes(&self) -> usize {
        // The index by time holds a reference to an identifier for about every fact; maps are at most seven eighths full.
        let fact = size_of::<Sighting>() + 2 * size_of::<Arc<Identifier>>();
        let pair = size_of::<(Identifier, History)>();
        let entry = size_of::<(Arc<Identifier>, Entry)>() + size_of::<Identifier>();
        self.facts * fact
            + self.pairs * pair
            + self.entries.len() * entry * 8 / 7
            + self.text_bytes
            + self.ending.approximate_bytes()
    }

    /// How many bindings were left out since they were earlier than what was forgotten.
    pub fn late(&self) -> u64 {
        self.late
    }

    /// From when on no binding was dropped for want of room; `None` where none ever was.
    pub fn complete_since(&self) -> Option<Timestamp> {
        let grain = super::limits::COARSE_GRAIN_NANOS;
        self.incomplete
            .map(|start| Timestamp::from_nanos(start.saturating_add(grain)))
    }

    /// Puts a fact in its place, and makes room for it.
    pub(super) fn keep(
        &mut self,
        from: &Identifier,
        to: &Identifier,
        take: &mut dyn FnMut(&mut History, &Relation) -> Taken,
        time: Timestamp,
    ) {
        let Some(relation) = relation(from, to) else { return };
        let start = relation.grain_start(time.as_nanos());
        if self.dropped.is_some_and(|dropped| start <= dropped) {
            self.incomplete = self.incomplete.max(Some(start));
            return;
        }
        // Nearly all that is told is known: that way is one look and copies nothing.
        let known = self.entries.get_mut(from).and_then(|entry| {
            let at = entry.pairs.binary_search_by(|(known, _)| known.cmp(to)).ok()?;
            Some(take(&mut entry.pairs.get_mut(at)?.1, &relation))
        });
        let taken = match known {
            Some(taken) => taken,
            None => take(self.place(from, to), &relation),
        };
        if taken == Taken::Known {
            return;
        }
        let Some((key, _)) = self.entries.get_key_value(from) else {
            return;
        };
        let key = key.clone();
        self.facts += 1;
        self.by_start.entry(start).or_default().insert(key.clone());
        let Some(entry) = self.entries.get_mut(from) else {
            return;
        };
        entry.facts += 1;
        if entry.facts > self.limits.per_identifier {
            self.drop_first_of(&key);
        }
        while self.facts > self.limits.all {
            self.drop_first();
        }
    }

    /// A new place for what `from` was to `to`.
    fn place(&mut self, from: &Identifier, to: &Identifier) -> &mut History {
        let text_bytes = &mut self.text_bytes;
        let entry = match self.entries.get_key_value(from) {
            Some((key, _)) => self.entries.entry(key.clone()).or_default(),
            None => {
                *text_bytes += text_bytes_of(from);
                self.entries.entry(Arc::new(from.clone())).or_default()
            }
        };
        let at = entry.pairs.partition_point(|(known, _)| known < to);
        self.pairs += 1;
        *text_bytes += text_bytes_of(to);
        entry.pairs.insert(at, (to.clone(), History::default()));
        self.ending.note(from, to);
        // Just put there.
        &mut entry.pairs[at].1
    }

    /// Removes what is empty, and counts what is left.
    fn count_anew(&mut self) {
        self.by_start.clear();
        self.ending = Ending::default();
        (self.facts, self.pairs, self.text_bytes) = (0, 0, 0);
        for (from, entry) in &mut self.entries {
            entry.pairs.retain(|(_, history)| history.len() > 0);
            entry.facts = entry.pairs.iter().map(|(_, history)| history.len()).sum();
            self.facts += entry.facts;
            self.pairs += entry.pairs.len();
            for (to, history) in &entry.pairs {
                self.text_bytes += text_bytes_of(to);
                self.ending.note(from, to);
                let Some(relation) = relation(from, to) else { continue };
                let times = history.seen.iter().map(|s| &s.time).chain(&history.ends);
                for time in times {
                    let start = relation.grain_start(time.as_nanos());
                    self.by_start.entry(start).or_default().insert(from.clone());
                }
            }
        }
        self.entries.retain(|_, entry| !entry.pairs.is_empty());
        self.text_bytes += self.entries.keys().map(|from| text_bytes_of(from)).sum::<usize>();
    }
}

impl<'a> Extend<&'a Binding> for Bindings {
    fn extend<T: IntoIterator<Item = &'a Binding>>(&mut self, bindings: T) {
        bindings.into_iter().for_each(|binding| self.learn(binding));
    }
}

impl<'a> FromIterator<&'a Binding> for Bindings {
    /// From all that was told, in whatever order.
    fn from_iter<T: IntoIterator<Item = &'a Binding>>(bindings: T) -> Self {
        let mut known = Self::new();
        known.extend(bindings);
        known
    }
}
