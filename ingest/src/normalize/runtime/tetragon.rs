//! Tetragon's events (`tetragon/api/v1`, `GetEventsResponse` as JSON): processes, and what hooks on the kernel saw of them.
//!
//! One key names the kind of event (`process_exec`, `process_kprobe`, …). The identity is the node, the process's `exec_id`,
//! the kind, the time, and the function with its arguments: one call may be reported by two policies.

use casebook_event::{EventId, FieldId, Fields, Source, Timestamp, Value};

use super::tetragon_hook as hook;
use crate::format::reject::{self, Reject};
use crate::limits::MAX_PROCESS_ARGS;
use crate::normalize::context::{Context, Normalized};
use crate::normalize::{address, command_line};

/// The kinds of event: their key, and what they are in the words of ECS.
const KINDS: &[(&str, &str, &[&str])] = &[
    ("process_exec", "process", &["start"]),
    ("process_exit", "process", &["end"]),
    ("process_kprobe", "", &[]),
    ("process_tracepoint", "", &[]),
    ("process_uprobe", "process", &["info"]),
    ("process_lsm", "", &[]),
    ("process_loader", "library", &["start"]),
    ("process_connect", "network", &["connection", "start"]),
    ("process_accept", "network", &["connection", "start"]),
    ("process_listen", "network", &["info"]),
    ("process_close", "network", &["connection", "end"]),
    ("process_dns", "network", &["protocol"]),
    ("process_http", "network", &["protocol"]),
    ("process_tls", "network", &["protocol"]),
    ("process_throttle", "process", &["info"]),
];

fn kind_of(value: &Value) -> Option<(&'static str, &'static str, &'static [&'static str])> {
    let Value::Map(entries) = value else { return None };
    entries
        .iter()
        .filter(|(_, inner)| matches!(inner, Value::Map(_)))
        .find_map(|(key, _)| KINDS.iter().find(|(name, ..)| name == key).copied())
}

/// The mark by which an object is known as Tetragon's.
pub(crate) fn recognize(value: &Value) -> Option<&'static str> {
    let (name, ..) = kind_of(value)?;
    let process = value.at(&[name, "process"]).is_some();
    (process || value.get("node_name").is_some()).then_some("process_exec, process_kprobe or their like")
}

/// One event.
pub(crate) fn normalize(native: Value, context: &Context<'_>) -> Result<Normalized, Reject> {
    let Some((name, category, kinds)) = kind_of(&native) else {
        return Err(Reject::new(
            reject::WRONG_SHAPE,
            "no Tetragon event: none of its kinds is a key",
        ));
    };
    let event = native.get(name).unwrap_or(&Value::Null);
    let process = event.get("process").unwrap_or(&Value::Null);
    let time = time_of(&native, name, context)?;
    let node = native.str_at(&["node_name"]).unwrap_or_default();
    let function = event
        .str_at(&["function_name"])
        .or(event.str_at(&["event"]))
        .or(event.str_at(&["symbol"]))
        .unwrap_or_default();
    let id = identity(&native, name, function, time);

    let mut fields = Fields::new();
    fields.set(FieldId::EventKind, "event");
    // What a hook's function does, it has to say itself.
    let hooked = matches!(
        name,
        "process_kprobe" | "process_tracepoint" | "process_lsm" | "process_uprobe"
    );
    let unknown = context.truncated && hooked && function.is_empty();
    if !unknown {
        fields.set(FieldId::EventAction, name);
    }
    fields.set(FieldId::HostName, node);
    fields.set(FieldId::KubernetesNodeName, node);
    fields.set_str(FieldId::OrchestratorClusterName, native.str_at(&["cluster_name"]));
    fields.set_str(FieldId::RuleName, event.str_at(&["policy_name"]));
    fields.set_str(FieldId::Message, event.str_at(&["message"]));
    if !category.is_empty() {
        fields.push(FieldId::EventCategory, category);
        kinds.iter().for_each(|kind| fields.push(FieldId::EventType, kind));
    }
    set_process(process, context, &mut fields);
    set_parent(event.get("parent").unwrap_or(&Value::Null), context, &mut fields);
    if let Some(pod) = process.get("pod") {
        set_pod(pod, &mut fields);
    }
    if fields.get(FieldId::ContainerId).is_none() {
        // The first 31 characters of the id.
        fields.set_str(FieldId::ContainerId, process.str_at(&["docker"]));
    }
    set_initiated(name, function, &mut fields);
    match name {
        "process_exit" if context.truncated && event.get("status").is_none() => {}
        "process_exit" => set_exit(event, &mut fields),
        _ if unknown => {}
        _ if hooked => hook::set(event, function, context.truncated, &mut fields),
        "process_loader" => fields.set_str(FieldId::FilePath, event.str_at(&["path"])),
        _ => set_connection(event, &mut fields),
    }
    Ok(Normalized {
        source: Source::Tetragon,
        id,
        time,
        fields,
        native: native.into(),
    })
}

fn time_of(native: &Value, name: &str, context: &Context<'_>) -> Result<Timestamp, Reject> {
    // A process's start is the time of no other event than its execution.
    let started = native
        .str_at(&[name, "process", "start_time"])
        .filter(|_| name == "process_exec");
    native
        .str_at(&["time"])
        .or(started)
        .and_then(Timestamp::parse_rfc3339)
        .or(context.time_of_cut())
        .ok_or_else(|| {
            let detail = "neither time nor, of an execution, the process's start_time is a time";
            Reject::new(reject::NO_TIMESTAMP, detail)
        })
}

fn identity(native: &Value, name: &str, function: &str, time: Timestamp) -> EventId {
    let event = native.get(name).unwrap_or(&Value::Null);
    let arguments = event.get("args").map(Value::to_text).unwrap_or_default();
    EventId::from_parts(
        Source::Tetragon,
        &[
            native.str_at(&["node_name"]).unwrap_or_default().as_bytes(),
            event.str_at(&["process", "exec_id"]).unwrap_or_default().as_bytes(),
            name.as_bytes(),
            function.as_bytes(),
            arguments.as_bytes(),
            event.str_at(&["policy_name"]).unwrap_or_default().as_bytes(),
            &time.as_nanos().to_le_bytes(),
        ],
    )
}

/// Whether the machine began a connection, or took one.
fn set_initiated(name: &str, function: &str, fields: &mut Fields) {
    match (name, function) {
        ("process_connect", _) | (_, "tcp_connect" | "security_socket_connect") => {
            fields.set(FieldId::NetworkInitiated, "true");
        }
        ("process_accept", _) | (_, "inet_csk_accept") => fields.set(FieldId::NetworkInitiated, "false"),
        _ => {}
    }
}

fn set_process(process: &Value, context: &Context<'_>, fields: &mut Fields) {
    let binary = process.str_at(&["binary"]).unwrap_or_default();
    let arguments = process.str_at(&["arguments"]).unwrap_or_default();
    command_line::set_program(fields, binary);
    // Of a process without arguments it is known that it has none only where what follows is known.
    let known = !context.truncated || !arguments.is_empty();
    // The line as a shell would show it: Tetragon keeps the arguments apart from the program.
    let line = if arguments.is_empty() {
        binary.to_owned()
    } else {
        format!("{binary} {arguments}")
    };
    if known {
        fields.set(FieldId::ProcessCommandLine, line);
    }
    if known && !binary.is_empty() {
        let args: Value = std::iter::once(binary.to_owned())
            .chain(split_arguments(arguments))
            .take(MAX_PROCESS_ARGS)
            .collect();
        fields.set(FieldId::ProcessArgs, args);
    }
    fields.set_str(FieldId::ProcessWorkingDirectory, process.str_at(&["cwd"]));
    fields.set_str(FieldId::ProcessEntityId, process.str_at(&["exec_id"]));
    fields.set_str(FieldId::ProcessParentEntityId, process.str_at(&["parent_exec_id"]));
    if let Some(pid) = process.get("pid").and_then(Value::as_i64) {
        fields.set(FieldId::ProcessPid, pid);
    }
    if let Some(uid) = process.get("uid").and_then(Value::as_i64) {
        fields.set(FieldId::UserId, uid.to_string());
    }
    fields.set_str(FieldId::UserName, process.str_at(&["user", "name"]));
    // The greatest number stands for "nobody logged in".
    if let Some(uid) = process
        .get("auid")
        .and_then(Value::as_i64)
        .filter(|uid| (0..i64::from(u32::MAX)).contains(uid))
    {
        fields.set(FieldId::UserAuditId, uid.to_string());
    }
    if let Some(digest) = process.str_at(&["binary_properties", "file", "digest"]) {
        fields.set(FieldId::ProcessHashSha256, digest);
    }
}

/// Arguments are separated by spaces; one that holds a space is in quotes, and quotes inside it are not escaped. So a
/// quote closes where a space or the end follows.
fn split_arguments(text: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() && arguments.len() < MAX_PROCESS_ARGS {
        let quoted = rest.strip_prefix('"').and_then(|inner| {
            inner
                .split_once("\" ")
                .or_else(|| inner.strip_suffix('"').map(|argument| (argument, "")))
        });
        let (argument, after) = quoted.or_else(|| rest.split_once(' ')).unwrap_or((rest, ""));
        arguments.push(argument.to_owned());
        rest = after.trim_start();
    }
    arguments
}

fn set_parent(parent: &Value, context: &Context<'_>, fields: &mut Fields) {
    let Some(binary) = parent.str_at(&["binary"]) else {
        return;
    };
    fields.set(FieldId::ProcessParentName, command_line::base_name(binary));
    if binary.starts_with('/') {
        fields.set(FieldId::ProcessParentExecutable, binary);
    }
    let line = match parent.str_at(&["arguments"]) {
        Some(arguments) => format!("{binary} {arguments}"),
        None if context.truncated => String::new(),
        None => binary.to_owned(),
    };
    fields.set(FieldId::ProcessParentCommandLine, line);
    if let Some(pid) = parent.get("pid").and_then(Value::as_i64) {
        fields.set(FieldId::ProcessParentPid, pid);
    }
}

fn set_pod(pod: &Value, fields: &mut Fields) {
    fields.set_str(FieldId::OrchestratorNamespace, pod.str_at(&["namespace"]));
    fields.set_str(FieldId::KubernetesPodName, pod.str_at(&["name"]));
    fields.set_str(FieldId::KubernetesPodUid, pod.str_at(&["uid"]));
    fields.set(FieldId::OrchestratorType, "kubernetes");
    let Some(container) = pod.get("container") else { return };
    if let Some(id) = container.str_at(&["id"]) {
        let (runtime, id) = id.split_once("://").unwrap_or(("", id));
        fields.set(FieldId::ContainerRuntime, runtime);
        fields.set(FieldId::ContainerId, id);
    }
    fields.set_str(FieldId::ContainerName, container.str_at(&["name"]));
    fields.set_str(FieldId::ContainerImageName, container.str_at(&["image", "name"]));
    if let Some((_, digest)) = container.str_at(&["image", "id"]).and_then(|id| id.rsplit_once('@')) {
        fields.push(FieldId::ContainerImageHash, digest);
    }
    if container.at(&["security_context", "privileged"]) == Some(&Value::Bool(true)) {
        fields.set(FieldId::ContainerPrivileged, "true");
    }
}

fn set_exit(event: &Value, fields: &mut Fields) {
    let status = event.get("status").and_then(Value::as_i64).unwrap_or(0);
    fields.set(FieldId::ProcessExitCode, status);
    fields.set_str(FieldId::EventReason, event.str_at(&["signal"]));
    let outcome = match (status, event.str_at(&["signal"])) {
        (0, None) => "success",
        _ => "failure",
    };
    fields.set(FieldId::EventOutcome, outcome);
}

/// The connection events of Tetragon's enterprise build.
fn set_connection(event: &Value, fields: &mut Fields) {
    let port = |key: &str| {
        event
            .get(key)
            .and_then(Value::as_i64)
            .filter(|port| (1..=65_535).contains(port))
    };
    if let Some(ip) = event.str_at(&["source_ip"]) {
        address::set_source(fields, ip);
    }
    // A listener is where others go.
    let destination = event.str_at(&["destination_ip"]).or(event.str_at(&["ip"]));
    if let Some(ip) = destination.and_then(address::canonical_ip) {
        address::push_related(fields, &ip);
        fields.set(FieldId::DestinationIp, ip);
    }
    for (id, port) in [
        (FieldId::SourcePort, port("source_port")),
        (FieldId::DestinationPort, port("destination_port").or(port("port"))),
    ] {
        if let Some(port) = port {
            fields.set(id, port);
        }
    }
    if let Some(protocol) = event.str_at(&["protocol"]) {
        fields.set(FieldId::NetworkTransport, protocol.to_ascii_lowercase());
    }
    fields.set_str(
        FieldId::DestinationDomain,
        match event.get("destination_names").and_then(Value::as_list) {
            Some([first, ..]) => first.as_str(),
            _ => None,
        },
    );
    fields.set_str(
        FieldId::DnsQuestionName,
        match event.at(&["dns", "names"]).and_then(Value::as_list) {
            Some([first, ..]) => first.as_str(),
            _ => event.str_at(&["dns", "name"]),
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, want: &[(FieldId, &str)]) {
        let value = serde_json::from_str(json).unwrap();
        let normalized = normalize(value, &Context::of(json)).unwrap();
        for (id, want) in want {
            let got = normalized.fields.get(*id).map(|value| value.to_text().into_owned());
            assert_eq!(got.unwrap_or_default(), *want, "{id} of {json}");
        }
    }

    const PROCESS: &str = r#""process":{"exec_id":"e","pid":9,"uid":0,"cwd":"/","binary":"/bin/sh","arguments":"-c \"a b\" x","auid":4294967295,
        "pod":{"namespace":"n","name":"p","uid":"u","container":{"id":"containerd://c1","name":"c","image":{"id":"r/i@sha256:aa","name":"r/i:1"}}},"docker":"c1","parent_exec_id":"f"},
        "parent":{"exec_id":"f","pid":8,"binary":"/bin/bash","arguments":"-l"}"#;

    #[test]
    fn an_execution() {
        check(
            &format!(r#"{{"process_exec":{{{PROCESS}}},"node_name":"n1","time":"2024-01-01T00:00:00.5Z"}}"#),
            &[
                (FieldId::ProcessExecutable, "/bin/sh"),
                (FieldId::ProcessCommandLine, r#"/bin/sh -c "a b" x"#),
                (FieldId::ProcessArgs, r#"["/bin/sh","-c","a b","x"]"#),
                (FieldId::ProcessParentCommandLine, "/bin/bash -l"),
                (FieldId::ProcessParentPid, "8"),
                (FieldId::KubernetesPodName, "p"),
                (FieldId::ContainerId, "c1"),
                (FieldId::ContainerRuntime, "containerd"),
                (FieldId::ContainerImageHash, r#"["sha256:aa"]"#),
                (FieldId::UserId, "0"),
                (FieldId::UserAuditId, ""),
                (FieldId::EventType, r#"["start"]"#),
                (FieldId::HostName, "n1"),
            ],
        );
    }

    #[test]
    fn hooks_exits_and_connections() {
        check(
            &format!(
                r#"{{"process_kprobe":{{{PROCESS},"function_name":"tcp_connect","policy_name":"net","args":[{{"sock_arg":{{"family":"AF_INET","protocol":"IPPROTO_TCP","saddr":"10.0.0.1","daddr":"1.2.3.4","sport":4000,"dport":443}}}}]}},"time":"2024-01-01T00:00:00Z"}}"#
            ),
            &[
                (FieldId::EventCategory, r#"["network"]"#),
                (FieldId::EventType, r#"["connection","start"]"#),
                (FieldId::SourceIp, "10.0.0.1"),
                (FieldId::DestinationIp, "1.2.3.4"),
                (FieldId::DestinationPort, "443"),
                (FieldId::NetworkTransport, "tcp"),
                (FieldId::RuleName, "net"),
                (FieldId::EventAction, "tcp_connect"),
            ],
        );
        check(
            &format!(
                r#"{{"process_kprobe":{{{PROCESS},"function_name":"security_file_permission","args":[{{"file_arg":{{"path":"/etc/shadow"}}}},{{"int_arg":4}}]}},"time":"2024-01-01T00:00:00Z"}}"#
            ),
            &[
                (FieldId::EventCategory, r#"["file"]"#),
                (FieldId::EventType, r#"["access"]"#),
                (FieldId::FilePath, "/etc/shadow"),
            ],
        );
        check(
            &format!(
                r#"{{"process_exit":{{{PROCESS},"status":137,"signal":"SIGKILL"}},"time":"2024-01-01T00:00:00Z"}}"#
            ),
            &[
                (FieldId::ProcessExitCode, "137"),
                (FieldId::EventReason, "SIGKILL"),
                (FieldId::EventOutcome, "failure"),
            ],
        );
        check(
            &format!(
                r#"{{"process_connect":{{{PROCESS},"source_ip":"10.0.0.1","source_port":5,"destination_ip":"1.2.3.4","destination_port":80,"protocol":"TCP"}},"time":"2024-01-01T00:00:00Z"}}"#
            ),
            &[
                (FieldId::DestinationIp, "1.2.3.4"),
                (FieldId::SourcePort, "5"),
                (FieldId::NetworkTransport, "tcp"),
            ],
        );
    }

    #[test]
    fn other_hooks_and_missing_times() {
        check(
            &format!(
                r#"{{"process_tracepoint":{{{PROCESS},"subsys":"syscalls","event":"sys_enter_openat","args":[{{"int_arg":-100}},{{"string_arg":"/etc/passwd"}}]}},"time":"2024-01-01T00:00:00Z"}}"#
            ),
            &[
                (FieldId::EventAction, "sys_enter_openat"),
                (FieldId::EventCategory, r#"["file"]"#),
                (FieldId::FilePath, "/etc/passwd"),
            ],
        );
        check(
            &format!(
                r#"{{"process_uprobe":{{{PROCESS},"path":"/bin/bash","symbol":"readline"}},"time":"2024-01-01T00:00:00Z"}}"#
            ),
            &[
                (FieldId::EventAction, "readline"),
                (FieldId::EventCategory, r#"["process"]"#),
            ],
        );
        check(
            &format!(
                r#"{{"process_listen":{{{PROCESS},"ip":"10.0.0.1","port":9080,"protocol":"TCP"}},"time":"2024-01-01T00:00:00Z"}}"#
            ),
            &[
                (FieldId::DestinationIp, "10.0.0.1"),
                (FieldId::DestinationPort, "9080"),
                (FieldId::SourceIp, ""),
            ],
        );
        let json = r#"{"process_exit":{"process":{"start_time":"2024-01-01T00:00:00Z"}}}"#;
        let reject = normalize(serde_json::from_str(json).unwrap(), &Context::of(json)).unwrap_err();
        assert_eq!(reject.reason, reject::NO_TIMESTAMP);
    }

    #[test]
    fn arguments_are_split_as_they_were_joined() {
        assert_eq!(split_arguments(r#"-c "a b" x"#), ["-c", "a b", "x"]);
        assert_eq!(split_arguments(r#""open"#), ["\"open"]);
        assert_eq!(split_arguments(r#"-c "echo "hi"" x"#), ["-c", "echo \"hi\"", "x"]);
        assert_eq!(split_arguments(r#""a b""#), ["a b"]);
        assert_eq!(split_arguments("  "), Vec::<String>::new());
    }
}
