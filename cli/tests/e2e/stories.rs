//! The attack stories of the pack, all of them at once: through `casebook replay`, and through a real Kafka, shuffled and
//! doubled. Both must raise the same.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use casebook_correlate::{RuleFile, RuleKind, RuleSet, TestPayload};
use casebook_event::{EventBatch, Position, RawRecord, Source, Timestamp};
use casebook_ingest::{Decoder, SourceKind};
use serde_json::Value;

use crate::delivery::settings;
use crate::support::deployment::{Deployment, Settings};
use crate::support::kafka::Producer;
use crate::support::topics::PARTITIONS;
use crate::support::{json_lines, run};

/// Lines of one source that belong together, and the time of their event.
#[derive(Clone)]
struct Record {
    time: Timestamp,
    source: Source,
    lines: Vec<String>,
}

fn pack() -> (String, RuleSet) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules");
    let files: Vec<RuleFile> = casebook_pipeline::read_rule_files(std::slice::from_ref(&path)).unwrap();
    (path.to_str().unwrap().to_owned(), RuleSet::load(files).rules.unwrap())
}

/// The records of the first test that fires of every correlation over several sources, in order of time; and the ids of
/// these correlations.
fn stories(rules: &RuleSet) -> (Vec<Record>, BTreeSet<String>) {
    let (mut all, mut ids) = (Vec::new(), BTreeSet::new());
    for rule in rules
        .rules()
        .filter(|rule| rule.kind != RuleKind::Detection && rule.alerts)
    {
        let of_several = rule.tests.iter().find(|test| {
            let sources: BTreeSet<Source> = test.events.iter().map(|event| event.source).collect();
            test.expect > 0 && sources.len() > 1
        });
        let Some(test) = of_several else { continue };
        ids.insert(rule.id.to_string());
        for event in &test.events {
            let TestPayload::Text(text) = &event.payload else {
                panic!("the pack carries its records")
            };
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            all.push(Record {
                time: time(event.source, &lines),
                source: event.source,
                lines,
            });
        }
    }
    all.sort_by_key(|record| record.time);
    (all, ids)
}

fn time(source: Source, lines: &[String]) -> Timestamp {
    let mut decoder = Decoder::new(SourceKind::Source(source));
    let mut batch = EventBatch::default();
    let now = casebook_pipeline::now();
    let position = |n: usize| Position {
        topic: "test".into(),
        partition: 0,
        offset: n as i64,
        index: 0,
    };
    for (n, line) in lines.iter().enumerate() {
        let record = RawRecord {
            position: position(n),
            timestamp: now,
            payload: line.clone().into_bytes(),
        };
        decoder.decode(&record, now, &mut batch);
    }
    decoder.flush(&position(lines.len()), now, &mut batch);
    batch
        .events
        .first()
        .unwrap_or_else(|| panic!("no event: {lines:?}"))
        .time
}

/// What an alert says, without where its records were read: by id, the rule and the events.
fn essence(alerts: &[Value]) -> BTreeMap<String, (String, Vec<String>)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let each = alerts.iter().map(|alert| {
        let evidence = alert["evidence"].as_array().unwrap().iter();
        let evidence = evidence.map(|one| text(&one["event_id"])).collect();
        (text(&alert["alert"]["id"]), (text(&alert["rule"]["id"]), evidence))
    });
    each.collect()
}

#[test]
fn stories_over_several_sources_raise_the_same_by_replay_and_through_kafka() {
    let (path, rules) = pack();
    let (records, ids) = stories(&rules);
    assert!(ids.len() >= 15, "{} stories", ids.len());
    let sources: BTreeSet<Source> = records.iter().map(|record| record.source).collect();
    let sources: Vec<Source> = sources.into_iter().collect();

    let directory = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for source in &sources {
        let lines = records
            .iter()
            .filter(|record| record.source == *source)
            .flat_map(|record| &record.lines);
        let file = directory.path().join(format!("{source}.log"));
        let text: String = lines.map(|line| format!("{line}\n")).collect();
        std::fs::write(&file, text).unwrap();
        files.push(file.to_str().unwrap().to_owned());
    }
    let mut args = vec!["replay", "--rules", &path];
    args.extend(files.iter().map(String::as_str));
    let want = essence(&json_lines(&run(&args)));
    let fired: BTreeSet<&String> = want.values().map(|(rule, _)| rule).collect();
    let silent: Vec<&String> = ids.iter().filter(|id| !fired.contains(id)).collect();
    assert!(silent.is_empty(), "replay does not raise {silent:?}");

    let settings = Settings {
        late: Some("15m"),
        ..settings(65_536)
    };
    let Some(deployment) = Deployment::of_sources("stories", &sources, &settings) else {
        return;
    };
    let producer = Producer::new(&deployment.topics.brokers);
    let mut seed = 7u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize % below.max(1)
    };
    // Within ten minutes in any order, each twice, over all partitions; what belongs together stays so.
    let mut left: Vec<Record> = records.iter().flat_map(|one| [one.clone(), one.clone()]).collect();
    while let Some(first) = left.first().map(|one| one.time) {
        let until = first.saturating_add_nanos(600_000_000_000);
        let near = left.iter().take_while(|one| one.time <= until).count();
        let next = left.remove(random(near));
        let topic = deployment.topics.of(next.source);
        let partition = random(PARTITIONS as usize) as i32;
        for line in &next.lines {
            producer.write(topic, partition, line.as_bytes());
        }
    }
    producer.flush();

    let mut worker = deployment.worker("all", "");
    let deadline = Instant::now() + Duration::from_secs(120);
    let found = loop {
        let args = [
            "alert",
            "list",
            "--store",
            &deployment.store.url,
            "--output",
            "json",
            "--limit",
            "100000",
        ];
        let output = run(&args);
        // There is no store before the first commit.
        let alerts = if output.status.success() {
            json_lines(&output)
        } else {
            Vec::new()
        };
        let is_final = |alert: &Value| alert["alert"]["status"] == "final";
        let found = essence(&alerts);
        if (alerts.iter().all(is_final) && found == want) || Instant::now() > deadline {
            break found;
        }
        // Whatever it says, or nothing for a while: the store is looked at again.
        worker.next_line(Duration::from_millis(500));
    };
    let missing: Vec<_> = want
        .iter()
        .filter(|(id, alert)| found.get(*id) != Some(alert))
        .collect();
    let more: Vec<_> = found.iter().filter(|(id, _)| !want.contains_key(*id)).collect();
    assert!(
        missing.is_empty() && more.is_empty(),
        "missing or other: {missing:?}\nnot in replay: {more:?}"
    );
    worker.stop();

    // What the worker waited for when it stopped is in its state: the stories' windows are through, other groups may wait.
    let state = |more: &[&str]| {
        run(&[
            &[
                "correlation",
                "state",
                "--store",
                &deployment.store.url,
                "--output",
                "json",
            ],
            more,
        ]
        .concat())
    };
    let pending = json_lines(&state(&["--limit", "10000"]));
    let has_parts =
        |group: &Value| group["rule"].is_string() && group["from"].is_string() && group["events"].is_number();
    assert!(pending.iter().all(has_parts), "{pending:?}");
    let unknown = state(&["--group", "nobody"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains(&deployment.group));
}
