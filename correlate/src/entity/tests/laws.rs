//! The laws: an answer is of the set of bindings up to its time, whatever the order, and the engine is the reference.

use casebook_event::Timestamp;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::entity::affected::affected_span;
use crate::entity::fact_table::Limits;
use crate::entity::reference::Reference;
use crate::entity::relation::relation;
use crate::entity::*;

/// Few names, so that they meet.
fn names() -> Vec<Identifier> {
    use IdentifierKind::*;
    let all: &[(IdentifierKind, &[&str])] = &[
        (PodIp, &["10.0.0.1", "10.0.0.2"]),
        (PodName, &["n/a-7d4b9c6f5-x2x9z", "n/b"]),
        (PodUid, &["u1", "u2", "u3"]),
        (ContainerId, &["0123456789ab", "ba9876543210"]),
        (NodeIp, &["10.0.0.1", "10.0.0.9"]),
        (NodeName, &["node-1", "node-2"]),
        (InstanceId, &["i-1", "i-2"]),
        (Image, &["app:1", "app:2"]),
        (ServiceAccount, &["n/s", "n/t"]),
        (Workload, &["n/ReplicaSet/a-7d4b9c6f5", "n/Deployment/a", "n/Pod/b"]),
        (RoleSession, &["ASIA1", "ASIA2", "arn:aws:sts::1:assumed-role/r/s"]),
        (Identity, &["alice", "system:node:node-1"]),
    ];
    let of = |(kind, values): &(IdentifierKind, &[&str])| {
        let kind = *kind;
        values
            .iter()
            .map(move |value| Identifier::new(kind, value).unwrap())
            .collect::<Vec<_>>()
    };
    all.iter().flat_map(of).collect()
}

/// Every two names of which the one may stand for the other, and those that may end.
fn pairs() -> Vec<(Identifier, Identifier)> {
    let names = names();
    let all = names
        .iter()
        .flat_map(|from| names.iter().map(move |to| (from.clone(), to.clone())));
    all.filter(|(from, to)| relation(from, to).is_some()).collect()
}

/// What one case is about: a few of them, so that each is observed again and again.
fn world() -> impl Strategy<Value = Vec<(Identifier, Identifier)>> {
    // One in three is about a name and the uids that have it in turn: what is observed later counts there.
    let of_name = || {
        let all = pairs().into_iter();
        all.filter(|(from, to)| {
            *from.value == *"n/b" && [from.kind, IdentifierKind::PodUid].contains(&to.kind) || from == to
        })
        .filter(|(from, _)| from.cluster.is_empty())
        .collect::<Vec<_>>()
    };
    prop_oneof![
        2 => proptest::sample::subsequence(pairs(), 1..12),
        1 => proptest::sample::subsequence(of_name(), 2..5),
    ]
}

const MINUTE: i64 = 60_000_000_000;

/// Times that lie together within grains, and far apart across ages.
fn time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        4 => (0..40i64).prop_map(|n| n * MINUTE),
        2 => (0..60i64).prop_map(|n| n * 30 * MINUTE),
        1 => (0..80i64).prop_map(|n| n * 12 * 60 * MINUTE),
        1 => (0..2_000_000_000i64).prop_map(|n| n * 180),
    ]
    .prop_map(Timestamp::from_nanos)
}

fn confidence() -> impl Strategy<Value = Confidence> {
    prop_oneof![
        Just(Confidence::Guessed),
        Just(Confidence::Likely),
        Just(Confidence::Certain)
    ]
}

fn binding(world: Vec<(Identifier, Identifier)>) -> impl Strategy<Value = Binding> {
    let how = prop_oneof![
        Just(How::AuditPod),
        Just(How::Kubelet),
        Just(How::CloudRole),
        Just(How::AuditCreated)
    ];
    let pair = proptest::sample::select(world);
    (pair, time(), proptest::bool::weighted(0.15), how, confidence()).prop_map(
        |((from, to), time, ends, how, confidence)| Binding {
            ends: ends || from == to,
            from,
            to,
            time,
            how,
            confidence,
        },
    )
}

/// What is observed, what else is observed, and the questions.
#[derive(Debug, Clone)]
struct Case {
    bindings: Vec<Binding>,
    /// The same in another order, with some of them twice.
    again: Vec<Binding>,
    later: Vec<Binding>,
    questions: Vec<(Identifier, Timestamp)>,
}

fn case() -> impl Strategy<Value = Case> {
    let observed = world().prop_flat_map(|world| {
        let froms: Vec<Identifier> = world.iter().map(|(from, _)| from.clone()).collect();
        let question = (proptest::sample::select(froms), time());
        (
            proptest::collection::vec(binding(world.clone()), 1..60),
            proptest::collection::vec(binding(world), 0..40),
            proptest::collection::vec(question, 1..12),
            proptest::collection::vec(any::<Index>(), 0..20),
        )
    });
    observed.prop_flat_map(|(bindings, later, questions, again)| {
        let mut more = bindings.clone();
        more.extend(again.iter().map(|index| index.get(&bindings).clone()));
        Just(more).prop_shuffle().prop_map(move |again| Case {
            bindings: bindings.clone(),
            again,
            later: later.clone(),
            questions: questions.clone(),
        })
    })
}

fn learned<'a>(bindings: impl IntoIterator<Item = &'a Binding>) -> Bindings {
    let mut learned = Bindings::new();
    bindings.into_iter().for_each(|binding| learned.learn(binding));
    learned
}

/// Without when each step was last seen, which no alert shows.
fn unseen(mut found: Attribution) -> Attribution {
    found.how.iter_mut().for_each(|step| step.seen = None);
    found
}

/// `CASEBOOK_PROPTEST_CASES` runs more of them.
fn cases() -> u32 {
    let cases = std::env::var("CASEBOOK_PROPTEST_CASES").ok();
    cases.and_then(|cases| cases.parse().ok()).unwrap_or(2_000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn an_answer_is_of_the_set_of_bindings_up_to_its_time_and_a_reach_after_it(
        Case { bindings, again, questions, .. } in case(),
    ) {
        let all = learned(&again);
        let reference = Reference(bindings.clone());
        for (identifier, at) in questions {
            let reach = at.saturating_add_nanos(limits::MAX_REACH_NANOS);
            let until = learned(bindings.iter().filter(|binding| binding.time <= reach));
            for &kind in EntityKind::ALL {
                let want = reference.resolve(&identifier, kind, at);
                prop_assert_eq!(&all.resolve(&identifier, kind, at), &want, "{} {:?} at {}", identifier, kind, at);
                prop_assert_eq!(&until.resolve(&identifier, kind, at), &want, "{} {:?} until {}", identifier, kind, at);
            }
        }
    }

    #[test]
    fn only_what_names_stood_for_depends_on_anything_later(Case { bindings, questions, .. } in case()) {
        // But for a name that is observed before its uid, nothing that is observed later counts.
        let bindings: Vec<Binding> = bindings
            .into_iter()
            .filter(|b| (b.from.kind, b.to.kind) != (IdentifierKind::PodName, IdentifierKind::PodUid))
            .collect();
        let all = learned(&bindings);
        for (identifier, at) in questions {
            let until = learned(bindings.iter().filter(|binding| binding.time <= at));
            for &kind in EntityKind::ALL {
                prop_assert_eq!(until.resolve(&identifier, kind, at), all.resolve(&identifier, kind, at));
            }
        }
    }

    #[test]
    fn an_answer_changes_only_where_it_depends_on_one_of_the_affected(
        Case { bindings, later, questions, .. } in case(),
    ) {
        let known = learned(&bindings);
        for new in later.iter().take(6) {
            let affected = affected(&known, new);
            let mut after = known.clone();
            after.learn(new);
            for (identifier, at) in &questions {
                for &kind in EntityKind::ALL {
                    let mut visited = Vec::new();
                    let before = known.resolve_noting(identifier, kind, *at, &mut |id| visited.push(id.clone()));
                    let depends = affected.iter().any(|(id, (from, to))| from <= at && at <= to && visited.contains(id));
                    if !depends {
                        prop_assert_eq!(
                            unseen(after.resolve(identifier, kind, *at)),
                            unseen(before),
                            "{} {:?} at {}, affected {:?} of {:?}", identifier, kind, at, affected, new
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn one_binding_more_changes_nothing_outside_of_its_span(
        Case { bindings, later, questions, .. } in case(),
    ) {
        let known = learned(&bindings);
        for new in later.iter().take(6) {
            let span = affected_span(&known, new);
            let mut after = known.clone();
            after.learn(new);
            // Where a span begins and ends, and beside that, too.
            let edges = span.iter().flat_map(|(from, to)| {
                [from.saturating_add_nanos(-1), *from, *to, to.saturating_add_nanos(1)]
            });
            let near = [-1, 0, 1, limits::LINGER_NANOS + 1].map(|nanos| new.time.saturating_add_nanos(nanos));
            let times: Vec<Timestamp> = edges.chain(near).chain(questions.iter().map(|(_, at)| *at)).collect();
            let identifiers = questions.iter().map(|(identifier, _)| identifier).chain([&new.from, &new.to]);
            for identifier in identifiers {
                for &at in times.iter().filter(|at| !span.is_some_and(|(from, to)| from <= **at && **at <= to)) {
                    for &kind in EntityKind::ALL {
                        prop_assert_eq!(
                            unseen(after.resolve(identifier, kind, at)),
                            unseen(known.resolve(identifier, kind, at)),
                            "{} {:?} at {}, span {:?} of {:?}", identifier, kind, at, span, new
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_kept_and_what_it_weighs_does_not_depend_on_the_order(Case { bindings, again, .. } in case()) {
        let (one, other) = (learned(&bindings), learned(&again));
        prop_assert_eq!(one.len(), other.len());
        prop_assert_eq!(one.approximate_bytes(), other.approximate_bytes());
        prop_assert_eq!(serde_json::to_string(&one).unwrap(), serde_json::to_string(&other).unwrap());
    }

    #[test]
    fn what_is_dropped_does_not_depend_on_the_order(
        Case { bindings, again, .. } in case(),
        per_identifier in 1..6usize,
        all in 1..25usize,
    ) {
        let learned = |bindings: &[Binding]| {
            let mut learned = Bindings::with_limits(Limits { per_identifier, all });
            for binding in bindings {
                learned.learn(binding);
                assert!(learned.len() <= all);
                assert!(learned.table.entries.values().all(|entry| !entry.pairs.is_empty()));
            }
            learned
        };
        let (one, other) = (learned(&bindings), learned(&again));
        prop_assert_eq!(one.approximate_bytes(), other.approximate_bytes());
        prop_assert_eq!(serde_json::to_string(&one).unwrap(), serde_json::to_string(&other).unwrap());
    }

    #[test]
    fn what_a_snapshot_brings_back_is_what_was(
        Case { bindings, later, .. } in case(),
        forget in proptest::option::of(time()),
    ) {
        let mut before = learned(&bindings);
        if let Some(time) = forget {
            before.forget_before(time);
        }
        let snapshot = serde_json::to_string(&before).unwrap();
        let mut after: Bindings = serde_json::from_str(&snapshot).unwrap();
        prop_assert_eq!(after.approximate_bytes(), before.approximate_bytes());
        prop_assert_eq!(&serde_json::to_string(&after).unwrap(), &snapshot);
        for binding in &later {
            before.learn(binding);
            after.learn(binding);
        }
        prop_assert_eq!(serde_json::to_string(&after).unwrap(), serde_json::to_string(&before).unwrap());
    }

    #[test]
    fn what_is_forgotten_changes_no_later_answer(
        Case { bindings, later, questions, .. } in case(),
        times in proptest::collection::vec(time(), 1..4),
    ) {
        let mut kept = learned(&bindings);
        let mut forgetful = kept.clone();
        let mut floor = Timestamp::MIN;
        for (n, time) in times.iter().enumerate() {
            floor = floor.max(*time);
            forgetful.forget_before(*time);
            // Nothing earlier than what was forgotten is learned any more.
            for binding in later.iter().skip(n).step_by(times.len()).filter(|binding| binding.time >= floor) {
                kept.learn(binding);
                forgetful.learn(binding);
            }
        }
        prop_assert!(forgetful.len() <= kept.len());
        // At the floor too, where what was forgotten is nearest.
        let at_floor: Vec<_> = questions.iter().map(|(identifier, _)| (identifier.clone(), floor)).collect();
        for (identifier, at) in questions.into_iter().chain(at_floor).filter(|(_, at)| *at >= floor) {
            for &kind in EntityKind::ALL {
                prop_assert_eq!(
                    forgetful.resolve(&identifier, kind, at),
                    kept.resolve(&identifier, kind, at),
                    "{} {:?} at {}", identifier, kind, at
                );
            }
        }
    }

    #[test]
    fn a_base_answers_about_later_times_as_all_that_was_observed(
        Case { bindings, later, questions, .. } in case(),
        mut cuts in proptest::collection::vec(time(), 1..4),
    ) {
        // Cut again and again, as tables are: the base of a base, with what came between.
        cuts.sort();
        let all: Vec<Binding> = bindings.into_iter().chain(later).collect();
        let mut rows = all.clone();
        for cut in &cuts {
            let mut by_name: std::collections::BTreeMap<Identifier, Vec<Binding>> = Default::default();
            for row in rows.iter().filter(|row| row.time < *cut) {
                by_name.entry(row.from.clone()).or_default().push(row.clone());
            }
            rows.retain(|row| row.time >= *cut);
            for of_name in by_name.values() {
                let base = needed_from(*cut, of_name);
                prop_assert!(base.len() <= of_name.len() && base.iter().all(|row| of_name.contains(row)));
                rows.extend(base);
            }
        }
        let last = *cuts.last().unwrap();
        let (based, whole) = (learned(&rows), learned(&all));
        let at_cut: Vec<_> = questions.iter().map(|(identifier, _)| (identifier.clone(), last)).collect();
        for (identifier, at) in questions.into_iter().chain(at_cut).filter(|(_, at)| *at >= last) {
            for &kind in EntityKind::ALL {
                prop_assert_eq!(
                    based.resolve(&identifier, kind, at),
                    whole.resolve(&identifier, kind, at),
                    "{} {:?} at {}, cut at {:?}", identifier, kind, at, cuts
                );
            }
        }
    }

    #[test]
    fn the_ends_of_time_do_no_harm(
        pair in proptest::sample::select(pairs()),
        nanos in proptest::collection::vec(prop_oneof![Just(i64::MIN), Just(i64::MAX), any::<i64>()], 1..8),
        ends in any::<bool>(),
    ) {
        let mut learned = Bindings::new();
        for nanos in &nanos {
            let time = Timestamp::from_nanos(*nanos);
            learned.learn(&Binding {
                from: pair.0.clone(), to: pair.1.clone(), time, ends, how: How::Kubelet, confidence: Confidence::Likely,
            });
            for &kind in EntityKind::ALL {
                learned.resolve(&pair.0, kind, time);
            }
            learned.forget_before(time);
        }
    }
}

#[test]
fn a_flood_is_bounded() {
    let mut learned = Bindings::with_limits(Limits {
        per_identifier: 50,
        all: 1_000,
    });
    let binding = |ip: i64, pod: i64, seconds: i64| Binding {
        from: Identifier::new(IdentifierKind::PodIp, &format!("10.0.{}.{}", ip / 250, ip % 250 + 1)).unwrap(),
        to: Identifier::new(IdentifierKind::PodUid, &format!("u{pod}")).unwrap(),
        time: Timestamp::from_seconds(seconds),
        ends: false,
        how: How::AuditPod,
        confidence: Confidence::Certain,
    };
    for n in 0..10_000 {
        learned.learn(&binding(1, n, n));
        assert!(learned.len() <= 50);
    }
    let bytes = learned.approximate_bytes();
    for n in 0..10_000 {
        learned.learn(&binding(n % 5_000, n, 20_000 + n * 60));
        assert!(learned.len() <= 1_000);
    }
    assert!(
        learned.approximate_bytes() < bytes * 50,
        "{}",
        learned.approximate_bytes()
    );
    assert!(learned.complete_since().is_some());
    // The last are those that are kept.
    let last = binding(9_999 % 5_000, 9_999, 0);
    let found = learned.resolve(
        &last.from,
        EntityKind::Pod,
        Timestamp::from_seconds(20_000 + 10_000 * 60),
    );
    assert_eq!(found.entity.as_deref(), Some("u9999"));
}
