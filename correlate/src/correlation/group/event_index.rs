//! What a kind of correlation looks up among the events of a group.

use std::collections::{HashMap, VecDeque};

use compact_str::CompactString;

use super::accumulator::WindowAccumulator;
use super::entry::{Entry, Order};
use crate::correlation::plan::CorrelationPlan;
use crate::sigma::correlation::CorrelationKind;

/// What a value of a map from values takes, in bytes, about.
const VALUE_BYTES: usize = size_of::<CompactString>() + size_of::<VecDeque<Order>>();

/// What a kind of correlation needs to know beside the order of events.
#[derive(Debug, Clone, Default)]
pub(super) enum EventIndex {
    #[default]
    None,
    /// The events of each member, in order, with the number of members that each matched.
    Members(Vec<VecDeque<(Order, u32)>>),
    /// The events of each value, in order.
    Values(HashMap<CompactString, VecDeque<Order>>),
    /// What the first events come to.
    Accumulator(WindowAccumulator),
}

impl EventIndex {
    /// The index that a plan's groups need.
    pub(super) fn of(plan: &CorrelationPlan) -> Self {
        let members = plan.members.len();
        match (&plan.kind, plan.is_monotone()) {
            (CorrelationKind::TemporalOrdered(_), _) | (CorrelationKind::Temporal(_), true) => {
                Self::Members(vec![VecDeque::new(); members])
            }
            (CorrelationKind::ValueCount(_), true) => Self::Values(HashMap::new()),
            (kind, _) => WindowAccumulator::new(kind, members).map_or(Self::None, Self::Accumulator),
        }
    }

    /// The bytes it takes in memory beside the struct itself, about.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Members(lists) => {
                let lists = lists.iter();
                let of_list =
                    |list: &VecDeque<(Order, u32)>| size_of_val(list) + list.capacity() * size_of::<(Order, u32)>();
                lists.map(of_list).sum()
            }
            // Most values have one event, and room for four.
            Self::Values(lists) => lists.capacity() * (VALUE_BYTES + 4 * size_of::<Order>()),
            Self::Accumulator(first) => first.bytes(),
        }
    }

    pub(super) fn add(&mut self, entry: &Entry) {
        let order = entry.order();
        match self {
            Self::None => {}
            Self::Members(lists) => {
                for list in of_members(lists, entry.members) {
                    let at = list.partition_point(|(k, _)| *k < order);
                    list.insert(at, (order, entry.members.count_ones()));
                }
            }
            Self::Values(lists) => {
                let list = lists.entry(entry.value.clone().unwrap_or_default()).or_default();
                list.insert(list.partition_point(|k| *k < order), order);
            }
            Self::Accumulator(first) if first.reaches(order.0) => first.add(entry),
            Self::Accumulator(_) => {}
        }
    }

    /// An event matched members that it had not matched before, or has another value.
    pub(super) fn replace(&mut self, before: &Entry, entry: &Entry) {
        let order = entry.order();
        match self {
            Self::None => {}
            Self::Members(lists) => {
                for list in of_members(lists, before.members) {
                    if let Ok(at) = list.binary_search_by_key(&order, |(k, _)| *k) {
                        list.remove(at);
                    }
                }
            }
            Self::Values(lists) => remove_value(lists, before),
            Self::Accumulator(first) if first.reaches(order.0) => first.remove(before),
            Self::Accumulator(_) => {}
        }
        self.add(entry);
    }

    /// The first event of all is gone.
    pub(super) fn remove_first(&mut self, entry: &Entry) {
        match self {
            Self::None => {}
            Self::Members(lists) => of_members(lists, entry.members).for_each(|list| {
                list.pop_front();
            }),
            Self::Values(lists) => remove_value(lists, entry),
            Self::Accumulator(first) if first.reaches(entry.event.time) => first.remove(entry),
            Self::Accumulator(_) => {}
        }
    }
}

fn of_members(lists: &mut [VecDeque<(Order, u32)>], members: u64) -> impl Iterator<Item = &mut VecDeque<(Order, u32)>> {
    let lists = lists.iter_mut().enumerate();
    lists
        .filter(move |(at, _)| members >> at & 1 == 1)
        .map(|(_, list)| list)
}

fn remove_value(lists: &mut HashMap<CompactString, VecDeque<Order>>, entry: &Entry) {
    let value = entry.value.as_deref().unwrap_or_default();
    let Some(list) = lists.get_mut(value) else { return };
    if let Ok(at) = list.binary_search(&entry.order()) {
        list.remove(at);
    }
    if list.is_empty() {
        lists.remove(value);
    }
}
