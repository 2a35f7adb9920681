//! One group of one correlation: its events, and what was said of them so far.

use std::collections::{BTreeMap, VecDeque};

use casebook_event::{AlertStatus, EventId, Timestamp};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::alert::alert_id;
use super::events::{Entry, Events, Inserted};
use super::front::number;
use super::past::{Past, Seen, Spans};
use super::plan::CorrelationPlan;
use super::window::{Window, decided, first_window};
use crate::sigma::correlation::comparison::Fixed;
use crate::sigma::correlation::{CorrelationKind, Deviation, FirstSeen, Measure};

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
    past: Past,
}

/// A [`Group`] as a snapshot holds it; the windows follow from the events.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct GroupState {
    pub rule_id: String,
    pub values: Vec<CompactString>,
    pub events: Vec<Entry>,
    pub windows: VecDeque<Window>,
    pub revisions: Vec<((Timestamp, EventId), u32)>,
    #[serde(default, skip_serializing_if = "Past::is_none")]
    pub past: Past,
}

impl Group {
    pub(crate) fn new(plan: &CorrelationPlan, values: Vec<CompactString>) -> Self {
        Self {
            values,
            events: Events::of(plan),
            windows: VecDeque::new(),
            revisions: BTreeMap::new(),
            past: Past::None,
        }
    }

    pub(crate) fn restore(plan: &CorrelationPlan, state: GroupState) -> Self {
        let mut group = Self::new(plan, state.values);
        for entry in state.events {
            group.events.insert(entry);
        }
        group.past = state.past;
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
            past: self.past.clone(),
        }
    }

    pub(crate) fn events(&self) -> &Events {
        &self.events
    }

    /// The earliest watermark at which [`Group::close`] has something to do: it must be passed.
    pub(crate) fn due(&self, plan: &CorrelationPlan) -> Option<Timestamp> {
        let Some(first) = self.events.get(0).map(|event| event.time) else {
            return self.past.ends(plan);
        };
        let first = match &plan.kind {
            CorrelationKind::FirstSeen(_) => first,
            CorrelationKind::Deviation(_) => plan.span_end(plan.span_of(first)),
            _ => plan.window_end(first),
        };
        Some(self.windows.front().map_or(first, |window| window.to.min(first)))
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
            Inserted::Members if !plan.kind.asks_for_members() => return,
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
            if self
                .windows
                .iter()
                .any(|w| w.first <= last && w.first < time && time <= w.to)
            {
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
            let behind = self.windows.partition_point(|window| window.first < time);
            let replaces = self.windows.get(behind).is_some_and(|window| window.first <= reach);
            if !begins && !replaces {
                return;
            }
        }
        self.look_again(plan, time, from, reports);
    }

    /// Whether an event at `time` falls into a window whose condition was met by then. No window that begins earlier can
    /// come of it: it would have all that this one has, and so would have been there before.
    fn is_settled(&self, time: Timestamp) -> bool {
        let at = self.windows.partition_point(|window| window.to < time);
        // A sequence ends when it is met, and an event at its end may still be wanted elsewhere in it.
        self.windows
            .get(at)
            .is_some_and(|window| window.first < time && window.met <= time && window.met < window.to)
    }

    /// Finds the windows anew where an event at `time` can have changed them, and reports the difference.
    ///
    /// Windows that end before the event are as they were: what they use up lies before it. Of the others, none that is
    /// another now begins before `from`, which is never further back than the timespan. Behind the event and the window around it, a different window can begin only among
    /// the events that were used up before and now are not.
    fn look_again(&mut self, plan: &CorrelationPlan, time: Timestamp, from: Timestamp, reports: &mut Vec<Report>) {
        let kept = self.windows.partition_point(|window| window.to < time);
        let old: Vec<Window> = self.windows.split_off(kept).into();
        let reach = self.events.at_or_after(from);
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
        // What may still turn out not to hold is not said before it is final.
        if !plan.is_monotone() {
            return;
        }
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
        match &plan.kind {
            CorrelationKind::FirstSeen(rule) => self.close_values(plan, *rule, watermark, say),
            CorrelationKind::Deviation(rule) => self.close_spans(plan, rule, watermark, say),
            kind if kind.scans() => self.close_scanned(plan, watermark, say),
            _ => self.close_decided(plan, watermark, say),
        }
        let is_past = |ends: Timestamp| ends < watermark || watermark == Timestamp::MAX;
        if self.events.len() == 0 && self.past.ends(plan).is_some_and(is_past) {
            self.past = Past::None;
        }
        // An event that is gone begins no window any more.
        self.revisions = match self.events.get(0) {
            Some(first) => self.revisions.split_off(&(first.time, EventId::from_u128(0))),
            None => BTreeMap::new(),
        };
    }

    fn close_scanned(
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

    fn close_decided(
        &mut self,
        plan: &CorrelationPlan,
        watermark: Timestamp,
        say: &mut dyn FnMut(&Events, &[CompactString], Report),
    ) {
        while let Some(first) = self.events.get(0).map(|event| event.time) {
            if plan.window_end(first) >= watermark && watermark != Timestamp::MAX {
                return;
            }
            match decided(plan, &mut self.events) {
                Some(window) => {
                    self.say_final(plan, window, say);
                    self.events.remove_to(window.to);
                }
                None => self.events.remove_to(first),
            }
        }
    }

    /// Decides, for each time that has passed, which values are new.
    fn close_values(
        &mut self,
        plan: &CorrelationPlan,
        rule: FirstSeen,
        watermark: Timestamp,
        say: &mut dyn FnMut(&Events, &[CompactString], Report),
    ) {
        while let Some(time) = self.events.get(0).map(|event| event.time) {
            if time >= watermark && watermark != Timestamp::MAX {
                return;
            }
            if !matches!(self.past, Past::Seen(_)) {
                self.past = Past::Seen(Seen::from(time));
            }
            let Past::Seen(seen) = &mut self.past else { return };
            let mut values: BTreeMap<CompactString, Vec<Entry>> = BTreeMap::new();
            for entry in self.events.between(time, time) {
                let value = entry.value.clone().unwrap_or_default();
                values.entry(value).or_default().push(entry.clone());
            }
            // Those of one time are none before another.
            let new: Vec<CompactString> = values
                .keys()
                .filter(|value| seen.is_new(value, time, plan, rule))
                .cloned()
                .collect();
            values.keys().for_each(|value| seen.note(value.clone(), time, plan));
            self.events.remove_to(time);
            for entries in new.iter().filter_map(|value| values.remove(value)) {
                let Some(anchor) = entries.first().map(|entry| entry.event.event_id) else {
                    continue;
                };
                let mut of_value = Events::of(plan);
                for entry in entries {
                    of_value.insert(entry);
                }
                let window = Window {
                    first: time,
                    to: time,
                    anchor,
                    met: time,
                };
                say(&of_value, &self.values, final_report(plan, &self.values, window, 1));
            }
        }
    }

    /// Decides, for each span that has passed, whether it is out of line with those before it.
    fn close_spans(
        &mut self,
        plan: &CorrelationPlan,
        rule: &Deviation,
        watermark: Timestamp,
        say: &mut dyn FnMut(&Events, &[CompactString], Report),
    ) {
        while let Some(first) = self.events.get(0).map(|event| (event.time, event.event_id)) {
            let span = plan.span_of(first.0);
            let end = plan.span_end(span);
            if end >= watermark && watermark != Timestamp::MAX {
                return;
            }
            let entries = self.events.between(first.0, end);
            let met = entries.clone().next_back().map_or(first.0, |entry| entry.event.time);
            let amount: i128 = match rule.measure {
                Measure::Events => Fixed::from_count(entries.len() as u64).units(),
                Measure::Sum => entries.clone().map(number).sum(),
            };
            drop(entries);
            if !matches!(self.past, Past::Spans(_)) {
                self.past = Past::Spans(Spans::default());
            }
            let Past::Spans(spans) = &mut self.past else { return };
            let is_much = spans.is_much(span, amount, rule);
            spans.note(span, amount, rule);
            if is_much {
                let window = Window {
                    first: first.0,
                    to: end,
                    anchor: first.1,
                    met,
                };
                self.say_final(plan, window, say);
            }
            self.events.remove_to(end);
        }
    }

    fn say_final(
        &mut self,
        plan: &CorrelationPlan,
        window: Window,
        say: &mut dyn FnMut(&Events, &[CompactString], Report),
    ) {
        let revision = self.revisions.remove(&(window.first, window.anchor)).unwrap_or(0) + 1;
        say(
            &self.events,
            &self.values,
            final_report(plan, &self.values, window, revision),
        );
    }
}

fn final_report(plan: &CorrelationPlan, values: &[CompactString], window: Window, revision: u32) -> Report {
    Report {
        id: alert_id(&plan.rule.id, values, window.anchor),
        revision,
        status: AlertStatus::Final,
        superseded_by: None,
        window,
    }
}
