//! From a source's own record to the ECS field table: one source a file.
//!
//! The native record is kept beside the fields, so that a rule may name either. Nothing is invented: a field is set only
//! from what the record says.

mod address;
mod application;
mod application_fields;
mod auth;
mod cloudtrail;
mod cloudtrail_action;
mod command_line;
mod container_log;
mod epoch;
mod kubernetes_audit;
mod kubernetes_metadata;
mod kubernetes_request;
mod login_programs;
mod pam;
mod sshd;
mod sudo;

use casebook_event::{EventId, Fields, RawRecord, Source, Timestamp, Value};

use crate::decode::reject::{self, Reject};
use crate::decode::{CriLine, SyslogLine};

/// What a normalizer may look at beside the parsed record.
pub(crate) struct Context<'a> {
    /// The event's own text.
    pub(crate) raw: &'a str,
    /// The record it stands in.
    pub(crate) record: &'a RawRecord,
    /// Its place in the record.
    pub(crate) index: u32,
}

/// An event without what the reading of it adds.
pub(crate) struct Normalized {
    pub(crate) id: EventId,
    pub(crate) time: Timestamp,
    pub(crate) fields: Fields,
    pub(crate) native: Value,
}

/// Normalizes a JSON object.
pub(crate) fn object(source: Source, value: Value, context: &Context<'_>) -> Result<Normalized, Reject> {
    match source {
        Source::KubernetesAudit => kubernetes_audit::normalize(value),
        Source::CloudTrail => cloudtrail::normalize(value, context),
        Source::ApplicationJson => Ok(application::normalize(value, context)),
        Source::ContainerLog => container_log::normalize_object(value, context),
        Source::Auth => auth::normalize_object(&value, context),
    }
}

/// Normalizes a line of text.
pub(crate) fn line(source: Source, context: &Context<'_>) -> Result<Normalized, Reject> {
    match source {
        Source::Auth => Ok(auth::normalize(&SyslogLine::parse(
            context.raw,
            context.record.timestamp,
        )?)),
        Source::ContainerLog => match CriLine::parse(context.raw) {
            Some(line) => Ok(container_log::normalize_cri(&line, context)),
            None => {
                let detail = format!("no CRI line and no JSON: {}", reject::quote(context.raw));
                Err(Reject::new(reject::WRONG_SHAPE, detail))
            }
        },
        Source::KubernetesAudit | Source::CloudTrail | Source::ApplicationJson => {
            Err(Reject::new(reject::WRONG_SHAPE, "text, where JSON was expected"))
        }
    }
}

/// The identity of an event whose source gives it none: its content and its time. Where the time is the reader's and not
/// the event's, two events of the same content are told apart by where they stand.
fn content_id(source: Source, content: &[u8], time: Option<Timestamp>, context: &Context<'_>) -> EventId {
    match time {
        Some(time) => EventId::from_parts(source, &[content, &time.as_nanos().to_le_bytes()]),
        None => {
            let position = &context.record.position;
            let (partition, offset) = (position.partition.to_le_bytes(), position.offset.to_le_bytes());
            let index = position.index.saturating_add(context.index).to_le_bytes();
            let parts: &[&[u8]] = &[content, position.topic.as_bytes(), &partition, &offset, &index];
            EventId::from_parts(source, parts)
        }
    }
}
