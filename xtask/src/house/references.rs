//! What a document or a comment points to is there: a path of this repository, a link, an anchor, a section.
//!
//! What is no path of ours for sure (`/var/log/…`, `shop/web-1`, a file of a user) is passed over.

use std::collections::{BTreeSet, HashMap, HashSet};

use anyhow::Result;
use regex::Regex;

use super::problem::Problem;
use super::rust_text::RustText;
use super::source::SourceFile;

/// Here every folder in backticks is one of ours.
const MAP: &str = "ARCHITECTURE.md";

/// What is there to point to.
pub struct Repository<'a> {
    /// Files and folders, by their paths from the root.
    paths: &'a BTreeSet<String>,
    /// The ends of these, each from a name on: `house/mod.rs` of `xtask/src/house/mod.rs`.
    ends: HashSet<&'a str>,
    /// The folders at the root.
    top: Vec<&'a str>,
    headings: HashMap<&'a str, Vec<String>>,
    patterns: Patterns,
}

struct Patterns {
    in_backticks: Regex,
    link: Regex,
    document: Regex,
    section: Regex,
}

impl<'a> Repository<'a> {
    pub fn new(paths: &'a BTreeSet<String>, texts: &'a [SourceFile]) -> Result<Self> {
        let ends_of = |path: &'a String| {
            path.match_indices('/')
                .map(|(at, _)| &path[at + 1..])
                .chain([path.as_str()])
        };
        let documents = texts.iter().filter(|file| is_document(&file.path));
        Ok(Self {
            paths,
            ends: paths.iter().flat_map(ends_of).collect(),
            top: paths
                .iter()
                .filter_map(|path| Some(path.split_once('/')?.0))
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
            headings: documents
                .map(|file| (file.path.as_str(), headings(&file.text)))
                .collect(),
            patterns: Patterns {
                in_backticks: Regex::new("`([^`\n]+)`")?,
                link: Regex::new(r"\]\(([^)\s]+)\)")?,
                document: Regex::new(r"\bdocs/[A-Za-z0-9_./-]*\.md\b")?,
                section: Regex::new(r#"([A-Za-z0-9_./-]+\.md)`?(?:\]\([^)]*\))?, "([^"]+)""#)?,
            },
        })
    }

    /// The dead references of one text.
    pub fn check(&self, file: &SourceFile) -> Vec<Problem> {
        let mut problems = Vec::new();
        let is_document = is_document(&file.path);
        let prose = if is_document {
            without_code_blocks(&file.text)
        } else if file.path.ends_with(".rs") {
            RustText::read(&file.text).comments
        } else {
            String::new()
        };
        let mut push = |line: usize, message: String| problems.push(Problem::new(&file.path, line, message));
        for (at, line) in prose.lines().enumerate() {
            for found in self.patterns.in_backticks.captures_iter(line) {
                if self.is_dead_path(&file.path, &found[1]) {
                    push(at + 1, format!("`{}` is not there", &found[1]));
                }
            }
            let links = is_document.then(|| self.patterns.link.captures_iter(line));
            for found in links.into_iter().flatten() {
                if let Some(message) = self.dead_link(&file.path, &found[1]) {
                    push(at + 1, message);
                }
            }
        }
        // A message of the program points to documents as well; what a test says is data.
        for (at, line) in file.text.lines().take(file.production_lines()).enumerate() {
            let documents = self.patterns.document.find_iter(line).map(|found| found.as_str());
            for path in documents.filter(|path| !self.paths.contains(*path) && !is_document) {
                push(at + 1, format!("{path} is not there"));
            }
        }
        let flow = Flow::new(&prose);
        for found in self.patterns.section.captures_iter(&flow.text) {
            let at = found.get(0).map_or(0, |all| all.start());
            if self.lacks_section(&file.path, &found[1], &found[2]) {
                push(flow.line(at), format!("{} has no section \"{}\"", &found[1], &found[2]));
            }
        }
        problems
    }

    /// Whether what stands in backticks is a path of ours, and nothing is there.
    fn is_dead_path(&self, from: &str, quoted: &str) -> bool {
        let path = quoted.split([' ', ':', '#']).next().unwrap_or_default();
        let path = path.strip_prefix("./").unwrap_or(path);
        let is_pattern = path.contains(['*', '…', '<', '{', '$', '(', '=', '"', '\'']);
        let plain = path.trim_end_matches('/');
        if is_pattern || plain.is_empty() || path.starts_with(['/', '~', '.']) {
            return false;
        }
        let in_ours = path.split_once('/').is_some_and(|(first, _)| self.top.contains(&first));
        let is_source = path.ends_with(".rs") || path.ends_with(".md");
        let is_folder_of_map = from == MAP && path.ends_with('/');
        if !(in_ours || is_source || is_folder_of_map) {
            return false;
        }
        let relative = join(from, plain);
        !(self.ends.contains(plain) || self.paths.contains(&relative))
    }

    fn dead_link(&self, from: &str, link: &str) -> Option<String> {
        if link.contains("://") || link.starts_with("mailto:") {
            return None;
        }
        let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
        let target = if path.is_empty() {
            from.to_owned()
        } else {
            join(from, path)
        };
        if !self.paths.contains(target.trim_end_matches('/')) {
            return Some(format!("{path} is not there"));
        }
        let headings = self.headings.get(target.as_str())?;
        let is_there = anchor.is_empty() || headings.iter().any(|heading| slug(heading) == anchor);
        (!is_there).then(|| format!("{target} has no section #{anchor}"))
    }

    fn lacks_section(&self, from: &str, document: &str, section: &str) -> bool {
        let places = [join(from, document), document.to_owned(), format!("docs/{document}")];
        let headings = places.iter().find_map(|place| self.headings.get(place.as_str()));
        // A document that is not there is found by its path.
        headings.is_some_and(|headings| headings.iter().all(|heading| heading != section))
    }
}

fn is_document(path: &str) -> bool {
    path.ends_with(".md")
}

/// A path as it is meant in a file of the repository.
fn join(from: &str, path: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The text with empty lines for its blocks of code, which are what somebody types.
fn without_code_blocks(text: &str) -> String {
    let mut is_code = false;
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let is_fence = line.trim_start().starts_with("```");
        if !is_fence && !is_code {
            out.push_str(line);
        }
        is_code ^= is_fence;
        out.push('\n');
    }
    out
}

/// The titles of a document's sections, without marks.
fn headings(text: &str) -> Vec<String> {
    let text = without_code_blocks(text);
    let titles = text.lines().filter(|line| line.starts_with('#'));
    titles
        .map(|line| line.trim_start_matches('#').trim().replace(['`', '*'], ""))
        .collect()
}

/// The anchor of a heading, as GitHub makes it.
fn slug(heading: &str) -> String {
    let kept = heading.to_lowercase();
    kept.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// Lines as one text, since a sentence does not end where its line does.
struct Flow {
    text: String,
    /// Where each line begins in it.
    begins: Vec<usize>,
}

impl Flow {
    fn new(prose: &str) -> Self {
        let (mut text, mut begins) = (String::with_capacity(prose.len()), Vec::new());
        for line in prose.lines() {
            begins.push(text.len());
            text.push_str(line.trim().trim_start_matches(['/', '!']).trim_start());
            text.push(' ');
        }
        Self { text, begins }
    }

    /// The line of a place in the text, from one.
    fn line(&self, at: usize) -> usize {
        self.begins.partition_point(|begin| *begin <= at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house::problem;

    #[track_caller]
    fn check(path: &str, text: &str, expected: &[&str]) {
        let file = |path: &str, text: &str| SourceFile {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let texts = [
            file("docs/a.md", "# A\n## One `two`\n```\n# no section\n```\n"),
            file("README.md", "# B\n## Late events\n"),
            file(path, text),
        ];
        let paths = [
            "docs",
            "docs/a.md",
            "README.md",
            "store",
            "store/src",
            "store/src/commit.rs",
            path,
        ];
        let paths: BTreeSet<String> = paths.map(str::to_owned).into();
        let repository = Repository::new(&paths, &texts).unwrap();
        assert_eq!(problem::lines(repository.check(&texts[2])), expected, "{text}");
    }

    #[test]
    fn paths_in_backticks_are_there() {
        for path in ["docs/b.md", "store/src/x.rs"] {
            let comment = if path.ends_with(".rs") { "// " } else { "" };
            check(
                path,
                &format!("{comment}`docs/a.md`, `commit.rs`, `store/src/`, `src/commit.rs`, `a.md`\n"),
                &[],
            );
            check(
                path,
                &format!("{comment}`/var/log/a.rs`, `shop/web-1`, `casebook.yaml`, `docs/*.md`\n"),
                &[],
            );
            let text = format!("{comment}\n{comment}`store/src/gone.rs`, `gone.rs`\n");
            let expected =
                ["`store/src/gone.rs` is not there", "`gone.rs` is not there"].map(|m| format!("{path}:2: {m}"));
            check(path, &text, &expected.each_ref().map(String::as_str));
        }
        check(
            MAP,
            "`commit.rs`, `gone/`\n",
            &["ARCHITECTURE.md:1: `gone/` is not there"],
        );
        check("docs/b.md", "`gone/`\n```\n`gone.rs`\n```\n", &[]);
        check(
            "store/src/x.rs",
            "fn f() {}\n/// See `docs/gone.md`.\n",
            &[
                "store/src/x.rs:2: `docs/gone.md` is not there",
                "store/src/x.rs:2: docs/gone.md is not there",
            ],
        );
        check(
            "store/src/x.rs",
            "const A: &str = \"see docs/gone.md\";\n",
            &["store/src/x.rs:1: docs/gone.md is not there"],
        );
    }

    #[test]
    fn links_and_anchors_are_there() {
        check(
            "docs/b.md",
            "[a](a.md), [a](../README.md#late-events), [b](https://x.y/z), [c](a.md#one-two)\n",
            &[],
        );
        check(
            "docs/b.md",
            "# Here\n[b](#here) [c](#there)\n",
            &["docs/b.md:2: docs/b.md has no section #there"],
        );
        check("docs/b.md", "[a](gone.md)\n", &["docs/b.md:1: gone.md is not there"]);
        check(
            "docs/b.md",
            "[a](a.md#no-section)\n",
            &["docs/b.md:1: docs/a.md has no section #no-section"],
        );
    }

    #[test]
    fn sections_that_are_cited_are_there() {
        let text = "//! As said (`docs/a.md`, \"One two\"; `README.md`, \"Late\n//! events\").\n";
        check("store/src/x.rs", text, &[]);
        check(
            "store/src/x.rs",
            "//! As said\n//! (`docs/a.md`,\n//! \"Three\").\n",
            &["store/src/x.rs:2: docs/a.md has no section \"Three\""],
        );
        check("docs/b.md", "([a.md](a.md), \"One two\")\n", &[]);
        check(
            "docs/b.md",
            "([a.md](a.md), \"Two\")\n",
            &["docs/b.md:1: a.md has no section \"Two\""],
        );
    }
}
