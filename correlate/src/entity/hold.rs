//! Which bindings hold at a time: passing on, ending, growing old.

use std::cmp::Reverse;

use casebook_event::Timestamp;

use super::bindings::relation;
use super::limits::LINGER_NANOS;
use super::relation::Relation;
use super::resolve::{self, Attribution, Held, Known};
use super::{Bindings, EntityKind, Identifier, IdentifierKind};

impl Bindings {
    /// What `identifier` stood for at `at`, by what was told of that time and before.
    pub fn resolve(&self, identifier: &Identifier, kind: EntityKind, at: Timestamp) -> Attribution {
        resolve::resolve(self, identifier, kind, at)
    }

    /// What of kind `to` the identifier stood for directly at `at`: the images of a pod, the instance of a node. The one to
    /// take comes first, and behind it those that hold beside it.
    pub fn held(&self, identifier: &Identifier, to: IdentifierKind, at: Timestamp) -> Vec<Identifier> {
        let held = Known::held(self, identifier, to, at);
        held.into_iter().map(|held| held.to).collect()
    }

    /// The first end of what `id` names, from `last` on and not after `at`.
    fn end_of(&self, id: &Identifier, last: Timestamp, at: Timestamp) -> Option<Timestamp> {
        let pairs = &self.entries.get(id)?.pairs;
        let place = pairs.binary_search_by(|(to, _)| to.cmp(id)).ok()?;
        pairs.get(place)?.1.end_between(last, at)
    }
}

impl Known for Bindings {
    fn held(&self, from: &Identifier, to: IdentifierKind, at: Timestamp) -> Vec<Held> {
        let (Some(entry), Some(rules)) = (self.entries.get(from), Relation::of(from.kind, to)) else {
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
        choose(found, rules.passes)
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
