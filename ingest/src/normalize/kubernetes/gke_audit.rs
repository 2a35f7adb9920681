//! The API server's audit log as GKE delivers it: Cloud Audit entries of the service `k8s.io`.
//!
//! They say what an audit event says in other words. So that one rule serves every cloud, the native record is given the
//! audit event's own form (`verb`, `objectRef`, `user`, …) in front of the entry's keys, and goes the way of all audit events.

use casebook_event::{FieldId, Source, Value};
use compact_str::CompactString;

use super::kubernetes_audit;
use crate::format::reject::Reject;
use crate::normalize::cloud::gcp_operation;
use crate::normalize::context::{Context, Normalized};

/// The mark by which an entry is known as the API server's.
pub(crate) fn recognize(value: &Value) -> Option<&'static str> {
    let payload = gcp_operation::payload(value)?;
    (payload.str_at(&["serviceName"]) == Some("k8s.io")).then_some("protoPayload of the service k8s.io (GKE)")
}

/// One entry.
pub(crate) fn normalize(entry: Value, context: &Context<'_>) -> Result<Normalized, Reject> {
    let time = gcp_operation::time(&entry, context)?;
    let payload = gcp_operation::payload(&entry).cloned().unwrap_or_default();
    let id = gcp_operation::id(Source::KubernetesAudit, &entry, &payload, time);
    let mut entries = audit_event(&entry, &payload, &time.to_string(), context.truncated);
    if let Value::Map(own) = &entry {
        entries.extend(own.iter().cloned());
    }
    let native = Value::Map(entries);
    let mut normalized = kubernetes_audit::normalize(native.as_ref(), context)?;
    if normalized.native.is_none() {
        normalized.native = native.into();
    }
    normalized.id = id;
    normalized.time = time;
    let fields = &mut normalized.fields;
    let label = |key: &str| entry.str_at(&["resource", "labels", key]);
    fields.set(FieldId::CloudProvider, "gcp");
    fields.set_str(FieldId::CloudAccountId, label("project_id"));
    fields.set_str(FieldId::CloudRegion, label("location"));
    fields.set_str(FieldId::OrchestratorClusterName, label("cluster_name"));
    fields.set_str(FieldId::CorrelationId, entry.str_at(&["operation", "id"]));
    Ok(normalized)
}

/// The keys of an audit event, made of an entry.
fn audit_event(entry: &Value, payload: &Value, time: &str, truncated: bool) -> Vec<(CompactString, Value)> {
    let text = |path: &[&str]| payload.str_at(path);
    let map = |entries: Vec<(&str, Option<Value>)>| {
        let present = entries
            .into_iter()
            .filter_map(|(key, value)| Some((key.into(), value?)));
        Value::Map(present.collect())
    };
    let string = |text: Option<&str>| text.map(Value::str);
    let audit_id = entry.str_at(&["operation", "id"]).or(entry.str_at(&["insertId"]));
    let verb = text(&["methodName"]).and_then(|method| method.rsplit('.').next());
    let user = map(vec![
        ("username", string(text(&["authenticationInfo", "principalEmail"]))),
        ("uid", string(text(&["authenticationInfo", "principalSubject"]))),
    ]);
    let code = payload.at(&["status", "code"]).and_then(Value::as_i64);
    let refused = entry.str_at(&["labels", "authorization.k8s.io/decision"]) == Some("forbid")
        || payload
            .get("authorizationInfo")
            .and_then(Value::as_list)
            .is_some_and(|all| all.iter().any(|one| one.get("granted") == Some(&Value::Bool(false))));
    // No code is success: but not where it may have been cut off.
    let status = match (code, refused) {
        (None | Some(0), true) => Some(403),
        (None, false) if truncated => None,
        (code, _) => Some(gcp_operation::http_status(code.unwrap_or(0))),
    };
    let verb = verb.or((!truncated).then_some("unknown"));
    let mut event = vec![
        ("auditID".into(), Value::str(audit_id.unwrap_or(time))),
        ("stage".into(), Value::str("ResponseComplete")),
        ("verb".into(), verb.map(Value::str).unwrap_or_default()),
        ("stageTimestamp".into(), Value::str(time)),
        ("user".into(), user),
        (
            "responseStatus".into(),
            map(vec![
                ("code", status.map(Value::Int)),
                ("message", string(text(&["status", "message"]))),
            ]),
        ),
    ];
    let mut push = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            event.push((key.into(), value));
        }
    };
    push("objectRef", text(&["resourceName"]).map(object_ref));
    push(
        "sourceIPs",
        text(&["requestMetadata", "callerIp"]).map(|ip| Value::List(vec![Value::str(ip)])),
    );
    push(
        "userAgent",
        string(text(&["requestMetadata", "callerSuppliedUserAgent"])),
    );
    push("requestObject", payload.get("request").cloned());
    push("responseObject", payload.get("response").cloned());
    push("annotations", entry.get("labels").cloned());
    let delegate = text(&["authenticationInfo", "authoritySelector"]);
    push(
        "impersonatedUser",
        delegate.map(|user| map(vec![("username", Some(Value::str(user)))])),
    );
    event
}

/// `objectRef` of `GROUP/VERSION[/namespaces/NAMESPACE]/RESOURCE[/NAME[/SUBRESOURCE]]`, where the group of the first
/// objects is called `core`.
fn object_ref(name: &str) -> Value {
    let parts: Vec<&str> = name.split('/').collect();
    let mut entries: Vec<(CompactString, Value)> = Vec::new();
    let (group, version, rest) = match parts.as_slice() {
        [group, version, rest @ ..] => (*group, *version, rest),
        _ => return Value::Map(entries),
    };
    let (namespace, rest) = match rest {
        // A namespace itself is an object too.
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
        rest => (None, rest),
    };
    let mut push = |key: &str, value: Option<&&str>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            entries.push((key.into(), Value::str(value)));
        }
    };
    push("resource", rest.first());
    push("name", rest.get(1));
    push("subresource", rest.get(2));
    push("namespace", namespace.as_ref());
    push("apiGroup", Some(&group).filter(|group| **group != "core"));
    push("apiVersion", Some(&version));
    Value::Map(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXEC: &str = r#"{"insertId":"i","logName":"projects/p1/logs/cloudaudit.googleapis.com%2Factivity","timestamp":"2024-01-01T00:00:00.5Z",
        "operation":{"id":"op","first":true,"last":true},"labels":{"authorization.k8s.io/decision":"allow"},
        "resource":{"type":"k8s_cluster","labels":{"cluster_name":"c1","location":"europe-west1","project_id":"p1"}},
        "protoPayload":{"serviceName":"k8s.io","methodName":"io.k8s.core.v1.pods.exec.create","resourceName":"core/v1/namespaces/prod/pods/web-1/exec",
        "authenticationInfo":{"principalEmail":"eve@x"},"requestMetadata":{"callerIp":"1.2.3.4","callerSuppliedUserAgent":"kubectl"},"status":{"code":0}}}"#;

    #[test]
    fn an_exec_reads_as_any_other() {
        let normalized = normalize(serde_json::from_str(EXEC).unwrap(), &Context::of(EXEC)).unwrap();
        for (id, want) in [
            (FieldId::EventAction, "create"),
            (FieldId::EventCategory, r#"["process"]"#),
            (FieldId::EventOutcome, "success"),
            (FieldId::UserName, "eve@x"),
            (FieldId::SourceIp, "1.2.3.4"),
            (FieldId::OrchestratorNamespace, "prod"),
            (FieldId::OrchestratorResourceType, "pods"),
            (FieldId::OrchestratorResourceSubresource, "exec"),
            (FieldId::KubernetesPodName, "web-1"),
            (FieldId::OrchestratorClusterName, "c1"),
            (FieldId::CloudAccountId, "p1"),
            (FieldId::UserAgentOriginal, "kubectl"),
        ] {
            let got = normalized.fields.get(id).map(|value| value.to_text().into_owned());
            assert_eq!(got.unwrap_or_default(), want, "{id}");
        }
        let native = normalized.native.root("");
        assert_eq!(native.str_at(&["objectRef", "resource"]), Some("pods"));
        assert_eq!(native.str_at(&["protoPayload", "serviceName"]), Some("k8s.io"));
    }

    #[test]
    fn names_of_objects() {
        let check = |name: &str, want: &str| assert_eq!(object_ref(name).to_text(), want, "{name}");
        check(
            "rbac.authorization.k8s.io/v1/clusterroles/x",
            r#"{"resource":"clusterroles","name":"x","apiGroup":"rbac.authorization.k8s.io","apiVersion":"v1"}"#,
        );
        check(
            "core/v1/namespaces/n",
            r#"{"resource":"namespaces","name":"n","apiVersion":"v1"}"#,
        );
        check(
            "core/v1/namespaces/n/secrets",
            r#"{"resource":"secrets","namespace":"n","apiVersion":"v1"}"#,
        );
        check("odd", "{}");
    }
}
