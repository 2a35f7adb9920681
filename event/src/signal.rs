//! What detection reports to correlation: a rule matched an event, and how far a partition's time has come.

use std::sync::Arc;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::{Binding, Entities, Event, EventId, Identifier, Partition, Position, Source, Timestamp};

/// The part of an event that an alert cites: enough to find it again, and to read the alert without doing so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRef {
    /// The event's identity.
    pub event_id: EventId,
    /// When it happened.
    pub time: Timestamp,
    /// What kind of log reported it.
    pub source: Source,
    /// Where it was read.
    pub position: Position,
    /// What it was about: ECS name and value of who, what and where.
    pub entities: Entities,
}

impl EventRef {
    /// The reference to `event`.
    pub fn new(event: &Event) -> Self {
        Self {
            event_id: event.id,
            time: event.time,
            source: event.source,
            position: event.position.clone(),
            entities: Entities::of(event),
        }
    }
}

/// One base rule matched one event, and one consumer (an alert, or a member of a correlation) wants to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// The id of the rule to apply: a correlation, or the base rule itself where the match alone is an alert.
    pub rule_id: Arc<str>,
    /// [`AlertRule::version`](crate::AlertRule::version) of that rule; empty in messages of versions of Casebook that did not say.
    #[serde(default, skip_serializing_if = "CompactString::is_empty")]
    pub rule_version: CompactString,
    /// The base rule that matched.
    pub matched_rule_id: Arc<str>,
    /// The correlation group: the values of the rule's `group-by` fields, in its order, and then the cluster, unless the rule
    /// takes events of any cluster together or names it itself; empty where it is not known. Nothing for a base rule.
    pub group: Vec<CompactString>,
    /// What the event has in the field whose values the correlation asks for, if it asks for any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<CompactString>,
    /// Where the correlation groups by an entity: what the event names that may lead to it, the best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entity: Vec<Identifier>,
    /// Where correlations build on one another or group by an entity, what brings their signals together; else they go by rule and group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<u64>,
    /// The event.
    pub event: EventRef,
}

impl Signal {
    /// The key that sends all signals of one group of one rule to the same partition of the signals topic.
    pub fn key(&self) -> u64 {
        self.shard.unwrap_or_else(|| Self::shard_of(&self.rule_id, &self.group))
    }

    /// The key of a rule and values of a group.
    pub fn shard_of<'a>(rule_id: &'a str, group: impl IntoIterator<Item = &'a CompactString>) -> u64 {
        let mut hasher = xxhash_rust::xxh3::Xxh3::new();
        let values = group.into_iter().map(CompactString::as_str);
        for part in std::iter::once(rule_id).chain(values) {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.digest()
    }
}

/// How far event time has come in one source partition: no event with an earlier time is expected any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermark {
    /// The partition of the logs.
    pub partition: Partition,
    /// Its greatest event time, less the source's allowed lateness.
    pub time: Timestamp,
}

/// A message of the signals topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalMessage {
    /// A match.
    Signal(Signal),
    /// What an event reported for entity resolution; every partition gets it.
    Binding(Binding),
    /// Progress of a source partition.
    Watermark(Watermark),
}
