//! The worked examples of `docs/correlation-semantics.md`, through rules as they are written: YAML and events in, alerts
//! out. Each runs in every order of arrival that a few shuffles give, live and at the end.

use std::collections::BTreeMap;
use std::sync::Arc;

use casebook_event::{
    Alert, AlertStatus, Event, EventId, Fields, Native, Partition, Position, Signal, SignalMessage, Source, Timestamp,
    Value, Watermark,
};

use super::{CorrelationConfig, CorrelationEngine};
use crate::{Detector, RuleFile, RuleSet};

/// Rules a, b and c, which match events whose `kind` names them, and a correlation of ten seconds over them.
fn rules(correlation: &str) -> Arc<RuleSet> {
    let mut text = String::new();
    for name in ["a", "b", "c"] {
        text += &format!(
            "title: {name}\nid: {name}\nlogsource: {{ product: application }}\ndetection: {{ s: {{ kind: {name} }}, condition: s }}\n---\n"
        );
    }
    text += &format!("title: story\nid: story\ncorrelation:\n  group-by: [who]\n  timespan: 10s\n  {correlation}\n");
    let file = RuleFile {
        path: "rules.yml".into(),
        text,
    };
    let loaded = RuleSet::load([file]);
    Arc::new(loaded.rules.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics)))
}

/// Events as `a0`, `b5=7` or `ab5`: what they match, the second, and a value.
fn events(text: &str) -> Vec<Event> {
    let event = |(n, word): (usize, &str)| {
        let (what, value) = word.split_once('=').unwrap_or((word, ""));
        let digits = what.find(|c: char| c.is_ascii_digit()).unwrap();
        let kinds: Value = what[..digits].chars().map(|c| c.to_string()).map(Value::from).collect();
        let mut native = vec![("kind".into(), kinds), ("who".into(), Value::str("eve"))];
        if !value.is_empty() {
            native.push(("value".into(), Value::str(value)));
        }
        Event {
            id: EventId::from_u128(n as u128 + 1),
            time: Timestamp::from_seconds(what[digits..].parse().unwrap()),
            ingested: Timestamp::from_seconds(0),
            source: Source::Application,
            position: Position {
                topic: "logs".into(),
                partition: 0,
                offset: n as i64,
                index: 0,
            },
            fields: Fields::new(),
            native: Native::Tree(Value::Map(native)),
            raw: word.into(),
        }
    };
    text.split_whitespace().enumerate().map(event).collect()
}

fn apply(rules: &RuleSet, provisional: bool, signals: &[Signal]) -> Vec<Alert> {
    let mut engine = CorrelationEngine::new(rules, CorrelationConfig { provisional });
    let mut alerts = Vec::new();
    let partition = Partition::new("logs", 0);
    let time = Timestamp::MIN;
    engine.apply(SignalMessage::Watermark(Watermark { partition, time }), &mut alerts);
    for signal in signals {
        engine.apply(SignalMessage::Signal(signal.clone()), &mut alerts);
    }
    engine.finish(&mut alerts);
    alerts
}

/// Checks that `events` make these alerts, as the second at which each is met and the number of its events.
fn check(correlation: &str, text: &str, want: &[(i64, u64)]) {
    let rules = rules(correlation);
    let mut detector = Detector::new(rules.clone());
    let mut events = events(text);
    let found = |alerts: &[Alert]| {
        let mut last: BTreeMap<&str, &Alert> = BTreeMap::new();
        for alert in alerts {
            last.insert(&alert.alert.id, alert);
        }
        let standing = last.values().filter(|alert| alert.alert.status == AlertStatus::Final);
        let mut found: Vec<(i64, u64)> = standing
            .map(|alert| (alert.alert.time.as_nanos() / 1_000_000_000, alert.evidence_total))
            .collect();
        found.sort_unstable();
        found
    };
    for turn in 0..events.len().max(1) {
        // The positions go with the order of arrival, as they do in a log.
        let mut signals = Vec::new();
        for (offset, event) in events.iter_mut().enumerate() {
            event.position.offset = offset as i64;
            detector.detect(event, &mut signals);
        }
        for provisional in [false, true] {
            assert_eq!(
                found(&apply(&rules, provisional, &signals)),
                want,
                "{correlation}: {text}, turn {turn}"
            );
        }
        events.rotate_left(1);
        if turn % 2 == 0 {
            events.reverse();
        }
    }
}

#[test]
fn value_count() {
    let many = "type: value_count\n  rules: [a, b]\n  condition: { field: value, gte: 3 }";
    check(many, "a0=x a5=y a10=z", &[(10, 3)]);
    check(many, "a0=x a5=y a11=z", &[]);
    check(many, "a0=x a1=x a2=x a3=y", &[]);
    check(many, "a0=x a1=x b2=y a3=y b4=z a5=w", &[(4, 6)]);
    check(many, "a0=x a1=y a2 a3=z", &[(3, 3)]);
    check(many, "a0=x a1=y a12=x a13=y a14=z", &[(14, 3)]);
    // Case counts in values, as it does in groups.
    check(many, "a0=x a1=X a2=y", &[(2, 3)]);
    let both = "type: value_count\n  rules: [a]\n  condition: { field: [value, kind], gte: 3 }";
    check(both, "a0=x a1=x a2=y", &[]);
    let two = "type: value_count\n  rules: [a]\n  condition: { field: value, eq: 2 }";
    check(two, "a0=x a1=y a2=y", &[(2, 3)]);
    check(two, "a0=x a1=y a2=z a11=z", &[(11, 3)]);
}

#[test]
fn sums_averages_and_percentiles() {
    let of = |kind: &str, condition: &str| {
        format!("type: {kind}\n  rules: [a]\n  condition: {{ field: value, {condition} }}")
    };
    check(&of("value_sum", "gt: 100"), "a0=40 a5=40 a10=30", &[(10, 3)]);
    check(&of("value_sum", "gt: 100"), "a0=40 a5=40 a11=30", &[]);
    check(&of("value_sum", "gte: 0.3"), "a0=0.1 a1=0.2", &[(1, 2)]);
    check(&of("value_sum", "gt: 100"), "a0=90 a1=20 a2=-50", &[]);
    check(&of("value_sum", "gt: 100"), "a0=90 a1=many a2 a3=20", &[(3, 2)]);
    check(&of("value_avg", "gt: 10"), "a0=1 a1=30 a2=2", &[(2, 3)]);
    check(&of("value_avg", "lt: 10"), "a0=30 a1=1 a2=2", &[(2, 2)]);
    check(&of("value_median", "gte: 5"), "a0=1 a1=5 a2=900", &[(2, 3)]);
    check(&of("value_median", "gte: 5"), "a0=1 a1=2 a2=900 a3=900", &[(3, 3)]);
    check(
        &of("value_percentile", "percentile: 90, gt: 8"),
        "a0=1 a0=2 a0=3 a0=4 a0=5 a0=6 a0=7 a0=8 a0=9 a0=10",
        &[(0, 10)],
    );
    check(
        &of("value_percentile", "percentile: 80, gt: 8"),
        "a0=1 a0=2 a0=3 a0=4 a0=5 a0=6 a0=7 a0=8 a0=9 a0=10",
        &[],
    );
}

#[test]
fn temporal() {
    let all = "type: temporal\n  rules: [a, b, c]";
    check(all, "c0 a4 b10", &[(10, 3)]);
    check(all, "c0 a4 b11", &[]);
    check(all, "c0 c1 a4 b10", &[(10, 4)]);
    check(all, "c0 a5 c8 b11", &[(11, 3)]);
    check(all, "abc3", &[(3, 1)]);
    check(all, "a0 b0 c0 a1 b2 c3", &[(0, 6)]);
    check(all, "a0 b1 c2 a20 b21 c22", &[(2, 3), (22, 3)]);
    let two = "type: temporal\n  rules: [a, b, c]\n  condition: { gte: 2 }";
    check(two, "a0 a1 a2 c3", &[(3, 4)]);
    check(two, "a0 a1 a2", &[]);
    let either = "type: temporal\n  rules: [a, b, c]\n  condition: a and (b or c)";
    check(either, "b0 c1 a2", &[(2, 3)]);
    check(either, "b0 c1", &[]);
}

#[test]
fn temporal_with_something_absent() {
    let without = "type: temporal\n  rules: [a, b, c]\n  condition: a and b and not c";
    check(without, "a0 b5", &[(5, 2)]);
    // What is absent must be absent from the whole window, behind the others too.
    check(without, "a0 b5 c10", &[]);
    check(without, "a0 b5 c11", &[(5, 2)]);
    // A window that begins behind it does not have it.
    check(without, "c0 a1 b2", &[(2, 2)]);
    check(without, "a0 c1 a2 b3", &[(3, 2)]);
    let at_most_one = "type: temporal\n  rules: [a, b]\n  condition: { lt: 2 }";
    check(at_most_one, "a0 a5 b20", &[(5, 2), (20, 1)]);
}
