//! A real Kafka: one for all tests of a binary, or one of a test's own that it may break.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use rdkafka::{Message as _, Offset, TopicPartitionList};
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
            super::skipped(test, reason);
            None
        }
    }
}

fn start() -> Result<String, String> {
    if let Ok(brokers) = std::env::var("KAFKA_BROKERS") {
        return Ok(brokers);
    }
    script(&["start", "--until-exit", &std::process::id().to_string()])
}

/// As [`run_script`], of which the address is wanted.
fn script(args: &[&str]) -> Result<String, String> {
    run_script(args).map(|text| value(&text, "KAFKA_BROKERS"))
}

/// The value of a line `NAME=value`.
fn value(text: &str, name: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).to_owned()
}

/// Runs the script that keeps brokers; returns what it prints.
fn run_script(args: &[&str]) -> Result<String, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/dev/kafka");
    let output = Command::new(script)
        .args(args)
        .env_remove("KAFKA_BROKERS")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(MISSING) {
        return Err(said.trim().to_owned());
    }
    assert!(output.status.success(), "{args:?}: {said}");
    Ok(text.into_owned())
}

/// A broker of one test alone, which may be stopped, killed and started again.
pub struct OwnBroker {
    directory: tempfile::TempDir,
    pub brokers: String,
    /// The address of the listener that asks for TLS and a name, of a secure broker.
    pub secure: Option<String>,
}

impl OwnBroker {
    /// Starts one, or returns `None` after saying that `test` is skipped.
    pub fn start(test: &str) -> Option<Self> {
        Self::start_with(test, false)
    }

    /// Starts one that asks who is there.
    pub fn start_secure(test: &str) -> Option<Self> {
        Self::start_with(test, true)
    }

    fn start_with(test: &str, secure: bool) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_str().unwrap();
        let owner = std::process::id().to_string();
        let mut args = vec!["start", "--dir", path, "--until-exit", &owner];
        args.extend(secure.then_some("--secure"));
        match run_script(&args) {
            Ok(text) => Some(Self {
                brokers: value(&text, "KAFKA_BROKERS"),
                secure: secure.then(|| value(&text, "CASEBOOK_KAFKA_SECURE")),
                directory,
            }),
            Err(reason) => {
                assert!(std::env::var_os("CI").is_none(), "{test} needs a broker: {reason}");
                super::skipped(test, &reason);
                None
            }
        }
    }

    /// The certificate of a secure one.
    pub fn certificate(&self) -> std::path::PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// Kills it with SIGKILL; [`OwnBroker::start_again`] brings it back.
    pub fn kill(&self) {
        run_script(&["kill9", self.directory.path().to_str().unwrap()]).unwrap();
    }

    /// Starts it again on the same data and port.
    pub fn start_again(&self) {
        let path = self.directory.path().to_str().unwrap();
        let owner = std::process::id().to_string();
        let brokers = script(&["start", "--dir", path, "--until-exit", &owner]).unwrap();
        assert_eq!(brokers, self.brokers);
    }

    /// Stops it, or kills it with SIGKILL, and starts it again on the same data.
    pub fn restart(&self, kill: bool) {
        let path = self.directory.path().to_str().unwrap();
        let down: &[&str] = if kill {
            &["kill9", path]
        } else {
            &["stop", path, "--keep"]
        };
        run_script(down).unwrap();
        let owner = std::process::id().to_string();
        assert_eq!(
            script(&["start", "--dir", path, "--until-exit", &owner]).unwrap(),
            self.brokers
        );
    }
}

impl Drop for OwnBroker {
    fn drop(&mut self) {
        let _ = run_script(&["stop", self.directory.path().to_str().unwrap()]);
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

/// Creates a topic with settings of its own.
pub fn create_topic(brokers: &str, topic: &str, partitions: i32, settings: &[(&str, &str)]) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
    let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    for (name, value) in settings {
        new = new.set(name, value);
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let results = runtime
        .block_on(admin.create_topics([&new], &AdminOptions::new()))
        .unwrap();
    results.into_iter().for_each(|result| drop(result.unwrap()));
}

/// Writes records, and knows that the brokers have them.
pub struct Producer(ThreadedProducer<DefaultProducerContext>);

impl Producer {
    pub fn new(brokers: &str) -> Self {
        Self(
            ClientConfig::new()
                .set("bootstrap.servers", brokers)
                .set("enable.idempotence", "true")
                .set("message.max.bytes", "16777216")
                .create()
                .unwrap(),
        )
    }

    /// Hands a record over, and waits while the client's queue is full.
    pub fn write(&self, topic: &str, partition: i32, payload: &[u8]) {
        let mut record = BaseRecord::<(), _>::to(topic).partition(partition).payload(payload);
        loop {
            match self.0.send(record) {
                Ok(()) => return,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    self.0.poll(Duration::from_millis(20));
                }
                Err((error, _)) => panic!("{topic}[{partition}]: {error}"),
            }
        }
    }

    pub fn flush(&self) {
        self.0.flush(Duration::from_secs(30)).unwrap();
    }
}

/// Writes a record in a transaction: after it, the partition ends with a mark that is no record.
pub fn write_in_transaction(brokers: &str, topic: &str, partition: i32, payload: &[u8]) {
    let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("transactional.id", format!("{topic}-{partition}"))
        .create()
        .unwrap();
    let wait = Duration::from_secs(30);
    producer.init_transactions(wait).unwrap();
    producer.begin_transaction().unwrap();
    let record = BaseRecord::<(), _>::to(topic).partition(partition).payload(payload);
    assert!(producer.send(record).is_ok());
    producer.commit_transaction(wait).unwrap();
}

/// Everything that a topic holds now: key and payload of each message.
pub fn messages(brokers: &str, topic: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "reader-of-tests")
        .set("fetch.message.max.bytes", "16777216")
        .create()
        .unwrap();
    let wait = Duration::from_secs(30);
    let metadata = consumer.fetch_metadata(Some(topic), wait).unwrap();
    let mut left = 0;
    let mut list = TopicPartitionList::new();
    for partition in metadata.topics()[0].partitions() {
        let (low, high) = consumer.fetch_watermarks(topic, partition.id(), wait).unwrap();
        left += high - low;
        list.add_partition_offset(topic, partition.id(), Offset::Beginning)
            .unwrap();
    }
    consumer.assign(&list).unwrap();
    let mut found = Vec::new();
    while left > 0 {
        let message = consumer.poll(wait).expect("a message that the broker counts").unwrap();
        let part = |part: Option<&[u8]>| part.unwrap_or_default().to_vec();
        found.push((part(message.key()), part(message.payload())));
        left -= 1;
    }
    found
}

/// Whether `group` has committed all that these topics hold now.
pub fn is_drained(brokers: &str, group: &str, topics: &[String]) -> bool {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", group)
        .create()
        .unwrap();
    let wait = Duration::from_secs(30);
    let metadata = consumer.fetch_metadata(None, wait).unwrap();
    let mut list = TopicPartitionList::new();
    let mut ends = Vec::new();
    for topic in metadata
        .topics()
        .iter()
        .filter(|topic| topics.iter().any(|name| name == topic.name()))
    {
        for partition in topic.partitions() {
            // A topic that was just made may be listed before it is led: nothing is known of it then.
            let Ok((_, end)) = consumer.fetch_watermarks(topic.name(), partition.id(), wait) else {
                return false;
            };
            list.add_partition(topic.name(), partition.id());
            ends.push((topic.name().to_owned(), partition.id(), end));
        }
    }
    let committed = consumer.committed_offsets(list, wait).unwrap();
    ends.iter().all(|(topic, partition, end)| {
        let element = committed.find_partition(topic, *partition).unwrap();
        let next = match element.offset() {
            Offset::Offset(next) => next,
            _ => 0,
        };
        next >= *end
    })
}
