//! The tests that rules carry, run through the same decoders and engines as everything else.

use std::collections::BTreeSet;
use std::sync::Arc;

use casebook_correlate::{CorrelationConfig, CorrelationEngine, Detector, RuleInfo, RuleSet, RuleTest};
use casebook_event::{Alert, EventBatch, Position, RawRecord, SignalMessage, Source};
use casebook_ingest::{Decoder, SourceKind};

use crate::clock;

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
                failure: run(rules, rule, test).err(),
            });
        }
    }
    outcomes
}

fn run(rules: &Arc<RuleSet>, rule: &RuleInfo, test: &RuleTest) -> Result<(), String> {
    let mut detector = Detector::new(rules.clone());
    let mut signals = Vec::new();
    let timestamp = clock::now();
    for (n, event) in test.events.iter().enumerate() {
        let position = Position {
            topic: "test".into(),
            partition: 0,
            offset: n as i64,
            index: 0,
        };
        let mut batch = EventBatch::default();
        let mut decoder = Decoder::new(SourceKind::Source(event.source));
        // The audit daemon's records are lines of their own; what they make together is the event.
        let records: Vec<&str> = match event.source {
            Source::Auditd => event.payload.lines().collect(),
            _ => vec![&event.payload],
        };
        for payload in records {
            let record = RawRecord {
                position: position.clone(),
                timestamp,
                payload: payload.as_bytes().to_vec(),
            };
            decoder.decode(&record, timestamp, &mut batch);
        }
        decoder.flush(&position, timestamp, &mut batch);
        if let Some(letter) = batch.dead_letters.first() {
            return Err(format!(
                "event {} is no {} record: {}: {}",
                n + 1,
                event.source,
                letter.reason,
                letter.detail
            ));
        }
        for event in &batch.events {
            detector.detect(event, &mut signals);
        }
    }
    if !rule.alerts {
        // It is there for correlations alone: what it would alert on are its matches.
        let matches: BTreeSet<_> = signals
            .iter()
            .filter(|s| s.matched_rule_id == rule.id)
            .map(|s| s.event.event_id)
            .collect();
        let expected = if test.expect == matches.len() {
            Ok(())
        } else {
            Err(format!("expected {} matches, found {}", test.expect, matches.len()))
        };
        return expected;
    }
    let mut engine = CorrelationEngine::new(rules, CorrelationConfig { provisional: false });
    let mut alerts: Vec<Alert> = Vec::new();
    for signal in signals {
        engine.apply(SignalMessage::Signal(signal), &mut alerts);
    }
    engine.finish(&mut alerts);
    alerts.retain(|alert| alert.rule.id == *rule.id);
    if alerts.len() != test.expect {
        let found: Vec<String> = alerts
            .iter()
            .map(|alert| format!("{} {:?}", alert.alert.time, alert.group))
            .collect();
        return Err(format!(
            "expected {} alerts, found {}: {}",
            test.expect,
            alerts.len(),
            found.join("; ")
        ));
    }
    if let Some(want) = &test.group
        && !alerts.iter().any(|alert| {
            want.iter()
                .all(|(field, value)| alert.group.get(field.as_str()).is_some_and(|v| v == value))
        })
    {
        let found: Vec<_> = alerts.iter().map(|alert| &alert.group).collect();
        return Err(format!("no alert of the group {want:?}; found {found:?}"));
    }
    Ok(())
}
