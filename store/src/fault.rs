//! Failures that a test asks for at a named place (`fail_point!`): they look like those of a disk or an object store.

use crate::StoreError;

/// The failure of a write that a test asked for.
pub(crate) fn injected_write_failure(table: &'static str, path: &str, reason: Option<String>) -> StoreError {
    StoreError::File {
        table,
        action: "write",
        path: path.to_owned(),
        source: reason.unwrap_or_else(|| "injected failure".into()).into(),
    }
}
