//! Compaction: small data files of one date become one, with one index.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use casebook_event::Timestamp;

use super::clock::Clock;
use super::group::{Candidate, first_group};
use super::problem::Problem;
use super::progress::{MaintenanceProgress, OnProgress};
use super::readable::unreadable;
use super::replace::replace;
use super::rewrite::{Job, rewrite};
use super::weight::{Weights, is_small, target_weight, weight};
use crate::derived::check_version;
use crate::table::DataFile;
use crate::tables::Tables;
use crate::{StoreError, TableName};

/// What a compaction did to one table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Data files of the table before.
    pub files_before: u64,
    /// Data files of the table afterwards, those included that others added meanwhile.
    pub files_after: u64,
    /// Data files that were put together, those included that were themselves made so by this compaction.
    pub files_merged: u64,
    /// Data files that were made of them.
    pub files_made: u64,
    /// Bytes of the files that were put together.
    pub bytes_merged: u64,
    /// Bytes of the files that were made.
    pub bytes_made: u64,
    /// Groups of files that were dropped, since others had replaced one of the files meanwhile.
    pub conflicts: u64,
    /// Files that could not be read or rewritten. They stay as they are.
    pub problems: Vec<Problem>,
}

/// Puts small data files of a table together, date by date. Each new file is a commit of its own: what ends in between, conflicts
/// with others or fails loses the work at one file.
pub(crate) async fn compact(
    tables: &Tables,
    table: TableName,
    now: Timestamp,
    on_progress: OnProgress<'_>,
) -> Result<Compacted, StoreError> {
    compact_dates(tables, table, &|_| true, now, on_progress).await
}

/// The same with some dates.
pub(super) async fn compact_dates(
    tables: &Tables,
    table: TableName,
    wants: &(dyn Fn(&str) -> bool + Sync),
    now: Timestamp,
    on_progress: OnProgress<'_>,
) -> Result<Compacted, StoreError> {
    let mut compaction = Compaction {
        tables,
        table,
        clock: Clock::begin(now),
        weights: Weights::default(),
        progress: MaintenanceProgress::default(),
        on_progress,
        done: Compacted::default(),
    };
    for ((date, _), mut wanted) in compaction.small_files(wants).await? {
        // Those that were made are candidates again, those that others add are left for the next time: it ends.
        while compaction.compact_group(&date, &mut wanted).await? {}
    }
    let mut done = compaction.done;
    done.files_after = tables.table(table).snapshot().await?.files.len() as u64;
    Ok(done)
}

/// A compaction of one table under way.
struct Compaction<'a> {
    tables: &'a Tables,
    table: TableName,
    clock: Clock,
    weights: Weights,
    progress: MaintenanceProgress,
    on_progress: OnProgress<'a>,
    done: Compacted,
}

impl Compaction<'_> {
    /// The paths of the small files by date and version of what is derived, of those that have several. Files that are newer than this
    /// program are left alone.
    async fn small_files(
        &mut self,
        wants: &(dyn Fn(&str) -> bool + Sync),
    ) -> Result<BTreeMap<(String, u32), BTreeSet<String>>, StoreError> {
        let (tables, table) = (self.tables, self.table);
        let snapshot = tables.table(table).snapshot().await?;
        self.done.files_before = snapshot.files.len() as u64;
        let mut dates: BTreeMap<(String, u32), BTreeSet<String>> = BTreeMap::new();
        for file in snapshot.files.values() {
            if !wants(file.date(table)) || check_version(table, file).is_err() {
                continue;
            }
            match weight(tables, table, file, &mut self.weights).await {
                Ok(weight) if is_small(tables, table, weight) => {
                    let of_date = (file.date(table).to_owned(), file.add.derived_version());
                    dates.entry(of_date).or_default().insert(file.path.clone());
                }
                Ok(_) => {}
                Err(error) => self.done.problems.push(Problem::unreadable(table, file, &error)),
            }
        }
        dates.retain(|_, files| files.len() > 1);
        let bytes = |path: &String| snapshot.files.get(path).map_or(0, |file| file.bytes());
        self.progress.total_bytes = dates.values().flatten().map(bytes).sum();
        Ok(dates)
    }

    /// Puts the first group of the wanted files of a date together; `false` where there is none any more.
    async fn compact_group(&mut self, date: &str, wanted: &mut BTreeSet<String>) -> Result<bool, StoreError> {
        let (tables, table) = (self.tables, self.table);
        let group = self.next_group(wanted).await?;
        if group.len() < 2 {
            return Ok(false);
        }
        let files: Vec<Arc<DataFile>> = group.iter().map(|(file, _)| file.clone()).collect();
        let old_bytes: u64 = files.iter().map(|file| file.bytes()).sum();
        let rows = group.iter().map(|(_, weight)| weight.rows).sum::<u64>();
        let job = Job {
            table,
            date,
            files: &files,
            rows,
            raw_bytes: group.iter().map(|(_, weight)| weight.bytes).sum(),
            without: &[],
            now: self.clock.now(),
        };
        let progress = &mut self.progress;
        let on_progress = &mut *self.on_progress;
        let mut on_rows = |read: u64| {
            progress.done_bytes += (u128::from(old_bytes) * u128::from(read) / u128::from(rows.max(1))) as u64;
            progress.total_bytes = progress.total_bytes.max(progress.done_bytes);
            on_progress(*progress);
        };
        let add = match rewrite(tables, &job, &mut on_rows).await {
            Ok(rewritten) => rewritten.add,
            Err(error) => {
                // Which of them it is shows when each is read alone; the sound ones are put together without it.
                let broken = unreadable(tables, table, &files).await?;
                if broken.is_empty() {
                    return Err(error);
                }
                wanted.retain(|path| !broken.iter().any(|(file, _)| file.path == *path));
                let problems = broken.into_iter().filter_map(|(_, problem)| problem);
                self.done.problems.extend(problems);
                return Ok(true);
            }
        };
        wanted.retain(|path| !files.iter().any(|file| file.path == *path));
        let made = add.as_ref().map(|add| (add.path.clone(), add.size.unsigned_abs()));
        let adds = add.into_iter().collect();
        if !replace(tables, table, &files, adds, (false, Vec::new()), self.clock.now()).await? {
            self.done.conflicts += 1;
            // Those that are still there may be put together with others.
            wanted.extend(files.iter().map(|file| file.path.clone()));
            return Ok(true);
        }
        self.done.files_merged += files.len() as u64;
        self.done.bytes_merged += old_bytes;
        if let Some((path, bytes)) = made {
            self.done.files_made += 1;
            self.done.bytes_made += bytes;
            wanted.insert(path);
        }
        Ok(true)
    }

    /// The first of the wanted files that fit into one.
    async fn next_group(&mut self, wanted: &BTreeSet<String>) -> Result<Vec<Candidate>, StoreError> {
        let (tables, table) = (self.tables, self.table);
        let snapshot = tables.table(table).snapshot().await?;
        let mut candidates: Vec<Candidate> = Vec::new();
        for file in wanted.iter().filter_map(|path| snapshot.files.get(path)) {
            candidates.push((file.clone(), weight(tables, table, file, &mut self.weights).await?));
        }
        candidates.retain(|(_, weight)| is_small(tables, table, *weight));
        Ok(first_group(candidates, target_weight(tables, table)))
    }
}
