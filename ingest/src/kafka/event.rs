//! What a consumer reports, and what it asks: the messages on either side of its thread.

use std::collections::BTreeMap;

use casebook_event::{Partition, RawRecord, StartOffset};
use rdkafka::error::KafkaError;

/// Where reading goes on in each partition, as the last commit left it.
pub trait OffsetSource: Send + Sync {
    /// Where each of `partitions` stands, if it has been read; one that has not is read from its beginning.
    ///
    /// # Errors
    /// The positions could not be read; the partitions are then not consumed.
    fn start_offsets(&self, partitions: &[Partition]) -> Result<BTreeMap<Partition, StartOffset>, String>;
}

/// Where a partition ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndOffset {
    /// The partition.
    pub partition: Partition,
    /// The offset after its last record: whoever has read up to it has read all.
    pub end: i64,
    /// The broker's own end. What is between the two are no records: whoever has read up to `end` has read all before this.
    pub high: i64,
}

/// What happened, in order.
#[derive(Debug)]
pub enum ConsumerEvent {
    /// These partitions are now read here, from that offset on (`None`: from the beginning).
    Assigned(Vec<(Partition, Option<StartOffset>)>),
    /// These partitions are no longer read here; what was not committed of them is somebody else's.
    Revoked(Vec<Partition>),
    /// Reading started again at these offsets, as [`Consumer::seek`](super::consumer::Consumer::seek) asked. Whatever came before is to be forgotten.
    Restarted(Vec<(Partition, StartOffset)>),
    /// Records, in order within each partition.
    Records {
        /// The records.
        records: Vec<RawRecord>,
        /// Their size.
        bytes: usize,
    },
    /// The end of each partition, as far as the brokers have reported.
    EndOffsets(Vec<EndOffset>),
    /// Records that the table does not have are gone: retention deleted them before they were read.
    Lost {
        /// The partition.
        partition: Partition,
        /// The first offset that is gone.
        from: i64,
        /// The first that is still there.
        to: i64,
    },
    /// Consuming cannot go on.
    Failed(ConsumerError),
}

/// Why a consumer stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConsumerError {
    /// A property that librdkafka does not take, or that must not be set.
    #[error("kafka property `{name}`: {reason}")]
    Property {
        /// The property.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// librdkafka failed for good.
    #[error("kafka consumer of group `{group}`: {source}")]
    Kafka {
        /// The group.
        group: String,
        /// What librdkafka says.
        source: KafkaError,
    },
    /// The table did not say where to go on.
    #[error("positions of the assigned partitions: {0}")]
    Offsets(String),
    /// The topic holds less than the table says was read from it: it was deleted and made anew.
    #[error(
        "{partition}: the table has everything up to offset {committed}, but the topic ends at {end}; it seems to have been \
         created anew. Read it under another `group`, or restore the topic"
    )]
    TopicRecreated {
        /// The partition.
        partition: Partition,
        /// The table's next offset.
        committed: i64,
        /// The topic's end.
        end: i64,
    },
    /// The thread could not be started.
    #[error("consumer thread: {0}")]
    Thread(#[from] std::io::Error),
}
