//! The `detection` section: selections → what they ask, and the conditions over them.
//!
//! Specification: Sigma rules 2.1, "Detection". A mapping asks all of its fields, a list any of its members; a text in a
//! list, and a text instead of a mapping, is a keyword, which is looked for in every value of the event.

use super::condition::{self, Condition};
use super::item_value::value;
use super::modifier::Key;
use super::placeholder::{self, Placeholders};
use super::value::Test;
use super::yaml::{Data, Entry, Node};
use crate::diagnostic::{Mark, Report, code};
use crate::limits::MAX_VALUES_PER_ITEM;

/// The `detection` section.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Detection {
    pub(crate) selections: Vec<Selection>,
    /// The rule matches if any of them holds.
    pub(crate) conditions: Vec<Condition>,
    /// And if each of these does, too.
    pub(crate) filters: Vec<Narrowing>,
}

/// What a filter requires beside a detection, over selections that stand after those of the detection.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Narrowing {
    pub(crate) title: String,
    /// It holds if any of them does.
    pub(crate) conditions: Vec<Condition>,
}

/// A named part of the detection.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Selection {
    pub(crate) name: String,
    pub(crate) mark: Mark,
    pub(crate) query: Query,
}

/// What a selection asks of an event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Query {
    All(Vec<Query>),
    Any(Vec<Query>),
    Item(Item),
}

/// The question about one field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Item {
    /// Where it is asked.
    pub(crate) mark: Mark,
    /// The field; `None` for keywords.
    pub(crate) field: Option<String>,
    /// Every value must match, rather than any.
    pub(crate) all: bool,
    /// The answer is turned around.
    pub(crate) negated: bool,
    /// The rule's values. Each is a list of spellings, of which any may match.
    pub(crate) values: Vec<Vec<Test>>,
}

impl Detection {
    /// Reads the section; `None` if something in it is an error.
    pub(crate) fn parse(entry: &Entry, placeholders: &Placeholders, report: &mut Report<'_>) -> Option<Self> {
        let errors = report.errors();
        let Some(entries) = entry.value.entries() else {
            let message = format!(
                "`detection` must be a mapping of selections, not {}",
                entry.value.kind()
            );
            report.add(code::BAD_SHAPE, entry.value.mark, message);
            return None;
        };
        let mut selections = Vec::new();
        let mut condition_node = None;
        for entry in entries {
            match entry.key.as_str() {
                "condition" => condition_node = Some(&entry.value),
                "timeframe" => report.add_help(
                    code::UNSUPPORTED,
                    entry.mark,
                    "`timeframe` is the aggregation of old Sigma versions",
                    "write a correlation rule of type `event_count` with `timespan`",
                ),
                _ => {
                    if let Some(query) = selection(&entry.value, placeholders, report) {
                        selections.push(Selection {
                            name: entry.key.clone(),
                            mark: entry.mark,
                            query,
                        });
                    }
                }
            }
        }
        let Some(condition_node) = condition_node else {
            report.add(code::MISSING_KEY, entry.mark, "`detection` has no `condition`");
            return None;
        };
        // A selection that is broken would only bring another error about its absence.
        if report.errors() > errors {
            return None;
        }
        let names: Vec<&str> = selections.iter().map(|selection| selection.name.as_str()).collect();
        let mut conditions = Vec::new();
        for node in condition_node.one_or_many() {
            match &node.data {
                Data::Str(text) => conditions.extend(condition::parse(text, &names, node.mark, report)),
                _ => report.add(
                    code::BAD_SHAPE,
                    node.mark,
                    format!("a condition must be a text, not {}", node.kind()),
                ),
            }
        }
        if conditions.is_empty() && report.errors() == errors {
            report.add(
                code::BAD_CONDITION,
                condition_node.mark,
                "there is no condition in the list",
            );
        }
        let filters = Vec::new();
        (report.errors() == errors).then_some(Self {
            selections,
            conditions,
            filters,
        })
    }

    /// Adds the detection of a filter: it must hold, too.
    pub(crate) fn narrow(&mut self, title: &str, filter: &Detection) {
        let first = self.selections.len();
        self.selections.extend(filter.selections.iter().cloned());
        self.filters.push(Narrowing {
            title: title.to_owned(),
            conditions: filter.conditions.iter().map(|one| one.shifted(first)).collect(),
        });
    }
}

/// What a selection asks; `None` if something in it is an error.
pub(crate) fn selection(node: &Node, placeholders: &Placeholders, report: &mut Report<'_>) -> Option<Query> {
    match &node.data {
        Data::Map(entries) if entries.is_empty() => {
            report.add(code::BAD_SHAPE, node.mark, "an empty mapping asks nothing");
            None
        }
        Data::Seq(items) if items.is_empty() => {
            report.add(code::BAD_SHAPE, node.mark, "an empty list asks nothing");
            None
        }
        Data::Map(entries) => {
            let items: Vec<_> = entries.iter().map(|entry| item(entry, placeholders, report)).collect();
            items.into_iter().collect::<Option<Vec<_>>>().map(Query::All)
        }
        Data::Seq(items) if items.iter().all(|item| item.scalar_text().is_some()) => {
            keywords(items, node.mark, placeholders, report)
        }
        Data::Seq(items) => {
            let members: Vec<_> = items.iter().map(|item| selection(item, placeholders, report)).collect();
            members.into_iter().collect::<Option<Vec<_>>>().map(Query::Any)
        }
        Data::Null => {
            report.add(code::BAD_SHAPE, node.mark, "the selection is empty");
            None
        }
        _ => keywords(std::slice::from_ref(node), node.mark, placeholders, report),
    }
}

fn keywords(values: &[Node], mark: Mark, placeholders: &Placeholders, report: &mut Report<'_>) -> Option<Query> {
    let key = Key::parse("", mark, report)?;
    read_item(&key, values, mark, placeholders, report)
}

fn item(entry: &Entry, placeholders: &Placeholders, report: &mut Report<'_>) -> Option<Query> {
    let key = Key::parse(&entry.key, entry.mark, report)?;
    let values = entry.value.one_or_many();
    if values.is_empty() {
        report.add(
            code::BAD_VALUE,
            entry.value.mark,
            format!("`{}` has an empty list of values", entry.key),
        );
        return None;
    }
    if key.all && values.len() == 1 {
        report.add(code::ALL_OF_ONE, entry.mark, "`all` on a single value does nothing");
    }
    read_item(&key, values, entry.mark, placeholders, report)
}

fn read_item(
    key: &Key<'_>,
    nodes: &[Node],
    mark: Mark,
    placeholders: &Placeholders,
    report: &mut Report<'_>,
) -> Option<Query> {
    let expanded;
    let nodes = if key.expand {
        expanded = placeholder::expand(nodes, placeholders, report)?;
        &expanded
    } else {
        nodes
    };
    if nodes.len() > MAX_VALUES_PER_ITEM {
        let message = format!(
            "{} values for one field; at most {MAX_VALUES_PER_ITEM} are allowed",
            nodes.len()
        );
        report.add(code::TOO_MANY, mark, message);
        return None;
    }
    if let Some(null) = nodes.iter().find(|node| nodes.len() > 1 && node.data == Data::Null) {
        let message = "`null` among other values: Sigma wants a selection of its own for it";
        report.add_help(
            code::NULL_IN_LIST,
            null.mark,
            message,
            "it is taken as one more value that may match",
        );
    }
    let values: Vec<_> = nodes.iter().map(|node| value(key, node, report)).collect();
    let values = values.into_iter().collect::<Option<Vec<_>>>()?;
    let field = key.field.map(str::to_owned);
    Some(Query::Item(Item {
        mark,
        field,
        all: key.all,
        negated: key.negated,
        values,
    }))
}
