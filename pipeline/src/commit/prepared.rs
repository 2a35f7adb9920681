//! What is gathered for one commit beyond the batch in memory: files that are written ahead of it.

use std::collections::BTreeSet;
use std::time::Instant;

use casebook_event::{CheckpointDelta, DeadLetter, EventBatch, NotContiguous, Partition};

/// Batches that are in files already, and in no commit yet.
pub(crate) struct Prepared<F> {
    pub(crate) files: Vec<F>,
    pub(crate) dead_letters: Vec<DeadLetter>,
    /// What all of it came from.
    pub(crate) checkpoint: CheckpointDelta,
    /// Bytes of the records.
    pub(crate) input_bytes: u64,
    /// When the first of it was gathered.
    pub(crate) since: Instant,
}

impl<F> Prepared<F> {
    /// Nothing yet.
    pub(crate) fn begun(now: Instant) -> Self {
        Self {
            files: Vec::new(),
            dead_letters: Vec::new(),
            checkpoint: CheckpointDelta::new(),
            input_bytes: 0,
            since: now,
        }
    }

    /// Puts itself after what was prepared before.
    ///
    /// # Errors
    /// It does not begin where that ends.
    pub(crate) fn follow(&mut self, mut before: Self) -> Result<(), NotContiguous> {
        let joined = before.checkpoint.extend(&self.checkpoint);
        // In either case all files are here, to be committed or to be discarded.
        before.files.append(&mut self.files);
        before.dead_letters.append(&mut self.dead_letters);
        before.input_bytes += self.input_bytes;
        *self = before;
        joined
    }

    /// What the dead letters take in memory, about.
    pub(crate) fn letter_bytes(&self) -> usize {
        self.dead_letters.iter().map(|letter| letter.payload.len()).sum()
    }
}

/// Takes out what came from these partitions.
pub(crate) fn remove_partitions(batch: &mut EventBatch, partitions: &BTreeSet<Partition>) {
    let removed = |position: &casebook_event::Position| {
        partitions
            .iter()
            .any(|p| p.partition == position.partition && p.topic == position.topic)
    };
    batch.events.retain(|event| !removed(&event.position));
    batch.dead_letters.retain(|letter| !removed(&letter.position));
    for partition in partitions {
        batch.checkpoint.remove(partition);
    }
}
