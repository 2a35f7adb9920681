//! `casebook alert`: the alerts of a store.

mod evidence;
mod list;
mod show;

use std::process::ExitCode;

use anyhow::Result;

use crate::args::AlertCommand;

pub async fn run(command: AlertCommand) -> Result<ExitCode> {
    match command {
        AlertCommand::List(args) => list::run(args).await,
        AlertCommand::Show(args) => show::run(args).await,
        AlertCommand::Evidence(args) => evidence::run(args).await,
    }
}
