//! The law of lateness: however late events come, in whatever order, doubled, and through crashes at any step, the alerts that are
//! left in the end are those of the reference over all events within the horizon.

use casebook_event::{AlertStatus, Partition, Position, SignalMessage, Timestamp, Watermark};
use proptest::test_runner::{Config, TestRunner};

use super::late_worker::{Worker, check_law, happenings, nowhere, steps};
use super::world::{arrivals, cases, plans};

#[test]
fn however_late_the_alerts_are_those_of_all_events() {
    let mut runner = TestRunner::new(Config {
        cases: cases(),
        failure_persistence: None,
        ..Config::default()
    });
    let strategy = (arrivals(), steps());
    runner
        .run(&strategy, |((arrival, _), steps)| {
            check_law(&plans(), &happenings(&arrival), &steps, i64::MAX)
        })
        .unwrap();
}

#[test]
fn beyond_the_horizon_nothing_changes_any_more() {
    let mut runner = TestRunner::new(Config {
        cases: cases(),
        failure_persistence: None,
        ..Config::default()
    });
    let strategy = (arrivals(), steps(), 0i64..40);
    runner
        .run(&strategy, |((arrival, _), steps, horizon)| {
            check_law(&plans(), &happenings(&arrival), &steps, horizon * 1_000_000_000)
        })
        .unwrap();
}

/// The matches of a count of three in ten seconds by the `n`th event: its second, and its identity.
fn matches_of_count(n: usize, (seconds, id): (i64, i64)) -> impl Iterator<Item = SignalMessage> {
    let happened = super::world::Happened {
        id: id as u128,
        seconds,
        user: 0,
        matches: 1,
    };
    let position = Position {
        offset: n as i64,
        ..nowhere()
    };
    let signals = happened.signals(&position).into_iter();
    signals
        .filter(|signal| &*signal.rule_id == "count")
        .map(SignalMessage::Signal)
}

/// A worker that got events of a rule that counts; with the number of alerts that it had reported at the watermark.
fn run_count(events: &[(i64, i64)], watermark: i64) -> (Worker, usize) {
    let mut worker = Worker::new(&plans(), i64::MAX);
    worker.messages.push(SignalMessage::Watermark(Watermark {
        partition: Partition::new("logs", 0),
        time: Timestamp::MIN,
    }));
    let mut reported = 0;
    for (n, event) in events.iter().enumerate() {
        worker.messages.extend(matches_of_count(n, *event));
        worker.apply_all();
        if n == 2 {
            worker.watermark(watermark);
            worker.apply_all();
            worker.commit(0, true);
            reported = worker.alerts.len();
        }
        if n > 2 {
            worker.commit(usize::MAX, true);
        }
    }
    (worker, reported)
}

/// What a worker reports of a count of three in ten seconds, a line each: the second of the first event, revision, status, events.
fn reports_of_count(events: &[(i64, i64)], watermark: i64) -> Vec<(i64, u32, AlertStatus, u64)> {
    let (worker, reported) = run_count(events, watermark);
    let alerts = worker.alerts[reported..].iter();
    alerts
        .map(|alert| {
            let first = alert.window.from.as_nanos() / 1_000_000_000 - 1_000;
            (first, alert.alert.revision, alert.alert.status, alert.evidence_total)
        })
        .collect()
}

#[test]
fn what_cannot_be_repaired_any_more_is_counted() {
    let (mut worker, _) = run_count(&[(5, 5), (6, 6), (7, 7)], 60);
    for (n, event) in [(3, (3, 3)), (4, (4, 4))] {
        worker.messages.extend(matches_of_count(n, event));
    }
    worker.apply_all();
    let request = worker.engine.next_repair().unwrap();
    worker.engine.give_up(&request);
    let stats = worker.engine.stats();
    assert_eq!((stats.repairing, stats.repairs.repaired_keys), (0, 0));
    assert_eq!(stats.repairs.beyond_horizon.values().sum::<u64>(), 2);
}

#[test]
fn what_comes_again_late_costs_a_look_and_no_repair() {
    let events = [(5, 5), (6, 6), (7, 7), (3, 3)];
    let stats = |events: &[(i64, i64)]| run_count(events, 60).0.engine.stats();
    let once = stats(&events);
    assert_eq!((once.repairs.repaired_keys, once.repairs.duplicate_keys), (1, 0));
    let again = stats(&[&events[..], &[(3, 3), (6, 6)]].concat());
    assert_eq!((again.repairs.repaired_keys, again.repairs.duplicate_keys), (1, 2));
    assert_eq!(
        again.late_events.values().sum::<u64>(),
        3,
        "they are counted all the same"
    );
}

#[test]
fn a_late_event_repairs_its_group_and_what_it_withdraws_stays_visible() {
    let before = [(5, 5), (6, 6), (7, 7)];
    let after = |late: &[(i64, i64)]| reports_of_count(&[&before, late].concat(), 60);
    use AlertStatus::{Final, Retracted};
    let moved = [(5, 3, Retracted, 3), (3, 1, Final, 4)];
    assert_eq!(after(&[(3, 3)]), moved);
    assert_eq!(
        after(&[(3, 3), (3, 3)]),
        moved,
        "what was there already changes nothing"
    );
    assert_eq!(after(&[(3, 3), (9, 9)]), [&moved[..], &[(3, 2, Final, 5)]].concat());
    assert_eq!(after(&[(40, 40)]), [], "an event that changes no window");
}

#[test]
fn a_group_that_waits_for_its_repair_says_so() {
    let (mut worker, _) = run_count(&[(5, 5), (6, 6), (20, 20)], 18);
    let state = |worker: &Worker| -> Vec<(usize, bool)> {
        let pending = worker.engine.pending();
        let counts = pending.iter().filter(|group| &*group.rule_id == "count");
        counts.map(|group| (group.events, group.repairing)).collect()
    };
    assert_eq!(state(&worker), [(1, false)]);
    worker.messages.extend(matches_of_count(3, (17, 17)));
    worker.apply_all();
    assert_eq!(state(&worker), [(1, true)]);
    worker.commit(usize::MAX, true);
    assert_eq!(state(&worker), [(2, false)]);
}
