//! The rule pack against the real decoders and engines: every inline test, the story, and the background.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where it fails")]

mod arrival;
mod benign;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use casebook_corpus::{ATTACKER_IP, Corpus, CorpusConfig, CorpusRecord, SOURCES, demo, story};
use casebook_correlate::{
    CorrelationConfig, CorrelationEngine, Detector, RuleFile, RuleInfo, RuleKind, RuleSet, TestPayload,
};
use casebook_event::{Alert, EventBatch, Level, Position, RawRecord, Source, Timestamp};
use casebook_ingest::{Decoder, SourceKind};

const START: Timestamp = Timestamp::from_seconds(1_795_514_400);

fn pack() -> Vec<RuleFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules");
    let mut folders: Vec<PathBuf> = std::fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.retain(|path| path.is_dir());
    let mut files = Vec::new();
    for entry in folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap()) {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        files.push(RuleFile {
            path: path.strip_prefix(&root).unwrap().display().to_string(),
            text,
        });
    }
    files
}

fn load(files: Vec<RuleFile>) -> Arc<RuleSet> {
    let loaded = RuleSet::load(files);
    let said: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
    Arc::new(loaded.rules.unwrap_or_else(|| panic!("{}", said.join("\n"))))
}

/// The events of the `n`th record, which stands for itself.
fn decode(n: usize, source: Source, payload: &[u8], timestamp: Timestamp, batch: &mut EventBatch) {
    let position = Position {
        topic: source.name().into(),
        partition: 0,
        offset: n as i64,
        index: 0,
    };
    let mut decoder = Decoder::new(SourceKind::Source(source));
    // The audit daemon's records are lines of their own.
    let lines: Vec<&[u8]> = match source {
        Source::Auditd => payload.split(|byte| *byte == b'\n').collect(),
        _ => vec![payload],
    };
    for line in lines {
        let record = RawRecord {
            position: position.clone(),
            timestamp,
            payload: line.to_vec(),
        };
        decoder.decode(&record, timestamp, batch);
    }
    decoder.flush(&position, timestamp, batch);
}

/// The final alerts that records, in this order, lead to; and how many of the records were no events.
fn run<'a>(rules: &Arc<RuleSet>, records: impl Iterator<Item = (Source, &'a [u8], Timestamp)>) -> (Vec<Alert>, usize) {
    let mut detector = Detector::new(rules.clone());
    let config = CorrelationConfig { provisional: false };
    let mut engine = CorrelationEngine::new(rules, config);
    let (mut alerts, mut messages, mut dead) = (Vec::new(), Vec::new(), 0);
    for (n, (source, payload, timestamp)) in records.enumerate() {
        let mut batch = EventBatch::default();
        decode(n, source, payload, timestamp, &mut batch);
        dead += usize::from(!batch.dead_letters.is_empty());
        for event in &batch.events {
            detector.messages(event, &mut messages);
            for message in messages.drain(..) {
                engine.apply(message, &mut alerts).unwrap();
            }
        }
    }
    engine.finish(&mut alerts).unwrap();
    (alerts, dead)
}

/// Whether a record became an event that says that it was cut, and nothing else.
fn is_cut(n: usize, record: &CorpusRecord) -> bool {
    let mut batch = EventBatch::default();
    decode(n, record.source, &record.payload, record.time, &mut batch);
    let marked = |event: &casebook_event::Event| event.fields.get(casebook_event::FieldId::Truncated).is_some();
    batch.dead_letters.is_empty() && batch.events.iter().any(marked)
}

fn run_corpus(rules: &Arc<RuleSet>, records: &[CorpusRecord]) -> (Vec<Alert>, usize) {
    run(
        rules,
        records
            .iter()
            .map(|record| (record.source, record.payload.as_slice(), record.time)),
    )
}

/// A rule with only the rules that it is about, so that its own matches count whatever else refers to it.
fn alone(files: &[RuleFile], all: &RuleSet, rule: &RuleInfo) -> Arc<RuleSet> {
    let below = all.below(&rule.id);
    let wanted: BTreeSet<&str> = below
        .iter()
        .filter_map(|id| all.get(id))
        .map(|rule| rule.file.as_str())
        .collect();
    load(
        files
            .iter()
            .filter(|file| wanted.contains(file.path.as_str()))
            .cloned()
            .collect(),
    )
}

#[test]
fn the_pack_loads_without_a_word() {
    let loaded = RuleSet::load(pack());
    let said: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
    assert!(said.is_empty(), "{}", said.join("\n"));
}

#[test]
fn every_rule_is_tested_and_every_test_passes() {
    let files = pack();
    let all = load(files.clone());
    let mut failures = Vec::new();
    for rule in all.rules() {
        let name = rule.name.as_deref().unwrap_or_default();
        assert!(
            rule.file.ends_with(&format!("/{name}.yml")),
            "{} holds {name}",
            rule.file
        );
        assert!(
            rule.tests.iter().any(|test| test.expect > 0),
            "{name} has no test that fires"
        );
        assert!(
            rule.tests.iter().any(|test| test.expect == 0),
            "{name} has no test that stays quiet"
        );
        let rules = alone(&files, &all, rule);
        for test in &rule.tests {
            let records = test.events.iter().map(|event| match &event.payload {
                TestPayload::Text(text) => (event.source, text.as_bytes(), START),
                TestPayload::File(name) => panic!("{name}: rules of the pack carry their records"),
            });
            let (alerts, dead) = run(&rules, records);
            let mine: Vec<&Alert> = alerts.iter().filter(|alert| *alert.rule.id == *rule.id).collect();
            let grouped = test.group.as_ref().is_none_or(|want| {
                mine.iter().any(|alert| {
                    want.iter()
                        .all(|(key, value)| alert.group.get(key.as_str()).is_some_and(|found| found == value))
                })
            });
            if mine.len() != test.expect || dead > 0 || !grouped {
                let found: Vec<_> = mine.iter().map(|alert| &alert.group).collect();
                failures.push(format!(
                    "{name}: {}: {} alerts of {found:?}, {dead} undecoded",
                    test.name,
                    mine.len()
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_story_fires_every_correlation_once() {
    let rules = load(pack());
    let (alerts, dead) = run_corpus(&rules, &story(1, START));
    assert_eq!(dead, 0);
    // The story is one of steps in order, by the corpus's sources; other correlations have their own tests.
    let is_in_story = |rule: &&RuleInfo| {
        let of_corpus = |member: &RuleInfo| member.sources.iter().any(|source| SOURCES.contains(source));
        rule.members.iter().all(|id| rules.get(id).is_some_and(of_corpus))
    };
    let correlations = rules
        .rules()
        .filter(|rule| matches!(rule.kind, RuleKind::EventCount | RuleKind::TemporalOrdered));
    let stories: Vec<&RuleInfo> = correlations.filter(is_in_story).collect();
    assert!(stories.len() >= 12);
    for rule in stories {
        let mine: Vec<&Alert> = alerts.iter().filter(|alert| *alert.rule.id == *rule.id).collect();
        assert_eq!(mine.len(), 1, "{}: {mine:?}", rule.title);
    }
    let top: Vec<&Alert> = alerts
        .iter()
        .filter(|alert| alert.rule.name == "From a Guessed Password to the Cloud Account")
        .collect();
    assert_eq!(top[0].group["source.ip"], ATTACKER_IP);
    let sources: BTreeSet<Source> = top[0].evidence.iter().map(|evidence| evidence.source).collect();
    assert_eq!(
        sources,
        [Source::KubernetesAudit, Source::CloudTrail, Source::Auth].into()
    );
}

#[test]
fn the_background_is_quiet() {
    let rules = load(pack());
    for (seed, events_per_second) in [(1, 50), (9, 1_000)] {
        let config = CorpusConfig {
            seed,
            events_per_second,
            damaged_per_million: 0,
            ..CorpusConfig::default()
        };
        let records: Vec<CorpusRecord> = Corpus::new(config).take(20_000).collect();
        let (alerts, dead) = run_corpus(&rules, &records);
        assert_eq!(dead, 0);
        let loud: Vec<&Alert> = alerts
            .iter()
            .filter(|alert| alert.rule.level >= Level::Medium)
            .collect();
        assert!(loud.is_empty(), "{loud:?}");
        assert!(alerts.len() < 100, "{} alerts", alerts.len());
    }
}

#[test]
fn the_demo_has_the_story_and_little_else() {
    let rules = load(pack());
    for seed in [1, 2, 3] {
        let records = demo(seed, START);
        let (alerts, dead) = run_corpus(&rules, &records);
        let cut = records
            .iter()
            .enumerate()
            .filter(|(n, record)| is_cut(*n, record))
            .count();
        assert_eq!(
            dead + cut,
            records.iter().filter(|record| record.damage.is_some()).count(),
            "what is damaged is dead-lettered, or read as far as it goes and marked"
        );
        let (of_story, _) = run_corpus(&rules, &story(seed, START.saturating_add_nanos(300_000_000_000)));
        let ids = |alerts: &[Alert]| -> BTreeSet<String> {
            alerts
                .iter()
                .filter(|alert| alert.rule.level >= Level::Medium)
                .map(|alert| alert.alert.id.to_string())
                .collect()
        };
        assert_eq!(
            ids(&alerts),
            ids(&of_story),
            "the background adds and hides nothing that matters"
        );
    }
}
