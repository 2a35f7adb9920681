//! Writing one Parquet data file in memory, with the properties that suit its table.

use casebook_event::{FieldId, Indexed};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use crate::config::StoreConfig;
use crate::error::BoxError;
use crate::schema::TableSchema;
use crate::{StoreError, TableName};

/// False positives that a bloom filter may give.
const BLOOM_FALSE_POSITIVES: f64 = 0.01;

/// Rows of one data page at most, so that a single row is reached by decoding few others.
const PAGE_ROWS: usize = 4 * 1024;

/// Longest text in the page index, in bytes.
const PAGE_STATISTICS_BYTES: usize = 64;

/// Rows of a row group of what correlation keeps: to reach one key, the dictionaries of one are read.
const KEPT_ROW_GROUP_ROWS: usize = 32 * 1024;

/// Rows and uncompressed bytes of one of its pages, at most.
const KEPT_PAGE_ROWS: usize = 1024;
const KEPT_PAGE_BYTES: usize = 64 * 1024;

/// A finished data file.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub bytes: Vec<u8>,
    pub rows: usize,
}

/// Writes one data file, in memory.
pub(crate) struct DataFileWriter {
    table: TableName,
    writer: ArrowWriter<Vec<u8>>,
    rows: usize,
}

impl DataFileWriter {
    pub fn new(table: TableName, config: &StoreConfig, rows: usize) -> Result<Self, StoreError> {
        let failed = |source: BoxError| StoreError::Encode {
            table: table.name(),
            rows,
            source,
        };
        let level = ZstdLevel::try_new(config.zstd_level).map_err(|error| failed(error.into()))?;
        let schema = TableSchema::of(table).file.clone();
        let mut properties = WriterProperties::builder()
            .set_created_by(concat!("casebook ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(Compression::ZSTD(level))
            .set_max_row_group_row_count(Some(config.row_group_rows.max(1)))
            .set_data_page_size_limit(config.page_bytes)
            .set_data_page_row_count_limit(PAGE_ROWS)
            .set_column_index_truncate_length(Some(PAGE_STATISTICS_BYTES))
            .set_statistics_truncate_length(Some(PAGE_STATISTICS_BYTES));
        match table {
            TableName::Events => properties = event_properties(properties, &schema, config, rows),
            TableName::Signals | TableName::Bindings => properties = kept_properties(properties, &schema, rows),
            // A repair asks for alerts by their ids.
            TableName::Alerts => properties = with_bloom_filters(properties, &["id"], rows.min(config.row_group_rows)),
            TableName::DeadLetters => {}
        }
        // Files of what correlation keeps are many and small, and their types are those that Parquet names.
        let options = ArrowWriterOptions::new()
            .with_properties(properties.build())
            .with_skip_arrow_metadata(TableName::KEPT.contains(&table));
        let writer = ArrowWriter::try_new_with_options(Vec::new(), schema, options).map_err(|e| failed(e.into()))?;
        Ok(Self { table, writer, rows: 0 })
    }

    /// Appends rows.
    pub fn write(&mut self, batch: &arrow::array::RecordBatch) -> Result<(), StoreError> {
        self.rows += batch.num_rows();
        let rows = self.rows;
        self.writer.write(batch).map_err(|error| StoreError::Encode {
            table: self.table.name(),
            rows,
            source: error.into(),
        })
    }

    /// The finished file.
    pub fn finish(self) -> Result<Encoded, StoreError> {
        let (table, rows) = (self.table.name(), self.rows);
        let bytes = self.writer.into_inner().map_err(|error| StoreError::Encode {
            table,
            rows,
            source: error.into(),
        })?;
        Ok(Encoded { bytes, rows })
    }
}

fn event_properties(
    mut properties: WriterPropertiesBuilder,
    schema: &arrow::datatypes::Schema,
    config: &StoreConfig,
    rows: usize,
) -> WriterPropertiesBuilder {
    let sorting = ["source", "time"].iter().filter_map(|name| {
        let column_idx = i32::try_from(schema.index_of(name).ok()?).ok()?;
        Some(SortingColumn {
            column_idx,
            descending: false,
            nulls_first: false,
        })
    });
    properties = properties.set_sorting_columns(Some(sorting.collect()));
    // What is different in almost every row gains nothing from a dictionary, and building one costs.
    for name in ["raw", "event_id", "message", "error_stack_trace"] {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(name), false);
    }
    for name in ["raw", "message", "error_stack_trace"] {
        properties = properties.set_column_statistics_enabled(ColumnPath::from(name), EnabledStatistics::None);
    }
    // Sorted by source and time, times and offsets differ little from row to row.
    for name in ["time", "time_nanos", "ingested", "kafka_offset"] {
        properties = properties
            .set_column_dictionary_enabled(ColumnPath::from(name), false)
            .set_column_encoding(ColumnPath::from(name), Encoding::DELTA_BINARY_PACKED);
    }
    let entities = FieldId::ALL
        .iter()
        .filter(|id| id.info().indexed == Indexed::Entity)
        .map(|id| id.info().column);
    let columns: Vec<&str> = entities.chain(["event_id"]).collect();
    with_bloom_filters(properties, &columns, rows.min(config.row_group_rows))
}

/// Few rows belong to one key, and they lie together: pages and row groups are small, and the keys have bounds and filters.
fn kept_properties(
    mut properties: WriterPropertiesBuilder,
    schema: &arrow::datatypes::Schema,
    rows: usize,
) -> WriterPropertiesBuilder {
    let sorting = ["key", "time_nanos"].iter().filter_map(|name| {
        let column_idx = i32::try_from(schema.index_of(name).ok()?).ok()?;
        Some(SortingColumn {
            column_idx,
            descending: false,
            nulls_first: true,
        })
    });
    properties = properties
        .set_sorting_columns(Some(sorting.collect()))
        .set_max_row_group_row_count(Some(KEPT_ROW_GROUP_ROWS))
        .set_data_page_size_limit(KEPT_PAGE_BYTES)
        .set_data_page_row_count_limit(KEPT_PAGE_ROWS)
        .set_statistics_enabled(EnabledStatistics::None);
    for name in ["key", "time", "time_nanos"] {
        properties = properties.set_column_statistics_enabled(ColumnPath::from(name), EnabledStatistics::Page);
    }
    properties = properties.set_column_statistics_enabled(ColumnPath::from("to_key"), EnabledStatistics::Chunk);
    for name in ["time", "time_nanos", "kafka_offset", "window_to", "met"] {
        properties = properties
            .set_column_dictionary_enabled(ColumnPath::from(name), false)
            .set_column_encoding(ColumnPath::from(name), Encoding::DELTA_BINARY_PACKED);
    }
    // All are of one length.
    properties = properties
        .set_column_dictionary_enabled(ColumnPath::from("event_id"), false)
        .set_column_encoding(ColumnPath::from("event_id"), Encoding::DELTA_LENGTH_BYTE_ARRAY)
        .set_column_dictionary_enabled(ColumnPath::from("content"), false);
    with_bloom_filters(properties, &["key", "to_key"], rows.min(KEPT_ROW_GROUP_ROWS))
}

/// Bloom filters for columns that have at most so many values in a row group.
fn with_bloom_filters(
    mut properties: WriterPropertiesBuilder,
    columns: &[&str],
    distinct: usize,
) -> WriterPropertiesBuilder {
    for &name in columns {
        let path = ColumnPath::from(name);
        properties = properties
            .set_column_bloom_filter_fpp(path.clone(), BLOOM_FALSE_POSITIVES)
            .set_column_bloom_filter_max_ndv(path, distinct.max(1) as u64);
    }
    properties
}
