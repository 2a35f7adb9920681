//! What is in a store: counts by table, by date and by source.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use casebook_event::Timestamp;
use futures::TryStreamExt;
use object_store::ObjectMeta;
use object_store::path::Path;

use super::weight::{Weight, is_small, log_weight};
use crate::data_file::scan;
use crate::index::{FOLDER, bundle_name};
use crate::table::DataFile;
use crate::tables::Tables;
use crate::{StoreError, TableName};

/// Records take about so many times the bytes of their data file: for files of which the log does not say it.
const RAW_BYTES_PER_STORED: u64 = 8;

/// What a table has, by its log and a listing of its indexes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableCounts {
    /// The table.
    pub table: TableName,
    /// The latest version.
    pub version: u64,
    /// Bytes of the log's entries and checkpoints.
    pub log_bytes: u64,
    /// What is in its data files.
    pub counts: DateCounts,
    /// The same by date, the oldest first.
    pub dates: BTreeMap<String, DateCounts>,
    /// Data files that were removed within the last week at most, as far as the log remembers. They may be on the disk.
    pub removed_files: u64,
    /// Their bytes.
    pub removed_bytes: u64,
}

/// What is in data files of a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DateCounts {
    /// Data files.
    pub files: u64,
    /// Rows, as far as the log says.
    pub rows: u64,
    /// Bytes of the data files.
    pub bytes: u64,
    /// Files so small that a compaction takes them, where there are two of a date.
    pub small_files: u64,
    /// Bytes of their indexes. Only events have any.
    pub index_bytes: u64,
    /// Files of events without an index.
    pub unindexed_files: u64,
}

/// The events of one source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SourceCounts {
    /// Rows.
    pub rows: u64,
    /// Data files that have such rows.
    pub files: u64,
    /// No event of it is older than this, as far as the log's bounds of its files say.
    pub from: Option<Timestamp>,
    /// No event of it is newer than this, in the same way.
    pub to: Option<Timestamp>,
}

/// Counts what a table has. Data files are not read.
///
/// # Errors
/// The log cannot be read, or the folder of the indexes not be listed.
pub(crate) async fn table_counts(tables: &Tables, table: TableName) -> Result<TableCounts, StoreError> {
    let snapshot = tables.table(table).snapshot().await?;
    let indexes = match table {
        TableName::Events => index_sizes(tables).await?,
        _ => BTreeMap::new(),
    };
    let mut out = TableCounts {
        table,
        version: snapshot.version,
        log_bytes: tables.table(table).log_bytes().await?,
        counts: DateCounts::default(),
        dates: BTreeMap::new(),
        removed_files: snapshot.tombstones.len() as u64,
        removed_bytes: snapshot
            .tombstones
            .values()
            .filter_map(|remove| remove.size)
            .sum::<i64>()
            .unsigned_abs(),
    };
    for file in snapshot.files.values() {
        let index = match table {
            TableName::Events => Some(indexes.get(&bundle_name(&file.path)).copied()),
            _ => None,
        };
        let small = is_small(tables, table, log_weight(table, file).unwrap_or_else(|| estimate(file)));
        out.counts.count(file, small, index);
        let date = out.dates.entry(file.date(table).to_owned()).or_default();
        date.count(file, small, index);
    }
    Ok(out)
}

/// The sizes of the index bundles, by their paths in the events table.
async fn index_sizes(tables: &Tables) -> Result<BTreeMap<String, u64>, StoreError> {
    let table = TableName::Events.name();
    let folder = Path::from(format!("{table}/{FOLDER}"));
    let listed: Result<Vec<ObjectMeta>, _> = tables.files().list(Some(&folder)).try_collect().await;
    let listed = listed.map_err(|error| StoreError::File {
        table,
        action: "list",
        path: folder.to_string(),
        source: error.into(),
    })?;
    let sizes = listed
        .into_iter()
        .filter_map(|meta| Some((format!("{FOLDER}/{}", meta.location.filename()?), meta.size)));
    Ok(sizes.collect())
}

/// Counts the events of each source. One column of every file that has several is read.
///
/// # Errors
/// The log or a file cannot be read.
pub(crate) async fn source_counts(tables: &Tables) -> Result<BTreeMap<String, SourceCounts>, StoreError> {
    let snapshot = tables.events.snapshot().await?;
    let mut sources: BTreeMap<String, SourceCounts> = BTreeMap::new();
    for file in snapshot.files.values() {
        let mut rows: BTreeMap<String, u64> = BTreeMap::new();
        if let (Some(only), Some(known)) = (file.stats.only_text("source"), file.stats.rows) {
            rows.insert(only.to_owned(), known);
        } else {
            let mut batches = scan(tables.files(), TableName::Events, file, &["source"]).await?;
            while let Some(batch) = batches.try_next().await? {
                let column = batch
                    .column_by_name("source")
                    .and_then(|column| column.as_string_opt::<i32>());
                for name in column.into_iter().flat_map(|column| column.iter().flatten()) {
                    match rows.get_mut(name) {
                        Some(count) => *count += 1,
                        None => drop(rows.insert(name.to_owned(), 1)),
                    }
                }
            }
        }
        for (name, rows) in rows {
            let counts = sources.entry(name).or_default();
            let first = counts.files == 0;
            counts.rows += rows;
            counts.files += 1;
            let (min, max) = (file.stats.min_time, file.stats.max_time);
            counts.from = if first {
                min
            } else {
                counts.from.zip(min).map(|(a, b)| a.min(b))
            };
            counts.to = if first {
                max
            } else {
                counts.to.zip(max).map(|(a, b)| a.max(b))
            };
        }
    }
    Ok(sources)
}

impl DateCounts {
    /// Counts a file; `index` is the size of its index, where its table has indexes and it has one.
    fn count(&mut self, file: &DataFile, small: bool, index: Option<Option<u64>>) {
        self.files += 1;
        self.rows += file.stats.rows.unwrap_or(0);
        self.bytes += file.bytes();
        self.small_files += u64::from(small);
        self.index_bytes += index.flatten().unwrap_or(0);
        self.unindexed_files += u64::from(index == Some(None));
    }
}

fn estimate(file: &DataFile) -> Weight {
    Weight {
        bytes: file.bytes().saturating_mul(RAW_BYTES_PER_STORED),
        rows: file.stats.rows.unwrap_or(0),
    }
}
