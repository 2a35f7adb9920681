//! File-integrity monitors: Auditbeat and Elastic Agent (`event.module: file_integrity`), Wazuh's syscheck, and osquery's
//! `file_events`.

use casebook_event::{EventId, FieldId, Fields, Source, Timestamp, Value};

use crate::format::epoch;
use crate::format::reject::{self, Reject};
use crate::normalize::command_line;
use crate::normalize::context::{Context, Normalized, content_id};

/// Which monitor wrote a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Monitor {
    Elastic,
    Wazuh,
    Osquery,
}

fn monitor(value: &Value) -> Option<Monitor> {
    let module = value
        .str_at(&["event", "module"])
        .or(value.str_at(&["event.module"]))
        .or(value.str_at(&["service", "type"]));
    if module == Some("file_integrity") && (value.get("file").is_some() || value.get("file.path").is_some()) {
        return Some(Monitor::Elastic);
    }
    if value.str_at(&["syscheck", "path"]).is_some() {
        return Some(Monitor::Wazuh);
    }
    let osquery = value
        .str_at(&["name"])
        .is_some_and(|name| name.ends_with("file_events"))
        && value.str_at(&["columns", "target_path"]).is_some();
    osquery.then_some(Monitor::Osquery)
}

/// The mark by which an object is known as a file-integrity monitor's.
pub(crate) fn recognize(value: &Value) -> Option<&'static str> {
    Some(match monitor(value)? {
        Monitor::Elastic => "event.module file_integrity",
        Monitor::Wazuh => "syscheck with a path",
        Monitor::Osquery => "osquery file_events",
    })
}

/// One change of a file. The identity is the monitor's own where it gives one (Wazuh), else the content and the time:
/// osquery counts in whole seconds, in which a file may change twice.
pub(crate) fn normalize(native: Value, context: &Context<'_>) -> Result<Normalized, Reject> {
    let Some(monitor) = monitor(&native) else {
        let detail = "no record of a file-integrity monitor: no file, syscheck or file_events";
        return Err(Reject::new(reject::WRONG_SHAPE, detail));
    };
    let mut fields = Fields::new();
    fields.set(FieldId::EventKind, "event");
    fields.push(FieldId::EventCategory, "file");
    let time = match monitor {
        Monitor::Elastic => elastic(&native, &mut fields),
        Monitor::Wazuh => wazuh(&native, &mut fields),
        Monitor::Osquery => osquery(&native, &mut fields),
    };
    let time = time
        .or(context.time_of_cut())
        .ok_or_else(|| Reject::new(reject::NO_TIMESTAMP, "the change has no time"))?;
    if let Some(path) = fields.str(FieldId::FilePath).map(str::to_owned) {
        fields.set(FieldId::FileName, command_line::base_name(&path));
    }
    let own = native.str_at(&["id"]).filter(|_| monitor == Monitor::Wazuh);
    let id = match own {
        // Numbered by each manager on its own.
        Some(own) => EventId::from_parts(
            Source::FileIntegrity,
            &[
                native.str_at(&["manager", "name"]).unwrap_or_default().as_bytes(),
                own.as_bytes(),
                // Two managers may bear one name.
                &time.as_nanos().to_le_bytes(),
                fields.str(FieldId::FilePath).unwrap_or_default().as_bytes(),
                native.str_at(&["agent", "id"]).unwrap_or_default().as_bytes(),
            ],
        ),
        None => content_id(Source::FileIntegrity, context.raw.as_bytes(), Some(time), context),
    };
    Ok(Normalized {
        source: Source::FileIntegrity,
        id,
        time,
        fields,
        native: native.into(),
    })
}

/// Sets the action in the monitor's words, and the types of ECS that it means: of Auditbeat's actions, as it says itself.
fn set_action(action: &str, fields: &mut Fields) {
    fields.set(FieldId::EventAction, action);
    let kind = match action.to_ascii_lowercase().as_str() {
        "created" | "added" | "moved_to" => "creation",
        "deleted" | "moved_from" => "deletion",
        "initial_scan" | "none" => "info",
        "opened" | "accessed" => "access",
        _ => "change",
    };
    fields.push(FieldId::EventType, kind);
}

/// Auditbeat reference, "File integrity fields".
fn elastic(native: &Value, fields: &mut Fields) -> Option<Timestamp> {
    let text = |path: &[&str]| {
        let dotted = path.join(".");
        native
            .str_at(path)
            .or_else(|| native.str_at(&[&dotted]))
            .map(str::to_owned)
    };
    let mut set = |id: FieldId, path: &[&str]| {
        if let Some(text) = text(path) {
            fields.set(id, text);
        }
    };
    set(FieldId::FilePath, &["file", "path"]);
    set(FieldId::FileTargetPath, &["file", "target_path"]);
    set(FieldId::FileOwner, &["file", "owner"]);
    set(FieldId::FileMode, &["file", "mode"]);
    set(FieldId::FileHashSha256, &["file", "hash", "sha256"]);
    set(FieldId::HostName, &["host", "hostname"]);
    set(FieldId::HostName, &["host", "name"]);
    set(FieldId::HostId, &["host", "id"]);
    set(FieldId::ContainerId, &["container", "id"]);
    set(FieldId::ProcessExecutable, &["process", "executable"]);
    set(FieldId::ProcessName, &["process", "name"]);
    set(FieldId::UserName, &["user", "name"]);
    let actions = native.at(&["event", "action"]).or(native.get("event.action"));
    match actions {
        Some(Value::Str(action)) => set_action(action, fields),
        Some(Value::List(actions)) => {
            for action in actions.iter().rev().filter_map(Value::as_str) {
                set_action(action, fields);
            }
        }
        _ => {}
    }
    native.get("@timestamp").and_then(epoch::parse)
}

/// Wazuh documentation, "File integrity monitoring": alerts of syscheck.
fn wazuh(native: &Value, fields: &mut Fields) -> Option<Timestamp> {
    let of = |key: &str| native.str_at(&["syscheck", key]);
    fields.set_str(FieldId::FilePath, of("path"));
    fields.set_str(FieldId::FileHashSha256, of("sha256_after"));
    fields.set_str(FieldId::FileOwner, of("uname_after").or(of("uid_after")));
    if let Some(permissions) = of("perm_after") {
        fields.set(
            FieldId::FileMode,
            octal(permissions).unwrap_or_else(|| permissions.to_owned()),
        );
    }
    fields.set(FieldId::EventKind, "alert");
    fields.set_str(FieldId::HostName, native.str_at(&["agent", "name"]));
    fields.set_str(FieldId::RuleName, native.str_at(&["rule", "description"]));
    let audit = |path: &[&str]| {
        let mut whole = vec!["syscheck", "audit"];
        whole.extend(path);
        native.str_at(&whole)
    };
    fields.set_str(
        FieldId::UserName,
        audit(&["user", "name"]).or(audit(&["effective_user", "name"])),
    );
    if let Some(program) = audit(&["process", "name"]) {
        command_line::set_program(fields, program);
    }
    for (id, path) in [
        (FieldId::ProcessPid, ["process", "id"]),
        (FieldId::ProcessParentPid, ["process", "ppid"]),
    ] {
        if let Some(pid) = audit(&path).and_then(|text| text.parse::<i64>().ok()) {
            fields.set(id, pid);
        }
    }
    fields.set_str(
        FieldId::UserId,
        audit(&["user", "id"]).or(audit(&["effective_user", "id"])),
    );
    fields.set_str(FieldId::UserAuditName, audit(&["login_user", "name"]));
    set_action(of("event").unwrap_or("modified"), fields);
    native.get("timestamp").and_then(epoch::parse)
}

/// `rw-r--r--` as `0644`. Of special bits (`s`, `t`) the text says more than digits would.
fn octal(permissions: &str) -> Option<String> {
    let bytes = permissions.as_bytes();
    if bytes.len() != 9 {
        return None;
    }
    let digits = bytes.chunks_exact(3).map(|chunk| {
        chunk
            .iter()
            .zip([(b'r', 4), (b'w', 2), (b'x', 1)])
            .try_fold(0, |sum, (have, (letter, bit))| match *have {
                b'-' => Some(sum),
                have if have == letter => Some(sum + bit),
                _ => None,
            })
    });
    let digits: Option<Vec<u8>> = digits.collect();
    digits.map(|digits| {
        std::iter::once(0)
            .chain(digits)
            .map(|digit| (b'0' + digit) as char)
            .collect()
    })
}

/// osquery schema, `file_events`; results as the TLS and filesystem loggers write them.
fn osquery(native: &Value, fields: &mut Fields) -> Option<Timestamp> {
    let of = |key: &str| native.str_at(&["columns", key]);
    fields.set_str(FieldId::FilePath, of("target_path"));
    fields.set_str(FieldId::FileHashSha256, of("sha256"));
    fields.set_str(FieldId::FileOwner, of("uid"));
    fields.set_str(FieldId::FileMode, of("mode"));
    fields.set_str(FieldId::HostName, native.str_at(&["hostIdentifier"]));
    set_action(of("action").unwrap_or("UPDATED"), fields);
    native
        .at(&["columns", "time"])
        .and_then(epoch::parse)
        .or_else(|| native.get("unixTime").and_then(epoch::parse))
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
    fn each_monitor() {
        check(
            r#"{"@timestamp":"2024-01-01T00:00:00Z","event":{"module":"file_integrity","action":["created","attributes_modified"]},"host":{"name":"h"},
                "file":{"path":"/etc/x","owner":"root","mode":"0644","hash":{"sha256":"aa"}}}"#,
            &[
                (FieldId::FilePath, "/etc/x"),
                (FieldId::FileName, "x"),
                (FieldId::EventAction, "created"),
                (FieldId::EventType, r#"["change","creation"]"#),
                (FieldId::FileHashSha256, "aa"),
            ],
        );
        check(
            r#"{"timestamp":"2024-01-01T00:00:00.000+0000","agent":{"name":"n1"},"rule":{"description":"Integrity checksum changed."},
                "syscheck":{"path":"/usr/bin/ls","event":"modified","sha256_after":"bb","uname_after":"root","audit":{"user":{"name":"eve"},"process":{"name":"/bin/sh"}}}}"#,
            &[
                (FieldId::FilePath, "/usr/bin/ls"),
                (FieldId::EventType, r#"["change"]"#),
                (FieldId::HostName, "n1"),
                (FieldId::UserName, "eve"),
            ],
        );
        check(
            r#"{"name":"pack_x_file_events","hostIdentifier":"h","unixTime":1704067200,"columns":{"target_path":"/root/.ssh/authorized_keys","action":"DELETED","time":"1704067201"}}"#,
            &[
                (FieldId::EventType, r#"["deletion"]"#),
                (FieldId::FileName, "authorized_keys"),
            ],
        );
    }

    #[test]
    fn modes_are_octal() {
        let check = |text: &str, want: Option<&str>| assert_eq!(octal(text).as_deref(), want, "{text}");
        check("rw-r--r--", Some("0644"));
        check("rwxr-x---", Some("0750"));
        check("rwsr-xr-x", None);
        check("100644", None);
        check("r--é---", None);
    }

    #[test]
    fn actions_of_auditbeat() {
        let check = |action: &str, want: &str| {
            let json = format!(
                r#"{{"@timestamp":"2024-01-01T00:00:00Z","event":{{"module":"file_integrity","action":"{action}"}},"file":{{"path":"/x"}}}}"#
            );
            self::check(&json, &[(FieldId::EventType, want)]);
        };
        check("created", r#"["creation"]"#);
        check("moved", r#"["change"]"#);
        check("initial_scan", r#"["info"]"#);
        check("config_change", r#"["change"]"#);
    }

    #[test]
    fn changes_in_one_second_are_distinguished() {
        let id = |hash: &str| {
            let json = format!(
                r#"{{"name":"file_events","columns":{{"target_path":"/x","action":"UPDATED","time":"1704067201","sha256":"{hash}"}}}}"#
            );
            normalize(serde_json::from_str(&json).unwrap(), &Context::of(&json))
                .unwrap()
                .id
        };
        assert_ne!(id("a"), id("b"));
        assert_eq!(id("a"), id("a"));
    }

    #[test]
    fn without_a_time() {
        let json = r#"{"syscheck":{"path":"/x"}}"#;
        let reject = normalize(serde_json::from_str(json).unwrap(), &Context::of(json)).unwrap_err();
        assert_eq!(reject.reason, reject::NO_TIMESTAMP);
    }
}
