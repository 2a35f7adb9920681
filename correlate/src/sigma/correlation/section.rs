//! The section as a whole: its keys, its members, its group.

use casebook_event::{EntityKind, FieldId};

use super::extension::Extension;
use super::kind::{Clusters, CorrelationKind};
use super::parse::{Parsed, parse_kind};
use super::reference::{Reference, reference};
use super::timespan::duration;
use crate::diagnostic::{Mark, Report, code};
use crate::limits::{MAX_CORRELATION_MEMBERS, MAX_GROUP_BY_FIELDS};
use crate::sigma::yaml::{Data, Entry, Node};

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
        refuse_unknown_keys(entries, report);
        let rules = references(node, report);
        let timespan_nanos = timespan(node, report);
        let extension = Extension::read(casebook.map(|entry| &entry.value), report);
        let parsed = parse_kind(node, &rules, timespan_nanos, &extension, report);
        let group_by = group_by(node, report);
        let entity = extension.entity(report);
        let clusters = extension.clusters(report);
        let aliases = aliases(node, report);
        let generate = generates(node.entry("generate").or(generate), report);
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
        let Parsed {
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

/// The keys of the section.
const KEYS: [&str; 7] = [
    "type",
    "rules",
    "group-by",
    "timespan",
    "condition",
    "aliases",
    "generate",
];

fn refuse_unknown_keys(entries: &[Entry], report: &mut Report<'_>) {
    for entry in entries.iter().filter(|entry| !KEYS.contains(&entry.key.as_str())) {
        let message = format!("`correlation` has no key `{}`", entry.key);
        let help = format!("it has {}", KEYS.join(", "));
        report.add_help(code::UNKNOWN_KEY, entry.mark, message, help);
    }
}

fn generates(entry: Option<&Entry>, report: &mut Report<'_>) -> bool {
    match entry.map(|entry| &entry.value) {
        None => false,
        Some(Node {
            data: Data::Bool(flag), ..
        }) => *flag,
        Some(other) => {
            let message = format!("`generate` is true or false, not {}", other.kind());
            report.add(code::BAD_VALUE, other.mark, message);
            false
        }
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
