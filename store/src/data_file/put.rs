//! An encoded data file into the store, beside the log: no commit names it yet.

use std::sync::Arc;

use casebook_event::Timestamp;
use fail::fail_point;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::writer::Encoded;
use crate::fault::injected_write_failure;
use crate::schema::TableSchema;
use crate::table::{Add, StatsBuilder};
use crate::{StoreError, TableName};

/// A new data file's path, relative to its table: unique, so that no two writers ever meet.
pub(crate) fn file_name(partition_column: &str, date: &str) -> String {
    format!("{partition_column}={date}/part-{}.zstd.parquet", uuid::Uuid::new_v4())
}

/// `YYYY-MM-DD` of a day.
pub(crate) fn date_text(time: Timestamp) -> String {
    let (year, month, day, ..) = time.civil();
    format!("{year:04}-{month:02}-{day:02}")
}

/// Puts one encoded file into the store; returns the action that adds it to its table.
pub(crate) async fn put_file(
    files: &Arc<dyn ObjectStore>,
    table: TableName,
    path: &str,
    date: &str,
    encoded: Encoded,
    stats: StatsBuilder,
    now: Timestamp,
) -> Result<Add, StoreError> {
    let full = Path::from(format!("{}/{path}", table.name()));
    let size = encoded.bytes.len();
    fail_point!("store.file", |reason| Err(injected_write_failure(
        table.name(),
        full.as_ref(),
        reason
    )));
    files
        .put(&full, encoded.bytes.into())
        .await
        .map_err(|error| StoreError::File {
            table: table.name(),
            action: "write",
            path: full.to_string(),
            source: Box::new(error),
        })?;
    let mut add = Add {
        path: path.to_owned(),
        partition_values: [(TableSchema::of(table).partition.to_owned(), Some(date.to_owned()))].into(),
        size: i64::try_from(size).unwrap_or(i64::MAX),
        modification_time: now.as_nanos().div_euclid(1_000_000),
        data_change: true,
        tags: stats.tags(),
        stats: Some(stats.finish()),
        deletion_vector: None,
    };
    if let Some(version) = table.derived_version() {
        add.mark_derived(version);
    }
    Ok(add)
}
