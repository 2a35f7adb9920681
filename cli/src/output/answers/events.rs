//! Events that a search found, and how many there are.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Result;
use casebook_event::{Event, Value};
use casebook_investigate::search::{Counts, FoundEvents, value_of};

use crate::output::answer::{Layout, Section};
use crate::output::rows::{Rows, count};
use crate::output::{histogram, json_format};

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

/// Events under these columns, or under those that say most.
pub fn event_rows(events: &[Event], fields: &[String]) -> Rows {
    let columns: Vec<String> = if fields.is_empty() {
        DEFAULT_FIELDS.iter().map(|&field| field.to_owned()).collect()
    } else {
        fields.to_vec()
    };
    let row = |event: &Event| columns.iter().map(|column| value_of(event, column)).collect();
    Rows {
        rows: events.iter().map(row).collect(),
        columns,
    }
}

/// See [`Layout`].
pub struct EventsLayout<'a> {
    /// What was found.
    pub found: &'a FoundEvents,
    /// Only these fields.
    pub fields: &'a [String],
}

impl Layout for EventsLayout<'_> {
    fn sections(&self) -> Vec<Section> {
        vec![Section {
            rows: Some(self.rows()),
            ..Section::default()
        }]
    }

    fn rows(&self) -> Rows {
        event_rows(&self.found.events, self.fields)
    }

    fn write_json(&self, out: &mut dyn Write) -> Result<()> {
        if !self.fields.is_empty() {
            return json_format::write_rows(&self.rows(), out);
        }
        self.found
            .events
            .iter()
            .try_for_each(|event| json_format::write_line(&event.to_ecs(), out))
    }
}

/// The number of all that match.
pub struct CountLayout<'a>(pub &'a Counts);

impl Layout for CountLayout<'_> {
    fn sections(&self) -> Vec<Section> {
        vec![Section {
            heading: format!("{}\n", self.0.matched),
            ..Section::default()
        }]
    }

    fn rows(&self) -> Rows {
        let mut rows = Rows::new(&["count"]);
        rows.rows.push(vec![count(self.0.matched)]);
        rows
    }
}

/// Counts by time and fields.
pub struct CountsLayout<'a> {
    /// What was counted.
    pub counts: &'a Counts,
    /// At most so many groups, where they are counted by fields.
    pub limit: usize,
    /// The span of time that is counted by, in nanoseconds.
    pub span_nanos: Option<i64>,
}

impl CountsLayout<'_> {
    /// How many by the number of their span.
    pub fn by_span(&self, span_nanos: i64) -> BTreeMap<i64, u64> {
        let groups = self.counts.groups.iter();
        groups
            .filter_map(|group| Some((group.time?.as_nanos().div_euclid(span_nanos), group.count)))
            .collect()
    }
}

impl Layout for CountsLayout<'_> {
    /// Bars where only time is counted by.
    fn sections(&self) -> Vec<Section> {
        let section = match self.span_nanos.filter(|_| self.counts.fields.is_empty()) {
            Some(span) => Section {
                heading: histogram::bars(&self.by_span(span), span),
                ..Section::default()
            },
            None => Section {
                rows: Some(self.rows()),
                ..Section::default()
            },
        };
        vec![section]
    }

    fn rows(&self) -> Rows {
        let time = self.span_nanos.map(|_| "time".to_owned());
        let fields = &self.counts.fields;
        let columns = time.into_iter().chain(fields.iter().cloned());
        let limit = if fields.is_empty() { usize::MAX } else { self.limit };
        let rows = self.counts.groups.iter().take(limit).map(|group| {
            let time = group.time.map(|time| Value::from(time.to_string()));
            let values = group.values.iter().map(|value| match value {
                Some(value) => Value::str(value),
                None => Value::Null,
            });
            time.into_iter().chain(values).chain([count(group.count)]).collect()
        });
        Rows {
            rows: rows.collect(),
            columns: columns.chain(["count".to_owned()]).collect(),
        }
    }
}
