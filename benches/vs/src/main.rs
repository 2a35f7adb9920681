//! What `run` compares others with: one thread, from the lines of a file to the rules that match each.
//!
//! `casebook-vs RULES SOURCE FILE [--print]`. To standard error: how long loading the rules took, and reading, decoding and
//! matching all lines. With `--print`, a line for each match to standard output: the line's number from 0, a tab, the rule.

use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use casebook_correlate::{Detector, RuleFile, RuleSet};
use casebook_event::{EventBatch, Position, RawRecord, Timestamp};
use casebook_ingest::{Decoder, SourceKind};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, source, file, rest @ ..] = arguments.as_slice() else {
        return Err("usage: casebook-vs RULES SOURCE FILE [--print]".into());
    };
    let print = rest.iter().any(|argument| argument == "--print");

    let begin = Instant::now();
    let mut files = Vec::new();
    read_rules(Path::new(directory), &mut files)?;
    let read = begin.elapsed();
    let loaded = RuleSet::load_partial(files);
    let rules = Arc::new(loaded.rules.ok_or("no rules")?);
    eprintln!(
        "rules {}: read in {} ms, loaded in {} ms",
        rules.len(),
        read.as_millis(),
        (begin.elapsed() - read).as_millis()
    );

    let begin = Instant::now();
    let mut lines = std::io::BufReader::with_capacity(1 << 20, std::fs::File::open(file)?);
    let mut decoder = Decoder::new(source.parse::<SourceKind>()?);
    let mut detector = Detector::new(rules);
    let mut batch = EventBatch::default();
    let mut signals = Vec::new();
    let (mut bytes, mut events, mut matches, mut dead) = (0, 0, 0, 0);
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut record = RawRecord {
        position: Position {
            topic: "vs".into(),
            partition: 0,
            offset: 0,
            index: 0,
        },
        timestamp: Timestamp::from_seconds(1),
        payload: Vec::new(),
    };
    for number in 0i64.. {
        record.payload.clear();
        record.position.offset = number;
        bytes += match lines.read_until(b'\n', &mut record.payload)? {
            0 => break,
            read => read,
        };
        decoder.decode(&record, record.timestamp, &mut batch);
        for event in &batch.events {
            detector.detect(event, &mut signals);
            for signal in &signals {
                if print {
                    writeln!(out, "{number}\t{}", signal.matched_rule_id)?;
                }
            }
            matches += signals.len();
            signals.clear();
        }
        events += batch.events.len();
        dead += batch.dead_letters.len();
        batch.events.clear();
        batch.dead_letters.clear();
    }
    out.flush()?;
    let seconds = begin.elapsed().as_secs_f64();
    eprintln!(
        "events {events}, dead letters {dead}, matches {matches}: {seconds:.3} s, {:.0} events/s, {:.1} MB/s",
        events as f64 / seconds,
        bytes as f64 / seconds / 1e6
    );
    Ok(())
}

fn read_rules(directory: &Path, files: &mut Vec<RuleFile>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            read_rules(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "yml") {
            files.push(RuleFile {
                path: path.display().to_string(),
                text: std::fs::read_to_string(&path)?,
            });
        }
    }
    Ok(())
}
