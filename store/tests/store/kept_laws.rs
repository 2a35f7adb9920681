//! What correlation keeps, in random stores: a lookup is a filter over everything that was kept.

use crate::kept::{ALL, entities, in_order, keep, rows};
use crate::maintenance::{compact, problems};
use crate::support::{at, open};

use std::collections::BTreeSet;

use casebook_event::{
    AlertStatus, Binding, Confidence, DecidedWindow, EventId, EventRef, How, Identifier, IdentifierKind, Kept,
    Position, Signal, Source, Timestamp,
};
use casebook_store::{KeySpan, Store, TableName};
use proptest::prelude::*;
use proptest::sample::select;

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        select(&["alice", "bob", "203.0.113.7", "", "ünï", "a\"b\\c\n", "null"][..]).prop_map(str::to_owned),
        "\\PC{0,12}",
    ]
}

fn any_time() -> impl Strategy<Value = Timestamp> {
    // Two days around a midnight, to the nanosecond, and few enough that rows meet.
    prop_oneof![
        (86_390i64..86_410).prop_map(at),
        (0i64..172_800_000_000_000).prop_map(|nanos| at(0).saturating_add_nanos(nanos)),
    ]
}

fn any_identifier() -> impl Strategy<Value = Identifier> {
    let kinds = [
        IdentifierKind::PodUid,
        IdentifierKind::NodeName,
        IdentifierKind::Identity,
    ];
    (
        select(kinds.to_vec()),
        select(&["a", "b", "c", "d"][..]),
        select(&["", "prod", "test"][..]),
    )
        .prop_map(|(kind, value, cluster)| Identifier {
            cluster: cluster.into(),
            ..Identifier::new(kind, value).unwrap()
        })
}

prop_compose! {
    fn any_signal()(
        rule in select(&["guessing", "other"][..]),
        version in select(&["", "0123456789abcdef"][..]),
        group in prop::collection::vec(any_text(), 0..3),
        value in prop::option::of(any_text()),
        entity in prop::collection::vec(any_identifier(), 0..3),
        // Some keys, so that they meet.
        shard in prop::option::of(prop_oneof![0u64..3, u64::MAX - 1..=u64::MAX]),
        id in prop_oneof![0u128..3, any::<u128>()],
        time in any_time(),
        source in select(Source::ALL),
        topic in select(&["logs", "audit"][..]),
        (partition, offset, index) in (0i32..2, prop_oneof![0i64..3, any::<i64>()], prop_oneof![0u32..2, any::<u32>()]),
        named in prop::collection::vec((select(&["user.name", "source.ip", "host.name"][..]), any_text()), 0..4),
    ) -> Signal {
        let named: Vec<(&str, &str)> = named.iter().map(|(name, text)| (*name, text.as_str())).collect();
        Signal {
            rule_id: rule.into(),
            rule_version: version.into(),
            matched_rule_id: "failed".into(),
            group: group.into_iter().map(Into::into).collect(),
            value: value.map(Into::into),
            entity,
            shard,
            event: EventRef {
                event_id: EventId::from_u128(id),
                time,
                source,
                position: Position { topic: topic.into(), partition, offset, index },
                entities: entities(&named),
            },
        }
    }
}

prop_compose! {
    fn any_window()(
        signal in any_signal(),
        alert_id in prop_oneof![0u128..4, any::<u128>()],
        revision in prop_oneof![1u32..4, any::<u32>()],
        status in select(&[AlertStatus::Provisional, AlertStatus::Final, AlertStatus::Withdrawn, AlertStatus::Retracted][..]),
        length in prop_oneof![Just(i64::MAX), 0i64..200_000_000_000_000],
        met in any_time(),
        content in any::<u64>(),
    ) -> DecidedWindow {
        DecidedWindow {
            key: signal.key(),
            first: signal.event.time,
            to: signal.event.time.saturating_add_nanos(length),
            rule_id: signal.rule_id,
            rule_version: signal.rule_version,
            group: signal.group,
            alert_id,
            revision,
            status,
            met,
            content,
        }
    }
}

prop_compose! {
    fn any_binding()(
        from in any_identifier(),
        to in any_identifier(),
        time in any_time(),
        ends in any::<bool>(),
        how in select(&[How::AuditPod, How::Kubelet, How::NameForm][..]),
        confidence in select(&[Confidence::Guessed, Confidence::Likely, Confidence::Certain][..]),
    ) -> Binding {
        Binding { from, to, time, ends, how, confidence }
    }
}

/// What is done to a store, and in memory.
#[derive(Debug, Clone)]
enum Step {
    /// Rows of a partition, of which some came before.
    Keep {
        number: i32,
        signals: Vec<Signal>,
        windows: Vec<DecidedWindow>,
        bindings: Vec<Binding>,
        again: bool,
    },
    Compact,
    /// What ended before that many seconds goes.
    Expire(i64),
}

fn any_step() -> impl Strategy<Value = Step> {
    let keep = (
        0i32..3,
        prop::collection::vec(any_signal(), 0..12),
        prop::collection::vec(any_window(), 0..4),
        prop::collection::vec(any_binding(), 0..8),
        any::<bool>(),
    )
        .prop_map(|(number, signals, windows, bindings, again)| Step::Keep {
            number,
            signals,
            windows,
            bindings,
            again,
        });
    prop_oneof![6 => keep, 2 => Just(Step::Compact), 1 => (0i64..90_000).prop_map(Step::Expire)]
}

/// Everything that was kept, in lists.
#[derive(Debug, Default)]
struct Naive {
    next: [i64; 3],
    signals: Vec<Signal>,
    windows: Vec<DecidedWindow>,
    bindings: Vec<Binding>,
}

impl Naive {
    async fn apply(&mut self, store: &Store, step: Step) {
        match step {
            Step::Keep {
                number,
                signals,
                windows,
                bindings,
                again,
            } => {
                let next = &mut self.next[number as usize];
                let first = *next;
                let count = [signals.len(), windows.len(), bindings.len()]
                    .into_iter()
                    .max()
                    .unwrap();
                *next += i64::try_from(count).unwrap();
                let kept = Kept {
                    signals: rows(&signals, first),
                    windows: rows(&windows, first),
                    bindings: rows(&bindings, first),
                };
                keep(store, number, kept.clone(), *next).await;
                if again {
                    assert_eq!(keep(store, number, kept, *next).await.rows, 0);
                }
                self.signals.extend(signals);
                self.windows.extend(windows);
                self.bindings.extend(bindings);
            }
            Step::Compact => {
                for &table in TableName::KEPT {
                    let done = compact(store, table).await;
                    assert_eq!(done.problems, []);
                }
            }
            Step::Expire(seconds) => {
                store
                    .expire_kept((at(seconds), at(seconds)), at(seconds))
                    .await
                    .unwrap();
                let kept = |time: Timestamp| time.days() >= at(seconds).days();
                self.signals.retain(|signal| kept(signal.event.time));
                self.windows.retain(|window| kept(window.first));
                self.bindings.retain(|binding| kept(binding.time));
            }
        }
    }

    /// Asks both for some keys and names in a span.
    async fn check(&self, store: &Store, keys: &[u64], names: &BTreeSet<Identifier>, from: Timestamp, to: Timestamp) {
        let spans: Vec<KeySpan> = keys.iter().map(|&key| KeySpan { key, from, to }).collect();
        let within = |time: Timestamp| time >= from && time < to;
        let mut want: Vec<Signal> = Vec::new();
        for signal in &self.signals {
            if keys.contains(&signal.key()) && within(signal.event.time) && !want.contains(signal) {
                want.push(signal.clone());
            }
        }
        let found = store.kept_signals(&spans, 1_000).await.unwrap();
        assert_eq!(in_order(found.signals), in_order(want));
        let mut want: Vec<&DecidedWindow> = Vec::new();
        for window in &self.windows {
            let touches = window.first < to && window.to >= from;
            if from < to && keys.contains(&window.key) && touches && !want.contains(&window) {
                want.push(window);
            }
        }
        let mut found: Vec<String> = store
            .kept_windows(&spans)
            .await
            .unwrap()
            .iter()
            .map(|w| format!("{w:?}"))
            .collect();
        let mut want: Vec<String> = want.iter().map(|window| format!("{window:?}")).collect();
        found.sort();
        want.sort();
        assert_eq!(found, want);
        let mut want: Vec<Binding> = Vec::new();
        for binding in &self.bindings {
            let named = names.contains(&binding.from) || names.contains(&binding.to);
            if named && within(binding.time) && !want.contains(binding) {
                want.push(binding.clone());
            }
        }
        let text = |bindings: Vec<Binding>| {
            let mut texts: Vec<String> = bindings.iter().map(|binding| format!("{binding:?}")).collect();
            texts.sort();
            texts
        };
        assert_eq!(text(store.kept_bindings(names, from, to).await.unwrap()), text(want));
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn lookups_are_filters_over_everything(
        steps in prop::collection::vec(any_step(), 1..10),
        spans in prop::collection::vec((any_time(), any_time()), 1..4),
        names in prop::collection::btree_set(any_identifier(), 0..4),
    ) {
        runtime().block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let store = open(dir.path()).await;
            let mut naive = Naive::default();
            for step in steps {
                naive.apply(&store, step).await;
            }
            let mut keys: Vec<u64> = naive.signals.iter().map(Signal::key).chain(naive.windows.iter().map(|w| w.key)).collect();
            keys.extend([0, 1, u64::MAX, 7]);
            let reopened = open(dir.path()).await;
            for (n, (from, to)) in spans.into_iter().enumerate() {
                let some: Vec<u64> = keys.iter().skip(n).step_by(2).copied().collect();
                naive.check(&reopened, &some, &names, from, to).await;
            }
            naive.check(&store, &keys, &names, ALL.0, ALL.1).await;
            assert_eq!(problems(&store).await, []);
        });
    }
}
