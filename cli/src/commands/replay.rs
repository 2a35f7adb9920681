//! `casebook replay`: the rules over files.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use casebook_event::EventBatch;
use casebook_ingest::SourceKind;
use casebook_pipeline::Replay;

use crate::args::ReplayArgs;
use crate::exit_code::{self, usage};
use crate::output::notice;
use crate::resolve::rules;
use crate::{output, progress_bar};

/// Dead letters that are reported one by one; the others are only counted.
const MAX_REPORTED_DEAD_LETTERS: usize = 20;

pub fn run(args: &ReplayArgs) -> Result<ExitCode> {
    let kind: SourceKind = args
        .source
        .parse()
        .map_err(|error| usage(format!("--source: {error}")))?;
    let settings = args.topic.settings()?;
    let rules = rules::load(&args.rules.rules, args.keep_going)?;
    // All files are opened before the first is read: a name that is wrong is reported at once.
    let files: Vec<_> = args
        .files
        .iter()
        .map(|path| casebook_pipeline::open_records(path, kind))
        .collect::<Result<_, _>>()?;
    let bar = progress_bar::bytes(args.files.iter().map(|path| size(path)).sum(), "replay");
    let mut replay = Replay::new(rules, kind, settings);
    let mut dead_letters = 0;
    for records in files {
        for record in records {
            let record = record?;
            dead_letters += report_dead_letters(replay.push(&record)?, dead_letters);
            bar.inc(record.payload.len() as u64);
        }
        dead_letters += report_dead_letters(replay.end_of_file()?, dead_letters);
    }
    bar.finish_and_clear();
    let counts = replay.counts();
    let alerts = replay.finish()?;
    let mut out = output::lines();
    for alert in &alerts {
        output::write_json(alert, &mut out)?;
    }
    out.flush()?;
    notice!(
        "casebook: {} records, {} events, {} dead letters, {} alerts",
        counts.records,
        counts.events,
        counts.dead_letters,
        alerts.len()
    );
    Ok(exit_code::OK)
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Reports on stderr where and why records are no events; `before` were reported already. Returns how many there are.
pub fn report_dead_letters(batch: &EventBatch, before: usize) -> usize {
    for letter in batch
        .dead_letters
        .iter()
        .take(MAX_REPORTED_DEAD_LETTERS.saturating_sub(before))
    {
        notice!(
            "casebook: {}: {}: {}",
            output::escape(&letter.position.to_string()),
            letter.reason,
            output::escape(&letter.detail)
        );
    }
    batch.dead_letters.len()
}
