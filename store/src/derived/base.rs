//! What stays of the rows that go.

use arrow::array::RecordBatch;

/// Makes the base of a cut: takes the rows of before it, in the order of their table, and gives those that answers about later times
/// still need.
pub(crate) trait Base: Send {
    /// Takes the next rows; gives rows that stay, in order, which may be of earlier calls.
    ///
    /// # Errors
    /// A row that is none of the table.
    fn take(&mut self, rows: &RecordBatch) -> Result<Option<RecordBatch>, String>;

    /// The last rows that stay.
    ///
    /// # Errors
    /// As [`Base::take`].
    fn finish(&mut self) -> Result<Option<RecordBatch>, String>;
}
