//! Rows of the events table back into events, and what is counted of dead letters.

use std::sync::Arc;

use arrow::array::{
    Array, AsArray, Int32Array, Int64Array, ListArray, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use casebook_event::{Event, EventId, FieldId, FieldType, Native, Position, Source, Timestamp, Value};

use super::column::Column;
use crate::table::LetterCounts;

/// The columns of a batch that was read, found by name once. Columns that were not read leave their part of the event
/// empty.
pub(crate) struct EventColumns<'a> {
    event_id: Option<&'a StringArray>,
    nanos: Option<&'a Int64Array>,
    ingested: Option<&'a TimestampMicrosecondArray>,
    source: Option<&'a StringArray>,
    raw: Option<&'a StringArray>,
    topic: Option<&'a StringArray>,
    partition: Option<&'a Int32Array>,
    offset: Option<&'a Int64Array>,
    index: Option<&'a Int32Array>,
    fields: Vec<(FieldId, FieldColumn<'a>)>,
    no_topic: Arc<str>,
}

enum FieldColumn<'a> {
    Text(&'a StringArray),
    Texts(&'a ListArray),
    Long(&'a Int64Array),
}

impl<'a> EventColumns<'a> {
    pub fn new(batch: &'a RecordBatch) -> Self {
        let text = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>();
        let long = |name: &str| batch.column_by_name(name)?.as_primitive_opt::<Int64Type>();
        let int = |name: &str| batch.column_by_name(name)?.as_primitive_opt::<Int32Type>();
        let fields = FieldId::ALL.iter().filter_map(|&id| {
            let column = batch.column_by_name(id.info().column)?;
            let column = match id.info().field_type {
                FieldType::Keyword => FieldColumn::Text(column.as_string_opt::<i32>()?),
                FieldType::Keywords => FieldColumn::Texts(column.as_list_opt::<i32>()?),
                FieldType::Long => FieldColumn::Long(column.as_primitive_opt::<Int64Type>()?),
            };
            Some((id, column))
        });
        Self {
            event_id: text("event_id"),
            nanos: long("time_nanos"),
            ingested: batch
                .column_by_name("ingested")
                .and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>()),
            source: text("source"),
            raw: text("raw"),
            topic: text("kafka_topic"),
            partition: int("kafka_partition"),
            offset: long("kafka_offset"),
            index: int("kafka_index"),
            fields: fields.collect(),
            no_topic: Arc::from(""),
        }
    }

    /// The exact time of a row.
    pub fn time(&self, row: usize) -> Timestamp {
        Timestamp::from_nanos(self.nanos.map_or(0, |nanos| nanos.value(row)))
    }

    /// The record of a row.
    pub fn raw(&self, row: usize) -> &'a str {
        self.raw.map_or("", |column| column.value(row))
    }

    /// Calls `each` with every value that a row has in a column that was read.
    pub fn visit(&self, column: Column, row: usize, each: &mut dyn FnMut(&str)) {
        match column {
            Column::Field(id) => {
                let Ok(at) = self.fields.binary_search_by_key(&id, |(id, _)| *id) else {
                    return;
                };
                self.fields[at].1.visit(row, each);
            }
            Column::Source => self.source.iter().for_each(|column| each(column.value(row))),
            Column::EventId => self.event_id.iter().for_each(|column| each(column.value(row))),
            Column::Topic => self.topic.iter().for_each(|column| each(column.value(row))),
            Column::Partition => self
                .partition
                .iter()
                .for_each(|column| each(&column.value(row).to_string())),
            Column::Offset => self
                .offset
                .iter()
                .for_each(|column| each(&column.value(row).to_string())),
        }
    }

    /// The event of a row as it was when it was written, but for its native record, which is in the raw one.
    ///
    /// # Errors
    /// It has a source that this version does not know.
    pub fn event(&self, row: usize) -> Result<Event, String> {
        let text = |column: Option<&'a StringArray>| column.filter(|c| c.is_valid(row)).map(|c| c.value(row));
        let source = match text(self.source) {
            Some(name) => name.parse::<Source>().map_err(|error| error.to_string())?,
            None => Source::Application,
        };
        Ok(Event {
            id: text(self.event_id)
                .and_then(|id| id.parse().ok())
                .unwrap_or(EventId::from_u128(0)),
            time: self.time(row),
            ingested: Timestamp::from_nanos(
                self.ingested
                    .map_or(0, |micros| micros.value(row).saturating_mul(1_000)),
            ),
            source,
            position: Position {
                topic: text(self.topic).map_or_else(|| self.no_topic.clone(), Arc::from),
                partition: self.partition.map_or(0, |column| column.value(row)),
                offset: self.offset.map_or(0, |column| column.value(row)),
                index: self.index.map_or(0, |column| column.value(row).unsigned_abs()),
            },
            fields: self
                .fields
                .iter()
                .filter_map(|(id, column)| Some((*id, column.value(row)?)))
                .collect(),
            native: Native::NONE,
            raw: text(self.raw).unwrap_or_default().into(),
        })
    }
}

impl FieldColumn<'_> {
    fn visit(&self, row: usize, each: &mut dyn FnMut(&str)) {
        match self {
            Self::Text(column) if column.is_valid(row) => each(column.value(row)),
            Self::Long(column) if column.is_valid(row) => each(&column.value(row).to_string()),
            Self::Texts(column) if column.is_valid(row) => {
                let items = column.value(row);
                if let Some(items) = items.as_string_opt::<i32>() {
                    items.iter().flatten().for_each(each);
                }
            }
            _ => {}
        }
    }

    fn value(&self, row: usize) -> Option<Value> {
        match self {
            Self::Text(column) => column.is_valid(row).then(|| Value::str(column.value(row))),
            Self::Long(column) => column.is_valid(row).then(|| Value::Int(column.value(row))),
            Self::Texts(column) => {
                if column.is_null(row) {
                    return None;
                }
                let items = column.value(row);
                let items = items.as_string_opt::<i32>()?;
                Some(items.iter().flatten().map(Value::str).collect())
            }
        }
    }
}

/// The dead letters of a batch by topic and reason; none where it lacks one of these columns.
pub(crate) fn letter_counts(batch: &RecordBatch) -> LetterCounts {
    let text = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>();
    let mut counts = LetterCounts::default();
    if let (Some(topics), Some(reasons)) = (text("topic"), text("reason")) {
        for row in 0..batch.num_rows() {
            counts.add(topics.value(row), reasons.value(row), 1);
        }
    }
    counts
}
