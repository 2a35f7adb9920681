//! `casebook demo`: the main job on a broker inside this process.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use casebook_event::{Alert, AlertStatus};
use casebook_ingest::SourceKind;
use casebook_investigate::alerts::graver_first;
use casebook_pipeline::{
    CommitConfig, Config, ConfigDuration, KafkaConfig, LatenessConfig, Pipeline, Role, TopicConfig,
};
use casebook_store::{AlertFilter, SearchRequest, Store, StoreConfig};
use rdkafka::mocking::MockCluster;

use crate::args::DemoArgs;
use crate::kafka_feed::{Feed, reached};
use crate::output::OutputFormat;
use crate::output::answers::alert::list_rows;
use crate::output::notice;
use crate::resolve::rules;
use crate::{exit_code, output};

/// How long ago the demo's half hour began: everything in it is over, so its alerts are final.
const STORY_AGE: Duration = Duration::from_secs(75 * 60);
/// Longest time the demo waits for its own pipeline.
const DEADLINE: Duration = Duration::from_secs(120);
/// Time between two looks at the progress.
const POLL: Duration = Duration::from_millis(100);
/// Alerts that the demo prints.
const MAX_ALERTS: usize = 15;

pub async fn run(args: DemoArgs) -> Result<ExitCode> {
    let started = Instant::now();
    let rules = rules::load(&[], false)?;
    let store = Arc::new(Store::open(&args.store.store, StoreConfig::default()).await?);
    let before: Vec<_> = all_alerts(&store)
        .await?
        .into_iter()
        .map(|alert| alert.alert.id.to_string())
        .collect();

    // The ids of alerts follow from the story: one that is raised again would only repeat what the store has.
    let fresh = if before.is_empty() {
        1
    } else {
        casebook_pipeline::now().as_nanos().unsigned_abs()
    };
    let seed = args.seed.unwrap_or(fresh);

    // The cluster lives as long as this value; it keeps 5 MiB a partition, and the demo stays below that.
    let cluster = MockCluster::new(1).context("in-process broker")?;
    let brokers = cluster.bootstrap_servers();
    let config = config(&brokers, &args.store.store);
    let topics: Vec<&str> = config.kafka.topics.iter().map(|topic| topic.name.as_str()).collect();
    let own = [
        Some(&config.kafka.signals_topic),
        config.kafka.alerts_topic.as_ref(),
        config.kafka.dead_letters_topic.as_ref(),
    ];
    for topic in topics
        .iter()
        .copied()
        .chain(own.into_iter().flatten().map(String::as_str))
    {
        cluster
            .create_topic(topic, 1, 1)
            .with_context(|| format!("topic {topic}"))?;
    }
    notice!("A Kafka broker runs inside this process at {brokers}.");

    let age = i64::try_from(STORY_AGE.as_nanos()).unwrap_or(i64::MAX);
    let start = casebook_pipeline::now().saturating_add_nanos(-age);
    let feed = Feed::new(&brokers)?;
    let records = casebook_corpus::demo(seed, start);
    let bytes: usize = records.iter().map(|record| record.payload.len()).sum();
    for record in &records {
        feed.write(record.topic, &record.key, &record.payload)?;
    }
    feed.flush()?;
    notice!(
        "{} records of {} sources are on its topics ({} KiB).",
        records.len(),
        casebook_corpus::SOURCES.len(),
        bytes >> 10
    );

    let signals_topic = config.kafka.signals_topic.clone();
    let pipeline = Pipeline::start(config.clone(), Role::All, rules.clone(), store.clone()).await?;
    notice!("The pipeline reads them with {} rules …", rules.rules().count());
    // A pipeline that fails stops itself, and `wait` below says why.
    let stopped = pipeline.shutdown();
    let outcome = tokio::select! {
        outcome = wait_until_final(&pipeline, &feed, &topics, &signals_topic, &store, &before) => outcome,
        () = stopped.cancelled() => Ok(()),
        _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted; what was read is committed, and another demo may use the same store")),
    };
    let committed = pipeline.progress().subscribe().borrow().clone();
    pipeline.shutdown().cancel();
    pipeline.wait().await?;
    outcome?;

    let mut alerts: Vec<Alert> = all_alerts(&store).await?;
    alerts.retain(|alert| !before.iter().any(|id| alert.alert.id == *id));
    alerts.sort_by(graver_first);
    let total = alerts.len();
    alerts.truncate(MAX_ALERTS);
    notice!(
        "{} events committed, {} alerts, after {:.1} s.",
        committed.events,
        total,
        started.elapsed().as_secs_f64()
    );
    notice!("");
    output::print(&list_rows(&alerts), OutputFormat::Table)?;
    let Some(top) = alerts.first() else {
        bail!("the demo raised no alert")
    };
    suggest(top, &args.store.store, &store).await?;
    Ok(exit_code::OK)
}

async fn all_alerts(store: &Store) -> Result<Vec<Alert>> {
    Ok(store.alerts(AlertFilter::default()).await?)
}

fn config(brokers: &str, store: &str) -> Config {
    let topics = casebook_corpus::SOURCES
        .iter()
        .map(|&source| TopicConfig::new(casebook_corpus::topic(source), SourceKind::Source(source)))
        .collect();
    let kafka = KafkaConfig {
        // A new broker begins at offset 0: an earlier demo's positions in the same store are not its own.
        group: format!("demo-{}", casebook_pipeline::now().as_nanos()),
        signals_partitions: 1,
        ..KafkaConfig::new(brokers, topics)
    };
    Config {
        rules_reload: None,
        lateness: LatenessConfig {
            idle: Some(ConfigDuration(Duration::from_secs(1))),
            ..LatenessConfig::default()
        },
        commit: CommitConfig {
            interval: ConfigDuration(Duration::from_secs(1)),
            ..CommitConfig::default()
        },
        ..Config::new(store, kafka)
    }
}

/// Waits until all records are committed, their signals are applied, and no alert waits for its window to end.
async fn wait_until_final(
    pipeline: &Pipeline,
    feed: &Feed,
    topics: &[&str],
    signals_topic: &str,
    store: &Store,
    before: &[String],
) -> Result<()> {
    let deadline = Instant::now() + DEADLINE;
    let mut progress = pipeline.progress().subscribe();
    let ends = feed.ends(topics)?;
    wait(deadline, &mut progress, |snapshot| reached(&snapshot.logs, &ends)).await?;
    let ends = feed.ends(&[signals_topic])?;
    wait(deadline, &mut progress, |snapshot| reached(&snapshot.signals, &ends)).await?;
    loop {
        let mut alerts = all_alerts(store).await?;
        // What an earlier demo left provisional stays so: its broker is gone, and no window of it ends any more.
        alerts.retain(|alert| !before.iter().any(|id| alert.alert.id == *id));
        if !alerts.is_empty()
            && alerts
                .iter()
                .all(|alert| alert.alert.status != AlertStatus::Provisional)
        {
            return Ok(());
        }
        if Instant::now() >= deadline {
            bail!("the alerts were not final in time; CASEBOOK_LOG=debug shows why");
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn wait(
    deadline: Instant,
    progress: &mut tokio::sync::watch::Receiver<casebook_pipeline::Snapshot>,
    done: impl FnMut(&casebook_pipeline::Snapshot) -> bool,
) -> Result<()> {
    match tokio::time::timeout_at(deadline.into(), progress.wait_for(done)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) => bail!("the pipeline stopped early; the log above says why"),
        Err(_) => bail!("the pipeline did not finish in time; CASEBOOK_LOG=debug shows why"),
    }
}

/// Says what to try next, with queries that are known to find something in this store.
async fn suggest(top: &Alert, path: &str, store: &Store) -> Result<()> {
    let store_flag = if Path::new(path) == Path::new("./casebook-data") {
        String::new()
    } else {
        format!(" --store {path}")
    };
    let address = top
        .evidence
        .iter()
        .find_map(|evidence| evidence.entities.get("source.ip"));
    let mut lines = vec![format!("casebook alert show {}{store_flag}", &top.alert.id[..12])];
    let mut queries = Vec::new();
    if let Some(address) = address {
        queries.push(format!("source.ip:{address}"));
    }
    queries.push("subresource:exec".to_owned());
    for query in queries {
        let request = SearchRequest {
            query: query.clone(),
            limit: 1,
            newest_first: true,
            ..SearchRequest::default()
        };
        if store.search(request).await?.matched > 0 {
            lines.push(format!("casebook search '{query}'{store_flag}"));
        }
    }
    lines.push(format!("casebook sql \"SELECT source, count(*) AS events FROM events GROUP BY source ORDER BY events DESC\"{store_flag}"));
    notice!("");
    notice!("The store is in {path}. Try next (`cargo run --release --` stands for `casebook`):");
    for line in lines {
        notice!("  {}", output::escape(&line));
    }
    Ok(())
}
