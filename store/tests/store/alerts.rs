//! The alerts table: revisions, filters, prefixes, and the correlation state that belongs to its offsets.

use crate::support;

use std::collections::BTreeMap;

use casebook_event::{
    Alert, AlertHead, AlertRule, AlertStatus, AlertWindow, CheckpointDelta, Level, Partition, StartOffset, Timestamp,
};
use casebook_store::{AlertFilter, AlertsCommit, CommitError, StatePart, Store, StoreConfig, StoreError, TableName};
use support::{at, files, open, range};

pub fn alert(id: &str, revision: u32, status: AlertStatus, seconds: i64) -> Alert {
    Alert {
        alert: AlertHead {
            id: id.into(),
            revision,
            status,
            time: at(seconds),
            superseded_by: None,
        },
        rule: AlertRule {
            id: "5b3a".into(),
            name: "Shell in a container".into(),
            level: Level::High,
            kind: "event_count".into(),
            version: "0123456789abcdef".into(),
            tags: vec!["attack.t1059".into()],
            response: vec!["look".into()],
        },
        group: BTreeMap::from([("user.name".into(), "alice".into())]),
        window: AlertWindow {
            from: at(seconds),
            to: at(seconds + 5),
        },
        evidence_total: 0,
        evidence: Vec::new(),
        retraction: None,
    }
}

/// Writes states, each given as the texts of its parts.
async fn states(store: &Store, states: &[(&Partition, &[&str])]) -> Vec<(Partition, Vec<StatePart>)> {
    let mut written = Vec::new();
    for (partition, texts) in states {
        let mut parts = Vec::new();
        for text in *texts {
            let part = store.write_state_part(partition, text.as_bytes().to_vec());
            parts.push(part.await.unwrap());
        }
        written.push(((*partition).clone(), parts));
    }
    written
}

/// The texts of the parts of a state.
async fn state(store: &Store, group: &str, partition: &Partition) -> Option<Vec<String>> {
    let mut texts = Vec::new();
    for part in store.correlation_state(group, partition).await.unwrap()? {
        let bytes = store.read_state_part(partition, &part).await.unwrap();
        texts.push(String::from_utf8(bytes).unwrap());
    }
    Some(texts)
}

async fn put(store: &Store, alerts: &[Alert], start: i64, end: i64, states: Vec<(Partition, Vec<StatePart>)>) {
    store
        .commit_alerts(AlertsCommit {
            group: "c",
            alerts,
            checkpoint: range(0, start, end),
            follows: vec![],
            states,
            now: at(9),
        })
        .await
        .unwrap();
}

fn ids(alerts: &[Alert]) -> Vec<String> {
    alerts
        .iter()
        .map(|alert| format!("{}.{}", alert.alert.id, alert.alert.revision))
        .collect()
}

#[tokio::test]
async fn the_latest_revision_is_the_alert() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    use AlertStatus::{Final, Provisional, Withdrawn};
    let mut low = alert("cc01", 1, Final, 300);
    low.rule.level = Level::Low;
    low.rule.id = "other".into();
    put(
        &store,
        &[
            alert("aa01", 1, Provisional, 100),
            alert("aa02", 1, Provisional, 200),
            low,
        ],
        0,
        5,
        vec![],
    )
    .await;
    // A late event moves the first alert to the day before.
    put(
        &store,
        &[alert("aa01", 2, Final, -100), alert("aa02", 2, Withdrawn, 200)],
        5,
        9,
        vec![],
    )
    .await;
    let list = async |filter: AlertFilter| ids(&store.alerts(filter).await.unwrap());
    let all = AlertFilter::default;
    assert_eq!(list(all()).await, ["cc01.1", "aa01.2"]);
    assert_eq!(
        list(AlertFilter {
            include_withdrawn: true,
            ..all()
        })
        .await,
        ["cc01.1", "aa02.2", "aa01.2"]
    );
    assert_eq!(
        list(AlertFilter {
            from: Some(at(0)),
            ..all()
        })
        .await,
        ["cc01.1"]
    );
    assert_eq!(
        list(AlertFilter {
            to: Some(at(300)),
            ..all()
        })
        .await,
        ["aa01.2"]
    );
    assert_eq!(
        list(AlertFilter {
            min_level: Some(Level::High),
            ..all()
        })
        .await,
        ["aa01.2"]
    );
    assert_eq!(
        list(AlertFilter {
            rule_id: Some("other".into()),
            ..all()
        })
        .await,
        ["cc01.1"]
    );
    assert_eq!(list(AlertFilter { limit: 1, ..all() }).await, ["cc01.1"]);
    assert_eq!(
        store.alert("AA02").await.unwrap().unwrap(),
        alert("aa02", 2, Withdrawn, 200)
    );
    assert_eq!(store.alert("dd").await.unwrap(), None);
    let error = store.alert("aa").await.unwrap_err();
    assert!(matches!(&error, StoreError::Ambiguous { count: 2, .. }), "{error}");
    assert!(error.to_string().contains("aa01, aa02"), "{error}");
    assert_eq!(
        store.signal_offsets("c").await.unwrap(),
        [(Partition::new("logs", 0), StartOffset::at(9))].into()
    );
}

#[tokio::test]
async fn the_state_is_that_of_the_offsets() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let (p0, p1) = (Partition::new("logs", 0), Partition::new("logs", 1));
    assert_eq!(store.correlation_state("c", &p0).await.unwrap(), None);
    let written = states(&store, &[(&p0, &["one", "more"]), (&p1, &["other"])]).await;
    put(&store, &[], 0, 5, written).await;
    let written = states(&store, &[(&p0, &["two"])]).await;
    put(&store, &[], 5, 7, written).await;
    let two = Some(vec!["two".to_owned()]);
    assert_eq!(state(&store, "c", &p0).await, two);
    assert_eq!(state(&store, "c", &p1).await, Some(vec!["other".to_owned()]));
    assert_eq!(state(&store, "d", &p0).await, None);
    assert_eq!(
        files(dir.path(), ".state").len(),
        2,
        "the state that was replaced is gone"
    );

    // A worker that is fenced changes nothing.
    let commit = AlertsCommit {
        group: "c",
        alerts: &[],
        checkpoint: range(0, 5, 8),
        follows: vec![],
        states: states(&store, &[(&p0, &["nine"])]).await,
        now: at(1),
    };
    assert!(matches!(
        store.commit_alerts(commit).await,
        Err(CommitError::Fenced { found: 7, .. })
    ));
    assert_eq!(files(dir.path(), ".state").len(), 2);

    // The reference survives a Delta checkpoint that replaces the log.
    store.checkpoint(TableName::Alerts).await.unwrap();
    for version in 0..=2 {
        std::fs::remove_file(dir.path().join(format!("alerts/_delta_log/{version:020}.json"))).unwrap();
    }
    let reopened = open(dir.path()).await;
    assert_eq!(state(&reopened, "c", &p0).await, two);
}

#[tokio::test]
async fn a_commit_without_a_state_says_from_where_to_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let p0 = Partition::new("logs", 0);
    let written = states(&store, &[(&p0, &["one"])]).await;
    put(&store, &[], 0, 5, written).await;
    let mut checkpoint = range(0, 5, 9);
    checkpoint.note_partial(&p0, Some(5));
    let commit = |checkpoint, states| AlertsCommit {
        group: "c",
        alerts: &[],
        checkpoint,
        follows: vec![],
        states,
        now: at(9),
    };
    store.commit_alerts(commit(checkpoint, Vec::new())).await.unwrap();
    let start = StartOffset { next: 9, resume: 5 };
    assert_eq!(store.signal_offsets("c").await.unwrap(), [(p0.clone(), start)].into());
    assert_eq!(state(&store, "c", &p0).await, Some(vec!["one".to_owned()]));
    // Who believes that the state stands where the offsets do is fenced.
    let stale = store.commit_alerts(commit(range(0, 9, 10), Vec::new())).await;
    assert!(matches!(stale, Err(CommitError::Fenced { .. })));
    let mut checkpoint = CheckpointDelta::new();
    checkpoint.begin(&p0, start);
    checkpoint.record(&p0, 9, 11);
    let written = states(&store, &[(&p0, &["two"])]).await;
    store.commit_alerts(commit(checkpoint, written)).await.unwrap();
    let standing = [(p0.clone(), StartOffset::at(12))].into();
    assert_eq!(store.signal_offsets("c").await.unwrap(), standing);
    assert_eq!(store.signal_groups().await.unwrap(), ["c".to_owned()].into());
    assert_eq!(files(dir.path(), ".state").len(), 1);
}

/// A repair changes a state and moves no offset: offsets alone do not tell that another worker has committed one.
#[tokio::test]
async fn who_follows_another_state_is_fenced() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let p0 = Partition::new("logs", 0);
    let written = states(&store, &[(&p0, &["one"])]).await;
    put(&store, &[], 0, 5, written).await;
    let one = store.correlation_state("c", &p0).await.unwrap();
    let repair = async |follows| {
        let mut checkpoint = CheckpointDelta::new();
        checkpoint.begin(&p0, StartOffset::at(5));
        let commit = AlertsCommit {
            group: "c",
            alerts: &[],
            checkpoint,
            follows: vec![(p0.clone(), follows)],
            states: states(&store, &[(&p0, &["repaired"])]).await,
            now: at(9),
        };
        store.commit_alerts(commit).await
    };
    let refused = async |follows| {
        let error = repair(follows).await.unwrap_err();
        assert!(matches!(&error, CommitError::FencedByState { partition } if *partition == p0));
        // It stands at the offset that was expected, and no offset is named.
        let want = "logs[0] has another correlation state in the table than the one that this commit follows: another worker has taken it over";
        assert_eq!(error.to_string(), want);
    };
    refused(None).await;
    repair(one.clone()).await.unwrap();
    refused(one).await;
    assert_eq!(state(&store, "c", &p0).await, Some(vec!["repaired".to_owned()]));
    assert_eq!(files(dir.path(), ".state").len(), 1, "what was refused is gone");
}

#[tokio::test]
async fn alerts_are_found_by_their_ids() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    use AlertStatus::{Final, Provisional, Retracted};
    let id = |n: u128| format!("{n:032x}");
    let year = 366 * 86_400;
    let commits = [
        vec![
            alert(&id(1), 1, Provisional, 100),
            alert(&id(2), 1, Final, 100),
            alert(&id(u128::MAX), 1, Final, 0),
        ],
        // A revision may have another date, as far away as a rule's timespan.
        vec![alert(&id(1), 3, Retracted, 100 + year)],
        vec![alert(&id(1), 2, Final, 200)],
    ];
    for (n, alerts) in (0..).zip(&commits) {
        put(&store, alerts, n, n + 1, vec![]).await;
    }
    let find = async |wanted: &[(u128, i64)]| {
        let wanted: Vec<(u128, Timestamp)> = wanted.iter().map(|(id, about)| (*id, at(*about))).collect();
        ids(&store.alerts_by_id(&wanted).await.unwrap())
    };
    let revision = |n: u128, revision: u32| format!("{}.{revision}", id(n));
    for compacted in [false, true] {
        if compacted {
            // The three of one date become one file.
            crate::maintenance::compact(&store, TableName::Alerts).await;
        }
        assert_eq!(find(&[(1, 100)]).await, [revision(1, 3)]);
        assert_eq!(find(&[(1, 100 + year)]).await, [revision(1, 3)]);
        assert_eq!(
            find(&[(u128::MAX, 0), (3, 0), (2, 0)]).await,
            [revision(2, 1), revision(u128::MAX, 1)]
        );
        assert_eq!(find(&[(3, 0)]).await, <[String; 0]>::default());
        assert_eq!(find(&[]).await, <[String; 0]>::default());
    }
}

#[tokio::test]
async fn a_changed_or_missing_state_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let p0 = Partition::new("logs", 0);
    let written = states(&store, &[(&p0, &["state"])]).await;
    put(&store, &[], 0, 5, written).await;
    let committed = store.correlation_state("c", &p0).await.unwrap().unwrap();
    let path = dir.path().join(&files(dir.path(), ".state")[0]);
    for (bytes, part) in [
        (Some(&b"stale"[..]), "SHA-256"),
        (Some(b"st"), "2 bytes"),
        (None, "missing"),
    ] {
        match bytes {
            Some(bytes) => std::fs::write(&path, bytes).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let error = store.read_state_part(&p0, &committed[0]).await.unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("logs[0]"), "{error}");
    }
}

#[tokio::test]
async fn sql_sees_the_tables_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path().to_str().unwrap(), StoreConfig::default())
        .await
        .unwrap();
    let events = (0..5).map(support::plain).collect();
    store
        .commit_events(support::commit(events, vec![support::letter(5)], range(0, 0, 6)))
        .await
        .unwrap();
    put(&store, &[alert("aa01", 1, AlertStatus::Final, 3)], 0, 5, vec![]).await;
    let check = async |sql: &str, want: &str| {
        let answer = store
            .sql(sql, 100)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(serde_json::to_string(&answer.rows).unwrap(), want, "{sql}");
    };
    check("select count(*) from events", "[[5]]").await;
    check(
        "select user_name, count(*) n from events group by 1",
        r#"[["alice",5]]"#,
    )
    .await;
    check(
        "select event_date, time, kafka_offset from events where time >= '2024-05-01T00:00:04Z'",
        r#"[["2024-05-01","2024-05-01T00:00:04.123456Z",4]]"#,
    )
    .await;
    check("select event_date from events where event_date = '2024-05-02'", "[]").await;
    check(
        "select count(*) from events where event_date = '2024-05-01' and user_name = 'alice'",
        "[[5]]",
    )
    .await;
    check(
        "select count(*) from events where user_name > 'b' or source = 'nothing'",
        "[[0]]",
    )
    .await;
    check(
        "select count(*) from alerts where time < '2024-05-01' and level = 'high'",
        "[[0]]",
    )
    .await;
    check(
        "select id, \"group\", level from alerts",
        r#"[["aa01","{\"user.name\":\"alice\"}","high"]]"#,
    )
    .await;
    check("select reason, \"offset\" from dead_letters", r#"[["invalid_json",5]]"#).await;
    check("select count(*) from (select * from events limit 3)", "[[3]]").await;
    assert_eq!(store.sql("select raw from events", 2).await.unwrap().rows.len(), 2);
    for sql in [
        "drop table events",
        "create table x as select 1",
        "insert into events values (1)",
        "copy events to '/tmp/x.parquet'",
        "set datafusion.execution.batch_size = 1",
        "create external table t stored as parquet location '/etc'",
        "select nothing from events",
        "selec 1",
    ] {
        let error = store.sql(sql, 1).await.expect_err(sql);
        assert!(matches!(error, StoreError::Sql(_)), "{sql}: {error}");
    }
    let _ = Timestamp::MIN;
}
