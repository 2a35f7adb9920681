//! The commit: fencing, concurrent writers, crashes between its steps, and what a table looks like afterwards.

use crate::support;

use casebook_event::{DeadLetter, Partition};
use casebook_store::{CommitError, Store, StoreConfig, StoreError, TableName};
use support::{commit, event, files, letter, open, plain, range};

fn partition(n: i32) -> Partition {
    Partition::new("logs", n)
}

#[tokio::test]
async fn offsets_are_those_of_the_last_commit_even_without_events() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    assert!(store.offsets("g").await.unwrap().is_empty());
    let committed = store
        .commit_events(commit(vec![plain(5), plain(6)], vec![], range(0, 5, 7)))
        .await
        .unwrap();
    assert_eq!((committed.files, committed.rows), (1, 2));
    assert!(committed.stored_bytes > 0);
    store
        .commit_events(commit(vec![], vec![], range(0, 7, 9)))
        .await
        .unwrap();
    assert_eq!(store.offsets("g").await.unwrap(), [(partition(0), 9)].into());
    assert!(store.offsets("other").await.unwrap().is_empty());

    let reopened = Store::open_existing(dir.path().to_str().unwrap(), StoreConfig::default())
        .await
        .unwrap();
    assert_eq!(reopened.offsets("g").await.unwrap(), [(partition(0), 9)].into());
    assert_eq!(reopened.table_status(TableName::Events).await.unwrap().rows, 2);
}

#[tokio::test]
async fn a_batch_that_does_not_begin_where_the_table_stands_is_fenced() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    store
        .commit_events(commit(vec![plain(0)], vec![], range(0, 0, 3)))
        .await
        .unwrap();
    for (start, end) in [(0, 3), (2, 5), (4, 5)] {
        let error = store
            .commit_events(commit(vec![plain(start)], vec![letter(start)], range(0, start, end)))
            .await;
        match error {
            Err(CommitError::Fenced {
                partition: p,
                expected,
                found,
            }) => {
                assert_eq!((p, expected, found), (partition(0), start, 3));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(store.table_status(TableName::Events).await.unwrap().rows, 1);
    assert_eq!(store.table_status(TableName::DeadLetters).await.unwrap().rows, 0);
    assert_eq!(files(dir.path(), ".parquet").len(), 1, "a fenced batch leaves no file");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_different_partitions_all_land() {
    let dir = tempfile::tempdir().unwrap();
    let mut tasks = Vec::new();
    for n in 0..4 {
        let path = dir.path().to_owned();
        tasks.push(tokio::spawn(async move {
            // Each has its own view of the tables, as another process would.
            let store = open(&path).await;
            for batch in 0..5i64 {
                let mut event = plain(batch);
                event.position.partition = n;
                store
                    .commit_events(commit(vec![event], vec![], range(n, batch, batch + 1)))
                    .await
                    .unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let store = open(dir.path()).await;
    assert_eq!(store.table_status(TableName::Events).await.unwrap().rows, 20);
    assert_eq!(
        store.offsets("g").await.unwrap(),
        (0..4).map(|n| (partition(n), 5)).collect()
    );
    assert_eq!(store.table_version(TableName::Events).await.unwrap(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_writers_of_one_partition_one_lands() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (open(dir.path()).await, open(dir.path()).await);
    a.commit_events(commit(vec![plain(0)], vec![], range(0, 0, 1)))
        .await
        .unwrap();
    let (x, y) = tokio::join!(
        a.commit_events(commit(vec![plain(1)], vec![], range(0, 1, 2))),
        b.commit_events(commit(vec![plain(1)], vec![], range(0, 1, 3))),
    );
    assert!(x.is_ok() != y.is_ok(), "{x:?} {y:?}");
    assert_eq!(
        open(dir.path())
            .await
            .table_status(TableName::Events)
            .await
            .unwrap()
            .rows,
        2
    );
}

#[tokio::test]
async fn a_replayed_dead_letter_is_kept_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    store
        .commit_events(commit(vec![plain(0)], vec![letter(1)], range(0, 0, 2)))
        .await
        .unwrap();
    // A crash after the commit of the dead letters and before that of the events.
    let log = dir.path().join("events/_delta_log");
    store
        .commit_events(commit(vec![plain(2)], vec![letter(3), letter(4)], range(0, 2, 5)))
        .await
        .unwrap();
    std::fs::remove_file(log.join(format!("{:020}.json", 2))).unwrap();
    drop(store);
    let store = open(dir.path()).await;
    assert_eq!(store.offsets("g").await.unwrap(), [(partition(0), 2)].into());
    // The same records are read again, and further ones with them.
    let again = vec![letter(3), letter(4), letter(6)];
    store
        .commit_events(commit(vec![plain(2), plain(5)], again, range(0, 2, 7)))
        .await
        .unwrap();
    assert_eq!(store.table_status(TableName::DeadLetters).await.unwrap().rows, 4);
    assert_eq!(store.table_status(TableName::Events).await.unwrap().rows, 3);
    // Parts of one record share its offset, and all of them are kept.
    let parts: Vec<DeadLetter> = (0..3)
        .map(|index| {
            let mut letter = letter(7);
            letter.position.index = index;
            letter
        })
        .collect();
    store
        .commit_events(commit(vec![], parts, range(0, 7, 8)))
        .await
        .unwrap();
    assert_eq!(store.table_status(TableName::DeadLetters).await.unwrap().rows, 7);
}

#[tokio::test]
async fn files_of_no_commit_are_not_in_the_table() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    store
        .commit_events(commit(vec![plain(0)], vec![], range(0, 0, 1)))
        .await
        .unwrap();
    let orphans = dir.path().join("events/event_date=2024-05-01");
    std::fs::write(orphans.join("part-orphan.zstd.parquet"), b"half a file").unwrap();
    std::fs::write(dir.path().join("events/_delta_log/00000000000000000002.json#1"), b"{").unwrap();
    let store = open(dir.path()).await;
    store
        .commit_events(commit(vec![plain(1)], vec![], range(0, 1, 2)))
        .await
        .unwrap();
    assert_eq!(store.table_status(TableName::Events).await.unwrap().rows, 2);
}

#[tokio::test]
async fn events_go_into_one_file_a_date_with_an_index_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let events = vec![plain(0), plain(100_000), plain(10)];
    let committed = store
        .commit_events(commit(events, vec![], range(0, 0, 3)))
        .await
        .unwrap();
    assert_eq!(committed.files, 2);
    let data = files(dir.path(), ".parquet");
    assert!(data[0].starts_with("events/event_date=2024-05-01/"), "{data:?}");
    assert!(data[1].starts_with("events/event_date=2024-05-02/"), "{data:?}");
    for file in &data {
        let name = file.rsplit('/').next().unwrap();
        assert!(dir.path().join(format!("events/_casebook_index/{name}.idx")).exists());
    }
}

#[tokio::test]
async fn a_table_opens_from_its_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    for n in 0..5 {
        store
            .commit_events(commit(vec![plain(n)], vec![], range(0, n, n + 1)))
            .await
            .unwrap();
    }
    let before = store.table_status(TableName::Events).await.unwrap();
    store.checkpoint(TableName::Events).await.unwrap();
    let log = dir.path().join("events/_delta_log");
    for version in 0..=5 {
        std::fs::remove_file(log.join(format!("{version:020}.json"))).unwrap();
    }
    let reopened = open(dir.path()).await;
    assert_eq!(reopened.table_status(TableName::Events).await.unwrap(), before);
    assert_eq!(reopened.offsets("g").await.unwrap(), [(partition(0), 5)].into());
    reopened
        .commit_events(commit(vec![plain(5)], vec![], range(0, 5, 6)))
        .await
        .unwrap();
    // Without the hint the checkpoint is found by listing.
    std::fs::remove_file(log.join("_last_checkpoint")).unwrap();
    let again = open(dir.path()).await;
    assert_eq!(again.table_version(TableName::Events).await.unwrap(), 6);
    // The view that was opened first follows too.
    assert_eq!(store.offsets("g").await.unwrap(), [(partition(0), 6)].into());
}

/// A table that an older version made names fewer columns: the first commit names the others, in front of its rows.
#[tokio::test]
async fn a_table_of_an_older_version_is_given_the_new_columns() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).await;
    let first = dir.path().join("events/_delta_log/00000000000000000000.json");
    let text = std::fs::read_to_string(&first).unwrap();
    let column = |name: &str, kind: &str| {
        format!(r#",{{\"metadata\":{{}},\"name\":\"{name}\",\"nullable\":true,\"type\":\"{kind}\"}}"#)
    };
    let older = text
        .replace(&column("user_audit_id", "string"), "")
        .replace(&column("event_duration", "long"), "");
    assert_eq!(
        text.len() - older.len(),
        column("user_audit_id", "string").len() + column("event_duration", "long").len()
    );
    std::fs::write(&first, older).unwrap();
    let store = open(dir.path()).await;
    store
        .commit_events(commit(vec![plain(0)], vec![], range(0, 0, 1)))
        .await
        .unwrap();
    store
        .commit_events(commit(vec![plain(1)], vec![], range(0, 1, 2)))
        .await
        .unwrap();
    let entry = |version: u64| {
        std::fs::read_to_string(dir.path().join(format!("events/_delta_log/{version:020}.json"))).unwrap()
    };
    assert!(
        entry(1).contains("user_audit_id") && entry(1).contains("event_duration"),
        "{}",
        entry(1)
    );
    assert!(!entry(2).contains("metaData"), "once is enough");
    assert_eq!(
        open(dir.path()).await.offsets("g").await.unwrap(),
        [(partition(0), 2)].into()
    );
}

#[tokio::test]
async fn checkpoints_are_written_along_the_way() {
    let dir = tempfile::tempdir().unwrap();
    let config = StoreConfig {
        checkpoint_interval_commits: 3,
        write_index: false,
        ..StoreConfig::default()
    };
    let store = Store::open(dir.path().to_str().unwrap(), config).await.unwrap();
    for n in 0..7 {
        store
            .commit_events(commit(vec![plain(n)], vec![], range(0, n, n + 1)))
            .await
            .unwrap();
    }
    // The last one is written in the background.
    let wanted = dir
        .path()
        .join(format!("events/_delta_log/{:020}.checkpoint.parquet", 6));
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !wanted.exists() && std::time::Instant::now() < deadline {
        tokio::task::yield_now().await;
    }
    assert!(wanted.exists());
    assert!(files(dir.path(), ".idx").is_empty());
}

#[tokio::test]
async fn what_cannot_be_opened_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("nothing").to_str().unwrap().to_owned();
    let empty = dir.path().to_str().unwrap().to_owned();
    for path in [&missing, &empty] {
        let error = Store::open_existing(path, StoreConfig::default()).await.unwrap_err();
        assert!(matches!(error, StoreError::NoStore { .. }), "{error}");
        assert!(
            error.to_string().contains(path.as_str()) && error.to_string().contains("--store"),
            "{error}"
        );
    }
    let error = Store::open("ftp://bucket/x", StoreConfig::default()).await.unwrap_err();
    assert!(error.to_string().contains("ftp://"), "{error}");
    let url = format!("file://{}/by-url", dir.path().display());
    Store::open(&url, StoreConfig::default()).await.unwrap();
    assert!(dir.path().join("by-url/events/_delta_log").is_dir());
}

#[tokio::test]
async fn a_missing_log_entry_is_an_error_with_the_version() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    for n in 0..3 {
        store
            .commit_events(commit(vec![plain(n)], vec![], range(0, n, n + 1)))
            .await
            .unwrap();
    }
    std::fs::remove_file(dir.path().join(format!("events/_delta_log/{:020}.json", 2))).unwrap();
    let error = Store::open(dir.path().to_str().unwrap(), StoreConfig::default())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("events") && error.contains("version 2") && error.contains("missing"),
        "{error}"
    );
}

#[tokio::test]
async fn hostile_values_are_stored() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let mut odd = event(0, &[], "\u{0}\u{1f}\u{1e}\\\"{\"a\":\"\\ud800");
    odd.time = casebook_event::Timestamp::MIN;
    odd.position.topic = "a:b/../c d".into();
    let mut late = event(
        1,
        &[(casebook_event::FieldId::UserName, "\u{1f}x".into())],
        &"x".repeat(1 << 20),
    );
    late.time = casebook_event::Timestamp::MAX;
    let mut checkpoint = range(0, 0, 2);
    checkpoint.record(&Partition::new("a:b/../c d", 3), 0, 0);
    store
        .commit_events(commit(vec![odd, late], vec![], checkpoint))
        .await
        .unwrap();
    assert_eq!(
        store.offsets("g").await.unwrap().get(&Partition::new("a:b/../c d", 3)),
        Some(&1)
    );
    assert_eq!(store.table_status(TableName::Events).await.unwrap().rows, 2);
}
