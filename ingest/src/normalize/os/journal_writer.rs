//! Who wrote a journal entry, against who it says wrote it.
//!
//! `SYSLOG_IDENTIFIER`, `MESSAGE` and every other field without an underscore in front is the writer's own, and any process on a
//! machine may write to the journal (`logger -t sshd 'Accepted password for root …'`). Fields with an underscore are the
//! journal's (systemd.journal-fields(7), "Trusted Journal Fields"): `_EXE` is the program that the kernel says wrote it, `_UID` its
//! user.

use crate::normalize::command_line;

/// What the journal itself says of the writer.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Writer<'a> {
    /// `_EXE`; missing where the process was gone when the journal looked.
    pub(crate) executable: Option<&'a str>,
    /// `_UID`, the real user.
    pub(crate) uid: Option<&'a str>,
    /// `_SYSTEMD_UNIT`.
    pub(crate) unit: Option<&'a str>,
}

/// Where anyone may put a program of any name.
const WRITABLE: &[&str] = &["/home/", "/tmp/", "/var/tmp/", "/dev/shm/", "/run/user/", "/proc/"];

/// Programs that stand for many.
const MULTI_CALL: &[&str] = &["busybox", "toybox", "systemd", "systemd-executor"];

/// Those that a user starts and the kernel runs as root, so that the real user is not root.
const SET_UID: &[&str] = &[
    "sudo", "su", "su-l", "pkexec", "passwd", "chage", "chsh", "chfn", "gpasswd", "newgrp", "crontab", "doas",
    "runuser",
];

/// Programs that write of containers in the journal: docker's daemon, and podman's and CRI-O's monitor.
const CONTAINER_RUNTIMES: &[&str] = &[
    "dockerd",
    "dockerd-ce",
    "conmon",
    "podman",
    "crio",
    "containerd",
    "containerd-shim-runc-v2",
];

impl Writer<'_> {
    /// Whether nothing that the journal says speaks against `program` having written the entry.
    pub(crate) fn may_be(&self, program: &str) -> bool {
        match self.executable {
            Some(path) if WRITABLE.iter().any(|directory| path.starts_with(directory)) => false,
            Some(path) => {
                let path = path.strip_suffix(" (deleted)").unwrap_or(path);
                let own = command_line::base_name(path).to_ascii_lowercase();
                let claimed = program.to_ascii_lowercase();
                // `su-l` is su, `cron` is crond, `sshd` its own `sshd-session`.
                own.starts_with(&claimed) || claimed.starts_with(&own) || MULTI_CALL.contains(&own.as_str())
            }
            // The process is gone, and what is left is its user: daemons are root.
            None => self.uid.is_none_or(|uid| uid == "0") || SET_UID.contains(&program),
        }
    }

    /// Whether nothing speaks against a container runtime having written the entry.
    pub(crate) fn may_be_runtime(&self) -> bool {
        let of_unit = self.unit.is_some_and(|unit| {
            unit.starts_with("libpod-")
                || unit.starts_with("crio-")
                || CONTAINER_RUNTIMES.contains(&unit.trim_end_matches(".service"))
        });
        match self.executable {
            Some(path) => CONTAINER_RUNTIMES
                .iter()
                .any(|runtime| self.may_be(runtime) && path.ends_with(runtime)),
            None => of_unit || self.uid.is_none_or(|uid| uid == "0"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_entry_s_writer_is_who_the_kernel_says() {
        let check = |executable: Option<&str>, uid: Option<&str>, program: &str, want: bool| {
            let writer = Writer {
                executable,
                uid,
                unit: None,
            };
            assert_eq!(writer.may_be(program), want, "{executable:?} {uid:?} {program}");
        };
        check(Some("/usr/sbin/sshd"), Some("0"), "sshd", true);
        check(Some("/usr/lib/openssh/sshd-session"), Some("0"), "sshd", true);
        check(Some("/usr/lib/openssh/sshd-session"), Some("0"), "sshd-session", true);
        check(Some("/usr/bin/logger"), Some("1000"), "sshd", false);
        check(Some("/usr/bin/logger"), Some("0"), "sshd", false);
        check(Some("/usr/bin/python3.12"), Some("1000"), "sudo", false);
        check(Some("/home/eve/sshd"), Some("1000"), "sshd", false);
        check(Some("/usr/bin/sudo"), Some("1000"), "sudo", true);
        check(Some("/usr/sbin/cron"), Some("0"), "CRON", true);
        check(Some("/usr/bin/su (deleted)"), Some("1000"), "su-l", true);
        check(Some("/bin/busybox"), Some("0"), "login", true);
        check(None, Some("1000"), "sshd", false);
        check(None, Some("1000"), "sudo", true);
        check(None, Some("0"), "sshd", true);
        check(None, None, "sshd", true);
    }

    #[test]
    fn a_container_is_named_by_its_runtime() {
        let check = |executable: Option<&str>, uid: &str, want: bool| {
            let writer = Writer {
                executable,
                uid: Some(uid),
                unit: None,
            };
            assert_eq!(writer.may_be_runtime(), want, "{executable:?}");
        };
        check(Some("/usr/bin/dockerd"), "0", true);
        check(Some("/usr/bin/conmon"), "1000", true);
        check(Some("/usr/bin/python3"), "1000", false);
        check(Some("/tmp/dockerd"), "0", false);
        check(None, "1000", false);
    }
}
