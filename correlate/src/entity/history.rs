//! When one binding was seen to hold, and when it ended.

use casebook_event::Timestamp;

use super::relation::Relation;
use super::{Confidence, How};

/// One sighting of a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sighting {
    pub(super) time: Timestamp,
    pub(super) confidence: Confidence,
    pub(super) how: How,
    /// Whether what was forgotten before it showed that the binding held since the sighting that now stands before it.
    pub(super) joined: bool,
}

/// The unbroken time in which a binding was seen again and again, at one moment's sight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    pub(super) how: How,
    pub(super) confidence: Confidence,
}

/// What taking in a fact came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is kept, one more than before.
    Added,
    /// It says nothing that was not kept: its grain of time had it, and has the earlier of the two.
    Known,
}

/// The sightings and ends of one binding. Of each grain of time the earliest sighting of each confidence is kept: the least
/// of a set is the same in any order, and what is answered at a time needs no later sighting of the same grain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct History {
    /// In order.
    pub(super) seen: Vec<Sighting>,
    /// In order, each once.
    pub(super) ends: Vec<Timestamp>,
}

impl History {
    /// Takes in a sighting.
    pub(super) fn see(&mut self, sighting: Sighting, relation: &Relation) -> Taken {
        let grain = relation.grain_start(sighting.time.as_nanos());
        let start = self.seen.partition_point(|s| s.time.as_nanos() < grain);
        let same = self
            .seen
            .iter()
            .enumerate()
            .skip(start)
            .take_while(|(_, s)| relation.grain_start(s.time.as_nanos()) == grain)
            .find(|(_, s)| s.confidence == sighting.confidence)
            .map(|(at, s)| (at, *s));
        let taken = match same {
            Some((_, kept)) if (kept.time, kept.how) <= (sighting.time, sighting.how) => return Taken::Known,
            Some((at, _)) => {
                self.seen.remove(at);
                Taken::Known
            }
            None => Taken::Added,
        };
        let at = self.seen.partition_point(|s| *s < sighting);
        self.seen.insert(at, sighting);
        taken
    }

    /// Whether a sighting says nothing that is not kept: its grain of time has an earlier one as sure.
    pub(super) fn has_seen(&self, what: (Timestamp, How), confidence: Confidence, relation: &Relation) -> bool {
        let grain = relation.grain_start(what.0.as_nanos());
        let start = self.seen.partition_point(|s| s.time.as_nanos() < grain);
        let mut of_grain = self.seen.iter().skip(start).take_while(|s| s.time <= what.0);
        of_grain.any(|s| s.confidence == confidence && (s.time, s.how) <= what)
    }

    /// Takes in an end.
    pub(super) fn end(&mut self, time: Timestamp) -> Taken {
        match self.ends.binary_search(&time) {
            Ok(_) => Taken::Known,
            Err(at) => {
                self.ends.insert(at, time);
                Taken::Added
            }
        }
    }

    /// The unbroken time up to the last sighting at or before `at`; `None` where that is too long ago to count.
    pub(super) fn life_at(&self, at: Timestamp, max_age_nanos: i64) -> Option<Life> {
        let upto = self.seen.partition_point(|s| s.time <= at);
        let mut before = self.seen.get(..upto)?.iter().rev();
        let last = before.next()?;
        if !within(last.time, at, max_age_nanos) {
            return None;
        }
        let (mut first, mut best) = (last, last);
        for sighting in before {
            if !first.joined && !within(sighting.time, first.time, max_age_nanos) {
                break;
            }
            first = sighting;
            if sighting.confidence > best.confidence {
                best = sighting;
            }
        }
        Some(Life {
            first: first.time,
            last: last.time,
            how: best.how,
            confidence: best.confidence,
        })
    }

    /// Whether it was surely seen to hold at `at` or within so long before it.
    pub(super) fn is_certain_within(&self, at: Timestamp, nanos: i64) -> bool {
        let upto = self.seen.partition_point(|s| s.time <= at);
        let before = self.seen.iter().take(upto).rev();
        before
            .take_while(|s| within(s.time, at, nanos))
            .any(|s| s.confidence == Confidence::Certain)
    }

    /// When it was surely seen to hold next after `at`.
    pub(super) fn next_certain(&self, at: Timestamp) -> Option<&Sighting> {
        let after = self.seen.partition_point(|s| s.time <= at);
        let mut after = self.seen.iter().skip(after);
        after.find(|s| s.confidence == Confidence::Certain)
    }

    /// Whether it was seen to end at `at` or within so long before it.
    pub(super) fn ended_within(&self, at: Timestamp, nanos: i64) -> bool {
        let upto = self.ends.partition_point(|end| *end <= at);
        let last = upto.checked_sub(1).and_then(|last| self.ends.get(last));
        last.is_some_and(|end| within(*end, at, nanos))
    }

    /// Whether it was seen to end after the one time and before the other.
    pub(super) fn ends_between(&self, after: Timestamp, before: Timestamp) -> bool {
        let next = self.ends.partition_point(|end| *end <= after);
        self.ends.get(next).is_some_and(|end| *end < before)
    }

    /// The last sighting of the unbroken time that a sighting at `time` is in, or begins.
    pub(super) fn chain_end(&self, time: Timestamp, max_age_nanos: i64) -> Timestamp {
        let mut end = time;
        for sighting in self.seen.iter().filter(|s| s.time > time) {
            if !sighting.joined && !within(end, sighting.time, max_age_nanos) {
                break;
            }
            end = sighting.time;
        }
        end
    }

    /// The first end from `last` on that is not after `at`.
    pub(super) fn end_between(&self, last: Timestamp, at: Timestamp) -> Option<Timestamp> {
        let next = self.ends.partition_point(|end| *end < last);
        self.ends.get(next).copied().filter(|end| *end <= at)
    }

    /// Forgets what no answer about `time` or later needs, as long as nothing earlier than `time` is learned any more.
    pub(super) fn forget_before(&mut self, time: Timestamp, relation: &Relation) {
        let split = self.seen.partition_point(|s| s.time < time);
        let later = self.seen.split_off(split);
        let earlier = std::mem::take(&mut self.seen);
        self.seen = kept_of(&earlier, time, relation);
        // An end counts for the sightings before it: without one, it says nothing any more.
        let needed_from = self.seen.last().map_or(time, |last| last.time);
        self.ends.retain(|end| *end >= needed_from);
        self.seen.extend(later);
    }

    /// Forgets the ends of a name that are too long ago for any sighting before them to count.
    pub(super) fn forget_ends_before(&mut self, time: Timestamp, max_age_nanos: i64) {
        self.ends.retain(|end| within(*end, time, max_age_nanos));
    }

    pub(super) fn len(&self) -> usize {
        self.seen.len() + self.ends.len()
    }
}

/// Of sightings before `time`, those that the life they end in is known by: where it began, the last, and the last of the
/// greatest confidence. Those of the grain of time that `time` is in stay, since they stand for what is yet to come in it.
fn kept_of(earlier: &[Sighting], time: Timestamp, relation: &Relation) -> Vec<Sighting> {
    let mut back = earlier.iter().enumerate().rev();
    let Some((last_at, last)) = back
        .next()
        .filter(|(_, last)| within(last.time, time, relation.max_age_nanos))
    else {
        return Vec::new();
    };
    let (mut first_at, mut first) = (last_at, last);
    let (mut best_at, mut best) = (last_at, last);
    for (at, sighting) in back {
        if !first.joined && !within(sighting.time, first.time, relation.max_age_nanos) {
            break;
        }
        (first_at, first) = (at, sighting);
        if sighting.confidence > best.confidence {
            (best_at, best) = (at, sighting);
        }
    }
    let grain = relation.grain_start(time.as_nanos());
    let needed = |(at, sighting): &(usize, &Sighting)| {
        *at >= first_at && ([first_at, best_at, last_at].contains(at) || sighting.time.as_nanos() >= grain)
    };
    let joined = |(at, sighting): (usize, &Sighting)| Sighting {
        joined: at > first_at,
        ..*sighting
    };
    earlier.iter().enumerate().filter(needed).map(joined).collect()
}

/// Whether `earlier` is at most `nanos` before `later`.
fn within(earlier: Timestamp, later: Timestamp, nanos: i64) -> bool {
    later.as_nanos().saturating_sub(earlier.as_nanos()) <= nanos
}
