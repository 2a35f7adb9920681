//! What a deployment has made of its topics, to be compared with what another has.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{casebook, json_lines, kafka};

/// Where a store is, and the environment that leads to it.
#[derive(Debug, Clone, Default)]
pub struct Place {
    pub url: String,
    pub environment: Vec<(String, String)>,
}

/// Where a record came from, and which of its events it is.
type Position = (String, i64, i64, i64);

/// The tables, and what was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Every column of every event but the time of reading, by place.
    pub events: BTreeMap<Position, String>,
    /// The same for dead letters.
    pub dead_letters: BTreeMap<Position, String>,
    /// The last revision of every alert that holds, without its number: how many there were depends on what came first, and
    /// so does whether one that does not hold was ever raised.
    pub alerts: BTreeMap<String, String>,
}

/// Rows of a statement.
fn sql(store: &Place, query: &str) -> Vec<Value> {
    json_lines(&ask(store, query))
}

/// The same, or nothing where the store cannot answer: it may not be there yet.
pub fn try_sql(store: &Place, query: &str) -> Option<Vec<Value>> {
    let output = ask(store, query);
    output.status.success().then(|| json_lines(&output))
}

fn ask(store: &Place, query: &str) -> std::process::Output {
    let mut command = casebook();
    command
        .args([
            "sql",
            query,
            "--store",
            &store.url,
            "--output",
            "json",
            "--limit",
            "10000000",
            // A soak of half an hour has more than the answer of a statement may be otherwise.
            "--memory-limit-mib",
            "8192",
        ])
        .envs(store.environment.iter().cloned());
    command.output().unwrap()
}

/// Rows by place. Two rows of one place are a failure: that is what must never be.
fn by_place(rows: Vec<Value>, columns: [&str; 4]) -> BTreeMap<Position, String> {
    let mut found = BTreeMap::new();
    for mut row in rows {
        let number = |name: &str| row[name].as_i64().unwrap();
        let place = (
            row[columns[0]].as_str().unwrap().to_owned(),
            number(columns[1]),
            number(columns[2]),
            number(columns[3]),
        );
        row.as_object_mut().unwrap().remove("ingested");
        row.as_object_mut().unwrap().remove("ingest_date");
        let doubled = found.insert(place.clone(), row.to_string());
        assert!(doubled.is_none(), "{place:?} is there twice");
    }
    found
}

impl Outcome {
    /// Of the store, and of the topics that the deployment writes.
    pub fn read(store: &Place, brokers: &str, group: &str) -> Self {
        let events = by_place(
            sql(store, "SELECT * FROM events"),
            ["kafka_topic", "kafka_partition", "kafka_offset", "kafka_index"],
        );
        let dead_letters = by_place(
            sql(store, "SELECT * FROM dead_letters"),
            ["topic", "partition", "offset", "index"],
        );
        let mut alerts: BTreeMap<String, (i64, String)> = BTreeMap::new();
        let mut committed = BTreeSet::new();
        for row in sql(store, "SELECT id, revision, alert FROM alerts") {
            let (id, revision) = (row["id"].as_str().unwrap(), row["revision"].as_i64().unwrap());
            assert!(
                committed.insert((id.to_owned(), revision)),
                "revision {revision} of alert {id} is there twice"
            );
            let mut alert: Value = serde_json::from_str(row["alert"].as_str().unwrap()).unwrap();
            alert["alert"].as_object_mut().unwrap().remove("revision");
            if alerts.get(id).is_none_or(|(known, _)| revision > *known) {
                alerts.insert(id.to_owned(), (revision, alert.to_string()));
            }
        }
        let sent: BTreeSet<(String, i64)> = kafka::messages(brokers, &format!("{group}.alerts"))
            .into_iter()
            .map(|(_, payload)| {
                let alert: Value = serde_json::from_slice(&payload).unwrap();
                let head = &alert["alert"];
                (
                    head["id"].as_str().unwrap().to_owned(),
                    head["revision"].as_i64().unwrap(),
                )
            })
            .collect();
        let unsent: Vec<_> = committed.difference(&sent).collect();
        assert!(unsent.is_empty(), "committed and never sent: {unsent:?}");
        let reported: BTreeSet<Position> = kafka::messages(brokers, &format!("{group}.dead"))
            .into_iter()
            .map(|(key, _)| {
                let key: Value = serde_json::from_slice(&key).unwrap();
                let position = &key["position"];
                (
                    position["topic"].as_str().unwrap().to_owned(),
                    position["partition"].as_i64().unwrap(),
                    position["offset"].as_i64().unwrap(),
                    position["index"].as_i64().unwrap(),
                )
            })
            .collect();
        let unreported: Vec<_> = dead_letters.keys().filter(|place| !reported.contains(*place)).collect();
        assert!(
            unreported.is_empty(),
            "dead letters that the topic does not have: {unreported:?}"
        );
        Self {
            events,
            dead_letters,
            alerts: alerts
                .into_iter()
                .filter(|(_, (_, alert))| !alert.contains(r#""status":"withdrawn""#))
                .map(|(id, (_, alert))| (id, alert))
                .collect(),
        }
    }

    /// How it differs from another; empty where it does not.
    pub fn difference(&self, want: &Self) -> Vec<String> {
        let mut found = Vec::new();
        compare("event", &self.events, &want.events, &mut found);
        compare("dead letter", &self.dead_letters, &want.dead_letters, &mut found);
        compare("alert", &self.alerts, &want.alerts, &mut found);
        found
    }
}

fn compare<K: Ord + std::fmt::Debug>(
    what: &str,
    found: &BTreeMap<K, String>,
    want: &BTreeMap<K, String>,
    out: &mut Vec<String>,
) {
    for (key, text) in want {
        match found.get(key) {
            None => out.push(format!("{what} {key:?} is missing: {text}")),
            Some(other) if other != text => out.push(format!("{what} {key:?}\n  is     {other}\n  not    {text}")),
            Some(_) => {}
        }
    }
    for (key, text) in found.iter().filter(|(key, _)| !want.contains_key(key)) {
        out.push(format!("{what} {key:?} is one too many: {text}"));
    }
}
