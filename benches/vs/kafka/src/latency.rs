//! From a record's production to the alert about it, while other records come at a steady rate.
//!
//! Marked records are root logins over SSH, for which the pack has a rule of one event that no correlation refers to; each
//! comes from an address of its own, in a range that the corpus does not use, by which its alert is known. The clock runs
//! from the call that hands the record to the producer to the moment when the alert is read from its topic, so both clients'
//! own waiting counts.

use std::collections::HashMap;
use std::net::Ipv6Addr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use casebook_event::Timestamp;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::Producer as _;
use rdkafka::{Message as _, Offset, TopicPartitionList};

use crate::Result;
use crate::corpus::Reader;
use crate::process::Running;
use crate::topics::{self, Producer, TIMEOUT};

/// `ssh_root_login` of the pack.
const RULE: &str = "f47da572-db3c-443a-99a4-5bfb5684fe9f";
const MARK_EVERY: Duration = Duration::from_millis(100);
/// Records are sent in portions: waking for each would cost more than sending it.
const PORTION: Duration = Duration::from_millis(10);
/// Before marks count: the group joins, files and caches grow to their usual size.
const WARM_UP: Duration = Duration::from_secs(10);
const START_DEADLINE: Duration = Duration::from_secs(120);
/// After the last mark.
const ALERT_DEADLINE: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Marks {
    sent: HashMap<Ipv6Addr, Instant>,
    arrived: HashMap<Ipv6Addr, Instant>,
    alerts: u64,
}

struct Marker {
    producer: Producer,
    topic: String,
    marks: Arc<Mutex<Marks>>,
    number: u64,
}

impl Marker {
    /// Sends the next marked record, as of an event time.
    fn send(&mut self, time: Timestamp) -> Result<Ipv6Addr> {
        self.number += 1;
        let address = Ipv6Addr::from((0x3fff_u128 << 112) | u128::from(self.number));
        let port = 1024 + self.number % 60_000;
        let stamp = time.to_string();
        let payload = format!(
            "{stamp} bastion-1 sshd[{}]: Accepted publickey for root from {address} port {port} ssh2",
            1000 + self.number % 30_000
        );
        lock(&self.marks)?.sent.insert(address, Instant::now());
        topics::send(&self.producer, &self.topic, "bastion-1", payload.as_bytes())?;
        Ok(address)
    }
}

fn lock(marks: &Mutex<Marks>) -> Result<std::sync::MutexGuard<'_, Marks>> {
    marks.lock().map_err(|_| "the other thread failed".into())
}

pub fn run(brokers: &str, prefix: &str, file: &Path, rate: f64, seconds: u64, command: &[String]) -> Result<()> {
    topics::create(brokers, prefix)?;
    let mut reader = Reader::open(file)?;
    let mut running = Running::start(command)?;
    let marks = Arc::new(Mutex::new(Marks::default()));
    let stop = Arc::new(AtomicBool::new(false));
    let alerts_topic = format!("{prefix}.alerts");
    let listener = {
        let (consumer, marks, stop) = (
            listen(brokers, &alerts_topic, &mut running)?,
            marks.clone(),
            stop.clone(),
        );
        std::thread::spawn(move || note_alerts(&consumer, &marks, &stop))
    };
    let producer = topics::producer(brokers)?;
    let topic = format!("{prefix}.logs.auth");
    let mut marker = Marker {
        producer: producer.clone(),
        topic,
        marks: marks.clone(),
        number: 0,
    };

    // Nothing is measured before the first alert comes through.
    let mut time = Timestamp::from_nanos(0);
    if let Some(record) = reader.next()? {
        time = record.time;
    }
    let since = Instant::now();
    while lock(&marks)?.arrived.is_empty() {
        running.alive()?;
        if since.elapsed() > START_DEADLINE {
            return Err("no marked alert came".into());
        }
        marker.send(time)?;
        std::thread::sleep(Duration::from_millis(500));
    }

    let begin = Instant::now();
    let end = WARM_UP + Duration::from_secs(seconds);
    let cpu = running.cpu_seconds()?;
    let (mut bytes, mut records, mut next_mark, mut counted) = (0u64, 0u64, Duration::ZERO, Vec::new());
    let mut lag = Duration::ZERO;
    loop {
        let now = begin.elapsed();
        if now >= end {
            break;
        }
        // What is due by now, with the marks in their places among it.
        while (bytes as f64) < now.as_secs_f64() * rate {
            let Some(record) = reader.next()? else {
                return Err("the corpus is too short for this rate and time".into());
            };
            time = time.max(record.time);
            topics::send(
                &producer,
                &format!("{prefix}.{}", record.topic),
                record.key,
                record.payload,
            )?;
            bytes += record.payload.len() as u64;
            records += 1;
        }
        if now >= next_mark {
            let address = marker.send(time)?;
            if now >= WARM_UP {
                counted.push(address);
            }
            next_mark += MARK_EVERY;
        }
        lag = lag.max(begin.elapsed() - now);
        std::thread::sleep(PORTION);
    }
    let paced = begin.elapsed().as_secs_f64();
    let cpu = running.cpu_seconds()? - cpu;
    producer.flush(TIMEOUT)?;
    let since = Instant::now();
    loop {
        running.alive()?;
        let marks = lock(&marks)?;
        if counted.iter().all(|address| marks.arrived.contains_key(address)) || since.elapsed() > ALERT_DEADLINE {
            break;
        }
        drop(marks);
        std::thread::sleep(Duration::from_millis(50));
    }
    stop.store(true, Ordering::Relaxed);
    listener.join().map_err(|_| "the listener panicked")??;
    let peak_mib = running.peak_mib()?;
    running.stop()?;

    let marks = lock(&marks)?;
    let took = |address| Some((*marks.arrived.get(address)? - *marks.sent.get(address)?).as_secs_f64());
    let mut took: Vec<f64> = counted.iter().filter_map(took).collect();
    took.sort_by(f64::total_cmp);
    // The nearest rank, rounded up: never better than what was seen.
    let at = |share: f64| {
        took.get(((took.len() as f64 * share).ceil() as usize).max(1) - 1)
            .copied()
    };
    println!(
        "{}",
        serde_json::json!({
            "marks": counted.len(), "lost": counted.len() - took.len(), "alerts": marks.alerts,
            "p50": at(0.5), "p99": at(0.99), "max": took.last(),
            "bytes_per_second": bytes as f64 / paced, "records_per_second": records as f64 / paced,
            "producer_lag_seconds": lag.as_secs_f64(), "cores": cpu / paced, "peak_mib": peak_mib,
        })
    );
    Ok(())
}

/// A consumer of all of the alerts topic, once Casebook has made it.
fn listen(brokers: &str, topic: &str, running: &mut Running) -> Result<BaseConsumer> {
    let consumer: BaseConsumer = topics::client(brokers)
        .set("group.id", format!("{topic}.listener"))
        .set("enable.auto.commit", "false")
        .create()?;
    let since = Instant::now();
    loop {
        running.alive()?;
        let metadata = consumer.fetch_metadata(None, TIMEOUT)?;
        if let Some(found) = metadata
            .topics()
            .iter()
            .find(|found| found.name() == topic && !found.partitions().is_empty())
        {
            let mut list = TopicPartitionList::new();
            for partition in found.partitions() {
                list.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
            }
            consumer.assign(&list)?;
            return Ok(consumer);
        }
        if since.elapsed() > START_DEADLINE {
            return Err("there is no topic of alerts".into());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn note_alerts(consumer: &BaseConsumer, marks: &Mutex<Marks>, stop: &AtomicBool) -> Result<()> {
    while !stop.load(Ordering::Relaxed) {
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        let (message, now) = (message?, Instant::now());
        let alert: serde_json::Value = serde_json::from_slice(message.payload().unwrap_or_default())?;
        let mut marks = lock(marks)?;
        marks.alerts += 1;
        if alert["rule"]["id"] != RULE {
            continue;
        }
        let address = alert["evidence"][0]["entities"]["source.ip"].as_str();
        if let Some(address) = address.and_then(|text| text.parse().ok())
            && marks.sent.contains_key(&address)
        {
            marks.arrived.entry(address).or_insert(now);
        }
    }
    Ok(())
}
