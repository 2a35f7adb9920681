//! How far back the tables of what correlation keeps reach: an expiry says in its entry what it took, so that nobody decides from half
//! of what there was.

use casebook_event::Timestamp;

use crate::table::{Snapshot, Txn};
use crate::tables::Tables;
use crate::{StoreError, TableName};

/// The application id under which a table says so. It is no group's: theirs begin otherwise.
const APP_ID: &str = "casebook-kept-since";

const NANOS_PER_MILLI: i64 = 1_000_000;
const NANOS_PER_DAY: i64 = 86_400_000_000_000;

/// The action by which a table says that nothing up to the end of a date is kept any more; `None` where it has said as much.
pub(crate) fn since_txn(snapshot: &Snapshot, date: &str, now: Timestamp) -> Option<Txn> {
    let begin = Timestamp::parse_rfc3339(&format!("{date}T00:00:00Z"))?;
    let millis = begin
        .saturating_add_nanos(NANOS_PER_DAY)
        .as_nanos()
        .div_euclid(NANOS_PER_MILLI);
    snapshot.txn(APP_ID).is_none_or(|known| known < millis).then(|| Txn {
        app_id: APP_ID.to_owned(),
        version: millis,
        last_updated: Some(now.as_nanos().div_euclid(NANOS_PER_MILLI)),
    })
}

/// From when on all that was reported to correlation is kept, as far as an expiry took anything: the later one of both tables. The
/// beginning of time where none did.
///
/// # Errors
/// A table cannot be read.
pub(crate) async fn kept_since(tables: &Tables) -> Result<Timestamp, StoreError> {
    let mut since = Timestamp::MIN;
    for &table in TableName::KEPT {
        let millis = tables.table(table).snapshot().await?.txn(APP_ID);
        let of_table = millis.map(|millis| Timestamp::from_nanos(millis.saturating_mul(NANOS_PER_MILLI)));
        since = since.max(of_table.unwrap_or(Timestamp::MIN));
    }
    Ok(since)
}
