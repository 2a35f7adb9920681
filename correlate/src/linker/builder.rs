//! Rules whose references are resolved → a rule set.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use casebook_event::{FieldRef, Source};
use compact_str::{CompactString, format_compact};
use xxhash_rust::xxh3::Xxh3;

use super::{Named, version_of_names};
use crate::rule_set::{Asked, CorrelationRule, DetectionRule, Output, Place, RuleInfo, RuleKind, RuleSet};
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
        CorrelationKind::TemporalOrdered => RuleKind::TemporalOrdered,
    }
}

/// Collects rules in their order.
pub(super) struct Builder<'a> {
    mapping: &'a Mapping,
    infos: Vec<RuleInfo>,
    detections: Vec<DetectionRule>,
    /// The place of each detection's rule among all rules, and in `detections`.
    places: HashMap<usize, usize>,
    correlations: HashMap<Arc<str>, CorrelationRule>,
    /// Members to tell, by the rule's place among all rules.
    outputs: Vec<(usize, Output)>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(mapping: &'a Mapping) -> Self {
        Self {
            mapping,
            infos: Vec::new(),
            detections: Vec::new(),
            places: HashMap::new(),
            correlations: HashMap::new(),
            outputs: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, rules: &[Named], at: usize, members: &[usize], alerts: bool) {
        let Named { id, rule, filters } = &rules[at];
        let mut version = Xxh3::new();
        version.update(&rule.version.to_le_bytes());
        for &member in members {
            version.update(&rules[member].rule.version.to_le_bytes());
        }
        let (kind, logsource, correlation) = match &rule.body {
            Body::Detection { logsource, detection } => {
                self.places.insert(at, self.detections.len());
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
                let renamed = self.add_correlation(rules, id, correlation, members);
                if !renamed.is_empty() {
                    version.update(&version_of_names(0, &renamed).to_le_bytes());
                }
                (kind_of(&correlation.kind), String::new(), Some(correlation))
            }
        };
        let bodies = std::iter::once(at)
            .chain(members.iter().copied())
            .map(|at| &rules[at].rule.body);
        let mut sources: Vec<Source> = bodies
            .flat_map(|body| match body {
                Body::Detection { logsource, .. } => logsource.sources().collect(),
                Body::Correlation(_) => Vec::new(),
            })
            .collect();
        sources.sort_unstable();
        sources.dedup();
        let head = &rule.head;
        self.infos.push(RuleInfo {
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
            sources,
            members: members.iter().map(|&member| rules[member].id.clone()).collect(),
            group_by: correlation
                .map(|c| c.group_by.iter().map(CompactString::from).collect())
                .unwrap_or_default(),
            timespan_nanos: correlation.map(|c| c.timespan_nanos),
            alerts,
            file: rule.file.clone(),
            line: rule.mark.line,
            version: format_compact!("{:016x}", version.digest()),
            response: rule.extension.response.clone(),
            tests: rule.extension.tests.clone(),
        });
    }

    /// Adds a correlation; the names of its group and value that mapping documents gave another meaning.
    fn add_correlation(
        &mut self,
        rules: &[Named],
        id: &Arc<str>,
        correlation: &Correlation,
        members: &[usize],
    ) -> Renamed {
        self.correlations.insert(
            id.clone(),
            CorrelationRule {
                kind: correlation.kind.clone(),
                members: members.iter().map(|&member| rules[member].id.clone()).collect(),
                timespan_nanos: correlation.timespan_nanos,
            },
        );
        // A rule may stand for several members of a sequence; it still tells of a match once.
        let distinct: HashSet<usize> = members.iter().copied().collect();
        let mut renamed = Renamed::new();
        for member in distinct {
            let scope = match &rules[member].rule.body {
                Body::Detection { logsource, .. } => Some(Scope::new(logsource)),
                Body::Correlation(_) => None,
            };
            let mut place = |name: &String| {
                let alias = correlation.aliases.iter().find(|alias| alias.name == *name);
                let field = alias.and_then(|alias| {
                    alias
                        .fields
                        .iter()
                        .find(|(reference, _)| rules[member].answers_to(&reference.rule))
                });
                let field = field.map_or(name, |(_, field)| field);
                let scope = scope.as_ref();
                let fields = scope.and_then(|scope| self.mapping.names(field, scope, &mut renamed));
                let fields = fields.unwrap_or_else(|| vec![field.clone()]);
                Place(fields.iter().map(|field| FieldRef::resolve(field)).collect())
            };
            let group_by = correlation.group_by.iter().map(&mut place).collect();
            let value = match (&correlation.kind, correlation.fields.as_slice()) {
                (CorrelationKind::Value(..), [only]) => Some(Asked::Number(place(only))),
                (_, []) => None,
                (_, names) => Some(Asked::Text(names.iter().map(place).collect())),
            };
            self.outputs.push((
                member,
                Output::Member {
                    correlation_id: id.clone(),
                    group_by,
                    value,
                },
            ));
        }
        renamed
    }

    pub(super) fn finish(mut self) -> RuleSet {
        for (member, output) in self.outputs {
            if let Some(&place) = self.places.get(&member) {
                self.detections[place].outputs.push(output);
            }
        }
        RuleSet::new(self.infos, self.detections, self.correlations)
    }
}
