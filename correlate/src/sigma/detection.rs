//! The `detection` section: selections → what they ask, and the conditions over them.
//!
//! Specification: Sigma rules 2.1, "Detection". A mapping asks all of its fields, a list any of its members; a text in a
//! list, and a text instead of a mapping, is a keyword, which is looked for in every value of the event.

use regex::RegexBuilder;

use super::backtracking::is_catastrophic;
use super::condition::{self, Condition};
use super::encoding;
use super::modifier::{Comparison, Encoding, Key};
use super::pattern::Pattern;
use super::placeholder::{self, Placeholders};
use super::value::{Expression, Number, Relation, Test};
use super::yaml::{Data, Entry, Node};
use crate::diagnostic::{Mark, Report, code};
use crate::limits::{
    MAX_REGEX_COMPILED_BYTES, MAX_REGEX_DEPTH, MAX_SPELLED_BYTES, MAX_VALUE_BYTES, MAX_VALUES_PER_ITEM,
    MAX_WILDCARD_RUN_CHARS, MAX_WINDASH_VARIANTS,
};

/// The `detection` section.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Detection {
    pub(crate) selections: Vec<Selection>,
    /// The rule matches if any of them holds.
    pub(crate) conditions: Vec<Condition>,
    /// And if each of these does, too.
    pub(crate) filters: Vec<Narrowing>,
}

/// What a filter asks beside a detection, over selections that stand behind those of the detection.
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

/// What is asked of one field.
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

/// The spellings of one value; `None` if it is an error.
fn value(key: &Key<'_>, node: &Node, report: &mut Report<'_>) -> Option<Vec<Test>> {
    let text = node.scalar_text();
    if text.is_some_and(|text| text.len() > MAX_VALUE_BYTES) {
        report.add(
            code::BAD_VALUE,
            node.mark,
            format!("the value is longer than {MAX_VALUE_BYTES} bytes"),
        );
        return None;
    }
    let bad = |report: &mut Report<'_>, wanted: &str| {
        report.add(code::BAD_VALUE, node.mark, format!("{wanted}, not {}", node.kind()));
        None
    };
    let test = match (key.comparison, &node.data) {
        (Comparison::Exists, Data::Bool(flag)) => Test::Exists(*flag),
        (Comparison::Exists, _) => return bad(report, "`exists` takes true or false"),
        (Comparison::Plain(Relation::Equals), Data::Null) if key.field.is_some() && key.encodings.is_empty() => {
            Test::Null
        }
        (_, Data::Null | Data::Seq(_) | Data::Map(_)) => return bad(report, "a text or a number belongs here"),
        (Comparison::Number(order), _) if key.date_part.is_some() => {
            match (key.date_part, text.and_then(|text| text.parse().ok())) {
                (Some(part), Some(than)) if part.range().contains(&than) => Test::Date { part, order, than },
                (Some(part), Some(_)) => {
                    let (least, most) = part.range().into_inner();
                    let message = format!("`{}` is between {least} and {most}", part.name());
                    report.add(code::BAD_VALUE, node.mark, message);
                    return None;
                }
                _ => return bad(report, "a whole number belongs here"),
            }
        }
        (Comparison::Number(order), _) => match (order, text.and_then(Number::parse)) {
            (Some(order), Some(than)) => Test::Compare { order, than },
            (None, Some(number)) => Test::Number(number),
            (_, None) => return bad(report, "a number belongs here"),
        },
        (Comparison::Cidr, _) => match text.map(parse_network) {
            Some(Some(network)) => Test::Cidr(network),
            _ => {
                let message = format!(
                    "`{}` is no network such as 10.0.0.0/8 or fe80::/10",
                    text.unwrap_or_default()
                );
                report.add(code::BAD_VALUE, node.mark, message);
                return None;
            }
        },
        (
            Comparison::Regex {
                insensitive,
                multi_line,
                dot_all,
            },
            _,
        ) => {
            let flags = [(insensitive, 'i'), (multi_line, 'm'), (dot_all, 's')];
            return compile(text?, flags, node.mark, report).map(|test| vec![Test::Regex(test)]);
        }
        (Comparison::Plain(relation), _) if key.field_reference => Test::Field {
            name: text?.to_owned(),
            relation,
            cased: key.cased,
        },
        (Comparison::Plain(Relation::Equals), Data::Number(text))
            if key.field.is_some() && key.encodings.is_empty() =>
        {
            match Number::parse(text) {
                Some(number) => Test::Number(number),
                None => Test::Text {
                    pattern: Pattern::literal(text),
                    cased: key.cased,
                },
            }
        }
        (Comparison::Plain(relation), _) => {
            let relation = if key.field.is_none() {
                Relation::Contains
            } else {
                relation
            };
            return texts(key, text?, relation, node.mark, report);
        }
    };
    Some(vec![test])
}

fn parse_network(text: &str) -> Option<ipnet::IpNet> {
    text.parse()
        .ok()
        .or_else(|| text.parse::<std::net::IpAddr>().ok().map(ipnet::IpNet::from))
}

fn texts(key: &Key<'_>, text: &str, relation: Relation, mark: Mark, report: &mut Report<'_>) -> Option<Vec<Test>> {
    let front = matches!(relation, Relation::EndsWith | Relation::Contains);
    let behind = matches!(relation, Relation::StartsWith | Relation::Contains);
    let test = |pattern: Pattern| Test::Text {
        pattern: pattern.open(front, behind),
        cased: key.cased,
    };
    let mut patterns = vec![Pattern::parse(text)];
    let mut bytes: Option<Vec<u8>> = None;
    for encoding in &key.encodings {
        if *encoding == Encoding::Windash {
            let spelled = patterns
                .iter()
                .map(|p| p.spellings(MAX_WINDASH_VARIANTS, encoding::windash));
            match spelled.collect::<Option<Vec<_>>>() {
                Some(all) => patterns = all.into_iter().flatten().collect(),
                None => {
                    let message =
                        format!("`windash` would make more than {MAX_WINDASH_VARIANTS} spellings of the value");
                    report.add_help(
                        code::TOO_MANY,
                        mark,
                        message,
                        "split it into several values with `contains|all`",
                    );
                    return None;
                }
            }
            continue;
        }
        let [pattern] = patterns.as_slice() else {
            report.add(
                code::MODIFIER_CONFLICT,
                mark,
                "nothing can be encoded after `windash` or `base64offset`",
            );
            return None;
        };
        let Some(literal) = pattern.as_literal() else {
            report.add(code::BAD_VALUE, mark, "a value with wildcards cannot be encoded");
            return None;
        };
        let plain = bytes.take().unwrap_or_else(|| literal.as_bytes().to_vec());
        let as_text = |plain: &[u8]| std::str::from_utf8(plain).map(str::to_owned).unwrap_or_default();
        match encoding {
            Encoding::Windash => {}
            Encoding::Utf16Le => bytes = Some(encoding::utf16(&as_text(&plain), true, false)),
            Encoding::Utf16Be => bytes = Some(encoding::utf16(&as_text(&plain), false, false)),
            Encoding::Utf16 => bytes = Some(encoding::utf16(&as_text(&plain), true, true)),
            Encoding::Base64 => patterns = vec![Pattern::literal(&encoding::base64(&plain))],
            Encoding::Base64Offset => {
                patterns = encoding::base64_offsets(&plain)
                    .iter()
                    .map(|text| Pattern::literal(text))
                    .collect();
            }
        }
    }
    if let Some(bytes) = bytes {
        let Ok(text) = String::from_utf8(bytes) else {
            let message = "this value in UTF-16 is no text that a log could hold";
            report.add_help(
                code::BAD_VALUE,
                mark,
                message,
                "encode it further with `base64` or `base64offset`",
            );
            return None;
        };
        patterns = vec![Pattern::literal(&text)];
    }
    if patterns.iter().any(|p| p.longest_open_run() > MAX_WILDCARD_RUN_CHARS) {
        let message = format!("more than {MAX_WILDCARD_RUN_CHARS} characters with a `?` among them and no `*`");
        report.add(code::BAD_VALUE, mark, message);
        return None;
    }
    let spelled: usize = patterns.iter().map(Pattern::text_bytes).sum();
    if !key.encodings.is_empty() && !report.spell(spelled) {
        let message = format!("the modifiers make more than {MAX_SPELLED_BYTES} bytes of the values of this rule");
        report.add(code::TOO_MANY, mark, message);
        return None;
    }
    Some(patterns.into_iter().map(test).collect())
}

fn compile(source: &str, flags: [(bool, char); 3], mark: Mark, report: &mut Report<'_>) -> Option<Expression> {
    let set: String = flags.iter().filter(|(on, _)| *on).map(|(_, flag)| flag).collect();
    let source = if set.is_empty() {
        source.to_owned()
    } else {
        format!("(?{set}){source}")
    };
    let built = RegexBuilder::new(&source)
        .size_limit(MAX_REGEX_COMPILED_BYTES)
        .dfa_size_limit(MAX_REGEX_COMPILED_BYTES)
        .nest_limit(MAX_REGEX_DEPTH)
        .build();
    match built {
        Ok(regex) => {
            if is_catastrophic(&source) {
                let message = "a repetition within a repetition: engines that backtrack may take forever over it";
                let help = "it is fast here; `(a+)+` finds what `a+` finds";
                report.add_help(code::NESTED_REPETITION, mark, message, help);
            }
            Some(Expression { source, regex })
        }
        Err(regex::Error::CompiledTooBig(_)) => {
            let message = format!("the expression takes more than {MAX_REGEX_COMPILED_BYTES} bytes when compiled");
            report.add_help(
                code::REGEX_TOO_LARGE,
                mark,
                message,
                "use smaller repetition counts, or (?-u) for \\w and \\d",
            );
            None
        }
        Err(error) => {
            let error = error.to_string();
            let reason = error
                .lines()
                .next_back()
                .unwrap_or_default()
                .trim_start_matches("error: ")
                .to_owned();
            let help =
                "look-around and back-references are not part of Sigma's expressions: use a filter selection instead";
            report.add_help(
                code::BAD_REGEX,
                mark,
                format!("the expression does not parse: {reason}"),
                help,
            );
            None
        }
    }
}
