//! What stays of the two tables at a cut: windows that reach beyond it, and bindings that still hold.

use arrow::array::{Array as _, AsArray as _, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::Int64Type;
use casebook_event::{Binding, Timestamp};

use super::decode::BindingColumns;
use super::encode::{self, WINDOW};
use super::failure;
use super::order::sorted;
use crate::TableName;
use crate::derived::Base;
use crate::schema::TableSchema;

/// Of bindings of one name (more, where two have one key) before a time: those that answers about that time and later need. Which they
/// are is no matter of the store: whoever resolves names says it.
pub type NeededBindings<'a> = &'a (dyn Fn(Timestamp, &[Binding]) -> Vec<Binding> + Send + Sync);

/// Most bindings of one key that are looked at together. Of a key with more, all stay.
const MAX_OF_KEY: usize = 200_000;

/// Bindings after which those that stay are given.
const CHUNK_ROWS: usize = 4 * 1024;

/// The base of one of the two tables at a cut.
pub(crate) fn kept_base(table: TableName, cut: Timestamp, needed: NeededBindings<'_>) -> Option<Box<dyn Base + '_>> {
    match table {
        TableName::Signals => Some(Box::new(WindowsBase { cut })),
        TableName::Bindings => Some(Box::new(BindingsBase {
            cut,
            needed,
            key: None,
            of_key: Vec::new(),
            is_crowded: false,
            staying: Vec::new(),
        })),
        TableName::Events | TableName::Alerts | TableName::DeadLetters => None,
    }
}

/// Windows whose last time is at the cut or later stay, with all their revisions. Matches do not: what is decided anew begins after the
/// cut, or is not decided.
struct WindowsBase {
    cut: Timestamp,
}

impl Base for WindowsBase {
    fn take(&mut self, rows: &RecordBatch) -> Result<Option<RecordBatch>, String> {
        let staying = windows(rows, self.cut).ok_or(failure::COLUMNS)?;
        let staying = filter_record_batch(rows, &staying).map_err(|error| error.to_string())?;
        Ok((staying.num_rows() > 0).then_some(staying))
    }

    fn finish(&mut self) -> Result<Option<RecordBatch>, String> {
        Ok(None)
    }
}

/// Which rows are windows that end at a time or later.
pub(crate) fn windows(rows: &RecordBatch, from: Timestamp) -> Option<BooleanArray> {
    let kinds = rows.column_by_name("kind")?.as_string_opt::<i32>()?;
    let ends = rows.column_by_name("window_to")?.as_primitive_opt::<Int64Type>()?;
    let is_window = |row: usize| kinds.value(row) == WINDOW && ends.is_valid(row) && ends.value(row) >= from.as_nanos();
    Some((0..rows.num_rows()).map(|row| Some(is_window(row))).collect())
}

/// Bindings by which names are resolved at the cut and later.
struct BindingsBase<'a> {
    cut: Timestamp,
    needed: NeededBindings<'a>,
    key: Option<i64>,
    /// What was taken of that key.
    of_key: Vec<Binding>,
    /// Whether the key has so many that all stay.
    is_crowded: bool,
    /// Of keys that are complete.
    staying: Vec<Binding>,
}

impl BindingsBase<'_> {
    fn end_key(&mut self) {
        let of_key = std::mem::take(&mut self.of_key);
        match self.is_crowded {
            false => self.staying.extend((self.needed)(self.cut, &of_key)),
            true => self.staying.extend(of_key),
        }
        self.is_crowded = false;
    }

    fn push(&mut self, binding: Binding) {
        self.of_key.push(binding);
        self.is_crowded |= self.of_key.len() > MAX_OF_KEY;
        if self.is_crowded {
            self.staying.append(&mut self.of_key);
        }
    }

    fn give(&mut self) -> Result<Option<RecordBatch>, String> {
        if self.staying.is_empty() {
            return Ok(None);
        }
        let staying = std::mem::take(&mut self.staying);
        let rows: Vec<&Binding> = staying.iter().collect();
        let batch = encode::bindings(&rows).and_then(|batch| sorted(TableName::Bindings, &batch));
        batch.map(Some).map_err(|error| error.to_string())
    }
}

impl Base for BindingsBase<'_> {
    fn take(&mut self, rows: &RecordBatch) -> Result<Option<RecordBatch>, String> {
        let columns = BindingColumns::new(rows).ok_or(failure::COLUMNS)?;
        let keys = rows.column_by_name("key");
        let keys = keys.and_then(|keys| keys.as_primitive_opt::<Int64Type>());
        let keys = keys.ok_or(failure::COLUMNS)?;
        let mut given = Vec::new();
        for row in 0..rows.num_rows() {
            let key = keys.value(row);
            if self.key != Some(key) {
                self.end_key();
                self.key = Some(key);
            }
            if self.staying.len() >= CHUNK_ROWS {
                given.extend(self.give()?);
            }
            self.push(columns.binding(row)?);
        }
        let schema = &TableSchema::of(TableName::Bindings).file;
        match given.is_empty() {
            true => Ok(None),
            false => concat_batches(schema, &given)
                .map(Some)
                .map_err(|error| error.to_string()),
        }
    }

    fn finish(&mut self) -> Result<Option<RecordBatch>, String> {
        self.end_key();
        self.give()
    }
}
