//! All that is known: which identifier stood for which, when.

use casebook_event::Timestamp;

use super::fact_table::{FactTable, Limits};
use super::history::{History, Sighting};
use super::limits::{MAX_FACTS, MAX_FACTS_PER_IDENTIFIER, MAX_ID_AGE_NANOS, MAX_IDENTIFIER_BYTES};
use super::relation::relation;
use super::{Binding, Identifier};

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
    pub(super) table: FactTable,
    /// Nothing before it is learned any more.
    pub(super) floor: Timestamp,
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
            table: FactTable::new(limits),
            floor: Timestamp::MIN,
            late: 0,
        }
    }

    /// Takes in what one event reported. What is of no known relation, or before what was forgotten, is left out; but not since when
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
            self.table.keep(from, to, &mut |history, _| history.end(*time), *time);
        } else if from != to {
            let sighting = Sighting {
                time: *time,
                confidence: binding.confidence,
                how: binding.how,
                joined: false,
            };
            self.table.keep(
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
        for (from, entry) in &mut self.table.entries {
            for (to, history) in &mut entry.pairs {
                match relation(from, to) {
                    Some(_) if **from == *to => history.forget_ends_before(time, MAX_ID_AGE_NANOS),
                    Some(relation) => history.forget_before(time, &relation),
                    None => *history = History::default(),
                }
            }
        }
        self.table.count_anew();
    }

    /// The same with what was observed before, as far as it is given: answers about earlier times can be relied upon as far back as that
    /// is all that was observed.
    pub fn with_earlier(&self, observed: &[Binding]) -> Self {
        let mut all = self.clone();
        all.floor = Timestamp::MIN;
        observed.iter().for_each(|binding| all.learn(binding));
        all
    }

    /// From when on answers can be relied upon, as far as nothing was dropped for want of room.
    pub(crate) fn floor(&self) -> Timestamp {
        self.floor
    }

    /// How many facts are kept: sightings of bindings, and ends.
    pub fn len(&self) -> usize {
        self.table.facts
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.table.facts == 0
    }

    /// About how much memory is in use, in bytes.
    pub fn approximate_bytes(&self) -> usize {
        self.table.approximate_bytes()
    }

    /// How many bindings were left out since they were earlier than what was forgotten.
    pub fn late(&self) -> u64 {
        self.late
    }

    /// From when on no binding was dropped for want of room; `None` where none ever was.
    pub fn complete_since(&self) -> Option<Timestamp> {
        let grain = super::limits::COARSE_GRAIN_NANOS;
        self.table
            .incomplete
            .map(|start| Timestamp::from_nanos(start.saturating_add(grain)))
    }
}

impl<'a> Extend<&'a Binding> for Bindings {
    fn extend<T: IntoIterator<Item = &'a Binding>>(&mut self, bindings: T) {
        bindings.into_iter().for_each(|binding| self.learn(binding));
    }
}

impl<'a> FromIterator<&'a Binding> for Bindings {
    /// From all that was observed, in whatever order.
    fn from_iter<T: IntoIterator<Item = &'a Binding>>(bindings: T) -> Self {
        let mut known = Self::new();
        known.extend(bindings);
        known
    }
}
