//! What learning one more binding may change: which names, and in which span of time.

use std::collections::BTreeSet;

use casebook_event::Timestamp;

use super::limits::{MAX_EXACT_FACTS, MAX_REACH_NANOS};
use super::relation::{Relation, relation};
use super::resolve::Known;
use super::{Binding, Bindings, Confidence, How, Identifier, IdentifierKind};

/// The identifiers of which it may be another what they stand for once `new` is learned beside `known`, each with the span of event
/// time, both ends included; none where it says nothing new. Nothing else changes: neither an entity, nor what it may as well have
/// been, nor how surely or by what that is known (but for [`Step::seen`](super::Step::seen), which no alert shows).
///
/// The spans are exact, up to identifiers with more than 512 facts, of which the outermost bound is given: from seven days before the
/// binding to the longest age after the last sighting that it joins.
pub(crate) fn affected(known: &Bindings, new: &Binding) -> Vec<(Identifier, (Timestamp, Timestamp))> {
    let mut found = Vec::new();
    for (from, kinds) in concerned(known, new) {
        let (before, mut after) = (known.about(&from), known.about(&from));
        after.learn(new);
        let spans = kinds
            .into_iter()
            .filter_map(|to| changed(&before, &after, &from, to, new));
        let span = spans.reduce(|(a, b), (first, last)| (a.min(first), b.max(last)));
        found.extend(span.map(|span| (from, span)));
    }
    found
}

/// Whether a binding can say anything of times before its own.
pub(crate) fn reaches_back(new: &Binding) -> bool {
    relation(&new.from, &new.to).is_some_and(|relation| relation.reaches_back)
}

/// The span around all that is affected.
#[cfg(test)]
pub(super) fn affected_span(known: &Bindings, new: &Binding) -> Option<(Timestamp, Timestamp)> {
    let spans = affected(known, new).into_iter().map(|(_, span)| span);
    spans.reduce(|(a, b), (first, last)| (a.min(first), b.max(last)))
}

/// The identifiers that the binding says something about, with the kinds of what they stand for.
fn concerned(known: &Bindings, new: &Binding) -> Vec<(Identifier, Vec<IdentifierKind>)> {
    if known.knows(new) {
        return Vec::new();
    }
    if new.from != new.to {
        return vec![(new.from.clone(), vec![new.to.kind])];
    }
    // What is called so ends: so does what it stood for, and what stood for it.
    let mut found = vec![(new.from.clone(), IdentifierKind::ALL.to_vec())];
    let leading = known.table.ending.of(&new.to);
    found.extend(leading.map(|from| (from.clone(), vec![new.to.kind])));
    found
}

/// When what an identifier stands for differs between the two.
fn changed(
    before: &Bindings,
    after: &Bindings,
    from: &Identifier,
    to: IdentifierKind,
    new: &Binding,
) -> Option<(Timestamp, Timestamp)> {
    let relation = Relation::of(from.kind, to)?;
    if before.table.entries == after.table.entries {
        return None;
    }
    if before.facts_of(from) > MAX_EXACT_FACTS {
        return Some(outermost(after, from, &relation, new));
    }
    let answer = |known: &Bindings, at: Timestamp| -> Vec<(Identifier, How, Confidence)> {
        let held = Known::held(known, from, to, at);
        held.into_iter()
            .map(|held| (held.to, held.how, held.confidence))
            .collect()
    };
    // Between two of these, no answer changes.
    let mut turns: BTreeSet<Timestamp> = BTreeSet::new();
    for known in [before, after] {
        known.turns_of(from, to, &relation, &mut turns);
    }
    let turns: Vec<Timestamp> = turns.into_iter().collect();
    let differs = |at: &Timestamp| answer(before, *at) != answer(after, *at);
    let first = turns.iter().position(differs)?;
    let last = turns.iter().rposition(differs)?;
    let end = match turns.get(last + 1) {
        Some(next) => next.saturating_add_nanos(-1),
        None => Timestamp::MAX,
    };
    Some((turns[first], end))
}

/// What a binding may change at the most.
fn outermost(after: &Bindings, from: &Identifier, relation: &Relation, new: &Binding) -> (Timestamp, Timestamp) {
    let back = if relation.reaches_back { MAX_REACH_NANOS } else { 0 };
    let joined = after
        .history(from, &new.to)
        .map(|history| history.chain_end(new.time, relation.max_age_nanos));
    let last = joined.unwrap_or(new.time).max(new.time);
    let ahead = relation.max_age_nanos.max(MAX_REACH_NANOS);
    (new.time.saturating_add_nanos(-back), last.saturating_add_nanos(ahead))
}
