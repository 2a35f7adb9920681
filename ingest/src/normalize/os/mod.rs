//! Here is a record of a machine's own logs, give me its event: auditd, the journal, and what comes by syslog.
//!
//! It owns the messages of the programs that log there (sshd, sudo, PAM, …). It never joins records: the ones of an audit event come
//! together.

pub(super) mod auditd;
pub(super) mod auditd_record;
pub(super) mod auditd_socket;
pub(super) mod auditd_syscall;
pub(super) mod auth;
pub(super) mod auth_draft;
pub(super) mod journal_writer;
pub(super) mod journald;
pub(super) mod login_programs;
pub(super) mod pam;
pub(super) mod sshd;
pub(super) mod sudo;
