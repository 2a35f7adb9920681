//! Reading one data file: some columns of all rows, or of chosen rows, or everything.

use std::sync::Arc;

use object_store::ObjectStore;
use parquet::arrow::arrow_reader::RowSelection;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::file::metadata::ParquetMetaData;

use super::open_file::{Batches, OpenFile, PageIndex, failure, reader};
use crate::table::DataFile;
use crate::{StoreError, TableName};

/// Reads `columns` of every row of `file`.
pub(crate) async fn scan(
    files: &Arc<dyn ObjectStore>,
    table: TableName,
    file: &DataFile,
    columns: &[&str],
) -> Result<Batches, StoreError> {
    OpenFile::open(files, table, file, PageIndex::None)
        .await?
        .rows(columns, None)
}

/// Reads `columns` of the rows that `selection` names, in order. Pages without such a row are not read.
pub(crate) async fn scan_rows(
    files: &Arc<dyn ObjectStore>,
    table: TableName,
    file: &DataFile,
    columns: &[&str],
    selection: RowSelection,
) -> Result<Batches, StoreError> {
    OpenFile::open(files, table, file, PageIndex::Offsets)
        .await?
        .rows(columns, Some(selection))
}

/// Reads every column that the file has, in batches of at most `batch_rows` rows.
pub(crate) async fn scan_whole(
    files: &Arc<dyn ObjectStore>,
    table: TableName,
    file: &DataFile,
    batch_rows: usize,
) -> Result<Batches, StoreError> {
    OpenFile::open(files, table, file, PageIndex::None)
        .await?
        .batches(None, None, batch_rows)
}

/// Reads the footer of a file.
pub(crate) async fn footer(
    files: &Arc<dyn ObjectStore>,
    table: TableName,
    file: &DataFile,
) -> Result<Arc<ParquetMetaData>, StoreError> {
    let mut reader = reader(files, table, file);
    let failed = failure(table, &reader);
    reader.get_metadata(None).await.map_err(|error| failed(error))
}
