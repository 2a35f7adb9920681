//! The windows that were decided of some keys.

use casebook_event::DecidedWindow;
use futures::TryStreamExt as _;

use std::sync::Arc;

use super::decode::{WINDOW_COLUMNS, WindowColumns};
use super::encode::WINDOW;
use super::failure;
use super::key::{KeySpan, key_column};
use super::keyed_file::{FileRows, Wanted, keyed_files};
use crate::limits::MAX_KEPT_ROWS;
use crate::tables::Tables;
use crate::{StoreError, TableName};

/// The windows that were decided of some keys, each with all its revisions: those that begin before the end of the key's
/// span, and whose last time is at its beginning or later. In the order of key, first time, alert and revision; equal
/// ones once.
///
/// # Errors
/// [`StoreError::TooMany`] where there are more than [`MAX_KEPT_ROWS`]; else the signals table cannot be read.
pub(crate) async fn kept_windows(tables: &Arc<Tables>, spans: &[KeySpan]) -> Result<Vec<DecidedWindow>, StoreError> {
    let spans = spans.iter().map(|span| (key_column(span.key), span.from, span.to));
    let mut wanted = Wanted::new(TableName::Signals, spans);
    (wanted.kind, wanted.end) = (Some(WINDOW), Some("window_to"));
    let mut windows = Vec::new();
    let mut files = keyed_files(tables, wanted, WINDOW_COLUMNS).await?;
    while let Some(FileRows { file, mut batches }) = files.try_next().await? {
        while let Some(batch) = batches.try_next().await? {
            let unreadable = |reason: String| failure::unreadable(TableName::Signals, &file.path, reason);
            let mut columns = WindowColumns::new(&batch).ok_or_else(|| unreadable(failure::COLUMNS.into()))?;
            for row in 0..batch.num_rows() {
                windows.push(columns.window(row).map_err(unreadable)?);
            }
            if windows.len() > MAX_KEPT_ROWS {
                return Err(failure::too_many("windows of some keys", windows.len()));
            }
        }
    }
    let order = |window: &DecidedWindow| (window.key, window.first, window.alert_id, window.revision);
    windows.sort_by(|a, b| {
        order(a)
            .cmp(&order(b))
            .then_with(|| (a.to, a.met, a.content).cmp(&(b.to, b.met, b.content)))
    });
    windows.dedup();
    Ok(windows)
}
