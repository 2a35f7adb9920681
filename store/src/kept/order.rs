//! The order of the rows of a file: by the columns of the table, in their order. It is one over all columns, so that equal rows
//! meet wherever files are put together, and only they are equal.

use std::sync::LazyLock;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::take_record_batch;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};

use crate::schema::TableSchema;
use crate::{StoreError, TableName};

/// The rows of a batch, to be compared with those of any other batch of the table.
pub(crate) struct Order(Rows);

// Rows of two converters are not to be compared: there is one for each table.
static SIGNALS: LazyLock<Result<RowConverter, ArrowError>> = LazyLock::new(|| converter(TableName::Signals));
static BINDINGS: LazyLock<Result<RowConverter, ArrowError>> = LazyLock::new(|| converter(TableName::Bindings));

fn converter(table: TableName) -> Result<RowConverter, ArrowError> {
    let fields = TableSchema::of(table).file.fields().iter();
    RowConverter::new(fields.map(|field| SortField::new(field.data_type().clone())).collect())
}

impl Order {
    /// The order of a batch's rows; `None` where the table has none of this kind, or a column is of another type. A column that an
    /// older file lacks is null in all its rows, which changes nothing about their order.
    pub fn of(table: TableName, batch: &RecordBatch) -> Option<Self> {
        let converter = match table {
            TableName::Signals => &*SIGNALS,
            TableName::Bindings => &*BINDINGS,
            TableName::Events | TableName::Alerts | TableName::DeadLetters => return None,
        };
        let fields = TableSchema::of(table).file.fields().iter();
        let columns: Vec<ArrayRef> = fields
            .map(|field| match batch.column_by_name(field.name()) {
                Some(column) => column.clone(),
                None => new_null_array(field.data_type(), batch.num_rows()),
            })
            .collect();
        converter.as_ref().ok()?.convert_columns(&columns).ok().map(Self)
    }

    pub fn compare(&self, row: usize, other: &Self, other_row: usize) -> std::cmp::Ordering {
        self.0.row(row).cmp(&other.0.row(other_row))
    }

    pub fn len(&self) -> usize {
        self.0.num_rows()
    }
}

/// The rows of a batch in order, each once.
pub(crate) fn sorted(table: TableName, batch: &RecordBatch) -> Result<RecordBatch, StoreError> {
    let failed = |reason: String| StoreError::Encode {
        table: table.name(),
        rows: batch.num_rows(),
        source: reason.into(),
    };
    let order = Order::of(table, batch).ok_or_else(|| failed("its rows have no order".into()))?;
    let count = u32::try_from(batch.num_rows()).map_err(|_| failed("too many rows".into()))?;
    let mut rows: Vec<u32> = (0..count).collect();
    rows.sort_unstable_by(|&a, &b| order.compare(a as usize, &order, b as usize));
    rows.dedup_by(|a, b| order.compare(*a as usize, &order, *b as usize).is_eq());
    take_record_batch(batch, &UInt32Array::from(rows)).map_err(|error| failed(error.to_string()))
}
