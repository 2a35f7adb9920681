//! Which fact of a pair goes first.

use casebook_event::Timestamp;

use super::history::History;
use super::relation::relation;
use super::{Confidence, Identifier};

/// The beginning of the grain of time of the first fact of a pair.
pub(super) fn first_start(from: &Identifier, to: &Identifier, history: &History) -> Option<i64> {
    let relation = relation(from, to)?;
    let seen = history.seen.first().map(|s| s.time);
    let end = history.ends.first().copied();
    let first = [seen, end].into_iter().flatten().min()?;
    Some(relation.grain_start(first.as_nanos()))
}

/// Whether a pair has a fact of the grain of time that begins at `start`.
pub(super) fn has_of(from: &Identifier, to: &Identifier, history: &History, start: i64) -> bool {
    let Some(relation) = relation(from, to) else {
        return false;
    };
    let of = |time: Timestamp| relation.grain_start(time.as_nanos()) == start;
    history.seen.iter().any(|s| of(s.time)) || history.ends.iter().any(|end| of(*end))
}

/// Drops one fact of the grain of time that begins at `start`. Sightings go before ends, and the weaker before the stronger:
/// their times do not count, since an earlier one of the same grain may still come.
pub(super) fn drop_one(from: &Identifier, to: &Identifier, history: &mut History, start: i64) {
    let Some(relation) = relation(from, to) else { return };
    let of = |time: Timestamp| relation.grain_start(time.as_nanos()) == start;
    let weakest: Option<(Confidence, usize)> = history
        .seen
        .iter()
        .enumerate()
        .filter(|(_, s)| of(s.time))
        .map(|(at, s)| (s.confidence, at))
        .min();
    match weakest {
        Some((_, at)) => {
            history.seen.remove(at);
        }
        None if history.ends.first().is_some_and(|end| of(*end)) => {
            history.ends.remove(0);
        }
        None => {}
    }
}
