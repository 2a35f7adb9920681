//! Putting into the tables what correlation has to keep. Each has offsets of its own, as dead letters have: a crash between a
//! commit of these and the commit of the alerts makes the same rows come again, and they are left out by these offsets.
//!
//! ```text
//! 1  bindings table:  bindings that it does not have yet, with offsets
//! 2  signals table:   matches and windows that it does not have yet, with offsets
//! 3  alerts table:    alerts, offsets, state  (the only truth about progress)
//! ```

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use casebook_event::{Binding, Kept, Partition, Timestamp};
use fail::fail_point;

use super::encode::{self, SignalRow, note};
use super::order::sorted;
use crate::commit::app_id;
use crate::data_file::{DataFileWriter, date_text, file_name, put_file};
use crate::limits::{MAX_KEPT_FILE_BYTES, MAX_KEPT_FILE_ROWS};
use crate::schema::TableSchema;
use crate::table::{Add, Proposal, Snapshot, StatsBuilder, Txn};
use crate::tables::Tables;
use crate::{CommitError, StoreError, TableName};

/// What one correlate worker has to keep.
#[derive(Debug)]
pub struct KeptCommit<'a> {
    /// The consumer group of the signals topic.
    pub group: &'a str,
    /// Of partitions of the signals topic: what was read there, and the next offset that was not.
    pub parts: Vec<(Partition, Kept, i64)>,
    /// The time to write into the log.
    pub now: Timestamp,
}

/// What was kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeptCommitted {
    /// Rows that are new in the tables.
    pub rows: u64,
    /// Bytes of their data files.
    pub stored_bytes: u64,
    /// How long the logs took, other writers' commits included that came first.
    pub log_time: Duration,
}

/// How far the table has each partition, by the group's own offsets in it.
type CommittedOffsets = BTreeMap<Partition, Option<i64>>;

/// The batches of new data files, by date.
pub(crate) type Batches = Vec<(String, RecordBatch)>;

/// Keeps matches, windows and bindings: they are in their tables when this returns. Rows at offsets that a table has
/// already came with an earlier attempt, and are left out; windows of a repair have the offset `i64::MAX` and are always
/// written. A table that there is nothing new for gets no commit.
///
/// Whoever writes is not fenced: rows that a fenced worker writes are equal to those of the one that took over, and equal rows count once.
///
/// # Errors
/// A table cannot be read or written. What was written before stays, and is left out by the next attempt.
pub(crate) async fn commit_kept(tables: &Tables, commit: KeptCommit<'_>) -> Result<KeptCommitted, CommitError> {
    let mut done = KeptCommitted::default();
    if commit_kept_table(tables, TableName::Bindings, &commit, &mut done).await? {
        fail_point!("store.bindings-committed");
    }
    if commit_kept_table(tables, TableName::Signals, &commit, &mut done).await? {
        fail_point!("store.signals-committed");
    }
    Ok(done)
}

/// Puts what a table does not have yet into it; `false` where that is nothing.
async fn commit_kept_table(
    tables: &Tables,
    name: TableName,
    commit: &KeptCommit<'_>,
    done: &mut KeptCommitted,
) -> Result<bool, CommitError> {
    let table = tables.table(name);
    loop {
        let snapshot = table.snapshot().await?;
        let committed = committed_offsets(&snapshot, commit);
        // Whoever holds it while the entry lands makes the commit copy the table's maps.
        drop(snapshot);
        let batches = match name {
            TableName::Bindings => binding_batches(commit, &committed)?,
            _ => signal_batches(commit, &committed)?,
        };
        if batches.is_empty() {
            return Ok(false);
        }
        let (adds, rows) = write_kept(tables, name, batches, commit.now).await?;
        let written: Vec<String> = adds.iter().map(|add| add.path.clone()).collect();
        let stored_bytes: u64 = adds.iter().map(|add| add.size.unsigned_abs()).sum();
        let proposal = Proposal {
            adds,
            removes: Vec::new(),
            txns: txns_forward(commit, &committed),
            domains: Vec::new(),
            now: commit.now,
        };
        let begun = Instant::now();
        let landed = table
            .commit(proposal, &|snapshot| unmoved(snapshot, commit, &committed))
            .await;
        done.log_time += begun.elapsed();
        match landed {
            Ok(_) => {
                done.rows += rows;
                done.stored_bytes += stored_bytes;
                return Ok(true);
            }
            // Another worker has moved on meanwhile: what remains to be written is decided anew.
            Err(CommitError::Fenced { .. }) => tables.discard(name, &written).await,
            Err(error) => return Err(error),
        }
    }
}

/// The rows of one of the tables, as batches for its data files.
///
/// # Errors
/// A row cannot be encoded.
pub(crate) fn kept_batches(table: TableName, kept: &Kept) -> Result<Batches, StoreError> {
    match table {
        TableName::Bindings => of_bindings(kept.bindings.iter().map(|(_, binding)| binding)),
        _ => {
            let matches = kept.signals.iter().map(|(_, signal)| SignalRow::Match(signal));
            of_signals(matches.chain(kept.windows.iter().map(|(_, window)| SignalRow::Window(window))))
        }
    }
}

/// Writes one data file for each batch; returns them, and how many rows they have.
pub(crate) async fn write_kept(
    tables: &Tables,
    name: TableName,
    batches: Batches,
    now: Timestamp,
) -> Result<(Vec<Add>, u64), StoreError> {
    let (mut adds, mut rows) = (Vec::new(), 0);
    for (date, batch) in batches {
        let config = tables.config.clone();
        let encode = move || {
            let batch = sorted(name, &batch)?;
            let mut stats = StatsBuilder::new(TableSchema::of(name).time);
            note(name, &batch, &mut stats);
            let mut writer = DataFileWriter::new(name, &config, batch.num_rows())?;
            writer.write(&batch)?;
            Ok::<_, StoreError>((writer.finish()?, stats))
        };
        let encoded = tokio::task::spawn_blocking(encode).await;
        let (encoded, stats) = encoded.map_err(|_| StoreError::Cancelled)??;
        rows += encoded.rows as u64;
        let path = file_name(TableSchema::of(name).partition, &date);
        adds.push(put_file(&tables.location.files, name, &path, &date, encoded, stats, now).await?);
    }
    Ok((adds, rows))
}

fn committed_offsets(snapshot: &Snapshot, commit: &KeptCommit<'_>) -> CommittedOffsets {
    let partitions = commit.parts.iter().map(|(partition, ..)| partition);
    partitions
        .map(|partition| (partition.clone(), snapshot.txn(&app_id(commit.group, partition))))
        .collect()
}

/// Refuses a table in which a partition has been moved since.
fn unmoved(snapshot: &Snapshot, commit: &KeptCommit<'_>, before: &CommittedOffsets) -> Result<(), CommitError> {
    let found = committed_offsets(snapshot, commit);
    let moved = found
        .iter()
        .find(|(partition, next)| before.get(*partition) != Some(*next));
    match moved {
        None => Ok(()),
        Some((partition, next)) => Err(CommitError::Fenced {
            partition: partition.clone(),
            expected: before.get(partition).copied().flatten().unwrap_or_default(),
            found: next.unwrap_or_default(),
        }),
    }
}

/// The actions that move every partition to its end, and none backwards.
fn txns_forward(commit: &KeptCommit<'_>, committed: &CommittedOffsets) -> Vec<Txn> {
    let last_updated = Some(commit.now.as_nanos().div_euclid(1_000_000));
    let mut ends: BTreeMap<&Partition, i64> = BTreeMap::new();
    for (partition, _, next) in &commit.parts {
        let stands = committed.get(partition).copied().flatten().unwrap_or(*next);
        let end = ends.entry(partition).or_insert(stands);
        *end = (*end).max(*next);
    }
    ends.into_iter()
        .map(|(partition, version)| Txn {
            app_id: app_id(commit.group, partition),
            version,
            last_updated,
        })
        .collect()
}

/// The rows of a part that are at offsets which the table does not have.
fn new_rows<T>(rows: &[(i64, T)], committed: Option<i64>) -> impl Iterator<Item = &T> {
    let is_new = move |(offset, _): &&(i64, T)| committed.is_none_or(|next| *offset >= next);
    rows.iter().filter(is_new).map(|(_, row)| row)
}

fn signal_batches(commit: &KeptCommit<'_>, committed: &CommittedOffsets) -> Result<Batches, StoreError> {
    let rows = commit.parts.iter().flat_map(|(partition, kept, _)| {
        let next = committed.get(partition).copied().flatten();
        let matches = new_rows(&kept.signals, next).map(SignalRow::Match);
        matches.chain(new_rows(&kept.windows, next).map(SignalRow::Window))
    });
    of_signals(rows)
}

fn of_signals<'a>(rows: impl Iterator<Item = SignalRow<'a>>) -> Result<Batches, StoreError> {
    by_date(rows, |row| row.time(), |row| row.bytes())
        .into_iter()
        .map(|(date, rows)| Ok((date, encode::signals(&rows)?)))
        .collect()
}

fn binding_batches(commit: &KeptCommit<'_>, committed: &CommittedOffsets) -> Result<Batches, StoreError> {
    let rows = commit.parts.iter().flat_map(|(partition, kept, _)| {
        let next = committed.get(partition).copied().flatten();
        new_rows(&kept.bindings, next)
    });
    of_bindings(rows)
}

fn of_bindings<'a>(rows: impl Iterator<Item = &'a Binding>) -> Result<Batches, StoreError> {
    let bytes = |binding: &&Binding| binding.from.value.len() + binding.to.value.len();
    by_date(rows, |binding| binding.time, bytes)
        .into_iter()
        .map(|(date, rows)| Ok((date, encode::bindings(&rows)?)))
        .collect()
}

/// The rows by date, in parts that are small enough for one file.
fn by_date<T>(
    rows: impl Iterator<Item = T>,
    time: impl Fn(&T) -> Timestamp,
    bytes: impl Fn(&T) -> usize,
) -> Vec<(String, Vec<T>)> {
    // By date: the parts that are full, and the bytes of the one that is not.
    let mut dates: BTreeMap<i32, (Vec<Vec<T>>, usize)> = BTreeMap::new();
    for row in rows {
        let (parts, filled) = dates.entry(time(&row).days()).or_default();
        let size = bytes(&row);
        let fits = *filled + size <= MAX_KEPT_FILE_BYTES;
        match parts.last_mut() {
            Some(part) if fits && part.len() < MAX_KEPT_FILE_ROWS => {
                *filled += size;
                part.push(row);
            }
            _ => {
                *filled = size;
                parts.push(vec![row]);
            }
        }
    }
    let parts = dates.into_values().flat_map(|(parts, _)| parts);
    parts
        .filter_map(|part| Some((date_text(time(part.first()?)), part)))
        .collect()
}
