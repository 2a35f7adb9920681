//! Many sorted data files as one sorted stream of batches. In memory is one batch of each file, and the one that is made.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, new_null_array};
use arrow::compute::{filter_record_batch, interleave_record_batch};
use casebook_event::Source;
use futures::TryStreamExt;

use super::keys::Keys;
use crate::data_file::{Batches, scan_whole};
use crate::derived::check_version;
use crate::schema::TableSchema;
use crate::table::DataFile;
use crate::tables::Tables;
use crate::{StoreError, TableName};

/// Most rows of a batch that is made.
const CHUNK_ROWS: usize = 4 * 1024;

/// Bytes after which a batch is made of fewer rows: records may be large, and a column of texts holds 2 GiB at most.
const CHUNK_BYTES: usize = 32 << 20;

/// The merged rows of some files of one table.
pub(super) struct Merge {
    table: TableName,
    inputs: Vec<Input>,
    heads: BinaryHeap<Reverse<Head>>,
    /// The row that was taken last, where equal rows are one.
    last: Option<(Arc<Keys>, usize)>,
    /// Rows that were read, those that were left out included.
    pub rows_read: u64,
}

/// A file, and the batch of it that is being merged.
struct Input {
    file: Arc<DataFile>,
    batches: Batches,
    batch: RecordBatch,
    row_bytes: usize,
    without: Arc<[Source]>,
}

/// The next row of an input.
struct Head {
    keys: Arc<Keys>,
    row: usize,
    input: usize,
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        self.keys
            .compare(self.row, &other.keys, other.row)
            .then_with(|| self.input.cmp(&other.input))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Head {}

impl Merge {
    /// Begins to read the files in batches of at most `batch_rows` rows, and leaves out events of the sources `without`.
    pub async fn open(
        tables: &Tables,
        table: TableName,
        files: &[Arc<DataFile>],
        without: &[Source],
        batch_rows: usize,
    ) -> Result<Self, StoreError> {
        let mut merge = Self {
            table,
            inputs: Vec::with_capacity(files.len()),
            heads: BinaryHeap::with_capacity(files.len()),
            last: None,
            rows_read: 0,
        };
        let without: Arc<[Source]> = without.into();
        for (input, file) in files.iter().enumerate() {
            check_version(table, file)?;
            merge.inputs.push(Input {
                file: file.clone(),
                batches: scan_whole(tables.files(), table, file, batch_rows).await?,
                batch: RecordBatch::new_empty(TableSchema::of(table).file.clone()),
                row_bytes: 0,
                without: without.clone(),
            });
            merge.advance(input).await?;
        }
        Ok(merge)
    }

    /// Reads the next batch of an input that has a row, and puts its first row among the heads.
    async fn advance(&mut self, number: usize) -> Result<(), StoreError> {
        let input = &mut self.inputs[number];
        while let Some(batch) = input.batches.try_next().await? {
            self.rows_read += batch.num_rows() as u64;
            let unusable = |reason: String| unusable(self.table, &input.file, reason);
            let batch = normalized(self.table, &batch).map_err(unusable)?;
            let batch = left(batch, &input.without).map_err(unusable)?;
            if batch.num_rows() == 0 {
                continue;
            }
            let keys = Keys::of(self.table, &batch)
                .ok_or_else(|| unusable("a column that its rows are sorted by is of another type".into()))?;
            input.row_bytes = batch.get_array_memory_size() / batch.num_rows();
            input.batch = batch;
            self.heads.push(Reverse(Head {
                keys: Arc::new(keys),
                row: 0,
                input: number,
            }));
            return Ok(());
        }
        input.batch = RecordBatch::new_empty(TableSchema::of(self.table).file.clone());
        Ok(())
    }

    /// Whether a row is no copy of the one before it, in a table where such rows are one.
    fn is_first(&mut self, head: &Head) -> bool {
        if !TableName::KEPT.contains(&self.table) {
            return true;
        }
        let repeats = |(keys, row): &(Arc<Keys>, usize)| keys.compare(*row, &head.keys, head.row).is_eq();
        if self.last.as_ref().is_some_and(repeats) {
            return false;
        }
        self.last = Some((head.keys.clone(), head.row));
        true
    }

    /// The next rows in order; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, StoreError> {
        let mut batches: Vec<RecordBatch> = Vec::new();
        let mut batch_of: Vec<Option<usize>> = vec![None; self.inputs.len()];
        let mut picks: Vec<(usize, usize)> = Vec::new();
        let mut bytes = 0;
        while picks.len() < CHUNK_ROWS && bytes < CHUNK_BYTES {
            let Some(Reverse(head)) = self.heads.pop() else { break };
            let is_first = self.is_first(&head);
            let input = &self.inputs[head.input];
            let batch = *batch_of[head.input].get_or_insert_with(|| {
                batches.push(input.batch.clone());
                batches.len() - 1
            });
            if is_first {
                picks.push((batch, head.row));
                bytes += input.row_bytes;
            }
            if head.row + 1 < input.batch.num_rows() {
                self.heads.push(Reverse(Head {
                    row: head.row + 1,
                    ..head
                }));
            } else {
                batch_of[head.input] = None;
                self.advance(head.input).await?;
            }
        }
        if picks.is_empty() {
            return Ok(None);
        }
        let sources: Vec<&RecordBatch> = batches.iter().collect();
        let merged = interleave_record_batch(&sources, &picks).map_err(|error| StoreError::Encode {
            table: self.table.name(),
            rows: picks.len(),
            source: error.into(),
        })?;
        Ok(Some(merged))
    }
}

pub(super) fn unusable(table: TableName, file: &DataFile, reason: String) -> StoreError {
    StoreError::File {
        table: table.name(),
        action: "rewrite",
        path: format!("{}/{}", table.name(), file.path),
        source: reason.into(),
    }
}

/// A batch with exactly the table's columns: those that an older file lacks are null. A column that this version does not
/// know must not get lost, so a file with one is refused.
fn normalized(table: TableName, batch: &RecordBatch) -> Result<RecordBatch, String> {
    let schema = &TableSchema::of(table).file;
    if let Some(unknown) = batch
        .schema_ref()
        .fields()
        .iter()
        .find(|field| schema.field_with_name(field.name()).is_err())
    {
        return Err(format!(
            "it has a column `{}` that this version does not know: use the version that wrote it",
            unknown.name()
        ));
    }
    let columns: Result<Vec<ArrayRef>, String> = schema
        .fields()
        .iter()
        .map(|field| match batch.column_by_name(field.name()) {
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
            Some(column) if column.data_type() == field.data_type() => Ok(column.clone()),
            Some(column) => Err(format!(
                "its column `{}` has the type {}, not {}",
                field.name(),
                column.data_type(),
                field.data_type()
            )),
        })
        .collect();
    RecordBatch::try_new(schema.clone(), columns?).map_err(|error| error.to_string())
}

/// The rows of other sources.
fn left(batch: RecordBatch, without: &[Source]) -> Result<RecordBatch, String> {
    if without.is_empty() {
        return Ok(batch);
    }
    let sources = batch
        .column_by_name("source")
        .and_then(|column| column.as_string_opt::<i32>())
        .ok_or("it has no column `source`")?;
    let keep: BooleanArray = sources
        .iter()
        .map(|name| Some(!name.is_some_and(|name| without.iter().any(|source| source.name() == name))))
        .collect();
    filter_record_batch(&batch, &keep).map_err(|error| error.to_string())
}
