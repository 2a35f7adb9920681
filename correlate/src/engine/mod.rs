//! Events → signals.
//!
//! ```text
//! Event ─gate fields, FieldScan─▶ candidate rules ─Expression over memoized atoms─▶ matches ─▶ Signal
//! ```

mod any_of;
mod check;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod filtered;
#[cfg(test)]
mod mapped;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod reference;
mod scratch;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use casebook_event::{
    Binding, Event, EventRef, FieldId, MAX_GROUP_VALUE_BYTES, Signal, SignalMessage, ValueRef, bounded_text,
    cluster_text,
};
use compact_str::{CompactString, format_compact};

use crate::compile::{AtomId, Atoms, Check, Expression, FieldIndex, SourcePlan};
use crate::entity::{Told, bindings_of, cluster_of_group, identifiers_of};
use crate::rule_set::{Asked, Output, RuleSet, Shard};
use crate::sigma::correlation::comparison::Fixed;
use scratch::Scratch;

/// Applies the rules of a set to events. Each thread has its own; they share the rules.
#[derive(Debug)]
pub struct Detector {
    rules: Arc<RuleSet>,
    scratch: Scratch,
    /// Where a rule asks who is who: what was told of that.
    told: Option<Told>,
    signals: Vec<Signal>,
    bindings: Vec<Binding>,
}

impl Detector {
    /// A detector for `rules`.
    pub fn new(rules: Arc<RuleSet>) -> Self {
        let scratch = Scratch::new(
            rules.plan().atoms.len(),
            rules.plan().atoms.field_count(),
            rules.plan().conditions.len(),
        );
        let told = rules.asks_for_entities().then(Told::default);
        Self {
            rules,
            scratch,
            told,
            signals: Vec::new(),
            bindings: Vec::new(),
        }
    }

    /// Appends what correlation is to know of `event`: the signals of [`Detector::detect`], and where a rule groups by an
    /// entity, what the event tells of who is who, if that was not told yet.
    pub fn messages(&mut self, event: &Event, out: &mut Vec<SignalMessage>) {
        let mut signals = std::mem::take(&mut self.signals);
        self.detect(event, &mut signals);
        out.extend(signals.drain(..).map(SignalMessage::Signal));
        self.signals = signals;
        if let Some(told) = &mut self.told {
            bindings_of(event, &mut self.bindings);
            let news = self.bindings.drain(..).filter(|binding| told.is_news(binding));
            out.extend(news.map(SignalMessage::Binding));
        }
    }

    /// Forgets what was told of who is who: it may not have arrived.
    pub fn tell_again(&mut self) {
        self.told = self.told.take().map(|_| Told::default());
    }

    /// The rules it applies.
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// Appends a signal for every alert and every correlation that a match of `event` concerns.
    ///
    /// For each base rule that matches, in the order of the set: one signal with its own id if it alerts by itself, then
    /// one for each correlation that names it. An event that lacks a field of a correlation's group, or the value
    /// that it asks for, does not count in that correlation. Of a field with several values, the first is the group's.
    pub fn detect(&mut self, event: &Event, out: &mut Vec<Signal>) {
        let plan = self.rules.plan();
        let Some(source) = plan.sources.get(event.source as usize).filter(|_| counts(event)) else {
            return;
        };
        self.scratch.begin();
        let mut matching = Matching {
            rules: &self.rules,
            source,
            event,
            scratch: &mut self.scratch,
        };
        matching.find_candidates();
        let candidates = matching.scratch.take_candidates();
        let mut cited: Option<EventRef> = None;
        for &rule in &candidates {
            if matching.holds(&plan.conditions[rule]) {
                emit(&self.rules, rule, event, &mut cited, out);
            }
        }
        self.scratch.return_candidates(candidates);
    }
}

/// Whether rules look at the event. A request that the API server logs at several stages is one: the stages that do not
/// count are kept, and found, but match nothing.
pub(crate) fn counts(event: &Event) -> bool {
    event.fields.str(FieldId::AuditDecisive) != Some("false")
}

/// Appends the signals of one match.
pub(crate) fn emit(rules: &RuleSet, rule: usize, event: &Event, cited: &mut Option<EventRef>, out: &mut Vec<Signal>) {
    let detection = rules.detection(rule);
    for output in &detection.outputs {
        let (mut value, mut shard, mut entity) = (None, None, Vec::new());
        let mut rule_version = CompactString::default();
        let (rule_id, group) = match output {
            Output::Alert => (&detection.id, Some(Vec::new())),
            Output::Member {
                correlation_id,
                version,
                group_by,
                by_cluster,
                value: asked,
                entity: kind,
                shard: place,
            } => {
                shard = place.as_ref();
                rule_version.clone_from(version);
                if let Some(kind) = kind {
                    identifiers_of(event, *kind, &mut entity);
                    if entity.is_empty() {
                        continue;
                    }
                }
                value = asked.as_ref().map(|asked| asked_value(asked, event));
                let group = group_by.iter().map(|place| place.text(event).map(group_value));
                // Unlike a part that the rule names, it may be unknown.
                let cluster = by_cluster.then(|| Some(cluster_text(cluster_of_group(event))));
                (correlation_id, group.chain(cluster).collect())
            }
        };
        // Who lacks a part of the group, or what is asked for, does not count.
        let (Some(group), Some(value)) = (group, value.map_or(Some(None), |value| value.map(Some))) else {
            continue;
        };
        let event = cited.get_or_insert_with(|| EventRef::new(event)).clone();
        let shard = shard.map(|Shard { root, group: parts }| {
            Signal::shard_of(root, parts.iter().filter_map(|&part| group.get(part)))
        });
        out.push(Signal {
            shard,
            entity,
            rule_id: rule_id.clone(),
            rule_version,
            matched_rule_id: detection.id.clone(),
            group,
            value,
            event,
        });
    }
}

/// What the event has of what a correlation asks for: a text, or a number as text.
fn asked_value(asked: &Asked, event: &Event) -> Option<CompactString> {
    match asked {
        Asked::Number(place) => Some(format_compact!("{}", place.text(event)?.parse::<Fixed>().ok()?)),
        Asked::Text(places) => {
            let texts: Option<Vec<CompactString>> = places.iter().map(|place| place.text(event)).collect();
            // The separator of ASCII's units: as good as never in a value, and a value that has it is only one value less.
            Some(group_value(texts?.join("\u{1f}").into()))
        }
    }
}

/// A value of a group, bounded: of a longer one, the beginning and a hash of the whole.
fn group_value(text: CompactString) -> CompactString {
    match bounded_text(&text, MAX_GROUP_VALUE_BYTES) {
        std::borrow::Cow::Borrowed(_) => text,
        std::borrow::Cow::Owned(short) => short.into(),
    }
}

/// Whether an atom is true of an event, by looking at it alone.
pub(crate) fn answer(atoms: &Atoms, id: AtomId, event: &Event) -> bool {
    let atom = atoms.atom(id);
    match atom.field {
        Some(field) => check::field(&atom.check, event, atoms.field(field)),
        None => {
            let mut visit = |value: ValueRef<'_>| check::value(&atom.check, value);
            // Text records have no native form: their words may be in no field at all.
            event.visit_all(&mut visit) || (event.native().is_null() && visit(ValueRef::Str(&event.raw)))
        }
    }
}

/// One event under way.
struct Matching<'a> {
    rules: &'a RuleSet,
    source: &'a SourcePlan,
    event: &'a Event,
    scratch: &'a mut Scratch,
}

impl Matching<'_> {
    /// Scans the fields that decide which rules are looked at.
    fn find_candidates(&mut self) {
        for &rule in &self.source.always {
            self.scratch.call(rule);
        }
        for &field in &self.source.gate_fields {
            self.scan(field);
        }
        let scratch = &mut *self.scratch;
        for &field in &self.source.native_gate_fields {
            scratch.begin_scan(field);
        }
        self.source.walk(self.event.native(), &mut |scan, value| {
            if check::has_text(value) {
                scan.scan(&value.to_text(), &mut |atom| scratch.set_true(atom));
            }
        });
        for at in 0..scratch.hits.len() {
            if let Some(rules) = self.source.called_by.get(&scratch.hits[at]) {
                rules.iter().for_each(|&rule| scratch.call(rule));
            }
        }
    }

    /// Answers all literals of a field.
    fn scan(&mut self, field: FieldIndex) {
        if !self.scratch.begin_scan(field) {
            return;
        }
        let Some(scan) = self.source.scan_of(field) else {
            return;
        };
        let scratch = &mut *self.scratch;
        self.event.visit(self.rules.plan().atoms.field(field), &mut |value| {
            if check::has_text(value) {
                scan.scan(&value.to_text(), &mut |atom| scratch.set_true(atom));
            }
            false
        });
    }

    fn holds(&mut self, expression: &Expression) -> bool {
        match expression {
            Expression::Atom(id) => self.atom(*id),
            Expression::All(parts) => parts.iter().all(|part| self.holds(part)),
            Expression::Any(parts) => parts.iter().any(|part| self.holds(part)),
            Expression::Not(part) => !self.holds(part),
        }
    }

    fn atom(&mut self, id: AtomId) -> bool {
        if let Some(known) = self.scratch.known(id) {
            return known;
        }
        let atoms = &self.rules.plan().atoms;
        let atom = atoms.atom(id);
        let truth = match (&atom.check, atom.field) {
            (Check::Literal { .. }, Some(field)) => {
                self.scan(field);
                self.scratch.is_true(id)
            }
            _ => answer(atoms, id, self.event),
        };
        self.scratch.learn(id, truth);
        truth
    }
}
