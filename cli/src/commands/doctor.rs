//! `casebook doctor`: is all there that a deployment needs?

use std::process::ExitCode;

use anyhow::Result;
use casebook_event::Value;
use casebook_pipeline::{Config, Verdict, examine};

use crate::args::DoctorArgs;
use crate::exit_code;
use crate::output::{self, Rows};

pub async fn run(args: DoctorArgs) -> Result<ExitCode> {
    let mut config = Config::read(&args.config)?;
    if let Some(store) = args.store {
        config.store = store;
    }
    let findings = examine(&config).await;
    let mut rows = Rows::new(&["check", "verdict", "detail"]);
    for finding in &findings {
        rows.rows.push(vec![
            Value::str(&finding.what),
            Value::str(finding.verdict.name()),
            Value::str(&finding.detail),
        ]);
    }
    output::print(&rows, args.output.output)?;
    let failed = findings.iter().any(|finding| finding.verdict == Verdict::Failed);
    Ok(if failed {
        ExitCode::from(exit_code::NO)
    } else {
        exit_code::OK
    })
}
