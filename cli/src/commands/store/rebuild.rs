//! `casebook store rebuild`: what correlation keeps, made again.

use std::process::ExitCode;

use anyhow::Result;
use casebook_pipeline::KeptOfEvents;
use casebook_store::TableName;

use super::report::{print_problems, progress};
use crate::args::{DerivedTable, RebuildArgs};
use crate::exit_code::usage;
use crate::output::notice;
use crate::resolve::{rules, stores};

pub async fn run(args: RebuildArgs) -> Result<ExitCode> {
    let (table, mut rows) = match args.table {
        DerivedTable::Signals => {
            let set = rules::load(&args.rules.rules, false)?;
            (TableName::Signals, KeptOfEvents::signals(set))
        }
        DerivedTable::Bindings if !args.rules.rules.is_empty() => {
            return Err(usage("what names stood for is of no rule: leave out --rules"));
        }
        DerivedTable::Bindings => (TableName::Bindings, KeptOfEvents::bindings()),
    };
    let store = stores::open_existing(&args.store).await?;
    let (bar, mut moved) = progress(table.name());
    let now = casebook_pipeline::now();
    let rebuilt = store
        .rebuild_kept(table, &mut |event, kept| rows.push(event, kept), now, &mut moved)
        .await;
    bar.finish_and_clear();
    let rebuilt = rebuilt?;
    notice!(
        "casebook: {}: {} rows in {} files made of {} events from {} on, in place of {} rows in {} files",
        table.name(),
        rebuilt.rows_after,
        rebuilt.files_after,
        rebuilt.events,
        rebuilt.from.as_deref().unwrap_or("the first"),
        rebuilt.rows_before,
        rebuilt.files_before,
    );
    if rebuilt.rows_taken_over > 0 {
        notice!(
            "casebook: {} of them were taken over: windows that were decided, and what stood before that date",
            rebuilt.rows_taken_over
        );
    }
    if rebuilt.files_untouched > 0 {
        notice!(
            "casebook: {} files stay as they are: older than the events, held, or of since the topics were read to their end",
            rebuilt.files_untouched
        );
    }
    print_problems(&rebuilt.problems, args.output.output)
}
