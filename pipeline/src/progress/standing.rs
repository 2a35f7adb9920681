//! How far one partition is read and committed, and what the brokers say of its end.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use casebook_event::Timestamp;

/// Most marks that are kept of what was reported; beyond it every second one is forgotten, the newest never.
const MAX_MARKS: usize = 64;

/// After reading has begun somewhere, the consumer may tell for so long what it knew from before.
const SETTLING: Duration = Duration::from_secs(10);

/// An offset, and a time that belongs to it.
type Mark = (i64, Timestamp);

/// One partition as a stage reads it.
#[derive(Debug)]
pub(crate) struct Standing {
    /// The next offset to read.
    read: i64,
    /// The next offset to commit.
    committed: i64,
    /// When it last made progress.
    since: Instant,
    /// The offset after its last record, where the brokers have reported it.
    end: Option<i64>,
    /// When what the consumer tells of its own reading is of this reading.
    settled: Instant,
    /// The same since the partition is read here at all: one that is read again and again stalls all the same.
    first_settled: Instant,
    /// The offset after its last record, as it reported before that, where more offsets follow.
    claimed: Option<i64>,
    /// Whoever has read up to the first has read all that is before the second: after the last record there may be offsets that
    /// are none.
    last_record: Option<(i64, i64)>,
    /// The ends that the brokers reported, and when.
    ends: VecDeque<Mark>,
    /// The first record of each run that was read, and when it was written.
    runs: VecDeque<Mark>,
    /// At this time, all that the partition held was committed.
    read_to_end: Option<Timestamp>,
}

fn push(marks: &mut VecDeque<Mark>, mark: Mark) {
    if marks.len() >= MAX_MARKS {
        let mut place = marks.len();
        marks.retain(|_| {
            place -= 1;
            place.is_multiple_of(2)
        });
    }
    marks.push_back(mark);
}

impl Standing {
    /// A partition that is read from `next` on.
    pub(crate) fn new(next: i64, now: Instant) -> Self {
        Self {
            read: next,
            committed: next,
            since: now,
            end: None,
            settled: now + SETTLING,
            first_settled: now + SETTLING,
            claimed: None,
            last_record: None,
            ends: VecDeque::new(),
            runs: VecDeque::new(),
            read_to_end: None,
        }
    }

    pub(crate) fn committed(&self) -> i64 {
        self.committed
    }

    pub(crate) fn read(&self) -> i64 {
        self.read
    }

    pub(crate) fn since(&self) -> Instant {
        // What is left may be the mark of a transaction, as the consumer said while it was not to be believed yet.
        match self.claimed == Some(self.committed) {
            true => self.since.max(self.first_settled),
            false => self.since,
        }
    }

    /// Whether all that is known to be there is committed.
    pub(crate) fn is_done(&self) -> bool {
        self.end.is_none_or(|end| end <= self.committed) && self.read <= self.committed
    }

    /// What kept it from progress is over: it has all the time again.
    pub(crate) fn begin_anew(&mut self, now: Instant) {
        self.since = now;
    }

    /// The end as the consumer sees it: its last record ends at `end`, and what it has read is all before `high`.
    pub(crate) fn ends(&mut self, end: i64, high: i64, now: Instant) {
        if end < high {
            if now < self.settled {
                self.claimed = Some(end);
                return;
            }
            self.claimed = None;
            self.last_record = Some((end, high));
        }
        self.set_end(end, now);
    }

    /// The end that the brokers reported at `at`, when they were asked.
    pub(crate) fn reported_end(&mut self, high: i64, at: Timestamp, now: Instant) {
        let end = match self.last_record {
            Some((end, known)) if high <= known => end,
            _ => high,
        };
        self.set_end(end, now);
        match self.ends.back_mut() {
            // Nothing came since: what held then holds still.
            Some(last) if last.0 == end => last.1 = at,
            _ => push(&mut self.ends, (end, at)),
        }
        self.move_on();
    }

    fn set_end(&mut self, end: i64, now: Instant) {
        // Until now there was nothing to do.
        if self.is_done() {
            self.since = now;
        }
        self.end = Some(end);
    }

    /// Takes note of records that were read: the first of them, and the offset after the last.
    pub(crate) fn has_read(&mut self, first: Option<Mark>, next: i64) {
        if let Some(first) = first {
            push(&mut self.runs, first);
        }
        self.read = next;
    }

    /// It is read again from `next`, which is where the table stands: further than was known, if a commit landed that nobody
    /// heard of.
    pub(crate) fn restarted(&mut self, next: i64, now: Instant) {
        self.last_record = None;
        self.settled = now + SETTLING;
        self.has_committed(next, now);
        // What was read already is still to be committed.
        self.read = self.read.max(next);
    }

    pub(crate) fn has_committed(&mut self, next: i64, now: Instant) {
        if next > self.committed {
            self.committed = next;
            self.since = now;
        }
        // The run that the next record is of stays.
        while self.runs.get(1).is_some_and(|(first, _)| *first <= self.committed) {
            self.runs.pop_front();
        }
        self.move_on();
    }

    fn move_on(&mut self) {
        if let Some(at) = self.read_to_end_by(self.committed) {
            self.read_to_end = Some(at);
        }
        while self.ends.len() > 1 && self.ends.front().is_some_and(|(end, _)| *end <= self.committed) {
            self.ends.pop_front();
        }
    }

    /// When all that it held was before `next`: the latest such time that is known.
    pub(crate) fn read_to_end_by(&self, next: i64) -> Option<Timestamp> {
        let reached = self.ends.iter().rev().find(|(end, _)| *end <= next);
        reached.map(|(_, at)| *at).max(self.read_to_end)
    }

    /// Records between what is committed and the end; `None` where the end is not known.
    pub(crate) fn lag(&self) -> Option<i64> {
        self.end.map(|end| (end.max(self.read) - self.committed).max(0))
    }

    /// Since when the next record waits to be committed, at the latest: when it was written, or, where nothing was read yet,
    /// when the brokers first reported it.
    pub(crate) fn waits_since(&self) -> Option<Timestamp> {
        let run = self.runs.front().map(|(_, written)| *written);
        let reported = || self.ends.iter().find(|(end, _)| *end > self.committed);
        run.filter(|_| self.read > self.committed)
            .or_else(|| reported().map(|(_, at)| *at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn lag_is_what_is_not_committed_however_much_was_read() {
        let now = Instant::now();
        let mut standing = Standing::new(10, now);
        assert_eq!(standing.lag(), None, "its end is not known");
        standing.reported_end(10, at(1), now);
        assert_eq!((standing.lag(), standing.waits_since()), (Some(0), None));
        standing.reported_end(15, at(2), now);
        assert_eq!((standing.lag(), standing.waits_since()), (Some(5), Some(at(2))));
        // Read, and not committed: it waits since it was written.
        standing.has_read(Some((10, at(-50))), 13);
        standing.has_read(Some((13, at(-20))), 15);
        assert_eq!((standing.lag(), standing.waits_since()), (Some(5), Some(at(-50))));
        standing.has_committed(13, now);
        assert_eq!((standing.lag(), standing.waits_since()), (Some(2), Some(at(-20))));
        standing.has_committed(15, now);
        assert_eq!((standing.lag(), standing.waits_since()), (Some(0), None));
    }

    #[test]
    fn a_partition_is_read_to_the_end_that_it_had_when_the_brokers_reported_it() {
        let now = Instant::now();
        let mut standing = Standing::new(0, now);
        standing.reported_end(5, at(1), now);
        assert_eq!(standing.read_to_end_by(0), None);
        standing.reported_end(9, at(2), now);
        standing.reported_end(9, at(3), now);
        // A commit of the first five has what was there at 1, not what came since.
        assert_eq!(standing.read_to_end_by(5), Some(at(1)));
        assert_eq!(standing.read_to_end_by(8), Some(at(1)));
        assert_eq!(standing.read_to_end_by(9), Some(at(3)));
        standing.has_committed(8, now);
        assert_eq!(standing.read_to_end_by(8), Some(at(1)));
        standing.has_committed(9, now);
        // Nothing comes: every answer of the brokers says that all is known still.
        standing.reported_end(9, at(60), now);
        assert_eq!(standing.read_to_end_by(9), Some(at(60)));
        standing.reported_end(12, at(61), now);
        assert_eq!(standing.read_to_end_by(9), Some(at(60)), "something waits since");
    }

    /// The mark of a transaction is no record: who has read all records has read to the end.
    #[test]
    fn offsets_without_a_record_at_the_end_are_no_lag() {
        let now = Instant::now();
        let mut standing = Standing::new(0, now);
        // It may tell of a reading before this one.
        standing.ends(0, 10, now);
        standing.reported_end(10, at(4), now);
        assert_eq!((standing.lag(), standing.read_to_end_by(0)), (Some(10), None));
        assert_eq!(
            standing.since(),
            now + SETTLING,
            "no stall before the consumer is to be believed"
        );
        let now = now + SETTLING;
        standing.ends(8, 10, now);
        standing.has_committed(8, now);
        standing.reported_end(10, at(5), now);
        assert_eq!((standing.lag(), standing.read_to_end_by(8)), (Some(0), Some(at(5))));
        assert!(standing.is_done());
        standing.reported_end(11, at(6), now);
        assert_eq!((standing.lag(), standing.read_to_end_by(8)), (Some(3), Some(at(5))));
        assert!(!standing.is_done());
        standing.restarted(8, now);
        standing.ends(0, 11, now);
        standing.reported_end(11, at(7), now);
        assert_eq!(standing.read_to_end_by(8), Some(at(5)));
    }

    proptest::proptest! {
        /// Whatever comes in whatever order: what is reported is true of the broker's history, and as late as its answers allow but
        /// for those that were forgotten.
        #[test]
        fn no_time_is_reported_that_is_not_true(steps in proptest::collection::vec((0..3i64, 0..4i64), 1..400)) {
            let now = Instant::now();
            let mut standing = Standing::new(0, now);
            let (mut end, mut committed, mut history) = (0, 0, Vec::new());
            for (time, (more, commits)) in steps.into_iter().enumerate() {
                end += more;
                history.push((end, at(time as i64)));
                standing.reported_end(end, at(time as i64), now);
                committed = (committed + commits).min(end);
                standing.has_committed(committed, now);
                if let Some(reported) = standing.read_to_end_by(committed) {
                    let then = history.iter().find(|(_, at)| *at == reported).unwrap().0;
                    proptest::prop_assert!(then <= committed, "not all of {then} is before {committed}");
                }
                if committed == end {
                    proptest::prop_assert_eq!(standing.read_to_end_by(committed), Some(at(time as i64)));
                }
                proptest::prop_assert_eq!(standing.lag(), Some(end - committed));
            }
        }
    }
}
