//! `casebook alert list`: which alerts there are.

use std::process::ExitCode;

use anyhow::Result;
use casebook_event::Level;
use casebook_investigate::alerts;
use casebook_store::AlertFilter;

use crate::args::AlertListArgs;
use crate::exit_code::{self, usage};
use crate::output::answers::alert::AlertListLayout;
use crate::output::{notice, print_answer};
use crate::resolve::{stores, time_range};

pub async fn run(args: AlertListArgs) -> Result<ExitCode> {
    let (from, to) = time_range::parse(&args.time)?;
    let min_level = args
        .level
        .as_deref()
        .map(str::parse::<Level>)
        .transpose()
        .map_err(|error| usage(format!("--level: {error}")))?;
    let store = stores::open_existing(&args.store).await?;
    let archive = stores::archive(&store);
    let filter = AlertFilter {
        from,
        to,
        rule_id: args.rule,
        min_level,
        include_withdrawn: args.withdrawn,
        ..AlertFilter::default()
    };
    let answer = alerts::list(&archive, filter, args.limit).await?;
    let (found, total) = (answer.data.alerts.len(), answer.data.total);
    print_answer(&answer, &AlertListLayout(&answer.data), args.output.output)?;
    if total > found as u64 {
        notice!("casebook: {found} of {total} alerts; --limit shows more");
    }
    Ok(exit_code::OK)
}
