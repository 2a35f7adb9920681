//! The settings of every client of the brokers, and of those that write.

use rdkafka::ClientConfig;

use crate::config::kafka::KafkaConfig;

/// A client configuration with the user's properties and without those that only a consumer knows.
pub(crate) fn client_config(kafka: &KafkaConfig) -> ClientConfig {
    let mut client = ClientConfig::new();
    client
        .set("client.id", "casebook")
        .set("allow.auto.create.topics", "false");
    for (name, value) in kafka.properties() {
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
