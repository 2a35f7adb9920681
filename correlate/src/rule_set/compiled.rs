//! Rules as detection and correlation apply them: ids resolved, fields resolved, who feeds whom.

use std::sync::Arc;

use casebook_event::{EntityKind, Event, FieldRef};
use compact_str::CompactString;

use crate::sigma::correlation::CorrelationKind;
use crate::sigma::detection::Detection;
use crate::sigma::logsource::RuleLogsource;

/// A detection, ready to be applied.
#[derive(Debug, Clone)]
pub(crate) struct DetectionRule {
    pub(crate) id: Arc<str>,
    pub(crate) outputs: Vec<Output>,
    pub(crate) logsource: RuleLogsource,
    pub(crate) detection: Detection,
}

/// Where a correlation reads a part of its group or a value: from the first of these fields that the event has. There are
/// several only where a mapping document says so.
#[derive(Debug, Clone)]
pub(crate) struct FieldPath(pub(crate) Vec<FieldRef>);

impl FieldPath {
    /// What the event has there.
    pub(crate) fn text(&self, event: &Event) -> Option<CompactString> {
        self.0.iter().find_map(|field| event.text(field))
    }
}

/// The value that a correlation requires of an event.
#[derive(Debug, Clone)]
pub(crate) enum ValueExpr {
    /// The texts at these paths, together.
    Text(Vec<FieldPath>),
    /// The number at this path.
    Number(FieldPath),
}

/// What a detection's match is emitted to.
#[derive(Debug, Clone)]
pub(crate) enum Output {
    /// An alert of its own.
    Alert,
    /// A correlation, whose group these paths make.
    Member {
        correlation_id: Arc<str>,
        /// See [`CorrelationRule::signals_version`].
        version: CompactString,
        group_by: Vec<FieldPath>,
        /// Whether the event's cluster is a part of the group too, after these.
        by_cluster: bool,
        /// The value that goes along, if the correlation requires one.
        value: Option<ValueExpr>,
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
    /// The parts of the group that name the place.
    pub(crate) group: Vec<usize>,
}

/// How the alerts of a correlation are events of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Feed {
    /// The other.
    pub(crate) correlation_id: Arc<str>,
    /// The parts of the alert's group that are the other's group.
    pub(crate) group: Vec<usize>,
    /// Those that are the value it requires.
    pub(crate) value: Vec<usize>,
}

/// A correlation, ready to be applied.
#[derive(Debug, Clone)]
pub(crate) struct CorrelationRule {
    pub(crate) kind: CorrelationKind,
    /// The kind of entity that the last part of its group is, if it groups by one.
    pub(crate) entity: Option<EntityKind>,
    /// Whether its group has the cluster after the parts that the rule names.
    pub(crate) by_cluster: bool,
    /// The ids of the rules it is about, in its order.
    pub(crate) members: Vec<Arc<str>>,
    pub(crate) timespan_nanos: i64,
    /// 0 where it builds on no correlation, else one more than what it builds on.
    pub(crate) level: usize,
    /// How long after an event's time it may still be reported, since the report waits for a window.
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
    /// The index of the cluster in the group, of which the rule names so many parts, the entity among them.
    pub(crate) fn cluster_index(&self, named: usize) -> Option<usize> {
        self.by_cluster.then(|| named - usize::from(self.entity.is_some()))
    }
}
