//! How far event time has come in each partition that is read here.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use casebook_event::{Binding, Event, Partition, Timestamp, Watermark};

use crate::config::deployment::LatenessConfig;
use crate::config::duration::as_nanos;

/// How far ahead of the reader's clock an event may claim to be and still move its partition's watermark. One event
/// with a wrong year must not make everything after it late.
pub const MAX_CLOCK_SKEW: Duration = Duration::from_secs(300);

/// Whether a binding is by a clock that runs ahead: it would be the last to be forgotten.
pub(crate) fn is_ahead(binding: &Binding, event: &Event) -> bool {
    binding.time > event.ingested.saturating_add_nanos(as_nanos(MAX_CLOCK_SKEW))
}

/// A watermark that moved by less than this is not reported again.
const STEP: Duration = Duration::from_secs(1);

/// The watermarks of the partitions read here.
#[derive(Debug)]
pub struct Watermarks {
    lateness: LatenessConfig,
    partitions: BTreeMap<Partition, State>,
}

#[derive(Debug)]
struct State {
    /// Greatest event time seen, less the lateness of its source.
    reached: Timestamp,
    /// What was reported of it last.
    reported: Timestamp,
    /// When the last record came.
    active: Instant,
    /// Records read so far; the broker's end, where it is known.
    next: Option<i64>,
    end: Option<i64>,
}

impl State {
    fn is_caught_up(&self) -> bool {
        self.end.is_some_and(|end| end <= self.next.unwrap_or(0))
    }
}

impl Watermarks {
    /// None yet.
    pub fn new(lateness: LatenessConfig) -> Self {
        Self {
            lateness,
            partitions: BTreeMap::new(),
        }
    }

    /// A partition is read from now on, at `next` if that is known. Its first watermark holds everything back.
    pub fn assigned(&mut self, partition: &Partition, next: Option<i64>, now: Instant) -> Watermark {
        let state = State {
            reached: Timestamp::MIN,
            reported: Timestamp::MIN,
            active: now,
            next,
            end: None,
        };
        self.partitions.insert(partition.clone(), state);
        Watermark {
            partition: partition.clone(),
            time: Timestamp::MIN,
        }
    }

    /// A partition is no longer read here.
    pub fn revoked(&mut self, partition: &Partition) {
        self.partitions.remove(partition);
    }

    /// Takes note of an event.
    pub fn observe(&mut self, event: &Event) {
        let key = Partition {
            topic: event.position.topic.clone(),
            partition: event.position.partition,
        };
        if let Some(state) = self.partitions.get_mut(&key) {
            let latest = event.ingested.saturating_add_nanos(as_nanos(MAX_CLOCK_SKEW));
            let time = event
                .time
                .min(latest)
                .saturating_add_nanos(-as_nanos(self.lateness.of(event.source)));
            state.reached = state.reached.max(time);
        }
    }

    /// Takes note of how far a partition was read.
    pub fn read(&mut self, partition: &Partition, next: i64, now: Instant) {
        if let Some(state) = self.partitions.get_mut(partition) {
            state.active = now;
            state.next = Some(next);
            // More was read than the brokers' end said: it is of before, and there may be more still.
            state.end = state.end.filter(|end| *end >= next);
        }
    }

    /// A partition is read again from `next`, which is where its table stands: further than was read, where another worker has
    /// committed meanwhile.
    pub fn restarted(&mut self, partition: &Partition, next: i64, now: Instant) {
        if let Some(state) = self.partitions.get_mut(partition) {
            state.active = now;
            state.next = Some(next);
            state.end = state.end.filter(|end| *end >= next);
        }
    }

    /// Takes note of the brokers' end of a partition.
    pub fn end_offset(&mut self, partition: &Partition, end: i64) {
        if let Some(state) = self.partitions.get_mut(partition) {
            state.end = Some(end);
        }
    }

    /// Whether a partition is read to the end that the brokers reported last; `false` where they have not yet.
    pub fn is_caught_up(&self, partition: &Partition) -> bool {
        self.partitions.get(partition).is_some_and(State::is_caught_up)
    }

    /// The watermarks that moved since they were reported last. A partition that is read to its end and silent for the
    /// configured time goes along with the clock, `wall`.
    pub fn advance(&mut self, now: Instant, wall: Timestamp) -> Vec<Watermark> {
        let idle = self.lateness.idle();
        let idle_lateness = casebook_event::Source::ALL
            .iter()
            .map(|&source| self.lateness.of(source))
            .max()
            .unwrap_or_default();
        let mut moved = Vec::new();
        for (partition, state) in &mut self.partitions {
            if state.is_caught_up() && now.duration_since(state.active) >= idle {
                state.reached = state.reached.max(wall.saturating_add_nanos(-as_nanos(idle_lateness)));
            }
            let due = state.reported.saturating_add_nanos(as_nanos(STEP));
            if state.reached > state.reported && (state.reported == Timestamp::MIN || state.reached >= due) {
                state.reported = state.reached;
                moved.push(Watermark {
                    partition: partition.clone(),
                    time: state.reached,
                });
            }
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use casebook_event::{EventId, Fields, Native, Position, Source};

    use super::*;

    fn event(partition: i32, seconds: i64) -> Event {
        Event {
            id: EventId::from_u128(1),
            time: Timestamp::from_seconds(seconds),
            ingested: Timestamp::from_seconds(10_000),
            source: Source::Auth,
            position: Position {
                topic: "t".into(),
                partition,
                offset: 0,
                index: 0,
            },
            fields: Fields::new(),
            native: Native::NONE,
            raw: "".into(),
        }
    }

    /// Somebody else has committed what was to be read: nothing more comes, and event time goes on with the clock.
    #[test]
    fn a_partition_that_others_have_read_to_its_end_does_not_hold_back_time() {
        let now = Instant::now();
        let partition = Partition::new("t", 0);
        let mut watermarks = Watermarks::new(LatenessConfig::default());
        watermarks.assigned(&partition, Some(3), now);
        watermarks.end_offset(&partition, 13);
        let later = now + Duration::from_secs(3_600);
        assert_eq!(watermarks.advance(later, Timestamp::from_seconds(10_000)), []);
        watermarks.restarted(&partition, 13, now);
        assert_eq!(watermarks.advance(later, Timestamp::from_seconds(10_000)).len(), 1);
    }

    /// An end that is less than what was read since says nothing of what follows: a line in parts would be cut there.
    #[test]
    fn nobody_is_caught_up_by_an_end_of_before() {
        let now = Instant::now();
        let partition = Partition::new("t", 0);
        let mut watermarks = Watermarks::new(LatenessConfig::default());
        watermarks.assigned(&partition, Some(2), now);
        watermarks.end_offset(&partition, 2);
        assert!(watermarks.is_caught_up(&partition));
        watermarks.read(&partition, 3, now);
        assert!(!watermarks.is_caught_up(&partition));
        watermarks.end_offset(&partition, 5);
        watermarks.read(&partition, 5, now);
        assert!(watermarks.is_caught_up(&partition));
    }

    #[test]
    fn a_watermark_follows_the_greatest_time_and_a_wrong_clock_does_not_move_it_far() {
        let start = Instant::now();
        let mut watermarks = Watermarks::new(LatenessConfig::default());
        let partition = Partition::new("t", 0);
        assert_eq!(watermarks.assigned(&partition, Some(0), start).time, Timestamp::MIN);
        watermarks.observe(&event(0, 1_000));
        watermarks.observe(&event(0, 900));
        watermarks.observe(&event(7, 99_999));
        let moved = watermarks.advance(start, Timestamp::from_seconds(10_000));
        assert_eq!(
            moved,
            [Watermark {
                partition: partition.clone(),
                time: Timestamp::from_seconds(940)
            }]
        );
        assert!(
            watermarks.advance(start, Timestamp::from_seconds(10_000)).is_empty(),
            "nothing moved"
        );
        watermarks.observe(&event(0, 4_000_000));
        assert_eq!(
            watermarks.advance(start, Timestamp::from_seconds(10_000))[0].time,
            Timestamp::from_seconds(10_240)
        );
    }

    #[test]
    fn only_a_partition_read_to_its_end_is_released_when_idle() {
        let start = Instant::now();
        let later = start + Duration::from_secs(31);
        let wall = Timestamp::from_seconds(100_000);
        let mut watermarks = Watermarks::new(LatenessConfig::default());
        let partition = Partition::new("t", 0);
        watermarks.assigned(&partition, Some(5), start);
        assert!(watermarks.advance(later, wall).is_empty(), "its end is not known");
        assert!(!watermarks.is_caught_up(&partition));
        watermarks.end_offset(&partition, 6);
        assert!(
            watermarks.advance(later, wall).is_empty(),
            "a record is still to be read"
        );
        watermarks.read(&partition, 6, start);
        assert!(watermarks.advance(start, wall).is_empty(), "it is not idle yet");
        assert!(watermarks.is_caught_up(&partition));
        assert_eq!(
            watermarks.advance(later, wall)[0].time,
            Timestamp::from_seconds(100_000 - 900)
        );
    }
}
