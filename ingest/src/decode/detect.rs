//! Which source wrote a record, told by its content alone.

use casebook_event::{Source, Value};

use super::envelope::{self, Envelope, Inner, Member, Opened};
use super::reject::{self, Reject, quote};
use super::{AuditdHead, CriLine, Members, SourceKind, SyslogLine, compression};
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
    let (inner, envelope) = match envelope::open(first_value(text)?, SourceKind::Auto, outer)? {
        Opened::Leaf(_) if outer.container => return Ok((Source::ContainerLog, "the output of a container")),
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
                    let (inner, own) = open(first_value(member)?);
                    (inner, own.within(&envelope))
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

fn first_value(text: &str) -> Result<Value, Reject> {
    match serde_json::Deserializer::from_str(text).into_iter::<Value>().next() {
        Some(result) => result.map_err(|error| Reject::json(&error)),
        None => Err(Reject::new(reject::EMPTY, "no content")),
    }
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
        return detect_object(&serde_json::from_str(text).ok()?)
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
