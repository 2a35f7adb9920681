//! The events of one group that are not used up yet, in order of time and identity.

use std::collections::VecDeque;

use casebook_event::{EventId, EventRef, Timestamp};

use super::entry::{Entry, Order};
use super::event_index::EventIndex;
use crate::correlation::plan::CorrelationPlan;
use crate::sigma::correlation::CorrelationKind;

/// What inserting did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inserted {
    /// The event is new.
    New,
    /// It is there, and matched members that it had not matched before.
    Members,
    /// It is there, and has another value now; perhaps it matched other members, too.
    Value,
    /// It was all there already.
    Duplicate,
}

/// Events in order. Appending in order of time is cheap; so is everything near the end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Events {
    /// Boxed, because an event that is not the last has others moved aside for it.
    all: VecDeque<Box<Entry>>,
    index: EventIndex,
    /// What the entries take in memory, about.
    bytes: usize,
}

impl Events {
    /// No events of a plan's group.
    pub(crate) fn of(plan: &CorrelationPlan) -> Self {
        Self {
            all: VecDeque::new(),
            index: EventIndex::of(plan),
            bytes: 0,
        }
    }

    /// Puts an event in its place.
    pub(crate) fn insert(&mut self, new: Entry) -> Inserted {
        let order = new.order();
        let at = self.all.partition_point(|entry| entry.order() < order);
        let Some(entry) = self.all.get_mut(at).filter(|entry| entry.order() == order) else {
            let entry = Box::new(new);
            self.index.add(&entry);
            self.bytes += entry.bytes();
            self.all.insert(at, entry);
            return Inserted::New;
        };
        let Entry {
            members, value, event, ..
        } = new;
        // Of duplicates the first position is cited, whichever arrived first.
        if event.position < entry.event.position {
            entry.event = event;
        }
        // Two members may find different values in one event; the lesser counts, whichever comes first.
        let value = match (&entry.value, value) {
            (Some(a), Some(b)) => Some(a.clone().min(b)),
            (a, b) => a.clone().or(b),
        };
        if entry.members | members == entry.members && value == entry.value {
            return Inserted::Duplicate;
        }
        let before = entry.clone();
        entry.members |= members;
        entry.value = value;
        self.index.replace(&before, entry);
        if entry.value == before.value {
            Inserted::Members
        } else {
            Inserted::Value
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// The bytes they take in memory beside the struct itself, about.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.all.capacity() * size_of::<Box<Entry>>() + self.index.bytes()
    }

    pub(crate) fn get(&self, at: usize) -> Option<&EventRef> {
        self.all.get(at).map(|entry| &entry.event)
    }

    pub(crate) fn entry(&self, at: usize) -> Option<&Entry> {
        self.all.get(at).map(Box::as_ref)
    }

    /// Whether an event is among them.
    pub(crate) fn has(&self, event: &EventRef) -> bool {
        let sought = (event.time, event.event_id);
        self.all.binary_search_by_key(&sought, |entry| entry.order()).is_ok()
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.all.iter().map(Box::as_ref)
    }

    /// The entries from the first at or after `first` to the last at `to`.
    pub(crate) fn between(
        &self,
        first: Timestamp,
        to: Timestamp,
    ) -> impl DoubleEndedIterator<Item = &Entry> + ExactSizeIterator + Clone {
        let (start, end) = (self.at_or_after(first), self.after(to));
        self.all.range(start..end.max(start)).map(Box::as_ref)
    }

    /// The index of the first event at or after `time`.
    pub(crate) fn at_or_after(&self, time: Timestamp) -> usize {
        self.all.partition_point(|entry| entry.event.time < time)
    }

    /// The index of the first event after `time`.
    pub(crate) fn after(&self, time: Timestamp) -> usize {
        self.all.partition_point(|entry| entry.event.time <= time)
    }

    /// The earliest event at or after `time` that matched `member` and is not `used`. Among simultaneous ones the one
    /// that matched the fewest members is taken, which leaves the others to the members that follow; then the least id.
    /// No event of this member matched fewer than `least`: with that many, the search is over.
    pub(crate) fn next_of(&self, member: usize, least: u32, time: Timestamp, used: &[Order]) -> Option<Order> {
        let list = self.of_member(member)?;
        let start = list.partition_point(|((t, _), _)| *t < time);
        let mut best: Option<(Order, u32)> = None;
        for &(key, members) in list.range(start..) {
            if best.is_some_and(|((found, _), fewest)| found < key.0 || fewest <= least) {
                break;
            }
            if !used.contains(&key) && best.is_none_or(|(_, fewest)| members < fewest) {
                best = Some((key, members));
            }
        }
        best.map(|(key, _)| key)
    }

    /// The time of the `nth` event at or after `time` that matched `member`, from 1.
    pub(crate) fn nth_time(&self, member: usize, nth: usize, time: Timestamp) -> Option<Timestamp> {
        let list = self.of_member(member)?;
        let at = list.partition_point(|((t, _), _)| *t < time);
        list.get(at.checked_add(nth.checked_sub(1)?)?).map(|((t, _), _)| *t)
    }

    /// The time of the last event up to and at `time` that matched `member`.
    pub(crate) fn last_time(&self, member: usize, time: Timestamp) -> Option<Timestamp> {
        let list = self.of_member(member)?;
        let end = list.partition_point(|((t, _), _)| *t <= time);
        list.get(end.checked_sub(1)?).map(|((t, _), _)| *t)
    }

    /// Whether there is an event that matched `member`.
    pub(crate) fn has_member(&self, member: usize) -> bool {
        self.of_member(member).is_some_and(|list| !list.is_empty())
    }

    fn of_member(&self, member: usize) -> Option<&VecDeque<(Order, u32)>> {
        match &self.index {
            EventIndex::Members(lists) => lists.get(member),
            _ => None,
        }
    }

    /// How many different values there are.
    pub(crate) fn values(&self) -> usize {
        match &self.index {
            EventIndex::Values(lists) => lists.len(),
            _ => 0,
        }
    }

    /// The time of the last other event up to `time` that has `value`. `id` is that of the event meant, which is not
    /// another; those of the same time count.
    pub(crate) fn last_with(&self, value: &str, time: Timestamp, id: EventId) -> Option<Timestamp> {
        let EventIndex::Values(lists) = &self.index else {
            return None;
        };
        let list = lists.get(value)?;
        let end = list.partition_point(|(t, _)| *t <= time);
        let others = list.range(..end).rev().filter(|key| **key != (time, id));
        others.map(|(time, _)| *time).next()
    }

    /// The time of the first event after `time` that has `value`.
    pub(crate) fn next_with(&self, value: &str, time: Timestamp) -> Option<Timestamp> {
        let EventIndex::Values(lists) = &self.index else {
            return None;
        };
        let list = lists.get(value)?;
        list.get(list.partition_point(|(t, _)| *t <= time))
            .map(|(time, _)| *time)
    }

    /// Whether the events up to `to` meet the condition of a kind that is decided by what they come to.
    pub(crate) fn accumulated_holds(&mut self, kind: &CorrelationKind, to: Timestamp) -> bool {
        let EventIndex::Accumulator(first) = &mut self.index else {
            return false;
        };
        for entry in self
            .all
            .range(first.events()..)
            .take_while(|entry| entry.event.time <= to)
        {
            first.add(entry);
        }
        first.extended(to);
        first.holds(kind)
    }

    /// Removes every event before `time`.
    pub(crate) fn remove_before(&mut self, time: Timestamp) {
        self.remove(self.at_or_after(time));
    }

    /// Removes every event up to and at `time`.
    pub(crate) fn remove_to(&mut self, time: Timestamp) {
        self.remove(self.after(time));
    }

    fn remove(&mut self, end: usize) {
        for entry in self.all.drain(..end) {
            self.index.remove_first(&entry);
            self.bytes = self.bytes.saturating_sub(entry.bytes());
        }
    }
}
