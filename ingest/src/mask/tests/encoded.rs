//! Secrets in other encodings, and in the forms of many languages and programs: each is planted, and must be found nowhere.

use proptest::prelude::*;

use crate::mask::kinds::KINDS;
use crate::mask::mask;

/// A password that is no word.
const SECRET: &str = "Zq7vTr0ub4dorQz";

fn masked(text: &str) -> String {
    let once = mask(text.as_bytes()).text.into_owned();
    assert_eq!(
        *mask(&once).text,
        once,
        "masked again: {}",
        String::from_utf8_lossy(&once)
    );
    String::from_utf8(once).unwrap()
}

/// `want` is the text with each secret as `<KIND>`; `SECRET` in the text is the secret.
#[track_caller]
fn check(text: &str, want: &str) {
    let text = text.replace("SECRET", SECRET);
    let want = KINDS.iter().fold(want.to_owned(), |want, kind| {
        want.replace(&format!("<{kind}>"), &format!("[masked:{kind}]"))
    });
    let got = masked(&text);
    assert_eq!(got, want, "{text}");
    if text.starts_with('{') && serde_json::from_str::<serde_json::Value>(&text).is_ok() {
        serde_json::from_str::<serde_json::Value>(&got).unwrap();
    }
}

#[test]
fn variables_of_the_environment() {
    check("DB_PASS=SECRET", "DB_PASS=<password>");
    check("dbPass: \"SECRET\"", "dbPass: \"<password>\"");
    check("ENCRYPTION_KEY=SECRET", "ENCRYPTION_KEY=<password>");
    check("STRIPE_KEY: SECRET", "STRIPE_KEY: <stripe_key>");
    check("{\"signingKey\":\"SECRET\"}", "{\"signingKey\":\"<password>\"}");
    assert_eq!(
        masked(&format!("SESSION_SECRET={SECRET}")),
        "SESSION_SECRET=[masked:password]"
    );
    check(
        "{\"env\":[{\"value\":\"SECRET\",\"name\":\"DB_PASSWORD\"},{\"value\":\"a\",\"name\":\"B\"}]}",
        "{\"env\":[{\"value\":\"<password>\",\"name\":\"DB_PASSWORD\"},{\"value\":\"a\",\"name\":\"B\"}]}",
    );
    check(
        "{\"name\":\"DB_PASSWORD\",\"from\":1,\"value\":\"SECRET\"}",
        "{\"name\":\"DB_PASSWORD\",\"from\":1,\"value\":\"<password>\"}",
    );
}

#[test]
fn commands() {
    for (text, want) in [
        ("curl -su admin:SECRET h", "curl -su admin:<password> h"),
        ("curl -u admin:SECRET h", "curl -u admin:<password> h"),
        ("curl -uadmin:SECRET h", "curl -uadmin:<password> h"),
        (
            "[\"curl\",\"-u\",\"admin:SECRET\"]",
            "[\"curl\",\"-u\",\"admin:<password>\"]",
        ),
        ("['curl', '-u', 'admin:SECRET']", "['curl', '-u', 'admin:<password>']"),
        (
            "a0=\"curl\" a1=\"-u\" a2=\"a:SECRET\"",
            "a0=\"curl\" a1=\"-u\" a2=\"a:<password>\"",
        ),
        ("mysql -h db -pSECRET app", "mysql -h db -p<password> app"),
        ("mysqldump -u a -p'SECRET x' app", "mysqldump -u a -p<password> app"),
        ("sshpass -p SECRET ssh h", "sshpass -p <password> ssh h"),
        ("PGPASSWORD=SECRET psql", "PGPASSWORD=<password> psql"),
        ("redis-cli -a SECRET ping", "redis-cli -a <password> ping"),
        ("htpasswd -nb admin SECRET", "htpasswd -nb admin <password>"),
        (
            "docker login -u a -p SECRET r.io",
            "docker login -u a -p <password> r.io",
        ),
        (
            "echo SECRET | docker login --password-stdin",
            "echo <password> | docker login --password-stdin",
        ),
        ("echo 'root:SECRET' | chpasswd", "echo 'root:<password>' | chpasswd"),
        ("echo SECRET | sudo -S id", "echo <password> | sudo -S id"),
        ("net user bob SECRET /add", "net user bob <password> /add"),
        (
            "openssl enc -pass pass:SECRET -in a",
            "openssl enc -pass pass:<password> -in a",
        ),
        (
            "kubectl create secret generic a --from-literal=k=SECRET",
            "kubectl create secret generic a --from-literal=k=<password>",
        ),
        (
            "aws configure set aws_secret_access_key SECRET",
            "aws configure set aws_secret_access_key <aws_secret_key>",
        ),
        ("vault kv put secret/a k=SECRET", "vault kv put secret/a k=<password>"),
        (
            "CREATE USER a IDENTIFIED BY 'SECRET'",
            "CREATE USER a IDENTIFIED BY '<password>'",
        ),
        (
            "ALTER ROLE a WITH PASSWORD 'SECRET'",
            "ALTER ROLE a WITH PASSWORD '<password>'",
        ),
    ] {
        check(text, want);
    }
}

#[test]
fn connections_headers_and_tokens() {
    for (text, want) in [
        ("root:SECRET@tcp(db:3306)/app", "root:<url_password>@tcp(db:3306)/app"),
        (
            "dsn=root:SECRET@unix(/run/db)/app",
            "dsn=root:<url_password>@unix(/run/db)/app",
        ),
        ("scott/SECRET@//db:1521/orcl", "scott/<url_password>@//db:1521/orcl"),
        ("scott/SECRET@db:1521/orcl", "scott/<url_password>@db:1521/orcl"),
        (
            "jdbc:oracle:thin:scott/SECRET@db:1521:orcl",
            "jdbc:oracle:thin:scott/<url_password>@db:1521:orcl",
        ),
        ("sqlplus scott/SECRET@orcl", "sqlplus scott/<url_password>@orcl"),
        ("redis://:SECRET@h", "redis://:<url_password>@h"),
        ("Cookie: a=SECRET; b=SECRET", "Cookie: a=<cookie>; b=<cookie>"),
        (
            "Set-Cookie: a=SECRET; Path=/; HttpOnly",
            "Set-Cookie: a=<cookie>; Path=/; HttpOnly",
        ),
        ("{\"Cookie\":[\"a=SECRET\"]}", "{\"Cookie\":[\"a=<cookie>\"]}"),
        ("{\"cookies\":{\"a\":\"SECRET\"}}", "{\"cookies\":{\"a\":\"<cookie>\"}}"),
        ("GET /cb?code=SECRET&state=1", "GET /cb?code=<oauth_code>&state=1"),
        ("glpat-SECRET hvs.SECRET", "<gitlab_token> <vault_token>"),
        (
            "sk_live_SECRET npm_SECRETSECRET dckr_pat_SECRET",
            "<stripe_key> <api_token> <api_token>",
        ),
        ("join --x abcdef.0123456789abcdef", "join --x <bootstrap_token>"),
        (
            "https://hooks.slack.com/services/T0/B0/SECRET",
            "https://hooks.slack.com/services/<slack_token>",
        ),
        (
            "{\"keys\":[{\"keyName\":\"key1\",\"value\":\"SECRETSECRET\"}]}",
            "{\"keys\":[{\"keyName\":\"key1\",\"value\":\"<azure_secret>\"}]}",
        ),
        (
            "{\"primaryKey\":\"SECRETSECRET\"}",
            "{\"primaryKey\":\"<azure_secret>\"}",
        ),
        (
            "{\"kty\":\"EC\",\"x\":\"a\",\"d\":\"SECRET\"}",
            "{\"kty\":\"EC\",\"x\":\"a\",\"d\":\"<private_key>\"}",
        ),
    ] {
        check(text, want);
    }
}

#[test]
fn literals_blocks_and_elements() {
    for (text, want) in [
        ("{:password=>\"SECRET\", :a=>1}", "{:password=>\"<password>\", :a=>1}"),
        ("{\"password\" => \"SECRET\"}", "{\"password\" => \"<password>\"}"),
        ("{password: \"SECRET\"}", "{password: \"<password>\"}"),
        ("{'password': 'SECRET', 'a': 1}", "{'password': '<password>', 'a': 1}"),
        ("{'token': b'SECRET'}", "{'token': b'<bearer_token>'}"),
        ("[('password', 'SECRET')]", "[('password', '<password>')]"),
        ("{\"password\": 'SECRET'}", "{\"password\": '<password>'}"),
        ("environ['DB_PASS'] = 'SECRET'", "environ['DB_PASS'] = '<password>'"),
        ("ENV[\"DB_PASS\"] = \"SECRET\"", "ENV[\"DB_PASS\"] = \"<password>\""),
        ("password: !!str SECRET", "password: !!str <password>"),
        (
            "password: |\n  SECRET\n  SECRET\nuser: a",
            "password: |\n  <password>\nuser: a",
        ),
        (
            "{\"m\":\"a:\\n  password: >-\\n    SECRET\\n  b: c\"}",
            "{\"m\":\"a:\\n  password: >-\\n    <password>\\n  b: c\"}",
        ),
        ("password:\n  SECRET\nuser: a", "password:\n  <password>\nuser: a"),
        (
            "kind: Secret\ndata:\n  a: SECRET\nmetadata:\n  name: b\n---\nkind: ConfigMap\ndata:\n  a: b",
            "kind: Secret\ndata:\n  a: <kubernetes_secret>\nmetadata:\n  name: b\n---\nkind: ConfigMap\ndata:\n  a: b",
        ),
        (
            "{\"m\":\"stringData:\\n  a: 'SECRET'\\nkind: Secret\\n\"}",
            "{\"m\":\"stringData:\\n  a: <kubernetes_secret>\\nkind: Secret\\n\"}",
        ),
        ("<passwd>SECRET</passwd>", "<passwd><password></passwd>"),
        (
            "<a:password b=\"c\">SECRET</a:password>",
            "<a:password b=\"c\"><password></a:password>",
        ),
        (
            "<add key=\"password\" value=\"SECRET\"/>",
            "<add key=\"password\" value=\"<password>\"/>",
        ),
        (
            "<add value=\"SECRET\" key=\"password\"/>",
            "<add value=\"<password>\" key=\"password\"/>",
        ),
        (
            "\u{1b}[36mpassword\u{1b}[0m=SECRET",
            "\u{1b}[36mpassword\u{1b}[0m=<password>",
        ),
        (
            "[2026-11-20] password=\"SECRET\"",
            "[2026-11-20] password=\"<password>\"",
        ),
    ] {
        check(text, want);
    }
}

#[test]
fn patches_attributes_and_parameters() {
    for (text, want) in [
        (
            r#"{"objectRef":{"resource":"secrets"},"requestObject":[{"op":"add","path":"/data","value":{"name":"SECRET","b":"SECRET"}}]}"#,
            r#"{"objectRef":{"resource":"secrets"},"requestObject":[{"op":"add","path":"/data","value":{"name":"<kubernetes_secret>","b":"<kubernetes_secret>"}}]}"#,
        ),
        (
            r#"{"objectRef":{"resource":"secrets"},"requestObject":[{"value":{"stringData":{"a":"SECRET"}},"path":"","op":"replace"}]}"#,
            r#"{"objectRef":{"resource":"secrets"},"requestObject":[{"value":{"stringData":{"a":"<kubernetes_secret>"}},"path":"","op":"replace"}]}"#,
        ),
        (
            r#"{"objectRef":{"resource":"configmaps"},"requestObject":[{"op":"add","path":"/data","value":{"a":"b"}}]}"#,
            r#"{"objectRef":{"resource":"configmaps"},"requestObject":[{"op":"add","path":"/data","value":{"a":"b"}}]}"#,
        ),
        (
            r#"{"attributes":[{"key":"db.password","value":{"stringValue":"SECRET"}},{"key":"a","value":{"kvlistValue":{"values":[{"value":{"stringValue":"SECRET"},"key":"token"}]}}}]}"#,
            r#"{"attributes":[{"key":"db.password","value":{"stringValue":"<password>"}},{"key":"a","value":{"kvlistValue":{"values":[{"value":{"stringValue":"<bearer_token>"},"key":"token"}]}}}]}"#,
        ),
        (
            r#"{"requestURI":"/api/v1/pods/p/exec?command=mysql&command=--password%3DSECRET&container=c"}"#,
            r#"{"requestURI":"/api/v1/pods/p/exec?command=mysql&command=--password%3D<password>&container=c"}"#,
        ),
        (
            r#"{"requestURI":"/exec?command=mysql\u0026command=--password\u0026command=SECRET\u0026stdin=true"}"#,
            r#"{"requestURI":"/exec?command=mysql\u0026command=--password\u0026command=<password>\u0026stdin=true"}"#,
        ),
        (
            r#"{"requestURI":"/exec?command=sh&command=-c&command=mysql+-pSECRET%20db"}"#,
            r#"{"requestURI":"/exec?command=sh&command=-c&command=mysql+-p<password>%20db"}"#,
        ),
        (
            r#"{"u":"/x?q=%257B%2522password%2522%253A%2522SECRET%2522%257D"}"#,
            r#"{"u":"/x?q=%257B%2522password%2522%253A%2522<password>%2522%257D"}"#,
        ),
        (
            r#"{"m":"{\u0022password\u0022:\u0022SECRET\u0022}","n":"token\u003dSECRET"}"#,
            r#"{"m":"{\u0022password\u0022:\u0022<password>\u0022}","n":"token\u003d<bearer_token>"}"#,
        ),
        (
            r#"1.2.3.4 "{\x22password\x22:\x22SECRET\x22}""#,
            r#"1.2.3.4 "{\x22password\x22:\x22<password>\x22}""#,
        ),
    ] {
        check(text, want);
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02X}")).collect()
}

fn base64(text: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
fn whole_spans_are_lost_where_a_text_cannot_be_read() {
    let plain = format!("mysql --password={SECRET} db");
    let utf16: Vec<u8> = plain.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let bytes: Vec<String> = plain.bytes().map(|byte| byte.to_string()).collect();
    let (text, bytes) = (base64(plain.as_bytes()), bytes.join(", "));
    for (text, want) in [
        (
            format!(
                "type=PROCTITLE msg=audit(1.2:3): proctitle={}",
                hex(&plain.replace(' ', "\0"))
            ),
            "type=PROCTITLE msg=audit(1.2:3): proctitle=\"mysql --password=<password> db\"".to_owned(),
        ),
        (
            format!("type=EXECVE msg=audit(1.2:3): argc=2 a0=\"x\" a1={}", hex(&plain)),
            "type=EXECVE msg=audit(1.2:3): argc=2 a0=\"x\" a1=\"mysql --password=<password> db\"".into(),
        ),
        (
            format!(
                "type=EXECVE msg=audit(1.2:3): argc=3 a0=\"x\" a1=\"--password\" a2={}",
                hex("a b")
            ),
            "type=EXECVE msg=audit(1.2:3): argc=3 a0=\"x\" a1=\"--password\" a2=\"<password>\"".into(),
        ),
        (format!("x {text} y"), "x <password> y".into()),
        (format!("{{\"a\":\"{text}\"}}"), "{\"a\":\"<password>\"}".into()),
        (
            format!("powershell -enc {}", base64(&utf16)),
            "powershell -enc <password>".into(),
        ),
        (
            format!("{{\"data\":\"{text}\"}}"),
            format!("{{\"data\":\"{}\"}}", base64(b"mysql --password=[masked:password] db")),
        ),
        (
            format!("{{\"MESSAGE\":[{bytes}],\"__CURSOR\":\"1\"}}"),
            "{\"MESSAGE\":\"mysql --password=<password> db\",\"__CURSOR\":\"1\"}".into(),
        ),
    ] {
        check(&text, &want);
    }
}

#[test]
fn cut_records_are_masked_as_whole_ones() {
    for text in [
        r#"{"kind":"Event","objectRef":{"resource":"secrets"},"responseObject":{"kind":"Secret","data":{"a":"SECRET"#,
        r#"{"log":"{\"objectRef\":{\"resource\":\"secrets\"},\"responseObject\":{\"data\":{\"a\":\"SECRET"}"#,
        r#"{"a":1,"password":"SECRET"#,
        r#"{"uri":"/exec?command=mysql&command=--password%3DSECRET"#,
        r#"{"MESSAGE":[112,97,115,115,119,111,114,100,61,83,69,67,82,69,84"#,
        "Authorization: Bearer SECRETSECRET",
        r#"{"kind":"Pod","spec":{"containers":[{"env":[{"value":"SECRET","na"#,
    ] {
        let text = text.replace("SECRET", SECRET);
        let got = masked(&text);
        assert!(!got.contains(SECRET) && !got.contains("83,69,67,82"), "{text} -> {got}");
    }
    let whole = base64(format!("{{\"a\":\"some text before\",\"password\":\"{SECRET}\"}}").as_bytes());
    for end in whole.len() - 12..whole.len() {
        let got = masked(&format!("{{\"x\":\"{}", &whole[..end]));
        assert_eq!(got, "{\"x\":\"[masked:password]");
    }
}

#[test]
fn names_and_numbers_are_no_secrets() {
    for text in [
        r#"type=SYSCALL msg=audit(1.2:3): a0=7ffd1234 a1=55c0 comm="sh" key="password_change""#,
        r#"{"valueFrom":{"secretKeyRef":{"name":"db","key":"password"}}}"#,
        r#"{"tolerations":[{"key":"node-role.kubernetes.io/token","operator":"Exists"}]}"#,
        r#"{"topologyKey":"kubernetes.io/hostname","publicKey":"AAAAB3NzaC1yc2E","keyName":"my-machine"}"#,
        "PRIMARY KEY (id), FOREIGN_KEY=orders_customer_fk CACHE_KEY=user:1234:profile",
        "SSH_KEY=/etc/ssh/key.pem KMS_KEY=arn:aws:kms:eu-central-1:1:key/a AWS_ACCESS_KEY=AKIAIOSFODNN7EXAMPLE",
        r#"{"accessKeyId":"ASIAEXAMPLE","pass":12,"status":"pass","result":"passed","bypass":"enabled"}"#,
        "tests: pass: 12, fail: 0; keyboard KEY=a",
        "docker run -p 8080:80 nginx; ssh -p 2222 h; nmap -p 1-1000 h; mysql -p",
        "curl -X POST -H 'a: b' https://h/; kubectl -n x get pods",
        "GET /x?code=404&page=2; error code=ECONNREFUSED",
        r#"{"PolicyName":"harden-mysql-pkg-manager","PodName":"mysql-74775b4bf4-65nqf"}"#,
        r#"{"falco.rules.Search_Private_Keys_or_Passwords":0,"passwords":3}"#,
        "--kubelet-client-key string  Path to a client key file",
        "image docker.io/library/mysql:5.6 pulled by docker",
        "labelSelector=app%3Dweb&fieldSelector=spec.nodeName%3Dn1",
        "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
        r#"{"containerID":"containerd://2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"}"#,
        r#"{"m":"namespaces/kube-system/serviceaccounts/deployment-controller/abcdefghijklmnop"}"#,
        r#"{"ca":"LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUI="}"#,
        "<element>text</element> kind: Secret is a word",
        r#"{"bytes":[1,2,3,4,5,6,7,8],"__CURSOR":"1","MESSAGE":[104,101,108,108,111,32,119,111,114,108,100]}"#,
        "metrics.k8s.io.v1beta1 kernel.example0123456789 a.b.c",
    ] {
        assert_eq!(masked(text), text);
    }
}

/// An encoding that a decoder opens, or a part of a record in which another is found.
fn encode(form: u8, text: &str) -> String {
    match form {
        0 => text.bytes().map(|byte| format!("%{byte:02x}")).collect(),
        1 => format!("proctitle={}", hex(text)),
        2 => base64(text.as_bytes()),
        3 => base64(&text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()),
        4 => text.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect(),
        5 => serde_json::to_string(&serde_json::json!({ "m": text })).unwrap(),
        _ => text.to_owned(),
    }
}

proptest! {
    #[test]
    fn a_secret_is_gone_whatever_it_is_written_in(
        secret in "Zq[a-zA-Z0-9]{8,20}Qz",
        name in prop::sample::select(vec!["password=", "token=", "DB_PASS=", "mysql -p", "curl -u a:"]),
        inner in 0u8..6,
        outer in 0u8..6,
    ) {
        let text = encode(outer, &encode(inner, &format!("run {name}{secret} now")));
        let got = mask(text.as_bytes()).text.into_owned();
        let got = String::from_utf8(got).unwrap();
        for form in 0..7 {
            let whole = encode(form, &secret);
            let part = whole.strip_prefix("proctitle=").unwrap_or(&whole);
            prop_assert!(!got.contains(part), "{text} -> {got}");
        }
        prop_assert_ne!(got, text);
    }

    #[test]
    fn any_text_ends_in_reasonable_time(words in prop::collection::vec(prop::sample::select(vec![
        "kind: Secret\n", "data:\n", " a: b\n", "execve ", "argc=1 ", "a0=", "\"", "%41", "\\u0041", "[1,2,3,4,5,6,7,8", "command=", "?",
        "&", "QUJDREVGR0hJSktMTU5PUA", "mysql -p", "curl ", "password: |\n", "<password ", "value=", "@tcp(", "__CURSOR", "'", "\\",
        "-----BEGIN PRIVATE KEY-----", "Cookie: ", "eyJhbGciOiJI.", "echo ", "| sudo -S", "\"keyName\":\"key1\"", "{", "}", "]",
    ]), 0..60)) {
        let text = words.concat();
        let once = mask(text.as_bytes()).text.into_owned();
        prop_assert!(mask(&once).text.len() <= 4 * text.len() + 100);
    }
}
