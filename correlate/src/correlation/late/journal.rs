//! What an evaluation notes beside its groups.

use casebook_event::{Alert, DecidedWindow, Timestamp};

use super::dependents::Dependents;
use super::repair_log::RepairLog;
use super::replay_log::ReplayLog;
use crate::correlation::alert::content_of;
use crate::correlation::group::{Decided, GroupKey, Window, alert_number};
use crate::correlation::plan::CorrelationPlan;

/// What an evaluation notes beside its groups.
#[derive(Debug)]
pub(crate) enum Journal {
    /// Nothing: what comes late is only counted.
    Off,
    /// What repairs will need.
    Live(Box<RepairLog>),
    /// What this repair decides.
    Replay(Box<ReplayLog>),
}

impl Journal {
    pub(crate) fn log(&self) -> Option<&RepairLog> {
        match self {
            Self::Live(log) => Some(log),
            Self::Off | Self::Replay(_) => None,
        }
    }

    pub(crate) fn log_mut(&mut self) -> Option<&mut RepairLog> {
        match self {
            Self::Live(log) => Some(log),
            Self::Off | Self::Replay(_) => None,
        }
    }

    /// What a repair has decided so far.
    pub(crate) fn decided(&self) -> &[Decided] {
        match self {
            Self::Replay(log) => &log.decided,
            Self::Off | Self::Live(_) => &[],
        }
    }

    pub(crate) fn take_decided(&mut self) -> Vec<Decided> {
        match self {
            Self::Replay(log) => std::mem::take(&mut log.decided),
            Self::Off | Self::Live(_) => Vec::new(),
        }
    }

    /// Whether a group takes an event of that time.
    pub(crate) fn takes(&mut self, plan: &CorrelationPlan, key: &GroupKey, time: Timestamp) -> bool {
        match self {
            Self::Off | Self::Live(_) => true,
            Self::Replay(log) => log.takes(plan, key, time),
        }
    }

    /// Where it is noted on what attributions depend; `None` where nobody reads it.
    pub(crate) fn dependents_mut(&mut self) -> Option<&mut Dependents> {
        match self {
            Self::Off => None,
            Self::Live(log) => Some(&mut log.dependents),
            Self::Replay(log) => Some(&mut log.dependents),
        }
    }

    /// Keeps what was decided: whoever repairs the group later begins after it.
    pub(crate) fn note_decided(&mut self, plan: &CorrelationPlan, key: &GroupKey, window: Window, alert: &Alert) {
        if matches!(self, Self::Off) {
            return;
        }
        let decided = DecidedWindow {
            key: plan.key_of(&key.values),
            rule_id: key.rule_id.clone(),
            rule_version: plan.signals_version.clone(),
            group: key.values.clone(),
            alert_id: alert_number(&plan.rule.id, &key.values, window.anchor),
            revision: alert.alert.revision,
            status: alert.alert.status,
            first: window.first,
            to: window.to,
            met: window.met,
            content: content_of(alert),
        };
        match self {
            Self::Off => {}
            Self::Live(log) => log.keep_window(decided),
            Self::Replay(log) => log.decided.push((decided, plan.alerts.then(|| alert.clone()))),
        }
    }
}
