//! One, two and four workers, in one role or in two, with some that join, leave and die: the same tables, the same alerts.

use std::time::{Duration, Instant};

use crate::support::deployment::{Deployment, Settings, undisturbed};
use crate::support::kafka;
use crate::support::topics::{Topics, write_demo};
use crate::support::worker::Worker;

/// Longest time until one of the workers has died, or all is done.
const DEADLINE: Duration = Duration::from_secs(180);

#[test]
fn any_number_of_workers_tells_the_same() {
    let Some(brokers) = kafka::brokers("scale") else { return };
    let topics = Topics::create(&brokers, &format!("scale-{}", std::process::id()));
    write_demo(&topics);
    let settings = Settings::default();
    let want = undisturbed(&topics, &settings);

    for roles in [
        &["ingest", "correlate"][..],
        &["all", "all"],
        &["ingest", "ingest", "correlate", "correlate"],
        &["all", "all", "all", "all"],
    ] {
        let name = format!("{}-{}", roles.len(), roles[0]);
        let deployment = Deployment::new(&topics, &name, &settings);
        let mut workers: Vec<Worker> = roles.iter().map(|role| deployment.worker(role, "")).collect();
        deployment.wait_for(&want, &mut workers.iter_mut().collect::<Vec<_>>());
        deployment.finish(workers, &want);
    }
}

/// Of four workers, two die in the middle of what they do, one is asked to leave, and three more come.
#[test]
fn workers_that_join_leave_and_die_change_nothing() {
    let Some(brokers) = kafka::brokers("join") else { return };
    let topics = Topics::create(&brokers, &format!("join-{}", std::process::id()));
    write_demo(&topics);
    let settings = Settings::default();
    let want = undisturbed(&topics, &settings);

    let deployment = Deployment::new(&topics, "joins", &settings);
    let mut first = deployment.worker("all", "");
    first.wait_for("commit started");
    let mut second = deployment.worker("ingest", "");
    let mut third = deployment.worker("correlate", "");
    second.wait_for("partitions assigned");
    first.kill();
    let fourth = deployment.worker("all", "");
    third.wait_for("partitions assigned");
    second.stop();
    let fifth = deployment.worker("ingest", "store.entry-written=kill@2");
    let sixth = deployment.worker("all", "");
    third.kill();
    let mut workers = vec![fourth, sixth];
    let mut dying = fifth;
    let begun = Instant::now();
    while dying.ended().is_none() && !deployment.has(&want) {
        assert!(
            begun.elapsed() < DEADLINE,
            "{:?} is not the end\n{}",
            deployment.counts(),
            dying.log()
        );
        dying.next_line(Duration::from_millis(100));
    }
    drop(dying);
    deployment.wait_for(&want, &mut workers.iter_mut().collect::<Vec<_>>());
    deployment.finish(workers, &want);
}
