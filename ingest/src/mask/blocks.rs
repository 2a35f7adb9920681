//! Values of several lines and of elements: YAML and XML, also where a string of JSON has their lines escaped.

use casebook_event::json::{quote, string_end};

use super::kinds::KUBERNETES_SECRET;
use super::marks::run;
use super::span::Spans;
use super::text::line_break;

/// How far before a name its line or its tag is looked for, in bytes.
const MAX_LOOK_BACK_BYTES: usize = 1024;
/// Longest tag that is read, in bytes.
const MAX_TAG_BYTES: usize = 2048;

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// Where a line ends that has content at `at`: at its break, or at the end of the string it is in.
fn line_end(text: &[u8], mut at: usize) -> usize {
    while let Some(byte) = text.get(at) {
        match byte {
            b'\n' | b'\r' | b'"' => return at,
            b'\\' => {
                if line_break(text, at).is_some() || quote(text, at).is_some() {
                    return at;
                }
                at += run(text, at, |byte| byte == b'\\');
            }
            _ => at += 1,
        }
    }
    at
}

/// How far a name's line is indented, whose name begins at `at`. What comes before the name is a quote or `- ` at most.
fn indent(text: &[u8], at: usize) -> usize {
    let before = text.get(at.saturating_sub(MAX_LOOK_BACK_BYTES)..at).unwrap_or_default();
    let blank = before
        .iter()
        .rev()
        .take_while(|byte| is_blank(**byte) || matches!(byte, b'-' | b'"' | b'\''))
        .count();
    let spaces = before.iter().rev().take(blank);
    spaces.filter(|byte| is_blank(**byte) || **byte == b'-').count()
}

/// The value of a YAML key that is a block (`|`, `>`), or stands on the next line. `at` is after the key's colon and its blanks,
/// `name` where the key begins. Returns its lines' place.
pub(super) fn block(text: &[u8], name: usize, at: usize) -> Option<(usize, usize)> {
    let marked = matches!(text.get(at), Some(b'|' | b'>'));
    let head = if marked {
        at + 1 + run(text, at + 1, |byte| matches!(byte, b'+' | b'-' | b'0'..=b'9'))
    } else {
        at
    };
    let head = head + run(text, head, is_blank);
    let mut next = head + line_break(text, head)?;
    let own = indent(text, name);
    let mut begin = None;
    let mut end = next;
    loop {
        let blank = run(text, next, is_blank);
        let close = line_end(text, next + blank);
        let empty = close == next + blank;
        if !empty {
            if blank <= own {
                break;
            }
            begin.get_or_insert(next + blank);
            end = close;
        }
        match line_break(text, close) {
            Some(length) => next = close + length,
            None => break,
        }
        // Without a mark, a value is one line.
        if !marked && begin.is_some() {
            break;
        }
    }
    let begin = begin?;
    if !marked {
        // A mapping or a list below the name, or prose.
        let value = text.get(begin..end)?;
        if value.iter().any(|byte| matches!(byte, b':' | b' ' | b'{' | b'[')) || value.starts_with(b"-") {
            return None;
        }
    }
    Some((begin, end))
}

/// A Secret of Kubernetes as YAML, whose word `Secret` is the hit: the values of `data` and `stringData` in its document.
pub(super) fn secret_document(found: &mut Spans<'_>, start: usize, end: usize) {
    let text = found.text;
    let kind = text.get(..start).unwrap_or_default().trim_ascii_end();
    if start < found.documents || !kind.ends_with(b"kind:") || line_end(text, end) != end {
        return;
    }
    let head = kind.len() - 5;
    let own = indent(text, head);
    // The keys before this one too: from the beginning of the document.
    let mut at = line_start(text, head);
    while let Some(before) = line_end_before(text, at) {
        let line = line_start(text, before);
        let content = text.get(line..before).unwrap_or_default();
        if content.starts_with(b"---") || head - line > MAX_DOCUMENT_BYTES {
            break;
        }
        at = line;
    }
    found.documents = values_below(found, at, own).max(end);
}

/// Longest part of a document before its kind that is read, in bytes.
const MAX_DOCUMENT_BYTES: usize = 64 << 10;

/// Where the line of `at` begins: after a break, or where the string that it is in begins.
fn line_start(text: &[u8], at: usize) -> usize {
    let mut start = at;
    while let Some(before) = start.checked_sub(1) {
        let letters = text.get(..before).unwrap_or_default();
        match text.get(before) {
            Some(b'\n') => break,
            Some(b'"') if !letters.ends_with(b"\\") => break,
            Some(b'n') if letters.ends_with(b"\\") => break,
            _ => start = before,
        }
        if at - start > MAX_DOCUMENT_BYTES {
            break;
        }
    }
    start
}

/// Where the line before the one that begins at `start` ends.
fn line_end_before(text: &[u8], start: usize) -> Option<usize> {
    let before = text.get(..start)?;
    if let Some(rest) = before.strip_suffix(b"\n") {
        return Some(rest.strip_suffix(b"\r").unwrap_or(rest).len());
    }
    let rest = before.strip_suffix(b"n").filter(|rest| rest.ends_with(b"\\"))?;
    let run = rest.iter().rev().take_while(|byte| **byte == b'\\').count();
    Some(rest.len() - run)
}

/// Masks what stands below `data:` and `stringData:` from `at` on, to the end of the document, and returns where that is.
fn values_below(found: &mut Spans<'_>, mut at: usize, own: usize) -> usize {
    let text = found.text;
    let mut below = false;
    loop {
        let blank = run(text, at, is_blank);
        let content = at + blank;
        let close = line_end(text, content);
        let line = text.get(content..close).unwrap_or_default();
        if line.starts_with(b"---") {
            return at;
        }
        let column = indent(text, content);
        if !line.is_empty() && column <= own {
            below = matches!(line.trim_ascii_end(), b"data:" | b"stringData:");
        } else if below
            && !line.is_empty()
            && let Some(colon) = line.iter().position(|byte| *byte == b':')
        {
            let value = content + colon + 1;
            let value = value + run(text, value, is_blank);
            if let Some((begin, end)) = block(text, content, value) {
                found.push_aside(begin, end, KUBERNETES_SECRET);
            } else if let Some((level, start)) = quote(text, value) {
                let end = string_end(text, start, level);
                found.push_aside(start, end, KUBERNETES_SECRET);
                at = line_end(text, (end + level + 1).min(text.len()));
                match line_break(text, at) {
                    Some(length) => at += length,
                    None => return text.len().min(close.max(at)),
                }
                continue;
            } else if value < close {
                found.push_aside(value, close, KUBERNETES_SECRET);
            }
        }
        match line_break(text, close) {
            Some(length) => at = close + length,
            None => return text.len().min(close.max(at)),
        }
    }
}

/// The text of the element whose name begins at `name` and ends at `end`: `<password>…</password>`, `<db:password x="y">…`.
pub(super) fn element(text: &[u8], name: usize, end: usize) -> Option<(usize, usize)> {
    let before = text.get(..name)?;
    let prefix = before
        .iter()
        .rev()
        .take(64)
        .take_while(|byte| byte.is_ascii_alphanumeric())
        .count();
    let opened = before.ends_with(b"<")
        || before.ends_with(b"&lt;")
        || (before.ends_with(b":")
            && before
                .get(..name - 1)?
                .iter()
                .rev()
                .take(64)
                .find(|byte| !byte.is_ascii_alphanumeric())
                == Some(&b'<'))
        || (prefix > 0 && before.get(..name - prefix)?.ends_with(b"<"));
    if !opened {
        return None;
    }
    content_of(text, end)
}

/// The text after the tag whose rest begins at `at`.
fn content_of(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let rest = text.get(at..text.len().min(at + MAX_TAG_BYTES))?;
    let escaped = rest.starts_with(b"&gt;");
    let close = if escaped {
        3
    } else {
        rest.iter().position(|byte| matches!(byte, b'>' | b'<'))?
    };
    if !escaped && (rest.get(close) != Some(&b'>') || rest.get(..close)?.ends_with(b"/")) {
        return None;
    }
    let mut begin = at + close + 1;
    let data = b"<![CDATA[";
    if text.get(begin..)?.starts_with(data) {
        begin += data.len();
        let rest = text.get(begin..)?;
        let length = rest.windows(3).position(|part| part == b"]]>").unwrap_or(rest.len());
        return Some((begin, begin + length));
    }
    let mut end = begin;
    while let Some(byte) = text.get(end) {
        let lower = text.get(end..).is_some_and(|rest| rest.starts_with(b"&lt;"));
        if *byte == b'<' || (escaped && lower) || quote(text, end).is_some_and(|_| *byte == b'"' || *byte == b'\\') {
            break;
        }
        end += 1;
    }
    (end > begin).then_some((begin, end))
}

/// The attribute `value` of the tag in which another attribute, whose text ends at `at`, is a secret's name; else the element's
/// text.
pub(super) fn attribute(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let before = text.get(at.saturating_sub(MAX_LOOK_BACK_BYTES)..at)?;
    let open = at - before.iter().rev().position(|byte| matches!(byte, b'<' | b'>'))? - 1;
    if text.get(open) != Some(&b'<') {
        return None;
    }
    let rest = text.get(at..text.len().min(at + MAX_TAG_BYTES))?;
    let close = at + rest.iter().position(|byte| *byte == b'>').unwrap_or(rest.len());
    let tag = text.get(open..close)?;
    for word in [&b"value="[..], b"Value=", b"VALUE="] {
        if let Some(place) = tag.windows(word.len()).position(|part| part == word) {
            let from = open + place + word.len();
            return match (quote(text, from), text.get(from)) {
                (Some((level, start)), _) => Some((start, string_end(text, start, level))),
                (None, Some(b'\'')) => Some((from + 1, from + 1 + run(text, from + 1, |byte| byte != b'\''))),
                _ => None,
            };
        }
    }
    content_of(text, close)
}
