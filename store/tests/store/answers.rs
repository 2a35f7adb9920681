//! Whatever is compacted or expired, a search and a reading of everything find what they found before.

use crate::maintenance::{compact, everything, problems};
use crate::search::{arbitrary_event, query};
use crate::support;

use std::time::Duration;

use casebook_event::{Event, EventId, Source};
use casebook_store::{ExpireRequest, SearchRequest, Store, StoreConfig, StoreError, TableName, TallyBy, query_matches};
use proptest::prelude::*;
use support::{all, as_stored, at, commit, event, files, open, plain, range};

/// Asks every query of the index and of the meaning, and SQL for the number of rows.
async fn check(store: &Store, want: &[Event], queries: &[String]) {
    assert_eq!(everything(store).await, want);
    for query in queries {
        let mut meant: Vec<i64> = want
            .iter()
            .filter(|event| query_matches(query, event).unwrap())
            .map(|event| event.position.offset)
            .collect();
        let answer = store
            .search(SearchRequest {
                query: query.clone(),
                limit: 10_000,
                ..SearchRequest::default()
            })
            .await
            .unwrap();
        assert_eq!(answer.files.scanned, 0, "every file has an index");
        let mut found: Vec<i64> = answer.rows.iter().map(|row| row.position.offset).collect();
        found.sort_unstable();
        meant.sort_unstable();
        assert_eq!(found, meant, "{query}");
    }
    let counted = store
        .sql("select count(*), count(distinct event_id) from events", 1)
        .await
        .unwrap();
    let n = casebook_event::Value::Int(want.len() as i64);
    assert_eq!(counted.rows, [[n.clone(), n]]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn care_changes_no_answer(
        batches in proptest::collection::vec(proptest::collection::vec(arbitrary_event(), 1..6), 1..12),
        queries in proptest::collection::vec(query(), 6),
        target in prop_oneof![Just(200usize), Just(2_000), Just(1 << 20)],
        row_group_rows in 1usize..8,
        days in 0u64..4,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let config = StoreConfig { target_file_bytes: target, row_group_rows, ..StoreConfig::default() };
            let store = Store::open(dir.path().to_str().unwrap(), config).await.unwrap();
            let mut next = 0;
            let mut want: Vec<Event> = Vec::new();
            for mut batch in batches {
                let start = next;
                for event in &mut batch {
                    event.position.offset = next;
                    event.id = EventId::from_u128(next as u128);
                    next += 1;
                }
                want.extend(batch.iter().map(as_stored));
                store.commit_events(commit(batch, vec![], range(0, start, next))).await.unwrap();
            }
            check(&store, &want, &queries).await;
            let files = store.table_status(TableName::Events).await.unwrap().files;
            let done = compact(&store, TableName::Events).await;
            assert_eq!(done.files_after, files - done.files_merged + done.files_made);
            check(&store, &want, &queries).await;
            assert_eq!(problems(&store).await, []);

            // The events are of three dates; those of the third are of `auth`.
            let request = ExpireRequest {
                older_than: Duration::from_secs(days * 86_400),
                sources: vec![Source::Auth],
                dry_run: false,
                now: at(4 * 86_400),
            };
            store.expire(TableName::Events, &request, &all, &mut |_| ()).await.unwrap();
            let kept_from = at(4 * 86_400 - days as i64 * 86_400);
            want.retain(|event| event.source != Source::Auth || event.time >= kept_from);
            check(&store, &want, &queries).await;
            store.expire(TableName::Events, &ExpireRequest { sources: vec![], ..request }, &all, &mut |_| ()).await.unwrap();
            want.retain(|event| event.time >= kept_from);
            check(&store, &want, &queries).await;
            assert_eq!(problems(&store).await, []);
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn a_range_of_time_has_the_events_of_these_times(
        seconds in proptest::collection::vec(0i64..40, 1..60),
        ranges in proptest::collection::vec((0i64..42, 0i64..42, proptest::bool::ANY), 6),
        row_group_rows in 1usize..8,
        with_index in proptest::bool::ANY,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let config = StoreConfig { row_group_rows, write_index: with_index, ..StoreConfig::default() };
            let store = Store::open(dir.path().to_str().unwrap(), config).await.unwrap();
            let events: Vec<Event> = seconds.iter().zip(0i64..).map(|(&second, n)| {
                let mut event = plain(n);
                event.time = at(second);
                if n % 3 == 0 {
                    event.source = Source::Auth;
                }
                event
            }).collect();
            store.commit_events(commit(events, vec![], range(0, 0, seconds.len() as i64))).await.unwrap();
            for (a, b, open) in ranges {
                let request = SearchRequest {
                    from: Some(at(a.min(b))),
                    to: (!open).then(|| at(a.max(b))),
                    limit: 10_000,
                    ..SearchRequest::default()
                };
                let within = |second: i64| second >= a.min(b) && (open || second < a.max(b));
                let mut want: Vec<i64> = seconds.iter().zip(0..).filter(|(second, _)| within(**second)).map(|(_, n)| n).collect();
                let answer = store.search(request.clone()).await.unwrap();
                let mut found: Vec<i64> = answer.rows.iter().map(|row| row.position.offset).collect();
                found.sort_unstable();
                want.sort_unstable();
                assert_eq!(found, want);
                for query in ["", "user:alice", "row*", "NOT source:auth"] {
                    let sources = |n: &i64| query != "NOT source:auth" || n % 3 != 0;
                    let want = want.iter().filter(|n| sources(n)).count() as u64;
                    let request = SearchRequest { query: query.into(), ..request.clone() };
                    let count = SearchRequest { limit: 0, ..request.clone() };
                    assert_eq!(store.search(count).await.unwrap().matched, want, "{query}");
                    let by = TallyBy { fields: vec!["user".into()], ..TallyBy::default() };
                    assert_eq!(store.tally(request, by).await.unwrap().matched, want, "{query}");
                }
            }
        });
    }
}

#[tokio::test]
async fn a_file_that_is_cut_or_gone_is_named_and_the_others_answer() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let mut follow = store.follow(SearchRequest::default()).await.unwrap();
    for n in 0..4 {
        store
            .commit_events(commit(vec![plain(n)], vec![], range(0, n, n + 1)))
            .await
            .unwrap();
    }
    let data = files(dir.path(), ".parquet");
    let path = |n: usize| dir.path().join(&data[n]);
    std::fs::remove_file(path(0)).unwrap();
    let bytes = std::fs::read(path(1)).unwrap();
    std::fs::write(path(1), &bytes[..bytes.len() / 2]).unwrap();
    let broken = [0, 1].map(|n| data[n].strip_prefix("events/").unwrap().to_owned());
    let named = |mut paths: Vec<String>| {
        paths.sort_unstable();
        assert_eq!(paths, broken);
    };

    let all = |limit| SearchRequest {
        limit,
        ..SearchRequest::default()
    };
    let answer = store.search(all(10)).await.unwrap();
    assert_eq!((answer.rows.len(), answer.matched, answer.counted_all), (2, 2, false));
    named(answer.unreadable.into_iter().map(|file| file.path).collect());

    // What the indexes answer alone needs no data file; the rows do.
    let indexed = SearchRequest {
        query: "user:alice".into(),
        ..all(0)
    };
    let answer = store.search(indexed.clone()).await.unwrap();
    assert_eq!(
        (answer.matched, answer.counted_all, answer.unreadable.len()),
        (4, true, 0)
    );

    let by = TallyBy {
        fields: vec!["user".into()],
        ..TallyBy::default()
    };
    let tally = store.tally(indexed, by).await.unwrap();
    assert_eq!((tally.matched, tally.rows[0].count), (2, 2));
    named(tally.unreadable.into_iter().map(|file| file.path).collect());

    let looked = follow.poll().await.unwrap();
    assert_eq!(looked.rows.len(), 2);
    named(looked.unreadable.into_iter().map(|file| file.path).collect());

    // A statement of SQL cannot say what it lacks: it fails, with the file.
    let error = store.sql("select raw from events", 10).await.unwrap_err();
    assert!(matches!(error, StoreError::Sql(_)), "{error}");
    assert!(broken.iter().any(|path| error.to_string().contains(path)), "{error}");
}

/// Sigma's `Image` is the executable, and only where there is none the name.
#[tokio::test]
async fn of_several_columns_the_first_that_is_set_counts() {
    use casebook_event::FieldId::{ProcessExecutable, ProcessName};
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let events = vec![
        event(
            0,
            &[(ProcessExecutable, "/bin/curl".into()), (ProcessName, "wget".into())],
            "x",
        ),
        event(1, &[(ProcessName, "wget".into())], "x"),
        event(2, &[(ProcessExecutable, "wget".into())], "x"),
    ];
    store
        .commit_events(commit(events, vec![], range(0, 0, 3)))
        .await
        .unwrap();
    for (query, want) in [
        ("Image:wget", &[1, 2][..]),
        ("NOT Image:wget", &[0]),
        ("Image:wget OR process.name:wget", &[0, 1, 2]),
        ("Image:wget AND process.name:wget", &[1]),
    ] {
        let request = SearchRequest {
            query: query.into(),
            newest_first: false,
            ..SearchRequest::default()
        };
        let answer = store.search(request).await.unwrap();
        let found: Vec<i64> = answer.rows.iter().map(|row| row.position.offset).collect();
        assert_eq!((found.as_slice(), answer.files.scanned), (want, 0), "{query}");
    }
}
