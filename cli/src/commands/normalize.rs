//! `casebook normalize`: files as ECS events.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use casebook_event::EventBatch;
use casebook_ingest::{Decoder, SourceKind};

use crate::args::NormalizeArgs;
use crate::commands::replay::report_dead_letters;
use crate::exit_code::{self, usage};
use crate::output;

pub fn run(args: &NormalizeArgs) -> Result<ExitCode> {
    let kind: SourceKind = args
        .source
        .parse()
        .map_err(|error| usage(format!("--source: {error}")))?;
    let decoder = Decoder::new(kind);
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut dead_letters = 0;
    for path in &args.files {
        for record in casebook_pipeline::open_records(path, kind)? {
            let mut batch = EventBatch::default();
            decoder.decode(&record?, casebook_pipeline::now(), &mut batch);
            for event in &batch.events {
                output::write_json(&event.to_ecs(), &mut out)?;
            }
            dead_letters += report_dead_letters(&batch, dead_letters);
        }
    }
    out.flush()?;
    if dead_letters > 0 {
        eprintln!("casebook: {dead_letters} records or parts of records are no events; see docs/dead-letters.md");
    }
    Ok(exit_code::OK)
}
