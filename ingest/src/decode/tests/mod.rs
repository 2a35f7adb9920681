//! The decoder as a whole: what becomes of batches, of broken parts, and of bytes that nobody meant.

mod resume;
mod trust;

use std::collections::BTreeSet;

use casebook_event::{EventBatch, FieldId, Position, RawRecord, Source, Timestamp, ValueRef};
use proptest::prelude::*;

use super::*;

pub(super) fn decode(kind: SourceKind, payload: &[u8]) -> EventBatch {
    decode_of(kind, TopicSettings::NONE, payload)
}

fn decode_of(kind: SourceKind, settings: TopicSettings, payload: &[u8]) -> EventBatch {
    let position = Position {
        topic: "t".into(),
        partition: 2,
        offset: 7,
        index: 0,
    };
    let record = RawRecord {
        position,
        timestamp: Timestamp::from_seconds(1_700_000_000),
        payload: payload.to_vec(),
    };
    let mut batch = EventBatch::default();
    let mut decoder = Decoder::new(kind).with_settings(settings.into());
    decoder.decode(&record, Timestamp::from_seconds(1_700_000_001), &mut batch);
    decoder.flush(&record.position, Timestamp::from_seconds(1_700_000_001), &mut batch);
    batch
}

const AUDIT: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"a","stage":"ResponseComplete","verb":"create","requestURI":"/api/v1/namespaces/n/pods/p/exec?command=sh&container=c","user":{"username":"system:serviceaccount:n:s","groups":["g"],"extra":{"authentication.kubernetes.io/pod-name":["p"]}},"sourceIPs":["10.0.0.1","::1"],"objectRef":{"resource":"pods","subresource":"exec","namespace":"n","name":"p","apiVersion":"v1"},"requestObject":{"spec":{"containers":[{"name":"c","image":"i"}]}},"responseStatus":{"code":101},"stageTimestamp":"2024-01-01T00:00:00.000001Z"}"#;
const CLOUDTRAIL: &str = r#"{"eventVersion":"1.08","eventID":"e","eventTime":"2023-07-10T12:11:14Z","eventSource":"iam.amazonaws.com","eventName":"CreateUser","userIdentity":{"type":"AssumedRole","principalId":"A:i-0123456789","arn":"arn:aws:sts::1:assumed-role/r/i-0123456789"},"sourceIPAddress":"10.1.2.3","requestParameters":{"userName":"m"}}"#;
const CRI: &str = r#"2016-10-06T00:17:09.669794202Z stdout F {"level":"info","msg":"m","user":{"name":"u"}}"#;
const DOCKER: &str = r#"{"log":"text\n","stream":"stderr","time":"2016-01-07T16:49:10.2Z","kubernetes":{"pod_name":"p","namespace_name":"n","host":"h","container_name":"c"}}"#;
const SSHD: &str = "<38>Jan  2 03:04:05 h sshd[7]: Failed password for invalid user x from 10.0.0.1 port 4 ssh2";
const SUDO: &str = "2024-01-02T03:04:05.6+01:00 h sudo:    a : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls";
const RFC5424: &str = r#"<165>1 2003-10-11T22:14:15.003Z h useradd 3 ID47 [a@1 k="v\"]"] new user: name=b, UID=1"#;
const APPLICATION: &str = r#"{"@timestamp":"2024-01-01T00:00:00Z","log.level":"ERROR","message":"m","error":{"type":"E","stack_trace":["a","b"]},"source.ip":"10.0.0.1","http":{"response":{"status_code":500}}}"#;

const SAMPLES: &[(&str, Source)] = &[
    (AUDIT, Source::KubernetesAudit),
    (CLOUDTRAIL, Source::CloudTrail),
    (CRI, Source::ContainerLog),
    (DOCKER, Source::ContainerLog),
    (SSHD, Source::Auth),
    (SUDO, Source::Auth),
    (RFC5424, Source::Auth),
    (APPLICATION, Source::Application),
];

fn kinds() -> Vec<SourceKind> {
    std::iter::once(SourceKind::Auto)
        .chain(Source::ALL.iter().map(|source| SourceKind::Source(*source)))
        .collect()
}

#[test]
fn samples_are_known_by_their_content_and_keep_their_bytes() {
    for (text, source) in SAMPLES {
        assert_eq!(
            detect_source(text.as_bytes()).map(|(source, _)| source),
            Ok(*source),
            "{text}"
        );
        for kind in [SourceKind::Auto, SourceKind::Source(*source)] {
            let batch = decode(kind, format!("{text}\n").as_bytes());
            assert_eq!(
                (batch.events.len(), batch.dead_letters.len()),
                (1, 0),
                "{text}: {:?}",
                batch.dead_letters
            );
            let event = &batch.events[0];
            assert_eq!(event.raw, *text);
            assert_eq!(event.source, *source);
            assert_eq!(event.ingested, Timestamp::from_seconds(1_700_000_001));
            assert!(matches!(event.native(), ValueRef::Map(entries) if !entries.is_empty()));
        }
    }
}

/// Checks what becomes of a payload: `index:event` and `index:reason`, in order of index.
fn check(kind: &str, payload: impl AsRef<[u8]>, want: &str) {
    let payload = payload.as_ref();
    let batch = decode(kind.parse().unwrap(), payload);
    let events = batch.events.iter().map(|event| (event.position.index, "event"));
    let letters = batch
        .dead_letters
        .iter()
        .map(|letter| (letter.position.index, letter.reason));
    let mut all: Vec<_> = events.chain(letters).collect();
    all.sort();
    let got: Vec<_> = all.iter().map(|(index, what)| format!("{index}:{what}")).collect();
    assert_eq!(
        got.join(" "),
        want,
        "{kind} {:?}: {:?}",
        String::from_utf8_lossy(payload),
        batch.dead_letters
    );
}

#[test]
fn a_cut_line_keeps_the_space_that_it_is_cut_at() {
    let parts = ["P Failed ", "P password for ", "F root "];
    let mut batch = EventBatch::default();
    let mut decoder = Decoder::new(SourceKind::Source(Source::ContainerLog));
    for (offset, part) in (0..).zip(parts) {
        let record = RawRecord {
            position: Position {
                topic: "t".into(),
                partition: 0,
                offset,
                index: 0,
            },
            timestamp: Timestamp::from_seconds(1_700_000_000),
            payload: format!("2016-10-06T00:17:09.669794202Z stderr {part}\n").into_bytes(),
        };
        decoder.decode(&record, Timestamp::from_seconds(1_700_000_001), &mut batch);
    }
    let messages: Vec<_> = batch
        .events
        .iter()
        .map(|event| event.fields.str(FieldId::Message))
        .collect();
    assert_eq!(messages, [Some("Failed password for root")]);
}

#[test]
fn batches_cost_their_broken_members_only() {
    check("auto", format!("[{CLOUDTRAIL}, {AUDIT}]"), "0:event 1:event");
    check(
        "auto",
        format!("{{\"Records\":[{CLOUDTRAIL},{{\"eventName\":}},{CLOUDTRAIL}]}}"),
        "0:event 1:invalid_json 2:event",
    );
    check(
        "cloudtrail",
        format!("{{\"x\":1,\"Records\":[{CLOUDTRAIL},7,{CLOUDTRAIL}]}}"),
        "0:event 1:wrong_shape 2:event",
    );
    check(
        "cloudtrail",
        format!("{{\"Records\":[{CLOUDTRAIL},{}", &CLOUDTRAIL[..40]),
        "0:event 1:invalid_json",
    );
    check(
        "kubernetes_audit",
        format!("{{\"kind\":\"EventList\",\"items\":[{AUDIT},{{}}]}}"),
        "0:event 1:wrong_shape",
    );
    check(
        "auto",
        format!("{{\"items\":[{AUDIT}],\"apiVersion\":\"audit.k8s.io/v1\",\"kind\":\"EventList\"}}"),
        "0:event",
    );
    check("auto", r#"{"Records":[]}"#, "");
    check(
        "application",
        r#"{"msg":"m","items":[{"a":1}],"Records":[1]}"#,
        "0:event",
    );
    check("auto", format!("{AUDIT}\n{CLOUDTRAIL}\n"), "0:event 1:event");
    check(
        "auto",
        format!("{AUDIT},\n{{\"a\":\n{CLOUDTRAIL}"),
        "0:event 1:invalid_json 2:event",
    );
    check("auto", format!("[{AUDIT}] {AUDIT}"), "0:event 1:event");
    check("auto", format!("{AUDIT} junk"), "0:event 1:invalid_json");
}

#[test]
fn dead_letters_say_why_and_where() {
    check("auto", "", "0:empty");
    check("auto", "\0\0 \n", "0:empty");
    check("auto", "{\"a\":1", "0:invalid_json");
    check("auto", b"{\"a\":\"\xff\"}", "0:invalid_utf8");
    check("auto", r#"{"a":1}"#, "0:unknown_source");
    check("auto", "hello", "0:unknown_source");
    check("kubernetes_audit", "hello", "0:invalid_json");
    check("kubernetes_audit", "7", "0:wrong_shape");
    check("kubernetes_audit", r#"{"auditID":"a","verb":"get"}"#, "0:no_timestamp");
    check("cloudtrail", r#"{"eventName":"a","eventSource":"b"}"#, "0:no_timestamp");
    check(
        "cloudtrail",
        r#"{"CloudTrailEvent":"{\"eventName\":"}"#,
        "0:invalid_json",
    );
    check("cloudtrail", AUDIT, "0:wrong_shape");
    check("container", "hello", "0:wrong_shape");
    check("auth", "hello", "0:wrong_shape");
    check("auth", "Feb 30 00:00:00 h p: m", "0:no_timestamp");
    check(
        "application",
        format!("{}1{}", "{\"a\":".repeat(200), "}".repeat(200)),
        "0:event",
    );
    check(
        "application",
        format!("{}1{}x", "{\"a\":".repeat(200), "}".repeat(100)),
        "0:too_deep",
    );
    let lines = "{\"a\":}\n".repeat(200);
    assert_eq!(decode(SourceKind::Auto, lines.as_bytes()).dead_letters.len(), 64);
    check("auto", "a".repeat(MAX_RECORD_BYTES + 1), "0:too_large");
    let letters = decode(
        SourceKind::Auto,
        format!("{{\"Records\":[{CLOUDTRAIL},{{\"a\" 1}}]}}").as_bytes(),
    )
    .dead_letters;
    assert_eq!(letters[0].payload, b"{\"a\" 1}");
    assert_eq!(letters[0].detail, "member 1: expected `:` at line 1 column 6");
    assert_eq!(letters[0].position.to_string(), "t[2]@7.1");
}

#[test]
fn broken_text_is_repaired_and_marked() {
    let batch = decode(
        SourceKind::Auto,
        b"\xef\xbb\xbf\0\0Jan  2 03:04:05 h su[1]: (to root) \xff on \0x",
    );
    let event = &batch.events[0];
    assert!(event.native().get("invalid_utf8").is_some_and(ValueRef::is_true));
    assert_eq!(event.raw, "Jan  2 03:04:05 h su[1]: (to root) \u{fffd} on \0x");
}

#[test]
fn identity_is_the_source_s_own_or_the_content() {
    let id = |payload: &str| decode(SourceKind::Auto, payload.as_bytes()).events[0].id;
    let at = |offset: i64, payload: &str| {
        let position = Position {
            topic: "t".into(),
            partition: 0,
            offset,
            index: 0,
        };
        let record = RawRecord {
            position,
            timestamp: Timestamp::from_seconds(offset),
            payload: payload.as_bytes().to_vec(),
        };
        let mut batch = EventBatch::default();
        Decoder::new(SourceKind::Auto).decode(&record, Timestamp::MIN, &mut batch);
        batch.events.iter().map(|event| event.id).collect::<Vec<_>>()
    };
    for (text, _) in SAMPLES {
        if *text != SSHD {
            assert_eq!(
                at(1, text),
                at(99, text),
                "a duplicate elsewhere is the same event: {text}"
            );
        }
    }
    assert_eq!(
        id(AUDIT),
        id(&AUDIT.replace("\"code\":101", "\"code\":200")),
        "auditID and stage"
    );
    assert_ne!(id(AUDIT), id(&AUDIT.replace("ResponseComplete", "Panic")));
    assert_ne!(id(CRI), id(&CRI.replace("202Z", "203Z")));
    assert_ne!(id(DOCKER), id(&DOCKER.replace("stderr", "stdout")));
    let timeless = r#"{"level":"info","msg":"m"}"#;
    assert_ne!(
        at(1, timeless),
        at(2, timeless),
        "without a time of its own, the position distinguishes events"
    );
    let twice = at(1, &format!("{timeless}\n{timeless}"));
    assert_ne!(twice[0], twice[1]);
    assert_eq!(at(1, timeless), at(1, timeless));
}

#[test]
fn a_container_s_own_json_is_reached_and_cannot_pose_as_another_pod() {
    let line = CRI.replace(
        "\"user\"",
        r#""kubernetes":{"pod":{"name":"other"}},"host":"other","stream":"x","user""#,
    );
    let event = &decode(SourceKind::Auto, line.as_bytes()).events[0];
    let text = |name: &str| {
        event
            .text(&casebook_event::FieldRef::resolve(name))
            .map(|text| text.to_string())
    };
    assert!(text("message").is_some_and(|text| text.starts_with("{\"level\"")));
    assert_eq!(text("msg").as_deref(), Some("m"));
    assert_eq!(text("log.level").as_deref(), Some("info"));
    assert_eq!(text("user.name").as_deref(), Some("u"));
    assert_eq!(event.fields.str(casebook_event::FieldId::KubernetesPodName), None);
    assert_eq!(event.fields.str(casebook_event::FieldId::HostName), None);
    assert_eq!(text("stream").as_deref(), Some("stdout"));
}

fn check_any(payload: &[u8]) -> Result<(), TestCaseError> {
    let _ = detect_source(payload);
    for kind in kinds() {
        let batch = decode(kind, payload);
        let mut indexes: Vec<u32> = batch.events.iter().map(|event| event.position.index).collect();
        indexes.extend(batch.dead_letters.iter().map(|letter| letter.position.index));
        indexes.sort_unstable();
        let parts = indexes.len() as u32;
        prop_assert_eq!(
            indexes,
            (0..parts).collect::<Vec<_>>(),
            "positions are unique and without gaps"
        );
        for event in &batch.events {
            prop_assert!(serde_json::to_vec(&event.to_ecs()).is_ok());
        }
        for letter in &batch.dead_letters {
            prop_assert!(!letter.reason.is_empty() && !letter.detail.is_empty() && letter.detail.len() < 1000);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_are_decoded_or_refused(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
        check_any(&payload)?;
    }

    #[test]
    fn damaged_samples_are_decoded_or_refused(
        sample in 0..SAMPLES.len(),
        wrap in 0..4usize,
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..5u8), 0..8),
    ) {
        let text = SAMPLES[sample].0;
        let mut bytes = match wrap {
            0 => text.to_owned(),
            1 => format!("{{\"Records\":[{text},{text}]}}"),
            2 => format!("{{\"kind\":\"EventList\",\"items\":[{text}]}}"),
            _ => format!("{text}\n{text}"),
        }
        .into_bytes();
        for (at, byte, how) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.truncate(at),
                2 => bytes.insert(at, byte),
                3 => { bytes.remove(at); }
                _ => bytes[at] = b"{}[]\",:\\ 0n<>=\n"[usize::from(byte) % 15],
            }
        }
        check_any(&bytes)?;
    }

    #[test]
    fn any_message_of_any_program(program in "sshd|sudo|su|login|CRON|systemd-logind|useradd|gpasswd|pkexec|passwd", message in "\\PC{0,80}") {
        check_any(format!("2024-01-02T03:04:05Z h {program}[1]: {message}").as_bytes())?;
    }

    #[test]
    fn any_words_of_messages(
        program in "sshd|sudo|su|login|CRON|systemd-logind|usermod|gpasswd|pkexec",
        words in proptest::collection::vec(prop::sample::select(vec![
            "Accepted", "Failed", "password", "for", "from", "invalid", "user", "port", "10.0.0.1", "22", "ssh2:", "by", "(root)",
            "CMD", "(", ")", "(to", "root)", "on", ":", ";", "USER=", "COMMAND=/bin/x", "'", "add", "to", "group", "Disconnecting",
            "pam_unix(sshd:session):", "session", "opened", "authentication", "failure;", "rhost=x", "Connection", "closed", "[USER=",
        ]), 0..10),
    ) {
        check_any(format!("2024-01-02T03:04:05Z h {program}[1]: {}", words.join(" ")).as_bytes())?;
    }
}

/// Checks what becomes of the lines of a partition: `message` of each event, in order, then the number of dead letters.
fn check_joined(kind: &str, lines: &[&str], want: &[&str]) {
    let mut decoder = Decoder::new(kind.parse().unwrap());
    let mut batch = EventBatch::default();
    let now = Timestamp::from_seconds(1_700_000_001);
    let mut position = Position {
        topic: "t".into(),
        partition: 2,
        offset: 0,
        index: 0,
    };
    for line in lines {
        position.offset += 1;
        let record = RawRecord {
            position: position.clone(),
            timestamp: Timestamp::from_seconds(1_700_000_000),
            payload: line.as_bytes().to_vec(),
        };
        decoder.decode(&record, now, &mut batch);
    }
    decoder.flush(&position, now, &mut batch);
    let got: Vec<_> = batch
        .events
        .iter()
        .map(|event| event.fields.str(casebook_event::FieldId::Message).unwrap_or_default())
        .collect();
    assert_eq!(got, want, "{lines:?}: {:?}", batch.dead_letters);
    assert!(batch.events.is_sorted_by_key(|event| event.position.clone()));
    assert_eq!(decoder.resume(), None);
    // A table keeps the number of the part in 32 bits with a sign: two parts of one record must differ there.
    let places: BTreeSet<(i64, i32)> = batch
        .events
        .iter()
        .map(|event| (event.position.offset, i32::try_from(event.position.index).unwrap()))
        .collect();
    assert_eq!(places.len(), batch.events.len(), "{lines:?}");
}

#[test]
fn parts_of_lines_are_joined_by_stream_and_pod() {
    check_joined(
        "container",
        &[
            "2024-01-01T00:00:00.1Z stdout P a",
            "2024-01-01T00:00:00.2Z stderr F other",
            "2024-01-01T00:00:00.3Z stdout P b",
            "2024-01-01T00:00:00.4Z stdout F c",
        ],
        &["other", "abc"],
    );
    let docker = |text: &str, pod: &str| {
        format!(
            r#"{{"log":"{text}","logtag":"{}","kubernetes":{{"pod_name":"{pod}"}}}}"#,
            if text.ends_with('.') { "F" } else { "P" }
        )
    };
    let lines = [docker("a", "p"), docker("x", "q"), docker("b.", "p"), docker("y.", "q")];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    check_joined("container", &lines, &["ab.", "xy."]);
    // What never gets its rest is emitted in the end.
    check_joined("container", &["2024-01-01T00:00:00.1Z stdout P a"], &["a"]);
    let unfinished = [docker("a", "p"), docker("x", "q")];
    let unfinished: Vec<&str> = unfinished.iter().map(String::as_str).collect();
    check_joined("container", &unfinished, &["a", "x"]);
    check_joined(
        "container",
        &[
            r#"{"log":"a","stream":"stdout","time":"2024-01-01T00:00:00Z"}"#,
            r#"{"log":"b\n","stream":"stdout","time":"2024-01-01T00:00:01Z"}"#,
        ],
        &["ab"],
    );
}

#[test]
fn stack_traces_are_joined_to_the_line_before() {
    check_joined(
        "container",
        &[
            "2024-01-01T00:00:00.1Z stderr F java.lang.Error: x",
            "2024-01-01T00:00:00.2Z stderr F \tat a.B.c(B.java:1)",
            "2024-01-01T00:00:00.3Z stdout F between",
            "2024-01-01T00:00:00.4Z stderr F next",
        ],
        &["between", "java.lang.Error: x\n\tat a.B.c(B.java:1)", "next"],
    );
    check_joined(
        "application",
        &[
            "Traceback (most recent call last):",
            "  File \"a.py\", line 1",
            "ValueError: no",
            "2024-01-01 INFO next",
        ],
        &[
            "Traceback (most recent call last):\n  File \"a.py\", line 1\nValueError: no",
            "2024-01-01 INFO next",
        ],
    );
}

#[test]
fn audit_events_are_joined_by_machine_and_serial() {
    let lines = [
        "node=a type=SYSCALL msg=audit(1.000:5): syscall=59 arch=c000003e exe=\"/bin/a\"",
        "node=b type=SYSCALL msg=audit(1.000:5): syscall=59 arch=c000003e exe=\"/bin/b\"",
        "node=a type=EXECVE msg=audit(1.000:5): argc=1 a0=\"a\"",
        "node=b type=EXECVE msg=audit(1.000:5): argc=1 a0=\"b\"",
        "node=a type=PROCTITLE msg=audit(1.000:5): proctitle=\"a\"",
        "node=a type=EOE msg=audit(1.000:5): ",
    ];
    let mut decoder = Decoder::new("auditd".parse().unwrap());
    let mut batch = EventBatch::default();
    for (n, line) in lines.iter().enumerate() {
        let mut record = record(line);
        record.position.offset = n as i64;
        decoder.decode(&record, Timestamp::from_seconds(1), &mut batch);
    }
    let of = |event: &casebook_event::Event, id| {
        event
            .fields
            .get(id)
            .map(|v| v.to_text().into_owned())
            .unwrap_or_default()
    };
    assert_eq!(batch.events.len(), 1, "the other machine's event waits");
    assert_eq!(decoder.resume(), Some(1));
    assert_eq!(of(&batch.events[0], casebook_event::FieldId::ProcessCommandLine), "a");
    assert_eq!(batch.events[0].raw.lines().count(), 3);
    // A record two seconds later means that the rest will not come.
    let mut late = record("node=a type=SYSCALL msg=audit(3.001:9): syscall=59 arch=c000003e");
    late.position.offset = 9;
    decoder.decode(&late, Timestamp::from_seconds(1), &mut batch);
    assert_eq!(batch.events.len(), 2);
    assert_eq!(of(&batch.events[1], casebook_event::FieldId::HostName), "b");
    assert_eq!(batch.events[1].position.offset, 9);
}

fn record(payload: &str) -> RawRecord {
    RawRecord {
        position: Position {
            topic: "t".into(),
            partition: 2,
            offset: 7,
            index: 0,
        },
        timestamp: Timestamp::from_seconds(1_700_000_000),
        payload: payload.as_bytes().to_vec(),
    }
}

/// Checks the source of a payload's events as `auto`, and a field of each.
fn check_opened(payload: &str, source: Source, field: &str, want: &[&str]) {
    let batch = decode(SourceKind::Auto, payload.as_bytes());
    let field = casebook_event::FieldRef::resolve(field);
    let got: Vec<_> = batch
        .events
        .iter()
        .map(|event| event.text(&field).unwrap_or_default())
        .collect();
    assert_eq!(got, want, "{payload}: {:?}", batch.dead_letters);
    assert!(batch.events.iter().all(|event| event.source == source), "{payload}");
    let (detected, mark) = detect_source(payload.as_bytes()).unwrap();
    assert_eq!(detected, source, "{payload}: {mark}");
}

#[test]
fn envelopes_are_opened() {
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
    let (audit, sshd) = (
        quoted(AUDIT),
        quoted("Jan  2 03:04:05 h sshd[7]: Failed password for x from 10.0.0.1 port 4 ssh2"),
    );
    let base64 = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(AUDIT)
    };
    let subscription = format!(
        r#"{{"messageType":"DATA_MESSAGE","owner":"123456789012","logGroup":"/aws/eks/c1/cluster","logStream":"s","logEvents":[{{"id":"1","timestamp":1,"message":{audit}}},{{"id":"2","timestamp":1,"message":{audit}}}]}}"#
    );
    check_opened(
        &subscription,
        Source::KubernetesAudit,
        "orchestrator.cluster.name",
        &["c1", "c1"],
    );
    check_opened(
        &subscription,
        Source::KubernetesAudit,
        "logGroup",
        &["/aws/eks/c1/cluster"; 2],
    );
    check_opened(
        &format!(r#"{{"message":{{"data":"{base64}","messageId":"9"}},"subscription":"s"}}"#),
        Source::KubernetesAudit,
        "user.name",
        &["system:serviceaccount:n:s"],
    );
    check_opened(
        &format!(
            r#"{{"records":[{{"category":"kube-audit","operationName":"x/y","resourceId":"/SUBSCRIPTIONS/S/PROVIDERS/M/MANAGEDCLUSTERS/C","properties":{{"log":{audit}}}}}]}}"#
        ),
        Source::KubernetesAudit,
        "orchestrator.cluster.name",
        &["C"],
    );
    check_opened(
        &format!(
            r#"{{"@timestamp":"2024-01-01T00:00:00Z","agent":{{"type":"filebeat"}},"host":{{"name":"n1"}},"log":{{"file":{{"path":"/var/log/auth.log"}}}},"message":{sshd}}}"#
        ),
        Source::Auth,
        "log.file.path",
        &["/var/log/auth.log"],
    );
    check_opened(
        r#"{"file":"/var/log/audit/audit.log","host":"n1","source_type":"file","message":"type=USER_LOGIN msg=audit(1.000:5): acct=\"a\" res=success"}"#,
        Source::Auditd,
        "host.name",
        &["n1"],
    );
    check_opened(
        &format!(
            r#"{{"resourceLogs":[{{"resource":{{"attributes":[{{"key":"host.name","value":{{"stringValue":"n1"}}}}]}},"scopeLogs":[{{"logRecords":[{{"timeUnixNano":"1700000000000000000","body":{{"stringValue":{sshd}}}}},{{"body":{{"stringValue":{sshd}}}}}]}}]}}]}}"#
        ),
        Source::Auth,
        "host.name",
        &["h", "h"],
    );
    check_opened(
        r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"k8s.pod.name","value":{"stringValue":"p"}},{"key":"k8s.container.name","value":{"stringValue":"c"}}]},"scopeLogs":[{"logRecords":[{"timeUnixNano":"1700000000000000000","severityText":"ERROR","body":{"stringValue":"boom"},"attributes":[{"key":"log.iostream","value":{"stringValue":"stderr"}}]}]}]}]}"#,
        Source::ContainerLog,
        "kubernetes.pod.name",
        &["p"],
    );
    check_opened(
        r#"{"insertId":"1","logName":"projects/p/logs/stderr","timestamp":"2024-01-01T00:00:00Z","resource":{"type":"k8s_container","labels":{"pod_name":"p","namespace_name":"n","container_name":"c"}},"textPayload":"boom"}"#,
        Source::ContainerLog,
        "kubernetes.pod.name",
        &["p"],
    );
}

/// Whatever runs in a pod can print an audit event. It stays what the pod printed, unless the topic says that pods print audit
/// events there.
#[test]
fn a_shipper_may_put_an_application_s_keys_in_place_of_its_text() {
    let decode = |payload: &str| decode(SourceKind::Source(Source::ContainerLog), payload.as_bytes());
    let batch = decode(
        r#"{"stream":"stderr","time":"2024-01-01T00:00:00Z","level":"error","code":7,"kubernetes":{"pod_name":"p","namespace_name":"n"}}"#,
    );
    let [event] = &batch.events[..] else {
        panic!("{batch:?}")
    };
    assert_eq!(event.time.to_string(), "2024-01-01T00:00:00Z");
    assert_eq!(
        event.fields.str(FieldId::Message),
        Some(r#"{"level":"error","code":7}"#)
    );
    assert_eq!(event.fields.str(FieldId::LogLevel), Some("error"));
    assert_eq!(event.fields.str(FieldId::KubernetesPodName), Some("p"));
    assert_eq!(event.native().get("code").and_then(ValueRef::as_i64), Some(7));
    assert_eq!(event.native().str_at(&["stream"]), Some("stderr"));
    // Nothing is left, and nothing says that it is a container's.
    for payload in [
        r#"{"stream":"stdout","kubernetes":{}}"#,
        r#"{"level":"error","code":7}"#,
    ] {
        assert_eq!(decode(payload).dead_letters[0].reason, "wrong_shape", "{payload}");
    }
}

#[test]
fn what_a_container_prints_never_passes_for_another_source() {
    let quoted = serde_json::to_string(AUDIT).unwrap();
    for payload in [
        format!(r#"{{"log":{quoted},"stream":"stdout","time":"2024-01-01T00:00:00Z"}}"#),
        format!(r#"{{"log":{quoted},"kubernetes":{{"pod_name":"p"}}}}"#),
        format!(
            r#"{{"message":{quoted},"file":"/var/log/containers/a_b_c-1.log","source_type":"kubernetes_logs","stream":"stdout","kubernetes":{{"pod_name":"p"}}}}"#
        ),
        format!("2024-01-01T00:00:00Z stdout F {AUDIT}"),
    ] {
        let batch = decode(SourceKind::Auto, payload.as_bytes());
        assert_eq!(
            batch.events.first().map(|event| event.source),
            Some(Source::ContainerLog),
            "{payload}"
        );
        if payload.starts_with('{') {
            let batch = decode(SourceKind::Source(Source::KubernetesAudit), payload.as_bytes());
            assert_eq!(
                batch.events.first().map(|event| event.source),
                Some(Source::KubernetesAudit),
                "{payload}"
            );
        }
    }
}

#[test]
fn the_topics_cluster_names_events_that_do_not_name_theirs() {
    let settings = TopicSettings {
        cluster: Some("staging".parse().unwrap()),
        ..TopicSettings::default()
    };
    let cluster = |kind: &str, settings: TopicSettings, payload: &str| {
        let batch = decode_of(kind.parse().unwrap(), settings, payload.as_bytes());
        assert_eq!(batch.events.len(), 1, "{payload}: {:?}", batch.dead_letters);
        let cluster = batch.events[0].fields.str(FieldId::OrchestratorClusterName);
        cluster.map(str::to_owned)
    };
    // Pending until the end of the file, and emitted then.
    let partial = "2026-11-24T10:00:00.1Z stdout P half a line";
    for (kind, payload) in [
        ("kubernetes_audit", AUDIT),
        ("auto", AUDIT),
        ("auth", SSHD),
        ("container", partial),
    ] {
        assert_eq!(
            cluster(kind, settings.clone(), payload).as_deref(),
            Some("staging"),
            "{kind}"
        );
        assert_eq!(cluster(kind, TopicSettings::default(), payload), None, "{kind}");
    }
    let shipped = format!(
        r#"{{"message":{AUDIT:?},"orchestrator":{{"cluster":{{"name":"production"}}}},"agent":{{"type":"filebeat"}},"@timestamp":"2026-11-24T10:00:00Z"}}"#
    );
    assert_eq!(
        cluster("kubernetes_audit", settings, &shipped).as_deref(),
        Some("production")
    );
}
