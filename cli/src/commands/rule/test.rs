//! `casebook rule test`: the tests that rules carry, and why one failed.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use casebook_event::Value;
use casebook_pipeline::{TestOutcome, TestedEvent};

use crate::args::{RuleTestArgs, TestFormat};
use crate::exit_code;
use crate::output::OutputFormat;
use crate::output::{self, Rows, counted, escape, explained, junit, notice};
use crate::resolve::rules;

/// Events of a failed test that are explained.
const MAX_EXPLAINED_EVENTS: usize = 20;

pub fn run(args: &RuleTestArgs) -> Result<ExitCode> {
    let settings = args.topic.settings()?;
    let set = rules::load(&args.paths, false)?;
    let outcomes = casebook_pipeline::run_rule_tests(&set, &settings);
    let failed = outcomes.iter().filter(|outcome| outcome.failure.is_some()).count();
    let mut out = output::lines();
    match args.output {
        TestFormat::Text => {
            for outcome in &outcomes {
                if outcome.failure.is_some() || args.verbose {
                    print(outcome, &mut out)?;
                }
            }
        }
        TestFormat::Junit => junit::write(&outcomes, &why, &mut out)?,
        TestFormat::Json => output::print(&rows(&outcomes), OutputFormat::Json)?,
        TestFormat::Csv => output::print(&rows(&outcomes), OutputFormat::Csv)?,
    }
    out.flush()?;
    let untested = set.rules().filter(|rule| rule.tests.is_empty()).count();
    notice!(
        "casebook: {} passed, {failed} failed; {} without a test",
        counted(outcomes.len() - failed, "test"),
        counted(untested, "rule")
    );
    Ok(if failed > 0 {
        exit_code::NO.into()
    } else {
        exit_code::OK
    })
}

fn print(outcome: &TestOutcome, out: &mut impl Write) -> Result<()> {
    let result = if outcome.failure.is_some() { "FAILED" } else { "ok" };
    writeln!(
        out,
        "{result} {}: {}: {}",
        escape(&outcome.file),
        escape(&outcome.rule_title),
        escape(&outcome.name)
    )?;
    write!(out, "{}", why(outcome))?;
    Ok(())
}

/// What was expected, what was found, and what the rule made of the events.
fn why(outcome: &TestOutcome) -> String {
    let Some(failure) = &outcome.failure else {
        return String::new();
    };
    let mut text = Vec::new();
    // Writing to memory cannot fail.
    drop(write_why(&failure.message, &failure.events, &mut text));
    String::from_utf8_lossy(&text).into_owned()
}

fn write_why(message: &str, events: &[TestedEvent], out: &mut impl Write) -> Result<()> {
    writeln!(out, "  {}", escape(message))?;
    for event in events.iter().take(MAX_EXPLAINED_EVENTS) {
        let verdict = if event.explained.holds {
            "matches"
        } else {
            "does not match"
        };
        let group = match &event.group {
            Some(group) => format!(" and counts in the group [{}]", group.join(", ")),
            None => String::new(),
        };
        writeln!(
            out,
            "  event {} ({}) {verdict} {}{}",
            event.number,
            event.source,
            escape(&event.explained.text),
            escape(&group)
        )?;
        explained::write(&event.explained, 2, out)?;
    }
    if let Some(more @ 1..) = events.len().checked_sub(MAX_EXPLAINED_EVENTS) {
        writeln!(out, "  and {more} more")?;
    }
    Ok(())
}

fn rows(outcomes: &[TestOutcome]) -> Rows {
    let mut rows = Rows::new(&["result", "file", "rule", "test", "why"]);
    for outcome in outcomes {
        let message = outcome.failure.as_ref().map_or("", |failure| &failure.message);
        rows.rows.push(vec![
            Value::str(if outcome.failure.is_some() { "FAILED" } else { "ok" }),
            Value::str(&outcome.file),
            Value::str(&outcome.rule_title),
            Value::str(&outcome.name),
            Value::str(message),
        ]);
    }
    rows
}
