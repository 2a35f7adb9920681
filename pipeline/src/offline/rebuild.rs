//! What correlation keeps of stored events, made again by what makes it live.

use std::collections::HashSet;
use std::sync::Arc;

use casebook_correlate::{Binding, BindingDedup, Detector, RuleKind, RuleSet, bindings_of};
use casebook_event::{Event, Kept, Signal};
use casebook_store::Derive;

use crate::detect::watermark::is_ahead;
use crate::offline::backtest::revive;

/// Makes matches and bindings of stored events, event by event: of the same events and rules, those that a worker keeps.
#[derive(Debug)]
pub struct KeptOfEvents {
    detector: Option<Detector>,
    /// The rules whose matches are kept: those that see several events.
    correlations: HashSet<Arc<str>>,
    emitted: BindingDedup,
    signals: Vec<Signal>,
    bindings: Vec<Binding>,
}

impl KeptOfEvents {
    /// The matches of these rules.
    pub fn signals(rules: Arc<RuleSet>) -> Self {
        let infos = rules.rules().filter(|rule| rule.kind != RuleKind::Detection);
        Self {
            correlations: infos.map(|rule| rule.id.clone()).collect(),
            detector: Some(Detector::new(rules)),
            ..Self::bindings()
        }
    }

    /// The bindings.
    pub fn bindings() -> Self {
        Self {
            detector: None,
            correlations: HashSet::new(),
            emitted: BindingDedup::default(),
            signals: Vec::new(),
            bindings: Vec::new(),
        }
    }
}

impl Derive for KeptOfEvents {
    fn covers(&self, rule_id: &str) -> bool {
        self.correlations.contains(rule_id)
    }

    fn push(&mut self, stored: Event, kept: &mut Kept) {
        let event = revive(stored).event;
        match &mut self.detector {
            Some(detector) => {
                detector.detect(&event, &mut self.signals);
                let of_several = self
                    .signals
                    .drain(..)
                    .filter(|signal| self.correlations.contains(&signal.rule_id));
                kept.signals.extend(of_several.map(|signal| (0, signal)));
            }
            None => {
                bindings_of(&event, &mut self.bindings);
                let emitted = &mut self.emitted;
                let new = self
                    .bindings
                    .drain(..)
                    .filter(|binding| emitted.is_new(binding) && !is_ahead(binding, &event));
                kept.bindings.extend(new.map(|binding| (0, binding)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use casebook_correlate::{CorrelationConfig, CorrelationEngine, RuleFile};
    use casebook_event::{
        CheckpointDelta, EventBatch, Identifier, Partition, Position, RawRecord, SignalMessage, Source, Timestamp,
    };
    use casebook_ingest::{Decoder, SourceKind};
    use casebook_store::{EventsCommit, KeptCommit, KeySpan, Store, StoreConfig, TableName};

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
title: Three secrets of a user
id: 7f3f9b7c-0000-4000-8000-000000000002
level: high
correlation: { type: event_count, rules: [secret_read], group-by: [user.name], timespan: 5m, condition: { gte: 3 }, generate: true }
---
title: Three secrets of a pod
id: 7f3f9b7c-0000-4000-8000-000000000003
level: high
correlation: { type: event_count, rules: [secret_read], timespan: 5m, condition: { gte: 3 } }
casebook: { group-by: { entity: pod } }
";

    /// What an API server writes of pods that are created and of service accounts that read secrets from them.
    fn records() -> Vec<RawRecord> {
        let lines = (0..60).map(|n| {
            let (second, pod) = (n % 60, n % 4);
            let head = format!(
                r#""auditID":"a{n}","stage":"ResponseComplete","level":"RequestResponse","requestReceivedTimestamp":"2026-05-04T08:00:{second:02}.000001Z","stageTimestamp":"2026-05-04T08:00:{second:02}.000002Z","responseStatus":{{"code":200}},"sourceIPs":["10.0.0.{pod}"]"#
            );
            match n % 3 {
                0 => format!(
                    r#"{{{head},"verb":"update","requestURI":"/api/v1/namespaces/n/pods/web-{pod}/status","user":{{"username":"system:node:node-1"}},"objectRef":{{"resource":"pods","subresource":"status","namespace":"n","name":"web-{pod}"}},"responseObject":{{"kind":"Pod","metadata":{{"name":"web-{pod}","namespace":"n","uid":"u{pod}","creationTimestamp":"2026-05-04T07:59:00Z"}},"spec":{{"nodeName":"node-1"}},"status":{{"phase":"Running","podIP":"10.0.0.{pod}"}}}}}}"#
                ),
                _ => format!(
                    r#"{{{head},"verb":"get","requestURI":"/api/v1/namespaces/n/secrets/s","user":{{"username":"system:serviceaccount:n:web"}},"objectRef":{{"resource":"secrets","namespace":"n","name":"s{n}"}}}}"#
                ),
            }
        });
        let records = (0..).zip(lines).map(|(offset, line)| RawRecord {
            position: Position {
                topic: "audit".into(),
                partition: 0,
                offset,
                index: 0,
            },
            timestamp: Timestamp::from_seconds(1_777_900_000),
            payload: line.into_bytes(),
        });
        records.collect()
    }

    fn events() -> Vec<Event> {
        let mut batch = EventBatch::default();
        let mut decoder = Decoder::new(SourceKind::Source(Source::KubernetesAudit));
        for record in records() {
            decoder.decode(&record, record.timestamp, &mut batch);
        }
        assert_eq!(batch.events.len(), 60);
        batch.events
    }

    /// What a worker keeps of the events.
    fn kept_live(rules: &Arc<RuleSet>, events: &[Event]) -> Kept {
        let mut engine =
            CorrelationEngine::new(rules, CorrelationConfig { provisional: false }).with_repairs(86_400_000_000_000);
        let mut detector = Detector::new(rules.clone());
        let mut messages: Vec<SignalMessage> = Vec::new();
        events.iter().for_each(|event| detector.messages(event, &mut messages));
        for message in messages {
            engine.apply(message, &mut Vec::new()).unwrap();
        }
        engine.take_kept()
    }

    /// Everything that is in the two tables, in order.
    async fn all_of(store: &Store, kept: &Kept) -> (Vec<Signal>, Vec<Binding>) {
        let keys: BTreeSet<u64> = kept.signals.iter().map(|(_, signal)| signal.key()).collect();
        let whole = |key| KeySpan {
            key,
            from: Timestamp::MIN,
            to: Timestamp::MAX,
        };
        let spans: Vec<KeySpan> = keys.into_iter().map(whole).collect();
        let names: BTreeSet<Identifier> = kept.bindings.iter().map(|(_, binding)| binding.from.clone()).collect();
        (
            store.kept_signals(&spans, usize::MAX).await.unwrap().signals,
            store
                .kept_bindings(&names, Timestamp::MIN, Timestamp::MAX)
                .await
                .unwrap(),
        )
    }

    /// A store with the events, and with what a worker kept of them two hours before the last was committed.
    async fn store_of(directory: &std::path::Path, events: Vec<Event>, kept: &Kept, now: Timestamp) -> Store {
        let location = directory.to_str().unwrap();
        let store = Store::open(location, StoreConfig::default()).await.unwrap();
        let commit = KeptCommit {
            group: "g",
            parts: vec![(Partition::new("signals", 0), kept.clone(), 1_000)],
            now: now.saturating_add_nanos(-7_200_000_000_000),
        };
        store.commit_kept(commit).await.unwrap();
        let mut checkpoint = CheckpointDelta::new();
        checkpoint.record(&Partition::new("audit", 0), 0, 59);
        let commit = EventsCommit {
            group: "g",
            events,
            dead_letters: Vec::new(),
            prepared: Vec::new(),
            checkpoint,
            read_to_end: Vec::new(),
            now,
        };
        store.commit_events(commit).await.unwrap();
        store
    }

    /// Takes the data files of both tables away.
    fn lose_files(store: &std::path::Path) {
        for table in TableName::KEPT {
            for folder in std::fs::read_dir(store.join(table.name())).unwrap().flatten() {
                if folder.file_name() != "_delta_log" {
                    std::fs::remove_dir_all(folder.path()).unwrap();
                }
            }
        }
    }

    #[tokio::test]
    async fn what_is_made_again_is_what_a_worker_kept() {
        let directory = tempfile::tempdir().unwrap();
        let file = RuleFile {
            path: "r.yml".into(),
            text: RULES.into(),
        };
        let rules = Arc::new(RuleSet::load([file]).rules.unwrap());
        let events = events();
        let kept = kept_live(&rules, &events);
        let counts = (kept.signals.len(), kept.bindings.len());
        assert!(counts.0 > 40 && counts.1 > 10, "{counts:?}");
        let now = Timestamp::from_seconds(1_777_907_300);
        let store = store_of(directory.path(), events, &kept, now).await;
        let before = all_of(&store, &kept).await;
        assert_eq!((before.0.len(), before.1.len()), counts);
        lose_files(directory.path());
        let lost = BTreeSet::from([kept.bindings[0].1.from.clone()]);
        assert!(
            store
                .kept_bindings(&lost, Timestamp::MIN, Timestamp::MAX)
                .await
                .is_err()
        );
        for (table, mut rows) in [
            (TableName::Signals, KeptOfEvents::signals(rules)),
            (TableName::Bindings, KeptOfEvents::bindings()),
        ] {
            let rebuilt = store.rebuild_kept(table, &mut rows, now, &mut |_| ()).await.unwrap();
            assert_eq!(
                (rebuilt.events, rebuilt.problems.len()),
                (60, 1),
                "what could not be read is said"
            );
        }
        assert_eq!(all_of(&store, &kept).await, before);
    }
}
