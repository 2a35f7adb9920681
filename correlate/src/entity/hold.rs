//! Which bindings hold at a time: passing on, ending, growing old.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BTreeSet;

use casebook_event::Timestamp;

use super::fact_table::Entry;
use super::history::History;
use super::limits::{LINGER_NANOS, MAX_REACH_NANOS};
use super::relation::{Relation, relation};
use super::resolve::{self, Attribution, Held, Known};
use super::{Binding, Bindings, Confidence, EntityKind, How, Identifier, IdentifierKind};

impl Bindings {
    /// What `identifier` stood for at `at`, by what was observed of that time and before, and of a pod's name, by the uid that is
    /// observed next.
    pub fn resolve(&self, identifier: &Identifier, kind: EntityKind, at: Timestamp) -> Attribution {
        resolve::resolve(self, identifier, kind, at)
    }

    /// The same, and calls `visited` with each identifier that was resolved on the way: on what others stood for, the answer does not
    /// depend.
    pub(crate) fn resolve_noting(
        &self,
        identifier: &Identifier,
        kind: EntityKind,
        at: Timestamp,
        visited: &mut dyn FnMut(&Identifier),
    ) -> Attribution {
        let noting = Noting {
            known: self,
            visited: RefCell::new(visited),
        };
        resolve::resolve(&noting, identifier, kind, at)
    }

    /// What of kind `to` the identifier stood for directly at `at`: the images of a pod, the instance of a node. The one to
    /// take comes first, and after it those that hold beside it.
    pub fn held(&self, identifier: &Identifier, to: IdentifierKind, at: Timestamp) -> Vec<Identifier> {
        let held = Known::held(self, identifier, to, at);
        held.into_iter().map(|held| held.to).collect()
    }

    /// The first end of what `id` names, from `last` on and not after `at`.
    fn end_of(&self, id: &Identifier, last: Timestamp, at: Timestamp) -> Option<Timestamp> {
        self.own_ends(id)?.end_between(last, at)
    }
}

/// Bindings that note which identifiers are resolved.
struct Noting<'a> {
    known: &'a Bindings,
    visited: RefCell<&'a mut dyn FnMut(&Identifier)>,
}

impl Known for Noting<'_> {
    fn held(&self, from: &Identifier, to: IdentifierKind, at: Timestamp) -> Vec<Held> {
        (self.visited.borrow_mut())(from);
        Known::held(self.known, from, to, at)
    }
}

impl Known for Bindings {
    fn held(&self, from: &Identifier, to: IdentifierKind, at: Timestamp) -> Vec<Held> {
        let (Some(entry), Some(rules)) = (self.table.entries.get(from), Relation::of(from.kind, to)) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for (to, history) in entry.pairs.iter().filter(|(id, _)| id.kind == to && id != from) {
            let Some(life) = history.life_at(at, rules.max_age_nanos) else {
                continue;
            };
            let ends = [
                history.end_between(life.last, at),
                rules.ends_with_from.then(|| self.end_of(from, life.last, at)).flatten(),
                rules.ends_with_to.then(|| self.end_of(to, life.last, at)).flatten(),
            ];
            let end = ends.into_iter().flatten().min();
            if end.is_some_and(|end| at.as_nanos().saturating_sub(end.as_nanos()) > LINGER_NANOS) {
                continue;
            }
            let held = Held {
                to: to.clone(),
                first: life.first,
                last: life.last,
                how: life.how,
                confidence: life.confidence,
            };
            found.push((held, end.is_some()));
        }
        debug_assert!(found.iter().all(|(held, _)| relation(from, &held.to).is_some()));
        let is_certain = |(held, _): &(Held, bool)| held.confidence == Confidence::Certain;
        if rules.reaches_back && !found.iter().any(is_certain) {
            let later = self.observed_later(from, to, at);
            if !later.is_empty() {
                return later;
            }
        }
        choose(found, rules.passes)
    }
}

impl Bindings {
    /// What `from` stands for at `at` by what is surely observed after it, where nothing surely holds: who had the name before is known
    /// to have ended, and whoever is observed next had it since.
    fn observed_later(&self, from: &Identifier, to: IdentifierKind, at: Timestamp) -> Vec<Held> {
        let Some(entry) = self.table.entries.get(from) else {
            return Vec::new();
        };
        let pairs = || entry.pairs.iter().filter(|(id, _)| id.kind == to && id != from);
        let own = self.own_ends(from);
        let was_held = pairs().any(|(_, history)| history.is_certain_within(at, MAX_REACH_NANOS));
        if !was_held && !own.is_some_and(|own| own.ended_within(at, MAX_REACH_NANOS)) {
            return Vec::new();
        }
        let next = pairs()
            .filter_map(|(_, history)| Some(history.next_certain(at)?.time))
            .min();
        let Some(next) = next.filter(|next| next.as_nanos().saturating_sub(at.as_nanos()) <= MAX_REACH_NANOS) else {
            return Vec::new();
        };
        if own.is_some_and(|own| own.ends_between(at, next)) {
            return Vec::new();
        }
        let mut found = Vec::new();
        for (to, history) in pairs() {
            let Some(sighting) = history.next_certain(at).filter(|sighting| sighting.time == next) else {
                continue;
            };
            let itself = self.own_ends(to);
            let is_former = history.is_certain_within(at, MAX_REACH_NANOS)
                || itself.is_some_and(|own| own.ended_within(at, MAX_REACH_NANOS));
            let ends_before = history.ends_between(at, next) || itself.is_some_and(|own| own.ends_between(at, next));
            // One that was created then was not there before.
            if is_former || ends_before || sighting.how == How::AuditCreated {
                continue;
            }
            let held = Held {
                to: to.clone(),
                first: next,
                last: next,
                how: sighting.how,
                confidence: Confidence::Certain,
            };
            found.push((held, false));
        }
        choose(found, true)
    }

    /// The ends of what an identifier names.
    fn own_ends(&self, id: &Identifier) -> Option<&History> {
        self.history(id, id)
    }

    /// When the one was seen to stand for the other.
    pub(super) fn history(&self, from: &Identifier, to: &Identifier) -> Option<&History> {
        let pairs = &self.table.entries.get(from)?.pairs;
        let at = pairs.binary_search_by(|(known, _)| known.cmp(to)).ok()?;
        Some(&pairs.get(at)?.1)
    }

    /// Whether learning a binding changes nothing that is kept.
    pub(super) fn knows(&self, new: &Binding) -> bool {
        let (Some(history), Some(relation)) = (self.history(&new.from, &new.to), relation(&new.from, &new.to)) else {
            return false;
        };
        match new.ends {
            true => history.ends.binary_search(&new.time).is_ok(),
            false => history.has_seen((new.time, new.how), new.confidence, &relation),
        }
    }

    /// What is known of an identifier and of the ends of what it stood for, by itself.
    pub(super) fn about(&self, from: &Identifier) -> Self {
        let mut about = Self::new();
        let Some((key, entry)) = self.table.entries.get_key_value(from) else {
            return about;
        };
        for (to, _) in entry.pairs.iter().filter(|(to, _)| to != from) {
            if let Some((key, _)) = self.table.entries.get_key_value(to)
                && let Some(own) = self.own_ends(to)
            {
                let facts = own.len();
                let pairs = vec![(to.clone(), own.clone())];
                about.table.entries.insert(key.clone(), Entry { pairs, facts });
            }
        }
        about.table.entries.insert(key.clone(), entry.clone());
        about
    }

    /// Adds the times at which it may be another that `from` stands for: between two of them it is the same.
    pub(super) fn turns_of(
        &self,
        from: &Identifier,
        to: IdentifierKind,
        rules: &Relation,
        turns: &mut BTreeSet<Timestamp>,
    ) {
        let Some(entry) = self.table.entries.get(from) else {
            return;
        };
        let mut add = |time: Timestamp, nanos: i64| {
            turns.insert(time.saturating_add_nanos(nanos));
        };
        let pairs = entry.pairs.iter().filter(|(id, _)| id.kind == to && id != from);
        for sighting in pairs.clone().flat_map(|(_, history)| &history.seen) {
            for nanos in [
                0,
                rules.max_age_nanos.saturating_add(1),
                -MAX_REACH_NANOS,
                MAX_REACH_NANOS + 1,
            ] {
                add(sighting.time, nanos);
            }
        }
        let of_pairs = pairs.clone().flat_map(|(_, history)| &history.ends);
        let of_names = pairs.map(|(to, _)| to).chain([from]).filter_map(|id| self.own_ends(id));
        for end in of_pairs.chain(of_names.flat_map(|own| &own.ends)) {
            for nanos in [0, LINGER_NANOS + 1, MAX_REACH_NANOS + 1] {
                add(*end, nanos);
            }
        }
    }

    /// How many facts are kept of an identifier.
    pub(super) fn facts_of(&self, from: &Identifier) -> usize {
        self.table.entries.get(from).map_or(0, |entry| entry.facts)
    }
}

/// Of the bindings that hold, the one to take, and those that hold beside it. `found` says of each whether it has ended, and
/// only lingers.
fn choose(mut found: Vec<(Held, bool)>, passes: bool) -> Vec<Held> {
    if found.iter().any(|(_, ended)| !ended) {
        found.retain(|(_, ended)| !ended);
    }
    // A weaker word does not stand against a stronger one: else whoever may write Events could move any pod's name.
    let strongest = found.iter().map(|(held, _)| held.confidence).max();
    found.retain(|(held, _)| Some(held.confidence) == strongest);
    let mut held: Vec<Held> = found.into_iter().map(|(held, _)| held).collect();
    // Whoever came last has it: pods, their names and addresses follow one another.
    held.sort_by_cached_key(|held| Reverse((held.first, held.last, held.to.clone())));
    if passes && let Some(newest) = held.first().map(|held| held.first) {
        // Who was seen with it after that did not give it away.
        held.retain(|held| held.last >= newest);
    }
    held
}
