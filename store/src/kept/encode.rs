//! Rows of the two tables as Arrow record batches, and the statistics of the file they go into.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, BooleanBuilder, Int32Builder, Int64Array, Int64Builder, RecordBatch,
    StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::compute::{max, min};
use arrow::datatypes::Int64Type;
use casebook_event::{Binding, DecidedWindow, Signal, Timestamp};

use super::identifiers::{IdentifierBuilder, key, word};
use super::key::key_column;
use crate::data_file::{batch, micros};
use crate::table::StatsBuilder;
use crate::{StoreError, TableName};

/// The kind of a row that is a match.
pub(super) const MATCH: &str = "match";

/// The kind of a row that is a window.
pub(super) const WINDOW: &str = "window";

/// A row of the signals table.
#[derive(Debug, Clone, Copy)]
pub(super) enum SignalRow<'a> {
    Match(&'a Signal),
    Window(&'a DecidedWindow),
}

impl SignalRow<'_> {
    /// The time by which it has its date and its order.
    pub fn time(self) -> Timestamp {
        match self {
            Self::Match(signal) => signal.event.time,
            Self::Window(window) => window.first,
        }
    }

    /// About how many bytes its texts have.
    pub fn bytes(self) -> usize {
        let group = |group: &[compact_str::CompactString]| group.iter().map(|value| value.len() + 3).sum::<usize>();
        match self {
            Self::Match(signal) => {
                let value = signal.value.as_ref().map_or(0, |value| value.len());
                let entity: usize = signal.entity.iter().map(|one| one.value.len() + 40).sum();
                group(&signal.group) + value + entity + signal.event.entities.as_bytes().len() * 2
            }
            Self::Window(window) => group(&window.group),
        }
    }
}

/// The columns of the signals table, while they are written.
#[derive(Default)]
struct SignalsBuilder {
    keys: Int64Builder,
    nanos: Int64Builder,
    ids: BinaryBuilder,
    times: TimestampMicrosecondBuilder,
    kinds: StringBuilder,
    rules: StringBuilder,
    versions: StringBuilder,
    groups: StringBuilder,
    matched: StringBuilder,
    values: StringBuilder,
    entity: StringBuilder,
    sharded: BooleanBuilder,
    sources: StringBuilder,
    entities: StringBuilder,
    topics: StringBuilder,
    partitions: Int32Builder,
    offsets: Int64Builder,
    indexes: Int32Builder,
    alerts: StringBuilder,
    revisions: Int32Builder,
    statuses: StringBuilder,
    ends: Int64Builder,
    met: Int64Builder,
    content: Int64Builder,
}

impl SignalsBuilder {
    fn append(&mut self, row: SignalRow<'_>) -> Result<(), String> {
        match row {
            SignalRow::Match(signal) => self.append_match(signal)?,
            SignalRow::Window(window) => self.append_window(window)?,
        }
        self.nanos.append_value(row.time().as_nanos());
        self.times.append_value(micros(row.time()));
        Ok(())
    }

    fn append_match(&mut self, signal: &Signal) -> Result<(), String> {
        let (event, position) = (&signal.event, &signal.event.position);
        self.keys.append_value(key_column(signal.key()));
        self.ids.append_value(event.event_id.as_u128().to_be_bytes());
        self.kinds.append_value(MATCH);
        self.rules.append_value(&signal.rule_id);
        self.versions.append_option(set(&signal.rule_version));
        self.groups.append_value(json(&signal.group)?);
        self.matched.append_value(&signal.matched_rule_id);
        self.values.append_option(signal.value.as_deref());
        let entity = (!signal.entity.is_empty()).then(|| json(&signal.entity)).transpose()?;
        self.entity.append_option(entity);
        self.sharded.append_value(signal.shard.is_some());
        self.sources.append_value(event.source.name());
        self.entities.append_value(json(&event.entities)?);
        self.topics.append_value(&position.topic);
        self.partitions.append_value(position.partition);
        self.offsets.append_value(position.offset);
        self.indexes.append_value(position.index.cast_signed());
        self.alerts.append_null();
        self.revisions.append_null();
        self.statuses.append_null();
        self.ends.append_null();
        self.met.append_null();
        self.content.append_null();
        Ok(())
    }

    fn append_window(&mut self, window: &DecidedWindow) -> Result<(), String> {
        self.keys.append_value(key_column(window.key));
        self.ids.append_null();
        self.kinds.append_value(WINDOW);
        self.rules.append_value(&window.rule_id);
        self.versions.append_option(set(&window.rule_version));
        self.groups.append_value(json(&window.group)?);
        self.matched.append_null();
        self.values.append_null();
        self.entity.append_null();
        self.sharded.append_null();
        self.sources.append_null();
        self.entities.append_null();
        self.topics.append_null();
        self.partitions.append_null();
        self.offsets.append_null();
        self.indexes.append_null();
        self.alerts.append_value(alert_text(window.alert_id));
        self.revisions.append_value(window.revision.cast_signed());
        self.statuses.append_value(word(&window.status)?);
        self.ends.append_value(window.to.as_nanos());
        self.met.append_value(window.met.as_nanos());
        self.content.append_value(window.content.cast_signed());
        Ok(())
    }

    /// The columns, in the order of the schema.
    fn finish(mut self) -> Vec<ArrayRef> {
        vec![
            Arc::new(self.keys.finish()),
            Arc::new(self.nanos.finish()),
            Arc::new(self.ids.finish()),
            Arc::new(self.times.finish().with_timezone("UTC")),
            Arc::new(self.kinds.finish()),
            Arc::new(self.rules.finish()),
            Arc::new(self.versions.finish()),
            Arc::new(self.groups.finish()),
            Arc::new(self.matched.finish()),
            Arc::new(self.values.finish()),
            Arc::new(self.entity.finish()),
            Arc::new(self.sharded.finish()),
            Arc::new(self.sources.finish()),
            Arc::new(self.entities.finish()),
            Arc::new(self.topics.finish()),
            Arc::new(self.partitions.finish()),
            Arc::new(self.offsets.finish()),
            Arc::new(self.indexes.finish()),
            Arc::new(self.alerts.finish()),
            Arc::new(self.revisions.finish()),
            Arc::new(self.statuses.finish()),
            Arc::new(self.ends.finish()),
            Arc::new(self.met.finish()),
            Arc::new(self.content.finish()),
        ]
    }
}

/// The id of an alert, as its text.
pub(crate) fn alert_text(id: u128) -> String {
    format!("{id:032x}")
}

fn set(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, String> {
    serde_json::to_string(value).map_err(|error| error.to_string())
}

fn failed(table: TableName, rows: usize) -> impl Fn(String) -> StoreError {
    move |reason| StoreError::Encode {
        table: table.name(),
        rows,
        source: reason.into(),
    }
}

/// Matches and windows as one batch, in any order.
pub(super) fn signals(rows: &[SignalRow<'_>]) -> Result<RecordBatch, StoreError> {
    let failed = failed(TableName::Signals, rows.len());
    let mut builder = SignalsBuilder::default();
    for &row in rows {
        builder.append(row).map_err(&failed)?;
    }
    batch(TableName::Signals, rows.len(), builder.finish())
}

/// Bindings as one batch, in any order.
pub(super) fn bindings(rows: &[&Binding]) -> Result<RecordBatch, StoreError> {
    let failed = failed(TableName::Bindings, rows.len());
    let longs = || Int64Builder::with_capacity(rows.len());
    let (mut keys, mut nanos, mut to_keys) = (longs(), longs(), longs());
    let mut times = TimestampMicrosecondBuilder::with_capacity(rows.len()).with_timezone("UTC");
    let (mut from, mut to) = (IdentifierBuilder::default(), IdentifierBuilder::default());
    let mut ends = BooleanBuilder::with_capacity(rows.len());
    let (mut how, mut confidence) = (StringBuilder::new(), StringBuilder::new());
    for binding in rows {
        keys.append_value(key_column(key(&binding.from).map_err(&failed)?));
        nanos.append_value(binding.time.as_nanos());
        to_keys.append_value(key_column(key(&binding.to).map_err(&failed)?));
        times.append_value(micros(binding.time));
        from.append(&binding.from).map_err(&failed)?;
        to.append(&binding.to).map_err(&failed)?;
        ends.append_value(binding.ends);
        how.append_value(word(&binding.how).map_err(&failed)?);
        confidence.append_value(word(&binding.confidence).map_err(&failed)?);
    }
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(keys.finish()),
        Arc::new(nanos.finish()),
        Arc::new(to_keys.finish()),
        Arc::new(times.finish()),
    ];
    columns.extend(from.finish());
    columns.extend(to.finish());
    columns.extend([
        Arc::new(ends.finish()) as ArrayRef,
        Arc::new(how.finish()),
        Arc::new(confidence.finish()),
    ]);
    batch(TableName::Bindings, rows.len(), columns)
}

/// Notes rows in the statistics of their file.
pub(crate) fn note(table: TableName, batch: &RecordBatch, stats: &mut StatsBuilder) {
    let long = |name: &str| -> Option<&Int64Array> { batch.column_by_name(name)?.as_primitive_opt::<Int64Type>() };
    let times = long("time_nanos").into_iter().flatten().flatten();
    times.for_each(|nanos| stats.row(Timestamp::from_nanos(nanos)));
    let numbers: &[&'static str] = match table {
        TableName::Signals => &["key", "window_to"],
        _ => &["key", "to_key"],
    };
    for &name in numbers {
        let Some(column) = long(name) else { continue };
        let present = (column.len() - column.null_count()) as u64;
        stats.numbers_of(name, min(column).zip(max(column)), present);
    }
}
