//! The dynamic value that decoders produce and rules read: JSON's model, with integers and floats kept apart.

use std::fmt;

use compact_str::CompactString;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A value of an event's field.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// JSON `null`, and a field that a source names but leaves empty.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number. JSON numbers beyond `i64` become `Float`; the raw text keeps them exact.
    Int(i64),
    /// Any other number; never NaN when it comes from JSON.
    Float(f64),
    /// Text. Up to 24 bytes live inline, without an allocation.
    Str(CompactString),
    /// An array. A predicate matches an array when it matches any member.
    List(Vec<Value>),
    /// An object, in the order of the source. Duplicate keys are all kept, so that none can hide another from a rule.
    Map(Vec<(CompactString, Value)>),
}

impl Value {
    /// Text.
    pub fn str(text: impl AsRef<str>) -> Self {
        Self::Str(CompactString::new(text))
    }

    /// The text of a `Str`.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(s) => Some(s),
            _ => None,
        }
    }

    /// The number of an `Int`.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(n) => Some(*n),
            _ => None,
        }
    }

    /// The number of an `Int` or a `Float`.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(n) => Some(*n as f64),
            Self::Float(n) => Some(*n),
            _ => None,
        }
    }

    /// The members of a `List`.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// The first entry named `key` of a `Map`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Self::Map(entries) => entries.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The value at `keys`, going down one object a key. Arrays are not entered: see [`ValueRef::visit_path`](crate::ValueRef::visit_path) for that.
    pub fn at(&self, keys: &[&str]) -> Option<&Value> {
        keys.iter().try_fold(self, |value, key| value.get(key))
    }

    /// The text at `keys`, if there is any and it is not empty.
    pub fn str_at(&self, keys: &[&str]) -> Option<&str> {
        self.at(keys).and_then(Value::as_str).filter(|s| !s.is_empty())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::str(text)
    }
}

impl From<CompactString> for Value {
    fn from(text: CompactString) -> Self {
        Self::Str(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(text.into())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl<T: Into<Value>> FromIterator<T> for Value {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ValueVisitor;

        impl<'de> Visitor<'de> for ValueVisitor {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }
            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }
            fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
                Ok(Value::Bool(v))
            }
            fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
                Ok(Value::Int(v))
            }
            fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
                Ok(i64::try_from(v).map_or(Value::Float(v as f64), Value::Int))
            }
            fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
                Ok(Value::Float(v))
            }
            fn visit_str<E>(self, v: &str) -> Result<Value, E> {
                Ok(Value::Str(CompactString::new(v)))
            }
            fn visit_string<E>(self, v: String) -> Result<Value, E> {
                Ok(Value::Str(v.into()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Value::List(items))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                let mut entries = Vec::with_capacity(8);
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Value::Map(entries))
            }
        }

        deserializer.deserialize_any(ValueVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn paths_enter_arrays_and_dotted_keys() {
        let check = |doc: &str, path: &str, want: &[&str]| {
            let mut seen = Vec::new();
            json(doc).visit_path(path, &mut |v| {
                seen.push(v.to_text().into_owned());
                false
            });
            assert_eq!(seen, want, "{path} in {doc}");
        };
        check(r#"{"a":{"b":1}}"#, "a.b", &["1"]);
        check(r#"{"a":[{"b":1},{"b":[2,3]}]}"#, "a.b", &["1", "2", "3"]);
        check(r#"{"a":{"k8s.io/x":"y"}}"#, "a.k8s.io/x", &["y"]);
        check(r#"{"a.b":1,"a":{"b":2}}"#, "a.b", &["1", "2"]);
        check(r#"{"ab":1}"#, "a", &[]);
        check(r#"{"a":[]}"#, "a", &["[]"]);
        check(r#"{"a":1,"a":2}"#, "a", &["1", "2"]);
        check(r#"{"a":null}"#, "a", &[""]);
    }

    #[test]
    fn numbers_keep_their_kind() {
        assert_eq!(
            json("[1,-1,1.5,18446744073709551615]").as_list().unwrap()[2],
            Value::Float(1.5)
        );
        assert!(matches!(json("18446744073709551615"), Value::Float(_)));
        assert_eq!(json("9223372036854775807"), Value::Int(i64::MAX));
    }

    #[test]
    fn depth_is_bounded_by_the_parser() {
        let deep = "[".repeat(100_000);
        assert!(serde_json::from_str::<Value>(&deep).is_err());
    }
}
