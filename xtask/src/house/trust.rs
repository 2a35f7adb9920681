//! What the document on trust says is shown by a test, and the test is there.

use std::collections::HashSet;

use super::problem::Problem;
use super::source::SourceFile;

/// How far above a function its `#[test]` may stand, in lines: other attributes come between.
const ATTRIBUTE_LINES: usize = 6;

/// `text` is the document, `None` where there is none. Of each row of a table whose last column is called `test`, that column
/// has the names of test functions in backticks, or a dash where nothing can be shown.
pub fn check(files: &[SourceFile], path: &str, text: Option<&str>) -> Vec<Problem> {
    let Some(text) = text else {
        return vec![Problem::new(path, 1, "is missing: it tells who can write what")];
    };
    let tests: HashSet<&str> = files.iter().flat_map(|file| test_names(&file.text)).collect();
    let mut problems = Vec::new();
    let mut in_table = false;
    for (at, line) in text.lines().enumerate() {
        let Some(last) = last_cell(line) else {
            in_table = false;
            continue;
        };
        if last == "test" {
            in_table = true;
            continue;
        }
        if !in_table || last.chars().all(|c| c == '-') {
            continue;
        }
        let names: Vec<&str> = last.split('`').skip(1).step_by(2).collect();
        if names.is_empty() && last != "–" {
            problems.push(Problem::new(path, at + 1, "the last column names no test"));
        }
        let missing = names.into_iter().filter(|name| !tests.contains(name));
        problems.extend(missing.map(|name| Problem::new(path, at + 1, format!("no test is called {name}"))));
    }
    problems
}

fn last_cell(line: &str) -> Option<&str> {
    let row = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    row.rsplit('|').next().map(str::trim)
}

/// The functions that a test attribute stands above.
fn test_names(text: &str) -> Vec<&str> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_test = |at: usize| {
        let above = lines[at.saturating_sub(ATTRIBUTE_LINES)..at].iter().rev();
        above
            .take_while(|line| line.starts_with('#') || line.starts_with("//"))
            .any(|line| line.contains("test]") || line.contains("test("))
    };
    let name = |line: &'_ str| -> Option<usize> { line.find("fn ").map(|at| at + "fn ".len()) };
    let named = lines.iter().enumerate().filter_map(|(at, line)| {
        let rest = &line[name(line)?..];
        let end = rest.find(['(', '<'])?;
        is_test(at).then_some(&rest[..end])
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house::problem;

    #[test]
    fn a_row_names_tests_that_there_are() {
        let file = SourceFile {
            path: "a/src/lib.rs".into(),
            text: "#[test]\nfn one() {}\n\n#[tokio::test]\n#[expect(x)]\nasync fn two() {}\n\nfn three() {}\n".into(),
        };
        let check = |row: &str, want: &[&str]| {
            let text = format!("| who | test |\n|---|---|\n{row}\n");
            let found = check(std::slice::from_ref(&file), "trust.md", Some(&text));
            assert_eq!(problem::lines(found), want, "{row}");
        };
        check("| a | `one`, `two` |", &[]);
        check("| a | – |", &[]);
        check("| a | `three` |", &["trust.md:3: no test is called three"]);
        check("| a | later |", &["trust.md:3: the last column names no test"]);
        check("no table\n| a | b |", &[]);
        let missing = super::check(&[], "trust.md", None);
        assert_eq!(
            problem::lines(missing),
            ["trust.md:1: is missing: it tells who can write what"]
        );
    }
}
