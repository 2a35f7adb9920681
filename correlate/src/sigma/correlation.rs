//! The `correlation` section: type, members, group, timespan and condition.
//!
//! Specification: Sigma correlations 2.1. What the types mean in event time is defined in
//! `docs/correlation-semantics.md`.

use super::yaml::{Data, Entry, Node};
use crate::diagnostic::{Mark, Report, code};
use crate::limits::{MAX_CORRELATION_MEMBERS, MAX_GROUP_BY_FIELDS, MAX_TIMESPAN_SECONDS};

/// The `correlation` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Correlation {
    pub(crate) mark: Mark,
    pub(crate) kind: CorrelationKind,
    /// The rules it is about, by id or name, in the order written.
    pub(crate) rules: Vec<Reference>,
    /// The names of the group's parts: fields or aliases.
    pub(crate) group_by: Vec<String>,
    pub(crate) aliases: Vec<Alias>,
    /// The length of the window, in nanoseconds; positive.
    pub(crate) timespan_nanos: i64,
    /// Whether the rules it is about also alert by themselves.
    pub(crate) generate: bool,
}

/// What is asked of a group of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CorrelationKind {
    /// How many there are.
    EventCount(CountCondition),
    /// That each rule has one, in the order of the rules.
    TemporalOrdered,
}

/// The name or id of a rule, where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) rule: String,
    pub(crate) mark: Mark,
}

/// A name for a field that is called differently in the events of different rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alias {
    pub(crate) name: String,
    pub(crate) mark: Mark,
    /// Rule and field.
    pub(crate) fields: Vec<(Reference, String)>,
}

/// A condition on a count: every comparison holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CountCondition {
    comparisons: Vec<(Comparator, u64)>,
}

/// How a count is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparator {
    Gt,
    Gte,
    Lt,
    Lte,
    Eq,
    Neq,
}

impl CountCondition {
    /// The condition that all of these make.
    #[cfg(test)]
    pub(crate) fn of(comparisons: &[(Comparator, u64)]) -> Self {
        Self {
            comparisons: comparisons.to_vec(),
        }
    }

    /// Whether the condition holds of `count`.
    pub(crate) fn holds(&self, count: u64) -> bool {
        self.comparisons.iter().all(|&(comparator, than)| match comparator {
            Comparator::Gt => count > than,
            Comparator::Gte => count >= than,
            Comparator::Lt => count < than,
            Comparator::Lte => count <= than,
            Comparator::Eq => count == than,
            Comparator::Neq => count != than,
        })
    }

    /// Whether one more event can never make it false: only then may an alert be raised before its window is complete.
    pub(crate) fn is_monotone(&self) -> bool {
        self.comparisons
            .iter()
            .all(|(comparator, _)| matches!(comparator, Comparator::Gt | Comparator::Gte))
    }

    /// The smallest count, from 1, of which it holds; `None` if there is none.
    pub(crate) fn first_count(&self) -> Option<u64> {
        // The condition can only change next to a number it names.
        let candidates = self
            .comparisons
            .iter()
            .flat_map(|&(_, n)| [n.saturating_sub(1), n, n.saturating_add(1)]);
        candidates.chain([1]).filter(|&n| n >= 1 && self.holds(n)).min()
    }
}

const TYPES_TO_COME: &[&str] = &[
    "value_count",
    "temporal",
    "value_sum",
    "value_avg",
    "value_percentile",
    "value_median",
];

impl Correlation {
    /// Reads the section; `None` if something in it is an error. `generate` may also stand beside the section.
    pub(crate) fn parse(entry: &Entry, generate: Option<&Entry>, report: &mut Report<'_>) -> Option<Self> {
        let errors = report.errors();
        let node = &entry.value;
        let Some(entries) = node.entries() else {
            report.add(
                code::BAD_SHAPE,
                node.mark,
                format!("`correlation` must be a mapping, not {}", node.kind()),
            );
            return None;
        };
        let known = [
            "type",
            "rules",
            "group-by",
            "timespan",
            "condition",
            "aliases",
            "generate",
        ];
        for entry in entries {
            if !known.contains(&entry.key.as_str()) {
                let message = format!("`correlation` has no key `{}`", entry.key);
                report.add_help(
                    code::UNKNOWN_KEY,
                    entry.mark,
                    message,
                    format!("it has {}", known.join(", ")),
                );
            }
        }
        let kind = kind(node, report);
        let rules = references(node, report);
        let group_by = group_by(node, report);
        let timespan_nanos = timespan(node, report);
        let aliases = aliases(node, report);
        let generate = match node.entry("generate").or(generate).map(|entry| &entry.value) {
            None => false,
            Some(Node {
                data: Data::Bool(flag), ..
            }) => *flag,
            Some(other) => {
                report.add(
                    code::BAD_VALUE,
                    other.mark,
                    format!("`generate` is true or false, not {}", other.kind()),
                );
                false
            }
        };
        if kind == Some(CorrelationKind::TemporalOrdered) && rules.len() == 1 {
            report.add(
                code::BAD_VALUE,
                node.mark,
                "`temporal_ordered` needs at least two rules",
            );
        }
        if report.errors() > errors {
            return None;
        }
        Some(Self {
            mark: entry.mark,
            kind: kind?,
            rules,
            group_by,
            aliases,
            timespan_nanos: timespan_nanos?,
            generate,
        })
    }
}

fn kind(node: &Node, report: &mut Report<'_>) -> Option<CorrelationKind> {
    let Some(entry) = node.entry("type") else {
        report.add(code::MISSING_KEY, node.mark, "the correlation has no `type`");
        return None;
    };
    let condition = node.entry("condition");
    match entry.value.scalar_text().unwrap_or_default() {
        "event_count" => match condition {
            Some(condition) => count_condition(&condition.value, report).map(CorrelationKind::EventCount),
            None => {
                let message = "`event_count` needs a `condition`, such as `gte: 10`";
                report.add(code::MISSING_KEY, node.mark, message);
                None
            }
        },
        "temporal_ordered" => {
            if let Some(condition) = condition {
                let all = node
                    .entry("rules")
                    .map_or(0, |rules| rules.value.one_or_many().len())
                    .to_string();
                let is_all = condition.value.entries().is_some_and(|entries| {
                    entries.len() == 1 && entries[0].key == "gte" && entries[0].value.scalar_text() == Some(&all)
                });
                if !is_all {
                    let message = "a `condition` of `temporal_ordered` is not supported yet: every rule must match";
                    report.add_help(code::UNSUPPORTED, condition.mark, message, "leave the condition out");
                }
            }
            Some(CorrelationKind::TemporalOrdered)
        }
        known if TYPES_TO_COME.contains(&known) => {
            let message = format!("correlations of type `{known}` are not supported yet");
            report.add_help(
                code::UNSUPPORTED,
                entry.value.mark,
                message,
                "event_count and temporal_ordered are",
            );
            None
        }
        other => {
            let message = format!("Sigma has no correlation type `{other}`");
            report.add_help(
                code::BAD_VALUE,
                entry.value.mark,
                message,
                "event_count and temporal_ordered are supported",
            );
            None
        }
    }
}

fn count_condition(node: &Node, report: &mut Report<'_>) -> Option<CountCondition> {
    let Some(entries) = node.entries().filter(|entries| !entries.is_empty()) else {
        let message = format!("the condition must be a mapping such as `gte: 10`, not {}", node.kind());
        report.add(code::BAD_CONDITION, node.mark, message);
        return None;
    };
    let mut comparisons = Vec::new();
    for entry in entries {
        let comparator = match entry.key.as_str() {
            "gt" => Comparator::Gt,
            "gte" => Comparator::Gte,
            "lt" => Comparator::Lt,
            "lte" => Comparator::Lte,
            "eq" => Comparator::Eq,
            "neq" => Comparator::Neq,
            other => {
                let message = format!("`event_count` cannot be compared by `{other}`");
                report.add_help(
                    code::BAD_CONDITION,
                    entry.mark,
                    message,
                    "it takes gt, gte, lt, lte, eq, neq",
                );
                return None;
            }
        };
        match entry.value.scalar_text().and_then(|text| text.parse().ok()) {
            Some(count) => comparisons.push((comparator, count)),
            None => {
                report.add(
                    code::BAD_CONDITION,
                    entry.value.mark,
                    "a count is a whole number that is not negative",
                );
                return None;
            }
        }
    }
    Some(CountCondition { comparisons })
}

fn references(node: &Node, report: &mut Report<'_>) -> Vec<Reference> {
    let Some(entry) = node.entry("rules") else {
        report.add(code::MISSING_KEY, node.mark, "the correlation names no `rules`");
        return Vec::new();
    };
    let nodes = entry.value.one_or_many();
    if nodes.is_empty() || nodes.len() > MAX_CORRELATION_MEMBERS {
        let message = format!(
            "{} rules; a correlation is about 1 to {MAX_CORRELATION_MEMBERS}",
            nodes.len()
        );
        report.add(code::TOO_MANY, entry.value.mark, message);
        return Vec::new();
    }
    nodes.iter().filter_map(|node| reference(node, report)).collect()
}

fn reference(node: &Node, report: &mut Report<'_>) -> Option<Reference> {
    match node.scalar_text() {
        Some(text) => Some(Reference {
            rule: text.trim().to_owned(),
            mark: node.mark,
        }),
        None => {
            report.add(
                code::BAD_SHAPE,
                node.mark,
                format!("a rule is named by its id or name, not by {}", node.kind()),
            );
            None
        }
    }
}

fn group_by(node: &Node, report: &mut Report<'_>) -> Vec<String> {
    let Some(entry) = node.entry("group-by").filter(|entry| entry.value.data != Data::Null) else {
        return Vec::new();
    };
    let nodes = entry.value.one_or_many();
    if nodes.len() > MAX_GROUP_BY_FIELDS {
        let message = format!("{} fields; at most {MAX_GROUP_BY_FIELDS} make a group", nodes.len());
        report.add(code::TOO_MANY, entry.value.mark, message);
    }
    let mut names: Vec<String> = Vec::new();
    for node in nodes {
        match node.scalar_text() {
            Some(text) if names.iter().any(|name| name == text) => {
                report.add(code::BAD_VALUE, node.mark, format!("`{text}` is in `group-by` twice"));
            }
            Some(text) => names.push(text.to_owned()),
            None => report.add(
                code::BAD_SHAPE,
                node.mark,
                format!("`group-by` takes names, not {}", node.kind()),
            ),
        }
    }
    names
}

fn timespan(node: &Node, report: &mut Report<'_>) -> Option<i64> {
    let Some(entry) = node.entry("timespan") else {
        report.add(code::MISSING_KEY, node.mark, "the correlation has no `timespan`");
        return None;
    };
    let text = entry.value.scalar_text().unwrap_or_default();
    let seconds = parse_timespan_seconds(text);
    if seconds.is_none() {
        let message = format!(
            "`{text}` is no timespan of at most {} days",
            MAX_TIMESPAN_SECONDS / 86_400
        );
        report.add_help(
            code::BAD_TIMESPAN,
            entry.value.mark,
            message,
            "write a number and s, m, h, d or w: `90m`",
        );
    }
    seconds.map(|seconds| seconds * 1_000_000_000)
}

fn parse_timespan_seconds(text: &str) -> Option<i64> {
    let unit = text.chars().next_back()?;
    let scale = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return None,
    };
    let digits = &text[..text.len() - 1];
    let number: i64 = if digits.bytes().all(|b| b.is_ascii_digit()) {
        digits.parse().ok()?
    } else {
        return None;
    };
    number
        .checked_mul(scale)
        .filter(|seconds| (1..=MAX_TIMESPAN_SECONDS).contains(seconds))
}

fn aliases(node: &Node, report: &mut Report<'_>) -> Vec<Alias> {
    let Some(entry) = node.entry("aliases").filter(|entry| entry.value.data != Data::Null) else {
        return Vec::new();
    };
    let Some(entries) = entry.value.entries() else {
        report.add(
            code::BAD_SHAPE,
            entry.value.mark,
            format!("`aliases` must be a mapping, not {}", entry.value.kind()),
        );
        return Vec::new();
    };
    let mut aliases = Vec::new();
    for alias in entries {
        let mut fields = Vec::new();
        for field in alias.value.entries().unwrap_or_default() {
            match field.value.scalar_text() {
                Some(text) => fields.push((
                    Reference {
                        rule: field.key.clone(),
                        mark: field.mark,
                    },
                    text.to_owned(),
                )),
                None => report.add(code::BAD_ALIAS, field.mark, "an alias maps each rule to one field"),
            }
        }
        aliases.push(Alias {
            name: alias.key.clone(),
            mark: alias.mark,
            fields,
        });
    }
    aliases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timespans_have_a_unit_and_a_limit() {
        let check = |text: &str, want: Option<i64>| assert_eq!(parse_timespan_seconds(text), want, "{text}");
        check("30s", Some(30));
        check("90m", Some(5_400));
        check("1h", Some(3_600));
        check("7d", Some(604_800));
        check("2w", Some(1_209_600));
        check("0s", None);
        check("-1s", None);
        check("5", None);
        check("5M", None);
        check("", None);
        check("s", None);
        check("99999999999999999999s", None);
        check("53w", None);
        check("5é", None);
    }

    #[test]
    fn the_first_count_is_the_smallest_that_holds() {
        let check = |comparisons: &[(Comparator, u64)], want: Option<u64>, monotone: bool| {
            let condition = CountCondition {
                comparisons: comparisons.to_vec(),
            };
            assert_eq!(condition.first_count(), want, "{comparisons:?}");
            assert_eq!(condition.is_monotone(), monotone, "{comparisons:?}");
            assert_eq!(condition.first_count(), (1..1_000).find(|&n| condition.holds(n)));
        };
        check(&[(Comparator::Gte, 10)], Some(10), true);
        check(&[(Comparator::Gt, 10)], Some(11), true);
        check(&[(Comparator::Gte, 0)], Some(1), true);
        check(&[(Comparator::Lt, 3)], Some(1), false);
        check(&[(Comparator::Lt, 1)], None, false);
        check(&[(Comparator::Eq, 7)], Some(7), false);
        check(&[(Comparator::Neq, 1)], Some(2), false);
        check(&[(Comparator::Gt, 3), (Comparator::Lte, 5)], Some(4), false);
        check(&[(Comparator::Gt, 5), (Comparator::Lt, 6)], None, false);
        check(&[(Comparator::Neq, 1), (Comparator::Neq, 2)], Some(3), false);
    }
}
