//! One group of one correlation: its events, and what was said of them so far.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use casebook_event::{AlertStatus, EventId, Timestamp};
use compact_str::CompactString;

use super::alert::{alert_id, alert_number};
use super::codec::{Damaged, Names, Reader, put_number, put_signed, put_u128};
use super::events::{Entry, Events, Inserted};
use super::past::Past;
use super::plan::CorrelationPlan;
use super::repair::Revisions;
use super::window::{Window, first_window};
use crate::sigma::correlation::CorrelationKind;

/// A report that a group makes; the engine turns it into an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    pub id: CompactString,
    pub revision: u32,
    pub status: AlertStatus,
    pub superseded_by: Option<CompactString>,
    pub window: Window,
}

/// What tells groups apart: the rule, and the values of its group-by fields.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct GroupKey {
    pub rule_id: Arc<str>,
    pub values: Vec<CompactString>,
}

/// What groups take in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Weight {
    /// In bytes, about.
    pub bytes: usize,
    pub events: usize,
}

impl std::ops::AddAssign for Weight {
    fn add_assign(&mut self, more: Self) {
        self.bytes += more.bytes;
        self.events += more.events;
    }
}

impl std::ops::SubAssign for Weight {
    /// What is estimated may be estimated otherwise later: it is never less than nothing.
    fn sub_assign(&mut self, less: Self) {
        self.bytes = self.bytes.saturating_sub(less.bytes);
        self.events = self.events.saturating_sub(less.events);
    }
}

/// The state of a group.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(super) key: Arc<GroupKey>,
    pub(super) events: Events,
    /// What most groups have nothing of.
    pub(super) told: Option<Box<ToldOf>>,
    pub(super) past: Option<Box<Past>>,
    /// When it was used last, in the count of the engine's passes over all groups.
    pub used: u32,
}

/// What a group takes in bytes whatever is in it, about: itself in a table that is not full, its key, and its place among those
/// that are due.
const OF_A_GROUP_BYTES: usize = 2 * size_of::<Group>() + 2 * size_of::<GroupKey>() + 96;

/// What was said of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ToldOf {
    /// The windows in the events as they are, in order: kept up by plans that [scan](crate::sigma::correlation::CorrelationKind::scans)
    /// and report early.
    pub windows: VecDeque<Window>,
    /// The last revision that was reported of every window that may be reported again, by the event that begins it.
    pub revisions: BTreeMap<(Timestamp, EventId), u32>,
}

impl Group {
    pub(crate) fn new(plan: &CorrelationPlan, key: Arc<GroupKey>) -> Self {
        Self {
            key,
            events: Events::of(plan),
            told: None,
            past: None,
            used: 0,
        }
    }

    pub(crate) fn key(&self) -> &Arc<GroupKey> {
        &self.key
    }

    /// From when to when its past is, if it has one.
    pub(crate) fn past_times(&self) -> (Timestamp, Timestamp) {
        self.past
            .as_ref()
            .map_or((Timestamp::MIN, Timestamp::MIN), |past| past.times())
    }

    /// The time of its last event, as far as it remembers: of one that remembers spans, the end of the last.
    pub(super) fn latest(&self, plan: &CorrelationPlan) -> Option<Timestamp> {
        let last = self.events.len().checked_sub(1).and_then(|last| self.events.get(last));
        let of_past = self.past.as_ref().and_then(|past| past.latest(plan));
        last.map(|event| event.time).max(of_past)
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
        let told = self.told.as_ref().map_or(0, |told| {
            size_of::<ToldOf>() + told.windows.len() * size_of::<Window>() + told.revisions.len() * 64
        });
        let past = self.past.as_ref().map_or(0, |past| past.bytes());
        OF_A_GROUP_BYTES + values.sum::<usize>() + self.events.bytes() + told + past
    }

    /// Writes all but the key.
    pub(crate) fn encode(&self, out: &mut Vec<u8>, names: &mut Names) {
        put_number(out, self.events.len() as u64);
        let mut before = 0;
        for entry in self.events.entries() {
            entry.encode(before, out, names);
            before = entry.event.time.as_nanos();
        }
        let empty = ToldOf::default();
        let told = self.told.as_deref().unwrap_or(&empty);
        put_number(out, told.windows.len() as u64);
        for window in &told.windows {
            window.encode(out);
        }
        put_number(out, told.revisions.len() as u64);
        for ((time, id), revision) in &told.revisions {
            put_signed(out, time.as_nanos());
            put_u128(out, id.as_u128());
            put_number(out, u64::from(*revision));
        }
        self.past.as_deref().unwrap_or(&Past::None).encode(out);
    }

    /// Reads over a group whose rule is gone.
    pub(crate) fn skip(from: &mut Reader<'_>, names: &Names) -> Result<(), Damaged> {
        for _ in 0..from.count()? {
            Entry::decode(0, from, names)?;
        }
        for _ in 0..from.count()? {
            Window::decode(from)?;
        }
        for _ in 0..from.count()? {
            from.time()?;
            from.u128()?;
            from.number()?;
        }
        Past::decode(from).map(drop)
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
        let mut told = ToldOf::default();
        for _ in 0..from.count()? {
            told.windows.push_back(Window::decode(from)?);
        }
        for _ in 0..from.count()? {
            let begin = (from.time()?, EventId::from_u128(from.u128()?));
            let revision = u32::try_from(from.number()?).map_err(|_| from.damaged())?;
            told.revisions.insert(begin, revision);
        }
        group.told = (told != ToldOf::default()).then(|| told.into());
        let past = Past::decode(from)?;
        group.past = (!past.is_none()).then(|| past.into());
        Ok(group)
    }

    pub(crate) fn events(&self) -> &Events {
        &self.events
    }

    /// The earliest watermark at which [`Group::close`] has something to do: it must be passed.
    pub(crate) fn due(&self, plan: &CorrelationPlan) -> Option<Timestamp> {
        let Some(first) = self.events.get(0).map(|event| event.time) else {
            return self.past.as_ref()?.ends(plan);
        };
        let first = match &plan.kind {
            CorrelationKind::FirstSeen(_) => first,
            CorrelationKind::Deviation(_) => plan.span_end(plan.span_of(first)),
            _ => plan.window_end(first),
        };
        let told = self.told.as_ref().and_then(|told| told.windows.front());
        Some(told.map_or(first, |window| window.to.min(first)))
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
            Inserted::Members | Inserted::Value => return self.look_again(plan, time, from, reports),
            Inserted::New if self.is_settled(time) => return,
            Inserted::New => {}
        }
        match value {
            None => self.look_again(plan, time, from, reports),
            Some(value) => self.look_again_for(plan, &value, (time, id), from, reports),
        }
    }

    /// As [`Group::look_again`], but only where the value of the new event can have changed a window. A flood of few
    /// values, in whatever order, then costs little an event.
    fn look_again_for(
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
        // begins behind it then, and takes its place if there is such a one.
        let reach = plan.window_end(time);
        if let Some(next) = self.events.next_with(value, time).filter(|next| *next <= reach) {
            let lacked = next.saturating_add_nanos(-plan.timespan_nanos).min(time);
            let begins = self.events.at_or_after(from) < self.events.at_or_after(lacked);
            let replaces = self.windows().is_some_and(|windows| {
                let behind = windows.partition_point(|window| window.first < time);
                windows.get(behind).is_some_and(|window| window.first <= reach)
            });
            if !begins && !replaces {
                return;
            }
        }
        self.look_again(plan, time, from, reports);
    }

    /// Whether an event at `time` falls into a window whose condition was met by then. No window that begins earlier can
    /// come of it: it would have all that this one has, and so would have been there before.
    fn is_settled(&self, time: Timestamp) -> bool {
        let Some(windows) = self.windows() else { return false };
        let at = windows.partition_point(|window| window.to < time);
        // A sequence ends when it is met, and an event at its end may still be wanted elsewhere in it.
        windows
            .get(at)
            .is_some_and(|window| window.first < time && window.met <= time && window.met < window.to)
    }

    fn windows(&self) -> Option<&VecDeque<Window>> {
        self.told.as_ref().map(|told| &told.windows)
    }

    /// Finds the windows anew where an event at `time` can have changed them, and reports the difference.
    ///
    /// Windows that end before the event are as they were: what they use up lies before it. Of the others, none that is
    /// another now begins before `from`, which is never further back than the timespan. Behind the event and the window around it, a different window can begin only among
    /// the events that were used up before and now are not.
    fn look_again(&mut self, plan: &CorrelationPlan, time: Timestamp, from: Timestamp, reports: &mut Vec<Report>) {
        // Most groups have none, which is not worth an allocation.
        let mut told = self.told.take().map(|told| *told).unwrap_or_default();
        let windows = &mut told.windows;
        let kept = windows.partition_point(|window| window.to < time);
        let old: Vec<Window> = windows.split_off(kept).into();
        let reach = self.events.at_or_after(from);
        let mut start = windows
            .back()
            .map_or(0, |window| self.events.after(window.to))
            .max(reach);
        // A window that the event falls into may be another now: an event that turns out to match one more member may
        // be wanted elsewhere in a sequence.
        let mut changed_to = old.first().filter(|old| old.first <= time).map_or(time, |old| old.to);
        while let Some(window) = first_window(plan, &self.events, start, changed_to) {
            windows.push_back(window);
            start = self.events.after(window.to);
            let begun = old.partition_point(|old| old.first <= window.to);
            let freed_to = old[..begun].last().map_or(window.to, |old| old.to.max(window.to));
            changed_to = changed_to.max(freed_to);
        }
        let changed = old.partition_point(|old| old.first <= changed_to);
        // What may still turn out not to hold is not said before it is final.
        if plan.is_monotone() {
            self.report_difference(plan, &old[..changed], kept, &mut told, reports);
        }
        told.windows.extend(&old[changed..]);
        self.told = (told != ToldOf::default()).then(|| told.into());
    }

    /// Goes on from a group that this one, which was made anew, takes the place of: reports the windows that are not complete and that
    /// are others now.
    pub(super) fn go_on_from(
        &mut self,
        plan: &CorrelationPlan,
        before: Option<&Self>,
        provisional: bool,
        revisions: &Revisions<'_>,
        reports: &mut Vec<Report>,
    ) {
        if !provisional || !plan.kind.scans() {
            return;
        }
        let mut told = before
            .and_then(|before| before.told.as_deref().cloned())
            .unwrap_or_default();
        let mut old: Vec<Window> = std::mem::take(&mut told.windows).into();
        old.retain(|window| {
            let id = alert_number(&plan.rule.id, &self.key.values, window.anchor);
            !revisions.is_final(id)
        });
        for event in self.events.entries().map(|entry| &entry.event) {
            let last = revisions.last(alert_number(&plan.rule.id, &self.key.values, event.event_id));
            if last > 0 {
                let revision = told.revisions.entry((event.time, event.event_id)).or_default();
                *revision = last.max(*revision);
            }
        }
        let mut start = 0;
        while let Some(window) = first_window(plan, &self.events, start, Timestamp::MAX) {
            start = self.events.after(window.to);
            told.windows.push_back(window);
        }
        if plan.is_monotone() {
            self.report_difference(plan, &old, 0, &mut told, reports);
        }
        self.told = (told != ToldOf::default()).then(|| told.into());
    }

    fn report_difference(
        &self,
        plan: &CorrelationPlan,
        old: &[Window],
        kept: usize,
        told: &mut ToldOf,
        reports: &mut Vec<Report>,
    ) {
        let new: Vec<Window> = told.windows.range(kept..).copied().collect();
        let id = |window: &Window| alert_id(&plan.rule.id, &self.key.values, window.anchor);
        let mut report = |window: &Window, status: AlertStatus, superseded_by: Option<CompactString>| {
            let revision = told.revisions.entry((window.first, window.anchor)).or_default();
            *revision += 1;
            reports.push(Report {
                id: id(window),
                revision: *revision,
                status,
                superseded_by,
                window: *window,
            });
        };
        for gone in old.iter().filter(|old| !new.iter().any(|new| new.anchor == old.anchor)) {
            let teller = new.iter().find(|new| new.to >= gone.first).or(new.last()).map(id);
            report(gone, AlertStatus::Withdrawn, teller);
        }
        for found in new.iter().filter(|new| !old.iter().any(|old| new.anchor == old.anchor)) {
            report(found, AlertStatus::Provisional, None);
        }
    }
}
