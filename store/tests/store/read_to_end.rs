//! Up to when partitions are known: committed with their offsets, and without anything.

use casebook_event::{DeadLetter, MAX_LETTER_BYTES, Partition, Position, Value, sha256_hex};
use casebook_store::{EventsCommit, ReadToEnd, SourceCoverage, Store};

use crate::support::{at, commit, open, plain, range};

fn end(partition: i32, next: i64, seconds: Option<i64>) -> ReadToEnd {
    ReadToEnd {
        partition: Partition::new("logs", partition),
        next,
        at: seconds.map(at),
    }
}

async fn source(store: &Store) -> SourceCoverage {
    let coverage = store.coverage(None, None, &[]).await.unwrap();
    assert_eq!(coverage.sources.len(), 1);
    coverage.sources.into_iter().next().unwrap()
}

#[tokio::test]
async fn a_quiet_topic_is_known_as_far_as_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let first = EventsCommit {
        read_to_end: vec![end(0, 3, Some(100))],
        ..commit(vec![plain(0), plain(2)], vec![], range(0, 0, 3))
    };
    store.commit_events(first).await.unwrap();
    let found = source(&store).await;
    assert_eq!(found.topics, Some(vec!["logs".to_owned()]));
    assert!(found.last >= at(2));
    assert_eq!(found.read_to_end, Some(at(100)));

    // Nothing comes, and the table says that it is read all the same: no offset moves, and no row.
    let before = store.offsets("g").await.unwrap();
    let idle = |ends: Vec<ReadToEnd>| EventsCommit {
        read_to_end: ends,
        ..commit(vec![], vec![], casebook_event::CheckpointDelta::new())
    };
    store.commit_events(idle(vec![end(0, 3, Some(4_000))])).await.unwrap();
    assert_eq!(source(&store).await.read_to_end, Some(at(4_000)));
    assert_eq!(store.offsets("g").await.unwrap(), before);
    // A partition that is read and was never read to its end makes the topic unknown; its first end makes it known.
    store.commit_events(idle(vec![end(1, 0, None)])).await.unwrap();
    assert_eq!(source(&store).await.read_to_end, None);
    store.commit_events(idle(vec![end(1, 0, Some(3_000))])).await.unwrap();
    assert_eq!(source(&store).await.read_to_end, Some(at(3_000)));
    // A worker that was away and says less changes nothing; and who commits next is not fenced by any of it.
    store.commit_events(idle(vec![end(0, 3, Some(50))])).await.unwrap();
    store
        .commit_events(commit(vec![plain(3)], vec![], range(0, 3, 4)))
        .await
        .unwrap();
    assert_eq!(source(&store).await.read_to_end, Some(at(3_000)));

    // It is in a checkpoint, and in what a compaction leaves.
    store.checkpoint(casebook_store::TableName::Events).await.unwrap();
    let again = open(dir.path()).await;
    let found = source(&again).await;
    assert_eq!((found.topics.is_some(), found.read_to_end), (true, Some(at(3_000))));
}

/// What is beyond the table's limit is cut, and the row says what the whole was.
#[tokio::test]
async fn a_letter_that_is_cut_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let position = |offset| Position {
        topic: "logs".into(),
        partition: 0,
        offset,
        index: 0,
    };
    let large = vec![b'x'; MAX_LETTER_BYTES + 1];
    let letters = vec![
        DeadLetter::new(position(0), at(0), "too_large", "too long", &large),
        DeadLetter::new(position(1), at(0), "empty", "", b""),
    ];
    store
        .commit_events(commit(vec![], letters, range(0, 0, 2)))
        .await
        .unwrap();
    let query = "SELECT cut_from_bytes, cut_from_sha256 FROM dead_letters ORDER BY \"offset\"";
    let rows = store.sql(query, 10).await.unwrap().rows;
    let cut = vec![Value::Int(large.len() as i64), Value::str(sha256_hex(&large))];
    assert_eq!(rows, [cut, vec![Value::Null, Value::Null]]);
}
