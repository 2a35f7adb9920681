//! What comes long after its time had passed is correlated all the same.

use std::collections::BTreeSet;
use std::time::Duration;

use casebook_event::Source;

use crate::delivery::settings;
use crate::support::deployment::{Deployment, Settings};
use crate::support::kafka::Producer;
use crate::support::topics::{PARTITIONS, pack};
use crate::support::{json_lines, run};

/// Longest time until the tables show something.
const LIMIT: Duration = Duration::from_secs(120);

/// A guessing of passwords that succeeds in the end, an hour before `now`.
fn guessing(now: i64) -> Vec<String> {
    let time = |second: i64| {
        let nanos = (now - 3_600 + second) * 1_000_000_000;
        casebook_event::Timestamp::from_nanos(nanos).to_string()
    };
    let failed = (0..60).map(|n| {
        let (time, port) = (time(n), 40_000 + n);
        format!("{time} node-1 sshd[{n}]: Failed password for root from 203.0.113.9 port {port} ssh2")
    });
    let time = time(61);
    let accepted = format!("{time} node-1 sshd[99]: Accepted password for root from 203.0.113.9 port 40999 ssh2");
    failed.chain([accepted]).collect()
}

/// Ids of the alerts of correlations that hold.
fn correlated(alerts: &[serde_json::Value]) -> BTreeSet<String> {
    let holds = |alert: &&serde_json::Value| {
        alert["rule"]["type"] != "detection" && matches!(alert["alert"]["status"].as_str(), Some("final"))
    };
    let ids = alerts.iter().filter(holds);
    ids.map(|alert| alert["alert"]["id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn an_hour_old_file_that_comes_after_idling_raises_what_a_replay_raises() {
    // What the state says is what is waited for.
    let settings = Settings {
        state_interval: "100ms",
        ..settings(262_144)
    };
    let Some(deployment) = Deployment::of_sources("late", &[Source::Auth], &settings) else {
        return;
    };
    let topic = deployment.topics.of(Source::Auth);
    let now = std::time::SystemTime::now();
    let now = i64::try_from(now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()).unwrap();
    let producer = Producer::new(&deployment.topics.brokers);
    let recent = casebook_event::Timestamp::from_seconds(now).to_string();
    for partition in 0..PARTITIONS {
        let line =
            format!("{recent} node-{partition} sshd[1]: Failed password for alice from 203.0.113.7 port 4022 ssh2");
        producer.write(topic, partition, line.as_bytes());
    }
    producer.flush();
    let mut worker = deployment.worker("all", "");
    // The watermark is past the hour: what is an hour old is late from now on.
    let state = |words: &str| {
        let output = run(&[
            "correlation",
            "state",
            "--store",
            &deployment.store.url,
            "--group",
            &deployment.group,
        ]);
        String::from_utf8_lossy(&output.stderr).contains(words)
    };
    worker.wait_until("the watermark", LIMIT, |_| state("has come; what comes later"));
    let lines = guessing(now);
    let write_file = || {
        for (n, line) in lines.iter().enumerate() {
            producer.write(topic, n as i32 % PARTITIONS, line.as_bytes());
        }
        producer.flush();
    };
    write_file();
    let file = deployment.directory.path().join("auth.log");
    std::fs::write(&file, lines.join("\n") + "\n").unwrap();
    let rules = pack();
    let replayed = json_lines(&run(&[
        "replay",
        "--source",
        "auth",
        "--rules",
        &rules,
        file.to_str().unwrap(),
    ]));
    let wanted = correlated(&replayed);
    assert!(!wanted.is_empty(), "the guessing is a correlation's");
    let alerts = || {
        json_lines(&run(&[
            "alert",
            "list",
            "--store",
            &deployment.store.url,
            "--output",
            "json",
            "--limit",
            "1000",
        ]))
    };
    worker.wait_until("the alerts of what came late", LIMIT, |_| {
        wanted.is_subset(&correlated(&alerts()))
    });
    // The same file once more: duplicates repair nothing.
    let before = alerts();
    write_file();
    let rows = || {
        run(&[
            "sql",
            "SELECT count(*) AS n FROM events",
            "--store",
            &deployment.store.url,
            "--output",
            "json",
        ])
    };
    let all = PARTITIONS as i64 + 2 * lines.len() as i64;
    worker.wait_until("the file again", LIMIT, |_| {
        json_lines(&rows())[0]["n"].as_i64() == Some(all)
    });
    worker.stop();
    assert_eq!(correlated(&alerts()), correlated(&before));
}
