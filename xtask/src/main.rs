//! The project's own chores: `cargo xtask ci` is the gate, `cargo xtask house` the house rules.

mod ci;
mod house;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

use ci::{Broker, Part};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  ci [fast | rest] [--broker]
                  the gate, or one part of it: `fast` is format, house, clippy and unit tests, a few minutes where
                  the dependencies are built, and needs no broker; `rest` is everything else;
                  --broker: one Kafka broker for all tests, and no broker is a failure
  house           the house rules: layers, circles of imports, lengths, clocks, words, references, and others
  ratchet         writes the lists of what is left from before a rule anew (xtask/ratchets), unless one would grow

exit codes: 0 passed, 1 failed, 2 usage
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut out = std::io::stdout();
    let passed = match arguments.as_slice() {
        ["ci"] => ci::run(&root(), Part::Whole(Broker::PerTest), &mut out),
        ["ci", "--broker"] => ci::run(&root(), Part::Whole(Broker::Shared), &mut out),
        ["ci", "fast"] => ci::run(&root(), Part::Fast, &mut out),
        ["ci", "rest"] => ci::run(&root(), Part::Rest(Broker::PerTest), &mut out),
        ["ci", "rest", "--broker"] => ci::run(&root(), Part::Rest(Broker::Shared), &mut out),
        ["house"] => run_house(&root(), &mut out),
        ["ratchet"] => write_ratchets(&root(), &mut out),
        _ => {
            // Nothing is left to do about a closed stderr.
            let _ = std::io::stderr().write_all(USAGE.as_bytes());
            return ExitCode::from(2);
        }
    };
    match passed {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_house(root: &Path, out: &mut impl Write) -> Result<bool> {
    let problems = house::check(root).context("the house rules could not be checked")?;
    for problem in &problems {
        writeln!(out, "{problem}")?;
    }
    writeln!(out, "house: {} problem(s)", problems.len())?;
    Ok(problems.is_empty())
}

fn write_ratchets(root: &Path, out: &mut impl Write) -> Result<bool> {
    let lists = house::write_ratchets(root).context("the lists could not be written")?;
    for (said, _) in &lists {
        writeln!(out, "{said}")?;
    }
    Ok(lists.iter().all(|(_, is_written)| *is_written))
}

/// The workspace: this crate's folder is directly below it.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}
