//! What is kept, and what became of what came late.

use std::collections::BTreeMap;

use casebook_correlate::CorrelationStats;
use casebook_event::Source;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::telemetry::labels::{SourceLabel, StatusLabel};

/// What one pass of repairs came to, in keys and in alerts.
#[derive(Debug, Default)]
pub(crate) struct RepairPass {
    pub(crate) repaired: usize,
    pub(crate) duplicates: usize,
    pub(crate) too_large: usize,
    /// Of which not all that is needed is kept any more.
    pub(crate) expired: usize,
    pub(crate) revised: usize,
    pub(crate) retracted: usize,
}

/// Bindings that came too late to change the groups that they are about.
pub(crate) fn bindings_beyond(stats: &CorrelationStats) -> u64 {
    stats
        .late_bindings
        .saturating_add(stats.repairs.bindings_beyond_horizon)
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Debug, Default)]
pub(crate) struct LateMetrics {
    kept_rows: Counter,
    repairs: Family<OutcomeLabel, Counter>,
    repaired_alerts: Family<StatusLabel, Counter>,
    repairing: Gauge,
    beyond: Family<SourceLabel, Gauge>,
    bindings_beyond: Gauge,
}

impl LateMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "correlate_kept_rows",
            "Matches, windows and bindings put into their tables, so that what comes late is correlated, too",
            self.kept_rows.clone(),
        );
        registry.register(
            "correlate_repairs",
            "Keys of groups that had late matches, by what became of them: repaired, duplicates (all had come before), too-large, expired (what it needs is kept no more)",
            self.repairs.clone(),
        );
        registry.register(
            "correlate_repaired_alerts",
            "Alerts that repairs found or revised (final), and final alerts that they withdrew (retracted)",
            self.repaired_alerts.clone(),
        );
        registry.register(
            "correlate_repairing",
            "Keys of groups that wait for their repair",
            self.repairing.clone(),
        );
        registry.register(
            "correlate_late_beyond_horizon",
            "Late matches that are in no correlation, since they are older than the repair horizon or than all that is kept, by source",
            self.beyond.clone(),
        );
        registry.register(
            "correlate_late_bindings_beyond_horizon",
            "Bindings that came too late to change the groups that they are about",
            self.bindings_beyond.clone(),
        );
    }

    pub(crate) fn kept(&self, rows: u64) {
        self.kept_rows.inc_by(rows);
    }

    pub(crate) fn repaired(&self, pass: &RepairPass) {
        let outcomes = [
            ("repaired", pass.repaired),
            ("duplicates", pass.duplicates),
            ("too-large", pass.too_large),
            ("expired", pass.expired),
        ];
        for (outcome, count) in outcomes {
            self.repairs
                .get_or_create(&OutcomeLabel { outcome })
                .inc_by(count as u64);
        }
        for (status, count) in [("final", pass.revised), ("retracted", pass.retracted)] {
            self.repaired_alerts
                .get_or_create(&StatusLabel { status })
                .inc_by(count as u64);
        }
    }

    pub(super) fn standing(&self, repairing: usize, beyond: &BTreeMap<Source, u64>, bindings_beyond: u64) {
        self.bindings_beyond
            .set(i64::try_from(bindings_beyond).unwrap_or(i64::MAX));
        self.repairing.set(i64::try_from(repairing).unwrap_or(i64::MAX));
        // A partition that went to another worker took its count along.
        self.beyond.clear();
        for (source, count) in beyond {
            let label = SourceLabel { source: source.name() };
            self.beyond
                .get_or_create(&label)
                .set(i64::try_from(*count).unwrap_or(i64::MAX));
        }
    }
}
