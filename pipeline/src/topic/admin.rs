//! The topics that Casebook itself writes: created where they are missing, checked where they exist.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::Producer as _;
use rdkafka::types::RDKafkaErrorCode;
use tracing::{info, warn};

use crate::config::kafka::KafkaConfig;
use crate::error::PipelineError;
use crate::topic::client::client_config;
use crate::topic::writer::{MIN_TOPIC_MESSAGE_BYTES, Producer};

/// Longest wait for the brokers at start.
const METADATA_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest wait for a topic's settings. Brokers that do not tell them, as the demo's own, must not hold up a start.
const SETTINGS_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a signals topic that Casebook creates keeps what is in it, in milliseconds: 7 days. Correlation that was down for
/// longer has missed signals.
const SIGNALS_RETENTION_MS: &str = "604800000";

/// The shortest retention of a signals topic that is not warned of, in milliseconds: an hour.
const MIN_SIGNALS_RETENTION_MS: i64 = 3_600_000;

/// The partitions of the signals topic, which is created with the configured number of them if it does not exist. One that
/// exists keeps its own number.
///
/// # Errors
/// As [`ensure_topic`], or the topic would lose signals: it is compacted, and signals share keys.
pub(crate) async fn ensure_signals_topic(kafka: &KafkaConfig, producer: &Producer) -> Result<i32, PipelineError> {
    let topic = &kafka.signals_topic;
    let settings = [("cleanup.policy", "delete"), ("retention.ms", SIGNALS_RETENTION_MS)];
    let count = ensure_topic(kafka, producer, topic, kafka.signals_partitions, &settings).await?;
    if count != kafka.signals_partitions {
        info!(
            topic,
            partitions = count,
            configured = kafka.signals_partitions,
            "the topic's own number of partitions is used"
        );
    }
    let Some(found) = topic_settings(kafka, topic).await else {
        return Ok(count);
    };
    if found
        .get("cleanup.policy")
        .is_some_and(|policy| policy.contains("compact"))
    {
        return Err(PipelineError::Topic {
            topic: topic.clone(),
            reason: "its cleanup.policy compacts, which deletes signals: set it to `delete`".into(),
        });
    }
    let message_bytes: Option<usize> = found.get("max.message.bytes").and_then(|value| value.parse().ok());
    if let Some(bytes) = message_bytes.filter(|bytes| *bytes < MIN_TOPIC_MESSAGE_BYTES) {
        warn!(
            topic,
            max_message_bytes = bytes,
            needed = MIN_TOPIC_MESSAGE_BYTES,
            "the signals topic may refuse signals, which ends the worker: raise its max.message.bytes"
        );
    }
    let retention: Option<i64> = found.get("retention.ms").and_then(|value| value.parse().ok());
    if let Some(retention) = retention.filter(|ms| (0..MIN_SIGNALS_RETENTION_MS).contains(ms)) {
        warn!(
            topic,
            retention_ms = retention,
            "the signals topic keeps less than an hour: correlation that is down for longer misses signals"
        );
    }
    Ok(count)
}

/// The number of partitions of `topic`, which is created with `partitions` of them if it does not exist.
///
/// # Errors
/// The brokers do not answer within half a minute, or do not let the topic be created.
pub(crate) async fn ensure_topic(
    kafka: &KafkaConfig,
    producer: &Producer,
    topic: &str,
    partitions: i32,
    settings: &[(&str, &str)],
) -> Result<i32, PipelineError> {
    if let Some(count) = partition_counts(kafka, producer).await?.remove(topic) {
        return Ok(count);
    }
    let failed = |reason: String| PipelineError::Topic {
        topic: topic.to_owned(),
        reason,
    };
    let wanted: String = settings
        .iter()
        .map(|(name, value)| format!(" --config {name}={value}"))
        .collect();
    let by_hand = format!("kafka-topics.sh --create --topic {topic} --partitions {partitions}{wanted}");
    let Some(admin) = admin(kafka)? else {
        return Err(failed(format!("does not exist; create it: {by_hand}")));
    };
    let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(kafka.replication));
    for (name, value) in settings {
        new = new.set(name, value);
    }
    let results = admin
        .create_topics([&new], &options(METADATA_TIMEOUT))
        .await
        .map_err(|error| failed(error.to_string()))?;
    for result in results {
        match result {
            Ok(_) => info!(topic, partitions, "topic created"),
            // Another worker was quicker.
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, code)) => {
                return Err(failed(format!(
                    "cannot be created ({code}); create it ({by_hand}), or allow Casebook to"
                )));
            }
        }
    }
    // The new topic's metadata reach the broker that answers a moment later.
    let deadline = tokio::time::Instant::now() + METADATA_TIMEOUT;
    loop {
        match partition_counts(kafka, producer).await?.remove(topic) {
            Some(count) => return Ok(count),
            None if tokio::time::Instant::now() >= deadline => {
                return Err(failed("was created, but the brokers do not list it".into()));
            }
            None => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// The client that creates topics and asks for their settings. It does not serve the queue on which librdkafka asks for a
/// new token, so there is none where a token is what the brokers ask for.
pub(crate) fn admin(kafka: &KafkaConfig) -> Result<Option<AdminClient<DefaultClientContext>>, PipelineError> {
    if kafka.token_file.is_some() {
        return Ok(None);
    }
    let admin = client_config(kafka).create().map_err(|source| PipelineError::Brokers {
        brokers: kafka.brokers.clone(),
        source,
    })?;
    Ok(Some(admin))
}

fn options(timeout: Duration) -> AdminOptions {
    AdminOptions::new()
        .operation_timeout(Some(timeout))
        .request_timeout(Some(timeout))
}

/// The settings of a topic; `None` where they may not be asked for, or do not come in time.
pub(crate) async fn topic_settings(kafka: &KafkaConfig, topic: &str) -> Option<BTreeMap<String, String>> {
    let admin = admin(kafka).ok().flatten()?;
    let described = admin
        .describe_configs([&ResourceSpecifier::Topic(topic)], &options(SETTINGS_TIMEOUT))
        .await
        .ok()?;
    let resource = described.into_iter().next()?.ok()?;
    let settings = resource.entries.into_iter();
    Some(settings.filter_map(|entry| Some((entry.name, entry.value?))).collect())
}

/// The number of partitions of every topic that the brokers tell of.
///
/// # Errors
/// They do not answer within half a minute.
pub(crate) async fn partition_counts(
    kafka: &KafkaConfig,
    producer: &Producer,
) -> Result<BTreeMap<String, i32>, PipelineError> {
    let (brokers, producer) = (kafka.brokers.clone(), producer.clone());
    let task = tokio::task::spawn_blocking(move || {
        // All topics are asked for: asking for one by name may create it, on brokers that do so.
        let metadata = producer
            .client()
            .fetch_metadata(None, METADATA_TIMEOUT)
            .map_err(|source| PipelineError::Brokers { brokers, source })?;
        let counts = metadata
            .topics()
            .iter()
            .filter(|topic| !topic.partitions().is_empty())
            .map(|topic| (topic.name().to_owned(), topic.partitions().len() as i32));
        Ok(counts.collect())
    });
    task.await.map_err(|_| PipelineError::StagePanicked("metadata"))?
}
