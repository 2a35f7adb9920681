//! `casebook alert`: the alerts of a store.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use casebook_event::{Alert, Level, Retraction, Value};
use casebook_store::{AlertFilter, Store};

use crate::args::{AlertCommand, AlertListArgs, AlertShowArgs};
use crate::commands::evidence;
use crate::exit_code::{self, usage};
use crate::hints::Hints;
use crate::output::OutputFormat;
use crate::output::{self, Rows, escape, notice};
use crate::resolve::{stores, time_range};

pub async fn run(command: AlertCommand) -> Result<ExitCode> {
    match command {
        AlertCommand::List(args) => list(args).await,
        AlertCommand::Show(args) => show(args).await,
        AlertCommand::Evidence(args) => evidence::run(args).await,
    }
}

async fn list(args: AlertListArgs) -> Result<ExitCode> {
    let (from, to) = time_range::parse(&args.time)?;
    let min_level = args
        .level
        .as_deref()
        .map(str::parse::<Level>)
        .transpose()
        .map_err(|error| usage(format!("--level: {error}")))?;
    let store = stores::open_existing(&args.store).await?;
    let filter = AlertFilter {
        from,
        to,
        rule_id: args.rule,
        min_level,
        include_withdrawn: args.withdrawn,
        ..AlertFilter::default()
    };
    let mut alerts = store.alerts(filter).await?;
    sort(&mut alerts);
    let total = alerts.len();
    alerts.truncate(args.limit);
    match args.output.output {
        OutputFormat::Json => print_json(&alerts)?,
        format => output::print(&rows(&alerts), format)?,
    }
    if total > alerts.len() {
        notice!("casebook: {} of {total} alerts; --limit shows more", alerts.len());
    }
    Ok(exit_code::OK)
}

/// The gravest first; among equals, those that join more events, then the newest.
pub fn sort(alerts: &mut [Alert]) {
    alerts.sort_by(|a, b| {
        let key = |alert: &Alert| {
            (
                alert.rule.level,
                alert.rule.kind != "detection",
                sources(alert).len(),
                alert.alert.time,
            )
        };
        key(b).cmp(&key(a)).then_with(|| a.alert.id.cmp(&b.alert.id))
    });
}

fn sources(alert: &Alert) -> Vec<&'static str> {
    let mut names: Vec<_> = alert.evidence.iter().map(|evidence| evidence.source.name()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The alerts as rows for a table.
pub fn rows(alerts: &[Alert]) -> Rows {
    let mut rows = Rows::new(&["id", "level", "time", "status", "events", "sources", "group", "rule"]);
    for alert in alerts {
        let group: Vec<String> = alert
            .group
            .iter()
            .map(|(field, value)| format!("{field}={value}"))
            .collect();
        rows.rows.push(vec![
            Value::str(&alert.alert.id[..alert.alert.id.len().min(12)]),
            Value::str(alert.rule.level.name()),
            Value::from(alert.alert.time.to_string()),
            Value::from(format!("{:?}", alert.alert.status).to_lowercase()),
            Value::Int(i64::try_from(alert.evidence_total).unwrap_or(i64::MAX)),
            Value::from(sources(alert).join(",")),
            Value::from(group.join(" ")),
            Value::str(&alert.rule.name),
        ]);
    }
    rows
}

/// The alert whose id begins so; `None` where there is none, which is said.
pub async fn by_id(store: &Store, id: &str) -> Result<Option<Alert>> {
    let alert = store.alert(id).await?;
    if alert.is_none() {
        notice!(
            "casebook: no alert has an id that begins with `{}`; `casebook alert list` lists them",
            escape(id)
        );
    }
    Ok(alert)
}

async fn show(args: AlertShowArgs) -> Result<ExitCode> {
    let store = stores::open_existing(&args.store).await?;
    let Some(alert) = by_id(&store, &args.id).await? else {
        return Ok(exit_code::NO.into());
    };
    match args.output.output {
        OutputFormat::Json => print_json(&[alert])?,
        OutputFormat::Csv => output::print(&evidence_rows(&alert), OutputFormat::Csv)?,
        OutputFormat::Table => {
            print_head(&alert)?;
            output::print(&evidence_rows(&alert), OutputFormat::Table)?;
            let id = evidence::short(&alert);
            let mut hints = Hints::new(&args.store);
            hints.add(&["alert", "evidence", id]);
            hints.add(&["timeline", &format!("alert:{id}")]);
            hints.print();
        }
    }
    Ok(exit_code::OK)
}

fn print_head(alert: &Alert) -> Result<()> {
    let mut out = output::lines();
    let (head, rule) = (&alert.alert, &alert.rule);
    writeln!(out, "{} ({})", escape(&rule.name), rule.level)?;
    writeln!(
        out,
        "alert    {} revision {} ({:?})",
        head.id, head.revision, head.status
    )?;
    writeln!(out, "rule     {} {} version {}", rule.id, rule.kind, rule.version)?;
    writeln!(
        out,
        "time     {} (events from {} to {})",
        head.time, alert.window.from, alert.window.to
    )?;
    if let Some(retraction) = &alert.retraction {
        print_retraction(&mut out, retraction)?;
    }
    for (field, value) in &alert.group {
        writeln!(out, "group    {} = {}", escape(field), escape(value))?;
    }
    if !rule.tags.is_empty() {
        writeln!(out, "tags     {}", escape(&rule.tags.join(" ")))?;
    }
    for (n, step) in rule.response.iter().enumerate() {
        writeln!(
            out,
            "{:8} {}. {}",
            if n == 0 { "to do" } else { "" },
            n + 1,
            escape(step)
        )?;
    }
    writeln!(
        out,
        "evidence {} events{}\n",
        alert.evidence_total,
        if alert.evidence.len() as u64 == alert.evidence_total {
            ""
        } else {
            ", the first of them"
        }
    )?;
    Ok(out.flush()?)
}

/// What withdrew a final alert, and who can have written it.
fn print_retraction(out: &mut impl Write, retraction: &Retraction) -> Result<()> {
    if let Some(event) = &retraction.event {
        let (id, source, time, position) = (&event.event_id, event.source, event.time, &event.position);
        let by = format!("event {id} of {source} at {time} ({position})");
        writeln!(out, "retracted by {}, which came late", escape(&by))?;
    }
    if let Some(learned) = &retraction.learned {
        let (from, to, time) = (&learned.from, &learned.to, learned.time);
        let what = match (learned.ends, from == to) {
            (true, true) => format!("that {from} ended at {time}"),
            (true, false) => format!("that {from} was {to} no more at {time}"),
            (false, _) => format!("that {from} was {to} at {time}"),
        };
        let by = format!("{what} ({:?}, {:?})", learned.how, learned.confidence);
        writeln!(out, "retracted by what was learned late: {}", escape(&by))?;
    }
    writeln!(
        out,
        "         its time can be written by: {}; look at both before you believe either",
        escape(&retraction.time_written_by)
    )?;
    Ok(())
}

fn evidence_rows(alert: &Alert) -> Rows {
    let mut rows = Rows::new(&["time", "source", "event_id", "position", "rule_id", "entities"]);
    for evidence in &alert.evidence {
        let entities: Vec<String> = evidence
            .entities
            .iter()
            .map(|(field, value)| format!("{field}={value}"))
            .collect();
        rows.rows.push(vec![
            Value::from(evidence.time.to_string()),
            Value::str(evidence.source.name()),
            Value::from(evidence.event_id.to_string()),
            Value::from(evidence.position.to_string()),
            Value::str(&evidence.rule_id),
            Value::from(entities.join(" ")),
        ]);
    }
    rows
}

fn print_json(alerts: &[Alert]) -> Result<()> {
    let mut out = output::lines();
    for alert in alerts {
        output::write_json(alert, &mut out)?;
    }
    out.flush()?;
    Ok(())
}
