//! Signals of correlations that group by an entity wait here until it is known which entity they are about.
//!
//! What an identifier stood for at a time is known once no binding of that time or before is still to come: when the watermark
//! has passed it. So the answer is a function of the set of events, as all others are.

use std::collections::BTreeMap;
use std::sync::Arc;

use casebook_event::{Attributed, EntityKind, Identifier, Signal, Timestamp};
use compact_str::CompactString;

use super::late::number_of;
use crate::entity::limits::MAX_FACTS;
use crate::entity::{Attribution, Bindings};

/// Event time between two sweeps of bindings that are of no more use, in nanoseconds: each takes a while.
const FORGET_EVERY_NANOS: i64 = 3_600_000_000_000;

/// The bindings, and the signals that wait for them to be complete.
#[derive(Debug, Clone, Default)]
pub(super) struct AttributionQueue {
    pub bindings: Bindings,
    pub signals: BTreeMap<Timestamp, Vec<Signal>>,
    forgotten: Timestamp,
}

impl AttributionQueue {
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

    /// Keeps the signals of the rules that `is_kept` wants.
    pub(super) fn retain(&mut self, is_kept: impl Fn(&Arc<str>) -> bool) {
        let waiting = self.signals.values_mut();
        waiting.for_each(|signals| signals.retain(|signal| is_kept(&signal.rule_id)));
    }

    /// Forgets what nothing can need that is later than so long before `watermark`, which may be repaired. Where the bindings
    /// would take more than half of their room, that is less long. Returns from when on answers can be relied upon, if that has changed.
    pub(super) fn forget_before(&mut self, watermark: Timestamp, horizon_nanos: i64) -> Option<Timestamp> {
        if watermark <= self.forgotten.saturating_add_nanos(FORGET_EVERY_NANOS) || watermark == Timestamp::MAX {
            return None;
        }
        self.forgotten = watermark;
        let mut back = horizon_nanos;
        loop {
            self.bindings.forget_before(watermark.saturating_add_nanos(-back));
            if back == 0 || self.bindings.len() <= MAX_FACTS / 2 {
                return Some(self.bindings.floor());
            }
            back = if back > FORGET_EVERY_NANOS { back / 2 } else { 0 };
        }
    }
}

/// The entities that identifiers stood for at `time`, with how that is known. The first identifier that leads to any decides;
/// where several are as likely, each of the entities counts, and all are said to be ambiguous. The numbers of those identifiers on
/// which the answer depends are appended to `depends_on`.
pub(super) fn attribute(
    bindings: &Bindings,
    identifiers: &[Identifier],
    kind: EntityKind,
    time: Timestamp,
    depends_on: &mut Vec<u64>,
) -> Vec<Attributed> {
    let resolved = identifiers
        .iter()
        .map(|identifier| bindings.resolve_noting(identifier, kind, time, &mut |id| depends_on.push(number_of(id))));
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
