//! Every record is in the tables exactly once, whatever happens to the workers.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::support::kafka::{self, Producer};
use crate::support::worker::Worker;
use crate::support::{json_lines, run};

pub const PARTITIONS: i32 = 4;

pub struct Cluster {
    pub brokers: String,
    pub group: String,
    pub topics: Vec<String>,
    pub directory: tempfile::TempDir,
    pub config: PathBuf,
    pub store: String,
}

impl Cluster {
    fn new(test: &str) -> Option<Self> {
        Self::of(test, &["kubernetes_audit", "auth"], 262_144)
    }

    /// A cluster with a topic for each of these sources, whose workers commit after so many bytes.
    pub fn of(test: &str, sources: &[&str], commit_bytes: usize) -> Option<Self> {
        let brokers = kafka::brokers(test)?;
        let directory = tempfile::tempdir().unwrap();
        let name = format!(
            "{test}-{}",
            directory
                .path()
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .trim_start_matches('.')
        );
        let topics: Vec<String> = sources.iter().map(|source| format!("{name}.{source}")).collect();
        let listed: String = topics
            .iter()
            .zip(sources)
            .map(|(topic, source)| format!("    - {{ name: {topic}, source: {source} }}\n"))
            .collect();
        kafka::create_topics(&brokers, &topics, PARTITIONS);
        let store = directory.path().join("store").to_str().unwrap().to_owned();
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules");
        let config = directory.path().join("casebook.yaml");
        let text = format!(
            "store: {store}\nrules: [{rules}]\nkafka:\n  brokers: {brokers}\n  group: {name}\n  topics:\n{listed}  \
             properties: {{ session.timeout.ms: '3000', heartbeat.interval.ms: '500' }}\n  \
             signals_topic: {name}.signals\n  alerts_topic: {name}.alerts\n  dead_letters_topic: {name}.dead\n  replication: 1\n\
             commit: {{ interval: 300ms, max_bytes: {commit_bytes}, alert_interval: 300ms }}\nlateness: {{ idle: 2s }}\n",
            rules = rules.display(),
        );
        std::fs::write(&config, text).unwrap();
        Some(Self {
            brokers,
            group: name,
            topics,
            directory,
            config,
            store,
        })
    }

    /// Writes records `from..to`, spread over all partitions; every hundredth is broken.
    fn produce(&self, from: usize, to: usize) {
        let producer = Producer::new(&self.brokers);
        for n in from..to {
            let partition = (n / 2) as i32 % PARTITIONS;
            let (minute, second, milli) = (n / 60_000 % 60, n / 1000 % 60, n % 1000);
            let time = format!("2026-11-01T10:{minute:02}:{second:02}.{milli:03}Z");
            if n % 100 == 0 {
                producer.write(
                    &self.topics[0],
                    partition,
                    format!("{{\"kind\":\"Event\",\"broken\":{n}").as_bytes(),
                );
            } else if n % 2 == 0 {
                let record = format!(
                    r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"audit-{n}","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/default/pods","verb":"list","user":{{"username":"user-{}","groups":["system:authenticated"]}},"sourceIPs":["10.0.0.{}"],"objectRef":{{"resource":"pods","namespace":"default","apiVersion":"v1"}},"responseStatus":{{"code":200}},"requestReceivedTimestamp":"{time}","stageTimestamp":"{time}"}}"#,
                    n % 50,
                    n % 250,
                );
                producer.write(&self.topics[0], partition, record.as_bytes());
            } else {
                let record = format!(
                    "{time} node-{} sshd[{n}]: Failed password for root from 203.0.113.{} port 4022 ssh2",
                    n % 7,
                    n % 250
                );
                producer.write(&self.topics[1], partition, record.as_bytes());
            }
        }
        producer.flush();
    }

    /// Waits until both workers have read partitions of the logs: whatever is written from then on to all partitions
    /// reaches both, however fast one of them is.
    fn wait_for_both(&self, first: &mut Worker, second: &mut Worker) {
        // The quotes: the group that reads the signals has a longer name.
        let assigned = format!("partitions assigned group=\"{}\"", self.group);
        first.wait_for(&assigned);
        second.wait_for(&assigned);
    }

    fn sql(&self, query: &str) -> Vec<serde_json::Value> {
        json_lines(&run(&[
            "sql",
            query,
            "--store",
            &self.store,
            "--output",
            "json",
            "--limit",
            "1000000",
        ]))
    }

    /// Checks that the tables hold each of the first `count` records once, by position.
    fn assert_exactly_once(&self, count: usize, log: &str) {
        let query = "SELECT kafka_topic AS topic, kafka_partition AS partition, kafka_offset AS position FROM events \
                     UNION ALL SELECT topic, \"partition\", \"offset\" FROM dead_letters";
        let rows = self.sql(query);
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
        for topic in &self.topics {
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
        let dead = self.sql("SELECT count(*) AS n FROM dead_letters");
        assert_eq!(dead[0]["n"].as_i64().unwrap() as usize, count.div_ceil(100));
        let doubled =
            self.sql("SELECT id, revision, count(*) AS n FROM alerts GROUP BY id, revision HAVING count(*) > 1");
        assert!(doubled.is_empty(), "alerts are there twice: {doubled:?}");
    }

    /// Waits until the tables have as many rows as records were produced.
    fn wait_until_complete(&self, count: usize, workers: &mut [&mut Worker]) {
        let deadline = Instant::now() + Duration::from_secs(120);
        let query = "SELECT (SELECT count(*) FROM events) + (SELECT count(*) FROM dead_letters) AS n";
        loop {
            let rows = self.sql(query)[0]["n"].as_i64().unwrap() as usize;
            if rows >= count {
                return;
            }
            let logs = || {
                workers
                    .iter()
                    .map(|worker| worker.log())
                    .collect::<Vec<_>>()
                    .join("\n----\n")
            };
            assert!(
                Instant::now() < deadline,
                "{rows} of {count} rows after two minutes\n{}",
                logs()
            );
            for worker in workers.iter_mut() {
                while worker.next_line(Duration::from_millis(100)).is_some() {}
            }
        }
    }
}

#[test]
fn a_worker_killed_in_a_commit_loses_and_doubles_nothing() {
    let Some(cluster) = Cluster::new("kill9") else { return };
    cluster.produce(0, 12_000);
    let mut first = Worker::start(&cluster.config);
    let mut second = Worker::start(&cluster.config);
    cluster.wait_for_both(&mut first, &mut second);
    std::thread::scope(|scope| {
        scope.spawn(|| cluster.produce(12_000, 30_000));
        // In the middle of a commit: its files are being written.
        first.wait_for("commit started");
        first.kill();
    });
    let mut third = Worker::start(&cluster.config);
    cluster.wait_until_complete(30_000, &mut [&mut second, &mut third]);
    let log = format!("{}\n----\n{}", second.log(), third.log());
    second.stop();
    third.stop();
    cluster.assert_exactly_once(30_000, &log);
}

/// Lines that the runtime cut into three, of many pods at once: wherever a commit ends, lines are half read.
#[test]
fn a_line_that_is_half_read_when_a_worker_is_killed_comes_whole_and_once() {
    const PODS: usize = 40;
    const ROUNDS: usize = 100;
    let Some(cluster) = Cluster::of("joins", &["container"], 65_536) else {
        return;
    };
    let produce = |rounds: std::ops::Range<usize>| {
        let producer = Producer::new(&cluster.brokers);
        for round in rounds {
            for (part, tag) in [("begin", "P"), ("middle", "P"), ("end", "F")] {
                for pod in 0..PODS {
                    let record = format!(
                        r#"{{"time":"2026-11-01T10:{:02}:{:02}.{pod:03}Z","stream":"stdout","logtag":"{tag}","log":"{part}-{round}-{pod} ","kubernetes":{{"namespace_name":"n","pod_name":"pod-{pod}","container_name":"c"}}}}"#,
                        round / 60,
                        round % 60,
                    );
                    producer.write(&cluster.topics[0], pod as i32 % PARTITIONS, record.as_bytes());
                }
            }
        }
        producer.flush();
    };
    produce(0..ROUNDS / 2);
    let mut first = Worker::start(&cluster.config);
    let mut second = Worker::start(&cluster.config);
    cluster.wait_for_both(&mut first, &mut second);
    std::thread::scope(|scope| {
        scope.spawn(|| produce(ROUNDS / 2..ROUNDS));
        first.wait_for("commit started");
        first.kill();
    });
    let mut third = Worker::start(&cluster.config);
    cluster.wait_until_complete(PODS * ROUNDS, &mut [&mut second, &mut third]);
    // A line whose rest never comes is given out when its partition has gone quiet.
    let producer = Producer::new(&cluster.brokers);
    let alone = r#"{"time":"2026-11-01T11:00:00Z","stream":"stdout","logtag":"P","log":"alone","kubernetes":{"pod_name":"last"}}"#;
    producer.write(&cluster.topics[0], 0, alone.as_bytes());
    producer.flush();
    cluster.wait_until_complete(PODS * ROUNDS + 1, &mut [&mut second, &mut third]);
    let log = format!("{}\n----\n{}", second.log(), third.log());
    second.stop();
    third.stop();
    let rows = cluster.sql("SELECT message FROM events");
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
    let Some(cluster) = Cluster::new("restart") else { return };
    cluster.produce(0, 3_000);
    let mut worker = Worker::start(&cluster.config);
    worker.wait_for("events committed");
    worker.stop();
    cluster.produce(3_000, 5_000);
    let mut worker = Worker::start(&cluster.config);
    cluster.wait_until_complete(5_000, &mut [&mut worker]);
    let log = worker.log();
    worker.stop();
    cluster.assert_exactly_once(5_000, &log);
    assert!(cluster.directory.path().join("store/events/_delta_log").is_dir());
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
    let Some(cluster) = Cluster::of("reload", &["auth"], 65_536) else {
        return;
    };
    let rules = cluster.directory.path().join("rules");
    std::fs::create_dir(&rules).unwrap();
    let file = rules.join("rules.yml");
    let failed = rule("Login failed", "11", "failure");
    std::fs::write(&file, &failed).unwrap();
    let text = std::fs::read_to_string(&cluster.config).unwrap();
    let (store, rest) = text.split_once("\nrules: [").unwrap();
    let (_, rest) = rest.split_once("]\n").unwrap();
    let text = format!("{store}\nrules: [{}]\nrules_reload: 1s\n{rest}", rules.display());
    std::fs::write(&cluster.config, text).unwrap();

    let producer = Producer::new(&cluster.brokers);
    let log_in = |seconds: usize, how: &str| {
        let line = format!(
            "2026-11-01T10:00:{seconds:02}Z node-1 sshd[9]: {how} password for root from 203.0.113.9 port 4022 ssh2"
        );
        producer.write(&cluster.topics[0], seconds as i32 % PARTITIONS, line.as_bytes());
        producer.flush();
    };
    let mut worker = Worker::start(&cluster.config);
    log_in(0, "Failed");
    log_in(1, "Accepted");
    cluster.wait_until_complete(2, &mut [&mut worker]);

    // Broken: the rules of before stay. Then a rule more, told of by a signal as well as found by looking.
    std::fs::write(&file, failed.replace("level: low", "level: grave")).unwrap();
    worker.wait_for("the new rules are refused");
    log_in(2, "Failed");
    log_in(3, "Accepted");
    cluster.wait_until_complete(4, &mut [&mut worker]);
    let both = format!("{failed}---\n{}", rule("Login", "12", "success"));
    std::fs::write(&file, both).unwrap();
    worker.hang_up();
    worker.wait_for("detection goes on with the new rules");
    log_in(4, "Failed");
    log_in(5, "Accepted");

    let found = || {
        let rows = cluster.sql("SELECT DISTINCT rule_name, id FROM alerts ORDER BY rule_name");
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
