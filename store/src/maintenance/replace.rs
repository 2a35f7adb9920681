//! The log entry that puts new data files into the place of old ones.

use std::sync::Arc;

use casebook_event::Timestamp;

use crate::index::bundle_name;
use crate::table::{Add, DataFile, Proposal, Remove, Snapshot, Txn};
use crate::tables::Tables;
use crate::{CommitError, StoreError, TableName};

/// Removes `old` from a table and adds `new`, as one entry. `false` where one of `old` belongs to the table no more: then
/// nothing has changed, and the new files are deleted.
///
/// `data_change` says whether the rows are others afterwards; a compaction only writes them anew. `txns` go along.
pub(super) async fn replace(
    tables: &Tables,
    table: TableName,
    old: &[Arc<DataFile>],
    mut new: Vec<Add>,
    (data_change, txns): (bool, Vec<Txn>),
    now: Timestamp,
) -> Result<bool, StoreError> {
    for add in &mut new {
        add.data_change = data_change;
        add.mark_rewritten();
    }
    let written: Vec<String> = new.iter().map(|add| add.path.clone()).collect();
    let deletion_timestamp = Some(now.as_nanos().div_euclid(1_000_000));
    let removes = old
        .iter()
        .map(|file| Remove {
            path: file.add.path.clone(),
            deletion_timestamp,
            data_change,
            extended_file_metadata: Some(true),
            partition_values: Some(file.add.partition_values.clone()),
            size: Some(file.add.size),
        })
        .collect();
    let proposal = Proposal {
        adds: new,
        removes,
        txns,
        now,
        ..Proposal::default()
    };
    let all_there = |snapshot: &Snapshot| match old.iter().find(|file| !snapshot.files.contains_key(&file.path)) {
        None => Ok(()),
        Some(gone) => Err(StoreError::Replaced {
            table: table.name(),
            path: gone.path.clone(),
        }
        .into()),
    };
    match tables.table(table).commit(proposal, &all_there).await {
        Ok(_) => Ok(true),
        // Only where it is certain that no entry names them: after any other error they are left for a vacuum.
        Err(
            CommitError::Store(StoreError::Replaced { .. })
            | CommitError::Fenced { .. }
            | CommitError::FencedByState { .. },
        ) => {
            discard_with_indexes(tables, table, &written).await;
            Ok(false)
        }
        Err(CommitError::Store(error)) => Err(error),
    }
}

/// Deletes files that no entry names.
pub(super) async fn discard_with_indexes(tables: &Tables, table: TableName, paths: &[String]) {
    tables.discard(table, paths).await;
    if table == TableName::Events {
        let bundles: Vec<String> = paths.iter().map(|path| bundle_name(path)).collect();
        tables.discard(table, &bundles).await;
    }
}
