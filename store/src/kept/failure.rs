//! The failures of reading what was kept.

use crate::limits::MAX_KEPT_ROWS;
use crate::{StoreError, TableName};

/// What is wrong with a file that lacks what every file of its table has.
pub(super) const COLUMNS: &str = "a column is missing or of another type";

pub(super) fn unreadable(table: TableName, path: &str, reason: String) -> StoreError {
    StoreError::File {
        table: table.name(),
        action: "read",
        path: format!("{}/{path}", table.name()),
        source: reason.into(),
    }
}

pub(super) fn too_many(what: &str, found: usize) -> StoreError {
    StoreError::TooMany {
        what: what.to_owned(),
        found,
        limit: MAX_KEPT_ROWS,
    }
}
