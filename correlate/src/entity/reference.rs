//! The same, slowly: all bindings as they were told, read from the beginning for every question.

use std::collections::{BTreeMap, BTreeSet};

use casebook_event::Timestamp;

use super::limits::LINGER_NANOS;
use super::relation::Relation;
use super::resolve::{self, Attribution, Held, Known};
use super::{Binding, EntityKind, Identifier, IdentifierKind};

/// Every binding that was told.
#[derive(Debug, Default)]
pub(super) struct Reference(pub(super) Vec<Binding>);

impl Reference {
    pub(super) fn resolve(&self, identifier: &Identifier, kind: EntityKind, at: Timestamp) -> Attribution {
        resolve::resolve(self, identifier, kind, at)
    }

    /// The sightings that count, of the pair, up to `at`: the first of each confidence in each grain of time.
    fn sightings(&self, from: &Identifier, to: &Identifier, rules: &Relation, at: Timestamp) -> Vec<&Binding> {
        let mut all: Vec<&Binding> = self
            .0
            .iter()
            .filter(|b| !b.ends && b.from == *from && b.to == *to && b.time <= at)
            .collect();
        all.sort_by_key(|b| (b.time, b.confidence, b.how));
        let mut counted = BTreeSet::new();
        all.retain(|b| counted.insert((b.time.as_nanos().div_euclid(rules.grain_nanos), b.confidence)));
        all
    }

    fn ends_between(&self, from: &Identifier, to: &Identifier, last: Timestamp, at: Timestamp) -> Option<Timestamp> {
        self.0
            .iter()
            .filter(|b| b.ends && b.from == *from && b.to == *to && b.time >= last && b.time <= at)
            .map(|b| b.time)
            .min()
    }
}

impl Known for Reference {
    fn held(&self, from: &Identifier, to: IdentifierKind, at: Timestamp) -> Vec<Held> {
        let Some(rules) = Relation::of(from.kind, to) else {
            return Vec::new();
        };
        let targets: BTreeSet<&Identifier> = self
            .0
            .iter()
            .filter(|b| b.from == *from && b.to.kind == to && b.to != *from)
            .map(|b| &b.to)
            .collect();
        let mut holding: BTreeMap<bool, Vec<Held>> = BTreeMap::new();
        for target in targets {
            let sightings = self.sightings(from, target, &rules, at);
            let Some(last) = sightings.last().map(|b| b.time) else {
                continue;
            };
            if at.as_nanos() - last.as_nanos() > rules.max_age_nanos {
                continue;
            }
            // The life that the last sighting is of: back to where it was not seen for longer than it may be unseen.
            let mut life = Vec::new();
            let mut next = last;
            for binding in sightings.into_iter().rev() {
                if next.as_nanos() - binding.time.as_nanos() > rules.max_age_nanos {
                    break;
                }
                next = binding.time;
                life.push(binding);
            }
            let mut ends = vec![self.ends_between(from, target, last, at)];
            if rules.ends_with_from {
                ends.push(self.ends_between(from, from, last, at));
            }
            if rules.ends_with_to {
                ends.push(self.ends_between(target, target, last, at));
            }
            let end = ends.into_iter().flatten().min();
            if end.is_some_and(|end| at.as_nanos() - end.as_nanos() > LINGER_NANOS) {
                continue;
            }
            let confidence = life.iter().map(|b| b.confidence).max().unwrap();
            // `life` begins with the last.
            let best = life.iter().find(|b| b.confidence == confidence).unwrap();
            holding.entry(end.is_some()).or_default().push(Held {
                to: target.clone(),
                first: next,
                last,
                how: best.how,
                confidence,
            });
        }
        let Some((_, mut held)) = holding.pop_first() else {
            return Vec::new();
        };
        let strongest = held.iter().map(|h| h.confidence).max().unwrap();
        held.retain(|h| h.confidence == strongest);
        held.sort_by(|a, b| (b.first, b.last, &b.to).cmp(&(a.first, a.last, &a.to)));
        let newest = held[0].first;
        held.retain(|h| !rules.passes || h.last >= newest);
        held
    }
}
