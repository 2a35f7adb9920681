//! Rules whose references are resolved → a rule set.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use casebook_event::FieldRef;
use compact_str::{CompactString, format_compact};
use xxhash_rust::xxh3::Xxh3;

use super::chains::Chains;
use super::named::Named;
use super::references::{Members, sources};
use super::renaming::version_of_names;
use crate::rule_set::{
    CorrelationRule, DetectionRule, FieldPath, Output, RuleInfo, RuleKind, RuleSet, Shard, ValueExpr,
};
use crate::sigma::correlation::{Correlation, CorrelationKind, Statistic};
use crate::sigma::mapping::{Mapping, Renamed, Scope};
use crate::sigma::rule::Body;

fn kind_of(kind: &CorrelationKind) -> RuleKind {
    match kind {
        CorrelationKind::EventCount(_) => RuleKind::EventCount,
        CorrelationKind::ValueCount(_) => RuleKind::ValueCount,
        CorrelationKind::Value(Statistic::Sum, _) => RuleKind::ValueSum,
        CorrelationKind::Value(Statistic::Average, _) => RuleKind::ValueAvg,
        CorrelationKind::Value(Statistic::Percentile(_), _) => RuleKind::ValuePercentile,
        CorrelationKind::Value(Statistic::Median, _) => RuleKind::ValueMedian,
        CorrelationKind::Temporal(_) => RuleKind::Temporal,
        CorrelationKind::Absence(_) => RuleKind::Absence,
        CorrelationKind::TemporalOrdered(_) => RuleKind::TemporalOrdered,
        CorrelationKind::FirstSeen(_) => RuleKind::FirstSeen,
        CorrelationKind::Deviation(_) => RuleKind::Deviation,
    }
}

/// Collects rules.
pub(super) struct Builder<'a> {
    mapping: &'a Mapping,
    rules: &'a [Named],
    members: &'a Members,
    chains: &'a Chains,
    /// With the index among all rules.
    infos: Vec<(usize, RuleInfo)>,
    detections: Vec<DetectionRule>,
    /// The index of each detection's rule among all rules, and in `detections`.
    indexes: HashMap<usize, usize>,
    correlations: HashMap<Arc<str>, CorrelationRule>,
    /// What members' matches are emitted to, by the rule's index among all rules.
    outputs: Vec<(usize, Output)>,
    /// The versions of the correlations so far.
    versions: HashMap<usize, u64>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(mapping: &'a Mapping, rules: &'a [Named], members: &'a Members, chains: &'a Chains) -> Self {
        Self {
            mapping,
            rules,
            members,
            chains,
            infos: Vec::new(),
            detections: Vec::new(),
            indexes: HashMap::new(),
            correlations: HashMap::new(),
            outputs: Vec::new(),
            versions: HashMap::new(),
        }
    }

    /// Adds the rule at an index, after those that it builds on. One whose members are an error is left out.
    pub(super) fn add(&mut self, at: usize, alerts: bool) {
        let Some(members) = &self.members[at] else { return };
        let Named { id, rule, filters } = &self.rules[at];
        let mut version = Xxh3::new();
        version.update(&rule.version.to_le_bytes());
        for member in members {
            let of_member = self.versions.get(member).copied();
            version.update(&of_member.unwrap_or(self.rules[*member].rule.version).to_le_bytes());
        }
        let (kind, logsource, correlation) = match &rule.body {
            Body::Detection { logsource, detection } => {
                self.indexes.insert(at, self.detections.len());
                let mut detection = detection.clone();
                filters
                    .iter()
                    .for_each(|(title, filter)| detection.narrow(title, filter));
                self.detections.push(DetectionRule {
                    id: id.clone(),
                    outputs: if alerts { vec![Output::Alert] } else { Vec::new() },
                    detection,
                    logsource: logsource.clone(),
                });
                (RuleKind::Detection, logsource.to_string(), None)
            }
            Body::Correlation(correlation) => {
                let renamed = self.add_correlation(at, correlation, members);
                if !renamed.is_empty() {
                    version.update(&version_of_names(0, &renamed).to_le_bytes());
                }
                self.versions.insert(at, version.digest());
                (kind_of(&correlation.kind), String::new(), Some(correlation))
            }
        };
        let head = &rule.head;
        let info = RuleInfo {
            id: id.clone(),
            name: head.name.as_ref().map(|(name, _)| name.clone()),
            title: head.title.clone(),
            level: head.level.unwrap_or_default(),
            kind,
            status: head.status.clone(),
            description: head.description.clone(),
            author: head.author.clone(),
            date: head.date.clone(),
            references: head.references.clone(),
            false_positives: head.false_positives.clone(),
            fields: head.fields.clone(),
            tags: head.tags.clone(),
            logsource,
            sources: sources(self.rules, self.members, at).into_iter().collect(),
            members: members.iter().map(|&member| self.rules[member].id.clone()).collect(),
            group_by: correlation
                .map(|c| c.parts(false).into_iter().map(CompactString::from).collect())
                .unwrap_or_default(),
            timespan_nanos: correlation.map(|c| c.timespan_nanos),
            alerts,
            file: rule.file.clone(),
            line: rule.mark.line,
            version: format_compact!("{:016x}", version.digest()),
            response: rule.extension.response.clone(),
            tests: rule.extension.tests.clone(),
        };
        self.infos.push((at, info));
    }

    /// Adds a correlation; the names of its group and value that mapping documents gave another meaning.
    fn add_correlation(&mut self, at: usize, correlation: &Correlation, members: &[usize]) -> Renamed {
        let (rules, id) = (self.rules, &self.rules[at].id);
        self.correlations.insert(
            id.clone(),
            CorrelationRule {
                kind: correlation.kind.clone(),
                entity: correlation.entity,
                by_cluster: self.chains.by_cluster[at],
                members: members.iter().map(|&member| rules[member].id.clone()).collect(),
                timespan_nanos: correlation.timespan_nanos,
                level: self.chains.levels[at],
                lag_nanos: self.chains.lag_nanos(at, rules, self.members),
                feeds: self.chains.feeds.get(&at).cloned().unwrap_or_default(),
                shard: self.chains.shards.get(&at).cloned(),
                // Known once the rule's own version is.
                signals_version: CompactString::default(),
            },
        );
        // A rule may stand for several members of a sequence; it still emits a match once.
        let distinct: HashSet<usize> = members.iter().copied().collect();
        let mut renamed = Renamed::new();
        for member in distinct {
            let scope = match &rules[member].rule.body {
                Body::Detection { logsource, .. } => Scope::new(logsource),
                // Its alerts are the events, and come by another way.
                Body::Correlation(_) => continue,
            };
            let mut path = |name: &String| {
                let field = correlation.field_of(name, |reference| rules[member].answers_to(reference));
                let fields = self.mapping.names(field, &scope, &mut renamed);
                let fields = fields.unwrap_or_else(|| vec![field.clone()]);
                FieldPath(fields.iter().map(|field| FieldRef::resolve(field)).collect())
            };
            let group_by = correlation.group_by.iter().map(&mut path).collect();
            let value = match (&correlation.kind, correlation.fields.as_slice()) {
                (kind, [only]) if kind.requires_numbers() => Some(ValueExpr::Number(path(only))),
                (_, []) => None,
                (_, names) => Some(ValueExpr::Text(names.iter().map(path).collect())),
            };
            self.outputs.push((
                member,
                Output::Member {
                    correlation_id: id.clone(),
                    version: CompactString::default(),
                    group_by,
                    by_cluster: self.chains.by_cluster[at],
                    value,
                    entity: correlation.entity,
                    shard: self.chains.shards.get(&at).cloned(),
                },
            ));
        }
        renamed
    }

    pub(super) fn finish(mut self) -> RuleSet {
        for (_, info) in &self.infos {
            if let Some(correlation) = self.correlations.get_mut(&info.id) {
                correlation.signals_version = signals_version(&info.version, correlation.shard.as_ref());
            }
        }
        for (member, mut output) in self.outputs {
            if let Output::Member {
                correlation_id,
                version,
                ..
            } = &mut output
                && let Some(correlation) = self.correlations.get(correlation_id)
            {
                version.clone_from(&correlation.signals_version);
            }
            if let Some(&index) = self.indexes.get(&member) {
                self.detections[index].outputs.push(output);
            }
        }
        self.infos.sort_by_key(|(at, _)| *at);
        let infos = self.infos.into_iter().map(|(_, info)| info).collect();
        RuleSet::new(infos, self.detections, self.correlations)
    }
}

/// The version of a correlation and of where its signals meet.
fn signals_version(version: &str, shard: Option<&Shard>) -> CompactString {
    let Some(Shard { root, group }) = shard else {
        return version.into();
    };
    let mut hasher = Xxh3::new();
    hasher.update(version.as_bytes());
    hasher.update(root.as_bytes());
    for part in group {
        hasher.update(&(*part as u64).to_le_bytes());
    }
    format_compact!("{:016x}", hasher.digest())
}
