//! `casebook store rebuild-index`: indexes anew.

use std::process::ExitCode;

use anyhow::Result;

use super::report::{bytes, print_problems, progress};
use crate::args::RebuildIndexArgs;
use crate::output::notice;
use crate::resolve::stores;

pub async fn run(args: RebuildIndexArgs) -> Result<ExitCode> {
    let store = stores::open_existing(&args.store).await?;
    let (bar, mut moved) = progress("events");
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
    print_problems(&rebuilt.problems, args.output.output)
}
