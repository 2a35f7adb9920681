//! A file holds one concept. The files that people get lost in are the ones above five hundred lines.

use super::problem::Problem;
use super::source::SourceFile;

/// Above this many lines before its tests, a file is more than one concept.
const LIMIT_LINES: usize = 500;

/// A file that is too long for a stated reason.
pub struct LongFile {
    pub path: &'static str,
    /// What it has now: it may only get shorter, and whoever shortens it lowers this.
    pub lines: usize,
    pub reason: &'static str,
}

/// The known long files. An entry is removed when its file is divided; a new one needs a reason that a reader accepts.
pub const RATCHET: &[LongFile] = &[];

pub fn check(files: &[SourceFile], ratchet: &[LongFile]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in files {
        let lines = file.production_lines();
        let known = ratchet.iter().find(|long| long.path == file.path);
        let message = match known {
            None if lines > LIMIT_LINES => {
                format!("{lines} lines before the tests, more than {LIMIT_LINES}: divide it by concept")
            }
            Some(long) if lines > long.lines => {
                format!("grew from {} to {lines} lines ({}): divide it", long.lines, long.reason)
            }
            Some(_) if lines <= LIMIT_LINES => "no longer too long: remove it from xtask's ratchet".to_owned(),
            Some(long) if lines < long.lines => format!("now {lines} lines: lower its number in xtask's ratchet"),
            _ => continue,
        };
        problems.push(Problem::new(&file.path, lines.max(1), message));
    }
    for long in ratchet
        .iter()
        .filter(|long| files.iter().all(|file| file.path != long.path))
    {
        problems.push(Problem::new(long.path, 1, "is gone: remove it from xtask's ratchet"));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house::problem;

    const KNOWN: &[LongFile] = &[LongFile {
        path: "a.rs",
        lines: 600,
        reason: "one table",
    }];

    #[track_caller]
    fn check_length(path: &str, lines: usize, ratchet: &[LongFile], expected: &[&str]) {
        let file = SourceFile {
            path: path.to_owned(),
            text: "x\n".repeat(lines),
        };
        assert_eq!(problem::lines(check(&[file], ratchet)), expected);
    }

    #[test]
    fn a_new_file_has_a_limit() {
        check_length("a.rs", 500, &[], &[]);
        check_length(
            "a.rs",
            501,
            &[],
            &["a.rs:501: 501 lines before the tests, more than 500: divide it by concept"],
        );
        check_length("tests/a.rs", 501, &[], &[]);
    }

    #[test]
    fn a_known_long_file_may_only_shrink() {
        check_length("a.rs", 600, KNOWN, &[]);
        check_length(
            "a.rs",
            601,
            KNOWN,
            &["a.rs:601: grew from 600 to 601 lines (one table): divide it"],
        );
        check_length(
            "a.rs",
            599,
            KNOWN,
            &["a.rs:599: now 599 lines: lower its number in xtask's ratchet"],
        );
        check_length(
            "a.rs",
            500,
            KNOWN,
            &["a.rs:500: no longer too long: remove it from xtask's ratchet"],
        );
        check_length("b.rs", 1, KNOWN, &["a.rs:1: is gone: remove it from xtask's ratchet"]);
    }
}
