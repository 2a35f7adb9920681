//! Applications and web servers against what Google's Ops Agent makes of the same lines, and containers' output as Fluent Bit
//! sends it on.

use std::collections::BTreeMap;

use casebook_event::{Event, EventBatch, FieldId, Source, Timestamp, Value};
use casebook_ingest::{Decoder, SourceKind};

use super::{check, count, decode, files, find, identities, now, reasons, record, samples, text};

/// The entries of an expected output of the Ops Agent: paths of keys, and their texts. Only what its YAML uses is read.
fn entries(yaml: &str) -> Vec<BTreeMap<String, String>> {
    let mut entries: Vec<BTreeMap<String, String>> = Vec::new();
    let mut path: Vec<(usize, &str)> = Vec::new();
    // After the entries, the agent says what went wrong.
    let lines = yaml.lines().enumerate();
    for (_, line) in lines.take_while(|(number, line)| *number == 0 || !line.starts_with("- ")) {
        let begins = line.starts_with("  - ");
        if begins {
            entries.push(BTreeMap::new());
            path.clear();
        }
        let indent = if begins {
            4
        } else {
            line.len() - line.trim_start().len()
        };
        let Some(entry) = entries.last_mut().filter(|_| indent >= 4) else {
            continue;
        };
        let Some((key, value)) = line.get(indent..).and_then(|rest| rest.split_once(':')) else {
            continue;
        };
        while path.last().is_some_and(|(outer, _)| *outer >= indent) {
            path.pop();
        }
        path.push((indent, key));
        let value = value.trim();
        let value = match value.as_bytes() {
            [b'"', ..] => serde_json::from_str(value).unwrap(),
            [b'\'', .., b'\''] => value[1..value.len() - 1].replace("''", "'"),
            _ => value.to_owned(),
        };
        let keys: Vec<&str> = path.iter().map(|(_, key)| *key).collect();
        entry.insert(keys.join("."), value);
    }
    entries
}

/// A path of the Ops Agent, and what is said there here.
type GoldenField = (&'static str, fn(&Event) -> String);

const GOLDEN_FIELDS: &[GoldenField] = &[
    ("timestamp", |event| event.time.to_string()),
    ("httpRequest.remoteIp", |event| text(event, FieldId::SourceIp)),
    ("httpRequest.requestMethod", |event| {
        text(event, FieldId::HttpRequestMethod)
    }),
    ("httpRequest.requestUrl", |event| text(event, FieldId::UrlOriginal)),
    ("httpRequest.status", |event| {
        text(event, FieldId::HttpResponseStatusCode)
    }),
    ("httpRequest.responseSize", |event| {
        text(event, FieldId::HttpResponseBytes)
    }),
    ("httpRequest.userAgent", |event| text(event, FieldId::UserAgentOriginal)),
    ("httpRequest.referer", |event| text(event, FieldId::HttpRequestReferrer)),
    ("httpRequest.protocol", |event| {
        format!("HTTP/{}", text(event, FieldId::HttpVersion))
    }),
    ("jsonPayload.user", |event| text(event, FieldId::UserName)),
    ("jsonPayload.client", |event| text(event, FieldId::SourceIp)),
    ("jsonPayload.pid", |event| text(event, FieldId::ProcessPid)),
    ("jsonPayload.level", |event| text(event, FieldId::LogLevel)),
    ("jsonPayload.log.level", |event| {
        text(event, FieldId::LogLevel).to_uppercase()
    }),
    ("jsonPayload.log.logger", |event| text(event, FieldId::LogLogger)),
    ("jsonPayload.event.code", |event| text(event, FieldId::EventCode)),
    ("jsonPayload.process.thread.name", |event| {
        text(event, FieldId::ProcessThreadName)
    }),
    ("jsonPayload.service.name", |event| text(event, FieldId::ServiceName)),
    ("jsonPayload.message", |event| text(event, FieldId::Message)),
    ("jsonPayload.component", |event| text(event, FieldId::LogLogger)),
    ("jsonPayload.context", |event| text(event, FieldId::ProcessThreadName)),
    ("jsonPayload.id", |event| text(event, FieldId::EventCode)),
];

#[test]
fn lines_agree_with_the_ops_agent() {
    let mut differences: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (mut events, mut agreed) = (0, 0);
    for (name, output, source) in [
        ("nginx-access", "otel", Source::WebAccess),
        ("apache-access", "otel", Source::WebAccess),
        ("nginx-error", "otel", Source::WebAccess),
        ("mongodb", "otel", Source::Application),
        ("elasticsearch-json-ecs", "fluentbit", Source::Application),
        ("parse_json", "otel", Source::ContainerLog),
    ] {
        let Some(directory) = samples(&format!("app/opsagent_{name}")) else {
            return;
        };
        let batch = decode(&directory.join("input.log"), SourceKind::Source(source));
        let golden = std::fs::read_to_string(directory.join(format!("output_{output}.yaml"))).unwrap();
        let wanted = entries(&golden);
        assert_eq!(batch.events.len(), wanted.len(), "{name}: {:?}", batch.dead_letters);
        for (event, want) in batch.events.iter().zip(wanted) {
            events += 1;
            for (key, ours) in GOLDEN_FIELDS {
                let Some(want) = want.get(*key) else { continue };
                // The agent takes the present where it finds no time, and some messages are objects.
                if want == "now" || want.is_empty() {
                    continue;
                }
                let (got, mut want) = (ours(event), want.trim().to_owned());
                if let Some(time) = Timestamp::parse_rfc3339(&want) {
                    want = time.to_string();
                }
                // A message is the whole line here, so that nothing of it is lost to a rule.
                if got == want || (*key == "jsonPayload.message" && got.contains(&want)) {
                    agreed += 1;
                } else {
                    let all = differences.entry(format!("{name} {key}")).or_default();
                    all.push(format!("{got:?}, not {want:?}"));
                }
            }
        }
    }
    report(events, agreed, &differences, KNOWN_DIFFERENCES);
}

/// Prints what agrees and what does not, and checks that the latter is known.
fn report(events: usize, agreed: usize, differences: &BTreeMap<String, Vec<String>>, known: &[(&str, usize)]) {
    println!("{events} events, {agreed} fields agree");
    for (field, all) in differences {
        println!("{field}: {}", all.len());
        all.iter().for_each(|one| println!("    {one}"));
    }
    let found: Vec<(&str, usize)> = differences
        .iter()
        .map(|(field, all)| (field.as_str(), all.len()))
        .collect();
    assert_eq!(found, known);
}

/// Where we say something else than the Ops Agent, and why.
const KNOWN_DIFFERENCES: &[(&str, usize)] = &[
    // What MongoDB wrote before 4.4 is read as an application's text: its parts have no names.
    ("mongodb jsonPayload.component", 1),
    ("mongodb jsonPayload.context", 1),
    // nginx writes the local time without its zone: UTC here; the agent's tests ran seven hours west of it.
    ("nginx-error timestamp", 6),
];

/// What Fluent Bit's filter for Kubernetes adds to a record, and the field that holds it here.
const METADATA: &[(&[&str], FieldId)] = &[
    (&["pod_name"], FieldId::KubernetesPodName),
    (&["pod_id"], FieldId::KubernetesPodUid),
    (&["namespace_name"], FieldId::OrchestratorNamespace),
    (&["container_name"], FieldId::ContainerName),
    (&["docker_id"], FieldId::ContainerId),
    (&["container_image"], FieldId::ContainerImageName),
    (&["host"], FieldId::KubernetesNodeName),
];

#[test]
fn records_of_fluent_bit_name_the_pod() {
    let Some(directory) = samples("container/fluentbit_kubernetes/out") else {
        return;
    };
    let mut differences: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (mut events, mut agreed) = (0, 0);
    for path in files(&directory) {
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            let Ok(Value::List(pair)) = serde_json::from_str::<Value>(line) else {
                continue;
            };
            let [_, sent] = &pair[..] else { continue };
            let mut batch = EventBatch::default();
            let payload = serde_json::to_string(sent).unwrap();
            Decoder::new(SourceKind::Source(Source::ContainerLog)).decode(
                &record("out", 0, &payload),
                now(),
                &mut batch,
            );
            let [event] = &batch.events[..] else {
                panic!("{}: {payload}: {:?}", path.display(), batch.dead_letters)
            };
            events += 1;
            let mut compare = |name: String, got: &str, want: &str| {
                if got == want {
                    agreed += 1;
                } else {
                    differences
                        .entry(name)
                        .or_default()
                        .push(format!("{got:?}, not {want:?}"));
                }
            };
            for (keys, id) in METADATA {
                let keys: Vec<&str> = ["kubernetes"].iter().chain(*keys).copied().collect();
                if let Some(want) = sent.str_at(&keys) {
                    compare(keys.join("."), &text(event, *id), want);
                }
            }
            if let Some(want) = sent.str_at(&["message"]).or_else(|| sent.str_at(&["log"]))
                && !want.trim_start().starts_with('{')
            {
                compare("log".into(), &text(event, FieldId::Message), want.trim_end());
            }
        }
    }
    assert!(events > 50, "{events}");
    report(events, agreed, &differences, KNOWN_OF_FLUENT_BIT);
}

/// Where we say something else than Fluent Bit, and why.
const KNOWN_OF_FLUENT_BIT: &[(&str, usize)] = &[];

#[test]
fn container_logs() {
    if let Some(events) = check("container/plaso_cri.log", Source::ContainerLog, 16, &[]) {
        // The first line was cut: its rest is the next one of its stream, and the time is that of its beginning.
        let joined = find(&events, "a joined line", |event| {
            text(event, FieldId::Message).starts_with("log content 1")
        });
        assert_eq!(joined.time.to_string(), "2016-10-06T00:17:09.669794202Z");
        assert_eq!(joined.native().str_at(&["stream"]), Some("stdout"));
        assert_eq!(joined.raw.lines().count(), 2);
    }
    if let Some(events) = check("container/plaso_docker_json_file.log", Source::ContainerLog, 10, &[]) {
        let last = &events[9];
        assert_eq!(last.time.to_string(), "2016-01-07T16:49:10.237222729Z");
        assert!(text(last, FieldId::Message).ends_with("# ls"));
        assert_eq!(identities(&events), 10);
    }
    if let Some(events) = check("container/fluentbit_kubernetes/log", Source::ContainerLog, 95, &[]) {
        assert!(
            events
                .iter()
                .all(|event| event.time.to_string().starts_with("2019-04-01T17:58:33."))
        );
        let nested = find(&events, "a nested object", |event| {
            event.raw.contains("embedded") && event.raw.contains("stringified-json")
        });
        assert!(
            nested.native().str_at(&["text"]).unwrap().starts_with("quoted"),
            "{:?}",
            nested.native()
        );
    }
    // These say nothing but their text: they are distinguished by where they stand.
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
        if let Some(events) = events {
            assert_eq!(identities(&events), lines);
        }
    }
    check("app/opsagent_parse_json/input.log", Source::ContainerLog, 1, &[]);
}

#[test]
fn application_logs() {
    let events = check(
        "app/opsagent_elasticsearch-json-ecs/input.log",
        Source::Application,
        6,
        &[],
    );
    if let Some(events) = events {
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
    if let Some(events) = events {
        assert!(
            events
                .iter()
                .all(|event| event.time.to_string() == "2006-07-28T13:22:04Z")
        );
    }
}
