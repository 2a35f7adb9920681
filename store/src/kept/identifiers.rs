//! Identifiers as columns, and what they are found by.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, StringBuilder};
use casebook_event::Identifier;
use compact_str::CompactString;
use serde::Serialize;
use serde::de::value::{Error as WordError, StrDeserializer};
use serde::de::{Deserialize, IntoDeserializer as _};
use std::sync::Arc;

/// What an identifier is found by: a hash of all that makes it.
pub(super) fn key(identifier: &Identifier) -> Result<u64, String> {
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    for part in [
        &word(&identifier.kind)?,
        identifier.value.as_str(),
        identifier.cluster.as_str(),
    ] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    Ok(hasher.digest())
}

/// The columns of identifiers, while they are written.
#[derive(Default)]
pub(super) struct IdentifierBuilder {
    kinds: StringBuilder,
    values: StringBuilder,
    clusters: StringBuilder,
}

impl IdentifierBuilder {
    pub fn append(&mut self, identifier: &Identifier) -> Result<(), String> {
        self.kinds.append_value(word(&identifier.kind)?);
        self.values.append_value(&identifier.value);
        let cluster = Some(identifier.cluster.as_str()).filter(|cluster| !cluster.is_empty());
        self.clusters.append_option(cluster);
        Ok(())
    }

    /// The columns, in the order of the schema.
    pub fn finish(mut self) -> [ArrayRef; 3] {
        [
            Arc::new(self.kinds.finish()),
            Arc::new(self.values.finish()),
            Arc::new(self.clusters.finish()),
        ]
    }
}

/// The columns of identifiers that were read.
pub(super) struct IdentifierColumns<'a> {
    kinds: &'a StringArray,
    values: &'a StringArray,
    clusters: &'a StringArray,
}

impl<'a> IdentifierColumns<'a> {
    pub fn new(batch: &'a RecordBatch, [kind, value, cluster]: [&str; 3]) -> Option<Self> {
        Some(Self {
            kinds: batch.column_by_name(kind)?.as_string_opt::<i32>()?,
            values: batch.column_by_name(value)?.as_string_opt::<i32>()?,
            clusters: batch.column_by_name(cluster)?.as_string_opt::<i32>()?,
        })
    }

    /// The identifier of a row.
    pub fn identifier(&self, row: usize) -> Result<Identifier, String> {
        if self.values.is_null(row) {
            return Err("an identifier has no value".into());
        }
        Ok(Identifier {
            kind: of_word(self.kinds, row)?,
            value: CompactString::from(self.values.value(row)),
            cluster: match self.clusters.is_valid(row) {
                true => CompactString::from(self.clusters.value(row)),
                false => CompactString::default(),
            },
        })
    }
}

/// The word that a value has in JSON and in tables.
pub(super) fn word<T: Serialize>(value: &T) -> Result<String, String> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        Ok(other) => Err(format!("{other} is no word")),
        Err(error) => Err(error.to_string()),
    }
}

/// The value of a word in a column.
pub(super) fn of_word<'de, T: Deserialize<'de>>(column: &'de StringArray, row: usize) -> Result<T, String> {
    let text = if column.is_valid(row) { column.value(row) } else { "" };
    let word: StrDeserializer<'de, WordError> = text.into_deserializer();
    T::deserialize(word).map_err(|error| error.to_string())
}
