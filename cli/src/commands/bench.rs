//! `casebook bench`: from a real Kafka to committed tables and indexes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use casebook_corpus::{Activity, Corpus, CorpusConfig};
use casebook_correlate::{RuleFile, RuleSet};
use casebook_event::{Source, Timestamp, Value};
use casebook_ingest::SourceKind;
use casebook_pipeline::{CommitConfig, Config, KafkaConfig, Pipeline, Role, Snapshot, TopicConfig};
use casebook_store::{Store, StoreConfig};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;

use crate::args::BenchArgs;
use crate::kafka_feed::{Feed, reached};
use crate::output::{self, Rows};
use crate::resolve::rules;
use crate::{exit_code, progress_bar};

/// Longest time a measurement may take.
const DEADLINE: Duration = Duration::from_secs(3600);
/// Time between two looks at how far the pipelines have come.
const TICK: Duration = Duration::from_millis(20);
/// The seed of the corpus, so that figures of two runs are of the same bytes.
const SEED: u64 = 42;

pub async fn run(args: BenchArgs) -> Result<ExitCode> {
    let brokers = match &args.brokers {
        Some(brokers) => brokers.clone(),
        None => start_kafka()?,
    };
    // Topics of this run's own: whatever else the brokers hold is left alone.
    let run = format!("bench-{}", casebook_pipeline::now().as_nanos());
    let directory = Directory::new(args.keep.clone(), &run)?;
    let topics: Vec<(String, Source)> = casebook_corpus::SOURCES
        .iter()
        .map(|&s| (format!("{run}.{}", casebook_corpus::topic(s)), s))
        .collect();
    create_topics(&brokers, &topics, args.partitions).await?;
    let (records, bytes) = tokio::task::block_in_place(|| feed(&brokers, &run, args.activity, args.size << 20))?;

    let rule_set = if args.no_rules {
        no_rules()?
    } else {
        rules::load(&[], false)?
    };
    let rule_count = rule_set.rules().count();
    let store = Arc::new(Store::open(&directory.path.to_string_lossy(), StoreConfig::default()).await?);
    let mut config = config(&brokers, &run, &topics, &directory.path, args.commit_size);
    config.correlation.keep = !args.no_repairs;
    let names: Vec<&str> = topics.iter().map(|(name, _)| name.as_str()).collect();
    let ends = Feed::new(&brokers)?.ends(&names)?;

    forget_peak_memory();
    let (started, cpu) = (Instant::now(), cpu_seconds());
    let mut pipelines = vec![Pipeline::start(config.clone(), Role::All, rule_set.clone(), store).await?];
    for _ in 1..args.workers {
        // A view of the tables of its own, as another process would have.
        let store = Arc::new(Store::open(&directory.path.to_string_lossy(), StoreConfig::default()).await?);
        pipelines.push(Pipeline::start(config.clone(), Role::All, rule_set.clone(), store).await?);
    }
    let mut ticks = tokio::time::interval(TICK);
    let done = loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        }
        let sum = sum(&pipelines);
        if reached(&sum.logs, &ends) {
            break sum;
        }
        // A pipeline that fails stops itself, and `wait` says why.
        if pipelines.iter().any(|pipeline| pipeline.shutdown().is_cancelled()) {
            for pipeline in pipelines {
                pipeline.shutdown().cancel();
                pipeline.wait().await?;
            }
            bail!("a pipeline stopped early");
        }
        if started.elapsed() > DEADLINE {
            bail!("the pipelines did not finish within {} s", DEADLINE.as_secs());
        }
    };
    let (seconds, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let peak = peak_memory_mib();
    for pipeline in pipelines {
        pipeline.shutdown().cancel();
        pipeline.wait().await?;
    }

    let mib = bytes as f64 / f64::from(1 << 20);
    let mut rows = Rows::new(&["measure", "value", "unit"]);
    let mut row = |name: &str, value: f64, unit: &str| {
        rows.rows.push(vec![
            Value::str(name),
            Value::from(format!("{value:.2}")),
            Value::str(unit),
        ]);
    };
    row("records", records as f64, "");
    row("events committed", done.events as f64, "");
    row("rules", rule_count as f64, "");
    row("commits", done.commits as f64, "");
    row("input", mib, "MiB");
    row("time", seconds, "s");
    row("cpu time", cpu, "s");
    row("records per second", records as f64 / seconds, "1/s");
    row("input per second", bytes as f64 / 1e6 / seconds, "MB/s");
    row("input per cpu second", bytes as f64 / 1e6 / cpu, "MB/s");
    row("stored per raw byte", done.stored_bytes as f64 / bytes as f64, "");
    row("peak resident memory", peak, "MiB");
    output::print(&rows, args.output.output)?;
    Ok(exit_code::OK)
}

/// What all pipelines have committed.
fn sum(pipelines: &[Pipeline]) -> Snapshot {
    let mut sum = Snapshot::default();
    for pipeline in pipelines {
        let one = pipeline.progress().subscribe().borrow().clone();
        for (partition, next) in one.logs {
            let known = sum.logs.entry(partition).or_default();
            *known = next.max(*known);
        }
        sum.events += one.events;
        sum.raw_bytes += one.raw_bytes;
        sum.stored_bytes += one.stored_bytes;
        sum.commits += one.commits;
    }
    sum
}

/// Where the tables go; removed at the end unless it is to be kept.
struct Directory {
    path: PathBuf,
    keep: bool,
}

impl Directory {
    fn new(keep: Option<PathBuf>, run: &str) -> Result<Self> {
        let path = keep
            .clone()
            .unwrap_or_else(|| std::env::temp_dir().join(format!("casebook-{run}")));
        std::fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        Ok(Self {
            path,
            keep: keep.is_some(),
        })
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if !self.keep {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Starts Kafka by the project's own script; it stops when this process ends, however that is.
fn start_kafka() -> Result<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/dev/kafka");
    if !script.exists() {
        bail!(
            "no broker: give --brokers HOST:PORT (this binary was built elsewhere, so deploy/dev/kafka is not at hand)"
        );
    }
    let output = Command::new(&script)
        .args(["start", "--until-exit", &std::process::id().to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| script.display().to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    match text.lines().find_map(|line| line.strip_prefix("KAFKA_BROKERS=")) {
        Some(brokers) if output.status.success() => Ok(brokers.to_owned()),
        _ => bail!(
            "Kafka did not start ({}); the lines above say why. Or give --brokers HOST:PORT",
            output.status
        ),
    }
}

async fn create_topics(brokers: &str, topics: &[(String, Source)], partitions: i32) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    let new: Vec<_> = topics
        .iter()
        .map(|(name, _)| NewTopic::new(name, partitions, TopicReplication::Fixed(1)))
        .collect();
    for result in admin
        .create_topics(&new, &AdminOptions::new())
        .await
        .context("creating topics")?
    {
        result.map_err(|(topic, code)| anyhow::anyhow!("topic `{topic}`: {code}"))?;
    }
    Ok(())
}

/// Writes `size` bytes of the corpus; returns the records and bytes written.
fn feed(brokers: &str, run: &str, activity: Activity, size: u64) -> Result<(u64, u64)> {
    let feed = Feed::new(brokers)?;
    let names: BTreeMap<&str, String> = casebook_corpus::SOURCES
        .iter()
        .map(|&s| casebook_corpus::topic(s))
        .map(|t| (t, format!("{run}.{t}")))
        .collect();
    let bar = progress_bar::bytes(size, "feed");
    let start = Timestamp::parse_rfc3339("2026-11-01T00:00:00Z").unwrap_or_default();
    let (mut records, mut bytes) = (0, 0);
    for record in Corpus::new(CorpusConfig {
        seed: SEED,
        start,
        ..CorpusConfig::of(activity)
    }) {
        let Some(topic) = names.get(record.topic) else { continue };
        feed.write(topic, &record.key, &record.payload)?;
        records += 1;
        bytes += record.payload.len() as u64;
        bar.inc(record.payload.len() as u64);
        if bytes >= size {
            break;
        }
    }
    feed.flush()?;
    bar.finish_and_clear();
    Ok((records, bytes))
}

fn config(brokers: &str, run: &str, topics: &[(String, Source)], store: &Path, commit_mib: Option<usize>) -> Config {
    let topics = topics
        .iter()
        .map(|(name, source)| TopicConfig::new(name, SourceKind::Source(*source)))
        .collect();
    let mut commit = CommitConfig::default();
    if let Some(mib) = commit_mib {
        commit.max_bytes = mib << 20;
    }
    let kafka = KafkaConfig {
        group: run.to_owned(),
        signals_topic: format!("{run}.signals"),
        alerts_topic: Some(format!("{run}.alerts")),
        dead_letters_topic: Some(format!("{run}.dead-letters")),
        replication: 1,
        ..KafkaConfig::new(brokers, topics)
    };
    Config {
        rules_reload: None,
        commit,
        ..Config::new(&store.to_string_lossy(), kafka)
    }
}

fn no_rules() -> Result<Arc<RuleSet>> {
    RuleSet::load(Vec::<RuleFile>::new())
        .rules
        .map(Arc::new)
        .context("an empty rule set")
}

/// User and system time of this process (Linux, proc(5)); clock ticks are hundredths of a second there.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<f64> = stat
        .rsplit(')')
        .next()
        .unwrap_or("")
        .split_whitespace()
        .map(|f| f.parse().unwrap_or(0.0))
        .collect();
    // After the name in parentheses: utime is the 12th field, stime the 13th.
    (fields.get(11).copied().unwrap_or(0.0) + fields.get(12).copied().unwrap_or(0.0)) / 100.0
}

/// Feeding the brokers is not what is measured: the kernel's peak starts anew (proc(5), `clear_refs`).
fn forget_peak_memory() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

fn peak_memory_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap_or("0 kB");
    line.split_whitespace()
        .next()
        .and_then(|kib| kib.parse::<f64>().ok())
        .unwrap_or(0.0)
        / 1024.0
}
