//! What correlation keeps, made again from the events: for a table that was damaged, that an older version made, or that rules have
//! outgrown.

use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int64Type;
use casebook_event::{Event, Kept, Timestamp};
use futures::TryStreamExt;

use super::clock::Clock;
use super::problem::Problem;
use super::progress::{MaintenanceProgress, OnProgress};
use super::readable::batch_rows;
use super::replace::{discard_with_indexes, replace};
use super::weight::{Weights, weight};
use crate::commit::{TopicCoverage, topics};
use crate::data_file::{Batches, EventColumns, date_text, scan_whole};
use crate::derived::{check_version, complete_since};
use crate::hold::{Hold, holds};
use crate::kept::{self, kept_batches, windows, write_kept};
use crate::limits::MAX_KEPT_FILE_ROWS;
use crate::table::{Add, DataFile, Snapshot};
use crate::tables::Tables;
use crate::{StoreError, TableName};

/// What makes the rows of events.
pub trait Derive: Send {
    /// Whether it makes the matches of a rule. Those of other rules are taken over: whoever names too few rules loses nothing.
    fn covers(&self, rule_id: &str) -> bool;

    /// Appends the rows of an event, with any offset.
    fn push(&mut self, event: Event, kept: &mut Kept);
}

/// What makes the rows of every rule.
impl<F: FnMut(Event, &mut Kept) + Send> Derive for F {
    fn covers(&self, _: &str) -> bool {
        true
    }

    fn push(&mut self, event: Event, kept: &mut Kept) {
        self(event, kept);
    }
}

/// How long before a topic was read to its end a row must have been derived for its event to be surely committed: the clocks of two
/// workers differ.
const SKEW_NANOS: i64 = 300 * 1_000_000_000;

/// The same before the last commit of a topic of which it is not known that it was read to its end. A worker gives up a commit that fails
/// long before.
const UNSETTLED_NANOS: i64 = 3_600 * 1_000_000_000;

/// A topic of which nothing was read for so long before the others is read no more.
const GONE_NANOS: i64 = 7 * NANOS_PER_DAY;

const NANOS_PER_MILLI: i64 = 1_000_000;
const NANOS_PER_DAY: i64 = 86_400_000_000_000;

/// What a rebuild did to one table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeptRebuilt {
    /// Events that were read.
    pub events: u64,
    /// Rows of the files that went.
    pub rows_before: u64,
    /// Rows of the files in their place.
    pub rows_after: u64,
    /// Those of `rows_after` that were not made again but taken over: windows that were decided, matches of rules that are not
    /// covered, and what stood from before the first date that is made again.
    pub rows_taken_over: u64,
    /// Data files that went.
    pub files_before: u64,
    /// Data files in their place.
    pub files_after: u64,
    /// Files that stay as they are: of dates that the events do not reach back to, or that are held, or so young that the events of their
    /// rows may not be committed.
    pub files_untouched: u64,
    /// The first date that was made again.
    pub from: Option<String>,
    /// Files of the table that could not be read: what cannot be made again of them is lost.
    pub problems: Vec<Problem>,
}

/// Makes one of the tables of what correlation keeps again: in one entry, rows that `derive` makes of the events take the place of those
/// that are there.
///
/// # Errors
/// [`StoreError::Refused`] for another table, or where there are no events; [`StoreError::Replaced`] where other maintenance was first; else
/// a file of events cannot be read, or a new one not be written: then nothing has changed.
pub(crate) async fn rebuild_kept(
    tables: &Tables,
    table: TableName,
    derive: &mut dyn Derive,
    now: Timestamp,
    on_progress: OnProgress<'_>,
) -> Result<KeptRebuilt, StoreError> {
    if !TableName::KEPT.contains(&table) {
        return Err(refused(
            table,
            "it is not made of others: only `signals` and `bindings` are",
        ));
    }
    // First the table, then the events: what is in the one is in the other, but for what is young.
    let old = tables.table(table).snapshot().await?;
    let events = tables.events.snapshot().await?;
    let holds = holds(tables).await?;
    let scope = Scope::of(table, &old, &events, &holds)?;
    let mut done = KeptRebuilt {
        from: Some(scope.first_date.clone()),
        ..KeptRebuilt::default()
    };
    let (going, staying): (Vec<_>, Vec<_>) = old.files.values().cloned().partition(|file| scope.goes(file));
    drop(old);
    done.files_untouched = staying.len() as u64;
    done.files_before = going.len() as u64;
    done.rows_before = going.iter().filter_map(|file| file.stats.rows).sum();
    let mut writing = Writing {
        tables,
        table,
        clock: Clock::begin(now),
        adds: Vec::new(),
        rows: 0,
    };
    match write_all(&mut writing, &scope, &events, (&going, derive), &mut done, on_progress).await {
        Ok(()) => {}
        Err(error) => {
            writing.discard().await;
            return Err(error);
        }
    }
    done.rows_after = writing.rows;
    done.files_after = writing.adds.len() as u64;
    let (adds, now) = (writing.adds, writing.clock.now());
    if !replace(tables, table, &going, adds, (true, Vec::new()), now).await? {
        return Err(StoreError::Replaced {
            table: table.name(),
            path: going.first().map(|file| file.path.clone()).unwrap_or_default(),
        });
    }
    Ok(done)
}

async fn write_all(
    writing: &mut Writing<'_>,
    scope: &Scope<'_>,
    events: &Snapshot,
    (going, derive): (&[Arc<DataFile>], &mut dyn Derive),
    done: &mut KeptRebuilt,
    on_progress: OnProgress<'_>,
) -> Result<(), StoreError> {
    for file in going {
        match writing.take_over(file, scope.first_moment, derive).await {
            Ok(rows) => done.rows_taken_over += rows,
            Err(error @ StoreError::Cancelled) => return Err(error),
            Err(error) => done.problems.push(Problem::unreadable(writing.table, file, &error)),
        }
    }
    let files: Vec<_> = events.files.values().filter(|file| scope.reads(file)).collect();
    let mut progress = MaintenanceProgress {
        done_bytes: 0,
        total_bytes: files.iter().map(|file| file.bytes()).sum(),
    };
    for file in files {
        done.events += writing.derive(file, scope.first_moment, derive).await?;
        progress.done_bytes += file.bytes();
        on_progress(progress);
    }
    Ok(())
}

fn refused(table: TableName, reason: &str) -> StoreError {
    StoreError::Refused {
        table: table.name(),
        reason: reason.to_owned(),
    }
}

/// What is made again, and what is not.
struct Scope<'a> {
    table: TableName,
    /// Of dates before it nothing is made again.
    first_date: String,
    first_moment: Timestamp,
    /// Files with rows that were derived then or later stay.
    unsettled_from: Timestamp,
    holds: &'a [Hold],
}

impl<'a> Scope<'a> {
    fn of(table: TableName, old: &Snapshot, events: &Snapshot, holds: &'a [Hold]) -> Result<Self, StoreError> {
        let dates = events.files.values().map(|file| file.date(TableName::Events));
        let Some(first) = dates.min() else {
            return Err(refused(table, "there are no events that it could be made of"));
        };
        let complete = complete_since(old).max(complete_since(events));
        // The date in which it becomes complete is not, where that is not at its beginning.
        let next_date = complete.saturating_add_nanos(NANOS_PER_DAY - 1);
        let first_date = first.to_owned().max(match complete {
            Timestamp::MIN => String::new(),
            _ => date_text(next_date),
        });
        let first_moment = Timestamp::parse_rfc3339(&format!("{first_date}T00:00:00Z"));
        Ok(Self {
            table,
            first_moment: first_moment.ok_or_else(|| refused(table, "the events have no date"))?,
            first_date,
            unsettled_from: unsettled_from(&topics(events)),
            holds,
        })
    }

    /// Whether a file of the table is replaced.
    fn goes(&self, file: &DataFile) -> bool {
        let date = file.date(self.table);
        date >= self.first_date.as_str()
            && Timestamp::from_nanos(file.add.derived_ms().saturating_mul(NANOS_PER_MILLI)) < self.unsettled_from
            && !self.holds.iter().any(|hold| hold.touches(date))
    }

    /// Whether a file of events is read.
    fn reads(&self, file: &DataFile) -> bool {
        file.date(TableName::Events) >= self.first_date.as_str()
    }
}

/// From when on a row may have been derived of an event that is not committed yet: signals are sent before their events are.
fn unsettled_from(topics: &[TopicCoverage]) -> Timestamp {
    let newest = topics
        .iter()
        .filter_map(|topic| topic.read_to_end.max(topic.committed))
        .max();
    let gone = newest.map_or(Timestamp::MIN, |newest| newest.saturating_add_nanos(-GONE_NANOS));
    let settled = topics
        .iter()
        .filter(|topic| topic.read_to_end.max(topic.committed) >= Some(gone))
        .map(|topic| {
            let to_end = topic.read_to_end.map(|at| at.saturating_add_nanos(-SKEW_NANOS));
            let committed = topic.committed.map(|at| at.saturating_add_nanos(-UNSETTLED_NANOS));
            to_end.or(committed).unwrap_or(Timestamp::MIN)
        });
    settled.min().unwrap_or(Timestamp::MAX)
}

/// The new files.
struct Writing<'a> {
    tables: &'a Tables,
    table: TableName,
    clock: Clock,
    adds: Vec<Add>,
    rows: u64,
}

impl Writing<'_> {
    /// Takes over the rows of an old file that cannot be made again.
    async fn take_over(
        &mut self,
        file: &Arc<DataFile>,
        from: Timestamp,
        derive: &dyn Derive,
    ) -> Result<u64, StoreError> {
        check_version(self.table, file)?;
        let mut batches = self.scan(self.table, file).await?;
        let mut kept: Vec<RecordBatch> = Vec::new();
        while let Some(batch) = batches.try_next().await? {
            let staying = taken_over(self.table, &batch, from, derive);
            let staying = staying.and_then(|rows| filter_record_batch(&batch, &rows).ok());
            let staying = staying.ok_or_else(|| StoreError::File {
                table: self.table.name(),
                action: "read",
                path: format!("{}/{}", self.table.name(), file.path),
                source: "a column is missing or of another type".into(),
            })?;
            if staying.num_rows() > 0 {
                kept.push(staying);
            }
        }
        let date = file.date(self.table).to_owned();
        let rows = kept.iter().map(|batch| batch.num_rows() as u64).sum();
        let batches = kept.into_iter().map(|batch| (date.clone(), batch)).collect();
        self.write(batches).await?;
        Ok(rows)
    }

    /// Makes the rows of a file of events.
    async fn derive(
        &mut self,
        file: &Arc<DataFile>,
        from: Timestamp,
        derive: &mut dyn Derive,
    ) -> Result<u64, StoreError> {
        let (mut events, mut kept) = (0, Kept::default());
        let mut batches = self.scan(TableName::Events, file).await?;
        while let Some(batch) = batches.try_next().await? {
            let columns = EventColumns::new(&batch);
            for row in 0..batch.num_rows() {
                let event = columns.event(row).map_err(|reason| StoreError::File {
                    table: TableName::Events.name(),
                    action: "read",
                    path: format!("{}/{}", TableName::Events.name(), file.path),
                    source: reason.into(),
                })?;
                if event.time >= from {
                    derive.push(event, &mut kept);
                }
            }
            events += batch.num_rows() as u64;
            if kept.len() >= MAX_KEPT_FILE_ROWS {
                self.write(kept_batches(self.table, &std::mem::take(&mut kept))?)
                    .await?;
            }
        }
        self.write(kept_batches(self.table, &kept)?).await?;
        Ok(events)
    }

    async fn scan(&self, table: TableName, file: &Arc<DataFile>) -> Result<Batches, StoreError> {
        let weight = weight(self.tables, table, file, &mut Weights::default()).await?;
        let rows = batch_rows(weight.bytes, weight.rows, 1);
        scan_whole(self.tables.files(), table, file, rows).await
    }

    async fn write(&mut self, batches: kept::Batches) -> Result<(), StoreError> {
        let (mut adds, rows) = write_kept(self.tables, self.table, batches, self.clock.now()).await?;
        // The events are committed: it can be made again at any time.
        adds.iter_mut().for_each(|add| add.mark_derived_ms(0));
        self.adds.extend(adds);
        self.rows += rows;
        Ok(())
    }

    async fn discard(self) {
        let paths: Vec<String> = self.adds.into_iter().map(|add| add.path).collect();
        discard_with_indexes(self.tables, self.table, &paths).await;
    }
}

/// Which rows are not made again: windows, matches of rules that are not covered, and what is of before what is made again.
fn taken_over(table: TableName, rows: &RecordBatch, from: Timestamp, derive: &dyn Derive) -> Option<BooleanArray> {
    let times = rows.column_by_name("time_nanos")?.as_primitive_opt::<Int64Type>()?;
    let windows = match table {
        TableName::Signals => Some(windows(rows, Timestamp::MIN)?),
        _ => None,
    };
    let rules = match table {
        TableName::Signals => Some(rows.column_by_name("rule_id")?.as_string_opt::<i32>()?),
        _ => None,
    };
    let stays = |row: usize| {
        let is_window = windows.as_ref().is_some_and(|windows| windows.value(row));
        let is_foreign = rules.is_some_and(|rules| !derive.covers(rules.value(row)));
        is_window || is_foreign || (times.is_valid(row) && times.value(row) < from.as_nanos())
    };
    Some((0..rows.num_rows()).map(|row| Some(stays(row))).collect())
}
