//! A secret in every source and encoding, through a real broker and a worker: then all that Casebook wrote is decoded, every column of
//! the tables, every term of the index, the state of correlation, spilled groups, every message of its topics, its log; and the secret is
//! looked for in every form.

use std::path::{Path, PathBuf};

use casebook_event::Source;

use crate::support::deployment::{Deployment, Settings};
use crate::support::kafka::{self, Producer};
use crate::support::outcome::try_sql;
use crate::support::topics::Topics;

#[path = "../../../ingest/tests/secrets/forms.rs"]
mod forms;
#[path = "../../../ingest/tests/secrets/plants.rs"]
#[allow(dead_code, reason = "what the test without a broker asks of them")]
mod plants;

use forms::Sought;
use plants::PASSWORD;

/// The files below a directory.
fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// A rule that quotes what it matches, so that alerts and state have the records' own texts.
const RULES: &str = "title: Any request
id: 7f1f4a52-30f4-4d0c-8a53-1d1b7b0f5a11
name: request
level: low
logsource: { product: kubernetes, service: audit }
detection: { all: { verb: create }, condition: all }
---
title: A request, by its address
id: 0c3b0f6e-7f5a-4d8e-9a39-6f8a2a0f8d22
level: medium
correlation: { type: event_count, rules: [request], group-by: [url.original], timespan: 1h, condition: { gte: 1 } }
---
title: Requests, by the commands that they run
id: 0c3b0f6e-7f5a-4d8e-9a39-6f8a2a0f8d23
level: medium
correlation: { type: value_count, rules: [request], group-by: [user.name], timespan: 1h, condition: { field: process.command_line, gte: 2 } }
";

#[test]
fn a_secret_is_nowhere_in_what_is_written() {
    let Some(brokers) = kafka::brokers("secrets") else {
        return;
    };
    let topics = Topics::of_sources(&brokers, &format!("secrets-{}", std::process::id()), Source::ALL);
    let producer = Producer::new(&brokers);
    let mut records = 0;
    for (n, plant) in plants::all(PASSWORD).iter().enumerate() {
        for record in &plant.records {
            producer.write(
                topics.of(plant.source),
                n as i32 % crate::support::topics::PARTITIONS,
                record,
            );
            // What is not of the topic's source is a dead letter.
            producer.write(topics.of(Source::CloudTrail), 0, record);
            records += 2;
        }
    }
    producer.flush();
    let directory = tempfile::tempdir().unwrap();
    let rules = directory.path().join("rules.yml");
    std::fs::write(&rules, RULES).unwrap();
    let settings = Settings::default();
    let deployment = Deployment::new(&topics, "secrets", &settings);
    let text = std::fs::read_to_string(&deployment.config).unwrap();
    let rule_line = text
        .lines()
        .find(|line| line.starts_with("rules: "))
        .unwrap()
        .to_owned();
    std::fs::write(
        &deployment.config,
        text.replace(&rule_line, &format!("rules: [{}]", rules.display())),
    )
    .unwrap();
    let mut worker = deployment.worker("all", "");
    deployment.wait_until("all records", &mut [&mut worker], |counts| {
        counts[0] + counts[1] >= records / 2
            && counts[2] > 0
            && kafka::is_drained(&brokers, &deployment.group, &topics.names())
    });
    let log = worker.log();
    worker.stop();

    let sought = Sought::new(PASSWORD);
    let nowhere = |what: &str, bytes: &[u8]| {
        let found = sought.find(bytes);
        assert_eq!(
            found,
            None,
            "{what}: {}",
            String::from_utf8_lossy(&bytes[..bytes.len().min(4_000)])
        );
    };
    nowhere("the worker's log", log.as_bytes());
    let mut masked = 0;
    for table in ["events", "dead_letters", "alerts"] {
        let rows = try_sql(&deployment.store, &format!("SELECT * FROM {table}")).unwrap();
        assert!(!rows.is_empty(), "no {table}");
        for row in rows {
            masked += usize::from(row.to_string().contains("[masked:"));
            nowhere(table, row.to_string().as_bytes());
        }
    }
    assert!(masked > 20, "{masked} rows say that something was masked");
    let mut all = Vec::new();
    files(Path::new(&deployment.store.url), &mut all);
    files(&deployment.config.with_file_name("spill"), &mut all);
    let mut terms = 0;
    for path in &all {
        nowhere(&path.display().to_string(), &std::fs::read(path).unwrap());
        if path.extension().is_some_and(|end| end == "idx") {
            for term in casebook_store::index_terms(path).unwrap() {
                terms += 1;
                nowhere("a term", &term);
                // Terms are in small letters.
                let small = Sought::new(&PASSWORD.to_lowercase());
                assert_eq!(small.find(&term), None, "{}", String::from_utf8_lossy(&term));
            }
        }
    }
    assert!(terms > 100, "{terms} terms of the index");
    for topic in ["signals", "alerts", "dead"] {
        let messages = kafka::messages(&brokers, &format!("{}.{topic}", deployment.group));
        assert!(!messages.is_empty(), "no {topic}");
        for (key, payload) in messages {
            nowhere(topic, &key);
            nowhere(topic, &payload);
        }
    }
}
