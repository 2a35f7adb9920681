//! The configuration file of `casebook run`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use casebook_event::Source;
use casebook_ingest::read_text_file;
use casebook_store::StoreConfig;
use serde::Deserialize;

use crate::config::duration::ConfigDuration;
use crate::config::kafka::KafkaConfig;

/// Everything that `casebook run` reads from its YAML file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the tables are: a directory or URL.
    #[serde(default = "default_store")]
    pub store: String,
    /// Rule files and directories.
    #[serde(default)]
    pub rules: Vec<PathBuf>,
    /// How often the rule files are checked for changes; `null` for only on SIGHUP.
    #[serde(default = "default_rules_reload")]
    pub rules_reload: Option<ConfigDuration>,
    /// The cluster that events are of where neither they nor their topic name one.
    #[serde(default)]
    pub cluster: Option<String>,
    /// The brokers and topics.
    pub kafka: KafkaConfig,
    /// How much later than others an event of each source may arrive and still be correlated.
    #[serde(default)]
    pub lateness: LatenessConfig,
    /// What correlation may take.
    #[serde(default)]
    pub correlation: StateConfig,
    /// When a batch is committed.
    #[serde(default)]
    pub commit: CommitConfig,
    /// Where `/metrics`, `/healthz` and `/readyz` are served; nowhere by default.
    #[serde(default)]
    pub http: Option<std::net::SocketAddr>,
    /// After how long without progress a partition with something to read makes `/healthz` fail.
    #[serde(default = "default_stall_after")]
    pub stall_after: ConfigDuration,
    /// How long a partition that is read to its end must be quiet before what waits in it for the rest of its line or event is
    /// emitted as it is.
    #[serde(default = "default_join_wait")]
    pub join_wait: ConfigDuration,
    /// How long a worker that was asked to stop may take for its last commits.
    #[serde(default = "default_shutdown_deadline")]
    pub shutdown_deadline: ConfigDuration,
    /// Where spans go: the base URL of an OpenTelemetry collector that takes OTLP over HTTP; nowhere by default.
    #[serde(default)]
    pub traces: Option<String>,
}

/// Longest configuration, in bytes.
const MAX_CONFIG_BYTES: usize = 1 << 20;
/// After how long without progress a partition counts as stalled.
pub const DEFAULT_STALL_AFTER: Duration = Duration::from_secs(300);
/// How long the last commits may take.
pub const DEFAULT_SHUTDOWN_DEADLINE: Duration = Duration::from_secs(45);

/// Least time without progress that is a stall: a commit may take that long.
const MIN_STALL_AFTER: Duration = Duration::from_secs(5);

/// Least time between two looks at the rule files.
const MIN_RULES_RELOAD: Duration = Duration::from_secs(1);

fn default_rules_reload() -> Option<ConfigDuration> {
    Some(ConfigDuration(Duration::from_secs(10)))
}
fn default_stall_after() -> ConfigDuration {
    ConfigDuration(DEFAULT_STALL_AFTER)
}
fn default_join_wait() -> ConfigDuration {
    ConfigDuration(Duration::from_secs(2))
}
fn default_shutdown_deadline() -> ConfigDuration {
    ConfigDuration(DEFAULT_SHUTDOWN_DEADLINE)
}
fn default_store() -> String {
    "./casebook-data".into()
}

/// What the state of correlation may take.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StateConfig {
    /// Memory for groups of events that wait for more, in bytes, over all partitions of the signals topic. Groups beyond it
    /// go to disk.
    pub memory_bytes: usize,
    /// Where they go: a directory on a local disk, whose content need not outlive the worker. The directory for temporary
    /// files if absent.
    pub spill_directory: Option<PathBuf>,
    /// Whether matches and bindings are kept in tables, so that what comes late is correlated, too. Without it,
    /// what comes after the watermark has passed is counted and in no correlation.
    pub keep: bool,
    /// How long after the watermark has passed its time a match may come and still change alerts. What is older is settled.
    pub repair_horizon: ConfigDuration,
    /// How often the state is written at least when there are signals, beside writing it when a worker stops. What came
    /// since is read again from the signals topic after a crash, which must keep it as long.
    pub interval: ConfigDuration,
}

/// Least memory for groups, in bytes.
const MIN_STATE_BYTES: usize = 1 << 20;

impl Default for StateConfig {
    fn default() -> Self {
        Self {
            memory_bytes: 512 << 20,
            spill_directory: None,
            keep: true,
            repair_horizon: ConfigDuration(Duration::from_secs(86_400)),
            interval: ConfigDuration(Duration::from_secs(10)),
        }
    }
}

/// How much later than others an event may arrive and still be correlated.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatenessConfig {
    /// For sources that are not named; a minute if absent.
    #[serde(default)]
    pub default: Option<ConfigDuration>,
    /// By source name.
    #[serde(default)]
    pub sources: BTreeMap<Source, ConfigDuration>,
    /// After how long without a record a partition no longer holds back the others; half a minute if absent.
    #[serde(default)]
    pub idle: Option<ConfigDuration>,
}

impl LatenessConfig {
    /// The allowed lateness of a source. CloudTrail delivers within 15 minutes or so (AWS documentation, "How CloudTrail
    /// works"), audit webhooks and shippers within seconds.
    pub fn of(&self, source: Source) -> Duration {
        self.sources.get(&source).or(self.default.as_ref()).map_or(
            match source {
                Source::CloudTrail | Source::AzureActivity => Duration::from_secs(900),
                Source::GcpAudit => Duration::from_secs(300),
                _ => Duration::from_secs(60),
            },
            |duration| duration.0,
        )
    }

    /// After how long without a record a partition is released.
    pub fn idle(&self) -> Duration {
        self.idle.map_or(Duration::from_secs(30), |duration| duration.0)
    }
}

/// When a batch is committed: whichever comes first.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CommitConfig {
    /// Longest time between two commits while there is something to commit.
    pub interval: ConfigDuration,
    /// Bytes of records that a commit gathers. Memory holds about six times as much at full speed.
    pub max_bytes: usize,
    /// Longest time between two commits of alerts while there are any.
    pub alert_interval: ConfigDuration,
    /// Time between two commits that only say up to when partitions are read to their end, where nothing else is committed.
    pub idle_interval: ConfigDuration,
    /// Commits of a table between two Delta checkpoints, which shorten its opening; 0 for none.
    pub checkpoint_commits: u64,
}

/// Least time between two commits of an idle worker: each is an entry of a log that all workers share.
const MIN_IDLE_INTERVAL: Duration = Duration::from_secs(1);

/// Bounds of `commit.max_bytes`.
const COMMIT_BYTES: std::ops::RangeInclusive<usize> = 64 << 10..=1 << 30;

impl Default for CommitConfig {
    fn default() -> Self {
        Self {
            interval: ConfigDuration(Duration::from_secs(5)),
            max_bytes: 48 << 20,
            alert_interval: ConfigDuration(Duration::from_millis(500)),
            idle_interval: ConfigDuration(Duration::from_secs(60)),
            checkpoint_commits: StoreConfig::default().checkpoint_interval_commits,
        }
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct ConfigError {
    path: PathBuf,
    reason: String,
}

impl Config {
    /// These brokers and topics into that store, all else by default.
    pub fn new(store: &str, kafka: KafkaConfig) -> Self {
        Self {
            store: store.to_owned(),
            rules: Vec::new(),
            rules_reload: default_rules_reload(),
            cluster: None,
            kafka,
            lateness: LatenessConfig::default(),
            correlation: StateConfig::default(),
            commit: CommitConfig::default(),
            http: None,
            stall_after: default_stall_after(),
            join_wait: default_join_wait(),
            shutdown_deadline: default_shutdown_deadline(),
            traces: None,
        }
    }

    /// How the store is written.
    pub fn store_config(&self) -> StoreConfig {
        StoreConfig {
            checkpoint_interval_commits: self.commit.checkpoint_commits,
            ..StoreConfig::default()
        }
    }

    /// Reads and checks a configuration file. Relative paths in it are relative to its directory.
    ///
    /// # Errors
    /// It cannot be read, is no YAML (with line and column), names an unknown key, or says something out of bounds.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = read_text_file(path, MAX_CONFIG_BYTES).map_err(|error| ConfigError {
            path: path.into(),
            reason: error.to_string(),
        })?;
        let base = path.parent().unwrap_or(Path::new(""));
        Self::parse(&text, base).map_err(|reason| ConfigError {
            path: path.into(),
            reason,
        })
    }

    pub(crate) fn parse(text: &str, base: &Path) -> Result<Self, String> {
        let mut config: Config = serde_norway::from_str(text).map_err(|error| error.to_string())?;
        if config.kafka.topics.is_empty() {
            return Err("kafka.topics: name at least one topic".into());
        }
        if config.stall_after.0 < MIN_STALL_AFTER {
            return Err(format!("stall_after: at least {} s", MIN_STALL_AFTER.as_secs()));
        }
        config.kafka.resolve(base)?;
        for topic in &config.kafka.topics {
            if topic.name.starts_with('^') {
                regex::Regex::new(&topic.name).map_err(|error| format!("kafka.topics: `{}`: {error}", topic.name))?;
            }
            topic
                .settings(config.cluster.as_deref())
                .map_err(|reason| format!("kafka.topics: `{}`: {reason}", topic.name))?;
        }
        if !COMMIT_BYTES.contains(&config.commit.max_bytes) {
            return Err(format!(
                "commit.max_bytes: {} is not within {COMMIT_BYTES:?}",
                config.commit.max_bytes
            ));
        }
        if config.commit.idle_interval.0 < MIN_IDLE_INTERVAL {
            return Err(format!(
                "commit.idle_interval: at least {} s",
                MIN_IDLE_INTERVAL.as_secs()
            ));
        }
        if !(1..=1024).contains(&config.kafka.signals_partitions) {
            return Err(format!(
                "kafka.signals_partitions: {} is not within 1..=1024",
                config.kafka.signals_partitions
            ));
        }
        if config
            .rules_reload
            .is_some_and(|interval| interval.0 < MIN_RULES_RELOAD)
        {
            return Err(format!(
                "rules_reload: at least {} s; `null` is for never",
                MIN_RULES_RELOAD.as_secs()
            ));
        }
        if config.correlation.memory_bytes < MIN_STATE_BYTES {
            return Err(format!("correlation.memory_bytes: at least {MIN_STATE_BYTES}"));
        }
        for path in &mut config.rules {
            *path = base.join(&*path);
        }
        if !config.store.contains("://") {
            config.store = base.join(&config.store).to_string_lossy().into_owned();
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn example_parses_and_mistakes_are_placed() {
        let example = include_str!("../../../deploy/casebook.example.yaml");
        let config = Config::parse(example, Path::new("/etc/casebook")).unwrap();
        assert!(config.kafka.topics.len() >= 5);
        assert!(config.rules.iter().all(|path| path.is_absolute()));

        let check = |text: &str, want: &str| {
            let error = Config::parse(text, Path::new("")).unwrap_err();
            assert!(error.contains(want), "{error}");
        };
        check("kafka:\n  brokers: b\n  topics:\n    - nmae: x\n", "line 4 column 7");
        check("kafka:\n  brokers: b\n  topics: []\n", "at least one topic");
        check(
            "kafka:\n  brokers: b\n  topics: [{name: x, source: nope}]\n",
            "kubernetes_audit",
        );
        check("kafka:\n  brokers: b\n  topics: [{name: '^('}]\n", "^(");
        check(
            "kafka: {brokers: b, topics: [{name: x}]}\ncommit: {interval: 5}\n",
            "duration",
        );
        check(
            "kafka: {brokers: b, topics: [{name: x}]}\ncommit: {max_bytes: 5}\n",
            "commit.max_bytes",
        );
        check(
            "kafka: {brokers: b, topics: [{name: x}]}\ncorrelation: {memory_bytes: 5}\n",
            "correlation.memory_bytes",
        );
        check(
            "kafka: {brokers: b, topics: [{name: x, trusted_proxies: [10.0.0.0/8, lb.example]}]}\n",
            "`x`: trusted_proxies: `lb.example`",
        );
        check("cluster: ' '\nkafka: {brokers: b, topics: [{name: x}]}\n", "cluster");
        check(
            "rules_reload: 0s\nkafka: {brokers: b, topics: [{name: x}]}\n",
            "rules_reload",
        );
    }
}
