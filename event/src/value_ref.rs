//! A value to read, wherever it is kept: as a tree of its own ([`Value`]) or as a place in a parsed text
//! ([`Tape`](crate::Tape)).

use std::borrow::Cow;

use compact_str::CompactString;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use crate::Value;
use crate::tape::{Cursor, Kind, Tape};

/// A value that is read and not owned. Equal values read alike from a tree and from a tape.
#[derive(Debug, Clone, Copy)]
pub enum ValueRef<'a> {
    /// See [`Value::Null`].
    Null,
    /// See [`Value::Bool`].
    Bool(bool),
    /// See [`Value::Int`].
    Int(i64),
    /// See [`Value::Float`].
    Float(f64),
    /// See [`Value::Str`].
    Str(&'a str),
    /// See [`Value::List`].
    List(Items<'a>),
    /// See [`Value::Map`].
    Map(Entries<'a>),
}

/// The members of an array, in their order.
#[derive(Debug, Clone, Copy)]
pub struct Items<'a>(Kept<'a, Value>);

/// The entries of an object, in their order.
#[derive(Debug, Clone, Copy)]
pub struct Entries<'a>(Kept<'a, (CompactString, Value)>);

/// Where members are kept, and those that are left.
#[derive(Debug)]
enum Kept<'a, T> {
    Tree(&'a [T]),
    Tape(Cursor<'a>),
}

impl<T> Clone for Kept<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Kept<'_, T> {}

impl<'a> Items<'a> {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.clone().next().is_none()
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = ValueRef<'a>;

    fn next(&mut self) -> Option<ValueRef<'a>> {
        match &mut self.0 {
            Kept::Tree(items) => {
                let (first, rest) = items.split_first()?;
                *items = rest;
                Some(first.as_ref())
            }
            Kept::Tape(cursor) => next_of(cursor),
        }
    }
}

impl<'a> Entries<'a> {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.clone().next().is_none()
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a str, ValueRef<'a>);

    fn next(&mut self) -> Option<(&'a str, ValueRef<'a>)> {
        match &mut self.0 {
            Kept::Tree(entries) => {
                let ((key, value), rest) = entries.split_first()?;
                *entries = rest;
                Some((key, value.as_ref()))
            }
            Kept::Tape(cursor) => Some((cursor.next_key()?, next_of(cursor)?)),
        }
    }
}

impl<'a> ValueRef<'a> {
    /// The text of a `Str`.
    pub fn as_str(self) -> Option<&'a str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The number of an `Int`.
    pub fn as_i64(self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(number),
            _ => None,
        }
    }

    /// The members of a `List`.
    pub fn as_list(self) -> Option<Items<'a>> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// Whether this is `true`.
    pub fn is_true(self) -> bool {
        matches!(self, Self::Bool(true))
    }

    /// Whether this is `null`.
    pub fn is_null(self) -> bool {
        matches!(self, Self::Null)
    }

    /// The first entry named `key` of a `Map`.
    pub fn get(self, key: &str) -> Option<ValueRef<'a>> {
        match self {
            Self::Map(Entries(Kept::Tree(entries))) => {
                entries.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_ref())
            }
            Self::Map(Entries(Kept::Tape(mut cursor))) => cursor.find(key).then(|| next_of(&mut cursor))?,
            _ => None,
        }
    }

    /// The value at `keys`, going down one object a key. Arrays are not entered: see [`ValueRef::visit_path`] for that.
    pub fn at(self, keys: &[&str]) -> Option<ValueRef<'a>> {
        keys.iter().try_fold(self, |value, key| value.get(key))
    }

    /// The text at `keys`, if there is any and it is not empty.
    pub fn str_at(self, keys: &[&str]) -> Option<&'a str> {
        self.at(keys).and_then(Self::as_str).filter(|text| !text.is_empty())
    }

    /// Calls `visit` with every value that the dotted `path` names, until it returns `true`; returns whether it did.
    ///
    /// Arrays on the way are entered, and a key may itself contain dots (`annotations.authorization.k8s.io/decision`).
    /// An array at the end is given as its members; an empty one is given as itself.
    pub fn visit_path(self, path: &str, visit: &mut dyn FnMut(ValueRef<'_>) -> bool) -> bool {
        match self {
            Self::Map(mut entries) => entries.any(|(key, value)| match path.strip_prefix(key) {
                Some("") => value.visit_members(visit),
                Some(rest) => rest.strip_prefix('.').is_some_and(|rest| value.visit_path(rest, visit)),
                None => false,
            }),
            Self::List(mut items) => items.any(|item| item.visit_path(path, visit)),
            _ => false,
        }
    }

    /// Calls `visit` with this value, or with each member (nested arrays too) if it is an array that is not empty.
    pub fn visit_members(self, visit: &mut dyn FnMut(ValueRef<'_>) -> bool) -> bool {
        match self {
            Self::List(mut items) if !items.is_empty() => items.any(|item| item.visit_members(visit)),
            other => visit(other),
        }
    }

    /// Calls `visit` with every leaf below this value, until it returns `true`; returns whether it did.
    pub fn visit_leaves(self, visit: &mut dyn FnMut(ValueRef<'_>) -> bool) -> bool {
        match self {
            Self::Map(mut entries) => entries.any(|(_, value)| value.visit_leaves(visit)),
            Self::List(mut items) => items.any(|item| item.visit_leaves(visit)),
            leaf => visit(leaf),
        }
    }

    /// The text that a string predicate or a group key sees: numbers and booleans as JSON writes them, `null` as empty.
    pub fn to_text(self) -> Cow<'a, str> {
        match self {
            Self::Null => "".into(),
            Self::Bool(true) => "true".into(),
            Self::Bool(false) => "false".into(),
            Self::Int(number) => number.to_string().into(),
            Self::Float(number) => number.to_string().into(),
            Self::Str(text) => text.into(),
            Self::List(_) | Self::Map(_) => serde_json::to_string(&self).unwrap_or_default().into(),
        }
    }

    /// The same value as a tree of its own.
    pub fn to_value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(flag) => Value::Bool(flag),
            Self::Int(number) => Value::Int(number),
            Self::Float(number) => Value::Float(number),
            Self::Str(text) => Value::str(text),
            Self::List(items) => Value::List(items.map(Self::to_value).collect()),
            Self::Map(entries) => Value::Map(entries.map(|(key, value)| (key.into(), value.to_value())).collect()),
        }
    }
}

/// The next value of a tape.
fn next_of<'a>(cursor: &mut Cursor<'a>) -> Option<ValueRef<'a>> {
    let (node, inner) = cursor.next_node()?;
    Some(match node.kind {
        Kind::Null => ValueRef::Null,
        Kind::True => ValueRef::Bool(true),
        Kind::False => ValueRef::Bool(false),
        Kind::Int => ValueRef::Int(node.as_bits().cast_signed()),
        Kind::Float => ValueRef::Float(f64::from_bits(node.as_bits())),
        Kind::Text | Kind::Unescaped => ValueRef::Str(cursor.text_of(node)),
        Kind::List => ValueRef::List(Items(Kept::Tape(inner))),
        Kind::Map => ValueRef::Map(Entries(Kept::Tape(inner))),
    })
}

impl Tape {
    /// The value of the whole text, which must be the one that was parsed.
    pub fn root<'a>(&'a self, text: &'a str) -> ValueRef<'a> {
        next_of(&mut self.cursor(text)).unwrap_or(ValueRef::Null)
    }
}

impl Value {
    /// The same value, to be read.
    pub fn as_ref(&self) -> ValueRef<'_> {
        self.into()
    }

    /// See [`ValueRef::visit_path`].
    pub fn visit_path(&self, path: &str, visit: &mut dyn FnMut(ValueRef<'_>) -> bool) -> bool {
        self.as_ref().visit_path(path, visit)
    }

    /// See [`ValueRef::visit_members`].
    pub fn visit_members(&self, visit: &mut dyn FnMut(ValueRef<'_>) -> bool) -> bool {
        self.as_ref().visit_members(visit)
    }

    /// See [`ValueRef::to_text`].
    pub fn to_text(&self) -> Cow<'_, str> {
        self.as_ref().to_text()
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_ref().serialize(serializer)
    }
}

impl<'a> From<&'a Value> for ValueRef<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(flag) => Self::Bool(*flag),
            Value::Int(number) => Self::Int(*number),
            Value::Float(number) => Self::Float(*number),
            Value::Str(text) => Self::Str(text),
            Value::List(items) => Self::List(Items(Kept::Tree(items))),
            Value::Map(entries) => Self::Map(Entries(Kept::Tree(entries))),
        }
    }
}

impl Serialize for ValueRef<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(flag) => serializer.serialize_bool(flag),
            Self::Int(number) => serializer.serialize_i64(number),
            Self::Float(number) => serializer.serialize_f64(number),
            Self::Str(text) => serializer.serialize_str(text),
            Self::List(items) => {
                let mut seq = serializer.serialize_seq(None)?;
                for item in items {
                    seq.serialize_element(&item)?;
                }
                seq.end()
            }
            Self::Map(entries) => {
                let mut map = serializer.serialize_map(None)?;
                for (key, value) in entries {
                    map.serialize_entry(key, &value)?;
                }
                map.end()
            }
        }
    }
}
