//! The part of the configuration that says where the records come from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use casebook_ingest::{ClusterName, SourceKind, TokenFile, TopicSettings, TrustedProxies, read_text_file};
use serde::Deserialize;

/// Longest file that a property's value is read from, in bytes.
const MAX_PROPERTY_FILE_BYTES: usize = 1 << 20;

/// The brokers and topics.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaConfig {
    /// `bootstrap.servers`.
    pub brokers: String,
    /// The consumer group, and the name under which the tables keep positions.
    #[serde(default = "default_group")]
    pub group: String,
    /// What to read.
    pub topics: Vec<TopicConfig>,
    /// Any librdkafka property, for all clients.
    #[serde(default)]
    pub properties: BTreeMap<String, Property>,
    /// A file with the JSON Web Token for SASL/OAUTHBEARER. It is read again whenever the token is about to expire.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// Carries matches from detection to correlation.
    #[serde(default = "default_signals_topic")]
    pub signals_topic: String,
    /// Partitions that the signals topic is created with.
    #[serde(default = "default_signals_partitions")]
    pub signals_partitions: i32,
    /// Gets every committed alert, at least once, with a stable id; `null` for none.
    #[serde(default = "default_alerts_topic")]
    pub alerts_topic: Option<String>,
    /// Gets every record that could not become an event; `null` for the table alone.
    #[serde(default = "default_dead_letters_topic")]
    pub dead_letters_topic: Option<String>,
    /// Replication of topics that Casebook creates; -1 is the broker's default.
    #[serde(default = "default_replication")]
    pub replication: i32,
}

impl KafkaConfig {
    /// These topics of these brokers, all else by default.
    pub fn new(brokers: &str, topics: Vec<TopicConfig>) -> Self {
        Self {
            brokers: brokers.to_owned(),
            group: default_group(),
            topics,
            properties: BTreeMap::new(),
            token_file: None,
            signals_topic: default_signals_topic(),
            signals_partitions: default_signals_partitions(),
            alerts_topic: default_alerts_topic(),
            dead_letters_topic: default_dead_letters_topic(),
            replication: default_replication(),
        }
    }

    /// The properties as librdkafka takes them.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &str)> {
        self.properties.iter().filter_map(|(name, value)| match value {
            Property::Text(text) => Some((name.as_str(), text.as_str())),
            // What stands elsewhere was put in its place when the configuration was read.
            Property::Env { .. } | Property::File { .. } => None,
        })
    }

    /// The token for SASL/OAUTHBEARER.
    pub fn token(&self) -> TokenFile {
        TokenFile::new(self.token_file.clone())
    }

    /// Reads what stands in the environment and in files. Relative paths are relative to `base`.
    pub(crate) fn resolve(&mut self, base: &Path) -> Result<(), String> {
        for (name, value) in &mut self.properties {
            let text = value
                .resolved(base)
                .map_err(|reason| format!("kafka.properties: `{name}`: {reason}"))?;
            *value = Property::Text(text);
        }
        self.token_file = self.token_file.as_ref().map(|path| base.join(path));
        Ok(())
    }
}

/// The value of a librdkafka property: here, or, for what is secret, where it is kept.
#[derive(Clone, Deserialize)]
#[serde(from = "PropertyForm")]
pub enum Property {
    /// The value.
    Text(String),
    /// An environment variable.
    Env {
        /// Its name.
        env: String,
    },
    /// A file; white space at its end does not count.
    File {
        /// Its path.
        file: PathBuf,
    },
}

/// A value may be secret, wherever it stands.
impl std::fmt::Debug for Property {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(_) => f.write_str("…"),
            Self::Env { env } => write!(f, "env {env}"),
            Self::File { file } => write!(f, "file {}", file.display()),
        }
    }
}

impl From<&str> for Property {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// As it is written: numbers and truth values need no quotes.
#[derive(Deserialize)]
#[serde(untagged)]
enum PropertyForm {
    Env { env: String },
    File { file: PathBuf },
    Truth(bool),
    Integer(i64),
    Number(f64),
    Text(String),
}

impl From<PropertyForm> for Property {
    fn from(form: PropertyForm) -> Self {
        match form {
            PropertyForm::Env { env } => Self::Env { env },
            PropertyForm::File { file } => Self::File { file },
            PropertyForm::Truth(value) => Self::Text(value.to_string()),
            PropertyForm::Integer(value) => Self::Text(value.to_string()),
            PropertyForm::Number(value) => Self::Text(value.to_string()),
            PropertyForm::Text(value) => Self::Text(value),
        }
    }
}

impl Property {
    fn resolved(&self, base: &Path) -> Result<String, String> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::Env { env } => std::env::var(env).map_err(|error| format!("environment variable {env}: {error}")),
            Self::File { file } => {
                let path = base.join(file);
                read_text_file(&path, MAX_PROPERTY_FILE_BYTES)
                    .map(|text| text.trim_end().to_owned())
                    .map_err(|error| format!("{}: {error}", path.display()))
            }
        }
    }
}

fn default_group() -> String {
    "casebook".into()
}
fn default_signals_topic() -> String {
    "casebook.signals".into()
}
fn default_signals_partitions() -> i32 {
    4
}
fn default_alerts_topic() -> Option<String> {
    Some("casebook.alerts".into())
}
fn default_dead_letters_topic() -> Option<String> {
    Some("casebook.dead-letters".into())
}
fn default_replication() -> i32 {
    -1
}

/// One topic, or a regular expression over topics where the name starts with `^`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicConfig {
    /// The name or expression.
    pub name: String,
    /// The kind of log it carries.
    #[serde(default, deserialize_with = "source_kind")]
    pub source: SourceKindConfig,
    /// The cluster that its events are of where they do not name one; the deployment's if absent, none if empty.
    #[serde(default)]
    pub cluster: Option<String>,
    /// Networks whose addresses are proxies of one's own, which are believed about whom they forward for.
    #[serde(default)]
    pub trusted_proxies: Vec<String>,
}

impl TopicConfig {
    /// A topic of which nothing but its kind is said.
    pub fn new(name: &str, source: SourceKind) -> Self {
        Self {
            name: name.to_owned(),
            source: SourceKindConfig(source),
            cluster: None,
            trusted_proxies: Vec::new(),
        }
    }

    /// What decoding needs to know of the topic, `cluster` being the deployment's.
    ///
    /// # Errors
    /// A name of a cluster or a network is none.
    pub fn settings(&self, cluster: Option<&str>) -> Result<TopicSettings, String> {
        let cluster = self.cluster.as_deref().or(cluster).filter(|name| !name.is_empty());
        Ok(TopicSettings {
            cluster: cluster
                .map(str::parse::<ClusterName>)
                .transpose()
                .map_err(|reason| format!("cluster: {reason}"))?,
            trusted_proxies: TrustedProxies::parse(&self.trusted_proxies)
                .map_err(|reason| format!("trusted_proxies: {reason}"))?,
        })
    }
}

/// A [`SourceKind`], `auto` where none is said.
#[derive(Debug, Clone)]
pub struct SourceKindConfig(pub SourceKind);

impl Default for SourceKindConfig {
    fn default() -> Self {
        Self(SourceKind::Auto)
    }
}

fn source_kind<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<SourceKindConfig, D::Error> {
    let name = String::deserialize(deserializer)?;
    name.parse().map(SourceKindConfig).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_read_where_they_are_kept_and_never_printed() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("password"), "s3cret\n").unwrap();
        let text = "brokers: b\ntopics: []\ntoken_file: token\nproperties:\n  sasl.password: { file: password }\n  \
                    session.timeout.ms: 3000\n  enable.idempotence: true\n  ssl.ca.location: { env: PATH }\n";
        let mut kafka: KafkaConfig = serde_norway::from_str(text).unwrap();
        kafka.resolve(directory.path()).unwrap();
        let properties: BTreeMap<&str, &str> = kafka.properties().collect();
        assert_eq!(properties["sasl.password"], "s3cret");
        assert_eq!(properties["session.timeout.ms"], "3000");
        assert_eq!(properties["enable.idempotence"], "true");
        assert_eq!(properties["ssl.ca.location"], std::env::var("PATH").unwrap());
        assert_eq!(
            kafka.token_file.as_deref(),
            Some(directory.path().join("token").as_path())
        );
        assert!(!format!("{kafka:?}").contains("s3cret"));

        let missing = "brokers: b\ntopics: []\nproperties: { sasl.password: { file: nowhere } }\n";
        let mut kafka: KafkaConfig = serde_norway::from_str(missing).unwrap();
        let error = kafka.resolve(directory.path()).unwrap_err();
        assert!(error.contains("sasl.password") && error.contains("nowhere"), "{error}");
    }
}
