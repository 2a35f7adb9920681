//! Every row that matches, in no order: for SQL, which asks for rows of a snapshot, and for those who read everything.

use std::sync::Arc;

use casebook_event::Event;
use futures::TryStreamExt;

use super::answer::{SearchRequest, UnreadableFile};
use super::each_file::each_file;
use super::hits::every_column;
use super::matches::matches;
use super::plan::Plan;
use super::row::Row;
use super::scan_file::{Wanted, scan_file, unreadable};
use crate::data_file::{EventColumns, scan};
use crate::limits::MAX_FILE_ROWS;
use crate::row_set::RowSet;
use crate::table::{DataFile, Snapshot};
use crate::tables::Tables;
use crate::{StoreError, TableName};

/// The files of a snapshot in which rows match every one of the queries, with these rows. The number of a file's rows is
/// known where it has any.
pub(crate) async fn rows_that_match(
    tables: &Arc<Tables>,
    snapshot: &Snapshot,
    queries: &[&str],
) -> Result<Vec<(Arc<DataFile>, Vec<u32>)>, StoreError> {
    let plans = queries
        .iter()
        .map(|query| {
            Plan::new(&SearchRequest {
                query: (*query).to_owned(),
                ..SearchRequest::default()
            })
            .map(Arc::new)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let files: Vec<Arc<DataFile>> = snapshot
        .files
        .values()
        .filter(|file| plans.iter().all(|plan| plan.may_hold(file)))
        .cloned()
        .collect();
    let plans: Arc<[Arc<Plan>]> = plans.into();
    let found = each_file(tables, &files, move |store, file| {
        let plans = plans.clone();
        async move {
            let mut rows: Option<RowSet> = None;
            for plan in plans.iter() {
                let rows_of_file = file.stats.rows.unwrap_or(MAX_FILE_ROWS as u64);
                let mut found = RowSet::none(u32::try_from(rows_of_file).unwrap_or(u32::MAX));
                scan_file(&store, plan, &file, Wanted::Rows(&[]), &mut |one| {
                    found.insert(one.number)
                })
                .await?;
                match &mut rows {
                    Some(rows) => rows.intersect(&found),
                    None => rows = Some(found),
                }
            }
            let rows: Vec<u32> = rows.iter().flat_map(RowSet::iter).collect();
            Ok((file, rows))
        }
    });
    let mut found = std::pin::pin!(found);
    let mut rows_of = Vec::new();
    while let Some(one) = found.try_next().await? {
        match one {
            Ok((_, rows)) if rows.is_empty() => {}
            Ok(found) => rows_of.push(found),
            // A statement's rows have no place to say what they lack.
            Err(UnreadableFile { path, reason }) => {
                return Err(StoreError::File {
                    table: TableName::Events.name(),
                    action: "read",
                    path,
                    source: reason.into(),
                });
            }
        }
    }
    Ok(rows_of)
}

/// Calls `visit` with every event of the table at its latest version that `request` asks for, file by file and
/// without any other order. Neither the limit nor the index counts: everything is read.
///
/// # Errors
/// The query is not understood, or a file cannot be read.
pub(crate) async fn visit_events(
    tables: &Tables,
    request: &SearchRequest,
    visit: &mut (dyn FnMut(Event) + Send),
) -> Result<(), StoreError> {
    let plan = Plan::new(request)?;
    let snapshot = tables.events.snapshot().await?;
    let columns = every_column();
    for file in snapshot.files.values().filter(|file| plan.may_hold(file)) {
        let mut batches = scan(tables.files(), TableName::Events, file, &columns).await?;
        while let Some(batch) = batches.try_next().await? {
            let columns = EventColumns::new(&batch);
            for row in (0..batch.num_rows()).filter(|row| plan.within(columns.time(*row))) {
                let event = columns.event(row).map_err(|reason| unreadable(file, reason))?;
                if matches(&plan.query, &Row::new(&event)) {
                    visit(event);
                }
            }
        }
    }
    Ok(())
}
