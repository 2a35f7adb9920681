//! Log shippers: Fluent Bit, Fluentd, Vector, Filebeat, Elastic Agent and Logstash put a line under one key of an object
//! and say beside it where they read it.

use casebook_event::{FieldId, Source, Value};
use compact_str::CompactString;

use super::opened::{Envelope, Inner, Opened, wants_inner};
use crate::decode::marks;
use crate::format::epoch;
use crate::normalize;
use crate::source_kind::SourceKind;

/// Where shippers put the line, best first.
const TEXT_KEYS: &[&str] = &["message", "log", "MESSAGE", "line", "event.original"];

/// Where they put the time at which they read it.
const TIME_KEYS: &[&str] = &["@timestamp", "timestamp", "date", "time"];

/// What only a shipper writes beside a line.
const MARKS: &[&str] = &[
    "agent",
    "@metadata",
    "@version",
    "source_type",
    "input",
    "file",
    "filename",
    "path",
    "filepath",
    "tag",
    "input_type",
];

/// Opens a shipper's object. What a container printed stays a leaf: its normalizer reads the shipper's keys itself.
pub(super) fn open(value: Value, kind: SourceKind, outer: &Envelope) -> Opened {
    let Value::Map(entries) = &value else {
        return Opened::Leaf(value);
    };
    let Some(key) = text_key(&value) else {
        return Opened::Leaf(value);
    };
    let open = match kind {
        SourceKind::Source(Source::ContainerLog) => false,
        _ if wants_inner(kind) => true,
        _ => {
            let container = outer.container || is_container(&value);
            let marked = entries.iter().any(|(key, _)| MARKS.contains(&key.as_str()));
            let text = value.get(key).and_then(Value::as_str).unwrap_or_default();
            let own = || {
                normalize::OBJECTS
                    .iter()
                    .any(|(_, recognize)| recognize(&value).is_some())
            };
            !container && marked && !own() && marks::detect_text(text).is_some_and(|source| allows(kind, source))
        }
    };
    if !open {
        return Opened::Leaf(value);
    }
    let envelope = envelope(&value);
    let Value::Map(mut entries) = value else {
        return Opened::Leaf(Value::Null);
    };
    let at = entries.iter().position(|(k, _)| k == key);
    let text = match at.map(|at| entries.remove(at).1) {
        Some(Value::Str(text)) => text.into_string(),
        _ => String::new(),
    };
    Opened::One(Inner::Text(text), Box::new(Envelope { entries, ..envelope }))
}

/// Whether a topic of that kind takes lines of `source` out of a shipper's object.
fn allows(kind: SourceKind, source: Source) -> bool {
    match kind {
        SourceKind::Auto => true,
        SourceKind::Source(kind) => kind == source,
    }
}

fn text_key(value: &Value) -> Option<&'static str> {
    let text = |key: &&&str| value.get(key).and_then(Value::as_str).is_some();
    TEXT_KEYS.iter().find(text).copied()
}

/// Whether the object is a container's output: its runtime's stream, or the kubelet's file.
fn is_container(value: &Value) -> bool {
    let has = |key: &str| value.get(key).is_some();
    has("stream")
        || has("logtag")
        || has("container_id")
        || matches!(value.get("kubernetes"), Some(Value::Map(_)))
        || matches!(value.get("container"), Some(Value::Map(_)))
        || file(value).is_some_and(is_container_file)
}

/// Whether a file is one of the kubelet's or docker's for containers.
pub(crate) fn is_container_file(path: &str) -> bool {
    ["/log/containers/", "/log/pods/", "/docker/containers/"]
        .iter()
        .any(|directory| path.contains(directory))
}

fn file(value: &Value) -> Option<&str> {
    ["file", "filename", "path", "filepath"]
        .iter()
        .find_map(|key| value.str_at(&[key]))
        .or_else(|| value.str_at(&["log", "file", "path"]))
        .or_else(|| value.str_at(&["log.file.path"]))
}

/// Where in its file a line stood: Filebeat says it always, Vector and Fluent Bit where they are configured to (`offset_key`,
/// `Offset_Key`).
fn offset(value: &Value) -> Option<i64> {
    value
        .at(&["log", "offset"])
        .or_else(|| value.get("log.offset"))
        .or_else(|| value.get("offset"))
        .and_then(Value::as_i64)
}

/// What the object says of the place.
fn envelope(value: &Value) -> Envelope {
    let metadata = match value {
        Value::Map(entries) => normalize::pod_metadata::among(entries),
        _ => None,
    };
    let mut envelope = Envelope {
        time: TIME_KEYS.iter().find_map(|key| value.get(key).and_then(epoch::parse)),
        kubernetes: metadata.filter(|v| matches!(v, Value::Map(_))).cloned(),
        file: file(value).map(CompactString::new),
        offset: offset(value),
        ..Envelope::named("a shipper's object")
    };
    let first = |paths: &[&[&str]]| paths.iter().find_map(|path| value.str_at(path));
    for (id, paths) in PLACES {
        envelope.set(*id, first(paths));
    }
    envelope
}

type Paths = &'static [&'static [&'static str]];

/// Each field of the place, and where one shipper or another has it.
const PLACES: &[(FieldId, Paths)] = &[
    (
        FieldId::HostName,
        &[
            &["host", "name"],
            &["host", "hostname"],
            &["host"],
            &["hostname"],
            &["_HOSTNAME"],
            &["agent", "hostname"],
        ],
    ),
    (FieldId::HostId, &[&["host", "id"]]),
    (
        FieldId::OrchestratorClusterName,
        &[&["cluster"], &["cluster_name"], &["orchestrator", "cluster", "name"]],
    ),
    (FieldId::CloudProvider, &[&["cloud", "provider"]]),
    (FieldId::CloudAccountId, &[&["cloud", "account", "id"]]),
    (FieldId::CloudRegion, &[&["cloud", "region"]]),
    (FieldId::CloudInstanceId, &[&["cloud", "instance", "id"]]),
    (FieldId::ContainerId, &[&["container", "id"], &["container_id"]]),
    (FieldId::ContainerName, &[&["container", "name"], &["container_name"]]),
    (FieldId::ContainerImageName, &[&["container", "image", "name"]]),
    (FieldId::ContainerRuntime, &[&["container", "runtime"]]),
];
