//! `casebook alert`.

use clap::{Args, Subcommand};

use super::shared::{AnswerArgs, StoreArgs, TimeArgs};

#[derive(Debug, Subcommand)]
pub enum AlertCommand {
    /// List alerts, the gravest first
    List(AlertListArgs),
    /// Show one alert with its evidence
    Show(AlertShowArgs),
    /// Print the events that an alert cites, whole
    Evidence(EvidenceArgs),
}

#[derive(Debug, Args)]
pub struct AlertListArgs {
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub time: TimeArgs,
    #[command(flatten)]
    pub output: AnswerArgs,
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
    pub output: AnswerArgs,
}

#[derive(Debug, Args)]
pub struct EvidenceArgs {
    /// The alert's id, or enough of its beginning
    pub id: String,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub output: AnswerArgs,
}
