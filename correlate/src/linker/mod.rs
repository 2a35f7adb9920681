//! Rules that parsed, one by one → a rule set: ids, references, lints, plans.
//!
//! ```text
//! Rule ─unique, map─▶ Named { id, Rule } ─narrow, resolve, Chains─▶ filters, members ─lint, Builder─▶ RuleSet
//! ```

mod builder;
mod chain;
mod narrowing;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use casebook_event::Source;

use crate::diagnostic::{Diagnostic, Report, code};
use crate::entity::is_of_cloud;
use crate::limits::MAX_RULES;
use crate::rule_set::RuleSet;
use crate::sigma::correlation::{Correlation, Reference};
use crate::sigma::detection::Detection;
use crate::sigma::filter::Filter;
use crate::sigma::lint::lint;
use crate::sigma::logsource::RuleLogsource;
use crate::sigma::mapping::{Mapping, Renamed, Scope};
use crate::sigma::rule::{Body, Rule, is_near};
use crate::sigma::version::version_with;
use builder::Builder;
use chain::{Chains, Members};
use narrowing::narrow;

/// Gives ids, resolves references, asks the lints, and compiles. What is broken is reported and left out.
pub(crate) fn link(rules: Vec<Rule>, filters: &[Filter], mapping: &Mapping, findings: &mut Vec<Diagnostic>) -> RuleSet {
    let mut rules = unique(rules, findings);
    rules.iter_mut().for_each(|named| map(&mut named.rule, mapping));
    let names: HashMap<String, usize> = rules
        .iter()
        .enumerate()
        .flat_map(|(at, rule)| [Some(rule.id.to_string()), rule.name().map(str::to_owned)].map(|key| (key, at)))
        .filter_map(|(key, at)| key.map(|key| (key, at)))
        .collect();
    narrow(&mut rules, filters, mapping, &names, findings);
    let mut members = Members::with_capacity(rules.len());
    let mut referenced = HashSet::new();
    let mut generated = HashSet::new();
    for Named { rule, .. } in &rules {
        let found = match &rule.body {
            Body::Detection { .. } => Some(Vec::new()),
            Body::Correlation(correlation) => resolve(rule, correlation, &rules, &names, findings),
        };
        if let (Some(found), Body::Correlation(correlation)) = (&found, &rule.body) {
            referenced.extend(found.iter().copied());
            if correlation.generate {
                generated.extend(found.iter().copied());
            }
        }
        members.push(found);
    }
    let chains = Chains::find(&rules, &mut members, findings);
    let alerts = |at: usize| !referenced.contains(&at) || generated.contains(&at);
    for (at, named) in rules.iter().enumerate() {
        let mut report = Report::new(&named.rule.file, findings);
        lint(&named.rule, alerts(at), &mut report);
        if chains.by_cluster[at] {
            lint_clusters(&named.rule, &sources(&rules, &members, at), &mut report);
        }
    }
    let mut builder = Builder::new(mapping, &rules, &members, &chains);
    // What a correlation builds on comes before it: its version is part of the other's.
    let mut order: Vec<usize> = (0..rules.len()).collect();
    order.sort_by_key(|&at| chains.levels[at]);
    for at in order {
        builder.add(at, alerts(at));
    }
    builder.finish()
}

/// The sources of a rule and of all that it builds on.
fn sources(rules: &[Named], members: &Members, at: usize) -> BTreeSet<Source> {
    match &rules[at].rule.body {
        Body::Detection { logsource, .. } => logsource.sources().collect(),
        Body::Correlation(_) => {
            let members_of_it = members[at].iter().flatten();
            members_of_it
                .flat_map(|&member| sources(rules, members, member))
                .collect()
        }
    }
}

/// A cloud's log is in no cluster: its events do not meet those of one unless the rule says that they may.
fn lint_clusters(rule: &Rule, sources: &BTreeSet<Source>, report: &mut Report<'_>) {
    let Body::Correlation(correlation) = &rule.body else {
        return;
    };
    let (of_cloud, of_cluster): (Vec<&Source>, Vec<&Source>) = sources.iter().partition(|source| is_of_cloud(**source));
    if correlation.clusters.is_none()
        && let (Some(cloud), Some(cluster)) = (of_cloud.first(), of_cluster.first())
    {
        let message = format!(
            "events of {cloud} are of no cluster: where clusters are named, they do not meet those of {cluster}"
        );
        let help = "`casebook: { clusters: any }` lets them meet; `clusters: each` says that they need not";
        report.add_help(code::CLUSTERS_APART, correlation.mark, message, help);
    }
}

/// Gives a rule the sources and names of the fields that are meant.
fn map(rule: &mut Rule, mapping: &Mapping) {
    if let Body::Detection { logsource, detection } = &mut rule.body {
        mapping.route(logsource);
        if let Some(mapped) = &logsource.mapped {
            rule.version = version_with(rule.version, [format!("{:016x}", mapped.version).as_str()]);
        }
        let renamed = rename(detection, mapping, logsource);
        rule.version = version_of_names(rule.version, &renamed);
    }
}

/// Renames the fields that a detection asks; the names that mapping documents gave another meaning.
fn rename(detection: &mut Detection, mapping: &Mapping, logsource: &RuleLogsource) -> Renamed {
    let scope = Scope::new(logsource);
    let mut renamed = Renamed::new();
    for selection in &mut detection.selections {
        mapping.rename(&mut selection.query, &scope, &mut renamed);
    }
    renamed
}

/// A version with what names mean.
fn version_of_names(version: u64, renamed: &Renamed) -> u64 {
    let texts = renamed
        .iter()
        .flat_map(|(name, fields)| std::iter::once(name).chain(fields));
    version_with(version, texts.map(String::as_str))
}

/// Says that there is no rule of that id or name, and which has almost that one.
fn report_unknown(reference: &Reference, names: &HashMap<String, usize>, report: &mut Report<'_>) {
    let message = format!("there is no rule with the id or name `{}`", reference.rule);
    let near = names.keys().filter(|name| is_near(name, &reference.rule)).min();
    match near {
        Some(near) => report.add_help(
            code::UNKNOWN_RULE,
            reference.mark,
            message,
            format!("did you mean `{near}`?"),
        ),
        None => report.add(code::UNKNOWN_RULE, reference.mark, message),
    }
}

/// A rule with the id that it goes by.
struct Named {
    id: Arc<str>,
    rule: Rule,
    /// The titles of the filters that narrow it, with what they ask of its events.
    filters: Vec<(String, Detection)>,
}

impl Named {
    fn name(&self) -> Option<&str> {
        self.rule.head.name.as_ref().map(|(name, _)| name.as_str())
    }

    fn answers_to(&self, reference: &str) -> bool {
        &*self.id == reference || self.name() == Some(reference)
    }
}

/// Leaves out the rules whose id or name another rule before them has.
fn unique(rules: Vec<Rule>, findings: &mut Vec<Diagnostic>) -> Vec<Named> {
    let mut taken: HashMap<String, (String, u32)> = HashMap::new();
    let mut kept: Vec<Named> = Vec::new();
    for rule in rules {
        let head = &rule.head;
        let id = match (&head.id, &head.name) {
            (Some((id, _)), _) | (None, Some((id, _))) => id.clone(),
            (None, None) => format!("untitled-{:032x}", xxhash_rust::xxh3::xxh3_128(head.title.as_bytes())),
        };
        let id_mark = head
            .id
            .as_ref()
            .or(head.name.as_ref())
            .map_or(rule.mark, |(_, mark)| *mark);
        let name = head.name.as_ref().filter(|(name, _)| *name != id);
        let keys = [Some((id.clone(), id_mark, code::DUPLICATE_ID, "id")), None]
            .into_iter()
            .chain([name.map(|(name, mark)| (name.clone(), *mark, code::DUPLICATE_NAME, "name"))])
            .flatten();
        let mut report = Report::new(&rule.file, findings);
        let mut free = Vec::new();
        for (key, mark, code, what) in keys {
            match taken.get(&key) {
                Some((file, line)) => {
                    report.add(
                        code,
                        mark,
                        format!("the {what} `{key}` is taken by the rule at {file}:{line}"),
                    );
                }
                None => free.push(key),
            }
        }
        if kept.len() >= MAX_RULES {
            report.add(
                code::TOO_MANY,
                rule.mark,
                format!("a set has at most {MAX_RULES} rules"),
            );
        }
        if report.errors() == 0 {
            taken.extend(free.into_iter().map(|key| (key, (rule.file.clone(), rule.mark.line))));
            let id = id.into();
            kept.push(Named {
                id,
                rule,
                filters: Vec::new(),
            });
        }
    }
    kept
}

/// The places of the rules that a correlation is about; `None` if something about them is an error.
fn resolve(
    rule: &Rule,
    correlation: &Correlation,
    rules: &[Named],
    names: &HashMap<String, usize>,
    findings: &mut Vec<Diagnostic>,
) -> Option<Vec<usize>> {
    let mut report = Report::new(&rule.file, findings);
    let mut members = Vec::new();
    for reference in &correlation.rules {
        match names.get(&reference.rule) {
            Some(&at) => members.push(at),
            None => report_unknown(reference, names, &mut report),
        }
    }
    for alias in &correlation.aliases {
        for (reference, _) in &alias.fields {
            if !members.iter().any(|&at| rules[at].answers_to(&reference.rule)) {
                let message = format!("the correlation is not about a rule `{}`", reference.rule);
                report.add(code::BAD_ALIAS, reference.mark, message);
            }
        }
        for &at in &members {
            if !alias
                .fields
                .iter()
                .any(|(reference, _)| rules[at].answers_to(&reference.rule))
            {
                let message = format!(
                    "the alias `{}` names no field for the rule `{}`",
                    alias.name, rules[at].id
                );
                report.add(code::BAD_ALIAS, alias.mark, message);
            }
        }
        if !correlation.group_by.contains(&alias.name) && !correlation.fields.contains(&alias.name) {
            let message = format!("neither `group-by` nor `field` uses the alias `{}`", alias.name);
            report.add(code::BAD_ALIAS, alias.mark, message);
        }
    }
    (report.errors() == 0).then_some(members)
}
