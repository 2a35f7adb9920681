//! `casebook normalize`: files as ECS events.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use casebook_event::{EventBatch, RawRecord};
use casebook_ingest::{Decoder, SourceKind, detect_source};

use crate::args::NormalizeArgs;
use crate::commands::replay::report_dead_letters;
use crate::exit_code::{self, usage};
use crate::output::{self, notice};

pub fn run(args: &NormalizeArgs) -> Result<ExitCode> {
    let kind: SourceKind = args
        .source
        .parse()
        .map_err(|error| usage(format!("--source: {error}")))?;
    let settings = args.topic.settings()?;
    let mut out = output::lines();
    let mut dead_letters = 0;
    for path in &args.files {
        let mut decoder = Decoder::new(kind).with_settings(settings.clone());
        let mut batch = EventBatch::default();
        let mut last = None;
        for record in casebook_pipeline::open_records(path, kind)? {
            let record = record?;
            if args.explain {
                explain(&record);
            }
            decoder.decode(&record, casebook_pipeline::now(), &mut batch);
            dead_letters += print(&mut batch, dead_letters, &mut out)?;
            last = Some(record.position);
        }
        if let Some(last) = last {
            decoder.flush(&last, casebook_pipeline::now(), &mut batch);
            dead_letters += print(&mut batch, dead_letters, &mut out)?;
        }
    }
    out.flush()?;
    if dead_letters > 0 {
        notice!("casebook: {dead_letters} records or parts of records are no events; see docs/dead-letters.md");
    }
    Ok(exit_code::OK)
}

/// Prints the events of a batch, reports its dead letters, and empties it; returns how many dead letters there were.
fn print(batch: &mut EventBatch, before: usize, out: &mut impl std::io::Write) -> Result<usize> {
    for event in batch.events.drain(..) {
        output::write_json(&event.to_ecs(), out)?;
    }
    let dead_letters = report_dead_letters(batch, before);
    batch.dead_letters.clear();
    Ok(dead_letters)
}

/// Says on stderr what a record was taken for, and why.
fn explain(record: &RawRecord) {
    let position = record.position.to_string();
    let position = output::escape(&position);
    match detect_source(&record.payload) {
        Ok((source, mark)) => notice!("casebook: {position}: {source}: {mark}"),
        Err(reject) => notice!("casebook: {position}: {}", output::escape(&reject.to_string())),
    }
}
