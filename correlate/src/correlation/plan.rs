//! What the engine needs to know of the rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use casebook_event::{AlertRule, EntityKind, FieldId, Signal, Timestamp};
use compact_str::CompactString;

use crate::rule_set::{Feed, RuleSet, Shard};
use crate::sigma::correlation::CorrelationKind;

/// A correlation rule, ready to run.
#[derive(Debug, Clone)]
pub(crate) struct CorrelationPlan {
    /// What an alert says of the rule.
    pub(crate) rule: AlertRule,
    /// The type.
    pub(crate) kind: CorrelationKind,
    /// Ids of the base rules, in the rule's order; at most [`MAX_CORRELATION_MEMBERS`](crate::limits::MAX_CORRELATION_MEMBERS):
    /// each has a bit in an event's mask.
    pub(crate) members: Vec<Arc<str>>,
    /// What people call the base rules, in the same order.
    pub(crate) member_names: Vec<CompactString>,
    /// Names of the group's parts, as an alert shows them; as many as a signal's group has values, and the entity.
    pub(crate) group_by: Vec<CompactString>,
    /// The index of the cluster in the group, where the rule does not name it: it may be unknown, and empty.
    pub(crate) cluster: Option<usize>,
    /// The kind of entity that the last part of the group is, if it groups by one: it is found out here.
    pub(crate) entity: Option<EntityKind>,
    /// The window's length in nanoseconds; positive.
    pub(crate) timespan_nanos: i64,
    /// Whether it raises alerts of its own.
    pub(crate) alerts: bool,
    /// 0 where it builds on no correlation, else one more than what it builds on.
    pub(crate) level: usize,
    /// How long after an event's time it may still be reported, in nanoseconds.
    pub(crate) lag_nanos: i64,
    /// To whom its final alerts go as events.
    pub(crate) feeds: Vec<Feed>,
    /// Where its signals meet those of others, if they do.
    pub(crate) shard: Option<Shard>,
    /// The version that its signals carry.
    pub(crate) signals_version: CompactString,
}

impl CorrelationPlan {
    /// The names and values of a group, as people are shown it: an unknown cluster is not.
    pub(crate) fn shown<'a>(
        &'a self,
        values: &'a [CompactString],
    ) -> impl Iterator<Item = (CompactString, CompactString)> + 'a {
        let parts = self.group_by.iter().zip(values).enumerate();
        parts
            .filter(|(index, (_, value))| self.cluster != Some(*index) || !value.is_empty())
            .map(|(_, (name, value))| (name.clone(), value.clone()))
    }

    /// The end of the longest window that begins at `first`, which belongs to it.
    pub(crate) fn window_end(&self, first: Timestamp) -> Timestamp {
        first.saturating_add_nanos(self.timespan_nanos)
    }

    /// The number, since 1970, of the span of time of one timespan that `time` belongs to.
    pub(crate) fn span_of(&self, time: Timestamp) -> i64 {
        time.as_nanos().div_euclid(self.timespan_nanos.max(1))
    }

    /// The last time of a span.
    pub(crate) fn span_end(&self, span: i64) -> Timestamp {
        let end = (i128::from(span) + 1) * i128::from(self.timespan_nanos) - 1;
        Timestamp::from_nanos(end.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
    }

    /// The bits of the members that are the base rule `id`: several, where a sequence names it several times.
    pub(crate) fn member_bits(&self, id: &str) -> u64 {
        self.members
            .iter()
            .enumerate()
            .filter(|(_, member)| &***member == id)
            .fold(0, |bits, (n, _)| bits | 1 << n)
    }

    /// [`Signal::key`] of the signals that a group is made of.
    pub(crate) fn key_of(&self, values: &[CompactString]) -> u64 {
        match &self.shard {
            Some(Shard { root, group }) => Signal::shard_of(root, group.iter().filter_map(|&part| values.get(part))),
            None => Signal::shard_of(&self.rule.id, values),
        }
    }

    /// What names the correlations whose groups change together: all that have the same are one family.
    pub(crate) fn family(&self) -> &str {
        self.shard.as_ref().map_or(&self.rule.id, |shard| &shard.root)
    }

    /// Whether a group of its signals is all that they can change.
    pub(crate) fn stands_alone(&self) -> bool {
        self.shard.is_none()
    }

    /// Whether a window uses its events up, so that what comes after depends on where it ended.
    pub(crate) fn uses_up(&self) -> bool {
        !matches!(self.kind, CorrelationKind::FirstSeen(_) | CorrelationKind::Deviation(_))
    }

    /// How far back the events are, in nanoseconds, that can have a part in what is said of an event.
    pub(crate) fn reach_nanos(&self) -> i64 {
        let spans = match &self.kind {
            CorrelationKind::FirstSeen(rule) => return self.timespan_nanos.saturating_add(rule.learn_nanos),
            // Of the history before, one more says whether the group was forgotten.
            CorrelationKind::Deviation(rule) => rule.history_spans.saturating_mul(2).saturating_add(2),
            _ => 1,
        };
        self.timespan_nanos.saturating_mul(spans)
    }

    /// What people call a member.
    pub(crate) fn name_of_member(&self, member: usize) -> &str {
        self.member_names.get(member).map_or("", |name| name)
    }

    /// Whether more events can never make its condition fail, so that an alert may be raised before its window ends.
    pub(crate) fn is_monotone(&self) -> bool {
        self.kind.is_monotone()
    }
}

/// The names of a group's parts, the cluster among them.
fn parts(mut names: Vec<CompactString>, cluster: Option<usize>) -> Vec<CompactString> {
    if let Some(index) = cluster {
        names.insert(index, CompactString::const_new(FieldId::OrchestratorClusterName.name()));
    }
    names
}

/// The name of a rule; else its title, else its id.
fn name_of(rules: &RuleSet, id: &str) -> CompactString {
    let info = rules.get(id);
    let name = info.map(|info| info.name.as_deref().unwrap_or(&info.title));
    name.unwrap_or(id).into()
}

/// Everything the engine needs of a rule set.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plans {
    /// Base rules whose match alone is an alert, by id.
    pub(crate) detections: BTreeMap<Arc<str>, AlertRule>,
    /// Correlations, by id.
    pub(crate) correlations: BTreeMap<Arc<str>, Arc<CorrelationPlan>>,
}

impl Plans {
    /// The plans of a rule set.
    pub(crate) fn of(rules: &RuleSet) -> Self {
        let mut plans = Self::default();
        for info in rules.rules() {
            let rule = AlertRule {
                id: CompactString::new(&info.id),
                name: CompactString::new(&info.title),
                level: info.level,
                kind: CompactString::const_new(info.kind.name()),
                version: info.version.clone(),
                tags: info.tags.clone(),
                response: info.response.iter().map(CompactString::from).collect(),
            };
            match rules.correlation(&info.id) {
                Some(correlation) => {
                    let plan = CorrelationPlan {
                        rule,
                        kind: correlation.kind.clone(),
                        members: correlation.members.clone(),
                        member_names: correlation.members.iter().map(|id| name_of(rules, id)).collect(),
                        cluster: correlation.cluster_index(info.group_by.len()),
                        group_by: parts(info.group_by.clone(), correlation.cluster_index(info.group_by.len())),
                        entity: correlation.entity,
                        timespan_nanos: correlation.timespan_nanos,
                        alerts: info.alerts,
                        level: correlation.level,
                        lag_nanos: correlation.lag_nanos,
                        feeds: correlation.feeds.clone(),
                        shard: correlation.shard.clone(),
                        signals_version: correlation.signals_version.clone(),
                    };
                    plans.correlations.insert(info.id.clone(), Arc::new(plan));
                }
                None if info.alerts => drop(plans.detections.insert(info.id.clone(), rule)),
                None => {}
            }
        }
        plans
    }
}
