//! What Cloud Audit Logs say of an operation, whatever service it is of: who, from where, how it ended, what it does.

use casebook_event::{EventId, FieldId, Fields, Source, Timestamp, Value};

use crate::format::reject::{self, Reject};
use crate::normalize::address;
use crate::normalize::context::Context;

/// The `AuditLog` inside a Cloud Logging entry (Cloud Audit Logs, "AuditLog").
pub(crate) fn payload(entry: &Value) -> Option<&Value> {
    let payload = entry.get("protoPayload").or(entry.get("protopayload_auditlog"))?;
    (payload.get("methodName").is_some() || payload.get("serviceName").is_some()).then_some(payload)
}

/// The entry's time.
pub(crate) fn time(entry: &Value, context: &Context<'_>) -> Result<Timestamp, Reject> {
    ["timestamp", "receiveTimestamp"]
        .iter()
        .find_map(|key| Timestamp::parse_rfc3339(entry.str_at(&[key])?))
        .or_else(|| {
            let payload = payload(entry)?;
            Timestamp::parse_rfc3339(payload.str_at(&["requestMetadata", "requestAttributes", "time"])?)
        })
        .or(context.time_of_cut())
        .ok_or_else(|| Reject::new(reject::NO_TIMESTAMP, "neither timestamp nor receiveTimestamp is a time"))
}

/// The identity of an entry. `insertId` is unique among entries of one log and time (Cloud Logging API, "LogEntry"), where Google
/// writes it; whoever may write entries chooses it, and that of GKE's API server is its `auditID`, which callers choose. So what
/// was asked, by whom and of which cluster or service, is part of the identity. Nothing of that depends on how the entry came.
pub(crate) fn id(source: Source, entry: &Value, payload: &Value, time: Timestamp) -> EventId {
    let nanos = time.as_nanos().to_le_bytes();
    let of = |value: &'_ Value, path: &[&str]| value.str_at(path).unwrap_or_default().to_owned();
    let label = |key: &str| of(entry, &["resource", "labels", key]);
    let code = payload.at(&["status", "code"]).and_then(Value::as_i64).unwrap_or(0);
    let insert_id = entry.str_at(&["insertId"]);
    // Without an id, all that the entry says.
    let content = if insert_id.is_none() {
        payload.to_text()
    } else {
        "".into()
    };
    let parts = [
        insert_id.unwrap_or_default().to_owned(),
        of(entry, &["logName"]),
        of(entry, &["operation", "id"]),
        label("project_id"),
        label("location"),
        label("cluster_name"),
        of(payload, &["serviceName"]),
        of(payload, &["methodName"]),
        of(payload, &["resourceName"]),
        of(payload, &["authenticationInfo", "principalEmail"]),
        of(payload, &["authenticationInfo", "principalSubject"]),
        of(payload, &["requestMetadata", "callerIp"]),
        code.to_string(),
        content.into_owned(),
    ];
    let bytes: Vec<&[u8]> = parts.iter().map(String::as_bytes).chain([&nanos[..]]).collect();
    EventId::from_parts(source, &bytes)
}

/// Sets what all services have in common.
pub(crate) fn set(entry: &Value, payload: &Value, context: &Context<'_>, fields: &mut Fields) {
    let text = |path: &[&str]| payload.str_at(path);
    let label = |key: &str| entry.str_at(&["resource", "labels", key]);
    fields.set(FieldId::CloudProvider, "gcp");
    fields.set_str(
        FieldId::CloudAccountId,
        label("project_id").or_else(|| entry.str_at(&["logName"])?.strip_prefix("projects/")?.split('/').next()),
    );
    fields.set_str(
        FieldId::CloudRegion,
        label("location").or(label("region")).or(label("zone")),
    );
    fields.set_str(FieldId::CloudServiceName, text(&["serviceName"]));
    fields.set_str(FieldId::EventProvider, text(&["serviceName"]));
    fields.set_str(FieldId::CloudInstanceId, label("instance_id"));
    fields.set_str(FieldId::OrchestratorClusterName, label("cluster_name"));
    fields.set_str(FieldId::CorrelationId, entry.str_at(&["operation", "id"]));
    if let Some(severity) = entry.str_at(&["severity"]) {
        fields.set(FieldId::LogLevel, severity.to_ascii_lowercase());
    }
    let who = text(&["authenticationInfo", "principalEmail"]).or(text(&["authenticationInfo", "principalSubject"]));
    fields.set_str(FieldId::UserName, who);
    fields.set_str(FieldId::UserId, text(&["authenticationInfo", "principalSubject"]));
    if let Some(ip) = text(&["requestMetadata", "callerIp"]) {
        address::set_source(fields, ip);
    }
    fields.set_str(
        FieldId::UserAgentOriginal,
        text(&["requestMetadata", "callerSuppliedUserAgent"]),
    );
    set_outcome(payload, context.truncated, fields);
}

/// `google.rpc.Status`: 0 or no code is success; and what authorization refused.
fn set_outcome(payload: &Value, truncated: bool, fields: &mut Fields) {
    let code = payload.at(&["status", "code"]).and_then(Value::as_i64).unwrap_or(0);
    let refused = payload
        .get("authorizationInfo")
        .and_then(Value::as_list)
        .is_some_and(|all| all.iter().any(|one| one.get("granted") == Some(&Value::Bool(false))));
    let failed = code != 0 || refused;
    if failed || !truncated {
        fields.set(FieldId::EventOutcome, if failed { "failure" } else { "success" });
    }
    if code != 0 {
        fields.set(FieldId::EventCode, code.to_string());
        fields.set_str(FieldId::ErrorMessage, payload.str_at(&["status", "message"]));
    }
    if refused || matches!(code, 7 | 16) {
        fields.push(FieldId::EventType, "denied");
    }
}

/// The HTTP status that stands for a code of `google.rpc.Code` (its own documentation gives the mapping).
pub(crate) fn http_status(code: i64) -> i64 {
    match code {
        0 => 200,
        3 | 9 | 11 => 400,
        16 => 401,
        7 => 403,
        5 => 404,
        6 | 10 => 409,
        8 => 429,
        1 => 499,
        12 => 501,
        14 => 503,
        4 => 504,
        _ => 500,
    }
}

/// ECS `event.category` and `event.type` of a method of a service.
pub(crate) fn classify(service: &str, method: &str) -> (&'static str, &'static str) {
    let name = method.rsplit('.').next().unwrap_or(method).to_ascii_lowercase();
    let has = |part: &str| name.contains(part);
    let lower = method.to_ascii_lowercase();
    let category = if has("iampolicy") || lower.contains(".iam.") || service.starts_with("iam") || has("serviceaccount")
    {
        "iam"
    } else if service.starts_with("login") || lower.contains("login") {
        "authentication"
    } else if service.starts_with("storage") && lower.contains("object") {
        "file"
    } else if ["firewall", "network", "route", "dns", "vpn", "forwardingrule"]
        .iter()
        .any(|part| lower.contains(part))
    {
        "network"
    } else if ["bigquery", "cloudsql", "sqladmin", "spanner", "datastore"]
        .iter()
        .any(|part| service.starts_with(part))
    {
        "database"
    } else {
        "configuration"
    };
    let kind = if ["delete", "remove", "destroy", "undelete"].iter().any(|part| has(part)) {
        "deletion"
    } else if ["create", "insert", "add"].iter().any(|part| has(part)) {
        "creation"
    } else if ["set", "update", "patch", "enable", "disable", "write", "start", "stop"]
        .iter()
        .any(|part| has(part))
    {
        "change"
    } else {
        "access"
    };
    match (category, kind) {
        ("authentication", _) => ("authentication", "start"),
        ("iam", "access") => ("iam", "info"),
        ("network", "access") => ("configuration", "access"),
        other => other,
    }
}
