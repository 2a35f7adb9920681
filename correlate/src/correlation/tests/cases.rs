//! Worked cases of single correlations, of what they cost, and of states that are carried over.

use std::collections::BTreeMap;
use std::sync::Arc;

use casebook_event::{
    Alert, AlertRule, AlertStatus, Binding, Partition, Position, Signal, SignalMessage, Source, Timestamp, Watermark,
};

use super::world::{
    Arrival, Happened, messages, plans, restored, run, snapshot, sorted, standing, state, without_positions,
};
use crate::correlation::plan::CorrelationPlan;
use crate::correlation::reference::final_alerts;
use crate::correlation::{CorrelationConfig, CorrelationEngine, Restoring};

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
    let observed: Vec<Binding> = arrival.iter().filter_map(|(_, event)| event.binding()).collect();
    assert_eq!(
        standing(&run(true, &messages)),
        without_positions(final_alerts(&plans(), &signals, &observed))
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
    assert_eq!(engine.stats().open_groups, 0, "nothing is left that is never closed");
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
