//! OpenTelemetry logs as JSON (OTLP 1.x, `ExportLogsServiceRequest`): resources hold scopes, which hold log records.

use casebook_event::{FieldId, Timestamp, Value};
use compact_str::CompactString;

use super::opened::{Envelope, Inner};
use super::shipper::is_container_file;
use crate::decode::marks;
use crate::format::json;
use crate::limits::MAX_OTLP_DEPTH;
use casebook_event::json::Members;

/// The log records of a request, each with what its resource says.
pub(super) fn members(text: &str) -> Vec<(&str, Option<Envelope>)> {
    let mut found = Vec::new();
    let inner = |text, key| Members::of_object(text, &[key]).into_iter().flatten();
    for resource_logs in inner(text, "resourceLogs") {
        let envelope = serde_json::from_str::<Value>(resource_logs)
            .ok()
            .or_else(|| json::recover(resource_logs).map(|recovered| recovered.value))
            .and_then(|value| value.at(&["resource", "attributes"]).map(resource))
            .unwrap_or_default();
        for scope_logs in inner(resource_logs, "scopeLogs") {
            for record in inner(scope_logs, "logRecords") {
                found.push((record, Some(envelope.clone())));
            }
        }
    }
    found
}

/// Attributes of resources (OpenTelemetry semantic conventions, "Resource") and the fields they are.
const RESOURCE_FIELDS: &[(&str, FieldId)] = &[
    ("host.name", FieldId::HostName),
    ("host.id", FieldId::HostId),
    ("k8s.cluster.name", FieldId::OrchestratorClusterName),
    ("k8s.namespace.name", FieldId::OrchestratorNamespace),
    ("k8s.pod.name", FieldId::KubernetesPodName),
    ("k8s.pod.uid", FieldId::KubernetesPodUid),
    ("k8s.pod.ip", FieldId::KubernetesPodIp),
    ("k8s.node.name", FieldId::KubernetesNodeName),
    ("k8s.container.name", FieldId::ContainerName),
    ("container.id", FieldId::ContainerId),
    ("container.image.name", FieldId::ContainerImageName),
    ("container.runtime", FieldId::ContainerRuntime),
    ("cloud.provider", FieldId::CloudProvider),
    ("cloud.account.id", FieldId::CloudAccountId),
    ("cloud.region", FieldId::CloudRegion),
    ("service.name", FieldId::ServiceName),
    ("service.version", FieldId::ServiceVersion),
];

/// What a resource says of its records.
fn resource(attributes: &Value) -> Envelope {
    let entries = key_values(attributes, 0);
    let mut envelope = Envelope::default();
    for (key, value) in &entries {
        if let Some((_, id)) = RESOURCE_FIELDS.iter().find(|(name, _)| name == key) {
            envelope.set(*id, value.as_str());
        }
        envelope.container |= key == "k8s.container.name";
    }
    envelope.entries.push(("resource".into(), Value::Map(entries)));
    envelope
}

/// One log record (OTLP `LogRecord`).
pub(super) fn record(value: Value, hidden: bool) -> (Inner, Envelope) {
    let nanos = |key: &str| {
        let nanos = match value.get(key)? {
            Value::Int(nanos) => *nanos,
            Value::Str(text) => text.parse().ok()?,
            _ => return None,
        };
        (nanos > 0).then(|| Timestamp::from_nanos(nanos))
    };
    let time = nanos("timeUnixNano").or_else(|| nanos("observedTimeUnixNano"));
    let attributes = value.get("attributes").map(|a| key_values(a, 0)).unwrap_or_default();
    let body = value.get("body").map(|body| any_value(body, 0)).unwrap_or_default();
    let attribute = |key: &str| {
        let found = attributes.iter().find(|(k, _)| k == key);
        found.and_then(|(_, value)| value.as_str())
    };
    let file = attribute("log.file.path").map(CompactString::new);
    let stream = attribute("log.iostream").map(CompactString::new);
    let mut envelope = Envelope {
        time,
        container: stream.is_some() || file.as_deref().is_some_and(is_container_file),
        file,
        ..Envelope::default()
    };
    for (key, id) in [("traceId", FieldId::TraceId), ("spanId", FieldId::SpanId)] {
        envelope.set(id, value.str_at(&[key]));
    }
    let level = value.str_at(&["severityText"]).map(Value::str);
    envelope.entries.push(("attributes".into(), Value::Map(attributes)));
    let mut record: Vec<(CompactString, Value)> = Vec::new();
    let mut push = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            record.push((key.into(), value));
        }
    };
    let inner = if envelope.container {
        push("log", Some(Value::str(body.to_text())));
        // Whole: only docker's own records say by a newline where a line ends.
        push("logtag", Some(Value::str("F")));
        push("stream", stream.map(Value::Str));
        push("time", time.map(|time| Value::str(time.to_string())));
        Inner::Value(Value::Map(record))
    } else {
        match body {
            Value::Map(entries) if !hidden => {
                push("severity", level);
                record.extend(entries);
                Inner::Value(Value::Map(record))
            }
            Value::Str(text) if !hidden && marks::detect_text(&text).is_some() => Inner::Text(text.into_string()),
            body => {
                push("message", Some(Value::str(body.to_text())));
                push("severity", level);
                push("@timestamp", time.map(|time| Value::str(time.to_string())));
                Inner::Value(Value::Map(record))
            }
        }
    };
    (inner, envelope)
}

/// `[{"key":…,"value":AnyValue}]` as entries.
fn key_values(list: &Value, depth: usize) -> Vec<(CompactString, Value)> {
    let items = list.as_list().unwrap_or_default();
    items
        .iter()
        .filter_map(|item| {
            let key = item.get("key")?.as_str()?;
            Some((
                key.into(),
                item.get("value").map(|v| any_value(v, depth)).unwrap_or_default(),
            ))
        })
        .collect()
}

/// OTLP's `AnyValue`, in which every value says its type, as a plain value.
fn any_value(value: &Value, depth: usize) -> Value {
    let Value::Map(entries) = value else {
        return Value::Null;
    };
    let Some((kind, inner)) = entries.first() else {
        return Value::Null;
    };
    if depth >= MAX_OTLP_DEPTH {
        return Value::str(inner.to_text());
    }
    match (kind.as_str(), inner) {
        // 64-bit numbers are texts in protobuf's JSON.
        ("intValue", Value::Str(text)) => text.parse().map_or_else(|_| inner.clone(), Value::Int),
        ("arrayValue", list) => {
            let items = list.get("values").and_then(Value::as_list).unwrap_or_default();
            Value::List(items.iter().map(|item| any_value(item, depth + 1)).collect())
        }
        ("kvlistValue", list) => Value::Map(
            list.get("values")
                .map(|values| key_values(values, depth + 1))
                .unwrap_or_default(),
        ),
        (_, inner) => inner.clone(),
    }
}
