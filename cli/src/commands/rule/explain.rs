//! `casebook rule explain`: why a rule matches an event, or does not.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use casebook_correlate::{CorrelationConfig, CorrelationEngine, Detector, Explained, RuleInfo, RuleKind, RuleSet};
use casebook_event::{Event, EventBatch, FieldId, Value};
use casebook_ingest::{Decoder, SourceKind};

use crate::args::RuleExplainArgs;
use crate::commands::replay::report_dead_letters;
use crate::exit_code::{self, usage};
use crate::output::{self, counted, escape, notice};
use crate::resolve::rules;

pub fn run(args: &RuleExplainArgs) -> Result<ExitCode> {
    let kind: SourceKind = args
        .source
        .parse()
        .map_err(|error| usage(format!("--source: {error}")))?;
    let (set, asked) = rules::asked(std::slice::from_ref(&args.rule), &args.rules.rules)?;
    let correlations: Vec<&RuleInfo> = asked.iter().filter(|rule| rule.kind != RuleKind::Detection).collect();
    let detections = detections(&set, &asked);
    let mut out = output::lines();
    let mut decoder = Decoder::new(kind).with_settings(args.topic.settings()?);
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
        for rule in &detections {
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
                    ("truncated", Value::Bool(event.fields.get(FieldId::Truncated).is_some())),
                    ("explained", value_of(&explained)),
                ];
                output::write_json(&map(entries), &mut out)?;
            } else {
                // Of a correlation, what a rule below it does not match is beside the point.
                if explained.holds || correlations.is_empty() {
                    print(rule, event, &explained, &mut out)?;
                }
            }
        }
    }
    if !correlations.is_empty() {
        matched = explain_groups(&set, &correlations, &batch.events, args.json, &mut out)?;
    }
    out.flush()?;
    if batch.events.is_empty() {
        notice!(
            "casebook: {}: no event to explain{}",
            escape(&args.file.display().to_string()),
            if dead_letters > 0 { ", see above" } else { "" }
        );
    }
    Ok(if matched { exit_code::OK } else { exit_code::NO.into() })
}

/// The rules about single events that are asked for: a correlation stands for those it builds on.
fn detections(set: &RuleSet, asked: &[RuleInfo]) -> Vec<Arc<str>> {
    let mut ids: Vec<Arc<str>> = Vec::new();
    for rule in asked {
        let below = set.below(&rule.id);
        let detections = set.rules().filter(|rule| rule.kind == RuleKind::Detection);
        let new = detections
            .filter(|rule| below.contains(&*rule.id))
            .map(|rule| rule.id.clone());
        ids.extend(new);
    }
    ids.dedup();
    ids
}

/// What the groups of correlations have and lack, and the alerts they make; whether there are any.
fn explain_groups(
    set: &Arc<RuleSet>,
    correlations: &[&RuleInfo],
    events: &[Event],
    json: bool,
    out: &mut impl Write,
) -> Result<bool> {
    let mut engine = CorrelationEngine::new(set, CorrelationConfig { provisional: false });
    let mut detector = Detector::new(set.clone());
    let (mut messages, mut alerts) = (Vec::new(), Vec::new());
    for event in events {
        detector.messages(event, &mut messages);
        for message in messages.drain(..) {
            engine.apply(message, &mut alerts)?;
        }
    }
    let is_asked = |id: &str| {
        let below = |rule: &&RuleInfo| *rule.id == *id || rule.members.iter().any(|member| **member == *id);
        correlations.iter().any(below)
    };
    let groups: Vec<_> = engine
        .pending()
        .into_iter()
        .filter(|group| is_asked(&group.rule_id))
        .collect();
    engine.finish(&mut alerts)?;
    alerts.retain(|alert| correlations.iter().any(|rule| *alert.rule.id == *rule.id));
    for group in &groups {
        let named: Vec<String> = group
            .group
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if json {
            let required = group.requirements.iter().map(|required| {
                map([
                    ("what", Value::str(&required.what)),
                    ("has", Value::str(&required.has)),
                    ("holds", Value::Bool(required.holds)),
                ])
            });
            let entries = [
                ("rule", Value::str(&group.rule_id)),
                ("group", Value::from(named.join(" "))),
                ("from", Value::from(group.from.to_string())),
                ("to", Value::from(group.to.to_string())),
                ("events", Value::Int(i64::try_from(group.events)?)),
                ("holds", Value::Bool(group.holds)),
                ("asked", Value::List(required.collect())),
            ];
            output::write_json(&map(entries), out)?;
            continue;
        }
        writeln!(
            out,
            "{} {}: {} from {} to {}, {}",
            if group.holds { "MATCH" } else { "no match" },
            escape(&named.join(" ")),
            escape(&group.title),
            group.from,
            group.to,
            counted(group.events, "event"),
        )?;
        for required in &group.requirements {
            let mark = if required.holds { "yes" } else { "no " };
            writeln!(out, "  {mark} {}: {}", escape(&required.what), escape(&required.has))?;
        }
    }
    if !json {
        for alert in &alerts {
            let named: Vec<String> = alert
                .group
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            writeln!(
                out,
                "alert {} {}: {}, {}",
                alert.alert.time,
                escape(&named.join(" ")),
                escape(&alert.rule.name),
                counted(usize::try_from(alert.evidence_total)?, "event"),
            )?;
        }
        if groups.is_empty() {
            writeln!(out, "no event is in a group of {}", escape(&correlations[0].title))?;
        }
    }
    Ok(!alerts.is_empty())
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
    if event.fields.get(FieldId::Truncated).is_some() {
        writeln!(out, "  the record was cut: what it lacks may have stood after its end")?;
    }
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
