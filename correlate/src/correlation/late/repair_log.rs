//! What an engine notes for repairs: what is to be kept, which keys wait, and what became of those before.

use std::collections::BTreeMap;
use std::sync::Arc;

use casebook_event::{Binding, DecidedWindow, Kept, Signal, Source, Timestamp};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::dependents::Dependents;
use super::late_key::{LateKey, LateMatch, RepairRequest, identity};
use super::needs::{family, needed_nanos};
use crate::correlation::plan::Plans;
use crate::entity::limits::MAX_ID_AGE_NANOS;
use crate::entity::{Bindings, affected, reaches_back};
use crate::limits::{MAX_LATE_CITED, MAX_LATE_MATCHES_PER_KEY};

/// What an engine notes for repairs, beside its groups.
#[derive(Debug, Clone)]
pub(crate) struct RepairLog {
    /// How long before the watermark a match may lie that still repairs its group.
    pub horizon_nanos: i64,
    /// Everything with a time from here on was kept.
    pub since: Timestamp,
    /// The offset of the message that is being applied.
    pub offset: i64,
    pub kept: Kept,
    /// On what events that are attributed depended.
    pub dependents: Dependents,
    /// By key, what came late.
    pub late: BTreeMap<u64, LateKey>,
    /// The number of the next key that is late: they are repaired in this order.
    pub order: u64,
    pub stats: RepairStats,
}

/// What became of matches that came late.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RepairStats {
    /// Groups of one key that were repaired.
    pub repaired_keys: u64,
    /// Keys of which all that came late had come before.
    pub duplicate_keys: u64,
    /// Matches that came later than the repair horizon, or from before anything was kept: they are in no correlation.
    pub beyond_horizon: BTreeMap<Source, u64>,
    /// Bindings that were learned late, and may change groups that are known no more: these stay as they were reported.
    #[serde(default)]
    pub bindings_beyond_horizon: u64,
}

impl RepairLog {
    /// One that has noted nothing yet, where everything with a time from `since` on will be kept.
    pub(crate) fn new(horizon_nanos: i64, since: Timestamp) -> Self {
        Self {
            horizon_nanos,
            since,
            offset: 0,
            kept: Kept::default(),
            dependents: Dependents::since(since),
            late: BTreeMap::new(),
            order: 0,
            stats: RepairStats::default(),
        }
    }

    /// Keeps a match.
    pub(crate) fn keep_signal(&mut self, signal: &Signal) {
        self.kept.signals.push((self.offset, signal.clone()));
    }

    /// Takes note of a match that came after the watermark. Whether it can be repaired.
    pub(crate) fn mark_late(&mut self, plans: &Plans, signal: &Signal, watermark: Timestamp) -> bool {
        let time = signal.event.time;
        let (_, needed) = needed_nanos(plans, &signal.rule_id);
        let is_kept = self.has_from(time.saturating_add_nanos(-needed));
        if time < watermark.saturating_add_nanos(-self.horizon_nanos) || !is_kept {
            *self.stats.beyond_horizon.entry(signal.event.source).or_default() += 1;
            return false;
        }
        let mark = self.mark(signal.key(), &signal.rule_id, (time, time));
        if let Some(matches) = &mut mark.matches {
            if matches.len() < MAX_LATE_MATCHES_PER_KEY {
                matches.push(LateMatch {
                    what: identity(signal),
                    event_id: signal.event.event_id,
                    position: signal.event.position.clone(),
                });
            } else {
                mark.matches = None;
            }
        }
        if mark.cited.len() < MAX_LATE_CITED {
            let cited = (CompactString::new(&signal.matched_rule_id), signal.event.clone());
            mark.cited.push(cited);
        }
        true
    }

    /// Whether all is kept from a time on.
    fn has_from(&self, time: Timestamp) -> bool {
        time >= self.since || self.since == Timestamp::MIN
    }

    /// The mark by which a key waits for its repair, which is about these times, both ends included, too.
    fn mark(&mut self, key: u64, rule_id: &Arc<str>, (first, last): (Timestamp, Timestamp)) -> &mut LateKey {
        let order = self.order;
        let mark = self.late.entry(key).or_insert_with(|| LateKey {
            order,
            rule_id: rule_id.clone(),
            earliest: first,
            latest: last,
            matches: Some(Vec::new()),
            cited: Vec::new(),
            learned: None,
        });
        self.order += u64::from(mark.order == order);
        mark.earliest = mark.earliest.min(first);
        mark.latest = mark.latest.max(last);
        mark
    }

    /// Keeps a binding.
    pub(crate) fn keep_binding(&mut self, binding: Binding) {
        self.kept.bindings.push((self.offset, binding));
    }

    /// Takes note of a binding that is about to be learned beside those that are `known`: the keys whose events before the watermark
    /// are of another entity by it wait for their repair.
    pub(crate) fn mark_binding(&mut self, plans: &Plans, known: &Bindings, watermark: Timestamp, binding: &Binding) {
        if binding.time < watermark || reaches_back(binding) {
            self.mark_affected(plans, known, watermark, binding);
        }
    }

    /// Marks the keys whose events before the watermark are of another entity by a binding that is about to be learned.
    fn mark_affected(&mut self, plans: &Plans, known: &Bindings, watermark: Timestamp, binding: &Binding) {
        let known_from = known.floor().max(self.dependents.complete_since());
        let mut marks = Vec::new();
        let mut is_beyond = false;
        for (identifier, (first, last)) in affected(known, binding) {
            // What is settled stays as it is.
            let first = first.max(watermark.saturating_add_nanos(-self.horizon_nanos));
            let last = last.min(watermark.saturating_add_nanos(-1));
            if first > last {
                continue;
            }
            is_beyond |= first < known_from;
            for (by, rule_id) in self.dependents.of(&identifier) {
                let (first, last) = (first.max(by.first), last.min(by.last));
                if first <= last {
                    marks.push((by.key, rule_id.clone(), first, last));
                }
            }
        }
        for (key, rule_id, first, last) in marks {
            // Of a rule that is gone it is not known which others have its key.
            let is_known = plans.correlations.contains_key(&rule_id);
            let (_, needed) = needed_nanos(plans, &rule_id);
            if !is_known || !self.has_from(first.saturating_add_nanos(-needed)) {
                is_beyond = true;
                continue;
            }
            let mark = self.mark(key, &rule_id, (first, last));
            mark.matches = None;
            mark.learned.get_or_insert_with(|| Box::new(binding.clone()));
        }
        self.stats.bindings_beyond_horizon += u64::from(is_beyond);
    }

    /// Keeps a window that was decided. Whoever goes on after a crash may decide otherwise, as time went on: it is always written,
    /// and equal ones count once.
    pub(crate) fn keep_window(&mut self, window: DecidedWindow) {
        self.kept.windows.push((i64::MAX, window));
    }

    /// The key that has waited longest for its repair; it is taken off the list.
    pub(crate) fn next_request(&mut self, plans: &Plans) -> Option<RepairRequest> {
        loop {
            let key = *self.late.iter().min_by_key(|(_, mark)| mark.order)?.0;
            let mark = self.late.remove(&key)?;
            // The rule may be gone meanwhile.
            if !plans.correlations.contains_key(&mark.rule_id) {
                continue;
            }
            let (signals, windows) = needed_nanos(plans, &mark.rule_id);
            return Some(RepairRequest {
                key,
                late: (mark.earliest, mark.latest),
                signals_from: mark.earliest.saturating_add_nanos(-signals),
                windows_from: mark.earliest.saturating_add_nanos(-windows),
                by_entity: family(plans, &mark.rule_id).any(|plan| plan.entity.is_some()),
                late_key: mark,
            });
        }
    }

    /// Gives a request up, since what it needs is kept no more: its matches are in no correlation, and counted so.
    pub(crate) fn give_up(&mut self, request: &RepairRequest) {
        let late = &request.late_key;
        let source = late.cited.first().map(|(_, event)| event.source);
        let matches = late.matches.as_ref().map_or(1, Vec::len) as u64;
        self.stats.bindings_beyond_horizon += u64::from(late.learned.is_some());
        if let Some(source) = source {
            *self.stats.beyond_horizon.entry(source).or_default() += matches;
        }
    }

    /// From when on what is kept is needed: matches and windows, and bindings, which are resolved at earlier times too. `None` where no
    /// time has passed yet.
    pub(crate) fn kept_from(&self, plans: &Plans, watermark: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let correlations = &plans.correlations;
        let reach = correlations.keys().map(|id| needed_nanos(plans, id).1).max();
        let before = |time: Timestamp, nanos: i64| time.saturating_add_nanos(-nanos);
        let signals = before(before(watermark, self.horizon_nanos), reach.unwrap_or(0));
        let by_entity = correlations.values().any(|plan| plan.entity.is_some());
        let bindings = before(signals, if by_entity { MAX_ID_AGE_NANOS } else { 0 });
        (watermark > Timestamp::MIN).then_some((signals, bindings))
    }
}
