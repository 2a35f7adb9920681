//! The commit: data, dead letters and offsets land together, or not at all (`docs/delivery.md`, "The order of things").
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

use std::time::Instant;

use casebook_event::{CheckpointDelta, DeadLetter, Event, Timestamp};
use fail::fail_point;
use tracing::{Instrument as _, info_span};

use super::committed::Committed;
use super::dead_letters::commit_dead_letters;
use super::event_files::{PreparedFiles, discard_files, write_events};
use super::offsets::{fence, resume_txns, txns};
use super::read_to_end::{ReadToEnd, read_to_end_txns};
use crate::CommitError;
use crate::table::Proposal;
use crate::tables::Tables;

/// What one worker has read, to be committed.
#[derive(Debug)]
pub struct EventsCommit<'a, P = PreparedFiles> {
    /// The consumer group: offsets are kept for each group and partition.
    pub group: &'a str,
    /// The events that are still in memory.
    pub events: Vec<Event>,
    /// Those that were written before, by `Store::prepare_events`.
    pub prepared: Vec<P>,
    /// What could not become an event.
    pub dead_letters: Vec<DeadLetter>,
    /// The offsets that all of these came from.
    pub checkpoint: CheckpointDelta,
    /// Partitions of which all that they held at a time is in the table with this commit, whether or not anything of them is
    /// in it.
    pub read_to_end: Vec<ReadToEnd>,
    /// The time to write into the log.
    pub now: Timestamp,
}

/// Commits a batch of events with the offsets it came from. One without events still moves the offsets, and one without
/// either says only up to when partitions are read.
///
/// # Errors
/// [`CommitError::Fenced`] where a partition does not stand where the checkpoint begins (one that the table does
/// not know yet may begin anywhere); else the store failed. In both cases none of the events is in the table.
pub(crate) async fn commit_events(tables: &Tables, commit: EventsCommit<'_>) -> Result<Committed, CommitError> {
    let EventsCommit {
        group,
        events,
        prepared,
        dead_letters,
        checkpoint,
        read_to_end,
        now,
    } = commit;
    let prepared: PreparedFiles = prepared.into_iter().sum();
    let snapshot = tables.events.snapshot().await?;
    if let Err(fenced) = fence(&snapshot, group, &checkpoint) {
        discard_files(tables, &prepared).await;
        return Err(fenced);
    }
    // Only who moves a partition writes this too, so that nothing newer can be overwritten with it.
    let mut txns = txns(group, &checkpoint, now);
    txns.append(&mut resume_txns(&snapshot, group, &checkpoint, now));
    txns.append(&mut read_to_end_txns(&snapshot, group, &read_to_end));
    // Whoever holds it while the entry lands makes the commit copy the table's maps.
    drop(snapshot);
    if !dead_letters.is_empty() {
        commit_dead_letters(tables, group, &dead_letters, &checkpoint, now)
            .instrument(info_span!("dead_letters"))
            .await?;
        fail_point!("store.dead-letters-committed");
    }
    let last = write_events(tables.files(), &tables.config, events, now)
        .instrument(info_span!("files"))
        .await?;
    let written: PreparedFiles = [prepared, last].into_iter().sum();
    fail_point!("store.files-written");
    let proposal = Proposal {
        adds: written.adds.clone(),
        removes: Vec::new(),
        txns,
        domains: Vec::new(),
        now,
    };
    let begun = Instant::now();
    let landed = tables
        .events
        .commit(proposal, &|snapshot| fence(snapshot, group, &checkpoint))
        .instrument(info_span!("log"))
        .await;
    if matches!(landed, Err(CommitError::Fenced { .. })) {
        discard_files(tables, &written).await;
    }
    Ok(Committed {
        version: landed?,
        files: written.adds.len() as u64,
        rows: written.rows,
        stored_bytes: written.stored_bytes,
        log_time: begun.elapsed(),
    })
}
