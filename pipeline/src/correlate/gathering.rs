//! What a commit of alerts holds: those since the last one, and the states that are due.

use std::collections::BTreeMap;
use std::time::Duration;

use casebook_event::{Alert, CheckpointDelta, Partition, Timestamp};

use crate::correlate::partition::{PartitionState, write_state};
use crate::error::PipelineError;
use crate::ports::runtime::Runtime;
use crate::ports::tables::Tables;

/// Time between two states, as a multiple of what writing the last one took: it takes a tenth of the time at most.
const STATE_TIME_FACTOR: u32 = 10;

/// What a commit of alerts holds.
pub(crate) struct Gathered<P> {
    pub(crate) alerts: Vec<Alert>,
    /// When the signal was written that caused each.
    pub(crate) caused: Vec<Timestamp>,
    /// The offsets that all of it came from. Where no state is written, signals are read again from where the last one is.
    pub(crate) checkpoint: CheckpointDelta,
    /// The states that were written: at least one every `interval`, and wherever one is due.
    pub(crate) states: Vec<(Partition, Vec<P>)>,
}

/// Takes the alerts of the partitions of `checkpoint`, and writes the states that are due.
///
/// # Errors
/// A state cannot be written. The alerts are gone: they come again with the signals since the last commit.
pub(crate) async fn gather<S: Tables>(
    store: &S,
    runtime: &dyn Runtime,
    partitions: &mut BTreeMap<Partition, PartitionState>,
    checkpoint: CheckpointDelta,
    interval: Duration,
) -> Result<Gathered<S::Part>, PipelineError> {
    let read: Vec<Partition> = checkpoint.iter().map(|(partition, _)| partition.clone()).collect();
    let mut gathered = Gathered {
        alerts: Vec::new(),
        caused: Vec::new(),
        checkpoint,
        states: Vec::new(),
    };
    for partition in read {
        let Some(state) = partitions.get_mut(&partition) else {
            continue;
        };
        let committed_alerts = std::mem::take(&mut state.alerts);
        gathered.alerts.extend(committed_alerts.iter().cloned());
        gathered.caused.append(&mut state.caused);
        let interval = interval.max(state.state_took * STATE_TIME_FACTOR);
        let begun = runtime.instant();
        if state.state_is_due || begun - state.state_since >= interval {
            let parts = write_state(store, &partition, state, committed_alerts).await?;
            let now = runtime.instant();
            (state.state_since, state.state_took) = (now, now - begun);
            gathered.states.push((partition, parts));
        } else {
            let resume = state.start.map(|start| start.resume);
            gathered.checkpoint.note_partial(&partition, resume);
        }
    }
    Ok(gathered)
}
