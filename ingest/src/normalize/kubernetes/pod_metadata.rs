//! What a log shipper adds about the pod that wrote a line: Fluent Bit's and Fluentd's `kubernetes` filter, Vector's
//! `kubernetes_logs`, and the nested object of Filebeat and Elastic Agent.

use casebook_event::{FieldId, Fields, Value};
use compact_str::CompactString;

/// Each field, and the paths inside the `kubernetes` object under which one shipper or another has it.
const PATHS: &[(FieldId, &[&[&str]])] = &[
    (FieldId::KubernetesPodName, &[&["pod_name"], &["pod", "name"]]),
    (FieldId::KubernetesPodUid, &[&["pod_id"], &["pod_uid"], &["pod", "uid"]]),
    (FieldId::KubernetesPodIp, &[&["pod_ip"], &["pod", "ip"]]),
    (
        FieldId::OrchestratorNamespace,
        &[&["namespace_name"], &["pod_namespace"], &["namespace"]],
    ),
    (
        FieldId::KubernetesNodeName,
        &[&["host"], &["pod_node_name"], &["node", "name"]],
    ),
    (FieldId::ContainerName, &[&["container_name"], &["container", "name"]]),
    (
        FieldId::ContainerImageName,
        &[&["container_image"], &["container", "image"]],
    ),
    (
        FieldId::ContainerImageHash,
        &[&["container_hash"], &["container_image_id"]],
    ),
];

/// The metadata among a record's entries. Of several the last counts: Fluent Bit puts its own after the keys that it takes out of
/// what a container prints (`Merge_Log`), and a container may print a `kubernetes` of its own.
pub(crate) fn among(entries: &[(CompactString, Value)]) -> Option<&Value> {
    let mut found = entries.iter().rev().filter(|(key, _)| key == "kubernetes");
    found.next().map(|(_, value)| value)
}

/// Whether `value` is the one that [`among`] finds.
pub(crate) fn is_among(entries: &[(CompactString, Value)], value: &Value) -> bool {
    among(entries).is_some_and(|found| std::ptr::eq(found, value))
}

/// Sets the fields that `metadata` (the value of `kubernetes`) states.
pub(crate) fn set(metadata: &Value, fields: &mut Fields) {
    for (id, paths) in PATHS {
        if let Some(text) = paths.iter().find_map(|path| metadata.str_at(path)) {
            fields.set(*id, text);
        }
    }
    if let Some(id) = ["docker_id", "container_id"]
        .iter()
        .find_map(|key| metadata.str_at(&[key]))
    {
        set_container_id(id, fields);
    }
    if let Some(account) = metadata.str_at(&["service_account_name"]) {
        let namespace = fields.str(FieldId::OrchestratorNamespace).unwrap_or_default();
        let account = format!("{namespace}:{account}");
        fields.set(FieldId::KubernetesServiceAccount, account);
    }
    if let Some(node) = fields.str(FieldId::KubernetesNodeName).map(str::to_owned) {
        fields.set(FieldId::HostName, node);
    }
    fields.set_str(
        FieldId::ServiceName,
        SERVICE_LABELS
            .iter()
            .find_map(|label| metadata.str_at(&["labels", label])),
    );
    fields.set(FieldId::OrchestratorType, "kubernetes");
}

/// The recommended label, and the one most people use.
const SERVICE_LABELS: &[&str] = &["app.kubernetes.io/name", "app", "k8s-app"];

/// `containerd://…` names the runtime before the id.
fn set_container_id(text: &str, fields: &mut Fields) {
    let (runtime, id) = text.split_once("://").unwrap_or(("", text));
    fields.set(FieldId::ContainerRuntime, runtime);
    fields.set(FieldId::ContainerId, id);
}
