//! What a group has and what it lacks: for people who ask why there is no alert yet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use casebook_event::Timestamp;
use compact_str::CompactString;

use super::group::{Entry, Group};
use super::plan::CorrelationPlan;
use crate::sigma::condition::Condition;
use crate::sigma::correlation::comparison::Fixed;
use crate::sigma::correlation::{CorrelationKind, Measure, Sequence, Statistic, Together, Which};

/// Most windows of a group that are compared: the last ones.
const MAX_WINDOWS: usize = 256;

/// A group of a correlation that waits for more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingGroup {
    /// The correlation.
    pub rule_id: Arc<str>,
    /// Its title.
    pub title: CompactString,
    /// The names and values of its group-by fields.
    pub group: Vec<(CompactString, CompactString)>,
    /// The beginning of the window that comes nearest to an alert.
    pub from: Timestamp,
    /// Its end, which belongs to it.
    pub to: Timestamp,
    /// The events in it.
    pub events: usize,
    /// What the rule requires of it.
    pub requirements: Vec<Requirement>,
    /// Whether the condition holds of the events that are there.
    pub holds: bool,
    /// Whether something of it came late, and it waits for its repair: it may have more, or others.
    pub repairing: bool,
}

/// One thing that a rule requires of a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// What is required.
    pub what: String,
    /// What is there.
    pub has: String,
    /// Whether that is enough.
    pub holds: bool,
}

/// What a group has and lacks; `repairing` says whether it waits for its repair.
pub(super) fn pending(plan: &CorrelationPlan, group: &Group, repairing: bool) -> PendingGroup {
    let entries: Vec<&Entry> = group.events().entries().collect();
    let mut begins: Vec<Timestamp> = entries.iter().map(|entry| entry.event.time).collect();
    begins.dedup();
    let begins = &begins[begins.len().saturating_sub(MAX_WINDOWS)..];
    let window = |from: Timestamp| {
        let to = match &plan.kind {
            CorrelationKind::Deviation(_) => plan.span_end(plan.span_of(from)),
            CorrelationKind::FirstSeen(_) => from,
            _ => plan.window_end(from),
        };
        let start = entries.partition_point(|entry| entry.event.time < from);
        let end = entries.partition_point(|entry| entry.event.time <= to);
        (from, to, &entries[start..end])
    };
    // The one in which the most holds; among equals the first.
    let best = begins.iter().map(|from| window(*from)).max_by(|a, b| {
        let score = |inside: &[&Entry]| {
            requirements(plan, inside)
                .iter()
                .filter(|required| required.holds)
                .count()
        };
        (score(a.2), a.2.len(), b.0).cmp(&(score(b.2), b.2.len(), a.0))
    });
    let baseline = group.baseline_times();
    let (from, to, inside) = best.unwrap_or((baseline.0, baseline.1, &[]));
    let requirements = requirements(plan, inside);
    PendingGroup {
        rule_id: group.key().rule_id.clone(),
        title: plan.rule.name.clone(),
        group: plan.shown(&group.key().values).collect(),
        from,
        to,
        events: inside.len(),
        repairing,
        holds: match &plan.kind {
            CorrelationKind::Temporal(together) | CorrelationKind::Absence(together) => {
                together.holds(&counts(plan, inside))
            }
            _ => !requirements.is_empty() && requirements.iter().all(|required| required.holds),
        },
        requirements,
    }
}

/// How many events each member has.
fn counts(plan: &CorrelationPlan, inside: &[&Entry]) -> Vec<u32> {
    let of_member = |member: usize| inside.iter().filter(|entry| entry.members >> member & 1 == 1).count() as u32;
    (0..plan.members.len()).map(of_member).collect()
}

fn requirements(plan: &CorrelationPlan, inside: &[&Entry]) -> Vec<Requirement> {
    let numbers = || inside.iter().map(|entry| entry.number());
    let one = |what: String, has: String, holds: bool| vec![Requirement { what, has, holds }];
    match &plan.kind {
        CorrelationKind::EventCount(condition) => one(
            format!("events: {condition}"),
            inside.len().to_string(),
            condition.holds_of_count(inside.len() as u64),
        ),
        CorrelationKind::ValueCount(condition) => {
            let values: BTreeSet<_> = inside.iter().map(|entry| entry.value.as_deref()).collect();
            let holds = condition.holds_of_count(values.len() as u64);
            one(format!("values: {condition}"), values.len().to_string(), holds)
        }
        CorrelationKind::Value(Statistic::Sum, condition) => {
            let sum = Fixed::from_units(numbers().sum());
            one(format!("sum: {condition}"), sum.to_string(), condition.holds(sum))
        }
        CorrelationKind::Value(Statistic::Average, condition) => {
            let (sum, count) = (numbers().sum::<i128>(), inside.len().max(1));
            let about = Fixed::from_units(sum / count as i128);
            let holds = condition.holds_of_average(sum, count as u64);
            one(format!("average: {condition}"), about.to_string(), holds)
        }
        CorrelationKind::Value(statistic, condition) => {
            let percent = match statistic {
                Statistic::Percentile(percent) => usize::from(*percent),
                _ => 50,
            };
            let mut sorted: Vec<i128> = numbers().collect();
            sorted.sort_unstable();
            let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
            let number = sorted.get(rank).copied().map(Fixed::from_units).unwrap_or_default();
            let holds = !sorted.is_empty() && condition.holds(number);
            one(format!("percentile {percent}: {condition}"), number.to_string(), holds)
        }
        CorrelationKind::Temporal(together) | CorrelationKind::Absence(together) => of_rules(plan, together, inside),
        CorrelationKind::TemporalOrdered(sequence) => steps(plan, sequence, inside),
        CorrelationKind::FirstSeen(_) => one(
            "a value that is new to the group".into(),
            inside
                .first()
                .and_then(|entry| entry.value.as_deref())
                .unwrap_or("-")
                .to_owned(),
            false,
        ),
        CorrelationKind::Deviation(rule) => {
            let amount = match rule.measure {
                Measure::Events => Fixed::from_count(inside.len() as u64),
                Measure::Sum => Fixed::from_units(numbers().sum()),
            };
            let what = format!("{}, and more than before", rule.least);
            one(what, amount.to_string(), rule.least.holds(amount))
        }
    }
}

fn of_rules(plan: &CorrelationPlan, together: &Together, inside: &[&Entry]) -> Vec<Requirement> {
    let mut unwanted = BTreeSet::new();
    if let Which::Expression(condition) = &together.which {
        negated(condition, false, &mut unwanted);
    }
    let counts = counts(plan, inside).into_iter().zip(&together.counts).enumerate();
    let each = counts.map(|(member, (events, count))| {
        let there = count.holds_of_count(u64::from(events));
        let id = plan.name_of_member(member);
        let is_wanted = !unwanted.contains(&member);
        Requirement {
            what: match is_wanted {
                true => format!("{id}: {count}"),
                false => format!("not {id}: {count}"),
            },
            has: events.to_string(),
            holds: there == is_wanted,
        }
    });
    each.collect()
}

/// The selections that stand under a `not`.
fn negated(condition: &Condition, is_negated: bool, found: &mut BTreeSet<usize>) {
    match condition {
        Condition::Selection(at) if is_negated => drop(found.insert(*at)),
        Condition::Selection(_) => {}
        Condition::All(parts) | Condition::Any(parts) => parts.iter().for_each(|part| negated(part, is_negated, found)),
        Condition::Not(part) => negated(part, !is_negated, found),
    }
}

/// The steps of a sequence, each with the event that is taken for it: the earliest that is not before the last one.
fn steps(plan: &CorrelationPlan, sequence: &Sequence, inside: &[&Entry]) -> Vec<Requirement> {
    let mut at = Timestamp::MIN;
    let mut taken: BTreeMap<usize, usize> = BTreeMap::new();
    let mut missing = false;
    let mut requirements = Vec::new();
    for (step, &member) in sequence.steps.iter().enumerate() {
        let fits = |(index, entry): &(usize, &&Entry)| {
            entry.members >> member & 1 == 1 && entry.event.time >= at && !taken.contains_key(index)
        };
        let found = inside.iter().enumerate().filter(fits);
        let found = found.min_by_key(|(_, entry)| (entry.event.time, entry.members.count_ones(), entry.event.event_id));
        let found = found.filter(|_| !missing);
        if let Some((index, entry)) = found {
            taken.insert(index, step);
            at = entry.event.time;
        }
        missing |= found.is_none();
        requirements.push(Requirement {
            what: format!("{}. {}", step + 1, plan.name_of_member(member)),
            has: found.map_or("-".to_owned(), |(_, entry)| entry.event.time.to_string()),
            holds: found.is_some(),
        });
    }
    let first = taken
        .keys()
        .next()
        .and_then(|&index| inside.get(index))
        .map(|entry| entry.event.time);
    for member in (0..plan.members.len()).filter(|member| sequence.never >> member & 1 == 1) {
        let in_the_way = inside.iter().filter(|entry| {
            let time = entry.event.time;
            entry.members >> member & 1 == 1 && first.is_some_and(|first| time >= first) && time <= at
        });
        let count = in_the_way.count();
        requirements.push(Requirement {
            what: format!("no {} between", plan.name_of_member(member)),
            has: count.to_string(),
            holds: count == 0,
        });
    }
    requirements
}
