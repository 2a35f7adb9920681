//! What the corpus promises: repeatable, well formed, of realistic sizes and shares.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where it fails")]

use std::collections::{BTreeMap, BTreeSet};

use casebook_corpus::{
    ATTACKER_IP, Activity, Corpus, CorpusConfig, CorpusRecord, Damage, Mix, SOURCES, STORY_MINUTES, demo, story, topic,
};
use casebook_event::{Source, Timestamp};
use serde_json::Value;

const START: Timestamp = Timestamp::from_seconds(1_795_514_400);

fn records(config: CorpusConfig, count: usize) -> Vec<CorpusRecord> {
    Corpus::new(config).take(count).collect()
}

/// Checks that a whole record reads as its source's format, by the members that every decoder needs.
fn check_format(record: &CorpusRecord) {
    let text = std::str::from_utf8(&record.payload).unwrap();
    assert!(!text.contains('\n'), "one record is one line: {text}");
    let json = || serde_json::from_str::<Value>(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let time = |text: &Value| Timestamp::parse_rfc3339(text.as_str().unwrap()).unwrap();
    match record.source {
        Source::KubernetesAudit => {
            let event = json();
            assert_eq!(event["apiVersion"], "audit.k8s.io/v1");
            assert_eq!(event["auditID"].as_str().unwrap(), record.key);
            assert!(
                event["user"]["username"].is_string() && event["objectRef"]["resource"].is_string(),
                "{text}"
            );
            assert_eq!(
                time(&event["requestReceivedTimestamp"]).as_nanos() / 1000,
                record.time.as_nanos() / 1000
            );
        }
        Source::ContainerLog if text.starts_with('{') => {
            let line = json();
            assert!(line["log"].is_string() && line["stream"].is_string(), "{text}");
            assert_eq!(time(&line["time"]), record.time);
        }
        Source::ContainerLog => {
            let parts: Vec<&str> = text.splitn(4, ' ').collect();
            assert_eq!(Timestamp::parse_rfc3339(parts[0]), Some(record.time));
            assert!(
                matches!(parts[1], "stdout" | "stderr") && parts[2] == "F" && !parts[3].is_empty(),
                "{text}"
            );
        }
        Source::CloudTrail => {
            let whole = json();
            let events = whole["Records"].as_array().cloned().unwrap_or_else(|| vec![whole]);
            assert!(!events.is_empty());
            for event in events {
                assert!(event["eventName"].is_string() && event["eventID"].is_string(), "{text}");
                assert!(event["userIdentity"]["arn"].is_string(), "{text}");
                assert_eq!(
                    time(&event["eventTime"]).as_nanos() / 1_000_000_000,
                    record.time.as_nanos() / 1_000_000_000
                );
            }
        }
        Source::Auth => {
            let first = text.split(' ').next().unwrap();
            if let Some(stamp) = Timestamp::parse_rfc3339(first) {
                assert_eq!(stamp.as_nanos() / 1000, record.time.as_nanos() / 1000);
            } else {
                assert!(text.starts_with("Nov 24 "), "{text}");
            }
            assert!(
                text.contains(&format!(" {} ", record.key)),
                "the key is the host: {text}"
            );
        }
        _ => {
            let line = json();
            assert!(line["message"].is_string() || line["msg"].is_string(), "{text}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let config = CorpusConfig::default();
    let first = records(config.clone(), 3000);
    assert_eq!(first, records(config.clone(), 3000));
    assert_ne!(first, records(CorpusConfig { seed: 2, ..config }, 3000));
    let benign = CorpusConfig::of(Activity::Benign);
    let quiet = records(benign.clone(), 3000);
    assert_eq!(quiet, records(benign, 3000));
    assert_ne!(first, quiet);
    assert_eq!(story(5, START), story(5, START));
    assert_eq!(demo(5, START), demo(5, START));
}

#[test]
fn every_whole_record_reads_as_its_source() {
    for seed in [1, 7] {
        records(
            CorpusConfig {
                seed,
                ..CorpusConfig::default()
            },
            20_000,
        )
        .iter()
        .filter(|r| r.damage.is_none())
        .for_each(check_format);
        story(seed, START).iter().for_each(check_format);
    }
}

#[test]
fn every_whole_record_of_a_benign_day_reads_as_its_source() {
    let of_a_day = records(CorpusConfig::of(Activity::Benign), 20_000);
    let mut seen = BTreeSet::new();
    for record in of_a_day.iter().filter(|record| record.damage.is_none()) {
        check_format(record);
        seen.insert(record.source);
    }
    assert_eq!(seen, SOURCES.iter().copied().collect());
}

#[test]
fn no_damaged_record_is_an_object_or_has_a_time() {
    let config = CorpusConfig {
        damaged_per_million: 500_000,
        ..CorpusConfig::default()
    };
    let damaged: Vec<CorpusRecord> = records(config, 4000)
        .into_iter()
        .filter(|record| record.damage.is_some())
        .collect();
    assert!((1700..2300).contains(&damaged.len()), "{}", damaged.len());
    for record in &damaged {
        let text = String::from_utf8_lossy(&record.payload);
        assert!(
            !serde_json::from_str::<Value>(&text).is_ok_and(|value| value.is_object()),
            "{text:?}"
        );
        assert!(
            Timestamp::parse_rfc3339(text.split(' ').next().unwrap()).is_none(),
            "{text:?}"
        );
    }
    for kind in [Damage::Truncated, Damage::Binary, Damage::Unknown] {
        assert!(
            damaged.iter().filter(|record| record.damage == Some(kind)).count() > 400,
            "{kind:?}"
        );
    }
}

#[test]
fn sizes_and_shares_are_realistic() {
    let count = 40_000;
    let mut by_source: BTreeMap<Source, (usize, usize)> = BTreeMap::new();
    let all = records(
        CorpusConfig {
            damaged_per_million: 0,
            ..CorpusConfig::default()
        },
        count,
    );
    for record in &all {
        assert_eq!(record.topic, topic(record.source));
        let entry = by_source.entry(record.source).or_default();
        *entry = (entry.0 + 1, entry.1 + record.payload.len());
    }
    let check = |source: Source, percent: f64, bytes: std::ops::Range<usize>| {
        let (records, total) = by_source[&source];
        let share = 100.0 * records as f64 / count as f64;
        assert!((share - percent).abs() < 1.5, "{source}: {share} %");
        assert!(
            bytes.contains(&(total / records)),
            "{source}: {} bytes on average",
            total / records
        );
    };
    check(Source::KubernetesAudit, 45.0, 900..1500);
    check(Source::ContainerLog, 25.0, 250..700);
    check(Source::CloudTrail, 10.0, 1100..1700);
    check(Source::Auth, 8.0, 80..180);
    check(Source::Application, 12.0, 300..600);
}

#[test]
fn there_are_many_of_everyone() {
    let mut users = BTreeSet::new();
    let mut pods = BTreeSet::new();
    let mut namespaces = BTreeSet::new();
    for record in records(
        CorpusConfig {
            mix: Mix::only(Source::KubernetesAudit),
            damaged_per_million: 0,
            ..CorpusConfig::default()
        },
        30_000,
    ) {
        let event: Value = serde_json::from_slice(&record.payload).unwrap();
        users.insert(event["user"]["username"].as_str().unwrap().to_owned());
        if event["objectRef"]["resource"] == "pods" {
            pods.extend(event["objectRef"]["name"].as_str().map(str::to_owned));
        }
        namespaces.extend(event["objectRef"]["namespace"].as_str().map(str::to_owned));
    }
    assert!(users.len() > 400, "{} users", users.len());
    assert!(pods.len() > 400, "{} pods", pods.len());
    assert!(namespaces.len() > 50, "{} namespaces", namespaces.len());
}

#[test]
fn some_come_twice_and_some_late_by_seconds() {
    let config = CorpusConfig {
        events_per_second: 100,
        ..CorpusConfig::default()
    };
    let all = records(config.clone(), 30_000);
    let distinct: BTreeSet<&[u8]> = all.iter().map(|record| record.payload.as_slice()).collect();
    let twice = all.len() - distinct.len();
    assert!((40..250).contains(&twice), "{twice} duplicates");
    let mut latest = Timestamp::MIN;
    let mut late = 0;
    for record in &all {
        let late_ms = latest.as_nanos().saturating_sub(record.time.as_nanos()) / 1_000_000;
        if record.time < latest && late_ms > 50 {
            late += 1;
            assert!(late_ms < i64::from(config.lateness_ms) + 2000, "{late_ms} ms");
        }
        latest = latest.max(record.time);
    }
    assert!((200..1200).contains(&late), "{late} late");
}

#[test]
fn the_story_joins_over_all_five_sources() {
    let story = story(1, START);
    assert!(story.is_sorted_by_key(|record| record.time));
    let span = story.last().unwrap().time.as_nanos() - story[0].time.as_nanos();
    assert!(span < i64::from(STORY_MINUTES) * 60_000_000_000);
    for &source in casebook_corpus::SOURCES {
        let mine: Vec<&CorpusRecord> = story.iter().filter(|record| record.source == source).collect();
        assert!(mine.len() >= 4, "{source}");
        assert!(
            mine.iter()
                .any(|record| String::from_utf8_lossy(&record.payload).contains(ATTACKER_IP)),
            "{source}"
        );
    }
}

#[test]
fn the_demo_fits_an_in_process_broker() {
    for seed in 1..6 {
        let demo = demo(seed, START);
        let mut by_topic: BTreeMap<&str, usize> = BTreeMap::new();
        for record in &demo {
            *by_topic.entry(record.topic).or_default() += record.payload.len() + record.key.len();
        }
        let total: usize = by_topic.values().sum();
        assert!(total < 4 << 20, "{total}");
        assert!(by_topic.values().all(|&bytes| bytes < 3 << 19), "{by_topic:?}");
        let (from, to) = (
            demo.iter().map(|r| r.time).min().unwrap(),
            demo.iter().map(|r| r.time).max().unwrap(),
        );
        assert!((29 * 60..31 * 60).contains(&((to.as_nanos() - from.as_nanos()) / 1_000_000_000)));
    }
}
