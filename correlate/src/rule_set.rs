//! A set of rules that belong together: loaded, checked, compiled.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use casebook_event::{FieldRef, Level, Source};
use compact_str::{CompactString, format_compact};
use xxhash_rust::xxh3::Xxh3;

use crate::compile::Plan;
use crate::diagnostic::{Diagnostic, Report, Severity, code};
use crate::limits::MAX_RULES;
use crate::sigma::correlation::{Correlation, CorrelationKind};
use crate::sigma::detection::Detection;
use crate::sigma::extension::RuleTest;
use crate::sigma::lint::lint;
use crate::sigma::logsource::RuleLogsource;
use crate::sigma::rule::{Body, Rule, is_near, parse_file};

/// A rule file, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFile {
    /// Its path, for messages and for the order of rules.
    pub path: String,
    /// Its text: any number of YAML documents.
    pub text: String,
}

/// The outcome of loading.
#[derive(Debug)]
pub struct Loaded {
    /// The rules; `None` if there was any error, unless only the broken rules were to be left out.
    pub rules: Option<RuleSet>,
    /// What there is to say about the files, in the order of file, line and column.
    pub diagnostics: Vec<Diagnostic>,
}

/// What kind of rule a rule is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleKind {
    /// It matches single events.
    Detection,
    /// It counts events.
    EventCount,
    /// It wants events of several rules, one after another.
    TemporalOrdered,
}

impl RuleKind {
    /// The word of alerts (`rule.type`).
    pub fn name(self) -> &'static str {
        match self {
            Self::Detection => "detection",
            Self::EventCount => "event_count",
            Self::TemporalOrdered => "temporal_ordered",
        }
    }
}

impl AsRef<str> for RuleKind {
    fn as_ref(&self) -> &str {
        self.name()
    }
}

impl std::fmt::Display for RuleKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// What there is to know about a rule of a set.
#[derive(Debug, Clone)]
pub struct RuleInfo {
    /// Sigma `id`; else the name, else a hash of the title.
    pub id: Arc<str>,
    /// Sigma `name`.
    pub name: Option<String>,
    /// Sigma `title`.
    pub title: String,
    /// Sigma `level`; medium where the rule names none.
    pub level: Level,
    /// What kind of rule it is.
    pub kind: RuleKind,
    /// Sigma `status`.
    pub status: Option<String>,
    /// Sigma `description`.
    pub description: Option<String>,
    /// Sigma `author`.
    pub author: Option<String>,
    /// Sigma `date`.
    pub date: Option<String>,
    /// Sigma `references`.
    pub references: Vec<String>,
    /// Sigma `falsepositives`.
    pub false_positives: Vec<String>,
    /// Sigma `fields`: those worth a look.
    pub fields: Vec<String>,
    /// Sigma `tags`.
    pub tags: Vec<CompactString>,
    /// The logs it is for, as `product/category/service` with `*` for any; empty for a correlation.
    pub logsource: String,
    /// The sources whose events it reads; for a correlation, those of its members.
    pub sources: Vec<Source>,
    /// For a correlation, the ids of the rules it is about, in its order.
    pub members: Vec<Arc<str>>,
    /// For a correlation, the names of its group's parts.
    pub group_by: Vec<CompactString>,
    /// For a correlation, the length of its window in nanoseconds.
    pub timespan_nanos: Option<i64>,
    /// Whether it raises alerts: a rule that a correlation names does not, unless the correlation says `generate: true`.
    pub alerts: bool,
    /// The file it is written in.
    pub file: String,
    /// The line its document begins in, from 1.
    pub line: u32,
    /// A hash of its meaning, and of that of the rules it is about: 16 hexadecimal digits.
    pub version: CompactString,
    /// Its tests.
    pub tests: Vec<RuleTest>,
}

/// A detection, ready to be applied.
#[derive(Debug)]
pub(crate) struct DetectionRule {
    pub(crate) id: Arc<str>,
    pub(crate) outputs: Vec<Output>,
    pub(crate) logsource: RuleLogsource,
    pub(crate) detection: Detection,
}

/// Who wants to know of a detection's match.
#[derive(Debug, Clone)]
pub(crate) enum Output {
    /// An alert of its own.
    Alert,
    /// A correlation, whose group these fields make.
    Member {
        correlation_id: Arc<str>,
        group_by: Vec<FieldRef>,
    },
}

/// A correlation, ready to be applied.
#[derive(Debug)]
pub(crate) struct CorrelationRule {
    pub(crate) kind: CorrelationKind,
    /// The ids of the rules it is about, in its order.
    pub(crate) members: Vec<Arc<str>>,
    pub(crate) timespan_nanos: i64,
}

/// Rules that were loaded together, compiled. Immutable; share it by `Arc`.
#[derive(Debug)]
pub struct RuleSet {
    infos: Vec<RuleInfo>,
    by_id: HashMap<Arc<str>, usize>,
    detections: Vec<DetectionRule>,
    correlations: HashMap<Arc<str>, CorrelationRule>,
    plan: Plan,
}

impl RuleSet {
    /// Loads rule files. The order of the files does not matter: rules are ordered by path and place.
    ///
    /// Errors are in the diagnostics, and then there is no rule set: half a rule pack is worse than the old one.
    pub fn load(files: impl IntoIterator<Item = RuleFile>) -> Loaded {
        let mut loaded = Self::load_partial(files);
        if loaded
            .diagnostics
            .iter()
            .any(|finding| finding.severity == Severity::Error)
        {
            loaded.rules = None;
        }
        loaded
    }

    /// Loads rule files, and leaves out the rules that have errors and the correlations that name such rules; there is
    /// always a rule set.
    pub fn load_partial(files: impl IntoIterator<Item = RuleFile>) -> Loaded {
        let mut files: Vec<_> = files.into_iter().collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let mut findings = Vec::new();
        let mut rules = Vec::new();
        for file in &files {
            rules.extend(parse_file(
                &file.text,
                &file.path,
                &mut Report::new(&file.path, &mut findings),
            ));
        }
        let rules = unique(rules, &mut findings);
        let set = Self::link(rules, &mut findings);
        findings.sort_by(|a, b| (&a.file, a.line, a.column, a.code).cmp(&(&b.file, b.line, b.column, b.code)));
        Loaded {
            rules: Some(set),
            diagnostics: findings,
        }
    }

    /// Resolves references, asks the lints, and compiles.
    fn link(rules: Vec<Named>, findings: &mut Vec<Diagnostic>) -> Self {
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

    /// Number of rules.
    pub fn len(&self) -> usize {
        self.infos.len()
    }

    /// Whether there are no rules.
    pub fn is_empty(&self) -> bool {
        self.infos.is_empty()
    }

    /// The rules, by file and place.
    pub fn rules(&self) -> std::slice::Iter<'_, RuleInfo> {
        self.infos.iter()
    }

    /// The rule with that id.
    pub fn get(&self, id: &str) -> Option<&RuleInfo> {
        self.by_id.get(id).map(|&at| &self.infos[at])
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(crate) fn detection(&self, at: usize) -> &DetectionRule {
        &self.detections[at]
    }

    #[cfg(test)]
    pub(crate) fn detections(&self) -> &[DetectionRule] {
        &self.detections
    }

    pub(crate) fn correlation(&self, id: &str) -> Option<&CorrelationRule> {
        self.correlations.get(id)
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
        if !correlation.group_by.contains(&alias.name) {
            let message = format!("`group-by` does not use the alias `{}`", alias.name);
            report.add(code::BAD_ALIAS, alias.mark, message);
        }
    }
    (report.errors() == 0).then_some(members)
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
                let kind = match correlation.kind {
                    CorrelationKind::EventCount(_) => RuleKind::EventCount,
                    CorrelationKind::TemporalOrdered => RuleKind::TemporalOrdered,
                };
                (kind, String::new(), Some(correlation))
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
            self.outputs.push((
                member,
                Output::Member {
                    correlation_id: id.clone(),
                    group_by,
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
        let plan = Plan::new(self.detections.iter().map(|rule| (&rule.logsource, &rule.detection)));
        let by_id = self
            .infos
            .iter()
            .enumerate()
            .map(|(at, info)| (info.id.clone(), at))
            .collect();
        RuleSet {
            infos: self.infos,
            by_id,
            detections: self.detections,
            correlations: self.correlations,
            plan,
        }
    }
}
