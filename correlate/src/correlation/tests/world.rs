//! The world that the laws are tried in: rules, events, arrivals, and what a run of them comes to.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use casebook_event::{
    Alert, AlertStatus, Binding, Confidence, Event, EventId, FieldId, Fields, How, Identifier, IdentifierKind, Native,
    Partition, Position, Signal, SignalMessage, Source, Timestamp, Value, Watermark,
};
use compact_str::CompactString;
use proptest::prelude::*;

use crate::correlation::codec::Names;
use crate::correlation::group::GroupKey;
use crate::correlation::plan::Plans;
use crate::correlation::{CorrelationConfig, CorrelationEngine, Restoring, SnapshotParts};
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

pub(super) fn rules() -> Arc<RuleSet> {
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
    pub(super) fn cluster(self) -> &'static str {
        if self.user & IN_EAST != 0 { "east" } else { "" }
    }

    /// The bindings that the event reports: addresses pass from pod to pod, and some are reported with less certainty.
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

pub(super) fn run(provisional: bool, messages: &[SignalMessage]) -> Vec<Alert> {
    let mut engine = CorrelationEngine::with_plans(plans(), CorrelationConfig { provisional });
    let mut out = Vec::new();
    for message in messages {
        engine.apply(message.clone(), &mut out).unwrap();
    }
    engine.finish(&mut out).unwrap();
    assert_eq!(engine.stats().open_groups, 0, "nothing is kept after the end of time");
    assert_eq!(engine.stats().late_events.len(), 0, "the watermarks were honest");
    out
}

/// What the reports leave standing: the last revision of each id, without the withdrawn ones and without what depends on
/// the order of arrival by definition.
pub(super) fn standing(reports: &[Alert]) -> Vec<Alert> {
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

pub(super) fn without_positions(alerts: Vec<Alert>) -> Vec<Alert> {
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

pub(super) fn restored(engine: &CorrelationEngine, plans: Arc<Plans>) -> CorrelationEngine {
    let empty = CorrelationEngine::with_plans(plans, CorrelationConfig::default());
    restore(empty, &snapshot(engine))
}

/// The whole state, with the groups in order.
pub(super) fn state(engine: &CorrelationEngine) -> (Vec<u8>, Vec<(GroupKey, Vec<u8>)>) {
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
