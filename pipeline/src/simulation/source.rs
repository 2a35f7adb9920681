//! A consumer of a group: what `casebook_ingest::Consumer` does with librdkafka, over the simulated brokers.
//!
//! What holds of both: events come in the order in which they took effect; positions come from the tables when a partition is
//! assigned; what is in the channel before `Restarted` is void; while the reader is slow, ends are left out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use casebook_event::{Partition, StartOffset};
use casebook_ingest::{ConsumerError, ConsumerEvent, EndOffset};
use futures::future::BoxFuture;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::oneshot;

use super::broker::{Broker, Member};
use super::random::Random;
use super::tables::SimulatedTables;
use crate::error::PipelineError;
use crate::ports::runtime::SharedRuntime;
use crate::ports::source::RecordSource;
use crate::ports::tables::Tables;

/// Wait for room in the channel.
const FULL_WAIT: Duration = Duration::from_millis(20);
/// Time between two reports of the ends of partitions.
const ENDS_EVERY: Duration = Duration::from_secs(1);
/// Records of one poll.
const MAX_RECORDS: usize = 12;

enum Command {
    Seek(Vec<(Partition, StartOffset)>),
    Stop,
}

/// What the consumer reads, and for whom.
pub(super) struct Reading {
    pub(super) broker: Broker,
    pub(super) tables: Arc<SimulatedTables>,
    pub(super) runtime: SharedRuntime,
    pub(super) random: Random,
    pub(super) group: String,
    pub(super) topics: Vec<String>,
    /// Whether it reads signals: their positions are in the table of alerts.
    pub(super) signals: bool,
    pub(super) member: Member,
    /// Longest time between two polls.
    pub(super) poll: Duration,
    pub(super) events: mpsc::Sender<ConsumerEvent>,
}

pub(super) struct SimulatedSource {
    commands: Arc<Mutex<VecDeque<Command>>>,
    ended: oneshot::Receiver<()>,
}

impl SimulatedSource {
    pub(super) fn start(reading: Reading) -> Self {
        let commands = Arc::default();
        let (end, ended) = oneshot::channel();
        let poller = Poller {
            reading,
            commands: Arc::clone(&commands),
            positions: BTreeMap::new(),
            reported: None,
        };
        let runtime = poller.reading.runtime.clone();
        runtime.spawn_boxed(Box::pin(async move {
            poller.run().await;
            let _ = end.send(());
        }));
        Self { commands, ended }
    }
}

impl RecordSource for SimulatedSource {
    fn seek(&self, to: Vec<(Partition, StartOffset)>) {
        lock(&self.commands).push_back(Command::Seek(to));
    }

    fn commit(&self, _next: Vec<(Partition, i64)>) {}

    fn stop(self: Box<Self>) -> BoxFuture<'static, Result<(), PipelineError>> {
        lock(&self.commands).push_back(Command::Stop);
        Box::pin(async move { self.ended.await.map_err(|_| PipelineError::StagePanicked("consumer")) })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The reader has gone, or it was asked to stop.
struct Stopped;

struct Poller {
    reading: Reading,
    commands: Arc<Mutex<VecDeque<Command>>>,
    /// The next offset to fetch of each partition that is held.
    positions: BTreeMap<Partition, i64>,
    /// When the ends were reported last.
    reported: Option<Instant>,
}

impl Poller {
    async fn run(mut self) {
        while self.turn().await.is_ok() {}
        self.reading.broker.remove(&self.reading.group, self.reading.member);
    }

    async fn turn(&mut self) -> Result<(), Stopped> {
        loop {
            let command = lock(&self.commands).pop_front();
            match command {
                Some(Command::Seek(to)) => self.seek(to).await?,
                Some(Command::Stop) => return Err(Stopped),
                None => break,
            }
        }
        self.rebalance().await?;
        let read = self.poll().await?;
        self.report_ends().await?;
        let longest = match read {
            true => self.reading.poll,
            false => self.reading.poll + Duration::from_millis(500),
        };
        let wait = self.reading.random.delay(longest);
        self.reading.runtime.sleep(wait).await;
        Ok(())
    }

    async fn seek(&mut self, mut to: Vec<(Partition, StartOffset)>) -> Result<(), Stopped> {
        to.retain(|(partition, _)| self.positions.contains_key(partition));
        if to.is_empty() {
            return Ok(());
        }
        for (partition, start) in &to {
            self.positions.insert(partition.clone(), start.resume);
        }
        self.emit(ConsumerEvent::Restarted(to)).await
    }

    async fn rebalance(&mut self) -> Result<(), Stopped> {
        let Reading {
            broker,
            group,
            topics,
            member,
            ..
        } = &self.reading;
        // One that was expelled joins again when it hears of it.
        broker.join(group, topics, *member);
        let held: BTreeSet<Partition> = self.positions.keys().cloned().collect();
        let found = broker.sync(group, *member, &held);
        if !found.revoked.is_empty() {
            for partition in &found.revoked {
                self.positions.remove(partition);
            }
            self.emit(ConsumerEvent::Revoked(found.revoked)).await?;
        }
        if found.assigned.is_empty() {
            return Ok(());
        }
        let tables = self.reading.tables.clone();
        let offsets = match self.reading.signals {
            true => tables.signal_offsets(&self.reading.group).await,
            false => tables.start_offsets(&self.reading.group).await,
        };
        let offsets = match offsets {
            Ok(offsets) => offsets,
            Err(error) => {
                let failed = ConsumerError::Offsets(error.to_string());
                self.emit(ConsumerEvent::Failed(failed)).await?;
                return Err(Stopped);
            }
        };
        let mut assigned = Vec::new();
        for partition in found.assigned {
            let start = offsets.get(&partition).copied();
            self.positions
                .insert(partition.clone(), start.map_or(0, |start| start.resume));
            assigned.push((partition, start));
        }
        self.emit(ConsumerEvent::Assigned(assigned)).await
    }

    async fn poll(&mut self) -> Result<bool, Stopped> {
        let mut records = Vec::new();
        for (partition, next) in &mut self.positions {
            // Not every partition has something in every fetch.
            if self.reading.random.chance(300) {
                continue;
            }
            let limit = 1 + self.reading.random.below(MAX_RECORDS);
            let fetched = self.reading.broker.read(partition, *next, limit);
            *next += fetched.len() as i64;
            records.extend(fetched);
        }
        if records.is_empty() {
            return Ok(false);
        }
        let bytes = records.iter().map(|record| record.payload.len()).sum();
        self.emit(ConsumerEvent::Records { records, bytes }).await?;
        Ok(true)
    }

    async fn report_ends(&mut self) -> Result<(), Stopped> {
        let now = self.reading.runtime.instant();
        if self.reported.is_some_and(|reported| now - reported < ENDS_EVERY) || self.positions.is_empty() {
            return Ok(());
        }
        self.reported = Some(now);
        let end = |partition: &Partition| {
            let end = self.reading.broker.end(partition);
            EndOffset {
                partition: partition.clone(),
                end,
                high: end,
            }
        };
        let ends = self.positions.keys().map(end).collect();
        self.emit(ConsumerEvent::EndOffsets(ends)).await
    }

    async fn emit(&mut self, mut event: ConsumerEvent) -> Result<(), Stopped> {
        loop {
            event = match self.reading.events.try_send(event) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Closed(_)) => return Err(Stopped),
                Err(TrySendError::Full(ConsumerEvent::EndOffsets(_))) => return Ok(()),
                Err(TrySendError::Full(event)) => event,
            };
            // Seeks wait until what is being handed on is handed on.
            let stops = lock(&self.commands)
                .iter()
                .any(|command| matches!(command, Command::Stop));
            if stops {
                return Err(Stopped);
            }
            self.reading.runtime.sleep(FULL_WAIT).await;
        }
    }
}
