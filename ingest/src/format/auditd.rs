//! One record of the Linux audit daemon: which event it belongs to, and whether it is all of it.
//!
//! The form is that of `audit.log` (auditd.conf(5), `log_format` RAW or ENRICHED), with or without `node=`, and of what
//! the kernel writes to the log itself where no daemon runs (`audit: type=1400 audit(…): …`).

/// The head of a record: `node=N type=T msg=audit(SECONDS.MILLIS:SERIAL): `.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AuditdHead<'a> {
    /// The machine, where the daemon writes it.
    pub(crate) node: Option<&'a str>,
    /// The record's type: `SYSCALL`, `EXECVE`, `USER_LOGIN`, …
    pub(crate) kind: &'a str,
    /// When the event happened, in milliseconds since the epoch.
    pub(crate) time_ms: i64,
    /// Its number, which all of its records share.
    pub(crate) serial: u64,
    /// What follows the head.
    pub(crate) body: &'a str,
}

/// Most of a line that stands before `type=`, in bytes: a syslog head.
const MAX_PREFIX_BYTES: usize = 256;

/// Numbers that the kernel writes where it has no names (`linux/audit.h`, `libaudit.h`).
const NUMBERED: &[(&str, &str)] = &[
    ("1006", "LOGIN"),
    ("1300", "SYSCALL"),
    ("1302", "PATH"),
    ("1305", "CONFIG_CHANGE"),
    ("1306", "SOCKADDR"),
    ("1307", "CWD"),
    ("1309", "EXECVE"),
    ("1318", "OBJ_PID"),
    ("1320", "EOE"),
    ("1326", "SECCOMP"),
    ("1327", "PROCTITLE"),
    ("1330", "KERN_MODULE"),
    ("1400", "AVC"),
    ("1403", "MAC_POLICY_LOAD"),
    ("1404", "MAC_STATUS"),
    ("1700", "ANOM_PROMISCUOUS"),
    ("1701", "ANOM_ABEND"),
];

/// What the names of records begin with that come from user space or from the daemon, and are events by themselves.
/// The audit library ends an event at them too (libauparse, records below 1300 and from 2100 on).
const WHOLE: &[&str] = &[
    "USER_",
    "USYS_CONFIG",
    "CRED_",
    "DAEMON_",
    "SERVICE_",
    "SYSTEM_",
    "ADD_",
    "DEL_",
    "GRP_",
    "CHGRP_ID",
    "CHUSER_ID",
    "ACCT_",
    "ROLE_",
    "LABEL_",
    "TEST",
    "TRUSTED_APP",
    "CRYPTO_",
    "VIRT_",
    "ANOM_LOGIN_",
    "ANOM_RBAC_",
    "ANOM_CRYPTO_",
    "ANOM_ACCESS_",
    "RESP_",
    "SOFTWARE_UPDATE",
    "MAC_CHECK",
];

impl<'a> AuditdHead<'a> {
    /// `None` where `line` is no record of the audit daemon.
    pub(crate) fn parse(line: &'a str) -> Option<Self> {
        let end = line.floor_char_boundary(MAX_PREFIX_BYTES);
        let at = line[..end].find("type=")?;
        let (before, rest) = line.split_at(at);
        let node = match before.split_once("node=") {
            Some((_, rest)) => rest.split_ascii_whitespace().next(),
            None if before.is_empty() || before.contains("audi") => None,
            None => return None,
        };
        let (kind, rest) = rest.strip_prefix("type=")?.split_once(' ')?;
        let named = kind
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b"_[]".contains(&b));
        if kind.is_empty() || !named {
            return None;
        }
        let kind = NUMBERED
            .iter()
            .find(|(number, _)| *number == kind)
            .map_or(kind, |(_, name)| name);
        let rest = rest.trim_start();
        let rest = rest.strip_prefix("msg=").unwrap_or(rest).strip_prefix("audit(")?;
        let (stamp, body) = rest.split_once(')')?;
        let (time, serial) = stamp.split_once(':')?;
        let (seconds, millis) = time.split_once('.')?;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(seconds) || !digits(millis) || !digits(serial) {
            return None;
        }
        let seconds: i64 = seconds.parse().ok()?;
        let millis: i64 = millis.parse().ok().filter(|millis| *millis < 1_000)?;
        Some(Self {
            node,
            kind,
            time_ms: seconds.checked_mul(1_000)?.checked_add(millis)?,
            serial: serial.parse().ok()?,
            body: body.strip_prefix(':').unwrap_or(body).trim(),
        })
    }

    /// Whether this record is a whole event: those from user space and of the daemon itself are.
    pub(crate) fn is_whole(&self) -> bool {
        WHOLE.iter().any(|prefix| self.kind.starts_with(prefix))
    }

    /// Whether no record of the event follows this one.
    pub(crate) fn is_last(&self) -> bool {
        self.kind == "EOE"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads() {
        let check = |line: &str, want: Option<(Option<&str>, &str, i64, u64, &str)>| {
            let got = AuditdHead::parse(line).map(|h| (h.node, h.kind, h.time_ms, h.serial, h.body));
            assert_eq!(got, want, "{line}");
        };
        check(
            "type=SYSCALL msg=audit(1364481363.243:24287): arch=c000003e",
            Some((None, "SYSCALL", 1_364_481_363_243, 24287, "arch=c000003e")),
        );
        check(
            "node=n1 type=CWD msg=audit(1.002:3):  cwd=\"/\"",
            Some((Some("n1"), "CWD", 1_002, 3, "cwd=\"/\"")),
        );
        check(
            "Jan  2 03:04:05 h kernel: audit: type=1400 audit(1.002:3): apparmor=\"DENIED\"",
            Some((None, "AVC", 1_002, 3, "apparmor=\"DENIED\"")),
        );
        check(
            "type=UNKNOWN[1323] msg=audit(1.002:3): fd=6",
            Some((None, "UNKNOWN[1323]", 1_002, 3, "fd=6")),
        );
        check("type=EOE msg=audit(1.002:3):", Some((None, "EOE", 1_002, 3, "")));
        for line in [
            "type=WRONGDATE msg=audit(1337845201): x",
            "type=EMPTYDATE msg=audit(): x",
            "type= msg=audit(1.2:3): x",
            "msg=audit(1.2:3): x",
            "type=X msg=audit(1.1000:3): x",
            "type=X msg=audit(99999999999999999999.1:3): x",
            "log type=SYSCALL msg=audit(1.2:3): x",
            "type=lower msg=audit(1.2:3): x",
            "",
        ] {
            check(line, None);
        }
    }

    #[test]
    fn what_comes_from_user_space_is_whole() {
        let whole = |kind| AuditdHead::parse(&format!("type={kind} msg=audit(1.2:3): x")).map(|h| h.is_whole());
        for kind in ["USER_LOGIN", "CRED_ACQ", "SERVICE_START", "ADD_USER", "DAEMON_START"] {
            assert_eq!(whole(kind), Some(true), "{kind}");
        }
        for kind in ["SYSCALL", "PATH", "AVC", "LOGIN", "ANOM_ABEND"] {
            assert_eq!(whole(kind), Some(false), "{kind}");
        }
    }
}
