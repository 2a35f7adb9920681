//! Here is a source's own record, give me its event in the ECS field table: one source a file.
//!
//! ```text
//! Value ────────┐                                 ┌─ kubernetes/    audit log, Events, kubelet
//! &str (a line) ├─ object, line, container, ─▶ ───┼─ cloud/         CloudTrail, Cloud Audit Logs, Azure
//! ContainerLine │  auditd: by Source              ├─ os/            auditd, journal, syslog
//! Context ──────┘                                 ├─ runtime/       Falco, Tetragon, files, statistics
//!                                                 └─ application/   containers, applications, web servers
//!                                                        └─▶ Normalized { EventId, Timestamp, Fields, Native }, or Reject
//! ```
//!
//! It owns what each source's words mean, and an event's identity. The native record is kept beside the fields, so that a rule may
//! name either. Nothing is invented: a field is set only from what the record says. It never opens an envelope, joins records or
//! decides which source a record is of; it knows `format/` and not `decode/`.

mod address;
mod application;
mod cloud;
mod command_line;
mod context;
mod kubernetes;
mod os;
mod runtime;

use casebook_event::{Source, Value, ValueRef};

use crate::format::reject::{self, Reject};
use crate::format::syslog::SyslogLine;
pub(crate) use application::container_log::{ContainerLine, set_place_of_file};
use application::{application_object, application_text, container_log, web_access};
use cloud::{azure_activity, cloudtrail, gcp_audit};
pub(crate) use context::{Context, Normalized, content_id};
pub(crate) use kubernetes::pod_metadata;
use kubernetes::{audit_cut, gke_audit, kubelet, kubernetes_audit, kubernetes_event};
use os::{auth, journald};
use runtime::{container_stats, falco, file_integrity, tetragon};

/// Names the mark by which an object is known as a source's.
type RecognizeObject = fn(&Value) -> Option<&'static str>;

/// The sources that are known by a mark of their own in an object, the surest first.
pub(crate) const OBJECTS: &[(Source, RecognizeObject)] = &[
    (Source::KubernetesEvent, kubernetes_event::recognize),
    (Source::KubernetesAudit, gke_audit::recognize),
    (Source::GcpAudit, gcp_audit::recognize),
    (Source::AzureActivity, azure_activity::recognize),
    (Source::Falco, falco::recognize),
    (Source::Tetragon, tetragon::recognize),
    (Source::FileIntegrity, file_integrity::recognize),
    (Source::ContainerStats, container_stats::recognize),
    (Source::Journald, journald::recognize),
];

/// Whether an object bears the mark of that source.
pub(crate) fn recognizes(source: Source, value: &Value) -> bool {
    OBJECTS
        .iter()
        .any(|(known, recognize)| *known == source && recognize(value).is_some())
}

/// Names the mark by which a line is known as a source's.
type RecognizeLine = fn(&str) -> Option<&'static str>;

/// The same for lines.
pub(crate) const LINES: &[(Source, RecognizeLine)] = &[
    (Source::Kubelet, kubelet::recognize),
    (Source::WebAccess, web_access::recognize),
    (Source::Application, application_text::recognize),
];

/// Normalizes a JSON object into one event, or several (a node's statistics report each of its containers).
pub(crate) fn object(
    source: Source,
    value: Value,
    context: &Context<'_>,
    out: &mut Vec<Normalized>,
) -> Result<(), Reject> {
    let normalized = match source {
        Source::KubernetesAudit if gke_audit::recognize(&value).is_some() => gke_audit::normalize(value, context),
        Source::KubernetesAudit => with_native(audit_cut::complete(value, context), |native| {
            kubernetes_audit::normalize(native, context)
        }),
        Source::KubernetesEvent => kubernetes_event::normalize(value, context),
        Source::CloudTrail => {
            let (value, context) = cloudtrail::unwrap(value, context)?;
            with_native(value, |native| cloudtrail::normalize(native, &context))
        }
        Source::GcpAudit => gcp_audit::normalize(value, context),
        Source::AzureActivity => azure_activity::normalize(value, context),
        Source::Journald => journald::normalize(value, context),
        Source::Application => Ok(application_object::normalize(value, context)),
        Source::Falco => falco::normalize(value, context),
        Source::Tetragon => tetragon::normalize(value, context),
        Source::FileIntegrity => file_integrity::normalize(value, context),
        Source::ContainerStats => return container_stats::normalize(value, context, out),
        Source::Kubelet | Source::Auditd | Source::WebAccess | Source::Auth | Source::ContainerLog => Err(Reject::new(
            reject::WRONG_SHAPE,
            format!("a JSON object without a text, where a line of {source} was expected"),
        )),
    };
    out.push(normalized?);
    Ok(())
}

/// Normalizes a tree, and keeps it beside the fields.
fn with_native(
    value: Value,
    normalize: impl FnOnce(ValueRef<'_>) -> Result<Normalized, Reject>,
) -> Result<Normalized, Reject> {
    let mut normalized = normalize(value.as_ref())?;
    if normalized.native.is_none() {
        normalized.native = value.into();
    }
    Ok(normalized)
}

/// Whether records of a source may be read in place: see [`plain_object`].
pub(crate) fn reads_in_place(source: Source) -> bool {
    matches!(source, Source::KubernetesAudit | Source::CloudTrail)
}

/// Normalizes an object that is read where it stands, if it is by its first look a record of `source` and nothing is around it.
/// Any other is [`object`]'s.
pub(crate) fn plain_object(
    source: Source,
    native: ValueRef<'_>,
    context: &Context<'_>,
) -> Option<Result<Normalized, Reject>> {
    let has = |key: &str| native.get(key).is_some();
    match source {
        Source::KubernetesAudit if has("auditID") && !has("protoPayload") => {
            Some(kubernetes_audit::normalize(native, context))
        }
        Source::CloudTrail if has("eventName") && !has("CloudTrailEvent") => {
            Some(cloudtrail::normalize(native, context))
        }
        _ => None,
    }
}

/// Whether a source writes JSON alone: what else stands on its topic is broken.
pub(crate) fn is_json_only(source: Source) -> bool {
    matches!(
        source,
        Source::KubernetesAudit
            | Source::KubernetesEvent
            | Source::CloudTrail
            | Source::GcpAudit
            | Source::AzureActivity
            | Source::Journald
            | Source::Falco
            | Source::Tetragon
            | Source::FileIntegrity
            | Source::ContainerStats
    )
}

/// Normalizes a line of text.
pub(crate) fn line(source: Source, context: &Context<'_>) -> Result<Normalized, Reject> {
    match source {
        Source::Auth if context.half => {
            let line = SyslogLine::parse(context.raw, context.timestamp)?;
            Ok(auth::normalize_half(&line))
        }
        Source::Auth => {
            let mut normalized = auth::normalize(&SyslogLine::parse(context.raw, context.timestamp)?);
            if context.place_in_file.is_some() {
                let (content, time) = (context.raw.as_bytes(), Some(normalized.time));
                normalized.id = content_id(normalized.source, content, time, context);
            } else {
                normalized.id = context.with_removed(normalized.source, normalized.id);
            }
            Ok(normalized)
        }
        Source::Kubelet => kubelet::normalize(context.raw, context),
        Source::WebAccess => web_access::normalize(context.raw, context),
        Source::Application => Ok(application_text::normalize(context.raw, context)),
        _ => Err(Reject::new(reject::WRONG_SHAPE, "text, where JSON was expected")),
    }
}

/// Normalizes a container's line.
pub(crate) fn container(line: ContainerLine<'_>, context: &Context<'_>) -> Normalized {
    let mut normalized = container_log::normalize(line, context);
    normalized.id = context.with_removed(normalized.source, normalized.id);
    normalized
}

/// Normalizes the records of one audit event.
pub(crate) fn auditd(records: &[&str], context: &Context<'_>) -> Result<Normalized, Reject> {
    os::auditd::normalize(records, context)
}
