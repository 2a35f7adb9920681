//! The state of an engine as bytes, to go on from after a restart.
//!
//! A snapshot is a list of parts, so that one of more groups than memory holds is never in memory as a whole: the first has
//! all but the groups, as JSON; the others have groups.

use std::collections::hash_map;
use std::sync::Arc;

use casebook_event::{EventId, EventRef, Partition, Signal, Source, Timestamp};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::codec::{Damaged, Names, Reader, put_bytes, put_number};
use super::detections::Raised;
use super::engine::CorrelationEngine;
use super::group::{Group, GroupKey};
use super::group_table::ColdError;
use super::late::{Dependents, Journal, LateKey, RepairLog, RepairStats};
use super::pending::PendingGroup;
use super::plan::CorrelationPlan;
use super::positions::{Applied, Positions};
use crate::limits::SNAPSHOT_PART_BYTES;

/// The version of the format; one that is not named here is refused.
const VERSION: u32 = 3;
/// The version before. Its groups do not have the cluster yet: they are read as those of an unknown cluster, which they are. It kept
/// nothing of what came late: whoever goes on from it keeps from there on.
const WITHOUT_CLUSTERS: u32 = 2;

/// The first byte of a part of groups. That of the first part is `{`.
const GROUPS: u8 = 0x02;
/// The first byte of the part with the bindings.
const BINDINGS: u8 = 0x03;
/// The first byte of the part about what attributions depended on.
const DEPENDENTS: u8 = 0x04;

/// A match of a base rule; without its event where it was raised already.
type RaisedState = (Arc<str>, EventId, Option<EventRef>);

#[derive(Serialize, Deserialize)]
struct Head {
    version: u32,
    watermark: i64,
    partitions: Vec<(Partition, i64)>,
    applied: Vec<(Partition, Applied)>,
    raised: Vec<(Timestamp, Vec<RaisedState>)>,
    late_events: Vec<(Source, u64)>,
    /// Those that wait to know which entity they are about.
    waiting: Vec<Signal>,
    /// The version of each correlation, as its signals carry it.
    rules: Vec<(Arc<str>, CompactString)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keeping: Option<RepairState>,
}

/// What waits for its repair, and from when on what is kept is complete.
#[derive(Serialize, Deserialize)]
struct RepairState {
    since: i64,
    order: u64,
    late: Vec<(u64, LateKey)>,
    stats: RepairStats,
}

impl RepairState {
    fn of(log: &RepairLog) -> Self {
        Self {
            since: log.since.as_nanos(),
            order: log.order,
            late: log.late.iter().map(|(key, late)| (*key, late.clone())).collect(),
            stats: log.stats.clone(),
        }
    }

    fn into_log(self, watermark: Timestamp) -> RepairLog {
        RepairLog {
            // What a state has to say of them is in a part of its own.
            dependents: Dependents::since(watermark),
            late: self.late.into_iter().collect(),
            order: self.order,
            stats: self.stats,
            ..RepairLog::new(i64::MAX, Timestamp::from_nanos(self.since))
        }
    }
}

/// A snapshot that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// It is not a snapshot, or damaged.
    #[error("correlation snapshot: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// A part of groups is damaged.
    #[error("correlation snapshot: part {part} is damaged at byte {at}")]
    Damaged {
        /// Its index in the list, from 0.
        part: usize,
        /// Where reading stopped.
        at: usize,
    },
    /// It was written by another version of Casebook.
    #[error(
        "correlation snapshot has version {found}, this build reads {VERSION}: start with an empty alerts table, or with the build that wrote it"
    )]
    Version {
        /// Its version.
        found: u32,
    },
    /// Groups that do not fit into memory cannot be spilled.
    #[error(transparent)]
    Cold(#[from] ColdError),
}

/// The parts of a snapshot, one by one. The engine stands still meanwhile.
#[derive(Debug)]
pub struct SnapshotParts<'a> {
    engine: &'a CorrelationEngine,
    head: bool,
    bindings: bool,
    dependents: bool,
    groups: hash_map::Iter<'a, Arc<GroupKey>, Group>,
    /// The key of the last spilled group that was emitted.
    cold: Vec<u8>,
    names: Names,
    /// How many of the names earlier parts have.
    named: usize,
}

impl<'a> SnapshotParts<'a> {
    /// The whole state of an engine.
    pub fn of(engine: &'a CorrelationEngine) -> Self {
        let evaluator = &engine.evaluator;
        Self {
            engine,
            head: false,
            bindings: evaluator.attribution.bindings.is_empty(),
            dependents: evaluator.journal.log().is_none(),
            groups: evaluator.groups.iter(),
            cold: Vec::new(),
            names: evaluator.groups.names().clone(),
            named: 0,
        }
    }

    /// The next part; `None` after the last.
    ///
    /// # Errors
    /// Spilled groups cannot be read.
    pub fn next_part(&mut self) -> Result<Option<Vec<u8>>, ColdError> {
        if !std::mem::replace(&mut self.head, true) {
            // Plain data without maps of odd keys: serde_json cannot fail on it.
            return Ok(Some(serde_json::to_vec(&Head::of(self.engine)).unwrap_or_default()));
        }
        if !std::mem::replace(&mut self.bindings, true) {
            let mut part = vec![BINDINGS];
            part.extend(serde_json::to_vec(&self.engine.evaluator.attribution.bindings).unwrap_or_default());
            return Ok(Some(part));
        }
        if !std::mem::replace(&mut self.dependents, true)
            && let Some(log) = self.engine.evaluator.journal.log()
        {
            let mut part = vec![DEPENDENTS];
            log.dependents.encode(&mut part);
            return Ok(Some(part));
        }
        let mut groups = Vec::new();
        while groups.len() < SNAPSHOT_PART_BYTES
            && let Some((key, group)) = self.groups.next()
        {
            key.encode(&mut groups, &mut self.names);
            group.encode(&mut groups, &mut self.names);
        }
        while groups.len() < SNAPSHOT_PART_BYTES {
            let stored = self.engine.evaluator.groups.read_cold(&mut self.cold)?;
            if stored.is_empty() {
                break;
            }
            for (key, group) in stored {
                groups.extend(key);
                groups.extend(group);
            }
        }
        if groups.is_empty() {
            return Ok(None);
        }
        let new = self.names.since(self.named);
        let mut part = vec![GROUPS];
        put_number(&mut part, new.len() as u64);
        new.iter().for_each(|name| put_bytes(&mut part, name.as_bytes()));
        self.named += new.len();
        part.extend(groups);
        Ok(Some(part))
    }
}

/// An engine that is being restored, part by part.
#[derive(Debug)]
pub struct Restoring {
    engine: CorrelationEngine,
    rules: Vec<(Arc<str>, CompactString)>,
    parts: usize,
    version: u32,
    migrated_groups: usize,
}

impl Restoring {
    /// An engine that has seen nothing, as one that goes on from a snapshot.
    pub fn new(engine: CorrelationEngine) -> Self {
        Self {
            engine,
            rules: Vec::new(),
            parts: 0,
            version: VERSION,
            migrated_groups: 0,
        }
    }

    /// Takes the next part. Groups of rules that are gone or mean something else now are dropped, and counted in the stats:
    /// their events were matched by another rule.
    ///
    /// # Errors
    /// The bytes are no part of a snapshot of this version, or groups cannot be spilled.
    pub fn take(&mut self, part: &[u8]) -> Result<(), SnapshotError> {
        if self.parts == 0 {
            self.take_head(serde_json::from_slice(part)?)?;
        } else if let Some((&BINDINGS, bindings)) = part.split_first() {
            self.engine.evaluator.attribution.bindings = serde_json::from_slice(bindings)?;
        } else if let Some((&DEPENDENTS, dependents)) = part.split_first() {
            let dependents =
                Dependents::decode(&mut Reader::new(dependents)).map_err(|damaged| SnapshotError::Damaged {
                    part: self.parts,
                    at: damaged.at,
                })?;
            if let Some(log) = self.engine.evaluator.journal.log_mut() {
                log.dependents = dependents;
            }
        } else {
            self.take_groups(part).map_err(|damaged| SnapshotError::Damaged {
                part: self.parts,
                at: damaged.at,
            })?;
            self.engine.evaluator.spill()?;
        }
        self.parts += 1;
        Ok(())
    }

    /// Gives the groups of the parts so far out of hand, as they are pending.
    pub fn drain_pending(&mut self) -> Vec<PendingGroup> {
        let pending = self.engine.pending();
        self.engine.evaluator.groups.clear();
        pending
    }

    /// The engine, once all parts were taken.
    pub fn finish(self) -> CorrelationEngine {
        self.engine
    }

    /// How many groups and waiting signals an older version had written, which did not know of clusters: they are those of an
    /// unknown cluster now.
    pub fn migrated_groups(&self) -> usize {
        self.migrated_groups
    }

    /// The values of a group that this version would have written.
    fn migrate(&mut self, plan: &CorrelationPlan, values: &mut Vec<CompactString>) {
        if self.version == WITHOUT_CLUSTERS
            && let Some(index) = plan.cluster.filter(|index| *index <= values.len())
        {
            values.insert(index, CompactString::default());
            self.migrated_groups += 1;
        }
    }

    fn take_head(&mut self, head: Head) -> Result<(), SnapshotError> {
        if ![WITHOUT_CLUSTERS, VERSION].contains(&head.version) {
            return Err(SnapshotError::Version { found: head.version });
        }
        self.version = head.version;
        let engine = &mut self.engine;
        engine.evaluator.watermark = Timestamp::from_nanos(head.watermark);
        engine.evaluator.journal = match head.keeping {
            Some(state) => Journal::Live(Box::new(state.into_log(engine.watermark()))),
            None => Journal::Off,
        };
        let partitions = head.partitions.into_iter();
        engine.partitions = partitions
            .map(|(partition, time)| (partition, Timestamp::from_nanos(time)))
            .collect();
        engine.applied = Positions(head.applied.into_iter().collect());
        let of_time = |raised: Vec<RaisedState>| {
            let raised = raised.into_iter();
            raised.map(|(rule, id, event)| ((rule, id), event)).collect()
        };
        let raised = head.raised.into_iter();
        engine.detections.raised = raised.map(|(time, raised)| (time, of_time(raised))).collect();
        engine.late_events = head.late_events.into_iter().collect();
        let plans = engine.evaluator.plans.clone();
        for mut signal in head.waiting {
            let version = head
                .rules
                .iter()
                .find(|(id, _)| *id == signal.rule_id)
                .map(|(_, version)| version);
            let plan = plans.correlations.get(&signal.rule_id);
            if let Some(plan) = plan.filter(|plan| version == Some(version_of(plan, head.version))) {
                self.migrate(plan, &mut signal.group);
                self.engine.evaluator.attribution.push(signal);
            }
        }
        self.rules = head.rules;
        Ok(())
    }

    fn take_groups(&mut self, part: &[u8]) -> Result<(), Damaged> {
        let mut from = Reader::new(part);
        if from.byte()? != GROUPS {
            return Err(from.damaged());
        }
        for _ in 0..from.count()? {
            let name = from.text()?;
            self.engine.evaluator.groups.names_mut().number_of(&name);
        }
        let plans = self.engine.evaluator.plans.clone();
        while !from.is_empty() {
            let mut key = GroupKey::decode(&mut from, self.engine.evaluator.groups.names())?;
            let version = self
                .rules
                .iter()
                .find(|(id, _)| *id == key.rule_id)
                .map(|(_, version)| version);
            match plans.correlations.get(&key.rule_id) {
                Some(plan) if version == Some(version_of(plan, self.version)) => {
                    self.migrate(plan, &mut key.values);
                    let group = Group::decode(plan, Arc::new(key), &mut from, self.engine.evaluator.groups.names())?;
                    self.engine.evaluator.groups.adopt(plan, group);
                }
                _ => {
                    Group::skip(&mut from, self.engine.evaluator.groups.names())?;
                    let dropped = self.engine.dropped_groups.entry(CompactString::new(&key.rule_id));
                    *dropped.or_default() += 1;
                }
            }
        }
        Ok(())
    }
}

/// The version of a correlation, as a snapshot of that format has it.
fn version_of(plan: &CorrelationPlan, format: u32) -> &CompactString {
    match format {
        WITHOUT_CLUSTERS => &plan.rule.version,
        _ => &plan.signals_version,
    }
}

impl Head {
    fn of(engine: &CorrelationEngine) -> Self {
        let raised = |raised: &Raised| {
            let raised = raised.iter();
            raised
                .map(|((rule, id), event)| (rule.clone(), *id, event.clone()))
                .collect()
        };
        let evaluator = &engine.evaluator;
        let partitions = engine.partitions.iter();
        let applied = engine.applied.0.iter();
        let rules = evaluator.plans.correlations.iter();
        Self {
            version: VERSION,
            watermark: evaluator.watermark.as_nanos(),
            partitions: partitions
                .map(|(partition, time)| (partition.clone(), time.as_nanos()))
                .collect(),
            applied: applied
                .map(|(partition, applied)| (partition.clone(), applied.clone()))
                .collect(),
            raised: engine
                .detections
                .raised
                .iter()
                .map(|(time, of_time)| (*time, raised(of_time)))
                .collect(),
            late_events: engine
                .late_events
                .iter()
                .map(|(source, count)| (*source, *count))
                .collect(),
            waiting: evaluator.attribution.signals.values().flatten().cloned().collect(),
            rules: rules
                .map(|(id, plan)| (id.clone(), plan.signals_version.clone()))
                .collect(),
            keeping: evaluator.journal.log().map(RepairState::of),
        }
    }
}
