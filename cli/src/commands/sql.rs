//! `casebook sql`: SQL over the tables.

use std::process::ExitCode;

use anyhow::Result;

use crate::args::SqlArgs;
use crate::output::{self, Rows};
use crate::{exit_code, stores};

pub async fn run(args: SqlArgs) -> Result<ExitCode> {
    let store = stores::open_existing(&args.store).await?;
    let answer = store.sql(&args.query, args.limit).await?;
    let cut = answer.rows.len() >= args.limit;
    output::print(
        &Rows {
            columns: answer.columns,
            rows: answer.rows,
        },
        args.output.output,
    )?;
    if cut {
        eprintln!("casebook: the first {} rows; --limit shows more", args.limit);
    }
    Ok(exit_code::OK)
}
