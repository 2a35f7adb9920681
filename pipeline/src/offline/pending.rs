//! What correlation waits for, as the last state in the store says.

use casebook_correlate::{CorrelationConfig, CorrelationEngine, PendingGroup, Restoring, RuleSet};
use casebook_event::{Partition, StartOffset, Timestamp};
use casebook_store::Store;

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

/// Calls `visit` with every pending group of the last state of each partition of the signals topic, and returns the
/// partitions. `group` is the consumer group of the workers. Groups of rules that `rules` does not have are left out.
///
/// # Errors
/// The store cannot be read, or a state is of another version.
pub async fn pending_groups(
    store: &Store,
    group: &str,
    rules: &RuleSet,
    visit: &mut (dyn FnMut(PendingGroup) + Send),
) -> Result<Vec<StateOfPartition>, PipelineError> {
    let group = correlate_group(group);
    let mut partitions = Vec::new();
    for (partition, start) in store.signal_offsets(&group).await? {
        let parts = store.correlation_state(&group, &partition).await?;
        let mut restoring = Restoring::new(CorrelationEngine::new(rules, CorrelationConfig::default()));
        // The first part is the worker's own.
        for part in parts.iter().flatten().skip(1) {
            let bytes = store.read_state_part(&partition, part).await?;
            let taken = restoring.take(&bytes);
            taken.map_err(|error| PipelineError::State {
                partition: partition.clone(),
                reason: error.to_string(),
            })?;
            restoring.drain_pending().into_iter().for_each(&mut *visit);
        }
        let engine = restoring.finish();
        partitions.push(StateOfPartition {
            partition,
            start,
            written: parts.is_some(),
            repairing: engine.repairing(),
            watermark: engine.watermark(),
        });
    }
    Ok(partitions)
}
