//! `casebook correlation state`: what correlation waits for.

use std::process::ExitCode;

use anyhow::Result;
use casebook_correlate::PendingGroup;
use casebook_event::{Timestamp, Value};
use casebook_pipeline::{PendingGroups, PendingQuery};

use crate::args::{CorrelationCommand, CorrelationStateArgs};
use crate::exit_code::{self, usage};
use crate::output::{self, Rows, counted, notice};
use crate::resolve::{rules, stores};

pub async fn run(command: CorrelationCommand) -> Result<ExitCode> {
    match command {
        CorrelationCommand::State(args) => state(args).await,
    }
}

async fn state(args: CorrelationStateArgs) -> Result<ExitCode> {
    let (set, wanted) = match &args.rule {
        None => (rules::load(&args.rules.rules, true)?, None),
        Some(rule) => {
            let (set, asked) = rules::asked(std::slice::from_ref(rule), &args.rules.rules)?;
            (set, Some(asked))
        }
    };
    let is_wanted = |group: &PendingGroup| {
        let asked = wanted.as_ref();
        asked.is_none_or(|asked| asked.iter().any(|rule| rule.id == group.rule_id))
    };
    let store = stores::open_existing(&args.store).await?;
    let known = casebook_pipeline::worker_groups(&store).await?;
    let group = match (&args.group, known.as_slice()) {
        (Some(group), _) if known.contains(group) => group,
        (None, [only]) => only,
        (_, []) => {
            notice!("casebook: no worker has committed anything to this store yet");
            return Ok(exit_code::NO.into());
        }
        (None, several) => return Err(usage(format!("--group: one of {}", several.join(", ")))),
        (Some(group), known) => {
            let message = format!(
                "--group: no worker of `{group}` has committed anything here; known are {}",
                known.join(", ")
            );
            return Err(usage(message));
        }
    };
    let query = PendingQuery {
        group,
        rules: &set,
        wants: &is_wanted,
        limit: args.limit,
    };
    let (PendingGroups { found, by_rule }, partitions) = casebook_pipeline::pending_groups(&store, &query).await?;
    output::print(&rows(&found), args.output.output)?;
    let total: usize = by_rule.values().sum();
    if total > found.len() {
        notice!("casebook: {} of {total} groups; --limit shows more", found.len());
    }
    let unread: i64 = partitions.iter().map(|of| of.start.next - of.start.resume).sum();
    let missing = partitions.iter().filter(|of| !of.written).count();
    if unread > 0 || missing > 0 {
        notice!(
            "casebook: the state was written before the last {}",
            counted(usize::try_from(unread).unwrap_or_default(), "signal")
        );
    }
    let repairing: usize = partitions.iter().map(|of| of.repairing).sum();
    if repairing > 0 {
        notice!(
            "casebook: repairing: {} of what came late; their alerts may still change",
            counted(repairing, "key")
        );
    }
    if let Some(watermark) = partitions
        .iter()
        .map(|of| of.watermark)
        .min()
        .filter(|time| *time > Timestamp::MIN)
    {
        notice!(
            "casebook: all that was expected before {watermark} has come; what comes later than that is correlated by a repair"
        );
    }
    Ok(exit_code::OK)
}

/// The groups as rows for a table.
pub fn rows(groups: &[PendingGroup]) -> Rows {
    let mut rows = Rows::new(&["rule", "group", "state", "from", "to", "events", "has", "lacks"]);
    for group in groups {
        let of_group: Vec<String> = group
            .group
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let list = |holds: bool| {
            let required = group.requirements.iter().filter(|required| required.holds == holds);
            let texts: Vec<String> = required
                .map(|required| format!("{} ({})", required.what, required.has))
                .collect();
            Value::from(texts.join("; "))
        };
        rows.rows.push(vec![
            Value::str(&group.title),
            Value::from(of_group.join(" ")),
            Value::str(if group.repairing { "repairing" } else { "open" }),
            Value::from(group.from.to_string()),
            Value::from(group.to.to_string()),
            Value::Int(i64::try_from(group.events).unwrap_or(i64::MAX)),
            list(true),
            list(false),
        ]);
    }
    rows
}
