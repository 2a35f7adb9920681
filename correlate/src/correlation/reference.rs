//! The definition of correlation as code: all events at once, sorted, scanned from the front. Slow and obvious; the engine
//! must say the same.

use std::collections::{BTreeMap, BTreeSet};

use casebook_event::{Alert, EventId, EventRef, Signal, Timestamp};

use compact_str::CompactString;

use super::alert::{correlation_alert, detection_alert};
use super::events::Events;
use super::group::Report;
use super::plan::{CorrelationPlan, Plans};
use super::window::Window;
use crate::sigma::correlation::comparison::{Comparisons, Fixed};
use crate::sigma::correlation::{CorrelationKind, Statistic};

/// An event of a group: the members that it matched, its value, and itself.
type Member<'a> = (u64, Option<&'a CompactString>, &'a EventRef);

/// The events of a group.
type Group<'a> = BTreeMap<(Timestamp, EventId), Member<'a>>;

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
            let entry = group.entry((signal.event.time, signal.event.event_id)).or_insert((
                0,
                signal.value.as_ref(),
                &signal.event,
            ));
            entry.0 |= plan.member_bits(&signal.matched_rule_id);
            entry.1 = entry.1.min(signal.value.as_ref());
            entry.2 = earlier(entry.2, &signal.event);
        }
    }
    alerts.extend(
        raised
            .into_iter()
            .map(|((rule_id, _), event)| detection_alert(&plans.detections[rule_id], event.clone())),
    );
    for ((rule_id, values), events) in groups {
        let plan = &plans.correlations[rule_id];
        let mut left: Vec<Member<'_>> = events.into_values().collect();
        let mut all = Events::of(plan);
        for (members, value, event) in &left {
            all.insert(*members, value.cloned(), (*event).clone());
        }
        while let Some((_, _, first)) = left.first() {
            let time = first.time;
            let window = if plan.kind == CorrelationKind::TemporalOrdered {
                sequence(plan, &left, time)
            } else {
                let to = plan.window_end(time);
                let inside: Vec<Member<'_>> = left
                    .iter()
                    .take_while(|(_, _, event)| event.time <= to)
                    .copied()
                    .collect();
                // A monotone condition is met as soon as it holds of the events up to a time.
                let met = (0..inside.len())
                    .map(|at| inside[at].2.time)
                    .find(|time| {
                        let so_far: Vec<_> = inside
                            .iter()
                            .take_while(|(_, _, event)| event.time <= *time)
                            .copied()
                            .collect();
                        plan.is_monotone() && holds(&plan.kind, &so_far)
                    })
                    .unwrap_or(inside[inside.len() - 1].2.time);
                holds(&plan.kind, &inside).then_some(Window {
                    first: time,
                    to,
                    anchor: first.event_id,
                    met,
                })
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
                    left.retain(|(_, _, event)| event.time > window.to);
                }
                None => left.retain(|(_, _, event)| event.time > time),
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

/// Whether a condition holds of all these events.
fn holds(kind: &CorrelationKind, events: &[Member<'_>]) -> bool {
    let mut numbers: Vec<i128> = events
        .iter()
        .filter_map(|(_, value, _)| Some(value.as_ref()?.parse::<Fixed>().ok()?.units()))
        .collect();
    numbers.sort_unstable();
    let percentile = |percent: usize| numbers.get((numbers.len() * percent).div_ceil(100).saturating_sub(1));
    let of_percentile = |percent: usize, condition: &Comparisons| {
        percentile(percent).is_some_and(|number| condition.holds(Fixed::from_units(*number)))
    };
    match kind {
        CorrelationKind::EventCount(condition) => condition.holds_of_count(events.len() as u64),
        CorrelationKind::ValueCount(condition) => {
            let values: BTreeSet<_> = events.iter().map(|(_, value, _)| *value).collect();
            condition.holds_of_count(values.len() as u64)
        }
        CorrelationKind::Value(Statistic::Sum, condition) => condition.holds(Fixed::from_units(numbers.iter().sum())),
        CorrelationKind::Value(Statistic::Average, condition) => {
            condition.holds_of_average(numbers.iter().sum(), events.len() as u64)
        }
        CorrelationKind::Value(Statistic::Percentile(percent), condition) => {
            of_percentile(usize::from(*percent), condition)
        }
        CorrelationKind::Value(Statistic::Median, condition) => of_percentile(50, condition),
        CorrelationKind::Temporal(together) => {
            together.holds(events.iter().fold(0, |all, (members, _, _)| all | members))
        }
        CorrelationKind::TemporalOrdered => false,
    }
}

/// The sequence that begins with the first member at exactly `time`, if it completes within the timespan.
fn sequence(plan: &CorrelationPlan, events: &[Member<'_>], time: Timestamp) -> Option<Window> {
    let mut taken: Vec<EventId> = Vec::new();
    let mut at = time;
    for member in 0..plan.members.len() {
        let fits = |(members, _, event): &&Member<'_>| {
            members & (1 << member) != 0 && event.time >= at && !taken.contains(&event.event_id)
        };
        let (_, _, event) = events
            .iter()
            .filter(fits)
            .min_by_key(|(members, _, event)| (event.time, members.count_ones(), event.event_id))?;
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
