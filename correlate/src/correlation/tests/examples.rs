//! The worked examples of `docs/correlation-semantics.md`, through rules as they are written: YAML and events in, alerts
//! out. Each runs in every order of arrival that a few shuffles give, live and at the end.

use std::collections::BTreeMap;
use std::sync::Arc;

use casebook_event::{
    Alert, AlertStatus, Event, EventId, FieldId, Fields, Native, Partition, Position, Signal, SignalMessage, Source,
    Timestamp, Value, Watermark,
};

use super::world::rule_file;
use crate::correlation::{CorrelationConfig, CorrelationEngine};
use crate::{Detector, RuleSet};

/// Rules a, b and c, which match events whose `kind` names them, and a correlation of ten seconds over them.
fn rules(correlation: &str) -> Arc<RuleSet> {
    let correlations: Vec<(&str, &str)> = match correlation.split_once("; ") {
        None => vec![("story", correlation)],
        // A correlation of a correlation: the inner one first.
        Some((inner, outer)) => vec![("inner", inner), ("story", outer)],
    };
    let loaded = RuleSet::load([rule_file(&correlations)]);
    Arc::new(loaded.rules.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics)))
}

/// Events as `a0`, `b5=7`, `ab5` or `a0@east`: what they match, the second, a value, and a cluster.
fn events(text: &str) -> Vec<Event> {
    let event = |(n, word): (usize, &str)| {
        let (word, cluster) = word.split_once('@').unwrap_or((word, ""));
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
            fields: {
                let mut fields = Fields::new();
                fields.set_str(
                    FieldId::OrchestratorClusterName,
                    Some(cluster).filter(|name| !name.is_empty()),
                );
                fields
            },
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
    engine
        .apply(SignalMessage::Watermark(Watermark { partition, time }), &mut alerts)
        .unwrap();
    for signal in signals {
        engine
            .apply(SignalMessage::Signal(signal.clone()), &mut alerts)
            .unwrap();
    }
    engine.finish(&mut alerts).unwrap();
    alerts
}

/// Checks that `events` make these alerts, as the second at which each is met and the number of its events.
fn check(correlation: &str, text: &str, want: &[(i64, u64)]) {
    check_of("story", correlation, text, want);
}

/// The same of the alerts of one rule.
fn check_of(rule: &str, correlation: &str, text: &str, want: &[(i64, u64)]) {
    let rules = rules(correlation);
    let mut detector = Detector::new(rules.clone());
    let mut events = events(text);
    let found = |alerts: &[Alert]| {
        let mut last: BTreeMap<&str, &Alert> = BTreeMap::new();
        for alert in alerts {
            last.insert(&alert.alert.id, alert);
        }
        let standing = last
            .values()
            .filter(|alert| alert.rule.id == rule && alert.alert.status == AlertStatus::Final);
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
    let many = "type: value_count, rules: [a, b], condition: { field: value, gte: 3 }";
    check(many, "a0=x a5=y a10=z", &[(10, 3)]);
    check(many, "a0=x a5=y a11=z", &[]);
    check(many, "a0=x a1=x a2=x a3=y", &[]);
    check(many, "a0=x a1=x b2=y a3=y b4=z a5=w", &[(4, 6)]);
    check(many, "a0=x a1=y a2 a3=z", &[(3, 3)]);
    check(many, "a0=x a1=y a12=x a13=y a14=z", &[(14, 3)]);
    // Case counts in values, as it does in groups.
    check(many, "a0=x a1=X a2=y", &[(2, 3)]);
    let both = "type: value_count, rules: [a], condition: { field: [value, kind], gte: 3 }";
    check(both, "a0=x a1=x a2=y", &[]);
    let two = "type: value_count, rules: [a], condition: { field: value, eq: 2 }";
    check(two, "a0=x a1=y a2=y", &[(2, 3)]);
    check(two, "a0=x a1=y a2=z a11=z", &[(11, 3)]);
}

#[test]
fn sums_averages_and_percentiles() {
    let of =
        |kind: &str, condition: &str| format!("type: {kind}, rules: [a], condition: {{ field: value, {condition} }}");
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
    let all = "type: temporal, rules: [a, b, c]";
    check(all, "c0 a4 b10", &[(10, 3)]);
    check(all, "c0 a4 b11", &[]);
    check(all, "c0 c1 a4 b10", &[(10, 4)]);
    check(all, "c0 a5 c8 b11", &[(11, 3)]);
    check(all, "abc3", &[(3, 1)]);
    check(all, "a0 b0 c0 a1 b2 c3", &[(0, 6)]);
    check(all, "a0 b1 c2 a20 b21 c22", &[(2, 3), (22, 3)]);
    let two = "type: temporal, rules: [a, b, c], condition: { gte: 2 }";
    check(two, "a0 a1 a2 c3", &[(3, 4)]);
    check(two, "a0 a1 a2", &[]);
    let either = "type: temporal, rules: [a, b, c], condition: a and (b or c)";
    check(either, "b0 c1 a2", &[(2, 3)]);
    check(either, "b0 c1", &[]);
}

#[test]
fn temporal_with_something_absent() {
    let without = "type: temporal, rules: [a, b, c], condition: a and b and not c";
    check(without, "a0 b5", &[(5, 2)]);
    // What is absent must be absent from the whole window, after the others too.
    check(without, "a0 b5 c10", &[]);
    check(without, "a0 b5 c11", &[(5, 2)]);
    // A window that begins after it does not have it.
    check(without, "c0 a1 b2", &[(2, 2)]);
    check(without, "a0 c1 a2 b3", &[(3, 2)]);
    let at_most_one = "type: temporal, rules: [a, b], condition: { lt: 2 }";
    check(at_most_one, "a0 a5 b20", &[(5, 2), (20, 1)]);
}

#[test]
fn counts_inside_a_condition() {
    let failed_then_in = "type: temporal, rules: [a, b, c], condition: a and b and not c, counts: { a: 3 }";
    check(failed_then_in, "a0 a1 a2 b3", &[(3, 4)]);
    check(failed_then_in, "a0 a1 b3", &[]);
    check(failed_then_in, "a0 a1 a2 b3 c9", &[]);
    check(failed_then_in, "a0 a5 a6 a7 b11", &[(11, 4)]);
    let at_once = "type: temporal, rules: [a, b], counts: { a: 2 }";
    check(at_once, "b0 a1 a2", &[(2, 3)]);
    let exactly = "type: temporal, rules: [a, b], counts: { a: { eq: 2 } }";
    check(exactly, "a0 a1 b2", &[(2, 3)]);
    check(exactly, "a0 a1 a2 b3", &[(3, 3)]);
}

#[test]
fn sequences_with_counts_and_what_must_not_come() {
    let many_then = "type: temporal_ordered, rules: [a, b], counts: { a: 3 }";
    check(many_then, "a0 a1 a2 b3", &[(3, 4)]);
    check(many_then, "a0 a1 b2 a3", &[]);
    check(many_then, "a0 a5 a6 a7 b11", &[(11, 4)]);
    let undisturbed = "type: temporal_ordered, rules: [a, b, c], condition: a and b and not c";
    check(undisturbed, "a0 b5", &[(5, 2)]);
    check(undisturbed, "a0 c2 b5", &[]);
    check(undisturbed, "a0 c2 a3 b5", &[(5, 2)]);
    check(undisturbed, "a0 b5 c5", &[]);
    check(undisturbed, "a0 b5 c6", &[(5, 2)]);
    check(undisturbed, "c0 a1 b2", &[(2, 2)]);
}

#[test]
fn absence() {
    let unanswered = "type: event_count, rules: [a], condition: { gte: 1 }, absence: [b]";
    check(unanswered, "a0", &[(10, 1)]);
    check(unanswered, "a0 b10", &[]);
    check(unanswered, "a0 b11", &[(10, 1)]);
    check(unanswered, "b0 a1", &[(11, 1)]);
    check(unanswered, "a0 b0", &[]);
    check(unanswered, "a0 b5 a6", &[(16, 1)]);
    check(unanswered, "a0 a3 b11", &[(10, 2)]);
    let after_two = "type: event_count, rules: [a], condition: { gte: 2 }, absence: [b, c]";
    check(after_two, "a0 a1", &[(10, 2)]);
    check(after_two, "a0 a1 c3", &[]);
    check(after_two, "a0", &[]);
}

#[test]
fn first_seen() {
    let new = "type: value_count, rules: [a], condition: { field: value, gte: 1 }, first_seen: { learn: 4s }";
    check(new, "a0=x a2=y a4=z", &[(4, 1)]);
    check(new, "a0=x a3=x a5=x", &[]);
    check(new, "a0=x a5=y a6=y a7=z", &[(5, 1), (7, 1)]);
    check(new, "a0=x a5=y a5=y", &[(5, 2)]);
    // Within a timespan it is known; after it, it is new again.
    check(new, "a0=x a10=x", &[]);
    check(new, "a0=x a5=y a11=x", &[(5, 1), (11, 1)]);
    // After a timespan of silence, learning begins anew.
    check(new, "a0=x a11=y a12=z a15=w", &[(15, 1)]);
    check(new, "a0=x a5", &[]);
}

#[test]
fn deviation() {
    let much = "type: event_count, rules: [a], timespan: 10s, condition: { gte: 3 }, deviation: { history: 40s, learn: 20s, factor: 2 }";
    check(much, "a0 a10 a20 a21 a22", &[(22, 3)]);
    check(much, "a0 a10 a11 a12", &[]);
    check(much, "a0 a10 a20 a21", &[]);
    // 1, 3, 1, 3 have a mean of 2 and a deviation of 1: 4 is not more than 2 + 2 · 1, and 5 is.
    let before = "a0 a10 a11 a12 a20 a30 a31 a32";
    check(much, &format!("{before} a40 a41 a42 a43"), &[]);
    check(much, &format!("{before} a40 a41 a42 a43 a44"), &[(44, 5)]);
    // Spans without events count as nothing.
    check(much, "a0 a30 a31 a32", &[(32, 3)]);
    // After a history of silence, learning begins anew.
    check(much, "a0 a10 a60 a61 a62 a63", &[]);
    let sum = "type: value_sum, rules: [a], timespan: 10s, condition: { field: value, gte: 100 }, deviation: { history: 20s, learn: 10s }";
    check(sum, "a0=40 a10=30 a11=70", &[(11, 2)]);
    check(sum, "a0=40 a10=99", &[]);
}

#[test]
fn correlations_of_correlations() {
    let burst_then = "type: event_count, rules: [a], condition: { gte: 3 }; type: temporal_ordered, rules: [inner, b]";
    check(burst_then, "a0 a1 a2 b5", &[(5, 4)]);
    check(burst_then, "a0 a1 b5", &[]);
    check(burst_then, "b1 a0 a1 a2", &[]);
    // The burst counts at the time at which it is met, and its window may end after what follows.
    check(burst_then, "a0 a1 a2 b2", &[(2, 4)]);
    check(burst_then, "a0 a1 a2 b13", &[]);
    let two_bursts = "type: event_count, rules: [a], condition: { gte: 2 }; type: event_count, rules: [inner], condition: { gte: 2 }, timespan: 30s";
    check(two_bursts, "a0 a1 a20 a21", &[(21, 4)]);
    check(two_bursts, "a0 a1 a5 a6", &[]);
    let over_groups = "type: event_count, rules: [a], condition: { gte: 1 }, generate: true; type: value_count, rules: [inner], condition: { field: who, gte: 2 }, group-by: []";
    check_of("story", over_groups, "a0", &[]);
}

/// The groups of the alerts, the names and values of each.
fn groups(correlation: &str, text: &str) -> Vec<String> {
    let rules = rules(correlation);
    let mut detector = Detector::new(rules.clone());
    let mut signals = Vec::new();
    events(text)
        .iter()
        .for_each(|event| detector.detect(event, &mut signals));
    let alerts = apply(&rules, false, &signals);
    let of_story = alerts.iter().filter(|alert| alert.rule.id == "story");
    let shown = |alert: &Alert| {
        let parts = alert.group.iter().map(|(name, value)| format!("{name}={value}"));
        parts.collect::<Vec<_>>().join(" ")
    };
    let mut found: Vec<String> = of_story.map(shown).collect();
    found.sort();
    found
}

#[test]
fn clusters_never_meet() {
    let count = "type: event_count, rules: [a], condition: { gte: 3 }";
    check(count, "a0@east a1@east a2@west", &[]);
    check(count, "a0@east a1@east a2@east", &[(2, 3)]);
    check(count, "a0@east a1@east a2", &[]);
    check(count, "a0 a1 a2", &[(2, 3)]);
    let all = "a0 a1 a2 a0@east a1@east a2@east a1@west a2@west";
    assert_eq!(
        groups(count, all),
        ["orchestrator.cluster.name=east who=eve", "who=eve"]
    );
    // Without `group-by`, each cluster is a group.
    let of_none = "type: event_count, rules: [a], condition: { gte: 2 }, group-by: []";
    check(of_none, "a0@east a1@west", &[]);
    check(of_none, "a0@east a1@west a2@east a3@west", &[(2, 2), (3, 2)]);
    check("type: temporal, rules: [a, b]", "a0@east b1@west", &[]);
    check(
        "type: temporal_ordered, rules: [a, b]",
        "a0@east b1@west b2@east",
        &[(2, 2)],
    );
    let values = "type: value_count, rules: [a], condition: { field: value, gte: 2 }";
    check(values, "a0=x@east a1=y@west", &[]);
}

#[test]
fn any_cluster_where_the_rule_says_so() {
    let count = "type: event_count, rules: [a], condition: { gte: 3 }, clusters: any";
    check(count, "a0@east a1@west a2", &[(2, 3)]);
    assert_eq!(groups(count, "a0@east a1@west a2"), ["who=eve"]);
    let each = "type: event_count, rules: [a], condition: { gte: 3 }, clusters: each";
    check(each, "a0@east a1@west a2", &[]);
    // One that the rule names is as any other field.
    let named = "type: event_count, rules: [a], condition: { gte: 2 }, group-by: [orchestrator.cluster.name]";
    check(named, "a0 a1 a2@east a3@east a4@west", &[(3, 2)]);
    assert_eq!(
        groups(named, "a0 a1 a2@east a3@east"),
        ["orchestrator.cluster.name=east"]
    );
}

#[test]
fn chains_keep_the_cluster() {
    let chain = "type: event_count, rules: [a], condition: { gte: 2 }; type: temporal_ordered, rules: [inner, b]";
    check(chain, "a0@east a1@east b5@west", &[]);
    check(chain, "a0@east a1@east b5@east", &[(5, 3)]);
    check(chain, "a0 a1 b5", &[(5, 3)]);
    assert_eq!(
        groups(chain, "a0@east a1@east b5@east"),
        ["orchestrator.cluster.name=east who=eve"]
    );
    // What the cluster is of an alert across clusters cannot be said.
    let of_any = "type: event_count, rules: [a], condition: { gte: 2 }, clusters: any; type: temporal_ordered, rules: [inner, b]";
    check(of_any, "a0@east a1@west b5@west", &[(5, 3)]);
    let over = "type: event_count, rules: [a], condition: { gte: 2 }; type: temporal_ordered, rules: [inner, b], clusters: any";
    check(over, "a0@east a1@east b5@west", &[(5, 3)]);
    check(over, "a0@east a1@west b5@west", &[]);
}
