//! `casebook search` and `casebook sql` over the store of a demo.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Output, Stdio};

use casebook_event::Timestamp;

use crate::support::{casebook, json_lines, run, stdout};

struct Demo {
    directory: tempfile::TempDir,
}

impl Demo {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let demo = Self { directory };
        stdout(&run(&["demo", "--seed", "1", "--store", &demo.store()]));
        demo
    }

    fn store(&self) -> String {
        self.directory.path().join("store").to_str().unwrap().to_owned()
    }

    fn search(&self, args: &[&str]) -> Output {
        casebook()
            .arg("search")
            .args(args)
            .args(["--store", &self.store()])
            .env("XDG_CONFIG_HOME", self.directory.path())
            .output()
            .unwrap()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn searches_count_sort_export_and_say_what_they_lack() {
    let demo = Demo::new();
    let count: u64 = stdout(&demo.search(&["--count"])).trim().parse().unwrap();
    assert!(count > 1_000, "{count}");

    // However it is counted, it is the same number.
    let counts = |args: &[&str]| -> u64 {
        let rows = json_lines(&demo.search(&[args, &["--limit", "100000", "-o", "json"]].concat()));
        rows.iter().map(|row| row["count"].as_u64().unwrap()).sum()
    };
    for args in [
        &["--histogram", "5m"][..],
        &["--top", "source"],
        &["--histogram", "1h", "--top", "source,verb"],
    ] {
        assert_eq!(counts(args), count, "{args:?}");
    }
    let bars = stdout(&demo.search(&["--histogram", "5m"]));
    assert!(bars.lines().count() >= 5 && bars.contains('█'), "{bars}");

    // The most frequent come first, and are as many as a search for them finds.
    let top = json_lines(&demo.search(&["source:auth", "--top", "event.action", "-o", "ndjson", "--limit", "1"]));
    let action = top[0]["event.action"].as_str().unwrap();
    let found = stdout(&demo.search(&["source:auth", &format!("verb:{action}"), "--count"]));
    assert_eq!(found.trim(), top[0]["count"].to_string());

    // Order.
    let times = |sort: &str| -> Vec<Timestamp> {
        let output = demo.search(&["source:auth", "--sort", sort, "--fields", "time,ip", "-o", "json"]);
        json_lines(&output)
            .iter()
            .map(|row| Timestamp::parse_rfc3339(row["time"].as_str().unwrap()).unwrap())
            .collect()
    };
    assert!(times("time").is_sorted() && times("time").len() == 50);
    assert!(times("-time").is_sorted_by(|a, b| a >= b));
    let users = json_lines(&demo.search(&["user:*", "--sort", "user", "--fields", "user", "-o", "json"]));
    assert!(users.iter().map(|row| row["user"].to_string()).is_sorted());

    // Formats. A Parquet file begins and ends with its mark.
    let whole = json_lines(&demo.search(&["source:cloudtrail", "-o", "json", "-n", "3"]));
    assert!(
        whole.len() == 3 && whole.iter().all(|event| event["event"]["id"].is_string()),
        "{whole:?}"
    );
    let csv = stdout(&demo.search(&["source:cloudtrail", "-o", "csv", "-n", "3"]));
    assert_eq!(
        (csv.lines().count(), csv.lines().next()),
        (
            4,
            Some("time,source,user.name,source.ip,event.action,event.outcome,what")
        )
    );
    let parquet = demo.search(&["source:cloudtrail", "-o", "parquet"]).stdout;
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));

    // Coverage, and what was read.
    let output = demo.search(&["source:auth", "--explain"]);
    let text = said(&output);
    for part in [
        "coverage: application to ",
        "auth to ",
        "could not be decoded",
        "explain: ",
        "asked by their index",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let strict = demo.search(&["source:auth", "--strict"]);
    assert_eq!(strict.status.code(), Some(1));
    let lacks = said(&strict);
    let lacks = lacks.split_once("may lack something: ").unwrap().1;
    assert!(lacks.contains("records could not be decoded"), "{lacks}");
    let nothing = demo.search(&["no_such_word_anywhere"]);
    assert_eq!(nothing.status.code(), Some(1));
    for (wrong, says) in [
        (&["user:("][..], "character 7"),
        (&["--histogram", "5 parsecs"], "--histogram"),
        (&["--top", "user", "-o", "parquet"], "whole events"),
        (&["@nobody"], "--saved"),
    ] {
        let output = demo.search(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {}", said(&output));
        assert!(said(&output).contains(says), "{wrong:?}: {}", said(&output));
    }
}

#[test]
fn a_query_is_saved_and_a_search_follows_what_comes() {
    let demo = Demo::new();
    assert!(
        demo.search(&["source:auth OR source:container", "--save", "node"])
            .status
            .success()
    );
    assert!(stdout(&demo.search(&["--saved"])).contains("source:auth OR source:container"));
    let by_source = |query: &str| -> BTreeMap<String, u64> {
        json_lines(&demo.search(&[query, "--top", "source", "-o", "json"]))
            .iter()
            .map(|row| {
                (
                    row["source"].as_str().unwrap().to_owned(),
                    row["count"].as_u64().unwrap(),
                )
            })
            .collect()
    };
    let before = by_source("@node");
    assert_eq!(before.len(), 2, "{before:?}");
    assert_eq!(by_source("NOT @node").len() + 2, by_source("").len());

    let mut following = casebook()
        .args([
            "search",
            "source:auth",
            "--follow",
            "-n",
            "1",
            "-o",
            "json",
            "--store",
            &demo.store(),
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    // What is there already comes first; so it has begun when this is read.
    assert!(lines.next().unwrap().unwrap().contains("auth"));
    stdout(&run(&["demo", "--seed", "2", "--store", &demo.store()]));
    let new = by_source("")["auth"] - before["auth"];
    assert!(new > 0);
    for _ in 0..new {
        let line = lines.next().unwrap().unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok(), "{line}");
    }
    let kill = std::process::Command::new("kill")
        .args(["-INT", &following.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    assert!(following.wait().unwrap().success());
    assert!(lines.next().is_none(), "nothing is printed twice");
}

#[test]
fn sql_is_read_from_a_pipe_and_asks_the_index() {
    let demo = Demo::new();
    let mut sql = casebook()
        .args(["sql", "--store", &demo.store(), "-o", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let statement =
        "SELECT source, count(*) AS n FROM events WHERE matches('source:auth OR verb:exec')\n GROUP BY 1 ORDER BY 1;\n";
    sql.stdin.take().unwrap().write_all(statement.as_bytes()).unwrap();
    let mut text = String::new();
    sql.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(sql.wait().unwrap().success());
    let rows: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let total: u64 = rows.iter().map(|row| row["n"].as_u64().unwrap()).sum();
    let count = stdout(&demo.search(&["source:auth OR verb:exec", "--count"]));
    assert_eq!(total.to_string(), count.trim());

    let bash = stdout(&run(&["completions", "bash"]));
    assert!(bash.contains("casebook") && bash.contains("--histogram"));
}
