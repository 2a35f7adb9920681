//! Each stage of the way from record to table, one thread of it, over the same seeded corpus.
//!
//! `cargo bench -p casebook-benches`. What counts is the ratio between two builds or two stages on one machine, not the
//! figure: `docs/performance.md` says how the published ones were made.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench that cannot go on has failed"
)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use casebook_corpus::{Corpus, CorpusConfig, CorpusRecord, SOURCES};
use casebook_correlate::{CorrelationConfig, CorrelationEngine, Detector, RuleFile, RuleSet};
use casebook_event::{
    CheckpointDelta, Event, EventBatch, Partition, Position, RawRecord, Signal, SignalMessage, Source, Timestamp,
};
use casebook_ingest::{Decoder, SourceKind};
use casebook_store::{EventsCommit, Store, StoreConfig};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// Records of the corpus that each bench works on.
const RECORDS: usize = 20_000;
const SEED: u64 = 42;

fn start() -> Timestamp {
    Timestamp::parse_rfc3339("2026-11-01T00:00:00Z").unwrap()
}

fn raw(n: usize, record: CorpusRecord) -> (Source, RawRecord) {
    let position = Position {
        topic: record.topic.into(),
        partition: 0,
        offset: n as i64,
        index: 0,
    };
    (
        record.source,
        RawRecord {
            position,
            timestamp: record.time,
            payload: record.payload,
        },
    )
}

fn corpus(source: Option<Source>) -> Vec<(Source, RawRecord)> {
    let corpus = Corpus::new(CorpusConfig {
        seed: SEED,
        start: start(),
        ..CorpusConfig::default()
    });
    corpus
        .filter(|record| source.is_none_or(|source| record.source == source))
        .take(RECORDS)
        .enumerate()
        .map(|(n, r)| raw(n, r))
        .collect()
}

fn bytes(records: &[(Source, RawRecord)]) -> u64 {
    records.iter().map(|(_, record)| record.payload.len() as u64).sum()
}

fn decode(records: &[(Source, RawRecord)]) -> EventBatch {
    let mut decoders: BTreeMap<Source, Decoder> = Source::ALL
        .iter()
        .map(|&s| (s, Decoder::new(SourceKind::Source(s))))
        .collect();
    let mut batch = EventBatch::default();
    for (source, record) in records {
        if let Some(decoder) = decoders.get_mut(source) {
            decoder.decode(record, start(), &mut batch);
        }
    }
    batch
}

fn rule_files(directory: &Path) -> Vec<RuleFile> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rule_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "yml") {
            files.push(RuleFile {
                path: path.display().to_string(),
                text: std::fs::read_to_string(&path).unwrap(),
            });
        }
    }
    files
}

fn decode_and_normalize(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode_and_normalize");
    for source in SOURCES.iter().copied().map(Some).chain([None]) {
        let records = corpus(source);
        group.throughput(Throughput::Bytes(bytes(&records)));
        let name = source.map_or("all", Source::name);
        group.bench_with_input(BenchmarkId::from_parameter(name), &records, |bencher, records| {
            bencher.iter(|| decode(black_box(records)))
        });
    }
    group.finish();
}

fn rule_matching(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rule_matching");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let records = corpus(None);
    let events: Vec<Event> = decode(&records).events;
    let sets = [
        ("pack", root.join("rules")),
        ("sigma_hq", root.join("../shared/data/sigma/rules")),
    ];
    for (name, directory) in sets.into_iter().filter(|(_, directory)| directory.exists()) {
        let rules = Arc::new(RuleSet::load_partial(rule_files(&directory)).rules.unwrap());
        let mut detector = Detector::new(rules.clone());
        group.throughput(Throughput::Elements(events.len() as u64));
        group.bench_with_input(BenchmarkId::new(name, rules.len()), &events, |bencher, events| {
            let mut signals: Vec<Signal> = Vec::new();
            bencher.iter(|| {
                signals.clear();
                for event in events {
                    detector.detect(black_box(event), &mut signals);
                }
                signals.len()
            });
        });
    }
    group.finish();
}

fn correlation(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("correlation");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let rules = Arc::new(RuleSet::load_partial(rule_files(&root.join("rules"))).rules.unwrap());
    let mut detector = Detector::new(rules.clone());
    let mut signals = Vec::new();
    for event in decode(&corpus(None)).events {
        detector.detect(&event, &mut signals);
    }
    group.throughput(Throughput::Elements(signals.len() as u64));
    group.bench_function("signals_of_the_pack", |bencher| {
        bencher.iter_batched(
            || signals.clone(),
            |signals| {
                let mut engine = CorrelationEngine::new(&rules, CorrelationConfig::default());
                let mut alerts = Vec::new();
                for signal in signals {
                    engine.apply(SignalMessage::Signal(signal), &mut alerts).unwrap();
                }
                engine.finish(&mut alerts).unwrap();
                alerts.len()
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

/// The table alone, and the table with its index: the difference is what the index costs.
fn table_and_index_write(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("write");
    group.sample_size(10);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let records = corpus(None);
    let events = decode(&records).events;
    group.throughput(Throughput::Bytes(bytes(&records)));
    for (name, write_index) in [("table", false), ("table_and_index", true)] {
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || (tempfile::tempdir().unwrap(), events.clone()),
                |(directory, events)| {
                    runtime.block_on(async {
                        let config = StoreConfig {
                            write_index,
                            ..StoreConfig::default()
                        };
                        let store = Store::open(directory.path().to_str().unwrap(), config).await.unwrap();
                        let mut checkpoint = CheckpointDelta::new();
                        checkpoint.record(&Partition::new("logs", 0), 0, RECORDS as i64 - 1);
                        let commit = EventsCommit {
                            group: "bench",
                            events,
                            prepared: Vec::new(),
                            dead_letters: Vec::new(),
                            checkpoint,
                            read_to_end: Vec::new(),
                            now: start(),
                        };
                        let committed = store.commit_events(commit).await.unwrap();
                        (directory, committed)
                    })
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(
    benches,
    decode_and_normalize,
    rule_matching,
    correlation,
    table_and_index_write
);
criterion_main!(benches);
