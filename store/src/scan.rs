//! Reading columns of one data file, whole or at chosen rows.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use casebook_event::Timestamp;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, RowSelection, RowSelector};
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;

use crate::object_reader::{FOOTER_GUESS_BYTES, ObjectReader};
use crate::query::RowSet;
use crate::table::DataFile;
use crate::{Store, StoreError, TableName};

/// Rows of a batch that is read.
const BATCH_ROWS: usize = 4 * 1024;

/// Rows of a batch of which only numbers are read: the places of a column's values in its dictionary.
const DICTIONARY_BATCH_ROWS: usize = 64 * 1024;

pub(crate) type Batches = BoxStream<'static, Result<RecordBatch, StoreError>>;

/// What is read of a file's page index when it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pages {
    /// Nothing: the file is read from its beginning to its end.
    Unknown,
    /// Where pages are: those without a wanted row are not read.
    Places,
    /// Where they are, and from when to when their rows go.
    Times,
}

/// What reads rows of one data file, and how its failures are told.
pub(crate) struct RowReader {
    /// The file, relative to the store.
    pub path: String,
    pub builder: ParquetRecordBatchStreamBuilder<ObjectReader>,
    pub failed: Arc<dyn Fn(ParquetError) -> StoreError + Send + Sync>,
}

/// A data file of which the end has been read.
pub(crate) struct OpenFile {
    reader: ObjectReader,
    metadata: ArrowReaderMetadata,
    failed: Arc<dyn Fn(ParquetError) -> StoreError + Send + Sync>,
}

impl OpenFile {
    pub async fn open(store: &Store, table: TableName, file: &DataFile, pages: Pages) -> Result<Self, StoreError> {
        let mut reader = reader(store, table, file);
        let failed = failure(table, &reader);
        let policy = |read| match read {
            true => PageIndexPolicy::Optional,
            false => PageIndexPolicy::Skip,
        };
        let options = ArrowReaderOptions::new()
            .with_offset_index_policy(policy(pages != Pages::Unknown))
            .with_column_index_policy(policy(pages == Pages::Times));
        let metadata = ArrowReaderMetadata::load_async(&mut reader, options)
            .await
            .map_err(|error| failed(error))?;
        Ok(Self {
            reader,
            metadata,
            failed,
        })
    }

    /// Opens a file of what correlation keeps: with its end as it is known, or with a piece of the file that is its end and,
    /// where it is small, all of it. Bytes that are read are counted.
    pub async fn open_kept(
        store: &Store,
        table: TableName,
        file: &DataFile,
        bytes_read: Arc<AtomicU64>,
    ) -> Result<Self, StoreError> {
        let mut reader = ObjectReader {
            bytes_read,
            ..reader(store, table, file)
        };
        let failed = failure(table, &reader);
        if let Some(metadata) = store.kept_ends.get(reader.path.as_ref()) {
            return Ok(Self {
                reader,
                metadata,
                failed,
            });
        }
        let options = ArrowReaderOptions::new()
            .with_offset_index_policy(PageIndexPolicy::Optional)
            .with_column_index_policy(PageIndexPolicy::Optional);
        reader
            .fetch_end(FOOTER_GUESS_BYTES as u64)
            .await
            .map_err(|error| failed(error))?;
        let metadata = ArrowReaderMetadata::load_async(&mut reader, options)
            .await
            .map_err(|error| failed(error))?;
        store.kept_ends.put(reader.path.as_ref(), &metadata);
        Ok(Self {
            reader,
            metadata,
            failed,
        })
    }

    /// What reads rows of it, where only some row groups, or rows that pass a test, are wanted.
    pub fn into_builder(self) -> RowReader {
        RowReader {
            path: self.reader.path.to_string(),
            builder: ParquetRecordBatchStreamBuilder::new_with_metadata(self.reader, self.metadata),
            failed: self.failed,
        }
    }

    /// Whether a column has no value in the row groups that hold chosen rows, so that it need not be read.
    fn is_unset(&self, column: &str, groups: &[bool]) -> bool {
        let metadata = self.metadata.metadata();
        let chosen = metadata.row_groups().iter().zip(groups).filter(|(_, chosen)| **chosen);
        chosen.map(|(group, _)| group).all(|group| {
            let mut parts = group.columns().iter().filter(|part| {
                let path = part.column_path().parts();
                path.first().is_some_and(|name| name == column)
            });
            parts.all(|part| {
                let nulls = part.statistics().and_then(|statistics| statistics.null_count_opt());
                nulls.is_some_and(|nulls| i64::try_from(nulls) == Ok(part.num_values()))
            })
        })
    }

    /// The row groups that hold rows of a selection; all, without one.
    fn groups_of(&self, selection: Option<&RowSelection>) -> Vec<bool> {
        let groups = self.metadata.metadata().row_groups();
        let Some(selection) = selection else {
            return vec![true; groups.len()];
        };
        let mut chosen = vec![false; groups.len()];
        let mut row = 0;
        for selector in selection.iter() {
            let end = row + selector.row_count;
            if !selector.skip && end > row {
                let mut first = 0;
                for (group, chosen) in groups.iter().zip(&mut chosen) {
                    let behind = first + usize::try_from(group.num_rows()).unwrap_or(0);
                    *chosen |= first < end && row < behind;
                    first = behind;
                }
            }
            row = end;
        }
        chosen
    }

    /// Reads columns (all, where none are named) of the rows that `selection` names (of all, without one), in order. Columns
    /// without a value in the row groups of these rows may be missing.
    pub fn batches(
        self,
        columns: Option<&[&str]>,
        selection: Option<RowSelection>,
        batch_rows: usize,
    ) -> Result<Batches, StoreError> {
        let columns = columns.map(|columns| {
            let groups = self.groups_of(selection.as_ref());
            // Where none has a value, the first stands for the number of rows.
            let unset = |(place, name): &(usize, &&str)| *place > 0 && self.is_unset(name, &groups);
            let set = columns.iter().enumerate().filter(|column| !unset(column));
            set.map(|(_, name)| *name).collect::<Vec<_>>()
        });
        let Self {
            reader,
            metadata,
            failed,
        } = self;
        let mut builder = ParquetRecordBatchStreamBuilder::new_with_metadata(reader, metadata);
        if let Some(columns) = columns {
            let mask = ProjectionMask::columns(builder.parquet_schema(), columns);
            builder = builder.with_projection(mask);
        }
        builder = builder.with_batch_size(batch_rows);
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
        let stream = builder.build().map_err(|error| failed(error))?;
        Ok(stream.map_err(move |error| failed(error)).boxed())
    }

    /// Reads the rows that `selection` names. Pages without such a row are not read, if the file was opened to know them.
    pub fn rows(self, columns: &[&str], selection: Option<RowSelection>) -> Result<Batches, StoreError> {
        self.batches(Some(columns), selection, BATCH_ROWS)
    }

    /// Reads one column of texts as places in a dictionary. `None`: the file has no such column.
    pub fn dictionary(mut self, column: &str) -> Result<Option<Batches>, StoreError> {
        let schema = self.metadata.schema();
        let Ok(place) = schema.index_of(column) else {
            return Ok(None);
        };
        if schema.field(place).data_type() != &DataType::Utf8 {
            return Ok(None);
        }
        let places = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let fields = schema.fields().iter().enumerate().map(|(n, field)| match n == place {
            true => Arc::new(field.as_ref().clone().with_data_type(places.clone())),
            false => field.clone(),
        });
        let schema = Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone());
        let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
        self.metadata = ArrowReaderMetadata::try_new(self.metadata.metadata().clone(), options)
            .map_err(|error| (self.failed)(error))?;
        self.batches(Some(&[column]), None, DICTIONARY_BATCH_ROWS).map(Some)
    }

    /// The rows that may have a time from `from` (inclusive) to `to` (exclusive), by the bounds of their pages.
    pub fn rows_between(&self, from: Option<Timestamp>, to: Option<Timestamp>) -> RowSet {
        let metadata = self.metadata.metadata();
        let total = metadata.file_metadata().num_rows();
        let all = RowSet::all(u32::try_from(total).unwrap_or(u32::MAX));
        let columns = metadata.file_metadata().schema_descr().columns();
        let (Some(bounds), Some(places), Some(column)) = (
            metadata.column_index(),
            metadata.offset_index(),
            columns.iter().position(|column| column.name() == "time_nanos"),
        ) else {
            return all;
        };
        let mut rows = RowSet::none(u32::try_from(total).unwrap_or(u32::MAX));
        let mut first = 0;
        for (group, (bounds, places)) in metadata.row_groups().iter().zip(bounds.iter().zip(places)) {
            let end = first + group.num_rows();
            let (Some(ColumnIndexMetaData::INT64(bounds)), Some(places)) = (bounds.get(column), places.get(column))
            else {
                return all;
            };
            let starts = places.page_locations();
            for (page, place) in starts.iter().enumerate() {
                let (Some(min), Some(max)) = (bounds.min_value(page), bounds.max_value(page)) else {
                    return all;
                };
                let within =
                    from.is_none_or(|from| *max >= from.as_nanos()) && to.is_none_or(|to| *min < to.as_nanos());
                let page_end = starts.get(page + 1).map_or(end, |next| first + next.first_row_index);
                if within {
                    let row = |row: i64| u32::try_from(row).unwrap_or(u32::MAX);
                    (row(first + place.first_row_index)..row(page_end)).for_each(|row| rows.insert(row));
                }
            }
            first = end;
        }
        rows
    }
}

fn reader(store: &Store, table: TableName, file: &DataFile) -> ObjectReader {
    ObjectReader {
        files: store.location.files.clone(),
        path: Path::from(format!("{}/{}", table.name(), file.path)),
        size: file.add.size.unsigned_abs(),
        bytes_read: Arc::default(),
        end: None,
    }
}

fn failure(table: TableName, reader: &ObjectReader) -> Arc<dyn Fn(ParquetError) -> StoreError + Send + Sync> {
    let path = reader.path.to_string();
    Arc::new(move |error| StoreError::File {
        table: table.name(),
        action: "read",
        path: path.clone(),
        source: Box::new(error),
    })
}

/// Reads `columns` of every row of `file`.
pub(crate) async fn scan(
    store: &Store,
    table: TableName,
    file: &DataFile,
    columns: &[&str],
) -> Result<Batches, StoreError> {
    OpenFile::open(store, table, file, Pages::Unknown)
        .await?
        .rows(columns, None)
}

/// Reads `columns` of the rows that `selection` names, in order. Pages without such a row are not read.
pub(crate) async fn scan_rows(
    store: &Store,
    table: TableName,
    file: &DataFile,
    columns: &[&str],
    selection: RowSelection,
) -> Result<Batches, StoreError> {
    OpenFile::open(store, table, file, Pages::Places)
        .await?
        .rows(columns, Some(selection))
}

/// Reads every column that the file has, in batches of at most `batch_rows` rows.
pub(crate) async fn scan_whole(
    store: &Store,
    table: TableName,
    file: &DataFile,
    batch_rows: usize,
) -> Result<Batches, StoreError> {
    OpenFile::open(store, table, file, Pages::Unknown)
        .await?
        .batches(None, None, batch_rows)
}

/// Reads what a file says of itself at its end.
pub(crate) async fn footer(
    store: &Store,
    table: TableName,
    file: &DataFile,
) -> Result<Arc<ParquetMetaData>, StoreError> {
    let mut reader = reader(store, table, file);
    let failed = failure(table, &reader);
    reader.get_metadata(None).await.map_err(|error| failed(error))
}

/// Rows, in order, as the Parquet reader wants them: runs to skip and to read.
pub(crate) fn select(rows: impl IntoIterator<Item = u32>) -> RowSelection {
    let mut selectors: Vec<RowSelector> = Vec::new();
    let mut next = 0;
    for row in rows {
        if row > next {
            selectors.push(RowSelector::skip((row - next) as usize));
        }
        match selectors.last_mut() {
            Some(last) if !last.skip => last.row_count += 1,
            _ => selectors.push(RowSelector::select(1)),
        }
        next = row + 1;
    }
    RowSelection::from(selectors)
}

/// The same for a file of so many rows, of which the selection says what is to become of each.
pub(crate) fn select_of(rows: impl IntoIterator<Item = u32>, total: usize) -> RowSelection {
    let mut selectors: Vec<RowSelector> = select(rows).into();
    let said: usize = selectors.iter().map(|selector| selector.row_count).sum();
    if said < total {
        selectors.push(RowSelector::skip(total - said));
    }
    RowSelection::from(selectors)
}
