//! Metrics in Prometheus form.

use std::collections::BTreeMap;
use std::time::Duration;

use casebook_correlate::CorrelationStats;
use casebook_event::{Alert, AlertStatus, EventBatch, Partition, Timestamp};
use casebook_store::Committed;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::clock;
use crate::progress::stalls::Stage;
use crate::telemetry::labels::{
    LevelLabel, PartitionLabel, PlaceLabel, ReasonLabel, RuleLabel, SourceLabel, StageLabel, StallLabel, StatusLabel,
    label, stage_label,
};
use crate::telemetry::late::{self, LateMetrics};

/// The counters of one process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    records: Counter,
    bytes: Counter,
    events: Family<SourceLabel, Counter>,
    dead_letters: Family<ReasonLabel, Counter>,
    letters_cut: Counter,
    letters_passed: Counter,
    alerts_without_evidence: Counter,
    signals: Counter,
    alerts: Family<LevelLabel, Counter>,
    reports: Family<StatusLabel, Counter>,
    groups: Family<PlaceLabel, Gauge>,
    group_bytes: Family<PartitionLabel, Gauge>,
    waiting_events: Family<PartitionLabel, Gauge>,
    watermark_lag: Family<PartitionLabel, Gauge>,
    late_events: Family<SourceLabel, Gauge>,
    /// What is kept, and what became of what came late.
    pub(crate) late: LateMetrics,
    commits: Counter,
    prepared: Counter,
    commit_failures: Counter,
    commit_seconds: Histogram,
    stored_bytes: Counter,
    pub(super) lag: Family<PartitionLabel, Gauge>,
    pub(super) lag_seconds: Family<PartitionLabel, Gauge>,
    pub(super) signals_lag: Family<PartitionLabel, Gauge>,
    lost_records: Family<PartitionLabel, Counter>,
    rule_matches: Family<RuleLabel, Counter>,
    foreign_signals: Family<PartitionLabel, Gauge>,
    alert_delay: Histogram,
    fenced: Family<StageLabel, Counter>,
    last_commit: Family<StageLabel, Gauge>,
    pub(super) partitions: Family<StageLabel, Gauge>,
    pub(super) stalled: Family<StallLabel, Gauge>,
    pub(super) ready: Gauge,
    pub(super) read_to_end: Family<PartitionLabel, Gauge>,
    resident_bytes: Gauge,
    rules: Gauge,
    rules_refused: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("casebook"),
            records: Counter::default(),
            bytes: Counter::default(),
            events: Family::default(),
            dead_letters: Family::default(),
            letters_cut: Counter::default(),
            letters_passed: Counter::default(),
            alerts_without_evidence: Counter::default(),
            signals: Counter::default(),
            alerts: Family::default(),
            reports: Family::default(),
            groups: Family::default(),
            group_bytes: Family::default(),
            waiting_events: Family::default(),
            watermark_lag: Family::default(),
            late_events: Family::default(),
            late: LateMetrics::default(),
            commits: Counter::default(),
            prepared: Counter::default(),
            commit_failures: Counter::default(),
            commit_seconds: Histogram::new(exponential_buckets(0.01, 2.0, 12)),
            stored_bytes: Counter::default(),
            lag: Family::default(),
            lag_seconds: Family::default(),
            signals_lag: Family::default(),
            lost_records: Family::default(),
            rule_matches: Family::default(),
            foreign_signals: Family::default(),
            alert_delay: Histogram::new(exponential_buckets(0.025, 2.0, 17)),
            fenced: Family::default(),
            last_commit: Family::default(),
            partitions: Family::default(),
            stalled: Family::default(),
            ready: Gauge::default(),
            read_to_end: Family::default(),
            resident_bytes: Gauge::default(),
            rules: Gauge::default(),
            rules_refused: Counter::default(),
        };
        let mut registry = std::mem::take(&mut metrics.registry);
        metrics.register_ingest(&mut registry);
        metrics.register_alerts(&mut registry);
        metrics.register_commits(&mut registry);
        metrics.register_signals(&mut registry);
        metrics.register_worker(&mut registry);
        metrics.registry = registry;
        metrics
    }
}

/// What is registered, in the order in which it is shown.
impl Metrics {
    fn register_ingest(&self, registry: &mut Registry) {
        registry.register(
            "ingest_records",
            "Records read from the log topics",
            self.records.clone(),
        );
        registry.register("ingest_bytes", "Bytes of the records read", self.bytes.clone());
        registry.register("ingest_events", "Events by source", self.events.clone());
        registry.register(
            "ingest_dead_letters",
            "Records that could not become events, by reason",
            self.dead_letters.clone(),
        );
        registry.register(
            "dead_letter_topic_cut",
            "Dead letters of which a part went to their topic, since it takes no more; the table has what it keeps",
            self.letters_cut.clone(),
        );
        registry.register(
            "dead_letter_topic_passed",
            "Dead letters of which nothing went to their topic, since it takes not even their key; they are in the table",
            self.letters_passed.clone(),
        );
        registry.register(
            "alerts_topic_without_evidence",
            "Reports of alerts that went to their topic without their evidence, since it takes no more; the table has it",
            self.alerts_without_evidence.clone(),
        );
        registry.register(
            "detect_signals",
            "Matches and watermarks sent to correlation",
            self.signals.clone(),
        );
    }

    fn register_alerts(&self, registry: &mut Registry) {
        registry.register(
            "correlate_alerts",
            "Committed reports of alerts by level, without withdrawals",
            self.alerts.clone(),
        );
        registry.register(
            "correlate_reports",
            "Committed reports of alerts by status: provisional, final, withdrawn; those beyond the first of an id are revisions",
            self.reports.clone(),
        );
        registry.register(
            "correlate_groups",
            "Groups of events that wait for more, by the partition of the signals and by place: memory, disk",
            self.groups.clone(),
        );
        registry.register(
            "correlate_group_bytes",
            "What the groups in memory take, about",
            self.group_bytes.clone(),
        );
        registry.register(
            "correlate_events",
            "Events of the groups in memory",
            self.waiting_events.clone(),
        );
        registry.register(
            "correlate_watermark_lag_seconds",
            "The clock less the watermark: how long ago what is final now happened",
            self.watermark_lag.clone(),
        );
        registry.register(
            "correlate_late_events",
            "Matches that came after the watermark, by source, since the state began: they are correlated by a repair of their groups",
            self.late_events.clone(),
        );
        self.late.register(registry);
    }

    fn register_commits(&self, registry: &mut Registry) {
        registry.register("store_commits", "Commits of the events table", self.commits.clone());
        registry.register(
            "store_prepared_batches",
            "Batches that were written to files ahead of their commit, since the log is slow or busy",
            self.prepared.clone(),
        );
        registry.register(
            "store_commit_failures",
            "Commits that failed and were begun again",
            self.commit_failures.clone(),
        );
        registry.register(
            "store_commit_duration_seconds",
            "Time of a commit, files included",
            self.commit_seconds.clone(),
        );
        registry.register(
            "store_written_bytes",
            "Bytes of Parquet files and indexes",
            self.stored_bytes.clone(),
        );
        registry.register(
            "ingest_lag_records",
            "Records between what is committed and the end of the partition",
            self.lag.clone(),
        );
        registry.register(
            "ingest_lag_seconds",
            "How long the next record waits to be committed, since it was written or first reported by the brokers; 0 where all is committed",
            self.lag_seconds.clone(),
        );
        registry.register(
            "retention_lost_records",
            "Records that retention deleted before they were read",
            self.lost_records.clone(),
        );
        registry.register(
            "rule_matches",
            "Matches written for correlation, by the base rule",
            self.rule_matches.clone(),
        );
    }

    fn register_signals(&self, registry: &mut Registry) {
        registry.register(
            "correlate_lag_records",
            "Messages between what is committed and the end of the partition of the signals",
            self.signals_lag.clone(),
        );
        registry.register(
            "correlate_foreign_signals",
            "Matches of rules that this worker does not have, or has with another group: ingest runs other rules",
            self.foreign_signals.clone(),
        );
        registry.register(
            "correlate_alert_delay_seconds",
            "From the writing of the signal that caused a report to the commit of the report",
            self.alert_delay.clone(),
        );
        registry.register(
            "commit_fenced",
            "Commits that found another worker's offsets, and were dropped",
            self.fenced.clone(),
        );
        registry.register(
            "last_commit_timestamp_seconds",
            "When something was committed last, in seconds since the epoch",
            self.last_commit.clone(),
        );
    }

    fn register_worker(&self, registry: &mut Registry) {
        registry.register("partitions", "Partitions that are read here", self.partitions.clone());
        registry.register(
            "stalled",
            "1 for a partition that makes no progress although there is something to read",
            self.stalled.clone(),
        );
        registry.register(
            "ready",
            "1 where /readyz answers 200, 0 where it does not",
            self.ready.clone(),
        );
        registry.register(
            "read_to_end_timestamp_seconds",
            "All that the partition held at that time is in the events table, in seconds since the epoch",
            self.read_to_end.clone(),
        );
        registry.register(
            "process_resident_memory_bytes",
            "Memory of the process",
            self.resident_bytes.clone(),
        );
        registry.register("rules", "Rules that are applied", self.rules.clone());
        registry.register(
            "rules_refused",
            "Times that changed rules were refused, for errors in them",
            self.rules_refused.clone(),
        );
    }
}

impl Metrics {
    pub(crate) fn rules(&self, count: usize) {
        self.rules.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub(crate) fn rules_refused(&self) {
        self.rules_refused.inc();
    }

    pub(crate) fn decoded(&self, batch: &EventBatch, records: usize, signals: usize) {
        self.records.inc_by(records as u64);
        self.bytes.inc_by(batch.input_bytes);
        self.signals.inc_by(signals as u64);
        for event in &batch.events {
            self.events
                .get_or_create(&SourceLabel {
                    source: event.source.name(),
                })
                .inc();
        }
        for letter in &batch.dead_letters {
            self.dead_letters
                .get_or_create(&ReasonLabel { reason: letter.reason })
                .inc();
        }
    }

    /// Letters that went to their topic in part, and those that did not.
    pub(crate) fn letters_written(&self, cut: u64, passed: u64) {
        self.letters_cut.inc_by(cut);
        self.letters_passed.inc_by(passed);
    }

    pub(crate) fn alerts_without_evidence(&self, count: u64) {
        self.alerts_without_evidence.inc_by(count);
    }

    pub(crate) fn committed(&self, committed: &Committed, took: Duration) {
        self.commits.inc();
        self.commit_seconds.observe(took.as_secs_f64());
        self.stored_bytes.inc_by(committed.stored_bytes);
        self.committed_now(Stage::Ingest);
    }

    /// Takes note of when a stage committed last.
    pub(crate) fn committed_now(&self, stage: Stage) {
        let seconds = clock::now().as_nanos().div_euclid(1_000_000_000);
        self.last_commit.get_or_create(&stage_label(stage)).set(seconds);
    }

    pub(crate) fn fenced(&self, stage: Stage) {
        self.fenced.get_or_create(&stage_label(stage)).inc();
    }

    /// Matches of base rules, by rule.
    pub(crate) fn rule_matches<'a>(&self, matches: impl Iterator<Item = &'a str>) {
        for rule_id in matches {
            let label = RuleLabel {
                rule_id: rule_id.to_owned(),
            };
            self.rule_matches.get_or_create(&label).inc();
        }
    }

    pub(crate) fn lost_records(&self, partition: &Partition, records: i64) {
        self.lost_records
            .get_or_create(&label(partition))
            .inc_by(records.unsigned_abs());
    }

    pub(crate) fn prepared(&self) {
        self.prepared.inc();
    }

    pub(crate) fn commit_failed(&self) {
        self.commit_failures.inc();
    }

    /// What the engines hold, one for each partition of the signals.
    pub(crate) fn correlation<'a>(&self, engines: impl Iterator<Item = (&'a Partition, CorrelationStats)>) {
        let gauge = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let mut late: BTreeMap<&'static str, u64> = BTreeMap::new();
        let (mut repairing, mut beyond, mut bindings_beyond) = (0, BTreeMap::new(), 0);
        for (partition, stats) in engines {
            let of_partition = label(partition);
            for (place, count) in [
                ("memory", stats.open_groups - stats.cold_groups),
                ("disk", stats.cold_groups),
            ] {
                let label = PlaceLabel {
                    topic: of_partition.topic.clone(),
                    partition: of_partition.partition,
                    place,
                };
                self.groups.get_or_create(&label).set(gauge(count));
            }
            self.group_bytes
                .get_or_create(&of_partition)
                .set(gauge(stats.memory_bytes));
            self.waiting_events
                .get_or_create(&of_partition)
                .set(gauge(stats.buffered_events));
            // Before the first watermark there is no lag.
            if stats.watermark > Timestamp::MIN {
                let lag = clock::now().as_nanos().saturating_sub(stats.watermark.as_nanos());
                self.watermark_lag.get_or_create(&of_partition).set(lag / 1_000_000_000);
            }
            let foreign = i64::try_from(stats.foreign_signals).unwrap_or(i64::MAX);
            self.foreign_signals.get_or_create(&of_partition).set(foreign);
            repairing += stats.repairing;
            // Every partition gets all bindings.
            bindings_beyond = late::bindings_beyond(&stats).max(bindings_beyond);
            for (source, count) in stats.repairs.beyond_horizon {
                *beyond.entry(source).or_default() += count;
            }
            for (source, count) in &stats.late_events {
                *late.entry(source.name()).or_default() += count;
            }
        }
        self.late.standing(repairing, &beyond, bindings_beyond);
        // A partition that went to another worker took its count along.
        self.late_events.clear();
        for (source, count) in late {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.late_events.get_or_create(&SourceLabel { source }).set(count);
        }
    }

    /// Forgets a partition of the signals that is another worker's now.
    pub(crate) fn forget_signals(&self, partition: &Partition) {
        let of_partition = label(partition);
        for place in ["memory", "disk"] {
            self.groups.remove(&PlaceLabel {
                topic: of_partition.topic.clone(),
                partition: of_partition.partition,
                place,
            });
        }
        self.foreign_signals.remove(&of_partition);
        self.group_bytes.remove(&of_partition);
        self.waiting_events.remove(&of_partition);
        self.watermark_lag.remove(&of_partition);
    }

    pub(crate) fn alerts(&self, alerts: &[Alert]) {
        for alert in alerts {
            let status = match alert.alert.status {
                AlertStatus::Provisional => "provisional",
                AlertStatus::Final => "final",
                AlertStatus::Withdrawn => "withdrawn",
                AlertStatus::Retracted => "retracted",
            };
            self.reports.get_or_create(&StatusLabel { status }).inc();
        }
        for alert in alerts
            .iter()
            .filter(|alert| !matches!(alert.alert.status, AlertStatus::Withdrawn | AlertStatus::Retracted))
        {
            self.alerts
                .get_or_create(&LevelLabel {
                    level: alert.rule.level.name(),
                })
                .inc();
        }
    }

    /// A report is committed; the signal that caused it was written at `written`.
    pub(crate) fn alert_delay(&self, written: Timestamp) {
        let nanos = clock::now().as_nanos().saturating_sub(written.as_nanos()).max(0);
        self.alert_delay.observe(nanos as f64 / 1e9);
    }

    /// The metrics in OpenMetrics text form.
    pub fn text(&self) -> String {
        self.resident_bytes.set(resident_bytes());
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// Memory of this process by the kernel; 0 where it does not say.
fn resident_bytes() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    kib.and_then(|kib| kib.trim().trim_end_matches(" kB").parse::<i64>().ok())
        .unwrap_or(0)
        .saturating_mul(1024)
}
