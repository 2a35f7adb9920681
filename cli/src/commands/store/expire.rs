//! `casebook store expire`: retention.

use std::process::ExitCode;

use anyhow::Result;
use casebook_correlate::needed_from;
use casebook_event::Value;
use casebook_store::{ExpireRequest, TableName};

use super::report::{progress, report_problems};
use super::vacuum;
use crate::args::ExpireArgs;
use crate::output::{self, Rows, count, notice};
use crate::resolve::age;
use crate::resolve::stores;

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
        "base_rows",
    ]);
    let (mut found, mut held) = (Vec::new(), Vec::new());
    for (table, request) in tables {
        let (bar, mut moved) = progress(table.name());
        let expired = store.expire(table, &request, &needed_from, &mut moved).await;
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
            count(expired.base_rows),
        ]);
        held.extend(expired.held.into_iter().map(|held| (table, held)));
        found.extend(expired.problems);
    }
    output::print(&rows, args.output.output)?;
    for (table, (date, hold)) in held {
        notice!(
            "casebook: {}: {date} stays, the hold `{}` touches it (`casebook store hold list`)",
            table.name(),
            output::escape(&hold)
        );
    }
    if args.dry_run {
        notice!("casebook: this would go; nothing has changed");
    }
    found.extend(vacuum::sweep(&store, keep, args.dry_run).await?);
    Ok(report_problems(&found))
}
