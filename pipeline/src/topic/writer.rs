//! Writing to a topic of Casebook's own: in order, confirmed, and apart where the brokers refuse a message for its size.
//!
//! The brokers weigh batches, and a client does not split one that is refused: so a message that was refused is sent once more
//! alone, before anything is concluded from it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use casebook_ingest::TokenContext;
use rdkafka::Message as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedMessage;
use rdkafka::producer::future_producer::DeliveryFuture;
use rdkafka::producer::{FutureProducer, FutureRecord};

use crate::config::kafka::KafkaConfig;
use crate::error::PipelineError;
use crate::topic::client::client_config;

/// Wait when librdkafka's queue is full, before it is tried again.
const QUEUE_FULL_WAIT: Duration = Duration::from_millis(5);
/// Messages on their way before new ones wait for them.
const MAX_IN_FLIGHT_MESSAGES: usize = 20_000;

/// What a topic of Casebook's own must let through in one message (`max.message.bytes`), in bytes: batches of small messages
/// are kept below it, and every signal and the least form of an alert is.
pub(crate) const MIN_TOPIC_MESSAGE_BYTES: usize = 64 << 10;
/// Bytes of a batch of messages, with what the protocol puts around them.
const BATCH_BYTES: usize = MIN_TOPIC_MESSAGE_BYTES - (4 << 10);
/// Largest message that this client hands to the brokers, in bytes: whether they take it is theirs to say. An alert with all
/// the evidence that it may cite is smaller.
const CLIENT_MESSAGE_BYTES: usize = 8 << 20;

/// The client that writes to Casebook's own topics.
pub(crate) type Producer = FutureProducer<TokenContext>;

/// Makes a producer that neither loses nor reorders what it is given. What the brokers do not answer for is sent again until
/// they do: an outage ends no worker.
pub(crate) fn producer(kafka: &KafkaConfig) -> Result<Producer, PipelineError> {
    let mut client = client_config(kafka);
    let defaults = [
        ("batch.size", BATCH_BYTES.to_string()),
        ("message.max.bytes", CLIENT_MESSAGE_BYTES.to_string()),
        ("message.timeout.ms", "0".to_owned()),
    ];
    for (name, value) in defaults {
        if client.get(name).is_none() {
            client.set(name, value);
        }
    }
    client
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        .set("compression.type", "lz4")
        .set("queue.buffering.max.kbytes", "32768")
        .create_with_context(TokenContext::new(kafka.token()))
        .map_err(|source| PipelineError::Brokers {
            brokers: kafka.brokers.clone(),
            source,
        })
}

/// One message to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outgoing<'a> {
    /// Where it goes; by its key if absent.
    pub(crate) partition: Option<i32>,
    pub(crate) key: &'a [u8],
    pub(crate) payload: &'a [u8],
}

/// What became of a message that the brokers do not have.
#[derive(Debug)]
pub(crate) enum Undelivered {
    /// It, or the batch that it went with, is larger than they take.
    TooLarge(Box<OwnedMessage>),
    Failed(KafkaError),
}

/// The way to the brokers.
pub(crate) trait Transport: Clone + Send + Sync + 'static {
    /// Ends when the brokers have the message, or will not.
    type Delivery: Future<Output = Result<(), Undelivered>> + Send + Unpin;

    /// Hands a message over.
    ///
    /// # Errors
    /// The client does not take it: its queue is full, or the message is larger than it may send.
    fn send(&self, topic: &str, message: Outgoing<'_>) -> Result<Self::Delivery, KafkaError>;
}

/// The delivery of a message by librdkafka.
pub(crate) struct Confirmation(DeliveryFuture);

impl Future for Confirmation {
    type Output = Result<(), Undelivered>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|outcome| match outcome {
            Ok(Ok(_)) => Ok(()),
            Ok(Err((error, message))) if is_too_large(&error) => Err(Undelivered::TooLarge(Box::new(message))),
            Ok(Err((error, _))) => Err(Undelivered::Failed(error)),
            Err(_) => Err(Undelivered::Failed(KafkaError::Canceled)),
        })
    }
}

impl Transport for Producer {
    type Delivery = Confirmation;

    fn send(&self, topic: &str, message: Outgoing<'_>) -> Result<Confirmation, KafkaError> {
        let mut record = FutureRecord::to(topic).key(message.key).payload(message.payload);
        record.partition = message.partition;
        self.send_result(record).map(Confirmation).map_err(|(error, _)| error)
    }
}

fn is_too_large(error: &KafkaError) -> bool {
    let code = error.rdkafka_error_code();
    matches!(
        code,
        Some(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidMessageSize)
    )
}

fn is_queue_full(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull)
}

/// A message that was refused for its size, or for that of its batch.
#[derive(Debug)]
pub(crate) struct Refused {
    /// How many were handed over before it.
    pub(crate) index: usize,
    pub(crate) message: Box<OwnedMessage>,
}

/// Messages that were handed over and not yet confirmed by the brokers.
pub(crate) struct Deliveries<T: Transport = Producer> {
    topic: TopicClient<T>,
    /// Messages handed over so far.
    count: usize,
    pending: Vec<(usize, T::Delivery)>,
    refused: Vec<Refused>,
}

impl<T: Transport> Deliveries<T> {
    fn of(topic: TopicClient<T>) -> Self {
        Self {
            topic,
            count: 0,
            pending: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// Waits for all that is on its way.
    async fn settle(&mut self) -> Result<(), PipelineError> {
        for (index, delivery) in self.pending.drain(..) {
            match delivery.await {
                Ok(()) => {}
                Err(Undelivered::TooLarge(message)) => self.refused.push(Refused { index, message }),
                Err(Undelivered::Failed(source)) => return Err(self.topic.failed(source)),
            }
        }
        Ok(())
    }

    /// Waits until the brokers have all of them, but for those that they refuse for their size.
    pub(crate) async fn settled(mut self) -> Result<Vec<Refused>, PipelineError> {
        self.settle().await?;
        self.refused.sort_by_key(|refused| refused.index);
        Ok(self.refused)
    }

    /// Waits until the brokers have all of them. One that was refused is sent alone.
    ///
    /// # Errors
    /// One is refused alone as well; none may be passed over.
    pub(crate) async fn confirmed(self) -> Result<(), PipelineError> {
        let topic = self.topic.clone();
        for Refused { message, .. } in self.settled().await? {
            let (key, payload) = (message.key().unwrap_or_default(), message.payload().unwrap_or_default());
            let again = Outgoing {
                partition: Some(message.partition()).filter(|partition| *partition >= 0),
                key,
                payload,
            };
            if !topic.send_alone(again).await? {
                return Err(topic.too_large(key.len() + payload.len()));
            }
        }
        Ok(())
    }
}

/// One topic.
#[derive(Clone)]
pub(crate) struct TopicClient<T: Transport = Producer> {
    transport: T,
    name: String,
}

impl<T: Transport> TopicClient<T> {
    fn failed(&self, source: KafkaError) -> PipelineError {
        PipelineError::Produce {
            topic: self.name.clone(),
            source,
        }
    }

    /// That a message which must be written is refused.
    pub(crate) fn too_large(&self, bytes: usize) -> PipelineError {
        PipelineError::MessageTooLarge {
            topic: self.name.clone(),
            bytes,
            needed: MIN_TOPIC_MESSAGE_BYTES,
        }
    }

    /// Hands a message over, and waits while the client's queue is full. `None` where it is larger than the client may send.
    async fn send(&self, message: Outgoing<'_>) -> Result<Option<T::Delivery>, PipelineError> {
        loop {
            match self.transport.send(&self.name, message) {
                Ok(delivery) => return Ok(Some(delivery)),
                Err(error) if is_queue_full(&error) => tokio::time::sleep(QUEUE_FULL_WAIT).await,
                Err(error) if is_too_large(&error) => return Ok(None),
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    /// Sends one message while no other of this topic is on its way. Returns whether the brokers took it: if not, it is too
    /// large.
    pub(crate) async fn send_alone(&self, message: Outgoing<'_>) -> Result<bool, PipelineError> {
        let Some(delivery) = self.send(message).await? else {
            return Ok(false);
        };
        match delivery.await {
            Ok(()) => Ok(true),
            Err(Undelivered::TooLarge(_)) => Ok(false),
            Err(Undelivered::Failed(source)) => Err(self.failed(source)),
        }
    }
}

/// Writes to one topic, in order within each partition.
pub(crate) struct TopicWriter<T: Transport = Producer> {
    deliveries: Deliveries<T>,
}

impl<T: Transport> TopicWriter<T> {
    pub(crate) fn new(transport: T, topic: &str) -> Self {
        let topic = TopicClient {
            transport,
            name: topic.to_owned(),
        };
        Self {
            deliveries: Deliveries::of(topic),
        }
    }

    /// The topic, for a message that goes alone.
    pub(crate) fn topic(&self) -> TopicClient<T> {
        self.deliveries.topic.clone()
    }

    /// Hands a message over. It waits while too many are on their way.
    pub(crate) async fn write(&mut self, message: Outgoing<'_>) -> Result<(), PipelineError> {
        let deliveries = &mut self.deliveries;
        if deliveries.pending.len() >= MAX_IN_FLIGHT_MESSAGES {
            deliveries.settle().await?;
        }
        let index = deliveries.count;
        deliveries.count += 1;
        match deliveries.topic.send(message).await? {
            Some(delivery) => deliveries.pending.push((index, delivery)),
            None => deliveries.refused.push(Refused {
                index,
                message: Box::new(owned(&deliveries.topic.name, message)),
            }),
        }
        Ok(())
    }

    /// What was handed over since this was last called.
    pub(crate) fn take_deliveries(&mut self) -> Deliveries<T> {
        let empty = Deliveries::of(self.topic());
        std::mem::replace(&mut self.deliveries, empty)
    }
}

/// A message as librdkafka gives it back.
pub(crate) fn owned(topic: &str, message: Outgoing<'_>) -> OwnedMessage {
    OwnedMessage::new(
        Some(message.payload.to_vec()),
        Some(message.key.to_vec()),
        topic.to_owned(),
        rdkafka::Timestamp::NotAvailable,
        message.partition.unwrap_or(-1),
        -1,
        None,
    )
}
