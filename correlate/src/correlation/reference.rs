//! The definition of correlation as code: all events at once, sorted, scanned from the front. Slow and obvious; the engine
//! must say the same.

use std::collections::BTreeMap;

use casebook_event::{Alert, EventId, EventRef, Signal, Timestamp};

use super::alert::{correlation_alert, detection_alert};
use super::events::Events;
use super::group::Report;
use super::plan::{CorrelationPlan, Plans};
use super::window::Window;
use crate::sigma::correlation::CorrelationKind;

/// The events of a group, with the members that each matched.
type Group<'a> = BTreeMap<(Timestamp, EventId), (u64, &'a EventRef)>;

/// The final alerts of a set of signals, in order of time and id.
pub(super) fn final_alerts(plans: &Plans, signals: &[Signal]) -> Vec<Alert> {
    let mut alerts = Vec::new();
    let mut raised: BTreeMap<(&str, EventId), &EventRef> = BTreeMap::new();
    let mut groups: BTreeMap<(&str, &[_]), Group<'_>> = BTreeMap::new();
    for signal in signals {
        if plans.detections.contains_key(&signal.rule_id) && signal.rule_id == signal.matched_rule_id {
            let first = raised
                .entry((&signal.rule_id, signal.event.event_id))
                .or_insert(&signal.event);
            *first = earlier(first, &signal.event);
        } else if let Some(plan) = plans.correlations.get(&signal.rule_id) {
            let group = groups.entry((&signal.rule_id, &signal.group)).or_default();
            let entry = group
                .entry((signal.event.time, signal.event.event_id))
                .or_insert((0, &signal.event));
            entry.1 = earlier(entry.1, &signal.event);
            entry.0 |= plan.member_bits(&signal.matched_rule_id);
        }
    }
    alerts.extend(
        raised
            .into_iter()
            .map(|((rule_id, _), event)| detection_alert(&plans.detections[rule_id], event.clone())),
    );
    for ((rule_id, values), events) in groups {
        let plan = &plans.correlations[rule_id];
        let mut left: Vec<(u64, &EventRef)> = events.into_values().collect();
        let mut all = Events::new(0);
        for (members, event) in &left {
            all.insert(*members, (*event).clone());
        }
        while let Some((_, first)) = left.first() {
            let time = first.time;
            let window = match &plan.kind {
                CorrelationKind::EventCount(condition) => {
                    let to = plan.window_end(time);
                    let inside: Vec<_> = left.iter().take_while(|(_, event)| event.time <= to).collect();
                    let first_met = condition.first_count().filter(|_| condition.is_monotone());
                    let met = first_met.map_or(inside.len(), |n| usize::try_from(n).unwrap_or(usize::MAX));
                    condition.holds(inside.len() as u64).then(|| Window {
                        first: time,
                        to,
                        anchor: first.event_id,
                        met: inside[met - 1].1.time,
                    })
                }
                CorrelationKind::TemporalOrdered => sequence(plan, &left, time),
            };
            match window {
                Some(window) => {
                    let id = super::alert::alert_id(rule_id, values, window.anchor);
                    let report = Report {
                        id,
                        revision: 1,
                        status: casebook_event::AlertStatus::Final,
                        superseded_by: None,
                        window,
                    };
                    alerts.push(correlation_alert(plan, &all, values, report));
                    left.retain(|(_, event)| event.time > window.to);
                }
                None => left.retain(|(_, event)| event.time > time),
            }
        }
    }
    alerts.sort_by(|a, b| (a.alert.time, &a.alert.id).cmp(&(b.alert.time, &b.alert.id)));
    alerts
}

/// Of duplicates, the one that stands first.
fn earlier<'a>(a: &'a EventRef, b: &'a EventRef) -> &'a EventRef {
    if b.position < a.position { b } else { a }
}

/// The sequence that begins with the first member at exactly `time`, if it completes within the timespan.
fn sequence(plan: &CorrelationPlan, events: &[(u64, &EventRef)], time: Timestamp) -> Option<Window> {
    let mut taken: Vec<EventId> = Vec::new();
    let mut at = time;
    for member in 0..plan.members.len() {
        let fits = |(members, event): &&(u64, &EventRef)| {
            members & (1 << member) != 0 && event.time >= at && !taken.contains(&event.event_id)
        };
        let (_, event) = events
            .iter()
            .filter(fits)
            .min_by_key(|(members, event)| (event.time, members.count_ones(), event.event_id))?;
        if member == 0 && event.time != time {
            return None;
        }
        at = event.time;
        taken.push(event.event_id);
    }
    let anchor = *taken.first()?;
    (at <= plan.window_end(time)).then_some(Window {
        first: time,
        to: at,
        anchor,
        met: at,
    })
}
