//! Whatever is compacted or expired, a search and a reading of everything find what they found before.

use crate::care::{compact, everything, problems};
use crate::search::{arbitrary_event, query};
use crate::support;

use std::time::Duration;

use casebook_event::{Event, EventId, Source};
use casebook_store::{ExpireRequest, FoundEvent, SearchRequest, Store, StoreConfig, TableName, query_matches};
use proptest::prelude::*;
use support::{at, commit, range};

/// Asks every query of the index and of the meaning, and SQL for the number of rows.
async fn check(store: &Store, want: &[FoundEvent], queries: &[String]) {
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
            let mut want: Vec<FoundEvent> = Vec::new();
            for mut batch in batches {
                let start = next;
                for event in &mut batch {
                    event.position.offset = next;
                    event.id = EventId::from_u128(next as u128);
                    next += 1;
                }
                want.extend(batch.iter().map(|event: &Event| FoundEvent::from(event)));
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
            store.expire(TableName::Events, &request, &mut |_| ()).await.unwrap();
            let kept_from = at(4 * 86_400 - days as i64 * 86_400);
            want.retain(|event| event.source != Source::Auth || event.time >= kept_from);
            check(&store, &want, &queries).await;
            store.expire(TableName::Events, &ExpireRequest { sources: vec![], ..request }, &mut |_| ()).await.unwrap();
            want.retain(|event| event.time >= kept_from);
            check(&store, &want, &queries).await;
            assert_eq!(problems(&store).await, []);
        });
    }
}
