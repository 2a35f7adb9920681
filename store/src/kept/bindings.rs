//! What some names stood for, and what stood for them.

use std::collections::BTreeSet;

use casebook_event::{Binding, Identifier, Timestamp};
use futures::TryStreamExt as _;

use std::sync::Arc;

use super::decode::{BINDING_COLUMNS, BindingColumns};
use super::failure;
use super::identifiers::key;
use super::key::key_column;
use super::keyed_file::{FileRows, Wanted, keyed_files};
use crate::limits::MAX_KEPT_ROWS;
use crate::tables::Tables;
use crate::{StoreError, TableName};

/// The bindings that were kept, from one of the identifiers or to one, at a time from `from` (inclusive) to `to`
/// (exclusive). In the order of time and names; equal ones once.
///
/// # Errors
/// [`StoreError::TooMany`] where there are more than [`MAX_KEPT_ROWS`]; else the bindings table cannot be read.
pub(crate) async fn kept_bindings(
    tables: &Arc<Tables>,
    identifiers: &BTreeSet<Identifier>,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<Binding>, StoreError> {
    let mut spans = Vec::with_capacity(identifiers.len());
    for identifier in identifiers {
        let key = key(identifier).map_err(|reason| failure::unreadable(TableName::Bindings, "", reason))?;
        spans.push((key_column(key), from, to));
    }
    let mut wanted = Wanted::new(TableName::Bindings, spans);
    wanted.columns = &["key", "to_key"];
    let mut bindings = Vec::new();
    let mut files = keyed_files(tables, wanted, BINDING_COLUMNS).await?;
    while let Some(FileRows { file, mut batches }) = files.try_next().await? {
        while let Some(batch) = batches.try_next().await? {
            let unreadable = |reason: String| failure::unreadable(TableName::Bindings, &file.path, reason);
            let columns = BindingColumns::new(&batch).ok_or_else(|| unreadable(failure::COLUMNS.into()))?;
            for row in 0..batch.num_rows() {
                bindings.push(columns.binding(row).map_err(unreadable)?);
            }
            if bindings.len() > MAX_KEPT_ROWS {
                return Err(failure::too_many("bindings of some names", bindings.len()));
            }
        }
    }
    // Two names may have one key.
    bindings.retain(|binding| identifiers.contains(&binding.from) || identifiers.contains(&binding.to));
    bindings.sort_by(|a, b| {
        (a.time, &a.from, &a.to, a.ends)
            .cmp(&(b.time, &b.from, &b.to, b.ends))
            .then_with(|| (a.confidence, a.how as u8).cmp(&(b.confidence, b.how as u8)))
    });
    bindings.dedup();
    Ok(bindings)
}
