//! A store of a version that kept nothing of what correlation learns: a worker that keeps it goes on from there, and is killed at every
//! step at which it begins to. The tables and alerts are those of an undisturbed run.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::deployment::{Deployment, Settings, undisturbed};
use crate::support::outcome::Outcome;
use crate::support::topics::{Topics, write_demo};
use crate::support::worker::Worker;
use crate::support::{kafka, say};

/// Steps at which the worker that keeps dies for the first time: it comes by the middle two only where it has something to keep.
const PLACES: &[&str] = &[
    "correlate.restored",
    "store.bindings-committed",
    "store.signals-committed",
    "correlate.state-part",
];

/// Longest time until a place is come by.
const DEADLINE: Duration = Duration::from_secs(120);

fn wait_until_killed(worker: &mut Worker, place: &str) {
    let deadline = Instant::now() + DEADLINE;
    while worker.ended().is_none() {
        assert!(
            Instant::now() < deadline,
            "{place}: no worker came by\n{}",
            worker.log()
        );
        worker.next_line(Duration::from_millis(200));
    }
    worker.assert_killed_at(place);
}

fn upgrade(topics: &Topics, place: &str, want: &Outcome) {
    let deployment = Deployment::new(topics, &format!("upgrade-{place}"), &Settings::default());
    let keeps = std::fs::read_to_string(&deployment.config).unwrap();
    let keeps_nothing = keeps.replace("correlation: { ", "correlation: { keep: false, ");
    assert_ne!(keeps, keeps_nothing);
    std::fs::write(&deployment.config, keeps_nothing).unwrap();
    let mut before = deployment.worker("all", "alerts.landed=kill@2");
    wait_until_killed(&mut before, "alerts.landed");
    // Such a version does not know these tables.
    for table in ["signals", "bindings"] {
        let path = Path::new(&deployment.store.url).join(table);
        if path.exists() {
            std::fs::remove_dir_all(path).unwrap();
        }
    }
    std::fs::write(&deployment.config, keeps).unwrap();
    let mut after = deployment.worker("all", &format!("{place}=kill@1"));
    wait_until_killed(&mut after, place);
    let mut last = deployment.worker("all", "");
    deployment.wait_for(want, &mut [&mut last]);
    deployment.finish(vec![last], want);
}

#[test]
fn a_store_that_kept_nothing_is_gone_on_with() {
    let Some(brokers) = kafka::brokers("upgrade") else {
        return;
    };
    let topics = Topics::create(&brokers, &format!("upgrade-{}", std::process::id()));
    write_demo(&topics);
    let want = undisturbed(&topics, &Settings::default());
    std::thread::scope(|scope| {
        for place in PLACES {
            let (topics, want) = (&topics, &want);
            scope.spawn(move || upgrade(topics, place, want));
        }
    });
    say(&format!(
        "upgrade: {} places, each with the outcome of an undisturbed run",
        PLACES.len()
    ));
}
