//! Kubernetes API-server audit events: `audit.k8s.io/v1`, `v1beta1`, and the older shape with `timestamp`
//! (Kubernetes API reference, "Event v1 audit.k8s.io").

use casebook_event::{Entries, EventId, FieldId, Fields, Native, Source, Timestamp, Value, ValueRef};
use compact_str::{CompactString, format_compact};

use super::audit_cut::CUT_ADDRESSES;
use super::audit_identity::AuditIdentity;
use super::audit_request::{self, Workload};
use super::{audit_addresses, audit_user, json_patch};
use crate::format::epoch;
use crate::format::reject::{self, Reject};
use crate::normalize::context::{Context, Normalized};

/// The parts of an audit event that fields are made of. Of duplicate keys the first counts.
#[derive(Default)]
struct Parts<'a> {
    audit_id: Option<&'a str>,
    stage: Option<&'a str>,
    verb: Option<&'a str>,
    request_uri: Option<&'a str>,
    user_agent: Option<&'a str>,
    user: Option<ValueRef<'a>>,
    impersonated: Option<ValueRef<'a>>,
    source_ips: Option<ValueRef<'a>>,
    cut_source_ips: Option<ValueRef<'a>>,
    object: ObjectRef<'a>,
    status: Option<ValueRef<'a>>,
    request: Option<ValueRef<'a>>,
    response: Option<ValueRef<'a>>,
    annotations: Option<ValueRef<'a>>,
    times: [Option<ValueRef<'a>>; 5],
}

/// The object that a request is about (`objectRef`).
#[derive(Default)]
struct ObjectRef<'a> {
    resource: Option<&'a str>,
    subresource: Option<&'a str>,
    namespace: Option<&'a str>,
    name: Option<&'a str>,
    uid: Option<&'a str>,
    api_group: Option<&'a str>,
    api_version: Option<&'a str>,
}

impl<'a> ObjectRef<'a> {
    fn read(&mut self, object: ValueRef<'a>) {
        let ValueRef::Map(entries) = object else { return };
        for (key, value) in entries {
            let Some(text) = value.as_str().filter(|text| !text.is_empty()) else {
                continue;
            };
            let place = match key {
                "resource" => &mut self.resource,
                "subresource" => &mut self.subresource,
                "namespace" => &mut self.namespace,
                "name" => &mut self.name,
                "uid" => &mut self.uid,
                "apiGroup" => &mut self.api_group,
                "apiVersion" => &mut self.api_version,
                _ => continue,
            };
            place.get_or_insert(text);
        }
    }
}

impl<'a> Parts<'a> {
    fn of(entries: Entries<'a>) -> Self {
        let mut parts = Self::default();
        for (key, value) in entries {
            let text = value.as_str().filter(|text| !text.is_empty());
            match key {
                "auditID" => parts.audit_id = parts.audit_id.or(text),
                "stage" => parts.stage = parts.stage.or(text),
                // A method that the API has no verb for (`BREW /api/v1/pods`) is logged with an empty one.
                "verb" => parts.verb = parts.verb.or(value.as_str()),
                "requestURI" => parts.request_uri = parts.request_uri.or(text),
                "userAgent" => parts.user_agent = parts.user_agent.or(text),
                "user" => parts.user = parts.user.or(Some(value)),
                "impersonatedUser" => parts.impersonated = parts.impersonated.or(Some(value)),
                "sourceIPs" => parts.source_ips = parts.source_ips.or(Some(value)),
                CUT_ADDRESSES => parts.cut_source_ips = parts.cut_source_ips.or(Some(value)),
                "objectRef" => parts.object.read(value),
                "responseStatus" => parts.status = parts.status.or(Some(value)),
                "requestObject" => parts.request = parts.request.or(Some(value)),
                "responseObject" => parts.response = parts.response.or(Some(value)),
                "annotations" => parts.annotations = parts.annotations.or(Some(value)),
                "stageTimestamp" => parts.times[0] = parts.times[0].or(Some(value)),
                "requestReceivedTimestamp" => parts.times[1] = parts.times[1].or(Some(value)),
                "timestamp" => parts.times[2] = parts.times[2].or(Some(value)),
                "metadata" => parts.times[3] = parts.times[3].or(value.get("creationTimestamp")),
                "requestReceivedTime" => parts.times[4] = parts.times[4].or(Some(value)),
                _ => {}
            }
        }
        parts
    }

    /// The stage's own time, else the request's, else what versions before 1.12 wrote.
    fn time(&self, context: &Context<'_>) -> Result<Timestamp, Reject> {
        let mut texts = self.times.iter().flatten().filter_map(|value| value.as_str());
        let own = self.times.iter().flatten().find_map(|value| epoch::parse(*value));
        match own.or(context.time_of_cut()) {
            Some(time) => Ok(time),
            None => Err(match texts.next() {
                Some(text) => Reject::new(reject::NO_TIMESTAMP, format!("{} is no time", reject::quote(text))),
                None => Reject::new(
                    reject::NO_TIMESTAMP,
                    "neither stageTimestamp nor requestReceivedTimestamp",
                ),
            }),
        }
    }

    /// When the request came; what versions before 1.12 wrote is that time too.
    fn received_time(&self) -> Option<Timestamp> {
        let received = self.times[1].or(self.times[2]).or(self.times[4]);
        received.and_then(epoch::parse)
    }

    /// How long the request took until this stage.
    fn duration_nanos(&self) -> Option<i64> {
        let [stage, received] = [0, 1].map(|at| self.times[at].and_then(epoch::parse));
        stage?
            .as_nanos()
            .checked_sub(received?.as_nanos())
            .filter(|nanos| *nanos > 0)
    }

    /// Whether the API server serves the request for as long as the caller likes: kube-apiserver's own check
    /// (`BasicLongRunningRequestCheck` of `k8s.io/apiserver`, with the verbs and subresources that kube-apiserver gives it).
    fn is_long_running(&self) -> bool {
        const VERBS: &[&str] = &["watch", "proxy"];
        const SUBRESOURCES: &[&str] = &["attach", "exec", "proxy", "log", "portforward"];
        let of_resource = self.object.resource.is_some();
        VERBS.contains(&self.verb.unwrap_or_default())
            || SUBRESOURCES.contains(&self.object.subresource.unwrap_or_default())
            || (!of_resource && self.request_uri.is_some_and(|uri| uri.starts_with("/debug/pprof/")))
    }

    /// What makes the event this one.
    fn id(&self, audit_id: &str, long_running: bool, stage_time: Timestamp) -> EventId {
        // Of a long-running request's two stages only what both have counts.
        let one_event = long_running && is_answer(self.stage);
        let of_stage = |text: Option<&'a str>| text.filter(|_| !one_event);
        let code = self.status.and_then(|status| status.get("code")?.as_i64());
        AuditIdentity {
            audit_id,
            stage: if one_event { None } else { self.stage },
            received: self.received_time().unwrap_or(stage_time),
            stage_time: Some(stage_time).filter(|_| !one_event),
            verb: self.verb,
            request_uri: self.request_uri,
            user: self.user,
            impersonated: self.impersonated,
            source_ips: self.source_ips,
            user_agent: self.user_agent,
            object_name: of_stage(self.object.name),
            code: code.filter(|_| !one_event),
        }
        .id()
    }

    fn annotation(&self, key: &str) -> Option<&'a str> {
        self.annotations.and_then(|annotations| annotations.str_at(&[key]))
    }
}

/// One event per stage ([`Parts::id`]).
pub(crate) fn normalize(native: ValueRef<'_>, context: &Context<'_>) -> Result<Normalized, Reject> {
    let ValueRef::Map(entries) = native else {
        return Err(Reject::new(reject::WRONG_SHAPE, "no JSON object"));
    };
    let mut parts = Parts::of(entries);
    // A patch may be a list of changes, and no object: what it writes is its body.
    let patch = parts.request.and_then(json_patch::written);
    parts.request = patch.as_ref().map(Value::as_ref).or(parts.request);
    let known_verb = parts.verb.or(context.truncated.then_some(""));
    let (Some(audit_id), Some(verb)) = (parts.audit_id, known_verb) else {
        let missing = if parts.audit_id.is_none() { "auditID" } else { "verb" };
        return Err(Reject::new(
            reject::WRONG_SHAPE,
            format!("no audit event: {missing} is missing"),
        ));
    };
    let long_running = parts.is_long_running();
    // A long-running request is reported when it starts and when it ends, or at one of both, as the audit policy has it
    // (`omitStages`). It is one event for rules all the same: both stages have one identity, and the time of the request.
    let stage_time = parts.time(context)?;
    let time = match is_answer(parts.stage) && long_running {
        true => parts.received_time().unwrap_or(stage_time),
        false => stage_time,
    };
    let id = parts.id(audit_id, long_running, stage_time);
    let mut fields = Fields::new();
    set_result(&parts, verb, context, &mut fields);
    audit_user::set(
        parts.user,
        parts.impersonated,
        parts
            .object
            .resource
            .map_or(!context.truncated, |resource| resource != "pods"),
        &mut fields,
    );
    set_stage(&parts, long_running, context, &mut fields);
    if let Some(nanos) = parts.duration_nanos() {
        fields.set(FieldId::EventDuration, nanos);
    }
    audit_addresses::set(parts.source_ips, parts.cut_source_ips, context, &mut fields);
    set_object(&parts, &mut fields);
    if let Some(uri) = parts.request_uri {
        audit_request::set_uri(uri, parts.object.subresource, &mut fields);
    }
    fields.set_str(FieldId::UserAgentOriginal, parts.user_agent);
    Ok(Normalized {
        source: Source::KubernetesAudit,
        id,
        time,
        fields,
        native: patch.map_or(Native::NONE, |patch| with_body(native, patch)),
    })
}

/// Whether a stage is one of the two that report an answer.
fn is_answer(stage: Option<&str>) -> bool {
    matches!(stage, Some("ResponseStarted" | "ResponseComplete"))
}

/// The record with a body beside the one it has: a rule reaches both by the same name.
fn with_body(native: ValueRef<'_>, body: Value) -> Native {
    match native.to_value() {
        Value::Map(mut entries) => {
            entries.push(("requestObject".into(), body));
            Value::Map(entries).into()
        }
        other => other.into(),
    }
}

fn set_result(parts: &Parts<'_>, verb: &str, context: &Context<'_>, fields: &mut Fields) {
    fields.set(FieldId::EventKind, "event");
    let resource = parts.object.resource.unwrap_or_default();
    // What kind of request it is, the verb and the object say together.
    if !context.truncated || (parts.verb.is_some() && parts.object.resource.is_some()) {
        let (category, kind) = classify(verb, resource, parts.object.subresource.unwrap_or_default());
        fields.push(FieldId::EventCategory, category);
        fields.push(FieldId::EventType, kind);
    }
    fields.set(FieldId::EventAction, verb);
    let code = parts
        .status
        .and_then(|status| status.get("code"))
        .and_then(ValueRef::as_i64);
    let forbidden = parts.annotation("authorization.k8s.io/decision") == Some("forbid");
    let failed = forbidden || code.is_some_and(|code| code >= 400) || parts.stage == Some("Panic");
    let outcome = match (failed, code) {
        (true, _) => "failure",
        (false, Some(_)) => "success",
        (false, None) if context.truncated => "",
        (false, None) => "unknown",
    };
    if forbidden || matches!(code, Some(401 | 403)) {
        fields.push(FieldId::EventType, "denied");
    }
    fields.set(FieldId::EventOutcome, outcome);
    let status = |key: &str| parts.status.and_then(|status| status.str_at(&[key]));
    fields.set_str(
        FieldId::EventReason,
        status("reason").or_else(|| parts.annotation("authorization.k8s.io/reason")),
    );
    if failed {
        fields.set_str(FieldId::ErrorMessage, status("message"));
    }
    if let Some(code) = code {
        fields.set(FieldId::HttpResponseStatusCode, code);
    }
}

/// ECS `event.category` and `event.type` of a request.
pub(crate) fn classify(verb: &str, resource: &str, subresource: &str) -> (&'static str, &'static str) {
    let category = match (resource, subresource) {
        ("", _) => "web",
        ("pods", "exec" | "attach") => return ("process", "start"),
        ("pods" | "services" | "nodes", "portforward" | "proxy") => return ("network", "connection"),
        ("tokenreviews", _) => "authentication",
        ("networkpolicies" | "ingresses" | "services", _) if !is_read(verb) => "network",
        ("roles" | "rolebindings" | "clusterroles" | "clusterrolebindings" | "serviceaccounts", _)
        | ("certificatesigningrequests" | "subjectaccessreviews" | "selfsubjectaccessreviews", _)
        | ("localsubjectaccessreviews" | "selfsubjectrulesreviews" | "users" | "groups" | "identities", _) => "iam",
        _ => "configuration",
    };
    let kind = match verb {
        "create" => "creation",
        "update" | "patch" | "approve" | "bind" | "escalate" => "change",
        "delete" | "deletecollection" => "deletion",
        _ if category == "iam" => "info",
        _ => "access",
    };
    (category, kind)
}

fn is_read(verb: &str) -> bool {
    matches!(verb, "get" | "list" | "watch" | "head")
}

fn set_object(parts: &Parts<'_>, fields: &mut Fields) {
    fields.set(FieldId::OrchestratorType, "kubernetes");
    let resource = parts.object.resource;
    // A created object's name is in the answer, since the server may have made it up (generateName).
    let body = |key: &str| {
        let of = |body: Option<ValueRef<'_>>| {
            body.and_then(|body| body.str_at(&["metadata", key]))
                .map(CompactString::new)
        };
        of(parts.response).or_else(|| of(parts.request))
    };
    let of_object = matches!(
        parts.object.subresource,
        None | Some("status" | "ephemeralcontainers" | "eviction" | "binding")
    );
    let body = |key: &str| if of_object { body(key) } else { None };
    let name = parts.object.name.map(CompactString::new).or_else(|| body("name"));
    let uid = parts.object.uid.map(CompactString::new).or_else(|| body("uid"));
    let namespace = parts.object.namespace;
    fields.set_str(FieldId::OrchestratorNamespace, namespace);
    fields.set_str(FieldId::OrchestratorResourceType, resource);
    fields.set_str(FieldId::OrchestratorResourceSubresource, parts.object.subresource);
    if let Some(version) = parts.object.api_version {
        match parts.object.api_group {
            Some(group) => fields.set(FieldId::OrchestratorApiVersion, format_compact!("{group}/{version}")),
            None => fields.set(FieldId::OrchestratorApiVersion, version),
        }
    }
    match (resource, &name) {
        (Some("pods"), Some(name)) => {
            fields.set(FieldId::KubernetesPodName, name.clone());
            fields.set(FieldId::KubernetesPodUid, uid.unwrap_or_default());
        }
        (Some("nodes"), Some(name)) => fields.set(FieldId::KubernetesNodeName, name.clone()),
        _ => {}
    }
    if let Some(name) = name {
        fields.set(FieldId::OrchestratorResourceName, name);
    }
    let asked = Workload::of(parts.request, resource);
    // The answer is the whole object, of which a change of it may name no container.
    let answered = match &asked {
        Some(asked) if asked.has_containers() => None,
        _ => Workload::of(parts.response, resource),
    };
    for workload in [answered, asked].into_iter().flatten() {
        workload.set(fields);
        workload.set_risks(fields);
    }
}

/// Which of a request's stages rules evaluate: its answer, or a panic. That a request was received says nothing of what became
/// of it; that an answer has started only counts where the end may be days away.
fn set_stage(parts: &Parts<'_>, long_running: bool, context: &Context<'_>, fields: &mut Fields) {
    let Some(stage) = parts.stage else { return };
    let decisive = match stage {
        "RequestReceived" => false,
        "ResponseStarted" => long_running,
        _ => true,
    };
    fields.set(FieldId::KubernetesAuditStage, stage);
    if context.truncated && stage == "ResponseStarted" && parts.object.resource.is_none() {
        // What would say whether it is a long one is missing. Rules evaluate it then.
        return;
    }
    fields.set(FieldId::AuditDecisive, if decisive { "true" } else { "false" });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalized(json: &str) -> Normalized {
        let value = serde_json::from_str::<Value>(json).unwrap();
        normalize(value.as_ref(), &Context::of(json)).unwrap()
    }

    fn check(json: &str, want: &[(FieldId, &str)]) {
        let fields = normalized(json).fields;
        for (id, want) in want {
            let got = fields
                .get(*id)
                .map(|value| value.to_text().into_owned())
                .unwrap_or_default();
            assert_eq!(got, *want, "{id} of {json}");
        }
    }

    #[test]
    fn a_denied_list_by_an_impersonated_user() {
        check(
            r#"{"auditID":"a","stage":"ResponseComplete","verb":"list","timestamp":"2017-09-11T19:55:05Z",
                "user":{"username":"system:admin","uid":"u1","groups":["system:masters","g"]},"impersonatedUser":{"username":"bob"},
                "sourceIPs":["::1","10.0.0.1"],"objectRef":{"resource":"pods","namespace":"default","apiVersion":"v1"},
                "responseStatus":{"message":"no","reason":"Forbidden","code":403}}"#,
            &[
                (FieldId::EventAction, "list"),
                (FieldId::EventOutcome, "failure"),
                (FieldId::EventReason, "Forbidden"),
                (FieldId::EventType, r#"["access","denied"]"#),
                (FieldId::ErrorMessage, "no"),
                (FieldId::UserName, "system:admin"),
                (FieldId::UserId, "u1"),
                (FieldId::UserGroups, r#"["system:masters","g"]"#),
                (FieldId::UserEffectiveName, "bob"),
                (FieldId::SourceIp, "10.0.0.1"),
                (FieldId::ClaimedIps, r#"["::1"]"#),
                (FieldId::RelatedIps, r#"["10.0.0.1","::1"]"#),
                (FieldId::OrchestratorResourceType, "pods"),
                (FieldId::OrchestratorNamespace, "default"),
                (FieldId::HttpResponseStatusCode, "403"),
                (FieldId::HttpRequestMethod, ""),
            ],
        );
    }

    #[test]
    fn a_service_account_in_a_pod_runs_a_command_in_another() {
        check(
            r#"{"auditID":"a","stage":"ResponseStarted","verb":"create","stageTimestamp":"2024-01-01T00:00:00.5Z",
                "requestURI":"/api/v1/namespaces/shop/pods/web/exec?command=sh&command=-c&command=cat%20%2Fetc%2Fshadow&container=app&stdin=true",
                "user":{"username":"system:serviceaccount:shop:builder","extra":{"authentication.kubernetes.io/pod-name":["ci-0"],
                "authentication.kubernetes.io/node-name":["n1"]}},
                "objectRef":{"resource":"pods","subresource":"exec","name":"web","namespace":"shop","apiVersion":"v1","apiGroup":""},
                "responseStatus":{"code":101}}"#,
            &[
                (FieldId::EventCategory, r#"["process"]"#),
                (FieldId::EventOutcome, "success"),
                (FieldId::ProcessCommandLine, "sh -c cat /etc/shadow"),
                (FieldId::ProcessArgs, r#"["sh","-c","cat /etc/shadow"]"#),
                (FieldId::ProcessName, "sh"),
                (FieldId::ContainerName, "app"),
                (FieldId::KubernetesServiceAccount, "shop:builder"),
                (FieldId::KubernetesPodName, "web"),
                (FieldId::KubernetesNodeName, ""),
                (FieldId::UrlPath, "/api/v1/namespaces/shop/pods/web/exec"),
                (FieldId::OrchestratorApiVersion, "v1"),
                (FieldId::OrchestratorResourceSubresource, "exec"),
            ],
        );
    }

    #[test]
    fn a_token_s_pod_is_named_where_no_other_is() {
        let event = |resource: &str| {
            format!(
                r#"{{"auditID":"a","stage":"s","verb":"get","stageTimestamp":"2024-01-01T00:00:00Z","objectRef":{{"resource":"{resource}"}},
                "user":{{"username":"u","extra":{{"authentication.kubernetes.io/pod-name":["ci-0"],"authentication.kubernetes.io/pod-uid":["7"]}}}}}}"#
            )
        };
        check(
            &event("secrets"),
            &[(FieldId::KubernetesPodName, "ci-0"), (FieldId::KubernetesPodUid, "7")],
        );
        check(
            &event("pods"),
            &[(FieldId::KubernetesPodName, ""), (FieldId::KubernetesPodUid, "")],
        );
    }

    #[test]
    fn a_created_workload_has_an_image_and_a_name() {
        check(
            r#"{"auditID":"a","stage":"ResponseComplete","verb":"create","stageTimestamp":"2024-01-01T00:00:00Z",
                "objectRef":{"resource":"cronjobs","namespace":"shop","apiGroup":"batch","apiVersion":"v1"},
                "requestObject":{"metadata":{"generateName":"x-"},"spec":{"jobTemplate":{"spec":{"template":{"spec":
                {"serviceAccountName":"sa","nodeName":"n2","containers":[{"name":"c","image":"evil:1"}]}}}}}},
                "responseObject":{"metadata":{"name":"x-7"}},"annotations":{"authorization.k8s.io/decision":"allow"}}"#,
            &[
                (FieldId::ContainerImageName, "evil:1"),
                (FieldId::ContainerName, "c"),
                (FieldId::OrchestratorResourceName, "x-7"),
                (FieldId::OrchestratorApiVersion, "batch/v1"),
                (FieldId::EventOutcome, "unknown"),
                (FieldId::EventType, r#"["creation"]"#),
                (FieldId::KubernetesPodName, ""),
            ],
        );
    }

    #[test]
    fn stages_are_events_of_their_own() {
        let of = |stage: &str| {
            let json =
                format!(r#"{{"auditID":"a","stage":"{stage}","verb":"get","stageTimestamp":"2024-01-01T00:00:00Z"}}"#);
            normalized(&json).id
        };
        assert_ne!(of("RequestReceived"), of("ResponseComplete"));
        assert_eq!(of("Panic"), of("Panic"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let check = |json: &str, reason: &str, word: &str| {
            let value: Value = serde_json::from_str(json).unwrap();
            let reject = normalize(value.as_ref(), &Context::of(json)).err().unwrap();
            assert_eq!(reject.reason, reason);
            assert!(reject.detail.contains(word), "{}", reject.detail);
        };
        check(r#"{"auditID":"a","verb":"get"}"#, "no_timestamp", "stageTimestamp");
        check(
            r#"{"auditID":"a","verb":"get","timestamp":"soon"}"#,
            "no_timestamp",
            "soon",
        );
        check(r#"{"auditID":"a"}"#, "wrong_shape", "verb");
        check(r#"{"verb":"get"}"#, "wrong_shape", "auditID");
        check(r#"{"auditID":7,"verb":{}}"#, "wrong_shape", "auditID");
    }
}
