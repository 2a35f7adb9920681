//! One group of one correlation: its events, and what was said of them so far.

use std::collections::{BTreeMap, VecDeque};

use casebook_event::{AlertStatus, EventId, EventRef, Timestamp};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::alert::alert_id;
use super::events::{Entry, Events, Inserted};
use super::plan::CorrelationPlan;
use super::window::{Window, decided_count, first_window};
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

/// The state of a group.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    /// The values of the group-by fields.
    pub values: Vec<CompactString>,
    events: Events,
    /// Monotone plans that report early: the windows in the events as they are, in order.
    windows: VecDeque<Window>,
    /// The last revision that was reported of every window that may be reported again, by the event that begins it.
    revisions: BTreeMap<(Timestamp, EventId), u32>,
}

/// A [`Group`] as a snapshot holds it; the windows follow from the events.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct GroupState {
    pub rule_id: String,
    pub values: Vec<CompactString>,
    pub events: Vec<Entry>,
    pub windows: VecDeque<Window>,
    pub revisions: Vec<((Timestamp, EventId), u32)>,
}

impl Group {
    pub(crate) fn new(plan: &CorrelationPlan, values: Vec<CompactString>) -> Self {
        let members = if plan.kind == CorrelationKind::TemporalOrdered {
            plan.members.len()
        } else {
            0
        };
        Self {
            values,
            events: Events::new(members),
            windows: VecDeque::new(),
            revisions: BTreeMap::new(),
        }
    }

    pub(crate) fn restore(plan: &CorrelationPlan, state: GroupState) -> Self {
        let mut group = Self::new(plan, state.values);
        for entry in state.events {
            group.events.insert(entry.members, entry.event);
        }
        group.windows = state.windows;
        group.revisions = state.revisions.into_iter().collect();
        group
    }

    pub(crate) fn state(&self, rule_id: &str) -> GroupState {
        GroupState {
            rule_id: rule_id.to_owned(),
            values: self.values.clone(),
            events: self.events.entries().cloned().collect(),
            windows: self.windows.clone(),
            revisions: self
                .revisions
                .iter()
                .map(|(anchor, revision)| (*anchor, *revision))
                .collect(),
        }
    }

    pub(crate) fn events(&self) -> &Events {
        &self.events
    }

    /// The earliest watermark at which [`Group::close`] has something to do: it must be passed.
    pub(crate) fn due(&self, plan: &CorrelationPlan) -> Option<Timestamp> {
        let first = plan.window_end(self.events.get(0)?.time);
        Some(self.windows.front().map_or(first, |window| window.to.min(first)))
    }

    /// Takes an event. With `provisional`, `reports` gets what is now to be said at once.
    pub(crate) fn insert(
        &mut self,
        plan: &CorrelationPlan,
        members: u64,
        event: EventRef,
        provisional: bool,
        reports: &mut Vec<Report>,
    ) {
        let time = event.time;
        if self.events.insert(members, event) == Inserted::Changed && provisional && plan.is_monotone() {
            self.look_again(plan, time, reports);
        }
    }

    /// Finds the windows anew where an event at `time` can have changed them, and reports the difference.
    ///
    /// Windows that end before the event are as they were: what they use up lies before it. Of the others, none begins
    /// further back than the timespan. Behind the event and the window around it, a different window can begin only among
    /// the events that were used up before and now are not.
    fn look_again(&mut self, plan: &CorrelationPlan, time: Timestamp, reports: &mut Vec<Report>) {
        let kept = self.windows.partition_point(|window| window.to < time);
        let old: Vec<Window> = self.windows.split_off(kept).into();
        let reach = self.events.at_or_after(time.saturating_add_nanos(-plan.timespan_nanos));
        let mut start = self
            .windows
            .back()
            .map_or(0, |window| self.events.after(window.to))
            .max(reach);
        // A window that the event falls into may be another now: an event that turns out to match one more member may
        // be wanted elsewhere in a sequence.
        let mut changed_to = old.first().filter(|old| old.first <= time).map_or(time, |old| old.to);
        while let Some(window) = first_window(plan, &self.events, start, changed_to) {
            self.windows.push_back(window);
            start = self.events.after(window.to);
            let begun = old.partition_point(|old| old.first <= window.to);
            let freed_to = old[..begun].last().map_or(window.to, |old| old.to.max(window.to));
            changed_to = changed_to.max(freed_to);
        }
        let changed = old.partition_point(|old| old.first <= changed_to);
        self.report_difference(plan, &old[..changed], kept, reports);
        self.windows.extend(&old[changed..]);
    }

    fn report_difference(&mut self, plan: &CorrelationPlan, old: &[Window], kept: usize, reports: &mut Vec<Report>) {
        let new: Vec<Window> = self.windows.range(kept..).copied().collect();
        let id = |window: &Window| alert_id(&plan.rule.id, &self.values, window.anchor);
        let mut report = |window: &Window, status: AlertStatus, superseded_by: Option<CompactString>| {
            let revision = self.revisions.entry((window.first, window.anchor)).or_default();
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

    /// Says what can no longer change once no event before `watermark` comes any more, and forgets what is of no more use.
    /// `say` is called while the events of the report are still there.
    pub(crate) fn close(
        &mut self,
        plan: &CorrelationPlan,
        watermark: Timestamp,
        say: &mut dyn FnMut(&Events, &[CompactString], Report),
    ) {
        if plan.is_monotone() {
            self.close_monotone(plan, watermark, say)
        } else {
            self.close_counts(plan, watermark, say)
        }
        // An event that is gone begins no window any more.
        self.revisions = match self.events.get(0) {
            Some(first) => self.revisions.split_off(&(first.time, EventId::from_u128(0))),
            None => BTreeMap::new(),
        };
    }

    fn close_monotone(
        &mut self,
        plan: &CorrelationPlan,
        watermark: Timestamp,
        say: &mut dyn FnMut(&Events, &[CompactString], Report),
    ) {
        while let Some(window) = first_window(plan, &self.events, 0, Timestamp::MAX) {
            if window.to >= watermark && watermark != Timestamp::MAX {
                self.forget_before(plan, watermark, Some(window.first));
                return;
            }
            self.say_final(plan, window, say);
            self.events.remove_to(window.to);
            let told = self.windows.partition_point(|pending| pending.first <= window.to);
            self.windows.drain(..told);
        }
        self.forget_before(plan, watermark, None);
    }

    /// Forgets the events that can begin no window any more and belong to none.
    fn forget_before(&mut self, plan: &CorrelationPlan, watermark: Timestamp, pending: Option<Timestamp>) {
        if watermark == Timestamp::MAX && pending.is_none() {
            // The end of time takes the events at the end of time with it.
            return self.events.remove_to(Timestamp::MAX);
        }
        let useful = watermark.saturating_add_nanos(-plan.timespan_nanos);
        self.events
            .remove_before(pending.map_or(useful, |pending| useful.min(pending)));
    }

    fn close_counts(
        &mut self,
        plan: &CorrelationPlan,
        watermark: Timestamp,
        say: &mut dyn FnMut(&Events, &[CompactString], Report),
    ) {
        while let Some(first) = self.events.get(0).map(|event| event.time) {
            if plan.window_end(first) >= watermark && watermark != Timestamp::MAX {
                return;
            }
            match decided_count(plan, &self.events) {
                Some(window) => {
                    self.say_final(plan, window, say);
                    self.events.remove_to(window.to);
                }
                None => self.events.remove_to(first),
            }
        }
    }

    fn say_final(
        &mut self,
        plan: &CorrelationPlan,
        window: Window,
        say: &mut dyn FnMut(&Events, &[CompactString], Report),
    ) {
        let id = alert_id(&plan.rule.id, &self.values, window.anchor);
        let revision = self.revisions.remove(&(window.first, window.anchor)).unwrap_or(0) + 1;
        let report = Report {
            id,
            revision,
            status: AlertStatus::Final,
            superseded_by: None,
            window,
        };
        say(&self.events, &self.values, report);
    }
}
