//! `casebook store verify`: the proof that a store is whole.

use std::process::ExitCode;

use anyhow::Result;
use casebook_event::Value;
use casebook_store::{StoreError, TableName, Verified};

use super::report::{bytes, print_problems, progress};
use crate::args::VerifyArgs;
use crate::exit_code;
use crate::output::{self, Rows, notice};
use crate::resolve::stores;

pub async fn run(args: VerifyArgs) -> Result<ExitCode> {
    let store = match stores::open_existing(&args.store).await {
        Ok(store) => store,
        // Nothing can be read of a table without its log.
        Err(error) => {
            return match error.downcast_ref::<StoreError>() {
                Some(StoreError::Log { table, .. } | StoreError::File { table, .. }) => {
                    log_problem(table, &error, &args)
                }
                _ => Err(error),
            };
        }
    };
    let (mut found, mut all) = (Vec::new(), Verified::default());
    for &table in TableName::ALL {
        let (bar, mut moved) = progress(table.name());
        let verified = store
            .verify(table, &mut |problem| found.push(problem), &mut moved)
            .await;
        bar.finish_and_clear();
        let verified = match verified {
            Ok(verified) => verified,
            // The log of some tables is read only now.
            Err(error @ (StoreError::Log { .. } | StoreError::File { .. })) => {
                print_problems(&found, args.output.output)?;
                return log_problem(table.name(), &error.into(), &args);
            }
            Err(error) => return Err(error.into()),
        };
        all.files += verified.files;
        all.rows += verified.rows;
        all.bytes += verified.bytes;
        all.indexes += verified.indexes;
        all.sampled_rows += verified.sampled_rows;
        all.problems += verified.problems;
    }
    let code = print_problems(&found, args.output.output)?;
    notice!(
        "casebook: read {} rows in {} files ({}) and {} indexes, which were asked for {} of the rows: {}",
        all.rows,
        all.files,
        bytes(all.bytes),
        all.indexes,
        all.sampled_rows,
        match all.problems {
            0 => "all is well".to_owned(),
            n => output::counted(usize::try_from(n).unwrap_or(usize::MAX), "problem"),
        }
    );
    Ok(code)
}

fn log_problem(table: &str, error: &anyhow::Error, args: &VerifyArgs) -> Result<ExitCode> {
    let mut rows = Rows::new(&["file", "problem", "what to do"]);
    rows.rows.push(vec![
        Value::from(format!("{table}/_delta_log")),
        Value::from(error.to_string()),
        Value::str("restore the log's folder from a backup; no table can be read without it"),
    ]);
    output::print(&rows, args.output.output)?;
    Ok(exit_code::NO.into())
}
