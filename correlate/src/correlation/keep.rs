//! What an engine keeps of what it was told and decided, and which groups are to be looked at again for what came late.
//!
//! The engine has no tables: it hands out what is to be kept ([`CorrelationEngine::take_kept`]), says which key is to be repaired
//! next ([`CorrelationEngine::next_repair`]), and is given back what was kept of it (`repair.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use casebook_event::{Binding, EventId, EventRef, Kept, Position, Signal, Source, Timestamp};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::dependents::Dependents;
use super::engine::CorrelationEngine;
use super::plan::{CorrelationPlan, Plans};
use crate::entity::limits::MAX_ID_AGE_NANOS;
use crate::limits::{MAX_LATE_CITED, MAX_LATE_MATCHES_PER_KEY};

/// What an engine keeps, beside its groups.
#[derive(Debug, Clone)]
pub(super) struct Keeping {
    /// How far behind the watermark a match may lie that still repairs its group.
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
    /// Groups of one key that were looked at again.
    pub repaired_keys: u64,
    /// Keys of which all that came late had come before.
    pub duplicate_keys: u64,
    /// Matches that came later than the repair horizon, or from before anything was kept: they are in no correlation.
    pub beyond_horizon: BTreeMap<Source, u64>,
    /// What was learned late of who is who, and may change groups that are known no more: they stay as they were told.
    #[serde(default)]
    pub bindings_beyond_horizon: u64,
}

/// What came late of one key: matches, or what its events are attributed by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LateKey {
    pub order: u64,
    /// One of its correlations: it leads to the others.
    pub rule_id: Arc<str>,
    pub earliest: Timestamp,
    pub latest: Timestamp,
    /// What may have come before, within [`MAX_LATE_MATCHES_PER_KEY`]; beyond it, `None`: the key is repaired unseen.
    pub matches: Option<Vec<LateMatch>>,
    /// Of the first of them, what a retraction cites.
    pub cited: Vec<(CompactString, EventRef)>,
    /// The first that was learned of who is who.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learned: Option<Box<Binding>>,
}

/// A match that came late, as far as it is needed to find out whether it came before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LateMatch {
    pub what: u64,
    pub event_id: EventId,
    pub position: Position,
}

/// What is to be read to repair a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepairRequest {
    /// [`Signal::key`].
    pub key: u64,
    /// The earliest and the latest time that came late.
    pub late: (Timestamp, Timestamp),
    /// Signals from this time on are needed.
    pub signals_from: Timestamp,
    /// Windows that end at or after this time are needed.
    pub windows_from: Timestamp,
    /// Whether its correlations group by an entity, so that bindings are needed, too.
    pub by_entity: bool,
    pub(super) mark: LateKey,
}

/// What a match says, without where it was read: the same for a duplicate.
pub(super) fn identity(signal: &Signal) -> u64 {
    let mut hasher = Xxh3::new();
    let parts = [&*signal.rule_id, &*signal.matched_rule_id, &signal.rule_version];
    let value = signal.value.iter().map(CompactString::as_str);
    let parts = parts.into_iter().chain(signal.group.iter().map(CompactString::as_str));
    for part in parts.chain(value) {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.update(&signal.event.time.as_nanos().to_le_bytes());
    hasher.update(&signal.event.event_id.as_u128().to_le_bytes());
    hasher.digest()
}

/// The correlations whose groups change together with those of a rule, by id.
pub(super) fn family<'a>(plans: &'a Plans, rule_id: &str) -> impl Iterator<Item = &'a Arc<CorrelationPlan>> + use<'a> {
    let name = plans.correlations.get(rule_id).map(|plan| plan.family().to_owned());
    let all = plans.correlations.values();
    all.filter(move |plan| name.as_deref() == Some(plan.family()))
}

/// How far before a late event signals and windows are needed, in nanoseconds: what a correlation is made of must be exact from
/// as far back as what builds on it reaches.
pub(super) fn needed_nanos(plans: &Plans, rule_id: &str) -> (i64, i64) {
    let plans: Vec<_> = family(plans, rule_id).collect();
    let reaches = plans.iter().map(|plan| {
        let lags = plan.lag_nanos.saturating_mul(2);
        lags.saturating_add(plan.reach_nanos())
    });
    let signals = reaches.max().unwrap_or(0);
    let longest = plans.iter().map(|plan| plan.timespan_nanos).max().unwrap_or(0);
    (signals, signals.saturating_add(longest))
}

impl Keeping {
    /// Keeps a match.
    pub(super) fn signal(&mut self, signal: &Signal) {
        self.kept.signals.push((self.offset, signal.clone()));
    }

    /// Takes note of a match that came after the watermark. Whether it can be repaired.
    pub(super) fn late(&mut self, plans: &Plans, signal: &Signal, watermark: Timestamp) -> bool {
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
    pub(super) fn has_from(&self, time: Timestamp) -> bool {
        time >= self.since || self.since == Timestamp::MIN
    }

    /// The mark by which a key waits for its repair, which is about these times, both ends included, too.
    pub(super) fn mark(&mut self, key: u64, rule_id: &Arc<str>, (first, last): (Timestamp, Timestamp)) -> &mut LateKey {
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
}

impl LateKey {
    /// Leaves out what came before, as `kept` (the signals of this key at these times) shows; whether anything is left.
    pub(super) fn without_duplicates(&mut self, kept: &[Signal]) -> bool {
        let Some(matches) = &mut self.matches else { return true };
        let mut first: BTreeMap<u64, &Position> = BTreeMap::new();
        for signal in kept {
            let known = first.entry(identity(signal)).or_insert(&signal.event.position);
            if signal.event.position < **known {
                *known = &signal.event.position;
            }
        }
        matches.retain(|late| {
            let known = first.get(&late.what);
            known.is_none_or(|known| **known >= late.position)
        });
        let left: BTreeSet<EventId> = matches.iter().map(|late| late.event_id).collect();
        self.cited.retain(|(_, event)| left.contains(&event.event_id));
        !matches.is_empty()
    }
}

impl CorrelationEngine {
    /// An engine that keeps what it is told: what comes late, by no more than the horizon, repairs its group.
    ///
    /// The engine has seen nothing yet, or comes from a snapshot. One that kept nothing before knows that of what it has seen so
    /// far nothing is kept.
    #[must_use]
    pub fn keeping(mut self, horizon_nanos: i64) -> Self {
        match &mut self.keeping {
            Some(keeping) => keeping.horizon_nanos = horizon_nanos,
            None => {
                let since = self.latest_time().map_or(Timestamp::MIN, |t| t.saturating_add_nanos(1));
                self.keeping = Some(Box::new(Keeping {
                    horizon_nanos,
                    since,
                    offset: 0,
                    kept: Kept::default(),
                    dependents: Dependents::since(since),
                    late: BTreeMap::new(),
                    order: 0,
                    stats: RepairStats::default(),
                }));
            }
        }
        self
    }

    /// An engine that keeps nothing: what comes late is counted and in no correlation. What it kept before is of no use then.
    #[must_use]
    pub fn not_keeping(mut self) -> Self {
        self.keeping = None;
        self
    }

    /// The latest time of anything that was applied; `None` for an engine that has seen nothing.
    fn latest_time(&self) -> Option<Timestamp> {
        if self.applied.0.is_empty() {
            return None;
        }
        let dues = self.due.iter().map(|(due, ..)| *due);
        let waiting = self.waiting.signals.keys().copied();
        // Spilled groups are due no later than the longest window behind the latest event of those in memory can say: a day more
        // is more than any clock is let ahead.
        let latest = dues.chain(waiting).max().unwrap_or(Timestamp::MIN).max(self.watermark);
        Some(latest.saturating_add_nanos(86_400_000_000_000))
    }

    /// Says at which offset the message stands that is applied next.
    pub fn at_offset(&mut self, offset: i64) {
        if let Some(keeping) = &mut self.keeping {
            keeping.offset = offset;
        }
    }

    /// What is to be kept since this was last called. It must be in the tables before what it led to is told.
    pub fn take_kept(&mut self) -> Kept {
        self.keeping
            .as_mut()
            .map(|keeping| std::mem::take(&mut keeping.kept))
            .unwrap_or_default()
    }

    /// How many keys wait for their repair.
    pub fn repairing(&self) -> usize {
        self.keeping.as_ref().map_or(0, |keeping| keeping.late.len())
    }

    /// Whether a key waits for its repair.
    pub(super) fn waits_for_repair(&self, key: u64) -> bool {
        self.keeping
            .as_ref()
            .is_some_and(|keeping| keeping.late.contains_key(&key))
    }

    /// The key that has waited longest for its repair. It is taken off the list: whoever takes it must finish the repair
    /// ([`super::Repair::finish`]), or go on from the last state.
    pub fn next_repair(&mut self) -> Option<RepairRequest> {
        let plans = self.plans.clone();
        let keeping = self.keeping.as_mut()?;
        loop {
            let key = *keeping.late.iter().min_by_key(|(_, mark)| mark.order)?.0;
            let mark = keeping.late.remove(&key)?;
            // The rule may be gone meanwhile.
            if !plans.correlations.contains_key(&mark.rule_id) {
                continue;
            }
            let (signals, windows) = needed_nanos(&plans, &mark.rule_id);
            return Some(RepairRequest {
                key,
                late: (mark.earliest, mark.latest),
                signals_from: mark.earliest.saturating_add_nanos(-signals),
                windows_from: mark.earliest.saturating_add_nanos(-windows),
                by_entity: family(&plans, &mark.rule_id).any(|plan| plan.entity.is_some()),
                mark,
            });
        }
    }

    /// Gives a request up, since what it needs is kept no more: its matches are in no correlation, and counted so.
    pub fn give_up(&mut self, request: &RepairRequest) {
        let Some(keeping) = &mut self.keeping else { return };
        let source = request.mark.cited.first().map(|(_, event)| event.source);
        let matches = request.mark.matches.as_ref().map_or(1, Vec::len) as u64;
        keeping.stats.bindings_beyond_horizon += u64::from(request.mark.learned.is_some());
        if let Some(source) = source {
            *keeping.stats.beyond_horizon.entry(source).or_default() += matches;
        }
    }

    /// Leaves out of a request what had come before; `kept` has the signals of its key at the times of `late`. `None`: all of it
    /// had, and there is nothing to repair.
    pub fn without_duplicates(&mut self, mut request: RepairRequest, kept: &[Signal]) -> Option<RepairRequest> {
        if request.mark.without_duplicates(kept) {
            return Some(request);
        }
        if let Some(keeping) = &mut self.keeping {
            keeping.stats.duplicate_keys += 1;
        }
        None
    }

    /// From when on what is kept is needed: matches and windows, and bindings, which are asked about earlier times too. What is earlier
    /// may be forgotten. `None` where nothing is kept, or no time has passed yet.
    pub fn kept_from(&self) -> Option<(Timestamp, Timestamp)> {
        let horizon = self.keeping.as_ref()?.horizon_nanos;
        let plans = &self.plans.correlations;
        let reach = plans.keys().map(|id| needed_nanos(&self.plans, id).1).max();
        let before = |time: Timestamp, nanos: i64| time.saturating_add_nanos(-nanos);
        let signals = before(before(self.watermark, horizon), reach.unwrap_or(0));
        let by_entity = plans.values().any(|plan| plan.entity.is_some());
        let bindings = before(signals, if by_entity { MAX_ID_AGE_NANOS } else { 0 });
        (self.watermark > Timestamp::MIN).then_some((signals, bindings))
    }
}
