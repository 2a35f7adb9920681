//! What demo and bench share: a client that writes records, and asks where topics end.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use casebook_event::Partition;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};

/// Longest wait for the brokers.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Wait when librdkafka's queue is full.
const QUEUE_FULL_WAIT: Duration = Duration::from_millis(10);

/// Writes records to topics.
pub struct Feed {
    producer: ThreadedProducer<DefaultProducerContext>,
    brokers: String,
}

impl Feed {
    /// A client of those brokers.
    pub fn new(brokers: &str) -> Result<Self> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("linger.ms", "5")
            .set("compression.type", "lz4")
            .set("enable.idempotence", "true")
            .set("queue.buffering.max.kbytes", "65536")
            .create()
            .context("kafka producer")?;
        Ok(Self {
            producer,
            brokers: brokers.to_owned(),
        })
    }

    /// Hands one record over. Call it on a thread that may wait.
    pub fn write(&self, topic: &str, key: &str, payload: &[u8]) -> Result<()> {
        let mut record = BaseRecord::to(topic).key(key).payload(payload);
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    std::thread::sleep(QUEUE_FULL_WAIT);
                }
                Err((error, _)) => return Err(anyhow!("topic `{topic}`: {error}")),
            }
        }
    }

    /// Waits until the brokers have everything.
    pub fn flush(&self) -> Result<()> {
        self.producer.flush(TIMEOUT * 10).context("writing to kafka")
    }

    /// The offset after the last record of every partition of `topics`.
    pub fn ends(&self, topics: &[&str]) -> Result<BTreeMap<Partition, i64>> {
        let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", &self.brokers).create()?;
        let metadata = consumer.fetch_metadata(None, TIMEOUT).context("kafka metadata")?;
        let mut ends = BTreeMap::new();
        for topic in metadata.topics().iter().filter(|topic| topics.contains(&topic.name())) {
            for partition in topic.partitions() {
                let (_, end) = consumer.fetch_watermarks(topic.name(), partition.id(), TIMEOUT)?;
                ends.insert(Partition::new(topic.name(), partition.id()), end);
            }
        }
        Ok(ends)
    }
}

/// Whether `next` has reached `ends` on every partition that holds anything.
pub fn reached(next: &BTreeMap<Partition, i64>, ends: &BTreeMap<Partition, i64>) -> bool {
    ends.iter()
        .all(|(partition, end)| *end == 0 || next.get(partition).is_some_and(|next| next >= end))
}
