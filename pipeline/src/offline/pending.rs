//! What correlation waits for, as the last state in the store says.

use std::collections::BTreeMap;

use casebook_correlate::{CorrelationConfig, CorrelationEngine, PendingGroup, Restoring, RuleSet};
use casebook_event::{Partition, StartOffset, Timestamp};
use casebook_store::{StatePart, Store};

use crate::config::group::{correlate_group, group_of_correlate};
use crate::error::PipelineError;

/// The state of one partition of the signals topic.
#[derive(Debug)]
pub struct StateOfPartition {
    /// The partition.
    pub partition: Partition,
    /// Where the table stands: signals from `resume` to `next` were applied after this state was written.
    pub start: StartOffset,
    /// Whether there is a state.
    pub written: bool,
    /// Keys of groups that wait for their repair.
    pub repairing: usize,
    /// Up to when all that was expected had come.
    pub watermark: Timestamp,
}

/// The consumer groups whose workers have committed something.
///
/// # Errors
/// The store cannot be read.
pub async fn worker_groups(store: &Store) -> Result<Vec<String>, PipelineError> {
    let groups = store.signal_groups().await?;
    Ok(groups
        .iter()
        .filter_map(|group| group_of_correlate(group).map(str::to_owned))
        .collect())
}

/// Groups that wait for more.
#[derive(Debug, Default)]
pub struct PendingGroups {
    /// The first of them.
    pub found: Vec<PendingGroup>,
    /// How many there are, by the title of their rule.
    pub by_rule: BTreeMap<String, usize>,
}

/// Which groups are asked for.
pub struct PendingQuery<'a> {
    /// The consumer group of the workers.
    pub group: &'a str,
    /// Groups of rules that it does not have are left out.
    pub rules: &'a RuleSet,
    /// Which of the others are wanted.
    pub wants: &'a (dyn Fn(&PendingGroup) -> bool + Sync),
    /// Most that are found; the others are counted.
    pub limit: usize,
}

/// Times that a state is read anew, since a worker has replaced it meanwhile and deleted its files.
const MAX_READS: usize = 20;

/// The pending groups of the last state of each partition of the signals topic, and these states.
///
/// # Errors
/// The store cannot be read, or a state is of another version.
pub async fn pending_groups(
    store: &Store,
    query: &PendingQuery<'_>,
) -> Result<(PendingGroups, Vec<StateOfPartition>), PipelineError> {
    let group = correlate_group(query.group);
    let (mut all, mut partitions) = (PendingGroups::default(), Vec::new());
    let known = store.signal_offsets(&group).await?;
    for partition in known.into_keys() {
        let mut reads = 0;
        let (found, state) = loop {
            let parts = store.correlation_state(&group, &partition).await?;
            match read_state(store, query, &partition, parts.as_deref()).await {
                Ok(read) => break read,
                Err(error) => {
                    reads += 1;
                    let is_same = store.correlation_state(&group, &partition).await? == parts;
                    if is_same || reads == MAX_READS {
                        return Err(error);
                    }
                }
            }
        };
        let room = query.limit.saturating_sub(all.found.len());
        all.found.extend(found.found.into_iter().take(room));
        for (rule, count) in found.by_rule {
            *all.by_rule.entry(rule).or_default() += count;
        }
        partitions.push(state);
    }
    Ok((all, partitions))
}

async fn read_state(
    store: &Store,
    query: &PendingQuery<'_>,
    partition: &Partition,
    parts: Option<&[StatePart]>,
) -> Result<(PendingGroups, StateOfPartition), PipelineError> {
    let mut pending = PendingGroups::default();
    let mut restoring = Restoring::new(CorrelationEngine::new(query.rules, CorrelationConfig::default()));
    // The first part is the worker's own.
    for part in parts.unwrap_or_default().iter().skip(1) {
        let bytes = store.read_state_part(partition, part).await?;
        let taken = restoring.take(&bytes);
        taken.map_err(|error| PipelineError::State {
            partition: partition.clone(),
            reason: error.to_string(),
        })?;
        for group in restoring.drain_pending().into_iter().filter(query.wants) {
            *pending.by_rule.entry(group.title.to_string()).or_default() += 1;
            if pending.found.len() < query.limit {
                pending.found.push(group);
            }
        }
    }
    let engine = restoring.finish();
    let starts = store.signal_offsets(&correlate_group(query.group)).await?;
    let state = StateOfPartition {
        partition: partition.clone(),
        start: starts.get(partition).copied().unwrap_or(StartOffset::at(0)),
        written: parts.is_some(),
        repairing: engine.repairing(),
        watermark: engine.watermark(),
    };
    Ok((pending, state))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use casebook_correlate::{RuleFile, SnapshotParts};
    use casebook_event::{CheckpointDelta, Entities, EventId, EventRef, Position, Signal, SignalMessage, Source};
    use casebook_store::{AlertsCommit, StoreConfig};

    use super::*;

    const RULES: &str = "
title: Failed
id: failed
logsource: { product: application }
detection: { s: { kind: a }, condition: s }
---
title: Many failed
id: many
level: high
correlation: { type: event_count, rules: [failed], group-by: [who], timespan: 1h, condition: { gte: 3 } }
";

    /// An engine in which so many groups wait, each with a long name.
    fn engine(rules: &RuleSet, groups: i64) -> CorrelationEngine {
        let mut engine = CorrelationEngine::new(rules, CorrelationConfig::default());
        for offset in 0..groups {
            let signal = Signal {
                rule_id: "many".into(),
                rule_version: Default::default(),
                matched_rule_id: "failed".into(),
                group: vec![format!("{offset:0>100}").into()],
                value: None,
                entity: Vec::new(),
                shard: None,
                event: EventRef {
                    event_id: EventId::from_u128(offset as u128),
                    time: Timestamp::from_seconds(1_777_900_000),
                    source: Source::Application,
                    position: Position {
                        topic: "logs".into(),
                        partition: 0,
                        offset,
                        index: 0,
                    },
                    entities: Entities::default(),
                },
            };
            engine.apply(SignalMessage::Signal(signal), &mut Vec::new()).unwrap();
        }
        engine
    }

    /// Commits the state of an engine, and returns how many parts it has.
    async fn commit(store: &Store, engine: &CorrelationEngine, offsets: (i64, i64)) -> usize {
        let partition = Partition::new("signals", 0);
        let mut parts = vec![store.write_state_part(&partition, b"{}".to_vec()).await.unwrap()];
        let mut snapshot = SnapshotParts::of(engine);
        while let Some(part) = snapshot.next_part().unwrap() {
            parts.push(store.write_state_part(&partition, part).await.unwrap());
        }
        let mut checkpoint = CheckpointDelta::new();
        checkpoint.record(&partition, offsets.0, offsets.1 - 1);
        let count = parts.len();
        let commit = AlertsCommit {
            group: "g-correlate",
            alerts: &[],
            checkpoint,
            follows: Vec::new(),
            states: vec![(partition, parts)],
            now: Timestamp::from_seconds(1_777_900_000),
        };
        store.commit_alerts(commit).await.unwrap();
        count
    }

    /// A worker replaces the state, and deletes the files of the one before, while somebody reads it.
    #[tokio::test]
    async fn a_state_that_is_replaced_while_it_is_read_is_read_anew() {
        const GROUPS: i64 = 60_000;
        let directory = tempfile::tempdir().unwrap();
        let location = directory.path().to_str().unwrap();
        let store = Store::open(location, StoreConfig::default()).await.unwrap();
        let file = RuleFile {
            path: "r.yml".into(),
            text: RULES.into(),
        };
        let rules = RuleSet::load([file]).rules.unwrap();
        let parts = commit(&store, &engine(&rules, GROUPS), (0, GROUPS)).await;
        assert!(parts >= 4, "what follows needs several parts with groups: {parts}");
        let worker = Store::open(location, StoreConfig::default()).await.unwrap();
        let (next, is_first) = (engine(&rules, 5), AtomicBool::new(true));
        let replaced = |_: &PendingGroup| {
            if is_first.swap(false, Ordering::Relaxed) {
                let runtime = tokio::runtime::Handle::current();
                std::thread::scope(|scope| {
                    scope.spawn(|| runtime.block_on(commit(&worker, &next, (GROUPS, GROUPS + 1))));
                });
            }
            true
        };
        let query = PendingQuery {
            group: "g",
            rules: &rules,
            wants: &replaced,
            limit: 3,
        };
        let (pending, states) = pending_groups(&store, &query).await.unwrap();
        assert!(!is_first.load(Ordering::Relaxed));
        assert_eq!(
            pending.by_rule.into_iter().collect::<Vec<_>>(),
            [("Many failed".to_owned(), 5)]
        );
        assert_eq!(pending.found.len(), 3);
        assert_eq!(states[0].start, StartOffset::at(GROUPS + 1));
        // One that is gone although the table names it is an error.
        let folder = directory.path().join("alerts/_casebook_state");
        std::fs::remove_dir_all(folder).unwrap();
        let error = pending_groups(&store, &query).await.unwrap_err();
        assert!(error.to_string().contains("the file is missing"), "{error}");
    }
}
