//! `casebook store`: the maintenance of a store.

mod compact;
mod expire;
mod hold;
mod rebuild;
mod rebuild_index;
mod report;
mod stats;
mod vacuum;
mod verify;

use std::process::ExitCode;

use anyhow::Result;

use crate::args::StoreCommand;

pub async fn run(command: StoreCommand) -> Result<ExitCode> {
    match command {
        StoreCommand::Stats(args) => stats::run(args).await,
        StoreCommand::Compact(args) => compact::run(args).await,
        StoreCommand::Expire(args) => expire::run(args).await,
        StoreCommand::Vacuum(args) => vacuum::run(args).await,
        StoreCommand::Verify(args) => verify::run(args).await,
        StoreCommand::RebuildIndex(args) => rebuild_index::run(args).await,
        StoreCommand::Rebuild(args) => rebuild::run(args).await,
        StoreCommand::Hold(command) => hold::run(command).await,
    }
}
