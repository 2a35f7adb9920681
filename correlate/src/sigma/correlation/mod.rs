//! The `correlation` section: type, members, group, timespan and condition.
//!
//! Specification: Sigma correlations 2.1. What the types mean in event time is defined in
//! `docs/correlation-semantics.md`.

pub(crate) mod comparison;
pub(crate) mod house;
pub(crate) mod kind;

pub(crate) use house::{Clusters, Deviation, FirstSeen, Measure};
pub(crate) use kind::{CorrelationKind, Sequence, Statistic, Together};

use casebook_event::{EntityKind, FieldId};
use house::House;

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
    /// The kind of entity that the last part of the group is, if it groups by one.
    pub(crate) entity: Option<EntityKind>,
    /// Whether events of several clusters may meet in one group, where that is said.
    pub(crate) clusters: Option<Clusters>,
    pub(crate) aliases: Vec<Alias>,
    /// The names of the fields, or aliases, whose values it asks for: none, one, or several that are taken together.
    pub(crate) fields: Vec<String>,
    /// The length of the window, in nanoseconds; positive.
    pub(crate) timespan_nanos: i64,
    /// Whether the rules it is about also alert by themselves.
    pub(crate) generate: bool,
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

impl Correlation {
    /// Reads the section; `None` if something in it is an error. `generate` may also stand beside the section, and
    /// `casebook` may say more of it.
    pub(crate) fn parse(
        entry: &Entry,
        generate: Option<&Entry>,
        casebook: Option<&Entry>,
        report: &mut Report<'_>,
    ) -> Option<Self> {
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
        let rules = references(node, report);
        let timespan_nanos = timespan(node, report);
        let house = House::read(casebook.map(|entry| &entry.value), report);
        let parsed = kind::parse(node, &rules, timespan_nanos, &house, report);
        let group_by = group_by(node, report);
        let entity = house.entity(report);
        let clusters = house.clusters(report);
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
        let is_temporal = |kind: &CorrelationKind| matches!(kind, CorrelationKind::Temporal(_));
        if rules.len() == 1 && parsed.as_ref().is_some_and(|parsed| is_temporal(&parsed.kind)) {
            report.add(
                code::BAD_VALUE,
                node.mark,
                "a temporal correlation needs at least two rules",
            );
        }
        if report.errors() > errors {
            return None;
        }
        let kind::Parsed {
            kind,
            fields,
            rules: of_kind,
        } = parsed?;
        let rules = of_kind.unwrap_or(rules);
        Some(Self {
            mark: entry.mark,
            kind,
            fields,
            rules,
            group_by,
            entity,
            clusters,
            aliases,
            timespan_nanos: timespan_nanos?,
            generate,
        })
    }
}

impl Correlation {
    /// The names of all parts of the group: the entity is the last, and before it, where that is said, the cluster.
    pub(crate) fn parts(&self, with_cluster: bool) -> Vec<String> {
        let cluster = with_cluster.then(|| FieldId::OrchestratorClusterName.name().to_owned());
        let entity = self.entity.map(|kind| format!("entity.{}", kind.name()));
        self.group_by.iter().cloned().chain(cluster).chain(entity).collect()
    }

    /// Whether `group-by` names the cluster itself.
    pub(crate) fn names_cluster(&self) -> bool {
        let mut fields = self.group_by.iter();
        fields.any(|name| name == FieldId::OrchestratorClusterName.name())
    }

    /// The field that a name of the group or the value means in the events of one of the rules.
    pub(crate) fn field_of<'a>(&'a self, name: &'a String, is_rule: impl Fn(&str) -> bool) -> &'a String {
        let alias = self.aliases.iter().find(|alias| alias.name == *name);
        let field = alias.and_then(|alias| alias.fields.iter().find(|(reference, _)| is_rule(&reference.rule)));
        field.map_or(name, |(_, field)| field)
    }
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
    duration(entry, report)
}

/// A length of time, in nanoseconds; positive.
fn duration(entry: &Entry, report: &mut Report<'_>) -> Option<i64> {
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
}
