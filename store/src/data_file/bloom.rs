//! Bloom filters of a data file: whether a row may have a value, without reading any row.

use std::sync::Arc;

use object_store::ObjectStore;
use parquet::bloom_filter::Sbbf;
use parquet::file::metadata::ParquetMetaData;

use super::footer_cache::{ColumnChunk, FooterCache};
use super::open_file::{OpenFile, RowReader};
use crate::table::DataFile;
use crate::{StoreError, TableName};

/// The bloom filter of a column of a row group, if it has one.
pub(crate) async fn bloom_filter(
    footers: &FooterCache,
    reader: &mut RowReader,
    chunk: ColumnChunk,
) -> Result<Option<Arc<Sbbf>>, StoreError> {
    if let Some(known) = footers.filter(&reader.path, chunk) {
        return Ok(Some(known));
    }
    let (group, column) = chunk;
    let found = reader.builder.get_row_group_column_bloom_filter(group, column).await;
    let Some(filter) = found.map_err(|error| (reader.failed)(error))?.map(Arc::new) else {
        return Ok(None);
    };
    let column = reader.builder.metadata().row_group(group).column(column);
    let bytes = usize::try_from(column.bloom_filter_length().unwrap_or(0)).unwrap_or(0);
    footers.put_filter(&reader.path, chunk, &filter, bytes);
    Ok(Some(filter))
}

/// Whether a row of a file may have one of the texts in a column, by its bloom filters.
pub(crate) async fn may_have_text(
    files: &Arc<dyn ObjectStore>,
    footers: &FooterCache,
    table: TableName,
    file: &DataFile,
    name: &str,
    texts: &[&str],
) -> Result<bool, StoreError> {
    let mut reader = OpenFile::open_cached(files, footers, table, file, Arc::default())
        .await?
        .into_builder();
    let metadata = reader.builder.metadata().clone();
    let Some(column) = column_of(&metadata, name) else {
        return Ok(true);
    };
    for group in 0..metadata.num_row_groups() {
        match bloom_filter(footers, &mut reader, (group, column)).await? {
            Some(filter) if !texts.iter().any(|text| filter.check(*text)) => {}
            _ => return Ok(true),
        }
    }
    Ok(false)
}

/// The number of a column of a file.
pub(crate) fn column_of(metadata: &ParquetMetaData, name: &str) -> Option<usize> {
    let columns = metadata.file_metadata().schema_descr().columns();
    columns.iter().position(|column| column.name() == name)
}
