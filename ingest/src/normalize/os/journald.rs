//! systemd's journal as JSON (`journalctl -o json`, systemd-journal-upload; systemd documentation, "Journal JSON Format").
//!
//! The journal holds what other sources write too: kubelet's and the runtime's lines, sshd's and sudo's. They become events of
//! those sources, with the journal's own fields beside them, so that a login is a login however it was delivered. The identity
//! is `__CURSOR`.

use casebook_event::{EventId, FieldId, Fields, Native, Source, Timestamp, Value};
use compact_str::CompactString;

use super::auth;
use super::journal_writer::Writer;
use crate::format::reject::{self, Reject};
use crate::format::syslog::SyslogLine;
use crate::normalize::command_line;
use crate::normalize::context::{Context, Normalized};
use crate::normalize::kubernetes::kubelet;

/// The mark by which an object is known as a journal's.
pub(crate) fn recognize(value: &Value) -> Option<&'static str> {
    let has = |key: &str| value.get(key).is_some();
    let own = [
        "__REALTIME_TIMESTAMP",
        "__CURSOR",
        "_SYSTEMD_UNIT",
        "_TRANSPORT",
        "_BOOT_ID",
    ];
    (has("MESSAGE") && own.iter().any(|key| has(key))).then_some("MESSAGE with fields of the journal")
}

/// A field's text. A value that is no UTF-8 is written as an array of its bytes, a field that was given twice as an array
/// of texts.
fn text(value: &Value) -> Option<CompactString> {
    match value {
        Value::Str(text) => Some(text.clone()),
        Value::Int(number) => Some(CompactString::new(number.to_string())),
        Value::List(items) => match items.first()? {
            Value::Str(text) => Some(text.clone()),
            Value::Int(_) => {
                let bytes: Vec<u8> = items
                    .iter()
                    .map(|item| item.as_i64().and_then(|byte| u8::try_from(byte).ok()))
                    .collect::<Option<_>>()?;
                Some(CompactString::from_utf8_lossy(&bytes))
            }
            _ => None,
        },
        _ => None,
    }
}

/// One entry.
pub(crate) fn normalize(native: Value, context: &Context<'_>) -> Result<Normalized, Reject> {
    let of = |key: &str| native.get(key).and_then(text).filter(|text| !text.is_empty());
    let Some(message) = of("MESSAGE").or(context.truncated.then(CompactString::default)) else {
        return Err(Reject::new(
            reject::WRONG_SHAPE,
            "no journal entry: MESSAGE is missing or no text",
        ));
    };
    let micros = |key: &str| {
        let micros: i64 = of(key)?.parse().ok()?;
        micros.checked_mul(1_000).map(Timestamp::from_nanos)
    };
    // When the program wrote it, where it says so; else when the journal got it.
    let time = micros("_SOURCE_REALTIME_TIMESTAMP").or_else(|| micros("__REALTIME_TIMESTAMP"));
    let host = of("_HOSTNAME");
    let program = of("SYSLOG_IDENTIFIER").or_else(|| of("_COMM"));
    let pid = of("_PID")
        .or_else(|| of("SYSLOG_PID"))
        .and_then(|pid| pid.parse::<i64>().ok());
    let name = program.as_deref().map(command_line::base_name).unwrap_or_default();
    let unit = of("_SYSTEMD_UNIT").unwrap_or_default();
    let unit_name = unit.strip_suffix(".service").unwrap_or(&unit);
    let (executable, uid) = (of("_EXE"), of("_UID"));
    let writer = Writer {
        executable: executable.as_deref(),
        uid: uid.as_deref(),
        unit: Some(unit.as_str()).filter(|unit| !unit.is_empty()),
    };
    let (name, imitates) = reader_of(name, unit_name, &writer);
    let program = if imitates { Some(name) } else { program.as_deref() };

    // Whose line it is, and the line's end, may have stood after the end of what there is.
    let half = context.half
        || message.is_empty()
        || matches!(&native, Value::Map(entries)
            if matches!(entries.last(), Some((key, Value::List(_))) if key == "MESSAGE"));
    let whole = !context.truncated || (program.is_some() && !half);
    let line = Line {
        time,
        host: host.as_deref(),
        program,
        pid,
        name,
        of_node: kubelet::is_node_program(name) || kubelet::is_node_program(unit_name),
    };
    let mut normalized = line.read(&message, whole, context)?;
    if normalized.source == Source::Auth && !auth::is_reader(name) {
        normalized.source = Source::Journald;
    }
    normalized.id = match of("__CURSOR") {
        Some(cursor) => EventId::from_parts(normalized.source, &[cursor.as_bytes()]),
        None => context.with_removed(normalized.source, normalized.id),
    };
    if imitates {
        let claimed = of("SYSLOG_IDENTIFIER").unwrap_or_default();
        normalized.fields.push(FieldId::Claimed, &format!("program:{claimed}"));
    }
    set_journal(&of, &mut normalized.fields);
    set_container(&of, writer, &mut normalized.fields);
    let mut entries = match normalized.native {
        Native::Tree(Value::Map(entries)) => entries,
        _ => Vec::new(),
    };
    if let Value::Map(own) = native {
        entries.extend(own);
    }
    normalized.native = Value::Map(entries).into();
    Ok(normalized)
}

/// The program as whose an entry's text is read, and whether the entry imitates another: one that names a program which did not
/// write it is a text, and not that program's.
fn reader_of<'a>(name: &'a str, unit_name: &str, writer: &Writer<'a>) -> (&'a str, bool) {
    let is_read = |name: &str| auth::is_reader(name) || kubelet::is_node_program(name);
    if !is_read(name) || kubelet::is_node_program(unit_name) || writer.may_be(name) {
        return (name, false);
    }
    let own = writer.executable.map(command_line::base_name).unwrap_or_default();
    (if is_read(own) { "" } else { own }, true)
}

/// What an entry says of its message, as a syslog line's head would.
struct Line<'a> {
    time: Option<Timestamp>,
    host: Option<&'a str>,
    program: Option<&'a str>,
    pid: Option<i64>,
    /// The program whose messages it is read as.
    name: &'a str,
    /// A program of a Kubernetes node.
    of_node: bool,
}

impl Line<'_> {
    /// Reads the message; of one that was cut (not `whole`), the text is kept and not read.
    fn read(&self, message: &str, whole: bool, context: &Context<'_>) -> Result<Normalized, Reject> {
        if whole && self.of_node {
            let head = kubelet::Head {
                host: self.host,
                program: Some(self.name),
                pid: self.pid,
                time: self.time,
            };
            return kubelet::normalize_message(message, &head, context);
        }
        let time = self.time.unwrap_or(context.timestamp);
        let program = self.program.filter(|program| !whole || !program.is_empty());
        let line = SyslogLine::of_parts(time, self.host, program, self.pid, message);
        Ok(match whole {
            true => auth::normalize(&line),
            false => auth::normalize_half(&line),
        })
    }
}

/// The journal's fields: what the system itself says of who wrote the entry (systemd.journal-fields(7), "Trusted").
fn set_journal(of: &dyn Fn(&str) -> Option<CompactString>, fields: &mut Fields) {
    for (id, key) in [
        (FieldId::HostName, "_HOSTNAME"),
        (FieldId::HostId, "_MACHINE_ID"),
        (FieldId::UserId, "_UID"),
        (FieldId::UserAuditId, "_AUDIT_LOGINUID"),
        (FieldId::ProcessExecutable, "_EXE"),
        (FieldId::ServiceName, "_SYSTEMD_UNIT"),
    ] {
        if let Some(text) = of(key).filter(|_| fields.get(id).is_none()) {
            fields.set(id, text);
        }
    }
    if fields.get(FieldId::ProcessCommandLine).is_none() {
        fields.set(FieldId::ProcessCommandLine, of("_CMDLINE").unwrap_or_default());
    }
    let levels = [
        "emergency",
        "alert",
        "critical",
        "error",
        "warning",
        "notice",
        "info",
        "debug",
    ];
    let level = of("PRIORITY").and_then(|priority| levels.get(priority.parse::<usize>().ok()?).copied());
    if fields.get(FieldId::LogLevel).is_none() {
        fields.set_str(FieldId::LogLevel, level);
    }
}

/// What a container runtime says of the container whose output it passes on. These are fields that any writer may add.
fn set_container(of: &dyn Fn(&str) -> Option<CompactString>, writer: Writer<'_>, fields: &mut Fields) {
    for (id, key) in [
        (FieldId::ContainerName, "CONTAINER_NAME"),
        (FieldId::ContainerId, "CONTAINER_ID_FULL"),
        (FieldId::ContainerImageName, "IMAGE_NAME"),
    ] {
        let Some(text) = of(key).filter(|_| fields.get(id).is_none()) else {
            continue;
        };
        match writer.may_be_runtime() {
            true => fields.set(id, text),
            false if id == FieldId::ContainerId => fields.push(FieldId::Claimed, &format!("container:{text}")),
            false => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, source: Source, want: &[(FieldId, &str)]) {
        let normalized = normalize(serde_json::from_str(json).unwrap(), &Context::of(json)).unwrap();
        assert_eq!(normalized.source, source, "{json}");
        for (id, want) in want {
            let got = normalized.fields.get(*id).map(|value| value.to_text().into_owned());
            assert_eq!(got.unwrap_or_default(), *want, "{id} of {json}");
        }
    }

    #[test]
    fn entries_become_events_of_their_own_source() {
        check(
            r#"{"__CURSOR":"s=1","__REALTIME_TIMESTAMP":"1704067200000001","_HOSTNAME":"h","SYSLOG_IDENTIFIER":"sshd","_PID":"7","PRIORITY":"6","_EXE":"/usr/sbin/sshd",
                "MESSAGE":"Accepted publickey for alice from 10.0.0.1 port 4 ssh2"}"#,
            Source::Auth,
            &[
                (FieldId::UserName, "alice"),
                (FieldId::SourceIp, "10.0.0.1"),
                (FieldId::EventAction, "ssh_login"),
                (FieldId::ProcessPid, "7"),
                (FieldId::LogLevel, "info"),
            ],
        );
        check(
            r#"{"_SYSTEMD_UNIT":"containerd.service","_HOSTNAME":"n1","SYSLOG_IDENTIFIER":"containerd","MESSAGE":"time=\"2024-01-01T01:00:00Z\" level=info msg=\"Stop container \\\"ee\\\" with signal terminated\""}"#,
            Source::Kubelet,
            &[
                (FieldId::ContainerId, "ee"),
                (FieldId::HostName, "n1"),
                (FieldId::EventAction, "Stop container"),
            ],
        );
        check(
            r#"{"_TRANSPORT":"stdout","__REALTIME_TIMESTAMP":"1704067200000001","_COMM":"x","_UID":"0","MESSAGE":[104,105,255]}"#,
            Source::Journald,
            &[
                (FieldId::Message, "hi\u{fffd}"),
                (FieldId::UserId, "0"),
                (FieldId::ProcessName, "x"),
            ],
        );
        let json = r#"{"_TRANSPORT":"x","MESSAGE":null}"#;
        let reject = normalize(serde_json::from_str(json).unwrap(), &Context::of(json)).unwrap_err();
        assert_eq!(reject.reason, reject::WRONG_SHAPE);
    }
}
