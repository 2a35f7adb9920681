//! Looks at the groups of one key again, with what came late among the rest, and says what is different now.
//!
//! ```text
//! RepairRequest ─ kept windows ─▶ Repair ─ kept signals, in the order of time ─▶ Repair ─ alerts as told so far ─▶ Alerts
//! ```
//!
//! The groups are made anew by an engine that has nothing else: what it says of the same events is, by the law of this engine, what
//! it would have said had they come in time. It begins far enough before the earliest late event that nothing before matters, but for one
//! thing: which events the window before has used up. That is what kept windows are for.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use casebook_event::{Alert, AlertStatus, Binding, DecidedWindow, EventRef, Retraction, Signal, Timestamp};

use super::alert::{alert_number, content_of, evidence, id_text};
use super::codec::Reader;
use super::cold::{ColdError, read_key};
use super::dependents::Dependents;
use super::engine::{CorrelationConfig, CorrelationEngine};
use super::group::{Group, GroupKey};
use super::keep::{RepairRequest, family};
use super::plan::{CorrelationPlan, Plans};

/// From where on the groups of a repair take events.
#[derive(Debug, Clone)]
pub(super) struct Begin {
    /// Of those that build on no other; the others begin later by what they wait.
    at: Timestamp,
    /// Up to when the events of a group are used up by a window that began before.
    used_to: HashMap<GroupKey, Timestamp>,
    /// The groups that were given an event.
    pub touched: HashSet<GroupKey>,
    /// On what the attribution of its events depended.
    pub dependents: Dependents,
}

impl Begin {
    /// Whether a group takes an event of that time.
    pub(super) fn takes(&mut self, plan: &CorrelationPlan, key: &GroupKey, time: Timestamp) -> bool {
        if !self.touched.contains(key) {
            self.touched.insert(key.clone());
        }
        time >= self.of(plan) && self.used_to.get(key).is_none_or(|used| time > *used)
    }

    fn of(&self, plan: &CorrelationPlan) -> Timestamp {
        self.at.saturating_add_nanos(plan.lag_nanos)
    }
}

/// A window that was decided, with its alert where its correlation raises any.
pub(super) type Decided = (DecidedWindow, Option<Alert>);

/// A repair under way.
#[derive(Debug)]
pub struct Repair {
    request: RepairRequest,
    engine: CorrelationEngine,
    /// The latest of each alert id, of those that matter.
    known: BTreeMap<u128, DecidedWindow>,
}

/// What a repair did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Repaired {
    /// Alerts that were not there before, or are told otherwise now.
    pub revised: usize,
    /// Final alerts that were withdrawn.
    pub retracted: usize,
}

impl Repair {
    /// Begins a repair of an engine's groups. `windows` are those that were kept of the request's key, `bindings` what was kept
    /// about who is who, if it [asks for them](RepairRequest::by_entity).
    pub fn new(
        engine: &CorrelationEngine,
        request: RepairRequest,
        windows: Vec<DecidedWindow>,
        bindings: &[Binding],
    ) -> Self {
        let mut correlations = BTreeMap::new();
        for plan in family(&engine.plans, &request.mark.rule_id) {
            let id: Arc<str> = Arc::from(&*plan.rule.id);
            correlations.insert(id, plan.clone());
        }
        let plans = Plans {
            detections: BTreeMap::new(),
            correlations,
        };
        let mut begin = Begin {
            at: request.signals_from,
            used_to: HashMap::new(),
            touched: HashSet::new(),
            dependents: Dependents::since(Timestamp::MIN),
        };
        let mut known: BTreeMap<u128, DecidedWindow> = BTreeMap::new();
        for window in windows {
            let plan = plans.correlations.get(&window.rule_id);
            if window.key != request.key || plan.is_none_or(|plan| plan.signals_version != window.rule_version) {
                continue;
            }
            let newer = known
                .get(&window.alert_id)
                .is_none_or(|known| known.revision <= window.revision);
            if newer {
                known.insert(window.alert_id, window);
            }
        }
        for window in known.values().filter(|window| window.status == AlertStatus::Final) {
            let Some(plan) = plans.correlations.get(&window.rule_id).filter(|plan| plan.uses_up()) else {
                continue;
            };
            if window.first < begin.of(plan) {
                let key = GroupKey {
                    rule_id: window.rule_id.clone(),
                    values: window.group.clone(),
                };
                let used = begin.used_to.entry(key).or_insert(window.to);
                *used = window.to.max(*used);
            }
        }
        let plans = Arc::new(plans);
        // Windows that end before what is late are as they were; those above are late by what they wait.
        known.retain(|_, window| {
            let plan = plans.correlations.get(&window.rule_id);
            plan.is_some_and(|plan| window.to >= affected_from(plan, &request))
        });
        let mut shadow = CorrelationEngine::with_plans(plans, CorrelationConfig { provisional: false });
        shadow.begin = Some(Box::new(begin));
        if request.by_entity {
            shadow.waiting.bindings = engine.waiting.bindings.with_earlier(bindings);
        }
        Self {
            request,
            engine: shadow,
            known,
        }
    }

    /// Takes signals of the key: all with a time from where the last call ended up to `to`, which is not after the watermark of the
    /// engine that is repaired, unless they are the last.
    ///
    /// # Errors
    /// None is expected: the repair has everything in memory.
    pub fn feed(&mut self, signals: Vec<Signal>, to: Timestamp) -> Result<(), ColdError> {
        let mut none = Vec::new();
        let plans = self.engine.plans.clone();
        for signal in signals {
            if let Some(plan) = plans.correlations.get(&signal.rule_id)
                && plan.signals_version == signal.rule_version
                && signal.key() == self.request.key
            {
                self.engine.on_match(plan, signal, &mut none)?;
            }
        }
        self.engine.advance(to, &mut none)
    }

    /// The alerts that must be known to finish: their ids, and about when they were.
    pub fn asks_for(&self, engine: &CorrelationEngine) -> Vec<(u128, Timestamp)> {
        // An event that a window had used up and that is free again may begin one of which was told before.
        let freed = self.engine.groups.iter().flat_map(|(key, group)| {
            let own = engine.groups.get(key);
            let free = move |event: &&EventRef| !own.is_some_and(|own| own.events().has(event));
            let events = group.events().entries().map(|entry| &entry.event).filter(free);
            events.map(|event| (alert_number(&key.rule_id, &key.values, event.event_id), event.time))
        });
        let of_known = self.known.values().map(|window| (window.alert_id, window.met));
        let decided = self.engine.decided.iter();
        let of_decided = decided.map(|(window, _)| (window.alert_id, window.met));
        let mut all: Vec<_> = of_known.chain(of_decided).chain(freed).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Takes the place of the groups in the engine, and reports what is to be told otherwise now. `told` has the latest revision of the
    /// alerts that were [asked for](Repair::asks_for), as far as there are any.
    ///
    /// # Errors
    /// Spilled groups cannot be read.
    pub fn finish(
        mut self,
        engine: &mut CorrelationEngine,
        told: Vec<Alert>,
        out: &mut Vec<Alert>,
    ) -> Result<Repaired, ColdError> {
        self.engine.advance(engine.watermark, &mut Vec::new())?;
        let told: BTreeMap<u128, Alert> = told
            .into_iter()
            .filter_map(|alert| Some((u128::from_str_radix(&alert.alert.id, 16).ok()?, alert)))
            .collect();
        let decided = std::mem::take(&mut self.engine.decided);
        let plans = self.engine.plans.clone();
        let affected = |window: &DecidedWindow| {
            let plan = plans.correlations.get(&window.rule_id);
            plan.is_some_and(|plan| window.to >= affected_from(plan, &self.request))
        };
        let now: BTreeMap<u128, Decided> = decided
            .into_iter()
            .filter(|(window, _)| affected(window))
            .map(|decided| (decided.0.alert_id, decided))
            .collect();
        let mut repaired = Repaired::default();
        let mut changed = Vec::new();
        for window in self.known.values().filter(|window| !now.contains_key(&window.alert_id)) {
            let revision = self.revision_after(window.alert_id, &told);
            if window.status == AlertStatus::Final {
                changed.push(DecidedWindow {
                    status: AlertStatus::Retracted,
                    revision,
                    ..window.clone()
                });
            }
            let before = told.get(&window.alert_id);
            if let Some(before) = before.filter(|before| before.alert.status == AlertStatus::Final) {
                repaired.retracted += 1;
                out.push(self.retracted(before, revision, &now));
            }
        }
        for (window, alert) in now.values() {
            let revision = self.revision_after(window.alert_id, &told);
            let before = self.known.get(&window.alert_id);
            let same = |before: &DecidedWindow| {
                before.status == AlertStatus::Final && before.content == window.content && before.to == window.to
            };
            if !before.is_some_and(same) {
                changed.push(DecidedWindow {
                    revision,
                    ..window.clone()
                });
            }
            let Some(alert) = alert else { continue };
            let before = told.get(&window.alert_id);
            let same =
                |before: &Alert| before.alert.status == AlertStatus::Final && content_of(before) == window.content;
            if !before.is_some_and(same) {
                repaired.revised += 1;
                let mut alert = alert.clone();
                alert.alert.revision = revision;
                out.push(alert);
            }
        }
        let revisions = Revisions {
            known: &self.known,
            told: &told,
            now: &now,
        };
        engine.take_over(&self.request, self.engine, &revisions, out)?;
        if let Some(keeping) = &mut engine.keeping {
            keeping.stats.repaired_keys += 1;
            let changed = changed.into_iter().map(|window| (i64::MAX, window));
            keeping.kept.windows.extend(changed);
        }
        Ok(repaired)
    }

    fn revision_after(&self, alert_id: u128, told: &BTreeMap<u128, Alert>) -> u32 {
        let now = &BTreeMap::new();
        let known = &self.known;
        Revisions { known, told, now }.last(alert_id) + 1
    }

    /// A final alert that does not hold any more, with what withdrew it.
    fn retracted(&self, before: &Alert, revision: u32, now: &BTreeMap<u128, Decided>) -> Alert {
        let mut alert = before.clone();
        alert.alert.revision = revision;
        alert.alert.status = AlertStatus::Retracted;
        let of_group = now.values().filter(|(window, new)| {
            *window.rule_id == *before.rule.id && new.as_ref().is_some_and(|new| new.group == before.group)
        });
        let mut overlapping =
            of_group.filter(|(window, _)| window.first <= before.window.to && window.to >= before.window.from);
        alert.alert.superseded_by = overlapping.next().map(|(window, _)| id_text(window.alert_id));
        // The last of the late events that are not after it: it is the one that changed it, or the one that changed what it was built on.
        let cited = &self.request.mark.cited;
        let not_after = cited.iter().filter(|(_, event)| event.time <= before.window.to);
        let by = not_after.max_by_key(|(_, event)| event.time).or(cited.first());
        let learned = self.request.mark.learned.as_deref();
        let of_event = by.map(|(_, event)| event.source.time_written_by());
        let written_by = of_event.or(learned.map(|learned| learned.how.time_written_by()));
        alert.retraction = Some(Box::new(Retraction {
            event: by.map(|(rule, event)| evidence(rule.clone(), EventRef::clone(event))),
            learned: learned.cloned(),
            time_written_by: written_by.unwrap_or("unknown").into(),
        }));
        alert
    }
}

/// The time from which on what a correlation says may be another, if so much was late.
fn affected_from(plan: &CorrelationPlan, request: &RepairRequest) -> Timestamp {
    request.late.0.saturating_add_nanos(-plan.lag_nanos)
}

/// What was reported of each alert so far.
pub(super) struct Revisions<'a> {
    known: &'a BTreeMap<u128, DecidedWindow>,
    told: &'a BTreeMap<u128, Alert>,
    /// What is final by this repair.
    now: &'a BTreeMap<u128, Decided>,
}

impl Revisions<'_> {
    /// The last revision of an alert, 0 where there is none.
    pub(super) fn last(&self, alert_id: u128) -> u32 {
        let known = self.known.get(&alert_id).map_or(0, |window| window.revision);
        let told = self.told.get(&alert_id).map_or(0, |alert| alert.alert.revision);
        known.max(told)
    }

    /// Whether the repair makes an alert final.
    pub(super) fn is_final(&self, alert_id: u128) -> bool {
        self.now.contains_key(&alert_id)
    }
}

impl CorrelationEngine {
    /// Lets the groups of a repair take the place of its own.
    fn take_over(
        &mut self,
        request: &RepairRequest,
        mut repaired: CorrelationEngine,
        revisions: &Revisions<'_>,
        out: &mut Vec<Alert>,
    ) -> Result<(), ColdError> {
        let plans = repaired.plans.clone();
        let Some(begin) = repaired.begin.take() else {
            return Ok(());
        };
        let touched = &begin.touched;
        let mut own = self.take_groups_of(request, &plans, touched)?;
        let mut keys: Vec<Arc<GroupKey>> = repaired.groups.keys().cloned().collect();
        keys.extend(
            own.keys()
                .filter(|key| !repaired.groups.contains_key(*key))
                .cloned()
                .collect::<Vec<_>>(),
        );
        keys.sort_unstable();
        for key in keys {
            let Some(plan) = plans.correlations.get(&key.rule_id) else {
                continue;
            };
            let before = own.remove(&key);
            // What a group remembers of events that are decided is longer than a repair goes back, where none came since. One that
            // remembers later ones has lost them to another group.
            if let Some(group) = &before
                && !plan.uses_up()
                && !touched.contains(&*key)
                && group.latest(plan).is_none_or(|latest| latest < begin.of(plan))
            {
                self.adopt(plan, group.clone());
                continue;
            }
            let mut group = match repaired.groups.remove(&key) {
                Some(group) => group,
                None => Group::new(plan, key.clone()),
            };
            let mut reports = Vec::new();
            group.go_on_from(plan, before.as_ref(), self.reports_early(plan), revisions, &mut reports);
            out.extend(reports.into_iter().map(|report| {
                let before = || before.as_ref().map_or(group.events(), Group::events);
                let events = match report.status {
                    AlertStatus::Withdrawn => before(),
                    _ => group.events(),
                };
                super::alert::correlation_alert(plan, events, &key.values, report)
            }));
            self.adopt(plan, group);
        }
        if let Some(keeping) = &mut self.keeping {
            keeping.dependents.merge(&begin.dependents);
        }
        self.settle()
    }

    /// Takes the groups of a key out, those in memory and those that were spilled.
    fn take_groups_of(
        &mut self,
        request: &RepairRequest,
        plans: &Plans,
        touched: &HashSet<GroupKey>,
    ) -> Result<HashMap<Arc<GroupKey>, Group>, ColdError> {
        let is_alone = plans.correlations.values().all(|plan| plan.stands_alone());
        let keys: Vec<GroupKey> = if is_alone {
            touched.iter().cloned().collect()
        } else {
            self.keys_of(request.key, plans)?
        };
        let mut taken = HashMap::new();
        for key in keys {
            let Some(plan) = plans.correlations.get(&key.rule_id) else {
                continue;
            };
            if !self.groups.contains_key(&key) {
                self.warm(plan, &key)?;
            }
            let Some((key, group)) = self.groups.remove_entry(&key) else {
                continue;
            };
            self.memory.used -= group.weight();
            if let Some(due) = super::engine::due(plan, &group) {
                self.due.remove(&(due, plan.level, key.clone()));
            }
            taken.insert(key, group);
        }
        Ok(taken)
    }

    /// The keys of all groups that the signals of a key make.
    fn keys_of(&self, of: u64, plans: &Plans) -> Result<Vec<GroupKey>, ColdError> {
        let is_of = |key: &GroupKey| {
            let plan = plans.correlations.get(&key.rule_id);
            plan.is_some_and(|plan| plan.key_of(&key.values) == of)
        };
        let mut keys: Vec<GroupKey> = self
            .groups
            .keys()
            .filter(|key| is_of(key))
            .map(|key| (**key).clone())
            .collect();
        let mut after = Vec::new();
        while let Some(cold) = self.cold().filter(|cold| cold.len() > 0) {
            let found = cold.read_on(&mut after)?;
            if found.is_empty() {
                break;
            }
            for (bytes, _) in found {
                let key = read_key(&mut Reader::new(&bytes), self.names());
                keys.extend(key.ok().filter(is_of));
            }
        }
        Ok(keys)
    }

    /// Whether a correlation's alerts are reported before their windows are complete.
    pub(super) fn reports_early(&self, plan: &CorrelationPlan) -> bool {
        self.config.provisional && (plan.alerts || plan.feeds.is_empty())
    }
}
