//! One run: a seed draws the input, the world, and what goes wrong in it; in the end the tables must be as if nothing had.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use casebook_correlate::{RuleFile, RuleSet};

use super::broker::Broker;
use super::executor::{Executor, Step};
use super::expected::{Outcome, not_kept, unsent};
use super::input::{BEGIN, TOPICS, rules, writes};
use super::random::Random;
use super::tables::lock;
use super::worker::{Worker, World};
use crate::config::deployment::Config;
use crate::config::duration::ConfigDuration;
use crate::config::group::correlate_group;
use crate::config::kafka::KafkaConfig;
use crate::ports::runtime::SharedRuntime;

/// After the last write, what is left must come within so long, with nothing going wrong any more.
const SETTLING: Duration = Duration::from_secs(3_600);
/// Time goes on by so much at most.
const TICK: Duration = Duration::from_millis(500);
/// Time between two looks at the tables.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// What is right must stay right for so long.
const STEADY: Duration = Duration::from_secs(120);
/// A worker that was asked to stop is killed after that.
const PATIENCE: Duration = Duration::from_secs(45);
/// More steps than any run takes: one that goes on without time passing is caught by it.
const MAX_STEPS: u64 = 20_000_000;

/// The rule sets that are loaded once for all runs.
pub(super) struct Rules {
    own: Arc<RuleSet>,
    added: Arc<RuleSet>,
}

impl Rules {
    pub(super) fn load() -> Self {
        let load = |with_added| {
            let file = RuleFile {
                path: "rules.yml".into(),
                text: rules(with_added),
            };
            let loaded = RuleSet::load([file]);
            let wrong: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
            Arc::new(loaded.rules.unwrap_or_else(|| panic!("{wrong:?}")))
        };
        Self {
            own: load(false),
            added: load(true),
        }
    }
}

/// What happened in runs.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) steps: u64,
    pub(super) seconds: u64,
    pub(super) events: u64,
    pub(super) letters: u64,
    pub(super) alerts: u64,
    pub(super) reports: u64,
    pub(super) kills: u64,
    pub(super) stops: u64,
    pub(super) failures: u64,
    pub(super) expulsions: u64,
    pub(super) rebalances: u64,
    pub(super) reloads: u64,
    pub(super) commits: u64,
    pub(super) fenced: u64,
    pub(super) failed_calls: u64,
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        self.steps += other.steps;
        self.seconds += other.seconds;
        self.events += other.events;
        self.letters += other.letters;
        self.alerts += other.alerts;
        self.reports += other.reports;
        self.kills += other.kills;
        self.stops += other.stops;
        self.failures += other.failures;
        self.expulsions += other.expulsions;
        self.rebalances += other.rebalances;
        self.reloads += other.reloads;
        self.commits += other.commits;
        self.fenced += other.fenced;
        self.failed_calls += other.failed_calls;
    }
}

/// How often what goes wrong, in the mean, in seconds; never where it is zero. Each seed draws which of it there is.
struct Troubles {
    kill: i64,
    stop: i64,
    expel: i64,
    rebalance: i64,
    reload: i64,
    /// Of a thousand calls of the store.
    failures: u32,
}

impl Troubles {
    fn draw(random: &mut Random) -> Self {
        let mut every = |seconds: i64| match random.chance(500) {
            true => seconds,
            false => 0,
        };
        let (kill, stop, expel, rebalance, reload) = (every(12), every(20), every(15), every(8), every(15));
        Self {
            kill,
            stop,
            expel,
            rebalance,
            reload,
            failures: *random.pick(&[0, 0, 10, 60]),
        }
    }
}

struct Run<'a> {
    seed: u64,
    random: Random,
    rules: &'a Rules,
    world: World,
    troubles: Troubles,
    /// Each worker, and when it starts where it is not running.
    workers: Vec<Place>,
    owners: u64,
    is_calm: bool,
    tally: Tally,
}

enum Place {
    Running(Worker, bool),
    Stopping(Worker, Duration),
    Down(Duration),
}

/// Runs a seed.
///
/// # Errors
/// What is wrong in the end.
pub(super) fn run(seed: u64, rules: &Rules, trace: bool) -> Result<Tally, String> {
    let mut random = Random::new(seed);
    let partitions = random.between(1, 3) as i32;
    let signals_partitions = random.between(1, 3) as i32;
    let executor = Executor::new(random.fork(), BEGIN);
    let broker = Broker::new(random.fork());
    let config = config(&mut random);
    TOPICS.iter().for_each(|(topic, _)| broker.create(topic, partitions));
    broker.create(&config.kafka.signals_topic, signals_partitions);
    for topic in [&config.kafka.alerts_topic, &config.kafka.dead_letters_topic] {
        topic.iter().for_each(|topic| broker.create(topic, 1));
    }
    let millis = |random: &mut Random, choices: &[u64]| Duration::from_millis(*random.pick(choices));
    let slow = [
        millis(&mut random, &[5, 50, 1_000, 8_000]),
        millis(&mut random, &[5, 100, 2_000]),
        millis(&mut random, &[20, 200, 3_000]),
    ];
    let world = World {
        config,
        executor,
        broker,
        durable: Arc::new(Mutex::default()),
        signals_partitions,
        slow,
        trace,
    };
    let troubles = Troubles::draw(&mut random);
    let workers = (0..random.between(1, 3)).map(|_| Place::Down(Duration::ZERO)).collect();
    let mut run = Run {
        seed,
        random,
        rules,
        world,
        troubles,
        workers,
        owners: 1,
        is_calm: false,
        tally: Tally::default(),
    };
    run.write(partitions);
    run.through()
}

fn config(random: &mut Random) -> Config {
    let topics = TOPICS
        .map(|(topic, source)| format!("    - {{ name: {topic}, source: {source} }}\n"))
        .concat();
    let text = format!("brokers: none\ngroup: simulated\ntopics:\n{topics}");
    let kafka: KafkaConfig = serde_norway::from_str(&text).unwrap();
    let mut config = Config::new("memory", kafka);
    let mut seconds = |choices: &[u64]| ConfigDuration(Duration::from_secs(*random.pick(choices)));
    config.lateness.default = Some(seconds(&[2, 20, 200]));
    config.lateness.idle = Some(seconds(&[3, 30, 600]));
    config.commit.interval = seconds(&[1, 5]);
    config.correlation.interval = seconds(&[1, 10, 60]);
    config.join_wait = seconds(&[1, 5]);
    config.commit.max_bytes = *random.pick(&[300, 3_000, 48 << 20]);
    config.correlation.memory_bytes = *random.pick(&[2_000, 20_000, 512 << 20]);
    config
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        // The tasks hold the executor, which holds the tasks: thousands of seeds would stay in memory.
        (0..=self.owners).for_each(|owner| self.world.executor.kill(owner));
    }
}

impl Run<'_> {
    fn log(&self, what: impl std::fmt::Display) {
        if self.world.trace {
            crate::simulation::say(&format!(
                "seed {} {:>12?} {what}",
                self.seed,
                self.world.executor.elapsed()
            ));
        }
    }

    /// Lets the logs be written in time, and time go on where no worker runs.
    fn write(&mut self, partitions: i32) {
        let writes = writes(&mut self.random, partitions);
        let runtime: SharedRuntime = self.world.executor.runtime(0);
        let (broker, begin, clock) = (self.world.broker.clone(), runtime.instant(), runtime.clone());
        runtime.spawn_boxed(Box::pin(async move {
            for write in writes {
                clock.sleep_until(begin + write.at).await;
                broker.append(&write.partition, clock.now(), write.records);
            }
            broker.create(WRITTEN, 1);
            loop {
                clock.sleep(TICK).await;
            }
        }));
    }

    fn through(&mut self) -> Result<Tally, String> {
        let (mut looked, mut calm_since, mut right_since) = (Duration::ZERO, None, None);
        loop {
            let step = self.world.executor.step();
            self.tally.steps += 1;
            if self.tally.steps > MAX_STEPS {
                let at = self.world.executor.elapsed();
                return Err(format!("it goes on and on, at {at:?}: {:?}", self.tally));
            }
            let now = self.world.executor.elapsed();
            self.keep_workers(now);
            if step == Step::Ran || !self.is_calm {
                self.trouble(now);
            }
            if now < looked + LOOK_EVERY {
                continue;
            }
            looked = now;
            if calm_since.is_none() && !self.world.broker.ends(WRITTEN).is_empty() {
                self.log("all is written; nothing goes wrong any more");
                self.is_calm = true;
                calm_since = Some(now);
            }
            let Some(calm_since) = calm_since else { continue };
            let difference = self.difference()?;
            match (difference.is_empty(), right_since) {
                (true, None) => right_since = Some(now),
                (true, Some(since)) if now >= since + STEADY => return Ok(self.tallied(now)),
                (false, Some(since)) => {
                    return Err(format!(
                        "it was right at {since:?} and is not at {now:?}:\n{}",
                        difference.join("\n")
                    ));
                }
                _ => {}
            }
            if now > calm_since + SETTLING {
                return Err(format!("after {SETTLING:?}:\n{}", difference.join("\n")));
            }
        }
    }

    /// What is still to come; nothing where all is as it must be in the end.
    fn difference(&self) -> Result<Vec<String>, String> {
        let World {
            config,
            broker,
            durable,
            ..
        } = &self.world;
        let durable = lock(durable);
        let found = Outcome::of_tables(&durable)?;
        let expected = Outcome::expected(config, broker, &self.rules.own);
        let mut lines = found.difference(&expected);
        lines.extend(unsent(
            &durable,
            broker,
            config.kafka.alerts_topic.as_deref().unwrap_or_default(),
        ));
        lines.extend(not_kept(&durable, broker, &config.kafka.signals_topic));
        for (topic, offsets) in [
            ("app", &durable.offsets),
            ("container", &durable.offsets),
            ("web", &durable.offsets),
            (&config.kafka.signals_topic, &durable.signal_offsets),
        ] {
            for (partition, end) in broker.ends(topic) {
                let next = offsets.get(&partition).map_or(0, |start| start.next);
                if next > end {
                    return Err(format!("{partition} is committed up to {next}, and ends at {end}"));
                }
                // Watermarks are written to the signals all the time.
                if next < end && *topic != *config.kafka.signals_topic {
                    lines.push(format!("{partition} is committed up to {next} of {end}"));
                }
            }
        }
        Ok(lines)
    }

    fn tallied(&mut self, now: Duration) -> Tally {
        let durable = lock(&self.world.durable);
        let counts = Outcome::of_tables(&durable).map_or([0; 3], |outcome| outcome.counts());
        let [events, letters, alerts] = counts.map(|count| count as u64);
        self.tally = Tally {
            seconds: now.as_secs(),
            events,
            letters,
            alerts,
            reports: durable.alerts.len() as u64,
            commits: durable.landed,
            fenced: durable.fenced,
            failed_calls: durable.failed,
            ..self.tally
        };
        self.tally
    }

    /// Starts workers that are down, and takes note of those that ended.
    fn keep_workers(&mut self, now: Duration) {
        for n in 0..self.workers.len() {
            let next = match &self.workers[n] {
                Place::Down(until) if *until <= now => {
                    let owner = self.owners;
                    self.owners += 1;
                    self.log(format_args!("worker {owner} starts"));
                    let failures = if self.is_calm { 0 } else { self.troubles.failures };
                    let worker = Worker::start(&self.world, owner, &self.rules.own, failures, self.random.fork());
                    Place::Running(worker, false)
                }
                Place::Running(worker, _) | Place::Stopping(worker, _) if worker.has_ended() => {
                    if let Some(failure) = worker.failure() {
                        self.log(format_args!("worker {} failed: {failure}", worker.owner));
                        self.tally.failures += 1;
                    }
                    self.end(worker.owner);
                    Place::Down(now + self.random.delay(Duration::from_secs(5)))
                }
                Place::Stopping(worker, since) if now > *since + PATIENCE => {
                    self.log(format_args!("worker {} does not stop, and is killed", worker.owner));
                    self.end(worker.owner);
                    Place::Down(now)
                }
                _ => continue,
            };
            self.workers[n] = next;
        }
        if self.is_calm {
            self.calm_down();
        }
    }

    /// Those that a failing store was drawn for end, so that all that is left comes.
    fn calm_down(&mut self) {
        if self.troubles.failures == 0 {
            return;
        }
        self.troubles.failures = 0;
        for place in &mut self.workers {
            if let Place::Running(worker, _) | Place::Stopping(worker, _) = place {
                self.world.executor.kill(worker.owner);
                let groups = [
                    self.world.config.kafka.group.clone(),
                    correlate_group(&self.world.config.kafka.group),
                ];
                groups
                    .iter()
                    .for_each(|group| self.world.broker.remove(group, worker.owner));
                *place = Place::Down(Duration::ZERO);
            }
        }
    }

    /// A worker is no more. The group learns of it.
    fn end(&self, owner: u64) {
        self.world.executor.kill(owner);
        for group in self.groups() {
            self.world.broker.remove(&group, owner);
        }
    }

    fn groups(&self) -> [String; 2] {
        let group = &self.world.config.kafka.group;
        [group.clone(), correlate_group(group)]
    }

    /// Whether something happens now that happens every so many seconds. Steps are what time is made of here: some fifty come to a
    /// second.
    fn comes(&mut self, every_seconds: i64) -> bool {
        every_seconds > 0 && self.random.below(every_seconds as usize * 50) == 0
    }

    fn trouble(&mut self, now: Duration) {
        if self.is_calm {
            return;
        }
        let n = self.random.below(self.workers.len());
        if self.comes(self.troubles.rebalance) {
            self.tally.rebalances += 1;
            let group = self.random.pick(&self.groups()).clone();
            self.log(format_args!("group {group} is shared out anew"));
            self.world.broker.shuffle(&group);
        }
        let (kill, stop) = (self.comes(self.troubles.kill), self.comes(self.troubles.stop));
        let (expel, reload) = (self.comes(self.troubles.expel), self.comes(self.troubles.reload));
        let Place::Running(worker, has_added) = &mut self.workers[n] else {
            return;
        };
        let owner = worker.owner;
        if reload {
            *has_added = !*has_added;
            let rules = match has_added {
                true => &self.rules.added,
                false => &self.rules.own,
            };
            worker.reload(rules);
            self.tally.reloads += 1;
            self.log(format_args!("worker {owner} gets other rules"));
        } else if expel {
            self.tally.expulsions += 1;
            let group = self.random.pick(&self.groups()).clone();
            self.log(format_args!("worker {owner} is taken for dead by {group}"));
            self.world.broker.remove(&group, owner);
        } else if kill {
            self.tally.kills += 1;
            self.log(format_args!("worker {owner} is killed"));
            self.end(owner);
            self.workers[n] = Place::Down(now + self.random.delay(Duration::from_secs(10)));
        } else if stop {
            self.tally.stops += 1;
            worker.stop();
            self.log(format_args!("worker {owner} is asked to stop"));
            if let Place::Running(worker, _) = std::mem::replace(&mut self.workers[n], Place::Down(now)) {
                self.workers[n] = Place::Stopping(worker, now);
            }
        }
    }
}

/// The topic that is there once all is written.
const WRITTEN: &str = "written";
