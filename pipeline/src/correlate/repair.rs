//! Keeping what correlation reads, and repairing the groups of what came late, as parts of a commit.
//!
//! ```text
//! engine ─ Kept ─▶ tables `bindings`, `signals` ─┐
//! engine ─ RepairRequest ─▶ what is kept of its key ─▶ Repair ─▶ alerts, and windows into `signals` ─▶ the commit of the alerts
//! ```
//!
//! What is kept is in its tables before the alerts are that it led to. Whoever goes on after a crash between the two finds the offsets
//! in those tables, and writes nothing twice. A commit with a repair always has the state: so no state is ever from before a
//! repair that the alerts show.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use casebook_correlate::entity_limits::{MAX_ID_AGE_NANOS, MAX_STEPS};
use casebook_correlate::{CorrelationEngine, CorrelationStats, Repair, RepairRequest};
use casebook_event::{Alert, Binding, Identifier, Kept, Partition, StartOffset, Timestamp};
use casebook_store::{CommitError, KeptCommit, KeySpan};
use fail::fail_point;
use tracing::{Instrument as _, debug, error, info_span};

use crate::config::deployment::StateConfig;
use crate::config::duration::as_nanos;
use crate::correlate::late_warnings::LateWarnings;
use crate::correlate::partition::PartitionState;
use crate::correlate::retention::KeptRetention;
use crate::error::PipelineError;
use crate::ports::runtime::{Runtime, SharedRuntime};
use crate::ports::tables::Tables;
use crate::telemetry::late::RepairPass;
use crate::telemetry::metrics::Metrics;

/// How long repairs of one commit may take before the next one is begun: those under way are finished.
const PASS: Duration = Duration::from_millis(500);
/// Time between two passes of repairs, as a multiple of what the last one took, its state included: repairs take a quarter of
/// the time at most, however many wait.
const PASS_TIME_FACTOR: u32 = 3;
/// Rows of a key that are in memory at once, beside its open groups.
const MAX_ROWS: usize = 100_000;
/// Rows of a key that groups by an entity: all are needed at once, to resolve them. A key with more is not repaired.
const MAX_ENTITY_ROWS: usize = 400_000;
/// Identifiers that are asked about for one key.
const MAX_IDENTIFIERS: usize = 50_000;

/// When the next pass of repairs may be.
#[derive(Debug)]
struct RepairPace {
    not_before: Instant,
}

impl RepairPace {
    fn new(now: Instant) -> Self {
        Self { not_before: now }
    }

    /// Whether a pass may begin.
    fn is_due(&self, now: Instant) -> bool {
        now >= self.not_before
    }

    /// A pass has ended that took so long, writing the state included.
    fn took(&mut self, now: Instant, took: Duration) {
        self.not_before = now + took * PASS_TIME_FACTOR;
    }
}

/// What a worker needs to keep and to repair, beside its partitions.
pub(crate) struct Repairs {
    runtime: SharedRuntime,
    signals_partitions: i32,
    retention: KeptRetention,
    pace: RepairPace,
    warnings: LateWarnings,
}

impl Repairs {
    pub(crate) fn new(signals_partitions: i32, runtime: SharedRuntime) -> Self {
        Self {
            pace: RepairPace::new(runtime.instant()),
            runtime,
            signals_partitions,
            retention: KeptRetention::default(),
            warnings: LateWarnings::default(),
        }
    }

    /// An engine of a partition that is this worker's now: it keeps what it reads, or does not, as is configured.
    pub(crate) fn restored(&mut self, engine: CorrelationEngine, config: &StateConfig) -> CorrelationEngine {
        let engine = match config.keep {
            true => engine.with_repairs(as_nanos(config.repair_horizon.0)),
            false => engine.without_repairs(),
        };
        self.warnings.known(engine.stats());
        engine
    }

    /// When the next pass may be; `None` where nothing waits for one.
    pub(crate) fn next<P>(&self, partitions: &BTreeMap<Partition, PartitionState<P>>) -> Option<Instant> {
        partitions.values().any(is_waiting).then_some(self.pace.not_before)
    }

    /// Puts what is to be kept into its tables, and repairs what came late as far as the time for it goes. Returns the partitions
    /// in which something was repaired, with where the table of alerts stands.
    ///
    /// # Errors
    /// The store failed: what is not kept comes again with the signals since the last state.
    pub(crate) async fn run<S: Tables>(
        &mut self,
        store: &S,
        group: &str,
        partitions: &mut BTreeMap<Partition, PartitionState<S::Part>>,
        metrics: &Metrics,
    ) -> Result<Vec<(Partition, StartOffset)>, PipelineError> {
        let runtime = self.runtime.clone();
        let kept = kept_of(partitions.iter_mut(), self.signals_partitions);
        metrics.late.kept(keep(store, group, kept, runtime.now()).await?);
        // One worker for all: the watermarks of the partitions move together.
        let first = partitions.iter().find(|(partition, _)| partition.partition == 0);
        if let Some(from) = first.and_then(|(_, state)| state.engine.kept_from()) {
            self.retention.run(store, from, runtime.now()).await;
        }
        let mut repaired = Vec::new();
        if !self.pace.is_due(runtime.instant()) {
            return Ok(repaired);
        }
        let begun = runtime.instant();
        for (partition, state) in partitions.iter_mut().filter(|(_, state)| is_waiting(state)) {
            let pass = repair(store, &*runtime, state).await?;
            metrics.late.repaired(&pass);
            debug!(%partition, ?pass, "looked again at groups of what came late");
            let start = state.start.filter(|_| pass.repaired > 0);
            repaired.extend(start.map(|start| (partition.clone(), start)));
        }
        let kept = kept_of(partitions.iter_mut(), self.signals_partitions);
        keep(store, group, kept, runtime.now()).await?;
        if !repaired.is_empty() {
            fail_point!("repair.kept");
        }
        let state_took = partitions.values().map(|state| state.state_took).max();
        let now = runtime.instant();
        self.pace.took(now, now - begun + state_took.unwrap_or_default());
        Ok(repaired)
    }

    /// Says once a minute what came late.
    pub(crate) fn warn(&mut self, engines: impl Iterator<Item = CorrelationStats>, now: Instant) {
        self.warnings.warn(engines, now);
    }
}

/// The partition of the signals topic that keeps a binding, which all read.
fn keeper_of(from: &Identifier, partitions: i32) -> i32 {
    let hash = casebook_event::Signal::shard_of(&from.to_string(), []);
    (hash % partitions.unsigned_abs().max(1) as u64) as i32
}

/// What partitions have to keep since the last call, in the form of a commit.
fn kept_of<'a, P: 'a>(
    states: impl Iterator<Item = (&'a Partition, &'a mut PartitionState<P>)>,
    partitions: i32,
) -> Vec<(Partition, Kept, i64)> {
    let mut parts = Vec::new();
    for (partition, state) in states {
        let Some(next) = state.expected else { continue };
        let mut kept = state.engine.take_kept();
        kept.bindings
            .retain(|(_, binding)| keeper_of(&binding.from, partitions) == partition.partition);
        if !kept.is_empty() {
            parts.push((partition.clone(), kept, next));
        }
    }
    parts
}

/// Puts what is to be kept into its tables.
async fn keep<S: Tables>(
    store: &S,
    group: &str,
    parts: Vec<(Partition, Kept, i64)>,
    now: Timestamp,
) -> Result<u64, PipelineError> {
    if parts.is_empty() {
        return Ok(0);
    }
    let rows = parts.iter().map(|(_, kept, _)| kept.len()).sum::<usize>();
    let commit = KeptCommit { group, parts, now };
    let span = info_span!("commit_kept", rows);
    match store.commit_kept(commit).instrument(span).await {
        Ok(kept) => Ok(kept.rows),
        Err(CommitError::Store(error)) => Err(error.into()),
        Err(error @ (CommitError::Fenced { .. } | CommitError::FencedByState { .. })) => {
            // These tables fence nobody; the commit of the alerts will.
            debug!(%error, "the tables of what is kept have moved on");
            Ok(0)
        }
    }
}

/// Repairs what waits for it in a partition until the time of a pass is over. All that the engine has read is kept.
async fn repair<S: Tables>(
    store: &S,
    runtime: &dyn Runtime,
    state: &mut PartitionState<S::Part>,
) -> Result<RepairPass, PipelineError> {
    let begun = runtime.instant();
    let mut pass = RepairPass::default();
    let since = store.kept_since().await?;
    while runtime.instant() - begun < PASS
        && let Some(request) = state.engine.next_repair()
    {
        if request.windows_from < since {
            state.engine.give_up(&request);
            pass.expired += 1;
            continue;
        }
        repair_key(store, runtime, state, request, &mut pass).await?;
        tokio::task::yield_now().await;
    }
    Ok(pass)
}

async fn repair_key<S: Tables>(
    store: &S,
    runtime: &dyn Runtime,
    state: &mut PartitionState<S::Part>,
    request: RepairRequest,
    pass: &mut RepairPass,
) -> Result<(), PipelineError> {
    let span = |from: Timestamp, to: Timestamp| KeySpan {
        key: request.key,
        from,
        to,
    };
    let (first, last) = request.late;
    let at_those_times = span(first, last.saturating_add_nanos(1));
    let known = store.kept_signals(&[at_those_times], MAX_ROWS).await?;
    let all = span(request.signals_from, Timestamp::MAX);
    let windows = span(request.windows_from, Timestamp::MAX);
    // With more than so many at those times, some are new for sure.
    let request = match known.complete_to {
        None => match state.engine.without_duplicates(request, &known.signals) {
            Some(request) => request,
            None => {
                pass.duplicates += 1;
                return Ok(());
            }
        },
        Some(_) => request,
    };
    let windows = store.kept_windows(&[windows]).await?;
    let bindings = match request.by_entity {
        true => bindings_of(store, &all).await?,
        false => Some(Vec::new()),
    };
    let Some(bindings) = bindings else {
        error!(
            key = request.key,
            rows = MAX_ENTITY_ROWS,
            "a group by entity has more matches than a repair may read: what came late is not in it"
        );
        pass.too_large += 1;
        return Ok(());
    };
    let mut repair = Repair::new(&state.engine, request, windows, &bindings);
    fail_point!("repair.begun");
    let watermark = state.engine.watermark();
    feed(store, &mut repair, all, watermark).await?;
    let asked = repair.required_alerts(&state.engine);
    let known = latest(store.alerts_by_id(&asked).await?, &state.alerts, &asked);
    let mut alerts = Vec::new();
    let repaired = repair.finish(&mut state.engine, known, &mut alerts)?;
    pass.repaired += 1;
    pass.revised += repaired.revised;
    pass.retracted += repaired.retracted;
    state.alerts.append(&mut alerts);
    state.caused.resize(state.alerts.len(), runtime.now());
    state.state_is_due = true;
    fail_point!("repair.finished");
    Ok(())
}

/// Gives a repair the signals of its key, in the order of time, some at once.
async fn feed<S: Tables>(
    store: &S,
    repair: &mut Repair,
    all: KeySpan,
    watermark: Timestamp,
) -> Result<(), PipelineError> {
    let mut from = all.from;
    let mut rows = MAX_ROWS;
    loop {
        // What is open is in memory anyway.
        if from >= watermark {
            rows = usize::MAX;
        }
        let kept = store.kept_signals(&[KeySpan { from, ..all }], rows).await?;
        let Some(complete_to) = kept.complete_to else {
            return Ok(repair.feed(kept.signals, watermark)?);
        };
        let to = complete_to.min(watermark);
        if to <= from {
            // More have one time than are read at once.
            rows = usize::MAX;
            continue;
        }
        let signals = kept.signals.into_iter().filter(|signal| signal.event.time < to);
        repair.feed(signals.collect(), to)?;
        from = to;
    }
}

/// The latest revision of alerts: of those in the table, and of those that are to be committed.
fn latest(committed: Vec<Alert>, pending: &[Alert], asked: &[(u128, Timestamp)]) -> Vec<Alert> {
    let asked: BTreeSet<String> = asked.iter().map(|(id, _)| format!("{id:032x}")).collect();
    let pending = pending.iter().filter(|alert| asked.contains(alert.alert.id.as_str()));
    let mut latest: BTreeMap<_, Alert> = BTreeMap::new();
    for alert in committed.into_iter().chain(pending.cloned()) {
        let known = latest.get(&alert.alert.id);
        if known.is_none_or(|known| known.alert.revision <= alert.alert.revision) {
            latest.insert(alert.alert.id.clone(), alert);
        }
    }
    latest.into_values().collect()
}

/// Bindings, as far as the signals of a key can lead to it; `None` where they are too many.
async fn bindings_of<S: Tables>(store: &S, all: &KeySpan) -> Result<Option<Vec<Binding>>, PipelineError> {
    let signals = store.kept_signals(std::slice::from_ref(all), MAX_ENTITY_ROWS).await?;
    if signals.complete_to.is_some() {
        return Ok(None);
    }
    let mut asked: BTreeSet<Identifier> = BTreeSet::new();
    let mut next: BTreeSet<Identifier> = signals.signals.into_iter().flat_map(|signal| signal.entity).collect();
    let from = all.from.saturating_add_nanos(-MAX_ID_AGE_NANOS);
    let mut found = BTreeMap::new();
    for _ in 0..MAX_STEPS {
        if next.is_empty() || asked.len() + next.len() > MAX_IDENTIFIERS {
            break;
        }
        let bindings = store.kept_bindings(&next, from, Timestamp::MAX).await?;
        asked.append(&mut next);
        for binding in bindings {
            let ends = [&binding.from, &binding.to];
            next.extend(ends.into_iter().filter(|end| !asked.contains(*end)).cloned());
            let what = (
                binding.from.clone(),
                binding.to.clone(),
                binding.time,
                binding.ends,
                binding.how,
            );
            found.insert(what, binding);
        }
    }
    Ok(Some(found.into_values().collect()))
}

/// Whether a partition has something to repair, and has applied all that its table has.
fn is_waiting<P>(state: &PartitionState<P>) -> bool {
    let caught_up = state
        .start
        .is_some_and(|start| state.expected.is_some_and(|next| next >= start.next));
    caught_up && state.engine.repairing() > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repairs_take_a_quarter_of_the_time_at_most() {
        let begin = Instant::now();
        let mut pace = RepairPace::new(begin);
        let (mut now, mut repairing) = (begin, Duration::ZERO);
        // As many wait as can be: a pass begins whenever it may.
        for pass in 1..200u32 {
            let took = Duration::from_millis(u64::from(pass * 37 % 900));
            while !pace.is_due(now) {
                now += Duration::from_millis(1);
            }
            now += took;
            repairing += took;
            pace.took(now, took);
        }
        let all = now - begin + Duration::from_millis(900 * u64::from(PASS_TIME_FACTOR));
        assert!(repairing * 4 <= all, "{repairing:?} of {all:?}");
    }

    #[test]
    fn one_partition_keeps_a_binding() {
        let name = Identifier::new(casebook_event::IdentifierKind::PodName, "shop/web").unwrap();
        let keeper = keeper_of(&name, 6);
        assert!((0..6).contains(&keeper));
        assert_eq!(keeper_of(&name, 6), keeper);
        assert_eq!(keeper_of(&name, 1), 0);
    }
}
