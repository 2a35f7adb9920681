//! Metrics in Prometheus form, and the health endpoints.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use casebook_correlate::CorrelationStats;
use casebook_event::{Alert, AlertStatus, EventBatch, Partition, Timestamp};
use casebook_store::Committed;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::error::PipelineError;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabel {
    source: &'static str,
}
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PartitionLabel {
    topic: String,
    partition: i32,
}
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LevelLabel {
    level: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabel {
    status: &'static str,
}
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PlaceLabel {
    topic: String,
    partition: i32,
    place: &'static str,
}

/// The counters of one process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    records: Counter,
    bytes: Counter,
    events: Family<SourceLabel, Counter>,
    dead_letters: Family<ReasonLabel, Counter>,
    signals: Counter,
    alerts: Family<LevelLabel, Counter>,
    reports: Family<StatusLabel, Counter>,
    groups: Family<PlaceLabel, Gauge>,
    group_bytes: Family<PartitionLabel, Gauge>,
    waiting_events: Family<PartitionLabel, Gauge>,
    watermark_lag: Family<PartitionLabel, Gauge>,
    late_events: Family<SourceLabel, Gauge>,
    commits: Counter,
    commit_failures: Counter,
    commit_seconds: Histogram,
    stored_bytes: Counter,
    lag: Family<PartitionLabel, Gauge>,
    rules: Gauge,
    rules_refused: Counter,
    /// Nanoseconds since the epoch of the last commit; 0 before the first.
    last_commit: AtomicI64,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("casebook"),
            records: Counter::default(),
            bytes: Counter::default(),
            events: Family::default(),
            dead_letters: Family::default(),
            signals: Counter::default(),
            alerts: Family::default(),
            reports: Family::default(),
            groups: Family::default(),
            group_bytes: Family::default(),
            waiting_events: Family::default(),
            watermark_lag: Family::default(),
            late_events: Family::default(),
            commits: Counter::default(),
            commit_failures: Counter::default(),
            commit_seconds: Histogram::new(exponential_buckets(0.01, 2.0, 12)),
            stored_bytes: Counter::default(),
            lag: Family::default(),
            rules: Gauge::default(),
            rules_refused: Counter::default(),
            last_commit: AtomicI64::new(0),
        };
        let registry = &mut metrics.registry;
        registry.register(
            "ingest_records",
            "Records read from the log topics",
            metrics.records.clone(),
        );
        registry.register("ingest_bytes", "Bytes of the records read", metrics.bytes.clone());
        registry.register("ingest_events", "Events by source", metrics.events.clone());
        registry.register(
            "ingest_dead_letters",
            "Records that could not become events, by reason",
            metrics.dead_letters.clone(),
        );
        registry.register(
            "detect_signals",
            "Matches and watermarks sent to correlation",
            metrics.signals.clone(),
        );
        registry.register(
            "correlate_alerts",
            "Committed reports of alerts by level, without withdrawals",
            metrics.alerts.clone(),
        );
        registry.register(
            "correlate_reports",
            "Committed reports of alerts by status: provisional, final, withdrawn; those beyond the first of an id are revisions",
            metrics.reports.clone(),
        );
        registry.register(
            "correlate_groups",
            "Groups of events that wait for more, by the partition of the signals and by place: memory, disk",
            metrics.groups.clone(),
        );
        registry.register(
            "correlate_group_bytes",
            "What the groups in memory take, about",
            metrics.group_bytes.clone(),
        );
        registry.register(
            "correlate_events",
            "Events of the groups in memory",
            metrics.waiting_events.clone(),
        );
        registry.register(
            "correlate_watermark_lag_seconds",
            "The clock less the watermark: how long ago what is final now happened",
            metrics.watermark_lag.clone(),
        );
        registry.register(
            "correlate_late_events",
            "Matches that came behind the watermark and were not correlated, by source, since the state began",
            metrics.late_events.clone(),
        );
        registry.register("store_commits", "Commits of the events table", metrics.commits.clone());
        registry.register(
            "store_commit_failures",
            "Commits that failed and were begun again",
            metrics.commit_failures.clone(),
        );
        registry.register(
            "store_commit_duration_seconds",
            "Time of a commit, files included",
            metrics.commit_seconds.clone(),
        );
        registry.register(
            "store_written_bytes",
            "Bytes of Parquet files and indexes",
            metrics.stored_bytes.clone(),
        );
        registry.register(
            "ingest_lag_records",
            "Records between what was read and the end of the partition",
            metrics.lag.clone(),
        );
        registry.register("rules", "Rules that are applied", metrics.rules.clone());
        registry.register(
            "rules_refused",
            "Times that changed rules were refused, for errors in them",
            metrics.rules_refused.clone(),
        );
        metrics
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

    pub(crate) fn committed(&self, committed: &Committed, took: Duration) {
        self.commits.inc();
        self.commit_seconds.observe(took.as_secs_f64());
        self.stored_bytes.inc_by(committed.stored_bytes);
        self.last_commit.store(clock::now().as_nanos(), Ordering::Relaxed);
    }

    pub(crate) fn commit_failed(&self) {
        self.commit_failures.inc();
    }

    /// What the engines hold, one for each partition of the signals.
    pub(crate) fn correlation<'a>(&self, engines: impl Iterator<Item = (&'a Partition, CorrelationStats)>) {
        let gauge = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let mut late: BTreeMap<&'static str, u64> = BTreeMap::new();
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
            // Before the first watermark there is nothing to be behind of.
            if stats.watermark > Timestamp::MIN {
                let lag = clock::now().as_nanos().saturating_sub(stats.watermark.as_nanos());
                self.watermark_lag.get_or_create(&of_partition).set(lag / 1_000_000_000);
            }
            for (source, count) in &stats.late_events {
                *late.entry(source.name()).or_default() += count;
            }
        }
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
            };
            self.reports.get_or_create(&StatusLabel { status }).inc();
        }
        for alert in alerts
            .iter()
            .filter(|alert| alert.alert.status != AlertStatus::Withdrawn)
        {
            self.alerts
                .get_or_create(&LevelLabel {
                    level: alert.rule.level.name(),
                })
                .inc();
        }
    }

    pub(crate) fn lag(&self, partition: &Partition, records: i64) {
        self.lag.get_or_create(&label(partition)).set(records);
    }

    pub(crate) fn forget_partition(&self, partition: &Partition) {
        self.lag.remove(&label(partition));
    }

    /// The metrics in OpenMetrics text form.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

fn label(partition: &Partition) -> PartitionLabel {
    PartitionLabel {
        topic: partition.topic.to_string(),
        partition: partition.partition,
    }
}

/// Serves `/metrics`, `/healthz` (the process runs) and `/readyz` (its stages run) until `shutdown`.
pub(crate) async fn serve(
    address: SocketAddr,
    metrics: Arc<Metrics>,
    shutdown: CancellationToken,
) -> Result<(), PipelineError> {
    let failed = |source| PipelineError::Http { address, source };
    let listener = tokio::net::TcpListener::bind(address).await.map_err(failed)?;
    let ready = shutdown.clone();
    let router = Router::new()
        .route(
            "/metrics",
            get(|| async move {
                (
                    [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0")],
                    metrics.text(),
                )
            }),
        )
        .route("/healthz", get(|| async { "ok\n" }))
        .route(
            "/readyz",
            get(|| async move {
                if ready.is_cancelled() {
                    (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response()
                } else {
                    "ok\n".into_response()
                }
            }),
        );
    tokio::spawn(async move {
        let stopped = shutdown.cancelled_owned();
        if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
            tracing::warn!(%error, "http server stopped");
        }
    });
    Ok(())
}
