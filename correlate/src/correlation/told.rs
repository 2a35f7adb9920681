//! What becomes of each match that a correlation is told of, and of each window that it decides: it is kept, and what comes after the
//! watermark waits for the repair of its group.

use casebook_event::{Alert, DecidedWindow, Signal};
use compact_str::CompactString;

use super::alert::{alert_number, content_of};
use super::cold::ColdError;
use super::engine::CorrelationEngine;
use super::group::GroupKey;
use super::plan::CorrelationPlan;
use super::window::Window;

impl CorrelationEngine {
    /// Takes a match of a correlation: one that comes after the watermark waits for the repair of its group.
    pub(super) fn on_told(
        &mut self,
        plan: &CorrelationPlan,
        mut signal: Signal,
        out: &mut Vec<Alert>,
    ) -> Result<(), ColdError> {
        if signal.rule_version.is_empty() {
            signal.rule_version.clone_from(&plan.signals_version);
        }
        if plan.cluster == Some(signal.group.len()) {
            // Told before groups had the cluster: which one it was is not known.
            signal.group.push(CompactString::default());
        }
        let parts = signal.group.len() + usize::from(plan.entity.is_some());
        let is_foreign = signal.rule_version != plan.signals_version
            || plan.member_bits(&signal.matched_rule_id) == 0
            || parts != plan.group_by.len()
            || plan.entity.is_some() == signal.entity.is_empty();
        if is_foreign {
            self.foreign_signals += 1;
            return Ok(());
        }
        let is_late = signal.event.time < self.watermark;
        if is_late {
            *self.late_events.entry(signal.event.source).or_default() += 1;
        }
        if let Some(keeping) = &mut self.keeping
            && (!is_late || keeping.late(&self.plans, &signal, self.watermark))
        {
            keeping.signal(&signal);
        }
        if is_late {
            return Ok(());
        }
        self.on_match(plan, signal, out)
    }

    /// Keeps what was decided: whoever repairs the group later begins behind it.
    pub(super) fn note_decided(&mut self, plan: &CorrelationPlan, key: &GroupKey, window: Window, alert: &Alert) {
        if self.keeping.is_none() && self.begin.is_none() {
            return;
        }
        let decided = DecidedWindow {
            key: plan.key_of(&key.values),
            rule_id: key.rule_id.clone(),
            rule_version: plan.signals_version.clone(),
            group: key.values.clone(),
            alert_id: alert_number(&plan.rule.id, &key.values, window.anchor),
            revision: alert.alert.revision,
            status: alert.alert.status,
            first: window.first,
            to: window.to,
            met: window.met,
            content: content_of(alert),
        };
        if let Some(keeping) = &mut self.keeping {
            // Whoever goes on after a crash may decide otherwise, as time went on: it is always written, and equal ones count once.
            keeping.kept.windows.push((i64::MAX, decided));
        } else {
            self.decided.push((decided, plan.alerts.then(|| alert.clone())));
        }
    }
}
