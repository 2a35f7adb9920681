//! What a detector remembers while it evaluates one event. Nothing is cleared between events: every note carries the
//! number of the event it was made for.

use crate::compile::{AtomId, FieldIndex};

/// Notes about the event under way.
#[derive(Debug)]
pub(super) struct Scratch {
    event: u32,
    /// For each atom, the event for which it was found true.
    true_for: Vec<u32>,
    /// For each atom, the event for which its answer is final.
    known_for: Vec<u32>,
    /// For each field, the event for which its literals were answered.
    scanned_for: Vec<u32>,
    /// For each rule, the event for which it became a candidate.
    candidate_for: Vec<u32>,
    candidates: Vec<usize>,
    /// The literals found true, in the order of finding.
    pub(super) hits: Vec<AtomId>,
}

impl Scratch {
    pub(super) fn new(atoms: usize, fields: usize, rules: usize) -> Self {
        Self {
            event: 0,
            true_for: vec![0; atoms],
            known_for: vec![0; atoms],
            scanned_for: vec![0; fields],
            candidate_for: vec![0; rules],
            candidates: Vec::new(),
            hits: Vec::new(),
        }
    }

    /// Begins with the next event.
    pub(super) fn begin(&mut self) {
        self.hits.clear();
        self.candidates.clear();
        self.event = self.event.wrapping_add(1);
        if self.event == 0 {
            // The numbers start again: notes of the last round must not pass for new ones.
            for notes in [
                &mut self.true_for,
                &mut self.known_for,
                &mut self.scanned_for,
                &mut self.candidate_for,
            ] {
                notes.fill(0);
            }
            self.event = 1;
        }
    }

    /// Marks the field as scanned; whether it was not yet.
    pub(super) fn begin_scan(&mut self, field: FieldIndex) -> bool {
        std::mem::replace(&mut self.scanned_for[field as usize], self.event) != self.event
    }

    pub(super) fn set_true(&mut self, atom: AtomId) {
        if std::mem::replace(&mut self.true_for[atom as usize], self.event) != self.event {
            self.hits.push(atom);
        }
    }

    pub(super) fn is_true(&self, atom: AtomId) -> bool {
        self.true_for[atom as usize] == self.event
    }

    pub(super) fn known(&self, atom: AtomId) -> Option<bool> {
        (self.known_for[atom as usize] == self.event).then(|| self.is_true(atom))
    }

    pub(super) fn learn(&mut self, atom: AtomId, truth: bool) {
        self.known_for[atom as usize] = self.event;
        if truth {
            self.true_for[atom as usize] = self.event;
        }
    }

    /// Makes a rule a candidate.
    pub(super) fn add_candidate(&mut self, rule: usize) {
        if std::mem::replace(&mut self.candidate_for[rule], self.event) != self.event {
            self.candidates.push(rule);
        }
    }

    /// The candidates, in the order of the rules. Give them back with [`Scratch::return_candidates`].
    pub(super) fn take_candidates(&mut self) -> Vec<usize> {
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.sort_unstable();
        candidates
    }

    pub(super) fn return_candidates(&mut self, candidates: Vec<usize>) {
        self.candidates = candidates;
    }
}
