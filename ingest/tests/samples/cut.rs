//! Records that end too early: every record of every source's own tests, cut at every byte.
//!
//! What comes of each cut is an event that says so, or a dead letter that names the source. Nothing in the event is something else
//! than in the event of the whole record: what was cut off is missing, and half of a value is no value.

use std::collections::BTreeMap;

use casebook_event::{Event, EventBatch, FieldId, Position, RawRecord, Source, Value};
use casebook_ingest::{Decoder, SourceKind};

pub(super) fn decode(kind: SourceKind, payload: &[u8]) -> EventBatch {
    let mut batch = EventBatch::default();
    let record = RawRecord {
        position: Position {
            topic: "cut".into(),
            partition: 0,
            offset: 1,
            index: 0,
        },
        timestamp: super::now(),
        payload: payload.to_vec(),
    };
    let mut decoder = Decoder::new(kind);
    decoder.decode(&record, super::now(), &mut batch);
    decoder.flush(&record.position, super::now(), &mut batch);
    batch
}

fn is_truncated(event: &Event) -> bool {
    event.fields.str(FieldId::Truncated) == Some("true")
}

/// Whether a field of a cut record's event says nothing else than the whole record's: the same value, some of the same values, or
/// the beginning of the same text for people.
fn is_part(id: FieldId, part: &Value, event: &Event) -> bool {
    match (part, event.fields.get(id)) {
        (Value::List(part), Some(Value::List(whole))) => part.iter().all(|item| whole.contains(item)),
        // A line's own head is no part of its message, once it is known that it is a head.
        (Value::Str(part), Some(Value::Str(whole))) if id == FieldId::Message => {
            let line = event.native().str_at(&["MESSAGE"]).unwrap_or_default();
            whole.starts_with(part.trim_end()) || line.starts_with(part.trim_end())
        }
        (part, Some(whole)) => part == whole,
        (_, None) => false,
    }
}

/// What came of the cuts of the records of one source.
#[derive(Default)]
struct Tally {
    cuts: usize,
    events: usize,
    /// Cuts after what says who did what, and those of them that gave an event.
    late: usize,
    late_events: usize,
    /// Fields that say something else than in the whole, and how often.
    other: BTreeMap<String, usize>,
}

/// What stands in a record of each source once it is known who did what.
fn known_from(source: Source) -> &'static [&'static str] {
    match source {
        Source::KubernetesAudit => &["auditID", "stage", "verb", "\"user\"", "\\\"user\\\"", "methodName"],
        Source::CloudTrail => &["eventSource", "eventName", "userIdentity"],
        Source::GcpAudit => &["methodName", "serviceName"],
        Source::AzureActivity => &["operationName", "ategory"],
        Source::Falco => &["\"rule\"", "output_fields"],
        Source::KubernetesEvent => &["reason", "involvedObject", "regarding"],
        Source::Journald => &["MESSAGE"],
        Source::Tetragon => &["process_"],
        _ => &[],
    }
}

fn lines_of(source: Source) -> Vec<String> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/normalized/{source}.log"));
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .filter(|line| line.starts_with('{'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_cut_is_an_event_that_says_so_or_a_dead_letter_that_names_its_source() {
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    for source in Source::ALL {
        for line in lines_of(*source) {
            for kind in [SourceKind::Source(*source), SourceKind::Auto] {
                let whole = decode(kind, line.as_bytes());
                assert!(whole.dead_letters.is_empty(), "{kind}: {line}");
                if whole.events.iter().any(is_truncated) {
                    // The part of a line that waits for its rest is one that was cut.
                    assert_eq!(*source, Source::ContainerLog, "{kind}: {line}");
                    continue;
                }
                let after = known_from(*source)
                    .iter()
                    .filter_map(|key| line.find(key))
                    .max()
                    .map_or(0, |at| at + 60);
                let tally = tallies.entry(format!("{source} as {kind}")).or_default();
                for cut in 1..line.len() {
                    let batch = decode(kind, &line.as_bytes()[..cut]);
                    check(&batch, &whole, kind, &line[..line.floor_char_boundary(cut)], tally);
                    tally.cuts += 1;
                    tally.events += usize::from(!batch.events.is_empty());
                    if cut > after {
                        tally.late += 1;
                        tally.late_events += usize::from(!batch.events.is_empty());
                    }
                }
            }
        }
    }
    println!(
        "{:<40} {:>6} {:>6} {:>6} {:>6}",
        "source", "cuts", "events", "late", "events"
    );
    for (name, tally) in &tallies {
        let Tally {
            cuts,
            events,
            late,
            late_events,
            other,
        } = tally;
        println!("{name:<40} {cuts:>6} {events:>6} {late:>6} {late_events:>6}");
        assert!(other.is_empty(), "{name}: {other:?}");
        // After what says who did what, all but a few cuts give an event.
        let (of_ten, what) = if known_from(name.split(' ').next().unwrap().parse().unwrap()).is_empty() {
            (3, "cuts")
        } else {
            (8, "late cuts")
        };
        assert!(
            late_events * 10 >= late * of_ten,
            "{name}: {late_events} of {late} {what}"
        );
    }
}

fn check(batch: &EventBatch, whole: &EventBatch, kind: SourceKind, text: &str, tally: &mut Tally) {
    assert!(
        batch.events.len() + batch.dead_letters.len() > 0,
        "{kind}: nothing is left of {text}"
    );
    for letter in &batch.dead_letters {
        if let SourceKind::Source(source) = kind {
            assert!(
                letter.detail.contains(source.name()),
                "{kind}: {} of {text}",
                letter.detail
            );
        }
    }
    for event in &batch.events {
        let Some(same) = whole
            .events
            .iter()
            .find(|whole| whole.position.index == event.position.index)
        else {
            *tally.other.entry("an event more".to_owned()).or_default() += 1;
            continue;
        };
        // A member of a batch that was not cut is what it is.
        if event == same {
            continue;
        }
        if !is_truncated(event) {
            *tally.other.entry("not marked".to_owned()).or_default() += 1;
        }
        // Whose line of the journal it is, its program says, and that may be missing.
        let of_journal = event.source == Source::Journald;
        if event.source != same.source && !of_journal {
            *tally.other.entry(format!("as {}", event.source)).or_default() += 1;
            continue;
        }
        for (id, value) in event.fields.iter() {
            // Of a record whose time stood after the cut, it is said that it has another's.
            let about_cut = matches!(id, FieldId::Truncated | FieldId::TimeOrigin);
            if !about_cut && !is_part(id, value, same) {
                let what = format!(
                    "{id} {} not {}",
                    value.to_text(),
                    same.fields.get(id).map(Value::to_text).unwrap_or_default()
                );
                *tally.other.entry(what).or_default() += 1;
            }
        }
    }
}

/// A record of an API server whose body is as long as its caller likes.
fn padded(length: usize) -> String {
    let pad = "x".repeat(length);
    format!(
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"RequestResponse","auditID":"c-1","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/shop/pods","verb":"create","user":{{"username":"eve@shop.example","groups":["system:authenticated"]}},"sourceIPs":["203.0.113.66"],"userAgent":"curl/8","objectRef":{{"resource":"pods","namespace":"shop","name":"m","apiVersion":"v1"}},"responseStatus":{{"metadata":{{}},"code":201}},"requestObject":{{"metadata":{{"annotations":{{"pad":"{pad}"}}}},"spec":{{"hostPID":true,"containers":[{{"name":"m","image":"evil.example/m:1"}}]}}}},"requestReceivedTimestamp":"2026-11-24T10:00:00.000000Z","stageTimestamp":"2026-11-24T10:00:00.010000Z"}}"#
    )
}

/// What is put around a record's text on the way, with the kind of topic that it comes by.
fn around(text: &str) -> Vec<(&'static str, SourceKind, String)> {
    use base64::Engine as _;
    let quoted = serde_json::to_string(text).unwrap();
    let base64 = base64::engine::general_purpose::STANDARD.encode(text);
    let audit = SourceKind::Source(Source::KubernetesAudit);
    vec![
        ("bare", SourceKind::Auto, text.to_owned()),
        (
            "AKS",
            SourceKind::Auto,
            format!(
                r#"{{"records":[{{"category":"kube-audit","operationName":"x/y/Read","resourceId":"/SUBSCRIPTIONS/S/PROVIDERS/P/MANAGEDCLUSTERS/C","time":"2026-11-24T10:00:05Z","properties":{{"log":{quoted},"stream":"stdout"}}}}]}}"#
            ),
        ),
        (
            "CloudWatch",
            SourceKind::Auto,
            format!(
                r#"{{"owner":"1","logGroup":"/aws/eks/c/cluster","logStream":"kube-apiserver-audit-1","logEvents":[{{"id":"1","timestamp":1795514405000,"message":{quoted}}}]}}"#
            ),
        ),
        (
            "Pub/Sub",
            audit,
            format!(r#"{{"message":{{"data":"{base64}","publishTime":"2026-11-24T10:00:05Z"}},"subscription":"s"}}"#),
        ),
        (
            "SNS",
            SourceKind::Auto,
            format!(r#"{{"Type":"Notification","Timestamp":"2026-11-24T10:00:05Z","Message":{quoted}}}"#),
        ),
        (
            "Filebeat",
            SourceKind::Auto,
            format!(r#"{{"@timestamp":"2026-11-24T10:00:05Z","agent":{{"type":"filebeat"}},"message":{quoted}}}"#),
        ),
        (
            "OpenTelemetry",
            SourceKind::Auto,
            format!(
                r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"timeUnixNano":"1795514405000000000","body":{{"stringValue":{quoted}}}}}]}}]}}]}}"#
            ),
        ),
    ]
}

#[test]
fn a_long_body_hides_no_request_whatever_is_around_it() {
    let whole = padded(20_000);
    let cut = &whole[..16_384];
    for (name, kind, payload) in around(cut) {
        let batch = decode(kind, payload.as_bytes());
        let [event] = batch.events.as_slice() else {
            panic!("{name}: {:?}", batch.dead_letters);
        };
        assert!(is_truncated(event) && batch.dead_letters.is_empty(), "{name}");
        for (id, want) in [
            (FieldId::UserName, "eve@shop.example"),
            (FieldId::EventAction, "create"),
            (FieldId::OrchestratorResourceType, "pods"),
            (FieldId::SourceIp, "203.0.113.66"),
            (FieldId::EventOutcome, "success"),
            (FieldId::PodRisks, ""),
        ] {
            assert_eq!(super::text(event, id), want, "{name}: {id}");
        }
        // Nothing in what is left says when it was: the envelope does, else the broker.
        let want = if name == "bare" {
            "2026-11-24T00:00:00Z"
        } else {
            "2026-11-24T10:00:05Z"
        };
        assert_eq!(event.time.to_string(), want, "{name}");
    }
    for (name, kind, payload) in around(&whole) {
        let batch = decode(kind, payload.as_bytes());
        assert!(!is_truncated(&batch.events[0]), "{name}");
        assert_eq!(batch.events[0].time.to_string(), "2026-11-24T10:00:00.010Z", "{name}");
        assert_eq!(
            super::text(&batch.events[0], FieldId::PodRisks),
            r#"["host_pid"]"#,
            "{name}"
        );
        // Cut with what is around it, it says the same: under `auto` not where it may be a container's output.
        let kind = match name {
            "Filebeat" | "OpenTelemetry" => SourceKind::Source(Source::KubernetesAudit),
            _ => kind,
        };
        let batch = decode(kind, &payload.as_bytes()[..16_384]);
        let [event] = batch.events.as_slice() else {
            panic!("{name}, cut with its envelope: {:?}", batch.dead_letters);
        };
        assert!(is_truncated(event), "{name}");
        assert_eq!(super::text(event, FieldId::UserName), "eve@shop.example", "{name}");
    }
}

/// Whatever runs in a pod can print an audit event, and make it as long as it likes.
#[test]
fn what_a_container_prints_passes_for_nothing_else_where_its_envelope_is_cut() {
    let printed = serde_json::to_string(&padded(20_000)).unwrap();
    for payload in [
        format!(
            r#"{{"@timestamp":"2026-11-24T10:00:00Z","agent":{{"type":"filebeat"}},"message":{printed},"container":{{"id":"c"}}}}"#
        ),
        format!(
            r#"{{"file":"/x","source_type":"kubernetes_logs","message":{printed},"stream":"stdout","kubernetes":{{}}}}"#
        ),
        format!(r#"{{"log":{printed},"stream":"stdout","time":"2026-11-24T10:00:00Z"}}"#),
        format!(
            r#"{{"logName":"projects/p/logs/stdout","timestamp":"2026-11-24T10:00:00Z","textPayload":{printed},"resource":{{"type":"k8s_container"}}}}"#
        ),
        format!(
            r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"timeUnixNano":"1795514405000000000","body":{{"stringValue":{printed}}},"attributes":[{{"key":"log.iostream","value":{{"stringValue":"stdout"}}}}]}}]}}]}}]}}"#
        ),
    ] {
        for cut in [payload.len() - 1, payload.len() - 30, 16_384, 2_000] {
            let batch = decode(SourceKind::Auto, &payload.as_bytes()[..cut]);
            assert!(
                batch.events.iter().all(|event| event.source != Source::KubernetesAudit),
                "{} of {}",
                cut,
                &payload[..60]
            );
        }
    }
}

#[test]
fn a_batch_cut_in_one_member_keeps_the_others_as_they_are() {
    let (first, second) = (padded(1), padded(9));
    let list = format!(r#"{{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{first},{second}]}}"#);
    for kind in [SourceKind::Auto, SourceKind::Source(Source::KubernetesAudit)] {
        let batch = decode(kind, &list.as_bytes()[..list.len() - 100]);
        assert_eq!(batch.events.iter().map(is_truncated).collect::<Vec<_>>(), [false, true]);
        let alone = decode(kind, first.as_bytes());
        assert_eq!(batch.events[0].id, alone.events[0].id);
        // Between two of them nothing says how many more there were.
        let between = list.find(&second).unwrap();
        let batch = decode(kind, &list.as_bytes()[..between]);
        assert_eq!(
            (batch.events.len(), super::reasons(&batch)),
            (1, vec![("invalid_json", 1)])
        );
        assert!(!is_truncated(&batch.events[0]));
    }
}

#[test]
fn a_request_is_known_from_its_uri_where_its_object_is_cut_off() {
    let agent = "a".repeat(20_000);
    let exec = format!(
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"c-2","stage":"ResponseStarted","requestURI":"/api/v1/namespaces/shop/pods/cart-0/exec?command=sh&container=c","verb":"create","user":{{"username":"eve"}},"sourceIPs":["203.0.113.66"],"userAgent":"{agent}"#
    );
    let in_uri = format!(
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"c-3","stage":"ResponseStarted","requestURI":"/api/v1/namespaces/shop/pods/cart-0/exec?command={agent}"#
    );
    // The last address is the peer's: of a list without its end, none is known to be.
    let addresses = r#""203.0.113.7","#.repeat(2_000);
    let forwarded = format!(
        r#"{{"auditID":"c-4","stage":"ResponseComplete","requestURI":"/api/v1/secrets","verb":"list","user":{{"username":"eve"}},"sourceIPs":[{addresses}"#
    );
    let batch = decode(SourceKind::Auto, &forwarded.as_bytes()[..16_384]);
    assert_eq!(super::text(&batch.events[0], FieldId::UserName), "eve");
    assert_eq!(super::text(&batch.events[0], FieldId::SourceIp), "");
    for (text, user, command) in [(&exec, "eve", "sh"), (&in_uri, "", "")] {
        let batch = decode(SourceKind::Auto, &text.as_bytes()[..16_384]);
        let event = &batch.events[0];
        for (id, want) in [
            (FieldId::OrchestratorResourceType, "pods"),
            (FieldId::OrchestratorResourceSubresource, "exec"),
            (FieldId::OrchestratorNamespace, "shop"),
            (FieldId::KubernetesPodName, "cart-0"),
            (FieldId::AuditDecisive, "true"),
            (FieldId::UserName, user),
            (FieldId::ProcessCommandLine, command),
        ] {
            assert_eq!(super::text(event, id), want, "{id}");
        }
    }
}

#[test]
fn two_cut_records_are_two_events_and_one_that_comes_twice_is_one() {
    let cut = |audit_id: &str| padded(20_000).replace("c-1", audit_id)[..16_384].to_owned();
    let id = |text: &str, time: &str| {
        let payload = around(text)[1].2.replace("2026-11-24T10:00:05Z", time);
        decode(SourceKind::Auto, payload.as_bytes()).events[0].id
    };
    let (early, late) = ("2026-11-24T10:00:05Z", "2026-11-24T10:00:06Z");
    assert_eq!(id(&cut("c-1"), early), id(&cut("c-1"), early));
    assert_ne!(id(&cut("c-1"), early), id(&cut("c-2"), early));
    assert_ne!(id(&cut("c-1"), early), id(&cut("c-1"), late));
}

#[test]
fn containers_lines_of_cut_json_are_read() {
    let json = r#"{"level":"info","user":"bob","remote_ip":"203.0.113.7","pad":"xxxxxxxx"#;
    let docker = serde_json::to_string(&format!("{json}\n")).unwrap();
    for payload in [
        format!("2026-11-24T10:00:00.1Z stdout F {json}"),
        format!("2026-11-24T10:00:00.1Z stdout P {json}"),
        format!(r#"{{"log":{docker},"stream":"stdout","time":"2026-11-24T10:00:00.1Z"}}"#),
        format!(r#"{{"log":{}"#, &docker[..docker.len() - 6]),
    ] {
        let batch = decode(SourceKind::Auto, payload.as_bytes());
        let event = &batch.events[0];
        assert_eq!(event.source, Source::ContainerLog, "{payload}");
        assert!(is_truncated(event), "{payload}");
        assert_eq!(super::text(event, FieldId::UserName), "bob", "{payload}");
        assert_eq!(super::text(event, FieldId::SourceIp), "203.0.113.7", "{payload}");
        assert!(event.native().get("pad").is_none(), "{payload}");
    }
    // A line that was joined is whole.
    let mut batch = EventBatch::default();
    let mut decoder = Decoder::new(SourceKind::Auto);
    for (n, line) in [(1, "stdout P {\"a\":\"x"), (2, "stdout F y\"}")] {
        let record = super::record("cut", n, &format!("2026-11-24T10:00:00.{n}Z {line}"));
        decoder.decode(&record, super::now(), &mut batch);
    }
    let [event] = batch.events.as_slice() else {
        panic!("{batch:?}")
    };
    assert!(!is_truncated(event) && event.native().get("partial").is_none());
    assert_eq!(event.native().str_at(&["a"]), Some("xy"));
    // Half an address is another address.
    let half = r#"{"stream":"stdout","time":"2026-11-24T10:00:00Z","log":"level=warn msg=x remote_addr=203.0.113.1"#;
    let batch = decode(SourceKind::Auto, half.as_bytes());
    assert!(is_truncated(&batch.events[0]));
    assert_eq!(super::text(&batch.events[0], FieldId::SourceIp), "");
}

#[test]
fn a_value_that_cannot_be_held_costs_itself_only() {
    let deep = format!("{}1{}", r#"{"a":"#.repeat(300), "}".repeat(300));
    let odd = [
        r#""\ud800""#.to_owned(),
        r#""\x22""#.to_owned(),
        "1e999".to_owned(),
        "-1E+400".to_owned(),
        "9".repeat(500),
        deep,
    ];
    for source in Source::ALL {
        for line in lines_of(*source) {
            let kind = SourceKind::Source(*source);
            let whole = decode(kind, line.as_bytes());
            // An envelope's own values are as much as the record's.
            let opening = line.find('{').unwrap() + 1;
            for odd in &odd {
                let text = format!("{}\"zz\":{odd},{}", &line[..opening], &line[opening..]);
                let batch = decode(kind, text.as_bytes());
                assert!(
                    batch.dead_letters.is_empty(),
                    "{kind}: {text}: {:?}",
                    batch.dead_letters
                );
                assert_eq!(batch.events.len(), whole.events.len(), "{kind}: {text}");
                for (event, whole) in batch.events.iter().zip(&whole.events) {
                    assert_eq!(is_truncated(event), is_truncated(whole), "{kind}: {text}");
                    for (id, value) in whole.fields.iter() {
                        assert!(
                            id == FieldId::Message || event.fields.get(id) == Some(value),
                            "{kind}: {id} of {text}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn what_is_broken_and_not_cut_stays_a_dead_letter() {
    for source in Source::ALL {
        for line in lines_of(*source) {
            let kind = SourceKind::Source(*source);
            // Any bracket too few or too many, and garbage between two values.
            for broken in [
                line.replacen(":", ":,", 1),
                line.replacen(",\"", ",,\"", 1),
                line.replacen(":\"", ":garbage\"", 1),
                format!("{}\u{1}", &line[..line.len() - 1]),
            ] {
                let batch = decode(kind, broken.as_bytes());
                assert!(
                    batch.events.iter().all(|event| !is_truncated(event)),
                    "{kind}: {broken}"
                );
                // What is broken between the members of a batch costs none of them.
                let all = batch.events.len() == decode(kind, line.as_bytes()).events.len();
                assert!(!batch.dead_letters.is_empty() || all, "{kind}: {broken}");
            }
        }
    }
}

/// The cases of the folder beside the workspace.
#[test]
fn the_cases_beside_the_workspace() {
    if let Some(path) = super::samples("../cases/09-aks-truncated.json") {
        let payload = std::fs::read(path).unwrap();
        for kind in [SourceKind::Auto, SourceKind::Source(Source::KubernetesAudit)] {
            let batch = decode(kind, payload.trim_ascii());
            assert!(batch.dead_letters.is_empty(), "{:?}", batch.dead_letters);
            assert_eq!(batch.events.iter().map(is_truncated).collect::<Vec<_>>(), [true, false]);
        }
    }
    if let Some(path) = super::samples("../cases/04-json-patch.json") {
        let text = std::fs::read_to_string(path).unwrap();
        let batch = decode(SourceKind::Source(Source::KubernetesAudit), text.as_bytes());
        let of = |n: usize, id: FieldId| super::text(&batch.events[n], id);
        assert_eq!(of(0, FieldId::ContainerImageName), "evil.example.com/x:1");
        assert_eq!(of(0, FieldId::PodRisks), r#"["host_pid","privileged"]"#);
        assert_eq!(of(1, FieldId::ContainerImageName), "evil.example.com/x:3");
    }
    let Some(path) = super::samples("../cases/decode.jsonl") else {
        return;
    };
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let what = case["what"].as_str().unwrap();
        if what.contains("keeps the fields") {
            let kind = case["source"].as_str().unwrap().parse().unwrap();
            let batch = decode(kind, case["input"].as_str().unwrap().as_bytes());
            assert_eq!(super::text(&batch.events[0], FieldId::UserName), "mallory", "{what}");
            assert!(!is_truncated(&batch.events[0]), "{what}");
        }
    }
}
