//! What a group remembers of events that are decided: the values it has had, and how much each span of time came to.
//!
//! It is in proportion to the different values, and to the spans that had events: the events themselves are gone.

use std::collections::{BTreeMap, VecDeque};

use casebook_event::Timestamp;
use compact_str::CompactString;

use crate::correlation::codec::{Damaged, Reader, put_bytes, put_number, put_signed, put_u128};
use crate::correlation::plan::CorrelationPlan;
use crate::sigma::correlation::comparison::Fixed;
use crate::sigma::correlation::{CorrelationKind, Deviation, FirstSeen};

/// What later events of a group are compared with; most types have none.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) enum Baseline {
    /// Nothing is remembered.
    #[default]
    None,
    /// Of `first_seen`.
    Values(SeenValues),
    /// Of `deviation`.
    Spans(SpanTotals),
}

impl Baseline {
    /// Whether nothing is remembered.
    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// The bytes it takes in memory, about.
    pub(crate) fn bytes(&self) -> usize {
        let of_values = |seen: &SeenValues| seen.values.keys().map(|value| 48 + value.len()).sum();
        size_of::<Self>()
            + match self {
                Self::None => 0,
                Self::Values(seen) => of_values(seen),
                Self::Spans(spans) => spans.all.len() * size_of::<(i64, i128)>(),
            }
    }

    /// From when to when it is; of spans, the numbers of the first and the last are not times, and are left out.
    pub(crate) fn times(&self) -> (Timestamp, Timestamp) {
        match self {
            Self::Values(seen) => (seen.since, seen.last),
            Self::None | Self::Spans(_) => (Timestamp::MIN, Timestamp::MIN),
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::None => out.push(0),
            Self::Values(seen) => {
                out.push(1);
                put_signed(out, seen.since.as_nanos());
                put_signed(out, seen.last.as_nanos());
                put_number(out, seen.prune_at as u64);
                put_number(out, seen.values.len() as u64);
                for (value, last) in &seen.values {
                    put_bytes(out, value.as_bytes());
                    put_signed(out, last.as_nanos());
                }
            }
            Self::Spans(spans) => {
                out.push(2);
                put_signed(out, spans.since);
                put_number(out, spans.all.len() as u64);
                for (span, amount) in &spans.all {
                    put_signed(out, *span);
                    put_u128(out, amount.cast_unsigned());
                }
            }
        }
    }

    pub(crate) fn decode(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        match from.byte()? {
            0 => Ok(Self::None),
            1 => {
                let mut seen = SeenValues {
                    since: from.time()?,
                    last: from.time()?,
                    prune_at: usize::try_from(from.number()?).map_err(|_| from.damaged())?,
                    values: BTreeMap::new(),
                };
                for _ in 0..from.count()? {
                    seen.values.insert(from.text()?, from.time()?);
                }
                Ok(Self::Values(seen))
            }
            2 => {
                let mut spans = SpanTotals {
                    since: from.signed()?,
                    all: VecDeque::new(),
                };
                for _ in 0..from.count()? {
                    spans.all.push_back((from.signed()?, from.u128()?.cast_signed()));
                }
                Ok(Self::Spans(spans))
            }
            _ => Err(from.damaged()),
        }
    }

    /// The latest time that it may have had an event at.
    pub(crate) fn latest(&self, plan: &CorrelationPlan) -> Option<Timestamp> {
        match self {
            Self::None => None,
            Self::Values(seen) => Some(seen.last),
            Self::Spans(spans) => Some(plan.span_end(spans.last()?)),
        }
    }

    /// When nothing of it is of use any more: once the watermark has passed that time.
    pub(crate) fn ends(&self, plan: &CorrelationPlan) -> Option<Timestamp> {
        match (self, &plan.kind) {
            (Self::Values(seen), _) => Some(plan.window_end(seen.last)),
            (Self::Spans(spans), CorrelationKind::Deviation(deviation)) => {
                Some(plan.span_end(spans.last()?.saturating_add(deviation.history_spans)))
            }
            _ => None,
        }
    }
}

/// The values that a group has had, and when it had each last.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SeenValues {
    /// Since when there was an event at least once in a timespan.
    since: Timestamp,
    /// When the last one was.
    last: Timestamp,
    values: BTreeMap<CompactString, Timestamp>,
    /// At how many values those that are too old are pruned.
    prune_at: usize,
}

/// Fewest values at which old ones are pruned.
const MIN_PRUNE_VALUES: usize = 16;

impl SeenValues {
    /// The group's first event.
    pub(crate) fn from(time: Timestamp) -> Self {
        Self {
            since: time,
            last: time,
            values: BTreeMap::new(),
            prune_at: MIN_PRUNE_VALUES,
        }
    }

    /// Whether a value at `time` is new, to a group that is known for long enough.
    pub(crate) fn is_new(&self, value: &str, time: Timestamp, plan: &CorrelationPlan, rule: FirstSeen) -> bool {
        let is_known = time <= plan.window_end(self.last) && self.since.saturating_add_nanos(rule.learn_nanos) <= time;
        is_known && self.values.get(value).is_none_or(|last| plan.window_end(*last) < time)
    }

    /// Remembers a value at `time`, which is not before any other.
    pub(crate) fn observe(&mut self, value: CompactString, time: Timestamp, plan: &CorrelationPlan) {
        if plan.window_end(self.last) < time {
            *self = Self::from(time);
        }
        self.last = time;
        self.values.insert(value, time);
        if self.values.len() >= self.prune_at {
            self.values.retain(|_, last| plan.window_end(*last) >= time);
            self.prune_at = (2 * self.values.len()).max(MIN_PRUNE_VALUES);
        }
    }
}

/// What the spans of a group came to, by their number since 1970.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct SpanTotals {
    /// The first span since there was an event at least once in a history.
    since: i64,
    /// Those with events, in order, with what they came to in units of 10⁻⁹.
    all: VecDeque<(i64, i128)>,
}

impl SpanTotals {
    fn last(&self) -> Option<i64> {
        self.all.back().map(|(span, _)| *span)
    }

    /// Whether `amount` is too much for `span`, after those before it.
    ///
    /// With m spans, mean μ and standard deviation σ: amount > μ + factor · σ. SpanTotals without events count as nothing. The
    /// amounts are exact and are taken in order, so that the same set of events gives the same answer.
    pub(crate) fn is_outlier(&self, span: i64, amount: i128, rule: &Deviation) -> bool {
        let from = self.since.max(span - rule.history_spans);
        let count = span - from;
        if self.last().is_none_or(|last| last < span - rule.history_spans) || span - self.since < rule.learn_spans {
            return false;
        }
        let units = |amount: i128| amount as f64 / 1e9;
        let before = self.all.iter().filter(|(at, _)| *at >= from);
        let (sum, squares) = before.fold((0.0, 0.0), |(sum, squares), (_, amount)| {
            let amount = units(*amount);
            (sum + amount, squares + amount * amount)
        });
        let mean = sum / count as f64;
        let variance = (squares / count as f64 - mean * mean).max(0.0);
        rule.least.holds(Fixed::from_units(amount))
            && units(amount) > mean + units(rule.factor.units()) * variance.sqrt()
    }

    /// Remembers what a span came to, which is after all others.
    pub(crate) fn observe(&mut self, span: i64, amount: i128, rule: &Deviation) {
        let from = span - rule.history_spans;
        if self.last().is_none_or(|last| last < from) {
            self.since = span;
            self.all.clear();
        }
        while self.all.front().is_some_and(|(at, _)| *at <= from) {
            self.all.pop_front();
        }
        self.all.push_back((span, amount));
    }
}
