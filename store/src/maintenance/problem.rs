//! What is wrong with a file, and what to do about it.

use crate::table::DataFile;
use crate::{StoreError, TableName};

/// Something that is wrong with a file of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The table.
    pub table: TableName,
    /// The file, relative to the store.
    pub path: String,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub remedy: &'static str,
}

/// What to do about a data file that is gone or changed.
pub(super) const RESTORE: &str =
    "restore the file from a backup; its rows are nowhere else, unless Kafka still has them";

impl Problem {
    pub(super) fn new(table: TableName, file: &DataFile, problem: impl Into<String>, remedy: &'static str) -> Self {
        Self {
            table,
            path: format!("{}/{}", table.name(), file.path),
            problem: problem.into(),
            remedy,
        }
    }

    pub(super) fn unreadable(table: TableName, file: &DataFile, error: &StoreError) -> Self {
        let problem = match error {
            StoreError::File { action, source, .. } => format!("cannot {action} it: {source}"),
            other => other.to_string(),
        };
        Self::new(table, file, problem, RESTORE)
    }
}
