//! Google Cloud Audit Logs: Cloud Logging entries whose `protoPayload` is an `AuditLog`, as a sink or Pub/Sub delivers them.
//!
//! SigmaHQ's rules name the same things in three ways: as the entry has them (`protoPayload.methodName`), below `data.` as a
//! Pub/Sub subscription does, and as `gcp.audit.method_name`. All three are reachable.

use casebook_event::{FieldId, Fields, Source, Value};

use super::gcp_operation;
use crate::format::reject::{self, Reject};
use crate::normalize::context::{Context, Normalized};

/// The mark by which an object is known as a Cloud Audit entry. Those of GKE's API server are another source's.
pub(crate) fn recognize(value: &Value) -> Option<&'static str> {
    gcp_operation::payload(value).map(|_| "protoPayload with methodName or serviceName")
}

/// One entry.
pub(crate) fn normalize(native: Value, context: &Context<'_>) -> Result<Normalized, Reject> {
    let Some(payload) = gcp_operation::payload(&native) else {
        let detail = "no Cloud Audit entry: protoPayload with methodName or serviceName is missing";
        return Err(Reject::new(reject::WRONG_SHAPE, detail));
    };
    let time = gcp_operation::time(&native, context)?;
    let id = gcp_operation::id(Source::GcpAudit, &native, payload, time);
    let id = match native.str_at(&["insertId"]) {
        Some(_) => id,
        None => context.with_removed(Source::GcpAudit, id),
    };
    let method = payload.str_at(&["methodName"]).unwrap_or_default();
    let service = payload.str_at(&["serviceName"]).unwrap_or_default();
    let mut fields = Fields::new();
    fields.set(FieldId::EventKind, "event");
    if !context.truncated || (!service.is_empty() && !method.is_empty()) {
        let (category, kind) = gcp_operation::classify(service, method);
        fields.push(FieldId::EventCategory, category);
        fields.push(FieldId::EventType, kind);
    }
    fields.set(FieldId::EventAction, method);
    gcp_operation::set(&native, payload, context, &mut fields);
    set_resource(payload, service, &mut fields);
    set_login(payload, &mut fields);
    let aliases = aliases(payload);
    let native = match native {
        Value::Map(mut entries) => {
            let data = Value::Map(entries.clone());
            entries.push(("data".into(), data));
            entries.push(("gcp".into(), aliases));
            Value::Map(entries)
        }
        other => other,
    };
    Ok(Normalized {
        source: Source::GcpAudit,
        id,
        time,
        fields,
        native: native.into(),
    })
}

/// `gcp.audit.*`, as Elastic's integration and SigmaHQ's rules name it.
fn aliases(payload: &Value) -> Value {
    let mut audit = Vec::new();
    for (name, path) in [
        ("method_name", &["methodName"][..]),
        ("service_name", &["serviceName"]),
        ("resource_name", &["resourceName"]),
        ("request", &["request"]),
        ("response", &["response"]),
        ("authentication_info", &["authenticationInfo"]),
        ("authorization_info", &["authorizationInfo"]),
    ] {
        if let Some(value) = payload.at(path) {
            audit.push((name.into(), value.clone()));
        }
    }
    Value::Map(vec![("audit".into(), Value::Map(audit))])
}

fn set_resource(payload: &Value, service: &str, fields: &mut Fields) {
    let Some(name) = payload.str_at(&["resourceName"]) else {
        return;
    };
    let last = name.rsplit('/').next().unwrap_or(name);
    fields.set(FieldId::OrchestratorResourceName, last);
    match service {
        // `projects/_/buckets/BUCKET/objects/PATH`.
        "storage.googleapis.com" => {
            if let Some((_, object)) = name.split_once("/objects/") {
                fields.set(FieldId::FilePath, object);
            }
        }
        "compute.googleapis.com" if name.contains("/instances/") && fields.get(FieldId::CloudInstanceId).is_none() => {
            fields.set(FieldId::CloudInstanceId, last);
        }
        "container.googleapis.com" => {
            fields.set(FieldId::OrchestratorType, "kubernetes");
            let cluster = name
                .split_once("/clusters/")
                .and_then(|(_, rest)| rest.split('/').next());
            if fields.get(FieldId::OrchestratorClusterName).is_none() {
                fields.set_str(FieldId::OrchestratorClusterName, cluster);
            }
        }
        // A service account, or a key of one.
        "iam.googleapis.com" => {
            let account = name
                .split_once("/serviceAccounts/")
                .and_then(|(_, rest)| rest.split('/').next());
            fields.set_str(FieldId::UserTargetName, account);
        }
        _ => {}
    }
}

/// Workspace login events (`login.googleapis.com`) fail by their name, not by a status.
fn set_login(payload: &Value, fields: &mut Fields) {
    let method = payload.str_at(&["methodName"]).unwrap_or_default();
    if method.ends_with("loginFailure") || method.ends_with("loginChallenge") && method.contains("Failure") {
        fields.set(FieldId::EventOutcome, "failure");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, want: &[(FieldId, &str)]) -> Normalized {
        let normalized = normalize(serde_json::from_str(json).unwrap(), &Context::of(json)).unwrap();
        for (id, want) in want {
            let got = normalized.fields.get(*id).map(|value| value.to_text().into_owned());
            assert_eq!(got.unwrap_or_default(), *want, "{id} of {json}");
        }
        normalized
    }

    #[test]
    fn a_policy_and_an_object() {
        let event = check(
            r#"{"insertId":"i","logName":"projects/p1/logs/cloudaudit.googleapis.com%2Factivity","timestamp":"2024-01-01T00:00:00Z","severity":"NOTICE",
                "resource":{"type":"project","labels":{"project_id":"p1"}},"operation":{"id":"op"},
                "protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","serviceName":"cloudresourcemanager.googleapis.com","methodName":"SetIamPolicy",
                "authenticationInfo":{"principalEmail":"a@x"},"requestMetadata":{"callerIp":"1.2.3.4","callerSuppliedUserAgent":"gcloud"},"resourceName":"projects/p1"}}"#,
            &[
                (FieldId::EventAction, "SetIamPolicy"),
                (FieldId::EventCategory, r#"["iam"]"#),
                (FieldId::EventType, r#"["change"]"#),
                (FieldId::EventOutcome, "success"),
                (FieldId::UserName, "a@x"),
                (FieldId::SourceIp, "1.2.3.4"),
                (FieldId::CloudAccountId, "p1"),
                (FieldId::CorrelationId, "op"),
            ],
        );
        for path in [
            "gcp.audit.method_name",
            "data.protoPayload.methodName",
            "protoPayload.methodName",
        ] {
            let mut found = false;
            event.native.root("").visit_path(path, &mut |value| {
                found = value.as_str() == Some("SetIamPolicy");
                true
            });
            assert!(found, "{path}");
        }
        check(
            r#"{"timestamp":"2024-01-01T00:00:00Z","protoPayload":{"serviceName":"storage.googleapis.com","methodName":"storage.objects.get",
                "resourceName":"projects/_/buckets/b/objects/dir/x","status":{"code":7,"message":"no"}}}"#,
            &[
                (FieldId::FilePath, "dir/x"),
                (FieldId::EventCategory, r#"["file"]"#),
                (FieldId::EventType, r#"["access","denied"]"#),
                (FieldId::EventOutcome, "failure"),
                (FieldId::ErrorMessage, "no"),
            ],
        );
    }
}
