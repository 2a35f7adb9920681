//! What a group reports of a window.

use casebook_event::AlertStatus;
use compact_str::CompactString;

use super::alert_id::alert_id;
use super::window::Window;
use crate::correlation::plan::CorrelationPlan;

/// A report that a group makes; `alert` turns it into an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    pub id: CompactString,
    pub revision: u32,
    pub status: AlertStatus,
    pub superseded_by: Option<CompactString>,
    pub window: Window,
}

impl Report {
    /// The report of a window that can no longer change.
    pub(super) fn of_final(plan: &CorrelationPlan, values: &[CompactString], window: Window, revision: u32) -> Self {
        Self {
            id: alert_id(&plan.rule.id, values, window.anchor),
            revision,
            status: AlertStatus::Final,
            superseded_by: None,
            window,
        }
    }
}
