//! What must be in the tables in the end: every record decoded once, and the alerts of all events at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use casebook_correlate::{CorrelationConfig, CorrelationEngine, Detector, RuleSet};
use casebook_event::{Alert, AlertStatus, DeadLetter, Event, EventBatch, Native, Position, SignalMessage, Timestamp};
use casebook_ingest::{Decoder, TopicSettings};

use super::broker::Broker;
use super::input::{ADDED, ALONE};
use super::tables::Durable;
use crate::config::deployment::Config;

/// Rows by place, and the alerts that hold by id.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Outcome {
    events: BTreeMap<Position, String>,
    letters: BTreeMap<Position, String>,
    alerts: BTreeMap<String, String>,
}

/// An event but for when it was read.
fn row(event: &Event) -> String {
    let mut event = event.clone();
    event.ingested = Timestamp::MIN;
    event.native = Native::NONE;
    format!("{event:?}")
}

fn letter_row(letter: &DeadLetter) -> String {
    format!("{} {:?} {:?}", letter.reason, letter.detail, letter.payload)
}

/// An alert but for its revision: how many there were depends on what came first. So does which copy of an event the alert of a
/// base rule names, where a shipper wrote several (`docs/correlation-semantics.md`, "Time and revisions").
fn report(alert: &Alert) -> String {
    let mut alert = alert.clone();
    alert.alert.revision = 0;
    if is_of_base_rule(&alert) {
        for evidence in &mut alert.evidence {
            evidence.position = Position {
                topic: "".into(),
                partition: 0,
                offset: 0,
                index: 0,
            };
        }
    }
    serde_json::to_string(&alert).unwrap()
}

fn is_of_base_rule(alert: &Alert) -> bool {
    alert.rule.kind == "detection"
}

fn holds(alert: &Alert) -> bool {
    let status = alert.alert.status;
    status != AlertStatus::Withdrawn && status != AlertStatus::Retracted && alert.rule.id != ADDED
}

impl Outcome {
    /// Of the topics, by decoder, detector and engine alone, with all that came, in the order of the partitions.
    pub(super) fn expected(config: &Config, broker: &Broker, rules: &Arc<RuleSet>) -> Self {
        let mut found = Self::default();
        let mut detector = Detector::new(rules.clone());
        let mut engine = CorrelationEngine::new(rules, CorrelationConfig { provisional: false });
        let (mut messages, mut alerts) = (Vec::new(), Vec::new());
        for topic in &config.kafka.topics {
            for (partition, end) in broker.ends(&topic.name) {
                let settings: Arc<TopicSettings> = Arc::new(topic.settings(None).unwrap());
                let mut decoder = Decoder::new(topic.source.0).with_settings(settings);
                let mut batch = EventBatch::default();
                let records = broker.read(&partition, 0, end as usize);
                for record in &records {
                    decoder.decode(record, Timestamp::MAX, &mut batch);
                }
                if let Some(last) = records.last() {
                    decoder.flush(&last.position, Timestamp::MAX, &mut batch);
                }
                for event in &batch.events {
                    detector.messages(event, &mut messages);
                    for message in messages.drain(..) {
                        engine.apply(message, &mut alerts).unwrap();
                    }
                }
                found.take_rows(&batch.events, &batch.dead_letters).unwrap();
            }
        }
        engine.finish(&mut alerts).unwrap();
        let alerts = alerts.iter().filter(|alert| holds(alert));
        found.alerts = alerts
            .map(|alert| (alert.alert.id.to_string(), report(alert)))
            .collect();
        found
    }

    fn take_rows(&mut self, events: &[Event], letters: &[DeadLetter]) -> Result<(), String> {
        for event in events {
            if self.events.insert(event.position.clone(), row(event)).is_some() {
                return Err(format!("event {} is there twice", event.position));
            }
        }
        for letter in letters {
            if self
                .letters
                .insert(letter.position.clone(), letter_row(letter))
                .is_some()
            {
                return Err(format!("dead letter {} is there twice", letter.position));
            }
        }
        Ok(())
    }

    /// Of the tables.
    ///
    /// # Errors
    /// A row or a revision is there twice.
    pub(super) fn of_tables(durable: &Durable) -> Result<Self, String> {
        let mut found = Self::default();
        found.take_rows(&durable.events, &durable.letters)?;
        let mut revisions: BTreeMap<(&str, u32), ()> = BTreeMap::new();
        let mut latest: BTreeMap<&str, &Alert> = BTreeMap::new();
        for alert in &durable.alerts {
            let (id, revision) = (alert.alert.id.as_str(), alert.alert.revision);
            // A copy that comes after the watermark raises the alert of its base rule again, which counts once.
            if revisions.insert((id, revision), ()).is_some() && !is_of_base_rule(alert) {
                return Err(format!("revision {revision} of alert {id} is there twice"));
            }
            let known = latest.entry(id).or_insert(alert);
            if known.alert.revision < revision {
                *known = alert;
            }
        }
        let alerts = latest.into_values().filter(|alert| holds(alert));
        found.alerts = alerts
            .map(|alert| (alert.alert.id.to_string(), report(alert)))
            .collect();
        Ok(found)
    }

    /// How it differs from what is wanted; empty where it does not.
    pub(super) fn difference(&self, want: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        compare("event", &self.events, &want.events, &mut lines);
        compare("dead letter", &self.letters, &want.letters, &mut lines);
        compare("alert", &self.alerts, &want.alerts, &mut lines);
        lines
    }

    /// How many events, dead letters and alerts.
    pub(super) fn counts(&self) -> [usize; 3] {
        [self.events.len(), self.letters.len(), self.alerts.len()]
    }
}

fn compare<K: Ord + std::fmt::Debug>(
    what: &str,
    found: &BTreeMap<K, String>,
    want: &BTreeMap<K, String>,
    lines: &mut Vec<String>,
) {
    for (key, wanted) in want {
        match found.get(key) {
            None => lines.push(format!("{what} {key:?} is missing: {wanted}")),
            Some(found) if found != wanted => lines.push(format!("{what} {key:?}:\n   is {found}\n not {wanted}")),
            Some(_) => {}
        }
    }
    let more = found.iter().filter(|(key, _)| !want.contains_key(key));
    lines.extend(more.map(|(key, found)| format!("{what} {key:?} is too much: {found}")));
}

/// Reports that were committed and are in no message of the topic of alerts.
pub(super) fn unsent(durable: &Durable, broker: &Broker, topic: &str) -> Vec<String> {
    let mut sent: BTreeMap<(String, u32), ()> = BTreeMap::new();
    for (partition, end) in broker.ends(topic) {
        for record in broker.read(&partition, 0, end as usize) {
            let alert: Alert = serde_json::from_slice(&record.payload).unwrap();
            sent.insert((alert.alert.id.to_string(), alert.alert.revision), ());
        }
    }
    let committed = durable
        .alerts
        .iter()
        .map(|alert| (alert.alert.id.to_string(), alert.alert.revision));
    let unsent = committed.filter(|report| !sent.contains_key(report));
    unsent
        .map(|(id, revision)| format!("revision {revision} of alert {id} was committed and never sent"))
        .collect()
}

/// Matches that were found and are not kept: a repair would miss them.
pub(super) fn not_kept(durable: &Durable, broker: &Broker, topic: &str) -> Vec<String> {
    let mut missing = Vec::new();
    for (partition, end) in broker.ends(topic) {
        for record in broker.read(&partition, 0, end as usize) {
            if let Ok(SignalMessage::Signal(signal)) = serde_json::from_slice(&record.payload)
                && ![ADDED, ALONE].contains(&signal.rule_id.as_ref())
                && !durable.signals.contains(&signal)
            {
                missing.push(format!(
                    "a match of {} at {} is not kept",
                    signal.rule_id, signal.event.position
                ));
            }
        }
    }
    missing
}
