//! `casebook rule coverage`: what the rules look at, by source, and by ATT&CK technique.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use casebook_correlate::{RuleInfo, RuleSet};
use casebook_event::{Level, Source, Value};
use serde_json::json;

use super::list::Filter;
use crate::args::{CoverageBy, CoverageFormat, RuleCoverageArgs};
use crate::exit_code::{self, usage};
use crate::output::OutputFormat;
use crate::output::{self, Rows, notice};
use crate::resolve::rules;

const LEVELS: [Level; 5] = [
    Level::Critical,
    Level::High,
    Level::Medium,
    Level::Low,
    Level::Informational,
];

pub fn run(args: &RuleCoverageArgs) -> Result<ExitCode> {
    let wanted = Filter::new(&args.filter)?;
    let set = rules::load(&args.paths, true)?;
    let chosen: Vec<&RuleInfo> = set.rules().filter(|rule| wanted.passes(rule)).collect();
    let rows = match args.by {
        CoverageBy::Technique => by_technique(&chosen),
        CoverageBy::Source => by_source(&chosen),
    };
    match (args.output, args.by) {
        (CoverageFormat::Navigator, CoverageBy::Source) => {
            return Err(usage("a Navigator layer is of techniques: leave out `--by source`"));
        }
        (CoverageFormat::Navigator, CoverageBy::Technique) => {
            let layer = serde_json::to_string_pretty(&navigator(&chosen))?;
            writeln!(output::lines(), "{}", output::escape_json(&layer))?;
        }
        (CoverageFormat::Table, _) => output::print(&rows, OutputFormat::Table)?,
        (CoverageFormat::Json, _) => output::print(&rows, OutputFormat::Json)?,
        (CoverageFormat::Csv, _) => output::print(&rows, OutputFormat::Csv)?,
    }
    notice!("{}", summary(&set, &chosen));
    Ok(exit_code::OK)
}

fn summary(set: &RuleSet, chosen: &[&RuleInfo]) -> String {
    let of = set.rules().count();
    let techniques = techniques(chosen).len();
    let blind = chosen.iter().filter(|rule| rule.sources.is_empty()).count();
    format!(
        "casebook: {} of {of} rules, {techniques} techniques; {blind} rules read no source",
        chosen.len()
    )
}

/// The rules that look for each technique, by its number: `T1098.006`.
fn techniques<'a>(rules: &[&'a RuleInfo]) -> BTreeMap<String, Vec<&'a RuleInfo>> {
    let mut techniques: BTreeMap<String, Vec<&RuleInfo>> = BTreeMap::new();
    for rule in rules {
        for tag in &rule.tags {
            if let Some(id) = technique(tag) {
                techniques.entry(id).or_default().push(rule);
            }
        }
    }
    techniques
}

/// The number in a tag such as `attack.t1098.006` (Sigma tags specification, "Namespace: attack").
fn technique(tag: &str) -> Option<String> {
    let id = tag.to_ascii_uppercase().strip_prefix("ATTACK.")?.to_owned();
    let digits = id.strip_prefix('T')?;
    let (main, sub) = digits.split_once('.').unwrap_or((digits, "000"));
    let number = |text: &str, length: usize| text.len() == length && text.bytes().all(|b| b.is_ascii_digit());
    (number(main, 4) && number(sub, 3)).then_some(id)
}

fn by_technique(rules: &[&RuleInfo]) -> Rows {
    let mut rows = Rows::new(&["technique", "rules", "highest", "sources", "titles"]);
    for (id, rules) in techniques(rules) {
        let mut sources: Vec<Source> = rules.iter().flat_map(|rule| rule.sources.iter().copied()).collect();
        sources.sort_unstable();
        sources.dedup();
        let sources: Vec<&str> = sources.iter().map(|source| source.name()).collect();
        let highest = rules.iter().map(|rule| rule.level).max().unwrap_or_default();
        rows.rows.push(vec![
            Value::from(id),
            count(rules.len()),
            Value::str(highest.name()),
            Value::from(sources.join(",")),
            Value::from(titles(&rules)),
        ]);
    }
    rows
}

fn by_source(rules: &[&RuleInfo]) -> Rows {
    let mut columns = vec!["source", "rules"];
    columns.extend(LEVELS.iter().map(|level| level.name()));
    columns.push("techniques");
    let mut rows = Rows::new(&columns);
    for source in Source::ALL {
        let reading: Vec<&RuleInfo> = rules
            .iter()
            .copied()
            .filter(|rule| rule.sources.contains(source))
            .collect();
        let mut row = vec![Value::str(source.name()), count(reading.len())];
        for level in LEVELS {
            row.push(count(reading.iter().filter(|rule| rule.level == level).count()));
        }
        row.push(count(techniques(&reading).len()));
        rows.rows.push(row);
    }
    rows
}

/// An ATT&CK Navigator layer, format 4.5: the score of a technique is the number of rules that look for it.
fn navigator(rules: &[&RuleInfo]) -> serde_json::Value {
    let techniques = techniques(rules);
    let highest = techniques.values().map(Vec::len).max().unwrap_or(1);
    let entries: Vec<serde_json::Value> = techniques
        .iter()
        .map(|(id, rules)| {
            json!({
                "techniqueID": id,
                "score": rules.len(),
                "comment": titles(rules),
                "enabled": true,
            })
        })
        .collect();
    json!({
        "name": "Casebook rules",
        "versions": { "layer": "4.5", "navigator": "5.1.0" },
        "domain": "enterprise-attack",
        "description": format!("{} rules", rules.len()),
        "sorting": 3,
        "hideDisabled": false,
        "techniques": entries,
        "gradient": { "colors": ["#ffffff", "#66b1ff"], "minValue": 0, "maxValue": highest },
    })
}

fn titles(rules: &[&RuleInfo]) -> String {
    let titles: Vec<&str> = rules.iter().map(|rule| rule.title.as_str()).collect();
    titles.join("; ")
}

fn count(n: usize) -> Value {
    Value::Int(i64::try_from(n).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn techniques_are_read_from_tags() {
        let check = |tag: &str, want: Option<&str>| assert_eq!(technique(tag).as_deref(), want, "{tag}");
        check("attack.t1098.006", Some("T1098.006"));
        check("attack.T1609", Some("T1609"));
        check("attack.execution", None);
        check("attack.t16", None);
        check("attack.t1609.1", None);
        check("cve.2021-44228", None);
    }
}
