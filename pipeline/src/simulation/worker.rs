//! One run of a worker: all its stages, in the simulated world.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use casebook_correlate::{ColdError, ColdStore, RuleSet};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::broker::Broker;
use super::executor::{Executor, Owner};
use super::random::Random;
use super::source::{Reading, SimulatedSource};
use super::tables::{Durable, SimulatedTables, lock};
use super::transport::SimulatedTransport;
use crate::commit::stage::CommitStage;
use crate::config::deployment::Config;
use crate::config::group::correlate_group;
use crate::correlate::stage::{CorrelateParts, CorrelateStage};
use crate::detect::stage::DetectStage;
use crate::error::PipelineError;
use crate::ports::runtime::SharedRuntime;
use crate::ports::source::RecordSource;
use crate::progress::committed::Progress;
use crate::progress::stalls::Stalls;
use crate::telemetry::metrics::Metrics;
use crate::topic::letters::LetterTopic;
use crate::topic::signals::SignalWriter;

/// As in a worker with librdkafka.
const CHANNEL_BATCHES: usize = 4;

/// What all workers share, and how the world treats them.
#[derive(Clone)]
pub(super) struct World {
    pub(super) config: Config,
    pub(super) executor: Arc<Executor>,
    pub(super) broker: Broker,
    pub(super) durable: Arc<Mutex<Durable>>,
    pub(super) signals_partitions: i32,
    /// Longest time of a call of the store, of a request to the brokers, and between two polls.
    pub(super) slow: [Duration; 3],
    /// Whether what happens is printed.
    pub(super) trace: bool,
}

/// How the stages of a worker ended.
type Ends = Arc<Mutex<Vec<Result<(), PipelineError>>>>;

pub(super) struct Worker {
    pub(super) owner: Owner,
    shutdown: CancellationToken,
    rules: watch::Sender<Arc<RuleSet>>,
    ends: Ends,
}

impl Worker {
    /// Starts a worker. In so many of a thousand calls its store fails.
    pub(super) fn start(world: &World, owner: Owner, rules: &Arc<RuleSet>, failures: u32, mut random: Random) -> Self {
        let runtime: SharedRuntime = world.executor.runtime(owner);
        let tables = Arc::new(SimulatedTables {
            durable: world.durable.clone(),
            runtime: runtime.clone(),
            random: Mutex::new(random.fork()),
            slow: world.slow[0],
            failures,
            trace: world.trace.then_some(owner),
        });
        let transport = SimulatedTransport::new(world.broker.clone(), runtime.clone(), random.fork(), world.slow[1]);
        let (reload, reloaded) = watch::channel(rules.clone());
        let (detect_rules, rules_for_detect) = watch::channel(rules.clone());
        let parts = Parts {
            world,
            owner,
            runtime,
            tables,
            transport,
            metrics: Arc::default(),
            progress: Arc::default(),
            stalls: Arc::default(),
            shutdown: CancellationToken::new(),
            ends: Ends::default(),
        };
        parts.ingest(rules_for_detect, &mut random);
        parts.correlate(rules, reloaded, detect_rules, &mut random);
        Self {
            owner,
            shutdown: parts.shutdown,
            rules: reload,
            ends: parts.ends,
        }
    }

    /// Asks it to stop.
    pub(super) fn stop(&self) {
        self.shutdown.cancel();
    }

    /// Gives it other rules.
    pub(super) fn reload(&self, rules: &Arc<RuleSet>) {
        self.rules.send_replace(rules.clone());
    }

    /// Whether all its stages have ended, or one has failed.
    pub(super) fn has_ended(&self) -> bool {
        let ends = lock(&self.ends);
        ends.len() == 2 || ends.iter().any(Result::is_err)
    }

    /// What a stage failed with, if one did.
    pub(super) fn failure(&self) -> Option<String> {
        let ends = lock(&self.ends);
        let error = ends.iter().find_map(|end| end.as_ref().err())?;
        Some(error.to_string())
    }
}

struct Parts<'a> {
    world: &'a World,
    owner: Owner,
    runtime: SharedRuntime,
    tables: Arc<SimulatedTables>,
    transport: SimulatedTransport,
    metrics: Arc<Metrics>,
    progress: Arc<Progress>,
    stalls: Arc<Stalls>,
    shutdown: CancellationToken,
    ends: Ends,
}

impl Parts<'_> {
    fn ingest(&self, rules: watch::Receiver<Arc<RuleSet>>, random: &mut Random) {
        let config = &self.world.config;
        let kafka = &config.kafka;
        let (record_sender, record_receiver) = mpsc::channel(CHANNEL_BATCHES);
        let (detected_sender, detected_receiver) = mpsc::channel(CHANNEL_BATCHES);
        let topics = kafka.topics.iter().map(|topic| topic.name.clone()).collect();
        let source = self.source(&kafka.group, topics, false, record_sender, random);
        let (metrics, stalls) = (self.metrics.clone(), self.stalls.clone());
        let detect = DetectStage::new(config, rules, metrics, stalls, self.runtime.clone());
        self.runtime
            .spawn_boxed(Box::pin(detect.run(record_receiver, detected_sender)));
        let signals = SignalWriter::new(
            self.transport.clone(),
            &kafka.signals_topic,
            self.world.signals_partitions,
        );
        let commit = CommitStage {
            config: config.clone(),
            store: self.tables.clone(),
            source,
            signals,
            dead_letters: kafka.dead_letters_topic.as_deref().map(LetterTopic::new),
            transport: self.transport.clone(),
            metrics: self.metrics.clone(),
            progress: self.progress.clone(),
            stalls: self.stalls.clone(),
            shutdown: self.shutdown.clone(),
            runtime: self.runtime.clone(),
        };
        self.run(commit.run(detected_receiver));
    }

    fn correlate(
        &self,
        rules: &Arc<RuleSet>,
        reloaded: watch::Receiver<Arc<RuleSet>>,
        detect_rules: watch::Sender<Arc<RuleSet>>,
        random: &mut Random,
    ) {
        let kafka = &self.world.config.kafka;
        let (sender, receiver) = mpsc::channel(CHANNEL_BATCHES);
        let topics = vec![kafka.signals_topic.clone()];
        let source = self.source(&correlate_group(&kafka.group), topics, true, sender, random);
        let correlate = CorrelateStage::new(CorrelateParts {
            config: self.world.config.clone(),
            signals_partitions: self.world.signals_partitions,
            rules: rules.clone(),
            reloaded,
            detect_rules,
            store: self.tables.clone(),
            source,
            transport: self.transport.clone(),
            spill: Box::new(|| Box::new(Spilled::default())),
            metrics: self.metrics.clone(),
            progress: self.progress.clone(),
            stalls: self.stalls.clone(),
            shutdown: self.shutdown.clone(),
            runtime: self.runtime.clone(),
        });
        self.run(correlate.run(receiver));
    }

    fn source(
        &self,
        group: &str,
        topics: Vec<String>,
        signals: bool,
        events: mpsc::Sender<casebook_ingest::ConsumerEvent>,
        random: &mut Random,
    ) -> Box<dyn RecordSource> {
        Box::new(SimulatedSource::start(Reading {
            broker: self.world.broker.clone(),
            tables: self.tables.clone(),
            runtime: self.runtime.clone(),
            random: random.fork(),
            group: group.to_owned(),
            topics,
            signals,
            member: self.owner,
            poll: self.world.slow[2],
            events,
        }))
    }

    fn run(&self, stage: impl Future<Output = Result<(), PipelineError>> + Send + 'static) {
        let (ends, shutdown) = (self.ends.clone(), self.shutdown.clone());
        self.runtime.spawn_boxed(Box::pin(async move {
            let end = stage.await;
            lock(&ends).push(end);
            // One that ends stops the others.
            shutdown.cancel();
        }));
    }
}

/// Groups that do not fit into memory.
#[derive(Debug, Default)]
struct Spilled(BTreeMap<Vec<u8>, Vec<u8>>);

impl ColdStore for Spilled {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ColdError> {
        Ok(self.0.get(key).cloned())
    }

    fn write(&mut self, changes: Vec<casebook_correlate::Change>) -> Result<(), ColdError> {
        for (key, value) in changes {
            match value {
                Some(value) => drop(self.0.insert(key, value)),
                None => drop(self.0.remove(&key)),
            }
        }
        Ok(())
    }

    fn scan(&self, prefix: u8, after: &[u8], limit: usize) -> Result<Vec<casebook_correlate::Found>, ColdError> {
        let from = after.max(&[prefix]).to_vec();
        let later = self.0.range(from..).filter(|(key, _)| key.as_slice() > after);
        let of_prefix = later.take_while(|(key, _)| key.first() == Some(&prefix));
        Ok(of_prefix
            .take(limit)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect())
    }
}
