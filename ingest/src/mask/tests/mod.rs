//! Planted secrets, and words that only look like one.

mod encoded;

use std::borrow::Cow;

use proptest::prelude::*;

use super::kinds::KINDS;
use super::mask;

fn masked(text: &str) -> (String, Vec<&'static str>) {
    let masked = mask(text.as_bytes());
    let mut kinds: Vec<_> = masked.removed.iter().map(|removed| removed.kind).collect();
    kinds.dedup();
    (String::from_utf8(masked.text.into_owned()).unwrap(), kinds)
}

/// `want` is the text with each secret as `<KIND>`.
#[track_caller]
fn check(text: &str, want: &str) {
    let want = KINDS.iter().fold(want.to_owned(), |want, kind| {
        want.replace(&format!("<{kind}>"), &format!("[masked:{kind}]"))
    });
    let (got, kinds) = masked(text);
    assert_eq!(got, want);
    assert_eq!(masked(&got), (got.clone(), Vec::new()), "masked again");
    assert!(kinds.iter().all(|kind| got.contains(kind)));
    if text.starts_with('{') {
        serde_json::from_str::<serde_json::Value>(&got).unwrap();
    }
}

const JWT: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl";

#[test]
fn settings_and_options() {
    for (text, want) in [
        ("password=hunter2 x", "password=<password> x"),
        ("PassWord : hunter2", "PassWord : <password>"),
        ("DB_PASSWORD='a b' c", "DB_PASSWORD='<password>' c"),
        ("run --password hunter2 -v", "run --password <password> -v"),
        ("run --password=hunter2", "run --password=<password>"),
        ("run --token abcdef --x", "run --token <bearer_token> --x"),
        (
            "a0=\"x\" a1=\"--password\" a2=\"hunter2\"",
            "a0=\"x\" a1=\"--password\" a2=\"<password>\"",
        ),
        ("GET /?token=abc&b=1", "GET /?token=<bearer_token>&b=1"),
        ("x-api-key: abcdef", "x-api-key: <password>"),
        (
            "aws_secret_access_key = wJalr/x+y",
            "aws_secret_access_key = <aws_secret_key>",
        ),
        (
            "Server=a;Pwd=x;AccountKey=abc==;E=1",
            "Server=a;Pwd=<password>;AccountKey=<azure_secret>;E=1",
        ),
        ("pw\npassword=a", "pw\npassword=<password>"),
    ] {
        check(text, want);
    }
}

#[test]
fn forms() {
    let long = "a1b2c3d4e5".repeat(4);
    for (text, want) in [
        (format!("got {JWT}."), "got <jwt>.".to_owned()),
        (
            format!("Authorization: Bearer {JWT}"),
            "Authorization: Bearer <jwt>".into(),
        ),
        (
            "authorization:  bearer abc".into(),
            "authorization:  bearer <bearer_token>".into(),
        ),
        (
            "Authorization: Basic YTpi".into(),
            "Authorization: Basic <basic_auth>".into(),
        ),
        (
            "curl -u Basic YWRtaW46aHVudGVyMg==".into(),
            "curl -u Basic <basic_auth>".into(),
        ),
        (
            "redis://u:p@ss@h:6379/0".into(),
            "redis://u:<url_password>@h:6379/0".into(),
        ),
        (format!("key AIza{long}"), "key <gcp_key>".into()),
        (
            format!("ghp_{long} github_pat_{long}"),
            "<github_token> <github_token>".into(),
        ),
        (format!("xoxb-1-{long}"), "<slack_token>".into()),
        (
            format!("https://a/b?sv=1&sig={long}%3D&se=2"),
            "https://a/b?sv=1&sig=<azure_secret>&se=2".into(),
        ),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----\nx".into(),
            "<private_key>\nx".into(),
        ),
    ] {
        check(&text, &want);
    }
}

#[test]
fn json() {
    for (text, want) in [
        (r#"{"password":"a\"b","x":1}"#, r#"{"password":"<password>","x":1}"#),
        (r#"{"password" : 12345,"x":1}"#, r#"{"password" : "<password>","x":1}"#),
        (r#"{"p\u0061ssword":"hunter2"}"#, r#"{"p\u0061ssword":"<password>"}"#),
        (
            r#"{"apiKey":["a","b"],"c":1}"#,
            r#"{"apiKey":["<password>","<password>"],"c":1}"#,
        ),
        (
            r#"{"name":"DB_PASSWORD","value":"x"}"#,
            r#"{"name":"DB_PASSWORD","value":"<password>"}"#,
        ),
        (
            r#"{"args":["--password","x","y"]}"#,
            r#"{"args":["--password","<password>","y"]}"#,
        ),
        (
            r#"{"m":"{\"password\":\"a\\\"b\",\"c\":1}"}"#,
            r#"{"m":"{\"password\":\"<password>\",\"c\":1}"}"#,
        ),
        (
            r#"{"m":"{\"password\": 12,\"c\":1}"}"#,
            r#"{"m":"{\"password\": \"<password>\",\"c\":1}"}"#,
        ),
        (
            r#"{"m":"a\npassword=x\n\"b\""}"#,
            r#"{"m":"a\npassword=<password>\n\"b\""}"#,
        ),
        (
            r#"{"credentials":{"accessKeyId":"AKIAX","secretAccessKey":"s","sessionToken":"t"}}"#,
            r#"{"credentials":{"accessKeyId":"AKIAX","secretAccessKey":"<aws_secret_key>","sessionToken":"<aws_secret_key>"}}"#,
        ),
        (
            r#"{"auths":{"r.io":{"auth":"dTpw"}}}"#,
            r#"{"auths":{"r.io":{"auth":"<docker_auth>"}}}"#,
        ),
        (
            r#"{"private_key":"-----BEGIN PRIVATE KEY-----\nM\n-----END PRIVATE KEY-----\n"}"#,
            r#"{"private_key":"<gcp_key>"}"#,
        ),
        (
            r#"{"a":"-----BEGIN EC PRIVATE KEY-----\nM\n"}"#,
            r#"{"a":"<private_key>"}"#,
        ),
        (
            r#"{"client_secret":"abc8Q~def"}"#,
            r#"{"client_secret":"<azure_secret>"}"#,
        ),
    ] {
        check(text, want);
    }
    let text = format!(r#"{{"kind":"TokenReview","spec":{{"token":"{JWT}"}}}}"#);
    check(&text, r#"{"kind":"TokenReview","spec":{"token":"<jwt>"}}"#);
}

#[test]
fn kubernetes_secrets() {
    let k = "<kubernetes_secret>";
    for (text, want) in [
        (
            r#"{"kind":"Event","objectRef":{"resource":"secrets"},"requestObject":{"data":{"a":"eA==","b":7}}}"#,
            format!(
                r#"{{"kind":"Event","objectRef":{{"resource":"secrets"}},"requestObject":{{"data":{{"a":"{k}","b":"{k}"}}}}}}"#
            ),
        ),
        (
            r#"{"data":{"kind":"eA=="},"stringData":{"b":"y\"z"},"kind":"Secret"}"#,
            format!(r#"{{"data":{{"kind":"{k}"}},"stringData":{{"b":"{k}"}},"kind":"Secret"}}"#),
        ),
        (
            r#"{"items":[{"data":{"a":"x"}}],"kind":"SecretList"}"#,
            format!(r#"{{"items":[{{"data":{{"a":"{k}"}}}}],"kind":"SecretList"}}"#),
        ),
        (
            r#"{"type":"ADDED","object":{"kind":"Secret","data":{"a":"x"}}}"#,
            format!(r#"{{"type":"ADDED","object":{{"kind":"Secret","data":{{"a":"{k}"}}}}}}"#),
        ),
        (
            r#"{"items":[{"kind":"ConfigMap","data":{"a":"x"}},{"kind":"Secret","data":{"a":"x"}}]}"#,
            format!(
                r#"{{"items":[{{"kind":"ConfigMap","data":{{"a":"x"}}}},{{"kind":"Secret","data":{{"a":"{k}"}}}}]}}"#
            ),
        ),
        (
            r#"{"kind":"Secret","metadata":{"annotations":{"last-applied-configuration":"{\"data\":{\"a\":\"x\"},\"kind\":\"Secret\"}\n"}}}"#,
            format!(
                r#"{{"kind":"Secret","metadata":{{"annotations":{{"last-applied-configuration":"{{\"data\":{{\"a\":\"{k}\"}},\"kind\":\"Secret\"}}\n"}}}}}}"#
            ),
        ),
        (
            r#"{"objectRef":{"resource":"secrets"},"requestObject":[{"op":"add","path":"/data/a","value":"x"},{"op":"add","path":"/metadata/labels/b","value":"y"}]}"#,
            format!(
                r#"{{"objectRef":{{"resource":"secrets"}},"requestObject":[{{"op":"add","path":"/data/a","value":"{k}"}},{{"op":"add","path":"/metadata/labels/b","value":"y"}}]}}"#
            ),
        ),
    ] {
        check(text, &want);
    }
}

#[test]
fn what_is_no_secret_stays() {
    for text in [
        "Failed password for root from 192.0.2.1 port 22 ssh2",
        "Accepted password for alice",
        "sudo: a : TTY=pts/0 ; PWD=/home/a ; USER=root ; COMMAND=/bin/cat /etc/passwd",
        "cat: /etc/passwd: No such file",
        "mysql -p no",
        "the bearer token is missing, basic authentication only",
        "https://example.org:8443/a@b",
        r#"{"objectRef":{"resource":"tokenreviews"},"x":"secrets"}"#,
        r#"{"token": null,"password":"","nextToken":"abcdefghijkl"}"#,
        r#"{"annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":"RBAC: allowed"}}"#,
        r#"{"kind":"ConfigMap","data":{"a":"x"},"ref":{"kind":"Secret"}}"#,
        r#"{"volumes":[{"secret":{"secretName":"a"}}],"automountServiceAccountToken":true}"#,
        r#"{"secretId":"arn:aws:secretsmanager:us-east-1:123456789012:secret:shop/database-a1b2c3"}"#,
        r#"{"eventName":"ChangePassword","a":"b"}"#,
    ] {
        check(text, text);
        assert!(matches!(mask(text.as_bytes()).text, Cow::Borrowed(_)), "{text}");
    }
}

/// How much a second of ordinary text takes. Shown with `--nocapture`; nothing depends on it.
#[test]
fn speed() {
    let record = format!(
        r#"{{"kind":"Event","auditID":"5a0b1f6e","requestURI":"/api/v1/namespaces/shop/pods","annotations":{{"authorization.k8s.io/decision":"allow"}},"pad":"{}"}}"#,
        "the quick brown fox 0123 ".repeat(34)
    );
    let began = std::time::Instant::now();
    let rounds = 2000u32;
    for _ in 0..rounds {
        assert!(matches!(mask(record.as_bytes()).text, Cow::Borrowed(_)));
    }
    let seconds = began.elapsed().as_secs_f64();
    let bytes = f64::from(rounds) * f64::from(u32::try_from(record.len()).unwrap());
    eprintln!(
        "mask: {} bytes a record, {:.0} MB/s",
        record.len(),
        bytes / seconds / 1e6
    );
}

/// A secret, and JSON around it at any depth of strings.
fn planted() -> impl Strategy<Value = (serde_json::Value, String)> {
    let key = prop::sample::select(vec![
        "password",
        "API_KEY",
        "client-secret",
        "secretAccessKey",
        "accessToken",
        "dbPasswd",
    ]);
    (key, "Zq[A-Za-z0-9\"\\\\ {}:,é\\n]{8,30}Qz", 0..4usize, any::<bool>()).prop_map(|(key, secret, depth, list)| {
        let mut value = serde_json::json!({ "before": "x\\\"", key: secret.as_str(), "after": [1, "y"] });
        for level in 0..depth {
            value = serde_json::json!({ "message": value.to_string(), "level": level });
        }
        if list {
            value = serde_json::json!({ "Records": [value, { "a": "password" }] });
        }
        (value, secret)
    })
}

proptest! {
    #[test]
    fn a_planted_secret_is_gone((value, _) in planted()) {
        let text = value.to_string();
        let (out, kinds) = masked(&text);
        prop_assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok(), "{out}");
        prop_assert!(!out.contains("Zq") && !out.contains("Qz"), "{out}");
        prop_assert_eq!(kinds.len(), 1);
        prop_assert_eq!(masked(&out), (out.clone(), Vec::new()));
    }

    #[test]
    fn any_json_stays_json(words in prop::collection::vec(
        prop::sample::select(vec![
            "password", "token", "=", ":", " ", "\"", "\\", "'", "{", "}", "[", ",", "eyJhbGciOiJI", ".", "://", "u", "@",
            "-----BEGIN PRIVATE KEY-----", "-----END", "Authorization", "Basic ", "Bearer ", "data", "Secret", "kind", "\n", "é", "1",
        ]), 0..40), nested in any::<bool>()) {
        let text = words.concat();
        let mut value = serde_json::json!({ "kind": "Secret", "a": text, "data": { "b": text }, text.as_str(): 1 });
        if nested {
            value = serde_json::json!({ "m": value.to_string() });
        }
        let (out, _) = masked(&value.to_string());
        prop_assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok(), "{} -> {}", value, out);
    }

    #[test]
    fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let once = mask(&bytes);
        prop_assert!(once.removed.is_empty() == (*once.text == bytes));
    }
}
