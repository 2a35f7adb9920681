//! SigmaHQ rules on real records, against what another implementation of Sigma found, where both are at hand.
//!
//! The records are given as they are, without normalization: the rules of these logsources name native fields.

#![expect(clippy::unwrap_used, reason = "a test fails loudly")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use casebook_correlate::{Detector, RuleFile, RuleSet};
use casebook_event::{Event, EventId, Fields, Position, Source, Timestamp, Value};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data")
}

/// Says on the terminal that a test was skipped, and why: what it prints otherwise is shown of failed tests alone.
fn skip(missing: &Path) {
    let _ = writeln!(std::io::stderr(), "skipped: {} is absent", missing.display());
}

/// The oracle has 85 matches of these two kinds of logs. Far fewer would mean that next to nothing was compared.
const MIN_MATCHES: usize = 80;

fn read_rules(directory: &Path, files: &mut Vec<RuleFile>) {
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            read_rules(&path, files);
        } else if path.extension().is_some_and(|e| e == "yml") {
            files.push(RuleFile {
                path: path.display().to_string(),
                text: std::fs::read_to_string(&path).unwrap(),
            });
        }
    }
}

/// The records of a file: JSON lines, one array, or CloudTrail's `Records`.
fn records(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    match serde_json::from_str::<Value>(&text) {
        Ok(Value::List(items)) => items,
        Ok(whole) => match whole.get("Records") {
            Some(Value::List(items)) => items.clone(),
            _ => vec![whole],
        },
        Err(_) => text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect(),
    }
}

fn event(source: Source, native: Value) -> Event {
    Event {
        id: EventId::from_u128(1),
        time: Timestamp::from_seconds(1),
        ingested: Timestamp::from_seconds(1),
        source,
        position: Position {
            topic: "t".into(),
            partition: 0,
            offset: 0,
            index: 0,
        },
        fields: Fields::new(),
        native: native.into(),
        raw: "".into(),
    }
}

#[test]
fn matches_are_those_of_another_implementation() {
    let path = data().join("sigma/oracle/expected_matches.jsonl");
    let Ok(oracle) = std::fs::read_to_string(&path) else {
        return skip(&path);
    };
    let mut files = Vec::new();
    read_rules(&data().join("sigma/rules"), &mut files);
    let mut detector = Detector::new(Arc::new(RuleSet::load_partial(files).rules.unwrap()));

    let mut expected: BTreeMap<String, BTreeSet<(i64, String)>> = BTreeMap::new();
    let mut sources = BTreeMap::new();
    for line in oracle.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| row.get(key).unwrap().to_text().into_owned();
        let source = match text("kind").as_str() {
            "k8s" => Source::KubernetesAudit,
            "aws" => Source::CloudTrail,
            _ => continue,
        };
        let file = text("file");
        let index = row.get("index").unwrap().as_i64().unwrap();
        if file.starts_with("panther") {
            sources.insert((file.clone(), Some(index)), source);
        } else {
            sources.insert((file.clone(), None), source);
        }
        expected.entry(file).or_default().insert((index, text("rule_id")));
    }
    let mut agreed = 0;
    for (file, expected) in &expected {
        let mut found = BTreeSet::new();
        for (index, record) in records(&data().join(file)).into_iter().enumerate() {
            let index = index as i64;
            // A labelled sample wraps its record; its kind is known where the oracle names it.
            let (source, native) = match sources.get(&(file.clone(), None)) {
                Some(source) => (*source, record),
                None => match sources.get(&(file.clone(), Some(index))) {
                    Some(source) => (*source, record.get("event").unwrap().clone()),
                    None => continue,
                },
            };
            let mut signals = Vec::new();
            detector.detect(&event(source, native), &mut signals);
            found.extend(signals.iter().map(|signal| (index, signal.rule_id.to_string())));
        }
        assert_eq!(&found, expected, "{file}");
        agreed += expected.len();
    }
    assert!(agreed >= MIN_MATCHES, "only {agreed} matches were compared");
    println!("{agreed} matches agree");
}
