//! The command line: "here are words, give me what they ask for". Its structures and their help, one file a command.
//!
//! It knows no command and opens nothing. What a flag means beyond its form (a range of time, a set of rules, a store) is said by
//! `resolve`.

mod alert;
mod correlation;
mod deployment;
mod entity;
mod files;
mod rule;
mod search;
mod shared;
mod sql;
mod store;
mod timeline;

use clap::{Args, Parser, Subcommand};

pub use alert::{AlertCommand, AlertListArgs, AlertShowArgs, EvidenceArgs};
pub use correlation::{CorrelationCommand, CorrelationStateArgs};
pub use deployment::{BenchArgs, DemoArgs, DoctorArgs, RunArgs};
pub use entity::{EntityCommand, EntityShowArgs};
pub use files::{NormalizeArgs, ReplayArgs};
pub use rule::{
    CoverageBy, CoverageFormat, LintFormat, RuleBacktestArgs, RuleCommand, RuleCoverageArgs, RuleExplainArgs,
    RuleFilterArgs, RuleLintArgs, RuleListArgs, RuleTestArgs, TestFormat,
};
pub use search::{SearchArgs, SearchFormat};
pub use shared::{StoreArgs, TimeArgs};
pub use sql::SqlArgs;
pub use store::{
    CompactArgs, DerivedTable, ExpireArgs, HoldAddArgs, HoldCommand, HoldListArgs, HoldReleaseArgs, RebuildArgs,
    RebuildIndexArgs, StatsArgs, StatsBy, StoreCommand, VacuumArgs, VerifyArgs,
};
pub use timeline::TimelineArgs;

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
    /// Check what a deployment needs (brokers, topics, store, rules, clock), and say what to fix
    Doctor(DoctorArgs),
    /// Apply the rules to files and print the final alerts, one JSON object a line
    Replay(ReplayArgs),
    /// Print files as ECS events, one JSON object a line
    Normalize(NormalizeArgs),
    /// Find events
    Search(SearchArgs),
    /// Query the tables with SQL: `events`, `alerts`, `dead_letters`, and what correlation keeps
    Sql(SqlArgs),
    /// Maintain a store: compaction, retention, verification
    #[command(subcommand)]
    Store(StoreCommand),
    /// Look at alerts
    #[command(subcommand)]
    Alert(AlertCommand),
    /// Show what happened to and by a pod, user, address, … in one order, of all sources, with the alerts
    Timeline(TimelineArgs),
    /// Look at pods, users, addresses and what else logs name
    #[command(subcommand)]
    Entity(EntityCommand),
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
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}
