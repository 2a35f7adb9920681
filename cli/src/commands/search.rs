//! `casebook search`: find events.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use casebook_event::{FieldId, FieldRef, Source, Value};
use casebook_store::{FoundEvent, SearchRequest};

use crate::args::{OutputFormat, SearchArgs};
use crate::exit_code::{self, usage};
use crate::output::{self, Rows};
use crate::{stores, time_range};

/// What a table shows where no fields are named.
const DEFAULT_FIELDS: &[&str] = &[
    "time",
    "source",
    "user.name",
    "source.ip",
    "event.action",
    "event.outcome",
    "what",
];

pub async fn run(args: SearchArgs) -> Result<ExitCode> {
    let (from, to) = time_range::parse(&args.time)?;
    let sources = args
        .source
        .iter()
        .map(|name| {
            name.parse::<Source>()
                .map_err(|error| usage(format!("--source: {error}")))
        })
        .collect::<Result<Vec<_>>>()?;
    let store = stores::open_existing(&args.store).await?;
    let request = SearchRequest {
        query: args.query.join(" "),
        from,
        to,
        sources,
        limit: args.limit,
        newest_first: true,
    };
    let answer = store.search(request).await?;

    if args.output.output == OutputFormat::Json && args.fields.is_empty() {
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        for row in &answer.rows {
            output::write_json(&row.to_ecs(), &mut out)?;
        }
        out.flush()?;
    } else {
        let default = DEFAULT_FIELDS.iter().map(|&f| f.to_owned()).collect();
        let columns: Vec<String> = if args.fields.is_empty() { default } else { args.fields };
        let rows = answer
            .rows
            .iter()
            .map(|row| columns.iter().map(|column| cell(row, column)).collect())
            .collect();
        output::print(&Rows { columns, rows }, args.output.output)?;
    }
    // A search stops when no further file can hold a row that belongs into the answer; then not all matches are counted.
    let at_least = if answer.counted_all { "" } else { "at least " };
    eprintln!(
        "casebook: {} of {at_least}{} events; {} files, {} left out by time and statistics, {} without a usable index, {} not needed",
        answer.rows.len(),
        answer.matched,
        answer.files_total,
        answer.files_pruned,
        answer.files_scanned,
        answer.files_unread,
    );
    Ok(exit_code::OK)
}

fn cell(row: &FoundEvent, column: &str) -> Value {
    match column {
        "time" | "@timestamp" => Value::from(row.time.to_string()),
        "source" => Value::str(row.source.name()),
        "id" | "event.id" | "event_id" => Value::from(row.event_id.to_string()),
        "position" => Value::from(row.position.to_string()),
        "raw" | "event.original" => Value::str(&row.raw),
        "what" => what(row),
        name => FieldRef::resolve(name)
            .normalized()
            .iter()
            .find_map(|&id| row.field(id))
            .cloned()
            .unwrap_or_else(|| native(row, name)),
    }
}

/// The part of an event that says most to a reader: the command, else the object, else the text.
fn what(row: &FoundEvent) -> Value {
    let text = |id| row.field(id).map(|value| value.to_text().into_owned());
    let object = || {
        let parts = [
            FieldId::OrchestratorNamespace,
            FieldId::OrchestratorResourceType,
            FieldId::OrchestratorResourceName,
        ]
        .into_iter()
        .filter_map(text)
        .collect::<Vec<_>>();
        (!parts.is_empty()).then(|| parts.join("/"))
    };
    text(FieldId::ProcessCommandLine)
        .or_else(object)
        .or_else(|| text(FieldId::Message))
        .or_else(|| text(FieldId::CloudServiceName))
        .map_or_else(|| Value::str(&row.raw), Value::from)
}

fn native(row: &FoundEvent, path: &str) -> Value {
    let Ok(document) = serde_json::from_str::<Value>(&row.raw) else {
        return Value::Null;
    };
    let mut found = Value::Null;
    document.visit_path(path, &mut |value| {
        found = value.to_value();
        true
    });
    found
}
