//! Our tables as an independent Delta implementation reads them (`deploy/dev/deltalake`): its files, rows and transactions are
//! those that we read. The tables have been compacted and expired, and their first entries are gone, so that only a checkpoint
//! says what was in them.

use crate::alerts::alert;
use crate::kept::{binding, keep, rows, signal, window};
use crate::maintenance::compact;
use crate::support::{all, at, commit, files, letter, plain, range};

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use casebook_event::{AlertStatus, Kept, Partition, Source};
use casebook_store::{AlertsCommit, ExpireRequest, ReadToEnd, Store, StoreConfig, TableName, VacuumRequest};
use serde_json::{Value as Json, json};

/// Exit code of the reader where Python, or what it fetches, is missing.
const MISSING: i32 = 3;

const DAY: i64 = 86_400;

/// Commits of each kind before the checkpoint. The first of three dates expires.
const COMMITS: i64 = 24;

/// What a statement selects of a table, by columns that have the same form in JSON everywhere, in one order.
fn columns(table: TableName) -> (&'static str, &'static str) {
    match table {
        TableName::Events => (
            "event_id, cast(time as bigint), time_nanos, cast(event_date as varchar), source, user_name, raw, kafka_topic, \
             kafka_partition, kafka_offset",
            "kafka_offset",
        ),
        TableName::Alerts => (
            r#"id, revision, status, cast(time as bigint), cast(alert_date as varchar), rule_id, level, "group", alert"#,
            "id, revision",
        ),
        TableName::DeadLetters => (
            r#"cast(ingested as bigint), cast(ingest_date as varchar), topic, "partition", "offset", "index", reason, detail"#,
            r#""offset""#,
        ),
        TableName::Signals => (
            r#""key", time_nanos, cast(signal_date as varchar), kind, rule_id, "group", entities, kafka_offset, alert_id, met"#,
            r#"time_nanos, kind, "group""#,
        ),
        TableName::Bindings => (
            r#""key", to_key, time_nanos, cast(binding_date as varchar), from_kind, from_value, to_value, ends, how"#,
            "time_nanos, from_value",
        ),
    }
}

/// One commit to every table; dead letters come with every fourth.
async fn commit_everywhere(store: &Store, n: i64) {
    let mut event = plain(n);
    event.time = at(n % 3 * DAY + n);
    if n % 2 == 0 {
        event.source = Source::Auth;
    }
    let mut late = letter(n);
    late.ingested = at(n % 3 * DAY);
    let letters = if n % 4 == 0 { vec![late] } else { Vec::new() };
    let mut events = commit(vec![event], letters, range(0, n, n + 1));
    events.read_to_end = vec![ReadToEnd {
        partition: Partition::new("logs", 0),
        next: n + 1,
        at: Some(at(n)),
    }];
    store.commit_events(events).await.unwrap();

    let partition = Partition::new("logs", 0);
    let part = store.write_state_part(&partition, vec![7; 100]).await.unwrap();
    let commit = AlertsCommit {
        group: "c",
        alerts: &[alert(
            &format!("{:02x}", n % 9),
            n as u32,
            AlertStatus::Final,
            n % 3 * DAY + n,
        )],
        checkpoint: range(0, n, n + 1),
        follows: vec![],
        states: vec![(partition, vec![part])],
        now: at(n),
    };
    store.commit_alerts(commit).await.unwrap();

    let seconds = n % 3 * DAY + n;
    let kept = Kept {
        signals: rows(&[signal(seconds, "alice")], n),
        windows: rows(&[window(seconds, "bob")], n),
        bindings: rows(&[binding(seconds, "shop/web", &format!("uid-{n}"))], n),
    };
    keep(store, 0, kept, n + 1).await;
}

/// A store whose tables have a past: many commits, compactions, an expiry, a checkpoint, lost entries, and commits after it.
async fn store_with_a_past(dir: &Path) -> Store {
    // Checkpoints are written when this says so, and not in the background too.
    let config = StoreConfig {
        checkpoint_interval_commits: 0,
        ..StoreConfig::default()
    };
    let store = Store::open(dir.to_str().unwrap(), config).await.unwrap();
    for n in 0..COMMITS {
        commit_everywhere(&store, n).await;
    }
    for &table in TableName::ALL {
        store.checkpoint(table).await.unwrap();
        assert!(compact(&store, table).await.files_made > 0, "{table:?}");
    }
    let expiry = |sources: &[Source]| ExpireRequest {
        older_than: Duration::from_secs(DAY as u64),
        sources: sources.to_vec(),
        dry_run: false,
        now: at(2 * DAY + 1),
    };
    for (table, sources) in [
        (TableName::Events, &[Source::Auth][..]),
        (TableName::DeadLetters, &[][..]),
    ] {
        let expired = store.expire(table, &expiry(sources), &all, &mut |_| ()).await.unwrap();
        assert!(expired.rows > 0, "{table:?}");
    }
    let expired = store.expire_kept((at(DAY), at(DAY)), at(2 * DAY)).await.unwrap();
    assert!(expired.rows > 0);
    for &table in TableName::ALL {
        store.checkpoint(table).await.unwrap();
        forget_entries(&dir.join(table.name()), store.table_version(table).await.unwrap());
    }
    for n in COMMITS..COMMITS + 2 {
        commit_everywhere(&store, n).await;
    }
    // What no log names is not on the disk any more: what is left is our reading of the files.
    for &table in TableName::ALL {
        let request = VacuumRequest {
            older_than: Duration::ZERO,
            dry_run: false,
            now: at(10 * DAY),
        };
        let vacuumed = store.vacuum(table, request).await.unwrap();
        assert!(vacuumed.files > 0, "{table:?}");
    }
    store
}

/// Deletes the log's entries up to a version that has a checkpoint, and the checkpoints before it.
fn forget_entries(table: &Path, checkpoint: u64) {
    let log = table.join("_delta_log");
    for name in files(&log, "").into_iter().filter(|name| name != "_last_checkpoint") {
        let version: u64 = name[..20].parse().unwrap();
        if version < checkpoint || (version == checkpoint && name.ends_with(".json")) {
            std::fs::remove_file(log.join(name)).unwrap();
        }
    }
}

/// What the other implementation answers; `None` after saying that the test is skipped. In CI a missing reader is a failure.
fn ask(test: &str, questions: &[Json]) -> Option<Vec<Json>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/dev/deltalake");
    let mut reader = Command::new(script)
        .arg("read")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: String = questions.iter().map(|question| format!("{question}\n")).collect();
    // A reader that is missing does not read what it is asked.
    let _ = reader.stdin.take().unwrap().write_all(lines.as_bytes());
    let output = reader.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(MISSING) {
        assert!(std::env::var_os("CI").is_none(), "{test} needs deltalake: {said}");
        let line = format!("skipped: {test}: {}\n", said.trim());
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        return None;
    }
    assert!(output.status.success(), "{said}");
    let text = String::from_utf8(output.stdout).unwrap();
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// The transactions that a table must have, as we read them.
async fn transactions(store: &Store, table: TableName) -> Json {
    let end = COMMITS + 2;
    // The last commit with letters.
    let last_letter = (end - 1) / 4 * 4 + 1;
    let partition = Partition::new("logs", 0);
    match table {
        TableName::Events => {
            assert_eq!(store.offsets("g").await.unwrap()[&partition], end);
            json!({"casebook:g:logs:0": end, "end-casebook:g:logs:0": end, "casebook:other:logs:0": null})
        }
        TableName::Alerts => {
            assert_eq!(store.signal_offsets("c").await.unwrap()[&partition].next, end);
            json!({"casebook:c:logs:0": end})
        }
        TableName::DeadLetters => json!({"casebook:g:logs:0": last_letter}),
        TableName::Signals | TableName::Bindings => {
            let since = store.kept_since().await.unwrap();
            assert_eq!(since, at(DAY));
            let since_ms = since.as_nanos() / 1_000_000;
            json!({"casebook:g:casebook.signals:0": end, "casebook-kept-since": since_ms})
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_implementation_reads_what_we_read() {
    let dir = tempfile::tempdir().unwrap();
    drop(store_with_a_past(dir.path()).await);
    // Our own reading too begins with the checkpoint.
    let store = Store::open_existing(dir.path().to_str().unwrap(), StoreConfig::default())
        .await
        .unwrap();
    let (mut questions, mut ours) = (Vec::new(), Vec::new());
    for &table in TableName::ALL {
        let (columns, order) = columns(table);
        let select = |from: &str| format!("select {columns} from {from} order by {order}");
        let place = dir.path().join(table.name());
        let mut on_disk = files(&place, ".parquet");
        on_disk.retain(|path| !path.starts_with("_delta_log"));
        let status = store.table_status(table).await.unwrap();
        assert_eq!(status.files, on_disk.len() as u64);
        let rows = store.sql(&select(table.name()), 1_000).await.unwrap().rows;
        assert_eq!(status.rows, rows.len() as u64);
        assert!(rows.len() >= 5, "{table:?} has {} rows", rows.len());
        let transactions = transactions(&store, table).await;
        let app_ids: Vec<&String> = transactions.as_object().unwrap().keys().collect();
        questions.push(json!({"table": place, "sql": select("t"), "app_ids": app_ids}));
        ours.push(json!({
            "version": status.version,
            "files": on_disk,
            "rows": rows,
            "transactions": transactions,
        }));
    }
    let Some(theirs) = ask("another_implementation_reads_what_we_read", &questions) else {
        return;
    };
    assert_eq!(theirs.len(), ours.len());
    for ((theirs, ours), table) in theirs.iter().zip(&ours).zip(TableName::ALL) {
        for part in ["version", "files", "transactions", "rows"] {
            assert_eq!(theirs[part], ours[part], "{part} of {table:?}");
        }
    }
}
