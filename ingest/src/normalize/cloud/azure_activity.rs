//! Azure's Activity log: records of an Event Hub, the REST API's and portal's form, and the SDK's with names in snake case.
//!
//! The identity is `eventDataId`, where the form has it, which Azure writes. The correlation id is the caller's own where the caller
//! sends one (`x-ms-correlation-request-id`): without `eventDataId` the identity takes in what Azure writes and what was asked.
//! One operation is reported several times, as it begins and as it ends.

use casebook_event::{EventId, FieldId, Fields, Source, Timestamp, Value};

use crate::format::epoch;
use crate::format::reject::{self, Reject};
use crate::normalize::address;
use crate::normalize::context::{Context, Normalized};

/// The first of these paths at which a text stands.
fn first<'a>(value: &'a Value, paths: &[&[&str]]) -> Option<&'a str> {
    paths.iter().find_map(|path| value.str_at(path))
}

fn operation(value: &Value) -> Option<&str> {
    first(
        value,
        &[
            &["operationName", "value"],
            &["operationName"],
            &["operation_name", "value"],
            &["operation_name"],
            &["OperationNameValue"],
        ],
    )
}

fn resource(value: &Value) -> Option<&str> {
    first(
        value,
        &[
            &["resourceId"],
            &["resource_id"],
            &["ResourceId"],
            &["resourceUri"],
            &["authorization", "scope"],
        ],
    )
    .or_else(|| value.get("resources")?.as_list()?.first()?.str_at(&["id"]))
    .or_else(|| {
        value
            .str_at(&["id"])
            .filter(|id| id.to_ascii_lowercase().starts_with("/subscriptions/"))
    })
}

/// The caller's object in the directory, among the claims of its token.
const OBJECT_ID_CLAIM: &str = "http://schemas.microsoft.com/identity/claims/objectidentifier";

/// The mark by which an object is known as the Activity log's. Azure's other logs have an operation too, but no resource of
/// a subscription, or a category that says whose they are.
pub(crate) fn recognize(value: &Value) -> Option<&'static str> {
    let operation = operation(value)?;
    let resource = resource(value).is_some_and(|id| id.to_ascii_lowercase().starts_with("/subscriptions/"));
    let category = first(value, &[&["category", "value"], &["category"], &["CategoryValue"]]);
    let known = category.is_none_or(|category| CATEGORIES.iter().any(|known| known.eq_ignore_ascii_case(category)));
    (operation.contains('/') && resource && known)
        .then_some("operationName of a provider with a resource of a subscription")
}

/// The categories of the Activity log; in an Event Hub, those of management operations are named after what they do.
const CATEGORIES: &[&str] = &[
    "Administrative",
    "Security",
    "Policy",
    "ServiceHealth",
    "Alert",
    "Autoscale",
    "Recommendation",
    "ResourceHealth",
    "Write",
    "Delete",
    "Action",
];

/// One record.
pub(crate) fn normalize(native: Value, context: &Context<'_>) -> Result<Normalized, Reject> {
    let Some(operation) = operation(&native) else {
        return Err(Reject::new(
            reject::WRONG_SHAPE,
            "no Activity record: operationName is missing",
        ));
    };
    let time = [
        "time",
        "eventTimestamp",
        "event_timestamp",
        "TimeGenerated",
        "submissionTimestamp",
    ]
    .iter()
    .find_map(|key| native.get(key).and_then(epoch::parse))
    .or(context.time_of_cut())
    .ok_or_else(|| Reject::new(reject::NO_TIMESTAMP, "neither time nor eventTimestamp is a time"))?;
    let resource = resource(&native).unwrap_or_default();
    let correlation =
        first(&native, &[&["correlationId"], &["correlation_id"], &["CorrelationId"]]).unwrap_or_default();
    let status = first(
        &native,
        &[
            &["resultType"],
            &["status", "value"],
            &["status"],
            &["ActivityStatusValue"],
            &["properties", "statusCode"],
        ],
    )
    .unwrap_or_default();
    let id = identity(&native, [correlation, operation, status, resource], time, context);
    let mut fields = Fields::new();
    fields.set(FieldId::EventKind, "event");
    let (category, kind) = classify(operation);
    fields.push(FieldId::EventCategory, category);
    fields.push(FieldId::EventType, kind);
    fields.set(FieldId::EventAction, operation);
    fields.set(FieldId::CorrelationId, correlation);
    set_outcome(&native, status, context, &mut fields);
    set_user(&native, context, &mut fields);
    set_resource(resource, &mut fields);
    if let Some(level) = first(&native, &[&["level"], &["Level"]]) {
        fields.set(FieldId::LogLevel, level.to_ascii_lowercase());
    }
    fields.set_str(
        FieldId::CloudRegion,
        first(&native, &[&["location"], &["properties", "location"]]),
    );
    fields.set_str(
        FieldId::HttpRequestMethod,
        first(&native, &[&["httpRequest", "method"], &["http_request", "method"]]),
    );
    Ok(Normalized {
        source: Source::AzureActivity,
        id,
        time,
        fields,
        native: native.into(),
    })
}

/// The record's own id; else its content, as far as it distinguishes two records.
fn identity(native: &Value, parts: [&str; 4], time: Timestamp, context: &Context<'_>) -> EventId {
    let [correlation, operation, status, resource] = parts.map(str::as_bytes);
    let of = |paths: &[&[&str]]| first(native, paths).unwrap_or_default().as_bytes();
    match first(native, &[&["eventDataId"], &["event_data_id"], &["EventDataId"]]) {
        Some(id) => EventId::from_parts(Source::AzureActivity, &[id.as_bytes()]),
        None => {
            let id = EventId::from_parts(
                Source::AzureActivity,
                &[
                    correlation,
                    operation,
                    status,
                    resource,
                    &time.as_nanos().to_le_bytes(),
                    of(&[&["caller"], &["Caller"]]),
                    of(&[&["identity", "claims", OBJECT_ID_CLAIM], &["claims", OBJECT_ID_CLAIM]]),
                    of(&[
                        &["callerIpAddress"],
                        &["CallerIpAddress"],
                        &["httpRequest", "clientIpAddress"],
                    ]),
                    of(&[
                        &["resultSignature"],
                        &["subStatus", "value"],
                        &["ActivitySubstatusValue"],
                    ]),
                    of(&[&["httpRequest", "clientRequestId"], &["operationId"], &["OperationId"]]),
                ],
            );
            context.with_removed(Source::AzureActivity, id)
        }
    }
}

/// ECS `event.category` and `event.type` of an operation: `PROVIDER/TYPE/…/write`, `delete` or `action`.
fn classify(operation: &str) -> (&'static str, &'static str) {
    let lower = operation.to_ascii_lowercase();
    let category = if lower.starts_with("microsoft.authorization/") || lower.contains("/roleassignments") {
        "iam"
    } else if lower.starts_with("microsoft.network/") {
        "network"
    } else {
        "configuration"
    };
    let kind = match lower.rsplit('/').next() {
        Some("write") => "change",
        Some("delete") => "deletion",
        Some("read") => "access",
        _ if category == "iam" => "info",
        _ => "access",
    };
    match (category, kind) {
        ("network", "access") => ("configuration", "access"),
        other => other,
    }
}

fn set_outcome(native: &Value, status: &str, context: &Context<'_>, fields: &mut Fields) {
    let outcome = match status.to_ascii_lowercase().as_str() {
        "success" | "succeeded" | "accepted" | "resolved" => "success",
        "failure" | "failed" => "failure",
        "" if context.truncated => "",
        _ => "unknown",
    };
    fields.set(FieldId::EventOutcome, outcome);
    let detail = first(
        native,
        &[
            &["resultSignature"],
            &["subStatus", "value"],
            &["sub_status", "value"],
            &["ActivitySubstatusValue"],
        ],
    );
    fields.set_str(FieldId::EventReason, detail);
    let refused = detail.is_some_and(|detail| detail.contains("Forbidden") || detail.contains("Unauthorized"));
    if refused {
        fields.push(FieldId::EventType, "denied");
    }
    if outcome == "failure" {
        fields.set_str(
            FieldId::ErrorMessage,
            first(native, &[&["properties", "statusMessage"], &["resultDescription"]]),
        );
    }
    let millis = match native.get("durationMs") {
        Some(Value::Int(millis)) => Some(*millis),
        Some(Value::Str(text)) => text.parse().ok(),
        _ => None,
    };
    if let Some(nanos) = millis
        .and_then(|millis: i64| millis.checked_mul(1_000_000))
        .filter(|nanos| *nanos > 0)
    {
        fields.set(FieldId::EventDuration, nanos);
    }
}

fn set_user(native: &Value, context: &Context<'_>, fields: &mut Fields) {
    let claims = native
        .at(&["identity", "claims"])
        .or(native.get("claims"))
        .unwrap_or(&Value::Null);
    let claim = |name: &str| {
        let Value::Map(entries) = claims else { return None };
        entries
            .iter()
            .find(|(key, _)| key == name || key.rsplit('/').next() == Some(name))
            .and_then(|(_, value)| value.as_str())
            .filter(|text| !text.is_empty())
    };
    let caller = first(native, &[&["caller"], &["Caller"], &["properties", "caller"]]);
    let principal = first(
        native,
        &[
            &["identity", "authorization", "evidence", "principalId"],
            &["authentication", "principalId"],
        ],
    )
    // A better name may have stood after the end.
    .filter(|_| !context.truncated);
    fields.set_str(
        FieldId::UserName,
        caller
            .or(claim("upn"))
            .or(claim("name"))
            .or(claim("appid"))
            .or(principal),
    );
    fields.set_str(
        FieldId::UserId,
        claim("objectidentifier").or(claim("oid")).or(principal),
    );
    fields.set_str(FieldId::UserDomain, claim("tenantid").or(native.str_at(&["tenantId"])));
    let role = first(
        native,
        &[
            &["identity", "authorization", "evidence", "role"],
            &["authentication", "role"],
        ],
    );
    if let Some(role) = role {
        fields.push(FieldId::UserRoles, role);
    }
    let ip = first(
        native,
        &[
            &["callerIpAddress"],
            &["CallerIpAddress"],
            &["httpRequest", "clientIpAddress"],
            &["httpRequest", "clientRequestIp"],
            &["http_request", "client_ip_address"],
        ],
    )
    .or(claim("ipaddr"));
    if let Some(ip) = ip {
        address::set_source(fields, ip);
    }
}

/// `/subscriptions/S/resourceGroups/G/providers/P/TYPE/NAME…`, in any case.
fn set_resource(resource: &str, fields: &mut Fields) {
    fields.set(FieldId::CloudProvider, "azure");
    let parts: Vec<&str> = resource.split('/').collect();
    let segment_after = |key: &str| {
        let at = parts.iter().position(|part| part.eq_ignore_ascii_case(key))?;
        parts.get(at + 1).copied()
    };
    fields.set_str(FieldId::CloudAccountId, segment_after("subscriptions"));
    if let Some(provider) = segment_after("providers") {
        fields.set(FieldId::CloudServiceName, provider);
        fields.set(FieldId::EventProvider, provider);
        if provider.eq_ignore_ascii_case("Microsoft.ContainerService") {
            fields.set(FieldId::OrchestratorType, "kubernetes");
            fields.set_str(FieldId::OrchestratorClusterName, segment_after("managedClusters"));
        }
        if let Some(machine) = segment_after("virtualMachines") {
            fields.set(FieldId::CloudInstanceId, machine);
        }
        let name = parts.last().filter(|name| !name.is_empty());
        fields.set_str(FieldId::OrchestratorResourceName, name.copied());
        let kind = parts.len().checked_sub(2).and_then(|at| parts.get(at));
        fields.set_str(FieldId::OrchestratorResourceType, kind.copied());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, want: &[(FieldId, &str)]) {
        let normalized = normalize(serde_json::from_str(json).unwrap(), &Context::of(json)).unwrap();
        for (id, want) in want {
            let got = normalized.fields.get(*id).map(|value| value.to_text().into_owned());
            assert_eq!(got.unwrap_or_default(), *want, "{id} of {json}");
        }
    }

    #[test]
    fn each_form() {
        check(
            r#"{"time":"2024-01-01T00:00:00.1234567Z","resourceId":"/SUBSCRIPTIONS/S1/RESOURCEGROUPS/G/PROVIDERS/MICROSOFT.CONTAINERSERVICE/MANAGEDCLUSTERS/C1",
                "operationName":"MICROSOFT.CONTAINERSERVICE/MANAGEDCLUSTERS/LISTCLUSTERADMINCREDENTIAL/ACTION","category":"Action","resultType":"Success","resultSignature":"Succeeded.OK",
                "durationMs":"12","callerIpAddress":"1.2.3.4","correlationId":"c","identity":{"authorization":{"evidence":{"role":"Owner"}},
                "claims":{"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn":"eve@x"}},"level":"Information"}"#,
            &[
                (FieldId::UserName, "eve@x"),
                (FieldId::SourceIp, "1.2.3.4"),
                (FieldId::EventOutcome, "success"),
                (FieldId::OrchestratorClusterName, "C1"),
                (FieldId::CloudAccountId, "S1"),
                (FieldId::CorrelationId, "c"),
                (FieldId::EventDuration, "12000000"),
                (FieldId::UserRoles, r#"["Owner"]"#),
            ],
        );
        check(
            r#"{"event_timestamp":"2024-01-01T00:00:00Z","event_data_id":"e","caller":"app","operation_name":{"value":"Microsoft.Authorization/roleAssignments/write"},
                "status":{"value":"Failed"},"sub_status":{"value":"Forbidden"},"resource_id":"/subscriptions/s/providers/Microsoft.Authorization/roleAssignments/r",
                "http_request":{"client_ip_address":"1.2.3.4","method":"PUT"}}"#,
            &[
                (FieldId::EventCategory, r#"["iam"]"#),
                (FieldId::EventType, r#"["change","denied"]"#),
                (FieldId::EventOutcome, "failure"),
                (FieldId::HttpRequestMethod, "PUT"),
                (FieldId::OrchestratorResourceType, "roleAssignments"),
            ],
        );
    }

    #[test]
    fn other_logs_of_azure_are_not_claimed() {
        for json in [
            r#"{"operationName":"Sign-in activity","category":"SignInLogs","resourceId":"/tenants/t"}"#,
            r#"{"operationName":"Microsoft.ContainerService/managedClusters/diagnosticLogs/Read","category":"kube-audit","resourceId":"/subscriptions/s"}"#,
            r#"{"operationName":"GetBlob","resourceId":"/subscriptions/s"}"#,
            "{}",
        ] {
            assert_eq!(recognize(&serde_json::from_str(json).unwrap()), None, "{json}");
        }
    }
}
