//! `casebook store expire`: retention.

use std::process::ExitCode;

use anyhow::Result;
use casebook_event::{Source, Value};
use casebook_store::{ExpireRequest, TableName};
use clap::Args;

use super::{age, bar, count, tell, vacuum};
use crate::args::{OutputArgs, StoreArgs};
use crate::output::{self, Rows, notice};
use crate::stores;

#[derive(Debug, Args)]
pub struct ExpireArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// Dates (UTC) that ended so long ago: 90d, 52w
    #[arg(long, value_name = "AGE")]
    older_than: String,
    /// Only events of these sources; else all events and dead letters. Alerts stay, and so does what correlation keeps for late
    /// events
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    source: Vec<Source>,
    /// What correlation keeps for late events goes with dates (UTC) that ended so long ago: 14d; not less than the repair
    /// horizon of the workers
    #[arg(long, value_name = "AGE", conflicts_with = "source")]
    repair_horizon: Option<String>,
    /// Say what would go, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Delete removed files from the disk when they were removed so long ago: 24h, 7d at most
    #[arg(long, value_name = "AGE", default_value = vacuum::DEFAULT_AGE)]
    keep_removed: String,
    #[command(flatten)]
    output: OutputArgs,
}

pub async fn run(args: ExpireArgs) -> Result<ExitCode> {
    let keep = age("--keep-removed", &args.keep_removed)?;
    let request = ExpireRequest {
        older_than: age("--older-than", &args.older_than)?,
        sources: args.source,
        dry_run: args.dry_run,
        now: casebook_pipeline::now(),
    };
    let mut tables = vec![(TableName::Events, request.clone())];
    if request.sources.is_empty() {
        tables.push((TableName::DeadLetters, request.clone()));
    }
    if let Some(horizon) = &args.repair_horizon {
        let request = ExpireRequest {
            older_than: age("--repair-horizon", horizon)?,
            ..request
        };
        tables.extend(TableName::KEPT.iter().map(|&table| (table, request.clone())));
    }
    let store = stores::open_existing(&args.store).await?;
    let mut rows = Rows::new(&[
        "table",
        "first_date",
        "last_date",
        "rows",
        "files_removed",
        "files_rewritten",
        "bytes_removed",
    ]);
    let mut found = Vec::new();
    for (table, request) in tables {
        let (bar, mut moved) = bar(table.name());
        let expired = store.expire(table, &request, &mut moved).await;
        bar.finish_and_clear();
        let expired = expired?;
        let (first, last) = expired.dates.unzip();
        let date = |date: Option<String>| date.map_or(Value::Null, Value::from);
        rows.rows.push(vec![
            Value::str(table.name()),
            date(first),
            date(last),
            count(expired.rows),
            count(expired.files_removed),
            count(expired.files_rewritten),
            count(expired.bytes_removed),
        ]);
        found.extend(expired.problems);
    }
    output::print(&rows, args.output.output)?;
    if args.dry_run {
        notice!("casebook: this would go; nothing has changed");
    }
    found.extend(vacuum::sweep(&store, keep, args.dry_run).await?);
    Ok(tell(&found))
}
