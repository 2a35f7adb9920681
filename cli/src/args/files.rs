//! `casebook replay` and `normalize`: files instead of Kafka.

use std::path::PathBuf;

use clap::Args;

use super::shared::{RuleArgs, TopicArgs};

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
