//! What the workers read: topics with an attack in a cluster's background, broken records, and lines that come in parts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use casebook_corpus::{CorpusConfig, CorpusRecord, Mix, demo, story};
use casebook_event::{Source, Timestamp};

use serde_json::Value;

use super::kafka::{self, Producer};
use super::{json_lines, run};

pub const PARTITIONS: i32 = 4;

/// The topics, by source.
#[derive(Debug, Clone)]
pub struct Topics {
    pub brokers: String,
    pub name: String,
    topics: BTreeMap<Source, String>,
}

impl Topics {
    /// New topics of that name for every source of the corpus.
    pub fn create(brokers: &str, name: &str) -> Self {
        Self::of_sources(brokers, name, casebook_corpus::SOURCES)
    }

    /// The same for these sources.
    pub fn of_sources(brokers: &str, name: &str, sources: &[Source]) -> Self {
        let topics: BTreeMap<Source, String> = sources
            .iter()
            .map(|&source| (source, format!("{name}.{}", source.name())))
            .collect();
        let names: Vec<String> = topics.values().cloned().collect();
        kafka::create_topics(brokers, &names, PARTITIONS);
        Self {
            brokers: brokers.to_owned(),
            name: name.to_owned(),
            topics,
        }
    }

    /// The lines of a configuration that name them.
    pub fn listed(&self) -> String {
        self.topics
            .iter()
            .map(|(source, topic)| format!("    - {{ name: {topic}, source: {} }}\n", source.name()))
            .collect()
    }

    pub fn of(&self, source: Source) -> &str {
        &self.topics[&source]
    }

    pub fn names(&self) -> Vec<String> {
        self.topics.values().cloned().collect()
    }

    /// The ids of the alerts that `casebook replay` finds in what the topics hold now: what a deployment must find too.
    pub fn replayed(&self) -> BTreeSet<String> {
        self.replayed_but(|_| true)
    }

    /// The alerts that `casebook replay` finds by these rules.
    pub fn replayed_by(&self, rules: &str) -> Vec<Value> {
        self.replay(rules, |_| true)
    }

    /// The same of the records that `keep` keeps.
    pub fn replayed_but(&self, keep: impl Fn(&[u8]) -> bool) -> BTreeSet<String> {
        let alerts = self.replay(&pack(), keep);
        let ids = alerts.iter().map(|alert| alert["alert"]["id"].as_str().unwrap());
        ids.map(str::to_owned).collect()
    }

    fn replay(&self, rules: &str, keep: impl Fn(&[u8]) -> bool) -> Vec<Value> {
        let directory = tempfile::tempdir().unwrap();
        let mut args = vec!["replay".to_owned(), "--rules".into(), rules.to_owned()];
        for (source, topic) in &self.topics {
            let file = directory.path().join(format!("{}.log", source.name()));
            let mut text = Vec::new();
            for (_, payload) in kafka::messages(&self.brokers, topic)
                .into_iter()
                .filter(|(_, payload)| keep(payload))
            {
                text.extend_from_slice(&payload);
                text.push(b'\n');
            }
            std::fs::write(&file, text).unwrap();
            args.push(file.to_str().unwrap().to_owned());
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        json_lines(&run(&args))
    }

    /// Writes a harmless record of that time to every partition: after it, all that was before is over.
    pub fn write_end(&self, producer: &Producer, time: Timestamp) {
        for (source, topic) in &self.topics {
            for partition in 0..PARTITIONS {
                let record = match source {
                    Source::KubernetesAudit => format!(
                        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"end-{partition}","stage":"ResponseComplete","requestURI":"/healthz","verb":"get","user":{{"username":"system:serviceaccount:kube-system:probe"}},"responseStatus":{{"code":200}},"requestReceivedTimestamp":"{time}","stageTimestamp":"{time}"}}"#
                    ),
                    Source::ContainerLog => container_line(time, "F", "the end"),
                    Source::CloudTrail => format!(
                        r#"{{"eventVersion":"1.08","eventTime":"{time}","eventSource":"s3.amazonaws.com","eventName":"GetBucketAcl","awsRegion":"eu-central-1","eventID":"end-{partition}","eventType":"AwsApiCall","recipientAccountId":"111122223333","readOnly":true,"userIdentity":{{"type":"AWSService","invokedBy":"config.amazonaws.com"}}}}"#
                    ),
                    Source::WebAccess => web_line(time, "203.0.113.1", "/the/end"),
                    Source::Auth => format!("{time} node-{partition} systemd-logind[1]: New seat seat0."),
                    _ => format!(r#"{{"time":"{time}","level":"info","message":"the end {partition}"}}"#),
                };
                producer.write(topic, partition, record.as_bytes());
            }
        }
    }

    /// Writes a record of the corpus to the partition of its key.
    pub fn write(&self, producer: &Producer, record: &CorpusRecord) {
        let partition = record
            .key
            .bytes()
            .fold(0u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
        let partition = partition.rem_euclid(PARTITIONS.unsigned_abs()).cast_signed();
        producer.write(self.of(record.source), partition, &record.payload);
    }
}

/// A request as nginx and Apache write it (the common log format of Apache's mod_log_config).
pub fn web_line(time: Timestamp, address: &str, path: &str) -> String {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let text = time.to_string();
    let month: usize = text[5..7].parse().unwrap();
    let (year, month, day, clock) = (
        &text[..4],
        &MONTHS[3 * month - 3..3 * month],
        &text[8..10],
        &text[11..19],
    );
    format!(r#"{address} - - [{day}/{month}/{year}:{clock} +0000] "GET {path} HTTP/1.1" 200 5"#)
}

/// When the logs begin: long enough ago that all of them are in the past.
pub fn start() -> Timestamp {
    Timestamp::from_seconds(1_793_000_000)
}

/// Half an hour of a cluster with an attack, of which some records are broken; and lines that the runtime cut in three.
pub fn write_demo(topics: &Topics) {
    let producer = Producer::new(&topics.brokers);
    for (n, record) in demo(7, start()).iter().enumerate() {
        topics.write(&producer, record);
        if n % 97 == 0 {
            write_poison(topics, &producer, n);
        }
        if n % 61 == 0 {
            let part = ["P", "P", "F"];
            for (tag, text) in part.iter().zip(["begin", "middle", "end"]) {
                let line = container_line(record.time, tag, &format!("{text}-{n} "));
                producer.write(topics.of(Source::ContainerLog), n as i32 % PARTITIONS, line.as_bytes());
            }
        }
    }
    producer.flush();
}

/// A record that no decoder takes, each time of another kind.
pub fn write_poison(topics: &Topics, producer: &Producer, n: usize) {
    let payload: Vec<u8> = match n % 5 {
        0 => format!("{{\"kind\":\"Event\",\"broken\":{n}").into_bytes(),
        1 => vec![0xff, 0xfe, 0x00, 0x80, n as u8],
        2 => "[".repeat(4_000).into_bytes(),
        3 => Vec::new(),
        _ => [0x1f, 0x8b, 0x08, 0x00, 0x01].to_vec(),
    };
    producer.write(topics.of(Source::KubernetesAudit), n as i32 % PARTITIONS, &payload);
}

fn container_line(time: Timestamp, tag: &str, log: &str) -> String {
    format!(
        r#"{{"time":"{time}","stream":"stdout","logtag":"{tag}","log":"{log}","kubernetes":{{"namespace_name":"n","pod_name":"cut","container_name":"c"}}}}"#,
    )
}

/// An endless background at that many events a second of its own time, for a soak.
pub fn background(seed: u64, start: Timestamp, events_per_second: u32) -> impl Iterator<Item = CorpusRecord> {
    casebook_corpus::Corpus::new(CorpusConfig {
        seed,
        start,
        events_per_second,
        duplicates_per_million: 10_000,
        mix: Mix::default(),
        ..CorpusConfig::default()
    })
}

/// An attack that begins then.
pub fn attack(seed: u64, start: Timestamp) -> Vec<CorpusRecord> {
    story(seed, start)
}

/// The rules of the pack.
pub fn pack() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules");
    path.to_str().unwrap().to_owned()
}
