//! The logs: what happens, in which order it is written to which partition, and the rules over it.

use std::time::Duration;

use casebook_event::{Partition, Timestamp};

use super::random::Random;

/// The wall clock when a run begins: 2026-11-24T12:00:00Z.
pub(super) const BEGIN: Timestamp = Timestamp::from_seconds(1_795_521_600);
/// The events are of an hour before.
const FIRST_SECOND: i64 = -3_600;

/// What is read, and as what.
pub(super) const TOPICS: [(&str, &str); 3] = [("app", "application"), ("container", "container"), ("web", "web")];

/// The rule that a reload adds: what it finds depends on when.
pub(super) const ADDED: &str = "added";

/// The base rule that is in no correlation: nothing of it is kept.
pub(super) const ALONE: &str = "alone";

/// One correlation of every sort over the base rules a, b and c; one by what an address was of; and a base rule with alerts of
/// its own.
const CORRELATIONS: &[(&str, &str, &str)] = &[
    ("count", "type: event_count, rules: [a, b], condition: { gt: 2 }", ""),
    ("exactly", "type: event_count, rules: [b], condition: { eq: 2 }", ""),
    ("ordered", "type: temporal_ordered, rules: [a, b, c]", ""),
    (
        "values",
        "type: value_count, rules: [a, b, c], condition: { field: value, gt: 2 }",
        "",
    ),
    (
        "average",
        "type: value_avg, rules: [a], condition: { field: value, lt: 2 }",
        "",
    ),
    (
        "without",
        "type: temporal, rules: [a, b, c], condition: a and b and not c",
        "",
    ),
    (
        "unanswered",
        "type: event_count, rules: [a], condition: { gte: 1 }",
        "absence: [b, c]",
    ),
    (
        "new-value",
        "type: value_count, rules: [a, b], condition: { field: value, gte: 1 }",
        "first_seen: { learn: 5s }",
    ),
    (
        "of-counts",
        "type: temporal, rules: [count, ordered], condition: { gte: 2 }, generate: true",
        "",
    ),
];

const BASE: &str = "\
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
title: c
id: c
logsource: { product: application }
detection: { s: { kind: c }, condition: s }
---
title: alone
id: alone
level: medium
logsource: { product: application }
detection: { s: { kind: d }, condition: s }
---
title: request
id: request
logsource: { category: webserver }
detection: { s: { url.path: /admin }, condition: s }
---
title: requests of a pod
id: by-pod
level: high
correlation: { type: event_count, rules: [request], group-by: [url.path], timespan: 20s, condition: { gte: 3 } }
casebook: { group-by: { entity: pod } }
---
";

/// The rules, with or without the one that a reload adds.
pub(super) fn rules(with_added: bool) -> String {
    let mut text = BASE.to_owned();
    for (id, correlation, extension) in CORRELATIONS {
        text += &format!(
            "title: {id}\nid: {id}\nlevel: high\ncorrelation: {{ {correlation}, group-by: [who], timespan: 10s }}\n"
        );
        if !extension.is_empty() {
            text += &format!("casebook: {{ {extension} }}\n");
        }
        text += "---\n";
    }
    if with_added {
        text += &format!(
            "title: {ADDED}\nid: {ADDED}\nlevel: high\n\
             correlation: {{ type: event_count, rules: [c], group-by: [value], timespan: 10s, condition: {{ gte: 2 }} }}\n"
        );
    }
    text
}

/// Records that are written together.
pub(super) struct Write {
    /// After so long.
    pub(super) at: Duration,
    pub(super) partition: Partition,
    pub(super) records: Vec<Vec<u8>>,
}

/// What is written in a run, in order.
pub(super) fn writes(random: &mut Random, partitions: i32) -> Vec<Write> {
    let events = random.between(10, 70);
    let step = random.between(1, 6);
    let mut second = FIRST_SECOND;
    let mut happened: Vec<(&str, Vec<Vec<u8>>)> = Vec::new();
    for n in 0..events {
        second += random.between(0, step);
        let time = BEGIN.saturating_add_nanos(second * 1_000_000_000 + random.between(0, 3) * 250_000_000);
        happened.push(event(random, n, time));
    }
    // What is written late, and how late.
    let late = *random.pick(&[0, 2, 8, 1_000]);
    let mut order: Vec<(i64, usize)> = (0..happened.len())
        .map(|n| {
            (
                n as i64 + if random.chance(400) { random.between(0, late) } else { 0 },
                n,
            )
        })
        .collect();
    order.sort_unstable();
    let longest = Duration::from_secs(random.between(5, 60) as u64);
    let mut at = Duration::ZERO;
    let is_doubled: Vec<usize> = (0..happened.len()).filter(|_| random.chance(50)).collect();
    let mut writes: Vec<Write> = Vec::new();
    for (_, n) in order {
        at += random.delay(longest / 8);
        let (topic, records) = &happened[n];
        let mut write = |at| {
            let partition = Partition::new(*topic, random.below(partitions as usize) as i32);
            let records = records.clone();
            writes.push(Write { at, partition, records });
        };
        write(at);
        // A shipper writes it once more, at once or later.
        if is_doubled.contains(&n) {
            write(at + longest / 4);
        }
    }
    writes.sort_by_key(|write| write.at);
    // A line whose end never comes. Anywhere else it would depend on time what it is joined with.
    for number in 0..partitions {
        if random.chance(300) {
            let partition = Partition::new("container", number);
            let records = parts_of(events, BEGIN, 2);
            writes.push(Write { at, partition, records });
        }
    }
    writes
}

/// Parts of a line that is to be continued.
fn parts_of(n: i64, time: Timestamp, parts: i64) -> Vec<Vec<u8>> {
    let part = |part| format!("{time} stdout P part {part} of {n} ").into_bytes();
    (0..parts).map(part).collect()
}

fn event(random: &mut Random, n: i64, time: Timestamp) -> (&'static str, Vec<Vec<u8>>) {
    let who = *random.pick(&["ann", "bob"]);
    let path = *random.pick(&["/admin", "/admin", "/"]);
    let address = random.between(7, 8);
    match random.below(20) {
        0 => ("app", vec![format!("{{\"kind\": \"a\", broken {n}").into_bytes()]),
        1 | 2 => {
            let uid = random.between(1, 2);
            let line = format!(
                r#"{{"time":"{time}","log":"ready {n}","stream":"stdout","kubernetes":{{"pod_id":"uid-{uid}","pod_name":"web-{uid}","namespace_name":"shop","container_name":"web","pod_ip":"10.0.0.{address}"}}}}"#
            );
            ("container", vec![line.into_bytes()])
        }
        3 | 4 => {
            let parts = random.between(1, 2);
            let mut records = parts_of(n, time, parts);
            records.push(format!("{time} stdout F and its end").into_bytes());
            ("container", records)
        }
        5..=8 => {
            let line = format!(
                r#"{{"time_local":"{time}","remote_addr":"10.0.0.{address}","request_method":"GET","request_uri":"{path}","status":"200"}}"#
            );
            ("web", vec![line.into_bytes()])
        }
        _ => {
            let kind = *random.pick(&["a", "a", "b", "b", "c", "d", "e"]);
            let value = random.between(1, 4);
            let line =
                format!(r#"{{"time":"{time}","message":"event {n}","kind":"{kind}","who":"{who}","value":{value}}}"#);
            ("app", vec![line.into_bytes()])
        }
    }
}
