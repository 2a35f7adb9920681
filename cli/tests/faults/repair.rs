//! A worker killed with SIGKILL within a repair of what came late, and again while it recovers: the alerts are those of a replay that
//! had everything in time.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use casebook_event::{Source, Timestamp};
use serde_json::Value;

use crate::support::deployment::{Deployment, Settings};
use crate::support::kafka::{self, Producer};
use crate::support::outcome::try_sql;
use crate::support::topics::{PARTITIONS, Topics, web_line};
use crate::support::{run, say};

/// Every step of a repair at which a worker may die, in the order of the flow.
pub const PLACES: &[&str] = &["repair.begun", "repair.finished", "repair.kept"];

/// Longest time until something is there.
const DEADLINE: Duration = Duration::from_secs(240);

/// A group by address, and one by what the address was of.
const RULES: &str = "\
title: A failed login\nid: failed\nlogsource: { product: linux, service: sshd }\ndetection: { s: { event.outcome: failure }, condition: s }\n---
title: Failed logins\nid: many-failed\nlevel: high\n\
correlation: { type: event_count, rules: [failed], group-by: [source.ip], timespan: 1m, condition: { gte: 5 } }\n---
title: A request\nid: request\nlogsource: { category: webserver }\ndetection: { s: { url.path: /admin }, condition: s }\n---
title: Requests of a pod\nid: many-requests\nlevel: high\n\
correlation: { type: event_count, rules: [request], group-by: [url.path], timespan: 1m, condition: { gte: 3 } }\n\
casebook: { group-by: { entity: pod } }\n";

/// An hour ago, and so many seconds after it.
#[derive(Clone, Copy)]
struct HourAgo(i64);

impl HourAgo {
    fn at(self, seconds: i64) -> Timestamp {
        Timestamp::from_seconds(self.0 + seconds)
    }

    /// A line by which its shipper says which pod has the address.
    fn pod_line(self, uid: &str, seconds: i64) -> String {
        let time = self.at(seconds);
        format!(
            r#"{{"time":"{time}","log":"ready","stream":"stdout","kubernetes":{{"pod_id":"{uid}","pod_name":"web-{seconds}","namespace_name":"shop","container_name":"web","pod_ip":"10.0.0.7"}}}}"#
        )
    }

    fn request(self, seconds: i64) -> String {
        web_line(self.at(seconds), "10.0.0.7", "/admin")
    }

    fn failed_login(self, seconds: i64) -> String {
        let time = self.at(seconds);
        format!("{time} node-1 sshd[{seconds}]: Failed password for root from 203.0.113.9 port 4022 ssh2")
    }
}

/// What an alert says, without its revision and where its events were read.
fn said(alert: &Value) -> String {
    let evidence = alert["evidence"].as_array().unwrap().iter();
    let events: Vec<&str> = evidence.map(|event| event["event_id"].as_str().unwrap()).collect();
    format!(
        "{} {} {} {} {events:?}",
        alert["alert"]["status"], alert["group"], alert["window"], alert["evidence_total"]
    )
}

/// The last revision of each alert that holds or was retracted.
fn alerts(deployment: &Deployment) -> BTreeMap<String, Value> {
    let mut last: BTreeMap<String, (i64, Value)> = BTreeMap::new();
    for row in try_sql(&deployment.store, "SELECT id, revision, alert FROM alerts").unwrap_or_default() {
        let (id, revision) = (row["id"].as_str().unwrap(), row["revision"].as_i64().unwrap());
        if last.get(id).is_none_or(|(known, _)| *known < revision) {
            let alert = serde_json::from_str(row["alert"].as_str().unwrap()).unwrap();
            last.insert(id.to_owned(), (revision, alert));
        }
    }
    let last = last.into_iter().map(|(id, (_, alert))| (id, alert));
    last.filter(|(_, alert)| alert["alert"]["status"] != "withdrawn")
        .collect()
}

/// Those that hold, as `replay` raises them.
fn holding(alerts: &BTreeMap<String, Value>) -> BTreeMap<String, String> {
    let holding = alerts
        .iter()
        .filter(|(_, alert)| alert["alert"]["status"] != "retracted");
    holding.map(|(id, alert)| (id.clone(), said(alert))).collect()
}

/// A directory with the rules.
fn rules() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("rules.yml"), RULES).unwrap();
    directory
}

/// What a repair needs: a deployment with these rules over topics of these sources, and what writes to them.
struct Late {
    deployment: Deployment,
    producer: Producer,
    rules: String,
    now: i64,
}

impl Late {
    fn new(brokers: &str, rules: &Path, name: &str, sources: &[Source]) -> Self {
        let topics = Topics::of_sources(brokers, &format!("late-{name}-{}", std::process::id()), sources);
        let rules = rules.to_str().unwrap().to_owned();
        let settings = Settings {
            rules: rules.clone(),
            ..Settings::default()
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        Self {
            deployment: Deployment::new(&topics, "repairs", &settings),
            producer: Producer::new(brokers),
            rules,
            now: i64::try_from(now).unwrap(),
        }
    }

    fn topics(&self) -> &Topics {
        &self.deployment.topics
    }

    /// Writes a line of a source.
    fn write(&self, source: Source, partition: i32, line: &str) {
        let topic = self.topics().of(source);
        self.producer.write(topic, partition % PARTITIONS, line.as_bytes());
    }

    /// Writes what ends the time up to now, for every partition.
    fn write_end(&self) {
        self.topics()
            .write_end(&self.producer, Timestamp::from_seconds(self.now));
    }

    /// What `replay` raises of all that was written, by id.
    fn replayed(&self) -> BTreeMap<String, String> {
        let alerts = self.topics().replayed_by(&self.rules);
        let ids = alerts
            .iter()
            .map(|alert| alert["alert"]["id"].as_str().unwrap().to_owned());
        ids.zip(alerts.iter().map(said)).collect()
    }
}

/// Has a worker repair what comes late, and kills it at `place`, and again, until it gets through. Returns the kills.
fn kill_at(brokers: &str, rules: &Path, place: &str) -> u32 {
    let sources = [Source::Auth, Source::WebAccess, Source::ContainerLog];
    let late = Late::new(brokers, rules, place, &sources);
    let deployment = &late.deployment;
    let hour_ago = HourAgo(late.now - 3_600);
    let write = |source: Source, line: String| late.write(source, 0, &line);
    write(Source::ContainerLog, hour_ago.pod_line("uid-a", 0));
    (10..13).for_each(|n| write(Source::WebAccess, hour_ago.request(n)));
    late.write_end();
    late.producer.flush();
    let mut worker = deployment.worker("all", &format!("{place}=kill@1"));
    worker.wait_until("the alert of the requests", DEADLINE, |_| {
        alerts(deployment)
            .values()
            .any(|alert| alert["alert"]["status"] == "final")
    });
    let first = alerts(deployment);
    assert_eq!(first.len(), 1, "{place}: {first:?}");

    // All of it is late now: who had the address, and who failed to log in.
    write(Source::ContainerLog, hour_ago.pod_line("uid-b", 5));
    (20..30).for_each(|n| write(Source::Auth, hour_ago.failed_login(n)));
    late.producer.flush();
    let want = late.replayed();
    assert_eq!(want.len(), 2, "{place}: {want:?}");
    assert!(first.keys().all(|id| !want.contains_key(id)), "{place}: {want:?}");
    let mut kills = 0;
    for _ in 0..2 {
        worker.wait_until(place, DEADLINE, |worker| {
            worker.ended().is_some() || holding(&alerts(deployment)) == want
        });
        if worker.ended().is_none() {
            break;
        }
        worker.assert_killed_at(place);
        kills += 1;
        let again = if kills == 1 {
            format!("{place}=kill@1")
        } else {
            String::new()
        };
        worker = deployment.worker("all", &again);
    }
    assert!(kills > 0, "{place}: no worker came by");
    worker.wait_until("the alerts of what came late", DEADLINE, |_| {
        holding(&alerts(deployment)) == want
    });
    match worker.ended() {
        None if kills == 1 => worker.kill(),
        _ => worker.stop(),
    }
    let last = alerts(deployment);
    assert_eq!(holding(&last), want, "{place}");
    for id in first.keys() {
        let alert = &last[id];
        assert_eq!(alert["alert"]["status"], "retracted", "{place}: {alert}");
        assert_eq!(
            alert["retraction"]["learned"]["to"]["value"], "uid-b",
            "{place}: {alert}"
        );
        let shown = run(&["alert", "show", id, "--store", &deployment.store.url]);
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(shown.contains("uid-b") && shown.contains("retracted by"), "{shown}");
    }
    let revisions = "SELECT id, revision, count(*) AS n FROM alerts GROUP BY id, revision HAVING count(*) > 1";
    assert_eq!(
        try_sql(&deployment.store, revisions).unwrap(),
        Vec::<Value>::new(),
        "{place}"
    );
    kills
}

#[test]
fn a_worker_killed_within_a_repair_raises_what_a_replay_raises() {
    let Some(brokers) = kafka::brokers("repair") else {
        return;
    };
    let rules = rules();
    let kills: u32 = std::thread::scope(|scope| {
        let (brokers, rules) = (&brokers, rules.path());
        let all: Vec<_> = PLACES
            .iter()
            .map(|place| scope.spawn(move || kill_at(brokers, rules, place)))
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).sum()
    });
    say(&format!(
        "repairs: {} places, {kills} kills, each with the alerts of a replay",
        PLACES.len()
    ));
}

/// How many addresses guess passwords in what comes late.
fn late_keys() -> usize {
    let keys = std::env::var("CASEBOOK_LATE_KEYS").ok();
    keys.and_then(|keys| keys.parse().ok()).unwrap_or(100)
}

#[test]
fn many_groups_of_what_comes_late_are_repaired() {
    let Some(brokers) = kafka::brokers("late-flood") else {
        return;
    };
    let rules = rules();
    let late = Late::new(&brokers, rules.path(), "flood", &[Source::Auth]);
    let deployment = &late.deployment;
    late.write_end();
    let write = |partition: i32, line: &str| late.write(Source::Auth, partition, line);
    let guess = |hour_ago: HourAgo, address: &str, second: i64| {
        let time = hour_ago.at(second);
        format!("{time} node-1 sshd[{second}]: Failed password for root from {address} port 4022 ssh2")
    };
    // In time: when their alert is final, the watermark has passed what comes then.
    (0..5).for_each(|n| write(0, &guess(HourAgo(late.now - 600), "203.0.113.9", n)));
    late.producer.flush();
    let mut worker = deployment.worker("all", "");
    worker.wait_until("the alert of what came in time", DEADLINE, |_| {
        !holding(&alerts(deployment)).is_empty()
    });
    let keys = late_keys();
    let addresses: Vec<String> = (0..keys).map(|n| format!("10.{}.{}.7", n / 250, n % 250)).collect();
    for second in 0..6 {
        for (n, address) in addresses.iter().enumerate() {
            write(
                i32::try_from(n).unwrap() + second as i32,
                &guess(HourAgo(late.now - 3_600), address, second),
            );
        }
    }
    late.producer.flush();
    let begun = Instant::now();
    let want = late.replayed();
    assert_eq!(want.len(), keys + 1);
    worker.wait_until("the alerts of what came late", DEADLINE, |_| {
        alerts(deployment).len() > keys
    });
    let took = begun.elapsed();
    worker.stop();
    assert_eq!(holding(&alerts(deployment)), want);
    say(&format!(
        "late: {keys} keys with {} matches repaired in {:.1} s",
        keys * 6,
        took.as_secs_f64()
    ));
}
