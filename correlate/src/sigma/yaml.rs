//! YAML 1.2 (core schema) → a tree of nodes that know where they were written.
//!
//! Built on the parser's events rather than on a ready-made tree, because a rule file is untrusted: duplicate keys are
//! errors (a tree keeps one of the two without a word), aliases count for what they expand to, and depth is bounded.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError};

use crate::diagnostic::{Mark, Report, code};
use crate::limits::{MAX_RULE_FILE_BYTES, MAX_YAML_DEPTH, MAX_YAML_KEYS, MAX_YAML_NODES, MAX_YAML_TEXT_BYTES};

/// A YAML value and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) mark: Mark,
    pub(crate) data: Data,
}

/// A YAML value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Data {
    Null,
    Bool(bool),
    /// A number, as it was spelled.
    Number(String),
    Str(String),
    Seq(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key of a mapping, as text, with its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) mark: Mark,
    pub(crate) value: Node,
}

impl Node {
    /// The kind of value, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.data {
            Data::Null => "null",
            Data::Bool(_) => "a boolean",
            Data::Number(_) => "a number",
            Data::Str(_) => "a text",
            Data::Seq(_) => "a list",
            Data::Map(_) => "a mapping",
        }
    }

    /// The text of a scalar other than null: a number or a boolean as it was spelled.
    pub(crate) fn scalar_text(&self) -> Option<&str> {
        match &self.data {
            Data::Bool(true) => Some("true"),
            Data::Bool(false) => Some("false"),
            Data::Number(text) | Data::Str(text) => Some(text),
            Data::Null | Data::Seq(_) | Data::Map(_) => None,
        }
    }

    /// The entries of a mapping.
    pub(crate) fn entries(&self) -> Option<&[Entry]> {
        match &self.data {
            Data::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The entry named `key` of a mapping.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries()?.iter().find(|entry| entry.key == key)
    }

    /// The nodes of a list; any other node is a list of itself.
    pub(crate) fn one_or_many(&self) -> &[Node] {
        match &self.data {
            Data::Seq(items) => items,
            _ => std::slice::from_ref(self),
        }
    }

    /// The node as JSON. Numbers that JSON cannot spell become texts.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match &self.data {
            Data::Null => serde_json::Value::Null,
            Data::Bool(flag) => (*flag).into(),
            Data::Number(text) => match (parse_int(text), text.parse::<u64>(), text.parse::<f64>()) {
                (Some(n), ..) => n.into(),
                (None, Ok(n), _) => n.into(),
                (None, Err(_), Ok(n)) => n.into(),
                _ => text.as_str().into(),
            },
            Data::Str(text) => text.as_str().into(),
            Data::Seq(items) => items.iter().map(Node::to_json).collect(),
            Data::Map(entries) => entries.iter().map(|e| (e.key.clone(), e.value.to_json())).collect(),
        }
    }
}

/// A whole number in one of YAML's spellings: `-5`, `+5`, `0x1F`, `0o17`.
pub(crate) fn parse_int(text: &str) -> Option<i64> {
    match (text.strip_prefix("0x"), text.strip_prefix("0o")) {
        (Some(hex), _) => i64::from_str_radix(hex, 16).ok(),
        (_, Some(octal)) => i64::from_str_radix(octal, 8).ok(),
        _ => text.parse().ok(),
    }
}

fn resolve_plain(text: &str) -> Data {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Data::Null,
        "true" | "True" | "TRUE" => return Data::Bool(true),
        "false" | "False" | "FALSE" => return Data::Bool(false),
        _ => {}
    }
    let digits = text.trim_start_matches(['-', '+']);
    let number = digits.len() + 1 >= text.len()
        && digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && (parse_int(text).is_some()
            || (digits.contains(|c: char| c.is_ascii_digit()) && text.parse::<f64>().is_ok()));
    if number {
        Data::Number(text.to_owned())
    } else {
        Data::Str(text.to_owned())
    }
}

/// Reads the documents of a file. After an error, the documents before it are still returned.
pub(crate) fn parse(text: &str, report: &mut Report<'_>) -> Vec<Node> {
    let mut builder = Builder::default();
    if text.len() > MAX_RULE_FILE_BYTES {
        let message = format!(
            "the file has {} bytes; at most {MAX_RULE_FILE_BYTES} are read",
            text.len()
        );
        report.add_help(code::YAML_LIMIT, Mark::START, message, "split it into several files");
        return builder.documents;
    }
    let end = end_of(text);
    let mut parser = Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    while let Some(step) = parser.next_event() {
        match step {
            Ok((event, span)) => {
                let mark = mark(&span.start).min(end);
                if let Err(problem) = builder.on_event(event, mark, report) {
                    report.add(code::YAML_LIMIT, mark, problem);
                    break;
                }
            }
            Err(error) => {
                report.add(code::YAML_SYNTAX, mark(error.marker()).min(end), describe(&error));
                break;
            }
        }
    }
    builder.documents
}

fn describe(error: &ScanError) -> String {
    format!("not valid YAML: {}", error.info())
}

fn mark(marker: &saphyr_parser::Marker) -> Mark {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Mark {
        line: number(marker.line()).max(1),
        column: number(marker.col()).saturating_add(1),
    }
}

/// The place after the last character: the parser finds what is missing there, or even after it.
fn end_of(text: &str) -> Mark {
    // For YAML a carriage return alone ends a line, too.
    let breaks = text.matches(['\n', '\r']).count() - text.matches("\r\n").count();
    let last = text.rsplit(['\n', '\r']).next().unwrap_or_default();
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Mark {
        line: number(breaks + 1),
        column: number(last.chars().count() + 1),
    }
}

/// A collection whose end has not come yet.
struct Open {
    node: Node,
    anchor: usize,
    /// The key that waits for its value, in a mapping.
    key: Option<(String, Mark)>,
}

#[derive(Default)]
struct Builder {
    documents: Vec<Node>,
    open: Vec<Open>,
    root: Option<Node>,
    /// What each anchor stands for, with its nodes and the bytes of their texts.
    anchors: HashMap<usize, (Node, Size)>,
    /// What was made so far, aliases expanded.
    made: Size,
}

impl Builder {
    fn on_event(&mut self, event: Event<'_>, mark: Mark, report: &mut Report<'_>) -> Result<(), String> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) => {}
            Event::DocumentEnd => {
                self.anchors.clear();
                self.documents.extend(self.root.take());
            }
            Event::SequenceStart(anchor, _) => self.open(Data::Seq(Vec::new()), mark, anchor)?,
            Event::MappingStart(anchor, _) => self.open(Data::Map(Vec::new()), mark, anchor)?,
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    self.close(open.node, open.anchor, report)?;
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.count(Size {
                    nodes: 1,
                    bytes: text.len(),
                })?;
                let is_text =
                    style != ScalarStyle::Plain || tag.is_some_and(|t| t.is_yaml_core_schema() && t.suffix == "str");
                let data = if is_text {
                    Data::Str(text.into_owned())
                } else {
                    resolve_plain(&text)
                };
                self.close(Node { mark, data }, anchor, report)?;
            }
            Event::Alias(anchor) => {
                let Some(&(_, size)) = self.anchors.get(&anchor) else {
                    return Err("an alias whose anchor is not complete yet".to_owned());
                };
                // Counted before it is copied.
                self.count(size)?;
                let Some((node, _)) = self.anchors.get(&anchor).cloned() else {
                    return Ok(());
                };
                if self.open.len() + depth(&node) > MAX_YAML_DEPTH {
                    return Err(format!("collections are nested more than {MAX_YAML_DEPTH} deep"));
                }
                self.close(node, 0, report)?;
            }
        }
        Ok(())
    }

    fn count(&mut self, size: Size) -> Result<(), String> {
        self.made = self.made.and(size);
        if self.made.nodes > MAX_YAML_NODES || self.made.bytes > MAX_YAML_TEXT_BYTES {
            return Err(format!(
                "the file has more than {MAX_YAML_NODES} nodes or {MAX_YAML_TEXT_BYTES} bytes of text, aliases expanded"
            ));
        }
        Ok(())
    }

    fn open(&mut self, data: Data, mark: Mark, anchor: usize) -> Result<(), String> {
        self.count(Size { nodes: 1, bytes: 0 })?;
        if self.open.len() >= MAX_YAML_DEPTH {
            return Err(format!("collections are nested more than {MAX_YAML_DEPTH} deep"));
        }
        self.open.push(Open {
            node: Node { mark, data },
            anchor,
            key: None,
        });
        Ok(())
    }

    fn close(&mut self, node: Node, anchor: usize, report: &mut Report<'_>) -> Result<(), String> {
        if anchor > 0 {
            let size = size(&node);
            self.count(size)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut parent.node.data {
            Data::Seq(items) => items.push(node),
            Data::Map(entries) => match parent.key.take() {
                None => match &node.data {
                    Data::Null => parent.key = Some((String::new(), node.mark)),
                    _ => match node.scalar_text() {
                        Some(text) => parent.key = Some((text.to_owned(), node.mark)),
                        None => {
                            report.add(
                                code::BAD_SHAPE,
                                node.mark,
                                format!("a key must be a text, not {}", node.kind()),
                            );
                            parent.key = Some((String::new(), node.mark));
                        }
                    },
                },
                Some((key, mark)) => {
                    if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                        let message = format!("`{key}` is already set in line {}", first.mark.line);
                        report.add_help(
                            code::YAML_DUPLICATE_KEY,
                            mark,
                            message,
                            "a list of values means any of them",
                        );
                    } else if entries.len() >= MAX_YAML_KEYS {
                        return Err(format!("a mapping has more than {MAX_YAML_KEYS} keys"));
                    } else {
                        entries.push(Entry { key, mark, value: node });
                    }
                }
            },
            _ => {}
        }
        Ok(())
    }
}

/// How much a node is, with all that is in it.
#[derive(Debug, Default, Clone, Copy)]
struct Size {
    nodes: usize,
    bytes: usize,
}

impl Size {
    fn and(self, other: Self) -> Self {
        Self {
            nodes: self.nodes.saturating_add(other.nodes),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }
}

fn size(node: &Node) -> Size {
    let scalar = |text: &str| Size {
        nodes: 1,
        bytes: text.len(),
    };
    match &node.data {
        Data::Seq(items) => items.iter().map(size).fold(scalar(""), Size::and),
        Data::Map(entries) => entries
            .iter()
            .map(|entry| scalar(&entry.key).and(size(&entry.value)))
            .fold(scalar(""), Size::and),
        Data::Number(text) | Data::Str(text) => scalar(text),
        Data::Null | Data::Bool(_) => scalar(""),
    }
}

fn depth(node: &Node) -> usize {
    match &node.data {
        Data::Seq(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Data::Map(entries) => 1 + entries.iter().map(|entry| depth(&entry.value)).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> (Vec<Node>, Vec<String>) {
        let mut findings = Vec::new();
        let documents = parse(text, &mut Report::new("f.yml", &mut findings));
        (documents, findings.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn scalars_follow_the_core_schema() {
        let check =
            |text: &str, want: Data| assert_eq!(load(&format!("- {text}")).0[0].one_or_many()[0].data, want, "{text}");
        let number = |text: &str| Data::Number(text.to_owned());
        let string = |text: &str| Data::Str(text.to_owned());
        check("4625", number("4625"));
        check("-1", number("-1"));
        check("0x1F", number("0x1F"));
        check("1.5e3", number("1.5e3"));
        check("007", number("007"));
        check("1.2.3.4", string("1.2.3.4"));
        check("2020-01-02", string("2020-01-02"));
        check("inf", string("inf"));
        check("nan", string("nan"));
        check("--1", string("--1"));
        check("no", string("no"));
        check("True", Data::Bool(true));
        check("'1'", string("1"));
        check("!!str 1", string("1"));
        check("~", Data::Null);
        check("", Data::Null);
    }

    #[test]
    fn an_error_at_the_end_is_placed_in_the_file() {
        let check = |text: &str, want: &str| {
            let findings = load(text).1;
            assert!(findings[0].starts_with(want), "{text:?}: {findings:?}");
        };
        check("a: 1\nb", "f.yml:2:2: error[yaml-syntax]");
        check("a: 'x", "f.yml:1:4: error[yaml-syntax]");
        check("a: 1\rb", "f.yml:2:2: error[yaml-syntax]");
        // An empty key has its place after the text as well.
        assert_eq!(load("? ").0[0].entries().unwrap()[0].mark, Mark { line: 1, column: 3 });
    }

    #[test]
    fn places_are_kept_and_duplicates_refused() {
        let (documents, findings) = load("a: 1\n---\nb:\n  c: x\n  c: y\n");
        assert_eq!(documents.len(), 2);
        let c = documents[1].entry("b").unwrap().value.entry("c").unwrap();
        assert_eq!(
            (c.mark, c.value.mark),
            (Mark { line: 4, column: 3 }, Mark { line: 4, column: 6 })
        );
        assert_eq!(findings.len(), 1);
        assert!(
            findings[0].starts_with("f.yml:5:3: error[yaml-duplicate-key]: `c` is already set in line 4"),
            "{findings:?}"
        );
    }

    #[test]
    fn hostile_files_are_bounded() {
        let check = |text: &str, want: &str| {
            let (_, findings) = load(text);
            assert!(findings.iter().any(|f| f.contains(want)), "{want}: {findings:?}");
        };
        check(&"[".repeat(10_000), "limit");
        check(&"- ".repeat(1_000), "limit");
        check(&"[".repeat(MAX_YAML_DEPTH + 1), "nested more than");
        check(&"x".repeat(MAX_RULE_FILE_BYTES + 1), "yaml-limit");
        let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for n in 1..12 {
            let alias = format!("*a{},", n - 1).repeat(10);
            bomb.push_str(&format!("a{n}: &a{n} [{alias}]\n"));
        }
        check(&bomb, "more than 100000 nodes");
        // Few nodes, but long ones: their bytes count, too.
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), "*a,".repeat(1_000));
        check(&long, "bytes of text");
        // As many anchors as fit, and as many aliases of the first.
        let anchors: String = (0..30_000).map(|n| format!("&a{n} x,")).collect();
        let many = format!("a: [{anchors}]\nb: [{}]\n", "*a0,".repeat(30_000));
        assert_eq!(load(&many).1, Vec::<String>::new());
        check("a: [1", "yaml-syntax");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*|[-:\\[\\]{}#&*!|>'\"%@` a\n]*") {
            load(&text);
        }
    }
}
