//! Kubernetes API-server audit events (`audit.k8s.io/v1`), as the log backend writes them: one JSON object a line.

use casebook_event::Timestamp;

use crate::cluster::{Cluster, Identity};
use crate::line::{Escaped, Put, Time, Uuid, put};
use crate::random::Random;

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
    pub(crate) request: &'a str,
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
            put!(out; r#","requestObject":"#, self.request);
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

/// verb, group, version, resource, subresource, query: what controllers do all day.
type Action = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

const CONTROLLER_ACTIONS: &[Action] = &[
    ("update", "coordination.k8s.io", "v1", "leases", "", "?timeout=5s"),
    ("get", "coordination.k8s.io", "v1", "leases", "", "?timeout=5s"),
    ("patch", "apps", "v1", "deployments", "status", ""),
    ("update", "apps", "v1", "replicasets", "status", ""),
    ("update", "discovery.k8s.io", "v1", "endpointslices", "", ""),
    ("list", "", "v1", "configmaps", "", "?limit=500&resourceVersion=0"),
    (
        "watch",
        "batch",
        "v1",
        "jobs",
        "",
        "?allowWatchBookmarks=true&resourceVersion=48211907&timeoutSeconds=412&watch=true",
    ),
    ("get", "autoscaling", "v2", "horizontalpodautoscalers", "", ""),
];
const WORKLOAD_ACTIONS: &[Action] = &[
    ("get", "", "v1", "configmaps", "", ""),
    (
        "watch",
        "",
        "v1",
        "configmaps",
        "",
        "?allowWatchBookmarks=true&resourceVersion=48211907&timeoutSeconds=398&watch=true",
    ),
    ("list", "", "v1", "endpoints", "", "?limit=500&resourceVersion=0"),
    ("update", "coordination.k8s.io", "v1", "leases", "", ""),
    ("get", "", "v1", "pods", "", ""),
    ("create", "authorization.k8s.io", "v1", "subjectaccessreviews", "", ""),
];
const PEOPLE_ACTIONS: &[Action] = &[
    ("get", "", "v1", "pods", "", ""),
    ("list", "", "v1", "pods", "", "?limit=500"),
    ("list", "apps", "v1", "deployments", "", "?limit=500"),
    ("get", "apps", "v1", "deployments", "", ""),
    (
        "get",
        "",
        "v1",
        "pods",
        "log",
        "?container=app&follow=true&tailLines=200",
    ),
    (
        "list",
        "",
        "v1",
        "events",
        "",
        "?fieldSelector=involvedObject.kind%3DPod&limit=500",
    ),
    ("get", "", "v1", "services", "", ""),
    ("watch", "", "v1", "pods", "", "?resourceVersion=48212204&watch=true"),
];

/// The commands that people run in pods in the ordinary course: `command` parameters of an exec request.
const ORDINARY_COMMANDS: &[&str] = &[
    "?command=rails&command=runner&command=Report.refresh&container=app&stderr=true&stdout=true",
    "?command=cat&command=%2Fapp%2FVERSION&container=app&stdout=true",
    "?command=env&container=app&stdout=true",
    "?command=redis-cli&command=info&container=app&stdin=true&stdout=true&tty=true",
];

/// Appends one ordinary event, and returns the audit id's bits.
pub(crate) fn write_background(cluster: &Cluster, random: &mut Random, time: Timestamp, out: &mut Vec<u8>) -> u128 {
    let id = random.next_u128();
    let pod = random.pick_skewed(&cluster.pods);
    let mut event = AuditEvent {
        received: time,
        duration_nanos: random.between(900_000, 40_000_000) as i64,
        id,
        level: "Metadata",
        stage: "ResponseComplete",
        verb: "get",
        query: "",
        who: &cluster.kubelets[pod.node],
        ip: None,
        agent: None,
        object: Object {
            version: "v1",
            namespace: &pod.namespace,
            ..Object::default()
        },
        code: 200,
        request: "",
    };
    let mut body = String::new();
    match random.below(1000) {
        0..200 => {
            let node = &cluster.nodes[pod.node];
            event.verb = "update";
            event.query = "?timeout=10s";
            event.object = Object {
                group: "coordination.k8s.io",
                version: "v1",
                resource: "leases",
                namespace: "kube-node-lease",
                name: &node.name,
                ..Object::default()
            };
        }
        200..290 => {
            event.verb = "patch";
            event.object = Object {
                resource: "pods",
                subresource: "status",
                name: &pod.name,
                ..event.object
            };
        }
        290..330 => {
            event.object = Object {
                resource: "secrets",
                name: &pod.workload,
                ..event.object
            }
        }
        330..600 => {
            event.who = random.pick(&cluster.controllers);
            act(&mut event, random.pick(CONTROLLER_ACTIONS), &pod.workload);
        }
        600..625 => {
            event.who = &cluster.controllers[1];
            event.verb = "create";
            event.level = "Request";
            event.code = 201;
            body = pod_body(pod);
            event.object = Object {
                resource: "pods",
                ..event.object
            };
        }
        625..790 => {
            event.who = &cluster.service_accounts[pod.service_account];
            act(&mut event, random.pick(WORKLOAD_ACTIONS), &pod.workload);
        }
        790..800 => {
            // Controllers read every secret: that is their work, and rules must know it.
            event.who = random.pick(&cluster.controllers);
            event.verb = "list";
            event.query = "?limit=500&resourceVersion=0";
            event.object = Object {
                resource: "secrets",
                version: "v1",
                ..Object::default()
            };
        }
        800..970 => {
            event.who = random.pick_skewed(&cluster.people);
            let action = random.pick(PEOPLE_ACTIONS);
            act(
                &mut event,
                action,
                if action.3 == "pods" { &pod.name } else { &pod.workload },
            );
        }
        970..993 => {
            event.who = random.pick_skewed(&cluster.people);
            event.verb = "patch";
            event.level = "Request";
            event.query = "?fieldManager=kubectl-client-side-apply&fieldValidation=Strict";
            body = patch_body(pod, random.below(6));
            event.object = Object {
                group: "apps",
                resource: "deployments",
                name: &pod.workload,
                ..event.object
            };
        }
        993..999 => {
            event.who = random.pick_skewed(&cluster.people);
            event.verb = "list";
            event.code = 403;
            event.query = "?limit=500";
            event.object = Object {
                resource: "nodes",
                version: "v1",
                ..Object::default()
            };
        }
        _ => {
            event.who = random.pick_skewed(&cluster.people);
            event.code = 101;
            event.stage = "ResponseStarted";
            event.query = random.word(ORDINARY_COMMANDS);
            event.object = Object {
                resource: "pods",
                subresource: "exec",
                name: &pod.name,
                ..event.object
            };
        }
    }
    event.request = &body;
    event.write(out);
    id
}

fn act<'a>(event: &mut AuditEvent<'a>, action: &Action, name: &'a str) {
    let (verb, group, version, resource, subresource, query) = *action;
    let named = !matches!(verb, "list" | "watch" | "create");
    event.verb = verb;
    event.query = query;
    event.code = if verb == "create" { 201 } else { 200 };
    event.object = Object {
        group,
        version,
        resource,
        subresource,
        name: if named { name } else { "" },
        ..event.object
    };
}

fn pod_body(pod: &crate::cluster::Pod) -> String {
    let mut out = Vec::with_capacity(1200);
    put!(
        &mut out;
        r#"{"kind":"Pod","apiVersion":"v1","metadata":{"generateName":""#, pod.workload, r#"-","namespace":""#, pod.namespace,
        r#"","labels":{"app.kubernetes.io/name":""#, pod.workload,
        r#""}},"spec":{"volumes":[{"name":"config","configMap":{"name":""#, pod.workload,
        r#""}},{"name":"tmp","emptyDir":{}}],"containers":[{"name":""#, pod.container, r#"","image":""#, pod.image,
        r#"","ports":[{"name":"http","containerPort":8080,"protocol":"TCP"}],"resources":{"limits":{"memory":"512Mi"},"requests":{"cpu":"100m","memory":"256Mi"}},"volumeMounts":[{"name":"config","mountPath":"/etc/app"},{"name":"tmp","mountPath":"/tmp"}],"securityContext":{"privileged":false,"allowPrivilegeEscalation":false,"readOnlyRootFilesystem":true,"runAsNonRoot":true}}],"serviceAccountName":""#,
        pod.workload, r#"","restartPolicy":"Always"}}"#,
    );
    String::from_utf8(out).unwrap_or_default()
}

fn patch_body(pod: &crate::cluster::Pod, replicas: u64) -> String {
    let mut out = Vec::with_capacity(700);
    put!(
        &mut out;
        r#"{"metadata":{"annotations":{"deployment.kubernetes.io/revision":"14","kubernetes.io/change-cause":"release"},"labels":{"app.kubernetes.io/managed-by":"helm"}},"spec":{"replicas":"#,
        replicas + 1, r#","template":{"spec":{"containers":[{"name":""#, pod.container, r#"","image":""#, pod.image, r#""}]}}}}"#,
    );
    String::from_utf8(out).unwrap_or_default()
}

/// The key of an event in its topic: the audit id.
pub(crate) fn key(id: u128) -> String {
    let mut out = Vec::with_capacity(36);
    Uuid(id).put(&mut out);
    String::from_utf8(out).unwrap_or_default()
}
