//! The search: leave files out, ask their indexes, read the rows that may match, and keep the newest.

use std::collections::BTreeMap;
use std::sync::Arc;

use casebook_event::{Source, Timestamp};
use futures::{Stream, StreamExt, TryStreamExt};
use tokio::task::JoinHandle;

use super::RowSet;
use super::file_matches::{Looked, Wanted, unreadable};
use super::matches::matches;
use super::plan::Plan;
use super::row::{FoundEvent, Row};
use crate::decode::EventColumns;
use crate::limits::{MAX_ANSWER_ROWS, MAX_FILE_ROWS};
use crate::scan::{scan, scan_rows, select};
use crate::schema::TableSchema;
use crate::table::{DataFile, Snapshot};
use crate::{Store, StoreError, TableName};

/// What to look for. `SearchRequest::default()` asks for the hundred newest events.
#[derive(Debug, Clone)]
pub struct SearchRequest {
    /// The query; an empty one means every event.
    pub query: String,
    /// Events at or after this time.
    pub from: Option<Timestamp>,
    /// Events before this time.
    pub to: Option<Timestamp>,
    /// Events of these sources; of all where none is named.
    pub sources: Vec<Source>,
    /// Most events to return, at most [`MAX_ANSWER_ROWS`].
    pub limit: usize,
    /// Whether the newest events are returned, newest first; else the oldest, oldest first.
    pub newest_first: bool,
}

impl Default for SearchRequest {
    fn default() -> Self {
        Self {
            query: String::new(),
            from: None,
            to: None,
            sources: Vec::new(),
            limit: 100,
            newest_first: true,
        }
    }
}

/// What was found, and what was looked at to find it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SearchAnswer {
    /// The events, in the order asked for.
    pub rows: Vec<FoundEvent>,
    /// How many events match, of those looked at.
    pub matched: u64,
    /// Whether every file that may hold a match was looked at, so that `matched` is the number of all matches. A search
    /// stops when no further file can hold an event that belongs into the answer.
    pub counted_all: bool,
    /// What was read for it.
    pub files: FilesRead,
}

/// What was read for an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FilesRead {
    /// Files of the table.
    pub total: u64,
    /// Files left out by what the log says of their times and sources.
    pub pruned: u64,
    /// Files whose index was asked.
    pub indexed: u64,
    /// Files without a usable index, of which every row was looked at.
    pub scanned: u64,
    /// Files that were not looked at since the answer was complete without them.
    pub unread: u64,
    /// Rows that were read to see whether they match, or for what is told of them.
    pub rows_read: u64,
}

impl FilesRead {
    pub(super) fn add(&mut self, looked: &Looked) {
        self.indexed += u64::from(looked.indexed);
        self.scanned += u64::from(!looked.indexed);
        self.rows_read += looked.rows_read;
    }
}

/// A match: its time, and where it is.
type Hit = (Timestamp, u32);

/// A task that ends with whoever waits for it.
struct Task<T>(JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Store {
    /// The files that may hold a match, at the table's latest version, in the order of the table.
    pub(super) async fn files_of(&self, plan: &Plan) -> Result<(Vec<Arc<DataFile>>, FilesRead), StoreError> {
        let snapshot = self.events.snapshot().await?;
        let files = snapshot.files.values().filter(|file| plan.may_hold(file));
        let files: Vec<Arc<DataFile>> = files.cloned().collect();
        let total = snapshot.files.len() as u64;
        let read = FilesRead {
            total,
            pruned: total - files.len() as u64,
            ..FilesRead::default()
        };
        Ok((files, read))
    }

    /// What `look` finds in each file, in their order; some are looked at at the same time.
    pub(super) fn each_file<T, Found>(
        &self,
        files: &[Arc<DataFile>],
        look: impl Fn(Self, Arc<DataFile>) -> Found,
    ) -> impl Stream<Item = Result<T, StoreError>>
    where
        T: Send + 'static,
        Found: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let tasks = files.iter().cloned().map(move |file| {
            let found = look(self.clone(), file);
            async move {
                let mut task = Task(tokio::spawn(found));
                (&mut task.0).await.map_err(|_| StoreError::Cancelled)?
            }
        });
        futures::stream::iter(tasks).buffered(self.config.search_files.max(1))
    }

    /// Searches the events table at its latest version.
    ///
    /// # Errors
    /// The query is not understood, or a file cannot be read. A broken index is no error: its file is read instead.
    pub async fn search(&self, request: SearchRequest) -> Result<SearchAnswer, StoreError> {
        let plan = Arc::new(Plan::new(&request)?);
        let (files, read) = self.files_of(&plan).await?;
        self.search_files(&request, plan, files, read).await
    }

    /// Searches these files.
    pub(super) async fn search_files(
        &self,
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
        let newest = |file: &DataFile| file.stats.max_time.unwrap_or(Timestamp::MAX);
        let oldest = |file: &DataFile| file.stats.min_time.unwrap_or(Timestamp::MIN);
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
        let mut looked_at = 0;
        let hits_wanted = limit > 0;
        let mut results = std::pin::pin!(self.each_file(&files, move |store, file| {
            let plan = plan.clone();
            async move {
                let mut hits: Vec<Hit> = Vec::new();
                let wanted = if hits_wanted { Wanted::Rows(&[]) } else { Wanted::Count };
                let looked = store
                    .look_at(&plan, &file, wanted, &mut |found| hits.push((found.time, found.number)))
                    .await?;
                Ok((looked, hits))
            }
        }));
        while let Some(found) = results.next().await {
            let (looked, hits) = found?;
            answer.matched += looked.matched;
            answer.files.add(&looked);
            best.add(looked_at, hits);
            looked_at += 1;
            let Some(next) = files.get(looked_at) else { break };
            let next = if newest_first { newest(next) } else { oldest(next) };
            if limit > 0 && best.is_complete_before(next) {
                answer.counted_all = false;
                answer.files.unread = (files.len() - looked_at) as u64;
                break;
            }
        }
        answer.rows = self.read_hits(&files, best.finish()).await?;
        Ok(answer)
    }

    /// How many events match, without returning any: every file that may hold one is looked at.
    ///
    /// # Errors
    /// As [`Store::search`].
    pub async fn count(&self, request: SearchRequest) -> Result<u64, StoreError> {
        Ok(self.search(SearchRequest { limit: 0, ..request }).await?.matched)
    }

    /// The files of a snapshot in which rows match every one of the queries, with these rows. The number of a file's rows is
    /// known where it has any.
    pub(crate) async fn rows_that_match(
        &self,
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
        let found = self.each_file(&files, move |store, file| {
            let plans = plans.clone();
            async move {
                let mut rows: Option<RowSet> = None;
                for plan in plans.iter() {
                    let rows_of_file = file.stats.rows.unwrap_or(MAX_FILE_ROWS as u64);
                    let mut found = RowSet::none(u32::try_from(rows_of_file).unwrap_or(u32::MAX));
                    store
                        .look_at(plan, &file, Wanted::Rows(&[]), &mut |one| found.insert(one.number))
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
        let mut found: Vec<_> = found.try_collect().await?;
        found.retain(|(_, rows)| !rows.is_empty());
        Ok(found)
    }

    /// The events of the hits, whole, in the order of the hits.
    async fn read_hits(&self, files: &[Arc<DataFile>], hits: Vec<(usize, Hit)>) -> Result<Vec<FoundEvent>, StoreError> {
        let mut by_file: BTreeMap<usize, Vec<(u32, usize)>> = BTreeMap::new();
        for (place, (file, (_, row))) in hits.iter().enumerate() {
            by_file.entry(*file).or_default().push((*row, place));
        }
        let columns: Vec<&str> = TableSchema::of(TableName::Events)
            .file
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        let mut rows: Vec<Option<FoundEvent>> = vec![None; hits.len()];
        for (file, mut wanted) in by_file {
            wanted.sort_unstable();
            let Some(file) = files.get(file) else { continue };
            let mut set = RowSet::none(wanted.last().map_or(0, |(row, _)| row + 1));
            wanted.iter().for_each(|(row, _)| set.insert(*row));
            let mut places = wanted.iter().map(|(_, place)| *place);
            let mut batches = scan_rows(self, TableName::Events, file, &columns, Some(select(set.iter()))).await?;
            while let Some(batch) = batches.try_next().await? {
                let columns = EventColumns::new(&batch);
                for row in 0..batch.num_rows() {
                    let Some(place) = places.next() else { break };
                    rows[place] = Some(columns.event(row).map_err(|reason| unreadable(file, reason))?);
                }
            }
        }
        Ok(rows.into_iter().flatten().collect())
    }

    /// Calls `visit` with every event of the table at its latest version that `request` asks for, file by file and
    /// without any other order. Neither the limit nor the index counts: everything is read.
    ///
    /// # Errors
    /// The query is not understood, or a file cannot be read.
    pub async fn visit_events(
        &self,
        request: &SearchRequest,
        visit: &mut (dyn FnMut(FoundEvent) + Send),
    ) -> Result<(), StoreError> {
        let plan = Plan::new(request)?;
        let snapshot = self.events.snapshot().await?;
        let columns: Vec<&str> = TableSchema::of(TableName::Events)
            .file
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        for file in snapshot.files.values().filter(|file| plan.may_hold(file)) {
            let mut batches = scan(self, TableName::Events, file, &columns).await?;
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
}

/// The hits that belong into the answer so far.
struct Best {
    limit: usize,
    newest_first: bool,
    /// With the place of the file.
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

    /// Whether the answer is full, and no event at or behind `next` (in the order of the answer) belongs into it.
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
