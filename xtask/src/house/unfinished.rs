//! What may not be left in the code: work put off, and tests that wait for a clock.

use super::problem::Problem;
use super::source::SourceFile;

/// In pieces, so that this file does not accuse itself.
const PUT_OFF: [&str; 3] = [
    concat!("to", "do!"),
    concat!("un", "implemented!"),
    concat!("FIX", "ME"),
];

/// A call, however it was imported.
const SLEEP: [&str; 2] = [concat!("sle", "ep("), concat!("sle", "ep_until(")];

pub fn check(file: &SourceFile) -> Vec<Problem> {
    let production = file.production_lines();
    let mut problems = Vec::new();
    for (at, line) in file.text.lines().enumerate() {
        for word in PUT_OFF.into_iter().filter(|word| has_word(line, word)) {
            problems.push(Problem::new(
                &file.path,
                at + 1,
                format!("`{word}`: finish it, or file an issue"),
            ));
        }
        if at >= production && SLEEP.into_iter().any(|call| has_word(line, call)) {
            problems.push(Problem::new(
                &file.path,
                at + 1,
                "a test sleeps: pause tokio's clock, or wait for the event itself with a deadline",
            ));
        }
    }
    problems
}

/// `word` not as the end of a longer name.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house::problem;

    #[track_caller]
    fn check_text(path: &str, text: &str, expected: &[&str]) {
        let file = SourceFile {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        assert_eq!(problem::lines(check(&file)), expected);
    }

    #[test]
    fn work_put_off_is_found_anywhere() {
        let text = format!(
            "fn a() {{ {}() }}\n// {}: later\nfn {}() {{}}\n",
            PUT_OFF[0], PUT_OFF[2], "my_todo"
        );
        let expected = [
            format!("src/a.rs:1: `{}`: finish it, or file an issue", PUT_OFF[0]),
            format!("src/a.rs:2: `{}`: finish it, or file an issue", PUT_OFF[2]),
        ];
        check_text("src/a.rs", &text, &expected.each_ref().map(String::as_str));
        check_text(
            "tests/a.rs",
            PUT_OFF[1],
            &[&format!("tests/a.rs:1: `{}`: finish it, or file an issue", PUT_OFF[1])],
        );
    }

    #[test]
    fn only_tests_may_not_wait_for_a_clock() {
        let calls = [
            format!("std::thread::{}d);", SLEEP[0]),
            format!("tokio::time::{}d).await;", SLEEP[0]),
            format!("{}d).await;", SLEEP[1]),
        ];
        let message = "a test sleeps: pause tokio's clock, or wait for the event itself with a deadline";
        for call in calls {
            check_text("src/a.rs", &call, &[]);
            check_text("tests/a.rs", &call, &[&format!("tests/a.rs:1: {message}")]);
            let module = format!("fn a() {{}}\n#[cfg(test)]\nmod tests {{\n    {call}\n}}\n");
            check_text("src/a.rs", &module, &[&format!("src/a.rs:4: {message}")]);
        }
        check_text("tests/a.rs", &format!("no_{}d);", SLEEP[0]), &[]);
    }
}
