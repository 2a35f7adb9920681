//! The events of one group that are not used up yet, in order of time and identity.

use std::collections::{HashMap, VecDeque};

use casebook_event::{Attributed, Entities, EventId, EventRef, Evidence, Position, Timestamp};
use compact_str::CompactString;

use super::codec::{Damaged, Names, Reader, put_bytes, put_number, put_signed, put_u128};
use super::front::Front;
use super::plan::CorrelationPlan;
use crate::sigma::correlation::CorrelationKind;

/// An event of a group, with the members that it matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// One bit for each member of the correlation that the event matched.
    pub members: u64,
    /// What the event has of what the correlation asks for, if it asks for a value.
    pub value: Option<CompactString>,
    /// The event.
    pub event: EventRef,
    /// Where the event is an alert of another correlation: the evidence of that.
    pub told: Option<Box<Told>>,
    /// Where the group is that of an entity: how the event came to it.
    pub attributed: Option<Box<Attributed>>,
}

/// The evidence of an alert that is an event of another correlation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// How many events there were.
    pub total: u64,
    /// The first of them.
    pub evidence: Vec<Evidence>,
}

impl Entry {
    /// The bytes it takes in memory, about: allocations have sizes of their own, some eighth above what is asked.
    fn bytes(&self) -> usize {
        let value = self.value.as_ref().map_or(0, |value| value.len());
        let told = self.told.as_ref().map_or(0, |told| told.evidence.len() * 1_024);
        let attributed = self.attributed.as_ref().map_or(0, |_| 512);
        let whole = attributed + size_of::<Self>() + self.event.entities.as_bytes().len() + value + told;
        whole + whole / 8
    }

    /// Writes it, with its time as the distance from `before`.
    pub(crate) fn encode(&self, before: i64, out: &mut Vec<u8>, names: &mut Names) {
        let EventRef {
            event_id,
            time,
            source,
            position,
            entities,
        } = &self.event;
        put_signed(out, time.as_nanos().wrapping_sub(before));
        put_u128(out, event_id.as_u128());
        put_number(out, self.members);
        put_number(out, names.number_of(source.name()));
        put_number(out, names.number(&position.topic));
        put_signed(out, position.partition.into());
        put_signed(out, position.offset);
        put_number(out, position.index.into());
        put_bytes(out, entities.as_bytes());
        let (has_value, is_told) = (u8::from(self.value.is_some()), u8::from(self.told.is_some()));
        let is_attributed = u8::from(self.attributed.is_some());
        out.push(has_value | is_told << 1 | is_attributed << 2);
        if let Some(value) = &self.value {
            put_bytes(out, value.as_bytes());
        }
        if let Some(told) = &self.told {
            put_number(out, told.total);
            // Plain data: serde_json cannot fail on it.
            put_bytes(out, &serde_json::to_vec(&told.evidence).unwrap_or_default());
        }
        if let Some(attributed) = &self.attributed {
            put_bytes(out, &serde_json::to_vec(attributed).unwrap_or_default());
        }
    }

    pub(crate) fn decode(before: i64, from: &mut Reader<'_>, names: &Names) -> Result<Self, Damaged> {
        let time = Timestamp::from_nanos(before.wrapping_add(from.signed()?));
        let event_id = EventId::from_u128(from.u128()?);
        let members = from.number()?;
        let source = names.get(from.number()?).and_then(|name| name.parse().ok());
        let source = source.ok_or(from.damaged())?;
        let topic = names.get(from.number()?).cloned().ok_or(from.damaged())?;
        let position = Position {
            topic,
            partition: i32::try_from(from.signed()?).map_err(|_| from.damaged())?,
            offset: from.signed()?,
            index: u32::try_from(from.number()?).map_err(|_| from.damaged())?,
        };
        let entities = Entities::from_bytes(from.bytes()?).ok_or(from.damaged())?;
        let flags = from.byte()?;
        let value = if flags & 1 == 1 { Some(from.text()?) } else { None };
        let told = if flags & 2 == 2 {
            let total = from.number()?;
            let evidence = serde_json::from_slice(from.bytes()?).map_err(|_| from.damaged())?;
            Some(Box::new(Told { total, evidence }))
        } else {
            None
        };
        let attributed = if flags & 4 == 4 {
            Some(serde_json::from_slice(from.bytes()?).map_err(|_| from.damaged())?)
        } else {
            None
        };
        Ok(Self {
            members,
            value,
            attributed,
            event: EventRef {
                event_id,
                time,
                source,
                position,
                entities,
            },
            told,
        })
    }
}

/// What a value of a map from values takes, in bytes, about.
const VALUE_BYTES: usize = size_of::<CompactString>() + size_of::<VecDeque<Key>>();

/// The place of an event in the order.
type Key = (Timestamp, EventId);

fn key(entry: &Entry) -> Key {
    (entry.event.time, entry.event.event_id)
}

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
    index: Index,
    /// What the entries take in memory, about.
    bytes: usize,
}

/// What a kind of correlation needs to know beside the order of events.
#[derive(Debug, Clone, Default)]
enum Index {
    #[default]
    None,
    /// The events of each member, in order, with the number of members that each matched.
    Members(Vec<VecDeque<(Key, u32)>>),
    /// The events of each value, in order.
    Values(HashMap<CompactString, VecDeque<Key>>),
    /// What the first events come to.
    Front(Front),
}

impl Events {
    /// No events of a plan's group.
    pub(crate) fn of(plan: &CorrelationPlan) -> Self {
        let members = plan.members.len();
        let index = match (&plan.kind, plan.is_monotone()) {
            (CorrelationKind::TemporalOrdered(_), _) | (CorrelationKind::Temporal(_), true) => {
                Index::Members(vec![VecDeque::new(); members])
            }
            (CorrelationKind::ValueCount(_), true) => Index::Values(HashMap::new()),
            (kind, _) => Front::new(kind, members).map_or(Index::None, Index::Front),
        };
        Self {
            all: VecDeque::new(),
            index,
            bytes: 0,
        }
    }

    /// Puts an event in its place.
    pub(crate) fn insert(&mut self, new: Entry) -> Inserted {
        let key = key(&new);
        let at = self.all.partition_point(|entry| self::key(entry) < key);
        let Some(entry) = self.all.get_mut(at).filter(|entry| self::key(entry) == key) else {
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
        self.all.binary_search_by_key(&sought, |entry| key(entry)).is_ok()
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
    pub(crate) fn next_of(&self, member: usize, least: u32, time: Timestamp, used: &[Key]) -> Option<Key> {
        let list = self.of_member(member)?;
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

    fn of_member(&self, member: usize) -> Option<&VecDeque<(Key, u32)>> {
        match &self.index {
            Index::Members(lists) => lists.get(member),
            _ => None,
        }
    }

    /// How many different values there are.
    pub(crate) fn values(&self) -> usize {
        match &self.index {
            Index::Values(lists) => lists.len(),
            _ => 0,
        }
    }

    /// The time of the last other event up to `time` that has `value`. `id` is that of the event meant, which is not
    /// another; those of the same time count.
    pub(crate) fn last_with(&self, value: &str, time: Timestamp, id: EventId) -> Option<Timestamp> {
        let Index::Values(lists) = &self.index else { return None };
        let list = lists.get(value)?;
        let end = list.partition_point(|(t, _)| *t <= time);
        let others = list.range(..end).rev().filter(|key| **key != (time, id));
        others.map(|(time, _)| *time).next()
    }

    /// The time of the first event after `time` that has `value`.
    pub(crate) fn next_with(&self, value: &str, time: Timestamp) -> Option<Timestamp> {
        let Index::Values(lists) = &self.index else { return None };
        let list = lists.get(value)?;
        list.get(list.partition_point(|(t, _)| *t <= time))
            .map(|(time, _)| *time)
    }

    /// Whether the events up to `to` meet the condition of a kind that is decided by what they come to.
    pub(crate) fn front_holds(&mut self, kind: &CorrelationKind, to: Timestamp) -> bool {
        let Index::Front(front) = &mut self.index else {
            return false;
        };
        for entry in self
            .all
            .range(front.events()..)
            .take_while(|entry| entry.event.time <= to)
        {
            front.add(entry);
        }
        front.extended(to);
        front.holds(kind)
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

impl Index {
    /// The bytes it takes in memory beside the struct itself, about.
    fn bytes(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Members(lists) => {
                let lists = lists.iter();
                let of_list =
                    |list: &VecDeque<(Key, u32)>| size_of_val(list) + list.capacity() * size_of::<(Key, u32)>();
                lists.map(of_list).sum()
            }
            // Most values have one event, and room for four.
            Self::Values(lists) => lists.capacity() * (VALUE_BYTES + 4 * size_of::<Key>()),
            Self::Front(front) => front.bytes(),
        }
    }

    fn add(&mut self, entry: &Entry) {
        let key = key(entry);
        match self {
            Self::None => {}
            Self::Members(lists) => {
                for list in of_members(lists, entry.members) {
                    let at = list.partition_point(|(k, _)| *k < key);
                    list.insert(at, (key, entry.members.count_ones()));
                }
            }
            Self::Values(lists) => {
                let list = lists.entry(entry.value.clone().unwrap_or_default()).or_default();
                list.insert(list.partition_point(|k| *k < key), key);
            }
            Self::Front(front) if front.reaches(key.0) => front.add(entry),
            Self::Front(_) => {}
        }
    }

    /// An event matched members that it had not matched before, or has another value.
    fn replace(&mut self, before: &Entry, entry: &Entry) {
        let key = key(entry);
        match self {
            Self::None => {}
            Self::Members(lists) => {
                for list in of_members(lists, before.members) {
                    if let Ok(at) = list.binary_search_by_key(&key, |(k, _)| *k) {
                        list.remove(at);
                    }
                }
            }
            Self::Values(lists) => remove_value(lists, before),
            Self::Front(front) if front.reaches(key.0) => front.remove(before),
            Self::Front(_) => {}
        }
        self.add(entry);
    }

    /// The first event of all is gone.
    fn remove_first(&mut self, entry: &Entry) {
        match self {
            Self::None => {}
            Self::Members(lists) => of_members(lists, entry.members).for_each(|list| {
                list.pop_front();
            }),
            Self::Values(lists) => remove_value(lists, entry),
            Self::Front(front) if front.reaches(entry.event.time) => front.remove(entry),
            Self::Front(_) => {}
        }
    }
}

fn of_members(lists: &mut [VecDeque<(Key, u32)>], members: u64) -> impl Iterator<Item = &mut VecDeque<(Key, u32)>> {
    let lists = lists.iter_mut().enumerate();
    lists
        .filter(move |(at, _)| members >> at & 1 == 1)
        .map(|(_, list)| list)
}

fn remove_value(lists: &mut HashMap<CompactString, VecDeque<Key>>, entry: &Entry) {
    let value = entry.value.as_deref().unwrap_or_default();
    let Some(list) = lists.get_mut(value) else { return };
    if let Ok(at) = list.binary_search(&key(entry)) {
        list.remove(at);
    }
    if list.is_empty() {
        lists.remove(value);
    }
}
