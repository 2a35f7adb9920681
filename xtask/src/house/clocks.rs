//! Who asks what time it is: `pipeline/src/clock.rs`. Everything else is given the time, so that a test owns it.

use super::problem::Problem;
use super::ratchet::Finding;
use super::rust_text::RustText;
use super::source::SourceFile;

const CLOCK: &str = "pipeline/src/clock.rs";

/// In pieces, so that this file does not accuse itself. How long something took is another question: `Instant` is no
/// wall clock.
const READS: [&str; 5] = [
    concat!("SystemTime", "::now"),
    concat!("Utc", "::now"),
    concat!("Local", "::now"),
    concat!("OffsetDateTime", "::now"),
    concat!("UNIX_EPOCH", ".elapsed"),
];

pub fn check(file: &SourceFile) -> Vec<Finding> {
    if file.path == CLOCK {
        return Vec::new();
    }
    let code = RustText::read(&file.text).code;
    let production = code.lines().take(file.production_lines()).enumerate();
    let reads = production.flat_map(|(at, line)| {
        let here = READS.into_iter().filter(|read| line.contains(read));
        here.map(move |read| (at, read))
    });
    reads
        .map(|(at, read)| Finding {
            key: file.path.clone(),
            count: 1,
            problem: Problem::new(
                &file.path,
                at + 1,
                format!("`{read}`: take the time as an argument, or from {CLOCK}"),
            ),
        })
        .collect()
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
        let found = check(&file).into_iter().map(|one| one.problem);
        assert_eq!(problem::lines(found), expected);
    }

    #[test]
    fn one_file_reads_the_wall_clock() {
        for read in READS {
            let text = format!("fn a() {{\n    {read}();\n}}\n");
            let message = format!("store/src/a.rs:2: `{read}`: take the time as an argument, or from {CLOCK}");
            check_text("store/src/a.rs", &text, &[&message]);
            check_text(CLOCK, &text, &[]);
            check_text("store/tests/a.rs", &text, &[]);
            check_text(
                "store/src/a.rs",
                &format!("// {read}\n#[cfg(test)]\nmod tests {{\n{text}}}\n"),
                &[],
            );
        }
        check_text("store/src/a.rs", "let begun = Instant::now();\n", &[]);
    }
}
