//! Up to where each source partition was applied: a worker that reads a partition again sends its signals again.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use casebook_event::{Partition, Position, Signal};
use serde::{Deserialize, Serialize};

/// The highest position applied of each source partition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Positions(pub BTreeMap<Partition, Applied>);

/// The highest position of a source partition, and hashes of the signals applied there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Applied {
    pub offset: i64,
    pub index: u32,
    pub signals: Vec<u128>,
}

impl Positions {
    /// Whether a signal was not applied before; then it is taken down.
    pub(super) fn is_new(&mut self, signal: &Signal) -> bool {
        let Position {
            topic,
            partition,
            offset,
            index,
        } = &signal.event.position;
        let partition = Partition {
            topic: topic.clone(),
            partition: *partition,
        };
        let mut hasher = xxhash_rust::xxh3::Xxh3::new();
        for part in [&*signal.rule_id, &*signal.matched_rule_id] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.update(&Signal::shard_of("", &signal.group).to_le_bytes());
        let what = hasher.digest128();
        let Some(applied) = self.0.get_mut(&partition) else {
            let applied = Applied {
                offset: *offset,
                index: *index,
                signals: vec![what],
            };
            self.0.insert(partition, applied);
            return true;
        };
        match (*offset, *index).cmp(&(applied.offset, applied.index)) {
            Ordering::Less => false,
            Ordering::Equal if applied.signals.contains(&what) => false,
            Ordering::Equal => {
                applied.signals.push(what);
                true
            }
            Ordering::Greater => {
                (applied.offset, applied.index) = (*offset, *index);
                applied.signals.clear();
                applied.signals.push(what);
                true
            }
        }
    }
}
