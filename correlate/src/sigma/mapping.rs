//! Documents with `mapping:`: what placeholders stand for, what fields are called here, and which source stands for a
//! logsource that none has. They are files among the rules, and so are loaded, reloaded and versioned with them.

use std::collections::BTreeMap;

use casebook_event::Source;

use super::detection::{self, Item, Query};
use super::head::{text, texts};
use super::logsource::{Mapped, RuleLogsource};
use super::placeholder::Placeholders;
use super::value::Test;
use super::version::version_of_part;
use super::yaml::{Data, Entry, Node};
use crate::diagnostic::{Report, code};
use crate::limits::MAX_MAPPED_FIELDS;

/// What all mapping documents of a set say together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mapping {
    pub(crate) placeholders: Placeholders,
    /// For a field as rules name it, the fields in which it is found, and for which logsource if not for all.
    fields: BTreeMap<String, Vec<(Option<RuleLogsource>, String)>>,
    logsources: Vec<(RuleLogsource, Mapped)>,
}

/// Whose names are meant: those of rules about this logsource.
pub(crate) struct Scope<'a> {
    logsource: &'a RuleLogsource,
    sources: Vec<Source>,
}

impl<'a> Scope<'a> {
    pub(crate) fn new(logsource: &'a RuleLogsource) -> Self {
        Self {
            logsource,
            sources: logsource.sources().collect(),
        }
    }
}

/// The names that mapping documents gave another meaning, each with the fields that it stands for. They are part of what a
/// rule means; the names that are built in change with the program only.
pub(crate) type Renamed = BTreeMap<String, Vec<String>>;

/// What SigmaHQ's rules call some fields of single sources.
const BUILT_IN: &[(Source, &str, &[&str])] = &[
    (Source::KubernetesAudit, "apiGroup", &["objectRef.apiGroup"]),
    (
        Source::KubernetesAudit,
        "hostPath",
        &[
            "requestObject.spec.volumes.hostPath",
            "requestObject.spec.template.spec.volumes.hostPath",
            "requestObject.spec.jobTemplate.spec.template.spec.volumes.hostPath",
        ],
    ),
    (
        Source::KubernetesAudit,
        "capabilities",
        &[
            "requestObject.spec.containers.securityContext.capabilities.add",
            "requestObject.spec.initContainers.securityContext.capabilities.add",
            "requestObject.spec.ephemeralContainers.securityContext.capabilities.add",
            "requestObject.spec.template.spec.containers.securityContext.capabilities.add",
            "requestObject.spec.template.spec.initContainers.securityContext.capabilities.add",
            "requestObject.spec.jobTemplate.spec.template.spec.containers.securityContext.capabilities.add",
            "requestObject.spec.jobTemplate.spec.template.spec.initContainers.securityContext.capabilities.add",
        ],
    ),
    (Source::Auth, "USER", &["user.effective.name"]),
];

impl Mapping {
    /// Adds what a document says of placeholders and fields. What is wrong with it is reported and left out.
    pub(crate) fn read(&mut self, document: &Node, entry: &Entry, report: &mut Report<'_>) {
        for other in document.entries().unwrap_or_default() {
            match other.key.as_str() {
                "detection" | "correlation" | "filter" => {
                    let message = format!("a document with `mapping` has no `{}`", other.key);
                    let help = "separate the two by a line with `---`";
                    return report.add_help(code::NOT_A_RULE, other.mark, message, help);
                }
                "mapping" | "title" | "id" | "description" | "references" | "author" | "date" | "modified" => {}
                other_key => {
                    let message = format!("a mapping document has no key `{other_key}`");
                    report.add(code::UNKNOWN_KEY, other.mark, message);
                }
            }
        }
        let Some(entries) = entries(&entry.value, "`mapping`", report) else {
            return;
        };
        let limit = entry.value.entry("logsource");
        let limit = limit.map(|limit| RuleLogsource::parse(limit, report));
        for entry in entries {
            match entry.key.as_str() {
                "placeholders" => {
                    for (name, values) in named_texts(&entry.value, "placeholders", report) {
                        self.placeholders.entry(name).or_default().extend(values);
                    }
                }
                // What is wrong with the logsource has been said.
                "fields" if limit == Some(None) => {}
                "fields" => {
                    let limit = limit.clone().flatten();
                    for (name, fields) in named_texts(&entry.value, "fields", report) {
                        let known = self.fields.entry(name).or_default();
                        if known.len() + fields.len() > MAX_MAPPED_FIELDS {
                            let message = format!("a name stands for at most {MAX_MAPPED_FIELDS} fields");
                            report.add(code::TOO_MANY, entry.mark, message);
                            continue;
                        }
                        known.extend(fields.into_iter().map(|field| (limit.clone(), field)));
                    }
                }
                "logsource" | "logsources" => {}
                other => {
                    let help = "it has placeholders, logsource, fields, logsources";
                    report.add_help(
                        code::UNKNOWN_KEY,
                        entry.mark,
                        format!("`mapping` has no key `{other}`"),
                        help,
                    );
                }
            }
        }
    }

    /// Adds what a document says of logsources, whose conditions may have placeholders of all documents.
    pub(crate) fn read_logsources(&mut self, entry: &Entry, report: &mut Report<'_>) {
        if let Some(entry) = entry.value.entry("logsources") {
            for node in entry.value.one_or_many() {
                self.logsources.extend(logsource(node, &self.placeholders, report));
            }
        }
    }

    /// Gives a logsource that no source has the source that stands for it.
    pub(crate) fn route(&self, logsource: &mut RuleLogsource) {
        if logsource.sources().next().is_none() {
            let mapped = self.logsources.iter().find(|(from, _)| logsource.is_within(from));
            logsource.mapped = mapped.map(|(_, mapped)| mapped.clone());
        }
    }

    /// Renames the fields that a rule or a filter asks.
    pub(crate) fn rename(&self, query: &mut Query, scope: &Scope<'_>, renamed: &mut Renamed) {
        match query {
            Query::All(parts) => {
                if scope.sources == [Source::KubernetesAudit] {
                    widen_verb(parts);
                }
                parts.iter_mut().for_each(|part| self.rename(part, scope, renamed));
            }
            Query::Any(parts) => parts.iter_mut().for_each(|part| self.rename(part, scope, renamed)),
            Query::Item(item) => {
                for spellings in &mut item.values {
                    self.rename_references(spellings, scope, renamed);
                }
                let names = item.field.as_deref().and_then(|name| self.names(name, scope, renamed));
                if let Some(names) = names {
                    *query = spread(item, &names);
                }
            }
        }
    }

    /// Renames the fields that a value is compared with: any of them.
    fn rename_references(&self, spellings: &mut Vec<Test>, scope: &Scope<'_>, renamed: &mut Renamed) {
        if let [Test::Field { name, relation, cased }] = spellings.as_slice()
            && let Some(names) = self.names(name, scope, renamed)
        {
            let (relation, cased) = (*relation, *cased);
            let test = |name| Test::Field { name, relation, cased };
            *spellings = names.into_iter().map(test).collect();
        }
    }

    /// The fields that a name stands for; `None` if it is one itself.
    pub(crate) fn names(&self, name: &str, scope: &Scope<'_>, renamed: &mut Renamed) -> Option<Vec<String>> {
        let is_meant =
            |limit: &Option<RuleLogsource>| limit.as_ref().is_none_or(|limit| scope.logsource.is_within(limit));
        let mut names: Vec<String> = Vec::new();
        for (_, field) in self
            .fields
            .get(name)
            .into_iter()
            .flatten()
            .filter(|(limit, _)| is_meant(limit))
        {
            if !names.contains(field) {
                names.push(field.clone());
            }
        }
        if !names.is_empty() {
            renamed.insert(name.to_owned(), names.clone());
            return Some(names);
        }
        let fits = |(source, from, _): &&(Source, &str, &[&str])| scope.sources == [*source] && *from == name;
        let (_, _, to) = BUILT_IN.iter().find(fits)?;
        Some(to.iter().map(|&to| to.to_owned()).collect())
    }
}

/// An exec, attach or port-forward over a WebSocket, as `kubectl` has done since 1.30, is a `get`; rules were written for
/// the `create` of before. Where a selection asks for `create` of these, `get` is as good.
fn widen_verb(parts: &mut [Query]) {
    const SUBRESOURCES: [&str; 3] = ["exec", "attach", "portforward"];
    let literal = |test: &Test| match test {
        Test::Text { pattern, .. } => pattern.as_literal().map(str::to_lowercase),
        _ => None,
    };
    let is_asked = |part: &Query| match part {
        Query::Item(item) if item.field.as_deref() == Some("objectRef.subresource") && !item.negated => item
            .values
            .iter()
            .flatten()
            .all(|test| literal(test).is_some_and(|text| SUBRESOURCES.contains(&text.as_str()))),
        _ => false,
    };
    if !parts.iter().any(is_asked) {
        return;
    }
    for part in parts {
        let Query::Item(item) = part else { continue };
        if item.field.as_deref() == Some("verb") && !item.all && !item.negated {
            for spellings in &mut item.values {
                if spellings.iter().any(|test| literal(test).as_deref() == Some("create")) {
                    spellings.push(Test::Text {
                        pattern: super::pattern::Pattern::literal("get"),
                        cased: false,
                    });
                }
            }
        }
    }
}

/// The same question of several fields, whose values are taken together.
fn spread(item: &Item, names: &[String]) -> Query {
    let of_value = |spellings: &Vec<Test>| {
        let ask = |name: &String| {
            Query::Item(Item {
                field: Some(name.clone()),
                all: false,
                values: vec![spellings.clone()],
                ..item.clone()
            })
        };
        let parts: Vec<Query> = names.iter().map(ask).collect();
        // Only what is missing from all of them is missing.
        let missing = matches!(spellings.as_slice(), [Test::Null | Test::Exists(false)]);
        if missing != item.negated {
            Query::All(parts)
        } else {
            Query::Any(parts)
        }
    };
    let [name] = names else {
        let parts: Vec<Query> = item.values.iter().map(of_value).collect();
        return if item.all != item.negated {
            Query::All(parts)
        } else {
            Query::Any(parts)
        };
    };
    Query::Item(Item {
        field: Some(name.clone()),
        ..item.clone()
    })
}

fn entries<'a>(node: &'a Node, what: &str, report: &mut Report<'_>) -> Option<&'a [Entry]> {
    let entries = node.entries();
    if entries.is_none() {
        let message = format!("{what} must be a mapping, not {}", node.kind());
        report.add(code::BAD_SHAPE, node.mark, message);
    }
    entries
}

/// A mapping from names to one or several texts.
fn named_texts(node: &Node, what: &str, report: &mut Report<'_>) -> Vec<(String, Vec<String>)> {
    let mut all = Vec::new();
    for entry in entries(node, &format!("`{what}`"), report).unwrap_or_default() {
        let values: Option<Vec<String>> = entry
            .value
            .one_or_many()
            .iter()
            .map(|node| node.scalar_text().map(str::to_owned))
            .collect();
        match values {
            Some(values) if !values.is_empty() => all.push((entry.key.clone(), values)),
            _ => {
                let message = format!("`{}` takes a text or a list of texts", entry.key);
                report.add(code::BAD_SHAPE, entry.value.mark, message);
            }
        }
    }
    all
}

fn logsource(node: &Node, placeholders: &Placeholders, report: &mut Report<'_>) -> Option<(RuleLogsource, Mapped)> {
    let errors = report.errors();
    let known = ["product", "category", "service", "source", "where"];
    for entry in entries(node, "a log source", report)? {
        if !known.contains(&entry.key.as_str()) {
            let message = format!("a log source has no key `{}`", entry.key);
            report.add_help(
                code::UNKNOWN_KEY,
                entry.mark,
                message,
                format!("it has {}", known.join(", ")),
            );
        }
    }
    let mut part = |key| text(node, key, report).map(|(text, _)| text.to_lowercase());
    let from = RuleLogsource {
        product: part("product"),
        category: part("category"),
        service: part("service"),
        mapped: None,
    };
    if from == RuleLogsource::default() {
        let message = "a log source names a product, category or service";
        report.add(code::MISSING_KEY, node.mark, message);
    }
    let mut sources = Vec::new();
    for name in texts(node, "source", report) {
        match name.parse::<Source>() {
            Ok(source) => sources.push(source),
            Err(problem) => report.add(code::BAD_VALUE, node.mark, problem.to_string()),
        }
    }
    if sources.is_empty() && report.errors() == errors {
        report.add(
            code::MISSING_KEY,
            node.mark,
            "a log source needs the `source` that stands for it",
        );
    }
    let guard = node.entry("where").filter(|entry| entry.value.data != Data::Null);
    let guard = guard.map(|entry| detection::selection(&entry.value, placeholders, report));
    (report.errors() == errors).then(|| {
        (
            from,
            Mapped {
                sources,
                guard: guard.flatten(),
                version: version_of_part(node, placeholders),
            },
        )
    })
}
