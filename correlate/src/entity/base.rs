//! Old bindings and a time: which of them do answers about that time and later still need?

use std::collections::{BTreeMap, BTreeSet};

use casebook_event::{Binding, Timestamp};

use super::history::{History, Sighting};
use super::limits::MAX_ID_AGE_NANOS;
use super::relation::{Relation, relation};

/// Of bindings before `time`, those that answers about `time` and later need: whoever learns them instead of all resolves every
/// identifier to the same, as long as nothing earlier than `time` is observed any more. In the order of names and time.
///
/// All that was observed of a name (as [`Binding::from`]) is given at once. Of what holds at `time`, that is where it began, the last
/// sighting, the last of the greatest confidence, the ends since, and so many sightings between that no gap is longer than one
/// may be unseen. What holds no more leaves nothing.
///
/// ```text
/// observed   |-x--x-x----x------------x--x---x-x----x-|time
/// unseen too long          ^^^^^^^^^^
/// needed     |                        x------x------x-|
/// ```
pub fn needed_from(time: Timestamp, observed: &[Binding]) -> Vec<Binding> {
    let mut pairs: BTreeMap<_, Vec<&Binding>> = BTreeMap::new();
    for binding in observed.iter().filter(|binding| binding.time < time) {
        pairs.entry((&binding.from, &binding.to)).or_default().push(binding);
    }
    let mut needed = Vec::new();
    for ((from, to), of_pair) in pairs {
        let Some(relation) = relation(from, to) else { continue };
        let mut history = History::default();
        for binding in &of_pair {
            if binding.ends {
                history.end(binding.time);
            } else if from != to {
                history.see(sighting(binding), &relation);
            }
        }
        let seen = base_of(&history.seen, time, &relation);
        let ends_from = match (from == to, seen.last()) {
            (true, _) => time.saturating_add_nanos(-MAX_ID_AGE_NANOS),
            (false, Some(last)) => last.time,
            (false, None) => time,
        };
        let is_needed = |binding: &Binding| match binding.ends {
            true => binding.time >= ends_from,
            false => seen.contains(&sighting(binding)),
        };
        // Equal facts in another writing (an end, by whom it was reported) are one.
        let mut taken = BTreeSet::new();
        let mut rows: Vec<&Binding> = of_pair.into_iter().filter(|binding| is_needed(binding)).collect();
        rows.sort_by_key(|binding| (binding.time, binding.ends, binding.confidence, binding.how));
        rows.retain(|binding| taken.insert((binding.time, binding.ends, (!binding.ends).then(|| sighting(binding)))));
        needed.extend(rows.into_iter().cloned());
    }
    needed
}

fn sighting(binding: &Binding) -> Sighting {
    Sighting {
        time: binding.time,
        confidence: binding.confidence,
        how: binding.how,
        joined: false,
    }
}

/// Of sightings before `time`, in order, those by which the life is known that they end in.
fn base_of(earlier: &[Sighting], time: Timestamp, relation: &Relation) -> Vec<Sighting> {
    let within = |earlier: Timestamp, later: Timestamp| {
        later.as_nanos().saturating_sub(earlier.as_nanos()) <= relation.max_age_nanos
    };
    let Some(last) = earlier.last().filter(|last| within(last.time, time)) else {
        return Vec::new();
    };
    let begins = |pair: &[Sighting]| !within(pair[0].time, pair[1].time);
    let first = earlier.windows(2).rposition(begins).map_or(0, |gap| gap + 1);
    let life = earlier.get(first..).unwrap_or_default();
    // Of equal confidence, the last.
    let best = life.iter().max_by_key(|sighting| sighting.confidence);
    let grain = relation.grain_start(time.as_nanos());
    let mut base: Vec<Sighting> = Vec::new();
    for (at, sighting) in life.iter().enumerate() {
        let bridges = || {
            let next = life.get(at + 1).map_or(sighting.time, |next| next.time);
            base.last().is_some_and(|kept| !within(kept.time, next))
        };
        let needed = at == 0
            || std::ptr::eq(sighting, last)
            || best.is_some_and(|best| std::ptr::eq(sighting, best))
            // What is yet to come of its grain of time is measured by it.
            || sighting.time.as_nanos() >= grain
            || bridges();
        if needed {
            base.push(*sighting);
        }
    }
    base
}
