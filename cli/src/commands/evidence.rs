//! `casebook alert evidence`: the events that an alert cites, whole.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use casebook_event::{Alert, Event, EventId, Value};
use casebook_store::Store;

use crate::args::EvidenceArgs;
use crate::commands::alert;
use crate::commands::timeline::events_rows;
use crate::exit_code;
use crate::hints::Hints;
use crate::investigate::entry::Entry;
use crate::investigate::gather;
use crate::investigate::story::{Line, tell};
use crate::output::OutputFormat;
use crate::output::{self, Rows, counted, escape, notice};
use crate::resolve::stores;

pub async fn run(args: EvidenceArgs) -> Result<ExitCode> {
    let store = stores::open_existing(&args.store).await?;
    let Some(alert) = alert::by_id(&store, &args.id).await? else {
        return Ok(exit_code::NO.into());
    };
    let found = fetch(&store, &alert).await?;
    print(&alert, &found, args.output.output)?;
    report_missing(&alert, &found);
    if found.is_empty() {
        return Ok(exit_code::NO.into());
    }
    if alert.evidence_total > alert.evidence.len() as u64 {
        notice!(
            "casebook: the alert joins {} events and cites the first {}",
            alert.evidence_total,
            alert.evidence.len()
        );
    }
    let mut hints = Hints::new(&args.store);
    if args.output.output == OutputFormat::Table {
        hints.add(&["alert", "evidence", short(&alert), "--output", "json"]);
    }
    hints.add(&["timeline", &format!("alert:{}", short(&alert))]);
    hints.print();
    Ok(exit_code::OK)
}

/// Enough of an alert's id to ask for it.
pub fn short(alert: &Alert) -> &str {
    alert.alert.id.get(..12).unwrap_or(&alert.alert.id)
}

/// The events that an alert cites and that are in the store, in order of time.
async fn fetch(store: &Store, alert: &Alert) -> Result<Vec<Event>> {
    let cited = alert.evidence.iter().map(|evidence| (evidence.time, evidence.event_id));
    let found = gather::by_ids(store, cited.collect()).await?;
    let mut found: Vec<Event> = found.into_values().collect();
    found.sort_by_key(|event| (event.time, event.id));
    Ok(found)
}

fn print(alert: &Alert, found: &[Event], format: OutputFormat) -> Result<()> {
    match format {
        OutputFormat::Json => {
            let mut out = output::lines();
            for event in found {
                output::write_json(&event.to_ecs(), &mut out)?;
            }
            out.flush()?;
        }
        OutputFormat::Table => {
            let entries = found.iter().map(Entry::of).collect();
            let lines: Vec<Line> = tell(entries, Vec::new(), true)
                .into_iter()
                .filter(|line| matches!(line, Line::Events(_)))
                .collect();
            output::print(&events_rows(&lines), format)?;
        }
        OutputFormat::Csv => {
            let rule = |event: &Event| {
                let cited = alert.evidence.iter().find(|evidence| evidence.event_id == event.id);
                cited.map_or(Value::Null, |evidence| Value::str(&evidence.rule_id))
            };
            let mut rows = Rows::new(&[
                "time", "source", "event_id", "position", "rule_id", "who", "from", "raw",
            ]);
            for event in found {
                let entry = Entry::of(event);
                rows.rows.push(vec![
                    Value::from(event.time.to_string()),
                    Value::str(event.source.name()),
                    Value::from(event.id.to_string()),
                    Value::from(event.position.to_string()),
                    rule(event),
                    Value::from(entry.who),
                    entry.from.map_or(Value::Null, Value::from),
                    Value::str(&event.raw),
                ]);
            }
            output::print(&rows, format)?;
        }
    }
    Ok(())
}

fn report_missing(alert: &Alert, found: &[Event]) {
    let known: BTreeSet<EventId> = found.iter().map(|event| event.id).collect();
    let missing: Vec<_> = alert
        .evidence
        .iter()
        .filter(|evidence| !known.contains(&evidence.event_id))
        .collect();
    if missing.is_empty() {
        return;
    }
    notice!(
        "casebook: {} of {} not in the store: expired, or not committed yet (then ask again in a minute)",
        missing.len(),
        counted(alert.evidence.len(), "cited event"),
    );
    for evidence in missing {
        notice!(
            "  {} {} {} {}",
            evidence.event_id,
            evidence.time,
            evidence.source,
            escape(&evidence.position.to_string())
        );
    }
}
