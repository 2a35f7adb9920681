//! The first matches of many files, each once, in bounded memory.

use std::collections::BTreeMap;

use casebook_event::{EventId, Position, Signal, Timestamp};

/// What a match is ordered by. Rules that matched the same event have it in common.
type EventKey = (Timestamp, EventId, Position);

/// The first matches, at most so many, and up to when they are all that there are.
pub(super) struct FirstSignals {
    max_rows: usize,
    rows: usize,
    by_event: BTreeMap<EventKey, Vec<Signal>>,
    complete_to: Option<Timestamp>,
}

impl FirstSignals {
    pub fn new(max_rows: usize) -> Self {
        Self {
            max_rows,
            rows: 0,
            by_event: BTreeMap::new(),
            complete_to: None,
        }
    }

    /// Whether matches at that time are wanted.
    pub fn wants(&self, time: Timestamp) -> bool {
        self.complete_to.is_none_or(|to| time < to)
    }

    /// Takes a match, unless it is there already or comes too late.
    pub fn push(&mut self, signal: Signal) {
        if !self.wants(signal.event.time) {
            return;
        }
        let event = &signal.event;
        let key = (event.time, event.event_id, event.position.clone());
        let known = self.by_event.entry(key).or_default();
        if known.contains(&signal) {
            return;
        }
        known.push(signal);
        self.rows += 1;
        // Times are left out whole: whoever goes on at that time misses nothing.
        while self.rows > self.max_rows
            && let Some(((time, ..), _)) = self.by_event.last_key_value()
        {
            let time = *time;
            self.complete_to = Some(time);
            while let Some(last) = self.by_event.last_entry().filter(|last| last.key().0 == time) {
                self.rows -= last.remove().len();
            }
        }
    }

    /// The matches in order, and the first time of which some may be missing.
    pub fn finish(self) -> (Vec<Signal>, Option<Timestamp>) {
        let mut signals = Vec::with_capacity(self.rows);
        for mut of_event in self.by_event.into_values() {
            of_event.sort_by(|a, b| {
                let key = |signal: &Signal| (signal.rule_id.clone(), signal.matched_rule_id.clone(), signal.key());
                key(a)
                    .cmp(&key(b))
                    .then_with(|| (&a.group, &a.value, &a.entity).cmp(&(&b.group, &b.value, &b.entity)))
                    .then_with(|| a.rule_version.cmp(&b.rule_version))
            });
            signals.append(&mut of_event);
        }
        (signals, self.complete_to)
    }
}
