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

/// What all mapping documents of a set say together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mapping {
    pub(crate) placeholders: Placeholders,
    /// For a field as rules name it, the fields in which it is found: any of them.
    fields: BTreeMap<String, Vec<String>>,
    logsources: Vec<(RuleLogsource, Mapped)>,
    /// A hash of all of it.
    pub(crate) version: u64,
}

/// What SigmaHQ's rules call some fields of single sources.
const BUILT_IN: &[(Source, &str, &[&str])] = &[
    (Source::KubernetesAudit, "apiGroup", &["objectRef.apiGroup"]),
    (
        Source::KubernetesAudit,
        "hostPath",
        &["requestObject.spec.volumes.hostPath"],
    ),
    (
        Source::KubernetesAudit,
        "capabilities",
        &[
            "requestObject.spec.containers.securityContext.capabilities.add",
            "requestObject.spec.initContainers.securityContext.capabilities.add",
            "requestObject.spec.ephemeralContainers.securityContext.capabilities.add",
        ],
    ),
    (Source::Auth, "USER", &["user.effective.name"]),
];

impl Mapping {
    /// Adds what a document says. What is wrong with it is reported and left out.
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
        self.version = version_of_part(self.version, &entry.value);
        for entry in entries {
            match entry.key.as_str() {
                "placeholders" => {
                    for (name, values) in named_texts(&entry.value, "placeholders", report) {
                        self.placeholders.entry(name).or_default().extend(values);
                    }
                }
                "fields" => self.fields.extend(named_texts(&entry.value, "fields", report)),
                "logsources" => {
                    let read = |node| logsource(node, report);
                    self.logsources
                        .extend(entry.value.one_or_many().iter().filter_map(read));
                }
                other => {
                    let help = "it has placeholders, fields, logsources";
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

    /// Gives a logsource that no source has the source that stands for it.
    pub(crate) fn route(&self, logsource: &mut RuleLogsource) {
        if logsource.sources().next().is_none() {
            let mapped = self.logsources.iter().find(|(asked, _)| logsource.is_within(asked));
            logsource.mapped = mapped.map(|(_, mapped)| mapped.clone());
        }
    }

    /// Renames the fields of a rule that reads these sources.
    pub(crate) fn rename(&self, query: &mut Query, sources: &[Source]) {
        match query {
            Query::All(parts) => {
                if sources == [Source::KubernetesAudit] {
                    widen_verb(parts);
                }
                parts.iter_mut().for_each(|part| self.rename(part, sources));
            }
            Query::Any(parts) => parts.iter_mut().for_each(|part| self.rename(part, sources)),
            Query::Item(item) => {
                if let Some(names) = item.field.as_deref().and_then(|name| self.names(name, sources)) {
                    *query = spread(item, &names);
                }
            }
        }
    }

    fn names(&self, name: &str, sources: &[Source]) -> Option<Vec<String>> {
        let built_in = || {
            let fits = |(source, from, _): &&(Source, &str, &[&str])| sources == [*source] && *from == name;
            let (_, _, to) = BUILT_IN.iter().find(fits)?;
            Some(to.iter().map(|&to| to.to_owned()).collect())
        };
        self.fields.get(name).cloned().or_else(built_in)
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

fn logsource(node: &Node, report: &mut Report<'_>) -> Option<(RuleLogsource, Mapped)> {
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
    let asked = RuleLogsource {
        product: part("product"),
        category: part("category"),
        service: part("service"),
        mapped: None,
    };
    if asked == RuleLogsource::default() {
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
    let guard = guard.map(|entry| detection::selection(&entry.value, &Placeholders::new(), report));
    (report.errors() == errors).then(|| {
        (
            asked,
            Mapped {
                sources,
                guard: guard.flatten(),
            },
        )
    })
}
