//! Groups of events and their counts.

use std::cmp::Reverse;
use std::collections::HashMap;

use casebook_event::Timestamp;

use super::answer::{TallyBy, TallyRow};
use crate::limits::MAX_TALLY_GROUPS;

/// A group's key has the span's number and then each value with its length in front, so that no two groups have the same,
/// whatever is in the values.
type Key = Box<[u8]>;

/// Groups and their counts. Counting is mostly looking up keys: the hash is a fast one, and seeded, since values are chosen by
/// whoever writes the logs.
#[derive(Debug, Default)]
pub(super) struct Groups {
    counts: HashMap<Key, u64, foldhash::quality::RandomState>,
    other_count: u64,
}

impl Groups {
    /// Counts events of a group.
    pub fn add(&mut self, key: &[u8], count: u64) {
        if let Some(counted) = self.counts.get_mut(key) {
            *counted += count;
        } else if self.counts.len() < MAX_TALLY_GROUPS {
            self.counts.insert(key.into(), count);
        } else {
            self.other_count += count;
        }
    }

    /// Takes the counts of others along.
    pub fn merge(&mut self, mut others: Self) {
        if self.counts.len() < others.counts.len() {
            std::mem::swap(self, &mut others);
        }
        self.other_count += others.other_count;
        for (key, count) in others.counts {
            if let Some(counted) = self.counts.get_mut(&key) {
                *counted += count;
            } else if self.counts.len() < MAX_TALLY_GROUPS {
                self.counts.insert(key, count);
            } else {
                self.other_count += count;
            }
        }
    }

    /// How many groups there are.
    pub fn len(&self) -> u64 {
        self.counts.len() as u64
    }

    /// Counts of groups that are not reported one by one.
    pub fn other_count(&self) -> u64 {
        self.other_count
    }

    /// All counts.
    pub fn sum(&self) -> u64 {
        self.counts.values().sum()
    }

    /// The groups by time, then the most frequent first, then by value.
    pub fn rows(self, by: &TallyBy) -> Vec<TallyRow> {
        let mut groups: Vec<(Key, u64)> = self.counts.into_iter().collect();
        let most = by.most.filter(|_| by.span.is_none()).unwrap_or(usize::MAX);
        if most < groups.len() {
            // Those that may be reported: with as many events as the last of them, which may be many.
            let (_, (_, least), _) = groups.select_nth_unstable_by_key(most, |(_, count)| Reverse(*count));
            let least = *least;
            groups.retain(|(_, count)| *count >= least);
        }
        let mut rows: Vec<TallyRow> = groups
            .into_iter()
            .map(|(key, count)| read_key(&key, by, count))
            .collect();
        rows.sort_unstable_by(|a, b| (a.time, b.count, &a.values).cmp(&(b.time, a.count, &b.values)));
        rows.truncate(most);
        rows
    }
}

const SPAN_BYTES: usize = 8;
const LENGTH_BYTES: usize = 4;
/// Stands for the length of a value that is not there.
const ABSENT: [u8; LENGTH_BYTES] = u32::MAX.to_be_bytes();

/// Appends the number of a span to a key, in front of its values.
pub(super) fn push_span(key: &mut Vec<u8>, span: i64) {
    key.extend_from_slice(&span.to_be_bytes());
}

/// Appends a value to a key.
pub(super) fn push_value(key: &mut Vec<u8>, value: Option<&str>) {
    match value {
        Some(value) => {
            // A record is far smaller than four gigabytes.
            let length = u32::try_from(value.len()).unwrap_or(u32::MAX - 1);
            key.extend_from_slice(&length.to_be_bytes());
            key.extend_from_slice(value.as_bytes());
        }
        None => key.extend_from_slice(&ABSENT),
    }
}

fn read_key(key: &[u8], by: &TallyBy, count: u64) -> TallyRow {
    let (span, mut rest) = key.split_at(if by.span.is_some() { SPAN_BYTES } else { 0 });
    let number = |bytes: &[u8]| bytes.iter().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
    let mut values = Vec::with_capacity(by.fields.len());
    while rest.len() >= LENGTH_BYTES {
        let (length, after) = rest.split_at(LENGTH_BYTES);
        if *length == ABSENT {
            values.push(None);
            rest = after;
            continue;
        }
        let (value, after) = after.split_at((number(length) as usize).min(after.len()));
        values.push(Some(String::from_utf8_lossy(value).into_owned()));
        rest = after;
    }
    TallyRow {
        time: by
            .span
            .map(|nanos| Timestamp::from_nanos(number(span).cast_signed().saturating_mul(nanos))),
        values,
        count,
    }
}
