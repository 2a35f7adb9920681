//! The set itself: its rules by id, and the plan that detection runs.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::compiled::{CorrelationRule, DetectionRule, Output};
use super::info::RuleInfo;
use crate::compile::Plan;

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

    /// Whether a rule groups by an entity, so that bindings are needed.
    pub fn groups_by_entities(&self) -> bool {
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

    /// The rules, by file and line.
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
