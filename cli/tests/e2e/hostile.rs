//! What an attacker writes into a log, and what a user does by mistake: no command panics, hangs, or lets either reach the
//! terminal.

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use casebook_event::{
    CheckpointDelta, Event, EventId, FieldId, Fields, Native, Partition, Position, Source, Timestamp,
};
use casebook_store::{EventsCommit, Store, StoreConfig};

use crate::support::{casebook, run, stdout};

/// Characters that must not reach a terminal, of each kind.
const UNSEEN: &str = "\u{1b}\u{7}\u{7f}\u{85}\u{9b}\u{ad}\u{61c}\u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\
                      \u{202b}\u{202c}\u{202d}\u{202e}\u{2060}\u{2066}\u{2067}\u{2068}\u{2069}\u{feff}\u{fe0f}\u{e0041}\u{e0100}";

fn event(n: i64, message: &str) -> Event {
    let mut fields = Fields::new();
    fields.set(FieldId::Message, message);
    fields.set(
        FieldId::UserName,
        format!("mallory{}", message.get(..200).unwrap_or(message)).as_str(),
    );
    fields.set(FieldId::EventAction, "ssh_login");
    Event {
        id: EventId::from_u128(n as u128 + 1),
        time: Timestamp::from_seconds(1_714_521_600 + n),
        ingested: Timestamp::from_seconds(1_714_521_600),
        source: Source::Auth,
        position: Position {
            topic: "logs".into(),
            partition: 0,
            offset: n,
            index: 0,
        },
        fields,
        native: Native::NONE,
        raw: message.into(),
    }
}

/// A store of these messages, one event each.
async fn store_of(dir: &Path, messages: &[String]) -> String {
    let at = dir.join("store").to_str().unwrap().to_owned();
    let store = Store::open(&at, StoreConfig::default()).await.unwrap();
    let mut checkpoint = CheckpointDelta::new();
    let last = messages.len() as i64 - 1;
    checkpoint.record(&Partition::new("logs", 0), 0, last);
    let commit = EventsCommit {
        group: "g",
        events: messages.iter().zip(0..).map(|(message, n)| event(n, message)).collect(),
        prepared: Vec::new(),
        dead_letters: Vec::new(),
        checkpoint,
        read_to_end: Vec::new(),
        now: Timestamp::from_seconds(1_714_521_600),
    };
    store.commit_events(commit).await.unwrap();
    at
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn no_bug(output: &Output, what: &str) {
    let said = said(output);
    assert!(output.status.code().is_some(), "{what}: {}\n{said}", output.status);
    assert!(
        !said.contains("panicked") && !said.contains("a bug at"),
        "{what}: {said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cell_of_any_width_is_printed_by_every_command() {
    let dir = tempfile::tempdir().unwrap();
    let messages: Vec<String> = [65_535, 65_536, 200_000].map(|width| "x".repeat(width)).to_vec();
    let at = store_of(dir.path(), &messages).await;
    for args in [
        &["search", "--store", &at][..],
        &["search", "--fields", "message,user", "--store", &at],
        &["search", "--top", "message,user", "--store", &at],
        &["search", "--top", "message", "--histogram", "1h", "--store", &at],
        &["sql", "SELECT message, raw, source FROM events", "--store", &at],
        &[
            "sql",
            "SELECT message, raw, source FROM events",
            "--output",
            "csv",
            "--store",
            &at,
        ],
        &["timeline", "--all", "user:mallory*", "--store", &at],
        &[
            "timeline",
            "--all",
            "event:00000000000000000000000000000001",
            "--store",
            &at,
        ],
        &["entity", "list", "--store", &at],
    ] {
        let output = run(args);
        no_bug(&output, &args.join(" "));
    }
    let shown = stdout(&run(&["sql", "SELECT raw, source FROM events", "--store", &at]));
    assert!(
        shown.contains(&"x".repeat(200_000)),
        "nothing is cut where it goes to a file"
    );
    assert!(
        shown.len() < 400_000,
        "and one cell does not pad the others: {}",
        shown.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_unseen_reaches_a_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let hostile = format!("a{UNSEEN}b\r\n\tc");
    let at = store_of(dir.path(), std::slice::from_ref(&hostile)).await;
    let name = format!("r{}.yml", UNSEEN.replace('/', ""));
    let rule = dir.path().join(&name).to_str().unwrap().to_owned();
    std::fs::write(
        &rule,
        format!(
            "title: \"t{UNSEEN}\"\nid: 6a8e2c9e-5f0b-4f62-8d1c-0f3b3b0c4d01\nlogsource: {{ product: linux, service: auth }}\n\
             detection: {{ a: {{ \"message{UNSEEN}|contains\": \"x{UNSEEN}\" }}, condition: a }}\n"
        )
        .replace('\u{1b}', "\\e")
        .replace('\u{7}', "\\a"),
    )
    .unwrap();
    let log = dir.path().join(format!("log{UNSEEN}.log")).to_str().unwrap().to_owned();
    std::fs::write(&log, format!("{hostile}\n{{\"a\": \"{UNSEEN}\n")).unwrap();
    let commands: &[&[&str]] = &[
        &["search", "--store", &at],
        &["search", "--output", "json", "--store", &at],
        &["search", "--output", "csv", "--store", &at],
        &["search", "--top", "message,user", "--store", &at],
        &["search", &format!("user:\"{hostile}"), "--store", &at],
        &["search", &hostile, "--fields", UNSEEN, "--store", &at],
        &["sql", "SELECT raw, message, user_name FROM events", "--store", &at],
        &[
            "sql",
            "SELECT raw, message, user_name FROM events",
            "-o",
            "csv",
            "--store",
            &at,
        ],
        &[
            "sql",
            "SELECT raw, message, user_name FROM events",
            "-o",
            "json",
            "--store",
            &at,
        ],
        &["sql", &format!("SELECT 1 AS \"{UNSEEN}\""), "--store", &at],
        &["sql", &format!("SELECT \"{UNSEEN}\" FROM events"), "--store", &at],
        &["timeline", "event:00000000000000000000000000000001", "--store", &at],
        &["entity", "show", &format!("user:mallory{hostile}"), "--store", &at],
        &["entity", "list", "--store", &at],
        &["alert", "show", &hostile, "--store", &at],
        &["search", "--store", &format!("/nowhere/{UNSEEN}")],
        &["rule", "lint", &rule],
        &["rule", "lint", "--output", "sarif", &rule],
        &["rule", "lint", "--output", "json", &rule],
        &["rule", "list", "--rules", &rule],
        &["rule", "explain", "--rules", &rule, &hostile, &log],
        &["rule", "test", &rule],
        &["rule", "test", "--output", "junit", &rule],
        &["replay", "--rules", &rule, "--source", "auth", &log],
        &["replay", "--source", &hostile, &log],
        &["normalize", "--explain", &log],
        &["normalize", "--source", "auth", "--explain", &log],
        &["normalize", &format!("/nowhere/{UNSEEN}")],
        &["run", "--config", &rule],
        &["doctor", "--config", &rule],
        &[UNSEEN],
        &["search", &format!("--{UNSEEN}")],
        &["search", "--output", UNSEEN],
        &["sql", "--timeout", UNSEEN],
    ];
    for args in commands {
        for log_format in ["text", "json"] {
            let output = casebook()
                .args(*args)
                .env("CASEBOOK_LOG", "debug")
                .env("CASEBOOK_LOG_FORMAT", log_format)
                .output()
                .unwrap();
            no_bug(&output, &format!("{args:?}"));
            for stream in [&output.stdout, &output.stderr] {
                let shown = String::from_utf8(stream.clone()).unwrap();
                // Help is cut into lines with tabs of our own; nothing else has one.
                let bad: Vec<char> = shown
                    .chars()
                    .filter(|c| UNSEEN.contains(*c) || matches!(c, '\r' | '\t'))
                    .collect();
                assert!(bad.is_empty(), "{args:?}: {bad:?} in {shown:?}");
            }
        }
    }
}

/// Runs a command whose reader goes away after a few bytes.
fn left_early(command: &mut Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut few = [0; 10];
    let _ = out.read(&mut few).unwrap();
    drop(out);
    child.wait_with_output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_ends_a_command_quietly() {
    let dir = tempfile::tempdir().unwrap();
    // More than a pipe holds.
    let messages: Vec<String> = (0..400).map(|n| format!("{n} {}", "x".repeat(1_000))).collect();
    let at = store_of(dir.path(), &messages).await;
    let log = dir.path().join("a.log").to_str().unwrap().to_owned();
    std::fs::write(
        &log,
        "2026-11-24T10:00:00.000000+00:00 n sshd[1]: Failed password for root from 203.0.113.7 port 1 ssh2\n"
            .repeat(3_000),
    )
    .unwrap();
    for args in [
        &["search", "--limit", "400", "--fields", "raw", "--store", &at][..],
        &["search", "--limit", "400", "--output", "json", "--store", &at],
        &[
            "search", "--limit", "400", "--output", "csv", "--fields", "raw", "--store", &at,
        ],
        &["search", "--limit", "400", "--output", "parquet", "--store", &at],
        &["sql", "SELECT raw FROM events", "--store", &at],
        &["sql", "SELECT raw FROM events", "--output", "csv", "--store", &at],
        &["sql", "SELECT raw FROM events", "--output", "json", "--store", &at],
        &["normalize", "--source", "auth", &log],
        &["rule", "schema"],
        &["rule", "list", "--output", "json"],
        &["completions", "zsh"],
        &["search", "--help"],
    ] {
        let output = left_early(casebook().args(args));
        no_bug(&output, &args.join(" "));
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", said(&output));
        assert!(!said(&output).contains("roken pipe"), "{args:?}: {}", said(&output));
    }
    // Nobody listens to what is said beside the answer, either.
    let mut child = casebook()
        .args(["search", "--count", "--store", &at])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), output.stdout.as_slice()),
        (Some(0), &b"400\n"[..])
    );
}

#[test]
fn help_is_printed_on_terminals_of_any_width() {
    for columns in ["0", "1", "2", "7", "99999999999999999999", "x"] {
        for args in [&["--help"][..], &["search", "--help"], &["sql", "-h"], &["nonsense"]] {
            let output = casebook().args(args).env("COLUMNS", columns).output().unwrap();
            no_bug(&output, &format!("COLUMNS={columns} {args:?}"));
        }
    }
}

#[test]
fn what_is_read_as_configuration_is_a_bounded_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let pipe = path("pipe.yml");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::fs::create_dir(path("empty")).unwrap();
    let started = Instant::now();
    for (args, code, part) in [
        (&["rule", "lint", "/dev/zero"][..], 3, "a device"),
        (&["rule", "lint", &pipe], 3, "a pipe"),
        (&["rule", "lint", &path("empty")], 3, "no .yml"),
        (&["rule", "test", "/dev/zero"], 3, "a device"),
        (&["rule", "list", "/dev/urandom"], 3, "a device"),
        (&["run", "--config", "/dev/zero"], 2, "a device"),
        (&["doctor", "--config", &pipe], 2, "a pipe"),
        (&["run", "--config", &path("empty")], 2, "directory"),
        (&["replay", "--rules", "/dev/zero", "x"], 3, "a device"),
        (&["replay", "/dev/zero"], 3, "a device"),
        (&["normalize", &path("empty")], 3, "directory"),
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", said(&output));
        assert!(said(&output).contains(part), "{args:?}: {}", said(&output));
    }
    assert!(
        started.elapsed() < Duration::from_secs(60),
        "none of them waits for an end"
    );
    // Records may come through a pipe.
    let output = casebook()
        .args(["normalize", "--source", "auth", &pipe])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::fs::write(&pipe, "2026-11-24T10:00:00.000000+00:00 n sshd[1]: hello\n").unwrap();
    let output = output.wait_with_output().unwrap();
    assert!(output.status.success() && !output.stdout.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_is_bounded_in_memory_and_time() {
    let dir = tempfile::tempdir().unwrap();
    let messages: Vec<String> = (0..200).map(|n| format!("message {n}")).collect();
    let at = store_of(dir.path(), &messages).await;
    let doubled: String = (1..40)
        .map(|n| format!(", t{n} AS (SELECT concat(x, x) AS x FROM t{})", n - 1))
        .collect();
    let doubled = format!("WITH t0 AS (SELECT message AS x FROM events){doubled} SELECT length(x) FROM t39");
    let cross = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b WHERE a.value * b.value % 1000003 < 7";
    for (statement, part) in [
        ("SELECT repeat('x', 1000000000)", "repeat would make"),
        ("SELECT length(repeat(raw, 10000000)) FROM events", "repeat would make"),
        ("SELECT lpad(raw, 1000000000) FROM events", "lpad would make"),
        ("SELECT rpad('x', 2000000000)", "rpad would make"),
        (
            "SELECT array_length(array_repeat(raw, 100000000)) FROM events",
            "array_repeat would make",
        ),
        (
            "SELECT array_length(generate_series(1, 1000000000))",
            "generate_series would make",
        ),
        ("SELECT array_length(range(1000000000))", "range would make"),
        (
            "SELECT length(replace(repeat(raw, 1000), 'e', repeat('y', 10000))) FROM events",
            "replace would make",
        ),
        (&doubled, "SQL: "),
        (cross, "longer than"),
        (
            "SELECT count(*) FROM events a, events b, events c, events d, events e",
            "SQL: ",
        ),
        (
            "SELECT array_agg(a.value) FROM generate_series(1, 1000000000) a",
            "SQL: ",
        ),
        (
            "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t",
            "SQL: ",
        ),
        (
            "SELECT a.value FROM generate_series(1, 100000000) a ORDER BY -a.value",
            "SQL: ",
        ),
    ] {
        let started = Instant::now();
        let limits = ["--memory-limit-mib", "128", "--timeout", "5s", "--limit", "1000000"];
        let output = casebook()
            .args(["sql", statement, "--store", &at])
            .args(limits)
            .output()
            .unwrap();
        no_bug(&output, statement);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(3), "{statement}: {said}");
        assert!(said.contains(part), "{statement}: {said}");
        assert!(
            said.contains("--memory-limit-mib"),
            "{statement}: it says what to do: {said}"
        );
        assert!(started.elapsed() < Duration::from_secs(60), "{statement}");
    }
    // What is modest works, also with a limit said in the environment.
    let output = casebook()
        .args([
            "sql",
            "SELECT rpad(repeat('ab', 3), 8, '.') AS a, replace('a-b', '-', '+') AS b, range(3) AS c",
            "--store",
            &at,
        ])
        .args(["-o", "json"])
        .env("CASEBOOK_SQL_MEMORY_MIB", "64")
        .env("CASEBOOK_SQL_TIMEOUT", "90s")
        .output()
        .unwrap();
    assert_eq!(stdout(&output), "{\"a\":\"ababab..\",\"b\":\"a+b\",\"c\":[0,1,2]}\n");
    // A statement may be as long and as deep as its bound of bytes lets it.
    let sum = format!("SELECT {} AS n", vec!["1"; 500].join("+"));
    let any = format!(
        "SELECT count(*) AS n FROM events WHERE {}",
        vec!["raw = 'x'"; 1_000].join(" OR ")
    );
    let members = format!(
        "SELECT count(*) AS n FROM events WHERE raw IN ({})",
        vec!["'x'"; 15_000].join(",")
    );
    let nested = format!("SELECT {}1{}", "(".repeat(20_000), ")".repeat(20_000));
    for statement in [&sum, &any, &members, &nested] {
        let output = run(&["sql", statement, "--store", &at]);
        no_bug(&output, &statement[..60]);
        assert!(
            matches!(output.status.code(), Some(0 | 2 | 3)),
            "{}: {}",
            &statement[..60],
            said(&output)
        );
    }
}

#[test]
fn what_a_new_user_does_wrong_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("file"), "no store").unwrap();
    std::fs::create_dir(path("empty")).unwrap();
    std::fs::write(path("binary"), [0xff, 0xfe, 0, 1, 2, 3]).unwrap();
    let (file, empty, absent) = (path("file"), path("empty"), path("absent"));
    for (args, codes) in [
        (&["search", "--store", &absent][..], &[3][..]),
        (&["search", "--store", &file], &[3]),
        (&["search", "--store", &empty], &[3]),
        (&["search", "--store", ""], &[2, 3]),
        (&["sql", "SELECT 1", "--store", &file], &[3]),
        (&["store", "stats", "--store", &file], &[3]),
        (&["timeline", "pod:a", "--store", &empty], &[3]),
        (&["search", "--limit", "-1"], &[2]),
        (&["search", "--limit", "99999999999999999999999"], &[2]),
        (&["search", "--from", "9999999-01-01"], &[2]),
        (&["search", "--since", "99999999999w"], &[2]),
        (&["search", "--fields", "", "--store", &absent], &[2]),
        (&["search", "--top", "user,,verb", "--store", &absent], &[2]),
        (&["sql", "SELECT 1", "--memory-limit-mib", "0"], &[2]),
        (&["sql", "SELECT 1", "--timeout", "0s"], &[2]),
        (&["sql", "SELECT 1", "--timeout", "never"], &[2]),
        (&["rule", "lint", &path("binary")], &[3]),
        (&["rule", "lint", &absent], &[3]),
        (&["normalize", &absent], &[3]),
        (&["run", "--config", &absent], &[2]),
        (&["run", "--config", &path("binary")], &[2]),
    ] {
        let output = casebook().args(args).current_dir(dir.path()).output().unwrap();
        no_bug(&output, &format!("{args:?}"));
        let code = output.status.code().unwrap();
        assert!(codes.contains(&code), "{args:?}: {code}: {}", said(&output));
        assert!(!said(&output).is_empty(), "{args:?}");
        assert!(!Path::new(&absent).exists(), "{args:?} makes nothing");
    }
    // A file of anything is a file of records that are no events.
    let output = run(&["normalize", &path("binary")]);
    no_bug(&output, "binary");
}
