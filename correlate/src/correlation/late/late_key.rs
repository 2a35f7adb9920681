//! A key of which something came late: it waits for its repair.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use casebook_event::{Binding, EventId, EventRef, Position, Signal, Timestamp};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

/// What came late of one key: matches, or what its events are attributed by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LateKey {
    pub order: u64,
    /// One of its correlations: it leads to the others.
    pub rule_id: Arc<str>,
    pub earliest: Timestamp,
    pub latest: Timestamp,
    /// What may have come before, within [`MAX_LATE_MATCHES_PER_KEY`]; beyond it, `None`: the key is repaired unseen.
    pub matches: Option<Vec<LateMatch>>,
    /// Of the first of them, what a retraction cites.
    pub cited: Vec<(CompactString, EventRef)>,
    /// The first binding that was learned late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learned: Option<Box<Binding>>,
}

/// A match that came late, as far as it is needed to find out whether it came before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LateMatch {
    pub what: u64,
    pub event_id: EventId,
    pub position: Position,
}

/// What is to be read to repair a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepairRequest {
    /// [`Signal::key`].
    pub key: u64,
    /// The earliest and the latest time that came late.
    pub late: (Timestamp, Timestamp),
    /// Signals from this time on are needed.
    pub signals_from: Timestamp,
    /// Windows that end at or after this time are needed.
    pub windows_from: Timestamp,
    /// Whether its correlations group by an entity, so that bindings are needed, too.
    pub by_entity: bool,
    pub(crate) late_key: LateKey,
}

impl LateKey {
    /// Leaves out what came before, as `kept` (the signals of this key at these times) shows; whether anything is left.
    pub(crate) fn without_duplicates(&mut self, kept: &[Signal]) -> bool {
        let Some(matches) = &mut self.matches else { return true };
        let mut first: BTreeMap<u64, &Position> = BTreeMap::new();
        for signal in kept {
            let known = first.entry(identity(signal)).or_insert(&signal.event.position);
            if signal.event.position < **known {
                *known = &signal.event.position;
            }
        }
        matches.retain(|late| {
            let known = first.get(&late.what);
            known.is_none_or(|known| **known >= late.position)
        });
        let left: BTreeSet<EventId> = matches.iter().map(|late| late.event_id).collect();
        self.cited.retain(|(_, event)| left.contains(&event.event_id));
        !matches.is_empty()
    }
}

/// What a match says, without where it was read: the same for a duplicate.
pub(super) fn identity(signal: &Signal) -> u64 {
    let mut hasher = Xxh3::new();
    let parts = [&*signal.rule_id, &*signal.matched_rule_id, &signal.rule_version];
    let value = signal.value.iter().map(CompactString::as_str);
    let parts = parts.into_iter().chain(signal.group.iter().map(CompactString::as_str));
    for part in parts.chain(value) {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.update(&signal.event.time.as_nanos().to_le_bytes());
    hasher.update(&signal.event.event_id.as_u128().to_le_bytes());
    hasher.digest()
}
