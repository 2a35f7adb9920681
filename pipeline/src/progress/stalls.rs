//! Which partitions make no progress although there is something to read, and why; and what keeps a stage from its work.
//!
//! Progress is a commit that moves a partition on, or having nothing to read. The stages say what they do, and
//! [`Stalls::look`] is asked from time to time: a stage that hangs cannot say so itself. What is outside of the worker, it knows
//! by name: a restart repairs none of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use casebook_event::{Partition, Timestamp};
use casebook_store::ReadToEnd;

use crate::progress::standing::Standing;

/// What does not fail but takes long is reported after so many times the time of what fails: a commit may be large.
const SLOW_FACTOR: u32 = 4;

/// The stages that read partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Stage {
    Ingest,
    Correlate,
}

impl Stage {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Correlate => "correlate",
        }
    }
}

/// A partition that makes no progress.
#[derive(Debug, Clone)]
pub(crate) struct Stall {
    pub(crate) stage: Stage,
    pub(crate) partition: Partition,
    /// How long it has stood.
    pub(crate) stood: Duration,
    /// The next offset to commit, and the end.
    pub(crate) committed: i64,
    pub(crate) end: i64,
    /// Why, as far as is known.
    pub(crate) why: String,
    /// Whether that is outside of the worker, so that a restart does not repair it.
    pub(crate) is_outside: bool,
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            partition,
            committed,
            end,
            why,
            ..
        } = self;
        let (stage, seconds) = (self.stage.name(), self.stood.as_secs());
        write!(
            f,
            "{stage}: {partition} stands at {committed} of {end} for {seconds} s: {why}"
        )
    }
}

/// What a stage waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// The brokers are to confirm what was written to Casebook's own topics.
    Brokers,
    /// The store is to take a commit.
    Store,
}

/// How far the committed part of a partition is from its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lag {
    pub(crate) partition: Partition,
    /// Records that are not committed.
    pub(crate) records: i64,
    /// Since when the next of them waits, where that is known.
    pub(crate) since: Option<Timestamp>,
}

/// Something outside of the worker that fails.
#[derive(Debug, Clone)]
struct Failure {
    since: Instant,
    why: String,
}

#[derive(Debug, Default)]
struct State {
    partitions: BTreeMap<(Stage, Partition), Standing>,
    /// What went wrong in each stage, until something is committed.
    errors: BTreeMap<Stage, Failure>,
    waiting: BTreeMap<Stage, (Waiting, Instant)>,
    /// Why the brokers do not answer, since they do not.
    brokers: Option<Failure>,
}

impl State {
    fn begin_anew(&mut self, stage: Option<Stage>, now: Instant) {
        let own = self.partitions.iter_mut();
        for (_, standing) in own.filter(|((own, _), _)| stage.is_none_or(|stage| *own == stage)) {
            standing.begin_anew(now);
        }
    }
}

/// The partitions of this worker, and what keeps it from reading them.
#[derive(Debug, Default)]
pub(crate) struct Stalls(Mutex<State>);

impl Stalls {
    /// A panic elsewhere leaves the state whole: every change below is a single insert or assignment.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, stage: Stage, partition: &Partition, change: impl FnOnce(&mut Standing)) {
        if let Some(standing) = self.state().partitions.get_mut(&(stage, partition.clone())) {
            change(standing);
        }
    }

    /// A partition is read here now, from `next` on.
    pub(crate) fn assigned(&self, stage: Stage, partition: Partition, next: i64, now: Instant) {
        let standing = Standing::new(next, now);
        self.state().partitions.insert((stage, partition), standing);
    }

    /// A partition is read again from `next`.
    pub(crate) fn restarted(&self, stage: Stage, partition: &Partition, next: i64, now: Instant) {
        self.change(stage, partition, |standing| standing.restarted(next, now));
    }

    pub(crate) fn revoked(&self, stage: Stage, partition: &Partition) {
        self.state().partitions.remove(&(stage, partition.clone()));
    }

    /// Takes note of the end of a partition as its consumer sees it: the offset after its last record, and the offset before
    /// which it has read all.
    pub(crate) fn ends(&self, stage: Stage, partition: &Partition, end: i64, high: i64, now: Instant) {
        self.change(stage, partition, |standing| standing.ends(end, high, now));
    }

    /// The brokers answered, when they were asked for the end of a partition.
    pub(crate) fn reported_end(&self, partition: &Partition, high: i64, at: Timestamp, now: Instant) {
        for stage in [Stage::Ingest, Stage::Correlate] {
            self.change(stage, partition, |standing| standing.reported_end(high, at, now));
        }
    }

    /// Records were read, up to `next`: the first of them, with when it was written.
    pub(crate) fn read(&self, stage: Stage, partition: &Partition, first: Option<(i64, Timestamp)>, next: i64) {
        self.change(stage, partition, |standing| standing.has_read(first, next));
    }

    /// A commit landed.
    pub(crate) fn committed(&self, stage: Stage, next: &[(Partition, i64)], now: Instant) {
        let mut state = self.state();
        state.waiting.remove(&stage);
        if state.errors.remove(&stage).is_some() {
            state.begin_anew(Some(stage), now);
        }
        for (partition, next) in next {
            if let Some(standing) = state.partitions.get_mut(&(stage, partition.clone())) {
                standing.has_committed(*next, now);
            }
        }
    }

    /// The store failed a stage, which goes on.
    pub(crate) fn failed(&self, stage: Stage, error: impl fmt::Display, now: Instant) {
        let mut state = self.state();
        state.waiting.remove(&stage);
        let since = state.errors.get(&stage).map_or(now, |failure| failure.since);
        let why = error.to_string();
        state.errors.insert(stage, Failure { since, why });
    }

    /// A stage waits for something outside of it.
    pub(crate) fn waits(&self, stage: Stage, waiting: Waiting, now: Instant) {
        self.state().waiting.insert(stage, (waiting, now));
    }

    /// What it waited for has come.
    pub(crate) fn goes_on(&self, stage: Stage) {
        self.state().waiting.remove(&stage);
    }

    /// The brokers answered.
    pub(crate) fn brokers_answered(&self, now: Instant) {
        let mut state = self.state();
        if state.brokers.take().is_some() {
            state.begin_anew(None, now);
        }
    }

    /// The brokers did not answer.
    pub(crate) fn brokers_failed(&self, why: String, now: Instant) {
        let mut state = self.state();
        let since = state.brokers.as_ref().map_or(now, |failure| failure.since);
        state.brokers = Some(Failure { since, why });
    }

    /// How many partitions a stage reads.
    pub(crate) fn partitions(&self, stage: Stage) -> usize {
        self.state().partitions.keys().filter(|(own, _)| *own == stage).count()
    }

    /// All partitions that are read here.
    pub(crate) fn all_partitions(&self) -> BTreeSet<Partition> {
        self.state()
            .partitions
            .keys()
            .map(|(_, partition)| partition.clone())
            .collect()
    }

    /// How far a stage's partitions are from their ends, of those whose end is known.
    pub(crate) fn lags(&self, stage: Stage) -> Vec<Lag> {
        let state = self.state();
        let own = state.partitions.iter().filter(|((own, _), _)| *own == stage);
        own.filter_map(|((_, partition), standing)| {
            Some(Lag {
                partition: partition.clone(),
                records: standing.lag()?,
                since: standing.waits_since(),
            })
        })
        .collect()
    }

    /// Up to when each partition of the logs is read once everything before `next` of it is committed: for those that `next`
    /// leaves out, what is committed already.
    pub(crate) fn read_to_end(&self, next: &BTreeMap<Partition, i64>) -> Vec<ReadToEnd> {
        let state = self.state();
        let own = state.partitions.iter().filter(|((own, _), _)| *own == Stage::Ingest);
        own.map(|((_, partition), standing)| {
            let next = next.get(partition).copied().unwrap_or(standing.committed());
            ReadToEnd {
                partition: partition.clone(),
                next,
                at: standing.read_to_end_by(next),
            }
        })
        .collect()
    }

    /// What is outside of the worker and fails for at least `after`, a line each.
    pub(crate) fn outages(&self, after: Duration, now: Instant) -> Vec<String> {
        let state = self.state();
        let lasting = |failure: &&Failure| now.saturating_duration_since(failure.since) >= after;
        let seconds = |since: Instant| now.saturating_duration_since(since).as_secs();
        let brokers = state.brokers.iter().filter(lasting);
        let brokers =
            brokers.map(|Failure { since, why }| format!("the brokers do not answer for {} s: {why}", seconds(*since)));
        let stores = state.errors.iter().filter(|(_, failure)| lasting(failure));
        let stores = stores.map(|(stage, Failure { since, why })| {
            format!("{}: the store fails for {} s: {why}", stage.name(), seconds(*since))
        });
        let slow = after * SLOW_FACTOR;
        let waits = state.waiting.iter();
        let waits = waits.filter(|(_, (_, since))| now.saturating_duration_since(*since) >= slow);
        let waits = waits
            .map(|(stage, (waiting, since))| format!("{}: {} for {} s", stage.name(), waiting.text(), seconds(*since)));
        brokers.chain(stores).chain(waits).collect()
    }

    /// The partitions that have stood for at least `after`.
    pub(crate) fn look(&self, after: Duration, now: Instant) -> Vec<Stall> {
        let state = self.state();
        let stalled = state.partitions.iter().filter_map(|((stage, partition), standing)| {
            let stood = now.saturating_duration_since(standing.since());
            if standing.is_done() || stood < after {
                return None;
            }
            let (why, is_outside) = state.cause(*stage, standing);
            Some(Stall {
                stage: *stage,
                partition: partition.clone(),
                stood,
                committed: standing.committed(),
                end: standing.committed() + standing.lag().unwrap_or_default(),
                why,
                is_outside,
            })
        });
        stalled.collect()
    }
}

impl Waiting {
    fn text(self) -> &'static str {
        match self {
            Self::Brokers => "waits for the brokers to confirm what was written to Casebook's topics",
            Self::Store => "waits for the store to take a commit",
        }
    }
}

impl State {
    /// Why a partition stands, and whether that is outside of the worker. A store that neither takes a commit nor fails it is
    /// no such thing: the connection to it may be what hangs.
    fn cause(&self, stage: Stage, standing: &Standing) -> (String, bool) {
        if let Some(failure) = &self.brokers {
            return (format!("the brokers do not answer: {}", failure.why), true);
        }
        if let Some(failure) = self.errors.get(&stage) {
            return (failure.why.clone(), true);
        }
        if let Some((waiting, _)) = self.waiting.get(&stage) {
            return (waiting.text().to_owned(), *waiting == Waiting::Brokers);
        }
        let why = if standing.read() > standing.committed() {
            format!(
                "records up to {} are read and not committed: the stage after it is busy, or hangs",
                standing.read()
            )
        } else {
            "the brokers answer, but give no records: see the client's errors above, or the stage does not take them"
                .into()
        };
        (why, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_stalls_only_with_something_to_read_and_without_a_commit() {
        let stalls = Stalls::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let after = Duration::from_secs(60);
        let partition = Partition::new("logs", 3);
        stalls.assigned(Stage::Ingest, partition.clone(), 10, start);
        assert!(stalls.look(after, at(100)).is_empty(), "its end is not known");
        stalls.ends(Stage::Ingest, &partition, 10, 10, at(100));
        assert!(stalls.look(after, at(300)).is_empty(), "there is nothing to read");
        stalls.ends(Stage::Ingest, &partition, 12, 12, at(300));
        assert!(
            stalls.look(after, at(359)).is_empty(),
            "there was not, until a minute ago"
        );
        let stall = &stalls.look(after, at(360))[0];
        assert!(stall.to_string().contains("ingest: logs[3]"), "{stall}");
        assert!(stall.why.contains("brokers"), "{stall}");
        stalls.read(Stage::Ingest, &partition, None, 12);
        assert!(stalls.look(after, at(360))[0].why.contains("not committed"));
        stalls.failed(Stage::Ingest, "no space left on device", at(360));
        assert!(stalls.look(after, at(360))[0].why.contains("no space"));
        stalls.committed(Stage::Ingest, &[(partition.clone(), 11)], at(361));
        assert!(stalls.look(after, at(400)).is_empty(), "it moved");
        assert_eq!(stalls.look(after, at(421)).len(), 1);
        // Reading again from the same place is no progress; from a commit that nobody heard of, it is.
        stalls.restarted(Stage::Ingest, &partition, 11, at(421));
        assert_eq!(stalls.look(after, at(421)).len(), 1);
        stalls.restarted(Stage::Ingest, &partition, 12, at(422));
        assert!(stalls.look(after, at(999)).is_empty());
        assert_eq!(
            (stalls.partitions(Stage::Ingest), stalls.partitions(Stage::Correlate)),
            (1, 0)
        );
        stalls.revoked(Stage::Ingest, &partition);
        assert_eq!(stalls.partitions(Stage::Ingest), 0);
    }

    /// A restart repairs what hangs in the worker, and nothing outside of it.
    #[test]
    fn an_outage_is_not_a_stage_that_hangs() {
        let stalls = Stalls::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (after, soon) = (Duration::from_secs(60), Duration::from_secs(15));
        let partition = Partition::new("logs", 0);
        stalls.assigned(Stage::Ingest, partition.clone(), 0, start);
        stalls.reported_end(&partition, 5, Timestamp::from_seconds(1), start);
        let look = |seconds: u64| {
            let found = stalls.look(after, at(seconds));
            found.first().map(|stall| (stall.why.clone(), stall.is_outside))
        };
        assert!(look(59).is_none());
        assert!(look(60).is_some_and(|(why, outside)| why.contains("give no records") && !outside));

        stalls.brokers_failed("connection refused".into(), at(61));
        stalls.brokers_failed("connection refused".into(), at(70));
        assert!(look(70).is_some_and(|(why, outside)| why.contains("connection refused") && outside));
        assert!(stalls.outages(soon, at(75)).is_empty(), "it may pass");
        let outages = stalls.outages(soon, at(76));
        assert_eq!(outages, ["the brokers do not answer for 15 s: connection refused"]);
        // They are back: the partition has all its time again.
        stalls.brokers_answered(at(200));
        assert!(stalls.outages(soon, at(200)).is_empty());
        assert!(look(259).is_none() && look(260).is_some());

        stalls.failed(Stage::Ingest, "no space left on device", at(300));
        assert!(look(300).is_some_and(|(_, outside)| outside));
        let outages = stalls.outages(soon, at(330));
        assert_eq!(outages, ["ingest: the store fails for 30 s: no space left on device"]);
        stalls.committed(Stage::Ingest, &[], at(400));
        assert!(stalls.outages(soon, at(400)).is_empty());
        assert!(look(459).is_none(), "the store failed until then");

        // Brokers that do not confirm are outside of the worker, a store that does not answer at all may not be.
        stalls.waits(Stage::Ingest, Waiting::Brokers, at(460));
        assert!(look(470).is_some_and(|(why, outside)| why.contains("confirm") && outside));
        stalls.waits(Stage::Ingest, Waiting::Store, at(480));
        assert!(look(490).is_some_and(|(why, outside)| why.contains("the store") && !outside));
        assert_eq!(
            (stalls.outages(soon, at(539)).len(), stalls.outages(soon, at(540)).len()),
            (0, 1)
        );
        stalls.goes_on(Stage::Ingest);
        assert!(stalls.outages(soon, at(540)).is_empty());
        // A worker without partitions, and one that has read all, have nothing to be asked for.
        stalls.committed(Stage::Ingest, &[(partition, 5)], at(560));
        assert!(stalls.look(after, at(999)).is_empty());
        assert!(Stalls::default().look(after, at(999)).is_empty());
    }
}
