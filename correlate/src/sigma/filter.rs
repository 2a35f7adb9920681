//! Documents with `filter:`, which narrow rules of others without touching them.
//!
//! Specification: Sigma filters 2.1. The filter's condition must hold beside the rule's own: what is to be left out is
//! after a `not`. The specification's examples lack the `not`, and its schema takes both; pySigma joins the two conditions
//! with `and`, as here, and for it `all` is another word for `any`.

use super::correlation::Reference;
use super::detection::Detection;
use super::head::text;
use super::logsource::RuleLogsource;
use super::placeholder::Placeholders;
use super::version::version_of_part;
use super::yaml::{Data, Entry, Node};
use crate::diagnostic::{Mark, Report, code};

/// A filter.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    pub(crate) file: String,
    pub(crate) mark: Mark,
    pub(crate) title: String,
    pub(crate) logsource: RuleLogsource,
    /// The rules that it narrows; `None` for all of its logsource.
    pub(crate) rules: Option<Vec<Reference>>,
    pub(crate) detection: Detection,
    /// A hash of what it asks. Which rules it narrows is not in it: one more is nothing to the others.
    pub(crate) version: u64,
}

impl Filter {
    /// Reads a document; `None` if something in it is an error.
    pub(crate) fn parse(
        node: &Node,
        entry: &Entry,
        file: &str,
        placeholders: &Placeholders,
        report: &mut Report<'_>,
    ) -> Option<Self> {
        let errors = report.errors();
        let title = text(node, "title", report);
        if title.is_none() && report.errors() == errors {
            report.add(code::MISSING_KEY, node.mark, "the filter has no `title`");
        }
        let logsource = match node.entry("logsource") {
            Some(logsource) => RuleLogsource::parse(logsource, report),
            None => {
                report.add(code::MISSING_KEY, node.mark, "a filter needs a `logsource`");
                None
            }
        };
        let Some(entries) = entry.value.entries() else {
            let message = format!("`filter` must be a mapping, not {}", entry.value.kind());
            report.add(code::BAD_SHAPE, entry.value.mark, message);
            return None;
        };
        let rules = match entries.iter().find(|entry| entry.key == "rules") {
            None => {
                let help = "list ids or names, or write `any`";
                report.add_help(
                    code::MISSING_KEY,
                    entry.mark,
                    "the filter does not say which `rules` it narrows",
                    help,
                );
                None
            }
            Some(entry) => rules(entry, report),
        };
        // The rest is a detection.
        let rest = Entry {
            key: entry.key.clone(),
            mark: entry.mark,
            value: Node {
                mark: entry.value.mark,
                data: Data::Map(entries.iter().filter(|entry| entry.key != "rules").cloned().collect()),
            },
        };
        let detection = Detection::parse(&rest, placeholders, report);
        if report.errors() > errors {
            return None;
        }
        let detection = detection?;
        if !detection.conditions.iter().any(|condition| condition.negates()) {
            let message = "the filter keeps only what its selection matches";
            let help = "to leave that out, write `condition: not selection`";
            report.add_help(code::INVERTED_FILTER, entry.mark, message, help);
        }
        Some(Self {
            file: file.to_owned(),
            mark: node.mark,
            title: title?.0,
            logsource: logsource?,
            rules: rules?,
            detection,
            version: version_of_part(&rest.value, placeholders),
        })
    }
}

/// `Some(None)` for any; `None` if it is an error.
fn rules(entry: &Entry, report: &mut Report<'_>) -> Option<Option<Vec<Reference>>> {
    let nodes = entry.value.one_or_many();
    if let [only] = nodes
        && let Some(text) = only.scalar_text()
        && ["any", "all"].iter().any(|all| text.eq_ignore_ascii_case(all))
    {
        return Some(None);
    }
    let references: Option<Vec<Reference>> = nodes
        .iter()
        .map(|node| {
            Some(Reference {
                rule: node.scalar_text()?.trim().to_owned(),
                mark: node.mark,
            })
        })
        .collect();
    match references {
        Some(references) if !references.is_empty() => Some(Some(references)),
        _ => {
            report.add(
                code::BAD_SHAPE,
                entry.value.mark,
                "`rules` lists ids or names of rules, or is `any`",
            );
            None
        }
    }
}
