//! A soak: workers, broker, disk and clock fail at random, from a seed, while records keep coming. At the end the tables and
//! the alerts are those of one worker that read the same topics undisturbed.
//!
//! `CASEBOOK_SOAK_SECONDS` is how long (60 unless said), `CASEBOOK_SOAK_SEED` which failures (printed; 1 unless said).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use casebook_event::Timestamp;

use crate::support::deployment::{Deployment, Settings, undisturbed};
use crate::support::kafka::{OwnBroker, Producer};
use crate::support::outcome::Place;
use crate::support::say;
use crate::support::topics::{Topics, attack, background, write_poison};
use crate::support::worker::Worker;

/// Most workers at a time.
const MAX_WORKERS: usize = 3;
/// Records written in a second.
const RECORDS_PER_SECOND: usize = 150;
/// Records in a second of their own time.
const EVENTS_PER_SECOND: u32 = 50;
/// Records between two attacks.
const ATTACK_EVERY: usize = 2_000;
/// Stops the writer however the run ends: one that nobody stops would be waited for for ever, and hide what went wrong.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Size of the disk that the store is on, where one of its own can be mounted.
const DISK_MIB: usize = 2_048;

/// Numbers from a seed (the constants are Knuth's MMIX).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound.max(1)
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// A file system of its own for the store, which can be full without the machine being so; `None` where mounting is not
/// allowed.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let size = format!("size={DISK_MIB}m");
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(at)
            .output()
            .ok()?
            .status;
        status.success().then(|| Self(at.to_owned()))
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    /// Takes all that is left.
    fn fill(&self) {
        let _ = Command::new("dd")
            .args(["if=/dev/zero", "bs=1M"])
            .arg(format!("of={}", self.ballast().display()))
            .output();
    }

    fn clear(&self) {
        let _ = std::fs::remove_file(self.ballast());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

/// The failures that a worker may be started with.
const ILL: &[&str] = &[
    "store.file=5%return(no space left on device)",
    "store.log=5%return(503 slow down)",
    "store.entry-written=5%return(connection reset after the request)",
    "store.file=20%delay(700)",
    "clock=return(-7200)",
    "clock=return(7200)",
    "",
    "",
];

#[test]
fn whatever_fails_at_random_nothing_is_lost_or_doubled() {
    let (seconds, seed) = (setting("CASEBOOK_SOAK_SECONDS", 60), setting("CASEBOOK_SOAK_SEED", 1));
    let Some(broker) = OwnBroker::start("soak") else { return };
    let topics = Topics::create(&broker.brokers, "soak");
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::mount(&directory.path().join("disk"));
    let store = Place {
        url: directory.path().join("disk/store").to_str().unwrap().to_owned(),
        ..Place::default()
    };
    // Nothing is released by the clock: records say how far time has come, also of a partition that is quiet for long.
    let settings = Settings {
        idle: "1h",
        commit_bytes: 131_072,
        // What is pending is emitted by what comes after it, as far as the records' own times go: not by how long a test pauses.
        more: "stall_after: 60s\njoin_wait: 10h\n".into(),
        ..Settings::default()
    };
    let deployment = Deployment::at(&topics, "disturbed", &settings, directory, store);
    let (stop, written) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut done = BTreeMap::new();
    let mut workers = std::thread::scope(|scope| {
        scope.spawn(|| write(&topics, seed, &stop, &written));
        let _stop = Stop(&stop);
        disturb(
            &deployment,
            &broker,
            disk.as_ref(),
            Duration::from_secs(seconds),
            seed,
            &mut done,
        )
    });
    if workers.is_empty() {
        workers.push(deployment.worker("all", ""));
    }
    let want = undisturbed(&topics, &settings);
    deployment.wait_for(&want, &mut workers.iter_mut().collect::<Vec<_>>());
    let (events, dead, alerts) = (want.events.len(), want.dead_letters.len(), want.alerts.len());
    deployment.finish(workers, &want);
    say(&format!(
        "soak: seed {seed}, {seconds} s, {} records, {events} events, {dead} dead letters, {alerts} alerts; {done:?}",
        written.load(Ordering::Relaxed)
    ));
}

/// Writes background, attacks and poison until asked to stop; then what ends every partition.
fn write(topics: &Topics, seed: u64, stop: &AtomicBool, written: &AtomicUsize) {
    let producer = Producer::new(&topics.brokers);
    let start = Timestamp::from_seconds(1_790_000_000);
    let (begun, mut now) = (Instant::now(), start);
    let mut attacks = Vec::new();
    for (n, record) in background(seed, start, EVENTS_PER_SECOND).enumerate() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        now = now.max(record.time);
        topics.write(&producer, &record);
        if n % ATTACK_EVERY == 0 {
            attacks.extend(attack(seed + n as u64, now));
            attacks.sort_by_key(|record| std::cmp::Reverse(record.time));
        }
        while attacks.last().is_some_and(|record| record.time <= now) {
            topics.write(&producer, &attacks.pop().unwrap());
        }
        if n % 211 == 0 {
            write_poison(topics, &producer, n);
        }
        written.store(n, Ordering::Relaxed);
        let due = begun + Duration::from_secs_f64(n as f64 / RECORDS_PER_SECOND as f64);
        std::thread::park_timeout(due.saturating_duration_since(Instant::now()));
    }
    topics.write_end(&producer, now.saturating_add_nanos(3 * 3600 * 1_000_000_000));
    producer.flush();
}

/// Lets things fail until `time` is over. Returns the workers that are left; what was done goes into `done`.
fn disturb(
    deployment: &Deployment,
    broker: &OwnBroker,
    disk: Option<&Disk>,
    time: Duration,
    seed: u64,
    done: &mut BTreeMap<&'static str, usize>,
) -> Vec<Worker> {
    let mut random = Random(seed);
    let mut workers: Vec<Worker> = Vec::new();
    let mut paused: Vec<Worker> = Vec::new();
    let end = Instant::now() + time;
    while Instant::now() < end {
        workers.extend(paused.drain(..).inspect(Worker::resume));
        // One that gave up (its disk was full for long, its brokers away) is replaced, as Kubernetes would.
        let before = workers.len();
        workers.retain_mut(|worker| worker.ended().is_none());
        *done.entry("gave up").or_default() += before - workers.len();
        let what = match random.below(20) {
            _ if workers.is_empty() => "started",
            0..=5 if workers.len() < MAX_WORKERS => "started",
            0..=9 => "killed",
            10..=12 => "stopped",
            13..=15 => "paused",
            16 => "broker restarted",
            17 => "broker killed",
            18 if disk.is_some() => "disk full",
            _ => "left alone",
        };
        *done.entry(what).or_default() += 1;
        let which = random.below(workers.len());
        match what {
            "started" => {
                let role = ["all", "all", "ingest", "correlate"][random.below(4)];
                workers.push(deployment.worker(role, ILL[random.below(ILL.len())]));
            }
            "killed" => workers.remove(which).kill(),
            // On a full disk it may not end well.
            "stopped" => drop(workers.remove(which).terminate()),
            "paused" => {
                let worker = workers.remove(which);
                worker.pause();
                paused.push(worker);
            }
            "broker restarted" => broker.restart(false),
            "broker killed" => broker.restart(true),
            "disk full" => disk.unwrap().fill(),
            _ => {}
        }
        // What was begun takes its time: up to five seconds, in which the workers' logs are read.
        let until = (Instant::now() + Duration::from_millis(500 + random.below(4_500) as u64)).min(end);
        while Instant::now() < until {
            for worker in &mut workers {
                worker.next_line(Duration::from_millis(20));
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        if let Some(disk) = disk {
            disk.clear();
        }
    }
    workers.extend(paused.drain(..).inspect(Worker::resume));
    // Those that were made to fail go; whoever ends the run is well.
    let ill = workers.len();
    workers.into_iter().for_each(Worker::kill);
    *done.entry("killed").or_default() += ill;
    vec![deployment.worker("ingest", ""), deployment.worker("correlate", "")]
}
