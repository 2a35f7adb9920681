//! `casebook rule explain`: why a rule matches an event, or does not.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use casebook_correlate::{Explained, RuleInfo, RuleKind};
use casebook_event::{Event, EventBatch, Value};
use casebook_ingest::{Decoder, SourceKind};

use crate::args::RuleExplainArgs;
use crate::commands::replay::report_dead_letters;
use crate::exit_code::{self, usage};
use crate::output::{self, escape};
use crate::rules;

pub fn run(args: &RuleExplainArgs) -> Result<ExitCode> {
    let kind: SourceKind = args
        .source
        .parse()
        .map_err(|error| usage(format!("--source: {error}")))?;
    let (set, asked) = rules::asked(std::slice::from_ref(&args.rule), &args.rules.rules)?;
    let asked = detections(&asked);
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut decoder = Decoder::new(kind);
    let mut batch = EventBatch::default();
    let mut last = None;
    for record in casebook_pipeline::open_records(&args.file, kind)? {
        let record = record?;
        decoder.decode(&record, casebook_pipeline::now(), &mut batch);
        last = Some(record.position);
    }
    if let Some(last) = last {
        decoder.flush(&last, casebook_pipeline::now(), &mut batch);
    }
    let dead_letters = report_dead_letters(&batch, 0);
    let mut matched = false;
    for event in &batch.events {
        for rule in &asked {
            let Some(explained) = set.explain(rule, event) else {
                continue;
            };
            matched |= explained.holds;
            if args.json {
                let position = Value::from(event.position.to_string());
                let entries = [
                    ("rule", Value::str(rule)),
                    ("event", Value::from(event.id.to_string())),
                    ("position", position),
                    ("explained", value_of(&explained)),
                ];
                output::write_json(&map(entries), &mut out)?;
            } else {
                print(rule, event, &explained, &mut out)?;
            }
        }
    }
    out.flush()?;
    if batch.events.is_empty() {
        eprintln!(
            "casebook: {}: no event to explain{}",
            escape(&args.file.display().to_string()),
            if dead_letters > 0 { ", see above" } else { "" }
        );
    }
    Ok(if matched { exit_code::OK } else { exit_code::NO.into() })
}

/// The rules about single events that are asked for: a correlation stands for those it names.
fn detections(asked: &[RuleInfo]) -> Vec<Arc<str>> {
    let mut ids: Vec<Arc<str>> = Vec::new();
    for rule in asked {
        match rule.kind {
            RuleKind::Detection => ids.push(rule.id.clone()),
            _ => ids.extend(rule.members.iter().cloned()),
        }
    }
    ids.dedup();
    ids
}

fn print(rule: &str, event: &Event, explained: &Explained, out: &mut impl Write) -> Result<()> {
    writeln!(
        out,
        "{} {}: {} ({})",
        if explained.holds { "MATCH" } else { "no match" },
        escape(&event.position.to_string()),
        escape(&explained.text),
        escape(rule),
    )?;
    output::explained::write(explained, 1, out)
}

fn value_of(explained: &Explained) -> Value {
    let mut entries = vec![
        ("text".into(), Value::str(&explained.text)),
        ("holds".into(), Value::Bool(explained.holds)),
    ];
    if let Some(seen) = &explained.seen {
        entries.push(("seen".into(), seen.iter().map(String::as_str).collect()));
    }
    if !explained.parts.is_empty() {
        entries.push((
            "parts".into(),
            Value::List(explained.parts.iter().map(value_of).collect()),
        ));
    }
    Value::Map(entries)
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
}
