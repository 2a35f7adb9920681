//! `casebook store`: the care of a store.

mod compact;
mod expire;
mod rebuild_index;
mod stats;
mod vacuum;
mod verify;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use casebook_event::Value;
use casebook_store::{MaintenanceProgress, Problem};
use clap::Subcommand;
use indicatif::ProgressBar;

use crate::args::OutputFormat;
use crate::exit_code::{self, usage};
use crate::output::{self, Rows, notice};
use crate::progress_bar;

#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Count files, rows and bytes, by table, date or source
    Stats(stats::StatsArgs),
    /// Put small files together, so that searches open fewer
    Compact(compact::CompactArgs),
    /// Delete what is older than an age, or the events of some sources
    Expire(expire::ExpireArgs),
    /// Delete files from the disk that no table names any more
    Vacuum(vacuum::VacuumArgs),
    /// Read everything, and compare it with what the log says
    Verify(verify::VerifyArgs),
    /// Build indexes that are missing or broken
    RebuildIndex(rebuild_index::RebuildIndexArgs),
}

pub async fn run(command: StoreCommand) -> Result<ExitCode> {
    match command {
        StoreCommand::Stats(args) => stats::run(args).await,
        StoreCommand::Compact(args) => compact::run(args).await,
        StoreCommand::Expire(args) => expire::run(args).await,
        StoreCommand::Vacuum(args) => vacuum::run(args).await,
        StoreCommand::Verify(args) => verify::run(args).await,
        StoreCommand::RebuildIndex(args) => rebuild_index::run(args).await,
    }
}

/// An age, as `24h` or `90d`.
fn age(flag: &str, text: &str) -> Result<Duration> {
    casebook_pipeline::parse_duration(text).ok_or_else(|| {
        usage(format!(
            "{flag}: `{text}` is no age: write a number and s, m, h, d or w, as in 90d"
        ))
    })
}

/// A bar, and what moves it.
fn bar(what: &str) -> (ProgressBar, impl FnMut(MaintenanceProgress) + Send + 'static) {
    let bar = progress_bar::bytes(0, what);
    let moved = bar.clone();
    (bar, move |progress: MaintenanceProgress| {
        moved.set_length(progress.total_bytes);
        moved.set_position(progress.done_bytes);
    })
}

/// A count as a value to print.
fn count(n: u64) -> Value {
    Value::Int(i64::try_from(n).unwrap_or(i64::MAX))
}

/// Says problems on stderr, where stdout has other rows, and how to end.
fn tell(problems: &[Problem]) -> ExitCode {
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
fn print(problems: &[Problem], format: OutputFormat) -> Result<ExitCode> {
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
fn bytes(n: u64) -> String {
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
    fn bytes_are_told_in_units() {
        let check = |n: u64, want: &str| assert_eq!(bytes(n), want);
        check(0, "0 B");
        check(1023, "1023 B");
        check(1024, "1.0 KiB");
        check(5 << 30, "5.0 GiB");
        check(u64::MAX, "16777216.0 TiB");
    }
}
