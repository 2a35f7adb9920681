//! The event: identity, time, source, normalized fields, and the record it came from.

use std::fmt;
use std::str::FromStr;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::{FieldId, FieldRef, Native, Position, Source, Timestamp, Value, ValueRef};

/// What makes an event the same event, however often and by whichever way it is delivered: 128 bits over the source's
/// own id where it has one, else over its content. Written as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(u128);

impl EventId {
    /// The identity that `parts` make together within `source`. No two lists of parts run into one another.
    pub fn from_parts(source: Source, parts: &[&[u8]]) -> Self {
        let mut hasher = xxhash_rust::xxh3::Xxh3::new();
        hasher.update(source.name().as_bytes());
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(hasher.digest128())
    }

    /// From its 128 bits.
    pub const fn from_u128(bits: u128) -> Self {
        Self(bits)
    }

    /// Its 128 bits.
    pub const fn as_u128(self) -> u128 {
        self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for EventId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

impl Serialize for EventId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The normalized fields of one event, in column order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fields {
    entries: Vec<(FieldId, Value)>,
}

impl Fields {
    /// No fields, with room for what a typical record has.
    pub fn new() -> Self {
        Self {
            entries: Vec::with_capacity(24),
        }
    }

    /// Sets a field. `null`, empty texts and empty arrays leave it unset; a text set on a field of several texts becomes
    /// an array of one.
    pub fn set(&mut self, id: FieldId, value: impl Into<Value>) {
        let mut value = value.into();
        match &value {
            Value::Null => return,
            Value::Str(text) if text.is_empty() => return,
            Value::List(items) if items.is_empty() => return,
            _ => {}
        }
        if id.info().field_type == crate::FieldType::Keywords && !matches!(value, Value::List(_)) {
            value = Value::List(vec![value]);
        }
        match self.entries.binary_search_by_key(&id, |(id, _)| *id) {
            Ok(at) => self.entries[at].1 = value,
            Err(at) => self.entries.insert(at, (id, value)),
        }
    }

    /// Sets a field to a text, if there is one.
    pub fn set_str(&mut self, id: FieldId, text: Option<&str>) {
        if let Some(text) = text {
            self.set(id, text);
        }
    }

    /// Adds one text to a field of several, once.
    pub fn push(&mut self, id: FieldId, text: &str) {
        if text.is_empty() {
            return;
        }
        match self.entries.binary_search_by_key(&id, |(id, _)| *id) {
            Ok(at) => {
                if let Value::List(items) = &mut self.entries[at].1
                    && !items.iter().any(|item| item.as_str() == Some(text))
                {
                    items.push(Value::str(text));
                }
            }
            Err(at) => self.entries.insert(at, (id, Value::List(vec![Value::str(text)]))),
        }
    }

    /// The value of a field.
    pub fn get(&self, id: FieldId) -> Option<&Value> {
        self.entries
            .binary_search_by_key(&id, |(id, _)| *id)
            .ok()
            .map(|at| &self.entries[at].1)
    }

    /// The text of a field of one text.
    pub fn str(&self, id: FieldId) -> Option<&str> {
        self.get(id).and_then(Value::as_str)
    }

    /// The fields that are set, in column order.
    pub fn iter(&self) -> impl Iterator<Item = (FieldId, &Value)> {
        self.entries.iter().map(|(id, value)| (*id, value))
    }
}

impl FromIterator<(FieldId, Value)> for Fields {
    /// By [`Fields::set`], one after the other.
    fn from_iter<Entries: IntoIterator<Item = (FieldId, Value)>>(entries: Entries) -> Self {
        let mut fields = Self::new();
        for (id, value) in entries {
            fields.set(id, value);
        }
        fields
    }
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What makes it this event.
    pub id: EventId,
    /// When it happened, by its source's clock.
    pub time: Timestamp,
    /// When it was read.
    pub ingested: Timestamp,
    /// What kind of log reported it.
    pub source: Source,
    /// Where it was read.
    pub position: Position,
    /// The normalized fields.
    pub fields: Fields,
    /// The source's own record, for native field names. None in an event that comes out of a store: it is decoded again from
    /// `raw` by whoever needs it.
    pub native: Native,
    /// The record as it was read: one event's part of it where it held several.
    pub raw: CompactString,
}

impl Event {
    /// The source's own record; `Null` where it is text, and where it is no longer kept.
    pub fn native(&self) -> ValueRef<'_> {
        self.native.root(&self.raw)
    }

    /// Calls `visit` with every value that `field` names in this event, until it returns `true`; returns whether it did.
    /// Arrays are given as their members. A normalized field that is set hides a native one of the same name.
    pub fn visit(&self, field: &FieldRef, visit: &mut dyn FnMut(ValueRef<'_>) -> bool) -> bool {
        for &id in field.normalized() {
            if let Some(value) = self.fields.get(id) {
                return value.visit_members(visit);
            }
        }
        if field.is_time() {
            return visit(ValueRef::Str(&self.time.to_string()));
        }
        self.native().visit_path(field.name(), visit)
    }

    /// The first value that `field` names, as text; `None` where it is missing, null or empty.
    pub fn text(&self, field: &FieldRef) -> Option<CompactString> {
        let mut found = None;
        self.visit(field, &mut |value| {
            let text = value.to_text();
            if !text.is_empty() {
                found = Some(CompactString::new(&text));
            }
            found.is_some()
        });
        found
    }

    /// Calls `visit` with every value of the event, normalized and native: what a Sigma keyword search scans.
    pub fn visit_all(&self, visit: &mut dyn FnMut(ValueRef<'_>) -> bool) -> bool {
        self.fields.iter().any(|(_, value)| value.as_ref().visit_leaves(visit)) || self.native().visit_leaves(visit)
    }

    /// The event as one nested JSON object in ECS form: `{"@timestamp":…,"event":{"id":…},"user":{"name":…},…}`.
    ///
    /// `event.original` holds the raw record, and `casebook.position` where it was read. Where one field's name is a
    /// prefix of another's (none is today), the longer one is left out.
    pub fn to_ecs(&self) -> Value {
        let mut root = Vec::new();
        insert(&mut root, "@timestamp", Value::from(self.time.to_string()));
        insert(&mut root, "event.id", Value::from(self.id.to_string()));
        insert(&mut root, "event.module", Value::from(self.source.module()));
        insert(&mut root, "event.dataset", Value::from(self.source.dataset()));
        insert(&mut root, "event.ingested", Value::from(self.ingested.to_string()));
        for (id, value) in self.fields.iter() {
            insert(&mut root, id.name(), value.clone());
        }
        insert(&mut root, "event.original", Value::Str(self.raw.clone()));
        insert(&mut root, "casebook.source", Value::from(self.source.name()));
        insert(&mut root, "casebook.position.topic", Value::str(&*self.position.topic));
        insert(
            &mut root,
            "casebook.position.partition",
            Value::Int(i64::from(self.position.partition)),
        );
        insert(&mut root, "casebook.position.offset", Value::Int(self.position.offset));
        insert(
            &mut root,
            "casebook.position.index",
            Value::Int(i64::from(self.position.index)),
        );
        Value::Map(root)
    }
}

fn insert(entries: &mut Vec<(CompactString, Value)>, path: &str, value: Value) {
    let (key, rest) = path
        .split_once('.')
        .map_or((path, None), |(key, rest)| (key, Some(rest)));
    let at = entries.iter().position(|(k, _)| k == key);
    match (rest, at) {
        (None, None) => entries.push((key.into(), value)),
        (None, Some(at)) => entries[at].1 = value,
        (Some(rest), None) => {
            let mut inner = Vec::new();
            insert(&mut inner, rest, value);
            entries.push((key.into(), Value::Map(inner)));
        }
        (Some(rest), Some(at)) => {
            if let Value::Map(inner) = &mut entries[at].1 {
                insert(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        let mut fields = Fields::new();
        fields.set(FieldId::UserName, "alice");
        fields.set(FieldId::EventCategory, "process");
        fields.push(FieldId::EventCategory, "session");
        fields.set(FieldId::HostName, "");
        Event {
            id: EventId::from_parts(Source::Auth, &[b"a", b"b"]),
            time: Timestamp::from_seconds(1),
            ingested: Timestamp::from_seconds(2),
            source: Source::Auth,
            position: Position {
                topic: "t".into(),
                partition: 3,
                offset: 9,
                index: 0,
            },
            fields,
            native: serde_json::from_str::<Value>(r#"{"user":{"name":"native","extra":["x","y"]},"host.name":"n1"}"#)
                .unwrap()
                .into(),
            raw: "raw".into(),
        }
    }

    #[test]
    fn normalized_fields_come_first_and_native_ones_stay_reachable() {
        let event = event();
        let text = |name: &str| event.text(&FieldRef::resolve(name)).map(|t| t.to_string());
        assert_eq!(text("user.name").as_deref(), Some("alice"));
        assert_eq!(text("User").as_deref(), Some("alice"));
        assert_eq!(text("user.extra").as_deref(), Some("x"));
        assert_eq!(
            text("host.name").as_deref(),
            Some("n1"),
            "an unset normalized field falls back to the native one"
        );
        assert_eq!(text("nothing"), None);
    }

    #[test]
    fn ecs_form_is_nested() {
        let json = serde_json::to_string(&event().to_ecs()).unwrap();
        assert!(json.contains(r#""user":{"name":"alice"}"#), "{json}");
        assert!(json.contains(r#""category":["process","session"]"#), "{json}");
        assert!(
            json.contains(r#""position":{"topic":"t","partition":3,"offset":9,"index":0}"#),
            "{json}"
        );
    }

    #[test]
    fn parts_do_not_run_into_one_another() {
        let id = |parts: &[&[u8]]| EventId::from_parts(Source::Auth, parts);
        assert_ne!(id(&[b"ab", b"c"]), id(&[b"a", b"bc"]));
        let id = id(&[b"x"]);
        assert_eq!(id.to_string().parse::<EventId>().unwrap(), id);
    }

    #[test]
    fn no_field_name_is_a_prefix_of_another() {
        for a in FieldId::ALL {
            for b in FieldId::ALL {
                assert!(!b.name().starts_with(&format!("{}.", a.name())), "{a} would hide {b}");
            }
        }
    }
}
