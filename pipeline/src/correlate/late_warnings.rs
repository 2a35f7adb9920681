//! Says once a minute what came late.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use casebook_correlate::CorrelationStats;
use casebook_event::Source;
use tracing::warn;

use crate::telemetry::late::bindings_beyond;

/// Time between two warnings of what comes late.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// Says once a minute what came late since the last time.
#[derive(Debug, Default)]
pub(crate) struct LateWarnings {
    last: Option<Instant>,
    late: BTreeMap<Source, u64>,
    beyond: BTreeMap<Source, u64>,
    bindings_beyond: u64,
}

impl LateWarnings {
    /// What came late before is not reported again.
    pub(crate) fn known(&mut self, stats: CorrelationStats) {
        self.bindings_beyond = bindings_beyond(&stats).max(self.bindings_beyond);
        add(&mut self.late, stats.late_events);
        add(&mut self.beyond, stats.repairs.beyond_horizon);
    }

    /// Takes note of what the engines have seen.
    pub(crate) fn warn(&mut self, engines: impl Iterator<Item = CorrelationStats>, now: Instant) {
        if self.last.is_some_and(|last| now.duration_since(last) < WARN_EVERY) {
            return;
        }
        let (mut late, mut beyond) = (BTreeMap::new(), BTreeMap::new());
        let (mut bindings, mut repairing) = (0, 0);
        for stats in engines {
            repairing += stats.repairing;
            // Every partition reads all bindings.
            bindings = bindings_beyond(&stats).max(bindings);
            add(&mut late, stats.late_events);
            add(&mut beyond, stats.repairs.beyond_horizon);
        }
        let new = |before: &BTreeMap<Source, u64>, after: &BTreeMap<Source, u64>| -> Vec<String> {
            let more = after.iter().filter_map(|(source, count)| {
                let more = count.saturating_sub(before.get(source).copied().unwrap_or(0));
                (more > 0).then(|| format!("{source}: {more}"))
            });
            more.collect()
        };
        let (new_late, new_beyond) = (new(&self.late, &late), new(&self.beyond, &beyond));
        if !new_late.is_empty() {
            warn!(
                matches = new_late.join(", "),
                repairing,
                "matches came after their time had passed; their groups are repaired, and alerts that change get a revision"
            );
        }
        if !new_beyond.is_empty() {
            warn!(
                matches = new_beyond.join(", "),
                "matches came later than the repair horizon (correlation.repair_horizon), or are older than all that is kept: their events are stored and searchable, and in no correlation"
            );
        }
        let new_bindings = bindings.saturating_sub(self.bindings_beyond);
        if new_bindings > 0 {
            warn!(
                bindings = new_bindings,
                "bindings are older than what is known of the groups that it may change: their events stay with whom they were taken for"
            );
        }
        if !new_late.is_empty() || !new_beyond.is_empty() || new_bindings > 0 {
            self.last = Some(now);
        }
        (self.late, self.beyond, self.bindings_beyond) = (late, beyond, bindings);
    }
}

fn add(all: &mut BTreeMap<Source, u64>, more: BTreeMap<Source, u64>) {
    for (source, count) in more {
        *all.entry(source).or_default() += count;
    }
}
