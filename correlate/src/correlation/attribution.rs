//! Signals of correlations that group by an entity wait here until it can be told which entity they are about.
//!
//! What an identifier stood for at a time is known once no binding of that time or before is still to come: when the watermark
//! has passed it. So the answer is a function of the set of events, as all others are.

use std::collections::BTreeMap;

use casebook_event::{Alert, Attributed, Binding, EntityKind, Identifier, Signal, Timestamp};
use compact_str::CompactString;

use super::cold::ColdError;
use super::dependents::{Dependents, number_of};
use super::engine::CorrelationEngine;
use super::events::Entry;
use super::group::GroupKey;
use crate::entity::limits::MAX_FACTS;
use crate::entity::{Attribution, Bindings};

/// Event time between two looks for bindings that are of no more use, in nanoseconds: they take a while.
const FORGET_EVERY_NANOS: i64 = 3_600_000_000_000;

/// Who is who, and the signals that wait to know it.
#[derive(Debug, Clone, Default)]
pub(super) struct Waiting {
    pub bindings: Bindings,
    pub signals: BTreeMap<Timestamp, Vec<Signal>>,
    forgotten: Timestamp,
}

impl Waiting {
    pub(super) fn learn(&mut self, binding: &Binding) {
        self.bindings.learn(binding);
    }

    pub(super) fn push(&mut self, signal: Signal) {
        self.signals.entry(signal.event.time).or_default().push(signal);
    }

    /// The signals before `to`, or all at the end of time, in the order of time.
    pub(super) fn take_before(&mut self, to: Timestamp) -> impl Iterator<Item = Signal> + use<> {
        let still_open = match to {
            Timestamp::MAX => BTreeMap::new(),
            to => self.signals.split_off(&to),
        };
        let ready = std::mem::replace(&mut self.signals, still_open);
        ready.into_values().flatten()
    }

    /// Forgets what nothing can ask for that is later than so long before `watermark`, which may be looked at again. Where the bindings
    /// would take more than half of their room, that is less long. Returns from when on answers can be relied upon, if that has changed.
    pub(super) fn forget_before(&mut self, watermark: Timestamp, horizon_nanos: i64) -> Option<Timestamp> {
        if watermark <= self.forgotten.saturating_add_nanos(FORGET_EVERY_NANOS) || watermark == Timestamp::MAX {
            return None;
        }
        self.forgotten = watermark;
        let mut behind = horizon_nanos;
        loop {
            self.bindings.forget_before(watermark.saturating_add_nanos(-behind));
            if behind == 0 || self.bindings.len() <= MAX_FACTS / 2 {
                return Some(self.bindings.floor());
            }
            behind = if behind > FORGET_EVERY_NANOS { behind / 2 } else { 0 };
        }
    }
}

impl CorrelationEngine {
    /// Takes the signals that waited to know which entity they are about, as far as that is known now.
    pub(super) fn attribute(&mut self, to: Timestamp, out: &mut Vec<Alert>) -> Result<(), ColdError> {
        let plans = self.plans.clone();
        for signal in self.waiting.take_before(to) {
            let plan = plans.correlations.get(&signal.rule_id);
            let Some((plan, kind)) = plan.and_then(|plan| Some((plan, plan.entity?))) else {
                continue;
            };
            let mut asked = Vec::new();
            let time = signal.event.time;
            let found = entities(&self.waiting.bindings, &signal.entity, kind, time, &mut asked);
            if let Some(noted) = self.noted() {
                noted.note((signal.key(), &signal.rule_id), &asked, time);
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
                    told: None,
                    attributed: Some(attributed.into()),
                };
                self.insert(plan, key, entry, out)?;
            }
        }
        let horizon = self.keeping.as_ref().map_or(0, |keeping| keeping.horizon_nanos);
        if let Some(floor) = self.waiting.forget_before(to, horizon)
            && let Some(keeping) = &mut self.keeping
        {
            keeping.dependents.forget_before(floor);
        }
        self.spill()
    }

    /// Where it is noted on what attributions depend; `None` where nobody asks.
    fn noted(&mut self) -> Option<&mut Dependents> {
        match (&mut self.keeping, &mut self.begin) {
            (Some(keeping), _) => Some(&mut keeping.dependents),
            (None, Some(begin)) => Some(&mut begin.dependents),
            (None, None) => None,
        }
    }
}

/// The entities that identifiers stood for at `time`, with how that is known. The first identifier that leads to any decides;
/// where that cannot be told apart, each of the entities counts, and all are said to be ambiguous. The numbers of those identifiers on
/// which the answer depends are put behind `asked`.
pub(super) fn entities(
    bindings: &Bindings,
    identifiers: &[Identifier],
    kind: EntityKind,
    time: Timestamp,
    asked: &mut Vec<u64>,
) -> Vec<Attributed> {
    let resolved = identifiers
        .iter()
        .map(|identifier| bindings.resolve_noting(identifier, kind, time, &mut |id| asked.push(number_of(id))));
    let Some((attribution, entity)) = resolved
        .into_iter()
        .find_map(|found| found.entity.clone().map(|e| (found, e)))
    else {
        return Vec::new();
    };
    let Attribution {
        how,
        confidence,
        ambiguous,
        ..
    } = attribution;
    let how: Vec<String> = how
        .iter()
        .map(|step| {
            format!(
                "{} is of {} ({:?}, {:?})",
                step.from, step.to, step.how, step.confidence
            )
        })
        .collect();
    let all: Vec<CompactString> = std::iter::once(entity).chain(ambiguous).collect();
    let each = all.iter().map(|entity| Attributed {
        entity: entity.clone(),
        confidence,
        // The steps are those to the first one.
        how: if *entity == all[0] { how.clone() } else { Vec::new() },
        ambiguous: all.iter().filter(|other| *other != entity).cloned().collect(),
    });
    each.collect()
}
