//! Which data files are put together, and how much there is in each.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::events_file::raw_bytes;
use crate::limits::MAX_FILE_ROWS;
use crate::scan::footer;
use crate::table::DataFile;
use crate::{Store, StoreError, TableName};

/// Most files that are merged at once: each has a batch of rows in memory.
const MAX_MERGED_FILES: usize = 256;

/// A table without raw records is measured by its files, which are about an eighth of what was written.
const STORED_SHARE: u64 = 8;

/// How much is in a data file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Weight {
    /// What counts against the target: bytes of the raw records, or of the file where its table has none.
    pub bytes: u64,
    pub rows: u64,
}

/// The weights of the files that were looked at, by path.
#[derive(Debug, Default)]
pub(super) struct Weights(BTreeMap<String, Weight>);

impl Store {
    /// The weight that a new data file of the table is to have at most.
    pub(super) fn target_weight(&self, table: TableName) -> u64 {
        let target = (self.config.target_file_bytes as u64).max(1);
        match table {
            TableName::Events => target,
            _ => target.div_ceil(STORED_SHARE),
        }
    }

    /// What is below half of the target is small: two of them fit into one.
    pub(super) fn is_small(&self, table: TableName, weight: Weight) -> bool {
        weight.bytes < self.target_weight(table).div_ceil(2) && weight.rows < (MAX_FILE_ROWS / 2) as u64
    }

    /// The weight of a file by its log entry; else by its end, which is read once.
    pub(super) async fn weight(
        &self,
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
                let footer = footer(self, table, file).await?;
                let columns = footer.row_groups().iter().flat_map(|group| group.columns());
                let raw = columns.filter(|column| column.column_path().string() == "raw");
                Weight {
                    bytes: match table {
                        TableName::Events => raw.map(|column| column.uncompressed_size().unsigned_abs()).sum(),
                        _ => file.add.size.unsigned_abs(),
                    },
                    rows: footer.file_metadata().num_rows().unsigned_abs(),
                }
            }
        };
        known.0.insert(file.path.clone(), weight);
        Ok(weight)
    }
}

/// The weight of a file, where the log says it.
pub(super) fn log_weight(table: TableName, file: &DataFile) -> Option<Weight> {
    let bytes = match table {
        TableName::Events => raw_bytes(file)?,
        _ => file.add.size.unsigned_abs(),
    };
    Some(Weight {
        bytes,
        rows: file.stats.rows?,
    })
}

/// A file that may be put together with others.
pub(super) type Candidate = (Arc<DataFile>, Weight);

/// The first files, the oldest first, that together are no more than a new file may have. At least one, where there is any.
pub(super) fn first_group(mut candidates: Vec<Candidate>, target: u64) -> Vec<Candidate> {
    candidates.sort_by(|(a, _), (b, _)| (a.add.modification_time, &a.path).cmp(&(b.add.modification_time, &b.path)));
    let (mut bytes, mut rows) = (0u64, 0u64);
    let fits = |(place, (_, weight)): &(usize, Candidate)| {
        bytes = bytes.saturating_add(weight.bytes);
        rows = rows.saturating_add(weight.rows);
        *place == 0 || (*place < MAX_MERGED_FILES && bytes <= target && rows <= MAX_FILE_ROWS as u64)
    };
    candidates
        .into_iter()
        .enumerate()
        .take_while(fits)
        .map(|(_, candidate)| candidate)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Add, DataFile};

    fn candidate(path: &str, modification_time: i64, bytes: u64, rows: u64) -> Candidate {
        let add = Add {
            path: path.into(),
            partition_values: BTreeMap::new(),
            size: 1,
            modification_time,
            data_change: true,
            stats: None,
            tags: None,
            deletion_vector: None,
        };
        let file = DataFile {
            path: path.into(),
            stats: Default::default(),
            add,
        };
        (Arc::new(file), Weight { bytes, rows })
    }

    fn paths(group: &[Candidate]) -> Vec<&str> {
        group.iter().map(|(file, _)| file.path.as_str()).collect()
    }

    #[test]
    fn the_oldest_come_first_until_the_file_is_full() {
        let all = vec![
            candidate("c", 3, 40, 1),
            candidate("a", 2, 30, 1),
            candidate("b", 1, 30, 1),
            candidate("d", 3, 1, 1),
        ];
        assert_eq!(paths(&first_group(all.clone(), 100)), ["b", "a", "c"]);
        assert_eq!(paths(&first_group(all.clone(), 60)), ["b", "a"]);
        assert_eq!(
            paths(&first_group(all, 1)),
            ["b"],
            "a file that is too large is a group alone"
        );
        let rows = (MAX_FILE_ROWS / 2) as u64;
        let many = vec![
            candidate("a", 1, 1, rows),
            candidate("b", 1, 1, rows),
            candidate("c", 1, 1, 1),
        ];
        assert_eq!(paths(&first_group(many, 100)), ["a", "b"]);
        let files: Vec<Candidate> = (0..300).map(|n| candidate(&format!("{n:03}"), 1, 1, 1)).collect();
        assert_eq!(first_group(files, 1_000).len(), MAX_MERGED_FILES);
    }
}
