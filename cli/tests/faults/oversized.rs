//! Records of any size, and topics that take less: none of them stops a partition, and nothing is lost of them silently.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use casebook_event::{Source, sha256_hex};
use serde_json::Value;

use crate::operations::{free_address, get};
use crate::support::deployment::{Deployment, Settings};
use crate::support::kafka::{self, Producer};
use crate::support::outcome::try_sql;
use crate::support::topics::{PARTITIONS, Topics, write_demo};
use crate::support::worker::Worker;

/// Longest time until everything is committed.
const DEADLINE: Duration = Duration::from_secs(180);

/// Bytes that no decoder takes, and no compression makes smaller.
fn random(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..bytes).map(|_| next()).collect()
}

/// A payload of some four megabytes that becomes more than the sixteen that a record may have.
fn gzip_bomb() -> Vec<u8> {
    let mut text = random(4 << 20, 3);
    text.resize(64 << 20, b'0');
    let mut gzip = Command::new("gzip")
        .args(["-1", "-c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = gzip.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&text).unwrap());
    let output = gzip.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    output.stdout
}

/// What is written, by partition.
fn oversized() -> BTreeMap<i32, Vec<u8>> {
    let mut undecodable = random(1_040_000, 2);
    undecodable[0] = b'{';
    [(0, random(5_000_000, 1)), (1, undecodable), (2, gzip_bomb())].into()
}

/// A deployment whose own topics take messages of so many bytes at most: for dead letters, signals and alerts.
fn deploy(topics: &Topics, name: &str, settings: &Settings, limits: [usize; 3]) -> Deployment {
    let deployment = Deployment::new(topics, name, settings);
    for (kind, limit, partitions) in [
        ("dead", limits[0], 1),
        ("signals", limits[1], 4),
        ("alerts", limits[2], 1),
    ] {
        let topic = format!("{}.{kind}", deployment.group);
        kafka::create_topic(
            &topics.brokers,
            &topic,
            partitions,
            &[("max.message.bytes", &limit.to_string())],
        );
    }
    deployment
}

/// The letters of the audit topic in the topic of dead letters, by partition: those that were cut.
fn cut_letters(deployment: &Deployment) -> BTreeMap<i64, (Value, Vec<u8>)> {
    let topic = format!("{}.dead", deployment.group);
    let mut found = BTreeMap::new();
    for (key, payload) in kafka::messages(&deployment.topics.brokers, &topic) {
        let head: Value = serde_json::from_slice(&key).unwrap();
        if head.get("cut").is_some() {
            let partition = head["position"]["partition"].as_i64().unwrap();
            assert!(found.insert(partition, (head, payload)).is_none(), "one was sent twice");
        }
    }
    found
}

fn check(name: &str, limits: [usize; 3]) {
    let Some(brokers) = kafka::brokers(name) else { return };
    let topics = Topics::create(&brokers, &format!("{name}-{}", std::process::id()));
    let http = free_address();
    let settings = Settings {
        more: format!("http: {http}\n"),
        ..Settings::default()
    };
    let deployment = deploy(&topics, name, &settings, limits);
    let audit = topics.of(Source::KubernetesAudit);
    let (producer, large) = (Producer::new(&brokers), oversized());
    for (partition, payload) in &large {
        producer.write(audit, *partition, payload);
    }
    producer.flush();
    // What comes after them in the same partitions, and what those of other topics hold.
    write_demo(&topics);
    let want = topics_replayed_without(&topics, &large);

    let mut worker = deployment.worker("all", "");
    let deadline = Instant::now() + DEADLINE;
    let is_done = || {
        kafka::is_drained(&brokers, &deployment.group, &topics.names())
            && deployment
                .counts()
                .is_some_and(|counts| counts[2] >= want && counts[3] == 0)
    };
    while !is_done() {
        assert!(
            Instant::now() < deadline,
            "{:?} of {want}\n{}",
            deployment.counts(),
            worker.log()
        );
        while worker.next_line(Duration::from_millis(100)).is_some() {}
        if let Some(status) = worker.ended() {
            panic!("{name}: the worker ended, {status}\n{}", worker.log());
        }
    }
    let (_, metrics) = get(http, "/metrics").unwrap();
    assert_eq!(value_of(&metrics, "casebook_dead_letter_topic_cut_total"), 3);
    assert_eq!(value_of(&metrics, "casebook_dead_letter_topic_passed_total"), 0);
    // They are sent and counted after they are committed.
    wait_for_alerts(&deployment, &mut worker, || {
        let (_, metrics) = get(http, "/metrics").unwrap();
        value_of(&metrics, "casebook_alerts_topic_without_evidence_total")
    });
    worker.stop();

    // The table has them whole.
    let query = format!(
        "SELECT \"partition\" AS p, reason, payload, cut_from_bytes AS cut FROM dead_letters \
         WHERE topic = '{audit}' AND \"offset\" = 0 AND \"partition\" < 3 ORDER BY 1"
    );
    let rows = try_sql(&deployment.store, &query).unwrap();
    assert_eq!(rows.len(), 3, "{rows:?}");
    let cut = cut_letters(&deployment);
    assert_eq!(cut.len(), 3);
    for (row, (partition, payload)) in rows.iter().zip(&large) {
        // The table has what it keeps: the noise whole, and of what is compressed the text as far as it may go.
        let hex = row["payload"].as_str().unwrap();
        let is_whole = *partition < 2;
        assert_eq!(
            hex.len() == payload.len() * 2,
            is_whole,
            "{partition}: {} digits",
            hex.len()
        );
        assert_eq!(row["cut"].as_u64(), (!is_whole).then_some(payload.len() as u64));
        // The topic has the beginning of that, and says what came.
        let (head, sent) = &cut[&i64::from(*partition)];
        assert_eq!(head["reason"], row["reason"]);
        assert_eq!(head["cut"]["bytes"], payload.len());
        assert_eq!(head["cut"]["sha256"], sha256_hex(payload));
        let sent_hex: String = sent.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(
            hex.starts_with(&sent_hex) && sent.len() < limits[0] && !sent.is_empty(),
            "{}",
            sent.len()
        );
    }
    assert_eq!(rows[2]["reason"], "too_large", "{rows:?}");
    check_alerts(&deployment, limits[2]);
}

fn value_of(metrics: &str, name: &str) -> u64 {
    let line = metrics
        .lines()
        .find(|line| line.starts_with(name))
        .unwrap_or_else(|| panic!("{name}: {metrics}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// Alerts by their ids and revisions.
type Alerts = BTreeMap<(String, i64), Value>;

fn by_revision(alerts: impl Iterator<Item = Value>) -> Alerts {
    let key = |alert: &Value| {
        let id = alert["alert"]["id"].as_str().unwrap().to_owned();
        (id, alert["alert"]["revision"].as_i64().unwrap())
    };
    alerts.map(|alert| (key(&alert), alert)).collect()
}

/// Those in the table, and those in the topic.
fn reported(deployment: &Deployment) -> (Alerts, Alerts) {
    let rows = try_sql(&deployment.store, "SELECT alert FROM alerts").unwrap();
    let rows = rows
        .iter()
        .map(|row| serde_json::from_str(row["alert"].as_str().unwrap()).unwrap());
    let topic = format!("{}.alerts", deployment.group);
    let messages = kafka::messages(&deployment.topics.brokers, &topic);
    let messages = messages
        .iter()
        .map(|(_, payload)| serde_json::from_slice(payload).unwrap());
    (by_revision(rows), by_revision(messages))
}

fn is_least_form(alert: &Value) -> bool {
    alert["evidence_in_table"] == true
}

/// Waits until every committed revision is sent, and those without their evidence are counted.
fn wait_for_alerts(deployment: &Deployment, worker: &mut Worker, counted: impl Fn() -> u64) {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let (rows, sent) = reported(deployment);
        let missing: Vec<_> = rows.keys().filter(|key| !sent.contains_key(*key)).collect();
        let (least, counted) = (sent.values().filter(|alert| is_least_form(alert)).count(), counted());
        if missing.is_empty() && counted >= least as u64 {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{counted} are counted, {least} found; {missing:?} were not sent"
        );
        while worker.next_line(Duration::from_millis(100)).is_some() {}
    }
}

/// Every committed revision is in the topic; those that it takes, whole.
fn check_alerts(deployment: &Deployment, limit: usize) {
    let (rows, sent) = reported(deployment);
    let mut least = 0;
    for (key, whole) in &rows {
        let found = sent.get(key).unwrap_or_else(|| panic!("{key:?} was not sent"));
        if is_least_form(found) {
            least += 1;
            assert_eq!(found["evidence_total"], whole["evidence_total"]);
            assert_eq!(found["alert"], whole["alert"]);
        } else {
            assert_eq!(found, whole);
        }
    }
    assert!(rows.len() >= 10, "{} alerts prove little", rows.len());
    assert_eq!(least > 0, limit < 10_000, "{least} of {}", rows.len());
}

/// How many alerts the topics make: the large records are in none, and `replay` reads lines, which they are not.
fn topics_replayed_without(topics: &Topics, large: &BTreeMap<i32, Vec<u8>>) -> usize {
    topics
        .replayed_but(|payload| !large.values().any(|one| one == payload))
        .len()
}

/// Where the topics take as much as the brokers' default.
#[test]
fn records_larger_than_the_dead_letter_topic_takes_stop_no_partition() {
    check("oversized", [1_048_588, 1_048_588, 1_048_588]);
    assert_eq!(PARTITIONS, 4);
}

/// Where they take 16 MiB, as the topics of the logs do.
#[test]
fn records_larger_than_the_client_sends_stop_no_partition() {
    check("oversized-16m", [16 << 20, 16 << 20, 16 << 20]);
}

/// Where they take 100 KB, and the one of alerts less than an alert with its evidence has, compressed as it is sent.
#[test]
fn topics_that_take_little_get_what_fits() {
    check("oversized-100k", [102_400, 102_400, 1_500]);
}
