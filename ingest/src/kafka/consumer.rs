//! The Kafka consumer: one thread that polls, and turns everything that librdkafka reports into one ordered channel of
//! [`ConsumerEvent`]s.
//!
//! Offsets come from an [`OffsetSource`] (the table), never from the group's own committed offsets: those are written
//! for lag tools only. Records, assignments and revocations arrive in the order in which they took effect, so whoever
//! reads the channel needs no lock to know which partitions it holds.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use casebook_event::{Partition, RawRecord, StartOffset};
use fail::fail_point;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tracing::{debug, warn};

use super::config::{
    BROKER_TIMEOUT, ConsumerConfig, DEFAULT_PROPERTIES, FULL_CHANNEL_WAIT, PAUSE_AFTER, POLL_INTERVAL,
    RESERVED_PROPERTIES,
};
use super::event::{ConsumerError, ConsumerEvent, OffsetSource};
use super::message::raw_record;
use super::rebalance::{RebalanceContext, new_context};

enum Command {
    Seek(Vec<(Partition, StartOffset)>),
    Commit(Vec<(Partition, i64)>),
    Stop,
}

/// A running consumer. Dropping it stops it and leaves the group.
#[derive(Debug)]
pub struct Consumer {
    commands: Sender<Command>,
    thread: Option<JoinHandle<()>>,
}

impl Consumer {
    /// Joins the group and starts to read into `events`.
    ///
    /// # Errors
    /// A property is refused, or the client cannot be made. An unreachable broker is no error: it is waited for.
    pub fn start(
        config: ConsumerConfig,
        offsets: Arc<dyn OffsetSource>,
        events: mpsc::Sender<ConsumerEvent>,
    ) -> Result<Self, ConsumerError> {
        let kafka = |source| ConsumerError::Kafka {
            group: config.group.clone(),
            source,
        };
        let consumer: BaseConsumer<RebalanceContext> = client_config(&config)?
            .create_with_context(new_context(&config.group, offsets, config.token.clone()))
            .map_err(kafka)?;
        let topics: Vec<&str> = config.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics).map_err(kafka)?;
        let (commands, receiver) = channel();
        let poller = Poller {
            consumer,
            config,
            events,
            commands: receiver,
            records: Vec::new(),
            bytes: 0,
            backlog: VecDeque::new(),
        };
        let thread = std::thread::Builder::new()
            .name("kafka-consumer".into())
            .spawn(move || poller.run())?;
        Ok(Self {
            commands,
            thread: Some(thread),
        })
    }

    /// Reads these partitions again from these offsets; a [`ConsumerEvent::Restarted`] says when it does.
    pub fn seek(&self, to: Vec<(Partition, StartOffset)>) {
        self.send(Command::Seek(to));
    }

    /// Writes the group's offsets, for lag tools.
    pub fn commit(&self, next: Vec<(Partition, i64)>) {
        self.send(Command::Commit(next));
    }

    fn send(&self, command: Command) {
        // A poller that has gone has said why through the events.
        let _ = self.commands.send(command);
    }

    /// Leaves the group and waits until the client is closed. Close or drop the receiver of the events first.
    pub fn stop(mut self) {
        self.join();
    }

    fn join(&mut self) {
        self.send(Command::Stop);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            warn!("consumer thread panicked");
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.join();
    }
}

fn client_config(config: &ConsumerConfig) -> Result<ClientConfig, ConsumerError> {
    let mut client = ClientConfig::new();
    for (name, value) in DEFAULT_PROPERTIES {
        client.set(*name, *value);
    }
    for (name, value) in &config.properties {
        if RESERVED_PROPERTIES.contains(&name.as_str()) {
            let reason = "is set by Casebook, which keeps positions in its table; remove it".to_owned();
            return Err(ConsumerError::Property {
                name: name.clone(),
                reason,
            });
        }
        client.set(name, value);
    }
    client
        .set("bootstrap.servers", &config.brokers)
        .set("group.id", &config.group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest");
    Ok(client)
}

/// Whether the poller goes on.
type Flow = std::ops::ControlFlow<()>;
const CONTINUE: Flow = Flow::Continue(());
const STOP: Flow = Flow::Break(());

struct Poller {
    consumer: BaseConsumer<RebalanceContext>,
    config: ConsumerConfig,
    events: mpsc::Sender<ConsumerEvent>,
    commands: Receiver<Command>,
    /// Records polled and not yet handed on.
    records: Vec<RawRecord>,
    bytes: usize,
    /// What is to be handed on before them.
    backlog: VecDeque<ConsumerEvent>,
}

impl Poller {
    fn run(mut self) {
        while self.turn().is_continue() {}
        debug!(group = self.config.group, "consumer stopped");
    }

    fn turn(&mut self) -> Flow {
        self.obey()?;
        // With records at hand, only those that are already fetched are added: nothing waits for a full batch.
        let wait = if self.records.is_empty() {
            POLL_INTERVAL
        } else {
            std::time::Duration::ZERO
        };
        let polled = match self.consumer.poll(wait) {
            None => None,
            Some(Ok(message)) => Some(Ok(raw_record(&message))),
            Some(Err(error)) => Some(Err(error)),
        };
        self.pass_on_callbacks()?;
        match polled {
            Some(Ok(record)) => {
                self.bytes += record.payload.len();
                self.records.push(record);
                if self.bytes >= self.config.batch_max_bytes || self.records.len() >= self.config.batch_max_records {
                    self.flush()?;
                }
                CONTINUE
            }
            Some(Err(error)) => self.on_error(error),
            None => self.flush(),
        }
    }

    /// What callbacks reported during the last poll happened after the records at hand, so these go first.
    fn pass_on_callbacks(&mut self) -> Flow {
        let reported = self.consumer.context().take_events();
        if !reported.is_empty() {
            self.flush()?;
            for event in reported {
                self.emit(event)?;
            }
        }
        CONTINUE
    }

    fn on_error(&mut self, error: KafkaError) -> Flow {
        let fatal = match error.rdkafka_error_code() {
            Some(
                RDKafkaErrorCode::Fatal
                | RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::GroupAuthorizationFailed,
            ) => true,
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                warn!(group = self.config.group, topics = ?self.config.topics, "a topic does not exist yet");
                false
            }
            _ => {
                warn!(group = self.config.group, %error, "kafka reports an error; the client retries");
                false
            }
        };
        if fatal {
            let source = error;
            self.emit(ConsumerEvent::Failed(ConsumerError::Kafka {
                group: self.config.group.clone(),
                source,
            }))?;
            return STOP;
        }
        CONTINUE
    }

    fn obey(&mut self) -> Flow {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Seek(to)) => self.seek(to)?,
                Ok(Command::Commit(next)) => self.commit(&next),
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => return STOP,
                Err(TryRecvError::Empty) => return CONTINUE,
            }
        }
    }

    fn seek(&mut self, to: Vec<(Partition, StartOffset)>) -> Flow {
        let assigned = self.consumer.context().assigned();
        let to: Vec<_> = to
            .into_iter()
            .filter(|(partition, _)| assigned.contains(partition))
            .collect();
        if to.is_empty() {
            return CONTINUE;
        }
        self.records.retain(|record| {
            !to.iter()
                .any(|(p, _)| p.partition == record.position.partition && p.topic == record.position.topic)
        });
        self.bytes = self.records.iter().map(|record| record.payload.len()).sum();
        let from: Vec<_> = to
            .iter()
            .map(|(partition, start)| (partition.clone(), start.resume))
            .collect();
        let result = offsets_list(&from)
            .and_then(|list| self.consumer.seek_partitions(list, BROKER_TIMEOUT))
            .and_then(|list| list.elements().iter().try_for_each(|element| element.error()));
        match result {
            Ok(()) => {
                let sought = to.iter().map(|(partition, _)| partition);
                self.consumer.context().forget_polled(sought);
                self.emit(ConsumerEvent::Restarted(to))
            }
            Err(source) => {
                self.emit(ConsumerEvent::Failed(ConsumerError::Kafka {
                    group: self.config.group.clone(),
                    source,
                }))?;
                STOP
            }
        }
    }

    fn commit(&self, next: &[(Partition, i64)]) {
        let result = offsets_list(next).and_then(|list| self.consumer.commit(&list, CommitMode::Async));
        if let Err(error) = result {
            // Only lag tools read these offsets; a rebalance under way refuses them, and the next commit repairs it.
            debug!(group = self.config.group, %error, "group offsets not written");
        }
    }

    fn flush(&mut self) -> Flow {
        if self.records.is_empty() {
            return CONTINUE;
        }
        fail_point!("ingest.polled");
        let records = self.take_records();
        self.emit(records)
    }

    fn take_records(&mut self) -> ConsumerEvent {
        let records = std::mem::take(&mut self.records);
        let bytes = std::mem::take(&mut self.bytes);
        self.consumer.context().handed_on(&records);
        ConsumerEvent::Records { records, bytes }
    }

    /// Hands an event on, and then whatever was reported while it waited.
    fn emit(&mut self, event: ConsumerEvent) -> Flow {
        self.backlog.push_back(event);
        while let Some(event) = self.backlog.pop_front() {
            self.hand_on(event)?;
        }
        for to in self.consumer.context().take_deferred_seeks() {
            self.seek(to)?;
        }
        CONTINUE
    }

    /// Puts one event into the channel. A reader that is slower than [`PAUSE_AFTER`] makes the consumer pause its
    /// partitions and poll on, so that the group does not take it for dead.
    fn hand_on(&mut self, mut event: ConsumerEvent) -> Flow {
        let started = Instant::now();
        let mut paused = false;
        loop {
            event = match self.events.try_send(event) {
                Ok(()) => break,
                Err(TrySendError::Closed(_)) => return STOP,
                // The next report says more than this one.
                Err(TrySendError::Full(ConsumerEvent::EndOffsets(_))) => break,
                Err(TrySendError::Full(event)) => event,
            };
            if started.elapsed() < PAUSE_AFTER {
                std::thread::sleep(FULL_CHANNEL_WAIT);
                continue;
            }
            if !paused {
                debug!(group = self.config.group, "reader lags; pausing");
                paused = true;
            }
            // Every time, since a rebalance may have added partitions.
            self.on_assignment(|consumer, list| consumer.pause(list));
            self.poll_while_paused();
            match self.commands.try_recv() {
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => return STOP,
                Ok(Command::Commit(next)) => self.commit(&next),
                Ok(Command::Seek(to)) => self.consumer.context().defer_seek(to),
                Err(TryRecvError::Empty) => {}
            }
        }
        if paused {
            self.on_assignment(|consumer, list| consumer.resume(list));
            debug!(group = self.config.group, "reading again");
        }
        CONTINUE
    }

    fn poll_while_paused(&mut self) {
        let record = match self.consumer.poll(POLL_INTERVAL) {
            Some(Ok(message)) => Some(raw_record(&message)),
            Some(Err(error)) => {
                warn!(group = self.config.group, %error, "kafka reports an error; the client retries");
                None
            }
            None => None,
        };
        let reported = self.consumer.context().take_events();
        if !reported.is_empty() {
            if !self.records.is_empty() {
                let records = self.take_records();
                self.backlog.push_back(records);
            }
            self.backlog.extend(reported);
        }
        // Fetched before the pause took effect; it stays in order after what is being handed on.
        if let Some(record) = record {
            self.bytes += record.payload.len();
            self.records.push(record);
        }
    }

    fn on_assignment(
        &self,
        act: impl Fn(&BaseConsumer<RebalanceContext>, &TopicPartitionList) -> Result<(), KafkaError>,
    ) {
        if let Err(error) = self.consumer.assignment().and_then(|list| act(&self.consumer, &list)) {
            warn!(group = self.config.group, %error, "partitions could not be paused or resumed");
        }
    }
}

fn offsets_list(offsets: &[(Partition, i64)]) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for (partition, offset) in offsets {
        list.add_partition_offset(&partition.topic, partition.partition, Offset::Offset(*offset))?;
    }
    Ok(list)
}
