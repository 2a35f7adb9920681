//! What a worker reports to those who run it: its health, its metrics, its spans, and that it stops in time.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use casebook_event::Source;

use crate::support::deployment::{Deployment, Settings};
use crate::support::outcome::try_sql;
use crate::support::topics::{Topics, write_demo};
use crate::support::worker::Worker;
use crate::support::{json_lines, kafka, run};

/// Longest time that a test waits for what a worker reports.
const DEADLINE: Duration = Duration::from_secs(60);

/// After so long without progress a partition stalls.
const STALL: Duration = Duration::from_secs(5);

/// An address that nobody listens at.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Status and body of a GET; nothing where nobody answers.
pub fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    Some((status, body.to_owned()))
}

/// A collector that takes whatever is posted to it, and hands on path and body.
fn collector() -> (SocketAddr, Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut read = Vec::new();
            let mut chunk = [0; 4096];
            // The head, then as much as it says that there is.
            let body = loop {
                let Ok(count) = stream.read(&mut chunk) else { break None };
                read.extend_from_slice(&chunk[..count]);
                let text = String::from_utf8_lossy(&read).to_ascii_lowercase();
                let Some(head) = text.find("\r\n\r\n") else {
                    if count == 0 {
                        break None;
                    }
                    continue;
                };
                let length = text[..head]
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "));
                let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
                if read.len() >= head + 4 + length || count == 0 {
                    break Some(read[head + 4..].to_vec());
                }
            };
            let path = String::from_utf8_lossy(&read)
                .split(' ')
                .nth(1)
                .unwrap_or_default()
                .to_owned();
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            if body.is_none_or(|body| sender.send((path, body)).is_err()) {
                return;
            }
        }
    });
    (address, receiver)
}

#[test]
fn a_worker_reports_its_health_its_metrics_and_its_spans() {
    let Some(brokers) = kafka::brokers("operations") else {
        return;
    };
    let topics = Topics::create(&brokers, &format!("operations-{}", std::process::id()));
    write_demo(&topics);
    let http = free_address();
    let (otlp, spans) = collector();
    let settings = Settings {
        more: format!(
            "http: {http}\nstall_after: {}s\ntraces: http://{otlp}\n",
            STALL.as_secs()
        ),
        ..Settings::default()
    };
    let deployment = Deployment::new(&topics, "operations", &settings);

    check_full_disk(&deployment, http);

    let mut well = deployment.worker("all", "");
    well.wait_for("events committed");
    let deadline = Instant::now() + DEADLINE;
    let drained = || kafka::is_drained(&brokers, &deployment.group, &topics.names());
    while !drained() {
        assert!(Instant::now() < deadline, "{}", well.log());
        well.next_line(Duration::from_millis(200));
    }
    assert_eq!(get(http, "/healthz"), Some((200, "ok\n".into())));
    assert_eq!(get(http, "/readyz"), Some((200, "ok\n".into())));
    let names = [
        "casebook_ingest_records_total",
        "casebook_ingest_lag_records{",
        "casebook_ingest_lag_seconds{",
        "casebook_ingest_dead_letters_total{reason=\"invalid_json\"}",
        "casebook_rule_matches_total{rule_id=",
        "casebook_correlate_lag_records{",
        "casebook_correlate_alert_delay_seconds_bucket",
        "casebook_correlate_watermark_lag_seconds{",
        "casebook_last_commit_timestamp_seconds{stage=\"correlate\"}",
        "casebook_partitions{stage=\"ingest\"} 20",
        "casebook_process_resident_memory_bytes",
    ];
    // What the brokers report of the ends of partitions comes once a second.
    loop {
        let (status, metrics) = get(http, "/metrics").unwrap();
        assert_eq!(status, 200);
        let missing: Vec<&str> = names.into_iter().filter(|name| !metrics.contains(name)).collect();
        if missing.is_empty() {
            break;
        }
        assert!(Instant::now() < deadline, "{missing:?} is not in\n{metrics}");
        well.next_line(Duration::from_millis(200));
    }
    wait_until_nothing_lags(&mut well, http);
    // Marks of transactions are no records: a partition that ends with one is read to its end all the same, and neither
    // lags nor stalls when longer is gone by than makes a stall.
    let events = deployment.counts().unwrap()[0];
    let topic = topics.of(Source::Application);
    kafka::write_in_transaction(&brokers, topic, 0, br#"{"level":"info","message":"in a transaction"}"#);
    deployment.wait_until("the event of the transaction", &mut [&mut well], |counts| {
        counts[0] > events
    });
    let committed = Instant::now();
    while committed.elapsed() < STALL + Duration::from_secs(3) {
        assert_eq!(get(http, "/healthz"), Some((200, "ok\n".into())));
        well.next_line(Duration::from_millis(200));
    }
    // A worker that began a moment ago does not believe yet what its consumer says of the end: until then the mark counts.
    wait_until_nothing_lags(&mut well, http);
    well.stop();
    let (mut paths, mut bodies) = (Vec::new(), Vec::new());
    while let Ok((path, body)) = spans.try_recv() {
        paths.push(path);
        bodies.extend(body);
    }
    assert!(
        !paths.is_empty() && paths.iter().all(|path| path == "/v1/traces"),
        "{paths:?}"
    );
    // The names of spans stand in the messages as they are.
    let has = |name: &[u8]| bodies.windows(name.len()).any(|window| window == name);
    for name in [
        b"commit".as_slice(),
        b"files",
        b"log",
        b"signals",
        b"commit_alerts",
        b"casebook",
    ] {
        assert!(has(name), "no span {}", String::from_utf8_lossy(name));
    }
}

fn wait_until_nothing_lags(worker: &mut Worker, http: SocketAddr) {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let (_, metrics) = get(http, "/metrics").unwrap();
        let lags = |line: &&str| line.starts_with("casebook_ingest_lag_records{") && !line.ends_with(" 0");
        let Some(lag) = metrics.lines().find(lags) else {
            return;
        };
        assert!(Instant::now() < deadline, "{lag} is left in\n{metrics}");
        worker.next_line(Duration::from_millis(200));
    }
}

/// The sum of a metric over its labels.
fn sum_of(http: SocketAddr, name: &str) -> i64 {
    let (_, metrics) = get(http, "/metrics").unwrap();
    let of_name = metrics.lines().filter(|line| line.starts_with(name));
    of_name
        .map(|line| line.rsplit(' ').next().unwrap().parse::<i64>().unwrap())
        .sum()
}

/// A disk that takes nothing: the worker is not ready, and says which partition stands, and why. A restart would not help. What is
/// read and not committed lags all the same, and grows with what comes.
fn check_full_disk(deployment: &Deployment, http: SocketAddr) {
    let topics = &deployment.topics;
    let mut ill = deployment.worker("all", "store.file=return(no space left on device)");
    ill.wait_for("partition makes no progress");
    let (status, body) = get(http, "/readyz").unwrap();
    assert_eq!(status, 503, "{body}");
    assert!(
        body.contains(&topics.name) && body.contains("no space left on device"),
        "{body}"
    );
    assert_eq!(get(http, "/healthz"), Some((200, "ok\n".into())));
    let (_, metrics) = get(http, "/metrics").unwrap();
    assert!(metrics.contains("casebook_stalled{stage=\"ingest\""), "{metrics}");
    assert!(metrics.contains("casebook_store_commit_failures_total"), "{metrics}");
    assert!(metrics.contains("\ncasebook_ready 0"), "{metrics}");
    let lag = || sum_of(http, "casebook_ingest_lag_records{");
    let (before, deadline) = (lag(), Instant::now() + DEADLINE);
    assert!(before > 1_000, "{before} records wait");
    assert!(sum_of(http, "casebook_ingest_lag_seconds{") > 0);
    let producer = kafka::Producer::new(&topics.brokers);
    for n in 0..100 {
        let record = format!(r#"{{"level":"info","message":"one more {n}"}}"#);
        producer.write(topics.of(Source::Application), 1, record.as_bytes());
    }
    producer.flush();
    while lag() < before + 100 {
        assert!(
            Instant::now() < deadline,
            "{} of {before} and 100\n{}",
            lag(),
            ill.log()
        );
        ill.next_line(Duration::from_millis(200));
    }
    ill.kill();
}

/// The brokers go away and come back. Readiness says so; liveness does not, since a restart does not bring them back. A worker that
/// has nothing to read, and one without any partition, are ready otherwise.
#[test]
fn an_outage_of_the_brokers_fails_readiness_and_not_liveness() {
    let Some(broker) = kafka::OwnBroker::start("outage") else {
        return;
    };
    let topics = Topics::create(&broker.brokers, "outage");
    let addresses = [free_address(), free_address()];
    let settings = |http| Settings {
        more: format!("http: {http}\nstall_after: {}s\n", STALL.as_secs()),
        ..Settings::default()
    };
    let deployment = Deployment::new(&topics, "outage", &settings(addresses[0]));
    let mut busy = deployment.worker("all", "");
    busy.wait_for("partitions assigned");
    // Correlation has four partitions: one of two workers of that role alone has nothing to do where a third has them all.
    let text = std::fs::read_to_string(&deployment.config).unwrap();
    let text = text.replace(&addresses[0].to_string(), &addresses[1].to_string());
    let standby_config = deployment.config.with_file_name("standby.yaml");
    std::fs::write(&standby_config, text).unwrap();
    let standby_group = format!("{}.standby", deployment.group);
    let text = std::fs::read_to_string(&standby_config).unwrap();
    let text = text.replace(
        &format!("group: {}\n", deployment.group),
        &format!("group: {standby_group}\n"),
    );
    // Its expression matches no topic: it is in the group and is given nothing.
    let listed = topics.listed();
    let text = text.replace(&listed, "    - { name: '^none-such-.*' }\n");
    std::fs::write(&standby_config, text).unwrap();
    let mut standby = Worker::start_with(&standby_config, "ingest", "", &[]);
    let deadline = || Instant::now() + DEADLINE;
    let wait = |workers: &mut [&mut Worker], path: &str, http, want: u16| {
        let end = deadline();
        loop {
            match get(http, path) {
                Some((status, body)) if status == want => return body,
                other => assert!(Instant::now() < end, "{path} {want}: {other:?}\n{}", workers[0].log()),
            }
            for worker in workers.iter_mut() {
                worker.next_line(Duration::from_millis(100));
            }
        }
    };
    for http in addresses {
        wait(&mut [&mut busy, &mut standby], "/readyz", http, 200);
    }
    // Nothing to read, for longer than makes a stall.
    let begun = Instant::now();
    while begun.elapsed() < STALL + Duration::from_secs(2) {
        for http in addresses {
            assert_eq!(get(http, "/readyz"), Some((200, "ok\n".into())));
            assert_eq!(get(http, "/healthz"), Some((200, "ok\n".into())));
        }
        busy.next_line(Duration::from_millis(200));
        standby.next_line(Duration::from_millis(200));
    }
    broker.kill();
    for http in addresses {
        let body = wait(&mut [&mut busy, &mut standby], "/readyz", http, 503);
        assert!(body.contains("the brokers do not answer for "), "{body}");
    }
    // Longer than a stall: a restart would bring nothing back.
    let begun = Instant::now();
    while begun.elapsed() < STALL * 2 {
        for http in addresses {
            assert_eq!(get(http, "/healthz"), Some((200, "ok\n".into())));
        }
        busy.next_line(Duration::from_millis(200));
        standby.next_line(Duration::from_millis(200));
    }
    broker.start_again();
    for http in addresses {
        wait(&mut [&mut busy, &mut standby], "/readyz", http, 200);
        assert_eq!(get(http, "/healthz"), Some((200, "ok\n".into())));
    }
    // And it reads on.
    write_demo(&topics);
    deployment.wait_until("events after the outage", &mut [&mut busy], |counts| counts[0] > 3_000);
    busy.stop();
    standby.stop();
}

/// Topics of which nothing comes: the table knows all the same that they are read to their ends, and every answer says so.
#[test]
fn idle_topics_are_known_to_be_read_to_their_ends() {
    let Some(brokers) = kafka::brokers("idle-topics") else {
        return;
    };
    let topics = Topics::create(&brokers, &format!("idle-{}", std::process::id()));
    write_demo(&topics);
    let deployment = Deployment::new(&topics, "idle", &Settings::default());
    let text = std::fs::read_to_string(&deployment.config).unwrap();
    let text = text.replace("checkpoint_commits: 3", "checkpoint_commits: 3, idle_interval: 1s");
    std::fs::write(&deployment.config, text).unwrap();
    let mut worker = deployment.worker("all", "");
    deployment.wait_until("all of it", &mut [&mut worker], |counts| {
        counts[0] > 3_000 && kafka::is_drained(&brokers, &deployment.group, &topics.names())
    });
    let known = || {
        let rows = json_lines(&run(&[
            "store",
            "stats",
            "--by",
            "topic",
            "--store",
            &deployment.store.url,
            "--output",
            "json",
        ]));
        let of_row = |row: &serde_json::Value| {
            Some((
                row["topic"].as_str()?.to_owned(),
                row["read_to_end"].as_str()?.to_owned(),
            ))
        };
        rows.iter()
            .filter_map(of_row)
            .collect::<std::collections::BTreeMap<_, _>>()
    };
    let wait_for = |worker: &mut crate::support::worker::Worker, least: Option<&String>| {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let found = known();
            if found.len() == topics.names().len() && least.is_none_or(|least| found.values().all(|at| at > least)) {
                return found;
            }
            assert!(Instant::now() < deadline, "{found:?} after {least:?}\n{}", worker.log());
            worker.next_line(Duration::from_millis(200));
        }
    };
    // It moves on, twice, though nothing comes.
    let first = wait_for(&mut worker, None);
    let second = wait_for(&mut worker, first.values().max());
    wait_for(&mut worker, second.values().max());
    let output = crate::support::casebook()
        .args([
            "search",
            "source:auth",
            "--limit",
            "1",
            "--store",
            &deployment.store.url,
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("coverage: ") && said.contains(" (read to the end at "),
        "{said}"
    );
    assert!(!said.contains("coverage: topic "), "{said}");
    // The worker is gone: later the same topics are not known to their ends any more.
    worker.stop();
    let rows = try_sql(&deployment.store, "SELECT count(*) AS n FROM events").unwrap();
    assert!(
        rows[0]["n"].as_i64().unwrap() > 3_000,
        "commits of nothing harm no rows"
    );
}

/// A worker whose store hangs is asked to stop: it ends when its time is over, and says so.
#[test]
fn a_worker_that_cannot_commit_stops_in_time_all_the_same() {
    let Some(brokers) = kafka::brokers("deadline") else {
        return;
    };
    let topics = Topics::create(&brokers, &format!("deadline-{}", std::process::id()));
    write_demo(&topics);
    let settings = Settings {
        more: "shutdown_deadline: 2s\n".into(),
        ..Settings::default()
    };
    let deployment = Deployment::new(&topics, "deadline", &settings);
    let mut worker = deployment.worker("ingest", "store.file=pause");
    worker.wait_for("commit started");
    let begun = Instant::now();
    let status = worker.terminate();
    assert_eq!(status.code(), Some(3), "it says that it could not");
    assert!(begun.elapsed() < DEADLINE);
}
