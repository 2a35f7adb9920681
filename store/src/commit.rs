//! The commit: data, dead letters and offsets land together, or not at all (`ARCHITECTURE.md`, "Invariants").
//!
//! ```text
//! 1  events table:        does it stand where this batch begins?           (no: fenced, nothing is written)
//! 2  dead_letters table:  the letters it does not have yet, with offsets   (its own commit)
//! 3  events table:        data files and indexes                           (orphans until 4)
//! 4  events table:        data files + the next offset of every partition  (the only truth about progress)
//! ```
//!
//! A crash between 2 and 4 replays the batch: its dead letters are skipped by the offsets of 2, its events were in no
//! commit. A crash before 2 or within 3 leaves files that no log entry names.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use casebook_event::{Checkpoint, DeadLetter, Event, Partition, StartOffset, Timestamp};
use fail::fail_point;
use tracing::{Instrument as _, info_span};

use crate::index::bundle_name;
use crate::limits::MAX_LETTER_BATCH_BYTES;
use crate::read_to_end::{ReadToEnd, read_to_end_txns};
use crate::schema::TableSchema;
use crate::table::{DataFileWriter, Proposal, Snapshot, StatsBuilder, Table, Txn, file_name};
use crate::write::{Written, date_text, put_file, write_events};
use crate::{CommitError, Store, StoreError, TableName, record_batch};

/// What one worker has read, to be committed.
#[derive(Debug)]
pub struct EventsCommit<'a, P = StagedFiles> {
    /// The consumer group: offsets are kept for each group and partition.
    pub group: &'a str,
    /// The events that are still in memory.
    pub events: Vec<Event>,
    /// Those that were written before, by [`Store::stage_events`].
    pub staged: Vec<P>,
    /// What could not become an event.
    pub dead_letters: Vec<DeadLetter>,
    /// The offsets that all of these came from.
    pub checkpoint: Checkpoint,
    /// Partitions of which all that they held at a time is in the table with this commit, whether or not anything of them is
    /// in it.
    pub read_to_end: Vec<ReadToEnd>,
    /// The time to write into the log.
    pub now: Timestamp,
}

/// Files of events that are written and in no commit yet: so a worker need not keep in memory what it reads between two
/// commits, however long that is.
#[derive(Debug, Default)]
#[must_use = "files that are in no commit are orphans"]
pub struct StagedFiles(Written);

/// A commit that has landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The table's version that holds it.
    pub version: u64,
    /// Data files in it.
    pub files: u64,
    /// Rows in it.
    pub rows: u64,
    /// Bytes of its data files and indexes.
    pub stored_bytes: u64,
    /// How long the log took to take it, other writers' commits included that came first.
    pub log_time: Duration,
}

/// The application id under which a partition's next offset is kept.
pub(crate) fn app_id(group: &str, partition: &Partition) -> String {
    format!("{}{}:{}", group_prefix(group), partition.topic, partition.partition)
}

/// What the application ids of `group` begin with. Its colons are encoded, so that no group begins another.
fn group_prefix(group: &str) -> String {
    format!("casebook:{}:", group.replace('%', "%25").replace(':', "%3A"))
}

/// The group of an application id.
pub(crate) fn group_of(app_id: &str) -> Option<String> {
    let (group, _) = app_id.strip_prefix("casebook:")?.split_once(':')?;
    Some(group.replace("%3A", ":").replace("%25", "%"))
}

/// The groups that have committed to a table.
pub(crate) fn groups(snapshot: &Snapshot) -> BTreeSet<String> {
    snapshot.txns.values().filter_map(|txn| group_of(&txn.app_id)).collect()
}

/// The application id under which the offset is kept from which a partition is to be read again.
fn resume_app_id(group: &str, partition: &Partition) -> String {
    format!("resume-{}", app_id(group, partition))
}

/// The partition of an application id of `group`. A topic may hold colons (a file's path), a partition number none.
pub(crate) fn partition_of(app_id: &str, group: &str) -> Option<Partition> {
    let (topic, number) = app_id.strip_prefix(&group_prefix(group))?.rsplit_once(':')?;
    Some(Partition::new(topic, number.parse().ok()?))
}

/// The next offset of every partition of `group`.
pub(crate) fn offsets(snapshot: &Snapshot, group: &str) -> BTreeMap<Partition, i64> {
    snapshot
        .txns
        .values()
        .filter_map(|txn| Some((partition_of(&txn.app_id, group)?, txn.version)))
        .collect()
}

/// Where a partition of `group` stands, if it was ever committed.
fn start_offset(snapshot: &Snapshot, group: &str, partition: &Partition) -> Option<StartOffset> {
    let next = snapshot.txn(&app_id(group, partition))?;
    let resume = snapshot.txn(&resume_app_id(group, partition)).unwrap_or(next);
    Some(StartOffset {
        next,
        resume: resume.min(next),
    })
}

/// Refuses a checkpoint that does not begin where the table stands.
pub(crate) fn fence(snapshot: &Snapshot, group: &str, checkpoint: &Checkpoint) -> Result<(), CommitError> {
    for (partition, range) in checkpoint.iter() {
        let Some(start) = start_offset(snapshot, group, partition) else {
            continue;
        };
        for (expected, found) in [(range.start, start.next), (range.start_resume, start.resume)] {
            if found != expected {
                return Err(CommitError::Fenced {
                    partition: partition.clone(),
                    expected,
                    found,
                });
            }
        }
    }
    Ok(())
}

/// The actions that move every partition of `checkpoint` to its end.
pub(crate) fn txns(group: &str, checkpoint: &Checkpoint, now: Timestamp) -> Vec<Txn> {
    let last_updated = Some(now.as_nanos().div_euclid(1_000_000));
    checkpoint
        .iter()
        .map(|(partition, range)| Txn {
            app_id: app_id(group, partition),
            version: range.end,
            last_updated,
        })
        .collect()
}

/// The actions that say from where on what is half read can be had again. A partition of which nothing is and was half
/// read needs none.
pub(crate) fn resume_txns(snapshot: &Snapshot, group: &str, checkpoint: &Checkpoint, now: Timestamp) -> Vec<Txn> {
    let last_updated = Some(now.as_nanos().div_euclid(1_000_000));
    checkpoint
        .iter()
        .filter_map(|(partition, range)| {
            let app_id = resume_app_id(group, partition);
            let known = snapshot.txn(&app_id).is_some();
            (known || range.resume < range.end).then_some(Txn {
                app_id,
                version: range.resume,
                last_updated,
            })
        })
        .collect()
}

impl Store {
    /// Commits a batch of events with the offsets it came from. One without events still moves the offsets, and one without
    /// either says only up to when partitions are read.
    ///
    /// # Errors
    /// [`CommitError::Fenced`] where a partition does not stand where the checkpoint begins (one that the table does
    /// not know yet may begin anywhere); else the store failed. In both cases none of the events is in the table.
    pub async fn commit_events(&self, commit: EventsCommit<'_>) -> Result<Committed, CommitError> {
        let EventsCommit {
            group,
            events,
            staged,
            dead_letters,
            checkpoint,
            read_to_end,
            now,
        } = commit;
        let mut written: Written = staged.into_iter().map(|StagedFiles(written)| written).sum();
        let snapshot = self.events.snapshot().await?;
        if let Err(fenced) = fence(&snapshot, group, &checkpoint) {
            self.discard_files(&written).await;
            return Err(fenced);
        }
        // Only who moves a partition writes this too, so that nothing newer can be overwritten with it.
        let mut txns = txns(group, &checkpoint, now);
        txns.append(&mut resume_txns(&snapshot, group, &checkpoint, now));
        txns.append(&mut read_to_end_txns(&snapshot, group, &read_to_end));
        if !dead_letters.is_empty() {
            self.commit_dead_letters(group, &dead_letters, &checkpoint, now)
                .instrument(info_span!("dead_letters"))
                .await?;
            fail_point!("store.dead-letters-committed");
        }
        let last = write_events(&self.location.files, &self.config, events, now)
            .instrument(info_span!("files"))
            .await?;
        written = [written, last].into_iter().sum();
        fail_point!("store.files-written");
        let proposal = Proposal {
            adds: written.adds.clone(),
            removes: Vec::new(),
            txns,
            domains: Vec::new(),
            now,
        };
        let begun = Instant::now();
        let landed = self
            .events
            .commit(proposal, &|snapshot| fence(snapshot, group, &checkpoint))
            .instrument(info_span!("log"))
            .await;
        if matches!(landed, Err(CommitError::Fenced { .. })) {
            self.discard_files(&written).await;
        }
        let snapshot = landed?;
        Ok(Committed {
            version: snapshot.version,
            files: written.adds.len() as u64,
            rows: written.rows,
            stored_bytes: written.stored_bytes,
            log_time: begun.elapsed(),
        })
    }

    /// Writes events as files that a later [`EventsCommit`] names.
    ///
    /// # Errors
    /// A file cannot be encoded or written.
    pub async fn stage_events(&self, events: Vec<Event>, now: Timestamp) -> Result<StagedFiles, StoreError> {
        let written = write_events(&self.location.files, &self.config, events, now).await?;
        fail_point!("store.staged");
        Ok(StagedFiles(written))
    }

    /// Deletes what was staged and is not wanted any more.
    pub async fn discard_staged(&self, staged: Vec<StagedFiles>) {
        for StagedFiles(written) in staged {
            self.discard_files(&written).await;
        }
    }

    async fn discard_files(&self, written: &Written) {
        let files: Vec<String> = written.adds.iter().map(|add| add.path.clone()).collect();
        let bundles: Vec<String> = files.iter().map(|path| bundle_name(path)).collect();
        self.discard(&self.events, &files).await;
        self.discard(&self.events, &bundles).await;
    }

    /// Puts the letters that the table does not have yet into it. Letters of an offset below the partition's own in
    /// this table came with an earlier attempt at the same records.
    async fn commit_dead_letters(
        &self,
        group: &str,
        letters: &[DeadLetter],
        checkpoint: &Checkpoint,
        now: Timestamp,
    ) -> Result<(), CommitError> {
        let table = &self.dead_letters;
        loop {
            let snapshot = table.snapshot().await?;
            let standing = standing(&snapshot, group, checkpoint);
            let new: Vec<&DeadLetter> = letters
                .iter()
                .filter(|letter| {
                    let partition = Partition::new(letter.position.topic.clone(), letter.position.partition);
                    standing
                        .get(&partition)
                        .copied()
                        .flatten()
                        .is_none_or(|next| letter.position.offset >= next)
                })
                .collect();
            if new.is_empty() {
                return Ok(());
            }
            let adds = self.write_dead_letters(&new, now).await?;
            let written: Vec<String> = adds.iter().map(|add| add.path.clone()).collect();
            let proposal = Proposal {
                adds,
                removes: Vec::new(),
                txns: txns_forward(group, checkpoint, &standing, now),
                domains: Vec::new(),
                now,
            };
            let unchanged = |snapshot: &Snapshot| {
                let found = self::standing(snapshot, group, checkpoint);
                match found
                    .iter()
                    .find(|(partition, next)| standing.get(partition) != Some(next))
                {
                    None => Ok(()),
                    Some((partition, next)) => Err(CommitError::Fenced {
                        partition: partition.clone(),
                        expected: standing.get(partition).copied().flatten().unwrap_or_default(),
                        found: next.unwrap_or_default(),
                    }),
                }
            };
            match table.commit(proposal, &unchanged).await {
                Ok(_) => return Ok(()),
                // Another worker has moved on meanwhile: what remains to be written is decided anew.
                Err(CommitError::Fenced { .. }) => self.discard(table, &written).await,
                Err(error) => return Err(error),
            }
        }
    }

    async fn write_dead_letters(
        &self,
        letters: &[&DeadLetter],
        now: Timestamp,
    ) -> Result<Vec<crate::table::Add>, StoreError> {
        let mut dates: BTreeMap<i32, Vec<&DeadLetter>> = BTreeMap::new();
        for letter in letters {
            dates.entry(letter.ingested.days()).or_default().push(letter);
        }
        let mut adds = Vec::new();
        for letters in dates.into_values() {
            let Some(date) = letters.first().map(|letter| date_text(letter.ingested)) else {
                continue;
            };
            let mut stats = StatsBuilder::new("ingested");
            for letter in &letters {
                stats.row(letter.ingested);
                stats.text("topic", &letter.position.topic);
                stats.text("reason", letter.reason);
            }
            let mut writer = DataFileWriter::new(TableName::DeadLetters, &self.config, letters.len())?;
            for chunk in chunks_of(&letters) {
                writer.write(&record_batch::dead_letters(chunk)?)?;
            }
            let path = file_name(TableSchema::of(TableName::DeadLetters).partition, &date);
            let encoded = writer.finish()?;
            adds.push(
                put_file(
                    &self.location.files,
                    TableName::DeadLetters,
                    &path,
                    &date,
                    encoded,
                    stats,
                    now,
                )
                .await?,
            );
        }
        Ok(adds)
    }

    /// Deletes files of this process that no commit names. One that cannot be deleted is an orphan, and harmless.
    pub(crate) async fn discard(&self, table: &Table, paths: &[String]) {
        use object_store::ObjectStoreExt as _;
        for path in paths {
            let path = object_store::path::Path::from(format!("{}/{path}", table.name.name()));
            if let Err(error) = self.location.files.delete(&path).await {
                tracing::debug!(%path, %error, "cannot delete an uncommitted file");
            }
        }
    }

    /// The next offset of every partition that `group` has committed events of.
    ///
    /// # Errors
    /// The events table cannot be read.
    pub async fn offsets(&self, group: &str) -> Result<BTreeMap<Partition, i64>, StoreError> {
        Ok(offsets(&*self.events.snapshot().await?, group))
    }
}

impl Store {
    /// Where reading of every partition goes on that `group` has committed events of.
    ///
    /// # Errors
    /// The events table cannot be read.
    pub async fn start_offsets(&self, group: &str) -> Result<BTreeMap<Partition, StartOffset>, StoreError> {
        Ok(starts(&*self.events.snapshot().await?, group))
    }
}

/// Where reading of every partition of `group` goes on.
pub(crate) fn starts(snapshot: &Snapshot, group: &str) -> BTreeMap<Partition, StartOffset> {
    let starts = offsets(snapshot, group).into_keys().filter_map(|partition| {
        let start = start_offset(snapshot, group, &partition)?;
        Some((partition, start))
    });
    starts.collect()
}

/// Letters in runs whose payloads fit into one column in memory.
fn chunks_of<'a, 'b>(letters: &'b [&'a DeadLetter]) -> impl Iterator<Item = &'b [&'a DeadLetter]> {
    let mut rest = letters;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let count = rest.iter().take_while(|letter| {
            let first = bytes == 0;
            bytes += letter.payload.len() + letter.detail.len() + 1;
            first || bytes <= MAX_LETTER_BATCH_BYTES
        });
        let (chunk, behind) = rest.split_at(count.count());
        rest = behind;
        (!chunk.is_empty()).then_some(chunk)
    })
}

/// Where the table stands in each partition of `checkpoint`.
fn standing(snapshot: &Snapshot, group: &str, checkpoint: &Checkpoint) -> BTreeMap<Partition, Option<i64>> {
    checkpoint
        .iter()
        .map(|(partition, _)| (partition.clone(), snapshot.txn(&app_id(group, partition))))
        .collect()
}

/// As [`txns`], but never backwards: the dead letters may already be ahead of the events.
fn txns_forward(
    group: &str,
    checkpoint: &Checkpoint,
    standing: &BTreeMap<Partition, Option<i64>>,
    now: Timestamp,
) -> Vec<Txn> {
    let mut txns = txns(group, checkpoint, now);
    for (txn, (partition, _)) in txns.iter_mut().zip(checkpoint.iter()) {
        txn.version = standing
            .get(partition)
            .copied()
            .flatten()
            .map_or(txn.version, |next| next.max(txn.version));
    }
    txns
}
