//! `casebook rule`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::shared::{OutputArgs, RuleArgs, StoreArgs, TimeArgs, TopicArgs};

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

/// By what rules are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CoverageBy {
    /// ATT&CK technique, with the rules that look for it
    Technique,
    /// Source, with the number of rules of each level
    Source,
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
