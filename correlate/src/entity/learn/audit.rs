//! What the API server's audit log reports: the objects in requests and answers, and who asks.

use casebook_event::{Event, FieldId, Timestamp, ValueRef};

use super::node;
use super::pod::{self, Requested};
use super::pod_names::{PodNames, field};
use super::sink::BindingSink;
use crate::entity::limits::{DEFAULT_GRACE_NANOS, MAX_GRACE_NANOS};
use crate::entity::{Confidence, How, Identifier, IdentifierKind};

/// Up to how many objects of a list what each was is reported together with what it is.
const MAX_REPORTED_TOGETHER: usize = 8;
/// The most objects of a list that are read.
const MAX_LIST_OBJECTS: usize = 500;

/// Reports what an audit event reports.
pub(super) fn learn(event: &Event, sink: &mut BindingSink<'_>) {
    let native = event.native();
    let code = event
        .fields
        .get(FieldId::HttpResponseStatusCode)
        .and_then(|code| code.as_i64());
    if code != Some(401) {
        learn_user(event, native, sink);
    }
    let dry = field(event, FieldId::UrlOriginal).is_some_and(|uri| uri.contains("dryRun="));
    // What was refused or only asked for did not come to be.
    if field(event, FieldId::EventOutcome) != Some("success") || dry || !is_answer(event) {
        return;
    }
    let request = Request {
        verb: field(event, FieldId::EventAction).unwrap_or_default(),
        user: field(event, FieldId::UserName).unwrap_or_default(),
        of: Requested {
            namespace: field(event, FieldId::OrchestratorNamespace),
            name: field(event, FieldId::OrchestratorResourceName),
            uid: field(event, FieldId::KubernetesPodUid),
            whole: false,
        },
        subresource: field(event, FieldId::OrchestratorResourceSubresource).unwrap_or_default(),
        body: native.get("requestObject"),
        answered: native.get("responseObject"),
    };
    let resource = field(event, FieldId::OrchestratorResourceType).unwrap_or_default();
    match (resource, request.subresource) {
        ("pods", "" | "status" | "ephemeralcontainers") => request.learn_pods(sink),
        ("pods", "binding") => request.learn_binding(&mut sink.by(How::AuditBinding)),
        ("nodes", "" | "status") => request.learn_nodes(&mut sink.by(How::AuditNode)),
        ("replicasets" | "jobs", "" | "status") => request.learn_owners(&mut sink.by(How::AuditOwner)),
        ("endpointslices", "") => request.learn_endpoints(&mut sink.by(How::AuditEndpoints)),
        ("serviceaccounts", "token") => request.learn_token(&mut sink.by(How::AuditTokenRequest)),
        _ => {}
    }
}

/// Whether the stage is one at which the request has been answered; GKE's entries have none.
fn is_answer(event: &Event) -> bool {
    field(event, FieldId::KubernetesAuditStage) != Some("RequestReceived")
}

struct Request<'a> {
    verb: &'a str,
    user: &'a str,
    subresource: &'a str,
    of: Requested<'a>,
    body: Option<ValueRef<'a>>,
    answered: Option<ValueRef<'a>>,
}

impl<'a> Request<'a> {
    /// The objects of the answer and of the request.
    fn objects(&self, is_kind: fn(&str) -> bool) -> Vec<ValueRef<'a>> {
        let mut found = objects(self.answered, is_kind);
        found.extend(objects(self.body, is_kind));
        found
    }

    /// The request's own name, where it is about one object: a list's objects have their own.
    fn named(&self) -> Requested<'a> {
        if matches!(self.verb, "list" | "watch" | "deletecollection") {
            return Requested {
                namespace: self.of.namespace,
                ..Requested::default()
            };
        }
        self.of
    }

    fn learn_pods(&self, sink: &mut BindingSink<'_>) {
        let mut sink = sink.by(How::AuditPod);
        let is_pod = |kind: &str| kind == "Pod";
        let named = self.named();
        // A kubelet deletes the pod of that uid and no other of the name.
        let meant = self.body.and_then(|body| body.str_at(&["preconditions", "uid"]));
        let answered = objects(self.answered, is_pod).first().copied();
        let uid = named.uid.or(meant).or(answered
            .and_then(|object| object.str_at(&["metadata", "uid"]))
            .filter(|_| named.name.is_some()));
        let pod = PodNames::new(uid, named.namespace, named.name);
        pod.report(Confidence::Certain, &mut sink);
        // Whoever may write a pod's status could give it any address: a node's own word is worth more.
        let writes = !matches!(self.verb, "get" | "list" | "watch");
        let status = if writes && !self.user.starts_with("system:node:") {
            Confidence::Likely
        } else {
            Confidence::Certain
        };
        let answered = objects(self.answered, is_pod);
        let whole = Requested { whole: true, ..named };
        // A pod that was just made has both in one grain of time: the earlier word comes first, and the later is none then. Of a
        // long list, what is so now comes before what was so.
        let is_list = answered.len() > MAX_REPORTED_TOGETHER;
        for &object in &answered {
            if !is_list {
                pod::learn_creation(object, whole, &mut sink);
            }
            pod::learn(object, whole, Some(status), &mut sink);
        }
        for &object in answered.iter().filter(|_| is_list) {
            pod::learn_creation(object, whole, &mut sink);
        }
        // The status in a request counts where the request is about the status: the API server takes it from no other.
        let status = Some(status).filter(|_| self.subresource == "status");
        for object in objects(self.body, is_pod) {
            // What is created is reported whole; what is applied or patched, in part.
            let whole = self.verb == "create";
            pod::learn(object, Requested { whole, ..named }, status, &mut sink);
        }
        if self.user.starts_with("system:node:") && writes && self.verb != "delete" {
            // A kubelet may write the pods of its own node alone (NodeRestriction).
            let node = Identifier::node_of_user(self.user);
            sink.bind(pod.subject(), node.as_ref(), Confidence::Certain);
        }
        if self.verb == "delete" {
            self.learn_deletion(&pod, &mut sink.by(How::AuditDelete));
        }
    }

    /// A pod ends after its time of grace, at the latest; its kubelet deletes it once more when it is gone.
    fn learn_deletion(&self, pod: &PodNames, sink: &mut BindingSink<'_>) {
        let by_node = self.user.starts_with("system:node:");
        let grace_of = |body: Option<ValueRef<'_>>, path: &[&str]| body?.at(path)?.as_i64();
        let reported_seconds = [
            grace_of(self.answered, &["metadata", "deletionGracePeriodSeconds"]),
            grace_of(self.body, &["gracePeriodSeconds"]),
        ];
        let seconds = reported_seconds.into_iter().flatten().min().or(by_node.then_some(0));
        let grace = seconds.map_or(DEFAULT_GRACE_NANOS, |seconds| {
            seconds.max(0).saturating_mul(1_000_000_000).min(MAX_GRACE_NANOS)
        });
        let time: Timestamp = sink.time.saturating_add_nanos(grace);
        match (&pod.uid, &pod.name) {
            (Some(uid), _) => sink.end(uid, time),
            // Another pod may have the name by the time that the grace is over: only what ends now ends by its name.
            (None, Some(name)) if grace == 0 => sink.end(name, time),
            _ => {}
        }
    }

    fn learn_binding(&self, sink: &mut BindingSink<'_>) {
        let Some(body) = self.body else { return };
        let pod = PodNames::new(
            body.str_at(&["metadata", "uid"]).or(self.of.uid),
            self.of.namespace.or(body.str_at(&["metadata", "namespace"])),
            self.of.name.or(body.str_at(&["metadata", "name"])),
        );
        let node = body
            .str_at(&["target", "name"])
            .and_then(|node| Identifier::new(IdentifierKind::NodeName, node));
        pod.report(Confidence::Certain, sink);
        sink.bind(pod.subject(), node.as_ref(), Confidence::Certain);
    }

    fn learn_nodes(&self, sink: &mut BindingSink<'_>) {
        for object in self.objects(|kind| kind == "Node") {
            node::learn(object, self.named().name, sink);
        }
    }

    fn learn_owners(&self, sink: &mut BindingSink<'_>) {
        for object in self.objects(|kind| matches!(kind, "ReplicaSet" | "Job")) {
            let metadata = |key: &str| object.str_at(&["metadata", key]);
            let Some(namespace) = metadata("namespace").or(self.of.namespace) else {
                continue;
            };
            let Some(name) = metadata("name").or(self.named().name) else {
                continue;
            };
            let Some((above, owner)) = pod::controller_of(object) else {
                continue;
            };
            let kind = if above == "CronJob" { "Job" } else { "ReplicaSet" };
            sink.bind(
                Identifier::workload(namespace, kind, name).as_ref(),
                Identifier::workload(namespace, above, owner).as_ref(),
                Confidence::Certain,
            );
        }
    }

    fn learn_endpoints(&self, sink: &mut BindingSink<'_>) {
        for slice in self.objects(|kind| kind == "EndpointSlice") {
            let endpoints = slice.get("endpoints").and_then(ValueRef::as_list);
            for endpoint in endpoints.into_iter().flatten().take(MAX_LIST_OBJECTS) {
                let Some(target) = endpoint
                    .get("targetRef")
                    .filter(|target| target.str_at(&["kind"]) == Some("Pod"))
                else {
                    continue;
                };
                let text = |key: &str| target.str_at(&[key]);
                let pod = PodNames::new(text("uid"), text("namespace").or(self.of.namespace), text("name"));
                pod.report(Confidence::Likely, sink);
                let node = endpoint
                    .str_at(&["nodeName"])
                    .and_then(|node| Identifier::new(IdentifierKind::NodeName, node));
                sink.bind(pod.subject(), node.as_ref(), Confidence::Likely);
                let addresses = endpoint.get("addresses").and_then(ValueRef::as_list);
                for ip in addresses.into_iter().flatten().filter_map(ValueRef::as_str) {
                    let ip = Identifier::new(IdentifierKind::PodIp, ip);
                    sink.bind(ip.as_ref(), pod.subject(), Confidence::Likely);
                }
            }
        }
    }

    /// A kubelet asks for the tokens of its pods.
    fn learn_token(&self, sink: &mut BindingSink<'_>) {
        let Some(object) = self.body.and_then(|body| body.at(&["spec", "boundObjectRef"])) else {
            return;
        };
        let text = |key: &str| object.str_at(&[key]);
        if text("kind") != Some("Pod") {
            return;
        }
        let pod = PodNames::new(text("uid"), self.of.namespace, text("name"));
        pod.report(Confidence::Certain, sink);
        let account = self
            .of
            .namespace
            .zip(self.of.name)
            .and_then(|(namespace, name)| Identifier::namespaced(IdentifierKind::ServiceAccount, namespace, name));
        sink.bind(pod.subject(), account.as_ref(), Confidence::Certain);
        let node = Identifier::node_of_user(self.user);
        sink.bind(pod.subject(), node.as_ref(), Confidence::Certain);
    }
}

/// The objects in a body: itself, or those of a list.
fn objects(body: Option<ValueRef<'_>>, is_kind: fn(&str) -> bool) -> Vec<ValueRef<'_>> {
    let Some(body) = body else { return Vec::new() };
    match body.get("items").and_then(ValueRef::as_list) {
        Some(items) => items.take(MAX_LIST_OBJECTS).collect(),
        // A patch has no kind.
        None if body.str_at(&["kind"]).is_none_or(is_kind) => vec![body],
        None => Vec::new(),
    }
}

/// Who makes the request: the claims of a pod's token, the cloud session that a user stands for, and where a kubelet is.
///
/// That a token is used from an address does not make the address the pod's: tokens are stolen. Nothing is learned of that.
fn learn_user(event: &Event, native: ValueRef<'_>, sink: &mut BindingSink<'_>) {
    let Some(user) = native.get("user") else { return };
    let Some(name) = user.str_at(&["username"]) else { return };
    let extra = user.get("extra");
    let claim = |key: &str| match extra?.get(key)? {
        ValueRef::List(mut items) => items.next()?.as_str(),
        ValueRef::Str(text) => Some(text),
        _ => None,
    };
    if let Some(account) = Identifier::service_account_of_user(name) {
        let mut sink = sink.by(How::AuditTokenClaims);
        let namespace = account.parts().map(|(namespace, _)| namespace);
        let pod = PodNames::new(
            claim("authentication.kubernetes.io/pod-uid"),
            namespace,
            claim("authentication.kubernetes.io/pod-name"),
        );
        pod.report(Confidence::Certain, &mut sink);
        sink.bind(pod.subject(), Some(&account), Confidence::Certain);
        let node = claim("authentication.kubernetes.io/node-name")
            .and_then(|node| Identifier::new(IdentifierKind::NodeName, node));
        sink.bind(pod.subject(), node.as_ref(), Confidence::Certain);
    }
    let arn = claim("arn").or(claim("sigs.k8s.io/aws-iam-authenticator/arn"));
    let key = claim("accessKeyId").or(claim("sigs.k8s.io/aws-iam-authenticator/accessKeyId"));
    let arn = arn.and_then(|arn| Identifier::new(IdentifierKind::RoleSession, arn));
    let key = key.and_then(|key| Identifier::new(IdentifierKind::RoleSession, key));
    let node = Identifier::node_of_user(name);
    if let Some(node) = &node {
        let mut sink = sink.by(How::AuditNodeUser);
        let session = claim("sessionName").or(claim("sigs.k8s.io/aws-iam-authenticator/sessionName"));
        let instance = session
            .filter(|session| session.starts_with("i-"))
            .and_then(|id| Identifier::new(IdentifierKind::InstanceId, id));
        sink.bind(instance.as_ref(), Some(node), Confidence::Certain);
        sink.bind(Some(node), instance.as_ref(), Confidence::Certain);
        // By way of a proxy, or with its credentials stolen, a kubelet seems to be elsewhere.
        let ip = field(event, FieldId::SourceIp).and_then(|ip| Identifier::new(IdentifierKind::NodeIp, ip));
        sink.bind(ip.as_ref(), Some(node), Confidence::Guessed);
    }
    let mut sink = sink.by(How::AuditCloudSession);
    sink.bind(key.as_ref(), arn.as_ref(), Confidence::Certain);
    let user = Identifier::new(IdentifierKind::Identity, name);
    for session in [&key, &arn] {
        sink.bind(session.as_ref(), user.as_ref(), Confidence::Certain);
    }
}
