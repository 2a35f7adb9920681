//! `casebook correlation`.

use clap::{Args, Subcommand};

use super::shared::{OutputArgs, RuleArgs, StoreArgs};

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
