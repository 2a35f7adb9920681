//! Rules over stored history, by the engines that apply them live.
//!
//! The store keeps normalized fields and the raw record. Rules may also name native fields, which are read from the
//! record again by its source's decoder; identity, time and position are those that were stored, so that an alert has
//! the id that it has, or would have had, live.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use casebook_correlate::{CorrelationConfig, CorrelationEngine, Detector, RuleSet};
use casebook_event::{
    Alert, Event, EventBatch, EventId, EventRef, Fields, Native, RawRecord, SignalMessage, Source, Timestamp,
};
use casebook_ingest::{Decoder, SourceKind};
use casebook_store::FoundEvent;

use crate::error::PipelineError;

/// A backtest under way.
///
/// Memory grows with the matching events, not with those read.
#[derive(Debug)]
pub struct Backtest {
    detector: Detector,
    engine: CorrelationEngine,
    messages: Vec<SignalMessage>,
    alerts: Vec<Alert>,
    matches: HashMap<Arc<str>, HashMap<EventId, EventRef>>,
    counts: BacktestCounts,
}

/// What a backtest read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BacktestCounts {
    /// Events read.
    pub events: u64,
    /// Those whose record could not be read again: rules saw their normalized fields and their text alone.
    pub without_native: u64,
    /// The time of the first event.
    pub first: Option<Timestamp>,
    /// The time of the last event.
    pub last: Option<Timestamp>,
    /// Time that detection took, all rules together, on one core.
    pub detection: Duration,
}

/// What a backtest found.
#[derive(Debug, Default)]
pub struct BacktestReport {
    /// What it read.
    pub counts: BacktestCounts,
    /// The events that each rule about single events matched, by rule id, in order of time.
    pub matches: HashMap<Arc<str>, Vec<EventRef>>,
    /// The final alerts, in order of time and id.
    pub alerts: Vec<Alert>,
}

impl Backtest {
    /// Of these rules.
    pub fn new(rules: Arc<RuleSet>) -> Self {
        Self {
            engine: CorrelationEngine::new(&rules, CorrelationConfig { provisional: false }),
            detector: Detector::new(rules),
            messages: Vec::new(),
            alerts: Vec::new(),
            matches: HashMap::new(),
            counts: BacktestCounts::default(),
        }
    }

    /// Takes an event, in any order.
    ///
    /// # Errors
    /// Groups of a correlation that do not fit into memory cannot be kept.
    pub fn push(&mut self, found: FoundEvent) -> Result<(), PipelineError> {
        let (event, whole) = revive(found);
        let counts = &mut self.counts;
        counts.events += 1;
        counts.without_native += u64::from(!whole);
        counts.first = Some(counts.first.map_or(event.time, |first| first.min(event.time)));
        counts.last = Some(counts.last.map_or(event.time, |last| last.max(event.time)));
        let begun = Instant::now();
        self.detector.messages(&event, &mut self.messages);
        counts.detection += begun.elapsed();
        for message in self.messages.drain(..) {
            if let SignalMessage::Signal(signal) = &message {
                let matches = self.matches.entry(signal.matched_rule_id.clone()).or_default();
                matches
                    .entry(signal.event.event_id)
                    .or_insert_with(|| signal.event.clone());
            }
            self.engine.apply(message, &mut self.alerts)?;
        }
        Ok(())
    }

    /// What was found.
    ///
    /// # Errors
    /// As [`Backtest::push`].
    pub fn finish(mut self) -> Result<BacktestReport, PipelineError> {
        self.engine.finish(&mut self.alerts)?;
        self.alerts
            .sort_by(|a, b| (a.alert.time, &a.alert.id).cmp(&(b.alert.time, &b.alert.id)));
        let in_order = |matches: HashMap<EventId, EventRef>| {
            let mut matches: Vec<EventRef> = matches.into_values().collect();
            matches.sort_by_key(|event| (event.time, event.event_id));
            matches
        };
        Ok(BacktestReport {
            counts: self.counts,
            matches: self
                .matches
                .into_iter()
                .map(|(rule, matches)| (rule, in_order(matches)))
                .collect(),
            alerts: self.alerts,
        })
    }
}

/// A stored event as detection saw it, and whether its record could be read again.
pub fn revive(found: FoundEvent) -> (Event, bool) {
    let record = decode(&found);
    let whole = record.is_some();
    let (native, raw) = record.map_or_else(
        || (Native::NONE, found.raw.as_str().into()),
        |event| (event.native, event.raw),
    );
    let mut fields = Fields::new();
    for (id, value) in found.fields {
        fields.set(id, value);
    }
    let event = Event {
        id: found.event_id,
        time: found.time,
        ingested: found.ingested,
        source: found.source,
        position: found.position,
        fields,
        native,
        raw,
    };
    (event, whole)
}

/// The one event that the stored record gives.
fn decode(found: &FoundEvent) -> Option<Event> {
    let mut decoder = Decoder::new(SourceKind::Source(found.source));
    let mut batch = EventBatch::default();
    let lines: Vec<&str> = match found.source {
        // Several lines of the audit daemon make one event.
        Source::Auditd => found.raw.lines().collect(),
        _ => vec![&found.raw],
    };
    for line in lines {
        let record = RawRecord {
            position: found.position.clone(),
            timestamp: found.ingested,
            payload: line.as_bytes().to_vec(),
        };
        decoder.decode(&record, found.ingested, &mut batch);
    }
    decoder.flush(&found.position, found.ingested, &mut batch);
    match (batch.events.len(), batch.events.pop()) {
        (1, event) => event,
        _ => None,
    }
}
