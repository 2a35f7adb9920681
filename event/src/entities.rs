//! What an event was about, in few bytes: a correlation holds millions of these.

use std::fmt;

use compact_str::CompactString;
use serde::de::{SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Event, FieldId, MAX_ENTITY_BYTES, Value, bounded_text};

/// The fields an alert shows of each event, in this order. A snapshot names them by their place here: new ones go to the end.
const ENTITY_FIELDS: &[FieldId] = &[
    FieldId::UserName,
    FieldId::UserEffectiveName,
    FieldId::UserTargetName,
    FieldId::SourceIp,
    FieldId::DestinationIp,
    FieldId::EventAction,
    FieldId::EventOutcome,
    FieldId::OrchestratorNamespace,
    FieldId::OrchestratorResourceType,
    FieldId::OrchestratorResourceName,
    FieldId::KubernetesPodName,
    FieldId::KubernetesNodeName,
    FieldId::HostName,
    FieldId::ContainerId,
    FieldId::ProcessCommandLine,
    FieldId::CloudAccountId,
    FieldId::AwsAccessKeyId,
    FieldId::ServiceName,
    FieldId::OrchestratorClusterName,
];

/// ECS names and values of who, what and where. One allocation: of each, the place of its name, two bytes of length, and the
/// text.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Entities(Box<[u8]>);

impl Entities {
    /// Those of `event`.
    pub fn of(event: &Event) -> Self {
        let mut packed = Vec::new();
        for (place, &id) in ENTITY_FIELDS.iter().enumerate() {
            if let Some(text) = event.fields.get(id).map(Value::to_text) {
                push(&mut packed, place, &text);
            }
        }
        Self(packed.into())
    }

    /// Names and values, in the order of the fields.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            let (name, text, after) = split(rest)?;
            rest = after;
            Some((name, text))
        })
    }

    /// The packed form.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// From the packed form; `None` if the bytes are none.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = split(rest)?.2;
        }
        Some(Self(bytes.into()))
    }
}

fn push(packed: &mut Vec<u8>, place: usize, text: &str) {
    let text = bounded_text(text, MAX_ENTITY_BYTES);
    if text.is_empty() {
        return;
    }
    // Both fit: there are few fields, and the text is bounded.
    packed.push(place as u8);
    packed.extend((text.len() as u16).to_le_bytes());
    packed.extend(text.as_bytes());
}

/// The first name and text, and what is after.
fn split(packed: &[u8]) -> Option<(&'static str, &str, &[u8])> {
    let (&place, rest) = packed.split_first()?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (text, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    let name = ENTITY_FIELDS.get(usize::from(place))?.name();
    Some((name, std::str::from_utf8(text).ok()?, rest))
}

impl fmt::Debug for Entities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Entities {
    /// A list of pairs.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut pairs = serializer.serialize_seq(None)?;
        for pair in self.iter() {
            pairs.serialize_element(&pair)?;
        }
        pairs.end()
    }
}

impl<'de> Deserialize<'de> for Entities {
    /// Names that are not among the fields are left out: another version may have sent them.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Entities;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of pairs of texts")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut pairs: A) -> Result<Entities, A::Error> {
                let mut packed = Vec::new();
                while let Some((name, text)) = pairs.next_element::<(CompactString, CompactString)>()? {
                    if let Some(place) = ENTITY_FIELDS.iter().position(|field| field.name() == name) {
                        push(&mut packed, place, &text);
                    }
                }
                Ok(Entities(packed.into()))
            }
        }
        deserializer.deserialize_seq(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_are_packed_and_read_back() {
        let text = r#"[["user.name","alice"],["source.ip","203.0.113.7"],["of.another.version","x"],["host.name",""]]"#;
        let entities: Entities = serde_json::from_str(text).unwrap();
        let pairs: Vec<_> = entities.iter().collect();
        assert_eq!(pairs, [("user.name", "alice"), ("source.ip", "203.0.113.7")]);
        assert_eq!(Entities::from_bytes(entities.as_bytes()), Some(entities.clone()));
        let again: Entities = serde_json::from_str(&serde_json::to_string(&entities).unwrap()).unwrap();
        assert_eq!(again, entities);
    }

    #[test]
    fn damaged_bytes_are_refused() {
        let entities: Entities = serde_json::from_str(r#"[["user.name","alice"]]"#).unwrap();
        let bytes = entities.as_bytes();
        for end in 1..bytes.len() {
            assert_eq!(Entities::from_bytes(&bytes[..end]), None, "{end}");
        }
        assert_eq!(Entities::from_bytes(&[200, 0, 0]), None, "a field that does not exist");
        assert_eq!(Entities::from_bytes(&[0, 1, 0, 0xff]), None, "no text");
    }

    #[test]
    fn a_long_value_is_shown_by_its_beginning_and_a_hash() {
        let long = "é".repeat(1_000);
        let text = serde_json::to_string(&[("user.name", long.as_str())]).unwrap();
        let entities: Entities = serde_json::from_str(&text).unwrap();
        let shown: Vec<_> = entities.iter().map(|(_, text)| text.to_owned()).collect();
        assert_eq!(shown, [bounded_text(&long, MAX_ENTITY_BYTES)]);
        assert!(shown[0].starts_with("éé") && shown[0].contains('…') && shown[0].len() <= MAX_ENTITY_BYTES);
    }
}
