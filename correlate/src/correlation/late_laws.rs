//! The law of lateness: however late events come, in whatever order, doubled, and through crashes at any step, the alerts that are
//! left in the end are those of the reference over all events within the horizon.

use std::collections::BTreeMap;

use casebook_event::{
    Alert, AlertStatus, DecidedWindow, Partition, Position, Signal, SignalMessage, Timestamp, Watermark,
};
use compact_str::CompactString;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::reference::final_alerts;
use super::tests::{Arrival, arrivals, cases, plans, restore, snapshot, sorted};
use super::*;

/// What happens besides the arrival of events.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// The watermark moves to so many seconds.
    Watermark(i64),
    /// A commit, with so many repairs in it.
    Commit(usize),
    /// A commit that ends behind the tables of what is kept.
    HalfCommit(usize),
    /// A crash: all goes on from the last commit.
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let step = prop_oneof![
        4 => (0i64..60).prop_map(Step::Watermark),
        3 => (0usize..4).prop_map(Step::Commit),
        1 => (0usize..4).prop_map(Step::HalfCommit),
        1 => Just(Step::Crash),
    ];
    prop::collection::vec((0usize..48, step), 0..24)
}

/// The tables, and what a worker has of them.
struct Worker {
    engine: CorrelationEngine,
    horizon_nanos: i64,
    messages: Vec<SignalMessage>,
    /// The next message to apply.
    next: usize,
    /// What was found since the last commit.
    pending: Vec<Alert>,
    // What is durable.
    signals: Vec<Signal>,
    windows: Vec<DecidedWindow>,
    kept_next: usize,
    alerts: Vec<Alert>,
    alerts_next: usize,
    state: Option<(Vec<Vec<u8>>, usize)>,
}

impl Worker {
    fn new(horizon_nanos: i64) -> Self {
        Self {
            engine: Self::engine(None, horizon_nanos),
            horizon_nanos,
            messages: Vec::new(),
            next: 0,
            pending: Vec::new(),
            signals: Vec::new(),
            windows: Vec::new(),
            kept_next: 0,
            alerts: Vec::new(),
            alerts_next: 0,
            state: None,
        }
    }

    fn engine(state: Option<&[Vec<u8>]>, horizon_nanos: i64) -> CorrelationEngine {
        let empty = CorrelationEngine::with_plans(plans(), CorrelationConfig::default());
        let engine = match state {
            Some(parts) => restore(empty, parts),
            None => empty,
        };
        engine.keeping(horizon_nanos)
    }

    fn apply_all(&mut self) {
        while let Some(message) = self.messages.get(self.next) {
            let mut found = Vec::new();
            self.engine.at_offset(self.next as i64);
            self.engine.apply(message.clone(), &mut found).unwrap();
            // What was committed before is not committed again.
            if self.next >= self.alerts_next {
                self.pending.append(&mut found);
            }
            self.next += 1;
        }
    }

    fn keep(&mut self) {
        let kept = self.engine.take_kept();
        let next = self.kept_next as i64;
        let is_new = |offset: i64| offset >= next;
        self.signals.extend(
            kept.signals
                .into_iter()
                .filter(|(at, _)| is_new(*at))
                .map(|(_, signal)| signal),
        );
        self.windows.extend(
            kept.windows
                .into_iter()
                .filter(|(at, _)| is_new(*at))
                .map(|(_, window)| window),
        );
        self.kept_next = self.kept_next.max(self.next);
    }

    fn told(&self, asked: &[(u128, Timestamp)]) -> Vec<Alert> {
        let mut latest: BTreeMap<CompactString, Alert> = BTreeMap::new();
        for alert in self.alerts.iter().chain(&self.pending) {
            let is_asked = asked.iter().any(|(id, _)| format!("{id:032x}") == alert.alert.id);
            let known = latest.get(&alert.alert.id);
            if is_asked && known.is_none_or(|known| known.alert.revision <= alert.alert.revision) {
                latest.insert(alert.alert.id.clone(), alert.clone());
            }
        }
        latest.into_values().collect()
    }

    /// Repairs one key; whether there was one.
    fn repair(&mut self) -> bool {
        let Some(request) = self.engine.next_repair() else {
            return false;
        };
        let of_key = |signal: &&Signal| signal.key() == request.key;
        let at_the_times = |signal: &&Signal| (request.late.0..=request.late.1).contains(&signal.event.time);
        let narrow: Vec<Signal> = self
            .signals
            .iter()
            .filter(of_key)
            .filter(at_the_times)
            .cloned()
            .collect();
        let (key, from, windows_from) = (request.key, request.signals_from, request.windows_from);
        let Some(request) = self.engine.without_duplicates(request, &narrow) else {
            return true;
        };
        let windows = self.windows.iter().filter(|w| w.key == key && w.to >= windows_from);
        let mut repair = Repair::new(&self.engine, request, windows.cloned().collect(), &[]);
        let mut signals: Vec<Signal> = self
            .signals
            .iter()
            .filter(|signal| signal.key() == key)
            .cloned()
            .collect();
        signals.retain(|signal| signal.event.time >= from);
        signals.sort_by_key(|signal| signal.event.time);
        // In two parts, as where there are many.
        let middle = signals.get(signals.len() / 2).map(|signal| signal.event.time);
        if let Some(middle) = middle.filter(|middle| *middle <= self.engine.stats().watermark) {
            let rest = signals.split_off(signals.partition_point(|signal| signal.event.time < middle));
            repair.feed(signals, middle).unwrap();
            signals = rest;
        }
        repair.feed(signals, self.engine.stats().watermark).unwrap();
        let told = self.told(&repair.asks_for(&self.engine));
        repair.finish(&mut self.engine, told, &mut self.pending).unwrap();
        true
    }

    fn commit(&mut self, repairs: usize, is_whole: bool) {
        self.keep();
        let mut repaired = 0;
        while repaired < repairs && self.repair() {
            repaired += 1;
        }
        if repaired > 0 {
            self.keep();
        }
        if !is_whole {
            return self.crash();
        }
        self.alerts.append(&mut self.pending);
        self.alerts_next = self.alerts_next.max(self.next);
        // A commit with repairs has the state; of the others, some do.
        if repaired > 0 || self.next.is_multiple_of(2) {
            self.state = Some((snapshot(&self.engine), self.next));
        }
        if let Some(from) = self.engine.kept_from().filter(|_| self.horizon_nanos != i64::MAX) {
            self.signals.retain(|signal| signal.event.time >= from);
            self.windows.retain(|window| window.to >= from);
        }
    }

    fn crash(&mut self) {
        self.pending.clear();
        let state = self.state.as_ref();
        self.engine = Self::engine(state.map(|(parts, _)| parts.as_slice()), self.horizon_nanos);
        self.next = state.map_or(0, |(_, next)| *next);
        self.apply_all();
    }
}

/// The alerts that hold in the end.
fn holding(alerts: &[Alert]) -> Vec<Alert> {
    let mut latest: BTreeMap<CompactString, Alert> = BTreeMap::new();
    for alert in alerts {
        let known = latest.get(&alert.alert.id);
        if known.is_none_or(|known| known.alert.revision <= alert.alert.revision) {
            latest.insert(alert.alert.id.clone(), alert.clone());
        }
    }
    let mut holding: Vec<Alert> = latest
        .into_values()
        .filter(|alert| !matches!(alert.alert.status, AlertStatus::Withdrawn | AlertStatus::Retracted))
        .collect();
    for alert in &mut holding {
        assert_eq!(
            alert.alert.status,
            AlertStatus::Final,
            "every alert becomes final: {alert:?}"
        );
        alert.alert.revision = 1;
        // A base rule's alert is told at once, with where it was read first.
        if alert.rule.kind == "detection" {
            alert
                .evidence
                .iter_mut()
                .for_each(|evidence| evidence.position = nowhere());
        }
    }
    sorted(holding)
}

/// An alert in a line, for people.
fn line(alert: &Alert) -> String {
    let seconds = |time: Timestamp| time.as_nanos() / 1_000_000_000 - 1_000;
    let evidence = alert.evidence.iter();
    let evidence: Vec<String> = evidence
        .map(|e| format!("{}@{}/{}", e.event_id.as_u128(), seconds(e.time), e.position.offset))
        .collect();
    let (from, to) = (seconds(alert.window.from), seconds(alert.window.to));
    format!(
        "{} {:?} {from}..{to} of {}: {}",
        alert.rule.id,
        alert.group,
        alert.evidence_total,
        evidence.join(" ")
    )
}

fn nowhere() -> Position {
    Position {
        topic: "".into(),
        partition: 0,
        offset: 0,
        index: 0,
    }
}

fn check_law(arrival: &Arrival, steps: &[(usize, Step)], horizon_nanos: i64) -> Result<(), TestCaseError> {
    let mut worker = Worker::new(horizon_nanos);
    let (mut all, mut refused) = (Vec::new(), Vec::new());
    let partition = Partition::new("logs", 0);
    let start = Watermark {
        partition: partition.clone(),
        time: Timestamp::MIN,
    };
    worker.messages.push(SignalMessage::Watermark(start));
    for (n, (_, event)) in arrival.iter().enumerate() {
        let position = Position {
            topic: "logs".into(),
            partition: 0,
            offset: n as i64,
            index: 0,
        };
        let watermark = worker.engine.stats().watermark;
        let time = Timestamp::from_seconds(1_000 + event.seconds);
        let is_refused = time < watermark && time < watermark.saturating_add_nanos(-horizon_nanos);
        for signal in event.signals(&position) {
            let is_correlated = plans().correlations.contains_key(&signal.rule_id);
            match is_refused && is_correlated {
                true => refused.push(signal.clone()),
                false => all.push(signal.clone()),
            }
            worker.messages.push(SignalMessage::Signal(signal));
        }
        worker.apply_all();
        for (_, step) in steps.iter().filter(|(at, _)| *at == n) {
            match *step {
                Step::Watermark(seconds) => {
                    let time = Timestamp::from_seconds(1_000 + seconds);
                    let watermark = Watermark {
                        partition: partition.clone(),
                        time,
                    };
                    worker.messages.push(SignalMessage::Watermark(watermark));
                    worker.apply_all();
                }
                Step::Commit(repairs) => worker.commit(repairs, true),
                Step::HalfCommit(repairs) => worker.commit(repairs, false),
                Step::Crash => worker.crash(),
            }
        }
    }
    worker.commit(usize::MAX, true);
    prop_assert_eq!(worker.engine.repairing(), 0);
    worker.engine.finish(&mut worker.pending).unwrap();
    worker.alerts.append(&mut worker.pending);
    let mut want = final_alerts(&plans(), &all, &[]);
    for alert in want.iter_mut().filter(|alert| alert.rule.kind == "detection") {
        alert
            .evidence
            .iter_mut()
            .for_each(|evidence| evidence.position = nowhere());
    }
    let have = holding(&worker.alerts);
    if have != want {
        let missing: Vec<String> = want.iter().filter(|alert| !have.contains(alert)).map(line).collect();
        let wrong: Vec<String> = have.iter().filter(|alert| !want.contains(alert)).map(line).collect();
        let events: Vec<_> = arrival
            .iter()
            .map(|(_, e)| (e.id, e.seconds, e.user, e.matches))
            .collect();
        return Err(TestCaseError::fail(format!(
            "missing {missing:#?}\nwrong {wrong:#?}\nevents (id, seconds, user, matches) {events:?}\nsteps {steps:?}\n{} refused",
            refused.len()
        )));
    }
    Ok(())
}

#[test]
fn however_late_the_alerts_are_those_of_all_events() {
    let mut runner = TestRunner::new(Config {
        cases: cases(),
        failure_persistence: None,
        ..Config::default()
    });
    let strategy = (arrivals(), steps());
    runner
        .run(&strategy, |((arrival, _), steps)| check_law(&arrival, &steps, i64::MAX))
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
            check_law(&arrival, &steps, horizon * 1_000_000_000)
        })
        .unwrap();
}

/// The matches of a count of three in ten seconds by the `n`th event: its second, and its identity.
fn matches_of_count(n: usize, (seconds, id): (i64, i64)) -> impl Iterator<Item = SignalMessage> {
    let happened = super::tests::Happened {
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

/// A worker that was told of events of a rule that counts; with the number of alerts that it had told at the watermark.
fn run_count(events: &[(i64, i64)], watermark: i64) -> (Worker, usize) {
    let mut worker = Worker::new(i64::MAX);
    let partition = Partition::new("logs", 0);
    let mark = |seconds: i64| {
        SignalMessage::Watermark(Watermark {
            partition: partition.clone(),
            time: Timestamp::from_seconds(1_000 + seconds),
        })
    };
    worker.messages.push(SignalMessage::Watermark(Watermark {
        partition: partition.clone(),
        time: Timestamp::MIN,
    }));
    let mut told = 0;
    for (n, event) in events.iter().enumerate() {
        worker.messages.extend(matches_of_count(n, *event));
        worker.apply_all();
        if n == 2 {
            worker.messages.push(mark(watermark));
            worker.apply_all();
            worker.commit(0, true);
            told = worker.alerts.len();
        }
        if n > 2 {
            worker.commit(usize::MAX, true);
        }
    }
    (worker, told)
}

/// What a worker reports of a count of three in ten seconds, a line each: the second of the first event, revision, status, events.
fn told_of_count(events: &[(i64, i64)], watermark: i64) -> Vec<(i64, u32, AlertStatus, u64)> {
    let (worker, told) = run_count(events, watermark);
    let alerts = worker.alerts[told..].iter();
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
    let after = |late: &[(i64, i64)]| told_of_count(&[&before, late].concat(), 60);
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
