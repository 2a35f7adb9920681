//! What makes an event of the API server's audit log the same event.
//!
//! `auditID` is the `Audit-ID` header of whoever calls, as it came; only a request without one gets an id of the server's own.
//! So it distinguishes no two requests that want to pass for one. The identity therefore takes in what the server itself writes
//! (the times, the user that it authenticated, the addresses, the code of its answer), and what was asked of it. A caller can
//! choose some of these too, but only by asking for something else, which is another event.
//!
//! All of it is equal in the log file and at the webhook, and in the envelopes of clouds. What may differ between these is left
//! out: bodies, which the webhook's backend may drop for their size, annotations, the level, the order of keys, and how a time
//! is written.

use casebook_event::{EventId, Source, Timestamp, ValueRef};

/// What the identity is made of.
pub(crate) struct AuditIdentity<'a> {
    /// The caller's header, or the server's own id.
    pub(crate) audit_id: &'a str,
    /// `None` where both stages of a long-running request are meant.
    pub(crate) stage: Option<&'a str>,
    /// When the request came, to the microsecond.
    pub(crate) received: Timestamp,
    pub(crate) stage_time: Option<Timestamp>,
    pub(crate) verb: Option<&'a str>,
    pub(crate) request_uri: Option<&'a str>,
    pub(crate) user: Option<ValueRef<'a>>,
    pub(crate) impersonated: Option<ValueRef<'a>>,
    pub(crate) source_ips: Option<ValueRef<'a>>,
    pub(crate) user_agent: Option<&'a str>,
    /// The object's name: that of a new one stands in the body, not in the URI.
    pub(crate) object_name: Option<&'a str>,
    pub(crate) code: Option<i64>,
}

impl<'a> AuditIdentity<'a> {
    /// The identity.
    pub(crate) fn id(&self) -> EventId {
        let nanos = |time: Option<Timestamp>| time.map_or(i64::MIN, Timestamp::as_nanos).to_le_bytes();
        let (received, stage_time) = (nanos(Some(self.received)), nanos(self.stage_time));
        let code = self.code.unwrap_or(-1).to_le_bytes();
        let of = |text: Option<&'a str>| text.unwrap_or_default().as_bytes();
        let of_user = |user: Option<ValueRef<'a>>, key: &str| of(user.and_then(|user| user.str_at(&[key])));
        let mut parts: Vec<&[u8]> = Vec::with_capacity(20);
        parts.extend([
            self.audit_id.as_bytes(),
            of(self.stage),
            &received,
            &stage_time,
            of(self.verb),
            of(self.request_uri),
            of_user(self.user, "username"),
            of_user(self.user, "uid"),
            of_user(self.impersonated, "username"),
            of(self.user_agent),
            of(self.object_name),
            &code,
        ]);
        // The addresses come last: they are the only part whose number varies.
        let addresses = self.source_ips.and_then(ValueRef::as_list);
        parts.extend(addresses.into_iter().flatten().map(|address| of(address.as_str())));
        EventId::from_parts(Source::KubernetesAudit, &parts)
    }
}

#[cfg(test)]
mod tests {
    use casebook_event::Value;

    use super::*;
    use crate::normalize::context::Context;
    use crate::normalize::kubernetes::gke_audit;
    use crate::normalize::kubernetes::kubernetes_audit;

    /// A request as the API server writes it, of which a test changes parts.
    const READ: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"chosen-by-the-caller",
        "stage":"ResponseComplete","requestURI":"/api/v1/namespaces/bank/secrets/vault?a=1","verb":"get",
        "user":{"username":"eve","uid":"u-1","groups":["system:authenticated"]},"sourceIPs":["198.51.100.9"],"userAgent":"curl/8",
        "objectRef":{"resource":"secrets","namespace":"bank","name":"vault","apiVersion":"v1"},"responseStatus":{"code":200},
        "requestReceivedTimestamp":"2026-05-04T08:00:00.000001Z","stageTimestamp":"2026-05-04T08:00:00.000009Z",
        "annotations":{"authorization.k8s.io/decision":"allow"}}"#;

    fn id(json: &str) -> EventId {
        let value: Value = serde_json::from_str(json).unwrap();
        kubernetes_audit::normalize(value.as_ref(), &Context::of(json))
            .unwrap()
            .id
    }

    fn changed(from: &str, to: &str) -> String {
        assert!(READ.contains(from), "{from}");
        READ.replace(from, to)
    }

    #[test]
    fn one_audit_id_for_differing_requests_is_as_many_events() {
        let first = id(READ);
        for (from, to) in [
            ("secrets/vault?a=1", "secrets/root-ca?a=1"),
            ("vault?a=1", "vault?a=2"),
            (r#""verb":"get""#, r#""verb":"delete""#),
            (r#""username":"eve""#, r#""username":"eva""#),
            (r#""uid":"u-1""#, r#""uid":"u-2""#),
            (r#""user":{"#, r#""impersonatedUser":{"username":"admin"},"user":{"#),
            ("08:00:00.000001Z", "08:00:00.000002Z"),
            ("08:00:00.000009Z", "08:00:00.000010Z"),
            ("ResponseComplete", "RequestReceived"),
            (r#"["198.51.100.9"]"#, r#"["198.51.100.9","198.51.100.10"]"#),
            ("curl/8", "curl/9"),
            (r#""name":"vault""#, r#""name":"vault-2""#),
            (r#""code":200"#, r#""code":403"#),
            ("chosen-by-the-caller", "chosen-by-the-caller-too"),
        ] {
            assert_ne!(id(&changed(from, to)), first, "{to}");
        }
    }

    #[test]
    fn one_event_by_the_log_file_and_the_webhook_has_one_identity() {
        let first = id(READ);
        for (from, to) in [
            // The webhook's backend drops bodies that are too long, and says so.
            (
                r#""annotations":{"#,
                r#""annotations":{"audit.k8s.io/truncated":"true","#,
            ),
            (
                r#""level":"Metadata""#,
                r#""level":"RequestResponse","requestObject":{"kind":"Secret"}"#,
            ),
            ("audit.k8s.io/v1", "audit.k8s.io/v1beta1"),
            // Whatever reads JSON on the way may write a time or a list in another way.
            ("08:00:00.000001Z", "08:00:00.000001000Z"),
            ("2026-05-04T08:00:00.000009Z", "2026-05-04T10:00:00.000009+02:00"),
        ] {
            assert_eq!(id(&changed(from, to)), first, "{to}");
        }
        let Value::Map(mut entries) = serde_json::from_str(READ).unwrap() else {
            unreachable!("an object")
        };
        entries.reverse();
        assert_eq!(id(&Value::Map(entries).to_text()), first, "the order of keys");
    }

    #[test]
    fn both_stages_of_what_the_server_calls_long_running_are_one_event() {
        let stage = |verb: &str, subresource: &str, uri: &str, stage: &str, at: &str| {
            let object = match subresource {
                "-" => String::new(),
                sub => {
                    format!(r#""objectRef":{{"resource":"pods","namespace":"n","name":"p","subresource":"{sub}"}},"#)
                }
            };
            id(&format!(
                r#"{{"auditID":"a","stage":"{stage}","requestURI":"{uri}","verb":"{verb}",{object}"user":{{"username":"eve"}},
                "responseStatus":{{"code":1{at}}},"requestReceivedTimestamp":"2026-05-04T08:00:00.000001Z","stageTimestamp":"2026-05-04T08:00:{at}Z"}}"#
            ))
        };
        let check = |verb: &str, subresource: &str, uri: &str, one: bool| {
            let [start, end] = [("ResponseStarted", "11"), ("ResponseComplete", "59")]
                .map(|(name, at)| stage(verb, subresource, uri, name, at));
            assert_eq!(start == end, one, "{verb} {subresource} {uri}");
            assert_ne!(stage(verb, subresource, uri, "Panic", "59"), end);
            assert_ne!(stage(verb, subresource, uri, "RequestReceived", "00"), end);
        };
        for subresource in ["exec", "attach", "portforward", "proxy", "log"] {
            check("create", subresource, "/x", true);
            check("get", subresource, "/x", true);
        }
        check("watch", "", "/api/v1/pods?watch=true", true);
        check("proxy", "", "/api/v1/proxy/x", true);
        check("get", "-", "/debug/pprof/profile", true);
        check("get", "", "/debug/pprof/profile", false);
        check("get", "-", "/debug/flags", false);
        check("list", "", "/api/v1/pods?watch=false", false);
        check("update", "status", "/x", false);
    }

    #[test]
    fn an_exec_in_the_same_pod_under_the_same_audit_id_is_another_event() {
        let exec = |command: &str, received: &str| {
            id(&format!(
                r#"{{"auditID":"a","stage":"ResponseStarted","verb":"create","requestURI":"/api/v1/namespaces/n/pods/p/exec?command={command}",
                "user":{{"username":"eve"}},"objectRef":{{"resource":"pods","subresource":"exec","name":"p"}},
                "requestReceivedTimestamp":"2026-05-04T08:00:00.00000{received}Z","stageTimestamp":"2026-05-04T08:00:01Z"}}"#
            ))
        };
        assert_ne!(exec("id", "1"), exec("sh", "1"));
        assert_ne!(exec("id", "1"), exec("id", "2"));
        assert_eq!(exec("id", "1"), exec("id", "1"));
    }

    #[test]
    fn a_gke_entry_is_distinguished_from_others_by_what_was_asked() {
        let entry = r#"{"insertId":"chosen","logName":"projects/p/logs/cloudaudit.googleapis.com%2Factivity","timestamp":"2026-05-04T08:00:00.5Z",
            "operation":{"id":"chosen","first":true,"last":true},"resource":{"labels":{"cluster_name":"c","location":"l","project_id":"p"}},
            "protoPayload":{"serviceName":"k8s.io","methodName":"io.k8s.core.v1.secrets.get","resourceName":"core/v1/namespaces/n/secrets/s",
            "authenticationInfo":{"principalEmail":"eve@x.example"},"requestMetadata":{"callerIp":"198.51.100.9"}}}"#;
        let id = |entry: &str| {
            let value = serde_json::from_str(entry).unwrap();
            gke_audit::normalize(value, &Context::of(entry)).unwrap().id
        };
        let first = id(entry);
        for (from, to) in [
            ("secrets/s\"", "secrets/t\""),
            ("secrets.get", "secrets.delete"),
            ("eve@", "eva@"),
            ("198.51.100.9", "198.51.100.8"),
            ("08:00:00.5Z", "08:00:00.6Z"),
            (r#""cluster_name":"c""#, r#""cluster_name":"d""#),
        ] {
            assert!(entry.contains(from), "{from}");
            assert_ne!(id(&entry.replace(from, to)), first, "{to}");
        }
        assert_eq!(id(&entry.replace("00.5Z", "00.500Z")), first);
    }
}
