//! One engine a partition of the signals topic: it finds the group of each signal, and closes groups as time passes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use casebook_event::{
    Alert, AlertRule, EventId, EventRef, Partition, Signal, SignalMessage, Source, Timestamp, Watermark,
};
use compact_str::{CompactString, format_compact};

use super::alert::{correlation_alert, detection_alert, event_of};
use super::attribution::Waiting;
use super::codec::{Names, Reader};
use super::cold::{Cold, ColdError, ColdStore};
use super::events::Entry;
use super::group::{Group, GroupKey, Weight};
use super::keep::Keeping;
use super::memory::Memory;
use super::plan::{CorrelationPlan, Plans};
use super::positions::Positions;
use super::repair::{Begin, Decided};
use super::stats::CorrelationStats;
use crate::rule_set::{Feed, RuleSet};
use crate::sigma::correlation::comparison::Fixed;

/// How an engine reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorrelationConfig {
    /// Whether an alert is raised as soon as its condition holds, and revised when its window is complete. Without it only
    /// final alerts are reported, each once.
    pub provisional: bool,
}

impl Default for CorrelationConfig {
    fn default() -> Self {
        Self { provisional: true }
    }
}

/// When a group is to be looked at, its correlation's level, and the group.
type Due = (Timestamp, usize, Arc<GroupKey>);

/// Matches of base rules at one time: what was raised already is `None`.
pub(crate) type Raised = BTreeMap<(Arc<str>, EventId), Option<EventRef>>;

/// The correlation engine. It has no clock: time is what the watermarks say.
#[derive(Debug)]
pub struct CorrelationEngine {
    pub(super) plans: Arc<Plans>,
    pub(super) config: CorrelationConfig,
    pub(super) groups: HashMap<Arc<GroupKey>, Group>,
    /// When each group is to be looked at next: once the watermark has passed that time. One entry a group. At the same
    /// time, those that others build on come first.
    pub(super) due: BTreeSet<Due>,
    pub(super) memory: Memory,
    pub(super) waiting: Waiting,
    /// The watermark of every source partition that was heard of.
    pub(super) partitions: BTreeMap<Partition, Timestamp>,
    /// The least of them, and never less than before.
    pub(super) watermark: Timestamp,
    /// The highest position applied of each source partition, with what was applied there: what is delivered again after
    /// a crash is dropped by it.
    pub(super) applied: Positions,
    /// Matches of base rules, by event time, until the watermark has passed it: what was raised already is `None`; without
    /// provisional alerts, what is still to be raised is the event.
    pub(super) raised: BTreeMap<Timestamp, Raised>,
    pub(super) late_events: BTreeMap<Source, u64>,
    pub(super) foreign_signals: u64,
    pub(super) dropped_groups: BTreeMap<CompactString, u64>,
    /// What is kept, and what waits for its repair; `None` where late matches are only counted.
    pub(super) keeping: Option<Box<Keeping>>,
    /// Of an engine that makes groups anew: from where on.
    pub(super) begin: Option<Box<Begin>>,
    /// What such an engine decided.
    pub(super) decided: Vec<Decided>,
}

impl CorrelationEngine {
    /// An engine that has seen nothing, and keeps all groups in memory.
    pub fn new(rules: &RuleSet, config: CorrelationConfig) -> Self {
        Self::with_plans(Arc::new(Plans::of(rules)), config)
    }

    pub(crate) fn with_plans(plans: Arc<Plans>, config: CorrelationConfig) -> Self {
        Self {
            plans,
            config,
            groups: HashMap::new(),
            due: BTreeSet::new(),
            memory: Memory {
                used: Weight::default(),
                limit_bytes: usize::MAX,
                passes: 0,
                cold: None,
                names: Names::default(),
            },
            waiting: Waiting::default(),
            partitions: BTreeMap::new(),
            watermark: Timestamp::MIN,
            applied: Positions::default(),
            raised: BTreeMap::new(),
            late_events: BTreeMap::new(),
            foreign_signals: 0,
            dropped_groups: BTreeMap::new(),
            keeping: None,
            begin: None,
            decided: Vec::new(),
        }
    }

    /// The same with a bound: groups that take more than `limit_bytes` together go to `store`, which is empty, those first
    /// that were not used for longest. The group in use is always in memory, whatever it takes.
    pub fn with_cold_store(mut self, store: Box<dyn ColdStore>, limit_bytes: usize) -> Self {
        self.memory.cold = Some(Cold::new(store));
        self.memory.limit_bytes = limit_bytes;
        self
    }

    /// Takes one message; what is to be reported is put behind `out`. The signals of one source partition must come in the
    /// order of their positions, but for those that are delivered again.
    ///
    /// # Errors
    /// Groups that were spilled cannot be written or read. The engine is of no use then: its state is to be restored from
    /// the last snapshot.
    pub fn apply(&mut self, message: SignalMessage, out: &mut Vec<Alert>) -> Result<(), ColdError> {
        match message {
            SignalMessage::Signal(signal) => self.on_signal(signal, out),
            SignalMessage::Binding(binding) => {
                self.on_binding(binding);
                Ok(())
            }
            SignalMessage::Watermark(Watermark { partition, time }) => {
                let known = self.partitions.entry(partition).or_insert(Timestamp::MIN);
                *known = time.max(*known);
                match self.partitions.values().min().copied() {
                    Some(least) => self.advance(least, out),
                    None => Ok(()),
                }
            }
        }
    }

    /// Goes on with other rules. Groups of rules that are gone or mean something else now are dropped, and counted in the
    /// stats, as by a restore.
    ///
    /// # Errors
    /// As [`CorrelationEngine::apply`].
    pub fn set_rules(&mut self, rules: &RuleSet) -> Result<(), ColdError> {
        self.set_plans(Arc::new(Plans::of(rules)))
    }

    pub(crate) fn set_plans(&mut self, plans: Arc<Plans>) -> Result<(), ColdError> {
        let old = std::mem::replace(&mut self.plans, plans);
        let version = |plans: &Plans, id: &Arc<str>| Some(plans.correlations.get(id)?.signals_version.clone());
        let same = |id: &Arc<str>| version(&old, id) == version(&self.plans, id);
        let dropped = &mut self.dropped_groups;
        let mut keep = |id: &Arc<str>| {
            let kept = same(id);
            if !kept {
                *dropped.entry(CompactString::new(id)).or_default() += 1;
            }
            kept
        };
        let used = &mut self.memory.used;
        self.groups.retain(|key, group| {
            let kept = keep(&key.rule_id);
            if !kept {
                *used -= group.weight();
            }
            kept
        });
        self.due.retain(|(_, _, key)| same(&key.rule_id));
        let waiting = self.waiting.signals.values_mut();
        waiting.for_each(|signals| signals.retain(|signal| same(&signal.rule_id)));
        if let Some(cold) = &mut self.memory.cold {
            let names = &self.memory.names;
            let rule = |key: &[u8]| names.get(Reader::new(key).number().ok()?);
            cold.retain(|key| rule(key).is_some_and(&mut keep))?;
        }
        Ok(())
    }

    /// The end of a finite input: nothing comes any more, so everything is decided.
    ///
    /// # Errors
    /// As [`CorrelationEngine::apply`].
    pub fn finish(&mut self, out: &mut Vec<Alert>) -> Result<(), ColdError> {
        self.advance(Timestamp::MAX, out)
    }

    /// Up to when all that is expected has come.
    pub fn watermark(&self) -> Timestamp {
        self.watermark
    }

    /// What the engine holds and has seen.
    pub fn stats(&self) -> CorrelationStats {
        CorrelationStats {
            open_groups: self.groups.len() + self.cold_groups(),
            cold_groups: self.cold_groups(),
            memory_bytes: self.memory.used.bytes,
            waiting_signals: self.waiting.signals.values().map(Vec::len).sum(),
            bindings: self.waiting.bindings.len(),
            late_bindings: self.waiting.bindings.late(),
            buffered_events: self.memory.used.events,
            watermark: self.watermark,
            late_events: self.late_events.clone(),
            foreign_signals: self.foreign_signals,
            dropped_groups: self.dropped_groups.clone(),
            repairing: self.repairing(),
            repairs: self
                .keeping
                .as_ref()
                .map(|keeping| keeping.stats.clone())
                .unwrap_or_default(),
        }
    }

    fn cold_groups(&self) -> usize {
        self.memory.cold.as_ref().map_or(0, Cold::len)
    }

    fn on_signal(&mut self, signal: Signal, out: &mut Vec<Alert>) -> Result<(), ColdError> {
        if !self.applied.is_new(&signal) {
            return Ok(());
        }
        let plans = self.plans.clone();
        if let Some(rule) = plans
            .detections
            .get(&signal.rule_id)
            .filter(|_| signal.rule_id == signal.matched_rule_id)
        {
            self.on_detection(rule, signal, out);
        } else if let Some(plan) = plans.correlations.get(&signal.rule_id) {
            return self.on_told(plan, signal, out);
        } else {
            self.foreign_signals += 1;
        }
        Ok(())
    }

    fn on_detection(&mut self, rule: &AlertRule, signal: Signal, out: &mut Vec<Alert>) {
        let raised = self.raised.entry(signal.event.time).or_default();
        let key = (signal.rule_id, signal.event.event_id);
        match raised.get_mut(&key) {
            // Of duplicates the first position is cited, whichever arrived first.
            Some(Some(waiting)) if signal.event.position < waiting.position => *waiting = signal.event,
            Some(_) => {}
            None if self.config.provisional => {
                raised.insert(key, None);
                out.push(detection_alert(rule, signal.event));
            }
            None => drop(raised.insert(key, Some(signal.event))),
        }
    }

    pub(super) fn on_match(
        &mut self,
        plan: &CorrelationPlan,
        signal: Signal,
        out: &mut Vec<Alert>,
    ) -> Result<(), ColdError> {
        let members = plan.member_bits(&signal.matched_rule_id);
        if plan.entity.is_some() {
            self.waiting.push(signal);
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
            told: None,
            attributed: None,
        };
        self.insert(plan, key, entry, out)?;
        self.spill()
    }

    pub(super) fn insert(
        &mut self,
        plan: &CorrelationPlan,
        key: GroupKey,
        entry: Entry,
        out: &mut Vec<Alert>,
    ) -> Result<(), ColdError> {
        if let Some(begin) = &mut self.begin
            && !begin.takes(plan, &key, entry.event.time)
        {
            return Ok(());
        }
        let provisional = self.reports_early(plan);
        if let Some(group) = self.groups.get_mut(&key) {
            take(plan, group, entry, provisional, &mut self.memory, &mut self.due, out);
            return Ok(());
        }
        if !self.warm(plan, &key)? {
            let key = Arc::new(key.clone());
            let group = Group::new(plan, key.clone());
            self.memory.used += group.weight();
            self.groups.insert(key, group);
        }
        if let Some(group) = self.groups.get_mut(&key) {
            take(plan, group, entry, provisional, &mut self.memory, &mut self.due, out);
        }
        Ok(())
    }

    pub(super) fn advance(&mut self, to: Timestamp, out: &mut Vec<Alert>) -> Result<(), ColdError> {
        if to <= self.watermark {
            return Ok(());
        }
        self.watermark = to;
        let still_open = if to == Timestamp::MAX {
            BTreeMap::new()
        } else {
            self.raised.split_off(&to)
        };
        for ((rule_id, _), event) in std::mem::replace(&mut self.raised, still_open).into_values().flatten() {
            if let (Some(event), Some(rule)) = (event, self.plans.detections.get(&rule_id)) {
                out.push(detection_alert(rule, event));
            }
        }
        self.attribute(to, out)?;
        loop {
            // Those on disk are brought in a chunk at a time, and all up to the last of them are looked at.
            let last = self.warm_due(to)?;
            let is_last = last.is_none();
            while let Some(first) = self.due.pop_first() {
                let is_behind = |last: (Timestamp, usize)| (first.0, first.1) > last;
                if (first.0 >= to && to != Timestamp::MAX) || last.is_some_and(is_behind) {
                    self.due.insert(first);
                    break;
                }
                self.close(first.0, first.2, out)?;
            }
            if is_last {
                return self.spill();
            }
        }
    }

    /// Looks at a group that is due. What it says goes to those that build on it.
    fn close(&mut self, was_due: Timestamp, key: Arc<GroupKey>, out: &mut Vec<Alert>) -> Result<(), ColdError> {
        let plans = self.plans.clone();
        let Some(plan) = plans.correlations.get(&key.rule_id) else {
            return Ok(());
        };
        let Some(group) = self.groups.get_mut(&key) else {
            return Ok(());
        };
        // What it builds on was looked at up to this time only.
        let up_to = match (plan.level, was_due) {
            (0, _) | (_, Timestamp::MAX) => self.watermark,
            _ => was_due.saturating_add_nanos(1).saturating_add_nanos(-plan.lag_nanos),
        };
        let weight = group.weight();
        let mut said = Vec::new();
        group.close(plan, up_to, &mut |events, values, report| {
            let window = report.window;
            said.push((window, correlation_alert(plan, events, values, report)))
        });
        self.memory.used -= weight;
        match due(plan, group) {
            None => drop(self.groups.remove(&key)),
            Some(due) => {
                self.memory.used += group.weight();
                self.due.insert((due, plan.level, key.clone()));
            }
        }
        for (window, alert) in said {
            self.note_decided(plan, &key, window, &alert);
            for feed in &plan.feeds {
                self.feed(&plans, &key, feed, &alert, out)?;
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
        match event_of(alert, plan.member_bits(&from.rule_id), value) {
            Some(entry) => self.insert(plan, key, entry, out),
            None => Ok(()),
        }
    }
}

/// Gives a group an event.
fn take(
    plan: &CorrelationPlan,
    group: &mut Group,
    entry: Entry,
    provisional: bool,
    memory: &mut Memory,
    all_due: &mut BTreeSet<Due>,
    out: &mut Vec<Alert>,
) {
    let (due, weight) = (self::due(plan, group), group.weight());
    let mut reports = Vec::new();
    group.used = memory.passes;
    group.insert(plan, entry, provisional, &mut reports);
    let alert = |report| correlation_alert(plan, group.events(), &group.key().values, report);
    out.extend(reports.into_iter().map(alert));
    memory.used += group.weight();
    memory.used -= weight;
    let now_due = self::due(plan, group);
    if now_due != due {
        let key = group.key().clone();
        if let Some(due) = due {
            all_due.remove(&(due, plan.level, key.clone()));
        }
        all_due.extend(now_due.map(|due| (due, plan.level, key)));
    }
}

/// When a group is to be looked at: its events may come late by what they wait for.
pub(super) fn due(plan: &CorrelationPlan, group: &Group) -> Option<Timestamp> {
    Some(group.due(plan)?.saturating_add_nanos(plan.lag_nanos))
}
