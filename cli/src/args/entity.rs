//! `casebook entity`.

use clap::{Args, Subcommand};

use super::shared::{StoreArgs, TimeArgs};
use crate::output::AnswerFormat;

#[derive(Debug, Subcommand)]
pub enum EntityCommand {
    /// Show what it is: first and last seen, events, alerts, what it was bound to, and its neighbors
    Show(EntityShowArgs),
}

#[derive(Debug, Args)]
pub struct EntityShowArgs {
    /// pod:NAMESPACE/NAME, container:ID, node:NAME, user:NAME, ip:ADDRESS, image:REF, process:NAME, sa:NAMESPACE/NAME,
    /// namespace:NAME; or a bare name, whose kind is guessed
    #[arg(value_name = "ENTITY")]
    pub entity: String,
    /// Only what is called so in this cluster; pod:CLUSTER/NAMESPACE/NAME says the same
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub time: TimeArgs,
    /// How to print: a table, or one JSON object, bare or with its coverage
    #[arg(long, short, value_enum, default_value = "table")]
    pub output: AnswerFormat,
}
