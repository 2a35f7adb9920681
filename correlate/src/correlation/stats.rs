//! What an engine holds and has seen, for people and metrics.

use std::collections::BTreeMap;

use casebook_event::{Source, Timestamp};
use compact_str::CompactString;

use super::late::RepairStats;

/// What an engine holds and has seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CorrelationStats {
    /// Groups with at least one event, or a baseline that is not forgotten.
    pub open_groups: usize,
    /// Those of them that are not in memory.
    pub cold_groups: usize,
    /// Events of the groups in memory.
    pub buffered_events: usize,
    /// Signals that wait to know which entity they are about.
    pub waiting_signals: usize,
    /// Facts of entity resolution.
    pub bindings: usize,
    /// Bindings of times that were forgotten: they are not learned.
    pub late_bindings: u64,
    /// What the groups in memory take, in bytes, about.
    pub memory_bytes: usize,
    /// The watermark.
    pub watermark: Timestamp,
    /// Matches that came after the watermark, by source: an event counts once for each correlation.
    pub late_events: BTreeMap<Source, u64>,
    /// Signals of rules that this engine does not have, or has with another group: ingest runs other rules.
    pub foreign_signals: u64,
    /// Groups that a restore left out because their rule is gone or means something else now, by rule id.
    pub dropped_groups: BTreeMap<CompactString, u64>,
    /// Keys of groups that wait for their repair.
    pub repairing: usize,
    /// What became of those before.
    pub repairs: RepairStats,
}
