//! Compaction: small data files of one date become one, with one index.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use casebook_event::Timestamp;

use super::group::{Candidate, Weights, first_group};
use super::rewrite::Job;
use super::{CareProgress, Clock, OnProgress, Problem, date_of};
use crate::table::DataFile;
use crate::{Store, StoreError, TableName};

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
    pub overtaken: u64,
    /// Files that could not be read or rewritten. They stay as they are.
    pub problems: Vec<Problem>,
}

impl Store {
    /// Puts small data files of a table together, date by date: files of less than half of
    /// [`StoreConfig::target_file_bytes`](crate::StoreConfig::target_file_bytes) of records become files of at most the
    /// whole of it, sorted and indexed as every other. No answer changes.
    ///
    /// Each new file is a commit of its own: what ends in between, is overtaken or fails loses the work at one file.
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
        let clock = Clock::begin(now);
        let snapshot = self.table(table).snapshot().await?;
        let mut done = Compacted {
            files_before: snapshot.files.len() as u64,
            ..Compacted::default()
        };
        let mut weights = Weights::default();
        let mut dates: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut progress = CareProgress::default();
        for file in snapshot.files.values() {
            match self.weight(table, file, &mut weights).await {
                Ok(weight) if self.is_small(table, weight) => {
                    let date = dates.entry(date_of(table, file).to_owned()).or_default();
                    date.insert(file.path.clone());
                }
                Ok(_) => {}
                Err(error) => done.problems.push(Problem::unreadable(table, file, &error)),
            }
        }
        dates.retain(|_, files| files.len() > 1);
        let small = |path: &String| snapshot.files.get(path).map_or(0, |file| file.add.size.unsigned_abs());
        progress.total_bytes = dates.values().flatten().map(small).sum();
        drop(snapshot);
        for (date, mut wanted) in dates {
            // Those that were made are candidates again, those that others add are left for the next time: it ends.
            while self
                .compact_group(
                    table,
                    &date,
                    &mut wanted,
                    &mut weights,
                    clock,
                    &mut done,
                    &mut |bytes| {
                        progress.done_bytes += bytes;
                        progress.total_bytes = progress.total_bytes.max(progress.done_bytes);
                        on_progress(progress);
                    },
                )
                .await?
            {}
        }
        done.files_after = self.table(table).snapshot().await?.files.len() as u64;
        Ok(done)
    }

    /// Puts the first group of the wanted files of a date together; `false` where there is none any more.
    #[expect(clippy::too_many_arguments, reason = "what a whole compaction knows")]
    async fn compact_group(
        &self,
        table: TableName,
        date: &str,
        wanted: &mut BTreeSet<String>,
        weights: &mut Weights,
        clock: Clock,
        done: &mut Compacted,
        on_bytes: &mut (dyn FnMut(u64) + Send),
    ) -> Result<bool, StoreError> {
        let snapshot = self.table(table).snapshot().await?;
        let mut candidates: Vec<Candidate> = Vec::new();
        for file in wanted.iter().filter_map(|path| snapshot.files.get(path)) {
            candidates.push((file.clone(), self.weight(table, file, weights).await?));
        }
        candidates.retain(|(_, weight)| self.is_small(table, *weight));
        let group = first_group(candidates, self.target_weight(table));
        if group.len() < 2 {
            return Ok(false);
        }
        let files: Vec<Arc<DataFile>> = group.iter().map(|(file, _)| file.clone()).collect();
        let old_bytes: u64 = files.iter().map(|file| file.add.size.unsigned_abs()).sum();
        let rows = group.iter().map(|(_, weight)| weight.rows).sum::<u64>();
        let job = Job {
            table,
            date,
            files: &files,
            rows,
            raw_bytes: group.iter().map(|(_, weight)| weight.bytes).sum(),
            without: &[],
            now: clock.now(),
        };
        let mut on_rows =
            |read: u64| on_bytes((u128::from(old_bytes) * u128::from(read) / u128::from(rows.max(1))) as u64);
        let rewritten = match self.rewrite(&job, &mut on_rows).await {
            Ok(rewritten) => rewritten,
            Err(error) => {
                // Which of them it is shows when each is read alone; the sound ones are put together without it.
                let broken = self.unreadable(table, &files).await?;
                if broken.is_empty() {
                    return Err(error);
                }
                wanted.retain(|path| !broken.iter().any(|(file, _)| file.path == *path));
                done.problems
                    .extend(broken.into_iter().filter_map(|(_, problem)| problem));
                return Ok(true);
            }
        };
        wanted.retain(|path| !files.iter().any(|file| file.path == *path));
        let add = rewritten.add;
        let made = add.as_ref().map(|add| (add.path.clone(), add.size.unsigned_abs()));
        if !self
            .replace(
                table,
                &files,
                add.into_iter().collect(),
                (false, Vec::new()),
                clock.now(),
            )
            .await?
        {
            done.overtaken += 1;
            // Those that are still there may be put together with others.
            wanted.extend(files.iter().map(|file| file.path.clone()));
            return Ok(true);
        }
        done.files_merged += files.len() as u64;
        done.bytes_merged += old_bytes;
        if let Some((path, bytes)) = made {
            done.files_made += 1;
            done.bytes_made += bytes;
            wanted.insert(path);
        }
        Ok(true)
    }
}
