//! The store as questions read it: by clauses, page by page, each event once, and what could not be read remembered.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Mutex, PoisonError};

use casebook_event::{Event, EventId, FieldId, Source, Timestamp};
use casebook_store::{SearchAnswer, SearchRequest, Store, StoreError, Tally, TallyBy, UnreadableFile};
use serde::Serializer;

use crate::answer::{Answer, Statement};
use crate::coverage::{self, Coverage, Dropped};
use crate::limits::PAGE_EVENTS;
use crate::query::EventQuery;

/// Ids that one query asks for: it may not be longer than 8 KiB.
const IDS_OF_A_QUERY: usize = 150;

/// Decodes the record of a stored event again, so that it has its native fields. It stands outside: this crate knows no format.
pub type Revive = fn(Event) -> Event;

/// A store to ask, the time at which it is asked, and what could not be read of it so far.
pub struct Archive<'a> {
    store: &'a Store,
    revive: Revive,
    now: Timestamp,
    /// Grows only: an answer names all files that any of its questions lacked.
    unreadable: Mutex<BTreeSet<UnreadableFile>>,
}

/// The range of time and the sources that are asked for.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Events at or after this time.
    pub from: Option<Timestamp>,
    /// Events before this time.
    pub to: Option<Timestamp>,
    /// Events of these sources; of all where none is named.
    pub sources: Vec<Source>,
}

/// How much was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReadCount {
    /// Events, each once.
    pub events: usize,
    /// Whether there were more than might be read: the earliest were not.
    pub cut: bool,
}

impl<'a> Archive<'a> {
    /// Of this store, asked `now`.
    pub fn new(store: &'a Store, revive: Revive, now: Timestamp) -> Self {
        Self {
            store,
            revive,
            now,
            unreadable: Mutex::default(),
        }
    }

    /// The store itself.
    pub fn store(&self) -> &'a Store {
        self.store
    }

    /// The files that could not be read so far.
    pub fn unreadable(&self) -> Vec<UnreadableFile> {
        let files = self.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
        files.iter().cloned().collect()
    }

    fn remember(&self, files: &[UnreadableFile]) {
        let mut known = self.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(files.iter().cloned());
    }

    /// An event with its native fields.
    pub fn revive(&self, event: Event) -> Event {
        (self.revive)(event)
    }

    /// What a search finds in the files that can be read.
    ///
    /// # Errors
    /// The query is none, or a log cannot be read.
    pub async fn search(&self, request: SearchRequest) -> Result<SearchAnswer, StoreError> {
        let answer = self.store.search(request).await?;
        self.remember(&answer.unreadable);
        Ok(answer)
    }

    /// What is counted in the files that can be read.
    ///
    /// # Errors
    /// As [`Archive::search`].
    pub async fn tally(&self, request: SearchRequest, by: TallyBy) -> Result<Tally, StoreError> {
        let tally = self.store.tally(request, by).await?;
        self.remember(&tally.unreadable);
        Ok(tally)
    }

    /// How far the store is known within a scope. That this cannot be read is no error of a question: the answer says so.
    pub async fn coverage(&self, scope: &Scope) -> Coverage {
        let Scope { from, to, sources } = scope;
        match self.store.coverage(*from, *to, sources).await {
            Ok(found) => Coverage::new(found, *from, *to, self.now),
            Err(error) => Coverage::unknown(with_causes(&error), *from, *to, self.now),
        }
    }

    /// The envelope around what was found, with all that could not be read on the way.
    pub fn answer<T>(
        &self,
        data: T,
        statements: Vec<Statement>,
        mut coverage: Coverage,
        dropped: Vec<Dropped>,
    ) -> Answer<T> {
        let unreadable = self.unreadable();
        coverage.unreadable_files = unreadable.iter().map(coverage::UnreadableFile::from).collect();
        coverage.dropped = dropped;
        Answer {
            data,
            statements,
            coverage,
        }
    }

    /// How many events match.
    ///
    /// # Errors
    /// As [`Archive::search`].
    pub async fn count(&self, query: &EventQuery, scope: &Scope) -> Result<u64, StoreError> {
        let (query, _) = query.write();
        if query.is_empty() {
            return Ok(0);
        }
        Ok(self.search(request(query, scope, 0)).await?.matched)
    }

    /// Reads events whole, by id and time. What is there twice is found once.
    ///
    /// # Errors
    /// A log cannot be read.
    pub async fn by_ids(&self, mut wanted: Vec<(Timestamp, EventId)>) -> Result<BTreeMap<EventId, Event>, StoreError> {
        // Those of about the same time are in the same files.
        wanted.sort_unstable();
        wanted.dedup();
        let mut found = BTreeMap::new();
        for some in wanted.chunks(IDS_OF_A_QUERY) {
            let ids: Vec<String> = some.iter().map(|(_, id)| id.to_string()).collect();
            let request = SearchRequest {
                query: format!("event_id:({})", ids.join(" OR ")),
                from: some.first().map(|(time, _)| *time),
                to: some.last().map(|(time, _)| time.saturating_add_nanos(1)),
                limit: casebook_store::limits::MAX_ANSWER_ROWS.min(some.len() * 100),
                newest_first: false,
                ..SearchRequest::default()
            };
            let rows = self.search(request).await?.rows;
            found.extend(rows.into_iter().map(|row| (row.id, row)));
        }
        Ok(found)
    }

    /// Calls `visit` with the events that match, each once, the newest first, at most `most` of them, with these fields and
    /// without their records.
    ///
    /// # Errors
    /// As [`Archive::search`].
    pub async fn visit(
        &self,
        query: &EventQuery,
        scope: &Scope,
        most: usize,
        fields: &'static [FieldId],
        visit: &mut (dyn FnMut(Event) + Send),
    ) -> Result<ReadCount, StoreError> {
        let (query, _) = query.write();
        let mut read = ReadCount::default();
        if query.is_empty() {
            return Ok(read);
        }
        let mut scope = scope.clone();
        let mut seen: HashSet<EventId> = HashSet::new();
        // One more than is wanted says that there are more.
        let mut page = PAGE_EVENTS.min(most.saturating_add(1));
        loop {
            let request = SearchRequest {
                fields: Some(fields),
                ..request(query.clone(), &scope, page)
            };
            let rows = self.search(request).await?.rows;
            let full = rows.len() >= page;
            let oldest = rows.last().map(|row| row.time);
            let before = read.events;
            for row in rows {
                if !seen.insert(row.id) {
                    continue;
                }
                if read.events >= most {
                    read.cut = true;
                    return Ok(read);
                }
                read.events += 1;
                visit(row);
            }
            let Some(oldest) = oldest.filter(|_| full) else {
                return Ok(read);
            };
            // The next page begins at the oldest time of this one, which may hold more. Where all of a page were of one time
            // and known, only a larger page comes further.
            if read.events == before {
                page = page.saturating_mul(2);
            }
            scope.to = Some(oldest.saturating_add_nanos(1));
        }
    }
}

fn request(query: String, scope: &Scope, limit: usize) -> SearchRequest {
    SearchRequest {
        query,
        from: scope.from,
        to: scope.to,
        sources: scope.sources.clone(),
        limit,
        newest_first: true,
        fields: None,
    }
}

/// An error with its causes. Many errors name their cause themselves: it is not repeated.
fn with_causes(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// Writes events in ECS form: see [`Event::to_ecs`].
pub(crate) fn ecs<S: Serializer>(events: &[Event], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(events.iter().map(Event::to_ecs))
}
