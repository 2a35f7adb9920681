//! The windows that were decided of some keys.

use casebook_event::DecidedWindow;
use futures::TryStreamExt as _;

use super::decode::{WINDOW_COLUMNS, WindowColumns};
use super::encode::WINDOW;
use super::keyed_file::{FileRows, Wanted};
use super::{KeySpan, key_column};
use crate::limits::MAX_KEPT_ROWS;
use crate::{Store, StoreError, TableName};

impl Store {
    /// The windows that were decided of some keys, each with all its revisions: those that begin before the end of the key's
    /// span, and whose last time is at its beginning or later. In the order of key, first time, alert and revision; equal
    /// ones once.
    ///
    /// # Errors
    /// [`StoreError::TooMany`] where there are more than [`MAX_KEPT_ROWS`]; else the signals table cannot be read.
    pub async fn kept_windows(&self, spans: &[KeySpan]) -> Result<Vec<DecidedWindow>, StoreError> {
        let spans = spans.iter().map(|span| (key_column(span.key), span.from, span.to));
        let mut wanted = Wanted::new(TableName::Signals, spans);
        (wanted.kind, wanted.end) = (Some(WINDOW), Some("window_to"));
        let mut windows = Vec::new();
        let mut files = self.keyed_files(wanted, WINDOW_COLUMNS).await?;
        while let Some(FileRows { file, mut batches }) = files.try_next().await? {
            while let Some(batch) = batches.try_next().await? {
                let unreadable = |reason: String| super::unreadable(TableName::Signals, &file.path, reason);
                let mut columns = WindowColumns::new(&batch).ok_or_else(|| unreadable(super::COLUMNS.into()))?;
                for row in 0..batch.num_rows() {
                    windows.push(columns.window(row).map_err(unreadable)?);
                }
                if windows.len() > MAX_KEPT_ROWS {
                    return Err(super::too_many("windows of some keys", windows.len()));
                }
            }
        }
        let place = |window: &DecidedWindow| (window.key, window.first, window.alert_id, window.revision);
        windows.sort_by(|a, b| {
            place(a)
                .cmp(&place(b))
                .then_with(|| (a.to, a.met, a.content).cmp(&(b.to, b.met, b.content)))
        });
        windows.dedup();
        Ok(windows)
    }
}
