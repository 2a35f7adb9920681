//! The investigator's pivot over the store of a demo: an alert's evidence, a pod's story, what a pod is.

use serde_json::Value;

use crate::support::{json_lines, run, stdout};

/// The demo of seed 1: its attack goes through this pod, from this address.
const POD: &str = "payments/payments-api-csxb4nhcjg-zm9r6";
const ATTACKER: &str = "203.0.113.66";

struct Demo {
    _directory: tempfile::TempDir,
    store: String,
}

impl Demo {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = directory.path().join("store").to_str().unwrap().to_owned();
        stdout(&run(&["demo", "--seed", "1", "--store", &store]));
        Self {
            _directory: directory,
            store,
        }
    }

    fn run(&self, args: &[&str]) -> std::process::Output {
        run(&[args, &["--store", &self.store]].concat())
    }

    fn json(&self, args: &[&str]) -> Vec<Value> {
        json_lines(&self.run(&[args, &["--output", "json"]].concat()))
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

#[test]
fn an_incident_is_followed_from_name_to_name() {
    let demo = Demo::new();
    let pod = format!("pod:{POD}");

    // The attack's steps, in order, each by what shows it.
    let story = demo.json(&["timeline", &pod]);
    let steps: [(&str, &str); 9] = [
        ("detail", "$ /bin/sh"),
        ("detail", "serviceaccount/token"),
        ("detail", "169.254.169.254"),
        ("detail", "/dev/tcp/203.0.113.66/4444"),
        ("outcome", "failure 403"),
        ("objects", "ledger/ledger-database"),
        ("objects", "kube-system/kube-proxy-diag"),
        ("detail", "chroot /host bash"),
        ("action", "deletecollection"),
    ];
    let mut lines = story.iter();
    for (field, part) in steps {
        assert!(
            lines.any(|line| text(line, field).contains(part)),
            "{field} with {part}, after the step before, in {story:#?}"
        );
    }
    let times: Vec<&str> = story.iter().map(|line| text(line, "time")).collect();
    assert!(times.is_sorted_by_key(|time| casebook_event::Timestamp::parse_rfc3339(time).unwrap()));
    let refused = story
        .iter()
        .find(|line| text(line, "outcome") == "failure 403")
        .unwrap();
    assert_eq!(refused["count"], 5, "five tries are one line");
    assert!(story.iter().any(|line| text(line, "line") == "gap"));
    let alerts: Vec<&Value> = story.iter().filter(|line| text(line, "line") == "alert").collect();
    assert!(alerts.iter().any(|alert| text(alert, "level") == "critical"));

    // Every id is good for the next command.
    for line in &story {
        let id = text(line, "id");
        match text(line, "line") {
            "alert" => {
                let shown = demo.json(&["alert", "show", &id[..12]]);
                assert_eq!(shown[0]["alert"]["id"], line["id"]);
            }
            "events" => {
                let found = demo.json(&["search", &format!("id:{}*", &id[..12])]);
                assert_eq!(found[0]["event"]["id"], line["id"]);
            }
            kind => assert_eq!(kind, "gap"),
        }
    }
    let all = demo.json(&["timeline", &pod, "--all"]);
    assert!(all.len() > story.len());
    assert!(all.iter().all(|line| line["count"].as_u64().unwrap() <= 1));
    let few = demo.run(&["timeline", &pod, "--limit", "3"]);
    assert_eq!(stdout(&few).lines().count(), 4, "a header and three lines");
    let table = stdout(&demo.run(&["timeline", &pod]));
    assert!(
        table.contains("×5 until ") && table.contains("without events · · ·"),
        "{table}"
    );

    // By another name: the uid, the container, the address while it was the pod's.
    let shown = &demo.json(&["entity", "show", &pod])[0];
    assert_eq!(text(shown, "kind"), "pod");
    let named = |kind: &str| {
        let names = shown["names"].as_array().unwrap();
        let name = names.iter().find(|name| text(name, "kind") == kind);
        text(name.unwrap_or_else(|| panic!("no {kind} in {names:?}")), "value").to_owned()
    };
    let uid = named("pod_uid");
    let by_uid = demo.json(&["timeline", &uid]);
    assert!(
        by_uid.iter().any(|line| text(line, "detail").contains("$ /bin/sh")),
        "{by_uid:#?}"
    );
    assert!(
        !demo
            .json(&["timeline", &format!("container:{}", named("container_id"))])
            .is_empty()
    );
    let bindings = shown["bindings"].as_array().unwrap();
    for kind in ["pod_ip", "node_name", "image", "service_account", "workload"] {
        let is_of = |binding: &Value| text(&binding["from"], "kind") == kind || text(&binding["to"], "kind") == kind;
        assert!(bindings.iter().any(is_of), "no binding of {kind}: {bindings:#?}");
    }
    let neighbors = shown["neighbours"].as_array().unwrap();
    let address = neighbors.iter().find(|one| text(one, "name") == ATTACKER).unwrap();
    let of_address = demo.json(&["timeline", text(address, "entity")]);
    let sources: std::collections::BTreeSet<&str> = of_address.iter().map(|line| text(line, "source")).collect();
    assert!(sources.len() >= 4, "{sources:?}");
    assert_eq!(
        shown["events"],
        demo.json(&["timeline", &pod, "--all"])
            .iter()
            .filter(|line| text(line, "line") == "events")
            .count()
    );

    // A bare name is guessed, aloud.
    let guessed = demo.run(&["timeline", "deploy"]);
    assert!(stdout(&guessed).contains("Accepted password for deploy"));
    assert!(String::from_utf8_lossy(&guessed.stderr).contains("`deploy` is taken for user:deploy"));

    // The evidence of an alert, whole, and the story around it.
    let top = &demo.json(&["alert", "list"])[0];
    let id = &text(&top["alert"], "id")[..12];
    let evidence = demo.json(&["alert", "evidence", id]);
    let want: Vec<&str> = top["evidence"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| text(one, "event_id"))
        .collect();
    let found: Vec<&str> = evidence.iter().map(|event| text(&event["event"], "id")).collect();
    assert_eq!(found, want);
    assert!(
        evidence
            .iter()
            .all(|event| !text(&event["event"], "original").is_empty())
    );
    let around = demo.json(&["timeline", &format!("alert:{id}"), "--all"]);
    let is_there = |id: &&str| around.iter().any(|line| text(line, "id") == *id);
    assert!(want.iter().all(is_there), "all that the alert cites is in its story");
    let around = demo.json(&["timeline", &format!("event:{}", &want[0][..12])]);
    assert!(
        around
            .iter()
            .any(|line| text(line, "id") == want[0] || line["count"].as_u64() > Some(1))
    );

    // What is not there is no error of the user's, and what makes no sense is.
    let code = |args: &[&str]| demo.run(args).status.code();
    assert_eq!(code(&["timeline", "pod:no/such"]), Some(1));
    assert_eq!(code(&["timeline", "nobody-of-that-name"]), Some(1));
    assert_eq!(code(&["entity", "show", "user:nobody-of-that-name"]), Some(1));
    assert_eq!(code(&["alert", "evidence", "ffffffffffff"]), Some(1));
    assert_eq!(code(&["timeline", &pod, "--to", "2001-01-01"]), Some(1));
    assert_eq!(code(&["timeline", "ip:web"]), Some(2));
    assert_eq!(code(&["entity", "show", "alert:ff"]), Some(2));
    assert_eq!(code(&["timeline", &pod, "--source", "nothing"]), Some(2));
}

/// Every answer in its envelope: the same data, graded statements, and how far each source is known.
#[test]
fn an_envelope_has_the_data_its_grades_and_its_coverage() {
    let demo = Demo::new();
    let pod = format!("pod:{POD}");
    let envelope = |args: &[&str]| {
        let lines = json_lines(&demo.run(&[args, &["--output", "envelope"]].concat()));
        let [one] = lines.as_slice() else {
            panic!("{args:?}: {} lines", lines.len())
        };
        let sources = one["coverage"]["sources"].as_array().unwrap();
        assert!(sources.len() >= 4, "{args:?}: {sources:?}");
        for source in sources {
            assert!(source["events"].is_u64() && source["late"].is_u64(), "{source}");
        }
        assert_eq!(one["coverage"]["unreadable_files"], serde_json::json!([]), "{args:?}");
        one.clone()
    };

    let story = envelope(&["timeline", &pod]);
    assert_eq!(story["data"]["lines"], Value::Array(demo.json(&["timeline", &pod])));
    assert_eq!(text(&story["data"], "entity"), pod);

    let shown = envelope(&["entity", "show", &pod]);
    assert_eq!(shown["data"], demo.json(&["entity", "show", &pod])[0]);
    let graded = |statements: &Value, grade: &str| {
        let statements = statements.as_array().unwrap();
        statements.iter().filter(|one| text(one, "grade") == grade).count()
    };
    assert!(graded(&shown["statements"], "certain") > 0, "{shown}");
    assert!(graded(&shown["data"]["bindings"], "certain") > 0, "{shown}");

    let guessed = envelope(&["timeline", "deploy"]);
    let statement = &guessed["statements"][0];
    assert_eq!(
        (text(statement, "about"), text(statement, "is")),
        ("deploy", "user:deploy")
    );
    assert!(
        ["inferred", "ambiguous"].contains(&text(statement, "grade")),
        "{statement}"
    );

    let list = envelope(&["alert", "list"]);
    let alerts = demo.json(&["alert", "list"]);
    assert_eq!(list["data"]["alerts"], Value::Array(alerts.clone()));
    let id = &text(&alerts[0]["alert"], "id")[..12];
    assert_eq!(envelope(&["alert", "show", id])["data"], alerts[0]);
    let cited = envelope(&["alert", "evidence", id]);
    assert_eq!(
        cited["data"]["events"],
        Value::Array(demo.json(&["alert", "evidence", id]))
    );

    let found = envelope(&["search", "subresource:exec"]);
    assert_eq!(
        found["data"]["events"],
        Value::Array(demo.json(&["search", "subresource:exec"]))
    );
    assert!(
        found["coverage"]["gaps"].is_array() && found["coverage"]["asked"].is_string(),
        "{found}"
    );
    let counted = envelope(&["search", "--top", "source"]);
    assert!(counted["data"]["groups"].as_array().unwrap().len() >= 4, "{counted}");
    let refused = demo.run(&["search", "--follow", "--output", "envelope"]);
    assert_eq!(refused.status.code(), Some(2));
}
