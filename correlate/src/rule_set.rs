//! A set of rules that belong together: loaded, checked, compiled.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use casebook_event::{EntityKind, Event, FieldRef, Level, Source};
use compact_str::CompactString;

use crate::compile::Plan;
use crate::diagnostic::{Diagnostic, Report, Severity};
use crate::linker::link;
use crate::sigma::correlation::CorrelationKind;
use crate::sigma::detection::Detection;
use crate::sigma::extension::RuleTest;
use crate::sigma::logsource::RuleLogsource;
use crate::sigma::mapping::Mapping;
use crate::sigma::rule::{Document, read};
use crate::sigma::yaml;

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
    /// It counts different values.
    ValueCount,
    /// It adds up numbers.
    ValueSum,
    /// It takes the average of numbers.
    ValueAvg,
    /// It takes a percentile of numbers.
    ValuePercentile,
    /// It takes the median of numbers.
    ValueMedian,
    /// It wants events of several rules, in any order.
    Temporal,
    /// It wants events of several rules, one after another.
    TemporalOrdered,
    /// It wants that an event is not followed by another.
    Absence,
    /// It wants a value that is new.
    FirstSeen,
    /// It wants more than there was before.
    Deviation,
}

impl RuleKind {
    /// Every kind of correlation.
    pub const CORRELATIONS: [Self; 11] = [
        Self::EventCount,
        Self::ValueCount,
        Self::ValueSum,
        Self::ValueAvg,
        Self::ValuePercentile,
        Self::ValueMedian,
        Self::Temporal,
        Self::TemporalOrdered,
        Self::Absence,
        Self::FirstSeen,
        Self::Deviation,
    ];

    /// Whether it is written under `casebook:`, beside a type of Sigma.
    pub fn is_house(self) -> bool {
        matches!(self, Self::Absence | Self::FirstSeen | Self::Deviation)
    }

    /// The word of alerts (`rule.type`).
    pub fn name(self) -> &'static str {
        match self {
            Self::Detection => "detection",
            Self::EventCount => "event_count",
            Self::ValueCount => "value_count",
            Self::ValueSum => "value_sum",
            Self::ValueAvg => "value_avg",
            Self::ValuePercentile => "value_percentile",
            Self::ValueMedian => "value_median",
            Self::Temporal => "temporal",
            Self::TemporalOrdered => "temporal_ordered",
            Self::Absence => "absence",
            Self::FirstSeen => "first_seen",
            Self::Deviation => "deviation",
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
    /// For a correlation, the names of its group's parts that the rule names; the cluster may be one more.
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
    /// What to do about its alerts, step by step (`casebook: response:`).
    pub response: Vec<String>,
    /// Its tests.
    pub tests: Vec<RuleTest>,
}

/// A detection, ready to be applied.
#[derive(Debug, Clone)]
pub(crate) struct DetectionRule {
    pub(crate) id: Arc<str>,
    pub(crate) outputs: Vec<Output>,
    pub(crate) logsource: RuleLogsource,
    pub(crate) detection: Detection,
}

/// Where a correlation looks for a part of its group or a value: in the first of these fields that the event has. There are
/// several only where a mapping document says so.
#[derive(Debug, Clone)]
pub(crate) struct Place(pub(crate) Vec<FieldRef>);

impl Place {
    /// What the event has there.
    pub(crate) fn text(&self, event: &Event) -> Option<CompactString> {
        self.0.iter().find_map(|field| event.text(field))
    }
}

/// The value that a correlation asks of an event.
#[derive(Debug, Clone)]
pub(crate) enum Asked {
    /// The texts of these places, together.
    Text(Vec<Place>),
    /// The number of this place.
    Number(Place),
}

/// Who wants to know of a detection's match.
#[derive(Debug, Clone)]
pub(crate) enum Output {
    /// An alert of its own.
    Alert,
    /// A correlation, whose group these places make.
    Member {
        correlation_id: Arc<str>,
        /// See [`CorrelationRule::signals_version`].
        version: CompactString,
        group_by: Vec<Place>,
        /// Whether the event's cluster is a part of the group too, behind these.
        by_cluster: bool,
        /// The value that goes along, if the correlation asks for one.
        value: Option<Asked>,
        /// The kind of entity that it groups by, if it does.
        entity: Option<EntityKind>,
        /// Where its events must meet those of other correlations, if they must.
        shard: Option<Shard>,
    },
}

/// Where the events of correlations that build on one another meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shard {
    /// The correlation that the place is named after.
    pub(crate) root: Arc<str>,
    /// The parts of the group that tell the place.
    pub(crate) group: Vec<usize>,
}

/// How the alerts of a correlation are events of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Feed {
    /// The other.
    pub(crate) correlation_id: Arc<str>,
    /// The parts of the alert's group that are the other's group.
    pub(crate) group: Vec<usize>,
    /// Those that are the value it asks for.
    pub(crate) value: Vec<usize>,
}

/// A correlation, ready to be applied.
#[derive(Debug, Clone)]
pub(crate) struct CorrelationRule {
    pub(crate) kind: CorrelationKind,
    /// The kind of entity that the last part of its group is, if it groups by one.
    pub(crate) entity: Option<EntityKind>,
    /// Whether its group has the cluster behind the parts that the rule names.
    pub(crate) by_cluster: bool,
    /// The ids of the rules it is about, in its order.
    pub(crate) members: Vec<Arc<str>>,
    pub(crate) timespan_nanos: i64,
    /// 0 where it builds on no correlation, else one more than what it builds on.
    pub(crate) level: usize,
    /// How long after an event's time it may still be told of, since its telling waits for a window.
    pub(crate) lag_nanos: i64,
    /// To whom its alerts go as events.
    pub(crate) feeds: Vec<Feed>,
    /// Where its signals must meet those of others, if they must.
    pub(crate) shard: Option<Shard>,
    /// A hash of its meaning and of where its signals meet: signals of another version are of another rule, and those under
    /// another key are not found with these.
    pub(crate) signals_version: CompactString,
}

impl CorrelationRule {
    /// The place of the cluster in the group, of which the rule names so many parts, the entity among them.
    pub(crate) fn cluster_place(&self, named: usize) -> Option<usize> {
        self.by_cluster.then(|| named - usize::from(self.entity.is_some()))
    }
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
        let mut documents: Vec<(&str, yaml::Node)> = Vec::new();
        for file in &files {
            let nodes = yaml::parse(&file.text, &mut Report::new(&file.path, &mut findings));
            documents.extend(nodes.into_iter().map(|node| (file.path.as_str(), node)));
        }
        // What names and placeholders mean, before anything is read that uses them.
        let mut mapping = Mapping::default();
        let (mappings, documents): (Vec<_>, Vec<_>) = documents
            .into_iter()
            .partition(|(_, node)| node.entry("mapping").is_some());
        for (path, node) in &mappings {
            let mut report = Report::new(path, &mut findings);
            node.entry("mapping")
                .into_iter()
                .for_each(|entry| mapping.read(node, entry, &mut report));
        }
        for (path, node) in &mappings {
            let mut report = Report::new(path, &mut findings);
            node.entry("mapping")
                .into_iter()
                .for_each(|entry| mapping.read_logsources(entry, &mut report));
        }
        let (mut rules, mut filters) = (Vec::new(), Vec::new());
        for (path, node) in &documents {
            match read(node, path, &mapping.placeholders, &mut Report::new(path, &mut findings)) {
                Some(Document::Rule(rule)) => rules.push(*rule),
                Some(Document::Filter(filter)) => filters.push(*filter),
                None => {}
            }
        }
        let set = link(rules, &filters, &mapping, &mut findings);
        findings.sort_by(|a, b| (&a.file, a.line, a.column, a.code).cmp(&(&b.file, b.line, b.column, b.code)));
        Loaded {
            rules: Some(set),
            diagnostics: findings,
        }
    }

    /// Compiles rules whose references are resolved.
    pub(crate) fn new(
        infos: Vec<RuleInfo>,
        detections: Vec<DetectionRule>,
        correlations: HashMap<Arc<str>, CorrelationRule>,
    ) -> Self {
        let plan = Plan::new(detections.iter().map(|rule| (&rule.logsource, &rule.detection)));
        let by_id = infos
            .iter()
            .enumerate()
            .map(|(at, info)| (info.id.clone(), at))
            .collect();
        Self {
            infos,
            by_id,
            detections,
            correlations,
            plan,
        }
    }

    /// A set of those of these rules that have one of the ids. One that only served correlations which are left out alerts
    /// by itself; a correlation whose rules are left out never fires.
    pub fn only(&self, ids: &HashSet<&str>) -> Self {
        let is_wanted = |id: &Arc<str>| ids.contains(&**id);
        let mut infos: Vec<RuleInfo> = self.infos.iter().filter(|rule| is_wanted(&rule.id)).cloned().collect();
        let mut detections: Vec<DetectionRule> = Vec::new();
        for detection in self.detections.iter().filter(|rule| is_wanted(&rule.id)) {
            let mut detection = detection.clone();
            detection.outputs.retain(|output| match output {
                Output::Alert => true,
                Output::Member { correlation_id, .. } => is_wanted(correlation_id),
            });
            if detection.outputs.is_empty() {
                detection.outputs.push(Output::Alert);
                let own = infos.iter_mut().filter(|rule| rule.id == detection.id);
                own.for_each(|rule| rule.alerts = true);
            }
            detections.push(detection);
        }
        let correlations = self.correlations.iter().filter(|(id, _)| is_wanted(id));
        let mut correlations: HashMap<_, _> = correlations.map(|(id, rule)| (id.clone(), rule.clone())).collect();
        for (id, rule) in &mut correlations {
            rule.feeds.retain(|feed| is_wanted(&feed.correlation_id));
            if rule.feeds.is_empty() {
                let own = infos.iter_mut().filter(|info| info.id == *id);
                own.for_each(|info| info.alerts = true);
            }
        }
        Self::new(infos, detections, correlations)
    }

    /// Whether a rule groups by an entity, so that it matters who is who.
    pub fn asks_for_entities(&self) -> bool {
        self.correlations.values().any(|rule| rule.entity.is_some())
    }

    /// The ids of a rule and of all that it builds on.
    pub fn below<'a>(&'a self, id: &'a str) -> HashSet<&'a str> {
        let mut below = HashSet::new();
        let mut left = vec![id];
        while let Some(id) = left.pop() {
            if below.insert(id) {
                let members = self.get(id).map(|rule| rule.members.as_slice());
                left.extend(members.unwrap_or_default().iter().map(|member| &**member));
            }
        }
        below
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

    pub(crate) fn detection_by_id(&self, id: &str) -> Option<&DetectionRule> {
        self.detections.iter().find(|rule| &*rule.id == id)
    }

    #[cfg(any(test, feature = "fuzz"))]
    pub(crate) fn detections(&self) -> &[DetectionRule] {
        &self.detections
    }

    pub(crate) fn correlation(&self, id: &str) -> Option<&CorrelationRule> {
        self.correlations.get(id)
    }
}
