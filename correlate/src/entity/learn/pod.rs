//! What a pod's object says, in requests and answers of the API server.

use casebook_event::{Timestamp, ValueRef};
use compact_str::CompactString;

use super::pod_names::PodNames;
use super::sink::BindingSink;
use crate::entity::limits::{MAX_REACH_NANOS, REACH_GRAIN_NANOS};
use crate::entity::{Confidence, How, Identifier, IdentifierKind, name_form};

/// Lists of container statuses in a pod's status.
const STATUSES: &[&str] = &[
    "containerStatuses",
    "initContainerStatuses",
    "ephemeralContainerStatuses",
];
/// Lists of containers in a pod's specification.
const CONTAINERS: &[&str] = &["containers", "initContainers", "ephemeralContainers"];

/// The namespace and name that the request has, for what the object leaves out.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Requested<'a> {
    pub(super) namespace: Option<&'a str>,
    pub(super) name: Option<&'a str>,
    pub(super) uid: Option<&'a str>,
    /// Whether the body is the whole object: what is not in it is not so.
    pub(super) whole: bool,
}

/// Reports what a pod's object says, a patch being an object with less in it; of its status, with that confidence, if at all.
pub(super) fn learn(
    object: ValueRef<'_>,
    requested: Requested<'_>,
    status: Option<Confidence>,
    sink: &mut BindingSink<'_>,
) {
    let metadata = |key: &str| object.str_at(&["metadata", key]);
    let pod = PodNames::new(
        metadata("uid").or(requested.uid),
        metadata("namespace").or(requested.namespace),
        metadata("name").or(requested.name),
    );
    if pod.subject().is_none() {
        return;
    }
    pod.report(Confidence::Certain, sink);
    learn_spec(object, &pod, sink);
    learn_owner(object, &pod, requested.whole, sink);
    if let Some(confidence) = status {
        learn_status(object, &pod, confidence, &mut sink.by(How::AuditPodStatus));
    }
}

/// Reports since when a pod is called so and acts as whom: what of it never changes. Only of an answer, in which the API server wrote
/// the time. Of one that is older than a binding reaches back, it is reported as of a day within that time, once a day.
pub(super) fn learn_creation(object: ValueRef<'_>, requested: Requested<'_>, sink: &mut BindingSink<'_>) {
    let metadata = |key: &str| object.str_at(&["metadata", key]);
    let Some(created) = metadata("creationTimestamp").and_then(Timestamp::parse_rfc3339) else {
        return;
    };
    let pod = PodNames::new(
        metadata("uid"),
        metadata("namespace").or(requested.namespace),
        metadata("name").or(requested.name),
    );
    if pod.uid.is_none() || created >= sink.time {
        return;
    }
    let now = sink.time.as_nanos();
    let reach = now
        .saturating_sub(now.rem_euclid(REACH_GRAIN_NANOS))
        .saturating_sub(MAX_REACH_NANOS - REACH_GRAIN_NANOS);
    let mut sink = match Timestamp::from_nanos(reach) {
        oldest if created < oldest => sink.as_of(How::AuditExisted, oldest),
        _ => sink.as_of(How::AuditCreated, created),
    };
    pod.report(Confidence::Certain, &mut sink);
    learn_account(object, &pod, &mut sink);
    learn_owner(object, &pod, true, &mut sink);
}

fn learn_account(object: ValueRef<'_>, pod: &PodNames, sink: &mut BindingSink<'_>) {
    let account = object
        .str_at(&["spec", "serviceAccountName"])
        .and_then(|name| Identifier::namespaced(IdentifierKind::ServiceAccount, &pod.namespace, name));
    sink.bind(pod.subject(), account.as_ref(), Confidence::Certain);
}

fn learn_spec(object: ValueRef<'_>, pod: &PodNames, sink: &mut BindingSink<'_>) {
    let Some(spec) = object.get("spec") else { return };
    let node = spec
        .str_at(&["nodeName"])
        .and_then(|node| Identifier::new(IdentifierKind::NodeName, node));
    sink.bind(pod.subject(), node.as_ref(), Confidence::Certain);
    learn_account(object, pod, sink);
    for container in CONTAINERS.iter().filter_map(|key| spec.get(key)?.as_list()).flatten() {
        let image = container
            .str_at(&["image"])
            .and_then(|image| Identifier::new(IdentifierKind::Image, image));
        sink.bind(pod.subject(), image.as_ref(), Confidence::Certain);
    }
}

/// The controller among the owners; a whole pod without an owner is its own workload.
fn learn_owner(object: ValueRef<'_>, pod: &PodNames, whole: bool, sink: &mut BindingSink<'_>) {
    let owner = controller_of(object).filter(|(kind, _)| *kind != "Node");
    let Some((kind, name)) = owner else {
        let whole = whole && object.at(&["spec", "containers"]).is_some();
        let itself = pod
            .bare_name()
            .filter(|_| whole)
            .and_then(|name| Identifier::workload(&pod.namespace, "Pod", name));
        sink.bind(pod.subject(), itself.as_ref(), Confidence::Certain);
        return;
    };
    let workload = Identifier::workload(&pod.namespace, kind, name);
    sink.bind(pod.subject(), workload.as_ref(), Confidence::Certain);
    let hash = object.str_at(&["metadata", "labels", "pod-template-hash"]);
    learn_deployment(workload.as_ref(), name, hash, sink);
}

/// A ReplicaSet that is named by the hash of its template is a Deployment's.
pub(super) fn learn_deployment(set: Option<&Identifier>, name: &str, hash: Option<&str>, sink: &mut BindingSink<'_>) {
    let deployment = hash.and_then(|hash| name.strip_suffix(hash)?.strip_suffix('-'));
    let above = deployment.and_then(|name| {
        let (namespace, _) = set?.parts()?;
        Identifier::workload(namespace, "Deployment", name)
    });
    sink.bind(set, above.as_ref(), Confidence::Likely);
}

/// Kind and name of the controller that an object has for an owner.
pub(super) fn controller_of(object: ValueRef<'_>) -> Option<(&str, &str)> {
    let owners = object.at(&["metadata", "ownerReferences"])?.as_list()?;
    let of = |owner: ValueRef<'_>| owner.get("controller").is_none_or(ValueRef::is_true);
    owners
        .into_iter()
        .filter(|owner| of(*owner))
        .find_map(|owner| Some((owner.str_at(&["kind"])?, owner.str_at(&["name"])?)))
}

fn learn_status(object: ValueRef<'_>, pod: &PodNames, confidence: Confidence, sink: &mut BindingSink<'_>) {
    let Some(status) = object.get("status") else { return };
    let host = status
        .str_at(&["hostIP"])
        .and_then(|ip| Identifier::new(IdentifierKind::NodeIp, ip));
    let node = object
        .str_at(&["spec", "nodeName"])
        .and_then(|node| Identifier::new(IdentifierKind::NodeName, node));
    sink.bind(host.as_ref(), node.as_ref(), confidence);
    let in_network_of_node = object.at(&["spec", "hostNetwork"]).is_some_and(ValueRef::is_true);
    // A pod that is through keeps the address in its status, though another may have it by now.
    let through = matches!(status.str_at(&["phase"]), Some("Succeeded" | "Failed"));
    if !in_network_of_node && !through {
        let others = status.get("podIPs").and_then(ValueRef::as_list).into_iter().flatten();
        let texts = status
            .str_at(&["podIP"])
            .into_iter()
            .chain(others.filter_map(|ip| ip.str_at(&["ip"])));
        for text in texts {
            let ip = Identifier::new(IdentifierKind::PodIp, text);
            let of_node = host
                .as_ref()
                .is_some_and(|host| ip.as_ref().is_some_and(|ip| ip.value == host.value));
            if !of_node {
                sink.bind(ip.as_ref(), pod.subject(), confidence);
            }
        }
    }
    for container in STATUSES.iter().filter_map(|key| status.get(key)?.as_list()).flatten() {
        let image = container
            .str_at(&["image"])
            .and_then(|image| Identifier::new(IdentifierKind::Image, image));
        let current = container.str_at(&["containerID"]);
        // One that was restarted has the id of the container before it too.
        let former = ["state", "lastState"]
            .iter()
            .filter_map(|state| container.str_at(&[state, "terminated", "containerID"]));
        for id in current.into_iter().chain(former) {
            let id = Identifier::new(IdentifierKind::ContainerId, id);
            sink.bind(id.as_ref(), pod.subject(), confidence);
            sink.bind(id.as_ref(), image.as_ref(), confidence);
        }
    }
}

/// The workload that labels report, with the name of the pod: what controllers put on the pods they make.
pub(super) fn learn_labels(labels: ValueRef<'_>, pod: &PodNames, sink: &mut BindingSink<'_>) {
    let Some(name) = pod.bare_name() else { return };
    let label = |key: &str| labels.str_at(&[key]);
    let base = name_form::without_pod_suffix(name);
    let found: Option<(&str, CompactString)> = if label("pod-template-hash").is_some() {
        base.map(|name| ("ReplicaSet", name.into()))
    } else if label("statefulset.kubernetes.io/pod-name").is_some() {
        name.rsplit_once('-').map(|(name, _)| ("StatefulSet", name.into()))
    } else if label("pod-template-generation").is_some() {
        base.map(|name| ("DaemonSet", name.into()))
    } else {
        label("batch.kubernetes.io/job-name")
            .or(label("job-name"))
            .map(|name| ("Job", name.into()))
    };
    let Some((kind, name)) = found else { return };
    let workload = Identifier::workload(&pod.namespace, kind, &name);
    sink.bind(pod.subject(), workload.as_ref(), Confidence::Likely);
    if kind == "ReplicaSet" {
        learn_deployment(workload.as_ref(), &name, label("pod-template-hash"), sink);
    }
}
