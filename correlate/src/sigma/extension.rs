//! Casebook's extension of a rule, under `casebook:`: its tests, and what to do about its alerts.
//!
//! A test is data here: running it takes the decoders, which this crate does not know.

use std::collections::BTreeMap;

use casebook_event::Source;

use super::correlation::EXTENSION_KEYS;
use super::head::texts;
use super::yaml::{Data, Entry, Node};
use crate::diagnostic::{Mark, Report, code};
use crate::limits::{MAX_EVENTS_PER_TEST, MAX_TESTS_PER_RULE};

/// What a rule says under `casebook:`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Extension {
    pub(crate) tests: Vec<RuleTest>,
    /// What to do about an alert, step by step.
    pub(crate) response: Vec<String>,
}

/// A test of a rule: events in, number of alerts out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleTest {
    /// What the test is about.
    pub name: String,
    /// The line it begins in, from 1.
    pub line: u32,
    /// The events, in the order of arrival.
    pub events: Vec<TestEvent>,
    /// How many final alerts of this rule they make.
    pub expect: usize,
    /// Values that the group of one of those alerts must have, by `group-by` name.
    pub group: Option<BTreeMap<String, String>>,
}

/// A record of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestEvent {
    /// What kind of log it is.
    pub source: Source,
    /// What it holds.
    pub payload: TestPayload,
}

/// What a test gives to the decoders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TestPayload {
    /// A record: JSON where the test gives `event`, the text where it gives `raw`.
    Text(String),
    /// A file of records, relative to the rule's own: never absolute, and without `..`.
    File(String),
}

impl Extension {
    /// Reads the section. An error in it makes the rule unusable, so what is returned then does not matter.
    ///
    /// What belongs to a correlation is read with it.
    pub(crate) fn parse(entry: Option<&Entry>, of_correlation: bool, report: &mut Report<'_>) -> Self {
        let mut extension = Self::default();
        let Some(entry) = entry else { return extension };
        let node = &entry.value;
        let Some(entries) = node.entries() else {
            report.add(
                code::BAD_SHAPE,
                entry.value.mark,
                format!("`casebook` must be a mapping, not {}", entry.value.kind()),
            );
            return extension;
        };
        for entry in entries {
            match entry.key.as_str() {
                "tests" => extension.tests = tests(&entry.value, report),
                "response" => extension.response = texts(node, "response", report),
                key if EXTENSION_KEYS.contains(&key) && of_correlation => {}
                key if EXTENSION_KEYS.contains(&key) => {
                    let message = format!("`{key}` is part of a correlation, and this is none");
                    report.add(code::UNKNOWN_EXTENSION_KEY, entry.mark, message);
                }
                other => {
                    let message = format!("`casebook` has no key `{other}`");
                    let help = format!(
                        "it has tests, response, and of a correlation {}",
                        EXTENSION_KEYS.join(", ")
                    );
                    report.add_help(code::UNKNOWN_EXTENSION_KEY, entry.mark, message, help);
                }
            }
        }
        extension
    }
}

fn tests(node: &Node, report: &mut Report<'_>) -> Vec<RuleTest> {
    let Data::Seq(items) = &node.data else {
        report.add(
            code::BAD_SHAPE,
            node.mark,
            format!("`tests` must be a list, not {}", node.kind()),
        );
        return Vec::new();
    };
    if items.len() > MAX_TESTS_PER_RULE {
        report.add(
            code::TOO_MANY,
            node.mark,
            format!("{} tests; at most {MAX_TESTS_PER_RULE} are run", items.len()),
        );
        return Vec::new();
    }
    items.iter().filter_map(|item| test(item, report)).collect()
}

fn test(node: &Node, report: &mut Report<'_>) -> Option<RuleTest> {
    let keys = ["name", "events", "expect", "group"];
    check_keys(node, &keys, "a test", report)?;
    let name = node.entry("name").and_then(|entry| entry.value.scalar_text());
    let Some(name) = name else {
        return bad(report, node.mark, "a test needs a `name`");
    };
    let expect = node
        .entry("expect")
        .and_then(|entry| entry.value.scalar_text())
        .and_then(|text| text.parse().ok());
    let Some(expect) = expect else {
        return bad(
            report,
            node.mark,
            "a test needs `expect`: the number of final alerts of this rule",
        );
    };
    let items = match node.entry("events").map(|entry| &entry.value.data) {
        Some(Data::Seq(items)) => items,
        _ => return bad(report, node.mark, "a test needs `events`: a list"),
    };
    if items.len() > MAX_EVENTS_PER_TEST {
        let message = format!("{} events; at most {MAX_EVENTS_PER_TEST} are run", items.len());
        report.add(code::TOO_MANY, node.mark, message);
        return None;
    }
    let events = items
        .iter()
        .map(|item| event(item, report))
        .collect::<Option<Vec<_>>>()?;
    let group = match node.entry("group") {
        None => None,
        Some(entry) => {
            let text = |entry: &Entry| Some((entry.key.clone(), entry.value.scalar_text()?.to_owned()));
            match entry
                .value
                .entries()
                .and_then(|entries| entries.iter().map(text).collect::<Option<BTreeMap<_, _>>>())
            {
                Some(group) => Some(group),
                None => return bad(report, entry.mark, "`group` maps names of `group-by` to texts"),
            }
        }
    };
    Some(RuleTest {
        name: name.to_owned(),
        line: node.mark.line,
        events,
        expect,
        group,
    })
}

fn event(node: &Node, report: &mut Report<'_>) -> Option<TestEvent> {
    check_keys(node, &["source", "event", "raw", "file"], "an event of a test", report)?;
    let source = match node
        .entry("source")
        .and_then(|entry| entry.value.scalar_text())
        .map(str::parse::<Source>)
    {
        Some(Ok(source)) => source,
        Some(Err(problem)) => return bad(report, node.mark, &problem.to_string()),
        None => return bad(report, node.mark, "an event of a test needs its `source`"),
    };
    let payload = match (node.entry("event"), node.entry("raw"), node.entry("file")) {
        (Some(entry), None, None) if entry.value.entries().is_some() => {
            TestPayload::Text(entry.value.to_json().to_string())
        }
        (None, Some(entry), None) if entry.value.scalar_text().is_some() => {
            TestPayload::Text(entry.value.scalar_text()?.to_owned())
        }
        (None, None, Some(entry)) if entry.value.scalar_text().is_some() => {
            let name = entry.value.scalar_text()?;
            let inside = |part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir);
            if !std::path::Path::new(name).components().all(inside) {
                return bad(report, entry.mark, "`file` is a path below the rule's own directory");
            }
            TestPayload::File(name.to_owned())
        }
        _ => {
            return bad(
                report,
                node.mark,
                "an event of a test has one of `event`, a mapping, `raw`, a text, and `file`, a path",
            );
        }
    };
    Some(TestEvent { source, payload })
}

fn bad<T>(report: &mut Report<'_>, mark: Mark, problem: &str) -> Option<T> {
    report.add(code::BAD_TEST, mark, problem);
    None
}

fn check_keys(node: &Node, known: &[&str], what: &str, report: &mut Report<'_>) -> Option<()> {
    let Some(entries) = node.entries() else {
        return bad(
            report,
            node.mark,
            &format!("{what} must be a mapping, not {}", node.kind()),
        );
    };
    let unknown = entries.iter().find(|entry| !known.contains(&entry.key.as_str()));
    match unknown {
        None => Some(()),
        Some(entry) => {
            let message = format!("{what} has no key `{}`", entry.key);
            report.add_help(
                code::UNKNOWN_EXTENSION_KEY,
                entry.mark,
                message,
                format!("it has {}", known.join(", ")),
            );
            None
        }
    }
}
