//! `%name%` in values with the modifier `expand`: what each stands for is said in a mapping document.
//!
//! Specification: Sigma modifiers 2.1, "Specific Modifiers"; of the ways named there, the expansion to a list of values.

use std::collections::BTreeMap;

use super::yaml::{Data, Node};
use crate::diagnostic::{Report, code};
use crate::limits::MAX_VALUES_PER_ITEM;

/// The values of each placeholder, by its name.
pub(crate) type Placeholders = BTreeMap<String, Vec<String>>;

/// A part of a value.
enum Part<'a> {
    Text(&'a str),
    Placeholder(&'a str),
}

/// The values that `nodes` stand for; `None` if one has a placeholder that stands for nothing.
pub(super) fn expand(nodes: &[Node], known: &Placeholders, report: &mut Report<'_>) -> Option<Vec<Node>> {
    let mut all = Vec::new();
    for node in nodes {
        match &node.data {
            Data::Str(text) => {
                let texts = expand_text(text, node, known, report)?;
                if all.len() + texts.len() > MAX_VALUES_PER_ITEM {
                    let message = format!("placeholders make more than {MAX_VALUES_PER_ITEM} values");
                    report.add(code::TOO_MANY, node.mark, message);
                    return None;
                }
                all.extend(texts.into_iter().map(|text| Node {
                    mark: node.mark,
                    data: Data::Str(text),
                }));
            }
            _ => all.push(node.clone()),
        }
    }
    Some(all)
}

fn expand_text(text: &str, node: &Node, known: &Placeholders, report: &mut Report<'_>) -> Option<Vec<String>> {
    let mut all = vec![String::new()];
    for part in parts(text) {
        let values = match part {
            Part::Text(text) => {
                all.iter_mut().for_each(|value| value.push_str(text));
                continue;
            }
            Part::Placeholder(name) => known.get(name).or_else(|| {
                let help = format!("add a document `mapping: {{ placeholders: {{ {name}: [...] }} }}` to the rules");
                let message = format!("nothing says what the placeholder `%{name}%` stands for");
                report.add_help(code::UNKNOWN_PLACEHOLDER, node.mark, message, help);
                None
            })?,
        };
        if all.len().saturating_mul(values.len()) > MAX_VALUES_PER_ITEM {
            let message = format!("placeholders make more than {MAX_VALUES_PER_ITEM} values");
            report.add(code::TOO_MANY, node.mark, message);
            return None;
        }
        let with = |value: &String| values.iter().map(|more| format!("{value}{more}")).collect::<Vec<_>>();
        all = all.iter().flat_map(with).collect();
    }
    Some(all)
}

/// A lone `%`, and what stands between two of them but is no name, are text.
fn parts(text: &str) -> Vec<Part<'_>> {
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
    };
    let mut parts = Vec::new();
    let mut rest = text;
    let mut from = 0;
    while let Some(begin) = rest[from..].find('%').map(|at| from + at) {
        let Some(end) = rest[begin + 1..].find('%').map(|at| begin + 1 + at) else {
            break;
        };
        let name = &rest[begin + 1..end];
        if is_name(name) {
            parts.push(Part::Text(&rest[..begin]));
            parts.push(Part::Placeholder(name));
            rest = &rest[end + 1..];
            from = 0;
        } else {
            from = end;
        }
    }
    parts.push(Part::Text(rest));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Mark;

    #[test]
    fn placeholders_become_every_combination_of_their_values() {
        let known = Placeholders::from([
            ("admin".into(), vec!["alice".into(), "bob".into()]),
            ("host".into(), vec!["h1".into(), "h2".into()]),
        ]);
        let check = |text: &str, want: Result<&[&str], &str>| {
            let mut findings = Vec::new();
            let node = Node {
                mark: Mark::START,
                data: Data::Str(text.into()),
            };
            let expanded = expand(&[node], &known, &mut Report::new("f", &mut findings));
            match want {
                Ok(want) => {
                    let expanded = expanded.unwrap();
                    let texts: Vec<_> = expanded.iter().filter_map(Node::scalar_text).collect();
                    assert_eq!(texts, want, "{text}");
                }
                Err(code) => {
                    assert_eq!(expanded, None, "{text}");
                    assert_eq!(findings[0].code, code, "{text}");
                }
            }
        };
        check("%admin%", Ok(&["alice", "bob"]));
        check(
            "%host%\\%admin%*",
            Ok(&["h1\\alice*", "h1\\bob*", "h2\\alice*", "h2\\bob*"]),
        );
        check("100% of %admin%", Ok(&["100% of alice", "100% of bob"]));
        check("100%", Ok(&["100%"]));
        check("%%", Ok(&["%%"]));
        check("", Ok(&[""]));
        check("%nobody%", Err("unknown-placeholder"));
    }
}
