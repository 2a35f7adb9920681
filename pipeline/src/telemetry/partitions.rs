//! How far partitions are committed, and whether the worker is well.

use std::collections::BTreeSet;

use casebook_event::Partition;
use casebook_store::ReadToEnd;

use crate::clock;
use crate::progress::stalls::{Lag, Stage, Stall, Stalls};
use crate::telemetry::labels::{StallLabel, label, stage_label};
use crate::telemetry::metrics::Metrics;

impl Metrics {
    /// What the stages read, and which partitions stand.
    pub(crate) fn progress(&self, stalls: &Stalls, stalled: &[Stall]) {
        for stage in [Stage::Ingest, Stage::Correlate] {
            let count = i64::try_from(stalls.partitions(stage)).unwrap_or(i64::MAX);
            self.partitions.get_or_create(&stage_label(stage)).set(count);
        }
        self.stalled.clear();
        for Stall { stage, partition, .. } in stalled {
            let label = StallLabel {
                stage: stage.name(),
                topic: partition.topic.to_string(),
                partition: partition.partition,
            };
            self.stalled.get_or_create(&label).set(1);
        }
    }

    pub(crate) fn ready(&self, is_ready: bool) {
        self.ready.set(i64::from(is_ready));
    }

    /// Up to when partitions of the logs are in the table.
    pub(crate) fn read_to_end(&self, ends: &[ReadToEnd]) {
        for ReadToEnd { partition, at, .. } in ends {
            if let Some(at) = at {
                let seconds = at.as_nanos().div_euclid(1_000_000_000);
                self.read_to_end.get_or_create(&label(partition)).set(seconds);
            }
        }
    }

    /// Forgets a partition of the logs that is another worker's now.
    pub(crate) fn forget_partition(&self, partition: &Partition) {
        self.read_to_end.remove(&label(partition));
    }

    /// How far what is committed is from the ends of the partitions read here. `before` has those of the last time, so that
    /// nothing is reported of a partition that is somebody else's now.
    pub(crate) fn lags(&self, stage: Stage, lags: &[Lag], before: &mut BTreeSet<Partition>) {
        let (records, seconds) = match stage {
            Stage::Ingest => (&self.lag, Some(&self.lag_seconds)),
            Stage::Correlate => (&self.signals_lag, None),
        };
        let now = clock::now().as_nanos();
        let known: BTreeSet<Partition> = lags.iter().map(|lag| lag.partition.clone()).collect();
        for gone in before.difference(&known).map(label) {
            records.remove(&gone);
            seconds.map(|seconds| seconds.remove(&gone));
        }
        for lag in lags {
            let of_partition = label(&lag.partition);
            records.get_or_create(&of_partition).set(lag.records);
            let Some(seconds) = seconds else { continue };
            match (lag.records, lag.since) {
                (0, _) => drop(seconds.get_or_create(&of_partition).set(0)),
                (_, Some(since)) => {
                    let waited = now.saturating_sub(since.as_nanos()).div_euclid(1_000_000_000);
                    seconds.get_or_create(&of_partition).set(waited.max(0));
                }
                // How long is not known: that is not no time.
                (_, None) => drop(seconds.remove(&of_partition)),
            }
        }
        *before = known;
    }
}
