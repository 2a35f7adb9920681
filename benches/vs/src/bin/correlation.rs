//! One thread of correlation: matches a second for each type, and what a live group takes in memory.
//!
//! `casebook-correlation lines RULES FILE` says how long JSON lines take, from the text to the alerts, with a watermark after
//! every thousand: `benches/vs/correlate` sets it beside rsigma.
//!
//! `casebook-correlation [GROUPS] [MATCHES]`, 100000 groups and 2000000 matches unless said. Each type has a process of its
//! own, so that what one leaves behind is not taken for another's. The matches come in order of
//! time, spread over all groups, with a watermark after every thousand; no condition is ever met, which is the usual
//! case and the one that keeps everything. A window has about ten matches of its group.

use std::sync::Arc;
use std::time::Instant;

use casebook_correlate::{
    CorrelationConfig, CorrelationEngine, Detector, Restoring, RuleFile, RuleSet, SnapshotParts,
};
use casebook_event::{Entities, EventBatch, EventId, EventRef, Partition, Position, RawRecord, Signal, SignalMessage, Source, Timestamp, Watermark};
use casebook_ingest::{Decoder, SourceKind};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TYPES: &[(&str, &str)] = &[
    (
        "event_count",
        "type: event_count\n  rules: [a, b]\n  condition: { gte: 1000 }",
    ),
    (
        "event_count, eq",
        "type: event_count\n  rules: [a, b]\n  condition: { eq: 1000 }",
    ),
    (
        "value_count",
        "type: value_count\n  rules: [a, b]\n  condition: { field: v, gte: 1000 }",
    ),
    (
        "value_count, eq",
        "type: value_count\n  rules: [a, b]\n  condition: { field: v, eq: 1000 }",
    ),
    (
        "value_sum",
        "type: value_sum\n  rules: [a, b]\n  condition: { field: v, gt: 1000000000 }",
    ),
    (
        "value_median",
        "type: value_median\n  rules: [a, b]\n  condition: { field: v, gt: 1000000000 }",
    ),
    ("temporal", "type: temporal\n  rules: [a, b, c]"),
    (
        "temporal, not",
        "type: temporal\n  rules: [a, b, c]\n  condition: c and not a",
    ),
    ("temporal_ordered", "type: temporal_ordered\n  rules: [a, b, c]"),
    (
        "absence",
        "type: event_count\n  rules: [a]\n  condition: { gte: 1000 }\ncasebook: { absence: [b, c] }",
    ),
    (
        "first_seen",
        "type: value_count\n  rules: [a, b]\n  condition: { field: v, gte: 1 }\ncasebook: { first_seen: { learn: SPANs } }",
    ),
    (
        "deviation",
        "type: event_count\n  rules: [a, b]\n  condition: { gte: 1000 }\ncasebook: { deviation: { history: 9SPANs } }",
    ),
];

/// Matches of a group within the timespan.
const IN_WINDOW: u64 = 10;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    if let [_, mode, rules, lines] = args.as_slice()
        && mode == "lines"
    {
        return measure_lines(rules, lines);
    }
    let number = |at: usize, or: u64| std::env::args().nth(at).map_or(Ok(or), |text| text.parse::<u64>());
    let (groups, matches) = (number(1, 100_000)?, number(2, 2_000_000)?);
    let Some(only) = std::env::args().nth(3) else {
        println!("{groups} groups, {matches} matches");
        println!(
            "{:<18} {:>10} {:>14} {:>10} {:>14} {:>14} {:>11} {:>10}",
            "type", "matches/s", "bytes a group", "estimated", "bytes a match", "state a group", "written in", "read in"
        );
        for (name, _) in TYPES {
            let mut one = std::process::Command::new(std::env::current_exe()?);
            one.args([groups.to_string(), matches.to_string(), (*name).to_owned()])
                .status()?;
        }
        return Ok(());
    };
    for (name, correlation) in TYPES.iter().filter(|(name, _)| *name == only) {
        let mut text = String::new();
        for rule in ["a", "b", "c"] {
            text += &format!(
                "title: {rule}\nid: {rule}\nlogsource: {{ product: aws }}\ndetection: {{ s: {{ k: {rule} }}, condition: s }}\n---\n"
            );
        }
        // Each group has a match every `groups` milliseconds.
        let seconds = (groups * IN_WINDOW / 1000).max(1);
        text += &format!("title: t\nid: t\ncorrelation:\n  group-by: [g]\n  timespan: {seconds}s\n  {}\n", correlation.replace("SPAN", &seconds.to_string()));
        let loaded = RuleSet::load([RuleFile {
            path: "t.yml".into(),
            text,
        }]);
        let rules = loaded.rules.ok_or_else(|| format!("{:?}", loaded.diagnostics))?;
        measure(name, &rules, groups, matches);
    }
    Ok(())
}

fn measure(name: &str, rules: &RuleSet, groups: u64, matches: u64) {
    let mut engine = CorrelationEngine::new(rules, CorrelationConfig::default());
    let mut out = Vec::new();
    let partition = Partition::new("logs", 0);
    let (rule, members): (Arc<str>, [Arc<str>; 2]) = ("t".into(), ["a".into(), "b".into()]);
    let before = resident_bytes();
    let mut watermark = |engine: &mut CorrelationEngine, time: Timestamp| {
        let partition = partition.clone();
        engine.apply(SignalMessage::Watermark(Watermark { partition, time }), &mut out).unwrap();
    };
    watermark(&mut engine, Timestamp::MIN);
    let topic: Arc<str> = "logs".into();
    // What an alert would show of an event: some 80 bytes.
    let entities: Entities = serde_json::from_str(
        r#"[["user.name","alice@shop.example"],["source.ip","203.0.113.7"],["event.action","GetObject"],["cloud.account.id","111122223333"]]"#,
    )
    .unwrap_or_default();
    let mut reports = Vec::new();
    let begin = Instant::now();
    for n in 0..matches {
        let time = Timestamp::from_nanos((n * 1_000_000) as i64);
        // Groups are met in an order without a pattern, each as often as the others.
        let group = n * 7_919 % groups;
        let event = EventRef {
            event_id: EventId::from_u128(u128::from(n) << 64 | u128::from(group)),
            time,
            source: Source::CloudTrail,
            position: Position {
                topic: topic.clone(),
                partition: 0,
                offset: n as i64,
                index: 0,
            },
            entities: entities.clone(),
        };
        let signal = Signal {
            entity: Vec::new(),
            shard: None,
            rule_id: rule.clone(),
            rule_version: Default::default(),
            matched_rule_id: members[(n / groups) as usize % 2].clone(),
            group: vec![compact_str::format_compact!("203.0.113.{group}")],
            value: match name {
                "first_seen" => Some("203.0.113.7".into()),
                _ => Some(compact_str::format_compact!("{}", n / groups)),
            },
            event,
        };
        engine.apply(SignalMessage::Signal(signal), &mut reports).unwrap();
        if n % 1000 == 999 {
            watermark(&mut engine, time);
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    assert!(reports.is_empty());
    let stats = engine.stats();
    let held = resident_bytes().saturating_sub(before) as f64;
    let begin = Instant::now();
    let mut snapshot = SnapshotParts::of(&engine);
    let parts: Vec<Vec<u8>> = std::iter::from_fn(|| snapshot.next_part().unwrap()).collect();
    let written = begin.elapsed();
    let begin = Instant::now();
    let mut restoring = Restoring::new(CorrelationEngine::new(rules, CorrelationConfig::default()));
    parts.iter().for_each(|part| restoring.take(part).unwrap());
    let restored = restoring.finish();
    let read = begin.elapsed();
    assert_eq!(restored.stats().open_groups, stats.open_groups);
    println!(
        "{name:<18} {:>10.0} {:>14.0} {:>10.0} {:>14.0} {:>14.0} {:>11.2?} {:>10.2?}",
        matches as f64 / seconds,
        held / stats.open_groups as f64,
        stats.memory_bytes as f64 / stats.open_groups as f64,
        held / stats.buffered_events as f64,
        parts.iter().map(Vec::len).sum::<usize>() as f64 / stats.open_groups as f64,
        written,
        read,
    );
}

fn measure_lines(rules: &str, lines: &str) -> Result<(), Box<dyn std::error::Error>> {
    let file = RuleFile {
        path: rules.to_owned(),
        text: std::fs::read_to_string(rules)?,
    };
    let loaded = RuleSet::load([file]);
    let rules = Arc::new(loaded.rules.ok_or_else(|| format!("{:?}", loaded.diagnostics))?);
    let text = std::fs::read_to_string(lines)?;
    let mut decoder = Decoder::new(SourceKind::Source(Source::Application));
    let mut detector = Detector::new(rules.clone());
    let mut engine = CorrelationEngine::new(&rules, CorrelationConfig::default());
    let (mut batch, mut messages, mut alerts) = (EventBatch::default(), Vec::new(), Vec::new());
    let now = Timestamp::from_seconds(1_800_000_000);
    let begin = Instant::now();
    let (mut count, mut latest) = (0, Timestamp::MIN);
    for (n, line) in text.lines().enumerate() {
        let record = RawRecord {
            position: Position {
                topic: "lines".into(),
                partition: 0,
                offset: n as i64,
                index: 0,
            },
            timestamp: now,
            payload: line.as_bytes().to_vec(),
        };
        decoder.decode(&record, now, &mut batch);
        for event in batch.events.drain(..) {
            latest = latest.max(event.time);
            detector.messages(&event, &mut messages);
        }
        for message in messages.drain(..) {
            engine.apply(message, &mut alerts)?;
        }
        if n % 1_000 == 999 {
            let partition = Partition::new("lines", 0);
            engine.apply(SignalMessage::Watermark(Watermark { partition, time: latest }), &mut alerts)?;
        }
        count = n + 1;
    }
    let seconds = begin.elapsed().as_secs_f64();
    let stats = engine.stats();
    println!("{count} lines in {seconds:.3} s, {} alerts, {} events held", alerts.len(), stats.buffered_events);
    Ok(())
}

/// What the process holds, by the kernel's account.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .unwrap_or(0);
    pages * 4096
}
