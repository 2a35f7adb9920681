//! The type of a correlation and its condition, from what is written.

use super::comparison::{Comparator, Comparisons, Fixed};
use super::extension::Extension;
use super::kind::{CorrelationKind, Sequence, Statistic, Together, Which};
use super::reference::Reference;
use crate::diagnostic::{Mark, Report, code};
use crate::limits::{MAX_CORRELATION_MEMBERS, MAX_GROUP_BY_FIELDS};
use crate::sigma::condition::{self, Condition};
use crate::sigma::yaml::{Data, Entry, Node};

/// A type with all that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) kind: CorrelationKind,
    /// The fields, or aliases, whose values are required, and where they are named; empty for types that require none.
    pub(super) fields: Vec<String>,
    /// The rules it is about, where they are not just those that `rules` names.
    pub(super) rules: Option<Vec<Reference>>,
}

const TYPES: &str =
    "event_count, value_count, value_sum, value_avg, value_percentile, value_median, temporal and temporal_ordered";

/// Reads the type and its condition, over these rules.
pub(super) fn parse_kind(
    node: &Node,
    rules: &[Reference],
    timespan_nanos: Option<i64>,
    extension: &Extension<'_>,
    report: &mut Report<'_>,
) -> Option<Parsed> {
    let Some(entry) = node.entry("type") else {
        report.add(code::MISSING_KEY, node.mark, "the correlation has no `type`");
        return None;
    };
    let name = entry.value.scalar_text().unwrap_or_default();
    let condition = node.entry("condition");
    if !name.starts_with("temporal") {
        extension.refuse_counts(name, report);
    }
    let (kind, fields) = match name {
        "event_count" => (
            CorrelationKind::EventCount(numbers(name, node, report)?.comparisons),
            Vec::new(),
        ),
        "value_count" => {
            let read = numbers(name, node, report)?;
            (CorrelationKind::ValueCount(read.comparisons), read.fields)
        }
        "value_sum" | "value_avg" | "value_percentile" | "value_median" => {
            let read = numbers(name, node, report)?;
            let statistic = match name {
                "value_sum" => Statistic::Sum,
                "value_avg" => Statistic::Average,
                "value_median" => Statistic::Median,
                _ => Statistic::Percentile(read.percentile.unwrap_or(50)),
            };
            (CorrelationKind::Value(statistic, read.comparisons), read.fields)
        }
        "temporal" => {
            let together = Together {
                which: which(condition, rules, report)?,
                counts: extension.counts(rules, report)?,
            };
            (CorrelationKind::Temporal(together), Vec::new())
        }
        "temporal_ordered" => {
            let which = which(condition, rules, report)?;
            let counts = extension.counts(rules, report)?;
            let mark = condition.map_or(node.mark, |condition| condition.mark);
            let (sequence, members) = sequence(&which, &counts, rules, mark, report)?;
            let (kind, None) = extension.refine(CorrelationKind::TemporalOrdered(sequence), rules, 1, report)? else {
                return None;
            };
            return Some(Parsed {
                kind,
                fields: Vec::new(),
                rules: Some(members),
            });
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
    let (kind, rules) = extension.refine(kind, rules, timespan_nanos?, report)?;
    Some(Parsed { kind, fields, rules })
}

/// The steps of a sequence, with the members that they are: a rule that must come several times is as many of them.
fn sequence(
    which: &Which,
    counts: &[Comparisons],
    rules: &[Reference],
    mark: Mark,
    report: &mut Report<'_>,
) -> Option<(Sequence, Vec<Reference>)> {
    let wanted = wanted_of(which, rules, mark, report)?;
    let (mut steps, mut never, mut members) = (Vec::new(), 0, Vec::new());
    for (at, rule) in rules.iter().enumerate() {
        let times = match (wanted[at], counts[at].is_monotone(), counts[at].first_count()) {
            (true, true, Some(least)) => least.min(MAX_CORRELATION_MEMBERS as u64 + 1) as usize,
            (false, true, Some(1)) => 1,
            _ => {
                let message = format!("of `{}` a sequence can only want at least so many events", rule.rule);
                report.add(code::BAD_CONDITION, mark, message);
                return None;
            }
        };
        for _ in 0..times {
            if wanted[at] {
                steps.push(members.len());
            } else if members.len() < MAX_CORRELATION_MEMBERS {
                never |= 1 << members.len();
            }
            members.push(rule.clone());
        }
    }
    if members.len() > MAX_CORRELATION_MEMBERS {
        let message = format!("a sequence has at most {MAX_CORRELATION_MEMBERS} events, counts included");
        report.add(code::TOO_MANY, mark, message);
        return None;
    }
    if steps.len() < 2 {
        report.add(
            code::BAD_CONDITION,
            mark,
            "a sequence has at least two events that must come",
        );
        return None;
    }
    Some((Sequence { steps, never }, members))
}

/// Of each rule, whether it must come, or must not.
fn wanted_of(which: &Which, rules: &[Reference], mark: Mark, report: &mut Report<'_>) -> Option<Vec<bool>> {
    let mut wanted = vec![true; rules.len()];
    let parts = match which {
        Which::Rules(condition) if *condition == Comparisons::at_least(rules.len() as u64) => Vec::new(),
        Which::Expression(Condition::All(parts)) => parts.iter().collect(),
        Which::Expression(only @ (Condition::Selection(_) | Condition::Not(_))) => vec![only],
        _ => return not_a_sequence(mark, report),
    };
    let mut named = vec![parts.is_empty(); rules.len()];
    for part in parts {
        let (at, is_wanted) = match part {
            Condition::Selection(at) => (*at, true),
            Condition::Not(inner) => match **inner {
                Condition::Selection(at) => (at, false),
                _ => return not_a_sequence(mark, report),
            },
            _ => return not_a_sequence(mark, report),
        };
        for (other, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.rule == rules[at].rule) {
            if named[other] && wanted[other] != is_wanted {
                let message = format!("`{}` cannot both come and not come", rule.rule);
                report.add(code::NEVER_TRUE, mark, message);
                return None;
            }
            (named[other], wanted[other]) = (true, is_wanted);
        }
    }
    if let Some(at) = named.iter().position(|named| !named) {
        let message = format!("the condition says nothing of `{}`", rules[at].rule);
        let help = "of a sequence every rule must come, or not come";
        report.add_help(code::BAD_CONDITION, mark, message, help);
        return None;
    }
    Some(wanted)
}

fn not_a_sequence<T>(mark: Mark, report: &mut Report<'_>) -> Option<T> {
    let message = "the condition of `temporal_ordered` joins rules, or `not` before a rule, by `and`";
    let help = "write `a and b and not c`, or `temporal` where the order does not matter";
    report.add_help(code::BAD_CONDITION, mark, message, help);
    None
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
fn which(condition: Option<&Entry>, rules: &[Reference], report: &mut Report<'_>) -> Option<Which> {
    let Some(entry) = condition else {
        return Some(Which::Rules(Comparisons::at_least(rules.len() as u64)));
    };
    let node = &entry.value;
    if let Data::Str(text) = &node.data {
        let names: Vec<&str> = rules.iter().map(|rule| rule.rule.as_str()).collect();
        return condition::parse(text, &names, node.mark, report).map(Which::Expression);
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
    Some(Which::Rules(Comparisons::of(all)))
}
