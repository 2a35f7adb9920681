//! Retention: what is older than an age goes, whole dates at a time, or the events of some sources.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::AsArray;
use casebook_event::{Source, Timestamp};
use futures::TryStreamExt;

use super::group::{Candidate, Weights, first_group};
use super::rewrite::Job;
use super::{CareProgress, Clock, OnProgress, Problem, date_of};
use crate::scan::scan;
use crate::table::DataFile;
use crate::write::date_text;
use crate::{Store, StoreError, TableName};

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
        self.problems.extend(other.problems);
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

impl Store {
    /// Takes rows out of any table but `alerts`, date by date. Files that hold nothing else are removed; others are
    /// written anew without the rows. Each step is a commit; what ends in between goes on with the next call.
    ///
    /// Alerts do not expire: an older revision would come back where a newer one goes, and they are few.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for alerts, for sources of a table without any, and where the table's property
    /// `delta.appendOnly` forbids it; else the log cannot be read or written, or a new file not be written.
    pub async fn expire(
        &self,
        table: TableName,
        request: &ExpireRequest,
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
        self.expire_dates(table, before, request, on_progress).await
    }

    /// Takes the dates that ended before a time out of what correlation keeps: matches by their own time and windows by that of their
    /// first event before `signals_from`, bindings by their own before `bindings_from`. A date goes whole, and no file is written anew.
    ///
    /// # Errors
    /// As [`Store::expire`].
    pub async fn expire_kept(
        &self,
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
            all.add(self.expire_dates(table, before, &request, &mut |_| ()).await?);
        }
        Ok(all)
    }

    /// Takes rows out of the dates that ended before a time.
    async fn expire_dates(
        &self,
        table: TableName,
        before: Timestamp,
        request: &ExpireRequest,
        on_progress: OnProgress<'_>,
    ) -> Result<Expired, StoreError> {
        let snapshot = self.table(table).snapshot().await?;
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
            let date = date_of(table, file);
            if !date.is_empty() && date < first_kept.as_str() {
                *dates.entry(date.to_owned()).or_default() += file.add.size.unsigned_abs();
            }
        }
        drop(snapshot);
        let mut progress = CareProgress {
            done_bytes: 0,
            total_bytes: dates.values().sum(),
        };
        let clock = Clock::begin(request.now);
        let mut expired = Expired::default();
        for (date, bytes) in dates {
            self.expire_date(table, &date, request, clock, &mut expired).await?;
            progress.done_bytes += bytes;
            on_progress(progress);
        }
        Ok(expired)
    }

    async fn expire_date(
        &self,
        table: TableName,
        date: &str,
        request: &ExpireRequest,
        clock: Clock,
        expired: &mut Expired,
    ) -> Result<(), StoreError> {
        let mut broken: Vec<String> = Vec::new();
        for _ in 0..MAX_ATTEMPTS {
            let snapshot = self.table(table).snapshot().await?;
            let (mut whole, mut partly) = (Vec::new(), Vec::new());
            for file in snapshot.files.values() {
                if date_of(table, file) != date || broken.contains(&file.path) {
                    continue;
                }
                match self.part(file, &request.sources).await {
                    Ok(Part::All) => whole.push(file.clone()),
                    Ok(Part::Some(rows)) => partly.push((file.clone(), rows)),
                    Ok(Part::None) => {}
                    Err(error) => {
                        expired.problems.push(Problem::unreadable(table, file, &error));
                        broken.push(file.path.clone());
                    }
                }
            }
            if whole.is_empty() && partly.is_empty() {
                return Ok(());
            }
            if request.dry_run {
                expired.note_date(date);
                note_removed(expired, date, &whole);
                expired.files_rewritten += partly.len() as u64;
                expired.rows += partly.iter().map(|(_, rows)| rows).sum::<u64>();
                return Ok(());
            }
            let txns = match TableName::KEPT.contains(&table) {
                true => crate::kept::since_txn(&snapshot, date, clock.now())
                    .into_iter()
                    .collect(),
                false => Vec::new(),
            };
            let removed = whole.is_empty()
                || self
                    .replace(table, &whole, Vec::new(), (true, txns), clock.now())
                    .await?;
            if removed {
                note_removed(expired, date, &whole);
            }
            let partly = partly.into_iter().map(|(file, _)| file).collect();
            let rewritten = self
                .rewrite_without(table, date, partly, request, clock, expired, &mut broken)
                .await?;
            if removed && rewritten {
                return Ok(());
            }
        }
        Err(StoreError::Refused {
            table: table.name(),
            reason: format!("others replace the files of {date} all the time; run the command again"),
        })
    }

    /// Writes files of a date anew without the rows that are to go, several at a time; `false` where others had replaced
    /// some.
    #[expect(clippy::too_many_arguments, reason = "what a whole expiry knows")]
    async fn rewrite_without(
        &self,
        table: TableName,
        date: &str,
        files: Vec<Arc<DataFile>>,
        request: &ExpireRequest,
        clock: Clock,
        expired: &mut Expired,
        broken: &mut Vec<String>,
    ) -> Result<bool, StoreError> {
        let mut weights = Weights::default();
        let mut candidates: Vec<Candidate> = Vec::new();
        for file in files {
            let weight = self.weight(table, &file, &mut weights).await?;
            candidates.push((file, weight));
        }
        let mut all = true;
        while !candidates.is_empty() {
            let group = first_group(candidates.clone(), self.target_weight(table));
            candidates.retain(|(file, _)| !group.iter().any(|(other, _)| other.path == file.path));
            let files: Vec<Arc<DataFile>> = group.iter().map(|(file, _)| file.clone()).collect();
            let job = Job {
                table,
                date,
                files: &files,
                rows: group.iter().map(|(_, weight)| weight.rows).sum(),
                raw_bytes: group.iter().map(|(_, weight)| weight.bytes).sum(),
                without: &request.sources,
                now: clock.now(),
            };
            let rewritten = match self.rewrite(&job, &mut |_| ()).await {
                Ok(rewritten) => rewritten,
                Err(error) => {
                    // The sound ones are taken when the date is begun anew.
                    let found = self.unreadable(table, &files).await?;
                    if found.is_empty() {
                        return Err(error);
                    }
                    for (file, problem) in found {
                        broken.push(file.path.clone());
                        expired.problems.extend(problem);
                    }
                    all = false;
                    continue;
                }
            };
            let adds = rewritten.add.into_iter().collect();
            if self
                .replace(table, &files, adds, (true, Vec::new()), clock.now())
                .await?
            {
                expired.note_date(date);
                expired.files_rewritten += files.len() as u64;
                expired.rows += rewritten.rows_read - rewritten.rows_written;
            } else {
                all = false;
            }
        }
        Ok(all)
    }

    /// How much of a file is to go.
    async fn part(&self, file: &DataFile, sources: &[Source]) -> Result<Part, StoreError> {
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
        let mut batches = scan(self, TableName::Events, file, &["source"]).await?;
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
}

fn note_removed(expired: &mut Expired, date: &str, files: &[Arc<DataFile>]) {
    if !files.is_empty() {
        expired.note_date(date);
    }
    expired.files_removed += files.len() as u64;
    expired.rows += files.iter().filter_map(|file| file.stats.rows).sum::<u64>();
    expired.bytes_removed += files.iter().map(|file| file.add.size.unsigned_abs()).sum::<u64>();
}
