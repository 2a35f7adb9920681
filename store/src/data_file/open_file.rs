//! A data file of which the footer was read: its columns, whole or at chosen rows.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use casebook_event::Timestamp;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, RowSelection};
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use parquet::errors::ParquetError;
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::page_index::column_index::ColumnIndexMetaData;

use super::footer_cache::FooterCache;
use super::object_reader::{FOOTER_GUESS_BYTES, ObjectReader};
use crate::row_set::RowSet;
use crate::table::DataFile;
use crate::{StoreError, TableName};

/// Rows of a batch that is read.
const BATCH_ROWS: usize = 4 * 1024;

/// Rows of a batch of which only numbers are read: dictionary keys of a column.
const DICTIONARY_BATCH_ROWS: usize = 64 * 1024;

pub(crate) type Batches = BoxStream<'static, Result<RecordBatch, StoreError>>;

/// What is read of a file's page index when it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PageIndex {
    /// Nothing: the file is read from its beginning to its end.
    None,
    /// The offset index, which says where pages are: those without a wanted row are not read.
    Offsets,
    /// The column index too, which says from when to when the rows of a page go.
    OffsetsAndBounds,
}

/// What reads rows of one data file, and how its failures are reported.
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
    pub async fn open(
        files: &Arc<dyn ObjectStore>,
        table: TableName,
        file: &DataFile,
        index: PageIndex,
    ) -> Result<Self, StoreError> {
        let mut reader = reader(files, table, file);
        let failed = failure(table, &reader);
        let policy = |read| match read {
            true => PageIndexPolicy::Optional,
            false => PageIndexPolicy::Skip,
        };
        let options = ArrowReaderOptions::new()
            .with_offset_index_policy(policy(index != PageIndex::None))
            .with_column_index_policy(policy(index == PageIndex::OffsetsAndBounds));
        let metadata = ArrowReaderMetadata::load_async(&mut reader, options)
            .await
            .map_err(|error| failed(error))?;
        Ok(Self {
            reader,
            metadata,
            failed,
        })
    }

    /// Opens a file whose footer is remembered, or will be: where it is not, the end of the file is read ahead, which is all of
    /// it where it is small. Bytes that are read are counted.
    pub async fn open_cached(
        files: &Arc<dyn ObjectStore>,
        footers: &FooterCache,
        table: TableName,
        file: &DataFile,
        bytes_read: Arc<AtomicU64>,
    ) -> Result<Self, StoreError> {
        let mut reader = ObjectReader {
            bytes_read,
            ..reader(files, table, file)
        };
        let failed = failure(table, &reader);
        if let Some(metadata) = footers.get(reader.path.as_ref()) {
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
        footers.put(reader.path.as_ref(), &metadata);
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
                    let next = first + usize::try_from(group.num_rows()).unwrap_or(0);
                    *chosen |= first < end && row < next;
                    first = next;
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
            let unset = |(column, name): &(usize, &&str)| *column > 0 && self.is_unset(name, &groups);
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

    /// Reads one column of texts as dictionary keys. `None`: the file has no such column.
    pub fn dictionary(mut self, column: &str) -> Result<Option<Batches>, StoreError> {
        let schema = self.metadata.schema();
        let Ok(position) = schema.index_of(column) else {
            return Ok(None);
        };
        if schema.field(position).data_type() != &DataType::Utf8 {
            return Ok(None);
        }
        let keys = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let fields = schema
            .fields()
            .iter()
            .enumerate()
            .map(|(n, field)| match n == position {
                true => Arc::new(field.as_ref().clone().with_data_type(keys.clone())),
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
        let (Some(bounds), Some(offsets), Some(column)) = (
            metadata.column_index(),
            metadata.offset_index(),
            columns.iter().position(|column| column.name() == "time_nanos"),
        ) else {
            return all;
        };
        let mut rows = RowSet::none(u32::try_from(total).unwrap_or(u32::MAX));
        let mut first = 0;
        for (group, (bounds, offsets)) in metadata.row_groups().iter().zip(bounds.iter().zip(offsets)) {
            let end = first + group.num_rows();
            let (Some(ColumnIndexMetaData::INT64(bounds)), Some(offsets)) = (bounds.get(column), offsets.get(column))
            else {
                return all;
            };
            let locations = offsets.page_locations();
            for (page, location) in locations.iter().enumerate() {
                let (Some(min), Some(max)) = (bounds.min_value(page), bounds.max_value(page)) else {
                    return all;
                };
                let within =
                    from.is_none_or(|from| *max >= from.as_nanos()) && to.is_none_or(|to| *min < to.as_nanos());
                let page_end = locations.get(page + 1).map_or(end, |next| first + next.first_row_index);
                if within {
                    let row = |row: i64| u32::try_from(row).unwrap_or(u32::MAX);
                    (row(first + location.first_row_index)..row(page_end)).for_each(|row| rows.insert(row));
                }
            }
            first = end;
        }
        rows
    }
}

pub(super) fn reader(files: &Arc<dyn ObjectStore>, table: TableName, file: &DataFile) -> ObjectReader {
    ObjectReader {
        files: files.clone(),
        path: Path::from(format!("{}/{}", table.name(), file.path)),
        size: file.add.size.unsigned_abs(),
        bytes_read: Arc::default(),
        end: None,
    }
}

pub(super) fn failure(
    table: TableName,
    reader: &ObjectReader,
) -> Arc<dyn Fn(ParquetError) -> StoreError + Send + Sync> {
    let path = reader.path.to_string();
    Arc::new(move |error| StoreError::File {
        table: table.name(),
        action: "read",
        path: path.clone(),
        source: Box::new(error),
    })
}
