//! Making room: what goes first when there is too much.
//!
//! A fact's place in the order is the grain of time it is of, then its names and confidence, and never its time within the
//! grain, which an earlier sighting may still change. So the facts that are kept are the greatest of all that were told, in
//! whatever order they came.

use std::sync::Arc;

use casebook_event::Timestamp;

use super::ending::text_bytes_of;
use super::history::History;
use super::relation::relation;
use super::{Bindings, Confidence, Identifier};

impl Bindings {
    /// Drops the first fact of an identifier, in an order that depends on the facts alone.
    pub(super) fn drop_first_of(&mut self, from: &Arc<Identifier>) {
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
    pub(super) fn drop_first(&mut self) {
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

fn first_start(from: &Identifier, to: &Identifier, history: &History) -> Option<i64> {
    let relation = relation(from, to)?;
    let seen = history.seen.first().map(|s| s.time);
    let end = history.ends.first().copied();
    let first = [seen, end].into_iter().flatten().min()?;
    Some(relation.grain_start(first.as_nanos()))
}

fn has_of(from: &Identifier, to: &Identifier, history: &History, start: i64) -> bool {
    let Some(relation) = relation(from, to) else {
        return false;
    };
    let of = |time: Timestamp| relation.grain_start(time.as_nanos()) == start;
    history.seen.iter().any(|s| of(s.time)) || history.ends.iter().any(|end| of(*end))
}

/// Drops one fact of the grain of time that begins at `start`. Sightings go before ends, and the weaker before the stronger:
/// their times are not asked, since an earlier one of the same grain may still come.
fn drop_one(from: &Identifier, to: &Identifier, history: &mut History, start: i64) {
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
