//! The signals topic: what is written to it, and how it is read back.

use std::time::Duration;

use casebook_event::{Partition, SignalMessage};
use casebook_ingest::TokenContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::future_producer::DeliveryFuture;
use rdkafka::producer::{FutureProducer, FutureRecord};

use crate::error::PipelineError;
use crate::kafka_config::KafkaConfig;
use crate::topics::client_config;

/// Wait when librdkafka's queue is full, before it is tried again.
const QUEUE_FULL_WAIT: Duration = Duration::from_millis(5);
/// Messages on their way before new ones wait for them.
const MAX_IN_FLIGHT_MESSAGES: usize = 20_000;

/// The client that writes to Casebook's own topics.
pub(crate) type Producer = FutureProducer<TokenContext>;

/// Makes a producer that neither loses nor reorders what it is given.
pub(crate) fn producer(kafka: &KafkaConfig) -> Result<Producer, PipelineError> {
    client_config(kafka)
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        .set("compression.type", "lz4")
        .set("queue.buffering.max.kbytes", "32768")
        .create_with_context(TokenContext::new(kafka.token()))
        .map_err(|source| PipelineError::Brokers {
            brokers: kafka.brokers.clone(),
            source,
        })
}

/// Messages that were handed to librdkafka and not yet confirmed by the brokers.
#[derive(Default)]
pub(crate) struct Deliveries {
    futures: Vec<DeliveryFuture>,
    topic: String,
}

impl Deliveries {
    /// Waits until the brokers have all of them.
    pub(crate) async fn confirmed(self) -> Result<(), PipelineError> {
        for future in self.futures {
            let outcome = match future.await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err((error, _))) => Err(error),
                Err(_) => Err(KafkaError::Canceled),
            };
            outcome.map_err(|source| PipelineError::Produce {
                topic: self.topic.clone(),
                source,
            })?;
        }
        Ok(())
    }
}

/// Writes to one topic, in order within each partition.
pub(crate) struct TopicWriter {
    producer: Producer,
    topic: String,
    deliveries: Deliveries,
}

impl TopicWriter {
    pub(crate) fn new(producer: Producer, topic: &str) -> Self {
        let deliveries = Deliveries {
            futures: Vec::new(),
            topic: topic.to_owned(),
        };
        Self {
            producer,
            topic: topic.to_owned(),
            deliveries,
        }
    }

    /// Hands a message over. It waits while too many are on their way.
    pub(crate) async fn write(
        &mut self,
        partition: Option<i32>,
        key: &[u8],
        payload: &[u8],
    ) -> Result<(), PipelineError> {
        if self.deliveries.futures.len() >= MAX_IN_FLIGHT_MESSAGES {
            self.take_deliveries().confirmed().await?;
        }
        loop {
            let mut record = FutureRecord::to(&self.topic).key(key).payload(payload);
            record.partition = partition;
            match self.producer.send_result(record) {
                Ok(future) => {
                    self.deliveries.futures.push(future);
                    return Ok(());
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    tokio::time::sleep(QUEUE_FULL_WAIT).await;
                }
                Err((source, _)) => {
                    return Err(PipelineError::Produce {
                        topic: self.topic.clone(),
                        source,
                    });
                }
            }
        }
    }

    /// What was handed over since this was last called.
    pub(crate) fn take_deliveries(&mut self) -> Deliveries {
        let empty = Deliveries {
            futures: Vec::new(),
            topic: self.topic.clone(),
        };
        std::mem::replace(&mut self.deliveries, empty)
    }
}

/// Writes signals to the partition of their group, and watermarks and bindings to all.
pub(crate) struct SignalWriter {
    writer: TopicWriter,
    partitions: i32,
}

impl SignalWriter {
    pub(crate) fn new(producer: Producer, topic: &str, partitions: i32) -> Self {
        Self {
            writer: TopicWriter::new(producer, topic),
            partitions,
        }
    }

    pub(crate) async fn write(&mut self, message: &SignalMessage) -> Result<(), PipelineError> {
        // A signal is plain data: serde_json cannot fail on it.
        let payload = serde_json::to_vec(message).unwrap_or_default();
        match message {
            SignalMessage::Signal(signal) => {
                let key = signal.key();
                let partition = (key % self.partitions.unsigned_abs().max(1) as u64) as i32;
                self.writer.write(Some(partition), &key.to_be_bytes(), &payload).await
            }
            SignalMessage::Watermark(watermark) => self.write_to_all(&watermark.partition.to_string(), &payload).await,
            SignalMessage::Binding(binding) => self.write_to_all(&binding.from.to_string(), &payload).await,
        }
    }

    async fn write_to_all(&mut self, key: &str, payload: &[u8]) -> Result<(), PipelineError> {
        for partition in 0..self.partitions {
            self.writer.write(Some(partition), key.as_bytes(), payload).await?;
        }
        Ok(())
    }

    pub(crate) fn take_deliveries(&mut self) -> Deliveries {
        self.writer.take_deliveries()
    }
}

/// Reads one message of the signals topic.
pub(crate) fn parse(partition: &Partition, offset: i64, payload: &[u8]) -> Result<SignalMessage, PipelineError> {
    serde_json::from_slice(payload).map_err(|error| PipelineError::NotASignal {
        partition: partition.clone(),
        offset,
        reason: error.to_string(),
    })
}
