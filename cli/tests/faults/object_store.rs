//! A store in a bucket: several workers commit to it, one dies in a commit, and requests fail, before they are served or
//! after.

use crate::support::deployment::{Deployment, Settings, undisturbed};
use crate::support::outcome::Place;
use crate::support::topics::{Topics, write_demo};
use crate::support::worker::Worker;
use crate::support::{casebook, json_lines, kafka, s3};

#[test]
fn a_store_in_a_bucket_that_fails_at_times_is_that_of_an_undisturbed_run_on_a_disk() {
    let Some(brokers) = kafka::brokers("bucket") else {
        return;
    };
    let Some(environment) = s3::start("bucket", 4) else {
        return;
    };
    let topics = Topics::create(&brokers, &format!("bucket-{}", std::process::id()));
    write_demo(&topics);
    let settings = Settings {
        // Every request is a round trip: fewer and larger commits than elsewhere.
        commit_bytes: 262_144,
        ..Settings::default()
    };
    let want = undisturbed(&topics, &settings);
    let place = Place {
        url: "s3://casebook/cluster-1".into(),
        environment,
    };
    let deployment = Deployment::at(
        &topics,
        "bucket",
        &settings,
        tempfile::tempdir().unwrap(),
        place.clone(),
    );
    let mut first = deployment.worker("all", "store.entry-written=kill@3");
    let second = deployment.worker("ingest", "");
    let third = deployment.worker("correlate", "");
    while first.ended().is_none() {
        first.next_line(std::time::Duration::from_millis(200));
    }
    first.assert_killed_at("store.entry-written");
    let mut workers: Vec<Worker> = vec![second, third];
    deployment.wait_for(&want, &mut workers.iter_mut().collect::<Vec<_>>());
    deployment.finish(workers, &want);
    an_investigator_asks(&place);
}

/// Indexes are fetched from the bucket by parts, and what was fetched is not fetched again.
fn an_investigator_asks(place: &Place) {
    let cache = tempfile::tempdir().unwrap();
    let ask = |args: &[&str]| {
        let mut command = casebook();
        command.args(args).args(["--store", &place.url, "-o", "json"]);
        command.envs(place.environment.iter().cloned());
        let output = command.env("CASEBOOK_CACHE", cache.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (json_lines(&output), said)
    };
    let kept = || {
        let chunks = std::fs::read_dir(cache.path().join("index")).unwrap();
        let mut names: Vec<_> = chunks.map(|entry| entry.unwrap().file_name()).collect();
        names.sort_unstable();
        names
    };
    let (rows, _) = ask(&[
        "sql",
        "SELECT count(*) AS count FROM events WHERE user_name IS NOT NULL AND source = 'auth'",
    ]);
    let question = ["search", "source:auth AND user:*", "--count", "--explain"];
    let (first, said) = ask(&question);
    assert!(rows[0]["count"].as_u64().unwrap() > 0);
    assert_eq!(first, rows, "{said}");
    assert!(said.contains(" 0 without a usable index"), "{said}");
    let chunks = kept();
    assert!(!chunks.is_empty());
    let (second, said) = ask(&question);
    assert_eq!(second, first, "{said}");
    assert!(said.contains(" 0 without a usable index"), "{said}");
    assert_eq!(kept(), chunks);
}
