//! Where a record was read, and which offsets a batch covers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A partition of a topic. A file that is replayed is partition 0 of a topic named by its path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Partition {
    /// The topic.
    pub topic: Arc<str>,
    /// Its partition number.
    pub partition: i32,
}

impl Partition {
    /// Partition `partition` of `topic`.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self {
            topic: topic.into(),
            partition,
        }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.topic, self.partition)
    }
}

/// Where one event was read: its Kafka coordinates, and its place inside the record where a record holds several.
///
/// The order is that of reading within one partition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition of the topic.
    pub partition: i32,
    /// The record's offset; for a file, the number of the line (from 1) it starts at.
    pub offset: i64,
    /// The event's place in the record, from 0.
    pub index: u32,
}

impl fmt::Display for Position {
    /// `topic[partition]@offset`, and `.index` where the record held several events.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]@{}", self.topic, self.partition, self.offset)?;
        if self.index > 0 {
            write!(f, ".{}", self.index)
        } else {
            Ok(())
        }
    }
}

/// A half-open range of offsets of one partition: what a batch read and what a commit moves past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OffsetRange {
    /// The first offset read.
    pub start: i64,
    /// What `resume` was before that: who commits a range must have found both so.
    pub start_resume: i64,
    /// The next offset to read.
    pub end: i64,
    /// The offset from which to read again to bring back what was partial at `end`: the first fragment of the oldest line or
    /// event of which more was to come; else `end`.
    pub resume: i64,
}

/// Where reading of a partition begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartOffset {
    /// The next offset that no commit has.
    pub next: i64,
    /// The offset to read from: records before `next` only bring back pending fragments.
    pub resume: i64,
}

impl StartOffset {
    /// Reading that begins at `next`, with no partial record.
    pub const fn at(next: i64) -> Self {
        Self { next, resume: next }
    }
}

/// For each partition, the range of offsets that a batch covers: what its commit adds to a table's position. Offsets that hold
/// no record (compaction, transaction markers) are inside the range.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckpointDelta {
    ranges: BTreeMap<Partition, OffsetRange>,
}

/// Two ranges of a partition that do not follow each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotContiguous {
    /// The partition.
    pub partition: Partition,
    /// Where the first range ended.
    pub expected: i64,
    /// Where the second began.
    pub found: i64,
}

impl fmt::Display for NotContiguous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: the next batch starts at offset {}, not at {}",
            self.partition, self.found, self.expected
        )
    }
}

impl std::error::Error for NotContiguous {}

impl CheckpointDelta {
    /// Nothing read.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Whether nothing of a partition is noted yet.
    pub fn is_new(&self, partition: &Partition) -> bool {
        !self.ranges.contains_key(partition)
    }

    /// Notes that the record at `offset` was read; the partition starts at `start` if it is new.
    pub fn record(&mut self, partition: &Partition, start: i64, offset: i64) {
        match self.ranges.get_mut(partition) {
            Some(range) => {
                range.end = range.end.max(offset + 1);
                range.resume = range.end;
            }
            None => {
                self.ranges.insert(
                    partition.clone(),
                    OffsetRange {
                        start: start.min(offset),
                        start_resume: start.min(offset),
                        end: offset + 1,
                        resume: offset + 1,
                    },
                );
            }
        }
    }

    /// Begins the range of a partition where it stands, if it is new: before any record of it is noted.
    pub fn begin(&mut self, partition: &Partition, start: StartOffset) {
        self.ranges.entry(partition.clone()).or_insert(OffsetRange {
            start: start.next,
            start_resume: start.resume,
            end: start.next,
            resume: start.next,
        });
    }

    /// Notes the partial record of a partition: the offset of its oldest fragment, if there is any.
    pub fn note_partial(&mut self, partition: &Partition, oldest: Option<i64>) {
        if let Some(range) = self.ranges.get_mut(partition) {
            range.resume = oldest.unwrap_or(range.end).min(range.end);
        }
    }

    /// Appends `later` to this delta.
    ///
    /// # Errors
    /// A partition of `later` does not start where this one ends; then nothing is changed.
    pub fn extend(&mut self, later: &CheckpointDelta) -> Result<(), NotContiguous> {
        for (partition, range) in &later.ranges {
            if let Some(own) = self.ranges.get(partition)
                && own.end != range.start
            {
                return Err(NotContiguous {
                    partition: partition.clone(),
                    expected: own.end,
                    found: range.start,
                });
            }
        }
        for (partition, range) in &later.ranges {
            self.ranges
                .entry(partition.clone())
                .and_modify(|own| {
                    own.end = range.end;
                    own.resume = range.resume;
                })
                .or_insert(*range);
        }
        Ok(())
    }

    /// Forgets a partition, which was taken away before its records were committed.
    pub fn remove(&mut self, partition: &Partition) -> Option<OffsetRange> {
        self.ranges.remove(partition)
    }

    /// The partitions and their ranges, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Partition, OffsetRange)> {
        self.ranges.iter().map(|(partition, range)| (partition, *range))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delta(start: i64, end: i64) -> CheckpointDelta {
        let mut c = CheckpointDelta::new();
        c.record(&Partition::new("t", 0), start, end - 1);
        c
    }

    #[test]
    fn only_adjacent_ranges_join() {
        let mut c = delta(5, 9);
        assert!(c.extend(&delta(9, 12)).is_ok());
        assert_eq!(c.iter().map(|(_, r)| (r.start, r.end)).collect::<Vec<_>>(), [(5, 12)]);
        let error = c.extend(&delta(13, 14)).unwrap_err();
        assert_eq!(error.to_string(), "t[0]: the next batch starts at offset 13, not at 12");
        assert_eq!(c, {
            let mut same = delta(5, 9);
            same.extend(&delta(9, 12)).unwrap();
            same
        });
    }

    #[test]
    fn the_partial_record_is_the_latest_batch_s() {
        let partition = Partition::new("t", 0);
        let mut c = delta(5, 9);
        c.note_partial(&partition, Some(6));
        let mut later = CheckpointDelta::new();
        later.begin(&partition, StartOffset { next: 9, resume: 6 });
        later.record(&partition, 9, 11);
        later.note_partial(&partition, None);
        assert_eq!(
            later
                .iter()
                .map(|(_, r)| (r.start, r.start_resume, r.end))
                .collect::<Vec<_>>(),
            [(9, 6, 12)]
        );
        let resume = |c: &CheckpointDelta| c.iter().map(|(_, r)| (r.start, r.end, r.resume)).collect::<Vec<_>>();
        assert_eq!(resume(&c), [(5, 9, 6)]);
        c.extend(&later).unwrap();
        assert_eq!(resume(&c), [(5, 12, 12)]);
        let mut quiet = CheckpointDelta::new();
        quiet.begin(&partition, StartOffset::at(12));
        quiet.note_partial(&partition, Some(3));
        c.extend(&quiet).unwrap();
        assert_eq!(resume(&c), [(5, 12, 3)]);
    }

    proptest::proptest! {
        #[test]
        fn joining_batches_is_associative(a in 1i64..5, b in 1i64..5, c in 1i64..5) {
            let (x, y, z) = (delta(0, a), delta(a, a + b), delta(a + b, a + b + c));
            let mut left = x.clone();
            left.extend(&y).unwrap();
            left.extend(&z).unwrap();
            let mut tail = y;
            tail.extend(&z).unwrap();
            let mut right = x;
            right.extend(&tail).unwrap();
            proptest::prop_assert_eq!(left, right);
        }
    }
}
