//! A document of a rule file → a rule.

use super::correlation::Correlation;
use super::detection::Detection;
use super::extension::Extension;
use super::filter::Filter;
use super::head::Head;
use super::logsource::RuleLogsource;
use super::placeholder::Placeholders;
use super::version::version_of;
use super::yaml::{self, Node};
use crate::diagnostic::{Mark, Report, code};

/// A rule, as written.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    /// The file it was written in.
    pub(crate) file: String,
    /// Where its document begins.
    pub(crate) mark: Mark,
    pub(crate) head: Head,
    pub(crate) body: Body,
    pub(crate) extension: Extension,
    /// A hash of its meaning, apart from the rules it refers to.
    pub(crate) version: u64,
}

/// What a rule does.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    /// It matches single events.
    Detection {
        /// The logs it is for.
        logsource: RuleLogsource,
        /// What it looks for.
        detection: Detection,
    },
    /// It matches groups of events that other rules matched.
    Correlation(Correlation),
}

/// The keys of Sigma that say nothing about matching, and those that are read elsewhere.
const KNOWN_KEYS: &[&str] = &[
    "title",
    "id",
    "related",
    "name",
    "taxonomy",
    "status",
    "description",
    "license",
    "references",
    "author",
    "date",
    "modified",
    "logsource",
    "detection",
    "correlation",
    "filter",
    "fields",
    "falsepositives",
    "level",
    "tags",
    "scope",
    "generate",
    "simulation",
    "regression_tests_path",
    "casebook",
];

/// What a document is.
#[derive(Debug)]
pub(crate) enum Document {
    Rule(Box<Rule>),
    Filter(Box<Filter>),
}

/// Reads a document that is no mapping. What cannot be used is reported and left out.
pub(crate) fn read(node: &Node, file: &str, placeholders: &Placeholders, report: &mut Report<'_>) -> Option<Document> {
    let errors = report.errors();
    if node.entries().is_some()
        && let Some(entry) = node.entry("filter")
    {
        check_keys(node, report);
        let filter = Filter::parse(node, entry, file, placeholders, report);
        return filter
            .filter(|_| report.errors() == errors)
            .map(|filter| Document::Filter(Box::new(filter)));
    }
    parse_document(node, file, placeholders, report).map(|rule| Document::Rule(Box::new(rule)))
}

fn parse_document(node: &Node, file: &str, placeholders: &Placeholders, report: &mut Report<'_>) -> Option<Rule> {
    let errors = report.errors();
    if node.entries().is_none() {
        if node.data != yaml::Data::Null {
            report.add(
                code::NOT_A_RULE,
                node.mark,
                format!("a rule is a mapping, not {}", node.kind()),
            );
        }
        return None;
    }
    check_keys(node, report);
    let extension = Extension::parse(node.entry("casebook"), node.entry("correlation").is_some(), report);
    let head = Head::parse(node, report);
    let body = body(node, placeholders, report);
    match (head, body) {
        (Some(head), Some(body)) if report.errors() == errors => Some(Rule {
            file: file.to_owned(),
            mark: node.mark,
            head,
            body,
            extension,
            version: version_of(node, placeholders),
        }),
        _ => None,
    }
}

fn check_keys(node: &Node, report: &mut Report<'_>) {
    for entry in node.entries().unwrap_or_default() {
        if !KNOWN_KEYS.contains(&entry.key.as_str()) && entry.key != "action" {
            let near = KNOWN_KEYS.iter().find(|known| is_near(known, &entry.key));
            let message = format!("Sigma has no key `{}`", entry.key);
            match near {
                Some(near) => report.add_help(
                    code::UNKNOWN_KEY,
                    entry.mark,
                    message,
                    format!("did you mean `{near}`?"),
                ),
                None => report.add(code::UNKNOWN_KEY, entry.mark, message),
            }
        }
    }
}

fn body(node: &Node, placeholders: &Placeholders, report: &mut Report<'_>) -> Option<Body> {
    if let Some(entry) = node.entry("action") {
        let message = "rule collections (`action:`) are those of old Sigma versions";
        report.add_help(
            code::UNSUPPORTED,
            entry.mark,
            message,
            "write each rule as a document of its own",
        );
        return None;
    }
    match (node.entry("detection"), node.entry("correlation")) {
        (Some(entry), None) => {
            let detection = Detection::parse(entry, placeholders, report);
            let Some(logsource) = node.entry("logsource") else {
                report.add(code::MISSING_KEY, node.mark, "a detection rule needs a `logsource`");
                return None;
            };
            let logsource = RuleLogsource::parse(logsource, report)?;
            Some(Body::Detection {
                logsource,
                detection: detection?,
            })
        }
        (None, Some(entry)) => {
            Correlation::parse(entry, node.entry("generate"), node.entry("casebook"), report).map(Body::Correlation)
        }
        (Some(_), Some(entry)) => {
            let message = "a document is either a detection or a correlation rule, not both";
            report.add_help(
                code::NOT_A_RULE,
                entry.mark,
                message,
                "separate the two by a line with `---`",
            );
            None
        }
        (None, None) => {
            report.add(
                code::NOT_A_RULE,
                node.mark,
                "the document has neither `detection` nor `correlation`",
            );
            None
        }
    }
}

/// Whether two keys differ by at most two insertions, removals or replacements.
pub(crate) fn is_near(a: &str, b: &str) -> bool {
    const MAX_EDITS: usize = 2;
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().take(64).collect());
    // Of a shorter word, two edits leave nothing.
    if a.len().abs_diff(b.len()) > MAX_EDITS || a.len().min(b.len()) <= MAX_EDITS {
        return false;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()] <= MAX_EDITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspellings_are_near() {
        assert!(is_near("detection", "detecton"));
        assert!(is_near("falsepositives", "falsepositive"));
        assert!(!is_near("level", "author"));
    }
}
