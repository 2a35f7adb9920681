//! The types of correlations, and their conditions.

use super::comparison::{Comparator, Comparisons, Fixed};
use crate::diagnostic::{Mark, Report, code};
use crate::limits::MAX_GROUP_BY_FIELDS;
use crate::sigma::condition::{self, Condition};
use crate::sigma::yaml::{Data, Entry, Node};

/// What is asked of a group of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CorrelationKind {
    /// How many there are.
    EventCount(Comparisons),
    /// How many different values they have.
    ValueCount(Comparisons),
    /// What the numbers they have come to.
    Value(Statistic, Comparisons),
    /// Which rules have one.
    Temporal(Together),
    /// That each rule has one, in the order of the rules.
    TemporalOrdered,
}

/// What is made of several numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Statistic {
    Sum,
    Average,
    /// The least number that so many percent of them do not exceed (nearest rank); 1 to 100.
    Percentile(u8),
    /// The percentile of 50.
    Median,
}

/// Which rules must have an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Together {
    /// So many of them.
    Rules(Comparisons),
    /// Those that make the expression true.
    Expression(Condition),
}

impl Together {
    /// Whether it holds where these rules have an event, one bit each.
    pub(crate) fn holds(&self, members: u64) -> bool {
        match self {
            Self::Rules(condition) => condition.holds_of_count(u64::from(members.count_ones())),
            Self::Expression(condition) => condition.value(&|at| members >> at & 1 == 1),
        }
    }

    /// Whether an event more can never make it false.
    fn is_monotone(&self) -> bool {
        match self {
            Self::Rules(condition) => condition.is_monotone(),
            Self::Expression(condition) => !condition.negates(),
        }
    }
}

impl CorrelationKind {
    /// Whether it matters which of the rules an event matched.
    pub(crate) fn asks_for_members(&self) -> bool {
        matches!(self, Self::Temporal(_) | Self::TemporalOrdered)
    }

    /// Whether more events can never make its condition fail, so that an alert may be raised before its window ends.
    pub(crate) fn is_monotone(&self) -> bool {
        match self {
            Self::EventCount(condition) | Self::ValueCount(condition) => condition.is_monotone(),
            // Numbers may be negative, and an average falls with a small one.
            Self::Value(..) => false,
            Self::Temporal(together) => together.is_monotone(),
            Self::TemporalOrdered => true,
        }
    }
}

/// A type with all that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) kind: CorrelationKind,
    /// The fields, or aliases, whose values are asked for, and where they are named; empty for types that ask for none.
    pub(super) fields: Vec<String>,
}

const TYPES: &str =
    "event_count, value_count, value_sum, value_avg, value_percentile, value_median, temporal and temporal_ordered";

/// Reads the type and its condition, over rules of these names.
pub(super) fn parse(node: &Node, rules: &[&str], report: &mut Report<'_>) -> Option<Parsed> {
    let Some(entry) = node.entry("type") else {
        report.add(code::MISSING_KEY, node.mark, "the correlation has no `type`");
        return None;
    };
    let name = entry.value.scalar_text().unwrap_or_default();
    let condition = node.entry("condition");
    let (kind, fields) = match name {
        "event_count" => (
            CorrelationKind::EventCount(numbers(name, node, report)?.comparisons),
            None,
        ),
        "value_count" => {
            let read = numbers(name, node, report)?;
            (CorrelationKind::ValueCount(read.comparisons), Some(read.fields))
        }
        "value_sum" | "value_avg" | "value_percentile" | "value_median" => {
            let read = numbers(name, node, report)?;
            let statistic = match name {
                "value_sum" => Statistic::Sum,
                "value_avg" => Statistic::Average,
                "value_median" => Statistic::Median,
                _ => Statistic::Percentile(read.percentile.unwrap_or(50)),
            };
            (CorrelationKind::Value(statistic, read.comparisons), Some(read.fields))
        }
        "temporal" => (CorrelationKind::Temporal(together(condition, rules, report)?), None),
        "temporal_ordered" => {
            let all = Together::Rules(Comparisons::at_least(rules.len() as u64));
            if let Some(condition) = condition
                && together(Some(condition), rules, report)? != all
            {
                let message = "a `condition` of `temporal_ordered` is not supported yet: every rule must match";
                report.add_help(code::UNSUPPORTED, condition.mark, message, "leave the condition out");
            }
            (CorrelationKind::TemporalOrdered, None)
        }
        other => {
            let message = format!("Sigma has no correlation type `{other}`");
            report.add_help(
                code::BAD_VALUE,
                entry.value.mark,
                message,
                format!("the types are {TYPES}"),
            );
            return None;
        }
    };
    Some(Parsed {
        kind,
        fields: fields.unwrap_or_default(),
    })
}

/// A condition on numbers.
struct Numbers {
    comparisons: Comparisons,
    fields: Vec<String>,
    percentile: Option<u8>,
}

fn numbers(kind: &str, node: &Node, report: &mut Report<'_>) -> Option<Numbers> {
    let of_values = kind != "event_count";
    let counts = matches!(kind, "event_count" | "value_count");
    let Some(entry) = node.entry("condition") else {
        let message = format!("`{kind}` needs a `condition`, such as `gte: 10`");
        report.add(code::MISSING_KEY, node.mark, message);
        return None;
    };
    let node = &entry.value;
    let Some(entries) = node.entries().filter(|entries| !entries.is_empty()) else {
        let message = format!("the condition must be a mapping such as `gte: 10`, not {}", node.kind());
        report.add(code::BAD_CONDITION, node.mark, message);
        return None;
    };
    let mut all = Vec::new();
    let mut fields = None;
    let mut percentile = None;
    for entry in entries {
        match (entry.key.as_str(), Comparator::of(&entry.key)) {
            (_, Some(comparator)) => {
                all.push((comparator, Comparisons::parse_number(&entry.value, counts, report)?));
            }
            ("field", None) if of_values => fields = Some(names(entry, counts, report)?),
            ("percentile", None) if kind == "value_percentile" => {
                percentile = entry.value.scalar_text().and_then(|text| text.parse().ok());
                if !percentile.is_some_and(|percent| (1..=100).contains(&percent)) {
                    let message = "`percentile` is a whole number from 1 to 100";
                    report.add(code::BAD_CONDITION, entry.value.mark, message);
                    return None;
                }
            }
            (other, None) => {
                let message = format!("`{kind}` cannot be compared by `{other}`");
                let field = if of_values { ", and a field" } else { "" };
                let help = format!("it takes gt, gte, lt, lte, eq, neq{field}");
                report.add_help(code::BAD_CONDITION, entry.mark, message, help);
                return None;
            }
        }
    }
    if all.is_empty() {
        report.add(
            code::BAD_CONDITION,
            node.mark,
            "the condition compares with nothing: add `gte: 10`",
        );
        return None;
    }
    if of_values && fields.is_none() {
        let message = format!("the condition of `{kind}` needs a `field`: whose values are meant");
        report.add(code::MISSING_KEY, node.mark, message);
        return None;
    }
    Some(Numbers {
        comparisons: Comparisons::of(all),
        fields: fields.unwrap_or_default(),
        percentile,
    })
}

/// The fields of a condition: one, or for a count of values several that are taken together.
fn names(entry: &Entry, several: bool, report: &mut Report<'_>) -> Option<Vec<String>> {
    let nodes = entry.value.one_or_many();
    let names: Option<Vec<String>> = nodes
        .iter()
        .map(|node| Some(node.scalar_text().filter(|name| !name.is_empty())?.to_owned()))
        .collect();
    let most = if several { MAX_GROUP_BY_FIELDS } else { 1 };
    match names {
        Some(names) if (1..=most).contains(&names.len()) => Some(names),
        _ => {
            let message = format!("`field` names 1 to {most} fields");
            report.add(code::BAD_CONDITION, entry.value.mark, message);
            None
        }
    }
}

/// The condition of a temporal correlation: absent, a number of rules, or an expression over their names.
fn together(condition: Option<&Entry>, rules: &[&str], report: &mut Report<'_>) -> Option<Together> {
    let Some(entry) = condition else {
        return Some(Together::Rules(Comparisons::at_least(rules.len() as u64)));
    };
    let node = &entry.value;
    if let Data::Str(text) = &node.data {
        return condition::parse(text, rules, node.mark, report).map(Together::Expression);
    }
    let Some(entries) = node.entries().filter(|entries| !entries.is_empty()) else {
        let message = format!(
            "the condition must be an expression such as `a and b`, or a mapping such as `gte: 2`, not {}",
            node.kind()
        );
        report.add(code::BAD_CONDITION, node.mark, message);
        return None;
    };
    let mut all: Vec<(Comparator, Fixed)> = Vec::new();
    for entry in entries {
        let Some(comparator) = Comparator::of(&entry.key) else {
            let message = format!("the number of rules cannot be compared by `{}`", entry.key);
            report.add_help(
                code::BAD_CONDITION,
                entry.mark,
                message,
                "it takes gt, gte, lt, lte, eq, neq",
            );
            return None;
        };
        all.push((comparator, Comparisons::parse_number(&entry.value, true, report)?));
    }
    Some(Together::Rules(Comparisons::of(all)))
}

/// What can be said of a condition before any event is seen.
pub(crate) fn lint(kind: &CorrelationKind, members: usize, mark: Mark, report: &mut Report<'_>) {
    let never = "no window of at least one event meets the condition";
    match kind {
        CorrelationKind::EventCount(condition) | CorrelationKind::ValueCount(condition) => {
            if condition.first_count().is_none() {
                report.add(code::NEVER_TRUE, mark, never);
            } else if condition.is_monotone() && condition.holds_of_count(1) {
                let help = "a count of one is what the base rule already tells";
                report.add_help(code::ALWAYS_TRUE, mark, "a single event meets the condition", help);
            }
        }
        CorrelationKind::Temporal(together) => {
            // Some rule has an event, or there is no window.
            let counts = 1..=members as u64;
            let (mut ever, mut always) = (false, true);
            let mut note = |holds: bool| {
                ever |= holds;
                always &= holds;
            };
            match together {
                Together::Rules(condition) => counts.for_each(|count| note(condition.holds_of_count(count))),
                // More members than that are too many combinations to try.
                Together::Expression(_) if members > 12 => return,
                Together::Expression(_) => (1u64..1 << members).for_each(|set| note(together.holds(set))),
            }
            if !ever {
                report.add(code::NEVER_TRUE, mark, never);
            } else if always {
                report.add(
                    code::ALWAYS_TRUE,
                    mark,
                    "a single event of any of the rules meets the condition",
                );
            }
        }
        CorrelationKind::Value(..) | CorrelationKind::TemporalOrdered => {}
    }
}
