//! Counts by time and field, conditions of SQL that the index answers, and what an answer says of its coverage.

use std::collections::BTreeMap;

use casebook_event::{Event, FieldId, Source, Timestamp, Value};
use casebook_store::{SearchRequest, Store, StoreConfig, TallyBy, TallyRow};

use crate::support::{at, commit, event, letter, open, plain, range};

const DAY_NANOS: i64 = 86_400 * 1_000_000_000;

fn ask(query: &str) -> SearchRequest {
    SearchRequest {
        query: query.into(),
        limit: 10_000,
        ..SearchRequest::default()
    }
}

/// Every value that the event has in the fields that tests count by.
fn values(event: &Event, field: &str) -> Vec<Option<String>> {
    let of = |ids: &[FieldId]| -> Vec<String> {
        ids.iter()
            .filter_map(|&id| event.fields.get(id))
            .flat_map(|value| match value {
                Value::List(items) => items.iter().map(|item| item.to_text().into_owned()).collect(),
                value => vec![value.to_text().into_owned()],
            })
            .collect()
    };
    let mut found = match field {
        "user" => of(&[FieldId::UserName]),
        "status" => of(&[FieldId::HttpResponseStatusCode]),
        "source" => vec![event.source.name().to_owned()],
        "ip" => {
            let claimed = of(&[FieldId::ClaimedIps]);
            let mut related = of(&[FieldId::RelatedIps]);
            related.retain(|ip| !claimed.contains(ip));
            of(&[FieldId::SourceIp]).into_iter().chain(related).collect()
        }
        "key.inner" => serde_json::from_str::<serde_json::Value>(&event.raw)
            .ok()
            .and_then(|record| Some(record.get("key")?.get("inner")?.as_str()?.to_owned()))
            .into_iter()
            .collect(),
        other => panic!("{other}"),
    };
    let mut seen = Vec::new();
    found.retain(|value| {
        !seen.contains(value) && {
            seen.push(value.clone());
            true
        }
    });
    match found.is_empty() {
        true => vec![None],
        false => found.into_iter().map(Some).collect(),
    }
}

/// What counting says of `query` is what counting its events one by one says, and SQL finds the same events.
pub async fn check(store: &Store, query: &str, events: &[Event]) {
    for (span, fields) in [
        (None, &["user"][..]),
        (None, &["source"]),
        (Some(DAY_NANOS), &["source"]),
        (Some(DAY_NANOS), &[]),
        (None, &["user", "status"]),
        (None, &["ip"]),
        (None, &["key.inner"]),
    ] {
        let mut want: BTreeMap<(Option<Timestamp>, Vec<Option<String>>), u64> = BTreeMap::new();
        for event in events {
            let time = span.map(|span| Timestamp::from_nanos(event.time.as_nanos().div_euclid(span) * span));
            let mut groups = vec![Vec::new()];
            for field in fields {
                groups = groups
                    .iter()
                    .flat_map(|group: &Vec<Option<String>>| {
                        values(event, field).into_iter().map(|value| {
                            let mut group = group.clone();
                            group.push(value);
                            group
                        })
                    })
                    .collect();
            }
            for group in groups {
                *want.entry((time, group)).or_default() += 1;
            }
        }
        let by = TallyBy {
            span,
            fields: fields.iter().map(|&field| field.to_owned()).collect(),
            most: None,
        };
        let tally = store.tally(ask(query), by.clone()).await.unwrap();
        for most in [0, 1, 3, 1_000] {
            let by = TallyBy {
                most: Some(most),
                ..by.clone()
            };
            let some = store.tally(ask(query), by).await.unwrap();
            let reported = if span.is_some() { usize::MAX } else { most };
            assert_eq!(
                some.rows,
                tally.rows[..reported.min(tally.rows.len())],
                "{query} by {fields:?}, {most}"
            );
            assert_eq!((some.groups, some.matched), (tally.rows.len() as u64, tally.matched));
        }
        assert_eq!(
            (tally.matched, tally.other_count),
            (events.len() as u64, 0),
            "{query} by {fields:?}"
        );
        let mut got = BTreeMap::new();
        for TallyRow { time, values, count } in tally.rows {
            assert_eq!(got.insert((time, values), count), None, "{query} by {fields:?}");
        }
        assert_eq!(got, want, "{query} by {fields:?}");
    }
    let sql = format!(
        "SELECT kafka_offset FROM events WHERE matches('{}') ORDER BY kafka_offset",
        query.replace('\'', "''")
    );
    let answer = store
        .sql(&sql, 10_000)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    let got: Vec<i64> = answer.rows.iter().map(|row| row[0].as_i64().unwrap()).collect();
    let mut want: Vec<i64> = events.iter().map(|event| event.position.offset).collect();
    want.sort_unstable();
    assert_eq!(got, want, "{sql}");
}

#[tokio::test]
async fn sql_joins_what_the_index_finds_with_other_conditions() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    for n in 0..3 {
        let events = (n * 10..n * 10 + 10).map(plain).collect();
        store
            .commit_events(commit(events, vec![], range(0, n * 10, n * 10 + 10)))
            .await
            .unwrap();
    }
    let offsets = async |condition: &str| -> Result<Vec<i64>, String> {
        let sql = format!("SELECT kafka_offset FROM events WHERE {condition} ORDER BY 1");
        let answer = store.sql(&sql, 100).await.map_err(|error| error.to_string())?;
        Ok(answer.rows.iter().map(|row| row[0].as_i64().unwrap()).collect())
    };
    let check =
        async |condition: &str, want: &[i64]| assert_eq!(offsets(condition).await.unwrap(), want, "{condition}");
    check("matches('row7 OR row17 OR row27')", &[7, 17, 27]).await;
    check("matches('row7 OR row17 OR row27') AND kafka_offset > 7", &[17, 27]).await;
    check("MATCHES('row7 OR row17') AND matches('row17 OR row3')", &[17]).await;
    check("matches('nothing')", &[]).await;
    check("matches('user:alice') AND native(raw, 'n') = 'row21'", &[21]).await;
    check("native(raw, 'no.such') IS NOT NULL", &[]).await;
    let joined = store
        .sql(
            "SELECT count(*) FROM events a JOIN events b ON a.kafka_offset = b.kafka_offset + 1 \
             WHERE matches(a.event_id, 'row17') AND matches(b.event_id, 'row16')",
            10,
        )
        .await
        .unwrap();
    assert_eq!(joined.rows, [[Value::Int(1)]]);
    for wrong in [
        "NOT matches('row7')",
        "matches('row7') OR kafka_offset = 3",
        "matches(raw)",
    ] {
        let error = offsets(wrong).await.unwrap_err();
        assert!(error.contains("matches('query') stands in WHERE"), "{wrong}: {error}");
    }
    let error = offsets("matches('user:(')").await.unwrap_err();
    assert!(error.contains("character"), "{error}");
    let other = store
        .sql("SELECT * FROM alerts WHERE matches('x')", 1)
        .await
        .unwrap_err();
    assert!(other.to_string().contains("event_id"), "{other}");
}

#[tokio::test]
async fn counts_by_source_and_day_are_in_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let mut events: Vec<_> = (0..30).map(plain).collect();
    for (n, event) in events.iter_mut().enumerate() {
        event.time = at(n as i64 * 7_200);
        if n % 3 == 0 {
            event.source = Source::Auth;
        }
    }
    store
        .commit_events(commit(events, vec![], range(0, 0, 30)))
        .await
        .unwrap();
    let by = TallyBy {
        span: Some(DAY_NANOS),
        fields: vec!["source".into()],
        most: None,
    };
    let tally = store.tally(ask(""), by).await.unwrap();
    assert_eq!((tally.matched, tally.files.rows_read, tally.files.unread), (30, 0, 3));
    let rows: Vec<_> = tally
        .rows
        .iter()
        .map(|row| (row.time.unwrap(), row.values[0].clone().unwrap(), row.count))
        .collect();
    let day = |n: i64| at(n * 86_400);
    assert_eq!(
        rows,
        [
            (day(0), "kubernetes_audit".into(), 8),
            (day(0), "auth".into(), 4),
            (day(1), "kubernetes_audit".into(), 8),
            (day(1), "auth".into(), 4),
            (day(2), "kubernetes_audit".into(), 4),
            (day(2), "auth".into(), 2),
        ]
    );
}

#[tokio::test]
async fn coverage_says_how_far_each_source_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let mut events: Vec<_> = (0..4).map(plain).collect();
    events.push(event(
        4,
        &[(FieldId::Masked, Value::List(vec!["bearer".into()]))],
        r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","verb":"get"}"#,
    ));
    events[0].source = Source::Auth;
    let last = events[4].time;
    store
        .commit_events(commit(events, vec![letter(5), letter(6)], range(0, 0, 7)))
        .await
        .unwrap();
    let whole = store.coverage(None, None, &[]).await.unwrap();
    let names: Vec<_> = whole
        .sources
        .iter()
        .map(|one| (one.source.as_str(), one.events))
        .collect();
    assert_eq!(names, [("auth", 1), ("kubernetes_audit", 4)]);
    let audit = &whole.sources[1];
    assert_eq!((audit.last, audit.masked, audit.metadata_only), (last, 1, 1));
    let letters: Vec<_> = whole
        .dead_letters
        .iter()
        .map(|one| (one.topic.as_str(), one.reason.as_str(), one.count))
        .collect();
    assert_eq!(letters, [("logs", "invalid_json", 2)]);

    let later = store.coverage(Some(at(100)), None, &[Source::Auth]).await.unwrap();
    assert_eq!((later.sources.len(), later.sources[0].events), (1, 0));
    assert_eq!(later.dead_letters, []);
}

/// Each row group has a dictionary of its own, in which the same place is another text.
#[tokio::test]
async fn counts_by_a_column_are_those_of_every_row_group() {
    let dir = tempfile::tempdir().unwrap();
    let config = StoreConfig {
        row_group_rows: 2,
        ..StoreConfig::default()
    };
    let store = Store::open(dir.path().to_str().unwrap(), config).await.unwrap();
    let users = [Some("a"), Some("b"), Some("c"), None, Some("b"), Some("a"), Some("b")];
    let events = users.iter().zip(0..).map(|(user, n)| {
        let fields: Vec<_> = user.iter().map(|user| (FieldId::UserName, Value::str(user))).collect();
        event(n, &fields, "x")
    });
    let events: Vec<_> = events.collect();
    store
        .commit_events(commit(events, vec![], range(0, 0, 7)))
        .await
        .unwrap();
    let by = TallyBy {
        fields: vec!["user.name".into()],
        ..TallyBy::default()
    };
    let tally = store.tally(ask(""), by).await.unwrap();
    assert_eq!((tally.files.counted, tally.matched), (1, 7));
    let rows: Vec<_> = tally
        .rows
        .iter()
        .map(|row| (row.values[0].as_deref(), row.count))
        .collect();
    assert_eq!(rows, [(Some("b"), 3), (Some("a"), 2), (None, 1), (Some("c"), 1)]);
}
