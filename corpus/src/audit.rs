//! Kubernetes API-server audit events (`audit.k8s.io/v1`), as the log backend writes them: one JSON object a line.

use std::borrow::Cow;

use casebook_event::Timestamp;

use crate::cluster::Identity;
use crate::line::{Escaped, Put, Time, Uuid, put};

/// What a request is about.
#[derive(Clone, Copy, Default)]
pub(crate) struct Object<'a> {
    /// The API group; empty for the core one.
    pub(crate) group: &'a str,
    pub(crate) version: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) subresource: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
}

impl<'a> Object<'a> {
    /// All objects of a resource, in version `v1` of an API group.
    pub(crate) const fn all(group: &'a str, resource: &'a str) -> Self {
        Self {
            group,
            version: "v1",
            resource,
            subresource: "",
            namespace: "",
            name: "",
        }
    }

    /// Those in a namespace, or one of them where `name` is not empty.
    pub(crate) const fn at(self, namespace: &'a str, name: &'a str) -> Self {
        Self {
            namespace,
            name,
            ..self
        }
    }

    /// What is below it: `exec`, `status`.
    pub(crate) const fn sub(self, subresource: &'a str) -> Self {
        Self { subresource, ..self }
    }
}

/// One audit event.
pub(crate) struct AuditEvent<'a> {
    pub(crate) received: Timestamp,
    pub(crate) duration_nanos: i64,
    pub(crate) id: u128,
    pub(crate) level: &'a str,
    pub(crate) stage: &'a str,
    pub(crate) verb: &'a str,
    /// The URI's query, with its `?`; may be empty.
    pub(crate) query: &'a str,
    pub(crate) who: &'a Identity,
    /// The caller's address, where it is not the identity's own.
    pub(crate) ip: Option<&'a str>,
    /// The caller's program, where it is not the identity's own.
    pub(crate) agent: Option<&'a str>,
    pub(crate) object: Object<'a>,
    pub(crate) code: u64,
    /// The request's body as JSON; empty where the level does not log it.
    pub(crate) request: Cow<'a, str>,
}

impl AuditEvent<'_> {
    /// Appends the event.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let Object {
            group,
            version,
            resource,
            subresource,
            namespace,
            name,
        } = self.object;
        put!(
            out;
            r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":""#, self.level, r#"","auditID":""#, Uuid(self.id),
            r#"","stage":""#, self.stage, r#"","requestURI":""#,
        );
        self.write_uri(out);
        put!(
            out;
            r#"","verb":""#, self.verb, r#"","user":"#, self.who.user,
            r#","sourceIPs":[""#, self.ip.unwrap_or(&self.who.ip), r#""],"userAgent":""#, self.agent.unwrap_or(self.who.agent),
            r#"","objectRef":{"resource":""#, resource, r#"""#,
        );
        for (key, value) in [("namespace", namespace), ("name", name), ("apiGroup", group)] {
            if !value.is_empty() {
                put!(out; r#",""#, key, r#"":""#, value, r#"""#);
            }
        }
        put!(out; r#","apiVersion":""#, version, r#"""#);
        if !subresource.is_empty() {
            put!(out; r#","subresource":""#, subresource, r#"""#);
        }
        put!(out; r#"},"responseStatus":{"metadata":{},"#);
        let denied = self.code == 403;
        if denied {
            put!(out; r#""status":"Failure","message":"#, r#"""#, resource);
            if !name.is_empty() {
                put!(out; r#" \""#, name, r#"\""#);
            }
            put!(out; r#" is forbidden: User \""#, self.who.name, r#"\" cannot "#, self.verb, r#" resource \""#, resource);
            put!(out; r#"\" in API group \""#, group, r#"\""#);
            match namespace {
                "" => put!(out; " at the cluster scope"),
                _ => put!(out; r#" in the namespace \""#, namespace, r#"\""#),
            }
            put!(out; r#"","reason":"Forbidden","details":{"kind":""#, resource, r#""},"#);
        }
        put!(out; r#""code":"#, self.code, "}");
        if !self.request.is_empty() {
            put!(out; r#","requestObject":"#, &*self.request);
        }
        let stamp = self.received.saturating_add_nanos(self.duration_nanos);
        put!(
            out;
            r#","requestReceivedTimestamp":""#, Time(self.received, 6), r#"Z","stageTimestamp":""#, Time(stamp, 6),
            r#"Z","annotations":{"authorization.k8s.io/decision":""#, if denied { "forbid" } else { "allow" },
            r#"","authorization.k8s.io/reason":""#, if denied { "" } else { &self.who.reason }, r#""}}"#,
        );
    }

    fn write_uri(&self, out: &mut Vec<u8>) {
        let Object {
            group,
            version,
            resource,
            subresource,
            namespace,
            name,
        } = self.object;
        match group {
            "" => put!(out; "/api/", version),
            _ => put!(out; "/apis/", group, "/", version),
        }
        if !namespace.is_empty() {
            put!(out; "/namespaces/", namespace);
        }
        put!(out; "/", resource);
        if !name.is_empty() && self.verb != "create" || !subresource.is_empty() {
            put!(out; "/", name);
        }
        if !subresource.is_empty() {
            put!(out; "/", subresource);
        }
        put!(out; Escaped(self.query));
    }
}

/// The key of an event in its topic: the audit id.
pub(crate) fn key(id: u128) -> String {
    let mut out = Vec::with_capacity(36);
    Uuid(id).put(&mut out);
    String::from_utf8(out).unwrap_or_default()
}
