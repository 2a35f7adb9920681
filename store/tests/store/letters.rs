//! Dead letters are counted by the log alone where it says how many there are, and by their files elsewhere: the answer is the same.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use casebook_event::{CheckpointDelta, DeadLetter, Partition, Position, Timestamp};
use casebook_store::{Coverage, EventsCommit, ExpireRequest, Store, StoreConfig, TableName};
use proptest::prelude::*;

use crate::maintenance::{HOUR, compact, expire, problems};
use crate::support::{at, commit, files, open};

const TAG: &str = "casebook.letters";
const DAY_SECONDS: i64 = 86_400;
const REASONS: [&str; 3] = ["invalid_json", "invalid_utf8", "too_deep"];

/// A letter: its topic, its reason, and when it was read.
type Letter = (String, &'static str, i64);

fn of(topic: &str, reason: &'static str, second: i64) -> Letter {
    (topic.to_owned(), reason, second)
}

/// Commits letters, under a group of their own: no commit has to go on where another stopped.
async fn put(store: &Store, number: usize, letters: &[Letter]) {
    let group = format!("g{number}");
    let mut checkpoint = CheckpointDelta::new();
    let letters = letters.iter().zip(0..).map(|((topic, reason, second), offset)| {
        let topic: Arc<str> = topic.as_str().into();
        checkpoint.record(&Partition::new(Arc::clone(&topic), 0), offset, offset);
        let position = Position {
            topic,
            partition: 0,
            offset,
            index: 0,
        };
        DeadLetter::new(position, at(*second), reason, "why", b"x")
    });
    let letters = letters.collect();
    let commit = EventsCommit {
        group: &group,
        ..commit(vec![], letters, checkpoint)
    };
    store.commit_events(commit).await.unwrap();
}

async fn coverage(store: &Store, from: Option<Timestamp>) -> Coverage {
    store.coverage(from, None, &[]).await.unwrap()
}

/// The letters of an answer.
fn counted(coverage: &Coverage) -> Vec<(&str, &str, u64)> {
    let counts = coverage.dead_letters.iter();
    counts
        .map(|one| (one.topic.as_str(), one.reason.as_str(), one.count))
        .collect()
}

/// Changes the tags of dead letters in the log; a tag that becomes `None` is gone. Returns how many there were.
fn retag(dir: &Path, change: impl Fn(&str) -> Option<String>) -> usize {
    let log = dir.join("dead_letters/_delta_log");
    let mut tags = 0;
    for name in files(&log, ".json") {
        let path = log.join(name);
        let entry = std::fs::read_to_string(&path).unwrap();
        let lines = entry.lines().map(|line| {
            let mut action: serde_json::Value = serde_json::from_str(line).unwrap();
            if let Some(of_file) = action.pointer_mut("/add/tags").and_then(|tags| tags.as_object_mut())
                && let Some(tag) = of_file.remove(TAG)
            {
                tags += 1;
                let changed = change(tag.as_str().unwrap());
                of_file.extend(changed.map(|text| (TAG.to_owned(), text.into())));
            }
            format!("{action}\n")
        });
        let lines: String = lines.collect();
        std::fs::write(path, lines).unwrap();
    }
    tags
}

/// The data files of dead letters go from the disk, not from the log.
fn lose_data(dir: &Path) {
    for name in files(&dir.join("dead_letters"), ".zstd.parquet") {
        std::fs::remove_file(dir.join("dead_letters").join(name)).unwrap();
    }
}

/// Three commits: of one day, of two days, and of two topics.
async fn three_commits(store: &Store) {
    let json = |second| of("logs.a", "invalid_json", second);
    put(store, 0, &[json(5), json(70), of("logs.a", "too_deep", 100)]).await;
    put(store, 1, &[json(DAY_SECONDS - 1), json(DAY_SECONDS)]).await;
    put(
        store,
        2,
        &[of("logs.b", "invalid_utf8", DAY_SECONDS + 9), json(DAY_SECONDS + 10)],
    )
    .await;
}

#[tokio::test]
async fn letters_are_counted_alike_with_their_tags_and_without() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    three_commits(&store).await;
    let all = coverage(&store, None).await;
    let want = [
        ("logs.a", "invalid_json", 5),
        ("logs.a", "too_deep", 1),
        ("logs.b", "invalid_utf8", 1),
    ];
    assert_eq!((counted(&all), all.other_dead_letters), (want.to_vec(), 0));
    // A file of which only a part is in the range counts whole.
    let froms = [
        None,
        Some(at(0)),
        Some(at(80)),
        Some(at(DAY_SECONDS)),
        Some(at(DAY_SECONDS + 10)),
        Some(at(3 * DAY_SECONDS)),
    ];
    let mut tagged = Vec::new();
    for from in froms {
        tagged.push(coverage(&store, from).await);
    }
    assert_eq!(counted(&tagged[2]), want);
    assert_eq!(counted(&tagged[5]), []);

    assert_eq!(retag(dir.path(), |_| None), 4, "every file has a tag");
    let untagged = open(dir.path()).await;
    for (from, want) in froms.into_iter().zip(&tagged) {
        assert_eq!(coverage(&untagged, from).await, *want, "{from:?}");
    }
    assert_eq!(
        problems(&untagged).await,
        [],
        "a file without a tag is one of an older version"
    );
}

#[tokio::test]
async fn no_file_with_a_tag_is_read_to_count_its_letters() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    three_commits(&store).await;
    let want = coverage(&store, None).await;
    // The tag is in a checkpoint of the log too.
    store.checkpoint(TableName::DeadLetters).await.unwrap();
    for version in 0..=2 {
        std::fs::remove_file(dir.path().join(format!("dead_letters/_delta_log/{version:020}.json"))).unwrap();
    }
    lose_data(dir.path());
    assert_eq!(coverage(&store, None).await, want);
    assert_eq!(coverage(&open(dir.path()).await, None).await, want);
}

#[tokio::test]
async fn a_compacted_file_has_the_tag_that_its_rows_come_to() {
    for without_tags in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path()).await;
        three_commits(&store).await;
        let want = coverage(&store, None).await;
        // Files of an older version get a tag when they are compacted.
        if without_tags {
            assert_eq!(retag(dir.path(), |_| None), 4);
        }
        let store = open(dir.path()).await;
        let done = compact(&store, TableName::DeadLetters).await;
        assert_eq!((done.files_before, done.files_after), (4, 2));
        assert_eq!(coverage(&store, None).await, want);
        assert_eq!(problems(&store).await, []);
        let second_day = [("logs.a", "invalid_json", 2), ("logs.b", "invalid_utf8", 1)];
        assert_eq!(counted(&coverage(&store, Some(at(DAY_SECONDS))).await), second_day);
        lose_data(dir.path());
        assert_eq!(coverage(&store, None).await, want);

        let request = ExpireRequest {
            older_than: HOUR,
            sources: vec![],
            dry_run: false,
            now: at(DAY_SECONDS + 3_601),
        };
        let gone = expire(&store, TableName::DeadLetters, &request).await;
        assert_eq!((gone.files_removed, gone.rows), (1, 4));
        assert_eq!(counted(&coverage(&store, None).await), second_day);
    }
}

#[tokio::test]
async fn a_file_of_too_many_topics_has_no_tag_and_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let topics = |from: usize, to: usize| -> Vec<Letter> {
        (from..to)
            .map(|n| of(&format!("logs.{n:03}"), "invalid_json", 5))
            .collect()
    };
    put(&store, 0, &topics(0, 65)).await;
    // Of few topics each, but not together.
    put(&store, 1, &topics(50, 90)).await;
    put(&store, 2, &topics(80, 120)).await;
    put(&store, 3, &[of(&"x".repeat(300), "too_deep", 6)]).await;
    let all = coverage(&store, None).await;
    assert_eq!(all.dead_letters.len(), 121);
    let twice = all.dead_letters.iter().filter(|one| one.count == 2).count();
    assert_eq!(twice, 15 + 10);
    assert_eq!(retag(dir.path(), |tag| Some(tag.to_owned())), 2);

    let done = compact(&store, TableName::DeadLetters).await;
    assert_eq!(done.files_after, 1);
    assert_eq!(coverage(&store, None).await, all);
    assert_eq!(
        retag(dir.path(), |tag| Some(tag.to_owned())),
        2,
        "the new file has none"
    );
    assert_eq!(problems(&store).await, []);
}

#[tokio::test]
async fn letters_of_too_many_files_are_counted_together_as_before() {
    let dir = tempfile::tempdir().unwrap();
    // All is in the entries of the log, where the tags can be taken away.
    let config = StoreConfig {
        checkpoint_interval_commits: 0,
        ..StoreConfig::default()
    };
    let store = Store::open(dir.path().to_str().unwrap(), config).await.unwrap();
    for n in 0..66 {
        put(&store, n, &[of("logs.a", REASONS[n % 3], n as i64)]).await;
    }
    let tagged = coverage(&store, None).await;
    assert_eq!(tagged.dead_letters.iter().map(|one| one.count).sum::<u64>(), 64);
    assert_eq!(tagged.other_dead_letters, 2);
    assert_eq!(retag(dir.path(), |_| None), 66);
    assert_eq!(coverage(&open(dir.path()).await, None).await, tagged);
}

#[tokio::test]
async fn a_tag_that_is_not_what_the_rows_say_is_a_problem() {
    let right = r#"{"logs.a":{"invalid_json":2}}"#;
    for (wrong, want) in [
        (
            r#"{"logs.a":{"invalid_json":3}}"#,
            "it has 2 dead letters of `logs.a` for `invalid_json`, the log says 3",
        ),
        (
            r#"{"logs.b":{"invalid_json":2}}"#,
            "it has 2 dead letters of `logs.a` for `invalid_json`, the log says 0",
        ),
        (
            r#"{"logs.a":{"invalid_json":2,"too_deep":1}}"#,
            "it has 0 dead letters of `logs.a` for `too_deep`, the log says 1",
        ),
        (
            "{}",
            "it has 2 dead letters of `logs.a` for `invalid_json`, the log says 0",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path()).await;
        put(
            &store,
            0,
            &[of("logs.a", "invalid_json", 5), of("logs.a", "invalid_json", 6)],
        )
        .await;
        assert_eq!(problems(&store).await, []);
        let tags = retag(dir.path(), |tag| {
            assert_eq!(tag, right);
            Some(wrong.to_owned())
        });
        assert_eq!(tags, 1);
        let found = problems(&open(dir.path()).await).await;
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_eq!(
            (found[0].table, found[0].problem.as_str()),
            (TableName::DeadLetters, want)
        );
    }
}

/// Not a check: prints what the coverage of an answer costs, with tags and without, in alternating rounds.
/// `cargo test --release --workspace --test store -- letters::coverage_of --ignored --nocapture`
#[tokio::test]
#[ignore = "measures"]
async fn coverage_of_many_files_of_letters() {
    const ROUNDS: usize = 40;
    const CALLS: u32 = 5;
    for (files, letters) in [(1, 50), (4, 50), (64, 50), (4, 5_000)] {
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        for dir in &dirs {
            let store = open(dir.path()).await;
            for n in 0..files {
                let letters: Vec<Letter> = (0..letters)
                    .map(|letter| of(&format!("logs.{}", letter % 5), REASONS[letter % 3], n as i64))
                    .collect();
                put(&store, n, &letters).await;
            }
        }
        retag(dirs[1].path(), |_| None);
        let stores = [open(dirs[0].path()).await, open(dirs[1].path()).await];
        let mut took = [Vec::new(), Vec::new()];
        for round in 0..ROUNDS {
            for n in [round % 2, 1 - round % 2] {
                let begun = Instant::now();
                for _ in 0..CALLS {
                    coverage(&stores[n], None).await;
                }
                took[n].push(begun.elapsed() / CALLS);
            }
        }
        let [tagged, untagged] = took.map(|mut times| {
            times.sort();
            times[ROUNDS / 2]
        });
        println!("{files} files of {letters} letters: {tagged:?} with tags, {untagged:?} without");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn a_tag_changes_no_count(
        commits in proptest::collection::vec(
            proptest::collection::vec((0usize..3, 0usize..3, 0i64..3 * DAY_SECONDS), 1..6), 1..8),
        froms in proptest::collection::vec(0i64..3 * DAY_SECONDS, 4),
        untagged in 0usize..8,
        compacted in proptest::bool::ANY,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let store = open(dir.path()).await;
            for (n, letters) in commits.iter().enumerate() {
                let letters: Vec<Letter> = letters
                    .iter()
                    .map(|(topic, reason, second)| of(&format!("logs.{topic}"), REASONS[*reason], *second))
                    .collect();
                put(&store, n, &letters).await;
                // A newer version goes on where an older one stopped.
                if n == untagged {
                    retag(dir.path(), |_| None);
                }
            }
            let store = open(dir.path()).await;
            if compacted {
                compact(&store, TableName::DeadLetters).await;
            }
            let froms: Vec<Option<Timestamp>> = froms.into_iter().map(|second| Some(at(second))).chain([None]).collect();
            let mut tagged = Vec::new();
            for from in &froms {
                tagged.push(coverage(&store, *from).await);
            }
            let letters: usize = commits.iter().map(Vec::len).sum();
            let counted: u64 = tagged[4].dead_letters.iter().map(|one| one.count).sum();
            assert_eq!(counted, letters as u64);
            assert_eq!(problems(&store).await, []);
            retag(dir.path(), |_| None);
            let untagged = open(dir.path()).await;
            for (from, want) in froms.iter().zip(&tagged) {
                assert_eq!(coverage(&untagged, *from).await, *want);
            }
        });
    }
}
