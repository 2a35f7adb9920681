//! The matches of some keys.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use casebook_event::{Signal, Timestamp};
use futures::TryStreamExt as _;

use super::collect::FirstSignals;
use super::decode::{MATCH_COLUMNS, MatchColumns};
use super::encode::MATCH;
use super::failure;
use super::key::{KeySpan, key_column};
use super::keyed_file::{FileRows, Wanted, keyed_files};
use crate::tables::Tables;
use crate::{StoreError, TableName};

/// Matches that were kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeptSignals {
    /// Each once, in the order of time, event and position.
    pub signals: Vec<Signal>,
    /// Where there are more than were asked for: the first time of which none is here. All before it are.
    pub complete_to: Option<Timestamp>,
    /// Bytes that were read of the table's files.
    pub bytes_read: u64,
}

/// The matches that were kept of some keys, each within its span: the first `max_rows` at most. Matches at one time come
/// together or not at all, so that none may come where more than `max_rows` are at the first time.
///
/// # Errors
/// The signals table cannot be read.
pub(crate) async fn kept_signals(
    tables: &Arc<Tables>,
    spans: &[KeySpan],
    max_rows: usize,
) -> Result<KeptSignals, StoreError> {
    let spans = spans.iter().map(|span| (key_column(span.key), span.from, span.to));
    let mut wanted = Wanted::new(TableName::Signals, spans);
    wanted.kind = Some(MATCH);
    let bytes_read = wanted.bytes_read.clone();
    let mut first = FirstSignals::new(max_rows);
    let mut files = keyed_files(tables, wanted, MATCH_COLUMNS).await?;
    while let Some(FileRows { file, mut batches }) = files.try_next().await? {
        // Files come by their first time: what comes after the last that is wanted has none.
        if file.stats.min_time.is_some_and(|time| !first.wants(time)) {
            break;
        }
        while let Some(batch) = batches.try_next().await? {
            let unreadable = |reason: String| failure::unreadable(TableName::Signals, &file.path, reason);
            let mut columns = MatchColumns::new(&batch).ok_or_else(|| unreadable(failure::COLUMNS.into()))?;
            for row in 0..batch.num_rows() {
                if first.wants(columns.time(row)) {
                    first.push(columns.signal(row).map_err(unreadable)?);
                }
            }
        }
    }
    let (signals, complete_to) = first.finish();
    Ok(KeptSignals {
        signals,
        complete_to,
        bytes_read: bytes_read.load(Ordering::Relaxed),
    })
}
