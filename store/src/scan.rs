//! Reading columns of one data file, whole or at chosen rows.

use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, RowSelection, RowSelector};
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};

use crate::object_reader::ObjectReader;
use crate::table::DataFile;
use crate::{Store, StoreError, TableName};

/// Rows of a batch that is read.
const BATCH_ROWS: usize = 4 * 1024;

pub(crate) type Batches = BoxStream<'static, Result<RecordBatch, StoreError>>;

/// Reads `columns` of every row of `file`.
pub(crate) async fn scan(
    store: &Store,
    table: TableName,
    file: &DataFile,
    columns: &[&str],
) -> Result<Batches, StoreError> {
    scan_rows(store, table, file, columns, None).await
}

/// Reads `columns` of the rows that `selection` names, in order. Pages without such a row are not read.
pub(crate) async fn scan_rows(
    store: &Store,
    table: TableName,
    file: &DataFile,
    columns: &[&str],
    selection: Option<RowSelection>,
) -> Result<Batches, StoreError> {
    open(store, table, file, Some(columns), selection, BATCH_ROWS).await
}

/// Reads every column that the file has, in batches of at most `batch_rows` rows.
pub(crate) async fn scan_whole(
    store: &Store,
    table: TableName,
    file: &DataFile,
    batch_rows: usize,
) -> Result<Batches, StoreError> {
    open(store, table, file, None, None, batch_rows).await
}

/// Reads what a file says of itself at its end.
pub(crate) async fn footer(
    store: &Store,
    table: TableName,
    file: &DataFile,
) -> Result<Arc<ParquetMetaData>, StoreError> {
    let path = format!("{}/{}", table.name(), file.path);
    let mut reader = ObjectReader {
        files: store.location.files.clone(),
        path: Path::from(path.as_str()),
        size: file.add.size.unsigned_abs(),
    };
    reader.get_metadata(None).await.map_err(|error| StoreError::File {
        table: table.name(),
        action: "read",
        path,
        source: Box::new(error),
    })
}

async fn open(
    store: &Store,
    table: TableName,
    file: &DataFile,
    columns: Option<&[&str]>,
    selection: Option<RowSelection>,
    batch_rows: usize,
) -> Result<Batches, StoreError> {
    let path = format!("{}/{}", table.name(), file.path);
    let failed: Arc<dyn Fn(parquet::errors::ParquetError) -> StoreError + Send + Sync> = {
        let path = path.clone();
        Arc::new(move |error| StoreError::File {
            table: table.name(),
            action: "read",
            path: path.clone(),
            source: Box::new(error),
        })
    };
    let reader = ObjectReader {
        files: store.location.files.clone(),
        path: Path::from(path),
        size: file.add.size.unsigned_abs(),
    };
    let policy = if selection.is_some() {
        PageIndexPolicy::Optional
    } else {
        PageIndexPolicy::Skip
    };
    let options = ArrowReaderOptions::new()
        .with_skip_arrow_metadata(false)
        .with_offset_index_policy(policy)
        .with_column_index_policy(PageIndexPolicy::Skip);
    let mut builder = ParquetRecordBatchStreamBuilder::new_with_options(reader, options)
        .await
        .map_err(|error| failed(error))?;
    if let Some(columns) = columns {
        let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
        builder = builder.with_projection(mask);
    }
    builder = builder.with_batch_size(batch_rows);
    if let Some(selection) = selection {
        builder = builder.with_row_selection(selection);
    }
    let stream = builder.build().map_err(|error| failed(error))?;
    Ok(stream.map_err(move |error| failed(error)).boxed())
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
