//! Here is what a program printed, give me its event: containers' lines, JSON and text of applications, web servers' lines.
//!
//! It owns the names that loggers use and the forms of access and error logs. It never takes what a program prints for another
//! source's record.

pub(super) mod access_line;
pub(super) mod application_fields;
pub(super) mod application_object;
pub(super) mod application_text;
pub(super) mod container_log;
pub(super) mod envoy_line;
pub(super) mod plain_text;
pub(super) mod request_origin;
pub(super) mod web_access;
pub(super) mod web_line;
pub(super) mod web_request;
