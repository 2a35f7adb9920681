//! A JSON patch (RFC 6902), read as the part of a document that it writes: what a merge patch of the same change would say.
//!
//! The document itself is not known, so that what is not written stays unknown. A value that the patch itself states, because
//! it writes it or tests for it, can be moved and copied.

use std::collections::BTreeMap;

use casebook_event::{Value, ValueRef};
use compact_str::{CompactString, format_compact};

use crate::limits::{MAX_PATCH_COPY_BYTES, MAX_PATCH_DEPTH, MAX_PATCH_LIST, MAX_PATCH_OPERATIONS};

/// Keys under which a patch stands that is not the body itself: Cloud Audit Logs have objects alone.
const WRAPPERS: &[&str] = &["value", "patch"];

/// What `body` writes, if it is a JSON patch.
pub(crate) fn written(body: ValueRef<'_>) -> Option<Value> {
    let operations = match body {
        ValueRef::List(_) => body,
        ValueRef::Map(_) => WRAPPERS
            .iter()
            .filter_map(|key| body.get(key))
            .find(|inner| is_patch(*inner))?,
        _ => return None,
    };
    if !is_patch(operations) {
        return None;
    }
    let mut patch = Patch::default();
    for operation in operations.as_list()?.take(MAX_PATCH_OPERATIONS) {
        // What cannot be applied says nothing more.
        let _ = patch.apply(operation);
    }
    Some(patch.written.into_value())
}

fn is_patch(body: ValueRef<'_>) -> bool {
    let first = body.as_list().and_then(|mut operations| operations.next());
    first.is_some_and(|first| last(first, "op").is_some() && last(first, "path").is_some())
}

/// The value of a key, which is the last of several, as the API server reads it.
fn last<'a>(operation: ValueRef<'a>, key: &str) -> Option<ValueRef<'a>> {
    let ValueRef::Map(entries) = operation else { return None };
    entries.filter(|(k, _)| *k == key).last().map(|(_, value)| value)
}

#[derive(Debug, Default)]
struct Patch {
    /// What the patch writes.
    written: Node,
    /// What it says is there.
    tested: Node,
    copied_bytes: usize,
}

/// A part of a document.
#[derive(Debug, Clone)]
enum Node {
    Leaf(Value),
    Map(BTreeMap<CompactString, Node>),
    /// Members that are known, with their places as far as these are.
    List(Vec<(Option<usize>, Node)>),
}

impl Default for Node {
    fn default() -> Self {
        Self::Map(BTreeMap::new())
    }
}

/// A way through a document: keys and places of a JSON pointer (RFC 6901).
struct Pointer(Vec<String>);

impl Pointer {
    fn parse(text: &str) -> Option<Self> {
        // The key that is empty is the whole document's other name, for those who write it so.
        if matches!(text, "" | "/") {
            return Some(Self(Vec::new()));
        }
        let tokens = text.strip_prefix('/')?.split('/');
        let tokens: Vec<String> = tokens
            .take(MAX_PATCH_DEPTH + 1)
            .map(|token| token.replace("~1", "/").replace("~0", "~"))
            .collect();
        (tokens.len() <= MAX_PATCH_DEPTH).then_some(Self(tokens))
    }
}

impl Patch {
    fn apply(&mut self, operation: ValueRef<'_>) -> Option<()> {
        let text = |key: &str| last(operation, key).and_then(ValueRef::as_str);
        let path = Pointer::parse(text("path")?)?;
        let value = || last(operation, "value").map(Node::of);
        match text("op")? {
            "add" => self.written.put(&path.0, value()?, true),
            "replace" => self.written.put(&path.0, value()?, false),
            "test" => self.tested.put(&path.0, value()?, false),
            "remove" => self.remove(&path),
            "copy" => {
                let node = self.find(&Pointer::parse(text("from")?)?)?;
                self.written.put(&path.0, node, true);
            }
            "move" => {
                let from = Pointer::parse(text("from")?)?;
                let node = self.find(&from);
                self.remove(&from);
                self.written.put(&path.0, node?, true);
            }
            _ => {}
        }
        Some(())
    }

    fn remove(&mut self, path: &Pointer) {
        self.written.take(&path.0);
        self.tested.take(&path.0);
    }

    /// A copy of what is known to be at a place; none beyond what may be copied.
    fn find(&mut self, from: &Pointer) -> Option<Node> {
        let found = self.written.at(&from.0).or_else(|| self.tested.at(&from.0))?;
        let bytes = self.copied_bytes.saturating_add(found.bytes());
        if bytes > MAX_PATCH_COPY_BYTES {
            return None;
        }
        self.copied_bytes = bytes;
        Some(found.clone())
    }
}

/// The place in an array that a token names; `-` is after its end. A key of digits reads the same.
enum Place {
    At(usize),
    End,
}

fn place(token: &str) -> Option<Place> {
    if token == "-" {
        return Some(Place::End);
    }
    let digits = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| token.parse().ok().map(Place::At))?
}

impl Node {
    fn of(value: ValueRef<'_>) -> Self {
        match value {
            // Of keys that are given twice, the API server takes the last.
            ValueRef::Map(entries) => Self::Map(entries.map(|(key, value)| (key.into(), Self::of(value))).collect()),
            ValueRef::List(items) => Self::List(items.enumerate().map(|(n, item)| (Some(n), Self::of(item))).collect()),
            leaf => Self::Leaf(leaf.to_value()),
        }
    }

    fn into_value(self) -> Value {
        match self {
            Self::Leaf(value) => value,
            Self::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|(key, node)| (key, node.into_value()))
                    .collect(),
            ),
            Self::List(items) => Value::List(items.into_iter().map(|(_, node)| node.into_value()).collect()),
        }
    }

    fn bytes(&self) -> usize {
        let inner = match self {
            Self::Leaf(value) => value.as_str().map_or(0, str::len),
            Self::Map(entries) => entries.iter().map(|(key, node)| key.len() + node.bytes()).sum(),
            Self::List(items) => items.iter().map(|(_, node)| node.bytes()).sum(),
        };
        inner + size_of::<Self>()
    }

    fn at(&self, path: &[String]) -> Option<&Node> {
        let Some((token, rest)) = path.split_first() else {
            return Some(self);
        };
        match self {
            Self::Map(entries) => entries.get(token.as_str())?.at(rest),
            Self::List(items) => match place(token)? {
                Place::At(n) => items.iter().find(|(at, _)| *at == Some(n))?.1.at(rest),
                Place::End => None,
            },
            Self::Leaf(_) => None,
        }
    }

    /// Puts a value at a path, and what is on the way to it. In an array, `insert` moves what is after it.
    fn put(&mut self, path: &[String], value: Node, insert: bool) {
        let Some((token, rest)) = path.split_first() else {
            *self = value;
            return;
        };
        // A number may name a place or a key: what else is known of the same node says which, the first time or later.
        match self {
            Self::Map(entries) if entries.is_empty() && place(token).is_some() => *self = Self::List(Vec::new()),
            Self::List(items) if place(token).is_none() => {
                let entries = items.drain(..).map(|(at, node)| {
                    let key = at.map_or_else(|| "-".into(), |at| format_compact!("{at}"));
                    (key, node)
                });
                *self = Self::Map(entries.collect());
            }
            _ => {}
        }
        match self {
            Self::Map(entries) => entries.entry(token.into()).or_default().put(rest, value, insert),
            Self::List(items) => put_in_list(items, token, rest, value, insert),
            // The API server refuses the patch.
            Self::Leaf(_) => {}
        }
    }

    /// Takes away what is at a path.
    fn take(&mut self, path: &[String]) {
        let Some((token, rest)) = path.split_first() else {
            *self = Self::default();
            return;
        };
        match self {
            Self::Map(entries) if rest.is_empty() => {
                entries.remove(token.as_str());
            }
            Self::Map(entries) => {
                if let Some(inner) = entries.get_mut(token.as_str()) {
                    inner.take(rest);
                }
            }
            Self::List(items) => {
                let Some(Place::At(n)) = place(token) else { return };
                if !rest.is_empty() {
                    if let Some((_, inner)) = items.iter_mut().find(|(at, _)| *at == Some(n)) {
                        inner.take(rest);
                    }
                    return;
                }
                items.retain(|(at, _)| *at != Some(n));
                for (at, _) in items {
                    *at = at.map(|at| if at > n { at - 1 } else { at });
                }
            }
            Self::Leaf(_) => {}
        }
    }
}

fn put_in_list(items: &mut Vec<(Option<usize>, Node)>, token: &str, rest: &[String], value: Node, insert: bool) {
    let at = match place(token) {
        Some(Place::At(n)) => Some(n),
        _ => None,
    };
    if insert && rest.is_empty() {
        for (other, _) in items.iter_mut() {
            *other = other.map(|other| {
                if at.is_some_and(|at| other >= at) {
                    other + 1
                } else {
                    other
                }
            });
        }
    } else if let Some((_, inner)) = items.iter_mut().find(|(other, _)| at.is_some() && *other == at) {
        return inner.put(rest, value, insert);
    }
    if items.len() < MAX_PATCH_LIST {
        let mut inner = Node::default();
        inner.put(rest, value, insert);
        items.push((at, inner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(patch: &str, want: &str) {
        let value: Value = serde_json::from_str(patch).unwrap();
        let written = written(value.as_ref()).map(|value| value.to_text().into_owned());
        assert_eq!(written.unwrap_or_default(), want, "{patch}");
    }

    #[test]
    fn paths_become_documents() {
        check(
            r#"[{"op":"replace","path":"/spec/containers/0/image","value":"x"},{"op":"add","path":"/spec/hostPID","value":true},
                {"op":"add","path":"/spec/containers/0/securityContext","value":{"privileged":true}}]"#,
            r#"{"spec":{"containers":[{"image":"x","securityContext":{"privileged":true}}],"hostPID":true}}"#,
        );
        check(
            r#"[{"op":"add","path":"/spec","value":{"a":1}},{"op":"add","path":"/spec/b~1c~0d","value":2}]"#,
            r#"{"spec":{"a":1,"b/c~d":2}}"#,
        );
        check(r#"[{"op":"replace","path":"","value":{"spec":{}}}]"#, r#"{"spec":{}}"#);
        check(r#"[{"op":"replace","path":"/","value":{"spec":{}}}]"#, r#"{"spec":{}}"#);
        check(
            r#"[{"op":"add","path":"/l/-","value":{"image":"a"}},{"op":"add","path":"/l/-","value":{"image":"b"}}]"#,
            r#"{"l":[{"image":"a"},{"image":"b"}]}"#,
        );
        check(
            r#"{"@type":"k8s.io/Patch","value":[{"op":"add","path":"/a","value":1}]}"#,
            r#"{"a":1}"#,
        );
        check(r#"{"a":1}"#, "");
        check("[]", "");
        check(r#"[{"op":"add"}]"#, "");
    }

    #[test]
    fn places_in_arrays_move() {
        check(
            r#"[{"op":"add","path":"/l/0","value":{"n":"a"}},{"op":"add","path":"/l/0","value":{"n":"b"}},
                {"op":"replace","path":"/l/1/n","value":"c"},{"op":"remove","path":"/l/0"},{"op":"add","path":"/l/0/m","value":1}]"#,
            r#"{"l":[{"m":1,"n":"c"}]}"#,
        );
    }

    #[test]
    fn values_that_the_patch_tells_of_are_moved_and_copied() {
        check(
            r#"[{"op":"add","path":"/metadata/annotations","value":{"a/b":"evil:1"}},
                {"op":"move","from":"/metadata/annotations/a~1b","path":"/spec/containers/0/image"}]"#,
            r#"{"metadata":{"annotations":{}},"spec":{"containers":[{"image":"evil:1"}]}}"#,
        );
        check(
            r#"[{"op":"test","path":"/metadata/labels/x","value":{"privileged":true}},
                {"op":"copy","from":"/metadata/labels/x","path":"/spec/containers/0/securityContext"}]"#,
            r#"{"spec":{"containers":[{"securityContext":{"privileged":true}}]}}"#,
        );
        check(
            r#"[{"op":"copy","from":"/unknown","path":"/spec/x"},{"op":"add","path":"/a","value":1}]"#,
            r#"{"a":1}"#,
        );
        check(
            r#"[{"op":"add","path":"/a","value":1},{"op":"remove","path":"/a"},{"op":"test","path":"/b","value":2}]"#,
            "{}",
        );
    }

    #[test]
    fn a_key_of_digits_hides_nothing() {
        let image = r#"{"op":"replace","path":"/spec/containers/0/image","value":"x"}"#;
        let digits = r#"{"op":"add","path":"/spec/0","value":"y"}"#;
        let want = r#"{"spec":{"0":"y","containers":[{"image":"x"}]}}"#;
        check(&format!("[{image},{digits}]"), want);
        check(&format!("[{digits},{image}]"), want);
    }

    #[test]
    fn keys_given_twice_are_read_as_the_server_does() {
        check(
            r#"[{"op":"add","path":"/metadata/x","path":"/spec/hostPID","value":false,"value":true}]"#,
            r#"{"spec":{"hostPID":true}}"#,
        );
    }

    #[test]
    fn copies_of_copies_are_bounded() {
        let mut patch = vec![r#"{"op":"add","path":"/a","value":{"x":"0123456789"}}"#.to_owned()];
        for n in 0..60 {
            patch.push(format!(r#"{{"op":"copy","from":"","path":"/c{n}"}}"#));
        }
        patch.push(r#"{"op":"add","path":"/last","value":1}"#.to_owned());
        let value: Value = serde_json::from_str(&format!("[{}]", patch.join(","))).unwrap();
        let written = written(value.as_ref()).unwrap();
        assert_eq!(written.get("last").and_then(Value::as_i64), Some(1));
        assert!(written.to_text().len() < 4 * MAX_PATCH_COPY_BYTES);
        let deep = format!(
            r#"[{{"op":"add","path":"{}","value":1}}]"#,
            "/a".repeat(MAX_PATCH_DEPTH + 1)
        );
        check(&deep, "{}");
    }
}
