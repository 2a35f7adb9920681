//! Which source wrote a record, known by its content alone.

use casebook_event::{Source, Value};

use super::envelope;
use super::envelope::{Envelope, Inner, Member, Opened};
use super::marks::{detect_cut, detect_line, detect_object};
use super::payload::trim;
use crate::format::reject::{self, Reject};
use crate::format::{compression, json};
use crate::limits::{MAX_ENVELOPES, MAX_RECORD_BYTES};
use crate::source_kind::SourceKind;
use casebook_event::json::Members;

/// Names the source of a record, and says by which marks it was known: each envelope, then the record's own. Of a record
/// that holds several events, the first one speaks.
///
/// # Errors
/// The record is broken (`invalid_json`, `invalid_utf8`, `empty`, …) or of no known source (`unknown_source`).
pub fn detect_source(payload: &[u8]) -> Result<(Source, String), Reject> {
    let payload = compression::decompress(payload, MAX_RECORD_BYTES)?;
    let payload = trim(&payload);
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
        Opened::Leaf(value) if outer.truncated => return detect_cut(&value, source_around(outer)),
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
                let envelope = Envelope::of_recovered(&recovered);
                Ok((recovered.value, envelope))
            }
            None => Err(Reject::json(&error)),
        },
        None => Err(Reject::new(reject::EMPTY, "no content")),
    }
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
