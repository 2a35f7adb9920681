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

#[cfg(test)]
mod tests {
    use casebook_event::{Entities, EventId, EventRef, Source, Timestamp};

    use super::*;

    /// The signal of one rule about the event at an offset, whose identity is `id`.
    fn signal(offset: i64, id: u128) -> Signal {
        Signal {
            rule_version: Default::default(),
            event: EventRef {
                event_id: EventId::from_u128(id),
                time: Timestamp::from_seconds(offset),
                source: Source::KubernetesAudit,
                position: Position {
                    topic: "audit".into(),
                    partition: 0,
                    offset,
                    index: 0,
                },
                entities: Entities::default(),
            },
            rule_id: "count".into(),
            matched_rule_id: "read".into(),
            group: vec!["eve".into()],
            value: None,
            entity: Vec::new(),
            shard: None,
        }
    }

    #[test]
    fn a_signal_that_comes_again_under_another_identity_counts_once() {
        let mut positions = Positions::default();
        for offset in 1..=3 {
            assert!(positions.is_new(&signal(offset, 7)));
        }
        // A new version reads the same records again, and makes their ids of other things.
        for offset in 1..=3 {
            assert!(!positions.is_new(&signal(offset, 100 + offset as u128)));
        }
        assert!(positions.is_new(&signal(4, 104)));
    }
}
