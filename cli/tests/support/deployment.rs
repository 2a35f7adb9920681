//! A deployment over the topics of a test: a group, a store, and the workers that come and go.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use casebook_event::Source;
use casebook_store::{Store, StoreConfig};

use super::kafka;
use super::outcome::{Outcome, Place, try_sql};
use super::topics::{Topics, pack};
use super::worker::Worker;

/// Longest time that a deployment may take for its topics.
const DEADLINE: Duration = Duration::from_secs(180);

/// What of the configuration differs between tests.
#[derive(Debug, Clone)]
pub struct Settings {
    /// After how many bytes a commit is due.
    pub commit_bytes: usize,
    /// After how long a quiet partition no longer holds back the others.
    pub idle: &'static str,
    /// How late events may come, where it is not the default.
    pub late: Option<&'static str>,
    /// How often the state of correlation is written.
    pub state_interval: &'static str,
    /// Memory for groups.
    pub memory_bytes: usize,
    /// Where the rules are.
    pub rules: String,
    /// More lines.
    pub more: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            commit_bytes: 65_536,
            idle: "2s",
            late: None,
            state_interval: "500ms",
            memory_bytes: 1 << 20,
            rules: pack(),
            more: String::new(),
        }
    }
}

impl Settings {
    /// Whether lines and stack traces that wait for more are emitted when nothing more comes.
    fn emits_what_waits(&self) -> bool {
        !self.more.contains("join_wait")
    }
}

pub struct Deployment {
    pub topics: Topics,
    pub group: String,
    pub store: Place,
    pub config: PathBuf,
    pub directory: tempfile::TempDir,
}

impl Deployment {
    /// A new group over new topics for these sources, all named after `test`; `None` after saying that it is skipped.
    pub fn of_sources(test: &str, sources: &[Source], settings: &Settings) -> Option<Self> {
        let brokers = kafka::brokers(test)?;
        let directory = tempfile::tempdir().unwrap();
        let unique = directory.path().file_name().unwrap().to_str().unwrap();
        let name = format!("{test}-{}", unique.trim_start_matches('.'));
        let topics = Topics::of_sources(&brokers, &name, sources);
        Some(Self::new(&topics, "workers", settings))
    }

    /// A new group over `topics`, with an empty store in a directory of its own.
    pub fn new(topics: &Topics, name: &str, settings: &Settings) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Place {
            url: directory.path().join("store").to_str().unwrap().to_owned(),
            ..Place::default()
        };
        Self::at(topics, name, settings, directory, store)
    }

    /// The same with its store elsewhere.
    pub fn at(topics: &Topics, name: &str, settings: &Settings, directory: tempfile::TempDir, store: Place) -> Self {
        let group = format!("{}.{name}", topics.name);
        let config = directory.path().join("casebook.yaml");
        let spill = directory.path().join("spill");
        let Settings {
            commit_bytes,
            idle,
            late,
            state_interval,
            memory_bytes,
            rules,
            more,
        } = settings;
        let late = late.map(|late| format!("default: {late}, ")).unwrap_or_default();
        let text = format!(
            "store: {url}\nrules: [{rules}]\nkafka:\n  brokers: {brokers}\n  group: {group}\n  topics:\n{listed}  \
             properties: {{ session.timeout.ms: 2500, heartbeat.interval.ms: 400 }}\n  \
             signals_topic: {group}.signals\n  alerts_topic: {group}.alerts\n  dead_letters_topic: {group}.dead\n  replication: 1\n\
             commit: {{ interval: 300ms, max_bytes: {commit_bytes}, alert_interval: 200ms, checkpoint_commits: 3 }}\n\
             correlation: {{ memory_bytes: {memory_bytes}, spill_directory: {spill}, interval: {state_interval} }}\n\
             lateness: {{ {late}idle: {idle} }}\n{more}",
            url = store.url,
            brokers = topics.brokers,
            listed = topics.listed(),
            spill = spill.display(),
        );
        std::fs::write(&config, text).unwrap();
        Self {
            topics: topics.clone(),
            group,
            store,
            config,
            directory,
        }
    }

    pub fn worker(&self, role: &str, failpoints: &str) -> Worker {
        Worker::start_with(&self.config, role, failpoints, &self.store.environment)
    }

    /// The outcome now. No worker may run.
    pub fn outcome(&self) -> Outcome {
        Outcome::read(&self.store, &self.topics.brokers, &self.group)
    }

    /// Rows of events and dead letters, alerts that hold, and those of them that are not final. Nothing where there is no store yet.
    pub fn counts(&self) -> Option<[usize; 4]> {
        let query = "SELECT (SELECT count(*) FROM events) AS events, (SELECT count(*) FROM dead_letters) AS dead, \
                     coalesce(sum(CASE WHEN a.status <> 'withdrawn' THEN 1 ELSE 0 END), 0) AS alerts, coalesce(sum(CASE WHEN a.status = 'provisional' THEN 1 ELSE 0 END), 0) AS open \
                     FROM alerts a JOIN (SELECT id, max(revision) AS revision FROM alerts GROUP BY id) l \
                     ON a.id = l.id AND a.revision = l.revision";
        let rows = try_sql(&self.store, query)?;
        let count = |name: &str| rows[0][name].as_i64().unwrap() as usize;
        Some([count("events"), count("dead"), count("alerts"), count("open")])
    }

    /// Whether the tables have as much as `want`, and no alert is open.
    pub fn has(&self, want: &Outcome) -> bool {
        let done = [want.events.len(), want.dead_letters.len(), want.alerts.len(), 0];
        self.counts() == Some(done)
    }

    /// Whether there was a partial record at the last commit, of which more may come.
    fn waits_for_parts(&self) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let offsets = runtime.block_on(async {
            let store = Store::open_existing(&self.store.url, StoreConfig::default())
                .await
                .unwrap();
            store.start_offsets(&self.group).await.unwrap()
        });
        offsets.values().any(|start| start.resume < start.next)
    }

    /// Waits until the tables have as much as `want`, and no alert is open. The workers' logs are read meanwhile.
    pub fn wait_for(&self, want: &Outcome, workers: &mut [&mut Worker]) {
        let done = [want.events.len(), want.dead_letters.len(), want.alerts.len(), 0];
        self.wait_until(&format!("{done:?}"), workers, |counts| {
            counts[0] >= done[0] && counts[1] >= done[1] && counts[2] >= done[2] && counts[3] == 0
        });
    }

    /// Waits until the counts are as `done` wants them, as long as they change: the backlog of half an hour takes its time.
    pub fn wait_until(&self, what: &str, workers: &mut [&mut Worker], done: impl Fn([usize; 4]) -> bool) {
        let (mut last, mut deadline) = (None, Instant::now() + DEADLINE);
        loop {
            let counts = self.counts();
            if counts != last {
                (last, deadline) = (counts, Instant::now() + DEADLINE);
            }
            if counts.is_some_and(&done) {
                return;
            }
            for worker in workers.iter_mut() {
                while worker.next_line(Duration::from_millis(100)).is_some() {}
                if let Some(status) = worker.ended() {
                    panic!("{}: a worker ended, {status}\n{}", self.group, worker.log());
                }
            }
            let logs = || {
                workers
                    .iter()
                    .map(|worker| worker.log())
                    .collect::<Vec<_>>()
                    .join("\n----\n")
            };
            assert!(
                Instant::now() < deadline,
                "{}: {counts:?} is not {what}, and has not changed for {DEADLINE:?}\n{}",
                self.group,
                logs()
            );
        }
    }

    /// Stops the workers, and checks that the outcome is `want`.
    pub fn finish(&self, workers: Vec<Worker>, want: &Outcome) {
        let logs: Vec<String> = workers.iter().map(Worker::log).collect();
        for worker in workers {
            worker.stop();
        }
        let difference = self.outcome().difference(want);
        assert!(
            difference.is_empty(),
            "{}: {} differences\n{}\n{}",
            self.group,
            difference.len(),
            difference[..difference.len().min(5)].join("\n"),
            logs.join("\n----\n")
        );
    }
}

/// What one worker makes of the topics that nothing disturbs. `casebook replay` says when it has found all, and that it has.
pub fn undisturbed(topics: &Topics, settings: &Settings) -> Outcome {
    let want = topics.replayed();
    assert!(want.len() >= 10, "{} alerts prove little", want.len());
    let deployment = Deployment::new(topics, "undisturbed", settings);
    let mut worker = deployment.worker("all", "");
    deployment.wait_until(
        &format!("{} alerts of all records", want.len()),
        &mut [&mut worker],
        |counts| {
            counts[2] >= want.len()
                && counts[3] == 0
                && kafka::is_drained(&topics.brokers, &deployment.group, &topics.names())
                && !(settings.emits_what_waits() && deployment.waits_for_parts())
        },
    );
    worker.stop();
    let outcome = deployment.outcome();
    let found: BTreeSet<String> = outcome.alerts.keys().cloned().collect();
    let missing: Vec<_> = want.difference(&found).collect();
    let more: Vec<_> = found.difference(&want).collect();
    assert!(
        missing.is_empty() && more.is_empty(),
        "not found: {missing:?}\nnot in replay: {more:?}"
    );
    outcome
}
