//! What a worker tells those who run it: its health, its metrics, its spans, and that it stops in time.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use casebook_event::Source;

use crate::deployment::{Deployment, Settings};
use crate::input::{Topics, write_demo};
use crate::support::kafka;

/// Longest time that a test waits for what a worker tells.
const DEADLINE: Duration = Duration::from_secs(60);

/// After so long without progress a partition stalls.
const STALL: Duration = Duration::from_secs(5);

/// An address that nobody listens at.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Status and body of a GET; nothing where nobody answers.
fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
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
fn a_worker_tells_its_health_its_metrics_and_its_spans() {
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

    // A disk that takes nothing: the health says which partition stands, and why.
    let mut ill = deployment.worker("all", "store.file=return(no space left on device)");
    ill.wait_for("partition makes no progress");
    let (status, body) = get(http, "/healthz").unwrap();
    assert_eq!(status, 503, "{body}");
    assert!(
        body.contains(&topics.name) && body.contains("no space left on device"),
        "{body}"
    );
    let (_, metrics) = get(http, "/metrics").unwrap();
    assert!(metrics.contains("casebook_stalled{stage=\"ingest\""), "{metrics}");
    assert!(metrics.contains("casebook_store_commit_failures_total"), "{metrics}");
    ill.kill();

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
    // What the brokers tell of the ends of partitions comes once a second.
    loop {
        let (status, metrics) = get(http, "/metrics").unwrap();
        assert_eq!(status, 200);
        let missing: Vec<&str> = names.into_iter().filter(|name| !metrics.contains(name)).collect();
        let behind = |line: &&str| line.starts_with("casebook_ingest_lag_records{") && !line.ends_with(" 0");
        let behind: Vec<&str> = metrics.lines().filter(behind).collect();
        if missing.is_empty() && behind.is_empty() {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "{missing:?} is not in, {behind:?} are left in\n{metrics}"
        );
        well.next_line(Duration::from_millis(200));
    }
    // Marks of transactions are no records: a partition that ends with one is read to its end all the same, and is neither
    // behind nor stalled when longer is gone by than makes a stall.
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
    let (_, metrics) = get(http, "/metrics").unwrap();
    let behind = |line: &&str| line.starts_with("casebook_ingest_lag_records{") && !line.ends_with(" 0");
    assert_eq!(metrics.lines().find(behind), None, "{metrics}");
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
