//! Laws of the engine against the reference, and worked cases.

mod examples;
mod late_laws;
mod late_worker;
mod learned_laws;
mod memory_store;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use casebook_event::{
    Alert, AlertRule, AlertStatus, Binding, Confidence, Event, EventId, FieldId, Fields, How, Identifier,
    IdentifierKind, Native, Partition, Position, Signal, SignalMessage, Source, Timestamp, Value, Watermark,
};
use compact_str::CompactString;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};

use self::memory_store::MemoryStore;
use crate::correlation::codec::Names;
use crate::correlation::group::GroupKey;
use crate::correlation::plan::{CorrelationPlan, Plans};
use crate::correlation::reference::final_alerts;
use crate::correlation::*;
use crate::{Detector, RuleFile, RuleSet};

/// One correlation of every sort, over the base rules a, b and c. `a` raises alerts of its own.
const CORRELATIONS: &[(&str, &str)] = &[
    ("count", "type: event_count, rules: [a, b], condition: { gt: 2 }"),
    (
        "between",
        "type: event_count, rules: [a], condition: { gte: 2, lt: 4 }, generate: true",
    ),
    ("exactly", "type: event_count, rules: [b], condition: { eq: 2 }"),
    ("ordered", "type: temporal_ordered, rules: [a, b, c]"),
    ("twice", "type: temporal_ordered, rules: [a, b, a]"),
    (
        "undisturbed",
        "type: temporal_ordered, rules: [a, c, b], condition: a and b and not c",
    ),
    ("many-then", "type: temporal_ordered, rules: [a, b], counts: { a: 3 }"),
    (
        "values",
        "type: value_count, rules: [a, b, c], condition: { field: value, gt: 2 }",
    ),
    (
        "two-values",
        "type: value_count, rules: [a, b], condition: { field: value, eq: 2 }",
    ),
    (
        "sum",
        "type: value_sum, rules: [a, b, c], condition: { field: value, gt: 6 }",
    ),
    (
        "average",
        "type: value_avg, rules: [a], condition: { field: value, lt: 2 }",
    ),
    (
        "median",
        "type: value_median, rules: [a, b, c], condition: { field: value, gte: 3 }",
    ),
    (
        "percentile",
        "type: value_percentile, rules: [b, c], condition: { field: value, percentile: 90, lte: 2 }",
    ),
    (
        "any-cluster",
        "type: event_count, rules: [a, c], condition: { gte: 3 }, generate: true, clusters: any",
    ),
    ("of-any-cluster", "type: temporal_ordered, rules: [any-cluster, b]"),
    ("all-three", "type: temporal, rules: [a, b, c]"),
    ("two-of", "type: temporal, rules: [a, b, c], condition: { gte: 2 }"),
    ("not-all", "type: temporal, rules: [a, b, c], condition: { lt: 3 }"),
    ("either", "type: temporal, rules: [a, b, c], condition: a and (b or c)"),
    (
        "without",
        "type: temporal, rules: [a, b, c], condition: a and b and not c",
    ),
    (
        "counted",
        "type: temporal, rules: [a, b, c], condition: a and (b or c), counts: { a: 2, c: { gt: 1 } }",
    ),
    (
        "counted-not",
        "type: temporal, rules: [a, b], condition: a and not b, counts: { a: { gte: 2, lt: 4 }, b: 2 }",
    ),
    (
        "unanswered",
        "type: event_count, rules: [a], condition: { gte: 1 }, absence: [b, c]",
    ),
    (
        "unanswered-two",
        "type: event_count, rules: [a], condition: { gte: 2 }, absence: c",
    ),
    (
        "new-value",
        "type: value_count, rules: [a, b], condition: { field: value, gte: 1 }, first_seen: { learn: 5s }",
    ),
    (
        "more-than-before",
        "type: event_count, rules: [a, b], timespan: 4s, condition: { gte: 2 }, deviation: { history: 16s, learn: 8s, factor: 1 }",
    ),
    (
        "larger-than-before",
        "type: value_sum, rules: [b, c], timespan: 3s, condition: { field: value, gt: 1 }, deviation: { history: 12s, learn: 3s, factor: 0.5 }",
    ),
    (
        "of-counts",
        "type: temporal, rules: [count, c, ordered], condition: { gte: 2 }, generate: true",
    ),
    ("of-absence", "type: temporal_ordered, rules: [unanswered, b]"),
    (
        "several-users",
        "type: value_count, rules: [quiet], condition: { field: who, gte: 2 }, group-by: []",
    ),
    ("quiet", "type: event_count, rules: [c], condition: { gte: 2 }"),
    (
        "quiet-again",
        "type: event_count, rules: [quiet], condition: { gte: 1 }",
    ),
    (
        "of-chains",
        "type: event_count, rules: [of-absence, of-counts], condition: { gte: 1 }, generate: true",
    ),
];

/// A rule file with the base rules a, b and c, and these correlations of ten seconds, which are written in one line.
pub(super) fn rule_file(correlations: &[(&str, &str)]) -> RuleFile {
    let mut text = String::new();
    for name in ["a", "b", "c"] {
        text += &format!(
            "title: {name}\nid: {name}\nlogsource: {{ product: application }}\ndetection: {{ s: {{ kind: {name} }}, condition: s }}\n---\n"
        );
    }
    for (id, correlation) in correlations {
        let by_pod = correlation.ends_with(", entity");
        let correlation = correlation.trim_end_matches(", entity");
        let extension = ["counts", "absence", "first_seen", "deviation", "clusters"];
        let at = extension
            .iter()
            .filter_map(|key| correlation.find(&format!(", {key}:")))
            .min();
        let (of_sigma, of_extension) = correlation.split_at(at.unwrap_or(correlation.len()));
        let mut section = of_sigma.to_owned();
        for (key, default) in [("group-by", "[who]"), ("timespan", "10s")] {
            if !section.contains(&format!("{key}:")) {
                section += &format!(", {key}: {default}");
            }
        }
        text += &format!("title: {id}\nid: {id}\nlevel: high\ncorrelation: {{ {section} }}\n");
        let by_pod = by_pod.then_some("group-by: { entity: pod }");
        let of_extension: Vec<&str> = by_pod.into_iter().chain(of_extension.strip_prefix(", ")).collect();
        if !of_extension.is_empty() {
            text += &format!("casebook: {{ {} }}\n", of_extension.join(", "));
        }
        text += "---\n";
    }
    RuleFile {
        path: "rules.yml".into(),
        text,
    }
}

fn rules() -> Arc<RuleSet> {
    static RULES: OnceLock<Arc<RuleSet>> = OnceLock::new();
    RULES.get_or_init(|| rules_of(CORRELATIONS)).clone()
}

/// A rule set of such correlations, in which `value` is what their members call `value-a`, `value-b` and `value-c`.
pub(super) fn rules_of(correlations: &[(&str, &str)]) -> Arc<RuleSet> {
    let with_aliases = |correlation: &str| {
        let members = ["a", "b", "c"].into_iter().filter(|name| {
            let list = correlation.split(['[', ']']).nth(1).unwrap_or_default();
            list.split(", ").any(|member| member == *name)
        });
        let fields: Vec<String> = members.map(|name| format!("{name}: value-{name}")).collect();
        let aliases = format!("aliases: {{ value: {{ {} }} }}, condition", fields.join(", "));
        match correlation.contains("field: value") {
            true => correlation.replacen("condition", &aliases, 1),
            false => correlation.to_owned(),
        }
    };
    let all: Vec<_> = correlations
        .iter()
        .map(|(id, text)| (*id, with_aliases(text)))
        .collect();
    let all: Vec<_> = all.iter().map(|(id, text)| (*id, text.as_str())).collect();
    let loaded = RuleSet::load([rule_file(&all)]);
    Arc::new(loaded.rules.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics)))
}

pub(super) fn plans() -> Arc<Plans> {
    static PLANS: OnceLock<Arc<Plans>> = OnceLock::new();
    PLANS.get_or_init(|| Arc::new(Plans::of(&rules()))).clone()
}

/// Added to a user, it is the user of that name in another cluster.
const IN_EAST: u8 = 0x80;

/// An event of a test: seconds, user, and which of a, b and c it matches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Happened {
    pub id: u128,
    pub seconds: i64,
    pub user: u8,
    pub matches: u8,
}

impl Happened {
    pub(super) fn event(self, position: &Position) -> Event {
        let kinds = ["a", "b", "c"].into_iter().enumerate();
        let kinds: Value = kinds
            .filter(|(n, _)| self.matches & (1 << n) != 0)
            .map(|(_, kind)| Value::str(kind))
            .collect();
        // Two rules may find different values in one event, and the same value comes often.
        let value = |n: u64| Value::Int((self.id as u64 * 5 + n * (self.id as u64 % 3)) as i64 % 5 - 1);
        let native = vec![
            ("kind".into(), kinds),
            ("who".into(), Value::from(format!("user-{}", self.user & !IN_EAST))),
            ("value-a".into(), value(0)),
            ("value-b".into(), value(1)),
            ("value-c".into(), value(2)),
        ];
        let time = Timestamp::from_seconds(1_000 + self.seconds);
        Event {
            id: EventId::from_u128(self.id),
            time,
            ingested: time,
            source: Source::Application,
            position: position.clone(),
            fields: {
                let mut fields = Fields::new();
                fields.set(FieldId::SourceIp, Value::from(format!("10.0.0.{}", self.id % 3 + 1)));
                fields.set(FieldId::OrchestratorClusterName, self.cluster());
                fields
            },
            native: Native::Tree(Value::Map(native)),
            raw: "".into(),
        }
    }

    /// Most events do not say in which cluster they happened.
    fn cluster(self) -> &'static str {
        if self.user & IN_EAST != 0 { "east" } else { "" }
    }

    /// What the event tells of who is who: addresses pass from pod to pod, and some are told with less certainty.
    pub(super) fn binding(self) -> Option<Binding> {
        let from = Identifier::new(IdentifierKind::PodIp, &format!("10.0.0.{}", self.id % 2 + 1))?;
        let from = from.within(self.cluster());
        let to = Identifier::new(IdentifierKind::PodUid, &format!("pod-{}", self.id % 5))?;
        let (how, confidence) = match self.id % 7 {
            0 => (How::KubernetesEvent, Confidence::Likely),
            1..4 => (How::AuditPodStatus, Confidence::Certain),
            _ => return None,
        };
        let time = Timestamp::from_seconds(1_000 + self.seconds);
        Some(Binding {
            from,
            to,
            time,
            ends: false,
            how,
            confidence,
        })
    }

    pub(super) fn signals(self, position: &Position) -> Vec<Signal> {
        thread_local! {
            static DETECTOR: RefCell<Detector> = RefCell::new(Detector::new(rules()));
        }
        let mut signals = Vec::new();
        DETECTOR.with_borrow_mut(|detector| detector.detect(&self.event(position), &mut signals));
        signals
    }
}

/// Deliveries in the order of arrival: the partition, and the event.
pub(super) type Arrival = Vec<(usize, Happened)>;

/// The messages of an arrival, with watermarks that are honest and as high as they can be.
pub(super) fn messages(arrival: &Arrival, partitions: usize) -> (Vec<SignalMessage>, Vec<Signal>) {
    let partition = |n: usize| Partition::new("logs", n as i32);
    let mut messages: Vec<_> = (0..partitions)
        .map(|n| {
            SignalMessage::Watermark(Watermark {
                partition: partition(n),
                time: Timestamp::MIN,
            })
        })
        .collect();
    let mut all = Vec::new();
    for (n, (p, event)) in arrival.iter().enumerate() {
        let position = Position {
            topic: "logs".into(),
            partition: *p as i32,
            offset: n as i64,
            index: 0,
        };
        for signal in event.signals(&position) {
            all.push(signal.clone());
            messages.push(SignalMessage::Signal(signal));
        }
        messages.extend(event.binding().map(SignalMessage::Binding));
        let rest = arrival[n + 1..]
            .iter()
            .filter(|(other, _)| other == p)
            .map(|(_, event)| event.seconds)
            .min();
        let time = rest.map_or(Timestamp::MAX, |seconds| Timestamp::from_seconds(1_000 + seconds));
        messages.push(SignalMessage::Watermark(Watermark {
            partition: partition(*p),
            time,
        }));
    }
    (messages, all)
}

pub(super) fn sorted(mut alerts: Vec<Alert>) -> Vec<Alert> {
    alerts.sort_by(|a, b| {
        (a.alert.time, &a.alert.id, a.alert.revision).cmp(&(b.alert.time, &b.alert.id, b.alert.revision))
    });
    alerts
}

fn run(provisional: bool, messages: &[SignalMessage]) -> Vec<Alert> {
    let mut engine = CorrelationEngine::with_plans(plans(), CorrelationConfig { provisional });
    let mut out = Vec::new();
    for message in messages {
        engine.apply(message.clone(), &mut out).unwrap();
    }
    engine.finish(&mut out).unwrap();
    assert_eq!(engine.stats().open_groups, 0, "nothing is kept behind the end of time");
    assert_eq!(engine.stats().late_events.len(), 0, "the watermarks were honest");
    out
}

/// What the reports leave standing: the last revision of each id, without the withdrawn ones and without what depends on
/// the order of arrival by definition.
fn standing(reports: &[Alert]) -> Vec<Alert> {
    let mut last: BTreeMap<CompactString, Alert> = BTreeMap::new();
    for alert in reports {
        let before = last.insert(alert.alert.id.clone(), alert.clone());
        let expected = before.map_or(1, |before| before.alert.revision + 1);
        assert_eq!(alert.alert.revision, expected, "revisions count up by one: {alert:?}");
    }
    let mut standing: Vec<_> = last
        .into_values()
        .filter(|alert| alert.alert.status != AlertStatus::Withdrawn)
        .collect();
    let open = standing.iter().find(|alert| alert.alert.status != AlertStatus::Final);
    assert_eq!(open, None, "every alert becomes final");
    for alert in &mut standing {
        alert.alert.revision = 1;
        for evidence in &mut alert.evidence {
            evidence.position = Position {
                topic: "".into(),
                partition: 0,
                offset: 0,
                index: 0,
            };
        }
    }
    sorted(standing)
}

fn without_positions(alerts: Vec<Alert>) -> Vec<Alert> {
    standing(&alerts)
}

pub(super) fn arrivals() -> impl Strategy<Value = (Arrival, usize)> {
    let user = prop_oneof![6 => 0..2u8, 1 => IN_EAST..IN_EAST + 2];
    let event = (0i64..40, user, 1u8..8);
    (prop::collection::vec(event, 1..40), 1usize..=16, any::<u64>()).prop_flat_map(|(events, partitions, _)| {
        let happened: Vec<Happened> = events
            .into_iter()
            .enumerate()
            // Identities do not go along with time.
            .map(|(n, (seconds, user, matches))| Happened {
                id: (n as u128 * 7919) % 104_729,
                seconds,
                user,
                matches,
            })
            .collect();
        let count = happened.len();
        let duplicates = prop::collection::vec(0..count, 0..5);
        duplicates.prop_flat_map(move |duplicates| {
            let mut all = happened.clone();
            all.extend(duplicates.iter().map(|&n| happened[n]));
            let places = prop::collection::vec(0..partitions, all.len());
            (Just(all).prop_shuffle(), places)
                .prop_map(move |(all, places)| (places.into_iter().zip(all).collect(), partitions))
        })
    })
}

/// What a run is like, beside the events and the order of their arrival.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// After how many messages the engine is restored from its state.
    cut: usize,
    /// How many of the messages before that are delivered again.
    redeliver: usize,
    workers: u64,
    /// Messages between commits.
    batch: usize,
    /// Bytes of groups that each worker has memory for.
    memory: usize,
}

fn check_laws(arrival: &Arrival, partitions: usize, run_like: Run) -> Result<(), TestCaseError> {
    let Run {
        cut,
        redeliver,
        workers,
        batch,
        memory,
    } = run_like;
    let (messages, signals) = messages(arrival, partitions);
    let told: Vec<Binding> = arrival.iter().filter_map(|(_, event)| event.binding()).collect();
    let want = final_alerts(&plans(), &signals, &told);
    prop_assert_eq!(&sorted(run(false, &messages)), &want, "final alerts alone");
    let reports = run(true, &messages);
    prop_assert_eq!(
        standing(&reports),
        without_positions(want.clone()),
        "provisional alerts, revised"
    );

    // Several workers, each with the signals of its part of the groups, and with memory for some of them; a commit after
    // every so many messages.
    let mut reports = Vec::new();
    for worker in 0..workers {
        let engine = || {
            let engine = CorrelationEngine::with_plans(plans(), CorrelationConfig::default());
            engine.with_cold_store(Box::<MemoryStore>::default(), memory)
        };
        let mut running = engine();
        let mine = messages.iter().filter(|message| match message {
            SignalMessage::Signal(signal) => signal.key() % workers == worker,
            SignalMessage::Watermark(_) | SignalMessage::Binding(_) => true,
        });
        for (n, message) in mine.enumerate() {
            running.apply(message.clone(), &mut reports).unwrap();
            if n % batch == batch - 1 {
                running = restore(engine(), &snapshot(&running));
            }
        }
        running.finish(&mut reports).unwrap();
        prop_assert_eq!(running.stats().open_groups, 0);
    }
    prop_assert_eq!(standing(&reports), without_positions(want.clone()), "{:?}", run_like);

    // A crash: the state of `cut` is restored, and some of what came before it is delivered again.
    let cut = cut % (messages.len() + 1);
    let mut engine = CorrelationEngine::with_plans(plans(), CorrelationConfig::default());
    let mut reports = Vec::new();
    for message in &messages[..cut] {
        engine.apply(message.clone(), &mut reports).unwrap();
    }
    let before = state(&engine);
    let mut engine = restored(&engine, plans());
    prop_assert!(state(&engine) == before, "a restored state is the same state");
    engine.set_plans(Arc::new((*plans()).clone())).unwrap();
    prop_assert!(state(&engine) == before, "the same rules anew change nothing");
    for message in &messages[cut - redeliver.min(cut)..] {
        engine.apply(message.clone(), &mut reports).unwrap();
    }
    engine.finish(&mut reports).unwrap();
    prop_assert_eq!(standing(&reports), without_positions(want), "after a restore");
    Ok(())
}

/// The parts of a snapshot.
pub(super) fn snapshot(engine: &CorrelationEngine) -> Vec<Vec<u8>> {
    let mut snapshot = SnapshotParts::of(engine);
    std::iter::from_fn(|| snapshot.next_part().unwrap()).collect()
}

pub(super) fn restore(engine: CorrelationEngine, parts: &[Vec<u8>]) -> CorrelationEngine {
    let mut restoring = Restoring::new(engine);
    parts.iter().for_each(|part| restoring.take(part).unwrap());
    restoring.finish()
}

fn restored(engine: &CorrelationEngine, plans: Arc<Plans>) -> CorrelationEngine {
    let empty = CorrelationEngine::with_plans(plans, CorrelationConfig::default());
    restore(empty, &snapshot(engine))
}

/// The whole state, with the groups in order.
fn state(engine: &CorrelationEngine) -> (Vec<u8>, Vec<(GroupKey, Vec<u8>)>) {
    let head = SnapshotParts::of(engine).next_part().unwrap().unwrap();
    let mut groups: Vec<(GroupKey, Vec<u8>)> = engine
        .evaluator
        .groups
        .iter()
        .map(|(key, group)| {
            let mut bytes = Vec::new();
            group.encode(&mut bytes, &mut Names::default());
            ((**key).clone(), bytes)
        })
        .collect();
    groups.sort();
    (head, groups)
}

/// `CASEBOOK_PROPTEST_CASES` runs more of them.
pub(super) fn cases() -> u32 {
    std::env::var("CASEBOOK_PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(2_000)
}

#[test]
fn any_order_duplicates_partitions_and_crashes_give_the_alerts_of_the_reference() {
    let mut runner = TestRunner::new(Config {
        cases: cases(),
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(
            &(
                arrivals(),
                any::<usize>(),
                0usize..30,
                1u64..=4,
                3usize..400,
                0usize..60_000,
            ),
            |((arrival, partitions), cut, redeliver, workers, batch, memory)| {
                let run = Run {
                    cut,
                    redeliver,
                    workers,
                    batch,
                    memory,
                };
                check_laws(&arrival, partitions, run)
            },
        )
        .unwrap();
}

/// A law that is never put to the test is none: among so many arrivals each of the correlations raises alerts.
#[test]
fn every_correlation_of_the_laws_raises_alerts() {
    let mut runner = TestRunner::deterministic();
    let mut silent: std::collections::BTreeSet<Arc<str>> = plans().correlations.keys().cloned().collect();
    silent.retain(|id| plans().correlations[id].alerts);
    for _ in 0..2_000 {
        let (arrival, partitions) = arrivals().new_tree(&mut runner).unwrap().current();
        let (messages, _) = messages(&arrival, partitions);
        for alert in run(false, &messages) {
            silent.remove(alert.rule.id.as_str());
        }
        if silent.is_empty() {
            return;
        }
    }
    panic!("never an alert of {silent:?}");
}

/// Final alerts of one rule, as (met, events), from events given as (seconds, matches) of one user in order of arrival.
fn found(rule: &str, events: &[(i64, u8)]) -> Vec<(i64, u64)> {
    let arrival: Arrival = events
        .iter()
        .enumerate()
        .map(|(n, &(seconds, matches))| {
            (
                0,
                Happened {
                    id: n as u128 + 1,
                    seconds,
                    user: 0,
                    matches,
                },
            )
        })
        .collect();
    let (messages, _) = messages(&arrival, 1);
    let alerts = sorted(run(false, &messages));
    let seconds = |time: Timestamp| time.as_nanos() / 1_000_000_000 - 1_000;
    alerts
        .iter()
        .filter(|alert| alert.rule.id == rule)
        .map(|alert| (seconds(alert.alert.time), alert.evidence_total))
        .collect()
}

const A: u8 = 1;
const B: u8 = 2;
const C: u8 = 4;

#[test]
fn counts() {
    let check = |events: &[(i64, u8)], want: &[(i64, u64)]| assert_eq!(found("count", events), want, "{events:?}");
    check(&[(0, A), (1, A)], &[]);
    check(&[(0, A), (1, B), (2, A)], &[(2, 3)]);
    check(&[(0, A), (5, A), (10, A)], &[(10, 3)]);
    check(&[(0, A), (5, A), (11, A)], &[]);
    check(&[(0, A), (8, A), (9, A), (10, A), (11, A)], &[(9, 4)]);
    check(&[(11, A), (10, A), (9, A), (8, A), (0, A)], &[(9, 4)]);
    check(&[(0, A), (0, A), (0, A)], &[(0, 3)]);
    check(&[(0, A), (1, A), (2, A), (20, A), (21, A), (22, A)], &[(2, 3), (22, 3)]);
}

#[test]
fn counts_that_wait() {
    assert_eq!(found("exactly", &[(0, B), (5, B)]), [(5, 2)]);
    assert_eq!(
        found("exactly", &[(0, B), (5, B), (6, B)]),
        [(6, 2)],
        "three in ten seconds, but two from the second on"
    );
    assert_eq!(found("between", &[(0, A), (1, A), (2, A), (3, A)]), [(3, 3)]);
}

#[test]
fn sequences() {
    let check = |events: &[(i64, u8)], want: &[(i64, u64)]| assert_eq!(found("ordered", events), want, "{events:?}");
    check(&[(0, A), (1, B), (2, C)], &[(2, 3)]);
    check(&[(2, C), (1, B), (0, A)], &[(2, 3)]);
    check(&[(0, C), (1, B), (2, A)], &[]);
    check(&[(0, A), (5, B), (10, C)], &[(10, 3)]);
    check(&[(0, A), (5, B), (11, C)], &[]);
    check(&[(0, A), (3, A), (5, B), (11, C)], &[(11, 3)]);
    check(&[(0, A), (0, B), (0, C)], &[(0, 3)]);
    check(&[(0, C), (0, B), (0, A)], &[(0, 3)]);
    check(&[(0, A | B | C)], &[]);
    check(&[(0, A | B), (0, B), (1, C)], &[(1, 3)]);
    check(&[(0, A), (1, B), (2, C), (3, B), (4, C)], &[(2, 3)]);
    check(&[(0, A), (1, B), (2, C), (3, A), (4, B), (5, C)], &[(2, 3), (5, 3)]);
}

#[test]
fn a_provisional_alert_moves_to_an_earlier_anchor_and_says_so() {
    let event = |id, seconds| Happened {
        id,
        seconds,
        user: 0,
        matches: B,
    };
    let arrival: Arrival = [event(1, 5), event(2, 6), event(3, 7), event(4, 1)]
        .map(|event| (0, event))
        .to_vec();
    let (messages, _) = messages(&arrival, 1);
    let reports: Vec<_> = run(true, &messages)
        .into_iter()
        .filter(|alert| alert.rule.id == "count")
        .collect();
    let said: Vec<_> = reports
        .iter()
        .map(|alert| (alert.alert.status, alert.alert.revision, alert.evidence_total))
        .collect();
    assert_eq!(
        said,
        [
            (AlertStatus::Provisional, 1, 3),
            (AlertStatus::Withdrawn, 2, 3),
            (AlertStatus::Provisional, 1, 4),
            (AlertStatus::Final, 2, 4)
        ]
    );
    assert_eq!(reports[1].alert.superseded_by.as_ref(), Some(&reports[2].alert.id));
}

#[test]
fn an_event_that_matches_one_more_member_gives_back_what_it_had_taken() {
    // The last event is first known to match a, which completes a sequence over seconds 24 to 29; then also c, which
    // undoes it. The sequence from second 29 on, which had been withdrawn for it, must come back.
    let events = [(24, A | B), (35, A), (37, A | C), (37, B | C), (29, A | C), (24, A | C)];
    let arrival: Arrival = (0u128..)
        .zip(events)
        .map(|(n, (seconds, matches))| {
            (
                0,
                Happened {
                    id: n * 7919,
                    seconds,
                    user: 0,
                    matches,
                },
            )
        })
        .collect();
    let (messages, signals) = messages(&arrival, 1);
    let told: Vec<Binding> = arrival.iter().filter_map(|(_, event)| event.binding()).collect();
    assert_eq!(
        standing(&run(true, &messages)),
        without_positions(final_alerts(&plans(), &signals, &told))
    );
}

#[test]
fn a_late_event_is_counted_and_not_used() {
    let mut engine = CorrelationEngine::with_plans(plans(), CorrelationConfig::default());
    let mut out = Vec::new();
    let partition = Partition::new("logs", 0);
    let _ = engine.apply(
        SignalMessage::Watermark(Watermark {
            partition,
            time: Timestamp::from_seconds(1_100),
        }),
        &mut out,
    );
    let position = Position {
        topic: "logs".into(),
        partition: 0,
        offset: 0,
        index: 0,
    };
    for signal in (Happened {
        id: 1,
        seconds: 99,
        user: 0,
        matches: B,
    })
    .signals(&position)
    {
        engine.apply(SignalMessage::Signal(signal), &mut out).unwrap();
    }
    let of_b = |plan: &&Arc<CorrelationPlan>| plan.members.iter().any(|member| &**member == "b");
    let missed = plans().correlations.values().filter(of_b).count() as u64;
    assert_eq!(
        engine.stats().late_events,
        BTreeMap::from([(Source::Application, missed)]),
        "one for each correlation that b is in"
    );
    assert_eq!(engine.stats().open_groups, 0);
    assert!(out.is_empty());
}

/// Applies one signal of `rule` for each event, all of one group, and returns the final alerts of that rule.
fn run_hot(rule: &str, events: impl Iterator<Item = (i64, u8)>) -> Vec<Alert> {
    run_hot_of(rule, events.map(|(seconds, matches)| (seconds * 1_000, matches, None)))
}

/// The same, of events given as milliseconds, matches and value.
fn run_hot_of(rule: &str, events: impl Iterator<Item = (i64, u8, Option<&'static str>)>) -> Vec<Alert> {
    let mut engine = CorrelationEngine::with_plans(plans(), CorrelationConfig::default());
    let mut out = Vec::new();
    for (n, (millis, matches, value)) in events.enumerate() {
        let position = Position {
            topic: "logs".into(),
            partition: 0,
            offset: n as i64,
            index: 0,
        };
        let happened = Happened {
            id: (n as u128 * 7919) % 1_000_003,
            seconds: 0,
            user: 0,
            matches,
        };
        for mut signal in happened
            .signals(&position)
            .into_iter()
            .filter(|signal| &*signal.rule_id == rule)
        {
            signal.event.time = Timestamp::from_nanos(millis * 1_000_000);
            signal.value = value.map(Into::into).or(signal.value);
            engine.apply(SignalMessage::Signal(signal), &mut out).unwrap();
        }
    }
    engine.finish(&mut out).unwrap();
    assert_eq!(engine.stats().open_groups, 0);
    out.retain(|alert| alert.alert.status == AlertStatus::Final);
    out
}

/// Many events of one group without a watermark: work that grows with the group for each event would take hours.
#[test]
fn a_hot_group_costs_little_an_event() {
    const EVENTS: i64 = 60_000;
    let same_window = run_hot("count", (0..200_000).map(|n| (n % 7, A)));
    assert_eq!(
        same_window.iter().map(|alert| alert.evidence_total).collect::<Vec<_>>(),
        [200_000]
    );
    // Never three in ten seconds, in order.
    assert!(run_hot("count", (0..EVENTS).map(|n| (n * 6, A))).is_empty());
    // Two partitions read one after the other: the second half goes between the first. Then three are within ten seconds.
    let halves = (0..EVENTS / 2)
        .map(|n| (n * 10, A))
        .chain((0..EVENTS / 2).map(|n| (n * 10 + 5, A)));
    assert_eq!(run_hot("count", halves).len() as i64, EVENTS / 3);
    // Sequences: one that never completes, and one that completes again and again.
    assert!(run_hot("ordered", (0..EVENTS).map(|n| (n % 7, A))).is_empty());
    assert!(run_hot("ordered", (0..EVENTS).map(|n| (n * 20, [A, B, C][n as usize % 3]))).is_empty());
    assert_eq!(
        run_hot("ordered", (0..EVENTS).map(|n| (n, [A, B, C][n as usize % 3]))).len() as i64,
        EVENTS / 3
    );
}

/// As above, for values: two of them again and again within one window, in order and badly out of order, and then a third.
#[test]
fn a_flood_of_values_costs_little_an_event() {
    const EVENTS: i64 = 60_000;
    let flood =
        |order: fn(i64) -> i64| (0..EVENTS).map(move |n| (order(n) / 7, A, Some(if n % 2 == 0 { "x" } else { "y" })));
    let shuffled = |n: i64| n * 7_919 % EVENTS;
    for order in [|n| n, |n| EVENTS - n, shuffled] {
        assert!(run_hot_of("values", flood(order)).is_empty());
        let third = flood(order).chain([(5_000, A, Some("z"))]);
        assert_eq!(run_hot_of("values", third).len(), 1);
        // Never met, so that every event begins a window once, and is given up.
        let fives = flood(order).map(|(millis, matches, _)| (millis * 60, matches, Some("5")));
        assert!(run_hot_of("average", fives).is_empty());
        let ones = flood(order).map(|(millis, matches, _)| (millis * 60, matches, Some("1")));
        assert!(run_hot_of("median", ones).is_empty());
    }
    // Never all three of the rules.
    assert!(run_hot("all-three", (0..EVENTS).map(|n| (n % 7, [A, B][n as usize % 2]))).is_empty());
}

/// Of the plans, one is gone and one means something else: their groups go, the others stay as they are.
#[test]
fn changed_rules_drop_the_groups_of_what_changed() {
    let mut changed = (*plans()).clone();
    changed.correlations.remove("count");
    let ordered = changed.correlations.get_mut("ordered").unwrap();
    *ordered = Arc::new(CorrelationPlan {
        rule: AlertRule {
            version: "2".into(),
            ..ordered.rule.clone()
        },
        signals_version: "2".into(),
        ..(**ordered).clone()
    });
    let changed = Arc::new(changed);
    let mut engine = CorrelationEngine::with_plans(plans(), CorrelationConfig::default());
    let mut out = Vec::new();
    for n in 0..4 {
        let position = Position {
            topic: "logs".into(),
            partition: 0,
            offset: n,
            index: 0,
        };
        let happened = Happened {
            id: n as u128,
            seconds: n,
            user: (n % 2) as u8,
            matches: A | B,
        };
        for signal in happened.signals(&position) {
            engine.apply(SignalMessage::Signal(signal), &mut out).unwrap();
        }
    }
    let has_events = |plan: &&Arc<CorrelationPlan>| plan.members.iter().any(|member| ["a", "b"].contains(&&**member));
    let groups = 2 * plans().correlations.values().filter(has_events).count();
    assert_eq!(engine.stats().open_groups, groups, "two users");
    let restored = restored(&engine, changed.clone());
    engine.set_plans(changed).unwrap();
    assert_eq!(engine.stats(), restored.stats());
    assert!(state(&engine) == state(&restored));
    assert_eq!(engine.stats().open_groups, groups - 4);
    assert_eq!(
        engine.stats().dropped_groups,
        BTreeMap::from([("count".into(), 2), ("ordered".into(), 2)])
    );
    let mut restored = restored;
    let (mut of_engine, mut of_restored) = (Vec::new(), Vec::new());
    engine.finish(&mut of_engine).unwrap();
    restored.finish(&mut of_restored).unwrap();
    assert_eq!(of_engine, of_restored);
    assert_eq!(
        engine.stats().open_groups,
        0,
        "nothing stays behind that is never looked at again"
    );
}

#[test]
fn events_at_the_ends_of_time_are_closed_like_any_other() {
    for time in [Timestamp::from_nanos(i64::MIN + 1_000_000_000), Timestamp::MAX] {
        let mut engine = CorrelationEngine::with_plans(plans(), CorrelationConfig::default());
        let mut out = Vec::new();
        let position = Position {
            topic: "logs".into(),
            partition: 0,
            offset: 0,
            index: 0,
        };
        for mut signal in (Happened {
            id: 1,
            seconds: 0,
            user: 0,
            matches: A | B,
        })
        .signals(&position)
        {
            signal.event.time = time;
            engine.apply(SignalMessage::Signal(signal), &mut out).unwrap();
        }
        let mut engine = restored(&engine, plans());
        engine.finish(&mut out).unwrap();
        assert_eq!(engine.stats().open_groups, 0, "{time}");
    }
}

/// What was saved before groups had the cluster is of the unknown cluster, and goes on as such.
#[test]
fn a_snapshot_of_before_clusters_is_of_the_unknown_cluster() {
    // The plans as they were: no group has the cluster.
    let mut old = (*plans()).clone();
    for plan in old.correlations.values_mut() {
        let mut before = (**plan).clone();
        if let Some(place) = before.cluster.take() {
            before.group_by.remove(place);
        }
        before.feeds.clear();
        *plan = Arc::new(before);
    }
    let happened = |n: i64| Happened {
        id: n as u128 * 7_919,
        seconds: n,
        user: (n % 2) as u8,
        matches: A | B,
    };
    let signals = |n: i64| {
        let position = Position {
            topic: "logs".into(),
            partition: 0,
            offset: n,
            index: 0,
        };
        happened(n).signals(&position)
    };
    let mut engine = CorrelationEngine::with_plans(Arc::new(old), CorrelationConfig::default());
    let mut out = Vec::new();
    let all: Vec<Signal> = (0..12).flat_map(signals).collect();
    for signal in all.iter().filter(|signal| signal.event.position.offset < 6) {
        let mut signal = signal.clone();
        if plans()
            .correlations
            .get(&signal.rule_id)
            .is_some_and(|plan| plan.cluster.is_some())
        {
            signal.group.pop();
        }
        engine.apply(SignalMessage::Signal(signal), &mut out).unwrap();
    }
    let mut parts = snapshot(&engine);
    let head = String::from_utf8(parts.remove(0)).unwrap();
    let now = "\"version\":3,";
    assert!(head.starts_with(&format!("{{{now}")), "{head}");
    let mut head = head.replacen(now, "\"version\":2,", 1);
    // It had the rules' own versions.
    for plan in plans().correlations.values() {
        let was = |version: &str| format!("[\"{}\",\"{version}\"]", plan.rule.id);
        head = head.replace(&was(&plan.signals_version), &was(&plan.rule.version));
    }
    parts.insert(0, head.into_bytes());
    let empty = CorrelationEngine::with_plans(plans(), CorrelationConfig { provisional: false });
    let mut restoring = Restoring::new(empty);
    parts.iter().for_each(|part| restoring.take(part).unwrap());
    let of_clusters = plans()
        .correlations
        .values()
        .filter(|plan| plan.cluster.is_some())
        .count();
    assert!(
        restoring.migrated_groups() > of_clusters,
        "{}",
        restoring.migrated_groups()
    );
    let mut engine = restoring.finish();
    assert_eq!(engine.stats().dropped_groups.len(), 0);
    let mut out = Vec::new();
    for signal in all.iter().filter(|signal| signal.event.position.offset >= 6) {
        engine.apply(SignalMessage::Signal(signal.clone()), &mut out).unwrap();
    }
    engine.finish(&mut out).unwrap();
    let of_rule = |alerts: Vec<Alert>, rule: &str| {
        let of_it = alerts.into_iter().filter(|alert| alert.rule.id == rule);
        of_it
            .map(|alert| (alert.alert.id, alert.evidence_total))
            .collect::<Vec<_>>()
    };
    let want = final_alerts(&plans(), &all, &[]);
    for rule in ["count", "ordered", "values", "not-all", "any-cluster"] {
        let found = of_rule(sorted(out.clone()), rule);
        assert_eq!(found, of_rule(want.clone(), rule), "{rule}");
        assert!(!found.is_empty() || rule != "count");
    }
    // A signal of before is, too.
    let mut old_signal = all[0].clone();
    let of_count = |signal: &&Signal| &*signal.rule_id == "count";
    old_signal.clone_from(all.iter().find(of_count).unwrap());
    old_signal.group.pop();
    let mut engine = CorrelationEngine::with_plans(plans(), CorrelationConfig::default());
    engine
        .apply(SignalMessage::Signal(old_signal), &mut Vec::new())
        .unwrap();
    assert_eq!((engine.stats().open_groups, engine.stats().foreign_signals), (1, 0));
}
