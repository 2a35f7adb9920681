//! What the first events of a group come to: kept up as they come and go, so that a window that is decided late need
//! not be added up anew for each place where it might begin.

use std::collections::HashMap;

use casebook_event::Timestamp;
use compact_str::CompactString;

use super::entry::Entry;
use super::ranks::Ranks;
use crate::sigma::correlation::comparison::Fixed;
use crate::sigma::correlation::{CorrelationKind, Statistic};

/// The events up to a time, and what they come to.
#[derive(Debug, Clone)]
pub(crate) struct WindowAccumulator {
    /// Every event up to it is counted, and none after it.
    to: Timestamp,
    events: usize,
    total: Total,
}

#[derive(Debug, Clone)]
enum Total {
    Values(HashMap<CompactString, u32>),
    Sum(i128),
    Ranks(Ranks),
    /// The events of each member.
    Members(Vec<u32>),
}

impl WindowAccumulator {
    /// Nothing yet; `None` for what needs no totals.
    pub(crate) fn new(kind: &CorrelationKind, members: usize) -> Option<Self> {
        let total = match kind {
            CorrelationKind::ValueCount(_) => Total::Values(HashMap::new()),
            CorrelationKind::Value(Statistic::Sum | Statistic::Average, _) => Total::Sum(0),
            CorrelationKind::Value(Statistic::Percentile(_) | Statistic::Median, _) => Total::Ranks(Ranks::default()),
            CorrelationKind::Temporal(_) | CorrelationKind::Absence(_) => Total::Members(vec![0; members]),
            CorrelationKind::EventCount(_)
            | CorrelationKind::TemporalOrdered(_)
            | CorrelationKind::FirstSeen(_)
            | CorrelationKind::Deviation(_) => return None,
        };
        Some(Self {
            to: Timestamp::MIN,
            events: 0,
            total,
        })
    }

    /// The bytes it takes in memory beside the struct itself, about.
    pub(crate) fn bytes(&self) -> usize {
        match &self.total {
            Total::Values(values) => values.capacity() * (size_of::<CompactString>() + size_of::<u64>()),
            Total::Sum(_) => 0,
            Total::Ranks(ranks) => ranks.bytes(),
            Total::Members(counts) => counts.len() * size_of::<u32>(),
        }
    }

    /// Whether an event of that time is counted.
    pub(crate) fn reaches(&self, time: Timestamp) -> bool {
        self.events > 0 && time <= self.to
    }

    /// The number of events counted.
    pub(crate) fn events(&self) -> usize {
        self.events
    }

    /// Says that every event up to `to` is now counted.
    pub(crate) fn extended(&mut self, to: Timestamp) {
        self.to = to;
    }

    /// Counts an event.
    pub(crate) fn add(&mut self, entry: &Entry) {
        self.events += 1;
        match &mut self.total {
            Total::Values(values) => *values.entry(entry.value.clone().unwrap_or_default()).or_default() += 1,
            Total::Sum(sum) => *sum += entry.number(),
            Total::Ranks(ranks) => ranks.insert(entry.number()),
            Total::Members(counts) => each(counts, entry.members, |count| *count += 1),
        }
    }

    /// Counts an event no longer.
    pub(crate) fn remove(&mut self, entry: &Entry) {
        self.events -= 1;
        match &mut self.total {
            Total::Values(values) => {
                let value = entry.value.as_deref().unwrap_or_default();
                if let Some(count) = values.get_mut(value) {
                    *count -= 1;
                    if *count == 0 {
                        values.remove(value);
                    }
                }
            }
            Total::Sum(sum) => *sum -= entry.number(),
            Total::Ranks(ranks) => ranks.remove(entry.number()),
            Total::Members(counts) => each(counts, entry.members, |count| *count -= 1),
        }
    }

    /// Whether what is counted meets the condition.
    pub(crate) fn holds(&self, kind: &CorrelationKind) -> bool {
        match (kind, &self.total) {
            (CorrelationKind::ValueCount(condition), Total::Values(values)) => {
                condition.holds_of_count(values.len() as u64)
            }
            (CorrelationKind::Value(Statistic::Average, condition), Total::Sum(sum)) => {
                condition.holds_of_average(*sum, self.events as u64)
            }
            (CorrelationKind::Value(_, condition), Total::Sum(sum)) => condition.holds(Fixed::from_units(*sum)),
            (CorrelationKind::Value(statistic, condition), Total::Ranks(ranks)) => {
                let percent = match statistic {
                    Statistic::Percentile(percent) => *percent,
                    _ => 50,
                };
                let number = ranks.percentile(percent).map(Fixed::from_units);
                number.is_some_and(|number| condition.holds(number))
            }
            (CorrelationKind::Temporal(together) | CorrelationKind::Absence(together), Total::Members(counts)) => {
                together.holds(counts)
            }
            // The total is made for the kind.
            _ => false,
        }
    }
}

fn each(counts: &mut [u32], members: u64, change: impl Fn(&mut u32)) {
    let counts = counts.iter_mut().enumerate();
    counts
        .filter(|(at, _)| members >> at & 1 == 1)
        .for_each(|(_, count)| change(count));
}
