//! The signals topic: what is written to it, and how it is read back.
//!
//! Every message is bounded by what it is made of ([`casebook_event::MAX_SIGNAL_MESSAGE_BYTES`]), so that none is ever refused by
//! a topic that lets [`MIN_TOPIC_MESSAGE_BYTES`](crate::topic::writer::MIN_TOPIC_MESSAGE_BYTES) through; nor is one left out.

use casebook_event::{Partition, SignalMessage};

use crate::error::PipelineError;
use crate::topic::writer::{Deliveries, Outgoing, Producer, TopicWriter, Transport};

/// Writes signals to the partition of their group, and watermarks and bindings to all.
pub(crate) struct SignalWriter<T: Transport = Producer> {
    writer: TopicWriter<T>,
    partitions: i32,
}

impl<T: Transport> SignalWriter<T> {
    pub(crate) fn new(transport: T, topic: &str, partitions: i32) -> Self {
        Self {
            writer: TopicWriter::new(transport, topic),
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
                let message = Outgoing {
                    partition: Some(partition),
                    key: &key.to_be_bytes(),
                    payload: &payload,
                };
                self.writer.write(message).await
            }
            SignalMessage::Watermark(watermark) => self.write_to_all(&watermark.partition.to_string(), &payload).await,
            SignalMessage::Binding(binding) => self.write_to_all(&binding.from.to_string(), &payload).await,
        }
    }

    async fn write_to_all(&mut self, key: &str, payload: &[u8]) -> Result<(), PipelineError> {
        for partition in 0..self.partitions {
            let message = Outgoing {
                partition: Some(partition),
                key: key.as_bytes(),
                payload,
            };
            self.writer.write(message).await?;
        }
        Ok(())
    }

    pub(crate) fn take_deliveries(&mut self) -> Deliveries<T> {
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
