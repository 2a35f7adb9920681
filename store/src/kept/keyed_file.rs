//! The rows of some keys in one file: the file's footer, at most its bloom filters, and the pages that may have them are read.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arrow::array::{AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;
use casebook_event::Timestamp;
use foldhash::fast::RandomState;
use futures::stream::{self, Stream};
use futures::{StreamExt as _, TryStreamExt as _};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowPredicateFn, RowFilter, RowSelection, RowSelector};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::Statistics;

use crate::data_file::{Batches, OpenFile, RowReader, bloom_filter, column_of};
use crate::derived::check_version;
use crate::table::DataFile;
use crate::tables::Tables;
use crate::{StoreError, TableName};

/// Rows of a batch that is read.
const BATCH_ROWS: usize = 1024;

/// Most keys that a bloom filter is asked for: with more of them in a row group, one is there almost surely.
const MAX_BLOOM_KEYS: usize = 256;

/// Which rows are wanted: those that have one of the keys, at a time of its span.
#[derive(Debug)]
pub(super) struct Wanted {
    pub table: TableName,
    /// The columns of which one is to have the key.
    pub columns: &'static [&'static str],
    /// The kind that a row is to have, where the table has kinds.
    pub kind: Option<&'static str>,
    /// The column with a row's end: it belongs to a span if it begins before that ends, and ends at its beginning or later.
    /// Without one, a row is at one time.
    pub end: Option<&'static str>,
    /// Bytes that were read of files.
    pub bytes_read: Arc<AtomicU64>,
    /// By key, the spans in nanoseconds: the first that belongs to it, and the first that does not.
    spans: HashMap<i64, Vec<(i64, i64)>, RandomState>,
}

/// The keys of which a file may have rows, in order.
type Keys = Vec<i64>;

impl Wanted {
    pub fn new(table: TableName, spans: impl IntoIterator<Item = (i64, Timestamp, Timestamp)>) -> Self {
        let mut by_key: HashMap<i64, Vec<(i64, i64)>, RandomState> = HashMap::default();
        for (key, from, to) in spans.into_iter().filter(|(_, from, to)| from < to) {
            by_key.entry(key).or_default().push((from.as_nanos(), to.as_nanos()));
        }
        Self {
            table,
            columns: &["key"],
            kind: None,
            end: None,
            bytes_read: Arc::default(),
            spans: by_key,
        }
    }

    /// The keys of which a file may have rows, by the log.
    fn keys_in(&self, file: &DataFile) -> Keys {
        let in_time = |(from, to): &(i64, i64)| {
            let (first, end) = (Timestamp::from_nanos(*from), Timestamp::from_nanos(*to));
            match self.end {
                None => file.stats.may_hold_time(Some(first), Some(end)),
                Some(name) => {
                    file.stats.may_hold_time(None, Some(end)) && file.stats.may_hold_number(name, *from, i64::MAX)
                }
            }
        };
        let has_key = |key: i64| {
            let mut columns = self.columns.iter();
            columns.any(|column| file.stats.may_hold_number(column, key, key))
        };
        let wanted = self.spans.iter();
        let wanted = wanted.filter(|(key, spans)| has_key(**key) && spans.iter().any(in_time));
        let mut keys: Keys = wanted.map(|(key, _)| *key).collect();
        keys.sort_unstable();
        keys
    }

    /// The columns that say whether a row is wanted.
    fn tested(&self) -> Vec<&'static str> {
        let mut columns = self.columns.to_vec();
        columns.push("time_nanos");
        columns.extend(self.end);
        columns.extend(self.kind.map(|_| "kind"));
        columns
    }

    /// Which rows of a batch are wanted.
    fn test(&self, batch: &RecordBatch) -> Result<BooleanArray, ArrowError> {
        let long = |name: &str| -> Result<&Int64Array, ArrowError> {
            let column = batch.column_by_name(name);
            let column = column.and_then(|column| column.as_primitive_opt::<Int64Type>());
            column.ok_or_else(|| ArrowError::SchemaError(format!("the column `{name}` is missing or of another type")))
        };
        let keys = self
            .columns
            .iter()
            .map(|name| long(name))
            .collect::<Result<Vec<_>, _>>()?;
        let begins = long("time_nanos")?;
        let ends = self.end.map(long).transpose()?.unwrap_or(begins);
        let kinds = batch
            .column_by_name("kind")
            .and_then(|column| column.as_string_opt::<i32>());
        let wanted = |row: usize| {
            let within = |(from, to): &(i64, i64)| begins.value(row) < *to && ends.value(row) >= *from;
            let in_span = |keys: &&Int64Array| {
                self.spans
                    .get(&keys.value(row))
                    .is_some_and(|spans| spans.iter().any(within))
            };
            keys.iter().any(in_span)
                && self
                    .kind
                    .is_none_or(|kind| kinds.is_some_and(|kinds| kinds.value(row) == kind))
        };
        Ok((0..batch.num_rows()).map(|row| Some(wanted(row))).collect())
    }
}

/// Rows of a file, in the file's order.
pub(super) struct FileRows {
    pub file: Arc<DataFile>,
    pub batches: Batches,
}

/// The files that may have wanted rows, the earliest first, with these rows. Some are opened ahead.
pub(super) async fn keyed_files(
    tables: &Arc<Tables>,
    wanted: Wanted,
    columns: &'static [&'static str],
) -> Result<impl Stream<Item = Result<FileRows, StoreError>> + Send + Unpin + use<>, StoreError> {
    let snapshot = tables.table(wanted.table).snapshot().await?;
    let files = snapshot.files.values().map(|file| (file.clone(), wanted.keys_in(file)));
    let mut files: Vec<(Arc<DataFile>, Keys)> = files.filter(|(_, keys)| !keys.is_empty()).collect();
    files.sort_by(|(a, _), (b, _)| (a.stats.min_time, &a.path).cmp(&(b.stats.min_time, &b.path)));
    let wanted = Arc::new(wanted);
    let (tables, at_once) = (tables.clone(), tables.config.search_files.max(1));
    let opened = stream::iter(files).map(move |(file, keys)| {
        let (tables, wanted) = (tables.clone(), wanted.clone());
        async move {
            check_version(wanted.table, &file)?;
            let batches = open(&tables, &wanted, &file, &keys, columns).await?;
            Ok(batches.map(|batches| FileRows { file, batches }))
        }
    });
    Ok(opened
        .buffered(at_once)
        .try_filter_map(|found| std::future::ready(Ok(found)))
        .boxed())
}

/// Begins to read the wanted rows of a file; `None` where it certainly has none.
async fn open(
    tables: &Tables,
    wanted: &Arc<Wanted>,
    file: &DataFile,
    keys: &[i64],
    columns: &[&str],
) -> Result<Option<Batches>, StoreError> {
    let bytes_read = wanted.bytes_read.clone();
    let opened = OpenFile::open_cached(tables.files(), &tables.footers, wanted.table, file, bytes_read).await?;
    let mut reader = opened.into_builder();
    let metadata = reader.builder.metadata().clone();
    let (mut groups, mut selectors): (Vec<usize>, Vec<RowSelector>) = (Vec::new(), Vec::new());
    for group in 0..metadata.num_row_groups() {
        let mut rows: Option<RowSelection> = None;
        for name in wanted.columns {
            let Some(column) = column_of(&metadata, name) else {
                continue;
            };
            let mut keys = group_keys(&metadata, group, column, keys).to_vec();
            if !keys.is_empty()
                && keys.len() <= MAX_BLOOM_KEYS
                && let Some(filter) = bloom_filter(&tables.footers, &mut reader, (group, column)).await?
            {
                keys.retain(|key| filter.check(key));
            }
            if keys.is_empty() {
                continue;
            }
            let found = page_rows(&metadata, group, column, &keys);
            rows = Some(match rows {
                Some(rows) => rows.union(&found),
                None => found,
            });
        }
        if let Some(rows) = rows {
            groups.push(group);
            selectors.extend(Vec::<RowSelector>::from(rows));
        }
    }
    if groups.is_empty() {
        return Ok(None);
    }
    let RowReader { builder, failed, .. } = reader;
    let schema = builder.parquet_schema();
    let tested = ProjectionMask::columns(schema, wanted.tested());
    let projection = ProjectionMask::columns(schema, columns.iter().copied());
    let test = {
        let wanted = wanted.clone();
        ArrowPredicateFn::new(tested, move |batch| wanted.test(&batch))
    };
    let stream = builder
        .with_row_groups(groups)
        .with_row_selection(RowSelection::from(selectors))
        .with_row_filter(RowFilter::new(vec![Box::new(test)]))
        .with_projection(projection)
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(|error: ParquetError| failed(error))?;
    Ok(Some(stream.map_err(move |error| failed(error)).boxed()))
}

/// The keys, which are in order, that may be in a row group, by its bounds.
fn group_keys<'a>(metadata: &ParquetMetaData, group: usize, column: usize, keys: &'a [i64]) -> &'a [i64] {
    let Some(Statistics::Int64(bounds)) = metadata.row_group(group).column(column).statistics() else {
        return keys;
    };
    let Some((min, max)) = bounds.min_opt().zip(bounds.max_opt()) else {
        return keys;
    };
    let first = keys.partition_point(|key| key < min);
    let last = keys.partition_point(|key| key <= max);
    keys.get(first..last).unwrap_or_default()
}

/// The rows of a row group that may have one of the keys, which are in order, by the bounds of its pages.
fn page_rows(metadata: &ParquetMetaData, group: usize, column: usize, keys: &[i64]) -> RowSelection {
    let total = usize::try_from(metadata.row_group(group).num_rows()).unwrap_or(0);
    let all = || RowSelection::from(vec![RowSelector::select(total)]);
    let bounds = metadata.column_index().and_then(|index| index.get(group)?.get(column));
    let offsets = metadata.offset_index().and_then(|index| index.get(group)?.get(column));
    let (Some(ColumnIndexMetaData::INT64(bounds)), Some(offsets)) = (bounds, offsets) else {
        return all();
    };
    let first_row = |page: usize| {
        let location = offsets.page_locations().get(page);
        location.map_or(total, |location| {
            usize::try_from(location.first_row_index).unwrap_or(total)
        })
    };
    let mut selectors = Vec::new();
    for page in 0..offsets.page_locations().len() {
        let (Some(min), Some(max)) = (bounds.min_value(page), bounds.max_value(page)) else {
            return all();
        };
        let count = first_row(page + 1).saturating_sub(first_row(page));
        let first = keys.partition_point(|key| key < min);
        selectors.push(match keys.get(first).is_some_and(|key| key <= max) {
            true => RowSelector::select(count),
            false => RowSelector::skip(count),
        });
    }
    RowSelection::from(selectors)
}
