//! JSON that a strict parser refuses, read as far as it can be: see [`Tape::recover_object`].
//!
//! It is asked only after the ordinary parser has refused, so that whole records pay nothing for it.

use std::cell::Cell;

use casebook_event::{Tape, Value};

/// Where the native record says how many of its values could not be read as they are written.
pub(crate) const UNREADABLE: &str = "unreadable_values";

/// An object of which not all could be read.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// What could be.
    pub(crate) value: Value,
    /// The place after it in the text.
    pub(crate) end: usize,
    /// Whether the text ended before the object did.
    pub(crate) cut: bool,
    /// Whether a text that was cut itself was kept.
    pub(crate) half: bool,
    /// How many values could not be read as they are written.
    pub(crate) odd_count: u32,
}

impl Recovered {
    /// What was read, which says itself how much could not be read as it is written.
    pub(crate) fn into_marked(self) -> Value {
        match self.value {
            Value::Map(mut entries) if self.odd_count > 0 => {
                entries.push((UNREADABLE.into(), Value::Int(self.odd_count.into())));
                Value::Map(entries)
            }
            value => value,
        }
    }

    /// Whether nothing is known of it.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(&self.value, Value::Map(entries) if entries.is_empty())
    }
}

/// What the CloudWatch agent ends a text with that it has cut (its configuration's `truncate_suffix`, as it is by default).
const CUT_MARK: &str = "[Truncated...]";

/// Where the text of a whole record may stand in what is around it, or the text for people in an application's record: of these,
/// half a text says more than none. An event of it is marked as cut.
const TEXTS: &[&[&str]] = &[
    &["log"],
    &["message"],
    &["msg"],
    &["MESSAGE"],
    &["Message"],
    &["line"],
    &["event.original"],
    &["textPayload"],
    &["CloudTrailEvent"],
    &["properties", "log"],
    &["body", "stringValue"],
    BASE64_TEXT,
    URI,
];

/// The text of a Pub/Sub message.
const BASE64_TEXT: &[&str] = &["message", "data"];

/// The URI of an audit event, which a caller can make as long as he likes, and which says what he asked for before that.
const URI: &[&str] = &["requestURI"];

/// Under what name half of it is kept.
pub(crate) const HALF_URI: &str = "requestURI_cut";

/// What half a text is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    Text,
    Base64,
    Uri,
}

/// Arrays whose members are records.
const BATCHES: &[&str] = &[
    "Records",
    "Events",
    "items",
    "logEvents",
    "records",
    "resourceLogs",
    "scopeLogs",
    "logRecords",
];

/// Reads the object that `text` begins with, which the ordinary parser refuses. `None` where it is broken, and not only cut.
pub(crate) fn recover(text: &str) -> Option<Recovered> {
    let inner = text.strip_suffix(CUT_MARK).unwrap_or(text);
    let kept = Cell::new(None);
    let keep = |path: &[&str]| {
        let mut path = path;
        while let [batch, "", rest @ ..] = path
            && BATCHES.contains(batch)
        {
            path = rest;
        }
        let keep = TEXTS.contains(&path);
        kept.set(keep.then_some(match path {
            path if path == BASE64_TEXT => Half::Base64,
            path if path == URI => Half::Uri,
            _ => Half::Text,
        }));
        keep
    };
    let recovered = Tape::recover_object(inner, &keep)?;
    let mut value = recovered.tape.root(inner).to_value();
    if let Some(half) = kept.get() {
        trim_half(&mut value, half);
    }
    Some(Recovered {
        value,
        end: if recovered.cut { text.len() } else { recovered.end },
        cut: recovered.cut,
        half: kept.get().is_some(),
        odd_count: recovered.odd_count,
    })
}

/// Reads an object that the parser refuses and that is all there is of `text`. `None` where it is broken, or nothing is known of it.
pub(crate) fn recover_all(text: &str) -> Option<Recovered> {
    recover(text).filter(|recovered| recovered.end == text.len() && !recovered.is_empty())
}

/// Leaves of a half text, which stands last, what is sure: whole words of a line, whole groups of base64. Half a URI goes by
/// another name.
fn trim_half(value: &mut Value, half: Half) {
    match value {
        Value::Map(entries) => {
            if let Some((key, last)) = entries.last_mut() {
                if half == Half::Uri && key == "requestURI" {
                    *key = HALF_URI.into();
                }
                trim_half(last, half);
            }
        }
        Value::List(items) => {
            if let Some(last) = items.last_mut() {
                trim_half(last, half);
            }
        }
        Value::Str(text) => {
            let length = if half == Half::Base64 {
                text.len() / 4 * 4
            } else if half == Half::Uri {
                text.trim_end_matches(char::REPLACEMENT_CHARACTER).len()
            } else if text.trim_ascii_start().starts_with('{') {
                text.len()
            } else {
                whole_words(text).len()
            };
            text.truncate(length);
        }
        _ => {}
    }
}

/// A line that was cut without the word that its end may have cut, and without what stands in a quote that it may have cut:
/// half an address is another address. A line of one word stays as it is.
pub(crate) fn whole_words(line: &str) -> &str {
    let line = line.trim_end_matches(char::REPLACEMENT_CHARACTER);
    let outside = match line.rfind('"') {
        Some(last) if line.bytes().filter(|byte| *byte == b'"').count() % 2 == 1 => &line[..last],
        _ => line,
    };
    match outside.rfind(char::is_whitespace) {
        Some(end) if !outside[..end].trim_end().is_empty() => outside[..end].trim_end(),
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_text_is_kept_where_a_record_may_stand_in_it() {
        let check = |text: &str, want: &str| {
            let recovered = recover(text).unwrap();
            assert!(recovered.cut && recovered.end == text.len(), "{text}");
            assert_eq!(recovered.value.to_text(), want, "{text}");
        };
        check(r#"{"a":1,"user":"ha"#, r#"{"a":1}"#);
        check(r#"{"a":1,"user":{"message":"ha"#, r#"{"a":1}"#);
        check(r#"{"a":1,"spec":[{"message":"ha"#, r#"{"a":1}"#);
        check(
            r#"{"log":"{\"auditID\":\"a\",\"ve"#,
            r#"{"log":"{\"auditID\":\"a\",\"ve"}"#,
        );
        check(
            r#"{"records":[{"properties":{"log":"{\"a\":\"#,
            r#"{"records":[{"properties":{"log":"{\"a\":"}}]}"#,
        );
        check(r#"{"message":{"data":"eyJhIjo"#, r#"{"message":{"data":"eyJh"}}"#);
        check(r#"{"message":"from 10.0.0.1"#, r#"{"message":"from"}"#);
        check(
            r#"{"log":"{\"a\":1,\"b\":\"x[Truncated...]"#,
            r#"{"log":"{\"a\":1,\"b\":\"x"}"#,
        );
        check(r#"{"a":1[Truncated...]"#, "{}");
        check(r#"{"a":"b"[Truncated...]"#, r#"{"a":"b"}"#);
    }

    #[test]
    fn a_cut_line_keeps_its_whole_words() {
        let check = |line: &str, want: &str| assert_eq!(whole_words(line), want, "{line}");
        check("from 10.0.0.1", "from");
        check("from 10.0.0.1 ", "from 10.0.0.1");
        check(r#"a=1 msg="two wor"#, "a=1");
        check(r#"a=1 msg="two words" b"#, r#"a=1 msg="two words""#);
        check("AAAA", "AAAA");
        check(r#"{"a b"#, r#"{"a b"#);
        check("", "");
    }
}
