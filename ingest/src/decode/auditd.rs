//! One record of the Linux audit daemon: which event it belongs to, and whether it is all of it.

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

impl<'a> AuditdHead<'a> {
    /// `None` where `line` is no record of the audit daemon.
    pub(crate) fn parse(_line: &'a str) -> Option<Self> {
        None
    }

    /// Whether this record is a whole event: those from user space and of the daemon itself are.
    pub(crate) fn is_whole(&self) -> bool {
        false
    }

    /// Whether no record of the event follows this one.
    pub(crate) fn is_last(&self) -> bool {
        self.kind == "EOE"
    }
}
