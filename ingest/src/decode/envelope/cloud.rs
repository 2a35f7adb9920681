//! Envelopes of clouds and queues: CloudWatch Logs subscriptions, SNS, Pub/Sub, Cloud Logging, Azure diagnostics, and the
//! watch events of the Kubernetes API.

use base64::Engine as _;
use casebook_event::{FieldId, Source, Timestamp, Value};

use super::opened::{Envelope, Inner, Opened};
use crate::format::epoch;
use crate::format::reject::{self, Reject};
use crate::source_kind::SourceKind;

/// Opens what clouds and queues put around one record.
///
/// # Errors
/// A Pub/Sub message whose data is no base64 or no text.
pub(super) fn open(value: Value, kind: SourceKind) -> Result<Opened, Reject> {
    let Value::Map(entries) = &value else {
        return Ok(Opened::Leaf(value));
    };
    for (key, inner) in entries {
        match key.as_str() {
            "message" if inner.str_at(&["data"]).is_some() => return pub_sub(inner),
            "Message" if value.str_at(&["Type"]) == Some("Notification") => return Ok(notification(&value)),
            "object" if is_watch_event(&value) => {
                let envelope = Envelope::named("a Kubernetes watch event");
                return Ok(Opened::One(Inner::Value(inner.clone()), Box::new(envelope)));
            }
            "properties" if is_aks(&value) => return Ok(aks(value)),
            "jsonPayload" | "textPayload" if value.str_at(&["logName"]).is_some() => return Ok(log_entry(value, kind)),
            _ => {}
        }
    }
    Ok(Opened::Leaf(value))
}

/// What a subscription says of all its events (CloudWatch Logs, "Subscription filters").
pub(super) fn cloudwatch(value: &Value) -> Envelope {
    let mut envelope = Envelope::named("a CloudWatch Logs subscription");
    envelope.set(FieldId::CloudProvider, Some("aws"));
    envelope.set(FieldId::CloudAccountId, value.str_at(&["owner"]));
    let group = value.str_at(&["logGroup"]).unwrap_or_default();
    // `/aws/eks/CLUSTER/cluster` and `/aws/containerinsights/CLUSTER/application` name the cluster.
    let cluster = ["/aws/eks/", "/aws/containerinsights/"]
        .iter()
        .find_map(|prefix| group.strip_prefix(prefix)?.split('/').next());
    envelope.set(FieldId::OrchestratorClusterName, cluster);
    for key in ["owner", "logGroup", "logStream"] {
        if let Some(inner) = value.get(key) {
            envelope.entries.push((key.into(), inner.clone()));
        }
    }
    envelope
}

/// One event of a subscription: `id`, `timestamp` in milliseconds, `message`.
pub(super) fn cloudwatch_event(value: Value, _hidden: bool) -> (Inner, Envelope) {
    let envelope = Envelope {
        time: value.get("timestamp").and_then(epoch::parse),
        ..Envelope::default()
    };
    match value.get("message") {
        Some(Value::Str(message)) => (Inner::Text(message.to_string()), envelope),
        _ => (Inner::Value(value), envelope),
    }
}

/// A Pub/Sub message, as pushed or pulled: `{"message":{"data":BASE64,"attributes":{…},"publishTime":…}}`.
fn pub_sub(message: &Value) -> Result<Opened, Reject> {
    let data = message.str_at(&["data"]).unwrap_or_default();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(data)
        .map_err(|error| Reject::new(reject::WRONG_SHAPE, format!("message.data of Pub/Sub: {error}")))?;
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        // It ends within a character: it was cut, and what is left of that is no text.
        Err(error) if error.utf8_error().error_len().is_none() => {
            String::from_utf8_lossy(error.as_bytes()).into_owned()
        }
        Err(error) => return Err(Reject::utf8(error.utf8_error())),
    };
    let mut envelope = Envelope {
        time: message.get("publishTime").and_then(epoch::parse),
        encoded: true,
        ..Envelope::named("a Pub/Sub message")
    };
    for key in ["attributes", "messageId"] {
        if let Some(inner) = message.get(key) {
            envelope.entries.push((key.into(), inner.clone()));
        }
    }
    Ok(Opened::One(Inner::Text(text), Box::new(envelope)))
}

/// An SNS notification, as SQS or an HTTP subscription delivers it.
fn notification(value: &Value) -> Opened {
    let envelope = Envelope {
        time: value.get("Timestamp").and_then(epoch::parse),
        ..Envelope::named("an SNS notification")
    };
    let text = value.str_at(&["Message"]).unwrap_or_default().to_owned();
    Opened::One(Inner::Text(text), Box::new(envelope))
}

/// `{"type":"ADDED","object":{…}}` around a Kubernetes Event (Kubernetes API, "WatchEvent").
fn is_watch_event(value: &Value) -> bool {
    matches!(
        value.str_at(&["type"]),
        Some("ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK")
    ) && value.str_at(&["object", "kind"]) == Some("Event")
}

/// The logs of AKS's control plane come as text inside Azure's resource logs.
fn is_aks(value: &Value) -> bool {
    value.str_at(&["category"]).is_some() && value.str_at(&["properties", "log"]).is_some()
}

fn aks(value: Value) -> Opened {
    let mut envelope = Envelope {
        time: ["time", "timestamp"]
            .iter()
            .find_map(|key| value.get(key).and_then(epoch::parse)),
        ..Envelope::named("an Azure resource log")
    };
    envelope.set(FieldId::CloudProvider, Some("azure"));
    let resource = ["resourceId", "ResourceId", "resourceID"]
        .iter()
        .find_map(|key| value.str_at(&[key]))
        .unwrap_or_default();
    let mut parts = resource.split('/');
    while let Some(part) = parts.next() {
        if part.eq_ignore_ascii_case("subscriptions") {
            envelope.set(FieldId::CloudAccountId, parts.next());
        } else if part.eq_ignore_ascii_case("managedclusters") {
            envelope.set(FieldId::OrchestratorClusterName, parts.next());
        }
    }
    let text = value.str_at(&["properties", "log"]).unwrap_or_default().to_owned();
    if let Value::Map(entries) = value {
        envelope.entries = entries.into_iter().filter(|(key, _)| key != "properties").collect();
    }
    Opened::One(Inner::Text(text), Box::new(envelope))
}

/// A Cloud Logging entry that is no audit record (Cloud Logging API, "LogEntry"): what a container printed, or what an
/// agent read on a machine.
fn log_entry(value: Value, kind: SourceKind) -> Opened {
    let label = |key: &str| value.str_at(&["resource", "labels", key]);
    let resource = value.str_at(&["resource", "type"]).unwrap_or_default();
    let time = ["timestamp", "receiveTimestamp"]
        .iter()
        .find_map(|key| value.str_at(&[key]));
    let mut envelope = Envelope {
        time: time.and_then(Timestamp::parse_rfc3339),
        container: resource == "k8s_container",
        ..Envelope::named("a Cloud Logging entry")
    };
    envelope.set(FieldId::CloudProvider, Some("gcp"));
    for (id, key) in LOG_ENTRY_LABELS {
        envelope.set(*id, label(key));
    }
    let stream = value
        .str_at(&["logName"])
        .and_then(|name| name.rsplit('/').next())
        .unwrap_or_default();
    let payload = value.get("jsonPayload").or_else(|| value.get("textPayload"));
    let inner = match payload {
        Some(payload) if envelope.container && kind_is_container(kind) => {
            // As the container's runtime would have written it.
            let text = payload.to_text();
            let mut record = vec![
                ("log".into(), Value::str(text)),
                ("logtag".into(), Value::str("F")),
                ("stream".into(), Value::str(stream)),
            ];
            if let Some(time) = time {
                record.push(("time".into(), Value::str(time)));
            }
            Inner::Value(Value::Map(record))
        }
        Some(Value::Str(text)) => Inner::Text(text.to_string()),
        Some(payload) => Inner::Value(payload.clone()),
        None => return Opened::Leaf(value),
    };
    if let Value::Map(entries) = value {
        let payloads = ["jsonPayload", "textPayload"];
        envelope.entries = entries
            .into_iter()
            .filter(|(key, _)| !payloads.contains(&key.as_str()))
            .collect();
    }
    Opened::One(inner, Box::new(envelope))
}

/// Whether it is a Cloud Logging entry that does not say what wrote it.
pub(super) fn is_log_entry_of_unknown(value: &Value) -> bool {
    value.str_at(&["logName"]).is_some()
        && value.str_at(&["resource", "type"]).is_none()
        && value.get("protoPayload").is_none()
}

fn kind_is_container(kind: SourceKind) -> bool {
    matches!(kind, SourceKind::Auto | SourceKind::Source(Source::ContainerLog))
}

/// The labels of monitored resources `k8s_container`, `k8s_node` and `gce_instance`.
const LOG_ENTRY_LABELS: &[(FieldId, &str)] = &[
    (FieldId::CloudAccountId, "project_id"),
    (FieldId::CloudRegion, "location"),
    (FieldId::CloudInstanceId, "instance_id"),
    (FieldId::OrchestratorClusterName, "cluster_name"),
    (FieldId::OrchestratorNamespace, "namespace_name"),
    (FieldId::KubernetesPodName, "pod_name"),
    (FieldId::ContainerName, "container_name"),
    (FieldId::KubernetesNodeName, "node_name"),
    (FieldId::HostName, "node_name"),
];
