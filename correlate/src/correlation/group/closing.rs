//! What a group says once time has passed: what can no longer change, and what is forgotten then.

use std::collections::BTreeMap;

use casebook_event::{EventId, Timestamp};
use compact_str::CompactString;

use super::baseline::{Baseline, SeenValues, SpanTotals};
use super::entry::Entry;
use super::events::Events;
use super::report::Report;
use super::state::Group;
use super::window::{Window, decided, first_window};
use crate::correlation::plan::CorrelationPlan;
use crate::sigma::correlation::comparison::Fixed;
use crate::sigma::correlation::{CorrelationKind, Deviation, FirstSeen, Measure};

impl Group {
    /// Emits what can no longer change once no event before `watermark` comes any more, and forgets what is of no more use.
    /// `emit` is called while the events of the report are still there.
    pub(crate) fn close(
        &mut self,
        plan: &CorrelationPlan,
        watermark: Timestamp,
        emit: &mut dyn FnMut(&Events, &[CompactString], Report),
    ) {
        match &plan.kind {
            CorrelationKind::FirstSeen(rule) => self.close_values(plan, *rule, watermark, emit),
            CorrelationKind::Deviation(rule) => self.close_spans(plan, rule, watermark, emit),
            kind if kind.scans() => self.close_scanned(plan, watermark, emit),
            _ => self.close_decided(plan, watermark, emit),
        }
        let has_passed = |ends: Timestamp| ends < watermark || watermark == Timestamp::MAX;
        if self.events.len() == 0
            && self
                .baseline
                .as_ref()
                .and_then(|baseline| baseline.ends(plan))
                .is_some_and(has_passed)
        {
            self.baseline = None;
        }
        // An event that is gone begins no window any more.
        match (self.events.get(0), &mut self.emitted) {
            (Some(first), Some(emitted)) => {
                emitted.revisions = emitted.revisions.split_off(&(first.time, EventId::from_u128(0)));
            }
            _ => self.emitted = None,
        }
    }

    fn close_scanned(
        &mut self,
        plan: &CorrelationPlan,
        watermark: Timestamp,
        emit: &mut dyn FnMut(&Events, &[CompactString], Report),
    ) {
        while let Some(window) = first_window(plan, &self.events, 0, Timestamp::MAX) {
            if window.to >= watermark && watermark != Timestamp::MAX {
                self.forget_before(plan, watermark, Some(window.first));
                return;
            }
            self.emit_final(plan, window, emit);
            self.events.remove_to(window.to);
            if let Some(emitted) = &mut self.emitted {
                let done = emitted.windows.partition_point(|pending| pending.first <= window.to);
                emitted.windows.drain(..done);
            }
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
        emit: &mut dyn FnMut(&Events, &[CompactString], Report),
    ) {
        while let Some(first) = self.events.get(0).map(|event| event.time) {
            if plan.window_end(first) >= watermark && watermark != Timestamp::MAX {
                return;
            }
            match decided(plan, &mut self.events) {
                Some(window) => {
                    self.emit_final(plan, window, emit);
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
        emit: &mut dyn FnMut(&Events, &[CompactString], Report),
    ) {
        while let Some(time) = self.events.get(0).map(|event| event.time) {
            if time >= watermark && watermark != Timestamp::MAX {
                return;
            }
            let baseline = self
                .baseline
                .get_or_insert_with(|| Baseline::Values(SeenValues::from(time)).into());
            let Baseline::Values(seen) = &mut **baseline else {
                return;
            };
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
            values.keys().for_each(|value| seen.observe(value.clone(), time, plan));
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
                let values = &self.key.values;
                emit(&of_value, values, Report::of_final(plan, values, window, 1));
            }
        }
    }

    /// Decides, for each span that has passed, whether it is out of line with those before it.
    fn close_spans(
        &mut self,
        plan: &CorrelationPlan,
        rule: &Deviation,
        watermark: Timestamp,
        emit: &mut dyn FnMut(&Events, &[CompactString], Report),
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
                Measure::Sum => entries.clone().map(Entry::number).sum(),
            };
            drop(entries);
            let baseline = self
                .baseline
                .get_or_insert_with(|| Baseline::Spans(SpanTotals::default()).into());
            let Baseline::Spans(spans) = &mut **baseline else {
                return;
            };
            let is_outlier = spans.is_outlier(span, amount, rule);
            spans.observe(span, amount, rule);
            if is_outlier {
                let window = Window {
                    first: first.0,
                    to: end,
                    anchor: first.1,
                    met,
                };
                self.emit_final(plan, window, emit);
            }
            self.events.remove_to(end);
        }
    }

    fn emit_final(
        &mut self,
        plan: &CorrelationPlan,
        window: Window,
        emit: &mut dyn FnMut(&Events, &[CompactString], Report),
    ) {
        let emitted = self.emitted.as_mut();
        let revision = emitted.and_then(|emitted| emitted.revisions.remove(&(window.first, window.anchor)));
        let values = &self.key.values;
        emit(
            &self.events,
            values,
            Report::of_final(plan, values, window, revision.unwrap_or(0) + 1),
        );
    }
}
