//! `casebook store rebuild-index`: indexes anew.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::{bar, bytes, print};
use crate::args::{OutputArgs, StoreArgs};
use crate::output::notice;
use crate::stores;

#[derive(Debug, Args)]
pub struct RebuildIndexArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// Also those that are sound
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    output: OutputArgs,
}

pub async fn run(args: RebuildIndexArgs) -> Result<ExitCode> {
    let store = stores::open_existing(&args.store).await?;
    let (bar, mut moved) = bar("events");
    let rebuilt = store.rebuild_indexes(args.all, &mut moved).await;
    bar.finish_and_clear();
    let rebuilt = rebuilt?;
    notice!(
        "casebook: {} of {} files have a new index: {} for {} rows",
        rebuilt.built,
        rebuilt.files,
        bytes(rebuilt.bytes),
        rebuilt.rows
    );
    print(&rebuilt.problems, args.output.output)
}
