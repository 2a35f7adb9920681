//! What correlation keeps: matches, windows and bindings come back as they were, each once, by key and time.

use crate::maintenance::{compact, problems};
use crate::support::{self, at, open};

use std::collections::BTreeSet;
use std::time::Duration;

use casebook_event::{
    AlertStatus, Binding, Confidence, DecidedWindow, Entities, EventId, EventRef, How, Identifier, IdentifierKind,
    Kept, Partition, Position, Signal, Source, Timestamp,
};
use casebook_store::{KeptCommit, KeptCommitted, KeySpan, Store, TableName, VacuumRequest};

pub const ALL: (Timestamp, Timestamp) = (Timestamp::from_nanos(i64::MIN), Timestamp::from_nanos(i64::MAX));

pub fn partition(number: i32) -> Partition {
    Partition::new("casebook.signals", number)
}

pub fn entities(pairs: &[(&str, &str)]) -> Entities {
    serde_json::from_str(&serde_json::to_string(pairs).unwrap()).unwrap()
}

/// A match of one rule in the group of a user, in the second `n`.
pub fn signal(n: i64, user: &str) -> Signal {
    Signal {
        rule_id: "guessing".into(),
        rule_version: "0123456789abcdef".into(),
        matched_rule_id: "failed".into(),
        group: vec![user.into()],
        value: None,
        entity: Vec::new(),
        shard: None,
        event: EventRef {
            event_id: EventId::from_u128(n as u128 * 7_919),
            time: at(n),
            source: Source::Auth,
            position: Position {
                topic: "logs".into(),
                partition: 0,
                offset: n,
                index: 0,
            },
            entities: entities(&[("user.name", user), ("source.ip", "203.0.113.7")]),
        },
    }
}

pub fn window(n: i64, user: &str) -> DecidedWindow {
    let signal = signal(n, user);
    DecidedWindow {
        key: signal.key(),
        rule_id: signal.rule_id,
        rule_version: signal.rule_version,
        group: signal.group,
        alert_id: n as u128 + 1,
        revision: 1,
        status: AlertStatus::Final,
        first: at(n),
        to: at(n + 60),
        met: at(n + 30),
        content: u64::MAX - 1,
    }
}

pub fn binding(n: i64, from: &str, to: &str) -> Binding {
    Binding {
        from: Identifier::new(IdentifierKind::PodName, from).unwrap(),
        to: Identifier::new(IdentifierKind::PodUid, to).unwrap(),
        time: at(n),
        ends: false,
        how: How::AuditPod,
        confidence: Confidence::Certain,
    }
}

pub async fn keep(store: &Store, number: i32, kept: Kept, next: i64) -> KeptCommitted {
    let commit = KeptCommit {
        group: "g",
        parts: vec![(partition(number), kept, next)],
        now: at(0),
    };
    store.commit_kept(commit).await.unwrap()
}

pub fn rows<T: Clone>(rows: &[T], first: i64) -> Vec<(i64, T)> {
    (first..).zip(rows.iter().cloned()).collect()
}

pub fn span(key: u64) -> KeySpan {
    KeySpan {
        key,
        from: ALL.0,
        to: ALL.1,
    }
}

async fn signals_of(store: &Store, keys: &[u64]) -> Vec<Signal> {
    let spans: Vec<KeySpan> = keys.iter().map(|key| span(*key)).collect();
    let found = store.kept_signals(&spans, usize::MAX).await.unwrap();
    assert_eq!(found.complete_to, None);
    found.signals
}

pub fn in_order(mut signals: Vec<Signal>) -> Vec<Signal> {
    signals.sort_by_key(|signal| {
        let event = &signal.event;
        (
            event.time,
            event.event_id,
            event.position.clone(),
            format!("{signal:?}"),
        )
    });
    signals
}

async fn counts(store: &Store) -> [u64; 2] {
    let mut out = [0, 0];
    for (count, table) in out.iter_mut().zip([TableName::Signals, TableName::Bindings]) {
        *count = store.table_status(table).await.unwrap().rows;
    }
    out
}

#[tokio::test]
async fn matches_windows_and_bindings_are_found_by_key_and_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let all: Vec<Signal> = (0..50)
        .map(|n| signal(n, ["alice", "bob", "eve"][n as usize % 3]))
        .collect();
    let kept = Kept {
        signals: rows(&all, 0),
        windows: vec![
            (7, window(3, "alice")),
            (9, window(100, "alice")),
            (9, window(100, "bob")),
        ],
        bindings: rows(
            &[
                binding(1, "shop/web", "u1"),
                binding(2, "shop/db", "u1"),
                binding(3, "shop/db", "u2"),
            ],
            20,
        ),
    };
    let done = keep(&store, 0, kept, 50).await;
    assert_eq!((done.rows, done.stored_bytes > 0), (56, true));
    let alice = all[0].key();
    let want: Vec<Signal> = all.iter().step_by(3).cloned().collect();
    for store in [store.clone(), open(dir.path()).await] {
        assert_eq!(signals_of(&store, &[alice]).await, want);
        let some = KeySpan {
            key: alice,
            from: at(3),
            to: at(9),
        };
        assert_eq!(store.kept_signals(&[some], 9).await.unwrap().signals, want[1..3]);
        assert_eq!(signals_of(&store, &[alice + 1]).await, []);
        assert_eq!(signals_of(&store, &[]).await, []);

        let windows = async |from: i64, to: i64| {
            let span = KeySpan {
                key: alice,
                from: at(from),
                to: at(to),
            };
            let found = store.kept_windows(&[span]).await.unwrap();
            found.iter().map(|window| window.first.as_nanos()).collect::<Vec<_>>()
        };
        let at = |n: i64| at(n).as_nanos();
        assert_eq!(windows(63, 100).await, [at(3)], "a window's last time belongs to it");
        assert!(windows(64, 100).await.is_empty());
        assert_eq!(windows(64, 101).await, [at(100)]);
        assert_eq!(windows(0, 1_000).await, [at(3), at(100)]);

        let names = |names: &[(IdentifierKind, &str)]| -> BTreeSet<Identifier> {
            names
                .iter()
                .map(|(kind, name)| Identifier::new(*kind, name).unwrap())
                .collect()
        };
        let found = async |identifiers: BTreeSet<Identifier>| {
            store
                .kept_bindings(&identifiers, support::at(0), support::at(3))
                .await
                .unwrap()
        };
        let (web, db) = (binding(1, "shop/web", "u1"), binding(2, "shop/db", "u1"));
        let uid = names(&[(IdentifierKind::PodUid, "u1")]);
        assert_eq!(found(uid).await, [web, db.clone()]);
        assert_eq!(found(names(&[(IdentifierKind::PodName, "shop/db")])).await, [db]);
        assert_eq!(found(names(&[(IdentifierKind::PodName, "u1/u1")])).await, []);
    }
    assert_eq!(problems(&store).await, []);
}

#[tokio::test]
async fn what_comes_again_after_a_crash_is_kept_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let kept = || Kept {
        signals: rows(&(0..10).map(|n| signal(n, "alice")).collect::<Vec<_>>(), 0),
        bindings: rows(&[binding(1, "shop/web", "u1")], 3),
        windows: vec![(4, window(0, "alice"))],
    };
    assert_eq!(keep(&store, 0, kept(), 10).await.rows, 12);
    let version = store.table_version(TableName::Signals).await.unwrap();
    // The alerts did not land: the same, and what has come since, is read and kept again.
    let again = keep(&store, 0, kept(), 10).await;
    assert_eq!((again.rows, again.stored_bytes), (0, 0));
    assert_eq!(
        store.table_version(TableName::Signals).await.unwrap(),
        version,
        "no empty commit"
    );
    let mut more = kept();
    more.signals.push((10, signal(10, "alice")));
    assert_eq!(keep(&store, 0, more, 11).await.rows, 1);
    assert_eq!(counts(&store).await, [12, 1]);
    // Another partition has offsets of its own, and so has another group.
    let other = Kept {
        signals: rows(&[signal(99, "bob")], 0),
        ..Kept::default()
    };
    assert_eq!(keep(&store, 1, other, 1).await.rows, 1);
    // What a repair decides has no offset of its own.
    let repaired = |revision: u32| Kept {
        windows: vec![(
            i64::MAX,
            DecidedWindow {
                revision,
                ..window(0, "alice")
            },
        )],
        ..Kept::default()
    };
    assert_eq!(keep(&store, 0, repaired(2), 5).await.rows, 1);
    assert_eq!(keep(&store, 0, repaired(2), 5).await.rows, 1);
    let windows = store.kept_windows(&[span(signal(0, "alice").key())]).await.unwrap();
    assert_eq!(windows.iter().map(|window| window.revision).collect::<Vec<_>>(), [1, 2]);
    // An offset is never moved back.
    assert_eq!(keep(&store, 0, kept(), 10).await.rows, 0);
    assert_eq!(keep(&store, 0, Kept::default(), 100).await, KeptCommitted::default());
    assert_eq!(problems(&store).await, []);
}

#[tokio::test]
async fn a_crash_between_the_two_tables_doubles_no_row_and_loses_none() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let all = Kept {
        signals: rows(&(0..10).map(|n| signal(n, "alice")).collect::<Vec<_>>(), 0),
        bindings: rows(&(0..10).map(|n| binding(n, "shop/web", "u1")).collect::<Vec<_>>(), 0),
        windows: vec![(9, window(0, "alice"))],
    };
    // The bindings are there, and with the other table it ended.
    let bindings = Kept {
        bindings: all.bindings[..6].to_vec(),
        ..Kept::default()
    };
    assert_eq!(keep(&store, 0, bindings, 6).await.rows, 6);
    assert_eq!(counts(&store).await, [0, 6]);
    // Whoever goes on has read further, or not as far.
    let mut less = all.clone();
    less.signals.truncate(4);
    less.bindings.truncate(4);
    less.windows.clear();
    assert_eq!(keep(&store, 0, less, 4).await.rows, 4);
    assert_eq!(keep(&store, 0, all.clone(), 10).await.rows, 6 + 4 + 1);
    assert_eq!(counts(&store).await, [11, 10]);
    let key = signal(0, "alice").key();
    let signals: Vec<Signal> = all.signals.into_iter().map(|(_, signal)| signal).collect();
    assert_eq!(signals_of(&store, &[key]).await, signals);
    assert_eq!(store.kept_windows(&[span(key)]).await.unwrap(), [window(0, "alice")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_workers_with_the_same_partition_keep_each_row_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut tasks = Vec::new();
    for worker in 0..4 {
        let store = open(dir.path()).await;
        tasks.push(tokio::spawn(async move {
            // Two read partition 0, two have one of their own.
            let number = [0, 0, 1, 2][worker];
            for n in 0..20 {
                let user = format!("user-{number}");
                let kept = Kept {
                    signals: rows(&[signal(n, &user), signal(n + 1_000, &user)], n * 2),
                    bindings: rows(&[binding(n, "shop/web", &user)], n * 2),
                    ..Kept::default()
                };
                keep(&store, number, kept, n * 2 + 2).await;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let store = open(dir.path()).await;
    assert_eq!(counts(&store).await, [3 * 40, 3 * 20]);
    let key = |number: i32| signal(0, &format!("user-{number}")).key();
    assert_eq!(signals_of(&store, &[key(0)]).await.len(), 40);
    assert_eq!(signals_of(&store, &[key(0), key(1), key(2)]).await.len(), 120);
    assert_eq!(problems(&store).await, []);
}

#[tokio::test]
async fn what_is_kept_is_put_together_verified_and_freed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    // Each partition gets each binding: they are equal.
    for number in 0..3 {
        for n in 0..4 {
            let kept = Kept {
                signals: rows(&[signal(n, &format!("user-{number}"))], n),
                windows: vec![(n, window(0, "alice"))],
                bindings: rows(&[binding(n, "shop/web", "u1")], n),
            };
            keep(&store, number, kept, n + 1).await;
        }
    }
    assert_eq!(counts(&store).await, [24, 12]);
    let answers = async || {
        let keys = [0, 1, 2].map(|number| signal(0, &format!("user-{number}")).key());
        let names = BTreeSet::from([binding(0, "shop/web", "u1").to]);
        let windows = store.kept_windows(&[span(window(0, "alice").key)]).await.unwrap();
        (
            signals_of(&store, &keys).await,
            windows,
            store.kept_bindings(&names, ALL.0, ALL.1).await.unwrap(),
        )
    };
    let before = answers().await;
    assert_eq!((before.0.len(), before.1.len(), before.2.len()), (12, 1, 4));
    for (&table, rows) in TableName::KEPT.iter().zip([13, 4]) {
        let done = compact(&store, table).await;
        assert_eq!((done.files_before, done.files_after, done.problems), (12, 1, vec![]));
        assert_eq!(store.table_counts(table).await.unwrap().counts.rows, rows);
    }
    assert_eq!(answers().await, before);
    assert_eq!(problems(&store).await, []);
    // Nobody needs the replaced files, once they are old enough.
    let files = |table: TableName| support::files(&dir.path().join(table.name()), ".parquet");
    for &table in TableName::KEPT {
        assert_eq!(files(table).len(), 13);
        let request = VacuumRequest {
            older_than: Duration::ZERO,
            dry_run: false,
            now: at(86_400),
        };
        assert_eq!(store.vacuum(table, request).await.unwrap().files, 12);
        assert_eq!(files(table).len(), 1);
    }
    assert_eq!(answers().await, before);
    // The offsets have not moved: what comes again is still left out.
    assert_eq!(
        keep(
            &store,
            0,
            Kept {
                signals: rows(&[signal(3, "user-0")], 3),
                ..Kept::default()
            },
            4
        )
        .await
        .rows,
        0
    );
    // A file that is not what was committed is found.
    let path = dir.path().join("signals").join(&files(TableName::Signals)[0]);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 4;
    bytes[middle..middle + 64].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let reported = problems(&store).await;
    assert!(
        reported.len() == 1 && reported[0].path.starts_with("signals/signal_date="),
        "{reported:?}"
    );
    assert_eq!(store.kept_since().await.unwrap(), Timestamp::MIN);
    let gone = store.expire_kept((at(86_400), at(86_400)), at(86_400)).await.unwrap();
    assert_eq!(
        (gone.files_removed, gone.rows, gone.dates),
        (2, 17, Some(("2024-05-01".into(), "2024-05-01".into())))
    );
    let end_of_day = Timestamp::parse_rfc3339("2024-05-02T00:00:00Z").unwrap();
    assert_eq!(
        store.kept_since().await.unwrap(),
        end_of_day,
        "whoever decides from it knows what went"
    );
    assert_eq!(problems(&store).await, []);
    assert_eq!(counts(&store).await, [0, 0]);
}

#[tokio::test]
async fn more_than_was_asked_for_is_left_out_from_one_time_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    // Two at each time, in several files, the late ones first.
    for part in (0..5).rev() {
        let two = |n: i64| {
            let mut other = signal(n, "alice");
            other.event.position.index = 1;
            [signal(n, "alice"), other]
        };
        let signals: Vec<Signal> = (part * 4..part * 4 + 4).flat_map(two).collect();
        let kept = Kept {
            signals: rows(&signals, 0),
            ..Kept::default()
        };
        keep(&store, i32::try_from(part).unwrap(), kept, 8).await;
    }
    let key = signal(0, "alice").key();
    let all = signals_of(&store, &[key]).await;
    assert_eq!(all.len(), 40);
    for max_rows in 0..=41 {
        let found = store.kept_signals(&[span(key)], max_rows).await.unwrap();
        let fit = max_rows.min(40) / 2 * 2;
        assert_eq!(found.signals, all[..fit], "{max_rows}");
        let complete_to = (fit < 40).then(|| all[fit].event.time);
        assert_eq!(found.complete_to, complete_to, "{max_rows}");
    }
}
