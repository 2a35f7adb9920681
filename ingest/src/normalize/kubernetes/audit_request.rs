//! What a Kubernetes request asks for: the parameters of its URI and the pod inside its body.

use casebook_event::{FieldId, Fields, Value, ValueRef};
use compact_str::{CompactString, format_compact};

use crate::limits::{MAX_POD_RISKS, MAX_PROCESS_ARGS};
use crate::normalize::command_line;

/// Sets `url.*`; and for `exec` and `attach`, which carry their command and container in the query, `process.*` and
/// `container.name`.
pub(crate) fn set_uri(uri: &str, subresource: Option<&str>, fields: &mut Fields) {
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    fields.set(FieldId::UrlOriginal, uri);
    fields.set(FieldId::UrlPath, path);
    if query.is_empty() || !matches!(subresource, Some("exec" | "attach" | "log")) {
        return;
    }
    let mut args = Vec::new();
    let mut container = None;
    for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        match key {
            "command" if args.len() < MAX_PROCESS_ARGS => args.push(percent_decode(value)),
            "container" => container = container.or_else(|| Some(percent_decode(value))),
            _ => {}
        }
    }
    fields.set(FieldId::ContainerName, container.unwrap_or_default());
    if let Some(program) = args.first() {
        command_line::set_program(fields, program);
        fields.set(FieldId::ProcessCommandLine, args.join(" "));
        fields.set(FieldId::ProcessArgs, args.into_iter().collect::<Value>());
    }
}

/// Decodes a query parameter (WHATWG URL, `application/x-www-form-urlencoded`): `+` is a space. What is no UTF-8
/// afterwards is replaced; a `%` without two digits stays.
fn percent_decode(text: &str) -> String {
    if !text.contains(['%', '+']) {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let hex = |at: usize| bytes.get(at).and_then(|b| (*b as char).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 2;
            }
            (b'+', ..) => out.push(b' '),
            (byte, ..) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// The pod specification inside a pod, or inside what makes pods.
pub(crate) struct Workload<'a> {
    spec: ValueRef<'a>,
}

impl<'a> Workload<'a> {
    /// Finds it in a request's or an answer's body. Of what surely makes pods, a change need not name a container.
    pub(crate) fn of(body: Option<ValueRef<'a>>, resource: Option<&str>) -> Option<Self> {
        let spec = body?.get("spec")?;
        let spec = spec.at(&["jobTemplate", "spec"]).unwrap_or(spec);
        let spec = spec.at(&["template", "spec"]).unwrap_or(spec);
        let workload = Self { spec };
        let makes_pods = resource.is_some_and(|resource| MAKE_PODS.contains(&resource));
        (makes_pods || workload.has_containers()).then_some(workload)
    }

    /// Whether it names a container.
    pub(crate) fn has_containers(&self) -> bool {
        let holds = |key: &&str| {
            let list = self.spec.get(key).and_then(ValueRef::as_list);
            list.is_some_and(|list| !list.is_empty())
        };
        CONTAINER_LISTS.iter().any(holds)
    }

    /// Sets the image and name of its first container. An ephemeral container is taken before the others: it is the
    /// one that a request adds.
    pub(crate) fn set(&self, fields: &mut Fields) {
        let containers = CONTAINER_LISTS
            .iter()
            .filter_map(|key| self.spec.get(key)?.as_list())
            .flatten();
        if let Some(container) = containers
            .into_iter()
            .find(|container| container.str_at(&["image"]).is_some())
        {
            fields.set_str(FieldId::ContainerImageName, container.str_at(&["image"]));
            fields.set_str(FieldId::ContainerName, container.str_at(&["name"]));
        }
        if fields.get(FieldId::KubernetesNodeName).is_none() {
            fields.set_str(FieldId::KubernetesNodeName, self.spec.str_at(&["nodeName"]));
        }
    }
}

impl Workload<'_> {
    /// Sets `casebook.pod.images` and `casebook.pod.risks`: what the pod may do to its node, a word each.
    pub(crate) fn set_risks(&self, fields: &mut Fields) {
        let on = |value: Option<ValueRef<'_>>| value.is_some_and(ValueRef::is_true);
        let number = |value: Option<ValueRef<'_>>| value.and_then(ValueRef::as_i64);
        let mut risks: Vec<CompactString> = Vec::new();
        for (key, risk) in [
            ("hostNetwork", "host_network"),
            ("hostPID", "host_pid"),
            ("hostIPC", "host_ipc"),
        ] {
            if on(self.spec.get(key)) {
                risks.push(risk.into());
            }
        }
        let list = |key: &str| self.spec.get(key).and_then(ValueRef::as_list);
        for volume in list("volumes").into_iter().flatten() {
            if let Some(path) = volume.str_at(&["hostPath", "path"]) {
                let path = path.trim_end_matches('/');
                risks.push(format_compact!(
                    "host_path:{}",
                    if path.is_empty() { "/" } else { path }
                ));
                if RUNTIME_SOCKETS.iter().any(|socket| path.ends_with(socket)) {
                    risks.push("runtime_socket".into());
                }
            }
        }
        let pod_root = number(self.spec.at(&["securityContext", "runAsUser"])) == Some(0);
        for key in CONTAINER_LISTS {
            let Some(containers) = list(key) else { continue };
            if *key == "ephemeralContainers" && !containers.is_empty() {
                risks.push("ephemeral_container".into());
            }
            for container in containers {
                if let Some(image) = container.str_at(&["image"]) {
                    fields.push(FieldId::PodImages, image);
                }
                let Some(context) = container.get("securityContext") else {
                    continue;
                };
                if on(context.get("privileged")) {
                    risks.push("privileged".into());
                    fields.set(FieldId::ContainerPrivileged, "true");
                }
                if on(context.get("allowPrivilegeEscalation")) {
                    risks.push("allow_privilege_escalation".into());
                }
                if number(context.get("runAsUser")) == Some(0) {
                    risks.push("run_as_root".into());
                }
                let added = context.at(&["capabilities", "add"]).and_then(ValueRef::as_list);
                for capability in added.into_iter().flatten() {
                    let name = capability.as_str().unwrap_or_default();
                    risks.push(format_compact!(
                        "capability:{}",
                        name.strip_prefix("CAP_").unwrap_or(name)
                    ));
                }
            }
        }
        if pod_root {
            risks.push("run_as_root".into());
        }
        for risk in risks.iter().take(MAX_POD_RISKS) {
            fields.push(FieldId::PodRisks, risk);
        }
    }
}

/// Sockets through which a pod may start containers on its node.
const RUNTIME_SOCKETS: &[&str] = &["docker.sock", "containerd.sock", "crio.sock", "cri-dockerd.sock"];

/// The kinds of object whose `spec` is a pod's, or has one.
const MAKE_PODS: &[&str] = &[
    "pods",
    "deployments",
    "daemonsets",
    "statefulsets",
    "replicasets",
    "replicationcontrollers",
    "jobs",
    "cronjobs",
];

const CONTAINER_LISTS: &[&str] = &["ephemeralContainers", "containers", "initContainers"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let check = |text: &str, want: &str| assert_eq!(percent_decode(text), want);
        check("a+b%20c", "a b c");
        check("%2Fbin%2fsh", "/bin/sh");
        check("%zz%4", "%zz%4");
        check("%c3%a9%ff", "é\u{fffd}");
    }
}
