//! Alerts of base rules: a match alone is one.

use std::collections::BTreeMap;
use std::sync::Arc;

use casebook_event::{Alert, AlertRule, EventId, EventRef, Signal, Timestamp};

use super::alert::detection_alert;

/// Matches of base rules at one time: what was raised already is `None`.
pub(super) type Raised = BTreeMap<(Arc<str>, EventId), Option<EventRef>>;

/// Matches of base rules, by event time, until the watermark has passed it: what was raised already is `None`; without
/// provisional alerts, what is still to be raised is the event.
#[derive(Debug, Default)]
pub(super) struct Detections {
    pub(super) raised: BTreeMap<Timestamp, Raised>,
}

impl Detections {
    /// Takes a match: it is an alert at once, or when the watermark has passed it.
    pub(super) fn insert(&mut self, rule: &AlertRule, signal: Signal, at_once: bool, out: &mut Vec<Alert>) {
        let raised = self.raised.entry(signal.event.time).or_default();
        let key = (signal.rule_id, signal.event.event_id);
        match raised.get_mut(&key) {
            // Of duplicates the first position is cited, whichever arrived first.
            Some(Some(waiting)) if signal.event.position < waiting.position => *waiting = signal.event,
            Some(_) => {}
            None if at_once => {
                raised.insert(key, None);
                out.push(detection_alert(rule, signal.event));
            }
            None => drop(raised.insert(key, Some(signal.event))),
        }
    }

    /// Raises what waited and is before `to`, or all at the end of time.
    pub(super) fn advance(&mut self, to: Timestamp, rules: &BTreeMap<Arc<str>, AlertRule>, out: &mut Vec<Alert>) {
        let still_open = match to {
            Timestamp::MAX => BTreeMap::new(),
            to => self.raised.split_off(&to),
        };
        for ((rule_id, _), event) in std::mem::replace(&mut self.raised, still_open).into_values().flatten() {
            if let (Some(event), Some(rule)) = (event, rules.get(&rule_id)) {
                out.push(detection_alert(rule, event));
            }
        }
    }
}
