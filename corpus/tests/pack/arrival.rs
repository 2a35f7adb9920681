//! The tests of the pack's correlations, with their records in other orders, doubled and late: the answer stays.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use casebook_correlate::{CorrelationConfig, CorrelationEngine, Detector, RuleInfo, RuleKind, RuleSet, TestPayload};
use casebook_event::{Alert, AlertStatus, EventBatch, Partition, SignalMessage, Source, Timestamp, Watermark};

use crate::{START, alone, load, pack};

/// What correlation learns of one record, and the time of its events.
struct Observed {
    messages: Vec<SignalMessage>,
    earliest: Timestamp,
    latest: Timestamp,
}

fn observed<'a>(rules: &Arc<RuleSet>, records: impl Iterator<Item = (Source, &'a [u8])>) -> Vec<Observed> {
    let mut detector = Detector::new(rules.clone());
    let records = records.enumerate().map(|(n, (source, payload))| {
        let mut batch = EventBatch::default();
        crate::decode(n, source, payload, START, &mut batch);
        let mut messages = Vec::new();
        for event in &batch.events {
            // In another order the same would be reported by another event.
            detector.emit_bindings_again();
            detector.messages(event, &mut messages);
        }
        let times = || batch.events.iter().map(|event| event.time);
        Observed {
            messages,
            earliest: times().min().unwrap_or(Timestamp::MAX),
            latest: times().max().unwrap_or(Timestamp::MIN),
        }
    });
    records.collect()
}

/// An alert without what says where its records were read.
type Essence = (String, Timestamp, u64, Vec<(String, Timestamp)>);

fn essence(rule: &RuleInfo, alerts: Vec<Alert>) -> BTreeSet<Essence> {
    let mut last: BTreeMap<String, Alert> = BTreeMap::new();
    for alert in alerts.into_iter().filter(|alert| *alert.rule.id == *rule.id) {
        last.insert(alert.alert.id.to_string(), alert);
    }
    let standing = last
        .into_values()
        .filter(|alert| alert.alert.status == AlertStatus::Final);
    standing
        .map(|alert| {
            let evidence = alert.evidence.iter();
            let evidence = evidence.map(|one| (one.event_id.to_string(), one.time)).collect();
            (
                alert.alert.id.to_string(),
                alert.alert.time,
                alert.evidence_total,
                evidence,
            )
        })
        .collect()
}

/// Runs records in this order of arrival, live, with a watermark after each that is honest and as high as it can be. Those
/// from `late` on come after the watermark has passed everything. The alerts, and how many matches were late.
fn run(rules: &Arc<RuleSet>, arrival: &[&Observed], late: usize) -> (Vec<Alert>, u64) {
    let mut engine = CorrelationEngine::new(rules, CorrelationConfig::default());
    let mut alerts = Vec::new();
    let watermark = |time| {
        let partition = Partition::new("logs", 0);
        SignalMessage::Watermark(Watermark { partition, time })
    };
    let passed = |observed: &[&Observed]| {
        let latest = observed.iter().map(|observed| observed.latest).max();
        latest.unwrap_or(Timestamp::MIN).saturating_add_nanos(1)
    };
    engine.apply(watermark(Timestamp::MIN), &mut alerts).unwrap();
    for (n, observed) in arrival.iter().enumerate() {
        for message in &observed.messages {
            let mut message = message.clone();
            if let SignalMessage::Signal(signal) = &mut message {
                signal.event.position.topic = "logs".into();
                signal.event.position.offset = n as i64;
            }
            engine.apply(message, &mut alerts).unwrap();
        }
        let later = arrival.get(n + 1..late.min(arrival.len())).unwrap_or_default();
        let time = match later.iter().map(|observed| observed.earliest).min() {
            Some(earliest) => earliest,
            None => passed(arrival),
        };
        engine.apply(watermark(time), &mut alerts).unwrap();
    }
    engine.finish(&mut alerts).unwrap();
    (alerts, engine.stats().late_events.values().sum())
}

#[test]
fn every_correlation_of_the_pack_says_the_same_however_its_records_come() {
    let files = pack();
    let all = load(files.clone());
    let mut failures = Vec::new();
    let (mut stories, mut sources_of) = (0, BTreeMap::new());
    for rule in all.rules().filter(|rule| rule.kind != RuleKind::Detection) {
        let rules = alone(&files, &all, rule);
        let name = rule.name.as_deref().unwrap_or_default();
        let mut sources = BTreeSet::new();
        for test in &rule.tests {
            let records = test.events.iter().map(|event| match &event.payload {
                TestPayload::Text(text) => (event.source, text.as_bytes()),
                TestPayload::File(name) => panic!("{name}: rules of the pack carry their records"),
            });
            let observed = observed(&rules, records);
            let in_order: Vec<&Observed> = observed.iter().collect();
            let count = in_order.len();
            let want = essence(rule, run(&rules, &in_order, count).0);
            if want.len() != test.expect {
                failures.push(format!("{name}: {}: {} alerts live", test.name, want.len()));
                continue;
            }
            if test.expect > 0 {
                sources.extend(test.events.iter().map(|event| event.source));
            }
            let mut check = |how: &str, arrival: &[&Observed]| {
                let found = essence(rule, run(&rules, arrival, arrival.len()).0);
                if found != want {
                    failures.push(format!("{name}: {}: {how}: {found:?} instead of {want:?}", test.name));
                }
            };
            for turn in 1..count.min(6) {
                let mut shuffled = in_order.clone();
                shuffled.rotate_left(turn);
                if turn % 2 == 1 {
                    shuffled.reverse();
                }
                check("shuffled", &shuffled);
            }
            check("doubled", &[in_order.clone(), in_order.clone()].concat());
            // One record comes too late: it is as if it had not come, and it is said.
            for missing in (0..count).take(4).filter(|_| count > 1) {
                let mut arrival = in_order.clone();
                let late = arrival.remove(missing);
                let without = essence(rule, run(&rules, &arrival, count).0);
                arrival.push(late);
                let (alerts, counted) = run(&rules, &arrival, count - 1);
                let matches = late
                    .messages
                    .iter()
                    .any(|message| matches!(message, SignalMessage::Signal(_)));
                if essence(rule, alerts) != without || (counted == 0 && matches) {
                    failures.push(format!(
                        "{name}: {}: record {missing} late: {counted} counted",
                        test.name
                    ));
                }
            }
        }
        stories += usize::from(sources.len() >= 2);
        sources_of.insert(name, sources);
    }
    assert!(
        failures.is_empty(),
        "{} failures\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert!(stories >= 15, "{stories} stories over several sources: {sources_of:?}");
}
