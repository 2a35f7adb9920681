//! What people ask: searches, counts, SQL, alerts, and how far all of it is known.

use casebook_event::{Alert, Event, Source, Timestamp};

use super::open::Store;
use crate::StoreError;
use crate::alerts::{self, AlertFilter};
use crate::commit::{self, TopicCoverage};
use crate::coverage::{self, Coverage};
use crate::query::{self, Follow, SearchAnswer, SearchRequest, Tally, TallyBy};
use crate::sql::{self, SqlAnswer, SqlLimits};

impl Store {
    /// Searches the events table at its latest version. A file that cannot be read is named in the answer, and the others
    /// are searched; for a broken index, its file is read instead.
    ///
    /// # Errors
    /// The query is not understood, or the table's log cannot be read.
    pub async fn search(&self, request: SearchRequest) -> Result<SearchAnswer, StoreError> {
        query::search(&self.tables, request).await
    }

    /// Begins a search that goes on, after what the table holds now. The limit of `request` is that of one poll.
    ///
    /// # Errors
    /// The query is not understood, or the table cannot be read.
    pub async fn follow(&self, request: SearchRequest) -> Result<Follow, StoreError> {
        Follow::begin(self.tables.clone(), request).await
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
        query::visit_events(&self.tables, request, visit).await
    }

    /// Counts the events that match `request` (its limit and order do not matter) by time, fields, or both.
    ///
    /// # Errors
    /// As [`Store::search`].
    pub async fn tally(&self, request: SearchRequest, by: TallyBy) -> Result<Tally, StoreError> {
        query::tally(&self.tables, request, by).await
    }

    /// Answers a statement within the usual limits: see [`Store::sql_within`].
    ///
    /// # Errors
    /// As there.
    pub async fn sql(&self, sql: &str, limit: usize) -> Result<SqlAnswer, StoreError> {
        self.sql_within(sql, SqlLimits::rows(limit)).await
    }

    /// Answers one `SELECT` (or `EXPLAIN`, `SHOW COLUMNS FROM …`) over the tables, as they were
    /// when the question came.
    ///
    /// # Errors
    /// [`StoreError::Sql`] where the statement is not understood or would change something, [`StoreError::SqlLimit`] where it
    /// needs more than the limits allow; else a table could not be read.
    pub async fn sql_within(&self, sql: &str, limits: SqlLimits) -> Result<SqlAnswer, StoreError> {
        sql::sql_within(&self.tables, sql, limits).await
    }

    /// The latest revision of every alert that `filter` admits, the newest first; those of one time by id.
    ///
    /// # Errors
    /// The alerts table cannot be read.
    pub async fn alerts(&self, filter: AlertFilter) -> Result<Vec<Alert>, StoreError> {
        alerts::alerts(&self.tables, filter).await
    }

    /// The latest revision of the alert whose id begins with `prefix`, whatever its status.
    ///
    /// # Errors
    /// [`StoreError::Ambiguous`] where several alerts do; else the alerts table cannot be read.
    pub async fn alert(&self, prefix: &str) -> Result<Option<Alert>, StoreError> {
        alerts::alert(&self.tables, prefix).await
    }

    /// How far the sources (all where none is named) are known, for a question about `from` (inclusive) to `to` (exclusive).
    ///
    /// # Errors
    /// A log or a file of dead letters cannot be read.
    pub async fn coverage(
        &self,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        sources: &[Source],
    ) -> Result<Coverage, StoreError> {
        coverage::coverage(&self.tables, from, to, sources).await
    }

    /// How far each topic is known, by the log of the events table alone.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn topic_coverage(&self) -> Result<Vec<TopicCoverage>, StoreError> {
        Ok(commit::topics(&*self.tables.events.snapshot().await?))
    }
}
