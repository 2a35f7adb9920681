//! How much there is in a data file: what compaction and expiry measure files by.

use std::collections::BTreeMap;

use crate::data_file::{footer, raw_bytes};
use crate::limits::MAX_FILE_ROWS;
use crate::table::DataFile;
use crate::tables::Tables;
use crate::{StoreError, TableName};

/// A table without raw records is measured by its files, which are about an eighth of what was written.
const STORED_SHARE: u64 = 8;

/// How much is in a data file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Weight {
    /// What counts against the target: bytes of the raw records, or of the file where its table has none.
    pub bytes: u64,
    pub rows: u64,
}

/// The weights of the files that were measured, by path.
#[derive(Debug, Default)]
pub(super) struct Weights(BTreeMap<String, Weight>);

/// The weight that a new data file of the table is to have at most.
pub(super) fn target_weight(tables: &Tables, table: TableName) -> u64 {
    let target = (tables.config.target_file_bytes as u64).max(1);
    match table {
        TableName::Events => target,
        _ => target.div_ceil(STORED_SHARE),
    }
}

/// What is below half of the target is small: two of them fit into one.
pub(super) fn is_small(tables: &Tables, table: TableName, weight: Weight) -> bool {
    weight.bytes < target_weight(tables, table).div_ceil(2) && weight.rows < (MAX_FILE_ROWS / 2) as u64
}

/// The weight of a file by its log entry; else by its footer, which is read once.
pub(super) async fn weight(
    tables: &Tables,
    table: TableName,
    file: &DataFile,
    known: &mut Weights,
) -> Result<Weight, StoreError> {
    if let Some(weight) = known.0.get(&file.path) {
        return Ok(*weight);
    }
    let weight = match log_weight(table, file) {
        Some(weight) => weight,
        None => {
            let footer = footer(tables.files(), table, file).await?;
            let columns = footer.row_groups().iter().flat_map(|group| group.columns());
            let raw = columns.filter(|column| column.column_path().string() == "raw");
            Weight {
                bytes: match table {
                    TableName::Events => raw.map(|column| column.uncompressed_size().unsigned_abs()).sum(),
                    _ => file.bytes(),
                },
                rows: footer.file_metadata().num_rows().unsigned_abs(),
            }
        }
    };
    known.0.insert(file.path.clone(), weight);
    Ok(weight)
}

/// The weight of a file, where the log says it.
pub(super) fn log_weight(table: TableName, file: &DataFile) -> Option<Weight> {
    let bytes = match table {
        TableName::Events => raw_bytes(file)?,
        _ => file.bytes(),
    };
    Some(Weight {
        bytes,
        rows: file.stats.rows?,
    })
}
