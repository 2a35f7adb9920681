//! The operating system: auditd, journal, syslog.
