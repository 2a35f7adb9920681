//! The law of what is written to topics, for messages, brokers and batches of any size: nothing but a dead letter is ever
//! passed over, and whatever is less than whole says so.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use casebook_event::{
    Alert, AlertHead, AlertRule, AlertStatus, AlertWindow, Binding, Confidence, DeadLetter, Entities, EventId,
    EventRef, Evidence, How, Identifier, IdentifierKind, Level, MAX_GROUP_VALUE_BYTES, MAX_LETTER_BYTES,
    MAX_RULE_ID_BYTES, MAX_SIGNAL_IDENTIFIERS, MAX_SIGNAL_MESSAGE_BYTES, Partition, Position, Signal, SignalMessage,
    Source, Timestamp, Watermark, bounded_text, sha256_hex,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedMessage;

use crate::error::PipelineError;
use crate::topic::alerts::{MAX_LEAST_ALERT_BYTES, least_form, write_alerts};
use crate::topic::letters::{LetterTopic, Written};
use crate::topic::signals::SignalWriter;
use crate::topic::writer::{MIN_TOPIC_MESSAGE_BYTES, Outgoing, TopicWriter, Transport, Undelivered, owned};

/// What the protocol puts around a batch and a message of it, at most.
const OVERHEAD_BYTES: usize = 61 + 36;

type Taken = (Option<i32>, Vec<u8>, Vec<u8>);

#[derive(Default)]
struct State {
    /// Handed over and not yet in a batch: number, partition, key and payload.
    queue: Vec<(usize, Taken)>,
    outcomes: BTreeMap<usize, bool>,
    count: usize,
    /// What the broker has, in order.
    taken: Vec<Taken>,
}

/// A broker that weighs batches, and a client that makes them and splits none.
#[derive(Clone)]
struct FakeBroker {
    /// Largest batch that the broker takes, and largest message that the client sends.
    limit: usize,
    client_limit: usize,
    batch_bytes: usize,
    state: Arc<Mutex<State>>,
}

impl FakeBroker {
    fn new(limit: usize, client_limit: usize, batch_bytes: usize) -> Self {
        Self {
            limit,
            client_limit,
            batch_bytes,
            state: Arc::default(),
        }
    }

    /// Sends what is queued, in batches; each is taken or refused whole.
    fn flush(&self) {
        let mut state = self.state.lock().unwrap();
        let mut batches: BTreeMap<Option<i32>, Vec<Vec<(usize, Taken)>>> = BTreeMap::new();
        for (number, message) in std::mem::take(&mut state.queue) {
            let of_partition = batches.entry(message.0).or_default();
            let room = of_partition
                .last()
                .map(|batch| batch.iter().map(|(_, one)| size(&one.1, &one.2)).sum::<usize>());
            match (of_partition.last_mut(), room) {
                (Some(batch), Some(bytes)) if bytes + size(&message.1, &message.2) <= self.batch_bytes => {
                    batch.push((number, message));
                }
                _ => of_partition.push(vec![(number, message)]),
            }
        }
        for batch in batches.into_values().flatten() {
            let bytes: usize = batch.iter().map(|(_, one)| size(&one.1, &one.2)).sum();
            for (number, message) in batch {
                state.outcomes.insert(number, bytes <= self.limit);
                if bytes <= self.limit {
                    state.taken.push(message);
                }
            }
        }
    }

    fn taken(&self) -> Vec<Taken> {
        std::mem::take(&mut self.state.lock().unwrap().taken)
    }
}

fn size(key: &[u8], payload: &[u8]) -> usize {
    key.len() + payload.len() + OVERHEAD_BYTES
}

impl Transport for FakeBroker {
    type Delivery = Pin<Box<dyn Future<Output = Result<(), Undelivered>> + Send>>;

    fn send(&self, topic: &str, message: Outgoing<'_>) -> Result<Self::Delivery, KafkaError> {
        if size(message.key, message.payload) > self.client_limit {
            return Err(KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge));
        }
        let mut state = self.state.lock().unwrap();
        let number = state.count;
        state.count += 1;
        let taken = (message.partition, message.key.to_vec(), message.payload.to_vec());
        state.queue.push((number, taken));
        let (broker, back): (Self, OwnedMessage) = (self.clone(), owned(topic, message));
        Ok(Box::pin(async move {
            broker.flush();
            match broker.state.lock().unwrap().outcomes[&number] {
                true => Ok(()),
                false => Err(Undelivered::TooLarge(Box::new(back))),
            }
        }))
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

fn position(offset: i64) -> Position {
    Position {
        topic: "t".repeat(249).into(),
        partition: 0,
        offset,
        index: 0,
    }
}

fn letter(offset: usize, bytes: usize) -> DeadLetter {
    // Each letter is of its own byte, so that none can pass for another.
    let payload = vec![offset as u8; bytes];
    let detail = "x".repeat(bytes % 3_000);
    DeadLetter::new(
        position(offset as i64),
        Timestamp::MIN,
        "invalid_json",
        &detail,
        &payload,
    )
}

/// Sizes around every limit that there is.
fn sizes(most: usize) -> impl Strategy<Value = usize> + Clone {
    prop_oneof![
        4 => 0..2_000usize,
        4 => 0..200_000usize,
        1 => 900_000..=1_100_000usize,
        1 => 0..=most,
    ]
}

fn limits() -> impl Strategy<Value = (usize, usize, usize)> {
    let limit = prop_oneof![500..5_000usize, 5_000..200_000usize, 200_000..20_000_000usize];
    (
        limit.clone(),
        limit,
        prop_oneof![1_000..60_000usize, 60_000..1_000_000usize],
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Each letter is in the topic once: whole, or cut with the size and the hash of the whole; or it is counted as passed, and
    /// not even its key would have fitted.
    #[test]
    fn letters_of_any_size_pass_any_broker(
        sizes in prop::collection::vec(sizes(3_000_000), 0..12), (limit, client_limit, batch_bytes) in limits(), rounds in 1..3usize
    ) {
        let broker = FakeBroker::new(limit, client_limit, batch_bytes);
        let letters: Vec<DeadLetter> = sizes.iter().enumerate().map(|(n, bytes)| letter(n, *bytes)).collect();
        let topic = LetterTopic::new("dead");
        for _ in 0..rounds {
            let written = block_on(topic.write(broker.clone(), &letters)).unwrap();
            let mut found = Written::default();
            let mut offsets = BTreeSet::new();
            for (_, key, payload) in broker.taken() {
                let head: serde_json::Value = serde_json::from_slice(&key).unwrap();
                let offset = head["position"]["offset"].as_u64().unwrap() as usize;
                let whole = &letters[offset].payload;
                prop_assert!(offsets.insert(offset), "twice");
                prop_assert!(whole.starts_with(&payload));
                match head.get("cut") {
                    None => {
                        found.whole += 1;
                        prop_assert_eq!(payload.len(), whole.len());
                    }
                    Some(cut) => {
                        found.cut += 1;
                        prop_assert!(payload.len() < whole.len());
                        prop_assert_eq!(cut["bytes"].as_u64(), Some(whole.len() as u64));
                        let hash = sha256_hex(whole);
                        prop_assert_eq!(cut["sha256"].as_str(), Some(hash.as_str()));
                    }
                }
            }
            for letter in letters.iter().filter(|letter| !offsets.contains(&(letter.position.offset as usize))) {
                found.passed += 1;
                // A key takes the topic, the reason, the detail and the hash.
                prop_assert!(limit.min(client_limit) < 3_000, "{} passed at {limit}", letter.payload.len());
            }
            prop_assert_eq!(written, found);
        }
    }

    /// Signals, bindings and watermarks are bounded whatever a log says, and all of them are in the topic, once each, where it
    /// lets through what it must; a batch that is refused for what it holds together takes none of them along.
    #[test]
    fn signals_of_any_size_fit_and_none_is_left_out(
        messages in prop::collection::vec(message(), 1..40), limit in MIN_TOPIC_MESSAGE_BYTES..200_000, batch_bytes in 1_000..400_000usize
    ) {
        let broker = FakeBroker::new(limit, limit, batch_bytes);
        let mut writer = SignalWriter::new(broker.clone(), "signals", 3);
        block_on(async {
            for message in &messages {
                writer.write(message).await.unwrap();
            }
            writer.take_deliveries().confirmed().await.unwrap();
        });
        let mut found: Vec<Vec<u8>> = broker.taken().into_iter().map(|(_, _, payload)| payload).collect();
        let mut want = Vec::new();
        for message in &messages {
            let payload = serde_json::to_vec(message).unwrap();
            prop_assert!(payload.len() <= MAX_SIGNAL_MESSAGE_BYTES, "{} bytes", payload.len());
            let copies = if matches!(message, SignalMessage::Signal(_)) { 1 } else { 3 };
            want.extend(std::iter::repeat_n(payload, copies));
        }
        found.sort();
        want.sort();
        prop_assert_eq!(found, want);
    }

    /// Every alert is in the topic once: whole, or in its least form, which always fits and says where the rest is.
    #[test]
    fn alerts_of_any_size_are_sent(
        alerts in prop::collection::vec(alert(), 1..8), (limit, client_limit, batch_bytes) in limits()
    ) {
        let (limit, client_limit) = (limit.max(MIN_TOPIC_MESSAGE_BYTES), client_limit.max(MIN_TOPIC_MESSAGE_BYTES));
        let broker = FakeBroker::new(limit, client_limit, batch_bytes);
        let mut writer = TopicWriter::new(broker.clone(), "alerts");
        let without = block_on(write_alerts(&mut writer, &alerts)).unwrap();
        let taken = broker.taken();
        prop_assert_eq!(taken.len(), alerts.len());
        let mut least = 0;
        for (_, key, payload) in taken {
            let alert = alerts.iter().find(|alert| alert.alert.id.as_bytes() == key).unwrap();
            let found: serde_json::Value = serde_json::from_slice(&payload).unwrap();
            if found.get("evidence_in_table").is_some() {
                least += 1;
                prop_assert!(payload.len() <= MAX_LEAST_ALERT_BYTES);
                prop_assert!(size(&key, &serde_json::to_vec(alert).unwrap()) > limit.min(client_limit));
            } else {
                prop_assert_eq!(&serde_json::from_slice::<Alert>(&payload).unwrap(), alert);
            }
            prop_assert_eq!(&found["evidence_total"], &serde_json::json!(alert.evidence_total));
            prop_assert_eq!(&found["alert"]["status"], &serde_json::json!(alert.alert.status));
        }
        prop_assert_eq!(without, least);
    }
}

/// Texts as whoever writes logs would have them.
fn hostile() -> impl Strategy<Value = String> + Clone {
    prop_oneof![
        4 => "[a-z0-9.:-]{0,40}",
        2 => "\\PC{0,300}",
        1 => (0..3_000usize).prop_map(|count| "\u{1}".repeat(count)),
        1 => (0..3_000usize).prop_map(|count| "é\"\\".repeat(count)),
    ]
}

fn identifier() -> impl Strategy<Value = Identifier> {
    let kinds = [
        IdentifierKind::Identity,
        IdentifierKind::RoleSession,
        IdentifierKind::Image,
    ];
    (prop::sample::select(kinds.to_vec()), hostile(), hostile()).prop_map(|(kind, text, cluster)| {
        let id = Identifier::new(kind, &text).unwrap_or_else(|| Identifier::new(kind, "someone").unwrap());
        id.within(&cluster)
    })
}

fn entities() -> impl Strategy<Value = Entities> {
    // What an event says of each of these comes through the same door as what is read back.
    let names = [
        "user.name",
        "source.ip",
        "host.name",
        "process.command_line",
        "service.name",
        "container.id",
    ];
    prop::collection::vec(hostile(), names.len()).prop_map(move |texts| {
        let pairs: Vec<(&str, String)> = names.into_iter().zip(texts).collect();
        serde_json::from_value(serde_json::json!(pairs)).unwrap()
    })
}

fn signal() -> impl Strategy<Value = Signal> {
    // The values of sixteen fields, and the cluster.
    let group = prop::collection::vec(hostile(), 0..=17);
    let identifiers = prop::collection::vec(identifier(), 0..=MAX_SIGNAL_IDENTIFIERS);
    (group, prop::option::of(hostile()), identifiers, entities()).prop_map(|(group, value, entity, entities)| Signal {
        rule_id: "r".repeat(MAX_RULE_ID_BYTES).into(),
        rule_version: "0123456789abcdef".into(),
        matched_rule_id: "m".repeat(MAX_RULE_ID_BYTES).into(),
        group: group
            .iter()
            .map(|text| bounded_text(text, MAX_GROUP_VALUE_BYTES).into())
            .collect(),
        value: value.map(|text| bounded_text(&text, MAX_GROUP_VALUE_BYTES).into()),
        entity,
        shard: Some(u64::MAX),
        event: EventRef {
            event_id: EventId::from_u128(u128::MAX),
            time: Timestamp::from_seconds(1),
            source: Source::KubernetesAudit,
            position: position(i64::MAX),
            entities,
        },
    })
}

fn message() -> impl Strategy<Value = SignalMessage> {
    let binding = (identifier(), identifier()).prop_map(|(from, to)| Binding {
        from,
        to,
        time: Timestamp::from_seconds(1),
        ends: false,
        how: How::AuditTokenRequest,
        confidence: Confidence::Certain,
    });
    let watermark = Watermark {
        partition: Partition::new("t".repeat(249), i32::MAX),
        time: Timestamp::MIN,
    };
    prop_oneof![
        4 => signal().prop_map(SignalMessage::Signal),
        1 => binding.prop_map(SignalMessage::Binding),
        1 => Just(SignalMessage::Watermark(watermark)),
    ]
}

fn alert() -> impl Strategy<Value = Alert> {
    let group = prop::collection::vec((hostile(), hostile()), 0..=16);
    (
        any::<u128>(),
        group,
        hostile(),
        0..=Alert::MAX_EVIDENCE_EVENTS,
        entities(),
    )
        .prop_map(|(id, group, name, count, entities)| {
            let evidence = Evidence {
                event_id: EventId::from_u128(id),
                time: Timestamp::from_seconds(1),
                source: Source::Auth,
                rule_id: "rule".into(),
                position: position(1),
                entities: entities
                    .iter()
                    .map(|(name, value)| (name.into(), value.into()))
                    .collect(),
                attributed: None,
            };
            Alert {
                alert: AlertHead {
                    id: format!("{id:032x}").into(),
                    revision: 1,
                    status: AlertStatus::Final,
                    time: Timestamp::from_seconds(1),
                    superseded_by: None,
                },
                rule: AlertRule {
                    id: "rule".into(),
                    name: name.into(),
                    level: Level::High,
                    kind: "event_count".into(),
                    version: "0123456789abcdef".into(),
                    tags: vec!["attack.t1059".into(); 100],
                    response: vec!["look".into(); 100],
                },
                group: group
                    .iter()
                    .map(|(name, value)| (name.into(), bounded_text(value, MAX_GROUP_VALUE_BYTES).into()))
                    .collect(),
                window: AlertWindow {
                    from: Timestamp::from_seconds(1),
                    to: Timestamp::from_seconds(2),
                },
                evidence_total: 1_000,
                evidence: vec![evidence; count],
                retraction: None,
            }
        })
}

/// A topic that does not let through what it must stops the worker with a reason: nothing is left out silently.
#[test]
fn a_topic_that_takes_too_little_is_named() {
    let broker = FakeBroker::new(300, 1 << 20, 60_000);
    let mut writer = SignalWriter::new(broker.clone(), "signals", 1);
    let partition = Partition::new("t".repeat(249), 0);
    let watermark = SignalMessage::Watermark(Watermark {
        partition,
        time: Timestamp::MIN,
    });
    let error = block_on(async {
        writer.write(&watermark).await.unwrap();
        writer.take_deliveries().confirmed().await.unwrap_err()
    });
    let PipelineError::MessageTooLarge { topic, needed, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!((topic.as_str(), *needed), ("signals", MIN_TOPIC_MESSAGE_BYTES));
    assert!(error.to_string().contains("max.message.bytes"), "{error}");
    assert!(broker.taken().is_empty());
}

/// What is beyond the table's own limit is cut there, and the topic says the size and hash of the whole, not of what was kept.
#[test]
fn a_letter_that_was_cut_before_keeps_what_it_was() {
    let payload = vec![7; MAX_LETTER_BYTES + 5];
    let letter = DeadLetter::new(position(0), Timestamp::MIN, "too_large", "too long", &payload);
    assert_eq!(letter.payload.len(), MAX_LETTER_BYTES);
    let broker = FakeBroker::new(1_048_588, 8 << 20, 60_000);
    let written = block_on(LetterTopic::new("dead").write(broker.clone(), &[letter])).unwrap();
    assert_eq!(written.cut, 1);
    let (_, key, sent) = broker.taken().remove(0);
    let head: serde_json::Value = serde_json::from_slice(&key).unwrap();
    assert_eq!(head["cut"]["bytes"], payload.len());
    assert_eq!(head["cut"]["sha256"], sha256_hex(&payload));
    assert_eq!(sent.len(), 1_000_000);
}

#[test]
fn the_least_form_of_an_alert_holds_what_identifies_it() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let alert = alert().new_tree(&mut runner).unwrap().current();
    let form: serde_json::Value = serde_json::from_slice(&least_form(&alert)).unwrap();
    assert_eq!(form["alert"]["id"], alert.alert.id.as_str());
    assert_eq!(form["rule"]["id"], alert.rule.id.as_str());
    assert_eq!(form["window"], serde_json::json!(alert.window));
    assert_eq!(form["evidence_in_table"], true);
    // Whoever reads alerts of the topic reads this one too.
    assert!(serde_json::from_value::<Alert>(form).is_ok());
}
