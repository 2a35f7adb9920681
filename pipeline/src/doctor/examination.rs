//! `casebook doctor`: looks at everything that a deployment needs before it runs, and says what to fix.
//!
//! Nothing is written but a probe in an object store, which is removed again, and nothing is created. Whether Casebook may
//! write to its topics shows only when it does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use casebook_correlate::Severity;
use casebook_event::Partition;
use casebook_ingest::TokenFile;
use casebook_store::{Store, StoreConfig, StoreError};
use rdkafka::client::OAuthToken;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use crate::clock;
use crate::config::deployment::Config;
use crate::config::group::correlate_group;
use crate::doctor::clusters;
use crate::doctor::finding::{Finding, Findings, Verdict};
use crate::doctor::peers::peers;
use crate::doctor::topics;
use crate::error::PipelineError;
use crate::rules::files::load_rules;
use crate::topic::admin::topic_settings;
use crate::topic::client::client_config;

/// Longest wait for one answer of the brokers.
const WAIT: Duration = Duration::from_secs(10);
/// How far a record may be ahead of this machine's clock before one of the two is wrong.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);
/// Errors of rules that are listed one by one.
const MAX_LISTED_ERRORS: usize = 5;

/// Looks at what `config` names.
pub async fn examine(config: &Config) -> Vec<Finding> {
    let mut findings = Findings::default();
    rules(config, &mut findings);
    clusters::look(config, &mut findings);
    directories(config, &mut findings);
    let store = store(config, &mut findings).await;
    // Before the ends of the topics: a worker that runs meanwhile moves both.
    let positions = match &store {
        Some(store) => positions(config, store, &mut findings).await,
        None => BTreeMap::new(),
    };
    if let Some(store) = &store {
        findings.0.extend(peers(store).await);
    }
    let kafka = config.clone();
    let looked = tokio::task::spawn_blocking(move || {
        let mut findings = Findings::default();
        let ends = brokers(&kafka, &mut findings);
        (findings, ends)
    });
    if let Ok((found, ends)) = looked.await {
        findings.0.extend(found.0);
        if let Some(ends) = ends {
            signals_topic(config, &ends, &mut findings).await;
            positions_within(&positions, &ends, config, &mut findings);
            let topics: BTreeSet<String> = ends.keys().map(|partition| partition.topic.to_string()).collect();
            let topics: Vec<String> = topics.into_iter().collect();
            findings.0.extend(topics::sizes(config, &topics).await);
        }
    }
    if let Some(store) = &store {
        findings.0.extend(topics::ends(store).await);
    }
    findings.0
}

fn rules(config: &Config, findings: &mut Findings) {
    let what = "rules";
    if config.rules.is_empty() {
        return findings.add(Verdict::Ok, what, "the pack that is built in");
    }
    match load_rules(&config.rules) {
        Err(error) => findings.add(Verdict::Failed, what, error.to_string()),
        Ok(loaded) => match loaded.rules {
            Some(rules) => findings.add(Verdict::Ok, what, format!("{} rules", rules.rules().count())),
            None => {
                let errors = loaded.diagnostics.iter().filter(|d| d.severity == Severity::Error);
                let listed: Vec<String> = errors.take(MAX_LISTED_ERRORS).map(ToString::to_string).collect();
                findings.add(
                    Verdict::Failed,
                    what,
                    format!("{}; `casebook rule lint` tells all", listed.join("; ")),
                );
            }
        },
    }
}

fn directories(config: &Config, findings: &mut Findings) {
    let spill = config
        .correlation
        .spill_directory
        .clone()
        .unwrap_or_else(std::env::temp_dir);
    match probe(&spill) {
        Ok(()) => findings.add(Verdict::Ok, "spill directory", spill.display().to_string()),
        Err(error) => findings.add(
            Verdict::Failed,
            "spill directory",
            format!(
                "{}: {error}; correlation.spill_directory names another",
                spill.display()
            ),
        ),
    }
    if let Some(address) = config.http {
        match std::net::TcpListener::bind(address) {
            Ok(_) => findings.add(Verdict::Ok, "http", address.to_string()),
            Err(error) => findings.add(
                Verdict::Warning,
                "http",
                format!("{address}: {error}; does a worker run already?"),
            ),
        }
    }
}

/// Whether a file can be made there.
fn probe(directory: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let path = directory.join(format!(".casebook-probe-{}", uuid::Uuid::new_v4()));
    std::fs::write(&path, b"probe")?;
    std::fs::remove_file(&path)
}

async fn store(config: &Config, findings: &mut Findings) -> Option<Store> {
    let what = "store";
    if let Err(error) = Store::check(&config.store).await {
        findings.add(Verdict::Failed, what, error.to_string());
        return None;
    }
    match Store::open_existing(&config.store, StoreConfig::default()).await {
        Ok(store) => {
            findings.add(Verdict::Ok, what, config.store.clone());
            Some(store)
        }
        Err(StoreError::NoStore { .. }) => {
            findings.add(
                Verdict::Ok,
                what,
                format!("{}: none yet; the first worker creates it", config.store),
            );
            None
        }
        Err(error) => {
            findings.add(Verdict::Failed, what, error.to_string());
            None
        }
    }
}

/// Keeps what the client complains of: a metadata request that times out does not say why.
struct Listening {
    token: TokenFile,
    heard: Mutex<Vec<String>>,
}

impl ClientContext for Listening {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.token.token().map_err(|reason| {
            self.hear(reason.clone());
            reason.into()
        })
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.hear(format!("{error}: {reason}"));
    }
}

impl ConsumerContext for Listening {}

impl Listening {
    fn hear(&self, text: String) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if !heard.contains(&text) {
            heard.push(text);
        }
    }

    fn heard(&self) -> String {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).join("; ")
    }
}

/// The brokers and the topics; the ends of all partitions of the topics that are there.
fn brokers(config: &Config, findings: &mut Findings) -> Option<BTreeMap<Partition, i64>> {
    let kafka = &config.kafka;
    let what = "brokers";
    let context = Listening {
        token: kafka.token(),
        heard: Mutex::default(),
    };
    let consumer: BaseConsumer<Listening> = match client_config(kafka)
        .set("group.id", &kafka.group)
        .set("enable.auto.commit", "false")
        .create_with_context(context)
    {
        Ok(consumer) => consumer,
        Err(error) => {
            findings.add(Verdict::Failed, what, format!("kafka.properties: {error}"));
            return None;
        }
    };
    // The client asks for a token, and tells of errors, in a poll.
    let deadline = Instant::now() + WAIT;
    let metadata = loop {
        consumer.poll(Duration::from_millis(200));
        match consumer.fetch_metadata(None, Duration::from_secs(2)) {
            Ok(metadata) => break metadata,
            Err(_) if Instant::now() < deadline => {}
            Err(error) => {
                consumer.poll(Duration::from_millis(200));
                let heard = consumer.context().heard();
                let detail = format!(
                    "{}: {error}: {heard}. Check kafka.brokers and, in kafka.properties, security.protocol, ssl.* and sasl.*",
                    kafka.brokers
                );
                findings.add(Verdict::Failed, what, detail);
                return None;
            }
        }
    };
    let names: Vec<String> = metadata
        .brokers()
        .iter()
        .map(|broker| format!("{}:{}", broker.host(), broker.port()))
        .collect();
    findings.add(
        Verdict::Ok,
        what,
        format!("{} answer: {}", names.len(), names.join(", ")),
    );

    let known: BTreeMap<&str, usize> = metadata
        .topics()
        .iter()
        .map(|topic| (topic.name(), topic.partitions().len()))
        .collect();
    let mut wanted: Vec<&str> = Vec::new();
    for topic in &kafka.topics {
        let matching: Vec<&str> = match topic.name.starts_with('^').then(|| regex::Regex::new(&topic.name)) {
            Some(Ok(pattern)) => known.keys().copied().filter(|name| pattern.is_match(name)).collect(),
            _ => known.keys().copied().filter(|name| *name == topic.name).collect(),
        };
        if matching.is_empty() {
            findings.add(
                Verdict::Failed,
                format!("topic {}", topic.name),
                "does not exist, or may not be described: create it, allow Describe, or take it out of kafka.topics",
            );
        }
        wanted.extend(matching);
    }
    let own = [
        Some(&kafka.signals_topic),
        kafka.alerts_topic.as_ref(),
        kafka.dead_letters_topic.as_ref(),
    ];
    for topic in own.into_iter().flatten() {
        match known.get_key_value(topic.as_str()) {
            Some((name, _)) => wanted.push(name),
            None => findings.add(
                Verdict::Warning,
                format!("topic {topic}"),
                "does not exist yet: the first worker creates it, if it may",
            ),
        }
    }
    let mut ends = BTreeMap::new();
    for name in wanted {
        match read_ends(&consumer, name, known[name]) {
            Ok((of_topic, newest)) => {
                let records: i64 = of_topic.values().sum();
                findings.add(
                    Verdict::Ok,
                    format!("topic {name}"),
                    format!("{} partitions, readable, ends at {records} in all", of_topic.len()),
                );
                clock_against(name, newest, findings);
                ends.extend(of_topic);
            }
            Err(error) => findings.add(
                Verdict::Failed,
                format!("topic {name}"),
                format!("cannot be read: {error}; allow Read and Describe"),
            ),
        }
    }
    groups(config, findings);
    Some(ends)
}

/// The ends of a topic's partitions, and when its newest record was written. A record is read where there is one: only that
/// shows that it may be.
fn read_ends(
    consumer: &BaseConsumer<Listening>,
    topic: &str,
    partitions: usize,
) -> Result<(BTreeMap<Partition, i64>, Option<i64>), KafkaError> {
    let mut ends = BTreeMap::new();
    let mut newest = None;
    for number in 0..i32::try_from(partitions).unwrap_or(i32::MAX) {
        let (low, high) = consumer.fetch_watermarks(topic, number, WAIT)?;
        ends.insert(Partition::new(topic, number), high);
        if high == low || newest.is_some() {
            continue;
        }
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, number, Offset::Offset(high - 1))?;
        consumer.assign(&list)?;
        let deadline = Instant::now() + WAIT / 5;
        while newest.is_none() && Instant::now() < deadline {
            match consumer.poll(Duration::from_millis(200)) {
                Some(Ok(message)) => newest = message.timestamp().to_millis(),
                Some(Err(error)) => return Err(error),
                None => {}
            }
        }
        consumer.unassign()?;
    }
    Ok((ends, newest))
}

fn clock_against(topic: &str, newest_ms: Option<i64>, findings: &mut Findings) {
    let Some(newest) = newest_ms else { return };
    let ahead = newest - clock::now().as_nanos() / 1_000_000;
    if ahead > i64::try_from(CLOCK_TOLERANCE.as_millis()).unwrap_or(i64::MAX) {
        findings.add(
            Verdict::Warning,
            "clock",
            format!(
                "a record of {topic} was written {} s ahead of this machine's clock: set one of the two clocks right",
                ahead / 1000
            ),
        );
    }
}

/// Whether the groups may be used.
fn groups(config: &Config, findings: &mut Findings) {
    let kafka = &config.kafka;
    for group in [kafka.group.clone(), correlate_group(&kafka.group)] {
        let context = Listening {
            token: kafka.token(),
            heard: Mutex::default(),
        };
        let mut client = client_config(kafka);
        let consumer: Result<BaseConsumer<Listening>, KafkaError> =
            client.set("group.id", &group).create_with_context(context);
        let asked = consumer.and_then(|consumer| {
            consumer.poll(Duration::from_millis(200));
            let mut list = TopicPartitionList::new();
            list.add_partition(&kafka.signals_topic, 0);
            consumer.committed_offsets(list, WAIT)
        });
        let what = format!("group {group}");
        match asked {
            Ok(_) => findings.add(Verdict::Ok, what, "may be used"),
            Err(error) => findings.add(Verdict::Failed, what, format!("{error}; allow Read on the group")),
        }
    }
}

async fn signals_topic(config: &Config, ends: &BTreeMap<Partition, i64>, findings: &mut Findings) {
    let kafka = &config.kafka;
    let count = ends
        .keys()
        .filter(|partition| *partition.topic == *kafka.signals_topic)
        .count();
    if count == 0 {
        return;
    }
    let what = format!("settings of {}", kafka.signals_topic);
    match topic_settings(kafka, &kafka.signals_topic).await {
        None => findings.add(
            Verdict::Warning,
            what,
            "may not be asked for: see to it that cleanup.policy is delete, and retention is hours at least",
        ),
        Some(settings) => {
            let value = |name: &str| settings.get(name).map_or("?", String::as_str).to_owned();
            let (policy, retention) = (value("cleanup.policy"), value("retention.ms"));
            let verdict = if policy.contains("compact") {
                Verdict::Failed
            } else {
                Verdict::Ok
            };
            findings.add(
                verdict,
                what,
                format!("{count} partitions, cleanup.policy {policy}, retention.ms {retention}"),
            );
        }
    }
}

/// The next offset of each partition by the tables.
async fn positions(config: &Config, store: &Store, findings: &mut Findings) -> BTreeMap<Partition, i64> {
    let group = &config.kafka.group;
    let logs = store.start_offsets(group).await;
    let signals = store.signal_offsets(&correlate_group(group)).await;
    match (logs, signals) {
        (Ok(logs), Ok(signals)) => logs
            .into_iter()
            .chain(signals)
            .map(|(p, start)| (p, start.next))
            .collect(),
        (Err(error), _) | (_, Err(error)) => {
            findings.add(Verdict::Failed, "positions", PipelineError::from(error).to_string());
            BTreeMap::new()
        }
    }
}

/// Whether the tables' positions lie within the topics.
fn positions_within(
    positions: &BTreeMap<Partition, i64>,
    ends: &BTreeMap<Partition, i64>,
    config: &Config,
    findings: &mut Findings,
) {
    let mut known = 0;
    for (partition, next) in positions {
        let Some(end) = ends.get(partition) else { continue };
        known += 1;
        if next > end {
            findings.add(
                Verdict::Failed,
                format!("positions of {partition}"),
                format!(
                    "the table has everything up to {next}, but the topic ends at {end}: it was created anew. Use another kafka.group, or restore it"
                ),
            );
        }
    }
    let group = &config.kafka.group;
    findings.add(
        Verdict::Ok,
        "positions",
        format!("of {known} partitions are in the tables of group {group}"),
    );
}
