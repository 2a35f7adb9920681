//! The search: leave files out, ask their indexes, read the rows that may match, and keep the newest.

use std::sync::Arc;

use casebook_event::Timestamp;
use futures::StreamExt;

use super::answer::{FilesRead, SearchAnswer, SearchRequest};
use super::each_file::{each_file, files_of};
use super::hits::{Hit, columns_of, every_column, read_hits};
use super::plan::Plan;
use super::scan_file::{Match, Wanted, scan_file};
use crate::StoreError;
use crate::limits::MAX_ANSWER_ROWS;
use crate::table::DataFile;
use crate::tables::Tables;

/// Searches the events table at its latest version. A file that cannot be read is named in the answer, and the others
/// are searched; for a broken index, its file is read instead.
///
/// # Errors
/// The query is not understood, or the table's log cannot be read.
pub(crate) async fn search(tables: &Arc<Tables>, request: SearchRequest) -> Result<SearchAnswer, StoreError> {
    let plan = Arc::new(Plan::new(&request)?);
    let (files, read) = files_of(tables, &plan).await?;
    search_files(tables, &request, plan, files, read).await
}

/// Searches these files.
pub(super) async fn search_files(
    tables: &Arc<Tables>,
    request: &SearchRequest,
    plan: Arc<Plan>,
    mut files: Vec<Arc<DataFile>>,
    read: FilesRead,
) -> Result<SearchAnswer, StoreError> {
    let limit = request.limit.min(MAX_ANSWER_ROWS);
    let newest_first = request.newest_first;
    let mut answer = SearchAnswer {
        counted_all: true,
        files: read,
        ..SearchAnswer::default()
    };
    // The file that may hold the first event of the answer comes first.
    if newest_first {
        files.sort_by_key(|file| std::cmp::Reverse(newest(file)));
    } else {
        files.sort_by_key(|file| oldest(file));
    }
    let mut best = Best {
        limit,
        newest_first,
        hits: Vec::new(),
    };
    let mut scanned = 0;
    let wanted = match limit {
        0 => Wanted::Count,
        _ => Wanted::Rows(&["time_nanos"]),
    };
    let mut results = std::pin::pin!(each_file(tables, &files, move |tables, file| {
        let plan = plan.clone();
        async move {
            let mut hits: Vec<Hit> = Vec::new();
            let mut visit = |found: &Match<'_>| hits.push((found.time, found.number));
            let stats = scan_file(&tables, &plan, &file, wanted, &mut visit).await?;
            Ok((stats, hits))
        }
    }));
    while let Some(found) = results.next().await {
        match found? {
            Ok((stats, hits)) => {
                answer.matched += stats.matched;
                stats.count_into(&mut answer.files);
                best.add(scanned, hits);
            }
            Err(file) => answer.unreadable.push(file),
        }
        scanned += 1;
        let Some(next) = files.get(scanned) else { break };
        let next = if newest_first { newest(next) } else { oldest(next) };
        if limit > 0 && best.is_complete_before(next) {
            answer.counted_all = false;
            answer.files.unread = (files.len() - scanned) as u64;
            break;
        }
    }
    let columns = match request.fields {
        None => every_column(),
        Some(fields) => columns_of(fields),
    };
    let (rows, unreadable) = read_hits(tables, &files, best.finish(), columns).await?;
    answer.rows = rows;
    answer.unreadable.extend(unreadable);
    answer.counted_all &= answer.unreadable.is_empty();
    Ok(answer)
}

/// No event of a file is newer, as far as the log says.
fn newest(file: &DataFile) -> Timestamp {
    file.stats.max_time.unwrap_or(Timestamp::MAX)
}

/// No event of a file is older, as far as the log says.
fn oldest(file: &DataFile) -> Timestamp {
    file.stats.min_time.unwrap_or(Timestamp::MIN)
}

/// The hits that belong into the answer so far.
struct Best {
    limit: usize,
    newest_first: bool,
    /// With the number of the file.
    hits: Vec<(usize, Hit)>,
}

impl Best {
    fn add(&mut self, file: usize, hits: Vec<Hit>) {
        self.hits.extend(hits.into_iter().map(|hit| (file, hit)));
        if self.hits.len() > self.limit {
            self.sort();
            self.hits.truncate(self.limit);
        }
    }

    fn sort(&mut self) {
        let newest_first = self.newest_first;
        self.hits
            .sort_unstable_by(|(file_a, (time_a, row_a)), (file_b, (time_b, row_b))| {
                let order = if newest_first {
                    time_b.cmp(time_a)
                } else {
                    time_a.cmp(time_b)
                };
                order.then(file_a.cmp(file_b)).then(row_a.cmp(row_b))
            });
    }

    /// Whether the answer is full, and no event at or after `next` (in the order of the answer) belongs into it.
    fn is_complete_before(&self, next: Timestamp) -> bool {
        if self.hits.len() < self.limit {
            return false;
        }
        let times = self.hits.iter().map(|(_, (time, _))| *time);
        if self.newest_first {
            times.min().is_some_and(|last| last > next)
        } else {
            times.max().is_some_and(|last| last < next)
        }
    }

    fn finish(mut self) -> Vec<(usize, Hit)> {
        self.sort();
        self.hits
    }
}
