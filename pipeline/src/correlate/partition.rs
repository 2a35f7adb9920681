//! What belongs to one partition of the signals topic, and how it is written to the store and read back.

use std::time::{Duration, Instant};

use casebook_correlate::{CorrelationEngine, Restoring, SnapshotParts};
use casebook_event::{Alert, Partition, StartOffset, Timestamp};
use fail::fail_point;
use serde::{Deserialize, Serialize};

use crate::error::PipelineError;
use crate::ports::tables::Tables;

/// The first part of a state; the others are the engine's snapshot.
#[derive(Serialize, Deserialize)]
struct StateHead {
    /// The alerts that were committed together with it.
    committed_alerts: Vec<Alert>,
}

/// One partition under way.
pub(crate) struct PartitionState {
    pub(crate) engine: CorrelationEngine,
    /// Alerts since the last commit.
    pub(crate) alerts: Vec<Alert>,
    /// When the signal was written that caused each.
    pub(crate) caused: Vec<Timestamp>,
    /// The next offset to apply, where known.
    pub(crate) expected: Option<i64>,
    /// Where the table stands, where known. Signals before `next` only bring back what came after the state.
    pub(crate) start: Option<StartOffset>,
    /// Whether the state is to be written with the next commit, whatever the time.
    pub(crate) state_is_due: bool,
    /// When the state was written last, or restored.
    pub(crate) state_since: Instant,
    /// What that took.
    pub(crate) state_took: Duration,
}

/// The engine that a state describes, from an empty one; and the alerts that were committed together with it.
pub(crate) async fn restore<S: Tables>(
    store: &S,
    partition: &Partition,
    engine: CorrelationEngine,
    parts: &[S::Part],
) -> Result<(CorrelationEngine, Vec<Alert>), PipelineError> {
    let bad = |reason: String| PipelineError::State {
        partition: partition.clone(),
        reason,
    };
    let Some((head, groups)) = parts.split_first() else {
        return Ok((engine, Vec::new()));
    };
    let mut restoring = Restoring::new(engine);
    for part in groups {
        let bytes = store.read_state_part(partition, part).await?;
        restoring.take(&bytes).map_err(|error| bad(error.to_string()))?;
    }
    if restoring.migrated_groups() > 0 {
        tracing::info!(
            partition = %partition,
            groups = restoring.migrated_groups(),
            "correlation state of a version without clusters: its groups are those of an unknown cluster"
        );
    }
    let head = store.read_state_part(partition, head).await?;
    let head: StateHead = serde_json::from_slice(&head).map_err(|error| bad(error.to_string()))?;
    Ok((restoring.finish(), head.committed_alerts))
}

/// Writes the state of a partition.
pub(crate) async fn write_state<S: Tables>(
    store: &S,
    partition: &Partition,
    state: &PartitionState,
    committed_alerts: Vec<Alert>,
) -> Result<Vec<S::Part>, PipelineError> {
    let head = serde_json::to_vec(&StateHead { committed_alerts }).map_err(|error| PipelineError::State {
        partition: partition.clone(),
        reason: error.to_string(),
    })?;
    let mut parts = vec![store.write_state_part(partition, head).await?];
    let mut snapshot = SnapshotParts::of(&state.engine);
    while let Some(part) = snapshot.next_part()? {
        fail_point!("correlate.state-part");
        parts.push(store.write_state_part(partition, part).await?);
    }
    Ok(parts)
}
