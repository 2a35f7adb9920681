//! The streaming deployment: one process with the stages of its role, from the log topics to the tables.

use std::sync::Arc;
use std::time::Duration;

use casebook_correlate::RuleSet;
use casebook_event::{Partition, StartOffset};
use casebook_ingest::{Consumer, ConsumerConfig, OffsetSource};
use casebook_store::{Store, StoreError};
use std::collections::BTreeMap;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::commit::stage::CommitStage;
use crate::config::deployment::Config;
use crate::config::group::correlate_group;
use crate::config::role::Role;
use crate::correlate::cold_store::DiskStore;
use crate::correlate::stage::{CorrelateParts, CorrelateStage};
use crate::detect::stage::DetectStage;
use crate::error::PipelineError;
use crate::health::broker_watch::BrokerWatch;
use crate::health::http::Health;
use crate::ports::runtime::{SharedRuntime, TokioRuntime};
use crate::progress::committed::Progress;
use crate::progress::stalls::Stalls;
use crate::rules::reload::RuleReload;
use crate::telemetry::metrics::Metrics;
use crate::topic::admin::{ensure_signals_topic, ensure_topic};
use crate::topic::letters::LetterTopic;
use crate::topic::signals::SignalWriter;
use crate::topic::writer::{Producer, producer};

/// Batches of records between consumer and detection, and of events between detection and commit.
const CHANNEL_BATCHES: usize = 4;

/// A running pipeline.
#[derive(Debug)]
pub struct Pipeline {
    task: JoinHandle<Result<(), PipelineError>>,
    shutdown: CancellationToken,
    progress: Arc<Progress>,
    metrics: Arc<Metrics>,
    reload: RuleReload,
}

/// The positions that the tables hold, for the consumers' threads.
struct TableOffsets {
    store: Arc<Store>,
    group: String,
    alerts: bool,
    runtime: Handle,
}

impl OffsetSource for TableOffsets {
    fn start_offsets(&self, partitions: &[Partition]) -> Result<BTreeMap<Partition, StartOffset>, String> {
        let offsets: Result<BTreeMap<Partition, StartOffset>, StoreError> = self.runtime.block_on(async {
            match self.alerts {
                false => self.store.start_offsets(&self.group).await,
                true => self.store.signal_offsets(&self.group).await,
            }
        });
        let mut offsets = offsets.map_err(|error| error.to_string())?;
        offsets.retain(|partition, _| partitions.contains(partition));
        Ok(offsets)
    }
}

impl Pipeline {
    /// Starts the stages of `role`. It returns once the brokers have answered and the topics exist.
    ///
    /// # Errors
    /// The brokers do not answer, a topic cannot be made, or a property is refused.
    pub async fn start(
        config: Config,
        role: Role,
        rules: Arc<RuleSet>,
        store: Arc<Store>,
    ) -> Result<Self, PipelineError> {
        let kafka = &config.kafka;
        let producer = producer(kafka)?;
        let partitions = ensure_signals_topic(kafka, &producer).await?;
        for topic in [&kafka.alerts_topic, &kafka.dead_letters_topic].into_iter().flatten() {
            ensure_topic(kafka, &producer, topic, 1, &[]).await?;
        }
        let parts = Parts {
            signals_partitions: partitions,
            producer,
            store,
            metrics: Arc::default(),
            progress: Arc::default(),
            stalls: Arc::default(),
            shutdown: CancellationToken::new(),
            runtime: Arc::new(TokioRuntime::current()),
            config,
        };
        let health = Health {
            metrics: parts.metrics.clone(),
            stalls: parts.stalls.clone(),
            stall_after: parts.config.stall_after.0,
            shutdown: parts.shutdown.clone(),
        };
        tokio::spawn(health.clone().watch());
        let brokers = BrokerWatch::new(&parts.config.kafka, parts.stalls.clone(), parts.shutdown.clone())?;
        std::thread::Builder::new()
            .name("broker-watch".into())
            .spawn(move || brokers.run())
            .map_err(casebook_ingest::ConsumerError::Thread)?;
        if let Some(address) = parts.config.http {
            health.serve(address).await?;
        }
        let (reload, reloaded) = watch::channel(rules.clone());
        let reload = RuleReload::new(parts.config.rules.clone(), reload, parts.metrics.clone());
        let mut stages = JoinSet::new();
        // Where one process does both, correlation takes new rules first and then hands them on.
        let detect_rules = if role.correlates() {
            let (detect_rules, rules_for_detect) = watch::channel(rules.clone());
            stages.spawn(parts.correlate(rules, reloaded, detect_rules)?);
            rules_for_detect
        } else {
            reloaded
        };
        if role.ingests() {
            stages.spawn(parts.ingest(detect_rules)?);
        }
        let deadline = parts.config.shutdown_deadline.0;
        let task = tokio::spawn(supervise(stages, parts.shutdown.clone(), deadline));
        Ok(Self {
            task,
            shutdown: parts.shutdown,
            progress: parts.progress,
            metrics: parts.metrics,
            reload,
        })
    }

    /// How far it has come.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Its counters.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Asks the stages to commit what they hold and to stop; [`Pipeline::wait`] says when they have.
    pub fn shutdown(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// What loads the rules anew. It is of no effect once the pipeline has stopped.
    pub fn reload(&self) -> RuleReload {
        self.reload.clone()
    }

    /// Waits until the stages have stopped.
    ///
    /// # Errors
    /// What stopped them, if it was not a shutdown.
    pub async fn wait(self) -> Result<(), PipelineError> {
        self.task.await.map_err(|_| PipelineError::StagePanicked("pipeline"))?
    }
}

/// What the stages share.
struct Parts {
    config: Config,
    signals_partitions: i32,
    producer: Producer,
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    progress: Arc<Progress>,
    stalls: Arc<Stalls>,
    shutdown: CancellationToken,
    runtime: SharedRuntime,
}

impl Parts {
    /// The logs to events and signals.
    fn ingest(
        &self,
        rules: watch::Receiver<Arc<RuleSet>>,
    ) -> Result<impl Future<Output = Result<(), PipelineError>> + Send + use<>, PipelineError> {
        let kafka = &self.config.kafka;
        let (record_sender, record_receiver) = mpsc::channel(CHANNEL_BATCHES);
        let (detected_sender, detected_receiver) = mpsc::channel(CHANNEL_BATCHES);
        let topics = kafka.topics.iter().map(|topic| topic.name.clone()).collect();
        let consumer = self.consumer(kafka.group.clone(), topics, false, record_sender)?;
        let (metrics, stalls, runtime) = (self.metrics.clone(), self.stalls.clone(), self.runtime.clone());
        let detect = DetectStage::new(&self.config, rules, metrics, stalls, runtime);
        let handle = Handle::current();
        // The thread ends when either of its channels is closed, which the stages beside it see to.
        std::thread::Builder::new()
            .name("detect".into())
            .spawn(move || handle.block_on(detect.run(record_receiver, detected_sender)))
            .map_err(casebook_ingest::ConsumerError::Thread)?;
        let commit = CommitStage {
            dead_letters: kafka.dead_letters_topic.as_deref().map(LetterTopic::new),
            signals: SignalWriter::new(self.producer.clone(), &kafka.signals_topic, self.signals_partitions),
            transport: self.producer.clone(),
            config: self.config.clone(),
            store: self.store.clone(),
            source: Box::new(consumer),
            metrics: self.metrics.clone(),
            progress: self.progress.clone(),
            stalls: self.stalls.clone(),
            shutdown: self.shutdown.clone(),
            runtime: self.runtime.clone(),
        };
        Ok(commit.run(detected_receiver))
    }

    /// The signals to alerts.
    fn correlate(
        &self,
        rules: Arc<RuleSet>,
        reloaded: watch::Receiver<Arc<RuleSet>>,
        detect_rules: watch::Sender<Arc<RuleSet>>,
    ) -> Result<impl Future<Output = Result<(), PipelineError>> + Send + use<>, PipelineError> {
        let kafka = &self.config.kafka;
        let (sender, receiver) = mpsc::channel(CHANNEL_BATCHES);
        let topics = vec![kafka.signals_topic.clone()];
        let consumer = self.consumer(correlate_group(&kafka.group), topics, true, sender)?;
        let spill = self.config.correlation.spill_directory.clone();
        let spill = spill.unwrap_or_else(std::env::temp_dir);
        DiskStore::remove_leftovers(&spill);
        let correlate = CorrelateStage::new(CorrelateParts {
            signals_partitions: self.signals_partitions,
            config: self.config.clone(),
            rules,
            reloaded,
            detect_rules,
            store: self.store.clone(),
            source: Box::new(consumer),
            transport: self.producer.clone(),
            spill: Box::new(move || Box::new(DiskStore::below(&spill))),
            metrics: self.metrics.clone(),
            progress: self.progress.clone(),
            stalls: self.stalls.clone(),
            shutdown: self.shutdown.clone(),
            runtime: self.runtime.clone(),
        });
        Ok(correlate.run(receiver))
    }

    fn consumer(
        &self,
        group: String,
        topics: Vec<String>,
        alerts: bool,
        events: mpsc::Sender<casebook_ingest::ConsumerEvent>,
    ) -> Result<Consumer, PipelineError> {
        let kafka = &self.config.kafka;
        let offsets = TableOffsets {
            store: self.store.clone(),
            group: group.clone(),
            alerts,
            runtime: Handle::current(),
        };
        let mut consumer = ConsumerConfig::new(&kafka.brokers, group, topics);
        let properties = kafka.properties();
        consumer.properties = properties
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        consumer.token = kafka.token();
        Ok(Consumer::start(consumer, Arc::new(offsets), events)?)
    }
}

/// Waits for all stages. One that fails stops the others, which then commit what they hold. Those that take longer for it
/// than `deadline` are left: what they did not commit is read again by whoever goes on.
async fn supervise(
    mut stages: JoinSet<Result<(), PipelineError>>,
    shutdown: CancellationToken,
    deadline: Duration,
) -> Result<(), PipelineError> {
    let mut outcome = Ok(());
    let expired = async {
        shutdown.cancelled().await;
        tokio::time::sleep(deadline).await;
    };
    tokio::pin!(expired);
    loop {
        let ended = tokio::select! {
            ended = stages.join_next() => ended,
            () = &mut expired => return outcome.and(Err(PipelineError::ShutdownDeadline(deadline))),
        };
        let Some(ended) = ended else { return outcome };
        let ended = ended.unwrap_or(Err(PipelineError::StagePanicked("pipeline")));
        if ended.is_err() && outcome.is_ok() {
            outcome = ended;
        }
        shutdown.cancel();
    }
}
