//! Which partitions make no progress although there is something to read, and why.
//!
//! Progress is a commit that moves a partition on, or having nothing to read. The stages say what they do, and
//! [`Stalls::look`] is asked from time to time: a stage that hangs cannot say so itself.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use casebook_event::Partition;

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

/// One partition as a stage reads it.
#[derive(Debug)]
struct Standing {
    /// The offset after its last record, where the brokers have told.
    end: Option<i64>,
    /// The next offset to read.
    read: i64,
    /// The next offset to commit.
    committed: i64,
    /// When it last made progress.
    since: Instant,
}

impl Standing {
    fn is_done(&self) -> bool {
        self.end.is_none_or(|end| end <= self.committed) && self.read <= self.committed
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
    /// Why, as far as can be told.
    pub(crate) why: String,
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

#[derive(Debug, Default)]
struct State {
    partitions: BTreeMap<(Stage, Partition), Standing>,
    /// What went wrong last in each stage, until something is committed.
    errors: BTreeMap<Stage, String>,
}

/// The partitions of this worker.
#[derive(Debug, Default)]
pub(crate) struct Stalls(Mutex<State>);

impl Stalls {
    /// A panic elsewhere leaves the state whole: every change below is a single insert or assignment.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A partition is read here now, from `next` on.
    pub(crate) fn assigned(&self, stage: Stage, partition: Partition, next: i64, now: Instant) {
        let standing = Standing {
            end: None,
            read: next,
            committed: next,
            since: now,
        };
        self.state().partitions.insert((stage, partition), standing);
    }

    /// A partition is read again from `next`, which is where the table stands: further than was known, if a commit landed that
    /// nobody heard of.
    pub(crate) fn restarted(&self, stage: Stage, partition: &Partition, next: i64, now: Instant) {
        if let Some(standing) = self.state().partitions.get_mut(&(stage, partition.clone())) {
            if next > standing.committed {
                standing.committed = next;
                standing.since = now;
            }
            // What was read already is still to be committed.
            standing.read = standing.read.max(next);
        }
    }

    pub(crate) fn revoked(&self, stage: Stage, partition: &Partition) {
        self.state().partitions.remove(&(stage, partition.clone()));
    }

    /// Takes note of the end of a partition.
    pub(crate) fn ends(&self, stage: Stage, partition: &Partition, end: i64, now: Instant) {
        if let Some(standing) = self.state().partitions.get_mut(&(stage, partition.clone())) {
            // Until now there was nothing to do.
            if standing.is_done() {
                standing.since = now;
            }
            standing.end = Some(end);
        }
    }

    pub(crate) fn read(&self, stage: Stage, partition: &Partition, next: i64) {
        if let Some(standing) = self.state().partitions.get_mut(&(stage, partition.clone())) {
            standing.read = next;
        }
    }

    pub(crate) fn committed(&self, stage: Stage, next: &[(Partition, i64)], now: Instant) {
        let mut state = self.state();
        state.errors.remove(&stage);
        for (partition, next) in next {
            let standing = state.partitions.get_mut(&(stage, partition.clone()));
            if let Some(standing) = standing.filter(|standing| *next > standing.committed) {
                standing.committed = *next;
                standing.since = now;
            }
        }
    }

    /// Something went wrong in a stage, which goes on.
    pub(crate) fn failed(&self, stage: Stage, error: impl fmt::Display) {
        self.state().errors.insert(stage, error.to_string());
    }

    /// How many partitions a stage reads.
    pub(crate) fn partitions(&self, stage: Stage) -> usize {
        self.state().partitions.keys().filter(|(own, _)| *own == stage).count()
    }

    /// The partitions that have stood for at least `after`.
    pub(crate) fn look(&self, after: Duration, now: Instant) -> Vec<Stall> {
        let state = self.state();
        let stalled = state.partitions.iter().filter_map(|((stage, partition), standing)| {
            let stood = now.saturating_duration_since(standing.since);
            if standing.is_done() || stood < after {
                return None;
            }
            let end = standing.end.unwrap_or(standing.read);
            let why = match state.errors.get(stage) {
                Some(error) => error.clone(),
                None if standing.read > standing.committed => format!(
                    "records up to {} are read and not committed: the store does not answer, or the stage behind it is busy",
                    standing.read
                ),
                None => "the brokers give no records: see the client's errors above, or the stage does not take them".into(),
            };
            Some(Stall {
                stage: *stage,
                partition: partition.clone(),
                stood,
                committed: standing.committed,
                end,
                why,
            })
        });
        stalled.collect()
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
        stalls.ends(Stage::Ingest, &partition, 10, at(100));
        assert!(stalls.look(after, at(300)).is_empty(), "there is nothing to read");
        stalls.ends(Stage::Ingest, &partition, 12, at(300));
        assert!(
            stalls.look(after, at(359)).is_empty(),
            "there was not, until a minute ago"
        );
        let stall = &stalls.look(after, at(360))[0];
        assert!(stall.to_string().contains("ingest: logs[3]"), "{stall}");
        assert!(stall.why.contains("brokers"), "{stall}");
        stalls.read(Stage::Ingest, &partition, 12);
        assert!(stalls.look(after, at(360))[0].why.contains("not committed"));
        stalls.failed(Stage::Ingest, "no space left on device");
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
}
