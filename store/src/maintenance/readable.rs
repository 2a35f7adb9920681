//! Reading files as a rewrite does, to find out which of them it cannot read.

use std::sync::Arc;

use super::merge::{Merge, unusable};
use super::problem::Problem;
use super::weight::{Weights, weight};
use crate::data_file::EventColumns;
use crate::table::DataFile;
use crate::tables::Tables;
use crate::{StoreError, TableName};

/// Memory for the batches of all the files that are merged at once, in bytes.
const INPUT_BYTES: u64 = 64 << 20;

/// Fewest and most rows of a batch of one file.
const BATCH_ROWS: std::ops::RangeInclusive<u64> = 64..=4096;

/// Rows of a batch of each of so many files that are read at once.
pub(super) fn batch_rows(raw_bytes: u64, rows: u64, files: usize) -> usize {
    // A row in memory takes its record, its fields, which are mostly in the record too, and its part of each column.
    let row_bytes = raw_bytes.saturating_mul(2) / rows.max(1) + 512;
    let rows = INPUT_BYTES / row_bytes / files.max(1) as u64;
    rows.clamp(*BATCH_ROWS.start(), *BATCH_ROWS.end()) as usize
}

/// Which of some files cannot be rewritten, and why. One that belongs to the table no more is no problem.
pub(super) async fn unreadable(
    tables: &Tables,
    table: TableName,
    files: &[Arc<DataFile>],
) -> Result<Vec<(Arc<DataFile>, Option<Problem>)>, StoreError> {
    let mut broken = Vec::new();
    for file in files {
        if let Err(error) = read_whole(tables, table, file).await {
            let there = tables.table(table).snapshot().await?.files.contains_key(&file.path);
            let problem = there.then(|| Problem::unreadable(table, file, &error));
            broken.push((file.clone(), problem));
        }
    }
    Ok(broken)
}

/// Reads a file as a rewriting does.
async fn read_whole(tables: &Tables, table: TableName, file: &Arc<DataFile>) -> Result<(), StoreError> {
    let weight = weight(tables, table, file, &mut Weights::default()).await?;
    let rows = batch_rows(weight.bytes, weight.rows, 1);
    let mut merge = Merge::open(tables, table, std::slice::from_ref(file), &[], rows).await?;
    while let Some(batch) = merge.next().await? {
        if table == TableName::Events {
            let columns = EventColumns::new(&batch);
            for row in 0..batch.num_rows() {
                columns.event(row).map_err(|reason| unusable(table, file, reason))?;
            }
        }
    }
    match file.stats.rows {
        Some(rows) if rows != merge.rows_read => {
            let reason = format!("it has {} rows, the log says {rows}", merge.rows_read);
            Err(unusable(table, file, reason))
        }
        _ => Ok(()),
    }
}
