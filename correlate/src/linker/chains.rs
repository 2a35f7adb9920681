//! Correlations of correlations: which feeds which, and where their events meet.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use casebook_event::FieldId;

use super::named::Named;
use super::references::Members;
use crate::diagnostic::{Diagnostic, Report, code};
use crate::limits::MAX_CHAIN_DEPTH;
use crate::rule_set::{Feed, Shard};
use crate::sigma::correlation::{Clusters, Correlation, CorrelationKind};
use crate::sigma::rule::Body;

/// How correlations build on one another.
#[derive(Debug, Default)]
pub(super) struct Chains {
    /// 0 for what builds on no correlation, else one more than what it builds on.
    pub(super) levels: Vec<usize>,
    /// Whether a correlation's group has the cluster, though the rule does not name it.
    pub(super) by_cluster: Vec<bool>,
    /// To whom a correlation's alerts go as events.
    pub(super) feeds: HashMap<usize, Vec<Feed>>,
    /// Where the events of a correlation must meet those of others.
    pub(super) shards: HashMap<usize, Shard>,
}

fn correlation(rule: &Named) -> Option<&Correlation> {
    match &rule.rule.body {
        Body::Correlation(correlation) => Some(correlation),
        Body::Detection { .. } => None,
    }
}

impl Chains {
    /// Finds the chains. Correlations that build on themselves, or on nothing that can be used, are left out of `members`.
    pub(super) fn find(rules: &[Named], members: &mut Members, findings: &mut Vec<Diagnostic>) -> Self {
        let levels = levels(rules, members, findings);
        let mut chains = Self {
            by_cluster: by_cluster(rules, members, &levels),
            levels,
            ..Self::default()
        };
        for at in 0..rules.len() {
            let (Some(outer), Some(inners)) = (correlation(&rules[at]), members[at].clone()) else {
                continue;
            };
            let inners: BTreeSet<usize> = inners.into_iter().collect();
            for inner in inners {
                let Some(of_inner) = correlation(&rules[inner]) else {
                    continue;
                };
                let outer = (outer, chains.by_cluster[at]);
                let of_inner = (of_inner, chains.by_cluster[inner]);
                match feed(&rules[at], outer, &rules[inner], of_inner, findings) {
                    Some(feed) => chains.feeds.entry(inner).or_default().push(feed),
                    None => members[at] = None,
                }
            }
        }
        chains.shards = chains.meet(rules, members);
        chains
    }

    /// How long after the watermark has passed an event of a correlation it may still be reported, in nanoseconds: as long
    /// as the windows take that it builds on.
    pub(super) fn lag_nanos(&self, at: usize, rules: &[Named], members: &Members) -> i64 {
        let inners = members[at].iter().flatten();
        let lags = inners.filter_map(|&inner| {
            let own = match &correlation(&rules[inner])?.kind {
                // It is reported as soon as the watermark has passed it.
                CorrelationKind::FirstSeen(_) => 0,
                _ => correlation(&rules[inner])?.timespan_nanos,
            };
            Some(own.saturating_add(self.lag_nanos(inner, rules, members)))
        });
        lags.max().unwrap_or(0)
    }

    /// The signals of a chain must reach one engine. Where each correlation feeds one other at most, the group of the last
    /// is part of the group of all, and names the place; else the whole chain meets in one place.
    fn meet(&self, rules: &[Named], members: &Members) -> HashMap<usize, Shard> {
        let index: HashMap<&str, usize> = rules.iter().enumerate().map(|(at, rule)| (&*rule.id, at)).collect();
        let outers = |at: usize| {
            let feeds = self.feeds.get(&at).into_iter().flatten();
            feeds.filter_map(|feed| Some((feed, *index.get(&*feed.correlation_id)?)))
        };
        // Chains that share a correlation are one.
        let mut family: Vec<usize> = (0..rules.len()).collect();
        fn head(family: &[usize], mut at: usize) -> usize {
            while family[at] != at {
                at = family[at];
            }
            at
        }
        let mut chained = BTreeSet::new();
        let mut forks = BTreeSet::new();
        for at in (0..rules.len()).filter(|&at| members[at].is_some()) {
            let mut count = 0;
            for (_, outer) in outers(at) {
                let (a, b) = (head(&family, at), head(&family, outer));
                family[a.max(b)] = a.min(b);
                chained.extend([at, outer]);
                count += 1;
            }
            if count > 1 {
                forks.insert(at);
            }
        }
        // An entity is known in the engine only.
        forks.extend(
            chained
                .iter()
                .filter(|&&at| correlation(&rules[at]).is_some_and(|c| c.entity.is_some())),
        );
        let forked: BTreeSet<usize> = forks.iter().map(|&at| head(&family, at)).collect();
        let shard = |at: usize| {
            let whole = head(&family, at);
            if forked.contains(&whole) {
                return Shard {
                    root: rules[whole].id.clone(),
                    group: Vec::new(),
                };
            }
            let mut path = Vec::new();
            let mut last = at;
            while let Some((feed, outer)) = outers(last).next() {
                path.push(feed);
                last = outer;
            }
            let parts = correlation(&rules[last]).map_or(0, |root| self.signal_parts(last, root));
            let group = (0..parts).map(|part| path.iter().rev().fold(part, |part, feed| feed.group[part]));
            Shard {
                root: rules[last].id.clone(),
                group: group.collect(),
            }
        };
        let mut shards: HashMap<usize, Shard> = chained.iter().map(|&at| (at, shard(at))).collect();
        for (at, rule) in rules.iter().enumerate() {
            if let Some(by_entity) = correlation(rule).filter(|correlation| correlation.entity.is_some()) {
                shards.entry(at).or_insert_with(|| Shard {
                    root: rule.id.clone(),
                    group: (0..self.signal_parts(at, by_entity)).collect(),
                });
            }
        }
        shards
    }

    /// How many parts of a correlation's group its signals have: all but the entity.
    fn signal_parts(&self, at: usize, correlation: &Correlation) -> usize {
        correlation.group_by.len() + usize::from(self.by_cluster[at])
    }
}

/// Which correlations have the cluster in their group without naming it: those that do not say otherwise. One that builds on
/// alerts which are of no one cluster cannot separate them by it.
fn by_cluster(rules: &[Named], members: &Members, levels: &[usize]) -> Vec<bool> {
    let mut found = vec![false; rules.len()];
    let mut order: Vec<usize> = (0..rules.len()).collect();
    order.sort_by_key(|&at| levels[at]);
    for at in order {
        let Some(section) = correlation(&rules[at]) else {
            continue;
        };
        let knows = |&inner: &usize| correlation(&rules[inner]).is_none_or(|c| found[inner] || c.names_cluster());
        found[at] = section.clusters != Some(Clusters::Any)
            && !section.names_cluster()
            && members[at].iter().flatten().all(knows);
    }
    found
}

/// The level of each rule; those that build on themselves, or too deep, are reported.
fn levels(rules: &[Named], members: &mut Members, findings: &mut Vec<Diagnostic>) -> Vec<usize> {
    let mut levels: Vec<Option<usize>> = (0..rules.len())
        .map(|at| correlation(&rules[at]).is_none().then_some(0))
        .collect();
    // Each round finds the levels of those that build on the round before.
    for level in 0..MAX_CHAIN_DEPTH {
        for at in 0..rules.len() {
            let Some(inners) = members[at].as_ref().filter(|_| levels[at].is_none()) else {
                continue;
            };
            let ready =
                |&inner: &usize| correlation(&rules[inner]).is_none() || levels[inner].is_some_and(|l| l < level);
            if inners.iter().all(ready) {
                levels[at] = Some(level);
            }
        }
    }
    for at in 0..rules.len() {
        if levels[at].is_some() || members[at].is_none() {
            continue;
        }
        let broken = members[at].iter().flatten().any(|&inner| members[inner].is_none());
        if let (false, Some(section)) = (broken, correlation(&rules[at])) {
            let message =
                format!("the correlation builds on itself, or on more than {MAX_CHAIN_DEPTH} others in a row");
            Report::new(&rules[at].rule.file, findings).add(code::BAD_CHAIN, section.mark, message);
        }
    }
    for (known, members) in levels.iter().zip(members) {
        if known.is_none() {
            *members = None;
        }
    }
    levels.into_iter().map(Option::unwrap_or_default).collect()
}

/// How the alerts of `inner` are events of `outer`; of both it is said whether the group has the cluster, too.
fn feed(
    outer: &Named,
    (section, by_cluster): (&Correlation, bool),
    inner: &Named,
    (of_inner, inner_by_cluster): (&Correlation, bool),
    findings: &mut Vec<Diagnostic>,
) -> Option<Feed> {
    let mut report = Report::new(&outer.rule.file, findings);
    if section.entity.is_some() {
        let message = "a correlation that groups by an entity is about events, not about other correlations";
        let help = "the correlation below may group by the entity, and this one by its `entity.pod`";
        report.add_help(code::BAD_CHAIN, section.mark, message, help);
        return None;
    }
    let mut part = |name: &String| {
        let field = section.field_of(name, |reference| inner.answers_to(reference));
        let parts = of_inner.parts(inner_by_cluster);
        let at = parts.iter().position(|part| part == field);
        if at.is_none() {
            let message = format!("the alerts of `{}` have no `{field}`", inner.id);
            let help = match parts.as_slice() {
                [] => "it has no `group-by`".to_owned(),
                parts => format!("they have {}; an alias may name one of them", parts.join(", ")),
            };
            report.add_help(code::BAD_CHAIN, section.mark, message, help);
        }
        at
    };
    let cluster = by_cluster.then(|| FieldId::OrchestratorClusterName.name().to_owned());
    let group: Vec<Option<usize>> = section.group_by.iter().chain(&cluster).map(&mut part).collect();
    let value: Vec<Option<usize>> = section.fields.iter().map(&mut part).collect();
    Some(Feed {
        correlation_id: Arc::clone(&outer.id),
        group: group.into_iter().collect::<Option<_>>()?,
        value: value.into_iter().collect::<Option<_>>()?,
    })
}
