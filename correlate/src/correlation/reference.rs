//! The definition of correlation as code: all events at once, sorted, scanned from the front. Slow and obvious; the engine
//! must say the same.

use std::collections::{BTreeMap, BTreeSet};

use casebook_event::{Alert, Binding, EventId, EventRef, Signal, Timestamp};

use compact_str::CompactString;

use super::alert::{correlation_alert, detection_alert, entry_of};
use super::attribution::attribute;
use super::group::{Entry, Events, Report, Window, alert_id};
use super::plan::{CorrelationPlan, Plans};
use crate::entity::Bindings;
use crate::sigma::correlation::comparison::{Comparisons, Fixed};
use crate::sigma::correlation::{CorrelationKind, Deviation, FirstSeen, Measure, Sequence, Statistic};

/// The events of a group.
type Group = BTreeMap<(Timestamp, EventId), Entry>;

/// The groups of a correlation.
type Groups = BTreeMap<Vec<CompactString>, Group>;

/// The final alerts of a set of signals and of bindings, in order of time and id.
pub(super) fn final_alerts(plans: &Plans, signals: &[Signal], observed: &[Binding]) -> Vec<Alert> {
    let mut alerts = Vec::new();
    let mut raised: BTreeMap<(&str, EventId), &EventRef> = BTreeMap::new();
    let mut groups: BTreeMap<&str, Groups> = BTreeMap::new();
    for signal in signals {
        if plans.detections.contains_key(&signal.rule_id) && signal.rule_id == signal.matched_rule_id {
            let first = raised
                .entry((&signal.rule_id, signal.event.event_id))
                .or_insert(&signal.event);
            *first = if signal.event.position < first.position {
                &signal.event
            } else {
                first
            };
        } else if let Some(plan) = plans.correlations.get(&signal.rule_id) {
            let entry = |attributed| Entry {
                members: plan.member_bits(&signal.matched_rule_id),
                value: signal.value.clone(),
                event: signal.event.clone(),
                evidence: None,
                attributed,
            };
            let groups = groups.entry(&signal.rule_id).or_default();
            let Some(kind) = plan.entity else {
                add(groups, signal.group.clone(), entry(None));
                continue;
            };
            // Resolved as of then, by all that was observed: what counts of anything later, the bindings know.
            let bindings: Bindings = observed.iter().collect();
            for attributed in attribute(&bindings, &signal.entity, kind, signal.event.time, &mut Vec::new()) {
                let mut values = signal.group.clone();
                values.push(attributed.entity.clone());
                add(groups, values, entry(Some(attributed.into())));
            }
        }
    }
    alerts.extend(
        raised
            .into_iter()
            .map(|((rule_id, _), event)| detection_alert(&plans.detections[rule_id], event.clone())),
    );
    // What others build on is emitted before them.
    let mut in_order: Vec<_> = plans.correlations.values().collect();
    in_order.sort_by_key(|plan| plan.level);
    for plan in in_order {
        let id = plans.correlations.get_key_value(plan.rule.id.as_str()).unwrap().0;
        for (values, group) in groups.remove(&**id).unwrap_or_default() {
            for alert in alerts_of(plan, &values, group) {
                for feed in &plan.feeds {
                    let outer = &plans.correlations[&feed.correlation_id];
                    let parts = |parts: &[usize]| parts.iter().map(|&at| values[at].clone()).collect::<Vec<_>>();
                    let value = (!feed.value.is_empty()).then(|| parts(&feed.value).join("\u{1f}").into());
                    if let Some(entry) = entry_of(&alert, outer.member_bits(id), value) {
                        add(
                            groups.entry(&feed.correlation_id).or_default(),
                            parts(&feed.group),
                            entry,
                        );
                    }
                }
                alerts.extend(plan.alerts.then_some(alert));
            }
        }
    }
    alerts.sort_by(|a, b| (a.alert.time, &a.alert.id).cmp(&(b.alert.time, &b.alert.id)));
    alerts
}

/// Adds an event to its group. Of duplicates the first position and the least value count, and all members.
fn add(groups: &mut Groups, values: Vec<CompactString>, entry: Entry) {
    let group = groups.entry(values).or_default();
    let key = (entry.event.time, entry.event.event_id);
    let known = group.entry(key).or_insert_with(|| entry.clone());
    known.members |= entry.members;
    known.value = known.value.clone().min(entry.value);
    if entry.event.position < known.event.position {
        known.event = entry.event;
    }
}

fn alerts_of(plan: &CorrelationPlan, values: &[CompactString], group: Group) -> Vec<Alert> {
    let entries: Vec<Entry> = group.into_values().collect();
    let alert = |entries: &[Entry], window: Window| {
        let mut events = Events::of(plan);
        for entry in entries {
            events.insert(entry.clone());
        }
        let report = Report {
            id: alert_id(&plan.rule.id, values, window.anchor),
            revision: 1,
            status: casebook_event::AlertStatus::Final,
            superseded_by: None,
            window,
        };
        correlation_alert(plan, &events, values, report)
    };
    match &plan.kind {
        CorrelationKind::FirstSeen(rule) => {
            let new = first_seen(plan, *rule, &entries);
            return new
                .into_iter()
                .map(|(of_value, window)| alert(&of_value, window))
                .collect();
        }
        CorrelationKind::Deviation(rule) => {
            let much = deviation(plan, rule, &entries);
            return much.into_iter().map(|window| alert(&entries, window)).collect();
        }
        _ => {}
    }
    let mut alerts = Vec::new();
    let mut left = entries.clone();
    while let Some(first) = left.first() {
        let time = first.event.time;
        let window = match &plan.kind {
            CorrelationKind::TemporalOrdered(sequence) => self::sequence(plan, sequence, &left, time),
            kind => {
                let to = plan.window_end(time);
                let up_to = |time: Timestamp| -> Vec<&Entry> { left.iter().filter(|e| e.event.time <= time).collect() };
                let inside = up_to(to);
                let last = inside[inside.len() - 1].event.time;
                // A monotone condition is met as soon as it holds of the events up to a time.
                let mut times = inside.iter().map(|entry| entry.event.time);
                let met = match kind {
                    CorrelationKind::Absence(_) => to,
                    kind if kind.is_monotone() => times.find(|time| holds(kind, &up_to(*time))).unwrap_or(last),
                    _ => last,
                };
                holds(kind, &inside).then_some(Window {
                    first: time,
                    to,
                    anchor: first.event.event_id,
                    met,
                })
            }
        };
        match window {
            Some(window) => {
                alerts.push(alert(&entries, window));
                left.retain(|entry| entry.event.time > window.to);
            }
            None => left.retain(|entry| entry.event.time > time),
        }
    }
    alerts
}

/// Whether a condition holds of all these events.
fn holds(kind: &CorrelationKind, events: &[&Entry]) -> bool {
    let mut numbers: Vec<i128> = events
        .iter()
        .filter_map(|entry| Some(entry.value.as_ref()?.parse::<Fixed>().ok()?.units()))
        .collect();
    numbers.sort_unstable();
    let percentile = |percent: usize| numbers.get((numbers.len() * percent).div_ceil(100).saturating_sub(1));
    let of_percentile = |percent: usize, condition: &Comparisons| {
        percentile(percent).is_some_and(|number| condition.holds(Fixed::from_units(*number)))
    };
    match kind {
        CorrelationKind::EventCount(condition) => condition.holds_of_count(events.len() as u64),
        CorrelationKind::ValueCount(condition) => {
            let values: BTreeSet<_> = events.iter().map(|entry| &entry.value).collect();
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
        CorrelationKind::Temporal(together) | CorrelationKind::Absence(together) => {
            let of_member = |member| events.iter().filter(|entry| entry.members >> member & 1 == 1).count();
            let counts: Vec<u32> = (0..together.counts.len())
                .map(|member| of_member(member) as u32)
                .collect();
            together.holds(&counts)
        }
        CorrelationKind::TemporalOrdered(_) | CorrelationKind::FirstSeen(_) | CorrelationKind::Deviation(_) => false,
    }
}

/// The sequence that begins with the first step at exactly `time`, if it completes within the timespan and nothing that
/// must not come lies in it.
fn sequence(plan: &CorrelationPlan, sequence: &Sequence, events: &[Entry], time: Timestamp) -> Option<Window> {
    let mut taken: Vec<EventId> = Vec::new();
    let mut at = time;
    for &member in &sequence.steps {
        let fits = |entry: &&Entry| {
            entry.members & (1 << member) != 0 && entry.event.time >= at && !taken.contains(&entry.event.event_id)
        };
        let next = events
            .iter()
            .filter(fits)
            .min_by_key(|entry| (entry.event.time, entry.members.count_ones(), entry.event.event_id))?;
        if taken.is_empty() && next.event.time != time {
            return None;
        }
        at = next.event.time;
        taken.push(next.event.event_id);
    }
    let in_the_way = events
        .iter()
        .any(|entry| entry.members & sequence.never != 0 && entry.event.time >= time && entry.event.time <= at);
    (at <= plan.window_end(time) && !in_the_way).then_some(Window {
        first: time,
        to: at,
        anchor: *taken.first()?,
        met: at,
    })
}

/// The events of each value that is new, by time and value.
fn first_seen(plan: &CorrelationPlan, rule: FirstSeen, entries: &[Entry]) -> Vec<(Vec<Entry>, Window)> {
    let mut found: BTreeMap<(Timestamp, Option<CompactString>), Vec<Entry>> = BTreeMap::new();
    for entry in entries {
        let time = entry.event.time;
        // Since when the group is known: back over events that are no timespan apart.
        let mut since = time;
        for before in entries.iter().rev().map(|entry| entry.event.time).filter(|t| *t < time) {
            if plan.window_end(before) < since {
                break;
            }
            since = before;
        }
        let seen = entries.iter().any(|other| {
            other.value == entry.value && other.event.time < time && plan.window_end(other.event.time) >= time
        });
        if since < time && since.saturating_add_nanos(rule.learn_nanos) <= time && !seen {
            found
                .entry((time, entry.value.clone()))
                .or_default()
                .push(entry.clone());
        }
    }
    let window = |time, entries: &[Entry]| Window {
        first: time,
        to: time,
        anchor: entries[0].event.event_id,
        met: time,
    };
    found
        .into_iter()
        .map(|((time, _), entries)| (entries.clone(), window(time, &entries)))
        .collect()
}

/// The spans that have more than those before them.
fn deviation(plan: &CorrelationPlan, rule: &Deviation, entries: &[Entry]) -> Vec<Window> {
    let mut spans: BTreeMap<i64, Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        spans.entry(plan.span_of(entry.event.time)).or_default().push(entry);
    }
    let amount = |span: i64| -> i128 {
        let entries = spans.get(&span).into_iter().flatten();
        match rule.measure {
            Measure::Events => entries.map(|_| 1_000_000_000).sum(),
            Measure::Sum => entries
                .filter_map(|entry| Some(entry.value.as_ref()?.parse::<Fixed>().ok()?.units()))
                .sum(),
        }
    };
    let much = spans.iter().filter(|(span, _)| {
        let mut since = **span;
        for &before in spans.keys().rev().filter(|before| *before < span) {
            if before < since - rule.history_spans {
                break;
            }
            since = before;
        }
        let history: Vec<f64> = (since.max(**span - rule.history_spans)..**span)
            .map(|span| amount(span) as f64 / 1e9)
            .collect();
        let count = history.len() as f64;
        let mean = history.iter().sum::<f64>() / count;
        let variance = (history.iter().map(|x| x * x).sum::<f64>() / count - mean * mean).max(0.0);
        let too_much = mean + rule.factor.units() as f64 / 1e9 * variance.sqrt();
        since < **span
            && **span - since >= rule.learn_spans
            && rule.least.holds(Fixed::from_units(amount(**span)))
            && amount(**span) as f64 / 1e9 > too_much
    });
    much.map(|(span, entries)| Window {
        first: entries[0].event.time,
        to: plan.span_end(*span),
        anchor: entries[0].event.event_id,
        met: entries[entries.len() - 1].event.time,
    })
    .collect()
}
