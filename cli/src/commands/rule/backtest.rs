//! `casebook rule backtest`: rules over stored history.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use casebook_correlate::RuleInfo;
use casebook_event::{Alert, EventRef};
use casebook_pipeline::{Backtest, BacktestCounts, BacktestReport};
use casebook_store::SearchRequest;
use serde_json::json;

use crate::args::RuleBacktestArgs;
use crate::exit_code;
use crate::output::{self, counted, escape, histogram, notice};
use crate::resolve::{rules, stores, time_range};

/// Entities that are printed.
const TOP_ENTITIES: usize = 8;

pub async fn run(args: RuleBacktestArgs) -> Result<ExitCode> {
    let (from, to) = time_range::parse(&args.time)?;
    let (set, asked) = rules::asked(&args.asked, &args.rules.rules)?;
    let store = stores::open_existing(&args.store).await?;
    let wanted: HashSet<&str> = asked
        .iter()
        .flat_map(|rule| rule.members.iter().chain([&rule.id]))
        .map(|id| &**id)
        .collect();
    let mut sources: Vec<_> = asked.iter().flat_map(|rule| rule.sources.iter().copied()).collect();
    sources.sort_unstable();
    sources.dedup();
    if sources.is_empty() {
        notice!("casebook: no source has the logsource of these rules: they can match nothing");
        return Ok(exit_code::NO.into());
    }
    let request = SearchRequest {
        from,
        to,
        sources,
        ..SearchRequest::default()
    };
    let mut backtest = Backtest::new(Arc::new(set.only(&wanted)));
    let mut failed = None;
    let mut push = |event| failed = failed.take().or(backtest.push(event).err());
    store.visit_events(&request, &mut push).await?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    let report = backtest.finish()?;
    let mut out = output::lines();
    for rule in &asked {
        let found = Found::of(rule, &report);
        if args.json {
            output::write_json(&found.json(args.samples), &mut out)?;
        } else {
            found.print(args.samples, &mut out)?;
        }
    }
    out.flush()?;
    notice!("{}", coverage(&report));
    Ok(exit_code::OK)
}

/// What was read, and what that cost.
fn coverage(report: &BacktestReport) -> String {
    let counts = &report.counts;
    let (Some(first), Some(last)) = (counts.first, counts.last) else {
        return "casebook: the store has no event of these rules' sources in that time".into();
    };
    let each = counts.detection.as_nanos() / u128::from(counts.events.max(1));
    let without = match counts.without_native {
        0 => String::new(),
        n => format!("; of {n} the record could not be read again, and native fields were not seen"),
    };
    let without = without + &older_identities(counts);
    format!(
        "casebook: {} events from {first} to {last}; detection took {each} ns an event of one core, {:.0} ms in all{without}",
        counts.events,
        counts.detection.as_secs_f64() * 1e3
    )
}

/// What an older version wrote, and what became of its ids.
fn older_identities(counts: &BacktestCounts) -> String {
    let mut text = String::new();
    if counts.reidentified > 0 {
        text += &format!(
            "; {} are of an older version and have the id here that their record has today: alerts of them have other ids than live then",
            counts.reidentified
        );
    }
    if counts.older_identity > 0 {
        text += &format!(
            "; {} are of an older version and keep its id, since their record does not say enough",
            counts.older_identity
        );
    }
    text
}

/// What one rule found.
struct Found<'a> {
    rule: &'a RuleInfo,
    /// The events that it, or the rules that it names, matched.
    matches: Vec<&'a EventRef>,
    alerts: Vec<&'a Alert>,
}

impl<'a> Found<'a> {
    fn of(rule: &'a RuleInfo, report: &'a BacktestReport) -> Self {
        let base = if rule.members.is_empty() {
            std::slice::from_ref(&rule.id)
        } else {
            &rule.members[..]
        };
        let mut matches: Vec<&EventRef> = base.iter().filter_map(|id| report.matches.get(id)).flatten().collect();
        matches.sort_by_key(|event| (event.time, event.event_id));
        matches.dedup_by_key(|event| event.event_id);
        Self {
            rule,
            matches,
            alerts: report
                .alerts
                .iter()
                .filter(|alert| *alert.rule.id == *rule.id)
                .collect(),
        }
    }

    /// Values of who, what and where among the matches, the most frequent first.
    fn entities(&self) -> Vec<(&str, &str, usize)> {
        let mut counts: HashMap<(&str, &str), usize> = HashMap::new();
        for (field, value) in self.matches.iter().flat_map(|event| event.entities.iter()) {
            *counts.entry((field, value)).or_default() += 1;
        }
        let mut entities: Vec<_> = counts.into_iter().map(|((f, v), count)| (f, v, count)).collect();
        entities.sort_by(|a, b| (b.2, a.0, a.1).cmp(&(a.2, b.0, b.1)));
        entities.truncate(TOP_ENTITIES);
        entities
    }

    fn print(&self, samples: usize, out: &mut impl Write) -> Result<()> {
        let rule = self.rule;
        writeln!(
            out,
            "{} ({}, {}): {} from {}",
            escape(&rule.title),
            rule.level,
            rule.kind,
            counted(self.alerts.len(), "alert"),
            counted(self.matches.len(), "matching event")
        )?;
        histogram::write(self.alerts.iter().map(|alert| alert.alert.time), out)?;
        let entities = self.entities();
        if !entities.is_empty() {
            writeln!(out, "  most frequent in the matching events:")?;
        }
        for (field, value, count) in entities {
            writeln!(out, "  {count:>8} {} = {}", escape(field), escape(value))?;
        }
        if !self.alerts.is_empty() && samples > 0 {
            writeln!(out, "  alerts, as they would have been:")?;
        }
        for alert in self.alerts.iter().take(samples) {
            let group: Vec<String> = alert
                .group
                .iter()
                .map(|(field, value)| format!("{field}={value}"))
                .collect();
            let first = alert.evidence.first();
            let group = match (group.is_empty(), first) {
                (true, Some(first)) => {
                    let entities = first.entities.iter().map(|(field, value)| format!("{field}={value}"));
                    entities.collect::<Vec<_>>().join(" ")
                }
                _ => group.join(" "),
            };
            writeln!(
                out,
                "  {} {} of {}: {}",
                alert.alert.time,
                alert.alert.id,
                counted(usize::try_from(alert.evidence_total).unwrap_or(usize::MAX), "event"),
                escape(&group)
            )?;
        }
        writeln!(out)?;
        Ok(())
    }

    fn json(&self, samples: usize) -> serde_json::Value {
        let entities: Vec<_> = self
            .entities()
            .into_iter()
            .map(|(field, value, count)| json!({ "field": field, "value": value, "events": count }))
            .collect();
        let times: Vec<String> = self.alerts.iter().map(|alert| alert.alert.time.to_string()).collect();
        json!({
            "rule": { "id": &*self.rule.id, "title": self.rule.title, "level": self.rule.level },
            "matches": self.matches.len(),
            "alerts": self.alerts.len(),
            "alert_times": times,
            "entities": entities,
            "samples": self.alerts.iter().take(samples).collect::<Vec<_>>(),
        })
    }
}
