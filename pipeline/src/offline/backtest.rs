//! Rules over stored history, by the engines that apply them live.
//!
//! The store keeps normalized fields and the raw record. Rules may also name native fields, which are read from the
//! record again by its source's decoder; identity, time and position are those that were stored, so that an alert has
//! the id that it has, or would have had, live.
//!
//! But for rows that an older version wrote, whose identity was made of other things (`casebook.identity.version`): these get
//! the identity that their record has today, or else an event that was delivered before the change and again after it would
//! be two. Where that cannot be had, the old one stays, and the report counts such rows.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use casebook_correlate::{CorrelationConfig, CorrelationEngine, Detector, RuleSet};
use casebook_event::{
    Alert, Event, EventBatch, EventId, EventRef, FieldId, Native, RawRecord, Signal, SignalMessage, Source, Timestamp,
};
use casebook_ingest::{Decoder, SourceKind};

use crate::error::PipelineError;

/// A backtest under way.
///
/// Memory grows with the matching events, not with those read.
#[derive(Debug)]
pub struct Backtest {
    detector: Detector,
    engine: CorrelationEngine,
    messages: Vec<SignalMessage>,
    /// What the engine gets at the end, in the order of the positions: rows come in the order of their times, and what follows a
    /// position that the engine has seen would be taken for delivered twice.
    signals: Vec<Signal>,
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
    /// Those whose identity an older version made, and that were given today's.
    pub reidentified: u64,
    /// Those whose identity an older version made, and that keep it, since their record does not say enough.
    pub older_identity: u64,
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
            signals: Vec::new(),
            alerts: Vec::new(),
            matches: HashMap::new(),
            counts: BacktestCounts::default(),
        }
    }

    /// Takes an event, in any order.
    ///
    /// # Errors
    /// Groups of a correlation that do not fit into memory cannot be kept.
    pub fn push(&mut self, found: Event) -> Result<(), PipelineError> {
        let Revived { event, whole, identity } = revive(found);
        let counts = &mut self.counts;
        counts.events += 1;
        counts.without_native += u64::from(!whole);
        counts.reidentified += u64::from(identity == Identity::MadeAgain);
        counts.older_identity += u64::from(identity == Identity::Older);
        counts.first = Some(counts.first.map_or(event.time, |first| first.min(event.time)));
        counts.last = Some(counts.last.map_or(event.time, |last| last.max(event.time)));
        let begun = Instant::now();
        self.detector.messages(&event, &mut self.messages);
        counts.detection += begun.elapsed();
        for message in self.messages.drain(..) {
            if let SignalMessage::Signal(signal) = message {
                let matches = self.matches.entry(signal.matched_rule_id.clone()).or_default();
                matches
                    .entry(signal.event.event_id)
                    .or_insert_with(|| signal.event.clone());
                self.signals.push(signal);
            } else {
                self.engine.apply(message, &mut self.alerts)?;
            }
        }
        Ok(())
    }

    /// What was found.
    ///
    /// # Errors
    /// As [`Backtest::push`].
    pub fn finish(mut self) -> Result<BacktestReport, PipelineError> {
        let mut signals = std::mem::take(&mut self.signals);
        signals.sort_by(|a, b| a.event.position.cmp(&b.event.position));
        for signal in signals {
            self.engine.apply(SignalMessage::Signal(signal), &mut self.alerts)?;
        }
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

/// A stored event, as detection saw it.
#[derive(Debug)]
pub struct Revived {
    /// The event.
    pub event: Event,
    /// Whether its record could be read again: else it has no native fields.
    pub whole: bool,
    /// What its id is.
    pub identity: Identity,
}

/// What the id of a stored event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// The stored one, which was made as ids are made today.
    Stored,
    /// Made of the record again, since an older version made the stored one of other things.
    MadeAgain,
    /// The stored one, made by an older version: the record could not be read again as what it was read as.
    Older,
}

/// The id of a stored event by today's definition, and how that is known.
fn identity(stored: &Event, record: Option<&Event>) -> (EventId, Identity) {
    let version = stored.fields.get(FieldId::IdentityVersion);
    let version = version.and_then(casebook_event::Value::as_i64).unwrap_or(1);
    if version >= stored.source.identity_version() {
        return (stored.id, Identity::Stored);
    }
    // A record that had its time or its source from what stood around it is not the same without.
    match record.filter(|record| record.time == stored.time && record.source == stored.source) {
        Some(record) => (record.id, Identity::MadeAgain),
        None => (stored.id, Identity::Older),
    }
}

/// A stored event as detection saw it.
pub fn revive(stored: Event) -> Revived {
    let record = decode(&stored);
    let whole = record.is_some();
    let (id, identity) = identity(&stored, record.as_ref());
    let (native, raw) = match record {
        Some(record) => (record.native, record.raw),
        None => (Native::NONE, stored.raw),
    };
    let event = Event {
        id,
        native,
        raw,
        ..stored
    };
    Revived { event, whole, identity }
}

/// The one event that the stored record gives.
fn decode(found: &Event) -> Option<Event> {
    let mut decoder = Decoder::new(SourceKind::Source(found.source));
    let mut batch = EventBatch::default();
    let lines: Vec<&str> = match found.source {
        // Several lines of the audit daemon make one event.
        Source::Auditd => found.raw.lines().collect(),
        _ => vec![found.raw.as_str()],
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

#[cfg(test)]
mod tests {
    use casebook_correlate::RuleFile;
    use casebook_event::Position;
    use casebook_store::StoreConfig;

    use super::*;

    const RULES: &str = "
title: Secret read
id: 7f3f9b7c-0000-4000-8000-000000000001
name: secret_read
level: medium
logsource: { product: kubernetes, service: audit }
detection:
    selection: { verb: get, objectRef.resource: secrets }
    condition: selection
---
title: Three secrets
id: 7f3f9b7c-0000-4000-8000-000000000002
level: high
correlation: { type: event_count, rules: [secret_read], group-by: [user.name], timespan: 5m, condition: { gte: 3 }, generate: true }
";

    /// The nth read of a secret under one audit id, as it is written today.
    fn read(n: i64, offset: i64) -> Event {
        let json = format!(
            r#"{{"auditID":"one-for-all","stage":"ResponseComplete","verb":"get","requestURI":"/api/v1/namespaces/n/secrets/s{n}","user":{{"username":"eve"}},
            "objectRef":{{"resource":"secrets","namespace":"n","name":"s{n}"}},"requestReceivedTimestamp":"2026-05-04T08:00:0{n}.000001Z","stageTimestamp":"2026-05-04T08:00:0{n}.000002Z"}}"#
        );
        let record = RawRecord {
            position: Position {
                topic: "audit".into(),
                partition: 0,
                offset,
                index: 0,
            },
            timestamp: Timestamp::from_seconds(1_777_900_000),
            payload: json.into_bytes(),
        };
        let mut batch = EventBatch::default();
        Decoder::new(SourceKind::Source(Source::KubernetesAudit)).decode(&record, record.timestamp, &mut batch);
        batch.events.pop().unwrap()
    }

    fn today(n: i64, offset: i64) -> Event {
        Event {
            native: Native::NONE,
            ..read(n, offset)
        }
    }

    /// The same as a version wrote it whose identity was `auditID` and stage, and which had no version of it.
    fn before(n: i64, offset: i64) -> Event {
        let mut found = today(n, offset);
        found.id = EventId::from_parts(Source::KubernetesAudit, &[b"one-for-all", b"ResponseComplete"]);
        let fields = found.fields.iter().filter(|(id, _)| *id != FieldId::IdentityVersion);
        found.fields = fields.map(|(id, value)| (id, value.clone())).collect();
        found
    }

    fn backtest(rows: Vec<Event>) -> BacktestReport {
        let file = RuleFile {
            path: "r.yml".into(),
            text: RULES.into(),
        };
        let mut backtest = Backtest::new(Arc::new(casebook_correlate::RuleSet::load([file]).rules.unwrap()));
        rows.into_iter().for_each(|row| backtest.push(row).unwrap());
        backtest.finish().unwrap()
    }

    fn ids(report: &BacktestReport) -> Vec<&str> {
        report.alerts.iter().map(|alert| alert.alert.id.as_str()).collect()
    }

    #[test]
    fn rows_of_an_older_identity_are_counted_by_the_one_of_today() {
        let report = backtest((1..=3).map(|n| before(n, n)).collect());
        assert_eq!(report.counts.reidentified, 3);
        assert_eq!(report.counts.older_identity, 0);
        let live = backtest((1..=3).map(|n| today(n, n)).collect());
        assert_eq!(live.counts.reidentified, 0);
        assert_eq!(live.alerts.len(), 4, "three reads, and the three together");
        assert_eq!(ids(&report), ids(&live));
    }

    #[test]
    fn what_a_shipper_reads_again_after_an_upgrade_is_the_row_of_before() {
        let both = (1..=3).flat_map(|n| [before(n, n), today(n, n + 10)]).collect();
        let report = backtest(both);
        let once = backtest((1..=3).map(|n| today(n, n)).collect());
        assert_eq!(ids(&report), ids(&once));
        assert_eq!(report.alerts.iter().map(|alert| alert.evidence_total).max(), Some(3));
    }

    #[test]
    fn rows_count_in_whatever_order_their_offsets_are() {
        let once = backtest((1..=3).map(|n| today(n, n)).collect());
        for offsets in [[3, 2, 1], [2, 3, 1], [1, 3, 2]] {
            let rows = (1..=3).zip(offsets).map(|(n, offset)| today(n, offset)).collect();
            assert_eq!(ids(&backtest(rows)), ids(&once), "{offsets:?}");
        }
    }

    #[test]
    fn a_row_whose_record_says_too_little_keeps_its_identity() {
        let mut cut = before(1, 1);
        cut.raw = cut
            .raw
            .replace("2026-05-04T08:00:01.000002Z", "2026-05-04T09:00:01.000002Z")
            .into();
        let old = cut.id;
        let revived = revive(cut);
        assert_eq!((revived.event.id, revived.identity), (old, Identity::Older));
        let mut broken = before(1, 1);
        broken.raw = "no record of an API server".into();
        let revived = revive(broken);
        assert_eq!(
            (revived.event.id, revived.identity, revived.whole),
            (old, Identity::Older, false)
        );
    }

    #[test]
    fn a_source_whose_identity_is_as_it_was_keeps_what_is_stored() {
        let mut found = before(1, 1);
        found.source = Source::CloudTrail;
        assert_eq!(revive(found).identity, Identity::Stored);
    }

    #[tokio::test]
    async fn a_store_that_an_older_version_wrote_is_read_with_its_ids_and_says_so() {
        let sample = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../store/tests/samples/before-sources");
        let location = sample.display().to_string();
        let store = casebook_store::Store::open_existing(&location, StoreConfig::default())
            .await
            .unwrap();
        let mut rows = Vec::new();
        let request = casebook_store::SearchRequest::default();
        store.visit_events(&request, &mut |row| rows.push(row)).await.unwrap();
        let ids: Vec<EventId> = rows.iter().map(|row| row.id).collect();
        assert_eq!(ids.len(), 3);
        let report = backtest(rows.clone());
        assert_eq!(report.counts.events, 3);
        // Their records are no records, so that nothing can be made of them again.
        assert_eq!((report.counts.reidentified, report.counts.older_identity), (0, 3));
        let kept: Vec<EventId> = rows.into_iter().map(|row| revive(row).event.id).collect();
        assert_eq!(kept, ids);
    }
}
