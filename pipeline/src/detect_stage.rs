//! The thread between the consumer and the commit: decode, normalize, match, and note how far event time has come.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use casebook_correlate::{Detector, RuleSet};
use casebook_event::{EventBatch, Partition, RawRecord, Signal, SignalMessage, Value, Watermark};
use casebook_ingest::{ConsumerError, ConsumerEvent, Decoder, SourceKind};
use tokio::sync::mpsc;

use crate::clock;
use crate::config::{Config, TopicConfig};
use crate::telemetry::Metrics;
use crate::watermark::Watermarks;

/// Time between two looks at idle partitions.
const TICK: Duration = Duration::from_secs(1);

/// What the commit stage gets, in the order of the consumer's events.
#[derive(Debug)]
pub(crate) enum Detected {
    /// These partitions are read here now.
    Assigned(Vec<Partition>),
    /// These partitions are somebody else's now.
    Revoked(Vec<Partition>),
    /// These partitions are read again, as was asked.
    Restarted(Vec<Partition>),
    /// Events with what was found in them.
    Batch(EventBatch, Vec<SignalMessage>),
    /// Consuming cannot go on.
    Failed(ConsumerError),
}

pub(crate) struct DetectStage {
    decoders: Decoders,
    detector: Detector,
    watermarks: Watermarks,
    /// The next offset expected of each partition read here. A partition that is not in it is not read here.
    expected: BTreeMap<Partition, Option<i64>>,
    matched: Vec<Signal>,
    metrics: Arc<Metrics>,
}

impl DetectStage {
    pub(crate) fn new(config: &Config, rules: Arc<RuleSet>, metrics: Arc<Metrics>) -> Self {
        Self {
            decoders: Decoders::new(&config.kafka.topics),
            detector: Detector::new(rules),
            watermarks: Watermarks::new(config.lateness.clone()),
            expected: BTreeMap::new(),
            matched: Vec::new(),
            metrics,
        }
    }

    /// Runs until either side has gone. Call it on a thread of its own.
    pub(crate) fn run(
        mut self,
        runtime: &tokio::runtime::Handle,
        mut input: mpsc::Receiver<ConsumerEvent>,
        output: &mpsc::Sender<Detected>,
    ) {
        loop {
            let event = runtime.block_on(async { tokio::time::timeout(TICK, input.recv()).await });
            let now = Instant::now();
            let detected = match event {
                Ok(None) => return,
                Ok(Some(event)) => self.on_event(event, now),
                Err(_) => vec![],
            };
            for item in detected {
                if output.blocking_send(item).is_err() {
                    return;
                }
            }
            let moved = self.watermarks.advance(now, clock::now());
            if !moved.is_empty() {
                let messages = moved.into_iter().map(SignalMessage::Watermark).collect();
                if output
                    .blocking_send(Detected::Batch(EventBatch::default(), messages))
                    .is_err()
                {
                    return;
                }
            }
        }
    }

    fn on_event(&mut self, event: ConsumerEvent, now: Instant) -> Vec<Detected> {
        match event {
            ConsumerEvent::Assigned(partitions) => {
                let mut first = Vec::with_capacity(partitions.len());
                let names = partitions.iter().map(|(partition, _)| partition.clone()).collect();
                for (partition, offset) in partitions {
                    first.push(SignalMessage::Watermark(self.assign(partition, offset, now)));
                }
                vec![Detected::Assigned(names), Detected::Batch(EventBatch::default(), first)]
            }
            ConsumerEvent::Revoked(partitions) => {
                for partition in &partitions {
                    self.expected.remove(partition);
                    self.watermarks.revoked(partition);
                    self.metrics.forget_partition(partition);
                }
                vec![Detected::Revoked(partitions)]
            }
            ConsumerEvent::Restarted(partitions) => {
                let mut names = Vec::with_capacity(partitions.len());
                for (partition, offset) in partitions {
                    self.expected.insert(partition.clone(), Some(offset));
                    names.push(partition);
                }
                vec![Detected::Restarted(names)]
            }
            ConsumerEvent::Records { records, bytes } => vec![self.on_records(&records, bytes, now)],
            ConsumerEvent::EndOffsets(ends) => {
                for (partition, end) in ends {
                    self.watermarks.end_offset(&partition, end);
                }
                for (partition, lag) in self.watermarks.lag() {
                    self.metrics.lag(partition, lag);
                }
                vec![]
            }
            ConsumerEvent::Failed(error) => vec![Detected::Failed(error)],
        }
    }

    fn assign(&mut self, partition: Partition, offset: Option<i64>, now: Instant) -> Watermark {
        let watermark = self.watermarks.assigned(&partition, offset, now);
        self.expected.insert(partition, offset);
        watermark
    }

    fn on_records(&mut self, records: &[RawRecord], bytes: usize, now: Instant) -> Detected {
        let ingested = clock::now();
        let mut batch = EventBatch {
            input_bytes: bytes as u64,
            ..EventBatch::default()
        };
        let mut messages = Vec::new();
        for record in records {
            let partition = Partition {
                topic: record.position.topic.clone(),
                partition: record.position.partition,
            };
            let offset = record.position.offset;
            let Some(expected) = self.expected.get_mut(&partition) else {
                continue;
            };
            let start = expected.unwrap_or(offset);
            if offset < start {
                // Fetched before the seek that now begins at `start`.
                continue;
            }
            *expected = Some(offset + 1);
            self.watermarks.read(&partition, offset + 1, now);
            let first = batch.events.len();
            self.decoders.of(&partition.topic).decode(record, ingested, &mut batch);
            batch.checkpoint.record(&partition, start, offset);
            for event in &mut batch.events[first..] {
                self.watermarks.observe(event);
                self.detector.detect(event, &mut self.matched);
                messages.extend(self.matched.drain(..).map(SignalMessage::Signal));
                // Nothing behind this reads native fields: the tables keep the raw record.
                event.native = Value::Null;
            }
        }
        self.metrics.decoded(&batch, records.len(), messages.len());
        Detected::Batch(batch, messages)
    }
}

/// The decoder of each topic.
struct Decoders {
    named: BTreeMap<String, Decoder>,
    patterns: Vec<(regex::Regex, Decoder)>,
    auto: Decoder,
}

impl Decoders {
    fn new(topics: &[TopicConfig]) -> Self {
        let mut named = BTreeMap::new();
        let mut patterns = Vec::new();
        for topic in topics {
            let decoder = Decoder::new(topic.source.0);
            // The configuration was checked: an expression that does not compile was refused there.
            match topic.name.starts_with('^').then(|| regex::Regex::new(&topic.name)) {
                Some(Ok(pattern)) => patterns.push((pattern, decoder)),
                _ => drop(named.insert(topic.name.clone(), decoder)),
            }
        }
        Self {
            named,
            patterns,
            auto: Decoder::new(SourceKind::Auto),
        }
    }

    fn of(&self, topic: &str) -> &Decoder {
        self.named
            .get(topic)
            .or_else(|| {
                self.patterns
                    .iter()
                    .find(|(pattern, _)| pattern.is_match(topic))
                    .map(|(_, decoder)| decoder)
            })
            .unwrap_or(&self.auto)
    }
}
