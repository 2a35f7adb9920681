//! Row coordinates as the Parquet reader wants them: runs to skip and to read.

use parquet::arrow::arrow_reader::{RowSelection, RowSelector};

/// The selection of these rows, which ascend.
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

/// The same for a file of so many rows: the selection says of each row whether it is read.
pub(crate) fn select_of(rows: impl IntoIterator<Item = u32>, total: usize) -> RowSelection {
    let mut selectors: Vec<RowSelector> = select(rows).into();
    let covered: usize = selectors.iter().map(|selector| selector.row_count).sum();
    if covered < total {
        selectors.push(RowSelector::skip(total - covered));
    }
    RowSelection::from(selectors)
}
