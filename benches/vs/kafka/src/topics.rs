//! The topics of a run, and writing into them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use casebook_corpus::SOURCES;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};

use crate::Result;
use crate::corpus::Reader;

pub const TIMEOUT: Duration = Duration::from_secs(30);
const PARTITIONS: i32 = 2;

pub type Producer = ThreadedProducer<DefaultProducerContext>;

pub fn client(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    config
}

/// A producer with the settings of `casebook bench`.
pub fn producer(brokers: &str) -> Result<Producer> {
    Ok(client(brokers)
        .set("linger.ms", "5")
        .set("compression.type", "lz4")
        .set("enable.idempotence", "true")
        .set("queue.buffering.max.kbytes", "65536")
        .create()?)
}

pub fn log_topics(prefix: &str) -> Vec<String> {
    SOURCES
        .iter()
        .map(|&source| format!("{prefix}.{}", casebook_corpus::topic(source)))
        .collect()
}

/// Makes the topics of the logs.
pub fn create(brokers: &str, prefix: &str) -> Result<()> {
    use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
    let admin: AdminClient<_> = client(brokers).create()?;
    let names = log_topics(prefix);
    let new: Vec<_> = names
        .iter()
        .map(|name| NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1)))
        .collect();
    for made in block_on(admin.create_topics(&new, &AdminOptions::new()))? {
        made.map_err(|(topic, code)| format!("topic {topic}: {code}"))?;
    }
    Ok(())
}

/// Waits for a future that a client's own thread completes; a runtime would be for this alone.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn send(producer: &Producer, topic: &str, key: &str, payload: &[u8]) -> Result<()> {
    let mut record = BaseRecord::to(topic).key(key).payload(payload);
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                record = back;
                std::thread::sleep(Duration::from_millis(5));
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
}

pub fn feed(brokers: &str, prefix: &str, file: &Path, limit: u64) -> Result<()> {
    create(brokers, prefix)?;
    let producer = producer(brokers)?;
    let mut reader = Reader::open(file)?;
    let (mut records, mut bytes) = (0u64, 0u64);
    let mut of_topics = BTreeMap::<String, u64>::new();
    let begin = Instant::now();
    while bytes < limit
        && let Some(record) = reader.next()?
    {
        send(
            &producer,
            &format!("{prefix}.{}", record.topic),
            record.key,
            record.payload,
        )?;
        records += 1;
        bytes += record.payload.len() as u64;
        match of_topics.get_mut(record.topic) {
            Some(number) => *number += 1,
            None => _ = of_topics.insert(record.topic.to_owned(), 1),
        }
    }
    producer.flush(TIMEOUT * 10)?;
    // A delivery that failed is reported to nobody here, so the brokers are asked what they have.
    let consumer: BaseConsumer = client(brokers).create()?;
    let held: i64 = ends(&consumer, &log_topics(prefix))?
        .elements()
        .iter()
        .filter_map(|end| end.offset().to_raw())
        .sum();
    if held != records as i64 {
        return Err(format!("{records} records were sent and the brokers have {held}").into());
    }
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "{}",
        serde_json::json!({ "records": records, "bytes": bytes, "seconds": seconds, "topics": of_topics })
    );
    Ok(())
}

/// The offset after the last record of every partition.
pub fn ends(consumer: &BaseConsumer, topics: &[String]) -> Result<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for topic in topics {
        let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT)?;
        for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
            let (_, end) = consumer.fetch_watermarks(topic, partition.id(), TIMEOUT)?;
            list.add_partition_offset(topic, partition.id(), Offset::Offset(end))?;
        }
    }
    Ok(list)
}
