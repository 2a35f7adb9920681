//! The thread between the consumer and the commit: decode, normalize, match, and note how far event time has come.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use casebook_correlate::{Detector, RuleSet};
use casebook_event::{
    CheckpointDelta, Event, EventBatch, Native, Partition, Position, RawRecord, SignalMessage, StartOffset, Watermark,
};
use casebook_ingest::{ConsumerError, ConsumerEvent, Decoder, EndOffset, SourceKind, TopicSettings};
use fail::fail_point;
use tokio::sync::{mpsc, watch};
use tracing::info;

use crate::config::deployment::Config;
use crate::config::kafka::TopicConfig;
use crate::detect::watermark::{Watermarks, is_ahead};
use crate::ports::runtime::SharedRuntime;
use crate::progress::stalls::{Stage, Stalls};
use crate::telemetry::metrics::Metrics;

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

/// One partition under way.
struct Reading {
    decoder: Decoder,
    /// The next offset expected; `None` before the first record of a partition that was never committed.
    expected: Option<i64>,
    /// Records below this offset are in the table: they only bring back the partial record that follows it there.
    committed: i64,
    /// Where the next batch of this partition begins, as the batch before it ended.
    start: Option<StartOffset>,
    /// The last record read, and when.
    last: Option<(Position, Instant)>,
}

impl Reading {
    fn new(topic: TopicKind, start: Option<StartOffset>) -> Self {
        Self {
            decoder: Decoder::new(topic.kind).with_settings(topic.settings),
            expected: start.map(|start| start.resume),
            committed: start.map_or(i64::MIN, |start| start.next),
            start,
            last: None,
        }
    }

    /// Notes in `batch` where this partition stands now.
    fn note(&mut self, partition: &Partition, checkpoint: &mut CheckpointDelta) {
        checkpoint.note_partial(partition, self.decoder.resume());
        let next = self.expected.unwrap_or_default();
        self.start = Some(StartOffset {
            next,
            resume: self.decoder.resume().unwrap_or(next).min(next),
        });
    }
}

pub(crate) struct DetectStage {
    kinds: Kinds,
    detector: Detector,
    /// The rules to apply, which may change.
    rules: watch::Receiver<Arc<RuleSet>>,
    watermarks: Watermarks,
    /// How long a partition must be quiet before what waits in it is emitted.
    join_wait: Duration,
    /// The partitions read here.
    partitions: BTreeMap<Partition, Reading>,
    /// What committed records give again.
    discarded: EventBatch,
    metrics: Arc<Metrics>,
    stalls: Arc<Stalls>,
    runtime: SharedRuntime,
}

impl DetectStage {
    pub(crate) fn new(
        config: &Config,
        rules: watch::Receiver<Arc<RuleSet>>,
        metrics: Arc<Metrics>,
        stalls: Arc<Stalls>,
        runtime: SharedRuntime,
    ) -> Self {
        let detector = Detector::new(rules.borrow().clone());
        Self {
            kinds: Kinds::new(&config.kafka.topics, config.cluster.as_deref()),
            detector,
            rules,
            watermarks: Watermarks::new(config.lateness.clone()),
            join_wait: config.join_wait.0,
            partitions: BTreeMap::new(),
            discarded: EventBatch::default(),
            metrics,
            stalls,
            runtime,
        }
    }

    /// Runs until either side has gone. It computes for long between two waits: give it a thread of its own.
    pub(crate) async fn run(mut self, mut input: mpsc::Receiver<ConsumerEvent>, output: mpsc::Sender<Detected>) {
        let mut looked = self.runtime.instant();
        loop {
            let tick = self.runtime.sleep(TICK);
            let event = tokio::select! {
                biased;
                event = input.recv() => Some(event),
                () = tick => None,
            };
            // Between two batches: an event is matched by one set, whole. An error says that no further set can come.
            if self.rules.has_changed().unwrap_or(false) {
                self.detector = Detector::new(self.rules.borrow_and_update().clone());
                info!(
                    rules = self.detector.rules().rules().count(),
                    "detection goes on with the new rules"
                );
            }
            let now = self.runtime.instant();
            let mut detected = match event {
                Some(None) => return,
                Some(Some(event)) => self.on_event(event, now),
                None => vec![],
            };
            if now.duration_since(looked) >= TICK {
                looked = now;
                detected.extend(self.flush_quiet(now));
            }
            for item in detected {
                if output.send(item).await.is_err() {
                    return;
                }
            }
            let moved = self.watermarks.advance(now, self.runtime.now());
            if !moved.is_empty() {
                let messages = moved.into_iter().map(SignalMessage::Watermark).collect();
                let watermarks = Detected::Batch(EventBatch::default(), messages);
                if output.send(watermarks).await.is_err() {
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
                    let next = offset.map_or(0, |offset| offset.next);
                    self.stalls.assigned(Stage::Ingest, partition.clone(), next, now);
                    first.push(SignalMessage::Watermark(self.assign(partition, offset, now)));
                }
                vec![Detected::Assigned(names), Detected::Batch(EventBatch::default(), first)]
            }
            ConsumerEvent::Revoked(partitions) => {
                for partition in &partitions {
                    self.partitions.remove(partition);
                    self.watermarks.revoked(partition);
                    self.stalls.revoked(Stage::Ingest, partition);
                }
                vec![Detected::Revoked(partitions)]
            }
            ConsumerEvent::Restarted(partitions) => {
                let mut names = Vec::with_capacity(partitions.len());
                for (partition, start) in partitions {
                    self.stalls.restarted(Stage::Ingest, &partition, start.next, now);
                    self.watermarks.restarted(&partition, start.next, now);
                    let reading = Reading::new(self.kinds.of(&partition.topic), Some(start));
                    self.partitions.insert(partition.clone(), reading);
                    names.push(partition);
                }
                self.detector.emit_bindings_again();
                vec![Detected::Restarted(names)]
            }
            ConsumerEvent::Records { records, bytes } => vec![self.on_records(&records, bytes, now)],
            ConsumerEvent::EndOffsets(ends) => {
                for EndOffset { partition, end, high } in ends {
                    self.watermarks.end_offset(&partition, end);
                    self.stalls.ends(Stage::Ingest, &partition, end, high, now);
                }
                vec![]
            }
            ConsumerEvent::Lost { partition, from, to } => {
                self.metrics.lost_records(&partition, to - from);
                vec![]
            }
            ConsumerEvent::Failed(error) => vec![Detected::Failed(error)],
        }
    }

    fn assign(&mut self, partition: Partition, start: Option<StartOffset>, now: Instant) -> Watermark {
        let next = start.map(|start| start.next);
        let watermark = self.watermarks.assigned(&partition, next, now);
        let reading = Reading::new(self.kinds.of(&partition.topic), start);
        self.partitions.insert(partition, reading);
        watermark
    }

    /// Emits what waits in partitions that are read to their end and of which nothing has come for a while: nobody shall
    /// wait for the end of a line that never comes.
    fn flush_quiet(&mut self, now: Instant) -> Option<Detected> {
        let ingested = self.runtime.now();
        let mut batch = EventBatch::default();
        let mut messages = Vec::new();
        for (partition, reading) in &mut self.partitions {
            let Some((last, at)) = &reading.last else { continue };
            let (Some(start), Some(_)) = (reading.start, reading.decoder.resume()) else {
                continue;
            };
            let is_replayed = reading.expected.is_some_and(|expected| expected < reading.committed);
            if is_replayed || !self.watermarks.is_caught_up(partition) || now.duration_since(*at) < self.join_wait {
                continue;
            }
            let first = batch.events.len();
            reading.decoder.flush(last, ingested, &mut batch);
            batch.checkpoint.begin(partition, start);
            reading.note(partition, &mut batch.checkpoint);
            detect(
                &mut self.detector,
                &mut self.watermarks,
                &mut batch.events[first..],
                &mut messages,
            );
        }
        (!batch.checkpoint.is_empty()).then_some(Detected::Batch(batch, messages))
    }

    fn on_records(&mut self, records: &[RawRecord], bytes: usize, now: Instant) -> Detected {
        let ingested = self.runtime.now();
        let mut batch = EventBatch {
            input_bytes: bytes as u64,
            ..EventBatch::default()
        };
        let mut messages = Vec::new();
        let mut firsts = Vec::new();
        for record in records {
            let partition = Partition {
                topic: record.position.topic.clone(),
                partition: record.position.partition,
            };
            let offset = record.position.offset;
            let Some(reading) = self.partitions.get_mut(&partition) else {
                continue;
            };
            let expected = reading.expected.unwrap_or(offset);
            if offset < expected {
                // Fetched before the seek that now begins at `expected`.
                continue;
            }
            reading.expected = Some(offset + 1);
            reading.last = Some((record.position.clone(), now));
            if offset < reading.committed {
                reading.decoder.decode(record, ingested, &mut self.discarded);
                self.discarded.events.clear();
                self.discarded.dead_letters.clear();
                continue;
            }
            self.watermarks.read(&partition, offset + 1, now);
            let first = batch.events.len();
            reading.decoder.decode(record, ingested, &mut batch);
            let start = reading.start.unwrap_or(StartOffset::at(expected));
            if batch.checkpoint.is_new(&partition) {
                firsts.push((partition.clone(), (offset, record.timestamp)));
            }
            batch.checkpoint.begin(&partition, start);
            batch.checkpoint.record(&partition, start.next, offset);
            reading.note(&partition, &mut batch.checkpoint);
            detect(
                &mut self.detector,
                &mut self.watermarks,
                &mut batch.events[first..],
                &mut messages,
            );
        }
        for (partition, range) in batch.checkpoint.iter() {
            let first = firsts.iter().find(|(of, _)| of == partition).map(|(_, first)| *first);
            self.stalls.read(Stage::Ingest, partition, first, range.end);
        }
        self.metrics.decoded(&batch, records.len(), messages.len());
        let matched = messages.iter().filter_map(|message| match message {
            SignalMessage::Signal(signal) => Some(signal.matched_rule_id.as_ref()),
            SignalMessage::Binding(_) | SignalMessage::Watermark(_) => None,
        });
        self.metrics.rule_matches(matched);
        fail_point!("detect.done");
        Detected::Batch(batch, messages)
    }
}

/// Matches events against the rules, and takes note of their times.
fn detect(
    detector: &mut Detector,
    watermarks: &mut Watermarks,
    events: &mut [Event],
    messages: &mut Vec<SignalMessage>,
) {
    for event in events {
        watermarks.observe(event);
        let first = messages.len();
        detector.messages(event, messages);
        let new = messages.split_off(first);
        let counts =
            |message: &SignalMessage| !matches!(message, SignalMessage::Binding(binding) if is_ahead(binding, event));
        messages.extend(new.into_iter().filter(counts));
        // Nothing after this reads native fields: the tables keep the raw record.
        event.native = Native::NONE;
    }
}

/// What the records of a topic are, and what the deployment says of them.
#[derive(Clone, Default)]
struct TopicKind {
    kind: SourceKind,
    settings: Arc<TopicSettings>,
}

/// What the records of each topic are.
struct Kinds {
    named: BTreeMap<String, TopicKind>,
    patterns: Vec<(regex::Regex, TopicKind)>,
}

impl Kinds {
    fn new(topics: &[TopicConfig], cluster: Option<&str>) -> Self {
        let mut named = BTreeMap::new();
        let mut patterns = Vec::new();
        for topic in topics {
            // The configuration was checked: an expression that does not compile was refused there, and a network that is none.
            let kind = TopicKind {
                kind: topic.source.0,
                settings: Arc::new(topic.settings(cluster).unwrap_or_default()),
            };
            match topic.name.starts_with('^').then(|| regex::Regex::new(&topic.name)) {
                Some(Ok(pattern)) => patterns.push((pattern, kind)),
                _ => drop(named.insert(topic.name.clone(), kind)),
            }
        }
        Self { named, patterns }
    }

    fn of(&self, topic: &str) -> TopicKind {
        let pattern = || self.patterns.iter().find(|(pattern, _)| pattern.is_match(topic));
        self.named
            .get(topic)
            .or_else(|| pattern().map(|(_, kind)| kind))
            .cloned()
            .unwrap_or_default()
    }
}
