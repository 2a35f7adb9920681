//! The search: leave files out, ask their indexes, read the rows that may match, and keep the newest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use casebook_event::{Source, Timestamp};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Error as ObjectError, ObjectStoreExt};
use tokio::task::JoinHandle;

use super::RowSet;
use super::ast::{Column, Query, Target, ValueTest};
use super::candidates::candidates;
use super::matches::matches;
use super::parser::parse;
use super::row::{FoundEvent, Row};
use crate::decode::EventColumns;
use crate::index::{Bundle, BundleBytes, Found, IndexReader, bundle_path};
use crate::limits::{MAX_ANSWER_ROWS, MAX_BUNDLE_BYTES};
use crate::scan::{scan, scan_rows, select};
use crate::schema::TableSchema;
use crate::table::DataFile;
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
    /// Files of the table.
    pub files_total: u64,
    /// Files left out by what the log says of their times and sources.
    pub files_pruned: u64,
    /// Files whose index was asked.
    pub files_indexed: u64,
    /// Files without a usable index, of which every row was looked at.
    pub files_scanned: u64,
    /// Files that were not looked at since the answer was complete without them.
    pub files_unread: u64,
    /// Rows that were read to see whether they match.
    pub rows_read: u64,
}

/// A match: its time, and where it is.
type Hit = (Timestamp, u32);

/// What looking at one file gave.
struct FileHits {
    hits: Vec<Hit>,
    matched: u64,
    indexed: bool,
    rows_read: u64,
}

/// A query with what was taken out of it to leave files out.
#[derive(Debug)]
struct Plan {
    query: Query,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    sources: Vec<Source>,
    /// Columns that the query looks at.
    columns: Vec<&'static str>,
    /// Whether times are needed: not where matches are only counted.
    hits_wanted: bool,
}

impl Plan {
    fn new(request: &SearchRequest) -> Result<Self, StoreError> {
        let mut plan = Self {
            query: Query::All,
            from: request.from,
            to: request.to,
            sources: request.sources.clone(),
            columns: Vec::new(),
            hits_wanted: request.limit > 0,
        };
        let mut parts = Vec::new();
        plan.take(parse(&request.query)?, &mut parts);
        if !plan.sources.is_empty() {
            let any = plan.sources.iter().map(|source| {
                let is = ValueTest::Equals(source.name().to_owned());
                Query::Field(Target::First(vec![Column::Source]), is)
            });
            parts.push(Query::Or(any.collect()));
        }
        plan.query = if parts.is_empty() {
            Query::All
        } else {
            Query::And(parts)
        };
        let mut columns = BTreeSet::new();
        add_columns(&plan.query, &mut columns);
        plan.columns = columns.into_iter().collect();
        Ok(plan)
    }

    /// Moves times that every match must have into `from` and `to`, and the rest into `parts`.
    fn take(&mut self, query: Query, parts: &mut Vec<Query>) {
        match query {
            Query::All => {}
            Query::And(inner) => inner.into_iter().for_each(|part| self.take(part, parts)),
            Query::Time(from, to) => {
                self.from = self.from.max(from);
                self.to = match (self.to, to) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
            }
            other => parts.push(other),
        }
    }

    fn may_hold(&self, file: &DataFile) -> bool {
        file.stats.may_hold_time(self.from, self.to)
            && (self.sources.is_empty() || self.sources.iter().any(|s| file.stats.may_hold("source", s.name())))
    }

    fn within(&self, time: Timestamp) -> bool {
        self.from.is_none_or(|from| time >= from) && self.to.is_none_or(|to| time < to)
    }
}

/// The columns of the events table that a query looks at.
fn add_columns(query: &Query, out: &mut BTreeSet<&'static str>) {
    match query {
        Query::All | Query::Time(_, _) => {}
        Query::And(parts) | Query::Or(parts) => parts.iter().for_each(|part| add_columns(part, out)),
        Query::Not(part) => add_columns(part, out),
        Query::Text(_) | Query::Field(Target::Native(_), _) => {
            out.insert("raw");
        }
        Query::Field(Target::First(columns) | Target::Any(columns), _) => {
            out.extend(columns.iter().map(|column| match column {
                Column::Field(id) => id.info().column,
                Column::Source => "source",
                Column::EventId => "event_id",
                Column::Topic => "kafka_topic",
                Column::Partition => "kafka_partition",
                Column::Offset => "kafka_offset",
            }));
        }
    }
}

/// A task that ends with whoever waits for it.
struct Task<T>(JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Store {
    /// Searches the events table at its latest version.
    ///
    /// # Errors
    /// The query is not understood, or a file cannot be read. A broken index is no error: its file is read instead.
    pub async fn search(&self, request: SearchRequest) -> Result<SearchAnswer, StoreError> {
        let limit = request.limit.min(MAX_ANSWER_ROWS);
        let newest_first = request.newest_first;
        let plan = Arc::new(Plan::new(&request)?);
        let snapshot = self.events.snapshot().await?;
        let mut answer = SearchAnswer {
            counted_all: true,
            ..SearchAnswer::default()
        };
        let mut files: Vec<Arc<DataFile>> = snapshot
            .files
            .values()
            .filter(|file| plan.may_hold(file))
            .cloned()
            .collect();
        answer.files_total = snapshot.files.len() as u64;
        answer.files_pruned = answer.files_total - files.len() as u64;
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
        let mut results = futures::stream::iter(files.iter().cloned().map(|file| {
            let (store, plan) = (self.clone(), plan.clone());
            let mut task = Task(tokio::spawn(async move { store.search_file(&plan, &file).await }));
            async move { (&mut task.0).await.map_err(|_| StoreError::Cancelled)? }
        }))
        .buffered(self.config.search_files.max(1));
        while let Some(found) = results.next().await {
            let found: FileHits = found?;
            answer.matched += found.matched;
            answer.files_indexed += u64::from(found.indexed);
            answer.files_scanned += u64::from(!found.indexed);
            answer.rows_read += found.rows_read;
            best.add(looked_at, found.hits);
            looked_at += 1;
            let Some(next) = files.get(looked_at) else { break };
            let next = if newest_first { newest(next) } else { oldest(next) };
            if limit > 0 && best.is_complete_before(next) {
                answer.counted_all = false;
                answer.files_unread = (files.len() - looked_at) as u64;
                break;
            }
        }
        drop(results);
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

    async fn search_file(&self, plan: &Arc<Plan>, file: &Arc<DataFile>) -> Result<FileHits, StoreError> {
        let asked = self.ask_index(plan, file).await?;
        let indexed = asked.is_some();
        let every_time = file.stats.is_within(plan.from, plan.to);
        let (rows, exact) = match asked {
            Some(found) => (Some(found.rows), found.exact),
            None => (None, matches!(plan.query, Query::All)),
        };
        let mut out = FileHits {
            hits: Vec::new(),
            matched: 0,
            indexed,
            rows_read: 0,
        };
        if let Some(rows) = &rows {
            if rows.is_empty() {
                return Ok(out);
            }
            if exact && every_time && !plan.hits_wanted {
                out.matched = rows.len() as u64;
                return Ok(out);
            }
        }
        let mut columns = vec!["time_nanos"];
        if !exact {
            columns.extend(&plan.columns);
        }
        let mut numbers: Box<dyn Iterator<Item = u32> + Send> = match &rows {
            Some(rows) => Box::new(rows.iter().collect::<Vec<_>>().into_iter()),
            None => Box::new(0..u32::MAX),
        };
        let selection = rows.as_ref().map(|rows| select(rows.iter()));
        let mut batches = scan_rows(self, TableName::Events, file, &columns, selection).await?;
        while let Some(batch) = batches.try_next().await? {
            out.rows_read += batch.num_rows() as u64;
            let columns = EventColumns::new(&batch);
            for row in 0..batch.num_rows() {
                let Some(number) = numbers.next() else { break };
                let time = columns.time(row);
                if !plan.within(time) {
                    continue;
                }
                if !exact {
                    let event = columns.event(row).map_err(|reason| unreadable(file, reason))?;
                    if !matches(&plan.query, &Row::new(&event)) {
                        continue;
                    }
                }
                out.matched += 1;
                if plan.hits_wanted {
                    out.hits.push((time, number));
                }
            }
        }
        Ok(out)
    }

    /// The rows that the index of a file names; `None` where it has no usable one.
    async fn ask_index(&self, plan: &Arc<Plan>, file: &DataFile) -> Result<Option<Found>, StoreError> {
        let path = bundle_path(&file.path);
        let bytes = match self.location.local_path(&path) {
            Some(_) => None,
            None => match self.fetch(&path).await {
                Some(bytes) => Some(bytes),
                None => return Ok(None),
            },
        };
        let local = self.location.local_path(&path);
        let (plan, rows) = (plan.clone(), file.stats.rows);
        let asked = tokio::task::spawn_blocking(move || -> Result<Option<Found>, crate::error::BoxError> {
            let bytes = match (bytes, local) {
                (Some(bytes), _) => BundleBytes::Memory(bytes),
                (None, Some(local)) => match BundleBytes::open(&local) {
                    Ok(bytes) => bytes,
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                    Err(error) => return Err(error.into()),
                },
                (None, None) => return Ok(None),
            };
            let index = IndexReader::open(Bundle::open(bytes)?)?;
            if rows.is_some_and(|rows| rows != u64::from(index.rows())) {
                return Err("it belongs to another file".into());
            }
            Ok(Some(candidates(&plan.query, &index)?))
        });
        match asked.await.map_err(|_| StoreError::Cancelled)? {
            Ok(found) => Ok(found),
            Err(error) => {
                tracing::warn!(path, %error, "an index is not usable; its file is read instead");
                Ok(None)
            }
        }
    }

    async fn fetch(&self, path: &str) -> Option<Bytes> {
        let object = Path::from(path);
        let found = match self.location.files.get(&object).await {
            Ok(found) if found.meta.size <= MAX_BUNDLE_BYTES => found.bytes().await,
            Ok(_) | Err(ObjectError::NotFound { .. }) => return None,
            Err(error) => Err(error),
        };
        found
            .inspect_err(|error| tracing::warn!(path, %error, "cannot read an index; its file is read instead"))
            .ok()
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

fn unreadable(file: &DataFile, reason: String) -> StoreError {
    StoreError::File {
        table: TableName::Events.name(),
        action: "read",
        path: file.path.clone(),
        source: reason.into(),
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
