//! Whether a row is in the table twice: the same event, read at the same position.
//!
//! An event that its source has sent twice is there twice, under one `event_id` and at two positions; that is as it should be.
//! The same position twice is not: a commit moves past each position once.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use futures::TryStreamExt;
use xxhash_rust::xxh3::Xxh3;

use super::problem::Problem;
use crate::data_file::scan;
use crate::table::DataFile;
use crate::tables::Tables;
use crate::{StoreError, TableName};

/// Most rows of which the keys are in memory at once, at 32 bytes each. A date with more is read several times.
const MAX_KEYS: u64 = 4 << 20;

/// The columns that say what a row is.
const COLUMNS: &[&str] = &[
    "event_id",
    "kafka_topic",
    "kafka_partition",
    "kafka_offset",
    "kafka_index",
];

/// What to do about it.
const REPEATED: &str = "a topic was read under two consumer groups (docs/operations.md, a topic made anew): queries count the rows twice; nothing is lost";

/// The files of one date that repeat rows of other files, or their own. What two rows have in common is found by 128
/// bits of a hash.
pub(super) async fn find_repeated(tables: &Tables, files: &[Arc<DataFile>]) -> Result<Vec<Problem>, StoreError> {
    let rows: u64 = files.iter().filter_map(|file| file.stats.rows).sum();
    let passes = u128::from(rows.div_ceil(MAX_KEYS).max(1));
    // By the two files, in their order: how many rows, and one of their ids.
    let mut repeated: BTreeMap<(u32, u32), u64> = BTreeMap::new();
    for pass in 0..passes {
        let mut keys: Vec<(u128, u32)> = Vec::new();
        for (file, number) in files.iter().zip(0..) {
            let mut batches = match scan(tables.files(), TableName::Events, file, COLUMNS).await {
                Ok(batches) => batches,
                // It was read a moment ago: others have deleted it since.
                Err(_) => continue,
            };
            while let Ok(Some(batch)) = batches.try_next().await {
                let of_pass = hashes(&batch).filter(|key| key % passes == pass);
                keys.extend(of_pass.map(|key| (key, number)));
            }
        }
        keys.sort_unstable();
        for pair in keys.windows(2) {
            if pair[0].0 == pair[1].0 {
                *repeated.entry((pair[0].1, pair[1].1)).or_default() += 1;
            }
        }
    }
    let name = |number: u32| files.get(number as usize);
    let problems = repeated.into_iter().filter_map(|((first, second), rows)| {
        let (first, second) = (name(first)?, name(second)?);
        let other = if first.path == second.path {
            "the same file".to_owned()
        } else {
            format!("events/{}", first.path)
        };
        let problem = format!("{rows} of its rows are also in {other}");
        Some(Problem::new(TableName::Events, second, problem, REPEATED))
    });
    Ok(problems.collect())
}

/// A hash of what each row is.
fn hashes(batch: &RecordBatch) -> impl Iterator<Item = u128> + '_ {
    let text = |name: &str| {
        batch
            .column_by_name(name)
            .and_then(|column| column.as_string_opt::<i32>())
    };
    let int = |name: &str| {
        batch
            .column_by_name(name)
            .and_then(|column| column.as_primitive_opt::<Int32Type>())
    };
    let (ids, topics) = (text("event_id"), text("kafka_topic"));
    let (partitions, indexes) = (int("kafka_partition"), int("kafka_index"));
    let offsets = batch
        .column_by_name("kafka_offset")
        .and_then(|column| column.as_primitive_opt::<Int64Type>());
    (0..batch.num_rows()).map(move |row| {
        let mut hasher = Xxh3::new();
        hasher.update(&partitions.map_or(0, |column| column.value(row)).to_le_bytes());
        hasher.update(&offsets.map_or(0, |column| column.value(row)).to_le_bytes());
        hasher.update(&indexes.map_or(0, |column| column.value(row)).to_le_bytes());
        hasher.update(ids.map_or("", |column| column.value(row)).as_bytes());
        hasher.update(topics.map_or("", |column| column.value(row)).as_bytes());
        hasher.digest128()
    })
}
