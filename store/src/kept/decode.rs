//! Rows of the two tables back into what they were written from.

use std::str::FromStr as _;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BinaryArray, BooleanArray, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Int32Type, Int64Type};
use casebook_event::{Binding, DecidedWindow, Entities, EventId, EventRef, Position, Signal, Source, Timestamp};
use compact_str::CompactString;
use serde::de::DeserializeOwned;

use super::encode::{MATCH, WINDOW};
use super::identifiers::{IdentifierColumns, of_word};
use crate::TableName;

/// The columns of a match.
pub(super) const MATCH_COLUMNS: &[&str] = &[
    "key",
    "time_nanos",
    "event_id",
    "rule_id",
    "rule_version",
    "group",
    "matched_rule_id",
    "value",
    "entity",
    "sharded",
    "source",
    "entities",
    "kafka_topic",
    "kafka_partition",
    "kafka_offset",
    "kafka_index",
];

/// The columns of a window.
pub(super) const WINDOW_COLUMNS: &[&str] = &[
    "key",
    "time_nanos",
    "rule_id",
    "rule_version",
    "group",
    "alert_id",
    "revision",
    "status",
    "window_to",
    "met",
    "content",
];

/// The columns of a binding.
pub(super) const BINDING_COLUMNS: &[&str] = &[
    "time_nanos",
    "from_kind",
    "from_value",
    "from_cluster",
    "to_kind",
    "to_value",
    "to_cluster",
    "ends",
    "how",
    "confidence",
];

fn text<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a StringArray> {
    batch.column_by_name(name)?.as_string_opt::<i32>()
}

fn long<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a Int64Array> {
    batch.column_by_name(name)?.as_primitive_opt::<Int64Type>()
}

fn int<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a Int32Array> {
    batch.column_by_name(name)?.as_primitive_opt::<Int32Type>()
}

fn flag<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a BooleanArray> {
    batch.column_by_name(name)?.as_boolean_opt()
}

fn value(column: &StringArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}

fn json<T: DeserializeOwned>(column: &StringArray, row: usize) -> Result<T, String> {
    serde_json::from_str(value(column, row).unwrap_or("null")).map_err(|error| error.to_string())
}

/// Texts that come again and again, each in memory once.
struct Shared<'a> {
    column: &'a StringArray,
    last: Option<Arc<str>>,
}

impl<'a> Shared<'a> {
    fn new(column: &'a StringArray) -> Self {
        Self { column, last: None }
    }

    fn at(&mut self, row: usize) -> Arc<str> {
        let text = value(self.column, row).unwrap_or_default();
        match &self.last {
            Some(last) if **last == *text => last.clone(),
            _ => self.last.insert(Arc::from(text)).clone(),
        }
    }
}

/// The columns of matches that were read.
pub(super) struct MatchColumns<'a> {
    key: &'a Int64Array,
    nanos: &'a Int64Array,
    event_id: &'a BinaryArray,
    rule_id: Shared<'a>,
    rule_version: &'a StringArray,
    group: &'a StringArray,
    matched_rule_id: Shared<'a>,
    value: &'a StringArray,
    entity: &'a StringArray,
    sharded: &'a BooleanArray,
    source: &'a StringArray,
    entities: &'a StringArray,
    topic: Shared<'a>,
    partition: &'a Int32Array,
    offset: &'a Int64Array,
    index: &'a Int32Array,
}

impl<'a> MatchColumns<'a> {
    pub fn new(batch: &'a RecordBatch) -> Option<Self> {
        Some(Self {
            key: long(batch, "key")?,
            nanos: long(batch, "time_nanos")?,
            event_id: batch.column_by_name("event_id")?.as_binary_opt::<i32>()?,
            rule_id: Shared::new(text(batch, "rule_id")?),
            rule_version: text(batch, "rule_version")?,
            group: text(batch, "group")?,
            matched_rule_id: Shared::new(text(batch, "matched_rule_id")?),
            value: text(batch, "value")?,
            entity: text(batch, "entity")?,
            sharded: flag(batch, "sharded")?,
            source: text(batch, "source")?,
            entities: text(batch, "entities")?,
            topic: Shared::new(text(batch, "kafka_topic")?),
            partition: int(batch, "kafka_partition")?,
            offset: long(batch, "kafka_offset")?,
            index: int(batch, "kafka_index")?,
        })
    }

    /// The time of a row.
    pub fn time(&self, row: usize) -> Timestamp {
        Timestamp::from_nanos(self.nanos.value(row))
    }

    /// The match of a row.
    pub fn signal(&mut self, row: usize) -> Result<Signal, String> {
        let id: [u8; 16] = self
            .event_id
            .is_valid(row)
            .then(|| self.event_id.value(row))
            .and_then(|id| id.try_into().ok())
            .ok_or("a match has no event id of 16 bytes")?;
        let entities = match value(self.entities, row) {
            Some(text) => serde_json::from_str(text).map_err(|error| error.to_string())?,
            None => Entities::default(),
        };
        Ok(Signal {
            rule_id: self.rule_id.at(row),
            rule_version: value(self.rule_version, row).unwrap_or_default().into(),
            matched_rule_id: self.matched_rule_id.at(row),
            group: json(self.group, row)?,
            value: value(self.value, row).map(CompactString::from),
            entity: json::<Option<_>>(self.entity, row)?.unwrap_or_default(),
            shard: (self.sharded.is_valid(row) && self.sharded.value(row)).then(|| self.key.value(row).cast_unsigned()),
            event: EventRef {
                event_id: EventId::from_u128(u128::from_be_bytes(id)),
                time: self.time(row),
                source: Source::from_str(value(self.source, row).unwrap_or_default())
                    .map_err(|error| error.to_string())?,
                position: Position {
                    topic: self.topic.at(row),
                    partition: self.partition.value(row),
                    offset: self.offset.value(row),
                    index: self.index.value(row).cast_unsigned(),
                },
                entities,
            },
        })
    }
}

/// The columns of windows that were read.
pub(super) struct WindowColumns<'a> {
    key: &'a Int64Array,
    nanos: &'a Int64Array,
    rule_id: Shared<'a>,
    rule_version: &'a StringArray,
    group: &'a StringArray,
    alert_id: &'a StringArray,
    revision: &'a Int32Array,
    status: &'a StringArray,
    to: &'a Int64Array,
    met: &'a Int64Array,
    content: &'a Int64Array,
}

impl<'a> WindowColumns<'a> {
    pub fn new(batch: &'a RecordBatch) -> Option<Self> {
        Some(Self {
            key: long(batch, "key")?,
            nanos: long(batch, "time_nanos")?,
            rule_id: Shared::new(text(batch, "rule_id")?),
            rule_version: text(batch, "rule_version")?,
            group: text(batch, "group")?,
            alert_id: text(batch, "alert_id")?,
            revision: int(batch, "revision")?,
            status: text(batch, "status")?,
            to: long(batch, "window_to")?,
            met: long(batch, "met")?,
            content: long(batch, "content")?,
        })
    }

    /// The window of a row.
    pub fn window(&mut self, row: usize) -> Result<DecidedWindow, String> {
        let alert_id = value(self.alert_id, row).unwrap_or_default();
        let time = |column: &Int64Array| Timestamp::from_nanos(column.value(row));
        Ok(DecidedWindow {
            key: self.key.value(row).cast_unsigned(),
            rule_id: self.rule_id.at(row),
            rule_version: value(self.rule_version, row).unwrap_or_default().into(),
            group: json(self.group, row)?,
            alert_id: u128::from_str_radix(alert_id, 16).map_err(|error| format!("alert id `{alert_id}`: {error}"))?,
            revision: self.revision.value(row).cast_unsigned(),
            status: of_word(self.status, row)?,
            first: time(self.nanos),
            to: time(self.to),
            met: time(self.met),
            content: self.content.value(row).cast_unsigned(),
        })
    }
}

/// The columns of bindings that were read.
pub(super) struct BindingColumns<'a> {
    nanos: &'a Int64Array,
    from: IdentifierColumns<'a>,
    to: IdentifierColumns<'a>,
    ends: &'a BooleanArray,
    how: &'a StringArray,
    confidence: &'a StringArray,
}

impl<'a> BindingColumns<'a> {
    pub fn new(batch: &'a RecordBatch) -> Option<Self> {
        Some(Self {
            nanos: long(batch, "time_nanos")?,
            from: IdentifierColumns::new(batch, ["from_kind", "from_value", "from_cluster"])?,
            to: IdentifierColumns::new(batch, ["to_kind", "to_value", "to_cluster"])?,
            ends: flag(batch, "ends")?,
            how: text(batch, "how")?,
            confidence: text(batch, "confidence")?,
        })
    }

    /// The binding of a row.
    pub fn binding(&self, row: usize) -> Result<Binding, String> {
        Ok(Binding {
            from: self.from.identifier(row)?,
            to: self.to.identifier(row)?,
            time: Timestamp::from_nanos(self.nanos.value(row)),
            ends: self.ends.is_valid(row) && self.ends.value(row),
            how: of_word(self.how, row)?,
            confidence: of_word(self.confidence, row)?,
        })
    }
}

/// Whether every row of a batch can be read; else the first that cannot, and why.
pub(crate) fn check_rows(table: TableName, batch: &RecordBatch) -> Result<(), (usize, String)> {
    let missing = || (0, "a column is missing or of another type".to_owned());
    if table == TableName::Bindings {
        let columns = BindingColumns::new(batch).ok_or_else(missing)?;
        return (0..batch.num_rows())
            .try_for_each(|row| columns.binding(row).map(drop).map_err(|reason| (row, reason)));
    }
    let kinds = text(batch, "kind").ok_or_else(missing)?;
    let mut matches = MatchColumns::new(batch).ok_or_else(missing)?;
    let mut windows = WindowColumns::new(batch).ok_or_else(missing)?;
    (0..batch.num_rows()).try_for_each(|row| {
        let read = match value(kinds, row) {
            Some(MATCH) => matches.signal(row).map(drop),
            Some(WINDOW) => windows.window(row).map(drop),
            other => Err(format!("`{}` is no kind of row", other.unwrap_or_default())),
        };
        read.map_err(|reason| (row, reason))
    })
}
