//! The offsets of consumer groups, which stand in a table's log as `txn` actions, and the fence that they are.

use std::collections::{BTreeMap, BTreeSet};

use casebook_event::{CheckpointDelta, Partition, StartOffset, Timestamp};

use crate::CommitError;
use crate::table::{Snapshot, Txn};

/// The application id under which a partition's next offset is kept.
pub(crate) fn app_id(group: &str, partition: &Partition) -> String {
    format!("{}{}:{}", group_prefix(group), partition.topic, partition.partition)
}

/// What the application ids of `group` begin with. Its colons are encoded, so that no group begins another.
fn group_prefix(group: &str) -> String {
    format!("casebook:{}:", group.replace('%', "%25").replace(':', "%3A"))
}

/// The group of an application id.
pub(crate) fn group_of(app_id: &str) -> Option<String> {
    let (group, _) = app_id.strip_prefix("casebook:")?.split_once(':')?;
    Some(group.replace("%3A", ":").replace("%25", "%"))
}

/// The groups that have committed to a table.
pub(crate) fn groups(snapshot: &Snapshot) -> BTreeSet<String> {
    snapshot.txns.values().filter_map(|txn| group_of(&txn.app_id)).collect()
}

/// The application id under which the offset is kept from which a partition is to be read again.
fn resume_app_id(group: &str, partition: &Partition) -> String {
    format!("resume-{}", app_id(group, partition))
}

/// The partition of an application id of `group`. A topic may hold colons (a file's path), a partition number none.
pub(crate) fn partition_of(app_id: &str, group: &str) -> Option<Partition> {
    let (topic, number) = app_id.strip_prefix(&group_prefix(group))?.rsplit_once(':')?;
    Some(Partition::new(topic, number.parse().ok()?))
}

/// The next offset of every partition of `group`.
pub(crate) fn offsets(snapshot: &Snapshot, group: &str) -> BTreeMap<Partition, i64> {
    snapshot
        .txns
        .values()
        .filter_map(|txn| Some((partition_of(&txn.app_id, group)?, txn.version)))
        .collect()
}

/// Where a partition of `group` stands, if it was ever committed.
fn start_offset(snapshot: &Snapshot, group: &str, partition: &Partition) -> Option<StartOffset> {
    let next = snapshot.txn(&app_id(group, partition))?;
    let resume = snapshot.txn(&resume_app_id(group, partition)).unwrap_or(next);
    Some(StartOffset {
        next,
        resume: resume.min(next),
    })
}

/// Refuses a checkpoint that does not begin where the table stands.
pub(crate) fn fence(snapshot: &Snapshot, group: &str, checkpoint: &CheckpointDelta) -> Result<(), CommitError> {
    for (partition, range) in checkpoint.iter() {
        let Some(start) = start_offset(snapshot, group, partition) else {
            continue;
        };
        for (expected, found) in [(range.start, start.next), (range.start_resume, start.resume)] {
            if found != expected {
                return Err(CommitError::Fenced {
                    partition: partition.clone(),
                    expected,
                    found,
                });
            }
        }
    }
    Ok(())
}

/// The actions that move every partition of `checkpoint` to its end.
pub(crate) fn txns(group: &str, checkpoint: &CheckpointDelta, now: Timestamp) -> Vec<Txn> {
    let last_updated = Some(now.as_nanos().div_euclid(1_000_000));
    checkpoint
        .iter()
        .map(|(partition, range)| Txn {
            app_id: app_id(group, partition),
            version: range.end,
            last_updated,
        })
        .collect()
}

/// The actions that say from where on pending fragments can be read again. A partition that has and had none needs no such action.
pub(crate) fn resume_txns(snapshot: &Snapshot, group: &str, checkpoint: &CheckpointDelta, now: Timestamp) -> Vec<Txn> {
    let last_updated = Some(now.as_nanos().div_euclid(1_000_000));
    checkpoint
        .iter()
        .filter_map(|(partition, range)| {
            let app_id = resume_app_id(group, partition);
            let known = snapshot.txn(&app_id).is_some();
            (known || range.resume < range.end).then_some(Txn {
                app_id,
                version: range.resume,
                last_updated,
            })
        })
        .collect()
}

/// Where reading of every partition of `group` goes on.
pub(crate) fn starts(snapshot: &Snapshot, group: &str) -> BTreeMap<Partition, StartOffset> {
    let starts = offsets(snapshot, group).into_keys().filter_map(|partition| {
        let start = start_offset(snapshot, group, &partition)?;
        Some((partition, start))
    });
    starts.collect()
}

/// Where the table stands in each partition of `checkpoint`.
pub(super) fn committed_offsets(
    snapshot: &Snapshot,
    group: &str,
    checkpoint: &CheckpointDelta,
) -> BTreeMap<Partition, Option<i64>> {
    checkpoint
        .iter()
        .map(|(partition, _)| (partition.clone(), snapshot.txn(&app_id(group, partition))))
        .collect()
}

/// As [`txns`], but never backwards: the dead letters may already be ahead of the events.
pub(super) fn txns_forward(
    group: &str,
    checkpoint: &CheckpointDelta,
    committed: &BTreeMap<Partition, Option<i64>>,
    now: Timestamp,
) -> Vec<Txn> {
    let mut txns = txns(group, checkpoint, now);
    for (txn, (partition, _)) in txns.iter_mut().zip(checkpoint.iter()) {
        txn.version = committed
            .get(partition)
            .copied()
            .flatten()
            .map_or(txn.version, |next| next.max(txn.version));
    }
    txns
}
