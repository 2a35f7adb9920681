//! What was emitted of a group so far, and what is to be emitted once its events are others.

use std::collections::{BTreeMap, VecDeque};

use casebook_event::{AlertStatus, EventId, Timestamp};
use compact_str::CompactString;

use super::alert_id::{alert_id, alert_number};
use super::events::Events;
use super::report::Report;
use super::revisions::Revisions;
use super::window::{Window, first_window};
use crate::correlation::codec::{Damaged, Reader, put_number, put_signed, put_u128};
use crate::correlation::plan::CorrelationPlan;

/// What was emitted of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct EmittedWindows {
    /// The windows in the events as they are, in order: kept up by plans that [scan](crate::sigma::correlation::CorrelationKind::scans)
    /// and report early.
    pub windows: VecDeque<Window>,
    /// The last revision that was reported of every window that may be reported again, by the event that begins it.
    pub revisions: BTreeMap<(Timestamp, EventId), u32>,
}

/// The group that windows are of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Of<'a> {
    pub(super) plan: &'a CorrelationPlan,
    pub(super) events: &'a Events,
    /// The values of its key.
    pub(super) values: &'a [CompactString],
}

impl EmittedWindows {
    /// Whether an event at `time` falls into a window whose condition was met by then. No window that begins earlier can
    /// come of it: it would have all that this one has, and so would have been there before.
    pub(super) fn is_settled(&self, time: Timestamp) -> bool {
        let at = self.windows.partition_point(|window| window.to < time);
        // A sequence ends when it is met, and an event at its end may still be wanted elsewhere in it.
        self.windows
            .get(at)
            .is_some_and(|window| window.first < time && window.met <= time && window.met < window.to)
    }

    /// Finds the windows anew where an event at `time` can have changed them, and reports the difference.
    ///
    /// Windows that end before the event are as they were: what they use up lies before it. Of the others, none that is
    /// another now begins before `from`, which is never further back than the timespan. After the event and the window around it, a different window can begin only among
    /// the events that were used up before and now are not.
    pub(super) fn revise(&mut self, of: Of<'_>, (time, from): (Timestamp, Timestamp), reports: &mut Vec<Report>) {
        let Of { plan, events, .. } = of;
        let windows = &mut self.windows;
        let kept = windows.partition_point(|window| window.to < time);
        let old: Vec<Window> = windows.split_off(kept).into();
        let reach = events.at_or_after(from);
        let mut start = windows.back().map_or(0, |window| events.after(window.to)).max(reach);
        // A window that the event falls into may be another now: an event that turns out to match one more member may
        // be wanted elsewhere in a sequence.
        let mut changed_to = old.first().filter(|old| old.first <= time).map_or(time, |old| old.to);
        while let Some(window) = first_window(plan, events, start, changed_to) {
            windows.push_back(window);
            start = events.after(window.to);
            let begun = old.partition_point(|old| old.first <= window.to);
            let freed_to = old[..begun].last().map_or(window.to, |old| old.to.max(window.to));
            changed_to = changed_to.max(freed_to);
        }
        let changed = old.partition_point(|old| old.first <= changed_to);
        // What may still turn out not to hold is not reported before it is final.
        if plan.is_monotone() {
            self.report_difference(of, &old[..changed], kept, reports);
        }
        self.windows.extend(&old[changed..]);
    }

    /// What is emitted of a group that was made anew, where `before` was emitted of the one that it takes the place of: reports the
    /// windows that are not complete and that are others now.
    pub(super) fn continued(
        before: Option<&Self>,
        of: Of<'_>,
        revisions: &Revisions<'_>,
        reports: &mut Vec<Report>,
    ) -> Self {
        let Of { plan, events, values } = of;
        let mut emitted = before.cloned().unwrap_or_default();
        let mut old: Vec<Window> = std::mem::take(&mut emitted.windows).into();
        old.retain(|window| {
            let id = alert_number(&plan.rule.id, values, window.anchor);
            !revisions.is_final(id)
        });
        for event in events.entries().map(|entry| &entry.event) {
            let last = revisions.last(alert_number(&plan.rule.id, values, event.event_id));
            if last > 0 {
                let revision = emitted.revisions.entry((event.time, event.event_id)).or_default();
                *revision = last.max(*revision);
            }
        }
        let mut start = 0;
        while let Some(window) = first_window(plan, events, start, Timestamp::MAX) {
            start = events.after(window.to);
            emitted.windows.push_back(window);
        }
        if plan.is_monotone() {
            emitted.report_difference(of, &old, 0, reports);
        }
        emitted
    }

    fn report_difference(&mut self, of: Of<'_>, old: &[Window], kept: usize, reports: &mut Vec<Report>) {
        let new: Vec<Window> = self.windows.range(kept..).copied().collect();
        let id = |window: &Window| alert_id(&of.plan.rule.id, of.values, window.anchor);
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
            let successor = new.iter().find(|new| new.to >= gone.first).or(new.last()).map(id);
            report(gone, AlertStatus::Withdrawn, successor);
        }
        for found in new.iter().filter(|new| !old.iter().any(|old| new.anchor == old.anchor)) {
            report(found, AlertStatus::Provisional, None);
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_number(out, self.windows.len() as u64);
        for window in &self.windows {
            window.encode(out);
        }
        put_number(out, self.revisions.len() as u64);
        for ((time, id), revision) in &self.revisions {
            put_signed(out, time.as_nanos());
            put_u128(out, id.as_u128());
            put_number(out, u64::from(*revision));
        }
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let mut emitted = Self::default();
        for _ in 0..from.count()? {
            emitted.windows.push_back(Window::decode(from)?);
        }
        for _ in 0..from.count()? {
            let begin = (from.time()?, EventId::from_u128(from.u128()?));
            let revision = u32::try_from(from.number()?).map_err(|_| from.damaged())?;
            emitted.revisions.insert(begin, revision);
        }
        Ok(emitted)
    }

    /// Reads over those of a group whose rule is gone.
    pub(super) fn skip(from: &mut Reader<'_>) -> Result<(), Damaged> {
        for _ in 0..from.count()? {
            Window::decode(from)?;
        }
        for _ in 0..from.count()? {
            from.time()?;
            from.u128()?;
            from.number()?;
        }
        Ok(())
    }

    /// The bytes they take in memory, about.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.windows.len() * size_of::<Window>() + self.revisions.len() * 64
    }

    /// These, unless there are none: most groups have none, which is not worth an allocation.
    pub(super) fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| self.into())
    }
}
