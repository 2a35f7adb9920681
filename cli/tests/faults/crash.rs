//! A worker killed with SIGKILL at every step between a poll and the last alert, and again while it recovers.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::support::deployment::{Deployment, Settings, undisturbed};
use crate::support::outcome::Outcome;
use crate::support::topics::{Topics, write_demo};
use crate::support::worker::Worker;
use crate::support::{kafka, say};

/// Every step at which a worker may die, in the order of the flow, and the how-many-th time it does: late enough that
/// there is something to lose. `docs/delivery.md` says what each leaves behind.
const PLACES: &[(&str, u32)] = &[
    ("ingest.assign", 1),
    ("ingest.polled", 2),
    ("detect.done", 3),
    ("signals.produced", 6),
    ("signals.confirmed", 2),
    ("dead-letters.sent", 1),
    ("store.dead-letters-committed", 1),
    ("store.file", 3),
    ("store.index", 2),
    ("store.files-written", 3),
    ("store.prepared", 1),
    ("store.entry", 4),
    ("store.entry-written", 5),
    ("events.landed", 3),
    ("store.checkpoint", 1),
    ("store.checkpoint-written", 1),
    ("correlate.restored", 3),
    ("correlate.applied", 300),
    ("correlate.state-part", 3),
    ("store.bindings-committed", 2),
    ("store.signals-committed", 2),
    ("store.alerts-written", 2),
    ("alerts.landed", 2),
    ("store.state-superseded", 2),
    ("alerts.sent", 1),
    ("ingest.revoke", 1),
];

/// Deployments that run at the same time.
const AT_ONCE: usize = 3;

/// Longest time until a place is come by.
const DEADLINE: Duration = Duration::from_secs(120);

#[test]
fn a_worker_killed_at_any_step_leaves_the_tables_and_alerts_of_an_undisturbed_run() {
    let Some(brokers) = kafka::brokers("crash") else { return };
    let topics = Topics::create(&brokers, &format!("crash-{}", std::process::id()));
    write_demo(&topics);
    let settings = Settings::default();
    let want = undisturbed(&topics, &settings);
    let queue = Mutex::new(PLACES.iter().rev().collect::<Vec<_>>());
    let kills = Mutex::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((place, nth)) = { queue.lock().unwrap().pop() } {
                    let killed = kill_at(&topics, &settings, place, *nth, &want);
                    *kills.lock().unwrap() += killed;
                }
            });
        }
    });
    let Outcome {
        events,
        dead_letters,
        alerts,
    } = want;
    say(&format!(
        "crash: {} places, {} kills, each with {} events, {} dead letters and {} alerts as undisturbed",
        PLACES.len(),
        kills.into_inner().unwrap(),
        events.len(),
        dead_letters.len(),
        alerts.len()
    ));
}

/// One deployment whose worker dies at `place`, and whose next worker dies there at once if it comes by. Returns the kills.
fn kill_at(topics: &Topics, settings: &Settings, place: &str, nth: u32, want: &Outcome) -> u32 {
    let deployment = Deployment::new(topics, place, settings);
    let mut first = deployment.worker("all", &format!("{place}=kill@{nth}"));
    // A partition is taken from a worker when another comes.
    let other = (place == "ingest.revoke").then(|| {
        first.wait_for("partitions assigned");
        deployment.worker("all", "")
    });
    let deadline = Instant::now() + DEADLINE;
    while first.ended().is_none() {
        assert!(Instant::now() < deadline, "{place}: no worker came by\n{}", first.log());
        first.next_line(Duration::from_millis(200));
    }
    first.assert_killed_at(place);
    let mut kills = 1;
    let mut workers: Vec<Worker> = other.into_iter().collect();
    if workers.is_empty() {
        let mut second = deployment.worker("all", &format!("{place}=kill@1"));
        while second.ended().is_none() && !deployment.has(want) {
            assert!(
                Instant::now() < deadline + DEADLINE,
                "{place}: no end\n{}",
                second.log()
            );
            second.next_line(Duration::from_millis(200));
        }
        if second.ended().is_some() {
            second.assert_killed_at(place);
            kills += 1;
        } else {
            // It did not come by, and might when it is asked to stop.
            second.kill();
        }
        // All may be there already: this one is to read on from it, not to be asked to stop before it begins.
        let mut third = deployment.worker("all", "");
        third.wait_for("partitions assigned");
        workers.push(third);
    }
    deployment.wait_for(want, &mut workers.iter_mut().collect::<Vec<_>>());
    deployment.finish(workers, want);
    kills
}

#[test]
fn every_failpoint_of_the_code_is_one_that_is_tested() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = BTreeSet::new();
    let mut folders: Vec<_> = ["ingest", "store", "pipeline"]
        .map(|name| root.join(name).join("src"))
        .to_vec();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(path).unwrap();
            for rest in text.split("fail_point!(\"").skip(1) {
                found.insert(rest.split('"').next().unwrap().to_owned());
            }
        }
    }
    // That one is for errors alone: it is within `store.entry`.
    found.remove("store.log");
    found.remove("clock");
    let of_repairs = crate::repair::PLACES.iter();
    let tested = PLACES.iter().map(|(place, _)| place).chain(of_repairs);
    let tested: BTreeSet<String> = tested.map(|place| (*place).to_owned()).collect();
    assert_eq!(found, tested);
}
