//! A flood of groups, while one slow sequence is pending: it must not be flushed out, and memory must hold.
//!
//! `CASEBOOK_FLOOD_GROUPS` and `CASEBOOK_FLOOD_MEMORY_BYTES` make it as large as one likes.

use std::sync::Arc;
use std::time::Instant;

use casebook_correlate::{CorrelationConfig, CorrelationEngine, RuleFile, RuleSet};
use casebook_event::{
    AlertStatus, Entities, EventId, EventRef, Partition, Position, Signal, SignalMessage, Source, Timestamp, Watermark,
};

use crate::correlate::cold_store::DiskStore;

const RULES: &str = "
title: a
id: a
logsource: { product: application }
detection: { s: { kind: a }, condition: s }
---
title: b
id: b
logsource: { product: application }
detection: { s: { kind: b }, condition: s }
---
title: slow
id: slow
correlation: { type: temporal_ordered, rules: [a, b, a, b], group-by: [source.ip], timespan: 24h }
";

const DAY_SECONDS: i64 = 86_400;

fn from_environment(name: &str, default: usize) -> usize {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number"))
    })
}

/// The most memory that the process ever had, in MiB, as Linux tells it.
fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1_024)
}

#[test]
fn a_flood_of_groups_flushes_no_pending_sequence_out() {
    let groups = from_environment("CASEBOOK_FLOOD_GROUPS", 60_000) as i64;
    let limit_bytes = from_environment("CASEBOOK_FLOOD_MEMORY_BYTES", 4 << 20);
    let file = RuleFile {
        path: "rules.yml".into(),
        text: RULES.into(),
    };
    let rules = RuleSet::load([file]).rules.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let store = Box::new(DiskStore::below(directory.path()));
    let mut engine = CorrelationEngine::new(&rules, CorrelationConfig::default()).with_cold_store(store, limit_bytes);
    let entities: Entities =
        serde_json::from_str(r#"[["user.name","alice"],["event.action","exec"],["orchestrator.namespace","shop"]]"#)
            .unwrap();
    let topic: Arc<str> = "logs".into();
    let mut alerts = Vec::new();
    let mut offset = 0;
    let mut signal = |rule: &str, group: String, seconds: i64| {
        offset += 1;
        SignalMessage::Signal(Signal {
            rule_id: "slow".into(),
            rule_version: Default::default(),
            matched_rule_id: rule.into(),
            group: vec![group.into()],
            value: None,
            entity: Vec::new(),
            shard: None,
            event: EventRef {
                event_id: EventId::from_u128(offset as u128 * 0x9E37_79B9_7F4A_7C15),
                time: Timestamp::from_seconds(seconds),
                source: Source::KubernetesAudit,
                position: Position {
                    topic: topic.clone(),
                    partition: 0,
                    offset,
                    index: 0,
                },
                entities: entities.clone(),
            },
        })
    };
    let begun = Instant::now();
    let mut most_bytes = 0;
    for n in 0..groups {
        // A step of the slow one at the beginning, after a third, two thirds, and all of the day less a second.
        let seconds = n * (DAY_SECONDS - 60) / groups;
        if n % (groups / 3) == 0 && n / (groups / 3) < 3 {
            let rule = if n / (groups / 3) == 1 { "b" } else { "a" };
            engine
                .apply(signal(rule, "slow".to_owned(), seconds), &mut alerts)
                .unwrap();
        }
        // Every group has the first step, and is pending as long as the slow one.
        engine
            .apply(
                signal("a", format!("10.{}.{}.{}", n >> 16, n >> 8 & 255, n & 255), seconds),
                &mut alerts,
            )
            .unwrap();
        if n % 10_000 == 0 {
            let partition = Partition::new("logs", 0);
            let time = Timestamp::from_seconds(seconds - 60);
            engine
                .apply(SignalMessage::Watermark(Watermark { partition, time }), &mut alerts)
                .unwrap();
            most_bytes = most_bytes.max(engine.stats().memory_bytes);
        }
    }
    let filled = begun.elapsed();
    let stats = engine.stats();
    assert_eq!(stats.open_groups as i64, groups + 1);
    assert!(stats.cold_groups > 0, "the limit is not reached: {stats:?}");
    assert!(most_bytes <= limit_bytes, "{most_bytes} bytes in memory");
    engine
        .apply(signal("b", "slow".to_owned(), DAY_SECONDS - 1), &mut alerts)
        .unwrap();
    let provisional = std::mem::take(&mut alerts);
    assert_eq!(provisional.len(), 1);
    assert_eq!(provisional[0].alert.status, AlertStatus::Provisional);
    let begun = Instant::now();
    engine.finish(&mut alerts).unwrap();
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0].alert.status, AlertStatus::Final);
    assert_eq!(alerts[0].evidence_total, 4);
    assert_eq!(engine.stats().open_groups, 0);
    println!(
        "{groups} groups, {} of them on disk: filled in {filled:.1?}, closed in {:.1?}; at most {most_bytes} bytes of groups \
         in memory, {:?} MiB of the process",
        stats.cold_groups,
        begun.elapsed(),
        peak_mib(),
    );
}
