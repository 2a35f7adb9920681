//! The order of linking: what each step needs of those before it.

use std::collections::{BTreeSet, HashMap, HashSet};

use casebook_event::Source;

use super::builder::Builder;
use super::chains::Chains;
use super::filters::narrow;
use super::named::{Named, unique};
use super::references::{Members, resolve, sources};
use super::renaming::map;
use crate::diagnostic::{Diagnostic, Report, code};
use crate::entity::is_of_cloud;
use crate::rule_set::RuleSet;
use crate::sigma::filter::Filter;
use crate::sigma::lint::lint;
use crate::sigma::mapping::Mapping;
use crate::sigma::rule::{Body, Rule};

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
