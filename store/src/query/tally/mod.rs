//! Counting matches: by time, by the values of fields, by both.

mod answer;
mod counted_field;
mod file;
mod groups;

use std::sync::Arc;

use futures::StreamExt as _;

pub use answer::{Tally, TallyBy, TallyRow};
use file::{count_by_log, tally_file};
use groups::Groups;

use crate::StoreError;
use crate::query::answer::SearchRequest;
use crate::query::each_file::{each_file, files_of};
use crate::query::plan::Plan;
use crate::query::scan_file::ScanStats;
use crate::tables::Tables;

/// Counts the events that match `request` (its limit and order do not matter) by time, fields, or both.
///
/// # Errors
/// As `Store::search`.
pub(crate) async fn tally(tables: &Arc<Tables>, request: SearchRequest, by: TallyBy) -> Result<Tally, StoreError> {
    let plan = Arc::new(Plan::new(&request)?);
    let (files, read) = files_of(tables, &plan).await?;
    let mut tally = Tally {
        files: read,
        ..Tally::default()
    };
    let mut groups = Groups::default();
    let shared = Arc::new(by.clone());
    let mut results = std::pin::pin!(each_file(tables, &files, move |tables, file| {
        let (plan, by) = (plan.clone(), shared.clone());
        async move {
            if let Some(counts) = count_by_log(&plan, &by, &file) {
                return Ok((ScanStats::default(), counts, true));
            }
            let (stats, groups) = tally_file(&tables, &plan, &by, &file).await?;
            Ok((stats, groups, false))
        }
    }));
    while let Some(found) = results.next().await {
        let (stats, found, by_log) = match found? {
            Ok(found) => found,
            Err(file) => {
                tally.unreadable.push(file);
                continue;
            }
        };
        if by_log {
            tally.files.unread += 1;
            tally.matched += found.sum();
        } else {
            stats.count_into(&mut tally.files);
            tally.matched += stats.matched;
        }
        groups.merge(found);
    }
    tally.other_count = groups.other_count();
    tally.groups = groups.len();
    tally.rows = groups.rows(&by);
    Ok(tally)
}
