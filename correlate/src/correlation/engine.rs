//! One engine a partition of the signals topic: messages in, in any order; alerts out, each position of a source once.

use std::collections::BTreeMap;
use std::sync::Arc;

use casebook_event::{Alert, Binding, Kept, Partition, Signal, SignalMessage, Source, Timestamp, Watermark};
use compact_str::CompactString;

use super::detections::Detections;
use super::evaluator::Evaluator;
use super::group::{Group, GroupKey};
use super::group_table::{ColdError, ColdStore};
use super::late::{Journal, RepairLog, RepairRequest};
use super::pending::{PendingGroup, pending};
use super::plan::{CorrelationPlan, Plans};
use super::positions::Positions;
use super::stats::CorrelationStats;
use crate::rule_set::RuleSet;

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

/// The correlation engine. It has no clock: time is what the watermarks say.
#[derive(Debug)]
pub struct CorrelationEngine {
    config: CorrelationConfig,
    pub(super) evaluator: Evaluator,
    pub(super) detections: Detections,
    /// The watermark of every source partition that was heard of: the least of them is that of the engine.
    pub(super) partitions: BTreeMap<Partition, Timestamp>,
    /// The highest position applied of each source partition, with what was applied there: what is delivered again after
    /// a crash is dropped by it.
    pub(super) applied: Positions,
    pub(super) late_events: BTreeMap<Source, u64>,
    foreign_signals: u64,
    pub(super) dropped_groups: BTreeMap<CompactString, u64>,
}

impl CorrelationEngine {
    /// An engine that has seen nothing, and keeps all groups in memory.
    pub fn new(rules: &RuleSet, config: CorrelationConfig) -> Self {
        Self::with_plans(Arc::new(Plans::of(rules)), config)
    }

    pub(crate) fn with_plans(plans: Arc<Plans>, config: CorrelationConfig) -> Self {
        Self {
            evaluator: Evaluator::new(plans, config.provisional, Journal::Off),
            config,
            detections: Detections::default(),
            partitions: BTreeMap::new(),
            applied: Positions::default(),
            late_events: BTreeMap::new(),
            foreign_signals: 0,
            dropped_groups: BTreeMap::new(),
        }
    }

    /// The same with a bound: groups that take more than `limit_bytes` together go to `store`, which is empty, those first
    /// that were not used for longest. The group in use is always in memory, whatever it takes.
    pub fn with_cold_store(mut self, store: Box<dyn ColdStore>, limit_bytes: usize) -> Self {
        self.evaluator.groups.bound(store, limit_bytes);
        self
    }

    /// An engine that can repair what comes late by no more than the horizon: it hands out what is to be kept for that.
    ///
    /// The engine has seen nothing yet, or comes from a snapshot. One that kept nothing before knows that of what it has seen so
    /// far nothing is kept.
    #[must_use]
    pub fn with_repairs(mut self, horizon_nanos: i64) -> Self {
        if let Some(log) = self.evaluator.journal.log_mut() {
            log.horizon_nanos = horizon_nanos;
            return self;
        }
        let since = self.latest_time().map_or(Timestamp::MIN, |t| t.saturating_add_nanos(1));
        self.evaluator.journal = Journal::Live(Box::new(RepairLog::new(horizon_nanos, since)));
        self
    }

    /// An engine that keeps nothing: what comes late is counted and in no correlation. What it kept before is of no use then.
    #[must_use]
    pub fn without_repairs(mut self) -> Self {
        self.evaluator.journal = Journal::Off;
        self
    }

    /// The latest time of anything that was applied; `None` for an engine that has seen nothing.
    fn latest_time(&self) -> Option<Timestamp> {
        if self.applied.0.is_empty() {
            return None;
        }
        let due = self.evaluator.groups.latest_due();
        let waiting = self.evaluator.attribution.signals.keys().copied();
        // Spilled groups are due no later than the longest window after the latest event of those in memory can say: a day more
        // is more than any clock is let ahead.
        let latest = waiting
            .chain(due)
            .max()
            .unwrap_or(Timestamp::MIN)
            .max(self.evaluator.watermark);
        Some(latest.saturating_add_nanos(86_400_000_000_000))
    }

    /// Takes one message; what is to be reported is appended to `out`. The signals of one source partition must come in the
    /// order of their positions, but for those that are delivered again.
    ///
    /// # Errors
    /// Groups that were spilled cannot be written or read. The engine is of no use then: its state is to be restored from
    /// the last snapshot.
    pub fn apply(&mut self, message: SignalMessage, out: &mut Vec<Alert>) -> Result<(), ColdError> {
        match message {
            SignalMessage::Signal(signal) => self.on_signal(signal, out),
            SignalMessage::Binding(binding) => {
                self.observe_binding(binding);
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
        self.evaluator.set_plans(plans, &mut self.dropped_groups)
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
        self.evaluator.watermark
    }

    /// What the engine holds and has seen.
    pub fn stats(&self) -> CorrelationStats {
        let Evaluator {
            groups,
            attribution,
            journal,
            ..
        } = &self.evaluator;
        CorrelationStats {
            open_groups: groups.len(),
            cold_groups: groups.cold_len(),
            memory_bytes: groups.used().bytes,
            waiting_signals: attribution.signals.values().map(Vec::len).sum(),
            bindings: attribution.bindings.len(),
            late_bindings: attribution.bindings.late(),
            buffered_events: groups.used().events,
            watermark: self.watermark(),
            late_events: self.late_events.clone(),
            foreign_signals: self.foreign_signals,
            dropped_groups: self.dropped_groups.clone(),
            repairing: self.repairing(),
            repairs: journal.log().map(|log| log.stats.clone()).unwrap_or_default(),
        }
    }

    /// The groups in memory, in the order of rule and group.
    pub fn pending(&self) -> Vec<PendingGroup> {
        let mut groups: Vec<_> = self.evaluator.groups.iter().collect();
        groups.sort_by(|a, b| a.0.cmp(b.0));
        let log = self.evaluator.journal.log();
        let pending_of = |(key, group): (&Arc<GroupKey>, &Group)| {
            let plan = self.evaluator.plans.correlations.get(&key.rule_id)?;
            let repairing = log.is_some_and(|log| log.late.contains_key(&plan.key_of(&key.values)));
            Some(pending(plan, group, repairing))
        };
        groups.into_iter().filter_map(pending_of).collect()
    }

    /// Says at which offset the message stands that is applied next.
    pub fn at_offset(&mut self, offset: i64) {
        if let Some(log) = self.evaluator.journal.log_mut() {
            log.offset = offset;
        }
    }

    /// What is to be kept since this was last called. It must be in the tables before what it led to is reported.
    pub fn take_kept(&mut self) -> Kept {
        let log = self.evaluator.journal.log_mut();
        log.map(|log| std::mem::take(&mut log.kept)).unwrap_or_default()
    }

    /// How many keys wait for their repair.
    pub fn repairing(&self) -> usize {
        self.evaluator.journal.log().map_or(0, |log| log.late.len())
    }

    /// The key that has waited longest for its repair. It is taken off the list: whoever takes it must finish the repair
    /// ([`super::Repair::finish`]), or go on from the last state.
    pub fn next_repair(&mut self) -> Option<RepairRequest> {
        let Evaluator { plans, journal, .. } = &mut self.evaluator;
        journal.log_mut()?.next_request(plans)
    }

    /// Gives a request up, since what it needs is kept no more: its matches are in no correlation, and counted so.
    pub fn give_up(&mut self, request: &RepairRequest) {
        if let Some(log) = self.evaluator.journal.log_mut() {
            log.give_up(request);
        }
    }

    /// Leaves out of a request what had come before; `kept` has the signals of its key at the times of `late`. `None`: all of it
    /// had, and there is nothing to repair.
    pub fn without_duplicates(&mut self, mut request: RepairRequest, kept: &[Signal]) -> Option<RepairRequest> {
        if request.late_key.without_duplicates(kept) {
            return Some(request);
        }
        if let Some(log) = self.evaluator.journal.log_mut() {
            log.stats.duplicate_keys += 1;
        }
        None
    }

    /// From when on what is kept is needed: matches and windows, and bindings, which are resolved at earlier times too. What is
    /// earlier may be forgotten. `None` where nothing is kept, or no time has passed yet.
    pub fn kept_from(&self) -> Option<(Timestamp, Timestamp)> {
        let log = self.evaluator.journal.log()?;
        log.kept_from(&self.evaluator.plans, self.watermark())
    }

    fn on_signal(&mut self, signal: Signal, out: &mut Vec<Alert>) -> Result<(), ColdError> {
        if !self.applied.is_new(&signal) {
            return Ok(());
        }
        let plans = self.evaluator.plans.clone();
        if let Some(rule) = plans
            .detections
            .get(&signal.rule_id)
            .filter(|_| signal.rule_id == signal.matched_rule_id)
        {
            self.detections.insert(rule, signal, self.config.provisional, out);
        } else if let Some(plan) = plans.correlations.get(&signal.rule_id) {
            return self.on_match(plan, signal, out);
        } else {
            self.foreign_signals += 1;
        }
        Ok(())
    }

    /// Takes a match of a correlation: one that comes after the watermark waits for the repair of its group.
    fn on_match(&mut self, plan: &CorrelationPlan, mut signal: Signal, out: &mut Vec<Alert>) -> Result<(), ColdError> {
        if signal.rule_version.is_empty() {
            signal.rule_version.clone_from(&plan.signals_version);
        }
        if plan.cluster == Some(signal.group.len()) {
            // Emitted before groups had the cluster: which one it was is not known.
            signal.group.push(CompactString::default());
        }
        let parts = signal.group.len() + usize::from(plan.entity.is_some());
        let is_foreign = signal.rule_version != plan.signals_version
            || plan.member_bits(&signal.matched_rule_id) == 0
            || parts != plan.group_by.len()
            || plan.entity.is_some() == signal.entity.is_empty();
        if is_foreign {
            self.foreign_signals += 1;
            return Ok(());
        }
        let is_late = signal.event.time < self.evaluator.watermark;
        if is_late {
            *self.late_events.entry(signal.event.source).or_default() += 1;
        }
        let Evaluator {
            plans,
            watermark,
            journal,
            ..
        } = &mut self.evaluator;
        if let Some(log) = journal.log_mut()
            && (!is_late || log.mark_late(plans, &signal, *watermark))
        {
            log.keep_signal(&signal);
        }
        if is_late {
            return Ok(());
        }
        self.evaluator.insert_match(plan, signal, out)
    }

    /// Takes in a binding.
    fn observe_binding(&mut self, binding: Binding) {
        let Evaluator {
            plans,
            attribution,
            watermark,
            journal,
            ..
        } = &mut self.evaluator;
        if let Some(log) = journal.log_mut() {
            log.mark_binding(plans, &attribution.bindings, *watermark, &binding);
        }
        attribution.bindings.learn(&binding);
        if let Some(log) = journal.log_mut() {
            log.keep_binding(binding);
        }
    }

    fn advance(&mut self, to: Timestamp, out: &mut Vec<Alert>) -> Result<(), ColdError> {
        if to <= self.watermark() {
            return Ok(());
        }
        self.detections.advance(to, &self.evaluator.plans.detections, out);
        self.evaluator.advance(to, out)
    }
}
