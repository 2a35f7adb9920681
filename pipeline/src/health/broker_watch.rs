//! Asks the brokers, again and again, where the partitions end that are read here: with a client of its own, so that the answer
//! does not depend on what the consumers do, wait for, or remember.
//!
//! Only an answer is one: a consumer goes on telling the last end that it heard of when its broker is gone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use casebook_event::{Partition, Timestamp};
use casebook_ingest::TokenContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock;
use crate::config::kafka::KafkaConfig;
use crate::error::PipelineError;
use crate::progress::stalls::Stalls;
use crate::topic::client::client_config;

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(2);
/// Longest wait for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for an answer about a single partition, where those about all of them fail.
const SINGLE_TIMEOUT: Duration = Duration::from_secs(1);
/// Partitions that fail one by one before the rest is not asked for any more.
const MAX_SINGLE_FAILURES: usize = 5;
/// Longest wait between two looks at the shutdown.
const STEP: Duration = Duration::from_millis(200);

/// The watch of one worker.
pub(crate) struct BrokerWatch {
    consumer: BaseConsumer<TokenContext>,
    /// Asked for where the worker has no partition.
    topic: String,
    stalls: Arc<Stalls>,
    shutdown: CancellationToken,
}

impl BrokerWatch {
    /// Makes the client.
    ///
    /// # Errors
    /// A property is refused.
    pub(crate) fn new(
        kafka: &KafkaConfig,
        stalls: Arc<Stalls>,
        shutdown: CancellationToken,
    ) -> Result<Self, PipelineError> {
        // It never joins the group: a client that may poll must have the name of one.
        let consumer = client_config(kafka)
            .set("group.id", &kafka.group)
            .set("enable.auto.commit", "false")
            .create_with_context(TokenContext::new(kafka.token()))
            .map_err(|source| PipelineError::Brokers {
                brokers: kafka.brokers.clone(),
                source,
            })?;
        Ok(Self {
            consumer,
            topic: kafka.signals_topic.clone(),
            stalls,
            shutdown,
        })
    }

    /// Runs until shutdown. Call it on a thread of its own.
    pub(crate) fn run(self) {
        let mut silent = false;
        while !self.shutdown.is_cancelled() {
            let answer = self.ask();
            let now = Instant::now();
            match answer {
                Ok(()) => {
                    self.stalls.brokers_answered(now);
                    if std::mem::take(&mut silent) {
                        info!("the brokers answer again");
                    }
                }
                Err(why) => {
                    if !std::mem::replace(&mut silent, true) {
                        warn!(why, "the brokers do not answer");
                    }
                    self.stalls.brokers_failed(why, now);
                }
            }
            let next = Instant::now() + INTERVAL;
            while Instant::now() < next && !self.shutdown.is_cancelled() {
                // A poll serves what librdkafka asks for, such as a new token; there is no record to be had.
                if self.consumer.poll(STEP).is_some() {
                    std::thread::sleep(STEP);
                }
            }
        }
    }

    /// Asks once. An error says what does not answer.
    fn ask(&self) -> Result<(), String> {
        let partitions: Vec<Partition> = self.stalls.all_partitions().into_iter().collect();
        if partitions.is_empty() {
            let metadata = self.consumer.fetch_metadata(Some(&self.topic), ANSWER_TIMEOUT);
            return metadata.map(drop).map_err(|error| error.to_string());
        }
        match self.ask_for_all(&partitions) {
            Ok(()) => Ok(()),
            // One that has no leader fails all: the others are asked for by themselves.
            Err(_) => self.ask_one_by_one(&partitions),
        }
    }

    fn ask_for_all(&self, partitions: &[Partition]) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            // The time that stands for the end.
            list.add_partition_offset(&partition.topic, partition.partition, Offset::End)?;
        }
        // What comes while the answer is on its way is not in it.
        let (at, now) = (clock::now(), Instant::now());
        let answer = self.consumer.offsets_for_times(list, ANSWER_TIMEOUT)?;
        for element in answer.elements() {
            element.error()?;
            if let Offset::Offset(high) = element.offset() {
                let partition = Partition::new(element.topic(), element.partition());
                self.stalls.reported_end(&partition, high, at, now);
            }
        }
        Ok(())
    }

    fn ask_one_by_one(&self, partitions: &[Partition]) -> Result<(), String> {
        let mut failed: Vec<String> = Vec::new();
        for partition in partitions {
            if failed.len() >= MAX_SINGLE_FAILURES || self.shutdown.is_cancelled() {
                break;
            }
            let (at, now): (Timestamp, Instant) = (clock::now(), Instant::now());
            let answer = self
                .consumer
                .fetch_watermarks(&partition.topic, partition.partition, SINGLE_TIMEOUT);
            match answer {
                Ok((_, high)) => self.stalls.reported_end(partition, high, at, now),
                Err(error) => failed.push(format!("{partition}: {error}")),
            }
        }
        if failed.is_empty() {
            return Ok(());
        }
        Err(failed.join("; "))
    }
}
