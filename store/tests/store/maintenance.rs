//! Compaction, retention and vacuum: fewer files, the same answers, and nothing deleted that somebody may need.

use crate::support;

use std::path::Path;
use std::time::{Duration, SystemTime};

use casebook_event::{AlertStatus, Event, Source, Timestamp};
use casebook_store::{
    AlertFilter, AlertsCommit, Compacted, EventsCommit, ExpireRequest, Expired, Problem, SearchRequest, Store,
    StoreConfig, StoreError, TableName, VacuumRequest, Vacuumed,
};
use support::{DAY, all, at, commit, files, letter, open, plain, range};

pub const HOUR: Duration = Duration::from_secs(3600);

/// Every event of the store, in the order of their places.
pub async fn everything(store: &Store) -> Vec<Event> {
    let mut all = Vec::new();
    store
        .visit_events(&SearchRequest::default(), &mut |event| all.push(event))
        .await
        .unwrap();
    all.sort_by(|a, b| (&a.position, a.id).cmp(&(&b.position, b.id)));
    all
}

pub async fn compact(store: &Store, table: TableName) -> Compacted {
    store.compact(table, at(0), &mut |_| ()).await.unwrap()
}

/// Vacuums at `now`, of which the files' own times know nothing.
pub async fn vacuum(store: &Store, older_than: Duration, now: Timestamp) -> Vacuumed {
    let request = VacuumRequest {
        older_than,
        dry_run: false,
        now,
    };
    store.vacuum(TableName::Events, request).await.unwrap()
}

pub async fn problems(store: &Store) -> Vec<Problem> {
    let mut problems = Vec::new();
    for &table in TableName::ALL {
        store
            .verify(table, &mut |problem| problems.push(problem), &mut |_| ())
            .await
            .unwrap();
    }
    problems
}

/// The time by the machine's clock, which files have.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

fn later(time: Timestamp, duration: Duration) -> Timestamp {
    time.saturating_add_nanos(i64::try_from(duration.as_nanos()).unwrap())
}

/// One event a commit, over two dates and two sources.
async fn scattered(store: &Store, commits: i64) {
    for n in 0..commits {
        let mut event = plain(n);
        event.time = at(n % 2 * 86_400 + (n * 7) % 11);
        if n % 3 == 0 {
            event.source = Source::Auth;
        }
        store
            .commit_events(commit(vec![event], vec![], range(0, n, n + 1)))
            .await
            .unwrap();
    }
}

fn log(dir: &Path, version: u64) -> Vec<serde_json::Value> {
    let path = dir.join(format!("events/_delta_log/{version:020}.json"));
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn few_files_are_made_of_many_and_no_answer_changes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    scattered(&store, 20).await;
    let before = everything(&store).await;
    let offsets = store.offsets("g").await.unwrap();
    let count = "select source, count(*), min(time), max(kafka_offset) from events group by source order by source";
    let counted = store.sql(count, 10).await.unwrap().rows;

    let mut seen = 0;
    let done = store
        .compact(TableName::Events, at(0), &mut |progress| seen = progress.done_bytes)
        .await
        .unwrap();
    assert_eq!((done.files_before, done.files_after), (20, 2));
    assert_eq!((done.files_merged, done.files_made, done.conflicts), (20, 2, 0));
    assert_eq!((done.problems, seen > 0), (vec![], true));
    assert!(done.bytes_made > 0 && done.bytes_made < done.bytes_merged);

    for store in [store.clone(), open(dir.path()).await] {
        assert_eq!(everything(&store).await, before);
        assert_eq!(store.sql(count, 10).await.unwrap().rows, counted);
        assert_eq!(store.offsets("g").await.unwrap(), offsets);
        let answer = store
            .search(SearchRequest {
                query: "row7 OR user:alice".into(),
                ..SearchRequest::default()
            })
            .await
            .unwrap();
        assert_eq!((answer.matched, answer.files.indexed, answer.files.scanned), (20, 2, 0));
        assert_eq!(problems(&store).await, []);
    }
    let entry = log(dir.path(), 21);
    assert_eq!(entry[0]["commitInfo"]["operation"], "OPTIMIZE");
    let of = |name: &str| entry.iter().filter(|line| line.get(name).is_some()).collect::<Vec<_>>();
    let (removes, adds) = (of("remove"), of("add"));
    assert_eq!((removes.len(), adds.len()), (10, 1));
    let removed_ms = removes[0]["remove"]["deletionTimestamp"].as_i64().unwrap();
    assert!((0..3_600_000).contains(&(removed_ms - DAY * 1_000)), "{removed_ms}");
    assert_eq!(removes[0]["remove"]["dataChange"], false);
    assert_eq!(adds[0]["add"]["dataChange"], false);

    let again = compact(&store, TableName::Events).await;
    assert_eq!(
        (again.files_merged, again.files_after),
        (0, 2),
        "there is nothing left to do"
    );
    assert_eq!(files(dir.path(), ".parquet").len(), 22);
    let gone = vacuum(&store, HOUR, later(now(), 2 * HOUR)).await;
    assert_eq!((gone.files, gone.kept_files), (40, 0), "data files and their indexes");
    assert_eq!(files(dir.path(), ".parquet").len() + files(dir.path(), ".idx").len(), 4);
    assert_eq!(everything(&open(dir.path()).await).await, before);
}

#[tokio::test]
async fn a_file_is_not_made_larger_than_the_target() {
    let dir = tempfile::tempdir().unwrap();
    // Each record has 26 bytes or so.
    let config = StoreConfig {
        target_file_bytes: 110,
        ..StoreConfig::default()
    };
    let store = Store::open(dir.path().to_str().unwrap(), config).await.unwrap();
    for n in 0..16 {
        store
            .commit_events(commit(vec![plain(n)], vec![], range(0, n, n + 1)))
            .await
            .unwrap();
    }
    let done = compact(&store, TableName::Events).await;
    assert_eq!((done.files_after, done.files_made), (4, 4), "{done:?}");
    assert_eq!(everything(&store).await.len(), 16);
    assert_eq!(problems(&store).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_writer_and_a_compaction_do_not_hurt_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    scattered(&store, 6).await;
    let writer = {
        let path = dir.path().to_owned();
        tokio::spawn(async move {
            let store = open(&path).await;
            for n in 6..30 {
                store
                    .commit_events(commit(vec![plain(n)], vec![], range(0, n, n + 1)))
                    .await
                    .unwrap();
            }
        })
    };
    let mut made = 0;
    while !writer.is_finished() {
        made += compact(&store, TableName::Events).await.files_made;
        let found = store
            .search(SearchRequest {
                query: "row*".into(),
                ..SearchRequest::default()
            })
            .await
            .unwrap();
        assert_eq!(found.matched as usize, found.rows.len());
    }
    writer.await.unwrap();
    compact(&store, TableName::Events).await;
    assert!(made > 0);
    let all = everything(&store).await;
    assert_eq!(
        all.iter().map(|event| event.position.offset).collect::<Vec<_>>(),
        (0..30).collect::<Vec<_>>()
    );
    assert_eq!(store.table_status(TableName::Events).await.unwrap().files, 2);
    assert_eq!(problems(&store).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_compactions_one_replaces_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (open(dir.path()).await, open(dir.path()).await);
    scattered(&a, 12).await;
    let before = everything(&a).await;
    let (x, y) = tokio::join!(compact(&a, TableName::Events), compact(&b, TableName::Events));
    assert!(x.files_made + y.files_made >= 2, "{x:?} {y:?}");
    for store in [&a, &b] {
        assert_eq!(everything(store).await, before);
        assert_eq!(problems(store).await, []);
    }
    assert_eq!(a.table_status(TableName::Events).await.unwrap().files, 2);
    vacuum(&a, HOUR, later(now(), 2 * HOUR)).await;
    assert_eq!(
        files(dir.path(), ".parquet").len(),
        2,
        "whoever comes second leaves no file"
    );
    assert_eq!(files(dir.path(), ".idx").len(), 2);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    scattered(&store, 8).await;
    let broken = files(dir.path(), ".parquet")[0].clone();
    let path = dir.path().join(&broken);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 3;
    bytes[..middle].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    let done = compact(&store, TableName::Events).await;
    assert_eq!((done.files_after, done.files_made), (3, 2), "{done:?}");
    assert_eq!(done.problems.len(), 1);
    assert_eq!(done.problems[0].path, broken);
}

#[tokio::test]
async fn alerts_and_dead_letters_are_compacted_too() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    for n in 0..4u32 {
        let i = i64::from(n);
        store
            .commit_events(commit(vec![], vec![letter(i)], range(0, i, i + 1)))
            .await
            .unwrap();
        let alerts = [
            crate::alerts::alert("aa01", n + 1, AlertStatus::Provisional, 100 - i),
            crate::alerts::alert(&format!("bb0{n}"), 1, AlertStatus::Final, i),
        ];
        store
            .commit_alerts(AlertsCommit {
                group: "c",
                alerts: &alerts,
                checkpoint: range(0, i, i + 1),
                follows: vec![],
                states: vec![],
                now: at(9),
            })
            .await
            .unwrap();
    }
    let alerts = store.alerts(AlertFilter::default()).await.unwrap();
    let letters = async || {
        let query = "select \"offset\", reason, payload from dead_letters order by \"offset\"";
        store.sql(query, 10).await.unwrap().rows
    };
    let before = letters().await;
    for table in [TableName::Alerts, TableName::DeadLetters] {
        let done = compact(&store, table).await;
        assert_eq!((done.files_before, done.files_after), (4, 1), "{table:?}");
    }
    assert_eq!(store.alerts(AlertFilter::default()).await.unwrap(), alerts);
    assert_eq!(store.alert("aa01").await.unwrap().unwrap().alert.revision, 4);
    assert_eq!((letters().await, before.len()), (before, 4));
    assert_eq!(problems(&store).await, []);
}

#[tokio::test]
async fn a_vacuum_takes_only_what_is_old_and_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    scattered(&store, 2).await;
    let put = |name: &str, age: Duration| {
        let path = dir.path().join("events").join(name);
        std::fs::write(&path, "x").unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
        path
    };
    let day = 24 * HOUR;
    let uncommitted = put("event_date=2024-05-01/part-young.zstd.parquet", HOUR);
    let young_index = put("_casebook_index/part-young.zstd.parquet.idx", HOUR);
    let orphan = put("event_date=2024-05-01/part-old.zstd.parquet", 2 * day);
    let index = put("_casebook_index/part-old.zstd.parquet.idx", 2 * day);
    let foreign = put("event_date=2024-05-01/notes.txt", 100 * day);
    let entry = put("_delta_log/part-00.parquet", 100 * day);
    let dry = VacuumRequest {
        older_than: day,
        dry_run: true,
        now: now(),
    };
    let would = store.vacuum(TableName::Events, dry).await.unwrap();
    assert_eq!((would.files, would.bytes, would.kept_files), (2, 2, 2));
    assert!(orphan.exists() && index.exists());
    let gone = vacuum(&store, day, now()).await;
    assert_eq!(gone, would);
    assert!(!orphan.exists() && !index.exists());
    assert!(uncommitted.exists() && young_index.exists() && foreign.exists() && entry.exists());
    assert_eq!(everything(&store).await.len(), 2);
    let week = VacuumRequest {
        older_than: 8 * day,
        ..dry
    };
    let refused = store.vacuum(TableName::Events, week).await.unwrap_err();
    assert!(matches!(refused, StoreError::Refused { .. }), "{refused}");
}

#[tokio::test]
async fn a_removed_file_counts_from_its_removal_in_every_process() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    scattered(&store, 4).await;
    for name in files(dir.path(), ".parquet") {
        let file = std::fs::File::options()
            .write(true)
            .open(dir.path().join(name))
            .unwrap();
        file.set_modified(SystemTime::now() - 100 * HOUR).unwrap();
    }
    let removed_at = now();
    store.compact(TableName::Events, removed_at, &mut |_| ()).await.unwrap();
    // The checkpoint carries on what was removed.
    store.checkpoint(TableName::Events).await.unwrap();
    let log = dir.path().join("events/_delta_log");
    for version in 0..6 {
        std::fs::remove_file(log.join(format!("{version:020}.json"))).unwrap();
    }
    let reopened = open(dir.path()).await;
    let soon = vacuum(&reopened, 24 * HOUR, later(removed_at, HOUR)).await;
    assert_eq!((soon.files, soon.kept_files), (0, 8));
    let then = vacuum(&reopened, 24 * HOUR, later(removed_at, 25 * HOUR)).await;
    assert_eq!((then.files, then.kept_files), (8, 0));
    assert_eq!(everything(&reopened).await.len(), 4);
}

fn expiry(days: u64, sources: &[Source]) -> ExpireRequest {
    ExpireRequest {
        older_than: Duration::from_secs(days * 86_400),
        sources: sources.to_vec(),
        dry_run: false,
        // Ten days after the first event, at noon.
        now: at(10 * 86_400 + 43_200),
    }
}

pub async fn expire(store: &Store, table: TableName, request: &ExpireRequest) -> Expired {
    store.expire(table, request, &all, &mut |_| ()).await.unwrap()
}

/// An event of each of five days, of two sources.
async fn five_days(store: &Store) {
    for day in 0..5 {
        let events: Vec<Event> = (0..4)
            .map(|n| {
                let mut event = plain(day * 4 + n);
                event.time = at(day * 86_400 + n);
                if n % 2 == 0 {
                    event.source = Source::Auth;
                }
                event
            })
            .collect();
        let mut old = letter(day * 4);
        old.ingested = at(day * 86_400);
        store
            .commit_events(commit(events, vec![old], range(0, day * 4, day * 4 + 4)))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn whole_dates_expire_once_they_are_over_for_long_enough() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    five_days(&store).await;
    let before = everything(&store).await;
    // Eight days before noon of the eleventh day is noon of the third, which is not over at that moment.
    let dry = ExpireRequest {
        dry_run: true,
        ..expiry(8, &[])
    };
    let would = expire(&store, TableName::Events, &dry).await;
    assert_eq!(everything(&store).await, before);
    let gone = expire(&store, TableName::Events, &expiry(8, &[])).await;
    assert_eq!(gone, would);
    assert_eq!(gone.dates, Some(("2024-05-01".into(), "2024-05-02".into())));
    assert_eq!((gone.files_removed, gone.files_rewritten, gone.rows), (2, 0, 8));
    assert_eq!(everything(&store).await, before[8..]);
    assert_eq!(log(dir.path(), 6)[0]["commitInfo"]["operation"], "DELETE");
    let letters = expire(&store, TableName::DeadLetters, &expiry(8, &[])).await;
    assert_eq!((letters.files_removed, letters.rows), (2, 2));
    let again = expire(&store, TableName::Events, &expiry(8, &[])).await;
    assert_eq!(again, Expired::default());
    assert_eq!(store.offsets("g").await.unwrap().values().collect::<Vec<_>>(), [&20]);
    assert_eq!(problems(&store).await, []);
    for (table, sources) in [
        (TableName::Alerts, &[][..]),
        (TableName::DeadLetters, &[Source::Auth][..]),
    ] {
        let refused = store
            .expire(table, &expiry(8, sources), &all, &mut |_| ())
            .await
            .unwrap_err();
        assert!(matches!(refused, StoreError::Refused { .. }), "{refused}");
    }
}

#[tokio::test]
async fn the_events_of_one_source_expire_and_the_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    five_days(&store).await;
    // A file of nothing else, of the first day.
    let mut only = plain(20);
    only.source = Source::Auth;
    only.time = at(5);
    store
        .commit_events(commit(vec![only], vec![], range(0, 20, 21)))
        .await
        .unwrap();
    let mut want = everything(&store).await;
    want.retain(|event| event.source != Source::Auth || event.time >= at(2 * 86_400));
    let gone = expire(&store, TableName::Events, &expiry(8, &[Source::Auth])).await;
    assert_eq!((gone.files_removed, gone.files_rewritten, gone.rows), (1, 2, 5));
    assert_eq!(everything(&store).await, want);
    let answer = store
        .search(SearchRequest {
            query: "source:auth user:alice".into(),
            ..SearchRequest::default()
        })
        .await
        .unwrap();
    assert_eq!((answer.matched, answer.files.scanned), (6, 0));
    assert_eq!(problems(&store).await, []);
    let again = expire(&store, TableName::Events, &expiry(8, &[Source::Auth])).await;
    assert_eq!(again.rows, 0);
}

#[tokio::test]
async fn counts_are_those_of_the_table() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    five_days(&store).await;
    std::fs::remove_file(dir.path().join(&files(dir.path(), ".idx")[0])).unwrap();
    let counts = store.table_counts(TableName::Events).await.unwrap();
    assert_eq!((counts.version, counts.dates.len()), (5, 5));
    let total = counts.counts;
    assert_eq!(
        (total.files, total.rows, total.small_files, total.unindexed_files),
        (5, 20, 5, 1)
    );
    assert!(total.bytes > 0 && total.index_bytes > 0 && counts.log_bytes > 0);
    assert_eq!(counts.dates["2024-05-03"].rows, 4);
    let sources = store.source_counts().await.unwrap();
    assert_eq!(sources["auth"].rows, 10);
    assert_eq!(sources["kubernetes_audit"].files, 5);
    assert_eq!(sources["auth"].from, Some(at(0)));
    compact(&store, TableName::Events).await;
    assert_eq!(store.table_counts(TableName::Events).await.unwrap().removed_files, 0);
}

/// A commit of another group than `g`.
pub fn of_group(group: &'static str, events: Vec<Event>, start: i64, end: i64) -> EventsCommit<'static> {
    EventsCommit {
        group,
        ..commit(events, vec![], range(0, start, end))
    }
}

/// Rows that move from file to file are nothing new: neither to who follows a search, nor to what answers say they cover.
#[tokio::test]
async fn a_search_that_goes_on_finds_what_is_new_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    for n in 0..4 {
        let mut event = plain(n);
        if n % 2 == 0 {
            event.source = Source::Auth;
        }
        store
            .commit_events(commit(vec![event], vec![], range(0, n, n + 1)))
            .await
            .unwrap();
    }
    let ask = SearchRequest {
        query: "user:alice".into(),
        ..SearchRequest::default()
    };
    let mut follow = store.follow(ask).await.unwrap();
    let covered = store.coverage(None, None, &[]).await.unwrap();
    assert_eq!(covered.sources.iter().map(|source| source.events).sum::<u64>(), 4);

    assert_eq!(compact(&store, TableName::Events).await.files_after, 1);
    assert_eq!(follow.poll().await.unwrap().rows, []);
    assert_eq!(store.coverage(None, None, &[]).await.unwrap(), covered);
    // An expiry by source writes the rest anew.
    let request = ExpireRequest {
        older_than: HOUR,
        sources: vec![Source::Auth],
        dry_run: false,
        now: at(30 * 86_400),
    };
    let gone = expire(&store, TableName::Events, &request).await;
    assert_eq!(gone.rows, 2);
    assert_eq!(follow.poll().await.unwrap().rows, []);

    store
        .commit_events(commit(vec![plain(4)], vec![], range(0, 4, 5)))
        .await
        .unwrap();
    let new: Vec<i64> = follow
        .poll()
        .await
        .unwrap()
        .rows
        .iter()
        .map(|event| event.position.offset)
        .collect();
    assert_eq!(new, [4]);
    assert_eq!(follow.poll().await.unwrap().rows, []);
}
