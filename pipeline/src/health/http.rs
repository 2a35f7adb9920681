//! The endpoints of a worker: `/metrics`, `/healthz`, `/readyz`; and the watch over what they tell.
//!
//! Two questions with two answers. `/healthz` (liveness) fails where a restart may help: a partition stands, and nothing outside of
//! the worker is known to keep it. `/readyz` (readiness) fails where the worker does not do its work, whatever the cause: the
//! brokers or the store are away, a partition stands, or it stops. A worker without partitions, or with nothing to read, is well.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use casebook_event::Partition;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::error::PipelineError;
use crate::progress::stalls::{Stage, Stall, Stalls};
use crate::telemetry::metrics::Metrics;

/// Looks at the partitions in the time that a stall takes.
const LOOKS: u32 = 10;
/// Longest time between two looks: that of the metrics of lag.
const MAX_LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How long something outside of the worker may fail before the worker is not ready: a moment is no outage.
const OUTAGE_AFTER: Duration = Duration::from_secs(15);

/// What a worker is asked for.
#[derive(Clone)]
pub(crate) struct Health {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) stalls: Arc<Stalls>,
    /// After how long without progress a partition stalls.
    pub(crate) stall_after: Duration,
    pub(crate) shutdown: CancellationToken,
}

impl Health {
    fn stalled(&self) -> Vec<Stall> {
        self.stalls.look(self.stall_after, Instant::now())
    }

    /// Why the worker does not do its work, a line each; none where it does.
    fn unready(&self) -> Vec<String> {
        if self.shutdown.is_cancelled() {
            return vec!["stopping".into()];
        }
        let mut reasons = self.stalls.outages(OUTAGE_AFTER, Instant::now());
        reasons.extend(self.stalled().iter().map(Stall::to_string));
        reasons
    }

    /// Says which partitions stall, when they begin to and again as long as they do, and keeps the metrics of lag and health;
    /// until shutdown.
    pub(crate) async fn watch(self) {
        let mut reported = Reported::default();
        let (mut logs, mut signals) = (BTreeSet::new(), BTreeSet::new());
        let mut interval = tokio::time::interval((self.stall_after / LOOKS).min(MAX_LOOK_INTERVAL));
        loop {
            tokio::select! {
                () = self.shutdown.cancelled() => return,
                _ = interval.tick() => {}
            }
            let stalled = self.stalled();
            self.metrics.progress(&self.stalls, &stalled);
            self.lags(Stage::Ingest, &mut logs);
            self.lags(Stage::Correlate, &mut signals);
            reported.readiness(&self.unready());
            self.metrics.ready(reported.is_ready);
            reported.stalls(stalled, self.stall_after, Instant::now());
        }
    }

    fn lags(&self, stage: Stage, before: &mut BTreeSet<Partition>) {
        self.metrics.lags(stage, &self.stalls.lags(stage), before);
    }

    /// Serves `/metrics`, `/healthz` and `/readyz` until shutdown.
    ///
    /// # Errors
    /// The address cannot be listened at.
    pub(crate) async fn serve(self, address: SocketAddr) -> Result<(), PipelineError> {
        let failed = |source| PipelineError::Http { address, source };
        let listener = tokio::net::TcpListener::bind(address).await.map_err(failed)?;
        let (metrics, health, ready) = (self.metrics.clone(), self.clone(), self.clone());
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
            .route("/healthz", get(|| async move { healthz(&health.stalled()) }))
            .route(
                "/readyz",
                get(|| async move { answer(&ready.unready()).into_response() }),
            );
        tokio::spawn(async move {
            let stopped = self.shutdown.cancelled_owned();
            if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
                tracing::warn!(%error, "http server stopped");
            }
        });
        Ok(())
    }
}

/// What was said of the worker's health, so that it is said once, and again as long as it holds.
struct Reported {
    is_ready: bool,
    stalls: Vec<(Stall, Instant)>,
}

impl Default for Reported {
    fn default() -> Self {
        Self {
            is_ready: true,
            stalls: Vec::new(),
        }
    }
}

impl Reported {
    fn readiness(&mut self, reasons: &[String]) {
        let is_ready = reasons.is_empty();
        match (self.is_ready, is_ready) {
            (true, false) => warn!(why = reasons.join("; "), "not ready"),
            (false, true) => info!("ready again"),
            _ => {}
        }
        self.is_ready = is_ready;
    }

    fn stalls(&mut self, stalled: Vec<Stall>, stall_after: Duration, now: Instant) {
        let is = |a: &Stall, b: &Stall| a.stage == b.stage && a.partition == b.partition;
        self.stalls.retain(|(old, _)| {
            let stays = stalled.iter().any(|stall| is(stall, old));
            if !stays {
                info!(stage = old.stage.name(), partition = %old.partition, "partition moves again");
            }
            stays
        });
        for stall in stalled {
            match self.stalls.iter_mut().find(|(old, _)| is(old, &stall)) {
                Some((_, at)) if now.duration_since(*at) < stall_after => continue,
                Some((_, at)) => *at = now,
                None => self.stalls.push((stall.clone(), now)),
            }
            error!(
                stage = stall.stage.name(),
                partition = %stall.partition,
                committed = stall.committed,
                end = stall.end,
                stood_s = stall.stood.as_secs(),
                why = stall.why,
                "partition makes no progress"
            );
        }
    }
}

/// 200, or 503 with the reasons.
fn answer(reasons: &[String]) -> (StatusCode, String) {
    if reasons.is_empty() {
        return (StatusCode::OK, "ok\n".into());
    }
    let lines = reasons.iter().map(|reason| format!("{reason}\n")).collect();
    (StatusCode::SERVICE_UNAVAILABLE, lines)
}

/// Only what may hang in the worker itself is a reason to restart it.
fn healthz(stalled: &[Stall]) -> (StatusCode, String) {
    let own: Vec<String> = stalled
        .iter()
        .filter(|stall| !stall.is_outside)
        .map(Stall::to_string)
        .collect();
    answer(&own)
}
