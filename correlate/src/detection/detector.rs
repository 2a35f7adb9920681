//! Applies a rule set to one event after another.

use std::sync::Arc;

use casebook_event::{Binding, Event, EventRef, Signal, SignalMessage};

use super::answer::{answer, has_text, is_decisive};
use super::scratch::Scratch;
use super::signals::emit_signals;
use crate::compile::{AtomId, Check, Expression, FieldIndex, SourcePlan};
use crate::entity::{BindingDedup, bindings_of};
use crate::rule_set::RuleSet;

/// Applies the rules of a set to events. Each thread has its own; they share the rules.
#[derive(Debug)]
pub struct Detector {
    rules: Arc<RuleSet>,
    scratch: Scratch,
    /// Where a rule groups by an entity: the bindings that were emitted lately.
    emitted_bindings: Option<BindingDedup>,
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
        let emitted_bindings = rules.groups_by_entities().then(BindingDedup::default);
        Self {
            rules,
            scratch,
            emitted_bindings,
            signals: Vec::new(),
            bindings: Vec::new(),
        }
    }

    /// Appends what correlation has to know of `event`: the signals of [`Detector::detect`], and where a rule groups by an
    /// entity, the bindings that the event reports, if they were not emitted yet.
    pub fn messages(&mut self, event: &Event, out: &mut Vec<SignalMessage>) {
        let mut signals = std::mem::take(&mut self.signals);
        self.detect(event, &mut signals);
        out.extend(signals.drain(..).map(SignalMessage::Signal));
        self.signals = signals;
        if let Some(emitted) = &mut self.emitted_bindings {
            bindings_of(event, &mut self.bindings);
            let new = self.bindings.drain(..).filter(|binding| emitted.is_new(binding));
            out.extend(new.map(SignalMessage::Binding));
        }
    }

    /// Forgets which bindings were emitted: they may not have arrived.
    pub fn emit_bindings_again(&mut self) {
        self.emitted_bindings = self.emitted_bindings.take().map(|_| BindingDedup::default());
    }

    /// The rules it applies.
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// Appends a signal for every alert and every correlation that a match of `event` concerns.
    ///
    /// For each base rule that matches, in the order of the set: one signal with its own id if it alerts by itself, then
    /// one for each correlation that names it. An event that lacks a field of a correlation's group, or the value
    /// that it requires, does not count in that correlation. Of a field with several values, the first is the group's.
    pub fn detect(&mut self, event: &Event, out: &mut Vec<Signal>) {
        let plan = self.rules.plan();
        let Some(source) = plan.sources.get(event.source as usize).filter(|_| is_decisive(event)) else {
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
                emit_signals(&self.rules, rule, event, &mut cited, out);
            }
        }
        self.scratch.return_candidates(candidates);
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
    /// Scans the fields whose literals decide which rules are candidates.
    fn find_candidates(&mut self) {
        for &rule in &self.source.always {
            self.scratch.add_candidate(rule);
        }
        for &field in &self.source.prefilter_fields {
            self.scan(field);
        }
        let scratch = &mut *self.scratch;
        for &field in &self.source.native_prefilter_fields {
            scratch.begin_scan(field);
        }
        self.source.walk(self.event.native(), &mut |scan, value| {
            if has_text(value) {
                scan.scan(&value.to_text(), &mut |atom| scratch.set_true(atom));
            }
        });
        for at in 0..scratch.hits.len() {
            if let Some(rules) = self.source.rules_by_literal.get(&scratch.hits[at]) {
                rules.iter().for_each(|&rule| scratch.add_candidate(rule));
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
            if has_text(value) {
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
