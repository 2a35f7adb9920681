//! The command line.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use casebook_ingest::{ClusterName, TopicSettings, TrustedProxies};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands::store::StoreCommand;
use crate::exit_code::usage;

/// Detection and investigation for Kubernetes security incidents.
#[derive(Debug, Parser)]
#[command(
    name = "casebook",
    version,
    about,
    max_term_width = 110,
    after_help = "Exit codes: 0 done; 1 the answer is no (failed rule test, rule error, no such alert, no event that matches, a problem in a store); 2 unusable command line, configuration, query or rule; 3 could not go on (files, store, brokers, a SQL statement beyond its memory or time).\nLogs go to stderr; CASEBOOK_LOG=debug shows more, CASEBOOK_LOG_FORMAT=json as JSON lines."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the whole of it in under a minute: a broker, an attack among noise, the alerts, a store to search
    Demo(DemoArgs),
    /// Read logs from Kafka, apply the rules, and keep events and alerts
    Run(RunArgs),
    /// Look at what a deployment needs (brokers, topics, store, rules, clock), and say what to mend
    Doctor(DoctorArgs),
    /// Apply the rules to files and print the final alerts, one JSON object a line
    Replay(ReplayArgs),
    /// Print files as ECS events, one JSON object a line
    Normalize(NormalizeArgs),
    /// Find events
    Search(crate::commands::search::SearchArgs),
    /// Query the tables with SQL: `events`, `alerts`, `dead_letters`, and what correlation keeps
    Sql(SqlArgs),
    /// Care for a store: compaction, retention, verification
    #[command(subcommand)]
    Store(StoreCommand),
    /// Look at alerts
    #[command(subcommand)]
    Alert(AlertCommand),
    /// Tell what happened to and by a pod, user, address, … in one order, of all sources, with the alerts
    Timeline(crate::commands::timeline::TimelineArgs),
    /// Look at pods, users, addresses and what else logs name
    #[command(subcommand)]
    Entity(crate::commands::entity::EntityCommand),
    /// Check, test, explain, backtest and list rules
    #[command(subcommand)]
    Rule(RuleCommand),
    /// Look at what correlation waits for
    #[command(subcommand)]
    Correlation(CorrelationCommand),
    /// Measure the way from Kafka to committed tables and indexes
    Bench(BenchArgs),
    /// Print completions for a shell
    Completions(CompletionsArgs),
}

#[derive(Debug, Args)]
pub struct StoreArgs {
    /// Where the tables are: a directory or URL
    #[arg(long, value_name = "URL", env = "CASEBOOK_STORE", default_value = "./casebook-data")]
    pub store: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// Aligned columns
    Table,
    /// One JSON object a line
    #[value(alias = "ndjson", alias = "jsonl")]
    Json,
    /// Comma-separated values with a header (RFC 4180)
    Csv,
}

#[derive(Debug, Args)]
pub struct OutputArgs {
    /// How to print
    #[arg(long, short, value_enum, default_value = "table")]
    pub output: OutputFormat,
}

#[derive(Debug, Args)]
pub struct TimeArgs {
    /// Only from this long ago on (90s, 15m, 2h, 7d), or from a time on
    #[arg(long, value_name = "DURATION", conflicts_with = "from", allow_hyphen_values = true)]
    pub since: Option<String>,
    /// Only from this time on: 2026-11-24, "2026-11-24 10:00", 10:30 (today), yesterday, now-2h, RFC 3339 or seconds since 1970; UTC where no offset is said
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub from: Option<String>,
    /// Only before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub to: Option<String>,
}

#[derive(Debug, Args)]
pub struct RuleArgs {
    /// Rule files and directories; the built-in pack if none is named
    #[arg(long = "rules", value_name = "PATH")]
    pub rules: Vec<PathBuf>,
}

/// What a deployment's configuration says of a topic, for files.
#[derive(Debug, Args)]
pub struct TopicArgs {
    /// The cluster that events are of which do not name theirs
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<ClusterName>,
    /// Networks of one's own proxies, with commas between: the address that such a peer forwards for is believed
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    pub trusted_proxies: Vec<String>,
}

impl TopicArgs {
    /// The same as decoding takes it.
    pub fn settings(&self) -> anyhow::Result<Arc<TopicSettings>> {
        let trusted_proxies = TrustedProxies::parse(&self.trusted_proxies)
            .map_err(|reason| usage(format!("--trusted-proxies: {reason}")))?;
        Ok(Arc::new(TopicSettings {
            cluster: self.cluster.clone(),
            trusted_proxies,
        }))
    }
}

#[derive(Debug, Args)]
pub struct DemoArgs {
    #[command(flatten)]
    pub store: StoreArgs,
    /// The same seed tells the same story; 1 for a store without alerts, else a new one each time
    #[arg(long)]
    pub seed: Option<u64>,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    /// The configuration; deploy/casebook.example.yaml shows every key
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Where the tables are, instead of what the configuration says
    #[arg(long, value_name = "URL", env = "CASEBOOK_STORE")]
    pub store: Option<String>,
    /// What this worker does: ingest (logs to events and signals), correlate (signals to alerts), or all
    #[arg(long, value_name = "ROLE", env = "CASEBOOK_ROLE", default_value = "all")]
    pub role: casebook_pipeline::Role,
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The configuration; deploy/casebook.example.yaml shows every key
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Where the tables are, instead of what the configuration says
    #[arg(long, value_name = "URL", env = "CASEBOOK_STORE")]
    pub store: Option<String>,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Args)]
pub struct ReplayArgs {
    #[command(flatten)]
    pub rules: RuleArgs,
    /// The kind of log: auto, or a source's name: kubernetes_audit, container, cloudtrail, auditd, … (docs/sources)
    #[arg(long, default_value = "auto", value_name = "KIND")]
    pub source: String,
    #[command(flatten)]
    pub topic: TopicArgs,
    /// Keep rules that are sound where others of the set are broken
    #[arg(long)]
    pub keep_going: bool,
    /// Files; - for standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct NormalizeArgs {
    /// The kind of log: auto, or a source's name: kubernetes_audit, container, cloudtrail, auditd, … (docs/sources)
    #[arg(long, default_value = "auto", value_name = "KIND")]
    pub source: String,
    #[command(flatten)]
    pub topic: TopicArgs,
    /// Say on stderr what each record was taken for, and by which mark
    #[arg(long)]
    pub explain: bool,
    /// Files; - for standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub struct SqlArgs {
    /// One SELECT statement; without one, a prompt
    pub query: Option<String>,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    /// Print at most so many rows
    #[arg(long, default_value_t = 1000)]
    pub limit: usize,
    /// Stop a statement that takes more memory, in MiB
    #[arg(long, value_name = "MIB", env = "CASEBOOK_SQL_MEMORY_MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(16..))]
    pub memory_limit_mib: u32,
    /// Stop a statement that takes longer: 90s, 15m
    #[arg(long, value_name = "DURATION", env = "CASEBOOK_SQL_TIMEOUT", default_value = "5m", value_parser = duration)]
    pub timeout: Duration,
}

fn duration(text: &str) -> Result<Duration, String> {
    casebook_pipeline::parse_duration(text)
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "a duration is a number and ms, s, m, h, d or w, as in 90s".to_owned())
}

#[derive(Debug, Subcommand)]
pub enum AlertCommand {
    /// List alerts, the gravest first
    List(AlertListArgs),
    /// Show one alert with its evidence
    Show(AlertShowArgs),
    /// Print the events that an alert cites, whole
    Evidence(crate::commands::evidence::EvidenceArgs),
}

#[derive(Debug, Args)]
pub struct AlertListArgs {
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub time: TimeArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    /// Only alerts of at least this level: informational, low, medium, high, critical
    #[arg(long, value_name = "LEVEL")]
    pub level: Option<String>,
    /// Only alerts of the rule with this id
    #[arg(long, value_name = "ID")]
    pub rule: Option<String>,
    /// Also alerts that were withdrawn
    #[arg(long)]
    pub withdrawn: bool,
    /// Print at most so many alerts
    #[arg(long, default_value_t = 50)]
    pub limit: usize,
}

#[derive(Debug, Args)]
pub struct AlertShowArgs {
    /// The alert's id, or enough of its beginning
    pub id: String,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Subcommand)]
pub enum CorrelationCommand {
    /// List the groups of events that wait for more, with what they have and what they lack
    State(CorrelationStateArgs),
}

#[derive(Debug, Args)]
pub struct CorrelationStateArgs {
    #[command(flatten)]
    pub store: StoreArgs,
    /// Only groups of this correlation: an id, name or title, or a file of rules
    #[arg(long, value_name = "RULE")]
    pub rule: Option<String>,
    #[command(flatten)]
    pub rules: RuleArgs,
    /// The consumer group of the workers (`kafka.group`), where several have worked on the store
    #[arg(long)]
    pub group: Option<String>,
    #[command(flatten)]
    pub output: OutputArgs,
    /// Print at most so many groups
    #[arg(long, default_value_t = 50)]
    pub limit: usize,
}

#[derive(Debug, Subcommand)]
pub enum RuleCommand {
    /// Report errors and warnings with file, line and column
    Lint(RuleLintArgs),
    /// Run the tests that rules carry
    Test(RuleTestArgs),
    /// List rules
    List(RuleListArgs),
    /// Apply rules to stored history, with the live engines
    Backtest(RuleBacktestArgs),
    /// Count rules by source and level, and by ATT&CK technique
    Coverage(RuleCoverageArgs),
    /// Print the JSON Schema of rule files, for editors that complete and check YAML
    Schema,
    /// Say why a rule matches events, or does not, part by part with the values it saw
    Explain(RuleExplainArgs),
}

#[derive(Debug, Args)]
pub struct RuleExplainArgs {
    #[command(flatten)]
    pub rules: RuleArgs,
    /// The kind of log: auto, or a source's name: kubernetes_audit, container, cloudtrail, auditd, … (docs/sources)
    #[arg(long, default_value = "auto", value_name = "KIND")]
    pub source: String,
    #[command(flatten)]
    pub topic: TopicArgs,
    /// Print one JSON object for each event and rule
    #[arg(long)]
    pub json: bool,
    /// A rule's id or title, or a file of rules
    #[arg(value_name = "RULE")]
    pub rule: String,
    /// A file of records; - for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// How findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LintFormat {
    /// A line each, as compilers do
    Text,
    /// One JSON object a line
    Json,
    /// Comma-separated values with a header (RFC 4180)
    Csv,
    /// SARIF 2.1.0, for code hosts
    Sarif,
}

#[derive(Debug, Args)]
pub struct RuleLintArgs {
    /// Rule files and directories; the built-in pack if none is named
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// How to print
    #[arg(short, long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub output: LintFormat,
    /// Fail on warnings too
    #[arg(long)]
    pub deny_warnings: bool,
}

/// How outcomes of tests are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TestFormat {
    /// Failures with their reasons, and a count
    Text,
    /// One JSON object a line
    Json,
    /// Comma-separated values with a header (RFC 4180)
    Csv,
    /// JUnit XML, for CI systems
    Junit,
}

#[derive(Debug, Args)]
pub struct RuleTestArgs {
    /// Rule files and directories; the built-in pack if none is named
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// How to print
    #[arg(short, long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub output: TestFormat,
    #[command(flatten)]
    pub topic: TopicArgs,
    /// Print the tests that pass, too
    #[arg(short, long)]
    pub verbose: bool,
}

#[derive(Debug, Args)]
pub struct RuleListArgs {
    /// Rule files and directories; the built-in pack if none is named
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    pub filter: RuleFilterArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Which rules of a set are meant.
#[derive(Debug, Args)]
pub struct RuleFilterArgs {
    /// Only rules that read this source
    #[arg(long, value_name = "KIND")]
    pub source: Option<String>,
    /// Only rules of this level or above
    #[arg(long, value_name = "LEVEL")]
    pub level: Option<String>,
    /// Only rules with this tag, or one below it: attack.t1609, t1098, attack.execution
    #[arg(long, value_name = "TAG")]
    pub tag: Option<String>,
}

#[derive(Debug, Args)]
pub struct RuleBacktestArgs {
    /// Ids, names or titles of rules, or files of rules
    #[arg(required = true, value_name = "RULE")]
    pub asked: Vec<String>,
    #[command(flatten)]
    pub rules: RuleArgs,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub time: TimeArgs,
    /// Print at most so many sample alerts of each rule
    #[arg(long, default_value_t = 3)]
    pub samples: usize,
    /// Print one JSON object for each rule
    #[arg(long)]
    pub json: bool,
}

/// How coverage is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CoverageFormat {
    /// Aligned columns
    Table,
    /// One JSON object a line
    Json,
    /// Comma-separated values with a header (RFC 4180)
    Csv,
    /// A layer for the ATT&CK Navigator
    Navigator,
}

#[derive(Debug, Args)]
pub struct RuleCoverageArgs {
    /// Rule files and directories; the built-in pack if none is named
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    pub filter: RuleFilterArgs,
    /// By what to count
    #[arg(long, value_enum, default_value = "technique")]
    pub by: CoverageBy,
    /// How to print
    #[arg(short, long, value_enum, default_value = "table", value_name = "FORMAT")]
    pub output: CoverageFormat,
}

/// By what rules are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CoverageBy {
    /// ATT&CK technique, with the rules that look for it
    Technique,
    /// Source, with the number of rules of each level
    Source,
}

#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Brokers to use; else a real Kafka is started by deploy/dev/kafka
    #[arg(long, env = "KAFKA_BROKERS", value_name = "HOST:PORT")]
    pub brokers: Option<String>,
    /// Log bytes to put through, in MiB
    #[arg(long, default_value_t = 512, value_name = "MIB")]
    pub size: u64,
    /// What the logs are of: `dense` (everything comes often) or `benign` (a day on which nothing happens)
    #[arg(long, default_value = "dense", value_name = "KIND")]
    pub activity: casebook_corpus::Activity,
    /// Partitions of each log topic
    #[arg(long, default_value_t = 2)]
    pub partitions: i32,
    /// Workers of one group, in this process
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub workers: u32,
    /// Bytes of records that a commit gathers, in MiB
    #[arg(long, value_name = "MIB")]
    pub commit_size: Option<usize>,
    /// Run without rules
    #[arg(long)]
    pub no_rules: bool,
    /// Run without the tables by which what comes late is correlated (`correlation.keep: false`)
    #[arg(long)]
    pub no_repairs: bool,
    /// Keep the store in this directory instead of a temporary one
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    #[command(flatten)]
    pub output: OutputArgs,
}
