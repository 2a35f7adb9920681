//! The topics that Casebook itself writes: created where they are missing, looked at where they exist.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tracing::info;

use crate::config::KafkaConfig;
use crate::error::PipelineError;

/// Longest wait for the brokers at start.
const METADATA_TIMEOUT: Duration = Duration::from_secs(30);

/// A client configuration with the user's properties and without those that only a consumer knows.
pub(crate) fn client_config(kafka: &KafkaConfig) -> ClientConfig {
    let mut client = ClientConfig::new();
    client
        .set("client.id", "casebook")
        .set("allow.auto.create.topics", "false");
    for (name, value) in &kafka.properties {
        if !CONSUMER_ONLY_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            client.set(name, value);
        }
    }
    client.set("bootstrap.servers", &kafka.brokers);
    client
}

/// librdkafka takes these for a consumer only, and warns about them elsewhere.
const CONSUMER_ONLY_PREFIXES: &[&str] = &[
    "fetch.",
    "queued.",
    "max.partition.fetch",
    "session.timeout",
    "heartbeat.",
    "partition.assignment",
    "max.poll",
    "isolation.",
    "check.crcs",
];

/// The number of partitions of `topic`, which is created with `partitions` of them if it does not exist.
///
/// # Errors
/// The brokers do not answer within half a minute, or do not let the topic be created.
pub(crate) async fn ensure_topic(kafka: &KafkaConfig, topic: &str, partitions: i32) -> Result<i32, PipelineError> {
    if let Some(count) = partition_count(kafka, topic).await? {
        return Ok(count);
    }
    let failed = |reason: String| PipelineError::Topic {
        topic: topic.to_owned(),
        reason,
    };
    let admin: AdminClient<DefaultClientContext> = client_config(kafka)
        .create()
        .map_err(|error| failed(error.to_string()))?;
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(kafka.replication));
    let options = AdminOptions::new()
        .operation_timeout(Some(METADATA_TIMEOUT))
        .request_timeout(Some(METADATA_TIMEOUT));
    let results = admin
        .create_topics([&new], &options)
        .await
        .map_err(|error| failed(error.to_string()))?;
    for result in results {
        match result {
            Ok(_) => info!(topic, partitions, "topic created"),
            // Another worker was quicker.
            Err((_, rdkafka::types::RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, code)) => {
                return Err(failed(format!(
                    "cannot be created ({code}); create it with {partitions} partitions, or allow Casebook to"
                )));
            }
        }
    }
    // The new topic's metadata reach the broker that answers a moment later.
    let deadline = tokio::time::Instant::now() + METADATA_TIMEOUT;
    loop {
        match partition_count(kafka, topic).await? {
            Some(count) => return Ok(count),
            None if tokio::time::Instant::now() >= deadline => {
                return Err(failed("was created, but the brokers do not list it".into()));
            }
            None => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn partition_count(kafka: &KafkaConfig, topic: &str) -> Result<Option<i32>, PipelineError> {
    let client = client_config(kafka);
    let brokers = kafka.brokers.clone();
    let topic = topic.to_owned();
    let task = tokio::task::spawn_blocking(move || {
        let kafka = |source| PipelineError::Brokers {
            brokers: brokers.clone(),
            source,
        };
        let consumer: BaseConsumer = client.create().map_err(kafka)?;
        // All topics are asked for: asking for one by name may create it, on brokers that do so.
        let metadata = consumer.fetch_metadata(None, METADATA_TIMEOUT).map_err(kafka)?;
        let counts: BTreeMap<&str, usize> = metadata
            .topics()
            .iter()
            .map(|t| (t.name(), t.partitions().len()))
            .collect();
        Ok(counts
            .get(topic.as_str())
            .filter(|count| **count > 0)
            .map(|count| *count as i32))
    });
    task.await.map_err(|_| PipelineError::StagePanicked("metadata"))?
}
