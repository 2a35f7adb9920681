//! Derived tables: what stays of them at a cut, what a hold keeps, which version made a file, and how they are made again.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use casebook_event::{Binding, Event, Kept, Timestamp};
use casebook_store::{ExpireRequest, Expired, Hold, KeptCommit, Store, StoreError, TableName};

use crate::kept::{ALL, binding, keep, partition, rows, signal, span, window};
use crate::maintenance::{compact, problems};
use crate::support::{all, at, commit, files, open, plain, range};

const DAY_SECONDS: i64 = 86_400;

/// Days after the first at noon, and what is older than a day then goes.
fn expiry(days: i64) -> ExpireRequest {
    ExpireRequest {
        older_than: Duration::from_secs(DAY_SECONDS as u64),
        sources: Vec::new(),
        dry_run: false,
        now: at((days + 1) * DAY_SECONDS + 43_200),
    }
}

async fn expire(store: &Store, table: TableName, days: i64) -> Expired {
    store.expire(table, &expiry(days), &all, &mut |_| ()).await.unwrap()
}

async fn bindings_of(store: &Store, uid: &str) -> Vec<Binding> {
    let names = BTreeSet::from([binding(0, "shop/web", uid).to]);
    store.kept_bindings(&names, ALL.0, ALL.1).await.unwrap()
}

/// The last of each name before the cut: a law of resolution, for a test.
fn last(cut: Timestamp, of_key: &[Binding]) -> Vec<Binding> {
    assert!(of_key.iter().all(|one| one.time < cut), "only what goes is asked about");
    of_key.iter().max_by_key(|one| one.time).cloned().into_iter().collect()
}

#[tokio::test]
async fn windows_that_reach_beyond_the_cut_stay_with_their_revisions() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let mut reaching = window(DAY_SECONDS - 30, "alice");
    let revised = casebook_event::DecidedWindow {
        revision: 2,
        ..reaching.clone()
    };
    let over = window(100, "alice");
    let kept = Kept {
        signals: rows(
            &[signal(DAY_SECONDS - 20, "alice"), signal(DAY_SECONDS + 5, "alice")],
            0,
        ),
        windows: vec![(0, over), (1, reaching.clone()), (2, revised.clone())],
        ..Kept::default()
    };
    keep(&store, 0, kept, 3).await;
    let key = span(reaching.key);
    let gone = expire(&store, TableName::Signals, 1).await;
    assert_eq!((gone.rows, gone.base_rows), (2, 2), "{gone:?}");
    assert_eq!(store.kept_windows(&[key]).await.unwrap(), [reaching.clone(), revised]);
    let left = store.kept_signals(&[key], usize::MAX).await.unwrap().signals;
    assert_eq!(left, [signal(DAY_SECONDS + 5, "alice")]);
    assert_eq!(store.kept_since().await.unwrap(), at(DAY_SECONDS));
    assert_eq!(problems(&store).await, []);
    // A day later they reach beyond nothing.
    reaching.revision = 2;
    let gone = expire(&store, TableName::Signals, 2).await;
    assert_eq!((gone.rows, gone.base_rows), (3, 0));
    assert_eq!(store.kept_windows(&[key]).await.unwrap(), []);
}

#[tokio::test]
async fn what_still_holds_at_the_cut_is_a_base_that_moves_on_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let name = |n: i64| format!("shop/web-{}", n % 3);
    let all: Vec<Binding> = (0..30).map(|n| binding(n * 8_640, &name(n), "u1")).collect();
    // Many small files of each date.
    for (n, one) in all.iter().enumerate() {
        let kept = Kept {
            bindings: rows(std::slice::from_ref(one), n as i64),
            ..Kept::default()
        };
        keep(&store, 0, kept, n as i64 + 1).await;
    }
    let cut_at = async |days: i64, dry_run: bool| {
        let request = ExpireRequest {
            dry_run,
            ..expiry(days)
        };
        let gone = store
            .expire(TableName::Bindings, &request, &last, &mut |_| ())
            .await
            .unwrap();
        assert_eq!(gone.problems, []);
        (gone.files_removed, gone.rows, gone.base_rows)
    };
    assert_eq!(cut_at(1, true).await, (10, 7, 3), "ten rows, of three names the last");
    assert_eq!(bindings_of(&store, "u1").await, all, "nothing has changed");
    assert_eq!(cut_at(1, false).await, (10, 7, 3));
    assert_eq!(bindings_of(&store, "u1").await, all[7..]);
    assert_eq!(
        problems(&store).await,
        [],
        "a base stands in the first date that is kept"
    );
    compact(&store, TableName::Bindings).await;
    assert_eq!(bindings_of(&store, "u1").await, all[7..]);
    // The base of the base: the ten of the second date, and the three of before.
    assert_eq!(cut_at(2, false).await, (1, 10, 3));
    assert_eq!(bindings_of(&store, "u1").await, all[17..]);
    assert_eq!(problems(&store).await, []);
    assert_eq!(cut_at(3, false).await, (2, 10, 3));
    assert_eq!(bindings_of(&store, "u1").await, all[27..]);
}

#[tokio::test]
async fn a_date_of_more_files_than_are_read_at_once_is_compacted_first() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    for n in 0..300 {
        let kept = Kept {
            bindings: rows(&[binding(n, "shop/web", "u1")], n),
            ..Kept::default()
        };
        keep(&store, 0, kept, n + 1).await;
    }
    let gone = store
        .expire(TableName::Bindings, &expiry(1), &last, &mut |_| ())
        .await
        .unwrap();
    assert_eq!((gone.rows, gone.base_rows, gone.problems), (299, 1, vec![]));
    assert_eq!(bindings_of(&store, "u1").await, [binding(299, "shop/web", "u1")]);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_stays_and_the_others_go() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    for n in 0..3 {
        let kept = Kept {
            bindings: rows(&[binding(n, "shop/web", "u1")], n),
            ..Kept::default()
        };
        keep(&store, 0, kept, n + 1).await;
    }
    let path = dir
        .path()
        .join("bindings")
        .join(&files(&dir.path().join("bindings"), ".parquet")[0]);
    std::fs::write(&path, b"no file of any kind").unwrap();
    let gone = store
        .expire(TableName::Bindings, &expiry(1), &last, &mut |_| ())
        .await
        .unwrap();
    assert_eq!(
        (gone.files_removed, gone.rows, gone.base_rows, gone.problems.len()),
        (2, 1, 1, 1)
    );
    assert!(path.exists());
    assert_eq!(store.table_counts(TableName::Bindings).await.unwrap().counts.files, 2);
}

fn hold(name: &str, from: i64, to: i64) -> Hold {
    Hold {
        name: name.into(),
        from: at(from),
        to: at(to),
        reason: "case 12, asked for by the court".into(),
        placed: at(1),
    }
}

/// An event, a dead letter's worth of dates aside, of each of some days.
async fn days(store: &Store, days: std::ops::Range<i64>) {
    for day in days {
        let mut event: Event = plain(day);
        event.time = at(day * DAY_SECONDS);
        let commit = casebook_store::EventsCommit {
            now: at(500_000),
            ..commit(vec![event], vec![], range(0, day, day + 1))
        };
        store.commit_events(commit).await.unwrap();
    }
}

async fn dates(store: &Store, table: TableName) -> Vec<String> {
    store.table_counts(table).await.unwrap().dates.into_keys().collect()
}

#[tokio::test]
async fn dates_that_a_hold_touches_stay_in_every_table() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    days(&store, 0..5).await;
    let all: Vec<Binding> = (0..5).map(|n| binding(n * DAY_SECONDS, "shop/web", "u1")).collect();
    let kept = Kept {
        bindings: rows(&all, 0),
        ..Kept::default()
    };
    keep(&store, 0, kept, 5).await;
    // From the last second of the second day to the first moment of the fourth, which is not in it.
    store
        .place_hold(&hold("case-12", 2 * DAY_SECONDS - 1, 3 * DAY_SECONDS))
        .await
        .unwrap();
    let held = ["2024-05-02", "2024-05-03"];
    for table in [TableName::Events, TableName::Bindings] {
        let gone = expire(&store, table, 4).await;
        let named: Vec<(&str, &str)> = gone.held.iter().map(|(date, name)| (&**date, &**name)).collect();
        assert_eq!(named, held.map(|date| (date, "case-12")));
        assert_eq!(dates(&store, table).await, [held[0], held[1], "2024-05-05"]);
    }
    // What the workers take out by themselves stays, too.
    let gone = store
        .expire_kept((at(4 * DAY_SECONDS), at(4 * DAY_SECONDS)), at(5 * DAY_SECONDS))
        .await
        .unwrap();
    assert_eq!((gone.rows, gone.held.len()), (0, 2));
    // Another process sees it, from a checkpoint as well.
    let other = open(dir.path()).await;
    assert_eq!(
        other.holds().await.unwrap(),
        [hold("case-12", 2 * DAY_SECONDS - 1, 3 * DAY_SECONDS)]
    );
    other.release_hold("case-12", at(2)).await.unwrap();
    assert_eq!(store.holds().await.unwrap(), []);
    assert_eq!(expire(&store, TableName::Events, 4).await.rows, 2);
    assert_eq!(dates(&store, TableName::Events).await, ["2024-05-05"]);
}

#[tokio::test]
async fn a_hold_is_placed_once_and_says_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let refused = async |hold: Hold, want: &str| {
        let error = store.place_hold(&hold).await.unwrap_err();
        assert!(
            matches!(error, StoreError::Refused { .. }) && error.to_string().contains(want),
            "{error}"
        );
    };
    refused(hold("", 0, 1), "a hold's name").await;
    refused(hold("a/b", 0, 1), "a hold's name").await;
    refused(hold("no\u{1b}[31m", 0, 1), "a hold's name").await;
    refused(hold(&"a".repeat(65), 0, 1), "64 of them").await;
    refused(hold("a", 1, 1), "begins before it ends").await;
    let long = Hold {
        reason: "x".repeat(513),
        ..hold("a", 0, 1)
    };
    refused(long, "512 bytes").await;
    // Open ends are as good as any.
    let open_ended = Hold {
        from: Timestamp::MIN,
        to: Timestamp::MAX,
        ..hold("a", 0, 1)
    };
    store.place_hold(&open_ended).await.unwrap();
    assert_eq!(store.holds().await.unwrap(), [open_ended]);
    refused(hold("a", 5, 6), "stands: release it first").await;
    let error = store.release_hold("b", at(0)).await.unwrap_err();
    assert!(error.to_string().contains("no hold `b` stands"), "{error}");
}

/// Appends an entry to a table's log.
fn append(dir: &Path, table: &str, actions: &str) {
    let log = dir.join(table).join("_delta_log");
    let version = files(&log, ".json").len();
    std::fs::write(log.join(format!("{version:020}.json")), actions).unwrap();
}

#[tokio::test]
async fn a_hold_that_is_not_understood_holds_everything() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    days(&store, 0..3).await;
    append(
        dir.path(),
        "alerts",
        r#"{"domainMetadata":{"domain":"casebook.hold/next","configuration":"{\"scope\":\"all\"}","removed":false}}"#,
    );
    let gone = expire(&store, TableName::Events, 2).await;
    assert_eq!((gone.rows, gone.held.len()), (0, 2), "{gone:?}");
    assert!(store.holds().await.unwrap()[0].reason.contains("not understood"));
}

/// Has the log say that every file of the bindings is of a version.
fn of_version(dir: &Path, version: &str) {
    let log = dir.join("bindings/_delta_log");
    for name in files(&log, ".json") {
        let path = log.join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        let tag = |version: &str| format!(r#""casebook.derived_version":"{version}""#);
        std::fs::write(&path, text.replace(&tag("1"), &tag(version))).unwrap();
    }
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused_by_name_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    for n in 0..2 {
        let kept = Kept {
            bindings: rows(&[binding(n, "shop/web", "u1")], n),
            ..Kept::default()
        };
        keep(&store, 0, kept, n + 1).await;
    }
    for version in ["2", "next"] {
        of_version(dir.path(), version);
        let newer = open(dir.path()).await;
        let names = BTreeSet::from([binding(0, "shop/web", "u1").to]);
        let error = newer.kept_bindings(&names, ALL.0, ALL.1).await.unwrap_err();
        assert!(matches!(error, StoreError::NewerDerived { known: 1, .. }), "{error}");
        assert!(error.to_string().contains("casebook store rebuild bindings"), "{error}");
        let done = newer.compact(TableName::Bindings, at(10), &mut |_| ()).await.unwrap();
        assert_eq!((done.files_merged, done.files_after), (0, 2));
        let gone = newer
            .expire(TableName::Bindings, &expiry(1), &last, &mut |_| ())
            .await
            .unwrap();
        assert_eq!((gone.rows, gone.problems.len()), (0, 2), "{gone:?}");
        of_version_back(dir.path(), version);
    }
    // One that says nothing is of the first.
    let log = dir.path().join("bindings/_delta_log");
    for name in files(&log, ".json") {
        let path = log.join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace(r#""tags":{"casebook.derived_version":"1"},"#, "")).unwrap();
    }
    let older = open(dir.path()).await;
    assert_eq!(bindings_of(&older, "u1").await.len(), 2);
    assert_eq!(compact(&older, TableName::Bindings).await.files_merged, 2);
}

fn of_version_back(dir: &Path, version: &str) {
    let log = dir.join("bindings/_delta_log");
    for name in files(&log, ".json") {
        let path = log.join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        let tag = |version: &str| format!(r#""casebook.derived_version":"{version}""#);
        std::fs::write(&path, text.replace(&tag(version), &tag("1"))).unwrap();
    }
}

/// A binding of each event, by its offset: what is made again, for a test.
fn made(event: Event, kept: &mut Kept) {
    let n = event.position.offset;
    let mut one = binding(0, "shop/web", &format!("u{n}"));
    one.time = event.time;
    kept.bindings.push((0, one));
}

/// Kept as if by a worker, so long after the events.
async fn kept_at(store: &Store, bindings: Vec<Binding>, offset: i64, now: Timestamp) {
    let kept = Kept {
        bindings: rows(&bindings, offset),
        ..Kept::default()
    };
    let next = offset + bindings.len() as i64;
    let commit = KeptCommit {
        group: "g",
        parts: vec![(partition(0), kept, next)],
        now,
    };
    store.commit_kept(commit).await.unwrap();
}

async fn all_bindings(store: &Store) -> Vec<(String, Timestamp)> {
    let names = BTreeSet::from([binding(0, "shop/web", "u").from]);
    let found = store.kept_bindings(&names, ALL.0, ALL.1).await.unwrap();
    found
        .into_iter()
        .map(|one| (one.to.value.to_string(), one.time))
        .collect()
}

#[tokio::test]
async fn a_table_is_made_again_but_for_what_is_older_than_its_events_held_or_young() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let wrong = |day: i64| binding(day * DAY_SECONDS + 1, "shop/web", "wrong");
    // Of a date of which there are no events any more; of each other; and one that was kept just now.
    kept_at(&store, vec![wrong(-1)], 0, at(0)).await;
    kept_at(&store, (0..4).map(wrong).collect(), 1, at(0)).await;
    store
        .place_hold(&hold("case-12", 2 * DAY_SECONDS, 2 * DAY_SECONDS + 1))
        .await
        .unwrap();
    days(&store, 0..4).await;
    let committed = at(1_000_000);
    let last_commit = casebook_store::EventsCommit {
        now: committed,
        ..commit(vec![], vec![], range(0, 4, 5))
    };
    store.commit_events(last_commit).await.unwrap();
    kept_at(
        &store,
        vec![binding(5, "shop/web", "young")],
        5,
        committed.saturating_add_nanos(-1),
    )
    .await;
    let now = at(2_000_000);
    let rebuilt = store
        .rebuild_kept(TableName::Bindings, &mut made, now, &mut |_| ())
        .await
        .unwrap();
    assert_eq!(rebuilt.from.as_deref(), Some("2024-05-01"));
    assert_eq!(
        (rebuilt.events, rebuilt.files_before, rebuilt.files_untouched),
        (4, 3, 3)
    );
    assert_eq!(
        (rebuilt.rows_before, rebuilt.rows_after, rebuilt.rows_taken_over),
        (3, 4, 0)
    );
    let found = all_bindings(&store).await;
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["wrong", "u0", "young", "u1", "u2", "wrong", "u3"]);
    assert_eq!(problems(&store).await, []);
    // Once more changes nothing. What was put together with what is young or held stays as that does.
    compact(&store, TableName::Bindings).await;
    let again = store
        .rebuild_kept(TableName::Bindings, &mut made, now, &mut |_| ())
        .await
        .unwrap();
    assert_eq!((again.rows_before, again.rows_after), (2, 4), "{again:?}");
    assert_eq!(all_bindings(&store).await, found);
    // What comes again from the signals topic is left out as before.
    kept_at(&store, vec![wrong(0)], 1, at(0)).await;
    assert_eq!(all_bindings(&store).await, found);
}

#[tokio::test]
async fn what_was_derived_since_a_topic_was_read_to_its_end_stays() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    days(&store, 0..2).await;
    let read_to_end = |at_second: i64| casebook_store::EventsCommit {
        read_to_end: vec![casebook_store::ReadToEnd {
            partition: casebook_event::Partition::new("logs", 0),
            next: 2,
            at: Some(at(at_second)),
        }],
        now: at(at_second),
        ..commit(vec![], vec![], casebook_event::CheckpointDelta::new())
    };
    store.commit_events(read_to_end(600_000)).await.unwrap();
    let young = |n: i64| vec![binding(n, "shop/web", "young")];
    kept_at(&store, young(1), 0, at(600_000 - 301)).await;
    kept_at(&store, young(2), 1, at(600_000 - 299)).await;
    let now = at(10 * DAY_SECONDS);
    let rebuild = async || {
        store
            .rebuild_kept(TableName::Bindings, &mut made, now, &mut |_| ())
            .await
            .unwrap()
    };
    let first = rebuild().await;
    assert_eq!((first.rows_before, first.rows_after, first.files_untouched), (1, 2, 1));
    store.commit_events(read_to_end(600_100)).await.unwrap();
    let second = rebuild().await;
    assert_eq!(
        (second.rows_before, second.rows_after, second.files_untouched),
        (3, 2, 0)
    );
}

/// Some events of one source expired: of their dates nothing is made again.
#[tokio::test]
async fn dates_of_which_a_source_has_expired_are_not_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    days(&store, 0..3).await;
    let mut other = plain(3);
    (other.source, other.time) = (casebook_event::Source::Auth, at(10));
    store
        .commit_events(commit(vec![other], vec![], range(0, 3, 4)))
        .await
        .unwrap();
    let mixed = compact(&store, TableName::Events).await;
    assert_eq!(mixed.files_made, 1, "both sources of the first day in one file");
    kept_at(&store, vec![binding(1, "shop/web", "of-auth")], 0, at(0)).await;
    let request = ExpireRequest {
        sources: vec![casebook_event::Source::Auth],
        ..expiry(1)
    };
    let gone = store
        .expire(TableName::Events, &request, &all, &mut |_| ())
        .await
        .unwrap();
    assert_eq!((gone.files_rewritten, gone.rows), (1, 1));
    let rebuilt = store
        .rebuild_kept(TableName::Bindings, &mut made, at(600_000), &mut |_| ())
        .await
        .unwrap();
    assert_eq!(rebuilt.from.as_deref(), Some("2024-05-02"));
    assert_eq!(
        (rebuilt.files_before, rebuilt.files_untouched),
        (0, 1),
        "what was of them stays"
    );
}

#[tokio::test]
async fn windows_and_the_base_of_a_cut_are_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    days(&store, 0..3).await;
    let kept = Kept {
        signals: rows(&[signal(2 * DAY_SECONDS, "alice")], 0),
        windows: vec![(0, window(DAY_SECONDS + 5, "alice"))],
        bindings: rows(
            &[
                binding(5, "shop/web", "before"),
                binding(DAY_SECONDS + 5, "shop/web", "wrong"),
            ],
            0,
        ),
    };
    keep(&store, 0, kept, 3).await;
    for table in [TableName::Signals, TableName::Bindings] {
        expire(&store, table, 1).await;
    }
    let now = at(10 * DAY_SECONDS);
    let rebuilt = store
        .rebuild_kept(TableName::Bindings, &mut made, now, &mut |_| ())
        .await
        .unwrap();
    // The events of the first day are there, but the table is complete since the second.
    assert_eq!(rebuilt.from.as_deref(), Some("2024-05-02"));
    assert_eq!((rebuilt.rows_taken_over, rebuilt.rows_after), (1, 3), "{rebuilt:?}");
    let names: Vec<String> = all_bindings(&store).await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["before", "u1", "u2"]);
    let rebuilt = store
        .rebuild_kept(TableName::Signals, &mut nothing, now, &mut |_| ())
        .await
        .unwrap();
    assert_eq!((rebuilt.rows_taken_over, rebuilt.rows_after), (1, 1));
    let key = span(window(0, "alice").key);
    assert_eq!(
        store.kept_windows(&[key]).await.unwrap(),
        [window(DAY_SECONDS + 5, "alice")]
    );
    assert_eq!(store.kept_signals(&[key], 10).await.unwrap().signals, []);
    assert_eq!(problems(&store).await, []);
}

fn nothing(_: Event, _: &mut Kept) {}

/// Makes the matches of no rule.
struct OfNoRule;

impl casebook_store::Derive for OfNoRule {
    fn covers(&self, _: &str) -> bool {
        false
    }

    fn push(&mut self, _: Event, _: &mut Kept) {}
}

#[tokio::test]
async fn matches_of_rules_that_are_not_given_stay() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    days(&store, 0..1).await;
    let kept = Kept {
        signals: rows(&[signal(1, "alice")], 0),
        ..Kept::default()
    };
    keep(&store, 0, kept, 1).await;
    let key = span(signal(1, "alice").key());
    let found = async || store.kept_signals(&[key], 10).await.unwrap().signals;
    let now = at(600_000);
    let rebuilt = store
        .rebuild_kept(TableName::Signals, &mut OfNoRule, now, &mut |_| ())
        .await
        .unwrap();
    assert_eq!((rebuilt.files_before, rebuilt.rows_taken_over), (1, 1));
    assert_eq!(found().await, [signal(1, "alice")]);
    store
        .rebuild_kept(TableName::Signals, &mut nothing, now, &mut |_| ())
        .await
        .unwrap();
    assert_eq!(found().await, [], "of every rule, and it has made none");
}

#[tokio::test]
async fn a_rebuild_that_cannot_be_right_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let rebuild = async |table: TableName| store.rebuild_kept(table, &mut made, at(0), &mut |_| ()).await;
    for table in [TableName::Events, TableName::Alerts, TableName::DeadLetters] {
        assert!(matches!(rebuild(table).await.unwrap_err(), StoreError::Refused { .. }));
    }
    let error = rebuild(TableName::Bindings).await.unwrap_err();
    assert!(error.to_string().contains("no events"), "{error}");
    days(&store, 0..2).await;
    kept_at(&store, vec![binding(1, "shop/web", "u1")], 0, at(0)).await;
    let before = all_bindings(&store).await;
    let path = dir
        .path()
        .join("events")
        .join(&files(&dir.path().join("events"), ".parquet")[0]);
    let sound = std::fs::read(&path).unwrap();
    std::fs::write(&path, b"no file of any kind").unwrap();
    let error = rebuild(TableName::Bindings).await.unwrap_err();
    assert!(error.to_string().contains("events/event_date="), "{error}");
    assert_eq!(all_bindings(&store).await, before);
    std::fs::write(&path, sound).unwrap();
    // Another compaction takes a file away while the rows are made.
    kept_at(&store, vec![binding(2, "shop/web", "u1")], 1, at(0)).await;
    let other = open(dir.path()).await;
    let mut is_first = true;
    let mut meanwhile = |event: Event, kept: &mut Kept| {
        if std::mem::take(&mut is_first) {
            let runtime = tokio::runtime::Handle::current();
            std::thread::scope(|scope| {
                scope.spawn(|| runtime.block_on(compact(&other, TableName::Bindings)));
            });
        }
        made(event, kept);
    };
    let written = || files(&dir.path().join("bindings"), ".parquet").len();
    let error = store
        .rebuild_kept(TableName::Bindings, &mut meanwhile, at(0), &mut |_| ())
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Replaced { .. }), "{error}");
    assert_eq!(
        written(),
        3,
        "two, and what they became: nothing of the rebuild is left"
    );
    assert_eq!(all_bindings(&store).await.len(), 2);
}
