//! The decoder as a whole: what becomes of batches, of broken parts, and of bytes that nobody meant.

use casebook_event::{EventBatch, Position, RawRecord, Source, Timestamp, Value};
use proptest::prelude::*;

use super::*;

fn decode(kind: SourceKind, payload: &[u8]) -> EventBatch {
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
    Decoder::new(kind).decode(&record, Timestamp::from_seconds(1_700_000_001), &mut batch);
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
            assert!(matches!(&event.native, Value::Map(entries) if !entries.is_empty()));
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
    assert_eq!(event.native.get("invalid_utf8"), Some(&Value::Bool(true)));
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
        "without a time of its own, the place tells events apart"
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
