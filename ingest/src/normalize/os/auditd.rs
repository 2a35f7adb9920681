//! The Linux audit daemon: the records of one event, joined by their serial.
//!
//! The identity is the machine, the time and the serial. The native record holds the fields of all records under their own
//! names, in order; `type` lists the records' types, and `SYSCALL` is the call's name where the daemon writes only its number.

use casebook_event::{EventId, FieldId, Fields, Source, Timestamp, Value};
use compact_str::CompactString;

use super::auditd_record::{Record, is_argument};
use super::auditd_socket::SocketAddress;
use super::auditd_syscall::{self, Act};
use crate::format::auditd::AuditdHead;
use crate::format::reject::{self, Reject};
use crate::limits::{MAX_AUDITD_FIELDS, MAX_PROCESS_ARGS};
use crate::normalize::context::{Context, Normalized};
use crate::normalize::{address, command_line};

/// One record of the event.
struct Part<'a> {
    kind: &'a str,
    record: Record<'a>,
}

/// The records of one audit event, in the order in which they were read. Any of them may be missing.
pub(crate) fn normalize(records: &[&str], context: &Context<'_>) -> Result<Normalized, Reject> {
    let heads: Vec<AuditdHead<'_>> = records.iter().filter_map(|text| AuditdHead::parse(text)).collect();
    let Some(first) = heads.first() else {
        let text = records.first().copied().unwrap_or_default();
        let detail = format!("no type= and msg=audit(…): {}", reject::quote(text));
        return Err(Reject::new(reject::WRONG_SHAPE, detail));
    };
    let time = Timestamp::from_millis(first.time_ms);
    let node = heads.iter().find_map(|head| head.node).unwrap_or_default();
    // Serials begin anew on each node at each boot. A node that does not name itself is named by what carried the record.
    let named_by = if node.is_empty() {
        context.host.unwrap_or_default()
    } else {
        node
    };
    let id = EventId::from_parts(
        Source::Auditd,
        &[
            named_by.as_bytes(),
            &first.time_ms.to_le_bytes(),
            &first.serial.to_le_bytes(),
        ],
    );
    let parts: Vec<Part<'_>> = heads
        .iter()
        .filter(|head| head.kind != "EOE")
        .map(|head| Part {
            kind: head.kind,
            record: Record::parse(head.kind, head.body),
        })
        .collect();
    let mut event = Event {
        parts: &parts,
        fields: Fields::new(),
    };
    event.fields.set(FieldId::EventKind, "event");
    event.fields.set(FieldId::HostName, node);
    event
        .fields
        .set(FieldId::EventSequence, i64::try_from(first.serial).unwrap_or(i64::MAX));
    let call = event.call();
    event.set_actor();
    event.set_process();
    match &call {
        Some(call) => event.set_call(call),
        None => event.set_message(first.kind),
    }
    let native = native(&parts, call.as_deref());
    Ok(Normalized {
        source: Source::Auditd,
        id,
        time,
        fields: event.fields,
        native: native.into(),
    })
}

fn native(parts: &[Part<'_>], call: Option<&str>) -> Value {
    let mut entries: Vec<(CompactString, Value)> = Vec::new();
    let kinds: Vec<Value> = parts.iter().map(|part| Value::str(part.kind)).collect();
    entries.push(("type".into(), Value::List(kinds)));
    let named = parts.iter().any(|part| part.record.get("SYSCALL").is_some());
    if let Some(call) = call.filter(|_| !named) {
        entries.push(("SYSCALL".into(), Value::str(call)));
    }
    for part in parts {
        for (key, value) in part.record.iter() {
            if entries.len() >= MAX_AUDITD_FIELDS {
                return Value::Map(entries);
            }
            let value = if key == "proctitle" {
                value.replace('\0', " ")
            } else {
                value.to_owned()
            };
            entries.push((key.into(), Value::str(value)));
        }
    }
    Value::Map(entries)
}

/// An event in the making.
struct Event<'a> {
    parts: &'a [Part<'a>],
    fields: Fields,
}

/// The id that stands for "nobody logged in".
const UNSET_ID: &str = "4294967295";

impl<'a> Event<'a> {
    fn of_kind(&self, kind: &str) -> impl Iterator<Item = &'a Record<'a>> {
        let kind = kind.to_owned();
        let parts: &'a [Part<'a>] = self.parts;
        parts
            .iter()
            .filter(move |part| part.kind == kind)
            .map(|part| &part.record)
    }

    /// The first field of that name in any record.
    fn get(&self, name: &str) -> Option<&'a str> {
        let parts: &'a [Part<'a>] = self.parts;
        parts.iter().find_map(|part| part.record.get(name))
    }

    /// The name of the system call, or its number where it is none that is known.
    fn call(&self) -> Option<CompactString> {
        let record = self.of_kind("SYSCALL").next();
        let Some(record) = record else {
            // A rule may exclude the record of the call itself.
            return self.of_kind("EXECVE").next().map(|_| "execve".into());
        };
        let number = record.get("syscall")?;
        let named = record.get("SYSCALL").map(CompactString::from);
        let known = || auditd_syscall::name(record.get("arch").unwrap_or_default(), number).map(CompactString::from);
        let text = number.bytes().any(|b| b.is_ascii_alphabetic()).then(|| number.into());
        named
            .or(text)
            .or_else(known)
            .or_else(|| Some(format!("syscall_{number}").into()))
    }

    fn set_actor(&mut self) {
        let id = |name: &str| {
            self.get(name)
                .filter(|id| *id != UNSET_ID && *id != "-1" && *id != "unset")
        };
        let name = |name: &str| self.get(name).filter(|name| *name != "unset");
        let found = [
            (FieldId::UserId, id("uid")),
            (FieldId::UserName, name("UID")),
            (FieldId::UserEffectiveId, id("euid")),
            (FieldId::UserEffectiveName, name("EUID")),
            (FieldId::UserAuditId, id("auid").or(id("new-auid"))),
            (FieldId::UserAuditName, name("AUID")),
            (FieldId::SessionId, id("ses").or(id("new-ses"))),
        ];
        for (field, value) in found {
            self.fields.set_str(field, value);
        }
    }

    fn set_process(&mut self) {
        let number = |name: &str| self.get(name).and_then(|text| text.parse::<i64>().ok());
        let (pid, parent) = (number("pid"), number("ppid"));
        if let Some(pid) = pid {
            self.fields.set(FieldId::ProcessPid, pid);
        }
        if let Some(parent) = parent {
            self.fields.set(FieldId::ProcessParentPid, parent);
        }
        if let Some(exe) = self.get("exe") {
            self.fields.set(FieldId::ProcessExecutable, exe);
            self.fields.set(FieldId::ProcessName, command_line::base_name(exe));
        }
        if let Some(comm) = self.get("comm") {
            match self.fields.get(FieldId::ProcessName) {
                Some(_) => self.fields.set(FieldId::ProcessThreadName, comm),
                None => self.fields.set(FieldId::ProcessName, comm),
            }
        }
        self.fields.set_str(FieldId::ProcessWorkingDirectory, self.get("cwd"));
        self.fields.set_str(FieldId::EventReason, self.get("key"));
        let title = self
            .get("proctitle")
            .map(|title| title.replace('\0', " ").trim().to_owned());
        let arguments = self.arguments();
        if let Some(title) = &title {
            self.fields.set(FieldId::ProcessTitle, title.as_str());
        }
        if arguments.is_empty() {
            self.fields.set(FieldId::ProcessCommandLine, title.unwrap_or_default());
        } else {
            self.fields.set(FieldId::ProcessCommandLine, arguments.join(" "));
            self.fields
                .set(FieldId::ProcessArgs, arguments.into_iter().collect::<Value>());
        }
    }

    /// The arguments of EXECVE records: long ones come in pieces (`a1[0]`, `a1[1]`), many in several records.
    fn arguments(&self) -> Vec<String> {
        let mut arguments: Vec<String> = Vec::new();
        let mut of = None;
        for record in self.of_kind("EXECVE") {
            for (key, value) in record.iter().filter(|(key, _)| is_argument(key)) {
                let number = key.split('[').next().map(str::to_owned);
                if number == of && key.contains('[') {
                    if let Some(last) = arguments.last_mut() {
                        last.push_str(value);
                    }
                } else if arguments.len() < MAX_PROCESS_ARGS {
                    arguments.push(value.to_owned());
                }
                of = number;
            }
        }
        arguments
    }

    /// An event of a system call.
    fn set_call(&mut self, call: &str) {
        let Act { category, kinds } = auditd_syscall::act(call);
        self.fields.set(FieldId::EventAction, call);
        let denied = self.of_kind("AVC").chain(self.of_kind("SECCOMP")).next().is_some();
        if denied {
            self.fields.push(FieldId::EventCategory, "intrusion_detection");
            self.set_denial();
        }
        if self.parts.iter().any(|part| part.kind.starts_with("ANOM_")) {
            self.fields.set(FieldId::EventKind, "alert");
            self.fields.push(FieldId::EventCategory, "intrusion_detection");
        }
        if self
            .of_kind("NETFILTER_CFG")
            .chain(self.of_kind("CONFIG_CHANGE"))
            .next()
            .is_some()
        {
            self.fields.push(FieldId::EventCategory, "configuration");
            self.fields.push(FieldId::EventType, "change");
        }
        let outcome = match self.get("success") {
            Some("yes" | "1") => "success",
            Some("no" | "0") => "failure",
            _ => "unknown",
        };
        self.fields.set(FieldId::EventOutcome, outcome);
        self.fields.push(FieldId::EventCategory, category);
        let kinds = match (category, call) {
            ("file", "open" | "openat" | "openat2" | "open_by_handle_at") => self.open_kinds(call),
            _ => kinds,
        };
        for kind in kinds {
            self.fields.push(FieldId::EventType, kind);
        }
        if category == "file" {
            self.set_file(call);
        }
        if self.of_kind("SOCKADDR").next().is_some() {
            self.set_socket(call);
        }
        if matches!(call, "exit" | "exit_group")
            && let Some(status) = self.get("a0").and_then(|text| i64::from_str_radix(text, 16).ok())
        {
            self.fields.set(FieldId::ProcessExitCode, status);
        }
    }

    /// What an open is for: the item that it created, else its flags (open(2), in hexadecimal digits).
    fn open_kinds(&self, call: &str) -> &'static [&'static str] {
        let created = self.of_kind("PATH").any(|path| path.get("nametype") == Some("CREATE"));
        let argument = if call == "open" { "a1" } else { "a2" };
        let flags = self
            .of_kind("SYSCALL")
            .find_map(|record| u64::from_str_radix(record.get(argument)?, 16).ok());
        match flags {
            _ if created => &["creation"],
            // The third argument of openat2 is a pointer.
            Some(flags) if call != "openat2" && flags & 3 != 0 => &["change"],
            _ => &["access"],
        }
    }

    /// The file that a call is about. Paths that are not absolute are within the working directory.
    fn set_file(&mut self, call: &str) {
        let mut chosen: Option<&Record<'_>> = None;
        let mut created = None;
        for path in self.of_kind("PATH") {
            match path.get("nametype") {
                Some("PARENT") => continue,
                Some("CREATE") => created = Some(path),
                _ => {}
            }
            let deleted = path.get("nametype") == Some("DELETE");
            if chosen.is_none() || deleted {
                chosen = Some(path);
            }
        }
        let renamed = call.starts_with("rename") || call.contains("link") && !call.starts_with("un");
        let (file, target) = match created {
            Some(created) if renamed => (
                chosen.filter(|path| !std::ptr::eq(*path, created)).or(Some(created)),
                Some(created),
            ),
            Some(created) => (Some(created), None),
            None => (chosen, None),
        };
        let absolute = |name: &str| match self.get("cwd") {
            Some(directory) if !name.starts_with('/') => format!("{}/{name}", directory.trim_end_matches('/')),
            _ => name.to_owned(),
        };
        let target = target
            .and_then(|path| path.get("name"))
            .filter(|_| renamed)
            .map(absolute);
        let Some(file) = file else { return };
        if let Some(name) = file.get("name") {
            let path = absolute(name);
            self.fields.set(FieldId::FileName, command_line::base_name(&path));
            self.fields.set(FieldId::FilePath, path);
        }
        self.fields.set(FieldId::FileTargetPath, target.unwrap_or_default());
        self.fields
            .set_str(FieldId::FileOwner, file.get("OUID").or(file.get("ouid")));
        if let Some(mode) = file.get("mode") {
            self.fields
                .set(FieldId::FileMode, &mode[mode.len().saturating_sub(4)..]);
        }
    }

    fn set_socket(&mut self, call: &str) {
        let Some(socket) = self
            .of_kind("SOCKADDR")
            .find_map(|record| SocketAddress::parse(record.get("saddr")?))
        else {
            return;
        };
        let inbound = matches!(call, "accept" | "accept4" | "recvfrom" | "recvmsg" | "recvmmsg");
        match socket {
            SocketAddress::Internet(ip, port) => {
                let ip = ip.to_string();
                let (ip_field, port_field) = match inbound {
                    true => (FieldId::SourceIp, FieldId::SourcePort),
                    false => (FieldId::DestinationIp, FieldId::DestinationPort),
                };
                // What is bound is this machine's own end.
                if call != "bind" {
                    let direction = if inbound { "ingress" } else { "egress" };
                    self.fields.set(FieldId::NetworkDirection, direction);
                    self.fields
                        .set(FieldId::NetworkInitiated, if inbound { "false" } else { "true" });
                }
                address::push_related(&mut self.fields, &ip);
                self.fields.set(ip_field, ip);
                self.fields.set(port_field, i64::from(port));
            }
            SocketAddress::Unix(path) => {
                self.fields.set(FieldId::NetworkTransport, "unix");
                self.fields.set(FieldId::DestinationAddress, path);
            }
            SocketAddress::Other(_) => {}
        }
    }

    /// SELinux, AppArmor and seccomp.
    fn set_denial(&mut self) {
        let verdict = self.get("seresult").or(self.get("apparmor")).unwrap_or_default();
        let kind = match verdict.to_ascii_lowercase().as_str() {
            "granted" | "allowed" | "status" | "audit" => "allowed",
            _ => "denied",
        };
        self.fields.push(FieldId::EventType, kind);
        let path = self.get("path").or(self.get("name"));
        if self.fields.get(FieldId::FilePath).is_none() {
            self.fields
                .set_str(FieldId::FilePath, path.filter(|path| path.starts_with('/')));
        }
    }

    /// An event of no system call: from user space, or the kernel's own.
    fn set_message(&mut self, kind: &str) {
        let message = message_act(kind);
        self.fields.set(FieldId::EventAction, kind.to_ascii_lowercase());
        for category in message.categories {
            self.fields.push(FieldId::EventCategory, category);
        }
        for kind in message.kinds {
            self.fields.push(FieldId::EventType, kind);
        }
        if message.alert {
            self.fields.set(FieldId::EventKind, "alert");
        }
        if matches!(
            kind,
            "AVC" | "USER_AVC" | "SECCOMP" | "SELINUX_ERR" | "USER_SELINUX_ERR"
        ) {
            self.set_denial();
        }
        let outcome = match self.get("res").or(self.get("success")).or(self.get("result")) {
            Some("success" | "1" | "yes") => "success",
            Some("failed" | "0" | "no" | "fail") => "failure",
            _ => "unknown",
        };
        self.fields.set(FieldId::EventOutcome, outcome);
        let account = self.get("acct").or(self.get("id").filter(|id| *id != UNSET_ID));
        match message.account {
            Account::Actor => self.fields.set_str(FieldId::UserName, account.or(self.get("UID"))),
            Account::Target => self.fields.set_str(FieldId::UserTargetName, account),
            Account::None => {}
        }
        if let Some(command) = self.get("cmd") {
            self.fields.set(FieldId::ProcessCommandLine, command);
        }
        self.fields.set_str(FieldId::ServiceName, self.get("unit"));
        let from = self.get("addr").or(self.get("hostname"));
        if let Some(from) = from {
            address::set_source(&mut self.fields, from);
        }
    }
}

/// Whom the account of a message names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Account {
    /// Who logs in, or is let in.
    Actor,
    /// Who is made, changed or removed.
    Target,
    None,
}

struct MessageAct {
    categories: &'static [&'static str],
    kinds: &'static [&'static str],
    account: Account,
    alert: bool,
}

/// What a message is, in the words of ECS.
fn message_act(kind: &str) -> MessageAct {
    let act = |categories, kinds, account| MessageAct {
        categories,
        kinds,
        account,
        alert: false,
    };
    match kind {
        "USER_LOGIN" => act(&["authentication"], &["start"], Account::Actor),
        "LOGIN" => act(&["authentication"], &["start"], Account::None),
        "USER_LOGOUT" => act(&["authentication"], &["end"], Account::Actor),
        "USER_AUTH" | "USER_ACCT" | "USER_ERR" | "CRED_ACQ" | "CRED_DISP" | "CRED_REFR" => {
            act(&["authentication"], &["info"], Account::Actor)
        }
        "USER_START" => act(&["session"], &["start"], Account::Actor),
        "USER_END" => act(&["session"], &["end"], Account::Actor),
        "USER_ROLE_CHANGE" => act(&["iam"], &["change"], Account::Actor),
        "USER_CMD" => act(&["process"], &["start"], Account::None),
        "USER_TTY" | "TTY" => act(&["process"], &["info"], Account::None),
        "ADD_USER" => act(&["iam"], &["user", "creation"], Account::Target),
        "DEL_USER" => act(&["iam"], &["user", "deletion"], Account::Target),
        "USER_MGMT" | "USER_CHAUTHTOK" | "ACCT_LOCK" | "ACCT_UNLOCK" | "CHUSER_ID" => {
            act(&["iam"], &["user", "change"], Account::Target)
        }
        "ADD_GROUP" => act(&["iam"], &["group", "creation"], Account::Target),
        "DEL_GROUP" => act(&["iam"], &["group", "deletion"], Account::Target),
        "GRP_MGMT" | "GRP_CHAUTHTOK" | "CHGRP_ID" => act(&["iam"], &["group", "change"], Account::Target),
        "SERVICE_START" | "SYSTEM_BOOT" | "DAEMON_START" => act(&["host"], &["start"], Account::None),
        "SERVICE_STOP" | "SYSTEM_SHUTDOWN" | "DAEMON_END" | "DAEMON_ABORT" => act(&["host"], &["end"], Account::None),
        "CONFIG_CHANGE" | "DAEMON_CONFIG" | "FEATURE_CHANGE" | "MAC_STATUS" | "MAC_POLICY_LOAD"
        | "MAC_CONFIG_CHANGE" | "NETFILTER_CFG" | "USYS_CONFIG" | "SYSTEM_RUNLEVEL" => {
            act(&["configuration"], &["change"], Account::None)
        }
        "TIME_INJOFFSET" | "TIME_ADJNTPVAL" => act(&["host"], &["change"], Account::None),
        "KERN_MODULE" => act(&["driver"], &["info"], Account::None),
        "SOFTWARE_UPDATE" => act(&["package"], &["info"], Account::None),
        "AVC" | "USER_AVC" | "SECCOMP" | "SELINUX_ERR" | "USER_SELINUX_ERR" => {
            act(&["intrusion_detection"], &[], Account::None)
        }
        "EXECVE" => act(&["process"], &["start"], Account::None),
        "ANOM_ABEND" => MessageAct {
            alert: true,
            ..act(&["process", "intrusion_detection"], &["end", "info"], Account::None)
        },
        _ if kind.starts_with("ANOM_") => MessageAct {
            alert: true,
            ..act(&["intrusion_detection"], &["info"], Account::Actor)
        },
        _ => act(&["host"], &["info"], Account::None),
    }
}
