//! A data file of events in the making: its rows, their statistics, and what else the log says of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use casebook_event::{Event, Timestamp};
use object_store::ObjectStore;

use super::encode::event_stats;
use super::put::put_file;
use super::writer::{DataFileWriter, Encoded};
use crate::config::StoreConfig;
use crate::table::{Add, DataFile, SourceTopics, StatsBuilder};
use crate::{StoreError, TableName};

/// The tag of an `add` action with the bytes of the raw records in the file.
const RAW_BYTES: &str = "casebook.rawBytes";

/// A data file of events that is being written. A commit and a compaction write the same.
pub(crate) struct EventsFile {
    writer: DataFileWriter,
    stats: StatsBuilder,
    raw_bytes: u64,
    topics: SourceTopics,
}

/// A finished data file of events, not in the store yet.
pub(crate) struct EncodedEvents {
    pub encoded: Encoded,
    stats: StatsBuilder,
    tags: BTreeMap<String, Option<String>>,
}

impl EventsFile {
    /// Begins a file of about that many rows.
    pub fn new(config: &StoreConfig, rows: usize) -> Result<Self, StoreError> {
        Ok(Self {
            writer: DataFileWriter::new(TableName::Events, config, rows)?,
            stats: StatsBuilder::new("time"),
            raw_bytes: 0,
            topics: SourceTopics::default(),
        })
    }

    /// Appends rows: the batch, and the same rows as events.
    pub fn write(&mut self, batch: &RecordBatch, events: &[&Event]) -> Result<(), StoreError> {
        self.writer.write(batch)?;
        event_stats(&mut self.stats, events);
        self.topics.observe(events);
        self.raw_bytes += events.iter().map(|event| event.raw.len() as u64).sum::<u64>();
        Ok(())
    }

    /// The finished file.
    pub fn finish(self) -> Result<EncodedEvents, StoreError> {
        Ok(EncodedEvents {
            encoded: self.writer.finish()?,
            stats: self.stats,
            tags: [
                (RAW_BYTES.to_owned(), Some(self.raw_bytes.to_string())),
                self.topics.tag(),
            ]
            .into(),
        })
    }
}

impl EncodedEvents {
    /// Puts the file into the store; returns the action that adds it to the table.
    pub async fn put(
        self,
        files: &Arc<dyn ObjectStore>,
        path: &str,
        date: &str,
        now: Timestamp,
    ) -> Result<Add, StoreError> {
        let mut add = put_file(files, TableName::Events, path, date, self.encoded, self.stats, now).await?;
        add.tags.get_or_insert_default().extend(self.tags);
        Ok(add)
    }
}

/// The bytes of the raw records in a file, where the log says so: files of older versions have no such tag.
pub(crate) fn raw_bytes(file: &DataFile) -> Option<u64> {
    file.add.tags.as_ref()?.get(RAW_BYTES)?.as_deref()?.parse().ok()
}
