//! What a rule says about itself: title, id, level, tags and the like.

use casebook_event::{Level, MAX_RULE_ID_BYTES, fits};
use compact_str::CompactString;

use super::yaml::{Data, Node};
use crate::diagnostic::{Mark, Report, code};

/// What a rule says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) title: String,
    pub(crate) id: Option<(String, Mark)>,
    pub(crate) name: Option<(String, Mark)>,
    pub(crate) status: Option<String>,
    pub(crate) level: Option<Level>,
    pub(crate) description: Option<String>,
    pub(crate) author: Option<String>,
    pub(crate) date: Option<String>,
    pub(crate) references: Vec<String>,
    pub(crate) tags: Vec<CompactString>,
    pub(crate) false_positives: Vec<String>,
    pub(crate) fields: Vec<String>,
}

/// The statuses of a rule (Sigma rules specification, "Status").
pub const STATUSES: &[&str] = &["stable", "test", "experimental", "deprecated", "unsupported"];

impl Head {
    /// Reads the keys; `None` if one is an error.
    pub(crate) fn parse(node: &Node, report: &mut Report<'_>) -> Option<Self> {
        let errors = report.errors();
        let Some((title, _)) = text(node, "title", report) else {
            if report.errors() == errors {
                report.add(code::MISSING_KEY, node.mark, "the rule has no `title`");
            }
            return None;
        };
        let level = text(node, "level", report).and_then(|(level, mark)| match level.parse() {
            Ok(level) => Some(level),
            Err(problem) => {
                report.add(code::BAD_VALUE, mark, problem);
                None
            }
        });
        let status = text(node, "status", report);
        if let Some((status, mark)) = status
            .as_ref()
            .filter(|(status, _)| !STATUSES.contains(&status.as_str()))
        {
            let message = format!("Sigma has no status `{status}`");
            report.add_help(
                code::BAD_STATUS,
                *mark,
                message,
                format!("the statuses are {}", STATUSES.join(", ")),
            );
        }
        let head = Self {
            title,
            id: text(node, "id", report),
            name: text(node, "name", report),
            status: status.map(|(status, _)| status),
            level,
            description: text(node, "description", report).map(|(text, _)| text),
            author: text(node, "author", report).map(|(text, _)| text),
            date: text(node, "date", report).map(|(text, _)| text),
            references: texts(node, "references", report),
            tags: texts(node, "tags", report)
                .into_iter()
                .map(CompactString::from)
                .collect(),
            false_positives: texts(node, "falsepositives", report),
            fields: texts(node, "fields", report),
        };
        for (id, mark) in head.id.iter().chain(&head.name) {
            if !fits(id, MAX_RULE_ID_BYTES) {
                let message = format!("an id or name has at most {MAX_RULE_ID_BYTES} bytes");
                report.add(code::BAD_VALUE, *mark, message);
            }
        }
        (report.errors() == errors).then_some(head)
    }
}

/// The text of a key, which must not be empty; absent and `null` are the same.
pub(crate) fn text(node: &Node, key: &str, report: &mut Report<'_>) -> Option<(String, Mark)> {
    let entry = node.entry(key)?;
    if entry.value.data == Data::Null {
        return None;
    }
    match entry.value.scalar_text() {
        Some(text) if !text.trim().is_empty() => Some((text.trim().to_owned(), entry.value.mark)),
        _ => {
            report.add(
                code::BAD_SHAPE,
                entry.value.mark,
                format!("`{key}` must be a text, not {}", entry.value.kind()),
            );
            None
        }
    }
}

/// The texts of a key that takes one or a list.
pub(crate) fn texts(node: &Node, key: &str, report: &mut Report<'_>) -> Vec<String> {
    let Some(entry) = node.entry(key).filter(|entry| entry.value.data != Data::Null) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for item in entry.value.one_or_many() {
        match item.scalar_text() {
            Some(text) => all.push(text.to_owned()),
            None => report.add(
                code::BAD_SHAPE,
                item.mark,
                format!("`{key}` takes texts, not {}", item.kind()),
            ),
        }
    }
    all
}
