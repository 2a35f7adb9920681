//! `casebook timeline`.

use casebook_event::Source;
use clap::Args;

use super::shared::{AnswerArgs, StoreArgs, TimeArgs};

#[derive(Debug, Args)]
pub struct TimelineArgs {
    /// pod:NAMESPACE/NAME, container:ID, node:NAME, user:NAME, ip:ADDRESS, image:REF, process:NAME, sa:NAMESPACE/NAME,
    /// namespace:NAME, alert:ID, event:ID; or a bare name, whose kind is guessed
    #[arg(value_name = "ENTITY")]
    pub entity: String,
    /// Only what is called so in this cluster; pod:CLUSTER/NAMESPACE/NAME says the same
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub time: TimeArgs,
    #[command(flatten)]
    pub output: AnswerArgs,
    /// Only these sources
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub source: Vec<Source>,
    /// Print at most so many lines, the latest; 200 where --all does not ask for every event
    #[arg(long)]
    pub limit: Option<usize>,
    /// Every event on a line of its own
    #[arg(long)]
    pub all: bool,
    /// Also events that have the name anywhere in their text
    #[arg(long)]
    pub text: bool,
}
