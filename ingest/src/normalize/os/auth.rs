//! `/var/log/auth.log`, `/var/log/secure` and whatever else comes by syslog: who logged in, became someone else, changed
//! an account, or ran something by schedule.
//!
//! The identity is the line's content and its time: the same line twice in the same second (nanosecond, where the stamp
//! has them) counts once. `process.name` and `process.pid` are those of the program that logged; the command that it
//! reports on (sudo, cron) is in `process.command_line` and `process.executable`.

use casebook_event::{EventId, FieldId, Fields, Source, Value};

use super::auth_draft::Draft;
use super::{login_programs, pam, sshd, sudo};
use crate::format::syslog::SyslogLine;
use crate::normalize::command_line;
use crate::normalize::context::Normalized;

/// The facilities of RFC 5424, by number.
const FACILITIES: &[&str] = &[
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];
const SEVERITIES: &[&str] = &[
    "emergency",
    "alert",
    "critical",
    "error",
    "warning",
    "notice",
    "info",
    "debug",
];

/// A parsed line. Every one is an event: what no program's reader knows keeps its head and its text.
pub(crate) fn normalize(line: &SyslogLine<'_>) -> Normalized {
    normalize_as(line, true)
}

/// The same of a line that was cut: its text is kept and not read, since half a message says something else than the whole.
pub(crate) fn normalize_half(line: &SyslogLine<'_>) -> Normalized {
    normalize_as(line, false)
}

fn normalize_as(line: &SyslogLine<'_>, whole: bool) -> Normalized {
    let mut draft = Draft {
        fields: Fields::new(),
        native: Vec::with_capacity(12),
    };
    draft.fields.set(FieldId::EventKind, "event");
    draft.note("timestamp", line.time_text);
    if let (Some(facility), Some(severity)) = (line.facility(), line.severity()) {
        draft.note(
            "facility",
            FACILITIES.get(usize::from(facility)).copied().unwrap_or_default(),
        );
        let name = SEVERITIES.get(usize::from(severity)).copied().unwrap_or_default();
        draft.note("severity", name);
        draft.fields.set(FieldId::LogLevel, name);
        draft.fields.set(FieldId::EventSeverity, i64::from(severity));
    }
    if let Some(word) = line.severity_word {
        draft.note("severity", word);
        draft.fields.set(FieldId::LogLevel, word.to_ascii_lowercase());
    }
    draft.note("hostname", line.host.unwrap_or_default());
    draft.fields.set_str(FieldId::HostName, line.host);
    let program = line.program.map(command_line::base_name).unwrap_or_default();
    draft.note("program", program);
    draft.fields.set(FieldId::ProcessName, program);
    draft.fields.set(FieldId::EventProvider, program);
    if let Some(path) = line.program.filter(|path| path.starts_with('/')) {
        draft.fields.set(FieldId::ProcessExecutable, path);
    }
    if let Some(pid) = line.pid {
        draft.native.push(("pid".into(), Value::Int(pid)));
        draft.fields.set(FieldId::ProcessPid, pid);
    }
    draft.note("msgid", line.message_id.unwrap_or_default());
    draft.note("structured_data", line.structured_data.unwrap_or_default());
    draft.note("message", line.message);
    draft.fields.set(FieldId::Message, line.message.trim());
    let mut text = line.message.trim();
    if let Some((times, inner)) = repeated(text) {
        draft.native.push(("repeated".into(), Value::Int(times)));
        text = inner;
    }
    if whole {
        read_message(program, text, &mut draft);
    }
    let id = EventId::from_parts(
        Source::Auth,
        &[
            &line.time.as_nanos().to_le_bytes(),
            line.host.unwrap_or_default().as_bytes(),
            line.program.unwrap_or_default().as_bytes(),
            &line.pid.unwrap_or(-1).to_le_bytes(),
            line.message.as_bytes(),
        ],
    );
    Normalized {
        source: Source::Auth,
        id,
        time: line.time,
        fields: draft.fields,
        native: Value::Map(draft.native).into(),
    }
}

/// `message repeated 5 times: [ text]`, with which rsyslog stands for lines that it leaves out.
fn repeated(message: &str) -> Option<(i64, &str)> {
    let (times, rest) = message.strip_prefix("message repeated ")?.split_once(" times: [")?;
    Some((times.parse().ok()?, rest.strip_suffix(']')?.trim()))
}

fn read_message(program: &str, message: &str, draft: &mut Draft) {
    if message.starts_with("pam_") || message.starts_with("PAM ") {
        return pam::read(program, message, draft);
    }
    match program {
        // Since OpenSSH 9.8 the connection's own process has a name of its own.
        "sshd" | "sshd-session" | "sshd-auth" => sshd::read(message, draft),
        "sudo" => sudo::read(message, draft),
        "su" | "su-l" | "runuser" => login_programs::read_su(message, draft),
        "systemd-logind" | "elogind" => login_programs::read_logind(message, draft),
        "CRON" | "cron" | "crond" | "crontab" => login_programs::read_cron(message, draft),
        "login" => login_programs::read_login(message, draft),
        "pkexec" => login_programs::read_pkexec(message, draft),
        "useradd" | "userdel" | "usermod" | "groupadd" | "groupdel" | "groupmod" | "gpasswd" | "passwd" | "chage"
        | "chpasswd" | "adduser" | "deluser" | "chfn" | "chsh" => {
            login_programs::read_accounts(program, message, draft)
        }
        _ => {}
    }
}

/// Whether messages of that program are read here, rather than only kept.
pub(crate) fn is_reader(program: &str) -> bool {
    const PROGRAMS: &[&str] = &[
        "sshd",
        "sshd-session",
        "sshd-auth",
        "sudo",
        "su",
        "su-l",
        "runuser",
        "systemd-logind",
        "elogind",
        "CRON",
        "cron",
        "crond",
        "crontab",
        "login",
        "pkexec",
        "useradd",
        "userdel",
        "usermod",
        "groupadd",
        "groupdel",
        "groupmod",
        "gpasswd",
        "passwd",
        "chage",
        "chpasswd",
        "adduser",
        "deluser",
        "chfn",
        "chsh",
    ];
    PROGRAMS.contains(&program)
}

#[cfg(test)]
pub(crate) mod tests {
    use casebook_event::Timestamp;

    use super::*;

    pub(crate) fn fields(program_and_message: &str) -> (Fields, Value) {
        let line = format!("2024-01-01T00:00:00Z h {program_and_message}");
        let normalized = normalize(&SyslogLine::parse(&line, Timestamp::MIN).unwrap());
        (normalized.fields, normalized.native.root("").to_value())
    }

    /// Checks `action outcome user effective target ip port` with `-` for what is unset.
    pub(crate) fn check(program_and_message: &str, want: &str) {
        let (fields, _) = fields(program_and_message);
        let ids = [
            FieldId::EventAction,
            FieldId::EventOutcome,
            FieldId::UserName,
            FieldId::UserEffectiveName,
            FieldId::UserTargetName,
            FieldId::SourceIp,
            FieldId::SourcePort,
        ];
        let got: Vec<String> = ids
            .iter()
            .map(|id| fields.get(*id).map_or("-".into(), |value| value.to_text().into_owned()))
            .collect();
        assert_eq!(got.join(" "), want, "{program_and_message}");
    }

    #[test]
    fn a_repeated_message_is_read() {
        let line = "sshd[1]: message repeated 5 times: [ Failed password for root from 10.0.0.1 port 4 ssh2]";
        check(line, "ssh_login failure root - - 10.0.0.1 4");
        assert_eq!(fields(line).1.get("repeated"), Some(&Value::Int(5)));
    }

    #[test]
    fn every_line_keeps_its_head() {
        let line = SyslogLine::parse(
            "<38>Jan  2 03:04:05 h1 /usr/sbin/foo[7]: bar",
            Timestamp::from_seconds(1_700_000_000),
        )
        .unwrap();
        let normalized = normalize(&line);
        let text = |path: &str| {
            let mut found = String::new();
            normalized.native.root("").visit_path(path, &mut |value| {
                found = value.to_text().into_owned();
                true
            });
            found
        };
        assert_eq!((text("facility"), text("severity")), ("auth".into(), "info".into()));
        assert_eq!(
            (text("hostname"), text("program"), text("pid")),
            ("h1".into(), "foo".into(), "7".into())
        );
        assert_eq!(normalized.fields.str(FieldId::ProcessExecutable), Some("/usr/sbin/foo"));
        assert_eq!(normalized.fields.str(FieldId::Message), Some("bar"));
    }
}
