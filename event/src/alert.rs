//! The alert: what a rule says happened, why, and on what evidence.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::{Binding, Confidence, EventId, Position, Source, Timestamp};

/// How bad a rule's match is (Sigma `level`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For the record.
    Informational,
    /// Notable.
    Low,
    /// Worth a look within the day. The level of a rule that names none.
    #[default]
    Medium,
    /// Worth a look now.
    High,
    /// An incident.
    Critical,
}

impl Level {
    /// The word that Sigma uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Informational, Self::Low, Self::Medium, Self::High, Self::Critical]
            .into_iter()
            .find(|level| level.name() == text)
            .ok_or_else(|| format!("`{text}` is no level: informational, low, medium, high or critical"))
    }
}

/// Whether an alert may still change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertStatus {
    /// Raised before its window was complete: a later revision follows.
    Provisional,
    /// Its window is complete.
    Final,
    /// A late event showed that it does not hold, or that another alert reports it better (`superseded_by`), before it was final.
    Withdrawn,
    /// It was final, and an event that came after its window was decided withdraws it. It stays visible: whoever can write that
    /// event's time could hide an alert otherwise.
    Retracted,
}

/// What withdrew a final alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retraction {
    /// The late event; of several the earliest of its group. `None` where what came late was a name that stood for something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Evidence>,
    /// What entity resolution learned late; of several the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learned: Option<Binding>,
    /// Who can write the time of such an event: `server`, `node`, `container`, … (`docs/trust.md`).
    pub time_written_by: CompactString,
}

/// Identity and time of an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertHead {
    /// 32 hexadecimal digits over the rule, the group and the first event: the same alert has the same id in every run.
    pub id: CompactString,
    /// 1 for the first report of this id; each later report of it counts one up.
    pub revision: u32,
    /// Whether it may still change.
    pub status: AlertStatus,
    /// The event time at which the rule's condition was first met.
    pub time: Timestamp,
    /// The alert that reports it instead, for a withdrawn one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub superseded_by: Option<CompactString>,
}

/// The rule that raised an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertRule {
    /// Sigma `id`.
    pub id: CompactString,
    /// Sigma `title`.
    pub name: CompactString,
    /// Sigma `level`.
    pub level: Level,
    /// `detection`, or the correlation's type: `event_count`, `temporal_ordered`, ….
    #[serde(rename = "type")]
    pub kind: CompactString,
    /// A hash of the rule's meaning: 16 hexadecimal digits that change with the rule.
    pub version: CompactString,
    /// Sigma `tags`.
    pub tags: Vec<CompactString>,
    /// What to do about it, step by step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub response: Vec<CompactString>,
}

/// The span of event time an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertWindow {
    /// The first event's time.
    pub from: Timestamp,
    /// The last event's time.
    pub to: Timestamp,
}

/// One event that contributed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The event's identity.
    pub event_id: EventId,
    /// When it happened.
    pub time: Timestamp,
    /// What kind of log reported it.
    pub source: Source,
    /// The base rule it matched.
    pub rule_id: CompactString,
    /// Where it was read.
    pub position: Position,
    /// Who, what and where it was about, by ECS name.
    pub entities: BTreeMap<CompactString, CompactString>,
    /// Where the rule groups by an entity: how the event came to that entity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributed: Option<Box<Attributed>>,
}

/// How an event came to an entity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributed {
    /// The entity.
    pub entity: CompactString,
    /// How far that can be relied upon: the least of all steps.
    pub confidence: Confidence,
    /// The steps from what the event names to the entity, as texts; none where it names the entity itself.
    pub how: Vec<String>,
    /// Other entities that it may as well have been.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ambiguous: Vec<CompactString>,
}

/// An alert, in the form that `replay` prints, the `alerts` table holds and sinks send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Identity and time.
    pub alert: AlertHead,
    /// The rule.
    pub rule: AlertRule,
    /// The correlation group, by the rule's `group-by` names; empty for a base rule.
    pub group: BTreeMap<CompactString, CompactString>,
    /// The span of event time.
    pub window: AlertWindow,
    /// How many events contributed.
    pub evidence_total: u64,
    /// The first of them, in order of time and identity, at most [`Alert::MAX_EVIDENCE_EVENTS`].
    pub evidence: Vec<Evidence>,
    /// Of a retracted alert: by what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retraction: Option<Box<Retraction>>,
}

impl Alert {
    /// Most events that one alert cites; `evidence_total` says how many there were.
    pub const MAX_EVIDENCE_EVENTS: usize = 100;
}
