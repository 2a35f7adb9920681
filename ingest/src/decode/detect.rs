//! Which source wrote a record, told by its content alone.

use casebook_event::{Source, Value};

use super::envelope::{self, Envelope, Inner, Member, Opened};
use super::reject::{self, Reject, quote};
use super::{AuditdHead, CriLine, Members, SourceKind, SyslogLine, compression, json};
use crate::limits::{MAX_ENVELOPES, MAX_RECORD_BYTES};
use crate::normalize;

/// Names the source of a record, and says by which marks it was known: each envelope, then the record's own. Of a record
/// that holds several events, the first one speaks.
///
/// # Errors
/// The record is broken (`invalid_json`, `invalid_utf8`, `empty`, …) or of no known source (`unknown_source`).
pub fn detect_source(payload: &[u8]) -> Result<(Source, String), Reject> {
    let payload = compression::decompress(payload, MAX_RECORD_BYTES)?;
    let payload = super::trim(&payload);
    let text = String::from_utf8_lossy(payload);
    if text.is_empty() {
        return Err(Reject::new(reject::EMPTY, "no content"));
    }
    let mut names = Vec::new();
    let (source, mark) = detect_inner(&text, &Envelope::NONE, &mut names, 0)?;
    names.push(mark);
    Ok((source, names.join(" → ")))
}

fn detect_inner(
    text: &str,
    outer: &Envelope,
    names: &mut Vec<&'static str>,
    depth: usize,
) -> Result<(Source, &'static str), Reject> {
    if depth > MAX_ENVELOPES {
        return Err(Reject::new(reject::TOO_DEEP, "too many envelopes around one another"));
    }
    if text.starts_with('[')
        && let Some(first) = Members::of_array(text).and_then(|mut members| members.next())
        && first.starts_with('{')
    {
        return detect_inner(first, outer, names, depth + 1);
    }
    if !text.starts_with('{') {
        return match outer.container {
            true => Ok((Source::ContainerLog, "the output of a container")),
            false => detect_line(text),
        };
    }
    let (value, own) = first_value(text)?;
    let outer = &own.within(outer);
    let (inner, envelope) = match envelope::open(value, SourceKind::Auto, outer)? {
        Opened::Leaf(_) if outer.container => return Ok((Source::ContainerLog, "the output of a container")),
        Opened::Leaf(value) if outer.truncated => return detect_cut(&value, outer),
        Opened::Leaf(value) => return detect_object(&value),
        Opened::One(inner, envelope) => (inner, *envelope),
        Opened::Many(batch, envelope) => {
            let Some((member, own)) = envelope::members(text, batch).into_iter().next() else {
                return Err(Reject::new(reject::EMPTY, "a batch without a member"));
            };
            let envelope = own.map_or_else(|| (*envelope).clone(), |own| own.within(&envelope));
            match envelope::member_of(batch) {
                Member::Record => {
                    names.clone_from(&envelope.names);
                    return detect_inner(member, &envelope, names, depth + 1);
                }
                Member::Wrapped(open) => {
                    let (value, recovered) = first_value(member)?;
                    let (inner, own) = open(value, recovered.truncated);
                    (inner, own.within(&recovered.within(&envelope)))
                }
            }
        }
    };
    names.clone_from(&envelope.names);
    match inner {
        Inner::Value(value) => detect_inner(
            &serde_json::to_string(&value).unwrap_or_default(),
            &envelope,
            names,
            depth + 1,
        ),
        Inner::Text(text) => detect_inner(text.trim(), &envelope, names, depth + 1),
    }
}

/// The value that a text begins with, and whether it was cut.
fn first_value(text: &str) -> Result<(Value, Envelope), Reject> {
    match serde_json::Deserializer::from_str(text).into_iter::<Value>().next() {
        Some(Ok(value)) => Ok((value, Envelope::NONE)),
        Some(Err(error)) => match json::recover(text).filter(|recovered| !recovered.is_empty()) {
            Some(recovered) => {
                let envelope = recovered.envelope();
                Ok((recovered.value, envelope))
            }
            None => Err(Reject::json(&error)),
        },
        None => Err(Reject::new(reject::EMPTY, "no content")),
    }
}

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

/// The source of an object of which the end is missing, in an envelope.
pub(crate) fn detect_cut(value: &Value, envelope: &Envelope) -> Result<(Source, &'static str), Reject> {
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
    match source_around(envelope) {
        Some(source) => Ok((source, "what is around it, cut off")),
        None => whole,
    }
}

fn azure_activity_for_certain(value: &Value) -> bool {
    ["category", "CategoryValue"].iter().any(|key| value.get(key).is_some())
}

/// The source that an envelope is only put around.
pub(crate) fn source_around(envelope: &Envelope) -> Option<Source> {
    let is = |name: &str, marks: &[&str]| {
        let found = envelope.entries.iter().find(|(key, _)| key == name);
        let text = found.and_then(|(_, value)| value.as_str()).unwrap_or_default();
        marks.iter().any(|mark| text.starts_with(mark))
    };
    // AKS names its log by a category, EKS by its stream.
    let audit = is("category", &["kube-audit"]) || is("logStream", &["kube-apiserver-audit"]);
    audit.then_some(Source::KubernetesAudit)
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
            Err(_) => detect_cut(&json::recover(text)?.value, &Envelope::NONE),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_tells_the_source() {
        let check = |payload: &str, want: Option<Source>| {
            assert_eq!(
                detect_source(payload.as_bytes()).map(|(source, _)| source).ok(),
                want,
                "{payload}"
            );
        };
        check(
            r#"{"auditID":"a","stage":"Panic","verb":"get"}"#,
            Some(Source::KubernetesAudit),
        );
        check(
            r#"{"kind":"EventList","items":[{"auditID":"a","stage":"Panic"}]}"#,
            Some(Source::KubernetesAudit),
        );
        check(
            r#"{"Records":[{"eventVersion":"1","eventSource":"s3","eventName":"x"}]}"#,
            Some(Source::CloudTrail),
        );
        check(
            r#"[{"eventVersion":"1","eventSource":"s3","eventName":"x"}]"#,
            Some(Source::CloudTrail),
        );
        check(
            r#"{"log":"{\"auditID\":1,\"stage\":2}","stream":"stdout"}"#,
            Some(Source::ContainerLog),
        );
        check("2016-10-06T00:17:09.669794202Z stdout F m", Some(Source::ContainerLog));
        check("2016-10-06T00:17:09.669794202Z host sshd[1]: m", Some(Source::Auth));
        check("<34>1 2003-10-11T22:14:15.003Z h su - ID47 - m", Some(Source::Auth));
        check("Feb  3 10:00:00 h sshd[1]: m", Some(Source::Auth));
        check(r#"{"level":30,"time":1,"msg":"m"}"#, Some(Source::Application));
        check(r#"{"@t":"2020","@mt":"m"}"#, Some(Source::Application));
        check(r#"{"kind":"Event","involvedObject":{},"message":"m","time":1}"#, None);
        check(
            r#"{"insertId":"1","logName":"x","timestamp":"t","severity":"INFO"}"#,
            None,
        );
        check("[12/Mar/2024] hello", None);
        check("hello", None);
        check("", None);
    }
}
