//! Makes the groups of one key anew, with what came late among the rest, and says what is different now.
//!
//! ```text
//! RepairRequest ─ kept windows ─▶ Repair ─ kept signals, in the order of time ─▶ Repair ─ alerts as reported so far ─▶ Alerts
//! ```
//!
//! The groups are made by an evaluator that has nothing else: what it says of the same events is, by the law of the engine, what
//! it would have said had they come in time. It begins far enough before the earliest late event that nothing before matters, but for one
//! thing: which events the window before has used up. That is what kept windows are for.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use casebook_event::{Alert, AlertStatus, Binding, DecidedWindow, EventRef, Retraction, Signal, Timestamp};

use super::alert::{content_of, correlation_alert, evidence};
use super::engine::CorrelationEngine;
use super::evaluator::Evaluator;
use super::group::{Decided, Group, GroupKey, Revisions, alert_number, id_text};
use super::group_table::ColdError;
use super::late::{Journal, RepairRequest, ReplayLog, family};
use super::plan::{CorrelationPlan, Plans};

/// A repair under way.
#[derive(Debug)]
pub struct Repair {
    request: RepairRequest,
    /// The groups of the key, made anew.
    evaluator: Evaluator,
    /// The latest of each alert id, of those that matter.
    known: BTreeMap<u128, DecidedWindow>,
}

/// What a repair did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Repaired {
    /// Alerts that were not there before, or are reported otherwise now.
    pub revised: usize,
    /// Final alerts that were withdrawn.
    pub retracted: usize,
}

/// What a repair found to be different: the windows to keep, and the alerts to report.
#[derive(Debug, Default)]
struct Difference {
    windows: Vec<DecidedWindow>,
    repaired: Repaired,
}

impl Repair {
    /// Begins a repair of an engine's groups. `windows` are those that were kept of the request's key, `bindings` those that were
    /// kept, if it [needs them](RepairRequest::by_entity).
    pub fn new(
        engine: &CorrelationEngine,
        request: RepairRequest,
        windows: Vec<DecidedWindow>,
        bindings: &[Binding],
    ) -> Self {
        let mut correlations = BTreeMap::new();
        for plan in family(&engine.evaluator.plans, &request.late_key.rule_id) {
            let id: Arc<str> = Arc::from(&*plan.rule.id);
            correlations.insert(id, plan.clone());
        }
        let plans = Plans {
            detections: BTreeMap::new(),
            correlations,
        };
        let mut replay = ReplayLog::new(request.signals_from);
        let mut known = latest_windows(windows, request.key, &plans);
        for window in known.values().filter(|window| window.status == AlertStatus::Final) {
            let plan = plans.correlations.get(&window.rule_id);
            if plan.is_some_and(|plan| plan.uses_up() && window.first < replay.begin_of(plan)) {
                replay.use_up(window);
            }
        }
        // Windows that end before what is late are as they were; those above are late by what they wait.
        known.retain(|_, window| is_affected(&plans, window, &request));
        let mut evaluator = Evaluator::new(Arc::new(plans), false, Journal::Replay(Box::new(replay)));
        if request.by_entity {
            evaluator.attribution.bindings = engine.evaluator.attribution.bindings.with_earlier(bindings);
        }
        Self {
            request,
            evaluator,
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
        let plans = self.evaluator.plans.clone();
        for signal in signals {
            if let Some(plan) = plans.correlations.get(&signal.rule_id)
                && plan.signals_version == signal.rule_version
                && signal.key() == self.request.key
            {
                self.evaluator.insert_match(plan, signal, &mut none)?;
            }
        }
        self.evaluator.advance(to, &mut none)
    }

    /// The alerts that must be known to finish: their ids, and about when they were.
    pub fn required_alerts(&self, engine: &CorrelationEngine) -> Vec<(u128, Timestamp)> {
        // An event that a window had used up and that is free again may begin one that was reported before.
        let freed = self.evaluator.groups.iter().flat_map(|(key, group)| {
            let own = engine.evaluator.groups.get(key);
            let free = move |event: &&EventRef| !own.is_some_and(|own| own.events().has(event));
            let events = group.events().entries().map(|entry| &entry.event).filter(free);
            events.map(|event| (alert_number(&key.rule_id, &key.values, event.event_id), event.time))
        });
        let of_known = self.known.values().map(|window| (window.alert_id, window.met));
        let decided = self.evaluator.journal.decided().iter();
        let of_decided = decided.map(|(window, _)| (window.alert_id, window.met));
        let mut all: Vec<_> = of_known.chain(of_decided).chain(freed).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Takes the place of the groups in the engine, and reports what is different now. `reported` has the latest revision of the
    /// [required alerts](Repair::required_alerts), as far as there are any.
    ///
    /// # Errors
    /// Spilled groups cannot be read.
    pub fn finish(
        mut self,
        engine: &mut CorrelationEngine,
        reported: Vec<Alert>,
        out: &mut Vec<Alert>,
    ) -> Result<Repaired, ColdError> {
        self.evaluator.advance(engine.watermark(), &mut Vec::new())?;
        let reported: BTreeMap<u128, Alert> = reported
            .into_iter()
            .filter_map(|alert| Some((u128::from_str_radix(&alert.alert.id, 16).ok()?, alert)))
            .collect();
        let decided = self.evaluator.journal.take_decided().into_iter();
        let now: BTreeMap<u128, Decided> = decided
            .filter(|(window, _)| is_affected(&self.evaluator.plans, window, &self.request))
            .map(|decided| (decided.0.alert_id, decided))
            .collect();
        let mut difference = Difference::default();
        self.retract(&reported, &now, &mut difference, out);
        self.revise(&reported, &now, &mut difference, out);
        let revisions = Revisions {
            known: &self.known,
            reported: &reported,
            now: &now,
        };
        take_over(&mut engine.evaluator, &self.request, self.evaluator, &revisions, out)?;
        if let Some(log) = engine.evaluator.journal.log_mut() {
            log.stats.repaired_keys += 1;
            difference
                .windows
                .into_iter()
                .for_each(|window| log.keep_window(window));
        }
        Ok(difference.repaired)
    }

    /// Retracts what was decided before and is not any more.
    fn retract(
        &self,
        reported: &BTreeMap<u128, Alert>,
        now: &BTreeMap<u128, Decided>,
        difference: &mut Difference,
        out: &mut Vec<Alert>,
    ) {
        for window in self.known.values().filter(|window| !now.contains_key(&window.alert_id)) {
            let revision = self.next_revision(window.alert_id, reported);
            if window.status == AlertStatus::Final {
                difference.windows.push(DecidedWindow {
                    status: AlertStatus::Retracted,
                    revision,
                    ..window.clone()
                });
            }
            let before = reported.get(&window.alert_id);
            if let Some(before) = before.filter(|before| before.alert.status == AlertStatus::Final) {
                difference.repaired.retracted += 1;
                out.push(self.retracted(before, revision, now));
            }
        }
    }

    /// Reports what is decided now and was not before, or was otherwise.
    fn revise(
        &self,
        reported: &BTreeMap<u128, Alert>,
        now: &BTreeMap<u128, Decided>,
        difference: &mut Difference,
        out: &mut Vec<Alert>,
    ) {
        for (window, alert) in now.values() {
            let revision = self.next_revision(window.alert_id, reported);
            let before = self.known.get(&window.alert_id);
            let same = |before: &DecidedWindow| {
                before.status == AlertStatus::Final && before.content == window.content && before.to == window.to
            };
            if !before.is_some_and(same) {
                difference.windows.push(DecidedWindow {
                    revision,
                    ..window.clone()
                });
            }
            let Some(alert) = alert else { continue };
            let before = reported.get(&window.alert_id);
            let same =
                |before: &Alert| before.alert.status == AlertStatus::Final && content_of(before) == window.content;
            if !before.is_some_and(same) {
                difference.repaired.revised += 1;
                let mut alert = alert.clone();
                alert.alert.revision = revision;
                out.push(alert);
            }
        }
    }

    fn next_revision(&self, alert_id: u128, reported: &BTreeMap<u128, Alert>) -> u32 {
        let now = &BTreeMap::new();
        let known = &self.known;
        Revisions { known, reported, now }.last(alert_id) + 1
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
        let cited = &self.request.late_key.cited;
        let not_after = cited.iter().filter(|(_, event)| event.time <= before.window.to);
        let by = not_after.max_by_key(|(_, event)| event.time).or(cited.first());
        let learned = self.request.late_key.learned.as_deref();
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

/// The latest of the kept windows of each alert, of the request's key and of the rules as they are.
fn latest_windows(windows: Vec<DecidedWindow>, key: u64, plans: &Plans) -> BTreeMap<u128, DecidedWindow> {
    let mut known: BTreeMap<u128, DecidedWindow> = BTreeMap::new();
    for window in windows {
        let plan = plans.correlations.get(&window.rule_id);
        if window.key != key || plan.is_none_or(|plan| plan.signals_version != window.rule_version) {
            continue;
        }
        let newer = known
            .get(&window.alert_id)
            .is_none_or(|known| known.revision <= window.revision);
        if newer {
            known.insert(window.alert_id, window);
        }
    }
    known
}

/// Whether what a correlation says of a window may be another, if so much was late.
fn is_affected(plans: &Plans, window: &DecidedWindow, request: &RepairRequest) -> bool {
    let from = |plan: &CorrelationPlan| request.late.0.saturating_add_nanos(-plan.lag_nanos);
    let plan = plans.correlations.get(&window.rule_id);
    plan.is_some_and(|plan| window.to >= from(plan))
}

/// Lets the groups of a repair take the place of the engine's own.
fn take_over(
    engine: &mut Evaluator,
    request: &RepairRequest,
    repaired: Evaluator,
    revisions: &Revisions<'_>,
    out: &mut Vec<Alert>,
) -> Result<(), ColdError> {
    let Evaluator {
        plans,
        groups,
        journal: Journal::Replay(replay),
        ..
    } = repaired
    else {
        return Ok(());
    };
    let mut own = take_groups(engine, request, &plans, &replay.touched)?;
    let mut repaired = groups.into_groups();
    let mut keys: Vec<Arc<GroupKey>> = repaired.keys().cloned().collect();
    keys.extend(own.keys().filter(|key| !repaired.contains_key(*key)).cloned());
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
            && !replay.touched.contains(&*key)
            && group.latest(plan).is_none_or(|latest| latest < replay.begin_of(plan))
        {
            engine.groups.adopt(plan, group.clone());
            continue;
        }
        let mut group = match repaired.remove(&key) {
            Some(group) => group,
            None => Group::new(plan, key.clone()),
        };
        let mut reports = Vec::new();
        if engine.reports_early(plan) {
            group.replace(plan, before.as_ref(), revisions, &mut reports);
        }
        out.extend(reports.into_iter().map(|report| {
            let events = match report.status {
                AlertStatus::Withdrawn => before.as_ref().map_or(group.events(), Group::events),
                _ => group.events(),
            };
            correlation_alert(plan, events, &key.values, report)
        }));
        engine.groups.adopt(plan, group);
    }
    if let Some(log) = engine.journal.log_mut() {
        log.dependents.merge(&replay.dependents);
    }
    engine.spill()
}

/// Takes the groups of a key out, those in memory and those that were spilled.
fn take_groups(
    engine: &mut Evaluator,
    request: &RepairRequest,
    plans: &Plans,
    touched: &HashSet<GroupKey>,
) -> Result<HashMap<Arc<GroupKey>, Group>, ColdError> {
    let is_alone = plans.correlations.values().all(|plan| plan.stands_alone());
    let keys: Vec<GroupKey> = if is_alone {
        touched.iter().cloned().collect()
    } else {
        engine.groups.keys_of(request.key, plans)?
    };
    let mut taken = HashMap::new();
    for key in keys {
        if let Some(plan) = plans.correlations.get(&key.rule_id) {
            taken.extend(engine.groups.remove(plan, &key)?);
        }
    }
    Ok(taken)
}
