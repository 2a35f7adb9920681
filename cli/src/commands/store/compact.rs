//! `casebook store compact`: small files become larger ones.

use std::process::ExitCode;

use anyhow::Result;
use casebook_store::{COMPACTED_ZSTD_LEVEL, Store, StoreConfig, TableName};

use super::report::{bytes, progress, report_problems};
use super::vacuum;
use crate::args::CompactArgs;
use crate::exit_code::usage;
use crate::output::{self, Rows, count, notice};
use crate::resolve::age;

pub async fn run(args: CompactArgs) -> Result<ExitCode> {
    let keep = age("--keep-removed", &args.keep_removed)?;
    let mut config = StoreConfig {
        zstd_level: COMPACTED_ZSTD_LEVEL,
        ..StoreConfig::default()
    };
    if let Some(target) = args.target {
        config.target_file_bytes = target
            .checked_mul(1 << 20)
            .filter(|bytes| *bytes > 0)
            .ok_or_else(|| usage(format!("--target: {target} MiB is no size of a file")))?;
    }
    let store = Store::open_existing(&args.store.store, config).await?;
    let mut rows = Rows::new(&[
        "table",
        "files_before",
        "files_after",
        "files_merged",
        "files_made",
        "bytes_merged",
        "bytes_made",
    ]);
    let mut found = Vec::new();
    for &table in TableName::ALL {
        let (bar, mut moved) = progress(table.name());
        let done = store.compact(table, casebook_pipeline::now(), &mut moved).await;
        bar.finish_and_clear();
        let done = done?;
        rows.rows.push(vec![
            casebook_event::Value::str(table.name()),
            count(done.files_before),
            count(done.files_after),
            count(done.files_merged),
            count(done.files_made),
            count(done.bytes_merged),
            count(done.bytes_made),
        ]);
        if done.files_made > 0 {
            notice!(
                "casebook: {}: {} files before, {} now; {} in {} files became {} in {}",
                table.name(),
                done.files_before,
                done.files_after,
                bytes(done.bytes_merged),
                done.files_merged,
                bytes(done.bytes_made),
                done.files_made,
            );
        }
        if done.conflicts > 0 {
            notice!(
                "casebook: {}: {} groups of files were left to other maintenance that was first",
                table.name(),
                done.conflicts
            );
        }
        found.extend(done.problems);
    }
    output::print(&rows, args.output.output)?;
    found.extend(vacuum::sweep(&store, keep, false).await?);
    Ok(report_problems(&found))
}
