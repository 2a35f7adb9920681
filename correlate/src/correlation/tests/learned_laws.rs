//! The law of lateness for bindings: whenever they are learned, the alerts that are left in the end are those of the
//! reference, which knew it all along.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use casebook_event::{
    AlertStatus, Binding, Confidence, How, Identifier, IdentifierKind, Signal, SignalMessage, Timestamp,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};

use super::late_worker::{Happening, Step, Worker, check_law, position, steps};
use super::world::{Happened, arrivals, cases, rules_of};
use crate::correlation::plan::Plans;
use crate::correlation::reference::final_alerts;
use crate::{Detector, RuleSet};

/// One correlation of every sort that is of a pod.
const CORRELATIONS: &[(&str, &str)] = &[
    (
        "count",
        "type: event_count, rules: [a, b], condition: { gt: 2 }, group-by: [], entity",
    ),
    (
        "count-by-user",
        "type: event_count, rules: [a, c], condition: { gte: 2 }, entity",
    ),
    ("ordered", "type: temporal_ordered, rules: [a, b], group-by: [], entity"),
    (
        "exactly",
        "type: event_count, rules: [b], condition: { eq: 2 }, group-by: [], entity",
    ),
    (
        "unanswered",
        "type: event_count, rules: [a], condition: { gte: 1 }, group-by: [], absence: [b, c], entity",
    ),
    (
        "new-value",
        "type: value_count, rules: [a, b], condition: { field: value, gte: 1 }, group-by: [], first_seen: { learn: 5s }, entity",
    ),
    (
        "more-than-before",
        "type: event_count, rules: [a, b], timespan: 4s, condition: { gte: 2 }, group-by: [], deviation: { history: 16s, learn: 8s, factor: 1 }, entity",
    ),
    (
        "quiet",
        "type: event_count, rules: [c], condition: { gte: 2 }, generate: true, group-by: [who], entity",
    ),
    ("of-quiet", "type: temporal_ordered, rules: [quiet, a], group-by: [who]"),
];

fn rules() -> Arc<RuleSet> {
    static RULES: OnceLock<Arc<RuleSet>> = OnceLock::new();
    RULES.get_or_init(|| rules_of(CORRELATIONS)).clone()
}

fn plans() -> Arc<Plans> {
    static PLANS: OnceLock<Arc<Plans>> = OnceLock::new();
    PLANS.get_or_init(|| Arc::new(Plans::of(&rules()))).clone()
}

fn signals(event: Happened, n: usize) -> Vec<Signal> {
    thread_local! {
        static DETECTOR: RefCell<Detector> = RefCell::new(Detector::new(rules()));
    }
    let mut signals = Vec::new();
    DETECTOR.with_borrow_mut(|detector| detector.detect(&event.event(&position(n)), &mut signals));
    signals
}

/// A binding of few names, so that they meet: what it says, in which second, how surely.
fn binding() -> impl Strategy<Value = Binding> {
    // Names end a minute before they are believed no more: most of what ends has ended before the events.
    let seconds = prop_oneof![3 => 0i64..40, 2 => -200i64..0];
    (0usize..6, 0u8..3, 0u8..3, seconds, 0u8..4, any::<bool>()).prop_map(|(kind, from, to, seconds, how, in_east)| {
        use IdentifierKind::{PodIp, PodName, PodUid};
        let within = |id: Option<Identifier>| id.unwrap().within(if in_east { "east" } else { "" });
        let ip = || within(Identifier::new(PodIp, &format!("10.0.0.{}", from + 1)));
        let name = |n: u8| within(Identifier::new(PodName, &format!("shop/web-{}", n % 2)));
        let uid = |n: u8| within(Identifier::new(PodUid, &format!("uid-{n}")));
        let (from, to, ends) = match kind {
            0 | 1 => (ip(), uid(to), false),
            2 => (ip(), name(to), false),
            3 => (name(from), uid(to), false),
            4 => (name(from), name(from), true),
            _ => (uid(to), uid(to), true),
        };
        let (how, confidence) = match how {
            0 => (How::KubernetesEvent, Confidence::Likely),
            1 if !ends => (How::AuditCreated, Confidence::Certain),
            _ => (How::AuditPodStatus, Confidence::Certain),
        };
        Binding {
            from,
            to,
            time: Timestamp::from_seconds(1_000 + seconds),
            ends,
            how,
            confidence,
        }
    })
}

/// Events and bindings as they come, some of them twice.
fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let bindings = prop::collection::vec((binding(), 0usize..48), 0..16);
    (arrivals(), bindings).prop_map(|((arrival, _), bindings)| {
        let events = arrival.iter().enumerate();
        let mut all: Vec<Happening> = events
            .map(|(n, (_, event))| Happening {
                time: Timestamp::from_seconds(1_000 + event.seconds),
                signals: signals(*event, n),
                bindings: Vec::new(),
            })
            .collect();
        for (binding, at) in bindings {
            let at = at % all.len();
            if let Some(happening) = all.get_mut(at) {
                happening.bindings.push(binding);
            }
        }
        all
    })
}

#[test]
fn however_late_it_is_learned_the_alerts_are_those_of_what_names_stood_for() {
    let mut runner = TestRunner::new(Config {
        cases: cases(),
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&(happenings(), steps()), |(happenings, steps)| {
            check_law(&plans(), &happenings, &steps, i64::MAX)
        })
        .unwrap();
}

/// A law that is never put to the test is none: each of the correlations raises alerts, and what is learned late repairs groups.
#[test]
fn every_correlation_of_the_law_raises_alerts_and_repairs() {
    let mut runner = TestRunner::deterministic();
    let plans = plans();
    let mut silent: BTreeSet<Arc<str>> = plans.correlations.keys().cloned().collect();
    silent.retain(|id| plans.correlations[id].alerts);
    let mut repaired = 0;
    for _ in 0..2_000 {
        let happenings = happenings().new_tree(&mut runner).unwrap().current();
        let all: Vec<Signal> = happenings.iter().flat_map(|h| h.signals.clone()).collect();
        let observed: Vec<Binding> = happenings.iter().flat_map(|h| h.bindings.clone()).collect();
        for alert in final_alerts(&plans, &all, &observed) {
            silent.remove(alert.rule.id.as_str());
        }
        let mut worker = Worker::new(&plans, i64::MAX);
        let signals = all.into_iter().map(SignalMessage::Signal);
        worker.messages.extend(signals);
        worker.watermark(60);
        worker.messages.extend(observed.into_iter().map(SignalMessage::Binding));
        worker.apply_all();
        worker.commit(usize::MAX, true);
        repaired += worker.engine.stats().repairs.repaired_keys;
    }
    assert!(silent.is_empty(), "never an alert of {silent:?}");
    assert!(repaired > 2_000, "{repaired} repairs");
}

/// A pod has an address since a second.
fn has_address(address: &str, uid: &str, seconds: i64) -> Binding {
    Binding {
        from: Identifier::new(IdentifierKind::PodIp, address).unwrap(),
        to: Identifier::new(IdentifierKind::PodUid, uid).unwrap(),
        time: Timestamp::from_seconds(1_000 + seconds),
        ends: false,
        how: How::AuditPodStatus,
        confidence: Confidence::Certain,
    }
}

#[test]
fn a_group_that_loses_its_events_forgets_them() {
    const B: u8 = 2;
    let event = |n: usize, id: u128, seconds: i64| Happening {
        time: Timestamp::from_seconds(1_000 + seconds),
        signals: signals(
            Happened {
                id,
                seconds,
                user: 0,
                matches: B,
            },
            n,
        ),
        bindings: Vec::new(),
    };
    let observed = |bindings: &[Binding]| Happening {
        time: Timestamp::from_seconds(1_000),
        signals: Vec::new(),
        bindings: bindings.to_vec(),
    };
    // What the first pod is thought to have done at 10 would make the other value at 16 a new one of a pod that is known.
    let happenings = [
        observed(&[has_address("10.0.0.1", "uid-0", 0), has_address("10.0.0.2", "uid-0", 0)]),
        event(1, 3, 10),
        observed(&[has_address("10.0.0.1", "uid-1", 5)]),
        event(3, 4, 16),
    ];
    let steps = [
        (1, Step::Watermark(12)),
        (2, Step::Commit(usize::MAX)),
        (3, Step::Watermark(60)),
    ];
    check_law(&plans(), &happenings, &steps, i64::MAX).unwrap();
}

#[test]
fn what_is_learned_late_is_cited_by_what_it_retracts() {
    let mut worker = Worker::new(&plans(), i64::MAX);
    let count = |n: usize, seconds: i64| {
        let happened = Happened {
            id: 3 * n as u128 + 3,
            seconds,
            user: 0,
            matches: 1,
        };
        let signals = signals(happened, n).into_iter();
        signals
            .filter(|signal| &*signal.rule_id == "count")
            .map(SignalMessage::Signal)
    };
    let first = has_address("10.0.0.1", "uid-0", 0);
    worker.messages.push(SignalMessage::Binding(first.clone()));
    worker.messages.extend((0..3).flat_map(|n| count(n, 10 + n as i64)));
    worker.watermark(60);
    worker.apply_all();
    worker.commit(usize::MAX, true);
    assert_eq!(
        worker
            .alerts
            .iter()
            .filter(|a| a.alert.status == AlertStatus::Final)
            .count(),
        1
    );
    let reported = worker.alerts.len();
    // Nothing new is said: no group is repaired.
    worker.messages.push(SignalMessage::Binding(first));
    worker.apply_all();
    assert_eq!(worker.engine.repairing(), 0);
    let late = has_address("10.0.0.1", "uid-1", 5);
    worker.messages.push(SignalMessage::Binding(late.clone()));
    worker.apply_all();
    assert_eq!(worker.engine.repairing(), 1);
    worker.commit(usize::MAX, true);
    let anew: Vec<_> = worker.alerts[reported..]
        .iter()
        .map(|alert| {
            (
                alert.alert.status,
                alert.group["entity.pod"].as_str(),
                alert.retraction.as_deref(),
            )
        })
        .collect();
    let [
        (AlertStatus::Retracted, "uid-0", Some(retraction)),
        (AlertStatus::Final, "uid-1", None),
    ] = anew[..]
    else {
        panic!("{anew:?}");
    };
    assert_eq!(retraction.learned, Some(late));
    assert_eq!(
        (retraction.event.is_none(), retraction.time_written_by.as_str()),
        (true, "server")
    );
}
