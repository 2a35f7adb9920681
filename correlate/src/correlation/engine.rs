//! One engine a partition of the signals topic: it finds the group of each signal, and closes groups as time passes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use casebook_event::{
    Alert, AlertRule, EventId, EventRef, Partition, Position, Signal, SignalMessage, Source, Timestamp, Watermark,
};
use compact_str::{CompactString, format_compact};

use super::alert::{correlation_alert, detection_alert, event_of};
use super::events::Entry;
use super::group::Group;
use super::plan::{CorrelationPlan, Plans};
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

/// What an engine holds and has seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CorrelationStats {
    /// Groups with at least one event.
    pub open_groups: usize,
    /// Events in them.
    pub buffered_events: usize,
    /// The watermark.
    pub watermark: Timestamp,
    /// Matches that came too late to be correlated, by source: an event counts once for each correlation it missed.
    pub late_events: BTreeMap<Source, u64>,
    /// Signals of rules that this engine does not have, or has with another group: ingest runs other rules.
    pub foreign_signals: u64,
    /// Groups that a restore left behind because their rule is gone or means something else now, by rule id.
    pub dropped_groups: BTreeMap<CompactString, u64>,
}

/// The key of a group.
pub(crate) type GroupKey = (Arc<str>, Vec<CompactString>);

/// When a group is to be looked at, its correlation's level, and the group.
type Due = (Timestamp, usize, GroupKey);

/// Matches of base rules at one time: what was raised already is `None`.
pub(crate) type Raised = BTreeMap<(Arc<str>, EventId), Option<EventRef>>;

/// The correlation engine. It has no clock: time is what the watermarks say.
#[derive(Debug)]
pub struct CorrelationEngine {
    pub(crate) plans: Arc<Plans>,
    config: CorrelationConfig,
    pub(crate) groups: HashMap<GroupKey, Group>,
    /// When each group is to be looked at next: once the watermark has passed that time. One entry a group. At the same
    /// time, those that others build on come first.
    due: BTreeSet<Due>,
    /// The watermark of every source partition that was heard of.
    pub(crate) partitions: BTreeMap<Partition, Timestamp>,
    /// The least of them, and never less than before.
    pub(crate) watermark: Timestamp,
    /// The highest position applied of each source partition, with what was applied there: what is delivered again after
    /// a crash is dropped by it.
    pub(crate) applied: BTreeMap<Partition, Applied>,
    /// Matches of base rules, by event time, until the watermark has passed it: what was raised already is `None`; without
    /// provisional alerts, what is still to be raised is the event.
    pub(crate) raised: BTreeMap<Timestamp, Raised>,
    pub(crate) late_events: BTreeMap<Source, u64>,
    pub(crate) foreign_signals: u64,
    pub(crate) dropped_groups: BTreeMap<CompactString, u64>,
}

/// The highest position of a source partition, and the signals applied there.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Applied {
    pub offset: i64,
    pub index: u32,
    pub signals: BTreeSet<(Arc<str>, Arc<str>, Vec<CompactString>)>,
}

impl CorrelationEngine {
    /// An engine that has seen nothing.
    pub fn new(rules: &RuleSet, config: CorrelationConfig) -> Self {
        Self::with_plans(Arc::new(Plans::of(rules)), config)
    }

    pub(crate) fn with_plans(plans: Arc<Plans>, config: CorrelationConfig) -> Self {
        Self {
            plans,
            config,
            groups: HashMap::new(),
            due: BTreeSet::new(),
            partitions: BTreeMap::new(),
            watermark: Timestamp::MIN,
            applied: BTreeMap::new(),
            raised: BTreeMap::new(),
            late_events: BTreeMap::new(),
            foreign_signals: 0,
            dropped_groups: BTreeMap::new(),
        }
    }

    /// Takes one message; what is to be reported is put behind `out`. The signals of one source partition must come in the
    /// order of their positions, but for those that are delivered again.
    pub fn apply(&mut self, message: SignalMessage, out: &mut Vec<Alert>) {
        match message {
            SignalMessage::Signal(signal) => self.on_signal(signal, out),
            SignalMessage::Watermark(Watermark { partition, time }) => {
                let known = self.partitions.entry(partition).or_insert(Timestamp::MIN);
                *known = time.max(*known);
                if let Some(least) = self.partitions.values().min().copied() {
                    self.advance(least, out);
                }
            }
        }
    }

    /// Goes on with other rules. Groups of rules that are gone or mean something else now are dropped, and counted in the
    /// stats, as by a restore.
    pub fn set_rules(&mut self, rules: &RuleSet) {
        self.set_plans(Arc::new(Plans::of(rules)));
    }

    pub(crate) fn set_plans(&mut self, plans: Arc<Plans>) {
        let old = std::mem::replace(&mut self.plans, plans);
        let version = |plans: &Plans, id: &Arc<str>| Some(plans.correlations.get(id)?.rule.version.clone());
        let same = |id: &Arc<str>| version(&old, id) == version(&self.plans, id);
        let dropped = &mut self.dropped_groups;
        self.groups.retain(|(id, _), _| {
            let kept = same(id);
            if !kept {
                *dropped.entry(CompactString::new(id)).or_default() += 1;
            }
            kept
        });
        self.due.retain(|(_, _, (id, _))| same(id));
    }

    /// The end of a finite input: nothing comes any more, so everything is decided.
    pub fn finish(&mut self, out: &mut Vec<Alert>) {
        self.advance(Timestamp::MAX, out);
    }

    /// What the engine holds and has seen.
    pub fn stats(&self) -> CorrelationStats {
        CorrelationStats {
            open_groups: self.groups.len(),
            buffered_events: self.groups.values().map(|group| group.events().len()).sum(),
            watermark: self.watermark,
            late_events: self.late_events.clone(),
            foreign_signals: self.foreign_signals,
            dropped_groups: self.dropped_groups.clone(),
        }
    }

    fn on_signal(&mut self, signal: Signal, out: &mut Vec<Alert>) {
        if !self.is_new(&signal) {
            return;
        }
        let plans = self.plans.clone();
        if let Some(rule) = plans
            .detections
            .get(&signal.rule_id)
            .filter(|_| signal.rule_id == signal.matched_rule_id)
        {
            self.on_detection(rule, signal, out);
        } else if let Some(plan) = plans.correlations.get(&signal.rule_id) {
            if signal.event.time < self.watermark {
                *self.late_events.entry(signal.event.source).or_default() += 1;
            } else {
                self.on_match(plan, signal, out);
            }
        } else {
            self.foreign_signals += 1;
        }
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

    fn on_match(&mut self, plan: &Arc<CorrelationPlan>, signal: Signal, out: &mut Vec<Alert>) {
        let members = plan.member_bits(&signal.matched_rule_id);
        if members == 0 || signal.group.len() != plan.group_by.len() {
            self.foreign_signals += 1;
            return;
        }
        let entry = Entry {
            members,
            value: signal.value,
            event: signal.event,
            told: None,
        };
        self.insert(plan, (signal.rule_id, signal.group), entry, out);
    }

    fn insert(&mut self, plan: &CorrelationPlan, key: GroupKey, entry: Entry, out: &mut Vec<Alert>) {
        let group = self
            .groups
            .entry(key.clone())
            .or_insert_with(|| Group::new(plan, key.1.clone()));
        let due = due(plan, group);
        let mut reports = Vec::new();
        let provisional = self.config.provisional && (plan.alerts || plan.feeds.is_empty());
        group.insert(plan, entry, provisional, &mut reports);
        out.extend(
            reports
                .into_iter()
                .map(|report| correlation_alert(plan, group.events(), &group.values, report)),
        );
        let now_due = self::due(plan, group);
        if now_due != due {
            let key = match due {
                None => key,
                Some(due) => {
                    let entry = (due, plan.level, key);
                    self.due.remove(&entry);
                    entry.2
                }
            };
            self.due.extend(now_due.map(|due| (due, plan.level, key)));
        }
    }

    /// Whether this signal was not applied before. A worker that reads a partition again sends its signals again.
    fn is_new(&mut self, signal: &Signal) -> bool {
        let Position {
            topic,
            partition,
            offset,
            index,
        } = &signal.event.position;
        let partition = Partition {
            topic: topic.clone(),
            partition: *partition,
        };
        let what = (
            signal.rule_id.clone(),
            signal.matched_rule_id.clone(),
            signal.group.clone(),
        );
        match self.applied.get_mut(&partition) {
            Some(applied) if (*offset, *index) < (applied.offset, applied.index) => false,
            Some(applied) if (*offset, *index) == (applied.offset, applied.index) => applied.signals.insert(what),
            _ => {
                self.applied.insert(
                    partition,
                    Applied {
                        offset: *offset,
                        index: *index,
                        signals: BTreeSet::from([what]),
                    },
                );
                true
            }
        }
    }

    fn advance(&mut self, to: Timestamp, out: &mut Vec<Alert>) {
        if to <= self.watermark {
            return;
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
        while let Some((due, level, key)) = self.due.pop_first() {
            if due >= to && to != Timestamp::MAX {
                self.due.insert((due, level, key));
                break;
            }
            self.close(due, key, out);
        }
    }

    /// Looks at a group that is due. What it says goes to those that build on it.
    fn close(&mut self, was_due: Timestamp, key: GroupKey, out: &mut Vec<Alert>) {
        let plans = self.plans.clone();
        let Some(plan) = plans.correlations.get(&key.0) else {
            return;
        };
        let Some(group) = self.groups.get_mut(&key) else { return };
        // What it builds on was looked at up to this time only.
        let up_to = match (plan.level, was_due) {
            (0, _) | (_, Timestamp::MAX) => self.watermark,
            _ => was_due.saturating_add_nanos(1).saturating_add_nanos(-plan.lag_nanos),
        };
        let mut said = Vec::new();
        group.close(plan, up_to, &mut |events, values, report| {
            said.push(correlation_alert(plan, events, values, report))
        });
        match due(plan, group) {
            None => drop(self.groups.remove(&key)),
            Some(due) => drop(self.due.insert((due, plan.level, key.clone()))),
        }
        for alert in said {
            for feed in &plan.feeds {
                self.feed(&plans, &key, feed, &alert, out);
            }
            if plan.alerts {
                out.push(alert);
            }
        }
    }

    /// Gives an alert to a correlation that builds on its rule.
    fn feed(&mut self, plans: &Plans, from: &GroupKey, feed: &Feed, alert: &Alert, out: &mut Vec<Alert>) {
        let Some(plan) = plans.correlations.get(&feed.correlation_id) else {
            return;
        };
        let parts = |parts: &[usize]| -> Vec<CompactString> {
            parts.iter().filter_map(|&part| from.1.get(part).cloned()).collect()
        };
        let value = match (feed.value.as_slice(), &plan.kind) {
            ([], _) => None,
            (value, kind) if kind.asks_for_numbers() => match parts(value).concat().parse::<Fixed>() {
                Ok(number) => Some(format_compact!("{number}")),
                Err(()) => return,
            },
            (value, _) => Some(parts(value).join("\u{1f}").into()),
        };
        if let Some(entry) = event_of(alert, plan.member_bits(&from.0), value) {
            self.insert(plan, (feed.correlation_id.clone(), parts(&feed.group)), entry, out);
        }
    }

    /// Puts a restored group in its place.
    pub(crate) fn adopt(&mut self, key: GroupKey, plan: &CorrelationPlan, group: Group) {
        if let Some(due) = due(plan, &group) {
            self.due.insert((due, plan.level, key.clone()));
            self.groups.insert(key, group);
        }
    }
}

/// When a group is to be looked at: its events may come late by what they wait for.
fn due(plan: &CorrelationPlan, group: &Group) -> Option<Timestamp> {
    Some(group.due(plan)?.saturating_add_nanos(plan.lag_nanos))
}
