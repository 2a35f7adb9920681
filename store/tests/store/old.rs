//! A store that an older version wrote, which is kept as that version wrote it: before most sources and fields, before
//! counts by source in the log, with indexes of another form.

use std::path::Path;

use casebook_event::{FieldId, Kept, Source, Timestamp, Value};
use casebook_store::{AlertFilter, KeptSignals, SearchRequest, Store, StoreConfig, TableName, TallyBy};

use crate::kept::{keep, signal, span};
use crate::maintenance::{compact, everything, problems};
use crate::support::{commit, event, range};

/// The store as it is, without what a newer version would create.
async fn store_without_kept(dir: &Path) -> Store {
    Store::open_existing(dir.to_str().unwrap(), StoreConfig::default())
        .await
        .unwrap()
}

/// The store, in a directory of its own.
async fn old(dir: &Path) -> Store {
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &to);
            } else {
                std::fs::copy(entry.path(), to).unwrap();
            }
        }
    }
    copy(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples/before-sources"),
        dir,
    );
    store_without_kept(dir).await
}

async fn offsets(store: &Store, query: &str) -> (Vec<i64>, u64) {
    let request = SearchRequest {
        query: query.into(),
        newest_first: false,
        ..SearchRequest::default()
    };
    let answer = store.search(request).await.unwrap();
    assert_eq!(answer.unreadable, []);
    let offsets = answer.rows.iter().map(|row| row.position.offset).collect();
    (offsets, answer.files.scanned)
}

/// What the store must answer, before and after it was changed.
async fn check(store: &Store, scanned: u64) {
    for (query, want) in [
        ("verb:create AND subresource", &[0][..]),
        ("user:bob", &[1]),
        ("\"failed password\" 198.51.100.7", &[1]),
        ("ip:203.0.113.0/24", &[0]),
        ("status:>=100", &[0]),
        ("row3", &[3]),
        ("process.name:*", &[]),
        ("NOT process.name:*", &[0, 1, 3]),
    ] {
        let (found, read) = offsets(store, &format!("({query}) AND NOT user:new")).await;
        assert_eq!((found.as_slice(), read), (want, scanned), "{query}");
    }
    let by = TallyBy {
        fields: vec!["process.name".into()],
        ..TallyBy::default()
    };
    let request = SearchRequest {
        query: "NOT user:new".into(),
        ..SearchRequest::default()
    };
    let tally = store.tally(request, by).await.unwrap();
    assert_eq!((tally.matched, tally.rows.len()), (3, 1));
    let sql = "SELECT count(*) FROM events WHERE matches('NOT user:new') AND process_name IS NULL";
    assert_eq!(store.sql(sql, 1).await.unwrap().rows, [[Value::Int(3)]]);
}

#[tokio::test]
async fn a_store_of_an_older_version_answers_and_is_brought_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    let store = old(dir.path()).await;
    // Its indexes have another form, so its files are read.
    check(&store, 2).await;
    let coverage = store.coverage(None, None, &[]).await.unwrap();
    assert_eq!((coverage.uncounted_files, coverage.sources.len()), (2, 0));
    assert_eq!(coverage.dead_letters[0].count, 1);
    let alerts = store.alerts(AlertFilter::default()).await.unwrap();
    assert_eq!(alerts.len(), 1);
    assert_eq!((alerts[0].alert.id.as_str(), alerts[0].alert.revision), ("a1", 2));

    // What is found is what was written.
    let rows = everything(&store).await;
    let login = rows.iter().find(|row| row.position.offset == 1).unwrap();
    assert_eq!(login.source, Source::Auth);
    assert_eq!(login.time, Timestamp::from_nanos(1_714_521_601_123_456_789));
    assert_eq!(login.fields.get(FieldId::UserName), Some(&Value::str("bob")));
    assert!(login.raw.ends_with("port 22 ssh2"));

    // It has no tables for what correlation keeps: opened to be read, they are empty, and are not made.
    let kept = store_without_kept(dir.path()).await;
    for &table in TableName::KEPT {
        assert!(!dir.path().join(table.name()).exists());
        let status = kept.table_status(table).await.unwrap();
        assert_eq!((status.version, status.files, status.rows), (0, 0, 0));
        let counts = kept.table_counts(table).await.unwrap();
        assert_eq!((counts.version, counts.log_bytes, counts.counts.files), (0, 0, 0));
        assert_eq!(compact(&kept, table).await.files_after, 0);
        let sql = format!("SELECT count(*) FROM {}", table.name());
        assert_eq!(kept.sql(&sql, 1).await.unwrap().rows, [[Value::Int(0)]]);
        kept.checkpoint(table).await.unwrap();
        assert!(!dir.path().join(table.name()).exists());
    }
    assert_eq!(kept.kept_signals(&[span(1)], 9).await.unwrap(), KeptSignals::default());
    assert_eq!(kept.kept_windows(&[span(1)]).await.unwrap(), []);
    // Whoever keeps something makes them, and who has them open sees it.
    let writer = store_without_kept(dir.path()).await;
    let one = signal(1, "alice");
    let rows = Kept {
        signals: vec![(0, one.clone())],
        ..Kept::default()
    };
    keep(&writer, 0, rows, 1).await;
    let found = kept.kept_signals(&[span(one.key())], 9).await.unwrap();
    assert_eq!(found.signals, [one]);
    assert!(!dir.path().join("bindings").exists(), "nothing was kept there");

    // A newer version goes on where it stopped, with columns that it did not have.
    let new = event(
        4,
        &[(FieldId::UserName, "new".into()), (FieldId::ProcessName, "curl".into())],
        "new",
    );
    store
        .commit_events(commit(vec![new], vec![], range(0, 4, 5)))
        .await
        .unwrap();
    check(&store, 2).await;
    assert_eq!(offsets(&store, "process.name:curl").await.0, [4]);

    let reported = problems(&store).await;
    assert!(
        !reported.is_empty() && reported.iter().all(|problem| problem.path.ends_with(".idx")),
        "{reported:?}"
    );
    // The two files of the first day become one of this version; the other day's gets an index of this form.
    compact(&store, TableName::Events).await;
    check(&store, 1).await;
    let rebuilt = store.rebuild_indexes(false, &mut |_| ()).await.unwrap();
    assert_eq!((rebuilt.files, rebuilt.built), (2, 1));
    check(&store, 0).await;
    assert_eq!(problems(&store).await, []);
    let coverage = store.coverage(None, None, &[]).await.unwrap();
    assert_eq!((coverage.uncounted_files, coverage.sources.len()), (1, 2));
}
