//! AWS CloudTrail events (CloudTrail user guide, "record contents"): as delivered to S3, as LookupEvents prints them, and
//! inside EventBridge's envelope.

use casebook_event::{EventId, FieldId, Fields, Native, Source, Timestamp, Value, ValueRef};

use super::cloudtrail_action;
use crate::format::reject::{self, Reject};
use crate::format::{epoch, json};
use crate::normalize::address;
use crate::normalize::context::{Context, Normalized, content_id};

/// The identity is `eventID`.
pub(crate) fn normalize(native: ValueRef<'_>, context: &Context<'_>) -> Result<Normalized, Reject> {
    let text = |key: &str| native.str_at(&[key]);
    let (Some(name), Some(source)) = (text("eventName"), text("eventSource")) else {
        let missing = if text("eventName").is_none() {
            "eventName"
        } else {
            "eventSource"
        };
        return Err(Reject::new(
            reject::WRONG_SHAPE,
            format!("no CloudTrail event: {missing} is missing"),
        ));
    };
    let time = time(text("eventTime"), context)?;
    let id = match text("eventID") {
        Some(id) => EventId::from_parts(Source::CloudTrail, &[id.as_bytes()]),
        None => content_id(Source::CloudTrail, context.raw.as_bytes(), Some(time), context),
    };
    let mut fields = Fields::new();
    if context.truncated {
        fields.set(FieldId::Truncated, "true");
    }
    fields.set(FieldId::EventKind, "event");
    fields.set(FieldId::EventAction, name);
    fields.set(FieldId::EventProvider, source);
    fields.set(FieldId::CloudProvider, "aws");
    fields.set(FieldId::CloudServiceName, source);
    fields.set_str(FieldId::CloudRegion, text("awsRegion"));
    set_outcome(native, context, &mut fields);
    let read_only = match native.get("readOnly") {
        Some(ValueRef::Bool(flag)) => Some(flag),
        Some(ValueRef::Str(flag)) => flag.parse().ok(),
        _ => None,
    };
    let denied = text("errorCode").is_some_and(|code| code.contains("Denied") || code.contains("Unauthorized"));
    let (category, kind) = cloudtrail_action::classify(source, name, read_only);
    fields.push(FieldId::EventCategory, category);
    fields.push(FieldId::EventType, kind);
    if category == "iam" && (name.contains("User") || name.contains("Group")) {
        fields.push(FieldId::EventType, if name.contains("User") { "user" } else { "group" });
    }
    if denied {
        fields.push(FieldId::EventType, "denied");
    }
    let account = text("recipientAccountId").or_else(|| native.str_at(&["userIdentity", "accountId"]));
    fields.set_str(FieldId::CloudAccountId, account);
    if let Some(identity) = native.get("userIdentity") {
        set_identity(identity, &mut fields);
    }
    if let Some(address) = text("sourceIPAddress") {
        address::set_source(&mut fields, address);
    }
    fields.set_str(FieldId::UserAgentOriginal, text("userAgent"));
    fields.set_str(
        FieldId::DestinationDomain,
        native.str_at(&["tlsDetails", "clientProvidedHostHeader"]),
    );
    set_target(native, source, name, &mut fields);
    Ok(Normalized {
        source: Source::CloudTrail,
        id,
        time,
        fields,
        native: Native::NONE,
    })
}

fn time(text: Option<&str>, context: &Context<'_>) -> Result<Timestamp, Reject> {
    if let Some(time) = text.and_then(Timestamp::parse_rfc3339).or(context.time_of_cut()) {
        return Ok(time);
    }
    let detail = text.map_or("no eventTime".to_owned(), |text| {
        format!("eventTime {} is no time", reject::quote(text))
    });
    Err(Reject::new(reject::NO_TIMESTAMP, detail))
}

/// Takes the event out of what LookupEvents and EventBridge put around it, with what may be said of it then.
pub(crate) fn unwrap<'a>(mut value: Value, context: &Context<'a>) -> Result<(Value, Context<'a>), Reject> {
    let outer_time = ["EventTime", "time"]
        .iter()
        .find_map(|key| value.get(key).and_then(epoch::parse));
    let context = Context {
        timestamp: outer_time.unwrap_or(context.timestamp),
        ..*context
    };
    if let Some(inner) = value.get("CloudTrailEvent") {
        let mut cut = false;
        let Some(text) = inner.as_str() else {
            return Err(Reject::new(reject::WRONG_SHAPE, "CloudTrailEvent is no text"));
        };
        let event = serde_json::from_str::<Value>(text).or_else(|error| {
            if let Some(recovered) = json::recover_all(text) {
                cut = recovered.cut;
                return Ok(recovered.into_marked());
            }
            let inner = Reject::json(&error);
            Err(Reject::new(
                inner.reason,
                format!("in CloudTrailEvent: {}", inner.detail),
            ))
        })?;
        let truncated = context.truncated || cut;
        return match event {
            Value::Map(_) => Ok((event, Context { truncated, ..context })),
            _ => Err(Reject::new(reject::WRONG_SHAPE, "CloudTrailEvent holds no JSON object")),
        };
    }
    if value.get("eventName").is_none()
        && let Value::Map(entries) = &mut value
        && let Some((_, detail @ Value::Map(_))) = entries.iter_mut().find(|(key, _)| key == "detail")
    {
        return Ok((std::mem::take(detail), context));
    }
    Ok((value, context))
}

fn set_outcome(native: ValueRef<'_>, context: &Context<'_>, fields: &mut Fields) {
    let text = |key: &str| native.str_at(&[key]);
    // Sign-in events say it in the answer, under their own name.
    let answer = [
        "ConsoleLogin",
        "SwitchRole",
        "ExitRole",
        "CheckMfa",
        "CredentialVerification",
        "CredentialChallenge",
    ]
    .iter()
    .find_map(|key| native.str_at(&["responseElements", key]));
    let failed = text("errorCode").is_some()
        || match answer {
            Some(answer) => answer.eq_ignore_ascii_case("failure"),
            None => text("errorMessage").is_some(),
        };
    if failed || answer.is_some() || !context.truncated {
        fields.set(FieldId::EventOutcome, if failed { "failure" } else { "success" });
    }
    fields.set_str(FieldId::EventReason, text("errorCode"));
    fields.set_str(FieldId::ErrorType, text("errorCode"));
    fields.set_str(FieldId::ErrorMessage, text("errorMessage"));
}

fn set_identity(identity: ValueRef<'_>, fields: &mut Fields) {
    let text = |key: &str| identity.str_at(&[key]);
    let issuer = identity.str_at(&["sessionContext", "sessionIssuer", "userName"]);
    let kind = text("type");
    // A role is who acts; the session only names one use of it.
    let name = match kind {
        Some("AssumedRole" | "Role" | "FederatedUser") => issuer.or(text("userName")),
        Some("Root") => Some("root"),
        Some("AWSService") => text("invokedBy"),
        _ => text("userName").or(issuer),
    };
    fields.set_str(
        FieldId::UserName,
        name.or_else(|| text("arn").and_then(arn_name)).or(text("invokedBy")),
    );
    fields.set_str(FieldId::UserId, text("principalId"));
    fields.set_str(FieldId::AwsUserType, kind);
    fields.set_str(FieldId::AwsUserArn, text("arn"));
    fields.set_str(FieldId::AwsAccessKeyId, text("accessKeyId"));
    if kind == Some("AssumedRole") {
        if let Some(issuer) = issuer {
            fields.push(FieldId::UserRoles, issuer);
        }
        let session = text("principalId")
            .and_then(|id| id.split_once(':'))
            .map(|(_, session)| session);
        fields.set_str(FieldId::SessionId, session);
        // An instance's own credentials are a session that is named by the instance.
        fields.set_str(
            FieldId::CloudInstanceId,
            session.filter(|session| is_instance_id(session)),
        );
    }
}

/// The name that an ARN of the forms `…:user/path/NAME` and `…:assumed-role/NAME/session` ends in.
fn arn_name(arn: &str) -> Option<&str> {
    let resource = arn.splitn(6, ':').nth(5)?;
    match resource.split_once('/')? {
        ("assumed-role", rest) => rest.split('/').next(),
        (_, rest) => rest.rsplit('/').next(),
    }
    .filter(|name| !name.is_empty())
}

fn is_instance_id(text: &str) -> bool {
    text.strip_prefix("i-")
        .is_some_and(|rest| rest.len() >= 8 && rest.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// What was acted upon.
fn set_target(native: ValueRef<'_>, source: &str, name: &str, fields: &mut Fields) {
    let parameters = native.get("requestParameters");
    let parameter = |key: &str| parameters.and_then(|parameters| parameters.str_at(&[key]));
    fields.set_str(
        FieldId::UserTargetName,
        parameter("userName").or_else(|| native.str_at(&["responseElements", "user", "userName"])),
    );
    if name.starts_with("AssumeRole") {
        fields.set_str(FieldId::UserEffectiveName, parameter("roleArn").and_then(arn_name));
    }
    if fields.get(FieldId::CloudInstanceId).is_none() {
        let listed = |key: &str| {
            let mut items = native.at(&[key, "instancesSet", "items"]).and_then(ValueRef::as_list)?;
            items.next()?.str_at(&["instanceId"])
        };
        let instance = parameter("instanceId")
            .or_else(|| listed("requestParameters"))
            .or_else(|| listed("responseElements"));
        fields.set_str(FieldId::CloudInstanceId, instance.filter(|id| is_instance_id(id)));
    }
    if source == "eks.amazonaws.com" {
        fields.set_str(
            FieldId::OrchestratorClusterName,
            parameter("clusterName").or(parameter("name")),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, want: &[(FieldId, &str)]) {
        let context = Context::of(json);
        let fields = normalize(
            unwrap(serde_json::from_str(json).unwrap(), &context)
                .unwrap()
                .0
                .as_ref(),
            &context,
        )
        .unwrap()
        .fields;
        for (id, want) in want {
            let got = fields
                .get(*id)
                .map(|value| value.to_text().into_owned())
                .unwrap_or_default();
            assert_eq!(got, *want, "{id} of {json}");
        }
    }

    #[test]
    fn a_role_of_an_instance() {
        check(
            r#"{"eventID":"e","eventTime":"2023-07-10T12:11:14Z","eventSource":"iam.amazonaws.com","eventName":"CreateUser",
                "awsRegion":"us-east-1","sourceIPAddress":"10.1.2.3","userAgent":"aws-cli","errorCode":"AccessDenied","errorMessage":"no",
                "recipientAccountId":"123","requestParameters":{"userName":"mallory"},"responseElements":null,
                "userIdentity":{"type":"AssumedRole","principalId":"AROA:i-05c30218156bcc246","arn":"arn:aws:sts::123:assumed-role/web/i-05c30218156bcc246",
                "accountId":"123","accessKeyId":"ASIA","sessionContext":{"sessionIssuer":{"type":"Role","userName":"web"}}}}"#,
            &[
                (FieldId::EventAction, "CreateUser"),
                (FieldId::EventCategory, r#"["iam"]"#),
                (FieldId::EventType, r#"["creation","user","denied"]"#),
                (FieldId::EventOutcome, "failure"),
                (FieldId::EventReason, "AccessDenied"),
                (FieldId::ErrorMessage, "no"),
                (FieldId::UserName, "web"),
                (FieldId::UserId, "AROA:i-05c30218156bcc246"),
                (FieldId::UserTargetName, "mallory"),
                (FieldId::AwsUserType, "AssumedRole"),
                (FieldId::AwsAccessKeyId, "ASIA"),
                (FieldId::CloudInstanceId, "i-05c30218156bcc246"),
                (FieldId::CloudAccountId, "123"),
                (FieldId::CloudServiceName, "iam.amazonaws.com"),
                (FieldId::SourceIp, "10.1.2.3"),
            ],
        );
    }

    #[test]
    fn signing_in() {
        let login = |answer: &str, more: &str| {
            format!(
                r#"{{"eventTime":"2023-07-10T12:11:14Z","eventSource":"signin.amazonaws.com","eventName":"ConsoleLogin",
                "userIdentity":{{"type":"Root","arn":"arn:aws:iam::123:root"}},"sourceIPAddress":"AWS Internal",
                "responseElements":{{"ConsoleLogin":"{answer}"}}{more}}}"#
            )
        };
        let common = (FieldId::EventCategory, r#"["authentication"]"#);
        let name = (FieldId::UserName, "root");
        let from = (FieldId::SourceAddress, "AWS Internal");
        check(
            &login("Success", ""),
            &[(FieldId::EventOutcome, "success"), common, name, from],
        );
        check(
            &login("Failure", r#","errorMessage":"Failed authentication""#),
            &[
                (FieldId::EventOutcome, "failure"),
                (FieldId::ErrorMessage, "Failed authentication"),
                common,
            ],
        );
    }

    #[test]
    fn envelopes_are_taken_off() {
        let inner = r#"{"eventID":"e","eventTime":"2023-07-10T12:11:14Z","eventSource":"sts.amazonaws.com","eventName":"AssumeRole",
            "requestParameters":{"roleArn":"arn:aws:iam::1:role/path/admin"},"userIdentity":{"type":"AWSService","invokedBy":"rds.amazonaws.com"}}"#;
        let want = [
            (FieldId::EventAction, "AssumeRole"),
            (FieldId::UserEffectiveName, "admin"),
            (FieldId::UserName, "rds.amazonaws.com"),
        ];
        check(inner, &want);
        check(
            &format!(r#"{{"detail-type":"AWS API Call via CloudTrail","detail":{inner}}}"#),
            &want,
        );
        let text = serde_json::to_string(inner).unwrap();
        check(&format!(r#"{{"EventName":"x","CloudTrailEvent":{text}}}"#), &want);
    }
}
