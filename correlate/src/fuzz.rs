//! What fuzz targets need beside the interface of the crate. Not part of it: nothing else enables the feature.

use casebook_event::Event;

use crate::detection::reference::matches;
use crate::rule_set::RuleSet;

/// The ids of the rules about single events that match `event`, by the reference.
pub fn reference(rules: &RuleSet, event: &Event) -> Vec<String> {
    let read = rules
        .detections()
        .iter()
        .filter(|rule| rule.logsource.sources().any(|source| source == event.source));
    read.filter(|rule| matches(&rule.logsource, &rule.detection, event))
        .map(|rule| rule.id.to_string())
        .collect()
}
