//! `casebook store vacuum`: room on the disk.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use casebook_store::{Problem, Store, TableName, VacuumRequest, Vacuumed};

use super::report::{bytes, report_problems};
use crate::args::VacuumArgs;
use crate::output::notice;
use crate::resolve::age;
use crate::resolve::stores;

pub async fn run(args: VacuumArgs) -> Result<ExitCode> {
    let older_than = age("--older-than", &args.older_than)?;
    let store = stores::open_existing(&args.store).await?;
    Ok(report_problems(&sweep(&store, older_than, args.dry_run).await?))
}

/// Vacuums every table, and says on stderr what went.
pub async fn sweep(store: &Store, older_than: Duration, dry_run: bool) -> Result<Vec<Problem>> {
    let request = VacuumRequest {
        older_than,
        dry_run,
        now: casebook_pipeline::now(),
    };
    let mut all = Vacuumed::default();
    for &table in TableName::ALL {
        all.add(store.vacuum(table, request).await?);
    }
    notice!(
        "casebook: {} {} in {} files that no table names; {} in {} files are too young",
        if dry_run { "would delete" } else { "deleted" },
        bytes(all.bytes),
        all.files,
        bytes(all.kept_bytes),
        all.kept_files,
    );
    Ok(all.problems)
}
