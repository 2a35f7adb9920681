//! The streaming deployment: both stages in one process, from the log topics to the tables.

use std::sync::Arc;

use casebook_correlate::RuleSet;
use casebook_event::{Partition, StartOffset};
use casebook_ingest::{Consumer, ConsumerConfig, OffsetSource};
use casebook_store::{Store, StoreError};
use std::collections::BTreeMap;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::commit_stage::CommitStage;
use crate::config::Config;
use crate::correlate_stage::{CorrelateParts, CorrelateStage, correlate_group};
use crate::detect_stage::DetectStage;
use crate::error::PipelineError;
use crate::progress::Progress;
use crate::rule_reload::RuleReload;
use crate::signal_topic::{SignalWriter, producer};
use crate::telemetry::{Metrics, serve};
use crate::topics::ensure_topic;

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
    /// Starts both stages. It returns once the brokers have answered and the topics exist.
    ///
    /// # Errors
    /// The brokers do not answer, a topic cannot be made, or a property is refused.
    pub async fn start(config: Config, rules: Arc<RuleSet>, store: Arc<Store>) -> Result<Self, PipelineError> {
        let metrics = Arc::new(Metrics::default());
        let progress = Arc::new(Progress::default());
        let shutdown = CancellationToken::new();
        let kafka = &config.kafka;
        let partitions = ensure_topic(kafka, &kafka.signals_topic, kafka.signals_partitions).await?;
        for topic in [&kafka.alerts_topic, &kafka.dead_letters_topic].into_iter().flatten() {
            ensure_topic(kafka, topic, 1).await?;
        }
        if let Some(address) = config.http {
            serve(address, metrics.clone(), shutdown.clone()).await?;
        }
        let producer = producer(kafka)?;

        let mut stages = JoinSet::new();
        let (record_sender, record_receiver) = mpsc::channel(CHANNEL_BATCHES);
        let (detected_sender, detected_receiver) = mpsc::channel(CHANNEL_BATCHES);
        let topics = kafka.topics.iter().map(|topic| topic.name.clone()).collect();
        let consumer = start_consumer(&config, kafka.group.clone(), topics, &store, false, record_sender)?;
        let (reload, reloaded) = watch::channel(rules.clone());
        let reload = RuleReload::new(config.rules.clone(), reload, metrics.clone());
        let (detect_rules, rules_for_detect) = watch::channel(rules.clone());
        let detect = DetectStage::new(&config, rules_for_detect, metrics.clone());
        let runtime = Handle::current();
        // The thread ends when either of its channels is closed, which the stages beside it see to.
        std::thread::Builder::new()
            .name("detect".into())
            .spawn(move || detect.run(&runtime, record_receiver, &detected_sender))
            .map_err(casebook_ingest::ConsumerError::Thread)?;
        let commit = CommitStage {
            signals: SignalWriter::new(producer.clone(), &kafka.signals_topic, partitions),
            producer: producer.clone(),
            config: config.clone(),
            store: store.clone(),
            consumer,
            metrics: metrics.clone(),
            progress: progress.clone(),
            shutdown: shutdown.clone(),
        };
        stages.spawn(commit.run(detected_receiver));

        let (signal_sender, signal_receiver) = mpsc::channel(CHANNEL_BATCHES);
        let group = correlate_group(&kafka.group);
        let consumer = start_consumer(
            &config,
            group,
            vec![kafka.signals_topic.clone()],
            &store,
            true,
            signal_sender,
        )?;
        let correlate = CorrelateStage::new(CorrelateParts {
            signals_partitions: partitions,
            config,
            rules,
            reloaded,
            detect_rules,
            store,
            consumer,
            producer,
            metrics: metrics.clone(),
            progress: progress.clone(),
            shutdown: shutdown.clone(),
        });
        stages.spawn(correlate.run(signal_receiver));

        let task = tokio::spawn(supervise(stages, shutdown.clone()));
        Ok(Self {
            task,
            shutdown,
            progress,
            metrics,
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

fn start_consumer(
    config: &Config,
    group: String,
    topics: Vec<String>,
    store: &Arc<Store>,
    alerts: bool,
    events: mpsc::Sender<casebook_ingest::ConsumerEvent>,
) -> Result<Consumer, PipelineError> {
    let offsets = TableOffsets {
        store: store.clone(),
        group: group.clone(),
        alerts,
        runtime: Handle::current(),
    };
    let mut consumer = ConsumerConfig::new(&config.kafka.brokers, group, topics);
    consumer.properties.clone_from(&config.kafka.properties);
    Ok(Consumer::start(consumer, Arc::new(offsets), events)?)
}

/// Waits for all stages. One that fails stops the others, which then commit what they hold.
async fn supervise(
    mut stages: JoinSet<Result<(), PipelineError>>,
    shutdown: CancellationToken,
) -> Result<(), PipelineError> {
    let mut outcome = Ok(());
    while let Some(ended) = stages.join_next().await {
        let ended = ended.unwrap_or(Err(PipelineError::StagePanicked("pipeline")));
        if ended.is_err() && outcome.is_ok() {
            outcome = ended;
        }
        shutdown.cancel();
    }
    outcome
}
