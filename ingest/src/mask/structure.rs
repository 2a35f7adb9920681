//! Secrets that only the structure of JSON shows: the values of Kubernetes Secrets, in audit records, watches, lists, patches, and
//! the annotation in which `kubectl` keeps the last applied object; a value beside its name in either order, which a container's
//! environment, OTLP's attributes and Azure's key listings are made of; private keys of RFC 7517.

use casebook_event::json::{Scanner, Token, quote};

use super::kinds::*;
use super::marks::run;
use super::names::{Named, is_key_like, kind_of, secret_name};
use super::secret_value::says_nothing;
use super::span::{Span, StandsIn};
use super::text::{is_masked, skip_space};

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

/// Whether a word that may need the structure around it does: `"keyName"` of Azure's listings (`key1`), not that of a machine.
pub(super) fn is_needed(text: &[u8], needle: &str, end: usize) -> bool {
    let value = text
        .get(end..text.len().min(end + 24))
        .unwrap_or_default()
        .to_ascii_lowercase();
    needle != "\"keyname"
        || value
            .windows(4)
            .any(|part| matches!(part, b"key1" | b"key2" | b"\"pri" | b"\"sec"))
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
    /// In `data` or `stringData`.
    data: bool,
    /// A patch whose path is below either.
    patch: bool,
    /// The object names a secret, whose value it has too.
    named: Option<Named>,
    /// Some key of it has said what it is called.
    has_name: bool,
    /// A container's environment, or a variable of it.
    environment: bool,
    /// Below the value of a pair.
    value: bool,
    /// Below a name that says that it is a secret.
    below: Option<Named>,
    /// A key of RFC 7517.
    is_jwk: bool,
    pending: Vec<Span>,
    /// The values of a patch or a pair, until its path or its name is known.
    values: Vec<Span>,
    /// Names within those, which are secrets of a patch alone.
    value_names: Vec<Span>,
    /// The private parts of a key.
    parts: Vec<Span>,
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
    Name,
    /// The name of a key, which is a secret whatever it is called.
    AccountName,
    Value,
    /// A name that says what is below it.
    Secret(Named),
    JwkType,
    Environment,
    /// A private part of a key of RFC 7517.
    PrivatePart,
}

impl Key {
    fn of(name: &[u8]) -> Self {
        match name {
            b"kind" => Self::Kind,
            b"resource" => Self::Resource,
            b"objectRef" => Self::ObjectRef,
            b"data" | b"stringData" => Self::Data,
            b"path" => Self::Path,
            b"name" | b"Name" | b"key" | b"Key" | b"ParameterKey" | b"parameterKey" | b"header" | b"variable"
            | b"field" | b"parameter" | b"option" | b"property" => Self::Name,
            b"keyName" | b"AccountName" => Self::AccountName,
            b"value" | b"Value" | b"ParameterValue" | b"parameterValue" | b"stringValue" | b"StringValue"
            | b"#text" | b"$" | b"plaintext" | b"values" | b"intValue" | b"bytesValue" => Self::Value,
            b"kty" => Self::JwkType,
            b"env" | b"environment" | b"Environment" | b"variables" => Self::Environment,
            b"d" | b"p" | b"q" | b"dp" | b"dq" | b"qi" | b"k" => Self::PrivatePart,
            _ => secret_name(name).map_or(Self::Other, Self::Secret),
        }
    }
}

/// Whether a text is JSON that ends too early: then a value may stand before a name that was cut off.
pub(super) fn is_cut(text: &[u8]) -> bool {
    text.first() == Some(&b'{') && !matches!(text.trim_ascii_end().last(), Some(b'}' | b']'))
}

/// Whether a key's value is the name of another.
pub(super) fn names_value(key: &[u8]) -> bool {
    matches!(Key::of(key), Key::Name | Key::AccountName | Key::Path)
}

/// Appends the secrets of `text` that its structure shows.
pub(super) fn secrets(text: &[u8], spans: &mut Vec<Span>) {
    walk(text, 0, text.len(), 0, MAX_STRINGS, spans);
}

/// The JSON from `start` to `end` whose quotes have `level` backslashes. Tolerant: what is no JSON is passed over.
fn walk(text: &[u8], start: usize, end: usize, level: usize, strings: usize, spans: &mut Vec<Span>) {
    let mut stack = vec![Frame::default()];
    let mut deeper = 0usize;
    let mut scanner = Scanner::of_level(start, level);
    while let Some(token) = scanner.next(text).or_else(|| scanner.finish(text)) {
        let from = match token {
            Token::String { start, .. } => start - (level + 1),
            Token::Scalar { start, .. } => start,
            _ => scanner.at() - 1,
        };
        if from >= end {
            break;
        }
        match token {
            Token::String { start, end: close } => {
                let close = close.min(end);
                let after = (close + level + 1).min(end);
                string(text, (start, close), after, level, strings, &mut stack, spans);
            }
            Token::Scalar { start, end: close } => {
                if let Some(frame) = stack.last_mut() {
                    numbers(text, frame, (start, close.min(end)), level, spans);
                }
            }
            Token::Open(_) if stack.len() >= MAX_DEPTH => deeper += 1,
            Token::Open(_) => open(&mut stack),
            Token::Close(_) if deeper > 0 => deeper -= 1,
            Token::Close(_) if stack.len() > 1 => close(text, &mut stack, spans),
            Token::Comma => {
                if let Some(frame) = stack.last_mut() {
                    frame.key = Key::Other;
                }
            }
            _ => {}
        }
    }
    while stack.len() > 1 {
        // What was cut off may have been the name.
        if let Some(frame) = stack.last_mut().filter(|frame| frame.environment && !frame.has_name) {
            frame.named.get_or_insert(Named {
                kind: PASSWORD,
                doubtful: false,
            });
        }
        close(text, &mut stack, spans);
    }
    if let Some(mut frame) = stack.pop() {
        settle(text, &mut frame, spans);
        if frame.secret == Some(true) {
            spans.extend(frame.pending);
        }
    }
}

/// Notes the numbers of a scalar: what is no JSON may have them within words.
fn numbers(text: &[u8], frame: &mut Frame, (start, end): (usize, usize), level: usize, spans: &mut Vec<Span>) {
    let mut at = start;
    while at < end {
        let length = match text.get(at) {
            Some(b'0'..=b'9' | b'-') => run(text, at, |byte| {
                byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E')
            }),
            _ => 0,
        };
        if length > 0 {
            note(text, frame, at, (at + length).min(end), StandsIn::Quoted(level), spans);
        }
        at += length.max(1);
    }
}

fn open(stack: &mut Vec<Frame>) {
    let Some(outer) = stack.last() else { return };
    let key = outer.key;
    stack.push(Frame {
        parent: key,
        // A list's members stand under the list's key.
        key: Key::Other,
        data: outer.data || key == Key::Data,
        environment: key == Key::Environment || (outer.environment && key == Key::Other),
        value: outer.value || key == Key::Value,
        below: match key {
            Key::Secret(named) => Some(named),
            _ => outer.below,
        },
        ..Frame::default()
    });
}

fn string(
    text: &[u8],
    (start, end): (usize, usize),
    after: usize,
    level: usize,
    strings: usize,
    stack: &mut [Frame],
    spans: &mut Vec<Span>,
) {
    let Some(frame) = stack.last_mut() else { return };
    let content = text.get(start..end).unwrap_or_default();
    if text.get(skip_space(text, after)) == Some(&b':') {
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
        Key::Path => {
            frame.has_name = true;
            frame.patch = content.starts_with(b"/data") || content.starts_with(b"/stringData");
            let last = content.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
            frame.named = frame
                .named
                .or_else(|| secret_name(last).filter(|_| content.starts_with(b"/")));
        }
        Key::Name => {
            frame.named = frame.named.or_else(|| pair_name(content));
            frame.has_name = true;
        }
        Key::AccountName => {
            frame.named = Some(Named {
                kind: AZURE_SECRET,
                doubtful: true,
            });
        }
        Key::JwkType => frame.is_jwk = true,
        _ => {}
    }
    if frame.data || frame.value || matches!(frame.key, Key::Value | Key::PrivatePart) {
        note(text, frame, start, end, StandsIn::Kind, spans);
    }
    if !frame.data && strings > 0 && content.contains(&b'{') {
        walk(text, start, end, 2 * level + 1, strings - 1, spans);
    }
}

/// The name of a pair: a variable, an attribute, a parameter with a path before it, a header.
fn pair_name(content: &[u8]) -> Option<Named> {
    let last = content
        .rsplit(|byte| matches!(byte, b'/' | b':'))
        .next()
        .unwrap_or_default();
    let name = last.to_ascii_lowercase();
    match name.as_slice() {
        b"authorization" | b"proxy-authorization" => Some(BEARER_TOKEN),
        b"cookie" | b"set-cookie" => Some(COOKIE),
        _ => return secret_name(last).filter(|named| named.kind != DOCKER_AUTH),
    }
    .map(|kind| Named { kind, doubtful: false })
}

fn note(text: &[u8], frame: &mut Frame, start: usize, end: usize, stands_in: StandsIn, spans: &mut Vec<Span>) {
    if start >= end || is_masked(text, start, end) {
        return;
    }
    let is_number = stands_in != StandsIn::Kind;
    let span = Span {
        start,
        end,
        kind: KUBERNETES_SECRET,
        stands_in,
    };
    let is_value = frame.key == Key::Value || frame.value;
    if frame.data {
        frame.pending.push(span);
    } else if let Some(named) = frame.below.filter(|_| is_value && frame.key != Key::Name) {
        if let Some(span) = secret_of(text, span, named, is_number) {
            spans.push(span);
        }
    } else if is_value && matches!(frame.key, Key::Name | Key::AccountName | Key::Kind | Key::Path) {
        frame.value_names.push(span);
    } else if is_value {
        frame.values.push(span);
    } else if frame.key == Key::PrivatePart {
        frame.parts.push(Span {
            kind: PRIVATE_KEY,
            ..span
        });
    }
}

/// The value of a name, unless it says that there is none.
fn secret_of(text: &[u8], span: Span, named: Named, is_number: bool) -> Option<Span> {
    let value = text.get(span.start..span.end).unwrap_or_default();
    if says_nothing(value)
        || (is_number && named.kind != PASSWORD)
        || (named.doubtful && !is_key_like(value, named.kind))
    {
        return None;
    }
    Some(Span {
        kind: kind_of(value, named.kind),
        ..span
    })
}

/// Says which of an object's values are secrets, now that it is whole.
fn settle(text: &[u8], frame: &mut Frame, spans: &mut Vec<Span>) {
    if frame.patch {
        frame
            .pending
            .extend(frame.values.iter().chain(&frame.value_names).cloned());
    }
    if let Some(named) = frame.named {
        for span in &frame.values {
            let is_number = span.stands_in != StandsIn::Kind;
            spans.extend(secret_of(text, span.clone(), named, is_number));
        }
    }
    if frame.is_jwk {
        spans.append(&mut frame.parts);
    }
}

/// Ends the innermost object: its values are those of a Secret, of something else, or the object around it knows.
fn close(text: &[u8], stack: &mut Vec<Frame>, spans: &mut Vec<Span>) {
    let Some(mut frame) = stack.pop() else { return };
    let Some(parent) = stack.last_mut() else { return };
    settle(text, &mut frame, spans);
    // What is below a value is the value.
    if frame.value && !frame.data {
        parent.values.append(&mut frame.values);
        parent.value_names.append(&mut frame.value_names);
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
