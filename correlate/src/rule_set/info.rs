//! What there is to know about a rule of a set, for people and for alerts.

use std::sync::Arc;

use casebook_event::{Level, Source};
use compact_str::CompactString;

use crate::sigma::extension::RuleTest;

/// What kind of rule a rule is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleKind {
    /// It matches single events.
    Detection,
    /// It counts events.
    EventCount,
    /// It counts different values.
    ValueCount,
    /// It adds up numbers.
    ValueSum,
    /// It takes the average of numbers.
    ValueAvg,
    /// It takes a percentile of numbers.
    ValuePercentile,
    /// It takes the median of numbers.
    ValueMedian,
    /// It wants events of several rules, in any order.
    Temporal,
    /// It wants events of several rules, one after another.
    TemporalOrdered,
    /// It wants that an event is not followed by another.
    Absence,
    /// It wants a value that is new.
    FirstSeen,
    /// It wants more than there was before.
    Deviation,
}

impl RuleKind {
    /// Every kind of correlation.
    pub const CORRELATIONS: [Self; 11] = [
        Self::EventCount,
        Self::ValueCount,
        Self::ValueSum,
        Self::ValueAvg,
        Self::ValuePercentile,
        Self::ValueMedian,
        Self::Temporal,
        Self::TemporalOrdered,
        Self::Absence,
        Self::FirstSeen,
        Self::Deviation,
    ];

    /// Whether it is an extension of Casebook's own: written under `casebook:`, beside a type of Sigma.
    pub fn is_extension(self) -> bool {
        matches!(self, Self::Absence | Self::FirstSeen | Self::Deviation)
    }

    /// The word of alerts (`rule.type`).
    pub fn name(self) -> &'static str {
        match self {
            Self::Detection => "detection",
            Self::EventCount => "event_count",
            Self::ValueCount => "value_count",
            Self::ValueSum => "value_sum",
            Self::ValueAvg => "value_avg",
            Self::ValuePercentile => "value_percentile",
            Self::ValueMedian => "value_median",
            Self::Temporal => "temporal",
            Self::TemporalOrdered => "temporal_ordered",
            Self::Absence => "absence",
            Self::FirstSeen => "first_seen",
            Self::Deviation => "deviation",
        }
    }
}

impl AsRef<str> for RuleKind {
    fn as_ref(&self) -> &str {
        self.name()
    }
}

impl std::fmt::Display for RuleKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// What there is to know about a rule of a set.
#[derive(Debug, Clone)]
pub struct RuleInfo {
    /// Sigma `id`; else the name, else a hash of the title.
    pub id: Arc<str>,
    /// Sigma `name`.
    pub name: Option<String>,
    /// Sigma `title`.
    pub title: String,
    /// Sigma `level`; medium where the rule names none.
    pub level: Level,
    /// What kind of rule it is.
    pub kind: RuleKind,
    /// Sigma `status`.
    pub status: Option<String>,
    /// Sigma `description`.
    pub description: Option<String>,
    /// Sigma `author`.
    pub author: Option<String>,
    /// Sigma `date`.
    pub date: Option<String>,
    /// Sigma `references`.
    pub references: Vec<String>,
    /// Sigma `falsepositives`.
    pub false_positives: Vec<String>,
    /// Sigma `fields`: those worth reading.
    pub fields: Vec<String>,
    /// Sigma `tags`.
    pub tags: Vec<CompactString>,
    /// The logs it is for, as `product/category/service` with `*` for any; empty for a correlation.
    pub logsource: String,
    /// The sources whose events it reads; for a correlation, those of its members.
    pub sources: Vec<Source>,
    /// For a correlation, the ids of the rules it is about, in its order.
    pub members: Vec<Arc<str>>,
    /// For a correlation, the names of its group's parts that the rule names; the cluster may be one more.
    pub group_by: Vec<CompactString>,
    /// For a correlation, the length of its window in nanoseconds.
    pub timespan_nanos: Option<i64>,
    /// Whether it raises alerts: a rule that a correlation names does not, unless the correlation says `generate: true`.
    pub alerts: bool,
    /// The file it is written in.
    pub file: String,
    /// The line its document begins in, from 1.
    pub line: u32,
    /// A hash of its meaning, and of that of the rules it is about: 16 hexadecimal digits.
    pub version: CompactString,
    /// What to do about its alerts, step by step (`casebook: response:`).
    pub response: Vec<String>,
    /// Its tests.
    pub tests: Vec<RuleTest>,
}
