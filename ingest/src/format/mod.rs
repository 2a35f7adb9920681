//! Here is a text, give me its parts: the formats that records come in, one a file.
//!
//! ```text
//! &[u8] ─compression─▶ bytes ─encoding─▶ &str ─┬─ cri ─────▶ CriLine
//!                                              ├─ syslog ──▶ SyslogLine
//!                                              ├─ auditd ──▶ AuditdHead
//!                                              ├─ logfmt ──▶ (key, value) pairs
//!                                              └─ json ────▶ Recovered, of JSON that is cut or broken
//! Value ─epoch─▶ Timestamp                       what is none of these ─▶ Reject
//! ```
//!
//! It owns the grammar of each format and the reasons for which a record is refused. It never knows which source a record is of,
//! what its fields mean, or what is around it.

pub(crate) mod auditd;
pub(crate) mod compression;
pub(crate) mod cri;
pub(crate) mod encoding;
pub(crate) mod epoch;
pub(crate) mod json;
pub(crate) mod logfmt;
pub(crate) mod reject;
pub(crate) mod syslog;
