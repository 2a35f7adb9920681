//! Files that a newer version of Casebook has made are not read: their rows may mean something else.

use crate::table::DataFile;
use crate::{StoreError, TableName};

/// Refuses a file of a derived table that is of a newer version than this program makes.
///
/// # Errors
/// [`StoreError::NewerDerived`].
pub(crate) fn check_version(table: TableName, file: &DataFile) -> Result<(), StoreError> {
    let version = file.add.derived_version();
    match table.derived_version() {
        Some(known) if version > known => Err(StoreError::NewerDerived {
            table: table.name(),
            path: file.path.clone(),
            version,
            known,
        }),
        _ => Ok(()),
    }
}
