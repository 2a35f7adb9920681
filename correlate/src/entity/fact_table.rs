//! The facts that are kept, by identifier and by time, within their bounds.
//!
//! What goes first where there is too much: a fact's place in the order is the grain of time it is of, then its names and
//! confidence, and never its time within the grain, which an earlier sighting may still change. So the facts that are kept are the
//! greatest of all that were observed, in whatever order they came.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use casebook_event::Timestamp;

use super::Identifier;
use super::ending::{Ending, text_bytes_of};
use super::eviction::{drop_one, first_start, has_of};
use super::history::{History, Sighting, Taken};
use super::relation::{Relation, relation};

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

/// All facts that are kept.
#[derive(Debug, Clone)]
pub(super) struct FactTable {
    pub(super) entries: HashMap<Arc<Identifier>, Entry>,
    /// By the beginning of a grain of time, the identifiers that have facts of it: what goes first is found here.
    pub(super) by_start: BTreeMap<i64, HashSet<Arc<Identifier>>>,
    /// Who stands for what no longer once it has ended.
    pub(super) ending: Ending,
    pub(super) limits: Limits,
    pub(super) facts: usize,
    pub(super) text_bytes: usize,
    pub(super) pairs: usize,
    /// Grains that begin here or before were dropped whole.
    pub(super) dropped: Option<i64>,
    /// The latest beginning of a grain of which facts were dropped.
    pub(super) incomplete: Option<i64>,
}

impl FactTable {
    /// No facts.
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            entries: HashMap::new(),
            by_start: BTreeMap::new(),
            ending: Ending::default(),
            limits,
            facts: 0,
            text_bytes: 0,
            pairs: 0,
            dropped: None,
            incomplete: None,
        }
    }

    /// About how much memory is in use, in bytes.
    pub(super) fn approximate_bytes(&self) -> usize {
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
        // Nearly all that is reported is known: that way is one lookup and copies nothing.
        let known = self.entries.get_mut(from).and_then(|entry| {
            let at = entry.pairs.binary_search_by(|(known, _)| known.cmp(to)).ok()?;
            Some(take(&mut entry.pairs.get_mut(at)?.1, &relation))
        });
        let taken = match known {
            Some(taken) => taken,
            None => take(self.pair(from, to), &relation),
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

    /// A new history of what `from` was to `to`.
    fn pair(&mut self, from: &Identifier, to: &Identifier) -> &mut History {
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
    pub(super) fn count_anew(&mut self) {
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

    /// Drops the first fact of an identifier, in an order that depends on the facts alone.
    fn drop_first_of(&mut self, from: &Arc<Identifier>) {
        let Some(entry) = self.entries.get_mut(from) else {
            return;
        };
        let first = entry
            .pairs
            .iter()
            .enumerate()
            .filter_map(|(at, (to, history))| Some((first_start(from, to, history)?, at)))
            .min();
        let Some((start, at)) = first else { return };
        let Some((to, history)) = entry.pairs.get_mut(at) else {
            return;
        };
        drop_one(from, to, history, start);
        entry.facts -= 1;
        self.facts -= 1;
        self.incomplete = self.incomplete.max(Some(start));
        if history.len() == 0 {
            self.pairs -= 1;
            self.text_bytes -= text_bytes_of(to);
            self.ending.forget(from, to);
            entry.pairs.remove(at);
        }
        let holds = |(to, history): &(Identifier, History)| has_of(from, to, history, start);
        if !entry.pairs.iter().any(holds)
            && let Some(group) = self.by_start.get_mut(&start)
        {
            group.remove(from);
            if group.is_empty() {
                self.by_start.remove(&start);
            }
        }
    }

    /// Drops every fact of the first grain of time.
    fn drop_first(&mut self) {
        let Some((start, group)) = self.by_start.pop_first() else {
            return;
        };
        self.dropped = self.dropped.max(Some(start));
        self.incomplete = self.incomplete.max(Some(start));
        for from in group {
            let Some(entry) = self.entries.get_mut(&from) else {
                continue;
            };
            for (to, history) in &mut entry.pairs {
                let Some(relation) = relation(&from, to) else { continue };
                let of = |time: Timestamp| relation.grain_start(time.as_nanos()) == start;
                history.seen.retain(|s| !of(s.time));
                history.ends.retain(|end| !of(*end));
            }
            let before = entry.facts;
            entry.facts = entry.pairs.iter().map(|(_, history)| history.len()).sum();
            self.facts -= before - entry.facts;
            let (pairs, text_bytes, ending) = (&mut self.pairs, &mut self.text_bytes, &mut self.ending);
            entry.pairs.retain(|(to, history)| {
                let keeps = history.len() > 0;
                if !keeps {
                    *pairs -= 1;
                    *text_bytes -= text_bytes_of(to);
                    ending.forget(&from, to);
                }
                keeps
            });
            if entry.pairs.is_empty() {
                self.text_bytes -= text_bytes_of(&from);
                self.entries.remove(&from);
            }
        }
    }
}
