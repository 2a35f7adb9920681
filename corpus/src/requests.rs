//! What asks the API server for what on an ordinary day: the requests of nodes, controllers, workloads, a pipeline and
//! people, one function each. How often each of them asks is the background's matter.

use casebook_event::Timestamp;

use crate::audit::{AuditEvent, Object};
use crate::cluster::{Cluster, Identity, Pod};
use crate::line::put;
use crate::random::Random;

/// verb, group, version, resource, subresource, query: what controllers do all day.
type Action = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

const CONTROLLERS: &[Action] = &[
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
const WORKLOADS: &[Action] = &[
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
const PEOPLE: &[Action] = &[
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

/// A request of the pod's node, which asks for nothing yet.
pub(crate) fn ordinary<'a>(
    cluster: &'a Cluster,
    pod: &'a Pod,
    random: &mut Random,
    time: Timestamp,
    id: u128,
) -> AuditEvent<'a> {
    AuditEvent {
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
        object: Object::all("", "").at(&pod.namespace, ""),
        code: 200,
        request: "".into(),
    }
}

/// The node of the pod says that it is alive.
pub(crate) fn node_lease<'a>(event: &mut AuditEvent<'a>, cluster: &'a Cluster, pod: &Pod) {
    event.verb = "update";
    event.query = "?timeout=10s";
    event.object = Object::all("coordination.k8s.io", "leases").at("kube-node-lease", &cluster.nodes[pod.node].name);
}

/// The pod's node says how it is.
pub(crate) fn pod_status<'a>(event: &mut AuditEvent<'a>, pod: &'a Pod) {
    event.verb = "patch";
    event.object = of_pod(pod, "pods", &pod.name).sub("status");
}

/// The pod's node fetches what the pod mounts.
pub(crate) fn mounted_secret<'a>(event: &mut AuditEvent<'a>, pod: &'a Pod) {
    event.object = of_pod(pod, "secrets", &pod.workload);
}

/// The pod's node asks for the token that the pod mounts.
pub(crate) fn mounted_token<'a>(event: &mut AuditEvent<'a>, pod: &'a Pod) {
    (event.verb, event.code) = ("create", 201);
    event.object = of_pod(pod, "serviceaccounts", &pod.workload).sub("token");
}

/// A controller at its work.
pub(crate) fn controller<'a>(event: &mut AuditEvent<'a>, cluster: &'a Cluster, pod: &'a Pod, random: &mut Random) {
    event.who = random.pick(&cluster.controllers);
    act(event, random.pick(CONTROLLERS), &pod.workload);
}

/// A replica set gets another pod.
pub(crate) fn pod_created<'a>(event: &mut AuditEvent<'a>, by: &'a Identity, pod: &'a Pod) {
    event.who = by;
    (event.verb, event.code) = ("create", 201);
    event.level = "Request";
    event.object = of_pod(pod, "pods", "");
    event.request = pod_body(pod).into();
}

/// A node says in an event what it did with a pod.
pub(crate) fn event_created<'a>(event: &mut AuditEvent<'a>, pod: &'a Pod) {
    (event.verb, event.code) = ("create", 201);
    event.object = of_pod(pod, "events", "");
}

/// The hour of a cron job has come.
pub(crate) fn job_created<'a>(event: &mut AuditEvent<'a>, by: &'a Identity, pod: &'a Pod) {
    event.who = by;
    (event.verb, event.code) = ("create", 201);
    event.object = Object::all("batch", "jobs").at(&pod.namespace, "");
}

/// Somebody or something removes what has had its time.
pub(crate) fn removed<'a>(event: &mut AuditEvent<'a>, by: &'a Identity, object: Object<'a>) {
    event.who = by;
    event.verb = "delete";
    event.object = object;
}

/// A program of the shop asks for what it needs.
pub(crate) fn workload<'a>(event: &mut AuditEvent<'a>, cluster: &'a Cluster, pod: &'a Pod, random: &mut Random) {
    event.who = &cluster.service_accounts[pod.service_account];
    act(event, random.pick(WORKLOADS), &pod.workload);
}

/// A controller reads every secret: that is its work, and rules must know it.
pub(crate) fn all_secrets<'a>(event: &mut AuditEvent<'a>, cluster: &'a Cluster, random: &mut Random) {
    event.who = random.pick(&cluster.controllers);
    event.verb = "list";
    event.query = "?limit=500&resourceVersion=0";
    event.object = Object::all("", "secrets");
}

/// A person looks at something.
pub(crate) fn person_reads<'a>(event: &mut AuditEvent<'a>, cluster: &'a Cluster, pod: &'a Pod, random: &mut Random) {
    event.who = random.pick_skewed(&cluster.people);
    let action = random.pick(PEOPLE);
    let name = if action.3 == "pods" { &pod.name } else { &pod.workload };
    act(event, action, name);
}

/// Somebody brings out a version, or changes how many run.
pub(crate) fn deployment_changed<'a>(event: &mut AuditEvent<'a>, by: &'a Identity, pod: &'a Pod, random: &mut Random) {
    event.who = by;
    event.verb = "patch";
    event.level = "Request";
    event.query = "?fieldManager=kubectl-client-side-apply&fieldValidation=Strict";
    event.object = Object::all("apps", "deployments").at(&pod.namespace, &pod.workload);
    event.request = patch_body(pod, random.below(6)).into();
}

/// A person asks for what is not theirs, by habit: the nodes.
pub(crate) fn nodes_denied<'a>(event: &mut AuditEvent<'a>, cluster: &'a Cluster, random: &mut Random) {
    event.who = random.pick_skewed(&cluster.people);
    event.verb = "list";
    event.code = 403;
    event.query = "?limit=500";
    event.object = Object::all("", "nodes");
}

/// A person runs an ordinary command in a pod.
pub(crate) fn ordinary_command<'a>(
    event: &mut AuditEvent<'a>,
    cluster: &'a Cluster,
    pod: &'a Pod,
    random: &mut Random,
) {
    event.who = random.pick_skewed(&cluster.people);
    upgraded(event);
    event.query = random.word(ORDINARY_COMMANDS);
    event.object = of_pod(pod, "pods", &pod.name).sub("exec");
}

/// A person reaches a port of a pod from their desk.
pub(crate) fn port_forwarded<'a>(event: &mut AuditEvent<'a>, cluster: &'a Cluster, pod: &'a Pod, random: &mut Random) {
    event.who = random.pick_skewed(&cluster.people);
    upgraded(event);
    event.object = of_pod(pod, "pods", &pod.name).sub("portforward");
}

/// A connection that is upgraded is logged when it starts.
fn upgraded(event: &mut AuditEvent<'_>) {
    (event.code, event.stage) = (101, "ResponseStarted");
}

/// What is called `name` in the pod's namespace; all of them where the name is empty.
fn of_pod<'a>(pod: &'a Pod, resource: &'a str, name: &'a str) -> Object<'a> {
    Object::all("", resource).at(&pod.namespace, name)
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

fn pod_body(pod: &Pod) -> String {
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

fn patch_body(pod: &Pod, replicas: u64) -> String {
    let mut out = Vec::with_capacity(700);
    put!(
        &mut out;
        r#"{"metadata":{"annotations":{"deployment.kubernetes.io/revision":"14","kubernetes.io/change-cause":"release"},"labels":{"app.kubernetes.io/managed-by":"helm"}},"spec":{"replicas":"#,
        replicas + 1, r#","template":{"spec":{"containers":[{"name":""#, pod.container, r#"","image":""#, pod.image, r#""}]}}}}"#,
    );
    String::from_utf8(out).unwrap_or_default()
}
