//! `casebook store rebuild`: what correlation keeps, made again.

use std::process::ExitCode;

use anyhow::Result;
use casebook_pipeline::KeptOfEvents;
use casebook_store::TableName;

use super::report::{print_problems, progress};
use crate::args::{DerivedTable, RebuildArgs};
use crate::exit_code::usage;
use crate::output::{counted, notice};
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
    let rebuilt = store.rebuild_kept(table, &mut rows, now, &mut moved).await;
    bar.finish_and_clear();
    let rebuilt = rebuilt?;
    let counted = |n: u64, what: &str| counted(usize::try_from(n).unwrap_or(usize::MAX), what);
    notice!(
        "casebook: {}: {} in {} made of {} from {} on, in place of {} in {}",
        table.name(),
        counted(rebuilt.rows_after, "row"),
        counted(rebuilt.files_after, "file"),
        counted(rebuilt.events, "event"),
        rebuilt.from.as_deref().unwrap_or("the first"),
        counted(rebuilt.rows_before, "row"),
        counted(rebuilt.files_before, "file"),
    );
    if rebuilt.rows_taken_over > 0 {
        notice!(
            "casebook: of these, {} were taken over as they stood: windows that were decided, matches of other rules, and what is of before that date",
            counted(rebuilt.rows_taken_over, "row")
        );
    }
    if rebuilt.files_untouched > 0 {
        notice!(
            "casebook: left as it is, beside them: {} older than the events, held, or of since the topics were read to their end; equal rows count once",
            counted(rebuilt.files_untouched, "file")
        );
    }
    print_problems(&rebuilt.problems, args.output.output)
}
