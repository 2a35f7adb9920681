//! The search: leave files out, ask their indexes, read the rows that may match, and keep the newest.

use std::sync::Arc;

use casebook_event::{Event, FieldId, Source, Timestamp};
use futures::{Stream, StreamExt, TryStreamExt};
use tokio::task::JoinHandle;

use super::RowSet;
use super::file_matches::{Looked, LookedBy, Wanted, unreadable};
use super::hits::{Hit, columns_of, every_column};
use super::matches::matches;
use super::plan::Plan;
use super::row::Row;
use crate::decode::EventColumns;
use crate::limits::{MAX_ANSWER_ROWS, MAX_FILE_ROWS};
use crate::scan::scan;
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
    /// The fields to return of each event, without its record; where none are named, the events whole. Records are most of what
    /// is stored, and those of scattered events most of what a search takes.
    pub fields: Option<&'static [FieldId]>,
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
            fields: None,
        }
    }
}

/// What was found, and what was looked at to find it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SearchAnswer {
    /// The events, in the order asked for.
    pub rows: Vec<Event>,
    /// How many events match, of those looked at.
    pub matched: u64,
    /// Whether every file that may hold a match was looked at, so that `matched` is the number of all matches. A search
    /// stops when no further file can hold an event that belongs into the answer.
    pub counted_all: bool,
    /// What was read for it.
    pub files: FilesRead,
    /// Files that may hold a match and could not be read. The answer is that of the others.
    pub unreadable: Vec<UnreadableFile>,
}

/// A data file that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnreadableFile {
    /// The file, relative to its table.
    pub path: String,
    /// Why not.
    pub reason: String,
}

impl std::fmt::Display for UnreadableFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { path, reason } = self;
        write!(f, "table events: cannot read {path}: {reason}")
    }
}

impl UnreadableFile {
    /// Of an error about one file; any other error is given back.
    pub(super) fn of(file: &DataFile, error: StoreError) -> Result<Self, StoreError> {
        match error {
            StoreError::File { source, .. } => Ok(Self {
                path: file.path.clone(),
                reason: source.to_string(),
            }),
            other => Err(other),
        }
    }
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
    /// Files of which one column was counted.
    pub counted: u64,
    /// Files without a usable index, of which every row was looked at.
    pub scanned: u64,
    /// Files that were not looked at since the answer was complete without them.
    pub unread: u64,
    /// Rows that were read to see whether they match, or for what is told of them.
    pub rows_read: u64,
}

impl FilesRead {
    pub(super) fn add(&mut self, looked: &Looked) {
        match looked.by {
            LookedBy::Index => self.indexed += 1,
            LookedBy::Dictionary => self.counted += 1,
            LookedBy::Scan => self.scanned += 1,
        }
        self.rows_read += looked.rows_read;
    }
}

/// How many times as many files of an object store are looked at at the same time as files of a local disk.
const REMOTE_FILES_FACTOR: usize = 4;

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

    /// What `look` finds in each file, in their order; some are looked at at the same time. A file that cannot be read is an
    /// item like any other.
    pub(super) fn each_file<T, Found>(
        &self,
        files: &[Arc<DataFile>],
        look: impl Fn(Self, Arc<DataFile>) -> Found,
    ) -> impl Stream<Item = Result<Result<T, UnreadableFile>, StoreError>>
    where
        T: Send + 'static,
        Found: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let tasks = files.iter().cloned().map(move |file| {
            let found = look(self.clone(), file.clone());
            async move {
                let mut task = Task(tokio::spawn(found));
                match (&mut task.0).await.map_err(|_| StoreError::Cancelled)? {
                    Ok(found) => Ok(Ok(found)),
                    Err(error) => UnreadableFile::of(&file, error).map(Err),
                }
            }
        });
        // Of a local disk the processor is what limits; an object store answers many requests at once.
        let at_once = match self.location.directory {
            Some(_) => self.config.search_files,
            None => self.config.search_files * REMOTE_FILES_FACTOR,
        };
        futures::stream::iter(tasks).buffered(at_once.max(1))
    }

    /// Searches the events table at its latest version. A file that cannot be read is named in the answer, and the others
    /// are searched; for a broken index, its file is read instead.
    ///
    /// # Errors
    /// The query is not understood, or the table's log cannot be read.
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
                let wanted = if hits_wanted {
                    Wanted::Rows(&["time_nanos"])
                } else {
                    Wanted::Count
                };
                let looked = store
                    .look_at(&plan, &file, wanted, &mut |found| hits.push((found.time, found.number)))
                    .await?;
                Ok((looked, hits))
            }
        }));
        while let Some(found) = results.next().await {
            match found? {
                Ok((looked, hits)) => {
                    answer.matched += looked.matched;
                    answer.files.add(&looked);
                    best.add(looked_at, hits);
                }
                Err(file) => answer.unreadable.push(file),
            }
            looked_at += 1;
            let Some(next) = files.get(looked_at) else { break };
            let next = if newest_first { newest(next) } else { oldest(next) };
            if limit > 0 && best.is_complete_before(next) {
                answer.counted_all = false;
                answer.files.unread = (files.len() - looked_at) as u64;
                break;
            }
        }
        let columns = match request.fields {
            None => every_column(),
            Some(fields) => columns_of(fields),
        };
        let (rows, unreadable) = self.read_hits(&files, best.finish(), columns).await?;
        answer.rows = rows;
        answer.unreadable.extend(unreadable);
        answer.counted_all &= answer.unreadable.is_empty();
        Ok(answer)
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
    pub async fn visit_events(
        &self,
        request: &SearchRequest,
        visit: &mut (dyn FnMut(Event) + Send),
    ) -> Result<(), StoreError> {
        let plan = Plan::new(request)?;
        let snapshot = self.events.snapshot().await?;
        let columns = every_column();
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
