//! What the commands of maintenance share: a bar while they work, problems afterwards, bytes for people.

use std::process::ExitCode;

use anyhow::Result;
use casebook_event::Value;
use casebook_store::{MaintenanceProgress, Problem};
use indicatif::ProgressBar;

use crate::exit_code;
use crate::output::{self, OutputFormat, Rows, notice};
use crate::progress_bar;

/// A bar, and what moves it.
pub fn progress(what: &str) -> (ProgressBar, impl FnMut(MaintenanceProgress) + Send + 'static) {
    let bar = progress_bar::bytes(0, what);
    let moved = bar.clone();
    (bar, move |progress: MaintenanceProgress| {
        moved.set_length(progress.total_bytes);
        moved.set_position(progress.done_bytes);
    })
}

/// Says problems on stderr, where stdout has other rows, and how to end.
pub fn report_problems(problems: &[Problem]) -> ExitCode {
    for problem in problems {
        notice!(
            "casebook: {}: {}; {}",
            output::escape(&problem.path),
            output::escape(&problem.problem),
            problem.remedy
        );
    }
    match problems {
        [] => exit_code::OK,
        _ => exit_code::NO.into(),
    }
}

/// Prints problems as rows on stdout, and says how to end.
pub fn print_problems(problems: &[Problem], format: OutputFormat) -> Result<ExitCode> {
    if problems.is_empty() {
        return Ok(exit_code::OK);
    }
    let mut rows = Rows::new(&["file", "problem", "what to do"]);
    rows.rows = problems
        .iter()
        .map(|problem| {
            vec![
                Value::str(&problem.path),
                Value::str(&problem.problem),
                Value::str(problem.remedy),
            ]
        })
        .collect();
    output::print(&rows, format)?;
    Ok(exit_code::NO.into())
}

/// Bytes for people: `512 B`, `3.4 MiB`.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut size = n as f64;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{n} B")
    } else {
        format!("{size:.1} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_in_units() {
        let check = |n: u64, want: &str| assert_eq!(bytes(n), want);
        check(0, "0 B");
        check(1023, "1023 B");
        check(1024, "1.0 KiB");
        check(5 << 30, "5.0 GiB");
        check(u64::MAX, "16777216.0 TiB");
    }
}
