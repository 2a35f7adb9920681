//! `casebook rule lint`: errors and warnings with file, line and column.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use casebook_correlate::{Diagnostic, RuleSet, Severity};
use casebook_event::Value;

use crate::args::{LintFormat, RuleLintArgs};
use crate::exit_code;
use crate::output::OutputFormat;
use crate::output::{self, Rows, counted, escape, notice, sarif};
use crate::resolve::rules;

pub fn run(args: &RuleLintArgs) -> Result<ExitCode> {
    let files = rules::files(&args.paths)?;
    let count = files.len();
    let diagnostics = RuleSet::load(files).diagnostics;
    let errors = diagnostics.iter().filter(|d| d.severity == Severity::Error).count();
    let warnings = diagnostics.len() - errors;
    let mut out = output::lines();
    match args.output {
        LintFormat::Text => {
            for d in &diagnostics {
                let place = format!("{}:{}:{}", escape(&d.file), d.line, d.column);
                writeln!(out, "{place}: {}[{}]: {}", d.severity, d.code, escape(&d.message))?;
                if !d.help.is_empty() {
                    writeln!(out, "  help: {}", escape(&d.help))?;
                }
            }
        }
        LintFormat::Sarif => sarif::write(&diagnostics, &mut out)?,
        LintFormat::Json => output::print(&rows(&diagnostics), OutputFormat::Json)?,
        LintFormat::Csv => output::print(&rows(&diagnostics), OutputFormat::Csv)?,
    }
    out.flush()?;
    let counts = [(count, "file"), (errors, "error"), (warnings, "warning")].map(|(n, what)| counted(n, what));
    notice!("casebook: {}", counts.join(", "));
    let failed = errors > 0 || (args.deny_warnings && warnings > 0);
    Ok(if failed { exit_code::NO.into() } else { exit_code::OK })
}

fn rows(diagnostics: &[Diagnostic]) -> Rows {
    let mut rows = Rows::new(&["file", "line", "column", "severity", "code", "message", "help"]);
    for d in diagnostics {
        rows.rows.push(vec![
            Value::str(&d.file),
            Value::Int(d.line.into()),
            Value::Int(d.column.into()),
            Value::from(d.severity.to_string()),
            Value::str(d.code),
            Value::str(&d.message),
            Value::str(&d.help),
        ]);
    }
    rows
}
