//! The operating system: the audit daemon's events against what go-libaudit makes of them, and the pods that OpenShift's own
//! reader finds in kubelet's lines; syslog against Filebeat's module.

use std::collections::BTreeMap;

use casebook_event::{Event, EventBatch, FieldId, Source, Timestamp, Value};
use casebook_ingest::{Decoder, SourceKind};

use super::{check, count, now, record, samples, text};

/// The tests of go-libaudit's coalescer: a YAML map of names to the records of one event.
fn coalescer_cases(yaml: &str) -> BTreeMap<String, Vec<String>> {
    let mut cases: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut name = String::new();
    for line in yaml.lines() {
        if let Some(title) = line.strip_prefix("  ").filter(|line| !line.starts_with([' ', '#'])) {
            name = title
                .trim_end_matches(['|', '>', ' ', '-'])
                .trim_end_matches(':')
                .trim_matches(['"', '\''])
                .to_owned();
        } else if let Some(line) = line.strip_prefix("    ").filter(|line| !line.trim().is_empty()) {
            cases.entry(name.clone()).or_default().push(line.trim().to_owned());
        }
    }
    cases
}

fn decode(lines: &[String]) -> Vec<Event> {
    let mut decoder = Decoder::new(SourceKind::Source(Source::Auditd));
    let mut batch = EventBatch::default();
    let mut last = record("audit", 0, "");
    for (n, line) in lines.iter().enumerate() {
        last = record("audit", n as i64, line);
        decoder.decode(&last, now(), &mut batch);
    }
    decoder.flush(&last.position, now(), &mut batch);
    assert!(batch.dead_letters.is_empty(), "{lines:?}: {:?}", batch.dead_letters);
    batch.events
}

/// What go-libaudit names, and the field that holds it here.
const GOLDEN_FIELDS: &[(&[&str], FieldId)] = &[
    (&["user", "ids", "uid"], FieldId::UserId),
    (&["user", "ids", "auid"], FieldId::UserAuditId),
    (&["user", "ids", "euid"], FieldId::UserEffectiveId),
    (&["process", "pid"], FieldId::ProcessPid),
    (&["process", "ppid"], FieldId::ProcessParentPid),
    (&["process", "exe"], FieldId::ProcessExecutable),
    (&["process", "cwd"], FieldId::ProcessWorkingDirectory),
    (&["process", "title"], FieldId::ProcessTitle),
    (&["process", "args"], FieldId::ProcessArgs),
    (&["file", "path"], FieldId::FilePath),
    (&["network", "direction"], FieldId::NetworkDirection),
    (&["destination", "ip"], FieldId::DestinationIp),
    (&["destination", "port"], FieldId::DestinationPort),
    (&["source", "ip"], FieldId::SourceIp),
    (&["source", "port"], FieldId::SourcePort),
    (&["session"], FieldId::SessionId),
    (&["ecs", "event", "category"], FieldId::EventCategory),
    (&["ecs", "event", "type"], FieldId::EventType),
];

#[test]
fn audit_events_agree_with_go_libaudit() {
    let Some(directory) = samples("os/go_libaudit/aucoalesce/testdata") else {
        return;
    };
    let (mut agreed, mut cases) = (0, 0);
    let mut differences: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in super::files(&directory) {
        let Some(golden) = path
            .to_str()
            .unwrap()
            .strip_suffix(".yaml")
            .map(|stem| format!("{stem}.json.golden"))
        else {
            continue;
        };
        let inputs = coalescer_cases(&std::fs::read_to_string(&path).unwrap());
        let golden: Value = serde_json::from_slice(&std::fs::read(golden).unwrap()).unwrap();
        for case in golden.as_list().unwrap() {
            let (name, want) = (case.str_at(&["test_name"]).unwrap(), case.get("event").unwrap());
            let events = decode(
                inputs
                    .get(name)
                    .unwrap_or_else(|| panic!("{name} of {:?}", inputs.keys())),
            );
            let event = events.first().unwrap();
            cases += 1;
            let time = want.str_at(&["@timestamp"]).and_then(Timestamp::parse_rfc3339);
            assert_eq!(Some(event.time), time, "{name}");
            assert_eq!(
                text(event, FieldId::EventSequence),
                want.get("sequence").unwrap().to_text(),
                "{name}"
            );
            let outcome = match want.str_at(&["result"]) {
                Some("success") => "success",
                Some("fail") => "failure",
                _ => "unknown",
            };
            assert_eq!(text(event, FieldId::EventOutcome), outcome, "{name}");
            for (path, id) in GOLDEN_FIELDS {
                let Some(want) = want.at(path).map(|value| value.to_text().into_owned()) else {
                    continue;
                };
                let got = text(event, *id);
                // What go-libaudit calls unset is unset here.
                if got == want || (want == "unset" && got.is_empty()) {
                    agreed += 1;
                } else {
                    differences
                        .entry(path.join("."))
                        .or_default()
                        .push(format!("{name}: {got:?}, not {want:?}"));
                }
            }
        }
    }
    println!("{cases} events, {agreed} fields agree");
    for (field, all) in &differences {
        println!("{field}: {}", all.len());
        all.iter().for_each(|one| println!("    {one}"));
    }
    assert!(cases > 30 && agreed > 300, "{cases} {agreed}");
    let found: Vec<(&str, usize)> = differences
        .iter()
        .map(|(field, all)| (field.as_str(), all.len()))
        .collect();
    assert_eq!(found, KNOWN_DIFFERENCES);
}

/// Where we say something else than go-libaudit, and why.
const KNOWN_DIFFERENCES: &[(&str, usize)] = &[
    // A denial of AppArmor is intrusion detection too; a change of the audit rules or of netfilter, and a service that systemd
    // starts, are no processes: rules for process creation would match them.
    ("ecs.event.category", 6),
    // AppArmor's verdict is a type of its own; `listen` starts no connection.
    ("ecs.event.type", 4),
    // The program that an execve runs is `process.executable`, and no file that something happened to.
    ("file.path", 3),
    // A login has no network direction of its own.
    ("network.direction", 5),
];

#[test]
fn kubelet_lines_name_the_pods_that_openshift_finds() {
    let Some(path) = samples("kubelet/openshift_kubelet_journal.log") else {
        return;
    };
    let batch = super::decode(&path, SourceKind::Auto);
    let expected = std::fs::read_dir(path.parent().unwrap()).unwrap();
    let expected = expected
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_str().unwrap().contains("expected"));
    let expected = std::fs::read_to_string(expected.unwrap()).unwrap();
    for line in expected.lines() {
        let want: Value = serde_json::from_str(line).unwrap();
        let number = want.get("line_no").and_then(Value::as_i64).unwrap();
        let event = batch
            .events
            .iter()
            .find(|event| event.position.offset == number)
            .unwrap();
        for (key, id) in [
            ("namespace", FieldId::OrchestratorNamespace),
            ("pod", FieldId::KubernetesPodName),
            ("uid", FieldId::KubernetesPodUid),
            ("container", FieldId::ContainerName),
            ("node", FieldId::HostName),
        ] {
            // The reflector's line is about a Secret, which OpenShift's reader takes for a pod; and a container that only the
            // text of an error names is left there.
            if matches!((number, key), (2, "namespace" | "pod") | (7, "container")) {
                continue;
            }
            if let Some(want) = want.str_at(&["expected_locator", key]) {
                assert_eq!(text(event, id), want, "{key} of line {number}");
            }
        }
    }
}

#[test]
fn auth_agrees_with_the_beats_module() {
    let (Some(events), Some(path)) = (
        check("os/beats_system_auth/secure-rhel7.log", Source::Auth, 1000, &[]),
        samples("os/beats_system_auth/secure-rhel7.log-expected.json"),
    ) else {
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
    if let Some(events) = check("syslog", 16, 2) {
        assert_eq!(events[6].time.to_string(), "2024-02-29T01:15:43Z");
    }
    check("syslog_chromeos", 8, 1);
    if let Some(events) = check("syslog_cron.log", 9, 0) {
        assert!(
            events
                .iter()
                .all(|event| text(event, FieldId::EventAction) == "cron_command")
        );
    }
    check("syslog_osx", 2, 0);
    check("syslog_rsyslog", 5, 0);
    check("syslog_rsyslog_ForwardFormat", 1, 1);
    check("syslog_rsyslog_SysklogdFileFormat", 9, 1);
    check("syslog_rsyslog_SyslogProtocol23Format", 9, 1);
    check("syslog_rsyslog_TraditionalForwardFormat", 1, 1);
    check("syslog_rsyslog_traditional", 8, 3);
    if let Some(events) = check("syslog_ssh.log", 9, 0) {
        let outcomes: Vec<_> = events.iter().map(|event| text(event, FieldId::EventOutcome)).collect();
        assert_eq!(
            outcomes.join(" "),
            " success success failure  failure success success success"
        );
        assert_eq!(text(&events[2], FieldId::SourceIp), "2001:db8:a0b:12f0::1");
        assert_eq!(text(&events[3], FieldId::SourceIp), "1:db8:a0b:12f0::1");
    }
}
