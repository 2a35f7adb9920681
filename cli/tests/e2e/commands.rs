//! The commands that need no broker.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use crate::support::{casebook, json_lines, run, stdout};

/// Ten failed logins and a success from one address, in the real format of an auth log.
fn brute_force() -> String {
    let mut log = String::new();
    for n in 0..10 {
        log += &format!(
            "2026-11-24T10:00:{n:02}.000000+00:00 node-1 sshd[{n}]: Failed password for root from 203.0.113.7 port 40{n:02} ssh2\n"
        );
    }
    log += "2026-11-24T10:00:30.000000+00:00 node-1 sshd[99]: Accepted password for root from 203.0.113.7 port 4099 ssh2\n";
    log
}

const RULES: &str = r"title: Failed login
id: 6a8e2c9e-5f0b-4f62-8d1c-0f3b3b0c4d01
name: failed_login
level: low
logsource: { product: linux, service: auth }
detection:
  selection:
    event.action: ssh_login
    event.outcome: failure
  condition: selection
---
title: Brute force
id: 6a8e2c9e-5f0b-4f62-8d1c-0f3b3b0c4d02
level: high
correlation:
  type: event_count
  rules: [failed_login]
  group-by: [source.ip]
  timespan: 1m
  condition: { gte: 5 }
";

struct Files {
    directory: tempfile::TempDir,
}

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        Self { directory }
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }
}

#[test]
fn replay_tells_who_when_and_on_what_evidence() {
    let files = Files::new(&[("auth.log", &brute_force()), ("rules.yml", RULES)]);
    let output = run(&[
        "replay",
        "--rules",
        &files.path("rules.yml"),
        "--source",
        "auth",
        &files.path("auth.log"),
    ]);
    let alerts = json_lines(&output);
    assert_eq!(alerts.len(), 1, "{alerts:#?}");
    let alert = &alerts[0];
    assert_eq!(alert["rule"]["name"], "Brute force");
    assert_eq!(alert["rule"]["id"], "6a8e2c9e-5f0b-4f62-8d1c-0f3b3b0c4d02");
    assert_eq!(alert["rule"]["level"], "high");
    assert_eq!(alert["alert"]["revision"], 1);
    assert_eq!(
        alert["alert"]["time"], "2026-11-24T10:00:04Z",
        "the time at which the fifth failure came"
    );
    assert_eq!(alert["group"]["source.ip"], "203.0.113.7");
    assert_eq!(alert["evidence"].as_array().unwrap().len(), 10);
    assert_eq!(alert["evidence"][0]["position"]["offset"], 1);
    assert_eq!(alert["evidence"][0]["event_id"].as_str().unwrap().len(), 32);
}

#[test]
fn replay_does_not_care_for_order_duplicates_or_files() {
    let log = brute_force();
    let mut lines: Vec<&str> = log.lines().collect();
    lines.reverse();
    let (one, two) = lines.split_at(4);
    let (one, two) = (one.join("\n") + "\n", two.join("\n") + "\n");
    let files = Files::new(&[("all", &log), ("one", &one), ("two", &two), ("rules.yml", RULES)]);
    let replay = |names: &[&str]| {
        let paths: Vec<String> = names.iter().map(|name| files.path(name)).collect();
        let rules = files.path("rules.yml");
        let mut args = vec!["replay", "--rules", &rules, "--source", "auth"];
        args.extend(paths.iter().map(String::as_str));
        let mut alerts = json_lines(&run(&args));
        for evidence in alerts
            .iter_mut()
            .flat_map(|alert| alert["evidence"].as_array_mut().unwrap())
        {
            evidence["position"] = serde_json::Value::Null;
        }
        alerts
    };
    let ordered = replay(&["all"]);
    assert_eq!(ordered.len(), 1);
    assert_eq!(ordered, replay(&["one", "two"]));
    assert_eq!(ordered, replay(&["two", "one", "all"]));
}

#[test]
fn normalize_reads_standard_input() {
    let mut child = casebook()
        .args(["normalize", "--source", "auth", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(brute_force().as_bytes()).unwrap();
    let events = json_lines(&child.wait_with_output().unwrap());
    assert_eq!(events.len(), 11);
    assert_eq!(events[0]["source"]["ip"], "203.0.113.7");
    assert_eq!(events[0]["user"]["name"], "root");
    assert_eq!(events[0]["event"]["outcome"], "failure");
    assert_eq!(events[10]["event"]["outcome"], "success");
    assert_eq!(events[10]["@timestamp"], "2026-11-24T10:00:30Z");
}

#[test]
fn mistakes_are_reported_with_the_right_exit_code() {
    let files = Files::new(&[
        ("broken.yml", "title: x\nid: [\n"),
        (
            "bad.yml",
            "title: x\nid: 6a8e2c9e-5f0b-4f62-8d1c-0f3b3b0c4d09\nlogsource: { product: linux }\ndetection:\n  selection: { a|nosuch: b }\n  condition: selection\n",
        ),
        ("config.yaml", "kafka:\n  brokers: b\n  topcis: []\n"),
        ("log", "x\n"),
    ]);
    let check = |args: &[&str], code: i32, want: &str| {
        let output = run(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(want), "{args:?}: {said}");
    };
    let missing = files.path("missing");
    check(&["nonsense"], 2, "nonsense");
    check(&["search", "x", "--store", &missing], 3, &missing);
    check(&["alert", "list", "--store", &missing], 3, &missing);
    check(&["replay", &missing], 3, &missing);
    check(
        &["replay", "--source", "nope", &files.path("log")],
        2,
        "kubernetes_audit",
    );
    check(
        &["replay", "--rules", &files.path("broken.yml"), &files.path("log")],
        2,
        "broken.yml:",
    );
    check(&["rule", "lint", &files.path("bad.yml")], 1, "nosuch");
    check(&["run", "--config", &files.path("config.yaml")], 2, "line 3");
    check(&["search", "x", "--since", "soon"], 2, "soon");
    check(&["run", "--config", &missing], 2, &missing);
    assert!(
        !Path::new(&missing).exists(),
        "reading a store that is not there must not make one"
    );
}

#[test]
fn the_built_in_rules_are_sound_and_pass_their_tests() {
    let output = run(&["rule", "lint", "--output", "json"]);
    let errors: Vec<_> = json_lines(&output)
        .into_iter()
        .filter(|line| line["severity"] == "error")
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let output = run(&["rule", "test", "--output", "json"]);
    let outcomes: Vec<serde_json::Value> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let failed: Vec<_> = outcomes.iter().filter(|outcome| outcome["result"] != "ok").collect();
    assert!(failed.is_empty() && output.status.success(), "{failed:#?}");
    assert!(
        outcomes.len() >= 48,
        "every rule has a positive and a negative test: {}",
        outcomes.len()
    );
    let rules = json_lines(&run(&["rule", "list", "--output", "json"]));
    assert!(rules.iter().filter(|rule| rule["type"] == "detection").count() >= 20);
    assert!(rules.iter().filter(|rule| rule["type"] != "detection").count() >= 4);
}

#[test]
fn a_failing_rule_test_says_why() {
    let text = RULES.replacen(
        "  condition: selection\n---",
        "  condition: selection\ncasebook:\n  tests:\n    - name: wrong\n      events:\n        - source: auth\n          raw: '2026-11-24T10:00:00Z h sshd[1]: Accepted password for a from 192.0.2.1 port 1 ssh2'\n      expect: 1\n---",
        1,
    );
    let files = Files::new(&[("rules.yml", &text)]);
    let output = run(&["rule", "test", &files.path("rules.yml")]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("FAILED") && said.contains("found 0"), "{said}");
}

#[test]
fn demo_leaves_a_store_that_answers() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store").to_str().unwrap().to_owned();
    let shown = stdout(&run(&["demo", "--store", &store]));
    let alerts = json_lines(&run(&[
        "alert", "list", "--store", &store, "--output", "json", "--limit", "1000",
    ]));
    let top = &alerts[0];
    let sources: std::collections::BTreeSet<_> = top["evidence"]
        .as_array()
        .unwrap()
        .iter()
        .map(|evidence| evidence["source"].as_str().unwrap())
        .collect();
    assert!(sources.len() >= 2, "the top alert crosses sources: {top:#}");
    assert!(
        shown
            .lines()
            .nth(1)
            .unwrap()
            .contains(&top["alert"]["id"].as_str().unwrap()[..12]),
        "{shown}"
    );
    let id = &top["alert"]["id"].as_str().unwrap()[..12];
    assert!(stdout(&run(&["alert", "show", id, "--store", &store])).contains(top["rule"]["name"].as_str().unwrap()));

    // The rules over what is stored give the alerts that they gave when it came.
    let ids: Vec<String> = json_lines(&run(&["rule", "list", "--output", "json"]))
        .iter()
        .map(|rule| rule["id"].as_str().unwrap().to_owned())
        .collect();
    let mut args = vec!["rule", "backtest", "--store", &store, "--json", "--samples", "100000"];
    args.extend(ids.iter().map(String::as_str));
    let alert_ids = |alerts: &[serde_json::Value]| -> std::collections::BTreeSet<String> {
        alerts
            .iter()
            .map(|alert| alert["alert"]["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let again: Vec<serde_json::Value> = json_lines(&run(&args))
        .iter()
        .flat_map(|rule| rule["samples"].as_array().unwrap().clone())
        .collect();
    assert!(alerts.len() > 40, "{}", alerts.len());
    assert_eq!(alert_ids(&again), alert_ids(&alerts));
    let shown = stdout(&run(&["rule", "backtest", "--store", &store, "ssh_brute_force"]));
    assert!(
        shown.starts_with("SSH Password Guessing (medium, event_count): 1 alert from "),
        "{shown}"
    );

    // What the alert cites is found by its identity, and holds what the alert says.
    let evidence = &top["evidence"][0];
    let query = format!("event.id:{}", evidence["event_id"].as_str().unwrap());
    let output = run(&["search", &query, "--store", &store, "--output", "json", "--explain"]);
    let found = json_lines(&output);
    assert!(!found.is_empty(), "{query}");
    // Without an index the answer is the same, only slower: nothing else would tell.
    let summary = String::from_utf8_lossy(&output.stderr);
    assert!(summary.contains("0 without a usable index"), "{summary}");
    assert_eq!(
        found[0]["casebook"]["position"]["offset"],
        evidence["position"]["offset"]
    );

    let count = |query: &str| {
        json_lines(&run(&["sql", query, "--store", &store, "--output", "json"]))[0]["n"]
            .as_i64()
            .unwrap()
    };
    assert!(count("SELECT count(*) AS n FROM events") > 3_000);
    assert_eq!(count("SELECT count(DISTINCT source) AS n FROM events"), 5);
    assert!(
        count("SELECT count(*) AS n FROM dead_letters") > 0,
        "the corpus holds broken records"
    );
    let csv = stdout(&run(&[
        "search",
        "source:auth",
        "--store",
        &store,
        "--output",
        "csv",
        "--limit",
        "3",
    ]));
    assert_eq!(csv.lines().count(), 4, "{csv}");

    // A second run on what the first left.
    assert!(run(&["demo", "--store", &store, "--seed", "2"]).status.success());
    assert!(
        json_lines(&run(&[
            "alert", "list", "--store", &store, "--output", "json", "--limit", "1000"
        ]))
        .len()
            > alerts.len()
    );
}

/// An alert as an interrupted demo leaves it: its window never ends.
const PROVISIONAL: &str = r#"{
  "alert": {"id": "0123456789abcdef0123456789abcdef", "revision": 1, "status": "provisional", "time": "2026-11-24T10:00:00Z"},
  "rule": {"id": "r", "name": "Left Over", "level": "low", "type": "event_count", "version": "1", "tags": []},
  "group": {}, "window": {"from": "2026-11-24T10:00:00Z", "to": "2026-11-24T10:00:00Z"}, "evidence_total": 0, "evidence": []
}"#;

#[test]
fn a_demo_after_an_interrupted_one_finishes_and_shows_all_its_alerts() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store").to_str().unwrap().to_owned();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = casebook_store::Store::open(&path, casebook_store::StoreConfig::default())
            .await
            .unwrap();
        let alerts = [serde_json::from_str(PROVISIONAL).unwrap()];
        let commit = casebook_store::AlertsCommit {
            group: "interrupted",
            alerts: &alerts,
            checkpoint: casebook_event::CheckpointDelta::new(),
            follows: vec![],
            states: Vec::new(),
            now: casebook_event::Timestamp::from_seconds(0),
        };
        store.commit_alerts(commit).await.unwrap();
    });
    for _ in 0..2 {
        let shown = stdout(&run(&["demo", "--store", &path]));
        assert!(
            shown.contains("From a Guessed Password to the Cloud Account"),
            "{shown}"
        );
        assert!(!shown.contains("Left Over"), "{shown}");
    }
}

#[test]
fn explain_says_what_each_part_of_a_rule_saw() {
    let files = Files::new(&[("auth.log", &brute_force()), ("rules.yml", RULES)]);
    let explain = |rule: &str, more: &[&str]| {
        let (rules, log) = (files.path("rules.yml"), files.path("auth.log"));
        let mut args = vec!["rule", "explain", "--rules", &rules, "--source", "auth", rule, &log];
        args.extend(more);
        casebook().args(args).output().unwrap()
    };
    let output = explain("failed_login", &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    let (first, last) = (text.lines().next().unwrap(), text.lines().last().unwrap());
    assert!(first.starts_with("MATCH "), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("MATCH ")).count(), 10);
    assert_eq!(text.lines().filter(|line| line.starts_with("no match ")).count(), 1);
    assert_eq!(last.trim(), "- event.outcome is \"failure\"   <- \"success\"");

    let output = explain("Brute force", &["--json"]);
    let explained = json_lines(&output);
    assert_eq!(
        explained.len(),
        12,
        "a correlation stands for the rules it names, and says what its group has"
    );
    assert_eq!(explained[0]["explained"]["holds"], true);
    assert_eq!(explained[10]["explained"]["holds"], false);
    assert_eq!(explained[11]["asked"][0]["what"], "events: gte: 5");
    assert_eq!(explained[11]["asked"][0]["has"], "10");
    let output = explain("Brute force", &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    let group = text
        .lines()
        .find(|line| line.starts_with("MATCH source.ip="))
        .unwrap_or(&text);
    assert!(group.contains("Brute force") && group.ends_with("10 events"), "{text}");
    assert!(text.contains("  yes events: gte: 5: 10"), "{text}");

    let output = explain("no such rule", &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("no such rule"));
}

/// A rule whose first test passes, and whose second expects what the rule does not do. The records of the first are in a
/// file beside it.
const TESTED_RULE: &str = r#"title: Root logs in
id: 6a8e2c9e-5f0b-4f62-8d1c-0f3b3b0c4d03
level: high
tags: [attack.initial-access, attack.t1078.003]
logsource: { product: linux, service: sshd }
detection:
  selection:
    usr.name: root
    user.name: root
  other:
    user.name: root
    event.outcome: success
  condition: 1 of them
casebook:
  response: [ask root]
  tests:
    - name: root comes in
      events: [{ source: auth, file: auth.log }]
      expect: 1
    - name: alice comes in
      events:
        - source: auth
          raw: "2026-11-24T10:00:30.000000+00:00 node-1 sshd[9]: Accepted password for alice from 203.0.113.7 port 4099 ssh2"
      expect: 1
"#;

#[test]
fn rule_tests_say_why_they_fail() {
    let files = Files::new(&[("auth.log", &brute_force()), ("rules.yml", TESTED_RULE)]);
    let output = run(&["rule", "test", &files.path("rules.yml")]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    assert!(lines[0].starts_with("FAILED ") && lines[0].ends_with("Root logs in: alice comes in"));
    assert_eq!(lines[1], "expected 1 alert, found 0");
    assert_eq!(lines[2], "event 1 (auth) does not match Root logs in");
    assert!(lines.contains(&"- user.name is \"root\"   <- \"alice\""), "{text}");
    assert!(!text.contains("root comes in"), "{text}");

    let output = run(&["rule", "test", "--output", "junit", &files.path("rules.yml")]);
    let xml = String::from_utf8(output.stdout).unwrap();
    assert!(
        xml.contains("<testsuites name=\"casebook rule test\" tests=\"2\" failures=\"1\">"),
        "{xml}"
    );
    assert!(
        xml.contains("<testcase classname=\"Root logs in\" name=\"root comes in\"/>"),
        "{xml}"
    );
}

#[test]
fn lint_speaks_to_people_and_to_code_hosts() {
    let files = Files::new(&[("rules.yml", TESTED_RULE)]);
    let path = files.path("rules.yml");
    let output = run(&["rule", "lint", &path]);
    let want = format!(
        "{path}:8:5: warning[unknown-field]: no event of auth has the field `usr.name`\n  help: did you mean `user.name`?\n"
    );
    assert_eq!(stdout(&output), want);
    assert_eq!(run(&["rule", "lint", "--deny-warnings", &path]).status.code(), Some(1));
    let sarif: serde_json::Value =
        serde_json::from_str(&stdout(&run(&["rule", "lint", "--output", "sarif", &path]))).unwrap();
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!(result["ruleId"], "unknown-field");
    assert_eq!(result["locations"][0]["physicalLocation"]["region"]["startLine"], 8);
}

#[test]
fn coverage_counts_techniques_and_sources() {
    let files = Files::new(&[("rules.yml", TESTED_RULE)]);
    let path = files.path("rules.yml");
    let layer: serde_json::Value =
        serde_json::from_str(&stdout(&run(&["rule", "coverage", "--output", "navigator", &path]))).unwrap();
    assert_eq!(layer["techniques"][0]["techniqueID"], "T1078.003");
    assert_eq!(layer["techniques"][0]["comment"], "Root logs in");
    assert_eq!(layer["domain"], "enterprise-attack");
    let sources = json_lines(&run(&["rule", "coverage", "--by", "source", "--output", "json", &path]));
    let auth = sources.iter().find(|row| row["source"] == "auth").unwrap();
    assert_eq!((&auth["rules"], &auth["high"]), (&1.into(), &1.into()));
    let listed = |flags: &[&str]| {
        let mut args = vec!["rule", "list", "--output", "json", &path];
        args.extend(flags);
        json_lines(&run(&args)).len()
    };
    assert_eq!(listed(&["--tag", "t1078", "--level", "high", "--source", "auth"]), 1);
    assert_eq!(listed(&["--tag", "t1079"]), 0);
    assert_eq!(listed(&["--level", "critical"]), 0);
    assert_eq!(listed(&["--source", "cloudtrail"]), 0);
}

/// The guide's files, by name, put where its commands expect them; and the guide.
fn guide() -> (tempfile::TempDir, &'static str) {
    let guide = include_str!("../../../docs/rules/guide.md");
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("rules")).unwrap();
    let mut files = 0;
    for block in guide.split("```").skip(1).step_by(2) {
        let (info, text) = block.split_once('\n').unwrap();
        if let Some((_, name)) = info.split_once("file=") {
            std::fs::write(directory.path().join("rules").join(name), text).unwrap();
            files += 1;
        }
    }
    assert_eq!(files, 3);
    (directory, guide)
}

#[test]
fn the_guide_shows_what_its_commands_print() {
    let (directory, guide) = guide();
    for command in [
        "rule test --verbose rules",
        "rule explain --rules rules payments_shell rules/exec.json",
        "rule coverage rules",
    ] {
        let mut casebook = casebook();
        let output = casebook
            .current_dir(directory.path())
            .args(command.split(' '))
            .output()
            .unwrap();
        let shown = format!("$ casebook {command}\n{}", stdout(&output));
        // Of a table, the guide leaves out the spaces at the ends of lines.
        let shown: Vec<&str> = shown.lines().map(str::trim_end).collect();
        let shown = shown.join("\n");
        assert!(guide.contains(&shown), "{shown}");
    }
}
