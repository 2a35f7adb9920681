//! Casebook on a backlog: from the start of the process until everything is committed.

use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use crate::Result;
use crate::process::Running;
use crate::topics::{self, TIMEOUT};

const LOOK: Duration = Duration::from_millis(100);
/// Correlation reads what detection wrote at the same pace; much longer than its commits take, and it is stuck.
const SIGNALS_DEADLINE: Duration = Duration::from_secs(300);

pub fn run(brokers: &str, prefix: &str, group: &str, command: &[String]) -> Result<()> {
    let log_topics = topics::log_topics(prefix);
    let asking = |group: &str| -> Result<BaseConsumer> { Ok(topics::client(brokers).set("group.id", group).create()?) };
    let (logs, signals) = (asking(group)?, asking(&format!("{group}-correlate"))?);
    let log_ends = topics::ends(&logs, &log_topics)?;

    let mut running = Running::start(command)?;
    // Casebook writes a group's offsets after its tables have the rows: they never say too much.
    while !reached(&logs, &log_ends)? {
        running.alive()?;
        std::thread::sleep(LOOK);
    }
    let committed = running.begin.elapsed().as_secs_f64();

    // Where nothing is to be reported, the positions in the signals are committed every five seconds: this comes up to that late.
    let signal_ends = topics::ends(&signals, &[format!("{group}.signals")])?;
    let since = Instant::now();
    while !reached(&signals, &signal_ends)? {
        running.alive()?;
        if since.elapsed() > SIGNALS_DEADLINE {
            return Err("the signals were not read to their end".into());
        }
        std::thread::sleep(LOOK);
    }
    let alerted = running.begin.elapsed().as_secs_f64();
    let (cpu, peak_mib) = (running.cpu_seconds()?, running.peak_mib()?);
    running.stop()?;
    println!(
        "{}",
        serde_json::json!({ "seconds": committed, "alerted": alerted, "cpu": cpu, "peak_mib": peak_mib })
    );
    Ok(())
}

fn reached(consumer: &BaseConsumer, ends: &TopicPartitionList) -> Result<bool> {
    let mut asked = TopicPartitionList::new();
    for end in ends.elements() {
        asked.add_partition(end.topic(), end.partition());
    }
    // A coordinator that is still being elected refuses to answer; whoever is not there yet has reached nothing.
    let Ok(next) = consumer.committed_offsets(asked, TIMEOUT) else {
        return Ok(false);
    };
    Ok(ends.elements().iter().all(|end| {
        let next = next.find_partition(end.topic(), end.partition());
        let next = next.and_then(|next| next.offset().to_raw()).unwrap_or(-1);
        end.offset().to_raw().is_some_and(|end| next.max(0) >= end)
    }))
}
