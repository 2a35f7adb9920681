//! Real records: that every sample of the five sources is understood, and that detection agrees with the kind.
//!
//! The samples lie beside the workspace and are no part of it. Where they are absent, these tests say so and pass.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test's helpers may fail and speak as a test does"
)]

mod application;
mod cloud;
mod cut;
mod everything;
mod hostile;
mod os;
mod patch;
mod runtime;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use casebook_event::{Event, EventBatch, FieldId, Position, RawRecord, Source, Timestamp, Value, ValueRef};
use casebook_ingest::{Decoder, FileRecords, SourceKind};

fn samples(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/data")
        .join(path);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {} is absent", path.display());
    None
}

/// The files of a directory and below, or the file itself, in order.
fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let mut found: Vec<PathBuf> = std::fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    found.sort();
    found.iter().flat_map(|path| files(path)).collect()
}

/// The present of these tests: years of year-less times come from it.
fn now() -> Timestamp {
    Timestamp::parse_rfc3339("2026-11-24T00:00:00Z").unwrap()
}

fn decode(path: &Path, kind: SourceKind) -> EventBatch {
    let mut batch = EventBatch::default();
    for path in files(path) {
        let file = std::fs::File::open(&path).unwrap();
        let name = path.display().to_string();
        let mut decoder = Decoder::new(kind);
        let mut last = None;
        for record in FileRecords::new(file, &name, kind, now()) {
            let record = record.unwrap();
            decoder.decode(&record, now(), &mut batch);
            last = Some(record.position);
        }
        if let Some(last) = last {
            decoder.flush(&last, now(), &mut batch);
        }
    }
    batch
}

/// A record of a file of that name.
fn record(name: &str, line: i64, payload: &str) -> RawRecord {
    RawRecord {
        position: Position {
            topic: name.into(),
            partition: 0,
            offset: line,
            index: 0,
        },
        timestamp: now(),
        payload: payload.as_bytes().to_vec(),
    }
}

fn reasons(batch: &EventBatch) -> Vec<(&'static str, usize)> {
    let mut counts = BTreeMap::new();
    for letter in &batch.dead_letters {
        *counts.entry(letter.reason).or_insert(0) += 1;
    }
    counts.into_iter().collect()
}

fn text(event: &Event, id: FieldId) -> String {
    event
        .fields
        .get(id)
        .map(|value| value.to_text().into_owned())
        .unwrap_or_default()
}

/// Decodes the samples at `path` as `source`, and again as `auto`.
fn check(path: &str, source: Source, events: usize, dead: &[(&'static str, usize)]) -> Vec<Event> {
    let Some(path) = samples(path) else { return Vec::new() };
    let batch = decode(&path, SourceKind::Source(source));
    let letters = || {
        batch
            .dead_letters
            .iter()
            .map(|letter| format!("{} {}: {}", letter.position, letter.reason, letter.detail))
    };
    assert_eq!(
        batch.events.len(),
        events,
        "{path:?}: {:#?}",
        letters().collect::<Vec<_>>()
    );
    assert_eq!(reasons(&batch), dead, "{path:?}: {:#?}", letters().collect::<Vec<_>>());
    let auto = decode(&path, SourceKind::Auto);
    let differ = auto.events.iter().find(|event| event.source != source);
    assert!(
        differ.is_none(),
        "{path:?}: detected as {:?}",
        differ.map(|event| (event.source, &event.raw))
    );
    assert_eq!(auto.events.len(), events, "{path:?} as auto: {:?}", reasons(&auto));
    let mut places: Vec<_> = batch.events.iter().map(|event| event.position.clone()).collect();
    places.sort();
    places.dedup();
    assert_eq!(places.len(), events, "{path:?}: positions are unique");
    batch.events
}

/// How many events have each value of a field.
fn count(events: &[Event], id: FieldId) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for event in events {
        *counts.entry(text(event, id)).or_insert(0) += 1;
    }
    counts
}

fn identities(events: &[Event]) -> usize {
    let mut ids: Vec<_> = events.iter().map(|event| event.id).collect();
    ids.sort();
    ids.dedup();
    ids.len()
}

#[test]
fn kubernetes_audit() {
    let events = check("k8s_audit/audit2rbac_demo.log", Source::KubernetesAudit, 37, &[]);
    if let Some(first) = events.first() {
        assert_eq!(first.time.to_string(), "2017-09-11T19:55:05Z");
        assert_eq!(text(first, FieldId::UserName), "system:admin");
        assert_eq!(text(first, FieldId::UserEffectiveName), "bob");
        assert_eq!(text(first, FieldId::EventOutcome), "failure");
        assert_eq!(identities(&events), 37);
        assert!(
            events
                .iter()
                .all(|event| matches!(event.native(), ValueRef::Map(_)) && event.raw.starts_with("{\"kind\""))
        );
    }
    check(
        "schema_classification/k8s_audit/test_event.json",
        Source::KubernetesAudit,
        1,
        &[],
    );
}

#[test]
fn kubernetes_audit_of_attacks() {
    let Some(path) = samples("k8s_audit/falco_traces") else {
        return;
    };
    let mut events = Vec::new();
    for path in files(&path)
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
    {
        let batch = decode(path, SourceKind::Auto);
        assert!(batch.dead_letters.is_empty(), "{path:?}: {:?}", reasons(&batch));
        assert!(
            batch.events.iter().all(|event| event.source == Source::KubernetesAudit),
            "{path:?}"
        );
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if name == "exec_pod" {
            let event = &batch.events[0];
            assert_eq!(text(event, FieldId::ProcessCommandLine), "bash");
            assert_eq!(text(event, FieldId::ContainerName), "nginx1");
            assert_eq!(
                text(event, FieldId::KubernetesPodName),
                "nginx-deployment-7998647bdf-phvq7"
            );
            assert_eq!(text(event, FieldId::EventCategory), r#"["process"]"#);
        }
        if name == "create_nginx_pod_privileged" {
            let event = &batch.events[0];
            assert_eq!(text(event, FieldId::ContainerImageName), "nginx");
            assert_eq!(
                text(event, FieldId::KubernetesPodName),
                "nginx-deployment-5cdcc99dbf-rgw6z"
            );
            assert_eq!(
                text(event, FieldId::KubernetesServiceAccount),
                "kube-system:replicaset-controller"
            );
            assert_eq!(event.time.to_string(), "2018-10-25T14:09:12.581541Z");
        }
        events.extend(batch.events);
    }
    assert_eq!(events.len(), 26);
    assert!(
        events
            .iter()
            .all(|event| !text(event, FieldId::OrchestratorResourceType).is_empty())
    );
}

#[test]
fn container_logs() {
    let events = check("container/plaso_cri.log", Source::ContainerLog, 16, &[]);
    // The first line was cut: its rest is the next one of its stream, and the time is that of its beginning.
    if let Some(joined) = events
        .iter()
        .find(|event| text(event, FieldId::Message).starts_with("log content 1"))
    {
        assert_eq!(joined.time.to_string(), "2016-10-06T00:17:09.669794202Z");
        assert_eq!(joined.native().str_at(&["stream"]), Some("stdout"));
        assert_eq!(joined.raw.lines().count(), 2);
    }
    let events = check("container/plaso_docker_json_file.log", Source::ContainerLog, 10, &[]);
    if let Some(last) = events.last() {
        assert_eq!(last.time.to_string(), "2016-01-07T16:49:10.237222729Z");
        assert!(text(last, FieldId::Message).ends_with("# ls"));
        assert_eq!(identities(&events), 10);
    }
    let events = check("container/fluentbit_kubernetes/log", Source::ContainerLog, 95, &[]);
    assert!(
        events
            .iter()
            .all(|event| event.time.to_string().starts_with("2019-04-01T17:58:33."))
    );
    let nested = events
        .iter()
        .find(|event| event.raw.contains("embedded") && event.raw.contains("stringified-json"));
    if let Some(nested) = nested {
        assert!(
            nested.native().str_at(&["text"]).unwrap().starts_with("quoted"),
            "{:?}",
            nested.native()
        );
    }
    // These say nothing but their text: they are told apart by where they stand.
    for (name, lines) in [
        ("dockermode", 3),
        ("dockermode_multiple_lines", 6),
        ("dockermode_splitted_line", 6),
        ("dockermode_splitted_multiple_lines", 8),
        ("dockermode_firstline_detection", 9),
    ] {
        let events = check(
            &format!("container/fluentbit_tail/log/{name}.log"),
            Source::ContainerLog,
            lines,
            &[],
        );
        assert_eq!(identities(&events), events.len());
    }
    check("app/opsagent_parse_json/input.log", Source::ContainerLog, 1, &[]);
}

#[test]
fn cloudtrail() {
    let events = check("cloud/aws_invictus_cloudtrail", Source::CloudTrail, 1452, &[]);
    if !events.is_empty() {
        assert_eq!(identities(&events), 1452);
        assert!(events.iter().all(|event| !text(event, FieldId::EventAction).is_empty()));
        let unnamed: Vec<_> = events
            .iter()
            .filter(|event| text(event, FieldId::UserName).is_empty())
            .collect();
        assert!(
            unnamed.iter().all(|event| event
                .native()
                .get("userIdentity")
                .is_none_or(|user| user.get("arn").is_none())),
            "{unnamed:?}"
        );
        // Each event has its own bytes, whole.
        for event in &events {
            assert_eq!(
                serde_json::from_str::<Value>(&event.raw).unwrap(),
                event.native().to_value()
            );
        }
        let outcomes = count(&events, FieldId::EventOutcome);
        let failed = events
            .iter()
            .filter(|event| event.native().get("errorCode").is_some())
            .count();
        assert_eq!(outcomes["failure"], failed);
    }
    let events = check("cloud/aws_stratus", Source::CloudTrail, 59, &[]);
    if let Some(event) = events
        .iter()
        .find(|event| text(event, FieldId::EventAction) == "AttachUserPolicy")
    {
        assert_eq!(text(event, FieldId::UserTargetName), "malicious-iam-user");
        assert_eq!(text(event, FieldId::UserName), "christophe");
    }
    let events = check("cloud/falco_alice_start_instances.json", Source::CloudTrail, 1, &[]);
    if let Some(event) = events.first() {
        assert_eq!(text(event, FieldId::UserName), "Alice");
        assert_eq!(text(event, FieldId::CloudInstanceId), "i-ebeaf9e2");
        assert_eq!(text(event, FieldId::SourceIp), "205.251.233.176");
    }
    let events = check("cloud/plaso_aws_cloudtrail.jsonl", Source::CloudTrail, 6, &[]);
    if let Some(event) = events.first() {
        assert_eq!(event.time.to_string(), "2022-02-07T22:23:37Z");
        assert_eq!(text(event, FieldId::CloudRegion), "ap-southeast-2");
    }
    check(
        "schema_classification/aws_cloudtrail/test_event.json",
        Source::CloudTrail,
        1,
        &[],
    );
}

#[test]
fn auth_agrees_with_the_beats_module() {
    let events = check("os/beats_system_auth/secure-rhel7.log", Source::Auth, 1000, &[]);
    let Some(path) = samples("os/beats_system_auth/secure-rhel7.log-expected.json") else {
        return;
    };
    let expected: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let expected = expected.as_list().unwrap();
    assert_eq!(expected.len(), 100);
    let mut outcomes = 0;
    for (event, want) in events.iter().zip(expected) {
        let want = |key: &str| {
            want.get(key)
                .map(|value| value.to_text().into_owned())
                .unwrap_or_default()
        };
        assert_eq!(text(event, FieldId::HostName), want("host.hostname"));
        assert_eq!(text(event, FieldId::ProcessName), want("process.name"));
        assert_eq!(text(event, FieldId::ProcessPid), want("process.pid"));
        if want("event.action").is_empty() {
            assert_eq!(text(event, FieldId::Message), want("message"));
            assert_ne!(text(event, FieldId::EventAction), "ssh_login");
            continue;
        }
        outcomes += 1;
        for (id, key) in [
            (FieldId::EventAction, "event.action"),
            (FieldId::EventOutcome, "event.outcome"),
            (FieldId::UserName, "user.name"),
            (FieldId::SourceIp, "source.ip"),
            (FieldId::SourcePort, "source.port"),
        ] {
            assert_eq!(text(event, id), want(key), "{key} of {}", event.raw);
        }
        assert_eq!(
            event.native().str_at(&["method"]).unwrap_or_default(),
            want("system.auth.ssh.method")
        );
    }
    assert_eq!(outcomes, 35);
    let actions = count(&events, FieldId::EventAction);
    assert_eq!(
        (actions["ssh_login"], actions["pam_authentication"], actions["sudo"]),
        (355, 152, 2)
    );
    assert!(
        events
            .iter()
            .all(|event| event.time.to_string().starts_with("2026-02-2")),
        "{}",
        events[999].time
    );
}

#[test]
fn syslog_of_every_layout() {
    // Lines that continue the one before, and one without a month, are no syslog lines.
    let check = |name: &str, events: usize, refused: usize| {
        let dead: &[(&'static str, usize)] = if refused > 0 { &[("wrong_shape", refused)] } else { &[] };
        check(&format!("os/plaso_syslog/{name}"), Source::Auth, events, dead)
    };
    let events = check("syslog", 16, 2);
    if !events.is_empty() {
        assert_eq!(events[6].time.to_string(), "2024-02-29T01:15:43Z");
    }
    check("syslog_chromeos", 8, 1);
    let events = check("syslog_cron.log", 9, 0);
    assert!(
        events
            .iter()
            .all(|event| text(event, FieldId::EventAction) == "cron_command")
    );
    check("syslog_osx", 2, 0);
    check("syslog_rsyslog", 5, 0);
    check("syslog_rsyslog_ForwardFormat", 1, 1);
    check("syslog_rsyslog_SysklogdFileFormat", 9, 1);
    check("syslog_rsyslog_SyslogProtocol23Format", 9, 1);
    check("syslog_rsyslog_TraditionalForwardFormat", 1, 1);
    check("syslog_rsyslog_traditional", 8, 3);
    let events = check("syslog_ssh.log", 9, 0);
    let outcomes: Vec<_> = events.iter().map(|event| text(event, FieldId::EventOutcome)).collect();
    if !outcomes.is_empty() {
        assert_eq!(
            outcomes.join(" "),
            " success success failure  failure success success success"
        );
        assert_eq!(text(&events[2], FieldId::SourceIp), "2001:db8:a0b:12f0::1");
        assert_eq!(text(&events[3], FieldId::SourceIp), "1:db8:a0b:12f0::1");
    }
}

#[test]
fn application_logs() {
    let events = check(
        "app/opsagent_elasticsearch-json-ecs/input.log",
        Source::Application,
        6,
        &[],
    );
    if !events.is_empty() {
        assert_eq!(
            count(&events, FieldId::LogLevel),
            BTreeMap::from([("fatal".into(), 1), ("info".into(), 2), ("warn".into(), 3)])
        );
        assert_eq!(text(&events[0], FieldId::ServiceName), "ES_ECS");
        assert_eq!(text(&events[0], FieldId::LogLogger), "org.elasticsearch.node.Node");
        assert_eq!(events[0].time.to_string(), "2025-09-19T02:20:17.920Z");
    }
    if let Some(path) = samples("app/opsagent_mongodb/input.log") {
        // One line is of a version that wrote text: an application's line, where the topic says so.
        let batch = decode(&path, SourceKind::Source(Source::Application));
        assert_eq!((batch.events.len(), batch.dead_letters.len()), (60, 0));
        assert_eq!(reasons(&decode(&path, SourceKind::Auto)), [("unknown_source", 1)]);
    }
    let events = check(
        "container/fluentbit_tail/log/multiline_001.log",
        Source::Application,
        6,
        &[],
    );
    assert!(
        events
            .iter()
            .all(|event| event.time.to_string() == "2006-07-28T13:22:04Z")
    );
}

/// Whole events, of records of our own: `tests/normalized/SOURCE.log` becomes `SOURCE.json`, an event a line without what
/// the others repeat (`event.original`, `event.ingested`, `casebook`). `UPDATE_EXPECTED=1` writes what is now.
#[test]
fn whole_events() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/normalized");
    for source in Source::ALL {
        let batch = decode(&directory.join(format!("{source}.log")), SourceKind::Source(*source));
        assert!(batch.dead_letters.is_empty(), "{source}: {:?}", batch.dead_letters);
        let mut got = String::new();
        for event in &batch.events {
            let mut ecs: serde_json::Value =
                serde_json::from_slice(&serde_json::to_vec(&event.to_ecs()).unwrap()).unwrap();
            let own = ecs["casebook"].as_object_mut().unwrap();
            own.remove("position").unwrap();
            own.remove("source").unwrap();
            if own.is_empty() {
                ecs.as_object_mut().unwrap().remove("casebook").unwrap();
            }
            let inner = ecs["event"].as_object_mut().unwrap();
            inner.remove("original").unwrap();
            inner.remove("ingested").unwrap();
            got += &serde_json::to_string_pretty(&ecs).unwrap();
            got.push('\n');
        }
        let path = directory.join(format!("{source}.json"));
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(&path, &got).unwrap();
        }
        assert_eq!(got, std::fs::read_to_string(&path).unwrap(), "{}", path.display());
    }
}
