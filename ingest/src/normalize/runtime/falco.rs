//! Falco's alerts as JSON (falco.yaml `json_output`; Falco documentation, "Formatting alerts" and "Supported fields").
//!
//! `output_fields` holds what the rule's output names, so any of it may be missing or null. Its entries are reachable under
//! their own names (`proc.name`) as well as below `output_fields`. Falco gives alerts no identity: it is the rule, the
//! time and the output.

use casebook_event::{EventId, FieldId, Fields, Source, Timestamp, Value};

use crate::format::epoch;
use crate::format::reject::{self, Reject};
use crate::normalize::address::{self, Hops};
use crate::normalize::command_line;
use crate::normalize::context::{Context, Normalized};
use crate::normalize::kubernetes::kubernetes_audit;
use crate::settings::TrustedProxies;

/// The mark by which an object is known as Falco's.
pub(crate) fn recognize(value: &Value) -> Option<&'static str> {
    let fields = matches!(value.get("output_fields"), Some(Value::Map(_)));
    let named = value.get("rule").and_then(Value::as_str).is_some();
    (fields && named).then_some("rule with output_fields")
}

/// One alert.
pub(crate) fn normalize(native: Value, context: &Context<'_>) -> Result<Normalized, Reject> {
    let cut = context.truncated && (native.get("output_fields").is_some() || native.get("output").is_some());
    if recognize(&native).is_none() && !cut {
        return Err(Reject::new(
            reject::WRONG_SHAPE,
            "no Falco alert: rule or output_fields is missing",
        ));
    }
    let output = Output(native.get("output_fields").unwrap_or(&Value::Null));
    let time = [
        native.get("time"),
        output.0.get("evt.time"),
        output.0.get("evt.time.iso8601"),
        output.0.get("evt.rawtime"),
    ]
    .into_iter()
    .flatten()
    .find_map(epoch::parse)
    .or(context.time_of_cut())
    .ok_or_else(|| Reject::new(reject::NO_TIMESTAMP, "neither time nor evt.time is a time"))?;
    let text = |key: &str| native.str_at(&[key]);
    let rule = text("rule").unwrap_or_default();
    let id = identity(&native, time, context);
    let mut fields = Fields::new();
    // Falco reports its own counters as if they were an alert.
    let measured = rule == "Falco internal: metrics snapshot";
    fields.set(FieldId::EventKind, if measured { "metric" } else { "alert" });
    fields.set(FieldId::RuleName, rule);
    fields.set_str(FieldId::Message, text("output"));
    fields.set(
        FieldId::LogLevel,
        text("priority").unwrap_or_default().to_ascii_lowercase(),
    );
    fields.set(FieldId::EventProvider, "falco");
    fields.set_str(
        FieldId::HostName,
        text("hostname")
            .or(output.text("evt.hostname"))
            .or(output.text("k8smeta.node.name")),
    );
    set_act(&output, text("source").unwrap_or("syscall"), context, &mut fields);
    set_process(&output, &mut fields);
    set_file_or_connection(&output, &mut fields);
    set_place(&output, context, &mut fields);
    set_request(&output, &context.settings.trusted_proxies, &mut fields);
    // A rule names the fields of Falco as Falco does.
    let mut flat = match &native {
        Value::Map(entries) => entries.clone(),
        _ => Vec::new(),
    };
    if let Value::Map(entries) = output.0 {
        flat.extend(entries.iter().cloned());
    }
    Ok(Normalized {
        source: Source::Falco,
        id,
        time,
        fields,
        native: Value::Map(flat).into(),
    })
}

/// The rule, the time, the machine and the text; with what was masked of it.
fn identity(native: &Value, time: Timestamp, context: &Context<'_>) -> EventId {
    let text = |key: &str| native.str_at(&[key]).unwrap_or_default();
    // Whoever reaches Falcosidekick may send it alerts with a `uuid` of his own: it distinguishes two alerts, and never makes
    // them one.
    let id = EventId::from_parts(
        Source::Falco,
        &[
            text("rule").as_bytes(),
            &time.as_nanos().to_le_bytes(),
            text("hostname").as_bytes(),
            text("output").as_bytes(),
            text("uuid").as_bytes(),
        ],
    );
    match native.str_at(&["uuid"]) {
        Some(_) => id,
        None => context.with_removed(Source::Falco, id),
    }
}

/// The alert's `output_fields`.
struct Output<'a>(&'a Value);

impl<'a> Output<'a> {
    /// A text that says something: Falco writes `<NA>` for what it does not know.
    fn text(&self, key: &str) -> Option<&'a str> {
        let text = self.0.get(key)?.as_str()?;
        (!matches!(text, "" | "<NA>" | "N/A")).then_some(text)
    }

    /// The first of `keys` that is a text.
    fn first(&self, keys: &[&str]) -> Option<&'a str> {
        keys.iter().find_map(|key| self.text(key))
    }

    /// A number, which may be written as a text.
    fn number(&self, key: &str) -> Option<i64> {
        match self.0.get(key)? {
            Value::Int(number) => Some(*number),
            Value::Str(text) => text.parse().ok(),
            _ => None,
        }
    }
}

/// What happened, by the system call or the source.
fn set_act(output: &Output<'_>, source: &str, context: &Context<'_>, fields: &mut Fields) {
    if let (Some(verb), None) = (output.text("ka.verb"), output.text("evt.type")) {
        return set_request_act(output, verb, fields);
    }
    let action = output.first(&["evt.type", "ct.name"]);
    fields.set_str(FieldId::EventAction, action);
    let (category, kinds): (&str, &[&str]) = match action.unwrap_or_default() {
        "execve" | "execveat" | "spawned_process" => ("process", &["start"]),
        "clone" | "clone3" | "fork" | "vfork" => ("process", &["start"]),
        "procexit" | "exit" | "exit_group" => ("process", &["end"]),
        "connect" | "accept" | "accept4" => ("network", &["connection", "start"]),
        "sendto" | "sendmsg" | "sendmmsg" | "recvfrom" | "recvmsg" | "recvmmsg" => ("network", &["connection"]),
        "bind" | "listen" | "socket" => ("network", &["info"]),
        "open" | "openat" | "openat2" | "open_by_handle_at" => match open_kinds(output) {
            // What it was opened for may have stood after the end.
            ["access"] if context.truncated => ("file", &[]),
            kinds => ("file", kinds),
        },
        "creat" | "mkdir" | "mkdirat" | "symlink" | "symlinkat" | "link" | "linkat" => ("file", &["creation"]),
        "unlink" | "unlinkat" | "rmdir" => ("file", &["deletion"]),
        "rename" | "renameat" | "renameat2" | "chmod" | "fchmod" | "fchmodat" | "chown" | "fchown" | "fchownat" => {
            ("file", &["change"])
        }
        "init_module" | "finit_module" => ("driver", &["start"]),
        "mount" | "umount" | "umount2" => ("configuration", &["change"]),
        // What it is may have stood after the end.
        _ if context.truncated => return fields.push(FieldId::EventCategory, "intrusion_detection"),
        _ => match (source, output.text("proc.cmdline").is_some()) {
            ("k8s_audit" | "aws_cloudtrail", _) => ("configuration", &["info"]),
            ("internal", _) => ("host", &["info"]),
            (_, true) => ("process", &["info"]),
            _ => ("intrusion_detection", &["info"]),
        },
    };
    fields.push(FieldId::EventCategory, category);
    if category != "host" {
        fields.push(FieldId::EventCategory, "intrusion_detection");
    }
    for kind in kinds {
        fields.push(FieldId::EventType, kind);
    }
    let failed = output.text("evt.failed") == Some("true")
        || output.text("evt.res").is_some_and(|result| result != "SUCCESS")
        || output.number("evt.rawres").is_some_and(|result| result < 0);
    if failed {
        fields.set(FieldId::EventOutcome, "failure");
    } else if output.0.get("evt.res").is_some() || output.0.get("evt.rawres").is_some() {
        fields.set(FieldId::EventOutcome, "success");
    }
}

/// What was asked of the API server (plugin `k8saudit`), in the same words as its own audit log.
fn set_request_act(output: &Output<'_>, verb: &str, fields: &mut Fields) {
    let target = |key: &str| output.text(key).unwrap_or_default();
    let (category, kind) =
        kubernetes_audit::classify(verb, target("ka.target.resource"), target("ka.target.subresource"));
    fields.set(FieldId::EventAction, verb);
    fields.push(FieldId::EventCategory, category);
    fields.push(FieldId::EventCategory, "intrusion_detection");
    fields.push(FieldId::EventType, kind);
    if let Some(code) = output.number("ka.response.code") {
        fields.set(FieldId::HttpResponseStatusCode, code);
        fields.set(FieldId::EventOutcome, if code >= 400 { "failure" } else { "success" });
        if matches!(code, 401 | 403) {
            fields.push(FieldId::EventType, "denied");
        }
    }
}

/// What a file was opened for, where the rule's output says it.
fn open_kinds(output: &Output<'_>) -> &'static [&'static str] {
    let flag = |key: &str| output.text(key) == Some("true") || output.0.get(key) == Some(&Value::Bool(true));
    let flags = output.first(&["evt.arg.flags", "evt.flags"]).unwrap_or_default();
    if flags.contains("O_CREAT") || flag("evt.is_open_create") {
        &["creation"]
    } else if flags.contains("O_WRONLY") || flags.contains("O_RDWR") || flag("evt.is_open_write") {
        &["change"]
    } else {
        &["access"]
    }
}

fn set_process(output: &Output<'_>, fields: &mut Fields) {
    let path = output
        .first(&["proc.exepath", "proc.exe"])
        .filter(|path| path.starts_with('/'));
    // The command line is `proc.name` and the arguments.
    let called = output
        .text("proc.cmdline")
        .and_then(|line| line.split_ascii_whitespace().next());
    let name = output
        .text("proc.name")
        .or(path.or(called).map(command_line::base_name));
    fields.set_str(FieldId::ProcessExecutable, path);
    fields.set_str(FieldId::ProcessName, name);
    fields.set_str(FieldId::ProcessCommandLine, output.text("proc.cmdline"));
    fields.set_str(FieldId::ProcessWorkingDirectory, output.text("proc.cwd"));
    fields.set_str(FieldId::ProcessHashSha256, output.text("proc.hash.sha256"));
    fields.set_str(FieldId::ProcessParentName, output.text("proc.pname"));
    fields.set_str(
        FieldId::ProcessParentExecutable,
        output
            .first(&["proc.pexepath", "proc.pexe"])
            .filter(|path| path.starts_with('/')),
    );
    fields.set_str(FieldId::ProcessParentCommandLine, output.text("proc.pcmdline"));
    for (id, key) in [
        (FieldId::ProcessPid, "proc.pid"),
        (FieldId::ProcessParentPid, "proc.ppid"),
    ] {
        if let Some(number) = output.number(key) {
            fields.set(id, number);
        }
    }
    fields.set_str(FieldId::UserName, output.text("user.name"));
    fields.set_str(FieldId::UserAuditName, output.text("user.loginname"));
    for (id, key) in [(FieldId::UserId, "user.uid"), (FieldId::UserAuditId, "user.loginuid")] {
        // -1: nobody logged in.
        if let Some(number) = output.number(key).filter(|number| *number >= 0) {
            fields.set(id, number.to_string());
        }
    }
}

fn set_file_or_connection(output: &Output<'_>, fields: &mut Fields) {
    let name = output.text("fd.name").unwrap_or_default();
    let kind = output.first(&["fd.type", "fd.typechar"]).unwrap_or_default();
    let file = kind.starts_with(['f', 'd']) || (kind.is_empty() && name.starts_with('/'));
    if file && name.starts_with('/') {
        fields.set(FieldId::FilePath, name);
        fields.set(FieldId::FileName, command_line::base_name(name));
    }
    fields.set_str(
        FieldId::FileTargetPath,
        output.first(&["evt.arg.linkpath", "evt.arg.newpath", "fs.path.target"]),
    );
    if fields.get(FieldId::FilePath).is_none() {
        fields.set_str(
            FieldId::FilePath,
            output
                .first(&["fs.path.name", "evt.arg.path", "evt.arg.name", "evt.arg.oldpath"])
                .filter(|path| path.starts_with('/')),
        );
    }
    // `client->server`, where the addresses are not given one by one.
    let (client, server) = match name.split_once("->") {
        Some((client, server)) if !file => (Some(client), Some(server)),
        _ => (None, None),
    };
    let host = |text: &str| text.rsplit_once(':').map_or(text, |(host, _)| host).to_owned();
    let port = |text: &str| text.rsplit_once(':').and_then(|(_, port)| port.parse::<i64>().ok());
    // The local and the remote end say nothing of who called whom, but the system call does.
    let accepted = output.text("evt.type").is_some_and(|call| call.starts_with("accept"));
    let ([near, near_port], [far, far_port]) = match accepted {
        true => (["fd.rip", "fd.rport"], ["fd.lip", "fd.lport"]),
        false => (["fd.lip", "fd.lport"], ["fd.rip", "fd.rport"]),
    };
    let from = output.text("fd.cip").map(str::to_owned).or(client.map(host));
    let from = from.or_else(|| output.text(near).map(str::to_owned));
    let to = output.text("fd.sip").map(str::to_owned).or(server.map(host));
    let to = to.or_else(|| output.text(far).map(str::to_owned));
    if let Some(from) = from {
        address::set_source(fields, &from);
    }
    if let Some(to) = to {
        match address::canonical_ip(&to) {
            Some(ip) => {
                address::push_related(fields, &ip);
                fields.set(FieldId::DestinationIp, ip);
            }
            None => fields.set(FieldId::DestinationAddress, to),
        }
    }
    for (id, key, in_name, other) in [
        (FieldId::SourcePort, "fd.cport", client.and_then(port), near_port),
        (FieldId::DestinationPort, "fd.sport", server.and_then(port), far_port),
    ] {
        if let Some(port) = output.number(key).or(in_name).or(output.number(other)) {
            fields.set(id, port);
        }
    }
    fields.set_str(
        FieldId::DestinationDomain,
        output.first(&["fd.sip.name", "fd.rip.name"]),
    );
    fields.set_str(FieldId::NetworkTransport, output.text("fd.l4proto"));
    match output.text("evt.type") {
        Some("connect") => fields.set(FieldId::NetworkInitiated, "true"),
        Some("accept" | "accept4") => fields.set(FieldId::NetworkInitiated, "false"),
        _ => {}
    }
}

fn set_place(output: &Output<'_>, context: &Context<'_>, fields: &mut Fields) {
    // `host` stands for "in no container".
    let container = output
        .first(&["container.full_id", "container.id"])
        .filter(|id| *id != "host");
    fields.set_str(FieldId::ContainerId, container);
    fields.set_str(
        FieldId::ContainerName,
        output.text("container.name").filter(|name| *name != "host"),
    );
    fields.set_str(
        FieldId::ContainerRuntime,
        output.text("container.type").filter(|kind| *kind != "host"),
    );
    let image = output.first(&["container.image", "container.image.repository"]);
    if let Some(image) = image {
        // `container.image` already has its tag or digest; a port of the registry is none.
        let bare = !command_line::base_name(image).contains([':', '@']);
        let tagged = match output.text("container.image.tag") {
            Some(tag) if bare => format!("{image}:{tag}"),
            // The tag may have stood after the end.
            None if bare && context.truncated => String::new(),
            _ => image.to_owned(),
        };
        fields.set(FieldId::ContainerImageName, tagged);
    }
    if let Some(digest) = output.text("container.image.digest") {
        fields.push(FieldId::ContainerImageHash, digest);
    }
    if output.text("container.privileged") == Some("true")
        || output.0.get("container.privileged") == Some(&Value::Bool(true))
    {
        fields.set(FieldId::ContainerPrivileged, "true");
    }
    for (id, keys) in [
        (FieldId::KubernetesPodName, &["k8s.pod.name", "k8smeta.pod.name"]),
        (FieldId::KubernetesPodUid, &["k8s.pod.uid", "k8smeta.pod.uid"]),
        (FieldId::KubernetesPodIp, &["k8s.pod.ip", "k8smeta.pod.ip"]),
        (FieldId::OrchestratorNamespace, &["k8s.ns.name", "k8smeta.ns.name"]),
        (FieldId::KubernetesNodeName, &["k8smeta.node.name", "k8s.node.name"]),
    ] {
        fields.set_str(id, output.first(keys));
    }
    if fields.get(FieldId::KubernetesPodName).is_some() {
        fields.set(FieldId::OrchestratorType, "kubernetes");
    }
}

/// What the rules over the API server's audit log say (`ka.*`).
fn set_request(output: &Output<'_>, proxies: &TrustedProxies, fields: &mut Fields) {
    for (id, key) in [
        (FieldId::OrchestratorResourceType, "ka.target.resource"),
        (FieldId::OrchestratorResourceSubresource, "ka.target.subresource"),
        (FieldId::OrchestratorResourceName, "ka.target.name"),
        (FieldId::UserEffectiveName, "ka.impuser.name"),
        (FieldId::UserAgentOriginal, "ka.useragent"),
        (FieldId::UrlOriginal, "ka.uri"),
    ] {
        fields.set_str(id, output.text(key));
    }
    if output.text("ka.target.resource") == Some("pods") {
        fields.set_str(FieldId::KubernetesPodName, output.text("ka.target.name"));
    }
    if output.text("ka.verb").is_some() {
        fields.set(FieldId::OrchestratorType, "kubernetes");
    }
    if let Some(user) = output.text("ka.user.name") {
        fields.set(FieldId::UserName, user);
    }
    if let Some(namespace) = output.text("ka.target.namespace") {
        fields.set(FieldId::OrchestratorNamespace, namespace);
    }
    // `sourceIPs` of the audit event: the peer is last. Falco writes a list as an array, or as `(a,b)`.
    let mut hops = Hops::default();
    match output.0.get("ka.sourceips") {
        Some(Value::List(items)) => items.iter().filter_map(Value::as_str).for_each(|ip| hops.add(ip)),
        _ => hops.add(output.text("ka.sourceips").unwrap_or_default().trim_matches(['(', ')'])),
    }
    hops.set(proxies, fields);
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

    #[test]
    fn the_addresses_of_an_audit_event_end_with_the_peer() {
        for addresses in [
            r#""(8.8.8.8,10.0.0.9)""#,
            r#"["8.8.8.8","10.0.0.9"]"#,
            r#""8.8.8.8, 10.0.0.9""#,
        ] {
            let json = format!(
                r#"{{"time":"2026-11-24T10:00:00Z","rule":"R","source":"k8s_audit","output":"x","output_fields":{{"ka.verb":"get","ka.sourceips":{addresses}}}}}"#
            );
            check(
                &json,
                &[(FieldId::SourceIp, "10.0.0.9"), (FieldId::ClaimedIps, r#"["8.8.8.8"]"#)],
            );
        }
    }

    #[test]
    fn a_shell_in_a_container() {
        check(
            r#"{"hostname":"n1","output":"o","priority":"Notice","rule":"Terminal shell","source":"syscall","time":"2024-01-01T00:00:00.000000001Z",
                "output_fields":{"evt.type":"execve","proc.name":"sh","proc.exepath":"/bin/sh","proc.cmdline":"sh -i","proc.pid":7,"proc.pname":"runc",
                "user.name":"root","user.uid":0,"user.loginuid":-1,"container.id":"abc","container.image.repository":"r/i","container.image.tag":"1",
                "k8s.ns.name":"n","k8s.pod.name":"p","container.name":"c"}}"#,
            &[
                (FieldId::EventKind, "alert"),
                (FieldId::EventCategory, r#"["process","intrusion_detection"]"#),
                (FieldId::EventType, r#"["start"]"#),
                (FieldId::ProcessExecutable, "/bin/sh"),
                (FieldId::ProcessPid, "7"),
                (FieldId::UserId, "0"),
                (FieldId::UserAuditId, ""),
                (FieldId::ContainerImageName, "r/i:1"),
                (FieldId::KubernetesPodName, "p"),
                (FieldId::HostName, "n1"),
                (FieldId::LogLevel, "notice"),
            ],
        );
    }

    #[test]
    fn connections_and_files() {
        check(
            r#"{"rule":"r","time":"2024-01-01T00:00:00Z","output_fields":{"evt.type":"connect","fd.type":"ipv4","fd.l4proto":"tcp","fd.name":"10.0.0.1:4000->1.2.3.4:443"}}"#,
            &[
                (FieldId::SourceIp, "10.0.0.1"),
                (FieldId::SourcePort, "4000"),
                (FieldId::DestinationIp, "1.2.3.4"),
                (FieldId::DestinationPort, "443"),
                (FieldId::NetworkTransport, "tcp"),
                (FieldId::FilePath, ""),
                (FieldId::EventType, r#"["connection","start"]"#),
            ],
        );
        check(
            r#"{"rule":"r","output_fields":{"evt.time":1704067200000000001,"evt.type":"openat","evt.arg.flags":"O_WRONLY|O_CREAT","fd.name":"/etc/cron.d/x","container.id":"host"}}"#,
            &[
                (FieldId::FilePath, "/etc/cron.d/x"),
                (FieldId::FileName, "x"),
                (FieldId::EventType, r#"["creation"]"#),
                (FieldId::ContainerId, ""),
            ],
        );
    }

    #[test]
    fn both_ends_of_a_connection() {
        let ends = |call: &str| {
            format!(
                r#"{{"rule":"r","time":"2024-01-01T00:00:00Z","output_fields":{{"evt.type":"{call}","fd.type":"ipv4","fd.lip":"10.0.0.1","fd.lport":22,"fd.rip":"1.2.3.4","fd.rport":"5000"}}}}"#
            )
        };
        check(
            &ends("connect"),
            &[
                (FieldId::SourceIp, "10.0.0.1"),
                (FieldId::SourcePort, "22"),
                (FieldId::DestinationIp, "1.2.3.4"),
                (FieldId::DestinationPort, "5000"),
                (FieldId::NetworkInitiated, "true"),
            ],
        );
        check(
            &ends("accept4"),
            &[
                (FieldId::SourceIp, "1.2.3.4"),
                (FieldId::SourcePort, "5000"),
                (FieldId::DestinationIp, "10.0.0.1"),
                (FieldId::DestinationPort, "22"),
                (FieldId::NetworkInitiated, "false"),
            ],
        );
    }

    #[test]
    fn images_have_one_tag() {
        let image = |name: &str, want: &str| {
            check(
                &format!(
                    r#"{{"rule":"r","time":"2024-01-01T00:00:00Z","output_fields":{{"container.image.repository":"{name}","container.image.tag":"1"}}}}"#
                ),
                &[(FieldId::ContainerImageName, want)],
            );
        };
        image("r/app1", "r/app1:1");
        image("r:5000/app", "r:5000/app:1");
        image("r/app:1", "r/app:1");
        image("r/app@sha256:aa", "r/app@sha256:aa");
    }

    #[test]
    fn requests_to_the_api_server() {
        check(
            r#"{"rule":"K8s Role Created","source":"k8s_audit","time":"2024-01-01T00:00:00Z","output_fields":{"ka.verb":"create","ka.target.resource":"roles",
                "ka.target.name":"x","ka.target.namespace":"n","ka.user.name":"eve","ka.response.code":"403","ka.uri":"/apis/x"}}"#,
            &[
                (FieldId::EventAction, "create"),
                (FieldId::EventCategory, r#"["iam","intrusion_detection"]"#),
                (FieldId::EventType, r#"["creation","denied"]"#),
                (FieldId::EventOutcome, "failure"),
                (FieldId::OrchestratorNamespace, "n"),
                (FieldId::UserName, "eve"),
            ],
        );
    }

    #[test]
    fn a_program_is_named_by_its_command_line() {
        check(
            r#"{"rule":"r","time":"2024-01-01T00:00:00Z","output_fields":{"proc.cmdline":"handler -x","proc.name":null}}"#,
            &[(FieldId::ProcessName, "handler"), (FieldId::ProcessExecutable, "")],
        );
    }

    #[test]
    fn what_is_missing_or_wrong() {
        let check = |json: &str, want: &str| {
            let reject = normalize(serde_json::from_str(json).unwrap(), &Context::of(json)).unwrap_err();
            assert_eq!(reject.reason, want, "{json}");
        };
        check(r#"{"rule":"r"}"#, reject::WRONG_SHAPE);
        check(r#"{"rule":1,"output_fields":{}}"#, reject::WRONG_SHAPE);
        check(r#"{"rule":"r","time":5,"output_fields":{}}"#, reject::NO_TIMESTAMP);
    }
}
