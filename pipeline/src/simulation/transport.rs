//! The way to the brokers: in order within each partition, confirmed late, and lost with the worker where it was not written.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use casebook_event::Partition;
use rdkafka::error::KafkaError;
use tokio::sync::oneshot;

use super::broker::Broker;
use super::random::Random;
use crate::ports::runtime::SharedRuntime;
use crate::topic::writer::{Outgoing, Transport, Undelivered};

#[derive(Clone)]
pub(super) struct SimulatedTransport(Arc<Mutex<State>>);

struct State {
    broker: Broker,
    runtime: SharedRuntime,
    random: Random,
    /// Longest time of one request.
    slow: Duration,
    /// What is on its way; a task writes what waits of each partition.
    queues: BTreeMap<Partition, VecDeque<Waiting>>,
}

struct Waiting {
    payload: Vec<u8>,
    confirm: oneshot::Sender<()>,
}

pub(super) struct Confirmed(oneshot::Receiver<()>);

impl Future for Confirmed {
    type Output = Result<(), Undelivered>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let confirmed = Pin::new(&mut self.0).poll(context);
        confirmed.map(|outcome| outcome.map_err(|_| Undelivered::Failed(KafkaError::Canceled)))
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SimulatedTransport {
    pub(super) fn new(broker: Broker, runtime: SharedRuntime, random: Random, slow: Duration) -> Self {
        Self(Arc::new(Mutex::new(State {
            broker,
            runtime,
            random,
            slow,
            queues: BTreeMap::new(),
        })))
    }

    /// Writes what waits of a partition until nothing does.
    async fn drain(state: Arc<Mutex<State>>, partition: Partition) {
        loop {
            let pause = |state: &Mutex<State>| {
                let mut state = lock(state);
                let slow = state.slow;
                let pause = state.random.delay(slow);
                state.runtime.sleep(pause)
            };
            pause(&state).await;
            let batch: Vec<Waiting> = {
                let mut state = lock(&state);
                let State {
                    broker,
                    runtime,
                    random,
                    queues,
                    ..
                } = &mut *state;
                let Some(queue) = queues.get_mut(&partition).filter(|queue| !queue.is_empty()) else {
                    queues.remove(&partition);
                    return;
                };
                let count = 1 + random.below(queue.len());
                let batch: Vec<Waiting> = queue.drain(..count).collect();
                let payloads = batch.iter().map(|message| message.payload.clone()).collect();
                broker.append(&partition, runtime.now(), payloads);
                batch
            };
            // A crash here leaves them written and unconfirmed.
            pause(&state).await;
            for message in batch {
                // Whoever wrote it may not wait for it.
                let _ = message.confirm.send(());
            }
        }
    }
}

impl Transport for SimulatedTransport {
    type Delivery = Confirmed;

    fn send(&self, topic: &str, message: Outgoing<'_>) -> Result<Confirmed, KafkaError> {
        let mut state = lock(&self.0);
        let count = state.broker.ends(topic).len().max(1);
        let hash = message
            .key
            .iter()
            .fold(7usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(*byte as usize));
        let partition = message.partition.unwrap_or((hash % count) as i32);
        let partition = Partition::new(topic, partition);
        let (confirm, confirmed) = oneshot::channel();
        let payload = message.payload.to_vec();
        let is_drained = state.queues.contains_key(&partition);
        state
            .queues
            .entry(partition.clone())
            .or_default()
            .push_back(Waiting { payload, confirm });
        if !is_drained {
            let drain = Self::drain(self.0.clone(), partition);
            state.runtime.spawn_boxed(Box::pin(drain));
        }
        Ok(Confirmed(confirmed))
    }
}
