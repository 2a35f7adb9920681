//! What a set of events says: the windows in which a condition holds.
//!
//! A window is fixed by two times, both of which belong to it. Events of the same time are never told apart: they enter a
//! window, and leave the set, together. So the windows are a function of the set, whatever the order of arrival.

use casebook_event::{EventId, Timestamp};
use serde::{Deserialize, Serialize};

use super::events::Events;
use super::plan::CorrelationPlan;
use crate::sigma::correlation::CorrelationKind;

/// A span of event time in which a correlation's condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// The first window that begins among the events from index `start` on, and not after `last_anchor`, for a monotone plan.
/// `start` is the first event of its time.
pub(crate) fn first_window(
    plan: &CorrelationPlan,
    events: &Events,
    start: usize,
    last_anchor: Timestamp,
) -> Option<Window> {
    match &plan.kind {
        CorrelationKind::EventCount(condition) => first_count(
            plan,
            usize::try_from(condition.first_count()?).ok()?,
            events,
            start,
            last_anchor,
        ),
        CorrelationKind::TemporalOrdered => first_sequence(plan, events, start, last_anchor),
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

/// The window of a count that is not monotone, anchored at the first event. All its events must be known.
pub(crate) fn decided_count(plan: &CorrelationPlan, events: &Events) -> Option<Window> {
    let CorrelationKind::EventCount(condition) = &plan.kind else {
        return None;
    };
    let first = events.get(0)?;
    let to = plan.window_end(first.time);
    let count = events.after(to);
    let met = events.get(count.checked_sub(1)?)?.time;
    condition.holds(count as u64).then_some(Window {
        first: first.time,
        to,
        anchor: first.event_id,
        met,
    })
}

/// The earliest first member from which the sequence completes within the timespan.
fn first_sequence(plan: &CorrelationPlan, events: &Events, start: usize, last_anchor: Timestamp) -> Option<Window> {
    let mut from = events.get(start)?.time;
    loop {
        let anchor = next_of(plan, events, 0, from, &[]).filter(|anchor| anchor.0 <= last_anchor)?;
        // A member that never comes never comes for a later anchor either.
        let last = complete(plan, events, anchor)?;
        if last <= plan.window_end(anchor.0) {
            return Some(Window {
                first: anchor.0,
                to: last,
                anchor: anchor.1,
                met: last,
            });
        }
        // No later anchor completes before `last`, so none that is further back than the timespan is of use.
        let next = events.get(events.after(anchor.0))?.time;
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

/// The time at which the sequence that begins at `anchor` completes, taking for each member the earliest event that is
/// not before the one taken last.
fn complete(plan: &CorrelationPlan, events: &Events, anchor: (Timestamp, EventId)) -> Option<Timestamp> {
    let mut used = Vec::with_capacity(plan.members.len());
    used.push(anchor);
    let mut time = anchor.0;
    for member in 1..plan.members.len() {
        let next = next_of(plan, events, member, time, &used)?;
        time = next.0;
        used.push(next);
    }
    Some(time)
}
