//! A worker of the laws of lateness: an engine, and the tables of what it keeps and reports, with commits, repairs and crashes.

use std::collections::BTreeMap;
use std::sync::Arc;

use casebook_event::{
    Alert, AlertStatus, Binding, DecidedWindow, Partition, Position, Signal, SignalMessage, Timestamp, Watermark,
};
use compact_str::CompactString;
use proptest::prelude::*;

use super::world::{Arrival, Happened, restore, snapshot, sorted};
use crate::correlation::plan::Plans;
use crate::correlation::reference::final_alerts;
use crate::correlation::*;

/// What happens besides the arrival of events.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// The watermark moves to so many seconds.
    Watermark(i64),
    /// A commit, with so many repairs in it.
    Commit(usize),
    /// A commit that ends after the tables of what is kept.
    HalfCommit(usize),
    /// A crash: all goes on from the last commit.
    Crash,
}

pub(super) fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let step = prop_oneof![
        4 => (0i64..60).prop_map(Step::Watermark),
        3 => (0usize..4).prop_map(Step::Commit),
        1 => (0usize..4).prop_map(Step::HalfCommit),
        1 => Just(Step::Crash),
    ];
    prop::collection::vec((0usize..48, step), 0..24)
}

/// Something that comes: an event's matches, and bindings.
#[derive(Debug, Clone)]
pub(super) struct Happening {
    pub time: Timestamp,
    pub signals: Vec<Signal>,
    pub bindings: Vec<Binding>,
}

/// The events of an arrival.
pub(super) fn happenings(arrival: &Arrival) -> Vec<Happening> {
    let events = arrival.iter().enumerate();
    let happening = |(n, (_, event)): (usize, &(usize, Happened))| Happening {
        time: Timestamp::from_seconds(1_000 + event.seconds),
        signals: event.signals(&position(n)),
        bindings: Vec::new(),
    };
    events.map(happening).collect()
}

/// Where the `n`th event was read.
pub(super) fn position(n: usize) -> Position {
    Position {
        topic: "logs".into(),
        partition: 0,
        offset: n as i64,
        index: 0,
    }
}

/// The tables, and what a worker has of them.
pub(super) struct Worker {
    plans: Arc<Plans>,
    pub engine: CorrelationEngine,
    horizon_nanos: i64,
    pub messages: Vec<SignalMessage>,
    /// The next message to apply.
    next: usize,
    /// What was found since the last commit.
    pending: Vec<Alert>,
    // What is durable.
    signals: Vec<Signal>,
    bindings: Vec<Binding>,
    windows: Vec<DecidedWindow>,
    kept_next: usize,
    pub alerts: Vec<Alert>,
    alerts_next: usize,
    state: Option<(Vec<Vec<u8>>, usize)>,
}

impl Worker {
    pub(super) fn new(plans: &Arc<Plans>, horizon_nanos: i64) -> Self {
        Self {
            engine: Self::engine(plans, None, horizon_nanos),
            plans: plans.clone(),
            horizon_nanos,
            messages: Vec::new(),
            next: 0,
            pending: Vec::new(),
            signals: Vec::new(),
            bindings: Vec::new(),
            windows: Vec::new(),
            kept_next: 0,
            alerts: Vec::new(),
            alerts_next: 0,
            state: None,
        }
    }

    fn engine(plans: &Arc<Plans>, state: Option<&[Vec<u8>]>, horizon_nanos: i64) -> CorrelationEngine {
        let empty = CorrelationEngine::with_plans(plans.clone(), CorrelationConfig::default());
        let engine = match state {
            Some(parts) => restore(empty, parts),
            None => empty,
        };
        engine.with_repairs(horizon_nanos)
    }

    /// Time has come so far.
    pub(super) fn watermark(&mut self, seconds: i64) {
        let partition = Partition::new("logs", 0);
        let time = Timestamp::from_seconds(1_000 + seconds);
        self.messages
            .push(SignalMessage::Watermark(Watermark { partition, time }));
    }

    pub(super) fn apply_all(&mut self) {
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
        let bindings = kept.bindings.into_iter().filter(|(at, _)| is_new(*at));
        self.bindings.extend(bindings.map(|(_, binding)| binding));
        self.windows.extend(
            kept.windows
                .into_iter()
                .filter(|(at, _)| is_new(*at))
                .map(|(_, window)| window),
        );
        self.kept_next = self.kept_next.max(self.next);
    }

    fn reported(&self, required: &[(u128, Timestamp)]) -> Vec<Alert> {
        let mut latest: BTreeMap<CompactString, Alert> = BTreeMap::new();
        for alert in self.alerts.iter().chain(&self.pending) {
            let is_required = required.iter().any(|(id, _)| format!("{id:032x}") == alert.alert.id);
            let known = latest.get(&alert.alert.id);
            if is_required && known.is_none_or(|known| known.alert.revision <= alert.alert.revision) {
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
        let mut repair = Repair::new(&self.engine, request, windows.cloned().collect(), &self.bindings);
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
        let reported = self.reported(&repair.required_alerts(&self.engine));
        repair.finish(&mut self.engine, reported, &mut self.pending).unwrap();
        true
    }

    pub(super) fn commit(&mut self, repairs: usize, is_whole: bool) {
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
        if let Some((from, _)) = self.engine.kept_from().filter(|_| self.horizon_nanos != i64::MAX) {
            self.signals.retain(|signal| signal.event.time >= from);
            self.windows.retain(|window| window.to >= from);
        }
    }

    fn crash(&mut self) {
        self.pending.clear();
        let state = self.state.as_ref();
        let state_parts = state.map(|(parts, _)| parts.as_slice());
        self.engine = Self::engine(&self.plans, state_parts, self.horizon_nanos);
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
        // A base rule's alert is reported at once, with where it was read first.
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

pub(super) fn nowhere() -> Position {
    Position {
        topic: "".into(),
        partition: 0,
        offset: 0,
        index: 0,
    }
}

/// Checks that what is reported in the end is what the reference reports of all that came within the horizon.
pub(super) fn check_law(
    plans: &Arc<Plans>,
    happenings: &[Happening],
    steps: &[(usize, Step)],
    horizon_nanos: i64,
) -> Result<(), TestCaseError> {
    let mut worker = Worker::new(plans, horizon_nanos);
    let (mut all, mut refused) = (Vec::new(), 0);
    worker.messages.push(SignalMessage::Watermark(Watermark {
        partition: Partition::new("logs", 0),
        time: Timestamp::MIN,
    }));
    for (n, happening) in happenings.iter().enumerate() {
        let reached = worker.engine.stats().watermark;
        let time = happening.time;
        let is_refused = time < reached && time < reached.saturating_add_nanos(-horizon_nanos);
        for signal in &happening.signals {
            let is_correlated = plans.correlations.contains_key(&signal.rule_id);
            match is_refused && is_correlated {
                true => refused += 1,
                false => all.push(signal.clone()),
            }
        }
        let signals = happening.signals.iter().cloned().map(SignalMessage::Signal);
        let bindings = happening.bindings.iter().cloned().map(SignalMessage::Binding);
        worker.messages.extend(signals.chain(bindings));
        worker.apply_all();
        for (_, step) in steps.iter().filter(|(at, _)| *at == n) {
            match *step {
                Step::Watermark(seconds) => {
                    worker.watermark(seconds);
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
    let observed: Vec<Binding> = happenings.iter().flat_map(|h| h.bindings.iter().cloned()).collect();
    let mut want = final_alerts(plans, &all, &observed);
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
        return Err(TestCaseError::fail(format!(
            "missing {missing:#?}\nwrong {wrong:#?}\nevents {happenings:#?}\nsteps {steps:?}\n{refused} refused"
        )));
    }
    Ok(())
}
