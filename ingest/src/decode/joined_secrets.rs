//! Secrets that lie across the parts of what was joined: a container's line that the runtime cut within a password, lines that
//! only together say what they hold. The joined text is masked as one, and each part of the raw text loses its share.

use std::borrow::Cow;

use casebook_event::Value;
use compact_str::CompactString;

use super::decoding::{Decoding, Part};
use super::joiner::PendingFragment;
use crate::format::cri::CriLine;
use crate::mask;
use crate::mask::Digest;
use crate::normalize::ContainerLine;

/// A joined text without its secrets.
pub(super) struct MaskedJoin {
    pub(super) text: String,
    pub(super) raw: String,
    pub(super) digest: Digest,
    /// The first part.
    pub(super) first: String,
}

/// Masks what `parts` say together, with `separator` between, of which `raw` holds the records, a line each. `None` where there is
/// no secret in it.
pub(super) fn mask_joined(parts: &[&str], separator: &str, raw: &str) -> Option<MaskedJoin> {
    let (masked, digest) = mask::mask_parts(parts, separator)?;
    let records: Vec<&str> = raw.split('\n').collect();
    let text = masked.join(separator);
    let raw = if records.len() == masked.len() {
        let records: Vec<String> = records
            .iter()
            .zip(&masked)
            .map(|(record, part)| with_message(record, part))
            .collect();
        records.join("\n")
    } else {
        // Where each part stands in it is not known.
        text.clone()
    };
    let first = masked.into_iter().next().unwrap_or_default();
    Some(MaskedJoin {
        text,
        raw,
        digest,
        first,
    })
}

/// The record of one part, with another message in it.
fn with_message(record: &str, message: &str) -> String {
    if let Some(line) = CriLine::parse(record) {
        let head = record.len() - line.message.len();
        return format!("{}{message}", &record[..head]);
    }
    let Ok(Value::Map(mut entries)) = serde_json::from_str::<Value>(record) else {
        return message.to_owned();
    };
    let own = ["log", "message", "MESSAGE"].iter().find_map(|key| {
        let named = |(name, value): &(CompactString, Value)| name == key && value.as_str().is_some();
        entries.iter().position(named)
    });
    let Some((_, value)) = own.and_then(|own| entries.get_mut(own)) else {
        return message.to_owned();
    };
    let text = value.as_str().unwrap_or_default();
    let text = match CriLine::parse(text) {
        Some(line) => format!("{}{message}", &text[..text.len() - line.message.len()]),
        None if text.ends_with('\n') => format!("{message}\n"),
        None => message.to_owned(),
    };
    *value = Value::str(text);
    serde_json::to_string(&Value::Map(entries)).unwrap_or_default()
}

impl Decoding<'_> {
    /// The message of a part of a line as it was before anything was masked: what it hides may go on in the next part.
    pub(super) fn own_message(&self, line: &ContainerLine<'_>, part: Part<'_>) -> String {
        let own = || {
            let original = self.original.filter(|_| part.depth == 0)?;
            let original = std::str::from_utf8(original).ok()?;
            // A space at the end is the line's own.
            let original = original.trim_start().trim_end_matches(['\n', '\r', '\0']);
            match original.starts_with('{') {
                true => {
                    let line = ContainerLine::of_object(serde_json::from_str(original).ok()?).ok()?;
                    Some(line.message.into_owned())
                }
                false => CriLine::parse(original).map(|line| line.message.to_owned()),
            }
        };
        own().unwrap_or_else(|| line.message.to_string())
    }

    /// The line that `fragment` has all parts of, or those that came, and its raw text, without the secrets that lie across them.
    pub(super) fn whole_line(line: ContainerLine<'static>, fragment: &mut PendingFragment) -> ContainerLine<'static> {
        if fragment.originals.is_empty() {
            let text = whole_lines(&line.message, fragment).into_owned();
            let first = text.split('\n').next().unwrap_or_default().to_owned();
            return if *line.message == text {
                line
            } else {
                line.with_message(&first, text)
            };
        }
        let parts: Vec<&str> = fragment.originals.iter().map(String::as_str).collect();
        match mask_joined(&parts, "", &fragment.raw) {
            Some(joined) if parts.len() > 1 => {
                fragment.raw = joined.raw;
                fragment.digest = fragment.digest.and(joined.digest);
                line.with_message(&joined.first, joined.text)
            }
            _ => line,
        }
    }
}

/// The same of several lines, as a stack trace has them.
pub(super) fn whole_lines<'a>(text: &'a str, fragment: &mut PendingFragment) -> Cow<'a, str> {
    if !fragment.is_joined() {
        return Cow::Borrowed(text);
    }
    let parts: Vec<&str> = text.split('\n').collect();
    match mask_joined(&parts, "\n", &fragment.raw) {
        Some(joined) if parts.len() > 1 => {
            fragment.raw = joined.raw;
            fragment.digest = fragment.digest.and(joined.digest);
            Cow::Owned(joined.text)
        }
        _ => Cow::Borrowed(text),
    }
}

/// The records of an audit event, whose arguments may be over several: an option in one, and its value in the next.
pub(super) fn whole_records(records: Vec<String>, fragment: &mut PendingFragment) -> Vec<String> {
    let with_arguments = records.iter().filter(|record| record.contains("type=EXECVE "));
    if with_arguments.count() < 2 {
        return records;
    }
    let parts: Vec<&str> = records.iter().map(String::as_str).collect();
    let Some((masked, digest)) = mask::mask_parts(&parts, "\n") else {
        return records;
    };
    fragment.raw = masked.join("\n");
    fragment.digest = fragment.digest.and(digest);
    masked
}
