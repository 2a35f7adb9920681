//! What a consumer needs to know, with its defaults.

use std::collections::BTreeMap;
use std::time::Duration;

use super::token::TokenFile;

/// Bytes of records handed on at once.
pub const DEFAULT_BATCH_MAX_BYTES: usize = 1 << 20;
/// Records handed on at once.
pub const DEFAULT_BATCH_MAX_RECORDS: usize = 4096;
/// Longest that a poll waits for a record before what is at hand is passed on.
pub const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// How long a full channel is waited for before the partitions are paused, so that polling (and with it the group
/// membership, `max.poll.interval.ms`) goes on.
pub const PAUSE_AFTER: Duration = Duration::from_secs(1);
/// Time between two attempts on a channel that is full.
pub(crate) const FULL_CHANNEL_WAIT: Duration = Duration::from_millis(2);
/// Longest wait for an answer of the brokers on a seek or a look-up.
pub const BROKER_TIMEOUT: Duration = Duration::from_secs(10);

/// A consumer of one group.
#[derive(Debug, Clone)]
pub struct ConsumerConfig {
    /// `bootstrap.servers`.
    pub brokers: String,
    /// `group.id`.
    pub group: String,
    /// Topic names, and regular expressions where a name starts with `^`.
    pub topics: Vec<String>,
    /// Any librdkafka property; it wins over the defaults, but for those in [`RESERVED_PROPERTIES`].
    pub properties: BTreeMap<String, String>,
    /// The token for SASL/OAUTHBEARER.
    pub token: TokenFile,
    /// Bytes of records handed on at once.
    pub batch_max_bytes: usize,
    /// Records handed on at once.
    pub batch_max_records: usize,
}

/// Properties that delivery depends on: the table's commit alone says what was read (design: "one commit").
pub const RESERVED_PROPERTIES: &[&str] = &[
    "bootstrap.servers",
    "group.id",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "auto.offset.reset",
    "enable.partition.eof",
];

/// The properties every consumer starts from. Memory: librdkafka holds at most 16 MiB of fetched records.
pub(crate) const DEFAULT_PROPERTIES: &[(&str, &str)] = &[
    ("client.id", "casebook"),
    ("partition.assignment.strategy", "cooperative-sticky"),
    ("session.timeout.ms", "10000"),
    ("statistics.interval.ms", "1000"),
    ("queued.max.messages.kbytes", "16384"),
    ("queued.min.messages", "20000"),
    ("fetch.max.bytes", "8388608"),
    ("max.partition.fetch.bytes", "2097152"),
    ("fetch.wait.max.ms", "100"),
    ("fetch.error.backoff.ms", "100"),
    ("fetch.queue.backoff.ms", "20"),
    ("topic.metadata.refresh.interval.ms", "10000"),
    ("allow.auto.create.topics", "false"),
];

impl ConsumerConfig {
    /// A consumer of `topics` with the default bounds.
    pub fn new(brokers: impl Into<String>, group: impl Into<String>, topics: Vec<String>) -> Self {
        Self {
            brokers: brokers.into(),
            group: group.into(),
            topics,
            properties: BTreeMap::new(),
            token: TokenFile::default(),
            batch_max_bytes: DEFAULT_BATCH_MAX_BYTES,
            batch_max_records: DEFAULT_BATCH_MAX_RECORDS,
        }
    }
}
