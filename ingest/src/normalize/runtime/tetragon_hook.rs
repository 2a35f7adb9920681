//! What Tetragon's hooks (kprobes, tracepoints, LSM hooks) report: the function, and the arguments that a policy asked for.

use casebook_event::{FieldId, Fields, Value};

use crate::normalize::{address, command_line};

/// What a hooked function does, by a part of its name: ECS `event.category` and `event.type`s. The first that fits.
const FUNCTIONS: &[(&str, &str, &[&str])] = &[
    ("tcp_connect", "network", &["connection", "start"]),
    ("tcp_close", "network", &["connection", "end"]),
    ("inet_csk_accept", "network", &["connection", "start"]),
    ("socket_connect", "network", &["connection", "start"]),
    ("sys_connect", "network", &["connection", "start"]),
    ("tcp_sendmsg", "network", &["connection"]),
    ("udp_sendmsg", "network", &["connection"]),
    ("ip_output", "network", &["connection"]),
    ("socket", "network", &["info"]),
    ("_listen", "network", &["info"]),
    ("_bind", "network", &["info"]),
    ("unlink", "file", &["deletion"]),
    ("rmdir", "file", &["deletion"]),
    ("rename", "file", &["change"]),
    ("truncate", "file", &["change"]),
    ("chmod", "file", &["change"]),
    ("chown", "file", &["change"]),
    ("setattr", "file", &["change"]),
    ("sys_write", "file", &["change"]),
    ("mkdir", "file", &["creation"]),
    ("inode_create", "file", &["creation"]),
    ("symlink", "file", &["creation"]),
    ("_link", "file", &["creation"]),
    ("file_permission", "file", &["access"]),
    ("file_open", "file", &["access"]),
    ("fd_install", "file", &["access"]),
    ("mmap_file", "file", &["access"]),
    ("path_", "file", &["access"]),
    ("sys_open", "file", &["access"]),
    ("sys_read", "file", &["access"]),
    ("bprm_check", "process", &["start"]),
    ("sys_exec", "process", &["start"]),
    ("module", "driver", &["start"]),
    ("kernel_read_file", "driver", &["info"]),
    ("sys_mount", "configuration", &["change"]),
    ("sb_mount", "configuration", &["change"]),
    ("sys_", "process", &["info"]),
];

/// The mask with which `security_file_permission` is called for writing (`MAY_WRITE`, `linux/fs.h`).
const MAY_WRITE: i64 = 2;

/// Sets what a hook reports.
pub(crate) fn set(event: &Value, function: &str, truncated: bool, fields: &mut Fields) {
    if !function.is_empty() {
        fields.set(FieldId::EventAction, function);
    }
    // Tracepoints name the same system calls: `sys_enter_openat`.
    let call = function
        .replacen("sys_enter_", "sys_", 1)
        .replacen("sys_exit_", "sys_", 1);
    let known = FUNCTIONS.iter().find(|(part, ..)| call.contains(part));
    let (category, mut kinds): (&str, &[&str]) =
        known.map_or(("process", &["info"]), |(_, category, kinds)| (category, kinds));
    let arguments = event.get("args").and_then(Value::as_list).unwrap_or_default();
    let mut mask = None;
    for argument in arguments {
        let Value::Map(entries) = argument else { continue };
        for (key, value) in entries {
            match key.as_str() {
                "sock_arg" | "skb_arg" | "sockaddr_arg" => set_socket(value, fields),
                "file_arg" | "path_arg" | "dentry_arg" => set_file(value.str_at(&["path"]), fields),
                "linux_binprm_arg" => set_file(value.str_at(&["path"]), fields),
                "string_arg" if category == "file" => set_file(value.as_str(), fields),
                "int_arg" | "uint_arg" => mask = mask.or(value.as_i64()),
                _ => {}
            }
        }
    }
    if function.contains("file_permission") && mask.is_some_and(|mask| mask & MAY_WRITE != 0) {
        kinds = &["change"];
    } else if truncated && function.contains("file_permission") {
        // The mask may have stood after the end.
        kinds = &[];
    }
    fields.push(FieldId::EventCategory, category);
    kinds.iter().for_each(|kind| fields.push(FieldId::EventType, kind));
    let returned = event.at(&["return", "int_arg"]).and_then(Value::as_i64);
    match (event.str_at(&["action"]), returned) {
        // The policy stopped the process, or made the call fail.
        (Some("KPROBE_ACTION_SIGKILL" | "KPROBE_ACTION_OVERRIDE" | "KPROBE_ACTION_SIGNAL"), _) => {
            fields.push(FieldId::EventType, "denied");
            fields.set(FieldId::EventOutcome, "failure");
        }
        (None, Some(_)) if truncated => {}
        (_, Some(code)) => fields.set(FieldId::EventOutcome, if code < 0 { "failure" } else { "success" }),
        _ => {}
    }
}

fn set_file(path: Option<&str>, fields: &mut Fields) {
    let Some(path) = path.filter(|path| !path.is_empty()) else {
        return;
    };
    match fields.get(FieldId::FilePath) {
        None => {
            fields.set(FieldId::FilePath, path);
            fields.set(FieldId::FileName, command_line::base_name(path));
        }
        Some(_) => fields.set(FieldId::FileTargetPath, path),
    }
}

fn set_socket(socket: &Value, fields: &mut Fields) {
    let text = |key: &str| socket.str_at(&[key]);
    let port = |key: &str| {
        socket
            .get(key)
            .and_then(Value::as_i64)
            .filter(|port| (1..=65_535).contains(port))
    };
    if let Some(ip) = text("saddr") {
        address::set_source(fields, ip);
    }
    if let Some(ip) = text("daddr").or(text("addr")).and_then(address::canonical_ip) {
        address::push_related(fields, &ip);
        fields.set(FieldId::DestinationIp, ip);
    }
    for (id, port) in [
        (FieldId::SourcePort, port("sport")),
        (FieldId::DestinationPort, port("dport").or(port("port"))),
    ] {
        if let Some(port) = port {
            fields.set(id, port);
        }
    }
    if let Some(protocol) = text("protocol") {
        let name = protocol.strip_prefix("IPPROTO_").unwrap_or(protocol);
        fields.set(FieldId::NetworkTransport, name.to_ascii_lowercase());
    }
}
