//! `casebook rule explain`: why a rule matches an event, or does not.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use casebook_correlate::{Explained, RuleInfo, RuleKind, RuleSet};
use casebook_event::{Event, EventBatch, Value};
use casebook_ingest::{Decoder, SourceKind};

use crate::args::RuleExplainArgs;
use crate::commands::replay::report_dead_letters;
use crate::exit_code::{self, usage};
use crate::output::{self, escape};
use crate::rules;

/// Of more alternatives than this, only those that hold are printed, and how many others there are.
const MAX_ALTERNATIVES: usize = 12;

pub fn run(args: &RuleExplainArgs) -> Result<ExitCode> {
    let kind: SourceKind = args
        .source
        .parse()
        .map_err(|error| usage(format!("--source: {error}")))?;
    let (set, asked) = rules_of(args)?;
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

/// The rules about single events that are asked for, and the set they are of: a correlation stands for those it names.
fn rules_of(args: &RuleExplainArgs) -> Result<(Arc<RuleSet>, Vec<Arc<str>>)> {
    let file = Path::new(&args.rule);
    let (set, asked): (_, Vec<RuleInfo>) = if file.is_file() {
        let set = rules::load(&[file.to_owned()], true)?;
        let all = set.rules().cloned().collect();
        (set, all)
    } else {
        let set = rules::load(&args.rules.rules, true)?;
        let found = set
            .rules()
            .filter(|rule| {
                *rule.id == *args.rule
                    || rule.title.eq_ignore_ascii_case(&args.rule)
                    || rule.name.as_deref() == Some(&args.rule)
            })
            .cloned()
            .collect();
        (set, found)
    };
    let mut ids: Vec<Arc<str>> = Vec::new();
    for rule in &asked {
        match rule.kind {
            RuleKind::Detection => ids.push(rule.id.clone()),
            _ => ids.extend(rule.members.iter().cloned()),
        }
    }
    ids.dedup();
    if ids.is_empty() {
        return Err(usage(format!(
            "no rule has the id, name or title `{}`, and there is no such file; `casebook rule list` shows what there is",
            escape(&args.rule)
        )));
    }
    Ok((set, ids))
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
    print_parts(explained, 1, out)?;
    Ok(())
}

fn print_parts(explained: &Explained, depth: usize, out: &mut impl Write) -> Result<()> {
    let many = explained.parts.len() > MAX_ALTERNATIVES;
    let mut left_out = 0;
    for part in &explained.parts {
        if many && !part.holds && part.parts.is_empty() {
            left_out += 1;
            continue;
        }
        let indent = "  ".repeat(depth);
        let sign = if part.holds { '+' } else { '-' };
        write!(out, "{indent}{sign} {}", escape(&part.text))?;
        match part.seen.as_deref() {
            None => {}
            Some([]) => write!(out, "   <- absent")?,
            Some(seen) => {
                let seen: Vec<String> = seen.iter().map(|value| format!("{value:?}")).collect();
                write!(out, "   <- {}", escape(&seen.join(", ")))?;
            }
        }
        writeln!(out)?;
        print_parts(part, depth + 1, out)?;
    }
    if left_out > 0 {
        writeln!(out, "{}  and {left_out} that do not hold", "  ".repeat(depth))?;
    }
    Ok(())
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
