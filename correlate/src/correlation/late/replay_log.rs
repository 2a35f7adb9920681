//! Where the groups of a repair begin, and what they decide: they are made anew from what was kept.

use std::collections::{HashMap, HashSet};

use casebook_event::{DecidedWindow, Timestamp};

use super::dependents::Dependents;
use crate::correlation::group::{Decided, GroupKey};
use crate::correlation::plan::CorrelationPlan;

/// What the groups of a repair begin from, and what they decided.
#[derive(Debug, Clone)]
pub(crate) struct ReplayLog {
    /// Where those begin that build on no other; the others begin later by what they wait.
    at: Timestamp,
    /// Up to when the events of a group are used up by a window that began before.
    used_to: HashMap<GroupKey, Timestamp>,
    /// The groups that were given an event.
    pub touched: HashSet<GroupKey>,
    /// On what the attribution of its events depended.
    pub dependents: Dependents,
    pub decided: Vec<Decided>,
}

impl ReplayLog {
    pub(crate) fn new(at: Timestamp) -> Self {
        Self {
            at,
            used_to: HashMap::new(),
            touched: HashSet::new(),
            dependents: Dependents::since(Timestamp::MIN),
            decided: Vec::new(),
        }
    }

    /// Says that a window which began before has used the events of its group up to its end.
    pub(crate) fn use_up(&mut self, window: &DecidedWindow) {
        let key = GroupKey {
            rule_id: window.rule_id.clone(),
            values: window.group.clone(),
        };
        let used = self.used_to.entry(key).or_insert(window.to);
        *used = window.to.max(*used);
    }

    /// Whether a group takes an event of that time.
    pub(crate) fn takes(&mut self, plan: &CorrelationPlan, key: &GroupKey, time: Timestamp) -> bool {
        if !self.touched.contains(key) {
            self.touched.insert(key.clone());
        }
        time >= self.begin_of(plan) && self.used_to.get(key).is_none_or(|used| time > *used)
    }

    /// From when on the groups of a correlation take events.
    pub(crate) fn begin_of(&self, plan: &CorrelationPlan) -> Timestamp {
        self.at.saturating_add_nanos(plan.lag_nanos)
    }
}
