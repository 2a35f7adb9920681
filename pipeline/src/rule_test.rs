//! The tests that rules carry, run through the same decoders and engines as everything else.

use std::sync::Arc;

use casebook_correlate::{RuleSet, RuleTest};
use casebook_event::{Alert, Position, RawRecord};
use casebook_ingest::SourceKind;

use crate::clock;
use crate::replay::Replay;

/// What became of one test.
#[derive(Debug, Clone)]
pub struct TestOutcome {
    /// The rule's file.
    pub file: String,
    /// The rule.
    pub rule_id: String,
    /// Its title.
    pub rule_title: String,
    /// The test's name.
    pub name: String,
    /// `None` where it passed, else what was expected and what was found.
    pub failure: Option<String>,
}

/// Runs every test of every rule.
pub fn run_rule_tests(rules: &Arc<RuleSet>) -> Vec<TestOutcome> {
    let mut outcomes = Vec::new();
    for rule in rules.rules() {
        for test in &rule.tests {
            outcomes.push(TestOutcome {
                file: rule.file.clone(),
                rule_id: rule.id.to_string(),
                rule_title: rule.title.clone(),
                name: test.name.clone(),
                failure: run(rules, &rule.id, test).err(),
            });
        }
    }
    outcomes
}

fn run(rules: &Arc<RuleSet>, rule_id: &str, test: &RuleTest) -> Result<(), String> {
    let mut replay = Replay::new(rules.clone(), SourceKind::Auto);
    let timestamp = clock::now();
    for (n, event) in test.events.iter().enumerate() {
        replay.set_kind(SourceKind::Source(event.source));
        let position = Position { topic: "test".into(), partition: 0, offset: n as i64, index: 0 };
        let batch = replay.push(&RawRecord { position, timestamp, payload: event.payload.clone().into_bytes() });
        if let Some(letter) = batch.dead_letters.first() {
            return Err(format!("event {} is no {} record: {}: {}", n + 1, event.source, letter.reason, letter.detail));
        }
    }
    let alerts: Vec<Alert> = replay.finish().into_iter().filter(|alert| alert.rule.id == *rule_id).collect();
    if alerts.len() != test.expect {
        let found: Vec<String> = alerts.iter().map(|alert| format!("{} {:?}", alert.alert.time, alert.group)).collect();
        return Err(format!("expected {} alerts, found {}: {}", test.expect, alerts.len(), found.join("; ")));
    }
    if let Some(want) = &test.group
        && !alerts.iter().any(|alert| want.iter().all(|(field, value)| alert.group.get(field.as_str()).is_some_and(|v| v == value)))
    {
        let found: Vec<_> = alerts.iter().map(|alert| &alert.group).collect();
        return Err(format!("no alert of the group {want:?}; found {found:?}"));
    }
    Ok(())
}
