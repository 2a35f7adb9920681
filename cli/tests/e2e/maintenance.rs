//! `casebook store`: maintenance, as an operator meets it.

use std::path::Path;

use casebook_event::{CheckpointDelta, Event, EventId, Fields, Native, Partition, Position, Source, Timestamp};
use casebook_store::{EventsCommit, Store, StoreConfig};

use crate::support::{casebook, json_lines, run, stdout};

/// A store of six small files: three of a day of 2024, three of the day after.
async fn small_files(dir: &Path) {
    let store = Store::open(dir.to_str().unwrap(), StoreConfig::default())
        .await
        .unwrap();
    for n in 0..6i64 {
        let event = Event {
            id: EventId::from_u128(n as u128 + 1),
            time: Timestamp::from_seconds(1_714_521_600 + n / 3 * 86_400 + n),
            ingested: Timestamp::from_seconds(1_714_521_600),
            source: if n % 2 == 0 { Source::Auth } else { Source::ContainerLog },
            position: Position {
                topic: "logs".into(),
                partition: 0,
                offset: n,
                index: 0,
            },
            fields: Fields::new(),
            native: Native::NONE,
            raw: format!("failed password for user{n}").into(),
        };
        let mut checkpoint = CheckpointDelta::new();
        checkpoint.record(&Partition::new("logs", 0), n, n);
        let commit = EventsCommit {
            group: "g",
            events: vec![event],
            prepared: Vec::new(),
            dead_letters: Vec::new(),
            checkpoint,
            read_to_end: Vec::new(),
            now: Timestamp::from_seconds(1_714_521_600),
        };
        store.commit_events(commit).await.unwrap();
    }
}

fn indexes(dir: &Path) -> Vec<std::path::PathBuf> {
    let folder = std::fs::read_dir(dir.join("events/_casebook_index")).unwrap();
    folder.map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_counted_compacted_verified_repaired_and_emptied() {
    let dir = tempfile::tempdir().unwrap();
    small_files(dir.path()).await;
    let at = dir.path().to_str().unwrap();
    let store = |args: &[&str]| run(&[&["store"], args, &["--store", at]].concat());
    let found = || json_lines(&run(&["search", "failed password", "--store", at, "--output", "json"])).len();

    let stats = json_lines(&store(&["stats", "--output", "json"]));
    let tables: Vec<&str> = stats.iter().filter_map(|row| row["table"].as_str()).collect();
    assert_eq!(tables, ["events", "alerts", "dead_letters", "signals", "bindings"]);
    assert_eq!(stats[0]["table"], "events");
    assert_eq!((&stats[0]["files"], &stats[0]["small_files"]), (&6.into(), &6.into()));
    assert_eq!(stats[0]["last_date"], "2024-05-02");
    let sources = stdout(&store(&["stats", "--by", "source", "--output", "csv"]));
    assert!(
        sources.starts_with("source,rows,files,not_before,not_after\n") && sources.contains("\nauth,3,3,"),
        "{sources}"
    );
    let dates = json_lines(&store(&["stats", "--by", "date", "--output", "json"]));
    assert_eq!((dates.len(), &dates[1]["rows"]), (2, &3.into()));

    let done = store(&["compact", "--output", "json"]);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(said.contains("events: 6 files before, 2 now"), "{said}");
    assert!(said.contains("in 12 files are too young"), "{said}");
    let done = json_lines(&done);
    assert_eq!(
        (&done[0]["files_before"], &done[0]["files_after"]),
        (&6.into(), &2.into())
    );
    assert_eq!(found(), 6);

    let verified = store(&["verify", "--output", "json"]);
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(
        said.contains("read 6 rows in 2 files") && said.contains("all is well"),
        "{said}"
    );
    assert_eq!(stdout(&verified), "");

    // Every index goes: those of the replaced files are not missed.
    indexes(dir.path())
        .iter()
        .for_each(|path| std::fs::remove_file(path).unwrap());
    let verified = store(&["verify", "--output", "json"]);
    assert_eq!(verified.status.code(), Some(1));
    let rows = String::from_utf8(verified.stdout).unwrap();
    assert_eq!(rows.lines().count(), 2, "{rows}");
    assert!(
        rows.contains("casebook store rebuild-index") && rows.contains(".idx"),
        "{rows}"
    );
    let rebuilt = store(&["rebuild-index"]);
    assert!(String::from_utf8_lossy(&rebuilt.stderr).contains("2 of 2 files have a new index"));
    assert_eq!(store(&["verify"]).status.code(), Some(0));

    let would = store(&[
        "expire",
        "--older-than",
        "30d",
        "--source",
        "auth",
        "--dry-run",
        "--output",
        "json",
    ]);
    assert_eq!(json_lines(&would)[0]["rows"], 3);
    assert_eq!(found(), 6);
    let gone = json_lines(&store(&[
        "expire",
        "--older-than",
        "30d",
        "--source",
        "auth",
        "--output",
        "json",
    ]));
    assert_eq!((&gone[0]["rows"], &gone[0]["files_rewritten"]), (&3.into(), &2.into()));
    assert_eq!(found(), 3);
    let gone = json_lines(&store(&["expire", "--older-than", "30d", "--output", "json"]));
    assert_eq!(
        (&gone[0]["rows"], &gone[0]["last_date"]),
        (&3.into(), &"2024-05-02".into())
    );
    let tables = |rows: &[serde_json::Value]| rows.iter().map(|row| row["table"].to_string()).collect::<Vec<_>>();
    assert_eq!(tables(&gone), [r#""events""#, r#""dead_letters""#]);
    let horizon = [
        "expire",
        "--older-than",
        "30d",
        "--repair-horizon",
        "30d",
        "--output",
        "json",
    ];
    let gone = json_lines(&store(&horizon));
    assert_eq!(tables(&gone)[2..], [r#""signals""#, r#""bindings""#]);
    assert_eq!(store(&["verify"]).status.code(), Some(0));
    let swept = store(&["vacuum", "--older-than", "0s"]);
    assert!(String::from_utf8_lossy(&swept.stderr).contains("0 B in 0 files are too young"));
    assert_eq!(indexes(dir.path()), Vec::<std::path::PathBuf>::new());
}

/// Runs `casebook store`, which is to end with a code and to say something.
fn check(args: &[&str], code: i32, want: &str) {
    let output = run(&[&["store"], args].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    assert!(said.contains(want), "{args:?}: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_and_rebuilds_say_what_they_do() {
    let dir = tempfile::tempdir().unwrap();
    small_files(dir.path()).await;
    let at = dir.path().to_str().unwrap();
    let hold = |name: &'static str| {
        [
            "hold",
            "add",
            name,
            "--from",
            "2024-05-01",
            "--to",
            "2024-05-02",
            "--reason",
            "a case",
            "--store",
        ]
    };
    check(&[&hold("a b")[..], &[at]].concat(), 3, "letters, digits");
    check(&[&hold("case-1")[..], &[at]].concat(), 0, "hold release case-1");
    check(&[&hold("case-1")[..], &[at]].concat(), 3, "stands");
    check(&["hold", "add", "b", "--reason", "a case", "--store", at], 2, "--from");
    check(&["hold", "list", "--store", at], 0, "a case");
    check(
        &["expire", "--older-than", "30d", "--store", at],
        0,
        "2024-05-01 stays, the hold `case-1` touches it",
    );
    check(&["hold", "release", "nope", "--store", at], 3, "no hold `nope`");
    check(&["hold", "release", "case-1", "--store", at], 0, "is released");
    check(&["rebuild", "alerts", "--store", at], 2, "bindings");
    check(
        &["rebuild", "bindings", "--rules", "x.yml", "--store", at],
        2,
        "leave out --rules",
    );
    check(
        &["rebuild", "bindings", "--store", at],
        0,
        "bindings: 0 rows in 0 files",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_reported_with_the_right_code() {
    let dir = tempfile::tempdir().unwrap();
    small_files(dir.path()).await;
    let at = dir.path().to_str().unwrap();
    check(&["expire", "--store", at], 2, "--older-than");
    check(&["expire", "--older-than", "soon", "--store", at], 2, "soon");
    check(
        &["expire", "--older-than", "9d", "--source", "nope", "--store", at],
        2,
        "kubernetes_audit",
    );
    check(
        &[
            "expire",
            "--older-than",
            "9d",
            "--repair-horizon",
            "soon",
            "--store",
            at,
        ],
        2,
        "--repair-horizon",
    );
    check(&["compact", "--target", "0", "--store", at], 2, "--target");
    check(&["vacuum", "--older-than", "30d", "--store", at], 3, "seven days");
    let missing = dir.path().join("missing");
    check(
        &["verify", "--store", missing.to_str().unwrap()],
        3,
        "there is no store",
    );
    assert!(!missing.exists());
    // A log with a hole is a problem of the store, not of the command.
    std::fs::remove_file(dir.path().join("events/_delta_log/00000000000000000003.json")).unwrap();
    check(&["verify", "--store", at], 1, "events/_delta_log");
    check(&["compact", "--store", at], 3, "version 3");
    let output = casebook()
        .args(["search", "x", "--store", at])
        .env("CASEBOOK_CACHE_MIB", "much")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("CASEBOOK_CACHE_MIB: `much`"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_data_file_is_named_and_the_others_answer() {
    let dir = tempfile::tempdir().unwrap();
    small_files(dir.path()).await;
    let at = dir.path().to_str().unwrap();
    let date = dir.path().join("events/event_date=2024-05-01");
    let lost = std::fs::read_dir(date).unwrap().next().unwrap().unwrap();
    std::fs::remove_file(lost.path()).unwrap();
    let name = lost.file_name().into_string().unwrap();
    for (args, found) in [
        (&["search", "failed password", "-o", "json"][..], 5),
        (&["search", "failed", "--top", "source", "-o", "json"], 2),
        (&["search", "failed", "--count", "-o", "json"], 1),
    ] {
        let output = run(&[args, &["--store", at]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{args:?}: {said}");
        let answer = String::from_utf8(output.stdout).unwrap();
        assert_eq!(answer.lines().count(), found, "{args:?}: {answer}");
        let lines = said.lines().filter(|line| line.contains(&name));
        assert_eq!(lines.count(), 1, "{args:?}: {said}");
        assert!(said.contains("the answer lacks 1 data file"), "{args:?}: {said}");
    }
}

/// A compaction that is killed at any step leaves a store that is whole, and the next one goes on with what is left.
#[tokio::test(flavor = "multi_thread")]
async fn a_compaction_that_is_killed_leaves_a_whole_store_and_is_gone_on_with() {
    use std::os::unix::process::ExitStatusExt as _;
    // Two dates are two commits, each of a file and its index.
    for place in [
        "store.file=kill@1",
        "store.file=kill@2",
        "store.entry=kill@1",
        "store.entry=kill@2",
        "store.entry-written=kill@1",
        "store.entry-written=kill@2",
    ] {
        let dir = tempfile::tempdir().unwrap();
        small_files(dir.path()).await;
        let at = dir.path().to_str().unwrap();
        let killed = casebook()
            .args(["store", "compact", "--store", at])
            .env("CASEBOOK_FAILPOINTS", place)
            .output()
            .unwrap();
        assert_eq!(killed.status.signal(), Some(9), "{place}: {killed:?}");
        let whole = |when: &str| {
            let verified = run(&["store", "verify", "--store", at]);
            assert_eq!(verified.status.code(), Some(0), "{place}, {when}: {verified:?}");
            let found = json_lines(&run(&["search", "failed password", "--store", at, "--output", "json"]));
            let offsets: std::collections::BTreeSet<i64> = found
                .iter()
                .map(|event| event["casebook"]["position"]["offset"].as_i64().unwrap())
                .collect();
            assert_eq!((found.len(), offsets), (6, (0..6).collect()), "{place}, {when}");
        };
        whole("killed");
        stdout(&run(&["store", "compact", "--store", at]));
        whole("gone on with");
        let stats = json_lines(&run(&["store", "stats", "--store", at, "--output", "json"]));
        assert_eq!(stats[0]["files"], 2, "{place}");
    }
}
