//! What is wrong with a store is reported, file by file, and an index is rebuilt.

use crate::maintenance::{compact, everything, of_group, problems};
use crate::support;

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use casebook_event::{Event, FieldId};
use casebook_store::{Problem, Rebuilt, SearchRequest, Store, StoreConfig, TableName};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use support::{at, commit, event, files, letter, open, plain, range};

/// Three files, of a day each, and a dead letter.
async fn three_days(dir: &Path) -> Store {
    let store = open(dir).await;
    for n in 0..3 {
        let mut events: Vec<Event> = (0..5).map(|i| plain(n * 5 + i)).collect();
        events
            .iter_mut()
            .for_each(|event| event.time = at(n * 86_400 + event.position.offset));
        store
            .commit_events(commit(events, vec![letter(n * 5)], range(0, n * 5, n * 5 + 5)))
            .await
            .unwrap();
    }
    store
}

fn reported(problems: &[Problem]) -> Vec<(&str, &str)> {
    problems.iter().map(|p| (p.path.as_str(), p.problem.as_str())).collect()
}

#[tokio::test]
async fn a_sound_store_has_no_problem() {
    let dir = tempfile::tempdir().unwrap();
    let store = three_days(dir.path()).await;
    assert_eq!(problems(&store).await, []);
    let verified = store
        .verify(TableName::Events, &mut |problem| panic!("{problem:?}"), &mut |_| ())
        .await
        .unwrap();
    assert_eq!((verified.files, verified.rows, verified.indexes), (3, 15, 3));
    assert_eq!((verified.sampled_rows, verified.problems), (15, 0));
}

#[tokio::test]
async fn data_files_that_are_missing_cut_or_changed_are_reported() {
    let dir = tempfile::tempdir().unwrap();
    let store = three_days(dir.path()).await;
    let names = files(&dir.path().join("events"), ".parquet");
    let path = |n: usize| dir.path().join("events").join(&names[n]);
    std::fs::remove_file(path(0)).unwrap();
    let whole = std::fs::read(path(1)).unwrap();
    std::fs::write(path(1), &whole[..whole.len() / 2]).unwrap();
    let mut changed = std::fs::read(path(2)).unwrap();
    let half = changed.len() / 2;
    changed[4..half].fill(0x5a);
    std::fs::write(path(2), &changed).unwrap();
    let found = problems(&store).await;
    assert_eq!(found.len(), 3, "{found:#?}");
    for (n, want) in ["missing", "bytes, the log says", "cannot read it"]
        .into_iter()
        .enumerate()
    {
        assert_eq!(found[n].path, format!("events/{}", names[n]));
        assert!(found[n].problem.contains(want), "{:?}", found[n]);
        assert!(found[n].remedy.contains("backup"), "{:?}", found[n]);
    }
    std::fs::write(path(1), &whole).unwrap();
    assert_eq!(problems(&store).await.len(), 2, "a file that comes back is sound again");
    // A search that leaves the broken files out answers; one that needs them says which it is.
    let day = |from: i64, to: i64| SearchRequest {
        query: "user:alice AND NOT nobody".into(),
        from: Some(at(from)),
        to: Some(at(to)),
        ..SearchRequest::default()
    };
    assert_eq!(store.search(day(86_400, 2 * 86_400)).await.unwrap().matched, 5);
    let lacking = store.search(day(0, 86_400)).await.unwrap();
    let reason = lacking.unreadable[0].to_string();
    assert!(
        lacking.matched == 0 && names[0].ends_with(&lacking.unreadable[0].path),
        "{reason}"
    );
    assert!(reason.contains("not found"), "{reason}");
}

#[tokio::test]
async fn indexes_that_are_missing_or_changed_are_reported_and_rebuilt() {
    let dir = tempfile::tempdir().unwrap();
    let store = three_days(dir.path()).await;
    let indexes = files(dir.path(), ".idx");
    let path = |n: usize| dir.path().join(&indexes[n]);
    let sound: Vec<Vec<u8>> = (0..3).map(|n| std::fs::read(path(n)).unwrap()).collect();
    std::fs::remove_file(path(0)).unwrap();
    let mut changed = sound[1].clone();
    changed[10] ^= 1;
    std::fs::write(path(1), changed).unwrap();
    // The index of another file with as many rows: only the sample tells.
    std::fs::write(path(2), &sound[1]).unwrap();
    let found = problems(&store).await;
    assert_eq!(found.len(), 3, "{found:#?}");
    let by_path = |n: usize| found.iter().find(|problem| problem.path == indexes[n]).unwrap();
    assert!(by_path(0).problem.contains("no index"));
    assert!(by_path(1).problem.contains("checksum"));
    assert!(by_path(2).problem.contains("does not name row"));
    assert!(found.iter().all(|problem| problem.remedy.contains("rebuild-index")));

    let mut last = 0;
    let rebuilt = store
        .rebuild_indexes(false, &mut |progress| last = progress.done_bytes)
        .await
        .unwrap();
    assert_eq!(
        (rebuilt.files, rebuilt.built, rebuilt.rows),
        (3, 2, 10),
        "a swapped index shows only to a verification"
    );
    assert!(last > 0);
    let all = store.rebuild_indexes(true, &mut |_| ()).await.unwrap();
    assert_eq!((all.built, all.rows, all.problems.len()), (3, 15, 0));
    assert_eq!(problems(&store).await, []);
    let none = store.rebuild_indexes(false, &mut |_| ()).await.unwrap();
    assert_eq!(
        none,
        Rebuilt {
            files: 3,
            ..Rebuilt::default()
        }
    );
    let answer = store
        .search(SearchRequest {
            query: "row7".into(),
            ..SearchRequest::default()
        })
        .await
        .unwrap();
    assert_eq!((answer.matched, answer.files.indexed, answer.files.scanned), (1, 3, 0));
}

#[tokio::test]
async fn an_index_of_a_broken_file_cannot_be_built() {
    let dir = tempfile::tempdir().unwrap();
    let store = three_days(dir.path()).await;
    let name = files(dir.path(), ".parquet")
        .into_iter()
        .find(|name| name.starts_with("events"))
        .unwrap();
    std::fs::remove_file(dir.path().join(&name)).unwrap();
    let rebuilt = store.rebuild_indexes(true, &mut |_| ()).await.unwrap();
    assert_eq!(rebuilt.built, 2);
    assert_eq!(reported(&rebuilt.problems)[0].0, name);
}

/// Changes the log entry of a version.
fn edit(dir: &Path, version: u64, change: impl FnOnce(String) -> String) {
    let path = dir.join(format!("events/_delta_log/{version:020}.json"));
    let text = std::fs::read_to_string(&path).unwrap();
    let changed = change(text.clone());
    assert_ne!(text, changed);
    std::fs::write(path, changed).unwrap();
}

#[tokio::test]
async fn what_the_log_says_of_the_rows_is_compared() {
    let dir = tempfile::tempdir().unwrap();
    three_days(dir.path()).await;
    edit(dir.path(), 1, |text| {
        text.replace(r#"\"numRecords\":5"#, r#"\"numRecords\":6"#)
    });
    edit(dir.path(), 2, |text| {
        let narrow = text.replace("2024-05-02T00:00:05Z", "2024-05-02T00:00:07Z");
        narrow.replace(r#"\"user_name\":\"alice\""#, r#"\"user_name\":\"bob\""#)
    });
    edit(dir.path(), 3, |text| {
        text.replace(
            r#""partitionValues":{"event_date":"2024-05-03"}"#,
            r#""partitionValues":{"event_date":"2024-05-04"}"#,
        )
    });
    let found = problems(&open(dir.path()).await).await;
    let says = |part: &str| found.iter().filter(|problem| problem.problem.contains(part)).count();
    assert_eq!(says("it has 5 rows, the log says 6"), 1, "{found:#?}");
    assert_eq!(says("which is not within the bounds of the log"), 2, "{found:#?}");
    assert_eq!(says("which is not of the date 2024-05-04"), 1, "{found:#?}");
    assert_eq!(found.len(), 4, "{found:#?}");
    // A compaction would lose what it cannot account for: it leaves such a file alone.
    let store = open(dir.path()).await;
    let mut more = plain(30);
    more.time = at(9);
    store
        .commit_events(commit(vec![more], vec![], range(0, 15, 31)))
        .await
        .unwrap();
    let done = compact(&store, TableName::Events).await;
    assert_eq!((done.files_made, done.problems.len()), (0, 1), "{done:?}");
    assert_eq!(everything(&store).await.len(), 16);
}

#[tokio::test]
async fn rows_that_are_there_twice_are_reported() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    store
        .commit_events(commit(vec![plain(0), plain(1)], vec![], range(0, 0, 2)))
        .await
        .unwrap();
    // The source has sent one event twice: it is there under one id at two places.
    let mut again = plain(0);
    again.position.offset = 2;
    store
        .commit_events(commit(vec![again], vec![], range(0, 2, 3)))
        .await
        .unwrap();
    assert_eq!(problems(&store).await, []);
    store
        .commit_events(of_group("h", vec![plain(0), plain(1)], 0, 2))
        .await
        .unwrap();
    let found = problems(&store).await;
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(
        found[0]
            .problem
            .starts_with("2 of its rows are also in events/event_date="),
        "{found:?}"
    );
    compact(&store, TableName::Events).await;
    let found = problems(&store).await;
    assert!(found[0].problem.contains("also in the same file"), "{found:?}");
}

/// Writes a data file anew, changed, and its new size into the log.
fn rewrite(dir: &Path, version: u64, name: &str, change: impl Fn(RecordBatch) -> RecordBatch) {
    let path = dir.join(name);
    let old = std::fs::read(&path).unwrap();
    let batches: Vec<RecordBatch> = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(old.clone()))
        .unwrap()
        .build()
        .unwrap()
        .map(|batch| change(batch.unwrap()))
        .collect();
    let mut writer = ArrowWriter::try_new(Vec::new(), batches[0].schema(), None).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    let new = writer.into_inner().unwrap();
    std::fs::write(&path, &new).unwrap();
    edit(dir, version, |text| {
        text.replace(&format!("\"size\":{}", old.len()), &format!("\"size\":{}", new.len()))
    });
}

#[tokio::test]
async fn a_file_of_an_older_version_lacks_columns_and_keeps_its_rows() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let user = |n: i64| event(n, &[(FieldId::UserName, "alice".into())], "{}");
    store
        .commit_events(commit(vec![user(0), user(1)], vec![], range(0, 0, 2)))
        .await
        .unwrap();
    let name = files(dir.path(), ".parquet").remove(0);
    store
        .commit_events(commit(vec![user(2)], vec![], range(0, 2, 3)))
        .await
        .unwrap();
    let before = everything(&store).await;
    rewrite(dir.path(), 1, &name, |batch| {
        let kept: Vec<usize> = (0..batch.num_columns())
            .filter(|n| !["process_name", "kafka_index"].contains(&batch.schema().field(*n).name().as_str()))
            .collect();
        batch.project(&kept).unwrap()
    });
    let store = open(dir.path()).await;
    assert_eq!(everything(&store).await, before);
    let done = compact(&store, TableName::Events).await;
    assert_eq!((done.files_after, done.problems.len()), (1, 0), "{done:?}");
    assert_eq!(everything(&store).await, before);
    assert_eq!(problems(&store).await, []);
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    for n in 0..3 {
        store
            .commit_events(commit(vec![plain(n)], vec![], range(0, n, n + 1)))
            .await
            .unwrap();
    }
    let log = std::fs::read_to_string(dir.path().join("events/_delta_log/00000000000000000002.json")).unwrap();
    let name = files(dir.path(), ".parquet")
        .into_iter()
        .find(|name| log.contains(name.strip_prefix("events/").unwrap()))
        .unwrap();
    rewrite(dir.path(), 2, &name, |batch| {
        let (schema, mut columns, _) = batch.into_parts();
        let mut fields: Vec<_> = schema.fields().iter().cloned().collect();
        let raw = schema.index_of("raw").unwrap();
        fields.push(Arc::new(schema.field(raw).clone().with_name("of_tomorrow")));
        columns.push(columns[raw].clone());
        RecordBatch::try_new(Arc::new(arrow::datatypes::Schema::new(fields)), columns).unwrap()
    });
    let store = Store::open(dir.path().to_str().unwrap(), StoreConfig::default())
        .await
        .unwrap();
    let done = compact(&store, TableName::Events).await;
    assert_eq!((done.files_after, done.files_made), (2, 1), "{done:?}");
    assert_eq!(done.problems[0].path, name);
    assert!(done.problems[0].problem.contains("of_tomorrow"), "{done:?}");
}
