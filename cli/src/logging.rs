//! What the program says of itself: logs to stderr, and spans to an OpenTelemetry collector where the configuration names one.

use std::io::Write;
use std::time::Duration;

use crate::output::{escape_json, escape_lines, notice};
use anyhow::{Context as _, Result};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt, registry};

/// Longest time of one request to the collector.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// What sends spans, until it is dropped: then it sends what it still has.
#[derive(Debug, Default)]
pub struct Traces(Option<SdkTracerProvider>);

impl Drop for Traces {
    fn drop(&mut self) {
        if let Some(provider) = self.0.take()
            && let Err(error) = provider.shutdown()
        {
            notice!("casebook: the last spans were not sent: {error}");
        }
    }
}

/// Logs go to stderr: warnings by default, more with `CASEBOOK_LOG=info` (tracing-subscriber's filter syntax), as JSON lines
/// with `CASEBOOK_LOG_FORMAT=json`. Spans go to `traces`, the base URL of a collector that takes OTLP over HTTP.
///
/// # Errors
/// The URL cannot be used.
pub fn init(traces: Option<&str>) -> Result<Traces> {
    let filter = EnvFilter::try_from_env("CASEBOOK_LOG")
        .unwrap_or_else(|_| EnvFilter::new("warn,casebook_pipeline=info,casebook_ingest=info"));
    // Without colors: a line's own and those in a file's name that a library cites would look the same.
    let lines = if std::env::var("CASEBOOK_LOG_FORMAT").is_ok_and(|format| format == "json") {
        let writer = || Escaped(|line| escape_json(line).into_owned());
        fmt::layer().with_ansi(false).with_writer(writer).json().boxed()
    } else {
        let writer = || Escaped(|line| escape_lines(line).into_owned());
        fmt::layer().with_ansi(false).with_writer(writer).boxed()
    };
    let provider = traces.map(provider).transpose()?;
    // A span for each batch, and none for what libraries do inside of it.
    let spans = provider.as_ref().map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("casebook"))
            .with_filter(
                Targets::new()
                    .with_target("casebook_pipeline", LevelFilter::INFO)
                    .with_target("casebook_store", LevelFilter::INFO),
            )
    });
    registry().with(lines.with_filter(filter)).with(spans).init();
    Ok(Traces(provider))
}

/// Writes lines of a log to stderr, escaped.
struct Escaped(fn(&str) -> String);

impl Write for Escaped {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let escaped = self.0(&String::from_utf8_lossy(line));
        std::io::stderr().lock().write_all(escaped.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

fn provider(base: &str) -> Result<SdkTracerProvider> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(format!("{}/v1/traces", base.trim_end_matches('/')))
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .with_context(|| format!("traces: {base}"))?;
    let resource = Resource::builder().with_service_name("casebook").build();
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .build())
}
