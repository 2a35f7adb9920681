//! Events as rows, lines and files.

use std::io::Write as _;

use anyhow::Result;
use casebook_event::{Event, FieldId, FieldRef, Value};
use casebook_store::{ALIASES, to_parquet};

use crate::args::{SearchArgs, SearchFormat};
use crate::exit_code::usage;
use crate::output::OutputFormat;
use crate::output::{self, Rows};

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

fn columns(args: &SearchArgs) -> Vec<String> {
    if args.fields.is_empty() {
        DEFAULT_FIELDS.iter().map(|&field| field.to_owned()).collect()
    } else {
        args.fields.clone()
    }
}

fn rows(events: &[Event], columns: Vec<String>) -> Rows {
    let rows = events
        .iter()
        .map(|event| columns.iter().map(|column| cell(event, column)).collect())
        .collect();
    Rows { columns, rows }
}

/// Prints events in the order in which they are given.
pub fn print(events: &[Event], args: &SearchArgs) -> Result<()> {
    match args.output {
        SearchFormat::Parquet if args.fields.is_empty() => match output::write_binary(&to_parquet(events)?)? {
            true => Ok(()),
            false => Err(usage(
                "a Parquet file is nothing for a terminal: write it to a file with > events.parquet",
            )),
        },
        SearchFormat::Json if args.fields.is_empty() => {
            let mut out = output::lines();
            for event in events {
                output::write_json(&event.to_ecs(), &mut out)?;
            }
            Ok(out.flush()?)
        }
        format => output::print(&rows(events, columns(args)), format.of_rows()?),
    }
}

/// Events that are printed as they come: a header is printed once.
pub struct Lines<'a> {
    args: &'a SearchArgs,
    begun: bool,
}

impl<'a> Lines<'a> {
    pub fn new(args: &'a SearchArgs) -> Self {
        Self { args, begun: false }
    }

    pub fn print(&mut self, events: &[Event]) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        if self.args.output == SearchFormat::Json {
            return print(events, self.args);
        }
        let rows = rows(events, columns(self.args));
        let format = match self.args.output {
            SearchFormat::Csv => OutputFormat::Csv,
            _ => OutputFormat::Table,
        };
        output::print_on(&rows, format, !self.begun)?;
        self.begun = true;
        Ok(())
    }
}

/// Sorts by a field: numbers by size, everything else as text; events without the field come last.
pub fn sort(events: &mut [Event], field: &str, down: bool) {
    let key = |event: &Event| match cell(event, field) {
        Value::Null => (2, 0.0, String::new()),
        value => match value.as_f64() {
            Some(number) => (0, number, String::new()),
            None => (1, 0.0, value.to_text().into_owned()),
        },
    };
    events.sort_by_cached_key(|event| {
        let (kind, number, text) = key(event);
        (kind, Ordered(number), text)
    });
    if down {
        // Those without the field stay where they are.
        let with = events.partition_point(|event| cell(event, field) != Value::Null);
        events[..with].reverse();
    }
}

/// A number that is none of those that have no order: JSON has none of them.
#[derive(PartialEq)]
struct Ordered(f64);

impl Eq for Ordered {}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

fn cell(row: &Event, column: &str) -> Value {
    match column {
        "time" | "@timestamp" => Value::from(row.time.to_string()),
        "source" => Value::str(row.source.name()),
        "id" | "event.id" | "event_id" => Value::from(row.id.to_string()),
        "position" => Value::from(row.position.to_string()),
        "raw" | "event.original" => Value::str(&row.raw),
        "what" => what(row),
        name => {
            let ids = match ALIASES.binary_search_by(|alias| alias.name.cmp(name)) {
                Ok(at) => ALIASES[at].fields.to_vec(),
                Err(_) => FieldRef::resolve(name).normalized().to_vec(),
            };
            ids.iter()
                .find_map(|&id| row.fields.get(id))
                .cloned()
                .unwrap_or_else(|| native(row, name))
        }
    }
}

/// The part of an event that says most to a reader: the command, else the object, else the text.
fn what(row: &Event) -> Value {
    let text = |id| row.fields.get(id).map(|value| value.to_text().into_owned());
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

fn native(row: &Event, path: &str) -> Value {
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
