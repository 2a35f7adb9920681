//! The tables in memory make the same promises as those of `casebook_store`: whatever is asked of both, in whatever order, they
//! answer alike.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use casebook_event::{
    Alert, AlertHead, AlertRule, AlertStatus, AlertWindow, Binding, CheckpointDelta, Confidence, DecidedWindow, Event,
    EventBatch, EventId, EventRef, How, Identifier, IdentifierKind, Kept, Level, Partition, Position, RawRecord,
    Signal, Source, StartOffset, Timestamp,
};
use casebook_ingest::{Decoder, SourceKind};
use casebook_store::{AlertsCommit, CommitError, EventsCommit, KeptCommit, KeySpan, Store, StoreConfig};

use super::random::Random;
use super::tables::SimulatedTables;
use crate::ports::runtime::TokioRuntime;
use crate::ports::tables::Tables;

const GROUP: &str = "g";
/// Sequences of calls, and calls of each.
const SEQUENCES: u64 = 12;
const CALLS: usize = 40;

/// A call of the tables.
#[derive(Debug)]
enum Call {
    CommitEvents(CheckpointDelta, Vec<Event>, Vec<Event>),
    StartOffsets,
    CommitAlerts(CheckpointDelta, Vec<Alert>, Option<Vec<u8>>),
    SignalOffsets,
    State,
    AlertsById(Vec<u128>),
    CommitKept(Kept, i64),
    KeptSignals(KeySpan, usize),
    KeptWindows(KeySpan),
    KeptBindings(Identifier, Timestamp, Timestamp),
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_795_521_600 + seconds)
}

fn partition(random: &mut Random) -> Partition {
    Partition::new("t", random.between(0, 1) as i32)
}

/// Ranges that begin where one of a few commits before them may have ended.
fn checkpoint(random: &mut Random) -> CheckpointDelta {
    let mut checkpoint = CheckpointDelta::new();
    for _ in 0..random.between(1, 2) {
        let partition = partition(random);
        let next = random.between(0, 2);
        let resume = next - random.between(0, next.min(1));
        checkpoint.begin(&partition, StartOffset { next, resume });
        let end = next + random.between(0, 2);
        if end > next {
            checkpoint.record(&partition, next, end - 1);
        }
        if random.chance(300) {
            checkpoint.note_partial(&partition, Some(end - 1));
        }
    }
    checkpoint
}

fn position(offset: i64) -> Position {
    Position {
        topic: "t".into(),
        partition: 0,
        offset,
        index: 0,
    }
}

fn events(random: &mut Random) -> Vec<Event> {
    let mut batch = EventBatch::default();
    let mut decoder = Decoder::new(SourceKind::Source(Source::Application));
    for n in 0..random.between(0, 2) {
        let payload = format!(r#"{{"time":"{}","message":"{n}"}}"#, at(n)).into_bytes();
        let record = RawRecord {
            position: position(n),
            timestamp: at(0),
            payload,
        };
        decoder.decode(&record, at(0), &mut batch);
    }
    batch.events
}

fn signal(random: &mut Random) -> Signal {
    let second = random.between(0, 5);
    Signal {
        rule_id: "r".into(),
        rule_version: "v".into(),
        matched_rule_id: (*random.pick(&["a", "b"])).into(),
        group: vec![],
        value: None,
        entity: vec![],
        shard: Some(random.between(1, 2) as u64),
        event: EventRef {
            event_id: EventId::from_u128(second as u128),
            time: at(second),
            source: Source::Application,
            position: position(random.between(0, 2)),
            entities: Default::default(),
        },
    }
}

fn window(random: &mut Random) -> DecidedWindow {
    let first = random.between(0, 5);
    DecidedWindow {
        key: random.between(1, 2) as u64,
        rule_id: "r".into(),
        rule_version: "v".into(),
        group: vec![],
        alert_id: random.between(1, 2) as u128,
        revision: random.between(1, 2) as u32,
        status: AlertStatus::Final,
        first: at(first),
        to: at(first + 2),
        met: at(first + 1),
        content: 7,
    }
}

fn identifier(random: &mut Random) -> Identifier {
    let name = *random.pick(&["a", "b", "c"]);
    Identifier::new(IdentifierKind::PodUid, name).unwrap()
}

fn binding(random: &mut Random) -> Binding {
    Binding {
        from: identifier(random),
        to: identifier(random),
        time: at(random.between(0, 5)),
        ends: random.chance(300),
        how: How::Kubelet,
        confidence: Confidence::Certain,
    }
}

fn alert(random: &mut Random, revision: u32) -> Alert {
    Alert {
        alert: AlertHead {
            id: format!("{:032x}", random.between(1, 3)).into(),
            revision,
            status: AlertStatus::Final,
            time: at(0),
            superseded_by: None,
        },
        rule: AlertRule {
            id: "r".into(),
            name: "r".into(),
            level: Level::High,
            kind: "event_count".into(),
            version: "v".into(),
            tags: vec![],
            response: vec![],
        },
        group: BTreeMap::new(),
        window: AlertWindow { from: at(0), to: at(0) },
        evidence_total: 0,
        evidence: vec![],
        retraction: None,
    }
}

fn call(random: &mut Random, number: usize) -> Call {
    let span = |random: &mut Random| KeySpan {
        key: random.between(1, 2) as u64,
        from: at(random.between(0, 3)),
        to: at(random.between(2, 7)),
    };
    match random.below(12) {
        0 | 1 => Call::CommitEvents(checkpoint(random), events(random), events(random)),
        2 => Call::StartOffsets,
        3 | 4 => {
            // No revision comes twice.
            let alerts = vec![alert(random, number as u32)];
            let state = random.chance(500).then(|| vec![number as u8]);
            Call::CommitAlerts(checkpoint(random), alerts, state)
        }
        5 => Call::SignalOffsets,
        6 => Call::State,
        7 => Call::AlertsById(vec![random.between(1, 4) as u128, random.between(1, 4) as u128]),
        8 => {
            let next = random.between(0, 6);
            let mut offset = || random.between(0, 6).min(next);
            let offsets: Vec<i64> = (0..6).map(|_| offset()).collect();
            let mut offsets = offsets.into_iter();
            let mut kept = Kept::default();
            kept.signals
                .extend(offsets.next().map(|offset| (offset, signal(random))));
            kept.signals
                .extend(offsets.next().map(|offset| (offset, signal(random))));
            kept.bindings
                .extend(offsets.next().map(|offset| (offset, binding(random))));
            kept.windows.push((i64::MAX, window(random)));
            Call::CommitKept(kept, next)
        }
        9 => Call::KeptSignals(span(random), random.between(1, 4) as usize),
        10 => Call::KeptWindows(span(random)),
        _ => {
            let (from, to) = (at(random.between(0, 3)), at(random.between(2, 7)));
            Call::KeptBindings(identifier(random), from, to)
        }
    }
}

/// What a call comes to, as text: what the two cannot have in common is left out.
async fn answer<S: Tables>(tables: &S, call: &Call) -> String {
    match call {
        Call::CommitEvents(checkpoint, events, ahead) => {
            let prepared = match ahead.is_empty() {
                true => vec![],
                false => vec![tables.prepare_events(ahead.clone(), at(0)).await.unwrap()],
            };
            let commit = EventsCommit {
                group: GROUP,
                events: events.clone(),
                prepared,
                dead_letters: vec![],
                checkpoint: checkpoint.clone(),
                read_to_end: vec![],
                now: at(0),
            };
            landed(tables.commit_events(commit).await.map(|committed| committed.rows))
        }
        Call::StartOffsets => shown(tables.start_offsets(GROUP).await),
        Call::CommitAlerts(checkpoint, alerts, state) => {
            commit_alerts(tables, checkpoint, alerts, state.as_ref()).await
        }
        Call::SignalOffsets => shown(tables.signal_offsets(GROUP).await),
        Call::State => {
            let partition = Partition::new("t", 0);
            let mut parts = vec![];
            for part in tables
                .correlation_state(GROUP, &partition)
                .await
                .unwrap()
                .unwrap_or_default()
            {
                parts.push(tables.read_state_part(&partition, &part).await.unwrap());
            }
            format!("{parts:?}")
        }
        Call::AlertsById(ids) => {
            let wanted: Vec<(u128, Timestamp)> = ids.iter().map(|id| (*id, at(0))).collect();
            shown(tables.alerts_by_id(&wanted).await)
        }
        Call::CommitKept(kept, next) => {
            let commit = KeptCommit {
                group: GROUP,
                parts: vec![(Partition::new("t", 0), kept.clone(), *next)],
                now: at(0),
            };
            // Of equal rows in one commit the store counts one, as readers do.
            landed(tables.commit_kept(commit).await.map(|kept| kept.rows.min(1)))
        }
        Call::KeptSignals(span, rows) => {
            let found = tables.kept_signals(&[*span], *rows).await.unwrap();
            format!("{:?} {:?}", found.signals, found.complete_to)
        }
        Call::KeptWindows(span) => shown(tables.kept_windows(&[*span]).await),
        Call::KeptBindings(of, from, to) => {
            let of = BTreeSet::from([of.clone()]);
            shown(tables.kept_bindings(&of, *from, *to).await)
        }
    }
}

async fn commit_alerts<S: Tables>(
    tables: &S,
    checkpoint: &CheckpointDelta,
    alerts: &[Alert],
    state: Option<&Vec<u8>>,
) -> String {
    let mut states = vec![];
    let partition = Partition::new("t", 0);
    // Now and then another worker has written one since.
    let known = match alerts[0].alert.revision % 4 {
        0 => None,
        _ => tables.correlation_state(GROUP, &partition).await.unwrap(),
    };
    let follows = vec![(partition.clone(), known)];
    if let Some(part) = state {
        let part = tables.write_state_part(&partition, part.clone()).await.unwrap();
        states.push((partition, vec![part]));
    }
    let commit = AlertsCommit {
        group: GROUP,
        alerts,
        checkpoint: checkpoint.clone(),
        follows,
        states,
        now: at(0),
    };
    landed(tables.commit_alerts(commit).await.map(|committed| committed.rows))
}

fn shown<T: Debug, E: Debug>(answer: Result<T, E>) -> String {
    format!("{:?}", answer.unwrap())
}

fn landed(rows: Result<u64, CommitError>) -> String {
    match rows {
        Ok(rows) => format!("{rows} rows"),
        Err(CommitError::Fenced { partition, .. }) => format!("fenced: {partition}"),
        Err(CommitError::FencedByState { partition }) => format!("fenced by state: {partition}"),
        Err(CommitError::Store(error)) => panic!("{error}"),
    }
}

#[tokio::test]
async fn tables_in_memory_answer_as_those_of_the_store() {
    let (mut fenced, mut by_state, mut rows) = (0, 0, 0);
    for seed in 0..SEQUENCES {
        let mut random = Random::new(seed);
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().to_str().unwrap(), StoreConfig::default())
            .await
            .unwrap();
        let memory = SimulatedTables {
            durable: Arc::new(Mutex::default()),
            runtime: Arc::new(TokioRuntime::current()),
            random: Mutex::new(random.fork()),
            slow: Duration::from_nanos(1),
            failures: 0,
            trace: None,
        };
        for number in 0..CALLS {
            let call = call(&mut random, number);
            let want = answer(&store, &call).await;
            assert_eq!(
                answer(&memory, &call).await,
                want,
                "sequence {seed}, call {number}: {call:?}"
            );
            fenced += usize::from(want.starts_with("fenced: "));
            by_state += usize::from(want.starts_with("fenced by state: "));
            rows += usize::from(want.starts_with("1 rows"));
        }
    }
    assert!(
        fenced > 10 && by_state > 0 && rows > 10,
        "{fenced} commits were fenced, {by_state} by a state; {rows} had a row"
    );
}
