//! The order of rows within a data file of each table.

use std::cmp::Ordering;

use arrow::array::{AsArray, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};

use crate::TableName;
use crate::kept::Order;

/// The columns of a batch by which its table's files are sorted.
pub(super) enum Keys {
    /// By source, exact time and coordinates.
    Events {
        source: StringArray,
        nanos: Int64Array,
        coordinates: RowCoordinates,
    },
    /// By time, id and revision.
    Alerts {
        time: TimestampMicrosecondArray,
        id: StringArray,
        revision: Int32Array,
    },
    /// By time of ingestion and coordinates.
    DeadLetters {
        ingested: TimestampMicrosecondArray,
        coordinates: RowCoordinates,
    },
    /// By every column.
    Kept(Order),
}

/// Where a row was read: its topic, partition and offset, and its number within the record.
pub(super) struct RowCoordinates {
    topic: StringArray,
    partition: Int32Array,
    offset: Int64Array,
    index: Int32Array,
}

impl RowCoordinates {
    fn of(batch: &RecordBatch, names: [&str; 4]) -> Option<Self> {
        let [topic, partition, offset, index] = names.map(|name| batch.column_by_name(name));
        Some(Self {
            topic: topic?.as_string_opt()?.clone(),
            partition: partition?.as_primitive_opt()?.clone(),
            offset: offset?.as_primitive_opt()?.clone(),
            index: index?.as_primitive_opt()?.clone(),
        })
    }

    fn compare(&self, row: usize, other: &Self, other_row: usize) -> Ordering {
        self.topic
            .value(row)
            .cmp(other.topic.value(other_row))
            .then_with(|| self.partition.value(row).cmp(&other.partition.value(other_row)))
            .then_with(|| self.offset.value(row).cmp(&other.offset.value(other_row)))
            .then_with(|| self.index.value(row).cmp(&other.index.value(other_row)))
    }
}

impl Keys {
    /// The keys of a batch; `None` where a column is missing or of another type.
    pub fn of(table: TableName, batch: &RecordBatch) -> Option<Self> {
        let text = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>().cloned();
        let time = |name: &str| -> Option<TimestampMicrosecondArray> {
            batch.column_by_name(name)?.as_primitive_opt().cloned()
        };
        Some(match table {
            TableName::Events => Self::Events {
                source: text("source")?,
                nanos: batch.column_by_name("time_nanos")?.as_primitive_opt()?.clone(),
                coordinates: RowCoordinates::of(
                    batch,
                    ["kafka_topic", "kafka_partition", "kafka_offset", "kafka_index"],
                )?,
            },
            TableName::Alerts => Self::Alerts {
                time: time("time")?,
                id: text("id")?,
                revision: batch.column_by_name("revision")?.as_primitive_opt()?.clone(),
            },
            TableName::DeadLetters => Self::DeadLetters {
                ingested: time("ingested")?,
                coordinates: RowCoordinates::of(batch, ["topic", "partition", "offset", "index"])?,
            },
            TableName::Signals | TableName::Bindings => Self::Kept(Order::of(table, batch)?),
        })
    }

    /// Which of two rows comes first. Rows of two tables are never compared.
    pub fn compare(&self, row: usize, other: &Self, other_row: usize) -> Ordering {
        match (self, other) {
            (
                Self::Events {
                    source,
                    nanos,
                    coordinates,
                },
                Self::Events {
                    source: other_source,
                    nanos: other_nanos,
                    coordinates: other_coordinates,
                },
            ) => source
                .value(row)
                .cmp(other_source.value(other_row))
                .then_with(|| nanos.value(row).cmp(&other_nanos.value(other_row)))
                .then_with(|| coordinates.compare(row, other_coordinates, other_row)),
            (
                Self::Alerts { time, id, revision },
                Self::Alerts {
                    time: other_time,
                    id: other_id,
                    revision: other_revision,
                },
            ) => time
                .value(row)
                .cmp(&other_time.value(other_row))
                .then_with(|| id.value(row).cmp(other_id.value(other_row)))
                .then_with(|| revision.value(row).cmp(&other_revision.value(other_row))),
            (
                Self::DeadLetters { ingested, coordinates },
                Self::DeadLetters {
                    ingested: other_ingested,
                    coordinates: other_coordinates,
                },
            ) => ingested
                .value(row)
                .cmp(&other_ingested.value(other_row))
                .then_with(|| coordinates.compare(row, other_coordinates, other_row)),
            (Self::Kept(order), Self::Kept(other)) => order.compare(row, other, other_row),
            _ => Ordering::Equal,
        }
    }

    /// The first row that is less than the one before it.
    pub fn first_unsorted(&self) -> Option<usize> {
        (1..self.len()).find(|&row| self.compare(row, self, row - 1) == Ordering::Less)
    }

    fn len(&self) -> usize {
        match self {
            Self::Events { nanos, .. } => nanos.len(),
            Self::Alerts { time, .. } => time.len(),
            Self::DeadLetters { ingested, .. } => ingested.len(),
            Self::Kept(order) => order.len(),
        }
    }
}
