//! Events and dead letters as Arrow record batches, and the statistics of the file they go into.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, Int32Builder, Int64Builder, ListBuilder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use casebook_event::{DeadLetter, Event, FieldId, FieldType, Timestamp, Value};

use crate::schema::TableSchema;
use crate::table::{SourceCount, StatsBuilder};
use crate::{StoreError, TableName};

/// Entity columns whose bounds go into the log, so that whole files can be left out of a search.
const BOUNDED_FIELDS: &[FieldId] = &[
    FieldId::UserName,
    FieldId::SourceIp,
    FieldId::HostName,
    FieldId::OrchestratorNamespace,
    FieldId::KubernetesPodName,
    FieldId::CloudAccountId,
];

/// Microseconds since the epoch, rounded down.
pub(crate) fn micros(time: Timestamp) -> i64 {
    time.as_nanos().div_euclid(1_000)
}

fn times() -> TimestampMicrosecondBuilder {
    TimestampMicrosecondBuilder::new().with_timezone("UTC")
}

/// The events, in that order, as one batch of the events table.
pub(crate) fn events(events: &[&Event]) -> Result<RecordBatch, StoreError> {
    let rows = events.len();
    let (mut time, mut nanos, mut ingested) = (times(), Int64Builder::with_capacity(rows), times());
    let (mut ids, mut sources) = (StringBuilder::with_capacity(rows, rows * 32), StringBuilder::new());
    let (mut raw, mut topics) = (StringBuilder::new(), StringBuilder::new());
    let (mut partitions, mut offsets, mut indexes) = (Int32Builder::new(), Int64Builder::new(), Int32Builder::new());
    for event in events {
        ids.append_value(event.id.to_string());
        time.append_value(micros(event.time));
        nanos.append_value(event.time.as_nanos());
        ingested.append_value(micros(event.ingested));
        sources.append_value(event.source.name());
        raw.append_value(&event.raw);
        topics.append_value(&event.position.topic);
        partitions.append_value(event.position.partition);
        offsets.append_value(event.position.offset);
        indexes.append_value(i32::try_from(event.position.index).unwrap_or(i32::MAX));
    }
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(ids.finish()),
        Arc::new(time.finish()),
        Arc::new(nanos.finish()),
        Arc::new(ingested.finish()),
        Arc::new(sources.finish()),
    ];
    columns.extend(field_columns(events));
    columns.extend([
        Arc::new(raw.finish()) as ArrayRef,
        Arc::new(topics.finish()),
        Arc::new(partitions.finish()),
        Arc::new(offsets.finish()),
        Arc::new(indexes.finish()),
    ]);
    batch(TableName::Events, rows, columns)
}

/// One column being built, and the number of rows it has.
enum Column {
    Text(StringBuilder, usize),
    Texts(ListBuilder<StringBuilder>, usize),
    Long(Int64Builder, usize),
}

impl Column {
    fn new(id: FieldId) -> Self {
        match id.info().field_type {
            FieldType::Keyword => Self::Text(StringBuilder::new(), 0),
            FieldType::Keywords => Self::Texts(ListBuilder::new(StringBuilder::new()), 0),
            FieldType::Long => Self::Long(Int64Builder::new(), 0),
        }
    }

    /// Fills up with nulls to `row` rows.
    fn pad(&mut self, row: usize) {
        match self {
            Self::Text(builder, rows) => (*rows..row).for_each(|_| builder.append_null()),
            Self::Texts(builder, rows) => (*rows..row).for_each(|_| builder.append_null()),
            Self::Long(builder, rows) => (*rows..row).for_each(|_| builder.append_null()),
        }
        match self {
            Self::Text(_, rows) | Self::Texts(_, rows) | Self::Long(_, rows) => *rows = row.max(*rows),
        }
    }

    fn set(&mut self, row: usize, value: &Value) {
        self.pad(row);
        match self {
            Self::Text(builder, rows) => {
                builder.append_value(value.to_text());
                *rows += 1;
            }
            Self::Texts(builder, rows) => {
                match value {
                    Value::List(items) => items
                        .iter()
                        .for_each(|item| builder.values().append_value(item.to_text())),
                    other => builder.values().append_value(other.to_text()),
                }
                builder.append(true);
                *rows += 1;
            }
            Self::Long(builder, rows) => {
                builder.append_option(value.as_i64());
                *rows += 1;
            }
        }
    }

    fn finish(mut self, rows: usize) -> ArrayRef {
        self.pad(rows);
        match self {
            Self::Text(mut builder, _) => Arc::new(builder.finish()),
            Self::Texts(mut builder, _) => Arc::new(builder.finish()),
            Self::Long(mut builder, _) => Arc::new(builder.finish()),
        }
    }
}

/// The normalized fields, row by row: an event has about twenty of the hundred columns.
fn field_columns(events: &[&Event]) -> impl Iterator<Item = ArrayRef> {
    let rows = events.len();
    let mut columns: Vec<Column> = FieldId::ALL.iter().map(|&id| Column::new(id)).collect();
    for (row, event) in events.iter().enumerate() {
        for (id, value) in event.fields.iter() {
            columns[id as usize].set(row, value);
        }
    }
    columns.into_iter().map(move |column| column.finish(rows))
}

/// Notes the rows in the file's statistics.
pub(crate) fn event_stats(stats: &mut StatsBuilder, events: &[&Event]) {
    for event in events {
        stats.row(event.time);
        stats.text("source", event.source.name());
        stats.source(event.source.name(), &SourceCount::of(event));
        stats.text("kafka_topic", &event.position.topic);
        stats.number("kafka_offset", event.position.offset);
        for &id in BOUNDED_FIELDS {
            if let Some(text) = event.fields.str(id) {
                stats.text(id.info().column, text);
            }
        }
    }
}

/// The dead letters as one batch of their table.
pub(crate) fn dead_letters(letters: &[&DeadLetter]) -> Result<RecordBatch, StoreError> {
    let mut ingested = times();
    let (mut topics, mut reasons, mut details) = (StringBuilder::new(), StringBuilder::new(), StringBuilder::new());
    let (mut partitions, mut offsets, mut indexes) = (Int32Builder::new(), Int64Builder::new(), Int32Builder::new());
    let mut payloads = BinaryBuilder::new();
    let (mut cut_bytes, mut cut_hashes) = (Int64Builder::new(), StringBuilder::new());
    for letter in letters {
        ingested.append_value(micros(letter.ingested));
        topics.append_value(&letter.position.topic);
        partitions.append_value(letter.position.partition);
        offsets.append_value(letter.position.offset);
        indexes.append_value(i32::try_from(letter.position.index).unwrap_or(i32::MAX));
        reasons.append_value(letter.reason);
        details.append_value(&letter.detail);
        payloads.append_value(&letter.payload);
        let cut = letter.cut.as_ref();
        cut_bytes.append_option(cut.map(|cut| i64::try_from(cut.bytes).unwrap_or(i64::MAX)));
        cut_hashes.append_option(cut.map(|cut| &cut.sha256));
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(ingested.finish()),
        Arc::new(topics.finish()),
        Arc::new(partitions.finish()),
        Arc::new(offsets.finish()),
        Arc::new(indexes.finish()),
        Arc::new(reasons.finish()),
        Arc::new(details.finish()),
        Arc::new(payloads.finish()),
        Arc::new(cut_bytes.finish()),
        Arc::new(cut_hashes.finish()),
    ];
    batch(TableName::DeadLetters, letters.len(), columns)
}

pub(crate) fn batch(table: TableName, rows: usize, columns: Vec<ArrayRef>) -> Result<RecordBatch, StoreError> {
    RecordBatch::try_new(TableSchema::of(table).file.clone(), columns).map_err(|error| StoreError::Encode {
        table: table.name(),
        rows,
        source: error.into(),
    })
}
