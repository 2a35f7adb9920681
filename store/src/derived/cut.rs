//! How far back a table is complete: an expiry says in its entry what it took, so that nobody decides, and no table is made again,
//! from half of what there was.

use casebook_event::Timestamp;

use crate::table::{Snapshot, Txn};

/// The application id under which a table says so. It is no group's: theirs begin otherwise.
const APP_ID: &str = "casebook-kept-since";

const NANOS_PER_MILLI: i64 = 1_000_000;
const NANOS_PER_DAY: i64 = 86_400_000_000_000;

/// The action by which a table says that something up to the end of a date may be kept no more; `None` where it has said as much.
pub(crate) fn cut_txn(snapshot: &Snapshot, date: &str, now: Timestamp) -> Option<Txn> {
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

/// From when on nothing was taken out of a table. The beginning of time where no expiry took anything.
pub(crate) fn complete_since(snapshot: &Snapshot) -> Timestamp {
    let millis = snapshot.txn(APP_ID);
    millis.map_or(Timestamp::MIN, |millis| {
        Timestamp::from_nanos(millis.saturating_mul(NANOS_PER_MILLI))
    })
}
