//! What correlation keeps of what it received and what it decided, so that what comes late can be distinguished from what is lost.

use std::sync::Arc;

use compact_str::CompactString;

use crate::{AlertStatus, Binding, Signal, Timestamp};

/// A window of a correlation that was decided: a revision of what was said of it.
///
/// Whoever evaluates a group again begins after the last window that ends before what has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecidedWindow {
    /// [`Signal::key`] of the signals that it was decided from: what may change together has one key.
    pub key: u64,
    /// The correlation.
    pub rule_id: Arc<str>,
    /// [`AlertRule::version`](crate::AlertRule::version) of it.
    pub rule_version: CompactString,
    /// The values of the group, in the order of the rule's `group-by`; where it groups by an entity, that is the last.
    pub group: Vec<CompactString>,
    /// [`AlertHead::id`](crate::AlertHead::id), as a number.
    pub alert_id: u128,
    /// [`AlertHead::revision`](crate::AlertHead::revision).
    pub revision: u32,
    /// Final, retracted, or withdrawn.
    pub status: AlertStatus,
    /// The time of the first event.
    pub first: Timestamp,
    /// The last time that belongs to the window: what lies in it is used up.
    pub to: Timestamp,
    /// When the condition was met: the alert's time.
    pub met: Timestamp,
    /// A hash of what the alert says beside its revision: window, evidence and totals.
    pub content: u64,
}

/// What one partition of the signals topic has to keep, with the offsets at which it was read there.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// Matches, by the offset of their message.
    pub signals: Vec<(i64, Signal)>,
    /// Bindings, by the offset of their message.
    pub bindings: Vec<(i64, Binding)>,
    /// Windows. Their offset is `i64::MAX`: they are written again by whoever decides them again, and equal ones count once.
    pub windows: Vec<(i64, DecidedWindow)>,
}

impl Kept {
    /// Whether there is nothing to keep.
    pub fn is_empty(&self) -> bool {
        self.signals.is_empty() && self.bindings.is_empty() && self.windows.is_empty()
    }

    /// How many there are of all kinds.
    pub fn len(&self) -> usize {
        self.signals.len() + self.bindings.len() + self.windows.len()
    }
}
