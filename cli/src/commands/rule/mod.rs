//! `casebook rule`: what rule authors need.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use casebook_correlate::{RuleSet, Severity};
use casebook_event::Value;

use crate::args::{RuleCheckArgs, RuleCommand};
use crate::commands::rule_explain;
use crate::exit_code;
use crate::output::{self, Rows};
use crate::rules;

pub fn run(command: RuleCommand) -> Result<ExitCode> {
    match command {
        RuleCommand::Lint(args) => lint(&args),
        RuleCommand::Test(args) => test(&args),
        RuleCommand::List(args) => list(&args),
        RuleCommand::Explain(args) => rule_explain::run(&args),
    }
}

fn lint(args: &RuleCheckArgs) -> Result<ExitCode> {
    let files = rules::files(&args.paths)?;
    let count = files.len();
    let diagnostics = RuleSet::load(files).diagnostics;
    let errors = diagnostics.iter().filter(|d| d.severity == Severity::Error).count();
    let mut rows = Rows::new(&["place", "severity", "code", "message"]);
    for d in &diagnostics {
        let severity = if d.severity == Severity::Error {
            "error"
        } else {
            "warning"
        };
        let place = format!("{}:{}:{}", d.file, d.line, d.column);
        let message = if d.help.is_empty() {
            d.message.clone()
        } else {
            format!("{}; {}", d.message, d.help)
        };
        rows.rows.push(vec![
            Value::from(place),
            Value::str(severity),
            Value::str(d.code),
            Value::from(message),
        ]);
    }
    if !rows.rows.is_empty() || args.output.output != crate::args::OutputFormat::Table {
        output::print(&rows, args.output.output)?;
    }
    eprintln!(
        "casebook: {count} files, {errors} errors, {} warnings",
        diagnostics.len() - errors
    );
    Ok(if errors > 0 {
        exit_code::NO.into()
    } else {
        exit_code::OK
    })
}

fn test(args: &RuleCheckArgs) -> Result<ExitCode> {
    let set: Arc<RuleSet> = rules::load(&args.paths, false)?;
    let outcomes = casebook_pipeline::run_rule_tests(&set);
    let failed = outcomes.iter().filter(|outcome| outcome.failure.is_some()).count();
    let mut rows = Rows::new(&["result", "file", "rule", "test", "why"]);
    for outcome in &outcomes {
        rows.rows.push(vec![
            Value::str(if outcome.failure.is_some() { "FAILED" } else { "ok" }),
            Value::str(&outcome.file),
            Value::str(&outcome.rule_title),
            Value::str(&outcome.name),
            Value::str(outcome.failure.as_deref().unwrap_or("")),
        ]);
    }
    output::print(&rows, args.output.output)?;
    let untested = set.rules().filter(|rule| rule.tests.is_empty()).count();
    eprintln!(
        "casebook: {} tests passed, {failed} failed; {untested} rules without a test",
        outcomes.len() - failed
    );
    Ok(if failed > 0 {
        exit_code::NO.into()
    } else {
        exit_code::OK
    })
}

fn list(args: &RuleCheckArgs) -> Result<ExitCode> {
    let set = rules::load(&args.paths, true)?;
    let mut rows = Rows::new(&["id", "level", "type", "logsource", "tags", "title", "file"]);
    for rule in set.rules() {
        rows.rows.push(vec![
            Value::str(&*rule.id),
            Value::str(rule.level.name()),
            Value::str(rule.kind.name()),
            Value::str(&rule.logsource),
            Value::from(rule.tags.join(" ")),
            Value::str(&rule.title),
            Value::str(&rule.file),
        ]);
    }
    output::print(&rows, args.output.output)?;
    Ok(exit_code::OK)
}
