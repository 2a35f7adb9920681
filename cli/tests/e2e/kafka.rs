//! One real Kafka for all tests of this binary.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use std::time::Duration;

/// Exit code of the script where Java or Maven is missing.
const MISSING: i32 = 3;

static BROKERS: OnceLock<Result<String, String>> = OnceLock::new();

/// The brokers, or `None` after saying that `test` is skipped. In CI a broker that does not start is a failure.
pub fn brokers(test: &str) -> Option<String> {
    match BROKERS.get_or_init(start) {
        Ok(brokers) => Some(brokers.clone()),
        Err(reason) => {
            assert!(std::env::var_os("CI").is_none(), "{test} needs a broker: {reason}");
            crate::skipped(test, reason);
            None
        }
    }
}

fn start() -> Result<String, String> {
    if let Ok(brokers) = std::env::var("KAFKA_BROKERS") {
        return Ok(brokers);
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/dev/kafka");
    let output = Command::new(script)
        .args(["start", "--until-exit", &std::process::id().to_string()])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    match text.lines().find_map(|line| line.strip_prefix("KAFKA_BROKERS=")) {
        Some(brokers) if output.status.success() => Ok(brokers.to_owned()),
        _ if output.status.code() == Some(MISSING) => Err(said.trim().to_owned()),
        _ => panic!("Kafka is installed and does not start: {said}"),
    }
}

/// Creates topics.
pub fn create_topics(brokers: &str, topics: &[String], partitions: i32) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
    let new: Vec<_> = topics
        .iter()
        .map(|name| NewTopic::new(name, partitions, TopicReplication::Fixed(1)))
        .collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for result in runtime
        .block_on(admin.create_topics(&new, &AdminOptions::new()))
        .unwrap()
    {
        result.unwrap();
    }
}

/// Writes records, and knows that the brokers have them.
pub struct Producer(ThreadedProducer<DefaultProducerContext>);

impl Producer {
    pub fn new(brokers: &str) -> Self {
        Self(
            ClientConfig::new()
                .set("bootstrap.servers", brokers)
                .set("enable.idempotence", "true")
                .create()
                .unwrap(),
        )
    }

    pub fn write(&self, topic: &str, partition: i32, payload: &[u8]) {
        self.0
            .send(BaseRecord::<(), _>::to(topic).partition(partition).payload(payload))
            .map_err(|(error, _)| error)
            .unwrap();
    }

    pub fn flush(&self) {
        self.0.flush(Duration::from_secs(30)).unwrap();
    }
}
