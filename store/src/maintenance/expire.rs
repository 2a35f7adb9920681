//! Retention: what is older than an age goes, whole dates at a time, or the events of some sources.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::AsArray;
use casebook_event::{Source, Timestamp};
use futures::TryStreamExt;

use super::clock::Clock;
use super::cut::{Cut, CutBase};
use super::group::{Candidate, first_group};
use super::problem::Problem;
use super::progress::{MaintenanceProgress, OnProgress};
use super::readable::unreadable;
use super::replace::replace;
use super::rewrite::{Job, rewrite};
use super::weight::{Weights, target_weight, weight};
use crate::data_file::{date_text, scan};
use crate::derived::cut_txn;
use crate::hold::holds;
use crate::kept::NeededBindings;
use crate::table::{DataFile, Snapshot};
use crate::tables::Tables;
use crate::{StoreError, TableName};

/// What is to go.
#[derive(Debug, Clone)]
pub struct ExpireRequest {
    /// Dates (UTC) of which the last moment is at least so long ago.
    pub older_than: Duration,
    /// Only events of these sources; where none is named, every row of the date.
    pub sources: Vec<Source>,
    /// Whether to say only what would go.
    pub dry_run: bool,
    /// The time now.
    pub now: Timestamp,
}

/// What went from one table, or would.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expired {
    /// The first and the last date that lost rows.
    pub dates: Option<(String, String)>,
    /// Data files that went whole.
    pub files_removed: u64,
    /// Data files that were written anew without the rows.
    pub files_rewritten: u64,
    /// Rows that went.
    pub rows: u64,
    /// Bytes of the data files that went whole.
    pub bytes_removed: u64,
    /// Rows of before the cut that later answers need: they are in a file of the first date that is kept.
    pub base_rows: u64,
    /// Dates that stay since a hold touches them, and the name of one that does.
    pub held: Vec<(String, String)>,
    /// Files that could not be read or rewritten. They stay as they are.
    pub problems: Vec<Problem>,
}

impl Expired {
    /// Adds what went from another table.
    fn add(&mut self, other: Self) {
        for date in other.dates.iter().flat_map(|(first, last)| [first, last]) {
            self.note_date(date);
        }
        self.files_removed += other.files_removed;
        self.files_rewritten += other.files_rewritten;
        self.rows += other.rows;
        self.bytes_removed += other.bytes_removed;
        self.base_rows += other.base_rows;
        self.held.extend(other.held);
        self.problems.extend(other.problems);
    }

    /// Counts files that went whole.
    fn note_removed(&mut self, date: &str, files: &[Arc<DataFile>]) {
        if !files.is_empty() {
            self.note_date(date);
        }
        self.files_removed += files.len() as u64;
        self.rows += files.iter().filter_map(|file| file.stats.rows).sum::<u64>();
        self.bytes_removed += files.iter().map(|file| file.bytes()).sum::<u64>();
    }

    fn note_date(&mut self, date: &str) {
        let (first, last) = self.dates.take().unwrap_or_else(|| (date.to_owned(), date.to_owned()));
        self.dates = Some((first.min(date.to_owned()), last.max(date.to_owned())));
    }
}

/// What a file has of the rows that are to go.
enum Part {
    None,
    Some(u64),
    All,
}

/// Times that an expiry of one date is begun anew, where others replace its files meanwhile.
const MAX_ATTEMPTS: usize = 5;

/// Takes rows out of any table but `alerts`, date by date. Files that hold nothing else are removed; others are written anew without
/// the rows. Of what correlation keeps, what later answers need stays as a base.
pub(crate) async fn expire(
    tables: &Tables,
    table: TableName,
    request: &ExpireRequest,
    needed: NeededBindings<'_>,
    on_progress: OnProgress<'_>,
) -> Result<Expired, StoreError> {
    let refused = |reason: &str| StoreError::Refused {
        table: table.name(),
        reason: reason.to_owned(),
    };
    match table {
        TableName::Alerts => return Err(refused("alerts do not expire")),
        TableName::DeadLetters | TableName::Signals | TableName::Bindings if !request.sources.is_empty() => {
            return Err(refused("only events expire by source"));
        }
        _ => {}
    }
    let nanos = i64::try_from(request.older_than.as_nanos()).unwrap_or(i64::MAX);
    let before = request.now.saturating_add_nanos(nanos.saturating_neg());
    let base = TableName::KEPT.contains(&table).then_some(needed);
    expire_dates(tables, table, before, (request, base), on_progress).await
}

/// Takes whole dates out of what correlation keeps, of which nothing is needed any more: no base is left.
pub(crate) async fn expire_kept(
    tables: &Tables,
    (signals_from, bindings_from): (Timestamp, Timestamp),
    now: Timestamp,
) -> Result<Expired, StoreError> {
    let request = ExpireRequest {
        older_than: Duration::ZERO,
        sources: Vec::new(),
        dry_run: false,
        now,
    };
    let mut all = Expired::default();
    for (table, before) in [(TableName::Signals, signals_from), (TableName::Bindings, bindings_from)] {
        all.add(expire_dates(tables, table, before, (&request, None), &mut |_| ()).await?);
    }
    Ok(all)
}

/// Takes rows out of the dates that ended before a time.
async fn expire_dates(
    tables: &Tables,
    table: TableName,
    before: Timestamp,
    (request, base): (&ExpireRequest, Option<NeededBindings<'_>>),
    on_progress: OnProgress<'_>,
) -> Result<Expired, StoreError> {
    let snapshot = tables.table(table).snapshot().await?;
    let append_only = snapshot.meta_data.configuration.get("delta.appendOnly");
    if append_only.is_some_and(|value| value.as_deref() == Some("true")) {
        return Err(StoreError::Refused {
            table: table.name(),
            reason: "its property `delta.appendOnly` forbids to delete rows".into(),
        });
    }
    // The date of that moment is not over yet.
    let first_kept = date_text(before);
    let mut dates: BTreeMap<String, u64> = BTreeMap::new();
    for file in snapshot.files.values() {
        let date = file.date(table);
        if !date.is_empty() && date < first_kept.as_str() {
            *dates.entry(date.to_owned()).or_default() += file.bytes();
        }
    }
    drop(snapshot);
    let mut progress = MaintenanceProgress {
        done_bytes: 0,
        total_bytes: dates.values().sum(),
    };
    let mut expiry = Expiry {
        tables,
        table,
        request,
        base,
        first_kept,
        clock: Clock::begin(request.now),
        expired: Expired::default(),
    };
    for (date, bytes) in dates {
        // Asked anew for each: a hold may be placed meanwhile.
        let holds = holds(tables).await?;
        match holds.into_iter().find(|hold| hold.touches(&date)) {
            Some(hold) => expiry.expired.held.push((date, hold.name)),
            None => expiry.expire_date(&date).await?,
        }
        progress.done_bytes += bytes;
        on_progress(progress);
    }
    Ok(expiry.expired)
}

/// An expiry of one table under way.
struct Expiry<'a> {
    tables: &'a Tables,
    table: TableName,
    request: &'a ExpireRequest,
    /// What says which bindings stay, where a base is left.
    base: Option<NeededBindings<'a>>,
    /// The first date that is kept, which has the base.
    first_kept: String,
    clock: Clock,
    expired: Expired,
}

/// The files of a date that have rows which are to go.
#[derive(Default)]
struct Doomed {
    whole: Vec<Arc<DataFile>>,
    /// With the number of these rows.
    partly: Vec<(Arc<DataFile>, u64)>,
}

impl Expiry<'_> {
    async fn expire_date(&mut self, date: &str) -> Result<(), StoreError> {
        let (tables, table) = (self.tables, self.table);
        let mut broken: Vec<String> = Vec::new();
        for _ in 0..MAX_ATTEMPTS {
            let snapshot = tables.table(table).snapshot().await?;
            let Doomed { whole, partly } = self.doomed(&snapshot, date, &mut broken).await;
            if whole.is_empty() && partly.is_empty() {
                return Ok(());
            }
            let txns = cut_txn(&snapshot, date, self.clock.now()).into_iter().collect();
            // Whoever holds it while the entry lands makes the commit copy the table's maps.
            drop(snapshot);
            let Some(base) = self.base_of(date, &whole, &mut broken).await? else {
                continue;
            };
            if self.request.dry_run {
                self.expired.note_date(date);
                self.note_removed(date, &whole, base.rows);
                self.expired.files_rewritten += partly.len() as u64;
                self.expired.rows += partly.iter().map(|(_, rows)| rows).sum::<u64>();
                return Ok(());
            }
            let adds = base.add.into_iter().collect();
            let removed =
                whole.is_empty() || replace(tables, table, &whole, adds, (true, txns), self.clock.now()).await?;
            if removed {
                self.note_removed(date, &whole, base.rows);
            }
            let partly = partly.into_iter().map(|(file, _)| file).collect();
            let rewritten = self.rewrite_without(date, partly, &mut broken).await?;
            if removed && rewritten {
                return Ok(());
            }
        }
        Err(StoreError::Refused {
            table: table.name(),
            reason: format!("others replace the files of {date} all the time; run the command again"),
        })
    }

    /// What stays of files that go; `None` where one of them cannot be read, or others have replaced some: the date is begun anew.
    async fn base_of(
        &mut self,
        date: &str,
        whole: &[Arc<DataFile>],
        broken: &mut Vec<String>,
    ) -> Result<Option<CutBase>, StoreError> {
        let Some(needed) = self.base.filter(|_| !whole.is_empty()) else {
            return Ok(Some(CutBase::default()));
        };
        let cut = Cut {
            tables: self.tables,
            table: self.table,
            date,
            needed,
            base_date: (!self.request.dry_run).then_some(&self.first_kept),
        };
        match cut.base_of(whole, &self.clock).await {
            Ok(base) => Ok(base),
            Err(error) => {
                let found = unreadable(self.tables, self.table, whole).await?;
                if found.is_empty() {
                    return Err(error);
                }
                for (file, problem) in found {
                    broken.push(file.path.clone());
                    self.expired.problems.extend(problem);
                }
                Ok(None)
            }
        }
    }

    /// Counts files that went whole but for so many rows.
    fn note_removed(&mut self, date: &str, files: &[Arc<DataFile>], base_rows: u64) {
        self.expired.note_removed(date, files);
        self.expired.rows = self.expired.rows.saturating_sub(base_rows);
        self.expired.base_rows += base_rows;
    }

    /// The files of a date that have rows which are to go. One that cannot be read is a problem, and is left out from then on.
    async fn doomed(&mut self, snapshot: &Snapshot, date: &str, broken: &mut Vec<String>) -> Doomed {
        let mut doomed = Doomed::default();
        for file in snapshot.files.values() {
            if file.date(self.table) != date || broken.contains(&file.path) {
                continue;
            }
            match part(self.tables, file, &self.request.sources).await {
                Ok(Part::All) => doomed.whole.push(file.clone()),
                Ok(Part::Some(rows)) => doomed.partly.push((file.clone(), rows)),
                Ok(Part::None) => {}
                Err(error) => {
                    let problem = Problem::unreadable(self.table, file, &error);
                    self.expired.problems.push(problem);
                    broken.push(file.path.clone());
                }
            }
        }
        doomed
    }

    /// Writes files of a date anew without the rows that are to go, several at a time; `false` where others had replaced
    /// some.
    async fn rewrite_without(
        &mut self,
        date: &str,
        files: Vec<Arc<DataFile>>,
        broken: &mut Vec<String>,
    ) -> Result<bool, StoreError> {
        let (tables, table) = (self.tables, self.table);
        let mut weights = Weights::default();
        let mut candidates: Vec<Candidate> = Vec::new();
        for file in files {
            let weight = weight(tables, table, &file, &mut weights).await?;
            candidates.push((file, weight));
        }
        let mut all = true;
        while !candidates.is_empty() {
            let group = first_group(candidates.clone(), target_weight(tables, table));
            candidates.retain(|(file, _)| !group.iter().any(|(other, _)| other.path == file.path));
            let files: Vec<Arc<DataFile>> = group.iter().map(|(file, _)| file.clone()).collect();
            let job = Job {
                table,
                date,
                files: &files,
                rows: group.iter().map(|(_, weight)| weight.rows).sum(),
                raw_bytes: group.iter().map(|(_, weight)| weight.bytes).sum(),
                without: &self.request.sources,
                now: self.clock.now(),
            };
            let rewritten = match rewrite(tables, &job, &mut |_| ()).await {
                Ok(rewritten) => rewritten,
                Err(error) => {
                    // The sound ones are taken when the date is begun anew.
                    let found = unreadable(tables, table, &files).await?;
                    if found.is_empty() {
                        return Err(error);
                    }
                    for (file, problem) in found {
                        broken.push(file.path.clone());
                        self.expired.problems.extend(problem);
                    }
                    all = false;
                    continue;
                }
            };
            let adds = rewritten.add.into_iter().collect();
            let snapshot = tables.table(table).snapshot().await?;
            let txns = cut_txn(&snapshot, date, self.clock.now()).into_iter().collect();
            drop(snapshot);
            if replace(tables, table, &files, adds, (true, txns), self.clock.now()).await? {
                self.expired.note_date(date);
                self.expired.files_rewritten += files.len() as u64;
                self.expired.rows += rewritten.rows_read - rewritten.rows_written;
            } else {
                all = false;
            }
        }
        Ok(all)
    }
}

/// How much of a file is to go.
async fn part(tables: &Tables, file: &DataFile, sources: &[Source]) -> Result<Part, StoreError> {
    if sources.is_empty() {
        return Ok(Part::All);
    }
    if !sources
        .iter()
        .any(|source| file.stats.may_hold("source", source.name()))
    {
        return Ok(Part::None);
    }
    if let Some(only) = file.stats.only_text("source") {
        let goes = sources.iter().any(|source| source.name() == only);
        return Ok(if goes { Part::All } else { Part::None });
    }
    let (mut rows, mut going) = (0, 0);
    let mut batches = scan(tables.files(), TableName::Events, file, &["source"]).await?;
    while let Some(batch) = batches.try_next().await? {
        rows += batch.num_rows() as u64;
        let column = batch
            .column_by_name("source")
            .and_then(|column| column.as_string_opt::<i32>());
        let names = column.into_iter().flat_map(|column| column.iter().flatten());
        going += names
            .filter(|name| sources.iter().any(|source| source.name() == *name))
            .count() as u64;
    }
    Ok(match going {
        0 => Part::None,
        all if all == rows => Part::All,
        some => Part::Some(some),
    })
}
