//! `%name%` in values with the modifier `expand`: what each stands for is said in a mapping document.
//!
//! Specification: Sigma rules 2.1, "Placeholders", and Sigma modifiers 2.1, "Specific Modifiers"; of the ways named there, the
//! expansion to a list of values. `\%` is a percent sign. The backslash before it may be escaped itself: in `\\%name%` it is one,
//! and the placeholder is one.

use std::collections::BTreeMap;

use super::yaml::{Data, Node};
use crate::diagnostic::{Report, code};
use crate::limits::{MAX_EXPANDED_BYTES, MAX_VALUES_PER_ITEM};

/// The values of each placeholder, by its name.
pub(crate) type Placeholders = BTreeMap<String, Vec<String>>;

/// A part of a value.
enum Part<'a> {
    Text(&'a str),
    Placeholder(&'a str),
}

/// The names of the placeholders in a value.
pub(super) fn names(text: &str) -> impl Iterator<Item = &str> {
    parts(text).into_iter().filter_map(|part| match part {
        Part::Placeholder(name) => Some(name),
        Part::Text(_) => None,
    })
}

/// The values that `nodes` stand for; `None` if one has a placeholder that stands for nothing.
pub(super) fn expand(nodes: &[Node], known: &Placeholders, report: &mut Report<'_>) -> Option<Vec<Node>> {
    let mut all = Vec::new();
    let mut bytes = 0;
    for node in nodes {
        match &node.data {
            Data::Str(text) => {
                let texts = expand_text(text, node, known, report)?;
                bytes += texts.iter().map(String::len).sum::<usize>();
                if !fits(all.len() + texts.len(), bytes, node, report) {
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

/// Whether so many values, of so many bytes together, are no more than allowed.
fn fits(values: usize, bytes: usize, node: &Node, report: &mut Report<'_>) -> bool {
    let fits = values <= MAX_VALUES_PER_ITEM && bytes <= MAX_EXPANDED_BYTES;
    if !fits {
        let message = format!("placeholders make more than {MAX_VALUES_PER_ITEM} values or {MAX_EXPANDED_BYTES} bytes");
        report.add(code::TOO_MANY, node.mark, message);
    }
    fits
}

fn expand_text(text: &str, node: &Node, known: &Placeholders, report: &mut Report<'_>) -> Option<Vec<String>> {
    let mut all = vec![String::new()];
    let mut bytes: usize = 0;
    for part in parts(text) {
        let values = match part {
            Part::Text(text) => {
                bytes = bytes.saturating_add(all.len().saturating_mul(text.len()));
                if !fits(all.len(), bytes, node, report) {
                    return None;
                }
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
        let added: usize = values.iter().map(String::len).sum();
        bytes = bytes
            .saturating_mul(values.len())
            .saturating_add(all.len().saturating_mul(added));
        if !fits(all.len().saturating_mul(values.len()), bytes, node, report) {
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
        let before = &rest[..begin];
        let backslashes = before.len() - before.trim_end_matches('\\').len();
        if backslashes % 2 == 1 {
            // The percent sign begins what comes next, without what escapes it.
            parts.push(Part::Text(&before[..begin - 1]));
            rest = &rest[begin..];
            from = 1;
            continue;
        }
        let name = rest[begin + 1..].split_once('%').map(|(name, _)| name);
        match name.filter(|name| is_name(name)) {
            Some(name) => {
                parts.push(Part::Text(before));
                parts.push(Part::Placeholder(name));
                rest = &rest[begin + name.len() + 2..];
                from = 0;
            }
            None => from = begin + 1,
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
    fn what_placeholders_make_is_bounded() {
        let known = Placeholders::from([("many".into(), vec!["x".repeat(100); 5_000])]);
        let check = |texts: &[&str], want: Option<usize>| {
            let mut findings = Vec::new();
            let node = |text: &&str| Node {
                mark: Mark::START,
                data: Data::Str((*text).into()),
            };
            let nodes: Vec<Node> = texts.iter().map(node).collect();
            let expanded = expand(&nodes, &known, &mut Report::new("f", &mut findings));
            assert_eq!(expanded.map(|values| values.len()), want, "{findings:?}");
            assert!(findings.iter().all(|finding| finding.code == "too-many"));
        };
        let (long, longer) = (
            format!("{}%many%", "y".repeat(100)),
            format!("{}%many%", "y".repeat(200)),
        );
        check(&["%many%"], Some(5_000));
        check(&["%many%", "%many%"], Some(10_000));
        check(&["%many%", "%many%", "z"], None);
        check(&["%many%%many%"], None);
        check(&[&long], Some(5_000));
        check(&[&longer], None);
        check(&[&long, &long], None);
    }

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
            r"%host%\\%admin%*",
            Ok(&[r"h1\\alice*", r"h1\\bob*", r"h2\\alice*", r"h2\\bob*"]),
        );
        // The specification's example: the first percent sign is one, and what follows it no name.
        check(r"\%plain%admin%", Ok(&["%plainalice", "%plainbob"]));
        check(r"\%admin%", Ok(&["%admin%"]));
        check(r"\\\%admin%", Ok(&[r"\\%admin%"]));
        check(r"100\% %admin%", Ok(&["100% alice", "100% bob"]));
        check("100% of %admin%", Ok(&["100% of alice", "100% of bob"]));
        check("100%", Ok(&["100%"]));
        check("%%", Ok(&["%%"]));
        check("", Ok(&[""]));
        check("%nobody%", Err("unknown-placeholder"));
    }
}
