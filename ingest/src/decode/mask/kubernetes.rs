//! The values of Kubernetes Secrets: in audit records, watches, lists, patches, and the annotation in which `kubectl`
//! keeps the last applied object.

use super::text::{is_masked, quote, skip_space, string_end};
use super::{KUBERNETES_SECRET, Span};

/// Deepest object that is followed, in levels. What is in deeper ones counts to the last.
const MAX_DEPTH: usize = 128;
/// Levels of JSON in strings of JSON that are looked into: an audit record, its annotation, and a log line around both.
const MAX_STRINGS: usize = 4;

/// Whether the word `secret` at `start` is a kind or a resource: `"Secret"`, `"SecretList"`, `"secrets"`.
pub(super) fn names_secrets(text: &[u8], start: usize, end: usize) -> bool {
    let quoted = start > 0 && text.get(start - 1) == Some(&b'"');
    let rest = text.get(end..).unwrap_or_default();
    let tail = rest
        .iter()
        .take_while(|byte| byte.is_ascii_alphabetic())
        .take(5)
        .count();
    let word = rest.get(..tail).unwrap_or_default().to_ascii_lowercase();
    quoted && matches!(word.as_slice(), b"" | b"s" | b"list") && quote(text, end + tail).is_some()
}

/// An object or a list that is open.
#[derive(Default)]
struct Frame {
    /// The key whose value comes next.
    key: Key,
    /// The key under which this one stands.
    parent: Key,
    /// What it says of itself: a Secret, or something else that is none.
    secret: Option<bool>,
    /// In `data` or `stringData`, or the value of a patch.
    data: bool,
    /// A patch whose path is below either.
    patch: bool,
    pending: Vec<Span>,
    /// The values of a patch, until its path is known.
    value: Vec<Span>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Key {
    #[default]
    Other,
    Kind,
    Resource,
    ObjectRef,
    Data,
    Path,
    Value,
}

impl Key {
    fn of(name: &[u8]) -> Self {
        match name {
            b"kind" => Self::Kind,
            b"resource" => Self::Resource,
            b"objectRef" => Self::ObjectRef,
            b"data" | b"stringData" => Self::Data,
            b"path" => Self::Path,
            b"value" => Self::Value,
            _ => Self::Other,
        }
    }
}

/// Appends the values of every Secret that `text` holds.
pub(super) fn secrets(text: &[u8], spans: &mut Vec<Span>) {
    walk(text, 0, text.len(), 0, MAX_STRINGS, spans);
}

/// The JSON from `start` to `end` whose quotes have `level` backslashes. Tolerant: what is no JSON is passed over.
fn walk(text: &[u8], start: usize, end: usize, level: usize, strings: usize, spans: &mut Vec<Span>) {
    let mut stack = vec![Frame::default()];
    let mut deeper = 0usize;
    let mut at = start;
    while at < end {
        match text.get(at) {
            Some(b'{' | b'[') if stack.len() >= MAX_DEPTH => deeper += 1,
            Some(b'{' | b'[') => {
                let frame = stack.last();
                let (key, data) = frame.map_or((Key::Other, false), |frame| (frame.key, frame.data));
                stack.push(Frame {
                    parent: key,
                    // A list's members stand under the list's key.
                    key: Key::Other,
                    data: data || key == Key::Data,
                    ..Frame::default()
                });
            }
            Some(b'}' | b']') if deeper > 0 => deeper -= 1,
            Some(b'}' | b']') if stack.len() > 1 => close(&mut stack, spans),
            Some(b',') => {
                if let Some(frame) = stack.last_mut() {
                    frame.key = Key::Other;
                }
            }
            Some(b'"' | b'\\') => {
                if let Some((found, content)) = quote(text, at)
                    && found == level
                {
                    let close = string_end(text, content, level).min(end);
                    let behind = (close + level + 1).min(end);
                    string(text, (content, close), behind, level, strings, &mut stack, spans);
                    at = behind;
                    continue;
                }
            }
            Some(b'0'..=b'9' | b'-') => {
                let length = super::marks::run(text, at, |byte| {
                    byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E')
                });
                if let Some(frame) = stack.last_mut() {
                    note(text, frame, at, (at + length).min(end), Some(level));
                }
                at += length.max(1);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    while stack.len() > 1 {
        close(&mut stack, spans);
    }
    if let Some(frame) = stack.pop()
        && frame.secret == Some(true)
    {
        spans.extend(frame.pending);
    }
}

fn string(
    text: &[u8],
    (start, end): (usize, usize),
    behind: usize,
    level: usize,
    strings: usize,
    stack: &mut [Frame],
    spans: &mut Vec<Span>,
) {
    let Some(frame) = stack.last_mut() else { return };
    let content = text.get(start..end).unwrap_or_default();
    if text.get(skip_space(text, behind)) == Some(&b':') {
        frame.key = Key::of(content);
        return;
    }
    match frame.key {
        _ if frame.data => {}
        Key::Kind => {
            // An audit record, a list of anything and a watch say nothing of what is in them.
            frame.secret = match content {
                b"Secret" | b"SecretList" => Some(true),
                b"Event" | b"EventList" | b"List" | b"WatchEvent" | b"" => frame.secret,
                _ => Some(false),
            };
        }
        Key::Resource if content == b"secrets" => frame.secret = Some(true),
        Key::Path => frame.patch = content.starts_with(b"/data") || content.starts_with(b"/stringData"),
        _ => {}
    }
    if frame.data || frame.key == Key::Value {
        note(text, frame, start, end, None);
    } else if strings > 0 && content.contains(&b'{') {
        walk(text, start, end, 2 * level + 1, strings - 1, spans);
    }
}

fn note(text: &[u8], frame: &mut Frame, start: usize, end: usize, quote: Option<usize>) {
    if start >= end || is_masked(text, start, end) {
        return;
    }
    let span = Span {
        start,
        end,
        kind: KUBERNETES_SECRET,
        quote,
    };
    if frame.data {
        frame.pending.push(span);
    } else if frame.key == Key::Value {
        frame.value.push(span);
    }
}

/// Ends the innermost object: its values are those of a Secret, of something else, or the object around it knows.
fn close(stack: &mut Vec<Frame>, spans: &mut Vec<Span>) {
    let Some(mut frame) = stack.pop() else { return };
    let Some(parent) = stack.last_mut() else { return };
    if frame.patch {
        frame.pending.append(&mut frame.value);
    }
    if frame.parent == Key::ObjectRef {
        if frame.secret == Some(true) {
            parent.secret = Some(true);
        }
        return;
    }
    // A Secret may have a key `kind` of its own in its data.
    match frame.secret {
        Some(true) if !frame.data => spans.append(&mut frame.pending),
        Some(false) if !frame.data => {}
        _ if parent.pending.is_empty() => parent.pending = frame.pending,
        _ => parent.pending.append(&mut frame.pending),
    }
}
