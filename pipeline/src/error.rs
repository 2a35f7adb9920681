//! Why a pipeline could not start or go on.

use casebook_event::Partition;

/// Why a pipeline could not start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// The brokers cannot be reached.
    #[error("kafka brokers `{brokers}`: {source}")]
    Brokers {
        /// `bootstrap.servers`.
        brokers: String,
        /// What librdkafka says.
        source: rdkafka::error::KafkaError,
    },
    /// A topic is missing and cannot be made.
    #[error("topic `{topic}`: {reason}")]
    Topic {
        /// The topic.
        topic: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A consumer stopped.
    #[error(transparent)]
    Consumer(#[from] casebook_ingest::ConsumerError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] casebook_store::StoreError),
    /// A message could not be written.
    #[error("topic `{topic}`: message not written: {source}")]
    Produce {
        /// The topic.
        topic: String,
        /// What librdkafka says.
        source: rdkafka::error::KafkaError,
    },
    /// A message that must be written is larger than its topic takes.
    #[error(
        "topic `{topic}`: the brokers refuse a message of {bytes} bytes as too large; the topic must let {needed} bytes through: \
         raise its max.message.bytes (or the brokers' message.max.bytes)"
    )]
    MessageTooLarge {
        /// The topic.
        topic: String,
        /// The message's size.
        bytes: usize,
        /// What the topic must let through.
        needed: usize,
    },
    /// A message of the signals topic is not one of Casebook's.
    #[error("{partition}@{offset}: no signal message: {reason}; something else writes to the signals topic")]
    NotASignal {
        /// The partition of the signals topic.
        partition: Partition,
        /// The message's offset.
        offset: i64,
        /// What is wrong with it.
        reason: String,
    },
    /// A correlation state does not fit.
    #[error("{partition}: correlation state: {reason}")]
    State {
        /// The partition of the signals topic.
        partition: Partition,
        /// What is wrong with it.
        reason: String,
    },
    /// Correlation state on disk cannot be written or read.
    #[error(transparent)]
    Cold(#[from] casebook_correlate::ColdError),
    /// A file could not be read.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The rules cannot be used; the diagnostics were reported.
    #[error("the rules have {0} errors")]
    Rules(usize),
    /// The address for metrics and health cannot be used.
    #[error("http address {address}: {source}")]
    Http {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A worker that was asked to stop did not come to an end in time.
    #[error("the last commits took longer than {0:?}; what was not committed is read again by whoever goes on")]
    ShutdownDeadline(std::time::Duration),
    /// A thread or task of the pipeline panicked: a bug.
    #[error("the {0} stage panicked")]
    StagePanicked(&'static str),
}
