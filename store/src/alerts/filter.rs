//! Which alerts are listed.

use casebook_event::{Alert, AlertStatus, Level, Timestamp};

/// Which alerts to list. `AlertFilter::default()` lists every alert that holds, the newest first.
#[derive(Debug, Clone)]
pub struct AlertFilter {
    /// Alerts at or after this time.
    pub from: Option<Timestamp>,
    /// Alerts before this time.
    pub to: Option<Timestamp>,
    /// Alerts of this rule.
    pub rule_id: Option<String>,
    /// Alerts of at least this level.
    pub min_level: Option<Level>,
    /// Whether alerts that turned out not to hold are listed.
    pub include_withdrawn: bool,
    /// Most alerts to list.
    pub limit: usize,
}

impl Default for AlertFilter {
    fn default() -> Self {
        Self {
            from: None,
            to: None,
            rule_id: None,
            min_level: None,
            include_withdrawn: false,
            limit: usize::MAX,
        }
    }
}

impl AlertFilter {
    /// Whether an alert is listed.
    pub(super) fn admits(&self, alert: &Alert) -> bool {
        self.from.is_none_or(|from| alert.alert.time >= from)
            && self.to.is_none_or(|to| alert.alert.time < to)
            && self.rule_id.as_ref().is_none_or(|rule| alert.rule.id == rule.as_str())
            && self.min_level.is_none_or(|level| alert.rule.level >= level)
            && (self.include_withdrawn || alert.alert.status != AlertStatus::Withdrawn)
    }
}
