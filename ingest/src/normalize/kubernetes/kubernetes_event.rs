//! Kubernetes Events: `v1` with `involvedObject`, `events.k8s.io/v1` with `regarding` (Kubernetes API reference, "Event"), and
//! the objects that kubernetes-event-exporter and eventrouter write.
//!
//! An Event that is counted up is reported again under the same uid with another `resourceVersion`: that is another event here.

use casebook_event::{EventId, FieldId, Fields, Source, Timestamp, Value};

use crate::format::epoch;
use crate::format::reject::{self, Reject};
use crate::limits::MAX_CLOCK_SKEW_NANOS;
use crate::normalize::address;
use crate::normalize::context::{Context, Normalized};

/// The mark by which an object is known as a Kubernetes Event.
pub(crate) fn recognize(value: &Value) -> Option<&'static str> {
    let event = inner(value);
    let object = |key: &str| matches!(event.get(key), Some(Value::Map(_)));
    let has_text = event.get("reason").is_some() && (event.get("message").is_some() || event.get("note").is_some());
    (has_text && (object("involvedObject") || object("regarding"))).then_some("reason with involvedObject or regarding")
}

/// The Event itself: eventrouter puts it under `event`.
fn inner(value: &Value) -> &Value {
    match value.get("event") {
        Some(event @ Value::Map(_)) if value.get("verb").is_some() => event,
        _ => value,
    }
}

/// Where the time stands, best first: when it was last seen, then when it began.
const TIMES: &[&[&str]] = &[
    &["series", "lastObservedTime"],
    &["lastTimestamp"],
    &["deprecatedLastTimestamp"],
    &["eventTime"],
    &["firstTimestamp"],
    &["deprecatedFirstTimestamp"],
    &["metadata", "creationTimestamp"],
];

/// An Event's times are what its writer says, whoever may create Events; its creation is the API server's to say. What was seen
/// was seen before it was reported, but by no more than a recorder tries again for (client-go gives up after two minutes).
fn not_before_creation(time: Timestamp, created: Option<Timestamp>) -> Timestamp {
    match created {
        Some(created) if created.as_nanos().saturating_sub(time.as_nanos()) > MAX_CLOCK_SKEW_NANOS => created,
        _ => time,
    }
}

/// One Event.
pub(crate) fn normalize(native: Value, context: &Context<'_>) -> Result<Normalized, Reject> {
    let cut = context.truncated
        && ["involvedObject", "regarding"]
            .iter()
            .any(|key| inner(&native).get(key).is_some());
    if recognize(&native).is_none() && !cut {
        let detail = "no Kubernetes Event: reason, message or the object concerned is missing";
        return Err(Reject::new(reject::WRONG_SHAPE, detail));
    }
    let event = inner(&native);
    let text = |path: &[&str]| event.str_at(path);
    let own_time = TIMES
        .iter()
        .find_map(|path| event.at(path).and_then(epoch::parse))
        .or(context.time_of_cut())
        .ok_or_else(|| Reject::new(reject::NO_TIMESTAMP, "none of the Event's times is a time"))?;
    let created = event.at(&["metadata", "creationTimestamp"]).and_then(epoch::parse);
    let time = not_before_creation(own_time, created);
    let count = ["count", "deprecatedCount"]
        .iter()
        .find_map(|key| event.get(key))
        .or(event.at(&["series", "count"]));
    let count = count.and_then(Value::as_i64).unwrap_or(1);
    let message = text(&["message"]).or(text(&["note"])).unwrap_or_default();
    let reason = text(&["reason"]).unwrap_or_default();
    let id = identity(event, own_time, count);
    let mut fields = Fields::new();
    if time != own_time {
        fields.set(FieldId::TimeOrigin, "created");
    }
    fields.set(FieldId::EventKind, "event");
    fields.set(FieldId::EventAction, reason);
    fields.set(FieldId::EventReason, reason);
    fields.set(FieldId::Message, message);
    if !(context.truncated && reason.is_empty()) {
        let (category, kind) = classify(reason);
        fields.push(FieldId::EventCategory, category);
        fields.push(FieldId::EventType, kind);
    }
    set_writer(event, &mut fields);
    fields.set_str(FieldId::OrchestratorClusterName, text(&["clusterName"]));
    set_object(event, message, &mut fields);
    Ok(Normalized {
        source: Source::KubernetesEvent,
        id,
        time,
        fields,
        native: native.into(),
    })
}

fn identity(event: &Value, own_time: Timestamp, count: i64) -> EventId {
    let of = |path: &[&str]| event.str_at(path).unwrap_or_default().as_bytes();
    let message = event.str_at(&["message"]).or(event.str_at(&["note"]));
    EventId::from_parts(
        Source::KubernetesEvent,
        &[
            of(&["metadata", "uid"]),
            of(&["metadata", "namespace"]),
            of(&["metadata", "name"]),
            of(&["metadata", "resourceVersion"]),
            &count.to_le_bytes(),
            &own_time.as_nanos().to_le_bytes(),
            of(&["reason"]),
            message.unwrap_or_default().as_bytes(),
            of(&["involvedObject", "uid"]),
            of(&["regarding", "uid"]),
        ],
    )
}

/// How grave the Event is, and which component of which node wrote it.
fn set_writer(event: &Value, fields: &mut Fields) {
    let text = |path: &[&str]| event.str_at(path);
    match text(&["type"]) {
        Some("Warning") => {
            fields.set(FieldId::LogLevel, "warning");
            fields.set(FieldId::EventOutcome, "failure");
        }
        Some("Normal") => {
            fields.set(FieldId::LogLevel, "info");
            fields.set(FieldId::EventOutcome, "success");
        }
        _ => {}
    }
    let component = text(&["source", "component"])
        .or(text(&["reportingComponent"]))
        .or(text(&["reportingController"]))
        .or(text(&["deprecatedSource", "component"]));
    fields.set_str(FieldId::EventProvider, component);
    let node = text(&["source", "host"])
        .or(text(&["deprecatedSource", "host"]))
        .or(text(&["reportingInstance"]).filter(|_| component == Some("kubelet")));
    fields.set_str(FieldId::KubernetesNodeName, node);
    fields.set_str(FieldId::HostName, node);
}

fn set_object(event: &Value, message: &str, fields: &mut Fields) {
    let object = event
        .get("involvedObject")
        .or(event.get("regarding"))
        .unwrap_or(&Value::Null);
    let text = |key: &str| object.str_at(&[key]);
    let kind = text("kind").unwrap_or_default();
    fields.set(FieldId::OrchestratorType, "kubernetes");
    // As the API server's audit log names it.
    fields.set(FieldId::OrchestratorResourceType, plural(kind));
    fields.set_str(FieldId::OrchestratorResourceName, text("name"));
    fields.set_str(
        FieldId::OrchestratorNamespace,
        text("namespace").or(event.str_at(&["metadata", "namespace"]).filter(|_| kind != "Node")),
    );
    fields.set_str(FieldId::OrchestratorApiVersion, text("apiVersion"));
    match kind {
        "Pod" => {
            fields.set_str(FieldId::KubernetesPodName, text("name"));
            fields.set_str(FieldId::KubernetesPodUid, text("uid"));
            // `spec.containers{name}`, `spec.initContainers{name}`.
            let container = text("fieldPath").and_then(|path| path.split_once('{'));
            fields.set_str(
                FieldId::ContainerName,
                container.and_then(|(_, name)| name.strip_suffix('}')),
            );
        }
        "Node" => {
            fields.set_str(FieldId::KubernetesNodeName, text("name"));
            fields.set_str(FieldId::HostName, text("name"));
        }
        _ => {}
    }
    // `Pulling image "nginx:1"`, `Container image "nginx:1" already present on machine`.
    if let Some((_, rest)) = message.split_once("mage \"") {
        fields.set_str(
            FieldId::ContainerImageName,
            rest.split_once('"').map(|(image, _)| image),
        );
    }
    // `Successfully assigned n/p to node-1`.
    if let Some((_, node)) = message
        .rsplit_once(" to ")
        .filter(|_| message.starts_with("Successfully assigned "))
    {
        fields.set(FieldId::KubernetesNodeName, node);
    }
    // `Readiness probe failed: Get "http://10.0.0.1:8080/": …`
    if let Some(host) = message
        .split_once("://")
        .and_then(|(_, rest)| rest.split(['/', '"', ' ']).next())
        .filter(|_| message.contains("probe failed"))
    {
        let ip = host.rsplit_once(':').map_or(host, |(ip, _)| ip);
        if let Some(ip) = address::canonical_ip(ip) {
            fields.set(FieldId::KubernetesPodIp, ip);
        }
    }
}

/// `pods` of `Pod`: the resource's name as the API has it.
fn plural(kind: &str) -> String {
    let lower = kind.to_ascii_lowercase();
    match lower.as_str() {
        "" => lower,
        "ingress" => "ingresses".into(),
        _ if lower.ends_with("policy") => format!("{}ies", &lower[..lower.len() - 1]),
        _ if lower.ends_with('s') => lower,
        _ => format!("{lower}s"),
    }
}

/// ECS `event.category` and `event.type` of a reason (those of kubelet, scheduler and controllers).
fn classify(reason: &str) -> (&'static str, &'static str) {
    match reason {
        "Created" | "SuccessfulCreate" => ("process", "creation"),
        "Started" => ("process", "start"),
        "Killing" | "Completed" | "SuccessfulDelete" | "Preempting" => ("process", "end"),
        "OOMKilling" | "BackOff" | "CrashLoopBackOff" | "Evicted" | "Unhealthy" | "ProbeWarning" => {
            ("process", "error")
        }
        "Failed"
        | "FailedScheduling"
        | "FailedMount"
        | "FailedAttachVolume"
        | "FailedCreatePodSandBox"
        | "FailedCreate"
        | "ErrImagePull"
        | "FailedSync"
        | "SystemOOM"
        | "NetworkNotReady" => ("configuration", "error"),
        "Pulling" | "Pulled" | "Scheduled" | "SuccessfulAttachVolume" => ("configuration", "info"),
        "ScalingReplicaSet" | "SuccessfulRescale" | "NodeNotReady" | "NodeReady" | "RegisteredNode"
        | "RemovingNode" => ("configuration", "change"),
        _ => ("configuration", "info"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, time: &str, want: &[(FieldId, &str)]) {
        let value = serde_json::from_str(json).unwrap();
        let normalized = normalize(value, &Context::of(json)).unwrap();
        assert_eq!(normalized.time.to_string(), time, "{json}");
        for (id, want) in want {
            let got = normalized.fields.get(*id).map(|value| value.to_text().into_owned());
            assert_eq!(got.unwrap_or_default(), *want, "{id} of {json}");
        }
    }

    #[test]
    fn both_versions_of_the_api() {
        check(
            r#"{"kind":"Event","metadata":{"uid":"u","namespace":"n","resourceVersion":"1","creationTimestamp":"2024-01-01T00:00:00Z"},
                "involvedObject":{"kind":"Pod","namespace":"n","name":"p","uid":"pu","fieldPath":"spec.containers{web}"},"reason":"Pulling",
                "message":"Pulling image \"nginx:1\"","source":{"component":"kubelet","host":"n1"},"lastTimestamp":"2024-01-01T00:00:05Z","type":"Normal","count":2}"#,
            "2024-01-01T00:00:05Z",
            &[
                (FieldId::KubernetesPodName, "p"),
                (FieldId::ContainerName, "web"),
                (FieldId::ContainerImageName, "nginx:1"),
                (FieldId::KubernetesNodeName, "n1"),
                (FieldId::OrchestratorResourceType, "pods"),
                (FieldId::EventAction, "Pulling"),
                (FieldId::EventOutcome, "success"),
            ],
        );
        check(
            r#"{"regarding":{"kind":"NetworkPolicy","name":"x","namespace":"n"},"reason":"Odd","note":"m","type":"Warning","eventTime":"2024-01-01T00:00:00.123456Z",
                "reportingController":"c","deprecatedSource":{}}"#,
            "2024-01-01T00:00:00.123456Z",
            &[
                (FieldId::OrchestratorResourceType, "networkpolicies"),
                (FieldId::Message, "m"),
                (FieldId::EventProvider, "c"),
                (FieldId::LogLevel, "warning"),
            ],
        );
        check(
            r#"{"verb":"ADDED","event":{"involvedObject":{"kind":"Node","name":"n1"},"reason":"NodeNotReady","message":"m","firstTimestamp":"2024-01-01T00:00:00Z"}}"#,
            "2024-01-01T00:00:00Z",
            &[(FieldId::HostName, "n1"), (FieldId::OrchestratorResourceType, "nodes")],
        );
    }

    #[test]
    fn without_a_time_or_an_object() {
        let check = |json: &str, want: &str| {
            let reject = normalize(serde_json::from_str(json).unwrap(), &Context::of(json)).unwrap_err();
            assert_eq!(reject.reason, want, "{json}");
        };
        check(
            r#"{"reason":"r","message":"m","involvedObject":{}}"#,
            reject::NO_TIMESTAMP,
        );
        check(
            r#"{"reason":"r","message":"m","involvedObject":1}"#,
            reject::WRONG_SHAPE,
        );
    }
}
