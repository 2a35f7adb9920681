//! One group of one correlation: its events, and what was emitted of them so far.

use std::collections::VecDeque;
use std::sync::Arc;

use casebook_event::{EventId, Timestamp};

use super::baseline::Baseline;
use super::emitted::{EmittedWindows, Of};
use super::entry::Entry;
use super::events::{Events, Inserted};
use super::key::{GroupKey, Weight};
use super::report::Report;
use super::revisions::Revisions;
use super::window::Window;
use crate::correlation::codec::{Damaged, Names, Reader, put_number};
use crate::correlation::plan::CorrelationPlan;
use crate::sigma::correlation::CorrelationKind;

/// The state of a group.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(super) key: Arc<GroupKey>,
    pub(super) events: Events,
    /// What most groups have nothing of.
    pub(super) emitted: Option<Box<EmittedWindows>>,
    pub(super) baseline: Option<Box<Baseline>>,
    /// When it was used last, in the count of the engine's passes over all groups.
    pub used: u32,
}

/// What a group takes in bytes whatever is in it, about: itself in a table that is not full, its key, and its place among those
/// that are due.
const OF_A_GROUP_BYTES: usize = 2 * size_of::<Group>() + 2 * size_of::<GroupKey>() + 96;

impl Group {
    pub(crate) fn new(plan: &CorrelationPlan, key: Arc<GroupKey>) -> Self {
        Self {
            key,
            events: Events::of(plan),
            emitted: None,
            baseline: None,
            used: 0,
        }
    }

    pub(crate) fn key(&self) -> &Arc<GroupKey> {
        &self.key
    }

    /// From when to when its baseline is, if it has one.
    pub(crate) fn baseline_times(&self) -> (Timestamp, Timestamp) {
        self.baseline
            .as_ref()
            .map_or((Timestamp::MIN, Timestamp::MIN), |baseline| baseline.times())
    }

    /// The time of its last event, as far as it remembers: of one that remembers spans, the end of the last.
    pub(crate) fn latest(&self, plan: &CorrelationPlan) -> Option<Timestamp> {
        let last = self.events.len().checked_sub(1).and_then(|last| self.events.get(last));
        let of_baseline = self.baseline.as_ref().and_then(|baseline| baseline.latest(plan));
        last.map(|event| event.time).max(of_baseline)
    }

    /// What it takes.
    pub(crate) fn weight(&self) -> Weight {
        Weight {
            bytes: self.bytes(),
            events: self.events.len(),
        }
    }

    /// The bytes it takes in memory, about.
    fn bytes(&self) -> usize {
        let values = self.key.values.iter().map(|value| 24 + value.len());
        let emitted = self.emitted.as_ref().map_or(0, |emitted| emitted.bytes());
        let baseline = self.baseline.as_ref().map_or(0, |baseline| baseline.bytes());
        OF_A_GROUP_BYTES + values.sum::<usize>() + self.events.bytes() + emitted + baseline
    }

    /// Writes all but the key.
    pub(crate) fn encode(&self, out: &mut Vec<u8>, names: &mut Names) {
        put_number(out, self.events.len() as u64);
        let mut before = 0;
        for entry in self.events.entries() {
            entry.encode(before, out, names);
            before = entry.event.time.as_nanos();
        }
        let empty = EmittedWindows::default();
        let emitted = self.emitted.as_deref().unwrap_or(&empty);
        emitted.encode(out);
        self.baseline.as_deref().unwrap_or(&Baseline::None).encode(out);
    }

    /// Reads over a group whose rule is gone.
    pub(crate) fn skip(from: &mut Reader<'_>, names: &Names) -> Result<(), Damaged> {
        for _ in 0..from.count()? {
            Entry::decode(0, from, names)?;
        }
        EmittedWindows::skip(from)?;
        Baseline::decode(from).map(drop)
    }

    pub(crate) fn decode(
        plan: &CorrelationPlan,
        key: Arc<GroupKey>,
        from: &mut Reader<'_>,
        names: &Names,
    ) -> Result<Self, Damaged> {
        let mut group = Self::new(plan, key);
        let mut before = 0;
        for _ in 0..from.count()? {
            let entry = Entry::decode(before, from, names)?;
            before = entry.event.time.as_nanos();
            group.events.insert(entry);
        }
        group.emitted = EmittedWindows::decode(from)?.boxed();
        let baseline = Baseline::decode(from)?;
        group.baseline = (!baseline.is_none()).then(|| baseline.into());
        Ok(group)
    }

    pub(crate) fn events(&self) -> &Events {
        &self.events
    }

    /// The earliest watermark at which [`Group::close`] has something to do: it must be passed.
    pub(crate) fn due(&self, plan: &CorrelationPlan) -> Option<Timestamp> {
        let Some(first) = self.events.get(0).map(|event| event.time) else {
            return self.baseline.as_ref()?.ends(plan);
        };
        let first = match &plan.kind {
            CorrelationKind::FirstSeen(_) => first,
            CorrelationKind::Deviation(_) => plan.span_end(plan.span_of(first)),
            _ => plan.window_end(first),
        };
        let emitted = self.emitted.as_ref().and_then(|emitted| emitted.windows.front());
        Some(emitted.map_or(first, |window| window.to.min(first)))
    }

    /// Takes an event. With `provisional`, `reports` gets what is now to be said at once.
    pub(crate) fn insert(
        &mut self,
        plan: &CorrelationPlan,
        entry: Entry,
        provisional: bool,
        reports: &mut Vec<Report>,
    ) {
        let (time, id) = (entry.event.time, entry.event.event_id);
        let value = entry.value.clone();
        let inserted = self.events.insert(entry);
        if !provisional || !plan.kind.scans() {
            return;
        }
        let from = time.saturating_add_nanos(-plan.timespan_nanos);
        match inserted {
            Inserted::Duplicate => return,
            Inserted::Members if !plan.kind.requires_members() => return,
            Inserted::Members | Inserted::Value => return self.revise(plan, time, from, reports),
            Inserted::New if self.emitted.as_ref().is_some_and(|emitted| emitted.is_settled(time)) => return,
            Inserted::New => {}
        }
        match value {
            None => self.revise(plan, time, from, reports),
            Some(value) => self.revise_for_value(plan, &value, (time, id), from, reports),
        }
    }

    /// As [`Group::revise`], but only where the value of the new event can have changed a window. A flood of few
    /// values, in whatever order, then costs little an event.
    fn revise_for_value(
        &mut self,
        plan: &CorrelationPlan,
        value: &str,
        (time, id): (Timestamp, EventId),
        from: Timestamp,
        reports: &mut Vec<Report>,
    ) {
        // Windows that begin up to the last event of the same value had that value already.
        let mut from = from;
        if let Some(last) = self.events.last_with(value, time, id) {
            let has_both = |window: &Window| window.first <= last && window.first < time && time <= window.to;
            if self.windows().is_some_and(|windows| windows.iter().any(has_both)) {
                return;
            }
            // Simultaneous events of one value differ in nothing, but that one of them names the window they begin.
            from = from.max(if last == time {
                time
            } else {
                last.saturating_add_nanos(1)
            });
        }
        // So had those that reach the next event of it. One that begins with the new event has no more than one that
        // begins after it then, and takes its place if there is such a one.
        let reach = plan.window_end(time);
        if let Some(next) = self.events.next_with(value, time).filter(|next| *next <= reach) {
            let lacked = next.saturating_add_nanos(-plan.timespan_nanos).min(time);
            let begins = self.events.at_or_after(from) < self.events.at_or_after(lacked);
            let replaces = self.windows().is_some_and(|windows| {
                let next = windows.partition_point(|window| window.first < time);
                windows.get(next).is_some_and(|window| window.first <= reach)
            });
            if !begins && !replaces {
                return;
            }
        }
        self.revise(plan, time, from, reports);
    }

    fn windows(&self) -> Option<&VecDeque<Window>> {
        self.emitted.as_ref().map(|emitted| &emitted.windows)
    }

    /// Finds the windows anew where an event at `time` can have changed them, and reports the difference.
    fn revise(&mut self, plan: &CorrelationPlan, time: Timestamp, from: Timestamp, reports: &mut Vec<Report>) {
        let mut emitted = self.emitted.take().map(|emitted| *emitted).unwrap_or_default();
        emitted.revise(self.of(plan), (time, from), reports);
        self.emitted = emitted.boxed();
    }

    /// Takes the place of another, which was emitted so far: reports the windows that are not complete and that are others now.
    pub(crate) fn replace(
        &mut self,
        plan: &CorrelationPlan,
        before: Option<&Self>,
        revisions: &Revisions<'_>,
        reports: &mut Vec<Report>,
    ) {
        if plan.kind.scans() {
            let before = before.and_then(|before| before.emitted.as_deref());
            self.emitted = EmittedWindows::continued(before, self.of(plan), revisions, reports).boxed();
        }
    }

    fn of<'a>(&'a self, plan: &'a CorrelationPlan) -> Of<'a> {
        Of {
            plan,
            events: &self.events,
            values: &self.key.values,
        }
    }
}
