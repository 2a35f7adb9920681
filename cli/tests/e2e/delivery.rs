//! Every record is in the tables exactly once, whatever happens to the workers.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use casebook_event::Source;
use serde_json::Value;

use crate::support::deployment::{Deployment, Settings};
use crate::support::kafka::Producer;
use crate::support::outcome::try_sql;
use crate::support::topics::PARTITIONS;
use crate::support::worker::Worker;

/// A deployment with room for all groups, that commits after so many bytes.
pub fn settings(commit_bytes: usize) -> Settings {
    Settings {
        commit_bytes,
        memory_bytes: 512 << 20,
        ..Settings::default()
    }
}

/// Topics of two sources, and workers that read them.
fn two_sources(test: &str) -> Option<Deployment> {
    Deployment::of_sources(test, &[Source::KubernetesAudit, Source::Auth], &settings(262_144))
}

/// Writes records `from..to`, spread over all partitions; every hundredth is broken.
fn produce(deployment: &Deployment, from: usize, to: usize) {
    let producer = Producer::new(&deployment.topics.brokers);
    let (audit, auth) = (
        deployment.topics.of(Source::KubernetesAudit),
        deployment.topics.of(Source::Auth),
    );
    for n in from..to {
        let partition = (n / 2) as i32 % PARTITIONS;
        let (minute, second, milli) = (n / 60_000 % 60, n / 1000 % 60, n % 1000);
        let time = format!("2026-11-01T10:{minute:02}:{second:02}.{milli:03}Z");
        if n % 100 == 0 {
            producer.write(
                audit,
                partition,
                format!("{{\"kind\":\"Event\",\"broken\":{n}").as_bytes(),
            );
        } else if n % 2 == 0 {
            let record = format!(
                r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"audit-{n}","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/default/pods","verb":"list","user":{{"username":"user-{}","groups":["system:authenticated"]}},"sourceIPs":["10.0.0.{}"],"objectRef":{{"resource":"pods","namespace":"default","apiVersion":"v1"}},"responseStatus":{{"code":200}},"requestReceivedTimestamp":"{time}","stageTimestamp":"{time}"}}"#,
                n % 50,
                n % 250,
            );
            producer.write(audit, partition, record.as_bytes());
        } else {
            let record = format!(
                "{time} node-{} sshd[{n}]: Failed password for root from 203.0.113.{} port 4022 ssh2",
                n % 7,
                n % 250
            );
            producer.write(auth, partition, record.as_bytes());
        }
    }
    producer.flush();
}

/// Waits until both workers have read partitions of the logs: whatever is written from then on to all partitions
/// reaches both, however fast one of them is.
fn wait_for_both(deployment: &Deployment, first: &mut Worker, second: &mut Worker) {
    // The quotes: the group that reads the signals has a longer name.
    let assigned = format!("partitions assigned group=\"{}\"", deployment.group);
    first.wait_for(&assigned);
    second.wait_for(&assigned);
}

fn sql(deployment: &Deployment, query: &str) -> Vec<Value> {
    try_sql(&deployment.store, query).unwrap()
}

/// Checks that the tables hold each of the first `count` records once, by position.
fn assert_exactly_once(deployment: &Deployment, count: usize, log: &str) {
    let query = "SELECT kafka_topic AS topic, kafka_partition AS partition, kafka_offset AS position FROM events \
                 UNION ALL SELECT topic, \"partition\", \"offset\" FROM dead_letters";
    let rows = sql(deployment, query);
    let positions: Vec<(String, i64, i64)> = rows
        .iter()
        .map(|row| {
            (
                row["topic"].as_str().unwrap().to_owned(),
                row["partition"].as_i64().unwrap(),
                row["position"].as_i64().unwrap(),
            )
        })
        .collect();
    let distinct: BTreeSet<_> = positions.iter().collect();
    assert_eq!(distinct.len(), positions.len(), "records are there twice\n{log}");
    assert_eq!(positions.len(), count, "records are missing\n{log}");
    for topic in &deployment.topics.names() {
        for partition in 0..i64::from(PARTITIONS) {
            let offsets: Vec<i64> = distinct
                .iter()
                .filter(|(t, p, _)| t == topic && *p == partition)
                .map(|(_, _, o)| *o)
                .collect();
            assert_eq!(
                offsets,
                (0..offsets.len() as i64).collect::<Vec<_>>(),
                "{topic}[{partition}]\n{log}"
            );
        }
    }
    let dead = sql(deployment, "SELECT count(*) AS n FROM dead_letters");
    assert_eq!(dead[0]["n"].as_i64().unwrap() as usize, count.div_ceil(100));
    let doubled = sql(
        deployment,
        "SELECT id, revision, count(*) AS n FROM alerts GROUP BY id, revision HAVING count(*) > 1",
    );
    assert!(doubled.is_empty(), "alerts are there twice: {doubled:?}");
}

/// Waits until the tables have as many rows as records were produced.
fn wait_until_complete(deployment: &Deployment, count: usize, workers: &mut [&mut Worker]) {
    deployment.wait_until(&format!("{count} rows"), workers, |counts| {
        counts[0] + counts[1] >= count
    });
}

#[test]
fn a_worker_killed_in_a_commit_loses_and_doubles_nothing() {
    let Some(deployment) = two_sources("kill9") else { return };
    produce(&deployment, 0, 12_000);
    let mut first = deployment.worker("all", "");
    let mut second = deployment.worker("all", "");
    wait_for_both(&deployment, &mut first, &mut second);
    std::thread::scope(|scope| {
        scope.spawn(|| produce(&deployment, 12_000, 30_000));
        // In the middle of a commit: its files are being written.
        first.wait_for("commit started");
        first.kill();
    });
    let mut third = deployment.worker("all", "");
    wait_until_complete(&deployment, 30_000, &mut [&mut second, &mut third]);
    let log = format!("{}\n----\n{}", second.log(), third.log());
    second.stop();
    third.stop();
    assert_exactly_once(&deployment, 30_000, &log);
}

/// Lines that the runtime cut into three, of many pods at once: wherever a commit ends, there are partial lines.
#[test]
fn a_partial_line_when_a_worker_is_killed_comes_whole_and_once() {
    const PODS: usize = 40;
    const ROUNDS: usize = 100;
    let Some(deployment) = Deployment::of_sources("joins", &[Source::ContainerLog], &settings(65_536)) else {
        return;
    };
    let produce = |rounds: std::ops::Range<usize>| {
        let producer = Producer::new(&deployment.topics.brokers);
        for round in rounds {
            for (part, tag) in [("begin", "P"), ("middle", "P"), ("end", "F")] {
                for pod in 0..PODS {
                    let record = format!(
                        r#"{{"time":"2026-11-01T10:{:02}:{:02}.{pod:03}Z","stream":"stdout","logtag":"{tag}","log":"{part}-{round}-{pod} ","kubernetes":{{"namespace_name":"n","pod_name":"pod-{pod}","container_name":"c"}}}}"#,
                        round / 60,
                        round % 60,
                    );
                    producer.write(
                        deployment.topics.of(Source::ContainerLog),
                        pod as i32 % PARTITIONS,
                        record.as_bytes(),
                    );
                }
            }
        }
        producer.flush();
    };
    produce(0..ROUNDS / 2);
    let mut first = deployment.worker("all", "");
    let mut second = deployment.worker("all", "");
    wait_for_both(&deployment, &mut first, &mut second);
    std::thread::scope(|scope| {
        scope.spawn(|| produce(ROUNDS / 2..ROUNDS));
        first.wait_for("commit started");
        first.kill();
    });
    let mut third = deployment.worker("all", "");
    wait_until_complete(&deployment, PODS * ROUNDS, &mut [&mut second, &mut third]);
    // A line whose rest never comes is emitted when its partition has gone quiet.
    let producer = Producer::new(&deployment.topics.brokers);
    let alone = r#"{"time":"2026-11-01T11:00:00Z","stream":"stdout","logtag":"P","log":"alone","kubernetes":{"pod_name":"last"}}"#;
    producer.write(deployment.topics.of(Source::ContainerLog), 0, alone.as_bytes());
    producer.flush();
    wait_until_complete(&deployment, PODS * ROUNDS + 1, &mut [&mut second, &mut third]);
    let log = format!("{}\n----\n{}", second.log(), third.log());
    second.stop();
    third.stop();
    let rows = sql(&deployment, "SELECT message FROM events");
    let messages: BTreeSet<&str> = rows.iter().filter_map(|row| row["message"].as_str()).collect();
    let count = PODS * ROUNDS + 1;
    assert_eq!((rows.len(), messages.len()), (count, count), "{log}");
    assert!(messages.contains("alone"));
    for round in 0..ROUNDS {
        for pod in 0..PODS {
            let whole = format!("begin-{round}-{pod} middle-{round}-{pod} end-{round}-{pod} ");
            assert!(messages.contains(whole.as_str()), "{whole:?} is missing\n{log}");
        }
    }
}

#[test]
fn a_worker_asked_to_stop_commits_what_it_read_and_another_goes_on_from_there() {
    let Some(deployment) = two_sources("restart") else {
        return;
    };
    produce(&deployment, 0, 3_000);
    let mut worker = deployment.worker("all", "");
    worker.wait_for("events committed");
    worker.stop();
    produce(&deployment, 3_000, 5_000);
    let mut worker = deployment.worker("all", "");
    wait_until_complete(&deployment, 5_000, &mut [&mut worker]);
    let log = worker.log();
    worker.stop();
    assert_exactly_once(&deployment, 5_000, &log);
    assert!(deployment.directory.path().join("store/events/_delta_log").is_dir());
}

#[test]
fn changed_rules_apply_to_what_comes_then_and_broken_ones_never() {
    const RULE: &str = "title: TITLE\nid: ID\nlevel: low\nlogsource: { product: linux, service: sshd }\n\
                        detection: { s: { event.outcome: OUTCOME }, condition: s }\n";
    let rule = |title: &str, id: &str, outcome: &str| {
        RULE.replace("TITLE", title)
            .replace("ID", &format!("6a8e2c9e-5f0b-4f62-8d1c-0f3b3b0c4d{id}"))
            .replace("OUTCOME", outcome)
    };
    let rules = tempfile::tempdir().unwrap();
    let file = rules.path().join("rules.yml");
    let failed = rule("Login failed", "11", "failure");
    std::fs::write(&file, &failed).unwrap();
    let settings = Settings {
        rules: rules.path().to_str().unwrap().to_owned(),
        more: "rules_reload: 1s\n".to_owned(),
        ..settings(65_536)
    };
    let Some(deployment) = Deployment::of_sources("reload", &[Source::Auth], &settings) else {
        return;
    };

    let producer = Producer::new(&deployment.topics.brokers);
    let log_in = |seconds: usize, how: &str| {
        let line = format!(
            "2026-11-01T10:00:{seconds:02}Z node-1 sshd[9]: {how} password for root from 203.0.113.9 port 4022 ssh2"
        );
        producer.write(
            deployment.topics.of(Source::Auth),
            seconds as i32 % PARTITIONS,
            line.as_bytes(),
        );
        producer.flush();
    };
    let mut worker = deployment.worker("all", "");
    log_in(0, "Failed");
    log_in(1, "Accepted");
    wait_until_complete(&deployment, 2, &mut [&mut worker]);

    // Broken: the rules of before stay. Then a rule more, announced by a signal as well as found by looking.
    std::fs::write(&file, failed.replace("level: low", "level: grave")).unwrap();
    worker.wait_for("the new rules are refused");
    log_in(2, "Failed");
    log_in(3, "Accepted");
    wait_until_complete(&deployment, 4, &mut [&mut worker]);
    let both = format!("{failed}---\n{}", rule("Login", "12", "success"));
    std::fs::write(&file, both).unwrap();
    worker.hang_up();
    worker.wait_for("detection goes on with the new rules");
    log_in(4, "Failed");
    log_in(5, "Accepted");

    let found = || {
        let rows = sql(
            &deployment,
            "SELECT DISTINCT rule_name, id FROM alerts ORDER BY rule_name",
        );
        let names: Vec<String> = rows
            .iter()
            .map(|row| row["rule_name"].as_str().unwrap().to_owned())
            .collect();
        names
    };
    let want = ["Login", "Login failed", "Login failed", "Login failed"];
    let deadline = Instant::now() + Duration::from_secs(60);
    while found().len() < want.len() && Instant::now() < deadline {
        while worker.next_line(Duration::from_millis(200)).is_some() {}
    }
    assert_eq!(found(), want, "{}", worker.log());
    worker.stop();
}
