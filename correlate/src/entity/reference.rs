//! The same, slowly: all bindings as they were observed, read from the beginning for every question.

use std::collections::{BTreeMap, BTreeSet};

use casebook_event::Timestamp;

use super::limits::{LINGER_NANOS, MAX_REACH_NANOS};
use super::relation::Relation;
use super::resolve::{self, Attribution, Held, Known};
use super::{Binding, Confidence, EntityKind, How, Identifier, IdentifierKind};

/// Every binding that was observed.
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

    /// The ends of what is called so, of names and uids alike.
    fn ends_of(&self, id: &Identifier) -> Vec<Timestamp> {
        self.0
            .iter()
            .filter(|b| b.ends && b.from == *id && b.to == *id)
            .map(|b| b.time)
            .collect()
    }

    /// Where nothing surely holds at `at`: whoever is surely observed next, if the one before is known to have ended.
    fn observed_later(&self, from: &Identifier, to: IdentifierKind, rules: &Relation, at: Timestamp) -> Vec<Held> {
        let recent = |time: Timestamp| time <= at && at.as_nanos() - time.as_nanos() <= MAX_REACH_NANOS;
        let certain: Vec<&Binding> = self
            .0
            .iter()
            .filter(|b| b.from == *from && b.to.kind == to && b.to != *from)
            .map(|b| &b.to)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .flat_map(|target| self.sightings(from, target, rules, Timestamp::MAX))
            .filter(|b| b.confidence == Confidence::Certain)
            .collect();
        let own = self.ends_of(from);
        // Nothing holds: so whoever had the name has ended, or the name itself did.
        let is_begun = certain.iter().any(|b| recent(b.time)) || own.iter().any(|end| recent(*end));
        let Some(next) = certain.iter().map(|b| b.time).filter(|time| *time > at).min() else {
            return Vec::new();
        };
        let between = |ends: &[Timestamp]| ends.iter().any(|end| *end > at && *end < next);
        if !is_begun || next.as_nanos() - at.as_nanos() > MAX_REACH_NANOS || between(&own) {
            return Vec::new();
        }
        let mut held: Vec<Held> = certain
            .iter()
            .filter(|b| b.time == next && b.how != How::AuditCreated)
            .filter(|b| {
                let mut ends = self.ends_of(&b.to);
                let is_former = ends.iter().any(|end| recent(*end))
                    || certain.iter().any(|other| other.to == b.to && recent(other.time));
                let of_pair = self
                    .0
                    .iter()
                    .filter(|end| end.ends && end.from == *from && end.to == b.to);
                ends.extend(of_pair.map(|end| end.time));
                !is_former && !between(&ends)
            })
            .map(|b| Held {
                to: b.to.clone(),
                first: next,
                last: next,
                how: b.how,
                confidence: Confidence::Certain,
            })
            .collect();
        held.sort_by(|a, b| b.to.cmp(&a.to));
        held
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
        let certain = |held: &Held| held.confidence == Confidence::Certain;
        if rules.reaches_back && !holding.values().flatten().any(certain) {
            let later = self.observed_later(from, to, &rules, at);
            if !later.is_empty() {
                return later;
            }
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
