//! What the logs of nodes, runtimes and shippers report the pod and container they are about.

use casebook_event::{Event, FieldId, ValueRef};

use super::pod;
use super::pod_names::{PodNames, field};
use super::sink::BindingSink;
use crate::entity::{Confidence, How, Identifier, IdentifierKind};

/// How far each part of what a source says of where a container runs can be relied upon; `None` where it says nothing of it.
struct Trust {
    names: Confidence,
    node: Option<Confidence>,
    address: Option<Confidence>,
}

const OF_NODE: Trust = Trust {
    names: Confidence::Certain,
    node: Some(Confidence::Certain),
    address: Some(Confidence::Certain),
};

/// Reports what the normalized fields say, and returns the pod.
fn learn_fields(event: &Event, trust: &Trust, sink: &mut BindingSink<'_>) -> PodNames {
    let pod = PodNames::new(
        field(event, FieldId::KubernetesPodUid),
        field(event, FieldId::OrchestratorNamespace),
        field(event, FieldId::KubernetesPodName),
    );
    pod.report(trust.names, sink);
    let of = |kind, id| field(event, id).and_then(|text| Identifier::new(kind, text));
    let container = of(IdentifierKind::ContainerId, FieldId::ContainerId);
    let image = of(IdentifierKind::Image, FieldId::ContainerImageName);
    sink.bind(container.as_ref(), pod.subject(), trust.names);
    if container.is_some() {
        sink.bind(container.as_ref(), image.as_ref(), trust.names);
    }
    sink.bind(pod.subject(), image.as_ref(), trust.names);
    if let Some(confidence) = trust.node {
        let node = of(IdentifierKind::NodeName, FieldId::KubernetesNodeName);
        sink.bind(pod.subject(), node.as_ref(), confidence);
        sink.bind(container.as_ref(), node.as_ref(), confidence);
    }
    if let Some(confidence) = trust.address {
        let ip = of(IdentifierKind::PodIp, FieldId::KubernetesPodIp);
        sink.bind(ip.as_ref(), pod.subject(), confidence);
    }
    let account = field(event, FieldId::KubernetesServiceAccount)
        .and_then(|account| account.split_once(':'))
        .and_then(|(namespace, name)| Identifier::namespaced(IdentifierKind::ServiceAccount, namespace, name));
    sink.bind(pod.subject(), account.as_ref(), trust.names);
    pod
}

/// kubelet and container runtime: the node's own word.
pub(super) fn learn_kubelet(event: &Event, sink: &mut BindingSink<'_>) {
    let mut sink = sink.by(How::Kubelet);
    let pod = learn_fields(event, &OF_NODE, &mut sink);
    let Some(message) = field(event, FieldId::Message) else {
        return;
    };
    // containerd reports of a pod by its sandbox, and of a container by the sandbox it is in.
    let quoted = |begin: &str| {
        let (_, rest) = message.split_once(begin)?;
        rest.trim_start_matches(['\\', '"']).split(['\\', '"']).next()
    };
    let id = |text: Option<&str>| text.and_then(|id| Identifier::new(IdentifierKind::ContainerId, id));
    let sandbox = id(quoted("returns sandbox id "));
    sink.bind(sandbox.as_ref(), pod.subject(), Confidence::Certain);
    let within = id(quoted("CreateContainer within sandbox "));
    let container = id(field(event, FieldId::ContainerId));
    sink.bind(container.as_ref(), within.as_ref(), Confidence::Certain);
}

/// Kubernetes Events: whoever may create Events may say anything in them.
pub(super) fn learn_event(event: &Event, sink: &mut BindingSink<'_>) {
    let mut sink = sink.by(How::KubernetesEvent);
    let kind = field(event, FieldId::OrchestratorResourceType).unwrap_or_default();
    if kind == "pods" {
        let trust = Trust {
            names: Confidence::Likely,
            node: Some(Confidence::Likely),
            // The address that a probe went to: of the pod, where the probe names no other.
            address: Some(Confidence::Guessed),
        };
        learn_fields(event, &trust, &mut sink);
        return;
    }
    let (Some(namespace), Some(name)) = (
        field(event, FieldId::OrchestratorNamespace),
        field(event, FieldId::OrchestratorResourceName),
    ) else {
        return;
    };
    let message = field(event, FieldId::Message).unwrap_or_default();
    let word_after = |begin: &str| message.split_once(begin)?.1.split_whitespace().next();
    let owner = match kind {
        "replicasets" => "ReplicaSet",
        "daemonsets" => "DaemonSet",
        "statefulsets" => "StatefulSet",
        "jobs" => "Job",
        "deployments" => {
            let set = word_after("replica set ").and_then(|set| Identifier::workload(namespace, "ReplicaSet", set));
            let deployment = Identifier::workload(namespace, "Deployment", name);
            sink.bind(set.as_ref(), deployment.as_ref(), Confidence::Likely);
            return;
        }
        "cronjobs" => {
            let job = word_after("Created job ").and_then(|job| Identifier::workload(namespace, "Job", job));
            let cron = Identifier::workload(namespace, "CronJob", name);
            sink.bind(job.as_ref(), cron.as_ref(), Confidence::Likely);
            return;
        }
        _ => return,
    };
    let pod =
        word_after("Created pod: ").and_then(|pod| Identifier::namespaced(IdentifierKind::PodName, namespace, pod));
    let workload = Identifier::workload(namespace, owner, name);
    sink.bind(pod.as_ref(), workload.as_ref(), Confidence::Likely);
}

/// A container's line: what its runtime and the shipper say of it, never what it says itself.
pub(super) fn learn_shipped(event: &Event, sink: &mut BindingSink<'_>) {
    let mut sink = sink.by(How::Shipper);
    let pod = learn_fields(event, &OF_NODE, &mut sink);
    // A line that is JSON has its own keys beside the shipper's: one that says `kubernetes` itself could pass for it.
    let message = field(event, FieldId::Message).unwrap_or_default();
    if message.contains("kubernetes") || message.contains("\\u") {
        return;
    }
    let native = event.native();
    let Some(metadata) = native.get("kubernetes") else {
        return;
    };
    if let Some(labels) = metadata.get("labels").or(metadata.get("pod_labels")) {
        pod::learn_labels(labels, &pod, &mut sink);
    }
    // Vector: `ReplicaSet/web-7d4b9c6f5`.
    let owner = metadata
        .str_at(&["pod_owner"])
        .and_then(|owner| owner.split_once('/'))
        .and_then(|(kind, name)| Identifier::workload(&pod.namespace, kind, name));
    sink.bind(pod.subject(), owner.as_ref(), Confidence::Likely);
}

/// Falco: the runtime's labels of the container.
pub(super) fn learn_falco(event: &Event, sink: &mut BindingSink<'_>) {
    let native = event.native();
    let output = native.get("output_fields");
    // A rule over the audit log is about an object that a request names, which may not be.
    if output.is_some_and(|output| output.str_at(&["ka.verb"]).is_some()) {
        return;
    }
    let mut sink = sink.by(How::Falco);
    let pod = learn_fields(event, &OF_NODE, &mut sink);
    let text = |key: &str| output.and_then(|output| output.str_at(&[key]));
    let workload = |kind: &str, keys: [&str; 2]| {
        let name = keys.iter().find_map(|key| text(key))?;
        Identifier::workload(&pod.namespace, kind, name)
    };
    let set = workload("ReplicaSet", ["k8smeta.rs.name", "k8s.rs.name"]);
    let deployment = workload("Deployment", ["k8smeta.deployment.name", "k8s.deployment.name"]);
    sink.bind(pod.subject(), set.as_ref().or(deployment.as_ref()), Confidence::Likely);
    sink.bind(set.as_ref(), deployment.as_ref(), Confidence::Likely);
}

/// Tetragon: the pod of the process.
pub(super) fn learn_tetragon(event: &Event, sink: &mut BindingSink<'_>) {
    let mut sink = sink.by(How::Tetragon);
    let pod = learn_fields(event, &OF_NODE, &mut sink);
    let ValueRef::Map(kinds) = event.native() else { return };
    let Some(process) = kinds.into_iter().find_map(|(_, body)| body.get("process")) else {
        return;
    };
    let Some(pod_info) = process.get("pod") else { return };
    if let Some(labels) = pod_info.get("pod_labels") {
        pod::learn_labels(labels, &pod, &mut sink);
    }
    let workload = pod_info
        .str_at(&["workload_kind"])
        .zip(pod_info.str_at(&["workload"]))
        .and_then(|(kind, name)| Identifier::workload(&pod.namespace, kind, name));
    sink.bind(pod.subject(), workload.as_ref(), Confidence::Likely);
}

/// Statistics: the kubelet's and cAdvisor's own names.
pub(super) fn learn_stats(event: &Event, sink: &mut BindingSink<'_>) {
    learn_fields(event, &OF_NODE, &mut sink.by(How::ContainerStats));
}
