//! What is learned late of who is who: the groups whose events it attributes otherwise wait for their repair, as those of late matches
//! do.

use casebook_event::Binding;

use super::engine::CorrelationEngine;
use super::keep::needed_nanos;
use crate::entity::{affected, reaches_back};

impl CorrelationEngine {
    /// Takes in what was told of who is who.
    pub(super) fn on_binding(&mut self, binding: Binding) {
        let is_of_before = binding.time < self.watermark || reaches_back(&binding);
        if is_of_before && self.keeping.is_some() {
            self.mark_learned(&binding);
        }
        self.waiting.learn(&binding);
        if let Some(keeping) = &mut self.keeping {
            keeping.kept.bindings.push((keeping.offset, binding));
        }
    }

    /// Marks the keys whose events before the watermark are of another entity by a binding that is about to be learned.
    fn mark_learned(&mut self, binding: &Binding) {
        let Some(keeping) = &mut self.keeping else { return };
        let (watermark, horizon) = (self.watermark, keeping.horizon_nanos);
        let known_from = self.waiting.bindings.floor().max(keeping.dependents.complete_since());
        let mut marks = Vec::new();
        let mut is_beyond = false;
        for (identifier, (first, last)) in affected(&self.waiting.bindings, binding) {
            // What is settled stays as it is.
            let first = first.max(watermark.saturating_add_nanos(-horizon));
            let last = last.min(watermark.saturating_add_nanos(-1));
            if first > last {
                continue;
            }
            is_beyond |= first < known_from;
            for (by, rule_id) in keeping.dependents.of(&identifier) {
                let (first, last) = (first.max(by.first), last.min(by.last));
                if first <= last {
                    marks.push((by.key, rule_id.clone(), first, last));
                }
            }
        }
        for (key, rule_id, first, last) in marks {
            // Of a rule that is gone it is not known which others have its key.
            let is_known = self.plans.correlations.contains_key(&rule_id);
            let (_, needed) = needed_nanos(&self.plans, &rule_id);
            if !is_known || !keeping.has_from(first.saturating_add_nanos(-needed)) {
                is_beyond = true;
                continue;
            }
            let mark = keeping.mark(key, &rule_id, (first, last));
            mark.matches = None;
            mark.learned.get_or_insert_with(|| Box::new(binding.clone()));
        }
        keeping.stats.bindings_beyond_horizon += u64::from(is_beyond);
    }
}
