//! Every third-party crate has a written reason, and no reason outlives its crate.

use super::manifest::{RootManifest, WorkspaceDependency};
use super::problem::Problem;

/// `text` is the file of notes, `None` where there is none. A note is a table row that begins with the crate's name in
/// backticks.
pub fn check(root: &RootManifest, path: &str, text: Option<&str>) -> Vec<Problem> {
    let Some(text) = text else {
        return vec![Problem::new(
            path,
            1,
            "is missing: each workspace dependency needs a line in it",
        )];
    };
    let notes: Vec<(usize, &str)> = text
        .lines()
        .enumerate()
        .filter_map(|(at, line)| Some((at + 1, noted(line)?)))
        .collect();
    let third_party: Vec<&WorkspaceDependency> = root.dependencies.iter().filter(|found| !found.is_member).collect();

    let unexplained = third_party
        .iter()
        .filter(|found| notes.iter().all(|(_, name)| *name != found.name));
    let unexplained = unexplained.map(|found| {
        Problem::new(
            "Cargo.toml",
            found.line,
            format!("{} has no line in {path}: say why this one", found.name),
        )
    });
    let outlived = notes
        .iter()
        .filter(|(_, name)| third_party.iter().all(|found| found.name != *name));
    let outlived = outlived.map(|(line, name)| {
        Problem::new(
            path,
            *line,
            format!("{name} is no workspace dependency: remove its line"),
        )
    });
    unexplained.chain(outlived).collect()
}

fn noted(line: &str) -> Option<&str> {
    let (name, rest) = line.trim().strip_prefix("| `")?.split_once('`')?;
    rest.trim_start().starts_with('|').then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house::problem;

    const ROOT: &str =
        "[workspace]\nmembers = []\n[workspace.dependencies]\ncasebook-event = { path = \"event\" }\nregex = \"1\"\n";

    #[track_caller]
    fn check_notes(text: Option<&str>, expected: &[&str]) {
        let root = RootManifest::parse(ROOT).unwrap();
        assert_eq!(problem::lines(check(&root, "notes.md", text)), expected);
    }

    #[test]
    fn notes_and_dependencies_agree() {
        let unexplained = "Cargo.toml:5: regex has no line in notes.md: say why this one";
        check_notes(Some("| crate | why |\n|---|---|\n| `regex` | linear time |\n"), &[]);
        check_notes(Some("`regex` is fine\n"), &[unexplained]);
        check_notes(
            Some("| `regex-lite` | small |\n"),
            &[
                unexplained,
                "notes.md:1: regex-lite is no workspace dependency: remove its line",
            ],
        );
        check_notes(
            None,
            &["notes.md:1: is missing: each workspace dependency needs a line in it"],
        );
    }
}
