//! What an operator asks: maintenance, and what there is to count.

use std::collections::BTreeMap;

use casebook_event::Timestamp;

use super::open::Store;
use crate::hold::{self, Hold};
use crate::kept::NeededBindings;
use crate::maintenance::{
    self, Compacted, Derive, ExpireRequest, Expired, KeptRebuilt, OnProgress, Problem, Rebuilt, SourceCounts,
    TableCounts, VacuumRequest, Vacuumed, Verified,
};
use crate::{StoreError, TableName};

impl Store {
    /// Puts small data files of a table together, date by date: files of less than half of
    /// [`StoreConfig::target_file_bytes`](crate::StoreConfig::target_file_bytes) of records become files of at most the
    /// whole of it, sorted and indexed as every other. No answer changes.
    ///
    /// Each new file is a commit of its own: what ends in between, conflicts with others or fails loses the work at one file.
    /// Live writers, readers and other compactions need not stop. The old files stay on the disk for [`Store::vacuum`].
    ///
    /// # Errors
    /// The table's log cannot be read or written, or a new file not be written. A file that cannot be read is a problem in
    /// the answer.
    pub async fn compact(
        &self,
        table: TableName,
        now: Timestamp,
        on_progress: OnProgress<'_>,
    ) -> Result<Compacted, StoreError> {
        maintenance::compact(&self.tables, table, now, on_progress).await
    }

    /// Takes rows out of any table but `alerts`, date by date. Files that hold nothing else are removed; others are
    /// written anew without the rows. Each step is a commit; what ends in between goes on with the next call.
    ///
    /// Alerts do not expire: an older revision would come back where a newer one goes, and they are few. A date that a [`Hold`] touches
    /// stays.
    ///
    /// Of what correlation keeps, what answers about later times still need stays, in a file of the first date that is kept: windows that
    /// reach beyond the cut, and those bindings that `needed` chooses.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for alerts, for sources of a table without any, and where the table's property
    /// `delta.appendOnly` forbids it; else the log cannot be read or written, or a new file not be written.
    pub async fn expire(
        &self,
        table: TableName,
        request: &ExpireRequest,
        needed: NeededBindings<'_>,
        on_progress: OnProgress<'_>,
    ) -> Result<Expired, StoreError> {
        maintenance::expire(&self.tables, table, request, needed, on_progress).await
    }

    /// Takes the dates that ended before a time out of what correlation keeps: matches by their own time and windows by that of their
    /// first event before `signals_from`, bindings by their own before `bindings_from`. A date goes whole unless a [`Hold`] touches it, and
    /// no file is written anew: the caller knows that nothing of before is needed any more.
    ///
    /// # Errors
    /// As [`Store::expire`].
    pub async fn expire_kept(
        &self,
        (signals_from, bindings_from): (Timestamp, Timestamp),
        now: Timestamp,
    ) -> Result<Expired, StoreError> {
        maintenance::expire_kept(&self.tables, (signals_from, bindings_from), now).await
    }

    /// Makes one of the tables of what correlation keeps again, in one entry: rows that `derive` makes of the events take the place of those
    /// that are there. Windows that were decided, matches of rules that it does not cover, and what is of before the events, stay.
    ///
    /// Workers need not stop. Files of since the topics were read to their end stay as they are: signals are sent before their events are
    /// committed.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for another table, or where there are no events; [`StoreError::Replaced`] where other maintenance was
    /// first; else a file of events cannot be read, or a new one not be written: then nothing has changed.
    pub async fn rebuild_kept(
        &self,
        table: TableName,
        derive: &mut dyn Derive,
        now: Timestamp,
        on_progress: OnProgress<'_>,
    ) -> Result<KeptRebuilt, StoreError> {
        maintenance::rebuild_kept(&self.tables, table, derive, now, on_progress).await
    }

    /// The holds that stand, by name: times of which nothing expires.
    ///
    /// # Errors
    /// The alerts table cannot be read.
    pub async fn holds(&self) -> Result<Vec<Hold>, StoreError> {
        hold::holds(&self.tables).await
    }

    /// Places a hold. An expiry that is under way leaves the dates that it has not come to.
    ///
    /// # Errors
    /// [`StoreError::Refused`] where its name, its span or its reason is none, one of that name stands, or too many do; else the alerts
    /// table cannot be written.
    pub async fn place_hold(&self, hold: &Hold) -> Result<(), StoreError> {
        hold::place_hold(&self.tables, hold).await
    }

    /// Releases a hold.
    ///
    /// # Errors
    /// [`StoreError::Refused`] where none of that name stands; else the alerts table cannot be written.
    pub async fn release_hold(&self, name: &str, now: Timestamp) -> Result<(), StoreError> {
        hold::release_hold(&self.tables, name, now).await
    }

    /// Builds the index of every file of events that has none, or one that is broken or of an older version; with `all`, of
    /// every file. An index takes the place of the old one as a whole: a search uses one or the other.
    ///
    /// # Errors
    /// The log cannot be read. A file that cannot be read, or an index that cannot be written, is a problem in the answer.
    pub async fn rebuild_indexes(&self, all: bool, on_progress: OnProgress<'_>) -> Result<Rebuilt, StoreError> {
        maintenance::rebuild_indexes(&self.tables, all, on_progress).await
    }

    /// Deletes files of a table that no entry of its log names: those that were removed, and those that never were in it.
    ///
    /// Only files with the names that this store gives are deleted, and none of the log.
    ///
    /// # Errors
    /// [`StoreError::Refused`] where the age is more than a table remembers; else the table cannot be read or listed.
    pub async fn vacuum(&self, table: TableName, request: VacuumRequest) -> Result<Vacuumed, StoreError> {
        maintenance::vacuum(&self.tables, table, request).await
    }

    /// Reads every file of a table and proves that it has the size, the rows, the times, the texts and the numbers of dead letters
    /// that the log says, that rows are in order and none is there twice, and that each index is whole, belongs to its file and finds
    /// a sample of its rows. `on_problem` is called with everything that is wrong, as soon as it is found.
    ///
    /// A file that others take out of the table meanwhile is no problem.
    ///
    /// # Errors
    /// The log cannot be read, or the process shuts down. What is wrong with a file is no error.
    pub async fn verify(
        &self,
        table: TableName,
        on_problem: &mut (dyn FnMut(Problem) + Send),
        on_progress: OnProgress<'_>,
    ) -> Result<Verified, StoreError> {
        maintenance::verify(&self.tables, table, on_problem, on_progress).await
    }

    /// Counts what a table has. Data files are not read.
    ///
    /// # Errors
    /// The log cannot be read, or the folder of the indexes not be listed.
    pub async fn table_counts(&self, table: TableName) -> Result<TableCounts, StoreError> {
        maintenance::table_counts(&self.tables, table).await
    }

    /// Counts the events of each source. One column of every file that has several is read.
    ///
    /// # Errors
    /// The log or a file cannot be read.
    pub async fn source_counts(&self) -> Result<BTreeMap<String, SourceCounts>, StoreError> {
        maintenance::source_counts(&self.tables).await
    }
}
