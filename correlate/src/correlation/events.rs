//! The events of one group that are not used up yet, in order of time and identity.

use std::collections::VecDeque;

use casebook_event::{EventId, EventRef, Timestamp};
use serde::{Deserialize, Serialize};

/// An event of a group, with the members that it matched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// One bit for each member of the correlation that the event matched.
    pub members: u64,
    /// The event.
    pub event: EventRef,
}

/// The place of an event in the order.
type Key = (Timestamp, EventId);

fn key(entry: &Entry) -> Key {
    (entry.event.time, entry.event.event_id)
}

/// What inserting did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inserted {
    /// The event is new, or matched members that it had not matched before.
    Changed,
    /// It was all there already.
    Duplicate,
}

/// Events in order. Appending in order of time is cheap; so is everything near the end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Events {
    /// Boxed, because an event that is not the last has others moved aside for it.
    all: VecDeque<Box<Entry>>,
    /// For a sequence: the events of each member, in order. Empty where nobody asks for them.
    by_member: Vec<VecDeque<(Key, u32)>>,
}

impl Events {
    /// No events; those of the first `members` members are kept apart as well.
    pub(crate) fn new(members: usize) -> Self {
        Self {
            all: VecDeque::new(),
            by_member: vec![VecDeque::new(); members],
        }
    }

    /// Puts an event in its place.
    pub(crate) fn insert(&mut self, members: u64, event: EventRef) -> Inserted {
        let key = (event.time, event.event_id);
        let at = self.all.partition_point(|entry| self::key(entry) < key);
        let before = match self.all.get_mut(at) {
            Some(entry) if self::key(entry) == key => {
                // Of duplicates the first position is cited, whichever arrived first.
                if event.position < entry.event.position {
                    entry.event = event;
                }
                let before = entry.members;
                entry.members |= members;
                before
            }
            _ => {
                self.all.insert(at, Box::new(Entry { members, event }));
                0
            }
        };
        let now = before | members;
        if now == before {
            return Inserted::Duplicate;
        }
        for (member, list) in self
            .by_member
            .iter_mut()
            .enumerate()
            .filter(|(member, _)| now & (1 << member) != 0)
        {
            let at = list.partition_point(|(k, _)| *k < key);
            let entry = (key, now.count_ones());
            if before & (1 << member) == 0 {
                list.insert(at, entry);
            } else if let Some(found) = list.get_mut(at) {
                *found = entry;
            }
        }
        Inserted::Changed
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn get(&self, at: usize) -> Option<&EventRef> {
        self.all.get(at).map(|entry| &entry.event)
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.all.iter().map(Box::as_ref)
    }

    /// The entries from the first at or after `first` to the last at `to`.
    pub(crate) fn between(
        &self,
        first: Timestamp,
        to: Timestamp,
    ) -> impl DoubleEndedIterator<Item = &Entry> + ExactSizeIterator {
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
    pub(crate) fn next_of(&self, member: usize, least: u32, time: Timestamp, used: &[Key]) -> Option<Key> {
        let list = self.by_member.get(member)?;
        let start = list.partition_point(|((t, _), _)| *t < time);
        let mut best: Option<(Key, u32)> = None;
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

    /// Removes every event before `time`.
    pub(crate) fn remove_before(&mut self, time: Timestamp) {
        let end = self.at_or_after(time);
        self.all.drain(..end);
        for list in &mut self.by_member {
            let end = list.partition_point(|((t, _), _)| *t < time);
            list.drain(..end);
        }
    }

    /// Removes every event up to and at `time`.
    pub(crate) fn remove_to(&mut self, time: Timestamp) {
        let end = self.after(time);
        self.all.drain(..end);
        for list in &mut self.by_member {
            let end = list.partition_point(|((t, _), _)| *t <= time);
            list.drain(..end);
        }
    }
}
