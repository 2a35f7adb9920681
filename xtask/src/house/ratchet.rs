//! What a rule still finds from before it was a rule: a list that may only shrink.
//!
//! A list is a text of lines `COUNT KEY`, in order of keys, with the rule's own first lines above it. It is exact: what
//! is found and not listed is a problem, and so is what is listed and no longer found.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

use super::problem::Problem;

/// What a rule found under one key: how much, and where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub key: String,
    /// How much of it: occurrences, or lines, as the rule counts.
    pub count: usize,
    pub problem: Problem,
}

/// A list as it is on disk.
#[derive(Debug)]
pub struct Ratchet {
    path: String,
    /// The first lines, which say what is counted.
    head: String,
    /// The count of each key, and its line.
    entries: BTreeMap<String, (usize, usize)>,
}

impl Ratchet {
    pub fn parse(path: &str, text: &str) -> Result<Self> {
        let mut head = String::new();
        let mut entries = BTreeMap::new();
        for (at, line) in text.lines().enumerate() {
            if line.starts_with('#') || line.trim().is_empty() {
                head.push_str(line);
                head.push('\n');
                continue;
            }
            let place = || format!("{path}:{}: a line is `COUNT KEY`", at + 1);
            let (count, key) = line.trim().split_once(' ').with_context(place)?;
            let count = count.parse().with_context(place)?;
            if entries.insert(key.trim().to_owned(), (count, at + 1)).is_some() {
                bail!("{path}:{}: {key} is listed twice", at + 1);
            }
        }
        Ok(Self {
            path: path.to_owned(),
            head,
            entries,
        })
    }

    /// What is found beyond the list, and what the list has beyond that.
    pub fn compare(&self, findings: &[Finding]) -> Vec<Problem> {
        let found = totals(findings);
        let listed = |key: &str| self.entries.get(key).map_or(0, |(count, _)| *count);
        let beyond = findings
            .iter()
            .filter(|one| found[one.key.as_str()] > listed(&one.key))
            .map(|one| one.problem.clone());
        let outlived = self.entries.iter().filter_map(|(key, (count, line))| {
            let now = found.get(key.as_str()).copied().unwrap_or(0);
            (now < *count).then(|| {
                let message =
                    format!("{key}: now {now} instead of {count}: `cargo xtask ratchet` writes the list anew");
                Problem::new(&self.path, *line, message)
            })
        });
        beyond.chain(outlived).collect()
    }

    /// The list as it is written for these findings.
    fn rewritten(&self, findings: &[Finding]) -> String {
        let lines = totals(findings)
            .into_iter()
            .map(|(key, count)| format!("{count} {key}\n"));
        self.head.clone() + &lines.collect::<String>()
    }

    fn total(&self) -> usize {
        self.entries.values().map(|(count, _)| count).sum()
    }
}

/// A list when it is to be written anew.
#[derive(Debug)]
pub struct Rewrite {
    pub rule: &'static str,
    pub text: String,
    pub before: usize,
    pub now: usize,
}

impl Rewrite {
    pub fn new(rule: &'static str, list: &Ratchet, findings: &[Finding]) -> Self {
        Self {
            rule,
            text: list.rewritten(findings),
            before: list.total(),
            now: total(findings),
        }
    }

    /// Whether the list would grow among these. What moves from the product's list to that of the tests is no growth.
    pub fn grows(&self, among: &[Self]) -> bool {
        let family = |rule: &'static str| rule.trim_start_matches("test_");
        let own = among.iter().filter(|list| family(list.rule) == family(self.rule));
        let (before, now) = own.fold((0, 0), |(before, now), list| (before + list.before, now + list.now));
        now > before
    }
}

fn total(findings: &[Finding]) -> usize {
    findings.iter().map(|finding| finding.count).sum()
}

fn totals(findings: &[Finding]) -> BTreeMap<&str, usize> {
    let mut totals = BTreeMap::new();
    for finding in findings {
        *totals.entry(finding.key.as_str()).or_default() += finding.count;
    }
    totals
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house::problem;

    const LIST: &str = "# what is counted\n2 a.rs\n1 b.rs old word\n";

    fn finding(key: &str, count: usize) -> Finding {
        Finding {
            key: key.to_owned(),
            count,
            problem: Problem::new(key, 7, "is bad"),
        }
    }

    #[track_caller]
    fn check(findings: &[(&str, usize)], expected: &[&str]) {
        let findings: Vec<Finding> = findings.iter().map(|(key, count)| finding(key, *count)).collect();
        let list = Ratchet::parse("list.txt", LIST).unwrap();
        assert_eq!(problem::lines(list.compare(&findings)), expected);
    }

    #[test]
    fn a_list_is_exact() {
        let rewrite = "`cargo xtask ratchet` writes the list anew";
        check(&[("a.rs", 1), ("a.rs", 1), ("b.rs old word", 1)], &[]);
        check(&[("a.rs", 3), ("b.rs old word", 1)], &["a.rs:7: is bad"]);
        check(&[("a.rs", 2), ("b.rs old word", 1), ("c.rs", 1)], &["c.rs:7: is bad"]);
        check(
            &[("a.rs", 1)],
            &[
                &format!("list.txt:2: a.rs: now 1 instead of 2: {rewrite}"),
                &format!("list.txt:3: b.rs old word: now 0 instead of 1: {rewrite}"),
            ],
        );
    }

    #[test]
    fn a_list_is_written_anew_under_its_head() {
        let list = Ratchet::parse("list.txt", LIST).unwrap();
        assert_eq!(list.total(), 3);
        let moved = list.rewritten(&[finding("c.rs", 2), finding("b.rs", 1), finding("c.rs", 1)]);
        assert_eq!(moved, "# what is counted\n1 b.rs\n3 c.rs\n");
    }

    #[test]
    fn what_moves_to_the_tests_is_no_growth() {
        let list = |rule, before, now| Rewrite {
            rule,
            text: String::new(),
            before,
            now,
        };
        let lists = [
            list("words", 3, 4),
            list("functions", 9, 5),
            list("test_functions", 1, 5),
        ];
        let grown: Vec<bool> = lists.iter().map(|list| list.grows(&lists)).collect();
        assert_eq!(grown, [true, false, false]);
    }

    #[test]
    fn a_list_that_cannot_be_read_names_the_line() {
        for text in ["# a\nx a.rs\n", "# a\n1\n", "1 a.rs\n1 a.rs\n"] {
            let error = Ratchet::parse("list.txt", text).unwrap_err();
            assert!(
                format!("{error:#}").starts_with("list.txt:2") || text.starts_with("# a\n1"),
                "{error:#}"
            );
        }
    }
}
