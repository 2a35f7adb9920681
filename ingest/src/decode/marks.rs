//! The marks by which a record's source is known: keys of an object, the form of a line.

use casebook_event::{Source, Value};

use crate::format::auditd::AuditdHead;
use crate::format::cri::CriLine;
use crate::format::json;
use crate::format::reject::{self, Reject, quote};
use crate::format::syslog::SyslogLine;
use crate::normalize;

/// The keys that a source's record begins with, or has before what may be long: they name the source of a record that was cut
/// before the marks of a whole one.
const FIRST_KEYS: &[(Source, &[&str])] = &[
    (Source::KubernetesAudit, &["auditID", "level"]),
    (Source::CloudTrail, &["eventVersion", "userIdentity"]),
    (Source::GcpAudit, &["protoPayload"]),
    (Source::Falco, &["output", "priority"]),
    (Source::Falco, &["output_fields"]),
    (Source::KubernetesEvent, &["involvedObject"]),
    (Source::KubernetesEvent, &["regarding"]),
    (Source::Tetragon, &["process_exec"]),
    (Source::Tetragon, &["process_exit"]),
    (Source::Tetragon, &["process_kprobe"]),
    (Source::Journald, &["__CURSOR", "__REALTIME_TIMESTAMP"]),
    (Source::Journald, &["_BOOT_ID", "_TRANSPORT"]),
    (Source::Journald, &["_BOOT_ID", "_HOSTNAME"]),
];

/// The source of an object of which the end is missing; `around` is the one that its envelope is only put around.
pub(crate) fn detect_cut(value: &Value, around: Option<Source>) -> Result<(Source, &'static str), Reject> {
    if value
        .str_at(&["apiVersion"])
        .is_some_and(|version| version.starts_with("audit.k8s.io/"))
    {
        return Ok((Source::KubernetesAudit, "apiVersion audit.k8s.io, cut off"));
    }
    let whole = match detect_object(value) {
        // What says that it is another of Azure's logs may be missing.
        Ok((Source::AzureActivity, _)) if !azure_activity_for_certain(value) => {
            return Err(Reject::new(
                reject::UNKNOWN_SOURCE,
                "a log of Azure, whose category is missing",
            ));
        }
        // What an application may write too says less than a source's own keys.
        Ok((Source::Application, mark)) => Ok((Source::Application, mark)),
        Ok(found) => return Ok(found),
        Err(reject) => Err(reject),
    };
    let has = |key: &str| value.get(key).is_some();
    let first = FIRST_KEYS.iter().find(|(_, keys)| keys.iter().all(|key| has(key)));
    if let Some((source, _)) = first {
        return Ok((*source, "its first keys, cut off"));
    }
    match around {
        Some(source) => Ok((source, "what is around it, cut off")),
        None => whole,
    }
}

fn azure_activity_for_certain(value: &Value) -> bool {
    ["category", "CategoryValue"].iter().any(|key| value.get(key).is_some())
}

/// Keys that an application's logger writes its text under.
const MESSAGE_KEYS: &[&str] = &[
    "message",
    "msg",
    "@m",
    "@mt",
    "MessageTemplate",
    "RenderedMessage",
    "event",
];
const LEVEL_KEYS: &[&str] = &[
    "level",
    "log.level",
    "severity",
    "lvl",
    "levelname",
    "@l",
    "Level",
    "loglevel",
    "log_level",
    "s",
];
const TIME_KEYS: &[&str] = &[
    "time",
    "ts",
    "@timestamp",
    "timestamp",
    "@t",
    "t",
    "Timestamp",
    "date",
    "datetime",
    "asctime",
    "instant",
];

/// The source of a JSON object.
pub(crate) fn detect_object(value: &Value) -> Result<(Source, &'static str), Reject> {
    let Value::Map(entries) = value else {
        return Err(Reject::new(reject::UNKNOWN_SOURCE, "no JSON object"));
    };
    let has = |key: &str| entries.iter().any(|(k, _)| k == key);
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    if has("auditID") && (has("stage") || has("verb")) {
        return Ok((Source::KubernetesAudit, "auditID with stage or verb"));
    }
    if has("eventSource") && has("eventName") && (has("userIdentity") || has("eventVersion")) {
        return Ok((Source::CloudTrail, "eventSource, eventName and userIdentity"));
    }
    if text("CloudTrailEvent").is_some() {
        return Ok((Source::CloudTrail, "a CloudTrailEvent text (LookupEvents)"));
    }
    if text("detail-type").is_some_and(|kind| kind.ends_with("via CloudTrail")) {
        return Ok((Source::CloudTrail, "detail-type via CloudTrail (EventBridge)"));
    }
    for (source, recognize) in normalize::OBJECTS {
        if let Some(mark) = recognize(value) {
            return Ok((*source, mark));
        }
    }
    // Each of these would pass for an application's record, and is a broken one of another source.
    if [
        "involvedObject",
        "protoPayload",
        "process_exec",
        "process_kprobe",
        "output_fields",
    ]
    .iter()
    .any(|key| has(key))
    {
        return Err(unknown(entries));
    }
    let kubernetes = matches!(value.get("kubernetes"), Some(Value::Map(_)));
    if text("log").is_some() && (has("stream") || has("time") || kubernetes || entries.len() == 1) {
        return Ok((Source::ContainerLog, "a log text with stream, time or kubernetes"));
    }
    let message = MESSAGE_KEYS.iter().any(|key| text(key).is_some());
    if message && kubernetes && (has("stream") || has("logtag") || has("source_type")) {
        return Ok((Source::ContainerLog, "a message with stream and kubernetes"));
    }
    let level = LEVEL_KEYS.iter().any(|key| has(key)) || value.at(&["log", "level"]).is_some();
    let time = TIME_KEYS.iter().any(|key| has(key));
    if message && (level || time) {
        return Ok((Source::Application, "a message with a level or a time"));
    }
    if level && (has("ts") || has("@timestamp")) {
        return Ok((Source::Application, "a level with a time"));
    }
    Err(unknown(entries))
}

fn unknown(entries: &[(compact_str::CompactString, Value)]) -> Reject {
    let keys: Vec<&str> = entries.iter().take(8).map(|(key, _)| key.as_str()).collect();
    Reject::new(
        reject::UNKNOWN_SOURCE,
        format!(
            "a JSON object of no known source, with the keys {}",
            quote(&keys.join(", "))
        ),
    )
}

/// The source of a text, JSON or a line; `None` where it is of none that is known.
pub(crate) fn detect_text(text: &str) -> Option<Source> {
    let text = text.trim();
    if text.starts_with('{') {
        return match serde_json::from_str(text) {
            Ok(value) => detect_object(&value),
            Err(_) => detect_cut(&json::recover(text)?.value, None),
        }
        .ok()
        .map(|(source, _)| source);
    }
    detect_line(text).ok().map(|(source, _)| source)
}

/// The source of a line of text.
pub(crate) fn detect_line(text: &str) -> Result<(Source, &'static str), Reject> {
    if CriLine::parse(text).is_some() {
        return Ok((Source::ContainerLog, "a time, stdout or stderr, P or F (CRI)"));
    }
    if AuditdHead::parse(text).is_some() {
        return Ok((Source::Auditd, "type= and msg=audit(time:serial)"));
    }
    for (source, recognize) in normalize::LINES {
        if let Some(mark) = recognize(text) {
            return Ok((*source, mark));
        }
    }
    if SyslogLine::recognize(text) {
        return Ok((Source::Auth, "a syslog priority, or a time, host and program"));
    }
    Err(Reject::new(
        reject::UNKNOWN_SOURCE,
        format!("text of no known source: {}", quote(text)),
    ))
}
