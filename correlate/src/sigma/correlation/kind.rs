//! The types of correlations, with their conditions, as data.

use super::comparison::{Comparisons, Fixed};
use crate::sigma::condition::Condition;

/// The condition on a group of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CorrelationKind {
    /// How many there are.
    EventCount(Comparisons),
    /// How many different values they have.
    ValueCount(Comparisons),
    /// What the numbers they have come to.
    Value(Statistic, Comparisons),
    /// Which rules have one.
    Temporal(Together),
    /// As [`CorrelationKind::Temporal`], reported when the window is over: what it waits for did not come.
    Absence(Together),
    /// That each step has one, in this order.
    TemporalOrdered(Sequence),
    /// That one has a value which none of the timespan before it had.
    FirstSeen(FirstSeen),
    /// That a span of time has more than those before it.
    Deviation(Deviation),
}

/// What is made of several numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Statistic {
    Sum,
    Average,
    /// The least number that so many percent of them do not exceed (nearest rank); 1 to 100.
    Percentile(u8),
    /// The percentile of 50.
    Median,
}

/// Which rules must have events, and how many each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Together {
    pub(crate) which: Which,
    /// How many events each of the rules must have to count as there, in their order.
    pub(crate) counts: Vec<Comparisons>,
}

/// Which of the rules must be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Which {
    /// So many of them.
    Rules(Comparisons),
    /// Those that make the expression true.
    Expression(Condition),
}

impl Together {
    /// Whether it holds where the rules have so many events each.
    pub(crate) fn holds(&self, events: &[u32]) -> bool {
        let there = self.counts.iter().zip(events).enumerate();
        let there = there.filter(|(_, (count, events))| count.holds_of_count(u64::from(**events)));
        self.holds_with(there.fold(0, |members, (at, _)| members | 1 << at))
    }

    /// Whether it holds where these rules are there, one bit each.
    pub(crate) fn holds_with(&self, members: u64) -> bool {
        match &self.which {
            Which::Rules(condition) => condition.holds_of_count(u64::from(members.count_ones())),
            Which::Expression(condition) => condition.value(&|at| members >> at & 1 == 1),
        }
    }

    /// Whether an event more can never make it false.
    fn is_monotone(&self) -> bool {
        let which = match &self.which {
            Which::Rules(condition) => condition.is_monotone(),
            Which::Expression(condition) => !condition.negates(),
        };
        which && self.counts.iter().all(Comparisons::is_monotone)
    }
}

/// Steps that follow one another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sequence {
    /// The rules of the steps, by their index among the members.
    pub(crate) steps: Vec<usize>,
    /// The rules that have no event from the first step to the last, one bit each.
    pub(crate) never: u64,
}

impl CorrelationKind {
    /// Whether it matters which of the rules an event matched.
    pub(crate) fn requires_members(&self) -> bool {
        matches!(self, Self::Temporal(_) | Self::Absence(_) | Self::TemporalOrdered(_))
    }

    /// Whether the values it requires are numbers.
    pub(crate) fn requires_numbers(&self) -> bool {
        match self {
            Self::Value(..) => true,
            Self::Deviation(deviation) => deviation.measure == Measure::Sum,
            _ => false,
        }
    }

    /// Whether its windows can be found by looking for the first one, whatever is still to come after it.
    pub(crate) fn scans(&self) -> bool {
        self.is_monotone() || matches!(self, Self::TemporalOrdered(_))
    }

    /// Whether more events can never make its condition fail, so that an alert may be raised before its window ends.
    pub(crate) fn is_monotone(&self) -> bool {
        match self {
            Self::EventCount(condition) | Self::ValueCount(condition) => condition.is_monotone(),
            Self::Temporal(together) => together.is_monotone(),
            Self::TemporalOrdered(sequence) => sequence.never == 0,
            // Numbers may be negative, and an average falls with a small one.
            Self::Value(..) | Self::Absence(_) | Self::FirstSeen(_) | Self::Deviation(_) => false,
        }
    }
}

/// Whether events of several clusters may meet in one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clusters {
    /// The cluster is a part of the group, though `group-by` does not name it: so it is where nothing is said.
    Each,
    /// They may: the rule tells a story across clusters, or of a cluster and the cloud account that it is in.
    Any,
}

/// That a value is new to a group that was known before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FirstSeen {
    /// How long a group must have been known, in nanoseconds; not negative, and not longer than the timespan.
    pub(crate) learn_nanos: i64,
}

/// That a span has more than those before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deviation {
    pub(crate) measure: Measure,
    /// What the span must come to, whatever was before.
    pub(crate) least: Comparisons,
    /// How many spans back it is compared with; at least 2.
    pub(crate) history_spans: i64,
    /// How many of them there must be.
    pub(crate) learn_spans: i64,
    /// How many standard deviations above their mean is too much; not negative.
    pub(crate) factor: Fixed,
}

/// What is measured of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    /// The number of its events.
    Events,
    /// The sum of their numbers.
    Sum,
}
