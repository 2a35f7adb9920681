//! How far back the tables of what correlation keeps reach.

use casebook_event::Timestamp;

use crate::derived::complete_since;
use crate::tables::Tables;
use crate::{StoreError, TableName};

/// From when on all that was reported to correlation is kept, as far as an expiry took anything: the later one of both tables. The
/// beginning of time where none did.
///
/// # Errors
/// A table cannot be read.
pub(crate) async fn kept_since(tables: &Tables) -> Result<Timestamp, StoreError> {
    let mut since = Timestamp::MIN;
    for &table in TableName::KEPT {
        since = since.max(complete_since(&*tables.table(table).snapshot().await?));
    }
    Ok(since)
}
