//! The state of an engine as bytes, to go on from after a restart.

use std::collections::BTreeMap;
use std::sync::Arc;

use casebook_event::{EventId, EventRef, Partition, Source, Timestamp};
use serde::{Deserialize, Serialize};

use super::engine::{Applied, CorrelationConfig, CorrelationEngine};
use super::group::{Group, GroupState};
use super::plan::Plans;
use crate::rule_set::RuleSet;

/// The version of the format; another one is refused.
const VERSION: u32 = 1;

/// A match of a base rule; without its event where it was raised already.
type RaisedState = (Arc<str>, EventId, Option<EventRef>);

#[derive(Serialize, Deserialize)]
struct Snapshot {
    version: u32,
    watermark: i64,
    partitions: Vec<(Partition, i64)>,
    applied: Vec<(Partition, Applied)>,
    raised: Vec<(Timestamp, Vec<RaisedState>)>,
    late_events: Vec<(Source, u64)>,
    /// The version of each correlation whose groups follow.
    rules: BTreeMap<String, String>,
    groups: Vec<GroupState>,
}

/// A snapshot that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// It is not a snapshot, or damaged.
    #[error("correlation snapshot: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// It was written by another version of Casebook.
    #[error("correlation snapshot has version {found}, this build reads {VERSION}")]
    Version {
        /// Its version.
        found: u32,
    },
}

impl CorrelationEngine {
    /// The whole state, as JSON text. The same state gives the same bytes.
    pub fn snapshot(&self) -> Vec<u8> {
        let mut groups: Vec<GroupState> = self.groups.iter().map(|((rule, _), group)| group.state(rule)).collect();
        groups.sort_by(|a, b| (&a.rule_id, &a.values).cmp(&(&b.rule_id, &b.values)));
        let version = |id: &String| {
            Some((
                id.clone(),
                self.plans.correlations.get(id.as_str())?.rule.version.to_string(),
            ))
        };
        let snapshot = Snapshot {
            version: VERSION,
            watermark: self.watermark.as_nanos(),
            partitions: self
                .partitions
                .iter()
                .map(|(partition, time)| (partition.clone(), time.as_nanos()))
                .collect(),
            applied: self
                .applied
                .iter()
                .map(|(partition, applied)| (partition.clone(), applied.clone()))
                .collect(),
            raised: self
                .raised
                .iter()
                .map(|(time, raised)| {
                    (
                        *time,
                        raised
                            .iter()
                            .map(|((rule, id), event)| (rule.clone(), *id, event.clone()))
                            .collect(),
                    )
                })
                .collect(),
            late_events: self
                .late_events
                .iter()
                .map(|(source, count)| (*source, *count))
                .collect(),
            rules: groups.iter().map(|group| &group.rule_id).filter_map(version).collect(),
            groups,
        };
        // Plain data without maps of odd keys: serde_json cannot fail on it.
        serde_json::to_vec(&snapshot).unwrap_or_default()
    }

    /// An engine that goes on from a snapshot. Groups of rules that are gone or mean something else now are dropped, and
    /// counted in the stats: their events were matched by another rule.
    ///
    /// # Errors
    /// The bytes are no snapshot of this version.
    pub fn restore(rules: &RuleSet, config: CorrelationConfig, bytes: &[u8]) -> Result<Self, SnapshotError> {
        Self::restore_plans(Arc::new(Plans::of(rules)), config, bytes)
    }

    pub(crate) fn restore_plans(
        plans: Arc<Plans>,
        config: CorrelationConfig,
        bytes: &[u8],
    ) -> Result<Self, SnapshotError> {
        let snapshot: Snapshot = serde_json::from_slice(bytes)?;
        if snapshot.version != VERSION {
            return Err(SnapshotError::Version {
                found: snapshot.version,
            });
        }
        let mut engine = Self::with_plans(plans.clone(), config);
        engine.watermark = Timestamp::from_nanos(snapshot.watermark);
        engine.partitions = snapshot
            .partitions
            .into_iter()
            .map(|(partition, time)| (partition, Timestamp::from_nanos(time)))
            .collect();
        engine.applied = snapshot.applied.into_iter().collect();
        engine.raised = snapshot
            .raised
            .into_iter()
            .map(|(time, raised)| {
                (
                    time,
                    raised
                        .into_iter()
                        .map(|(rule, id, event)| ((rule, id), event))
                        .collect(),
                )
            })
            .collect();
        engine.late_events = snapshot.late_events.into_iter().collect();
        for state in snapshot.groups {
            let plan = plans.correlations.get_key_value(state.rule_id.as_str());
            let version = snapshot.rules.get(&state.rule_id);
            match plan.filter(|(_, plan)| version.is_some_and(|version| *version == *plan.rule.version)) {
                Some((id, plan)) => {
                    let key = (id.clone(), state.values.clone());
                    engine.adopt(key, plan, Group::restore(plan, state));
                }
                None => *engine.dropped_groups.entry(state.rule_id.into()).or_default() += 1,
            }
        }
        Ok(engine)
    }
}
