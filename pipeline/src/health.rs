//! The endpoints of a worker: `/metrics`, `/healthz`, `/readyz`; and the watch over what they tell.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::error::PipelineError;
use crate::stall::{Stall, Stalls};
use crate::telemetry::Metrics;

/// Looks at the partitions in the time that a stall takes.
const LOOKS: u32 = 10;

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

    /// Says which partitions stall, when they begin to and again as long as they do; until shutdown.
    pub(crate) async fn watch(self) {
        let mut told: Vec<(Stall, Instant)> = Vec::new();
        let mut interval = tokio::time::interval((self.stall_after / LOOKS).min(Duration::from_secs(5)));
        loop {
            tokio::select! {
                () = self.shutdown.cancelled() => return,
                _ = interval.tick() => {}
            }
            let (stalled, now) = (self.stalled(), Instant::now());
            self.metrics.progress(&self.stalls, &stalled);
            let is = |a: &Stall, b: &Stall| a.stage == b.stage && a.partition == b.partition;
            told.retain(|(old, _)| {
                let stays = stalled.iter().any(|stall| is(stall, old));
                if !stays {
                    info!(stage = old.stage.name(), partition = %old.partition, "partition moves again");
                }
                stays
            });
            for stall in stalled {
                match told.iter_mut().find(|(old, _)| is(old, &stall)) {
                    Some((_, at)) if now.duration_since(*at) < self.stall_after => continue,
                    Some((_, at)) => *at = now,
                    None => told.push((stall.clone(), now)),
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

    /// Serves `/metrics`, `/healthz` (no partition stalls) and `/readyz` (the stages run) until shutdown.
    ///
    /// # Errors
    /// The address cannot be listened at.
    pub(crate) async fn serve(self, address: SocketAddr) -> Result<(), PipelineError> {
        let failed = |source| PipelineError::Http { address, source };
        let listener = tokio::net::TcpListener::bind(address).await.map_err(failed)?;
        let (metrics, health, ready) = (self.metrics.clone(), self.clone(), self.shutdown.clone());
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
                get(|| async move {
                    if ready.is_cancelled() {
                        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response()
                    } else {
                        "ok\n".into_response()
                    }
                }),
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

fn healthz(stalled: &[Stall]) -> (StatusCode, String) {
    if stalled.is_empty() {
        return (StatusCode::OK, "ok\n".into());
    }
    let lines = stalled.iter().map(|stall| format!("{stall}\n")).collect();
    (StatusCode::SERVICE_UNAVAILABLE, lines)
}
