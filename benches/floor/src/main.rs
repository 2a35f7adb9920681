//! What decoding costs, beside the least that it can cost: reading the same bytes with a fast JSON parser.
//!
//! `cargo run --release [-- SOURCE…]` in this directory. Each line is one source, one thread: MB/s of `Decoder`, of parsing into a tree by
//! sonic-rs and by serde_json, and the ratio to the faster one. Rounds of the three alternate, and medians are printed, so that
//! a busy machine disturbs all alike.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use casebook_corpus::{Corpus, CorpusConfig, Mix, SOURCES};
use casebook_event::{EventBatch, Position, RawRecord, Source, Timestamp};
use casebook_ingest::{Decoder, SourceKind};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rounds of each measurement.
const ROUNDS: usize = 15;
/// Records of a round, about.
const RECORDS: usize = 20_000;

fn main() {
    println!("{:<18}{:>9}{:>12}{:>12}{:>12}{:>8}", "source", "bytes", "decode", "sonic-rs", "serde_json", "ratio");
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    for &source in Source::ALL {
        if !wanted.is_empty() && !wanted.iter().any(|name| name == source.name()) {
            continue;
        }
        let records = records(source);
        if records.is_empty() {
            continue;
        }
        let bytes: usize = records.iter().map(|record| record.payload.len()).sum();
        let json = records.iter().all(|record| matches!(record.payload.first(), Some(b'{' | b'[')));
        let (mut ours, mut sonic, mut serde) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(time(|| decode(source, &records)));
            if json {
                sonic.push(time(|| {
                    records.iter().filter(|record| black_box(sonic_rs::from_slice::<sonic_rs::Value>(&record.payload)).is_ok()).count()
                }));
                serde.push(time(|| {
                    records.iter().filter(|record| black_box(serde_json::from_slice::<serde_json::Value>(&record.payload)).is_ok()).count()
                }));
            }
        }
        let speed = |times: &mut Vec<Duration>| {
            times.sort();
            times.get(times.len() / 2).map(|median| bytes as f64 / median.as_secs_f64() / 1e6)
        };
        let (ours, sonic, serde) = (speed(&mut ours), speed(&mut sonic), speed(&mut serde));
        let show = |speed: Option<f64>| speed.map_or("-".to_owned(), |speed| format!("{speed:.0} MB/s"));
        let ratio = ours.zip(sonic).map_or("-".to_owned(), |(ours, floor)| format!("{:.2}", ours / floor));
        println!(
            "{:<18}{:>9}{:>12}{:>12}{:>12}{ratio:>8}",
            source.name(),
            bytes / records.len(),
            show(ours),
            show(sonic),
            show(serde),
        );
    }
}

fn time(work: impl FnOnce() -> usize) -> Duration {
    let start = Instant::now();
    black_box(work());
    start.elapsed()
}

fn decode(source: Source, records: &[RawRecord]) -> usize {
    let mut decoder = Decoder::new(SourceKind::Source(source));
    let mut batch = EventBatch::default();
    let mut count = 0;
    for record in records {
        decoder.decode(record, record.timestamp, &mut batch);
        if batch.events.len() >= 256 {
            count += batch.events.len();
            batch.events.clear();
        }
    }
    count + batch.events.len()
}

/// The corpus of a source where it has one, else the source's test records over and over.
fn records(source: Source) -> Vec<RawRecord> {
    let start = Timestamp::parse_rfc3339("2026-11-01T00:00:00Z").unwrap_or_default();
    let payloads: Vec<Vec<u8>> = if SOURCES.contains(&source) {
        let config = CorpusConfig {
            seed: 42,
            start,
            mix: Mix::only(source),
            damaged_per_million: 0,
            ..CorpusConfig::default()
        };
        Corpus::new(config).take(RECORDS).map(|record| record.payload).collect()
    } else {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../ingest/tests/normalized/{source}.log"));
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        // Serials of audit events differ, so that each is joined by itself.
        (0..RECORDS).filter_map(|n| lines.get(n % lines.len().max(1)).map(|line| line.replace("400.250:5001", &format!("400.250:{n}")).into_bytes())).collect()
    };
    payloads
        .into_iter()
        .enumerate()
        .map(|(n, payload)| RawRecord {
            position: Position {
                topic: "bench".into(),
                partition: 0,
                offset: n as i64,
                index: 0,
            },
            timestamp: start,
            payload,
        })
        .collect()
}
