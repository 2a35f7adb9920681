//! What the messages of kubelet and container runtimes say: the pod and container concerned, and what became of them.

use std::borrow::Cow;

use casebook_event::{FieldId, Fields};

use crate::format::logfmt;

/// Sets the message, and what it says.
pub(crate) fn set(message: &str, fields: &mut Fields) {
    let mut text = title(message);
    for (key, value) in logfmt::pairs(message) {
        match key {
            "msg" if message.starts_with("time=") => text = Cow::Owned(value.into_owned()),
            "pod" => {
                if let Some((namespace, pod)) = value.split_once('/') {
                    fields.set(FieldId::OrchestratorNamespace, namespace);
                    fields.set(FieldId::KubernetesPodName, pod);
                }
            }
            "podUID" | "podID" => fields.set(FieldId::KubernetesPodUid, value.as_ref()),
            "containerName" => fields.set(FieldId::ContainerName, value.as_ref()),
            "containerID" => {
                let id = value.rsplit_once("//").map_or(value.as_ref(), |(_, id)| id);
                fields.set(FieldId::ContainerId, id.trim_end_matches('}'));
            }
            "image" => fields.set(FieldId::ContainerImageName, value.as_ref()),
            "node" => fields.set(FieldId::KubernetesNodeName, value.as_ref()),
            "err" | "error" => fields.set(FieldId::ErrorMessage, value.as_ref()),
            "exitCode" | "exit_status" => {
                if let Ok(code) = value.parse::<i64>() {
                    fields.set(FieldId::ProcessExitCode, code);
                }
            }
            _ => {}
        }
    }
    set_pleg(message, fields);
    set_runtime(&text, fields);
    set_action(&text, fields);
    fields.set(FieldId::Message, text.as_ref());
}

/// The message that a text begins with in quotes, or the whole text.
fn title(message: &str) -> Cow<'_, str> {
    logfmt::quoted(message).map_or(Cow::Borrowed(message), |(title, _)| title)
}

/// `event=&{ID:POD-UID Type:ContainerStarted Data:CONTAINER-ID}` (kubelet's pod lifecycle event generator).
fn set_pleg(message: &str, fields: &mut Fields) {
    let Some((_, rest)) = message.split_once("event=") else {
        return;
    };
    let Some((_, rest)) = rest.split_once('{') else { return };
    let inner = rest.split('}').next().unwrap_or_default();
    let mut container = None;
    for part in inner.split(' ') {
        match part.split_once(':') {
            Some(("ID", uid)) => fields.set(FieldId::KubernetesPodUid, uid),
            Some(("Type", kind)) => fields.set(FieldId::EventAction, kind.trim_matches('"')),
            Some(("Data", id)) => container = Some(id),
            _ => {}
        }
    }
    if let Some(id) = container.filter(|id| id.len() >= 2) {
        fields.set(FieldId::ContainerId, id.trim_matches('"'));
    }
}

/// The text between `begin` and `end`.
fn between<'a>(text: &'a str, begin: &str, end: char) -> Option<&'a str> {
    let (_, rest) = text.split_once(begin)?;
    let found = rest.split(end).next()?;
    (!found.is_empty()).then_some(found)
}

/// containerd's messages name objects by their metadata (`&ContainerMetadata{Name:x,…}`) and ids in quotes.
fn set_runtime(text: &str, fields: &mut Fields) {
    if let Some(metadata) = between(text, "PodSandboxMetadata{", '}') {
        for part in metadata.split(',') {
            match part.split_once(':') {
                Some(("Name", name)) => fields.set(FieldId::KubernetesPodName, name),
                Some(("Uid", uid)) => fields.set(FieldId::KubernetesPodUid, uid),
                Some(("Namespace", namespace)) => fields.set(FieldId::OrchestratorNamespace, namespace),
                _ => {}
            }
        }
    }
    if let Some(name) = between(text, "ContainerMetadata{Name:", ',') {
        fields.set(FieldId::ContainerName, name);
    }
    let id = between(text, "returns container id \"", '"')
        .or_else(|| between(text, "StartContainer for \"", '"'))
        .or_else(|| between(text, "StopContainer for \"", '"'))
        .or_else(|| between(text, "RemoveContainer for \"", '"'))
        .or_else(|| between(text, "Stop container \"", '"'))
        .or_else(|| between(text, "Start container \"", '"'))
        .or_else(|| between(text, "container_id:\"", '"'));
    if let Some(id) = id {
        fields.set(FieldId::ContainerId, id);
    }
    if let Some(image) = between(text, "PullImage \"", '"').or_else(|| between(text, "Pulling image \"", '"')) {
        fields.set(FieldId::ContainerImageName, image);
    }
}

/// The words with which messages begin that report something done, and what it is in the words of ECS.
const ACTIONS: &[(&str, &str, &str)] = &[
    ("CreateContainer", "process", "creation"),
    ("StartContainer", "process", "start"),
    ("StopContainer", "process", "end"),
    ("Stop container", "process", "end"),
    ("RemoveContainer", "process", "end"),
    ("RunPodSandbox", "process", "creation"),
    ("StopPodSandbox", "process", "end"),
    ("RemovePodSandbox", "process", "end"),
    ("TaskExit", "process", "end"),
    ("TaskOOM", "process", "error"),
    ("PullImage", "configuration", "info"),
    ("Killing container", "process", "end"),
    ("Probe failed", "process", "error"),
    ("Probe errored", "process", "error"),
    ("Error syncing pod", "process", "error"),
    ("Failed to", "configuration", "error"),
    ("Eviction manager", "process", "end"),
];

fn set_action(text: &str, fields: &mut Fields) {
    let known = ACTIONS.iter().find(|(begin, ..)| text.starts_with(begin));
    let pleg = match fields.str(FieldId::EventAction) {
        Some("ContainerStarted") => Some("start"),
        Some("ContainerDied" | "ContainerRemoved") => Some("end"),
        Some(_) => Some("info"),
        None => None,
    };
    let (category, kind) = match (pleg, known) {
        (Some(kind), _) => ("process", kind),
        (None, Some((begin, category, kind))) => {
            fields.set(FieldId::EventAction, *begin);
            (*category, *kind)
        }
        (None, None) => ("host", "info"),
    };
    fields.push(FieldId::EventCategory, category);
    fields.push(FieldId::EventType, kind);
}
