//! The actions of a Delta log entry, as the Delta transaction log protocol names them.
//!
//! Only what tables of this store need is understood; [`Protocol::check`] refuses the rest before it could be misread.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One line of a log entry, or one row of a checkpoint: exactly one member is set. Members that this store does not
/// know (`cdc`, `sidecar`, …) are skipped, as the protocol asks.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Action {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit_info: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meta_data: Option<MetaData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub txn: Option<Txn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain_metadata: Option<DomainMetadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub add: Option<Add>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remove: Option<Remove>,
}

/// What a reader and a writer must be able to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Protocol {
    pub min_reader_version: i32,
    pub min_writer_version: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reader_features: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writer_features: Option<Vec<String>>,
}

/// Writer features that change nothing about how this store appends.
const WRITER_FEATURES: &[&str] = &["appendOnly", "invariants", "domainMetadata"];

impl Protocol {
    /// The protocol of a table of this store. `domainMetadata` is a writer's feature only: every reader reads it.
    pub fn new(with_domains: bool) -> Self {
        if with_domains {
            Self {
                min_reader_version: 1,
                min_writer_version: 7,
                reader_features: None,
                writer_features: Some(WRITER_FEATURES.iter().map(|&name| name.to_owned()).collect()),
            }
        } else {
            Self {
                min_reader_version: 1,
                min_writer_version: 2,
                reader_features: None,
                writer_features: None,
            }
        }
    }

    /// Whether this version may read and append.
    ///
    /// # Errors
    /// What the table asks for that is not supported.
    pub fn check(&self) -> Result<(), String> {
        if self.min_reader_version > 1 {
            let features = self.reader_features.as_deref().unwrap_or_default().join(", ");
            return Err(format!(
                "it asks for Delta reader version {} ({features}); another writer has upgraded it, and this version reads version 1",
                self.min_reader_version
            ));
        }
        if let Some(feature) = self
            .writer_features
            .iter()
            .flatten()
            .find(|name| !WRITER_FEATURES.contains(&name.as_str()))
        {
            return Err(format!(
                "it asks for the Delta writer feature `{feature}`, which this version does not support"
            ));
        }
        if self.min_writer_version > 2 && self.writer_features.is_none() {
            return Err(format!(
                "it asks for Delta writer version {}; this version writes 2",
                self.min_writer_version
            ));
        }
        Ok(())
    }
}

/// The table's schema and properties.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MetaData {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub format: Format,
    pub schema_string: String,
    pub partition_columns: Vec<String>,
    #[serde(default)]
    pub configuration: BTreeMap<String, Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_time: Option<i64>,
}

/// The data files' format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Format {
    pub provider: String,
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}

impl Default for Format {
    fn default() -> Self {
        Self {
            provider: "parquet".into(),
            options: BTreeMap::new(),
        }
    }
}

/// How far an application has come: here, the next offset of one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Txn {
    pub app_id: String,
    pub version: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_updated: Option<i64>,
}

/// A named text that travels with the table: here, the reference to a correlation state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DomainMetadata {
    pub domain: String,
    pub configuration: String,
    pub removed: bool,
}

/// A data file that belongs to the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Add {
    /// Relative to the table, percent-encoded.
    pub path: String,
    #[serde(default)]
    pub partition_values: BTreeMap<String, Option<String>>,
    pub size: i64,
    pub modification_time: i64,
    pub data_change: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stats: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, Option<String>>>,
    #[serde(skip_serializing)]
    pub deletion_vector: Option<serde_json::Value>,
}

/// The tag of a file whose rows were in other files before.
const REWRITTEN: &str = "casebook.rewritten";

/// The tag by which a file of a derived table says of which version it is.
const DERIVED_VERSION: &str = "casebook.derived_version";

/// The tag by which a file of a derived table says when the youngest of its rows was written first, in milliseconds.
const DERIVED_MS: &str = "casebook.derived_ms";

impl Add {
    /// Says that the file's rows are not new: they were in other files.
    pub fn mark_rewritten(&mut self) {
        let tags = self.tags.get_or_insert_default();
        tags.insert(REWRITTEN.to_owned(), Some("true".to_owned()));
    }

    /// Says by which version of a derived table the file's rows were made.
    pub fn mark_derived(&mut self, version: u32) {
        let tags = self.tags.get_or_insert_default();
        tags.insert(DERIVED_VERSION.to_owned(), Some(version.to_string()));
    }

    /// By which version of a derived table the file's rows were made. Files of before there were versions say nothing: they are of the
    /// first. A text that is no number is of a version that is not known.
    pub fn derived_version(&self) -> u32 {
        let tag = self
            .tags
            .as_ref()
            .and_then(|tags| tags.get(DERIVED_VERSION)?.as_deref());
        tag.map_or(1, |version| version.parse().unwrap_or(u32::MAX))
    }

    /// Says when the youngest of the file's rows was derived, where that is not when the file was written.
    pub fn mark_derived_ms(&mut self, ms: i64) {
        let tags = self.tags.get_or_insert_default();
        tags.insert(DERIVED_MS.to_owned(), Some(ms.to_string()));
    }

    /// When the youngest of the file's rows was derived, in milliseconds since 1970.
    pub fn derived_ms(&self) -> i64 {
        let tag = self.tags.as_ref().and_then(|tags| tags.get(DERIVED_MS)?.as_deref());
        tag.and_then(|ms| ms.parse().ok()).unwrap_or(self.modification_time)
    }

    /// Has the file of a derived table say of its rows what the files say that they were in before.
    pub fn mark_derived_from<'a>(&mut self, old: impl Iterator<Item = &'a Self> + Clone) {
        if let Some(version) = old.clone().map(Self::derived_version).min() {
            self.mark_derived(version);
        }
        if let Some(ms) = old.map(Self::derived_ms).max() {
            self.mark_derived_ms(ms);
        }
    }

    /// Whether its rows were in other files before.
    pub fn is_rewritten(&self) -> bool {
        self.tags.as_ref().is_some_and(|tags| tags.contains_key(REWRITTEN))
    }
}

/// A data file that belongs to it no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Remove {
    pub path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_timestamp: Option<i64>,
    pub data_change: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extended_file_metadata: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition_values: Option<BTreeMap<String, Option<String>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
}

/// A path of the log as a path of the store: percent-encoding resolved (RFC 2396).
pub(crate) fn decode_path(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digit = |n: usize| bytes.get(n).and_then(|b| char::from(*b).to_digit(16));
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, _, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decoded() {
        assert_eq!(
            decode_path("event_date=2024-01-01/a%20b%3A.parquet"),
            "event_date=2024-01-01/a b:.parquet"
        );
        assert_eq!(decode_path("100%"), "100%");
        assert_eq!(decode_path("%zz"), "%zz");
    }

    #[test]
    fn a_table_that_asks_for_more_is_refused() {
        for with_domains in [true, false] {
            assert_eq!(Protocol::new(with_domains).check(), Ok(()));
        }
        let vectors = Protocol {
            min_reader_version: 3,
            min_writer_version: 7,
            reader_features: Some(vec!["deletionVectors".into()]),
            writer_features: Some(vec!["deletionVectors".into()]),
        };
        assert!(vectors.check().unwrap_err().contains("deletionVectors"));
        let writer = Protocol {
            min_reader_version: 1,
            writer_features: Some(vec!["rowTracking".into()]),
            ..vectors
        };
        assert!(writer.check().unwrap_err().contains("rowTracking"));
    }
}
