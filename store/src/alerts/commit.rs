//! The commit of alerts, with the signals offsets and the correlation state.

use std::collections::BTreeMap;
use std::time::Instant;

use casebook_event::{Alert, CheckpointDelta, Partition, Timestamp};
use fail::fail_point;

use super::encode::record_batch;
use super::state::{Reference, StatePart, domain};
use crate::commit::{Committed, fence, resume_txns, txns};
use crate::data_file::{DataFileWriter, date_text, file_name, put_file};
use crate::schema::TableSchema;
use crate::table::{Add, Proposal, Snapshot, StatsBuilder};
use crate::tables::Tables;
use crate::{CommitError, StoreError, TableName};

/// What one correlate worker has found, to be committed.
#[derive(Debug)]
pub struct AlertsCommit<'a, P = StatePart> {
    /// The consumer group of the signals topic.
    pub group: &'a str,
    /// The alerts: new ones, and new revisions of earlier ones.
    pub alerts: &'a [Alert],
    /// The offsets of the signals topic that they came from.
    pub checkpoint: CheckpointDelta,
    /// The state in the table that each of these partitions was read on from: a repair changes a state and moves no offset, so
    /// that offsets alone do not tell whether another worker has committed one.
    pub follows: Vec<(Partition, Option<Vec<P>>)>,
    /// The correlation state of partitions of the signals topic, as it is after these offsets, where it was written anew. For
    /// the others the checkpoint says from where on signals are to be read again after the state of an earlier commit.
    pub states: Vec<(Partition, Vec<P>)>,
    /// The time to write into the log.
    pub now: Timestamp,
}

/// Commits alerts, the signals offsets they came from and the correlation state after them, as one.
///
/// The parts of a state are files that were written before, and the commit carries their paths, lengths and SHA-256 in a
/// `domainMetadata` action: that survives Delta checkpoints, and readers of the table need not know it.
///
/// # Errors
/// [`CommitError::Fenced`] where a partition does not stand where the checkpoint begins, [`CommitError::FencedByState`] where it has
/// another state than the one that this follows; else the store failed.
pub(crate) async fn commit_alerts(tables: &Tables, commit: AlertsCommit<'_>) -> Result<Committed, CommitError> {
    let AlertsCommit {
        group,
        alerts,
        checkpoint,
        follows,
        states,
        now,
    } = commit;
    let admits = |snapshot: &Snapshot| {
        fence(snapshot, group, &checkpoint)?;
        fence_states(snapshot, group, &follows)
    };
    let snapshot = tables.alerts.snapshot().await?;
    let references: Vec<(String, Reference)> = states
        .into_iter()
        .map(|(partition, parts)| (domain(group, &partition), Reference { parts }))
        .collect();
    let mut written: Vec<String> = paths(references.iter().map(|(_, reference)| reference));
    if let Err(fenced) = admits(&snapshot) {
        tables.discard(TableName::Alerts, &written).await;
        return Err(fenced);
    }
    let mut txns = txns(group, &checkpoint, now);
    txns.append(&mut resume_txns(&snapshot, group, &checkpoint, now));
    let old: Vec<Reference> = references
        .iter()
        .filter_map(|(domain, _)| Reference::of(&snapshot, domain))
        .collect();
    // Whoever holds it while the entry lands makes the commit copy the table's maps.
    drop(snapshot);
    let (adds, stored_bytes) = write_alerts(tables, alerts, now).await?;
    fail_point!("store.alerts-written");
    let files = adds.len() as u64;
    written.extend(adds.iter().map(|add| add.path.clone()));
    let proposal = Proposal {
        adds,
        removes: Vec::new(),
        txns,
        domains: references
            .iter()
            .map(|(domain, reference)| reference.action(domain))
            .collect(),
        now,
    };
    let begun = Instant::now();
    let landed = tables.alerts.commit(proposal, &admits).await;
    if matches!(
        landed,
        Err(CommitError::Fenced { .. } | CommitError::FencedByState { .. })
    ) {
        tables.discard(TableName::Alerts, &written).await;
    }
    let version = landed?;
    let log_time = begun.elapsed();
    fail_point!("store.state-superseded");
    tables.discard(TableName::Alerts, &paths(&old)).await;
    Ok(Committed {
        version,
        files,
        rows: alerts.len() as u64,
        stored_bytes,
        log_time,
    })
}

/// Refuses what follows another state than the one that the table has.
fn fence_states(
    snapshot: &Snapshot,
    group: &str,
    follows: &[(Partition, Option<Vec<StatePart>>)],
) -> Result<(), CommitError> {
    for (partition, known) in follows {
        let found = Reference::of(snapshot, &domain(group, partition)).map(|reference| reference.parts);
        if found != *known {
            return Err(CommitError::FencedByState {
                partition: partition.clone(),
            });
        }
    }
    Ok(())
}

/// The files of some states.
fn paths<'a>(references: impl IntoIterator<Item = &'a Reference>) -> Vec<String> {
    references.into_iter().flat_map(Reference::paths).cloned().collect()
}

async fn write_alerts(tables: &Tables, alerts: &[Alert], now: Timestamp) -> Result<(Vec<Add>, u64), StoreError> {
    let mut dates: BTreeMap<i32, Vec<&Alert>> = BTreeMap::new();
    for alert in alerts {
        dates.entry(alert.alert.time.days()).or_default().push(alert);
    }
    let (mut adds, mut bytes) = (Vec::new(), 0);
    for mut alerts in dates.into_values() {
        alerts.sort_by_key(|alert| (alert.alert.time, alert.alert.id.clone(), alert.alert.revision));
        let Some(date) = alerts.first().map(|alert| date_text(alert.alert.time)) else {
            continue;
        };
        let mut stats = StatsBuilder::new("time");
        for alert in &alerts {
            stats.row(alert.alert.time);
            stats.text("id", &alert.alert.id);
            stats.text("rule_id", &alert.rule.id);
        }
        let mut writer = DataFileWriter::new(TableName::Alerts, &tables.config, alerts.len())?;
        writer.write(&record_batch(&alerts, now)?)?;
        let path = file_name(TableSchema::of(TableName::Alerts).partition, &date);
        let encoded = writer.finish()?;
        let add = put_file(tables.files(), TableName::Alerts, &path, &date, encoded, stats, now).await?;
        bytes += add.size.unsigned_abs();
        adds.push(add);
    }
    Ok((adds, bytes))
}
