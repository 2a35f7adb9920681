//! Rules that parsed, one by one → a rule set: ids, references, lints, plans.
//!
//! ```text
//! Rule ─unique─▶ Named { id, Rule } ─resolve─▶ members of correlations ─lint, Builder─▶ RuleSet
//! ```

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use casebook_event::{FieldRef, Source};
use compact_str::{CompactString, format_compact};
use xxhash_rust::xxh3::Xxh3;

use crate::diagnostic::{Diagnostic, Report, code};
use crate::limits::MAX_RULES;
use crate::rule_set::{Asked, CorrelationRule, DetectionRule, Output, RuleInfo, RuleKind, RuleSet};
use crate::sigma::correlation::{Correlation, CorrelationKind, Statistic};
use crate::sigma::filter::Filter;
use crate::sigma::lint::lint;
use crate::sigma::mapping::Mapping;
use crate::sigma::rule::{Body, Rule, is_near};

/// Gives ids, resolves references, asks the lints, and compiles. What is broken is reported and left out.
pub(crate) fn link(rules: Vec<Rule>, filters: &[Filter], mapping: &Mapping, findings: &mut Vec<Diagnostic>) -> RuleSet {
    let mut rules = unique(rules, findings);
    narrow(&mut rules, filters, findings);
    rules.iter_mut().for_each(|named| map(&mut named.rule, mapping));
    let names: HashMap<String, usize> = rules
        .iter()
        .enumerate()
        .flat_map(|(at, rule)| [Some(rule.id.to_string()), rule.name().map(str::to_owned)].map(|key| (key, at)))
        .filter_map(|(key, at)| key.map(|key| (key, at)))
        .collect();
    let mut members: Vec<Option<Vec<usize>>> = Vec::with_capacity(rules.len());
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
    let mut builder = Builder::default();
    for (at, (named, members)) in rules.iter().zip(&members).enumerate() {
        let alerts = !referenced.contains(&at) || generated.contains(&at);
        lint(&named.rule, alerts, &mut Report::new(&named.rule.file, findings));
        if let Some(members) = members {
            builder.add(&rules, at, members, alerts);
        }
    }
    builder.finish()
}

/// Adds the filters to the rules that they narrow.
fn narrow(rules: &mut [Named], filters: &[Filter], findings: &mut Vec<Diagnostic>) {
    for filter in filters {
        let mut report = Report::new(&filter.file, findings);
        let mut narrowed = false;
        for named in rules.iter_mut() {
            let is_meant = match &filter.rules {
                None => true,
                Some(references) => references.iter().any(|reference| named.answers_to(&reference.rule)),
            };
            if let Body::Detection { logsource, detection } = &mut named.rule.body
                && is_meant
                && logsource.is_within(&filter.logsource)
            {
                detection.narrow(&filter.title, &filter.detection);
                // Another filter makes another rule of it.
                let mut version = Xxh3::with_seed(named.rule.version);
                version.update(&filter.version.to_le_bytes());
                named.rule.version = version.digest();
                narrowed = true;
            }
        }
        for reference in filter.rules.iter().flatten() {
            if !rules.iter().any(|named| named.answers_to(&reference.rule)) {
                let message = format!("there is no rule with the id or name `{}`", reference.rule);
                report.add(code::UNUSED_FILTER, reference.mark, message);
            }
        }
        if !narrowed {
            let message = format!("`{}` narrows no rule", filter.title);
            let help = "its rules must be detections, and of its logsource or a narrower one";
            report.add_help(code::UNUSED_FILTER, filter.mark, message, help);
        }
    }
}

/// Gives a rule the sources and names of the fields that are meant.
fn map(rule: &mut Rule, mapping: &Mapping) {
    if let Body::Detection { logsource, detection } = &mut rule.body {
        let before = detection.clone();
        mapping.route(logsource);
        let sources: Vec<Source> = logsource.sources().collect();
        for selection in &mut detection.selections {
            mapping.rename(&mut selection.query, &sources);
        }
        if rule.expands || logsource.mapped.is_some() || *detection != before {
            // What is built in has no version: it changes with the program.
            let mut version = Xxh3::with_seed(rule.version);
            version.update(&mapping.version.to_le_bytes());
            rule.version = if mapping.version == 0 {
                rule.version
            } else {
                version.digest()
            };
        }
    }
}

/// A rule with the id that it goes by.
struct Named {
    id: Arc<str>,
    rule: Rule,
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
            kept.push(Named { id: id.into(), rule });
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
            Some(&at) if matches!(rules[at].rule.body, Body::Correlation(_)) => {
                let message = format!(
                    "`{}` is a correlation; correlations of correlations are not supported yet",
                    reference.rule
                );
                report.add_help(
                    code::UNSUPPORTED,
                    reference.mark,
                    message,
                    "name the rules that it is about",
                );
            }
            Some(&at) => members.push(at),
            None => {
                let message = format!("there is no rule with the id or name `{}`", reference.rule);
                let mut near: Vec<_> = names.keys().filter(|name| is_near(name, &reference.rule)).collect();
                near.sort_unstable();
                match near.first() {
                    Some(near) => report.add_help(
                        code::UNKNOWN_RULE,
                        reference.mark,
                        message,
                        format!("did you mean `{near}`?"),
                    ),
                    None => report.add(code::UNKNOWN_RULE, reference.mark, message),
                }
            }
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

#[derive(Default)]
struct Builder {
    infos: Vec<RuleInfo>,
    detections: Vec<DetectionRule>,
    /// The place of each detection's rule among all rules, and in `detections`.
    places: HashMap<usize, usize>,
    correlations: HashMap<Arc<str>, CorrelationRule>,
    /// Members to tell, by the rule's place among all rules.
    outputs: Vec<(usize, Output)>,
}

impl Builder {
    fn add(&mut self, rules: &[Named], at: usize, members: &[usize], alerts: bool) {
        let Named { id, rule } = &rules[at];
        let mut version = Xxh3::new();
        version.update(&rule.version.to_le_bytes());
        for &member in members {
            version.update(&rules[member].rule.version.to_le_bytes());
        }
        let (kind, logsource, correlation) = match &rule.body {
            Body::Detection { logsource, detection } => {
                self.places.insert(at, self.detections.len());
                self.detections.push(DetectionRule {
                    id: id.clone(),
                    outputs: if alerts { vec![Output::Alert] } else { Vec::new() },
                    detection: detection.clone(),
                    logsource: logsource.clone(),
                });
                (RuleKind::Detection, logsource.to_string(), None)
            }
            Body::Correlation(correlation) => {
                self.add_correlation(rules, id, correlation, members);
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

    fn add_correlation(&mut self, rules: &[Named], id: &Arc<str>, correlation: &Correlation, members: &[usize]) {
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
        for member in distinct {
            let field = |name: &String| {
                let alias = correlation.aliases.iter().find(|alias| alias.name == *name);
                let field = alias.and_then(|alias| {
                    alias
                        .fields
                        .iter()
                        .find(|(reference, _)| rules[member].answers_to(&reference.rule))
                });
                FieldRef::resolve(field.map_or(name, |(_, field)| field))
            };
            let group_by = correlation.group_by.iter().map(field).collect();
            let value = match (&correlation.kind, correlation.fields.as_slice()) {
                (CorrelationKind::Value(..), [only]) => Some(Asked::Number(field(only))),
                (_, []) => None,
                (_, names) => Some(Asked::Text(names.iter().map(field).collect())),
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
    }

    fn finish(mut self) -> RuleSet {
        for (member, output) in self.outputs {
            if let Some(&place) = self.places.get(&member) {
                self.detections[place].outputs.push(output);
            }
        }
        RuleSet::new(self.infos, self.detections, self.correlations)
    }
}
