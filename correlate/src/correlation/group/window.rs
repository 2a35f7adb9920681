//! What a set of events says: the windows in which a condition holds.
//!
//! A window is fixed by two times, both of which belong to it. Events of the same time are never separated: they enter a
//! window, and leave the set, together. So the windows are a function of the set, whatever the order of arrival.

use std::collections::HashMap;

use casebook_event::{EventId, Timestamp};

use super::events::Events;
use crate::correlation::codec::{Damaged, Reader, put_signed, put_u128};
use crate::correlation::plan::CorrelationPlan;
use crate::sigma::correlation::{CorrelationKind, Sequence, Together};

/// A span of event time in which a correlation's condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// The time of its first event.
    pub first: Timestamp,
    /// Its last time: everything up to it is used up by this window.
    pub to: Timestamp,
    /// The event that begins it, which names the alert.
    pub anchor: EventId,
    /// The time at which the condition was first met.
    pub met: Timestamp,
}

impl Window {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        for time in [self.first, self.to, self.met] {
            put_signed(out, time.as_nanos());
        }
        put_u128(out, self.anchor.as_u128());
    }

    pub(crate) fn decode(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        Ok(Self {
            first: from.time()?,
            to: from.time()?,
            met: from.time()?,
            anchor: EventId::from_u128(from.u128()?),
        })
    }
}

/// The first window that begins among the events from index `start` on, and not after `last_anchor`, for a plan that
/// [scans](CorrelationKind::scans).
/// `start` is the first event of its time.
pub(crate) fn first_window(
    plan: &CorrelationPlan,
    events: &Events,
    start: usize,
    last_anchor: Timestamp,
) -> Option<Window> {
    match &plan.kind {
        CorrelationKind::EventCount(condition) => {
            let threshold = usize::try_from(condition.first_count()?).ok()?;
            first_count(plan, threshold, events, start, last_anchor)
        }
        CorrelationKind::ValueCount(condition) => {
            let threshold = usize::try_from(condition.first_count()?).ok()?;
            first_values(plan, threshold, events, start, last_anchor)
        }
        CorrelationKind::Temporal(together) => first_together(plan, together, events, start, last_anchor),
        CorrelationKind::TemporalOrdered(sequence) => first_sequence(plan, sequence, events, start, last_anchor),
        _ => None,
    }
}

/// The earliest time from which on `threshold` events lie within the timespan.
fn first_count(
    plan: &CorrelationPlan,
    threshold: usize,
    events: &Events,
    start: usize,
    last_anchor: Timestamp,
) -> Option<Window> {
    let mut at = start;
    loop {
        let first = events.get(at).filter(|first| first.time <= last_anchor)?;
        let met = events.get(at.checked_add(threshold - 1)?)?.time;
        let to = plan.window_end(first.time);
        if met <= to {
            return Some(Window {
                first: first.time,
                to,
                anchor: first.event_id,
                met,
            });
        }
        at = events.after(first.time);
    }
}

/// The earliest time from which on the events within the timespan have `threshold` different values.
///
/// Both ends of the span under consideration only move forward: an event is counted once, and given up once.
fn first_values(
    plan: &CorrelationPlan,
    threshold: usize,
    events: &Events,
    start: usize,
    last_anchor: Timestamp,
) -> Option<Window> {
    if events.values() < threshold {
        return None;
    }
    let value = |at: usize| Some(events.entry(at)?.value.as_deref().unwrap_or_default());
    let mut values: HashMap<&str, u32> = HashMap::new();
    let (mut at, mut end) = (start, start);
    loop {
        let first = events.get(at).filter(|first| first.time <= last_anchor)?;
        let to = plan.window_end(first.time);
        while values.len() < threshold {
            // Without enough values to the very end, no later beginning has enough either.
            let next = events.get(end)?;
            if next.time > to {
                break;
            }
            *values.entry(value(end)?).or_default() += 1;
            end += 1;
        }
        if values.len() >= threshold {
            return Some(Window {
                first: first.time,
                to,
                anchor: first.event_id,
                met: events.get(end.checked_sub(1)?)?.time,
            });
        }
        let given_up = at..events.after(first.time);
        at = given_up.end;
        for gone in given_up {
            let gone = value(gone)?;
            if let Some(count) = values.get_mut(gone) {
                *count -= 1;
                if *count == 0 {
                    values.remove(gone);
                }
            }
        }
        end = end.max(at);
    }
}

/// The earliest time from which on the rules that have an event within the timespan meet a monotone condition.
fn first_together(
    plan: &CorrelationPlan,
    together: &Together,
    events: &Events,
    start: usize,
    last_anchor: Timestamp,
) -> Option<Window> {
    // What is not there at all needs no search.
    let there = (0..plan.members.len()).filter(|member| events.has_member(*member));
    if !together.holds_with(there.fold(0, |members, member| members | 1 << member)) {
        return None;
    }
    let mut at = start;
    loop {
        let first = events.get(at).filter(|first| first.time <= last_anchor)?;
        // What never comes never comes for a later beginning either.
        let met = met_together(plan, together, events, first.time)?;
        let to = plan.window_end(first.time);
        if met <= to {
            return Some(Window {
                first: first.time,
                to,
                anchor: first.event_id,
                met,
            });
        }
        // From no later beginning it is met before, so one that is further back than the timespan is of no use.
        let useful = events.at_or_after(met.saturating_add_nanos(-plan.timespan_nanos));
        at = events.after(first.time).max(useful);
    }
}

/// The earliest time at which the events from `from` on meet the condition, however far away.
fn met_together(plan: &CorrelationPlan, together: &Together, events: &Events, from: Timestamp) -> Option<Timestamp> {
    let mut next: Vec<(Timestamp, u64)> = (0..plan.members.len())
        .zip(&together.counts)
        .filter_map(|(member, count)| {
            let nth = usize::try_from(count.first_count()?).ok()?;
            Some((events.nth_time(member, nth, from)?, 1 << member))
        })
        .collect();
    next.sort_unstable();
    let mut members = 0;
    for (at, (time, member)) in next.iter().enumerate() {
        members |= member;
        // Those of one time come together.
        let is_last = next.get(at + 1).is_none_or(|(later, _)| later > time);
        if is_last && together.holds_with(members) {
            return Some(*time);
        }
    }
    None
}

/// The window of a condition that is not monotone, anchored at the first event. All its events must be known.
pub(crate) fn decided(plan: &CorrelationPlan, events: &mut Events) -> Option<Window> {
    let first = events.get(0)?;
    let (first, anchor) = (first.time, first.event_id);
    let to = plan.window_end(first);
    let count = events.after(to);
    let met = events.get(count.checked_sub(1)?)?.time;
    let (holds, met) = match &plan.kind {
        CorrelationKind::EventCount(condition) => (condition.holds_of_count(count as u64), met),
        // That something does not come is known at the end.
        kind @ CorrelationKind::Absence(_) => (events.accumulated_holds(kind, to), to),
        kind => (events.accumulated_holds(kind, to), met),
    };
    holds.then_some(Window { first, to, anchor, met })
}

/// The earliest event of the first step from which the sequence completes within the timespan.
fn first_sequence(
    plan: &CorrelationPlan,
    sequence: &Sequence,
    events: &Events,
    start: usize,
    last_anchor: Timestamp,
) -> Option<Window> {
    if !sequence.steps.iter().all(|step| events.has_member(*step)) {
        return None;
    }
    let mut from = events.get(start)?.time;
    let first = *sequence.steps.first()?;
    loop {
        let anchor = next_of(plan, events, first, from, &[]).filter(|anchor| anchor.0 <= last_anchor)?;
        // A step that never comes never comes for a later anchor either.
        let last = complete(plan, sequence, events, anchor)?;
        // What lies in the way of this anchor lies in that of all up to it, since none completes before `last`.
        let in_the_way = (0..plan.members.len())
            .filter(|member| sequence.never >> member & 1 == 1)
            .filter_map(|member| events.last_time(member, last).filter(|time| *time >= anchor.0))
            .max();
        let next = match in_the_way {
            None if last <= plan.window_end(anchor.0) => {
                return Some(Window {
                    first: anchor.0,
                    to: last,
                    anchor: anchor.1,
                    met: last,
                });
            }
            in_the_way => events.get(events.after(in_the_way.unwrap_or(anchor.0)))?.time,
        };
        // No later anchor completes before `last`, so none that is further back than the timespan is of use.
        from = next.max(last.saturating_add_nanos(-plan.timespan_nanos));
    }
}

fn next_of(
    plan: &CorrelationPlan,
    events: &Events,
    member: usize,
    time: Timestamp,
    used: &[(Timestamp, EventId)],
) -> Option<(Timestamp, EventId)> {
    let least = plan.member_bits(plan.members.get(member)?).count_ones();
    events.next_of(member, least, time, used)
}

/// The time at which the sequence that begins at `anchor` completes, taking for each step the earliest event that is not
/// before the one taken last.
fn complete(
    plan: &CorrelationPlan,
    sequence: &Sequence,
    events: &Events,
    anchor: (Timestamp, EventId),
) -> Option<Timestamp> {
    let mut used = Vec::with_capacity(sequence.steps.len());
    used.push(anchor);
    let mut time = anchor.0;
    for &member in sequence.steps.iter().skip(1) {
        let next = next_of(plan, events, member, time, &used)?;
        time = next.0;
        used.push(next);
    }
    Some(time)
}
