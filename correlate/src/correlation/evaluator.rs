//! Matches and time → windows → alerts, for any set of correlations: the engine runs one over what comes, and each repair one
//! over what was kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use casebook_event::{Alert, Signal, Timestamp};
use compact_str::{CompactString, format_compact};

use super::alert::{correlation_alert, entry_of};
use super::attribution::{AttributionQueue, attribute};
use super::group::{Entry, Group, GroupKey};
use super::group_table::{ColdError, GroupTable};
use super::late::Journal;
use super::plan::{CorrelationPlan, Plans};
use crate::rule_set::Feed;
use crate::sigma::correlation::comparison::Fixed;

/// The correlations of a rule set under way. It has no clock: time is what it is advanced to.
#[derive(Debug)]
pub(super) struct Evaluator {
    pub(super) plans: Arc<Plans>,
    /// Whether an alert is raised as soon as its condition holds.
    provisional: bool,
    pub(super) groups: GroupTable,
    pub(super) attribution: AttributionQueue,
    /// Up to when all that is expected has come: never less than before.
    pub(super) watermark: Timestamp,
    pub(super) journal: Journal,
}

impl Evaluator {
    /// Nothing has come yet.
    pub(super) fn new(plans: Arc<Plans>, provisional: bool, journal: Journal) -> Self {
        Self {
            plans,
            provisional,
            groups: GroupTable::new(),
            attribution: AttributionQueue::default(),
            watermark: Timestamp::MIN,
            journal,
        }
    }

    /// Goes on with other rules. Groups of rules that are gone or mean something else now are dropped, and counted in `dropped`.
    pub(super) fn set_plans(
        &mut self,
        plans: Arc<Plans>,
        dropped: &mut BTreeMap<CompactString, u64>,
    ) -> Result<(), ColdError> {
        let old = std::mem::replace(&mut self.plans, plans);
        let version = |plans: &Plans, id: &Arc<str>| Some(plans.correlations.get(id)?.signals_version.clone());
        let same = |id: &Arc<str>| version(&old, id) == version(&self.plans, id);
        self.attribution.retain(same);
        self.groups
            .retain(same, |id| *dropped.entry(CompactString::new(id)).or_default() += 1)
    }

    /// Takes a match of a correlation, which is not before the watermark.
    pub(super) fn insert_match(
        &mut self,
        plan: &CorrelationPlan,
        signal: Signal,
        out: &mut Vec<Alert>,
    ) -> Result<(), ColdError> {
        let members = plan.member_bits(&signal.matched_rule_id);
        if plan.entity.is_some() {
            self.attribution.push(signal);
            return Ok(());
        }
        let key = GroupKey {
            rule_id: signal.rule_id,
            values: signal.group,
        };
        let entry = Entry {
            members,
            value: signal.value,
            event: signal.event,
            evidence: None,
            attributed: None,
        };
        self.insert(plan, key, entry, out)?;
        self.spill()
    }

    fn insert(
        &mut self,
        plan: &CorrelationPlan,
        key: GroupKey,
        entry: Entry,
        out: &mut Vec<Alert>,
    ) -> Result<(), ColdError> {
        if !self.journal.takes(plan, &key, entry.event.time) {
            return Ok(());
        }
        let provisional = self.reports_early(plan);
        let emit = |group: &Group, report| {
            out.push(correlation_alert(plan, group.events(), &group.key().values, report));
        };
        self.groups.insert(plan, key, entry, provisional, emit)
    }

    /// Decides what can no longer change once nothing before `to` comes any more.
    pub(super) fn advance(&mut self, to: Timestamp, out: &mut Vec<Alert>) -> Result<(), ColdError> {
        if to <= self.watermark {
            return Ok(());
        }
        self.watermark = to;
        self.attribute(to, out)?;
        let plans = self.plans.clone();
        loop {
            // Those on disk are brought in a chunk at a time, and all up to the last of them are closed.
            let last = self.groups.warm_due(&plans, to)?;
            while let Some((was_due, _, key)) = self.groups.pop_due(to, last) {
                self.close(&plans, was_due, key, out)?;
            }
            if last.is_none() {
                return self.spill();
            }
        }
    }

    /// Takes the signals that waited to know which entity they are about, as far as that is known now.
    fn attribute(&mut self, to: Timestamp, out: &mut Vec<Alert>) -> Result<(), ColdError> {
        let plans = self.plans.clone();
        for signal in self.attribution.take_before(to) {
            let plan = plans.correlations.get(&signal.rule_id);
            let Some((plan, kind)) = plan.and_then(|plan| Some((plan, plan.entity?))) else {
                continue;
            };
            let mut depends_on = Vec::new();
            let time = signal.event.time;
            let bindings = &self.attribution.bindings;
            let found = attribute(bindings, &signal.entity, kind, time, &mut depends_on);
            if let Some(dependents) = self.journal.dependents_mut() {
                dependents.note((signal.key(), &signal.rule_id), &depends_on, time);
            }
            for attributed in found {
                let mut values = signal.group.clone();
                values.push(attributed.entity.clone());
                let key = GroupKey {
                    rule_id: signal.rule_id.clone(),
                    values,
                };
                let entry = Entry {
                    members: plan.member_bits(&signal.matched_rule_id),
                    value: signal.value.clone(),
                    event: signal.event.clone(),
                    evidence: None,
                    attributed: Some(attributed.into()),
                };
                self.insert(plan, key, entry, out)?;
            }
        }
        let horizon = self.journal.log().map_or(0, |log| log.horizon_nanos);
        if let Some(floor) = self.attribution.forget_before(to, horizon)
            && let Some(log) = self.journal.log_mut()
        {
            log.dependents.forget_before(floor);
        }
        self.spill()
    }

    /// Closes a group that is due. Its final alerts go to the correlations that build on it.
    fn close(
        &mut self,
        plans: &Plans,
        was_due: Timestamp,
        key: Arc<GroupKey>,
        out: &mut Vec<Alert>,
    ) -> Result<(), ColdError> {
        let Some(plan) = plans.correlations.get(&key.rule_id) else {
            return Ok(());
        };
        // What it builds on was closed up to this time only.
        let up_to = match (plan.level, was_due) {
            (0, _) | (_, Timestamp::MAX) => self.watermark,
            _ => was_due.saturating_add_nanos(1).saturating_add_nanos(-plan.lag_nanos),
        };
        let mut decided = Vec::new();
        self.groups.close(plan, &key, up_to, &mut |events, values, report| {
            let window = report.window;
            decided.push((window, correlation_alert(plan, events, values, report)))
        });
        for (window, alert) in decided {
            self.journal.note_decided(plan, &key, window, &alert);
            for feed in &plan.feeds {
                self.feed(plans, &key, feed, &alert, out)?;
            }
            if plan.alerts {
                out.push(alert);
            }
        }
        Ok(())
    }

    /// Gives an alert to a correlation that builds on its rule.
    fn feed(
        &mut self,
        plans: &Plans,
        from: &GroupKey,
        feed: &Feed,
        alert: &Alert,
        out: &mut Vec<Alert>,
    ) -> Result<(), ColdError> {
        let Some(plan) = plans.correlations.get(&feed.correlation_id) else {
            return Ok(());
        };
        let parts = |parts: &[usize]| -> Vec<CompactString> {
            parts
                .iter()
                .filter_map(|&part| from.values.get(part).cloned())
                .collect()
        };
        let value = match (feed.value.as_slice(), &plan.kind) {
            ([], _) => None,
            (value, kind) if kind.requires_numbers() => match parts(value).concat().parse::<Fixed>() {
                Ok(number) => Some(format_compact!("{number}")),
                Err(()) => return Ok(()),
            },
            (value, _) => Some(parts(value).join("\u{1f}").into()),
        };
        let key = GroupKey {
            rule_id: feed.correlation_id.clone(),
            values: parts(&feed.group),
        };
        match entry_of(alert, plan.member_bits(&from.rule_id), value) {
            Some(entry) => self.insert(plan, key, entry, out),
            None => Ok(()),
        }
    }

    /// Brings the memory within its limit.
    pub(super) fn spill(&mut self) -> Result<(), ColdError> {
        self.groups.spill(&self.plans)
    }

    /// Whether a correlation's alerts are reported before their windows are complete.
    pub(super) fn reports_early(&self, plan: &CorrelationPlan) -> bool {
        self.provisional && (plan.alerts || plan.feeds.is_empty())
    }
}
