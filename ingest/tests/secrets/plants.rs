//! Records with a secret in them: of every source, and in every encoding that a decoder opens.

use casebook_event::Source;

use super::forms::{base64, hex, numbers, percent};

/// The secret that is planted. It has letters and digits alone, so that its forms are what they are in every encoding.
pub const PASSWORD: &str = "Zq7vTr0ub4dorQz9";

/// Records with a secret.
pub struct Plant {
    pub what: &'static str,
    pub source: Source,
    pub records: Vec<Vec<u8>>,
    /// The event's identity is its content.
    pub by_content: bool,
}

fn audit(rest: &str) -> String {
    format!(
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"x","stage":"ResponseComplete","verb":"create","user":{{"username":"u"}},"stageTimestamp":"2026-11-20T10:00:00Z","requestReceivedTimestamp":"2026-11-20T10:00:00Z",{rest}}}"#
    )
}

const PODS: &str = r#""objectRef":{"resource":"pods","subresource":"exec","namespace":"n","name":"p"}"#;
const SECRETS: &str = r#""objectRef":{"resource":"secrets","namespace":"n","name":"s"}"#;

fn one(what: &'static str, source: Source, record: String) -> Plant {
    Plant {
        what,
        source,
        records: vec![record.into_bytes()],
        by_content: false,
    }
}

fn by_content(what: &'static str, source: Source, record: String) -> Plant {
    Plant {
        by_content: true,
        ..one(what, source, record)
    }
}

/// All of them.
pub fn all(secret: &str) -> Vec<Plant> {
    [kubernetes(secret), clouds(secret), machines(secret), containers(secret)]
        .into_iter()
        .flatten()
        .collect()
}

fn kubernetes(secret: &str) -> Vec<Plant> {
    use Source::KubernetesAudit;
    let uri = |query: &str| {
        audit(&format!(
            r#"{PODS},"requestURI":"/api/v1/namespaces/n/pods/p/exec?{query}""#
        ))
    };
    let body = |object: &str, body: &str| audit(&format!(r#"{object},"requestURI":"/x","requestObject":{body}"#));
    let data = base64(format!("secret value {secret} here").as_bytes());
    let applied = serde_json::json!({ "kind": "Secret", "data": { "a": data } }).to_string();
    let annotation = serde_json::json!({ "kind": "Secret", "metadata": { "annotations": { "kubectl.kubernetes.io/last-applied-configuration": applied } } });
    vec![
        one(
            "exec, percent-encoded",
            KubernetesAudit,
            uri(&format!("command=mysql&command=--password%3D{secret}")),
        ),
        one(
            "exec, all percent-encoded",
            KubernetesAudit,
            uri(&format!(
                "command=mysql&command={}",
                percent(&format!("--password={secret}"))
            )),
        ),
        one(
            "exec, option and value",
            KubernetesAudit,
            uri(&format!(
                "command=mysql\\u0026command=--password\\u0026command={secret}"
            )),
        ),
        one(
            "exec, a shell's line",
            KubernetesAudit,
            uri(&format!("command=sh&command=-c&command=mysql+-p{secret}+app")),
        ),
        one(
            "exec, base64",
            KubernetesAudit,
            uri(&format!(
                "command=sh&command=-c&command=echo+{}%7Cbase64+-d",
                base64(format!("password={secret}").as_bytes()).replace('=', "%3D")
            )),
        ),
        one(
            "a Secret",
            KubernetesAudit,
            body(
                SECRETS,
                &format!(r#"{{"kind":"Secret","data":{{"a":"{data}"}},"stringData":{{"b":"{secret}"}}}}"#),
            ),
        ),
        one(
            "a Secret in its annotation",
            KubernetesAudit,
            body(SECRETS, &annotation.to_string()),
        ),
        one(
            "a patch of all data",
            KubernetesAudit,
            body(
                SECRETS,
                &format!(r#"[{{"op":"add","path":"/data","value":{{"k":"{secret}"}}}}]"#),
            ),
        ),
        one(
            "a patch of the whole",
            KubernetesAudit,
            body(
                SECRETS,
                &format!(r#"[{{"op":"replace","path":"","value":{{"stringData":{{"k":"{secret}"}}}}}}]"#),
            ),
        ),
        one(
            "value before name",
            KubernetesAudit,
            body(
                PODS,
                &format!(r#"{{"spec":{{"containers":[{{"env":[{{"value":"{secret}","name":"DB_PASSWORD"}}]}}]}}}}"#),
            ),
        ),
        one(
            "a pod's command",
            KubernetesAudit,
            body(
                PODS,
                &format!(r#"{{"spec":{{"containers":[{{"command":["curl","-u","a:{secret}"]}}]}}}}"#),
            ),
        ),
        one(
            "escaped letters",
            KubernetesAudit,
            body(
                PODS,
                &format!(r#"{{"p\u0061ssword":"{secret}","x":"token\u003d{secret}"}}"#),
            ),
        ),
        one(
            "a token request",
            KubernetesAudit,
            body(
                PODS,
                &format!(
                    r#"{{"kind":"TokenRequest","status":{{"token":"eyJhbGciOiJSUzI1NiJ9.{}.{secret}"}}}}"#,
                    base64(format!("{{\"a\":\"{secret}\"}}").as_bytes()).trim_end_matches('=')
                ),
            ),
        ),
        one(
            "a cut record",
            KubernetesAudit,
            format!(
                r#"{{"kind":"Event","auditID":"x","stage":"ResponseComplete","verb":"create","requestReceivedTimestamp":"2026-11-20T10:00:00Z",{SECRETS},"requestObject":{{"kind":"Secret","data":{{"a":"{data}"#
            ),
        ),
        one(
            "a message of an event",
            Source::KubernetesEvent,
            format!(
                r#"{{"kind":"Event","apiVersion":"v1","metadata":{{"name":"e","namespace":"n","uid":"u"}},"involvedObject":{{"kind":"Pod","name":"p"}},"reason":"Failed","message":"mysql -p{secret} failed","lastTimestamp":"2026-11-20T10:00:00Z"}}"#
            ),
        ),
    ]
}

fn clouds(secret: &str) -> Vec<Plant> {
    let gcp = format!(
        r#"{{"insertId":"1","logName":"projects/p/logs/cloudaudit.googleapis.com%2Factivity","timestamp":"2026-11-20T10:00:00Z","protoPayload":{{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","serviceName":"sql","methodName":"users.insert","authenticationInfo":{{"principalEmail":"a@b"}},"request":{{"password":"{secret}"}}}}}}"#
    );
    let pub_sub = format!(
        r#"{{"message":{{"data":"{}","messageId":"1","publishTime":"2026-11-20T10:00:00Z"}},"subscription":"s"}}"#,
        base64(gcp.as_bytes())
    );
    let not_text = base64(&[format!("password={secret} ").as_bytes(), b"\xff\xfe\xfd"].concat());
    let cloudtrail = |request: &str| {
        format!(
            r#"{{"eventVersion":"1.08","eventTime":"2026-11-20T10:00:00Z","eventSource":"iam.amazonaws.com","eventName":"CreateLoginProfile","eventID":"e","awsRegion":"r","userIdentity":{{"type":"IAMUser"}},"requestParameters":{request}}}"#
        )
    };
    let azure = |body: &str| {
        format!(
            r#"{{"time":"2026-11-20T10:00:00Z","operationName":"MICROSOFT.STORAGE/STORAGEACCOUNTS/LISTKEYS/ACTION","category":"Administrative","resultType":"Success","resourceId":"/subscriptions/s/resourceGroups/g","correlationId":"c","properties":{{"responseBody":{body}}}}}"#
        )
    };
    let keys = serde_json::json!({ "keys": [{ "value": format!("{secret}{secret}=="), "keyName": "key1", "permissions": "FULL" }] });
    vec![
        one("Cloud Audit", Source::GcpAudit, gcp),
        one("Cloud Audit in Pub/Sub", Source::GcpAudit, pub_sub),
        one(
            "Pub/Sub that is no text",
            Source::GcpAudit,
            format!(r#"{{"message":{{"data":"{not_text}","messageId":"1"}}}}"#),
        ),
        one(
            "CloudTrail",
            Source::CloudTrail,
            cloudtrail(&format!(r#"{{"password":"{secret}"}}"#)),
        ),
        one(
            "CloudTrail, user data",
            Source::CloudTrail,
            cloudtrail(&format!(
                r#"{{"userData":"{}"}}"#,
                base64(format!("#!/bin/sh\nexport DB_PASS={secret}\n").as_bytes())
            )),
        ),
        one("a key listing", Source::AzureActivity, azure(&keys.to_string())),
        one(
            "a key listing in a string",
            Source::AzureActivity,
            azure(&serde_json::to_string(&keys.to_string()).unwrap()),
        ),
    ]
}

fn machines(secret: &str) -> Vec<Plant> {
    let plain = format!("mysql --password={secret} app");
    let journal = |message: &str| {
        format!(
            r#"{{"MESSAGE":{message},"__REALTIME_TIMESTAMP":"1763632800000000","_HOSTNAME":"h","__CURSOR":"1","SYSLOG_IDENTIFIER":"app"}}"#
        )
    };
    let record = |kind: &str, rest: &str| format!("type={kind} msg=audit(1763632800.123:77): {rest}");
    let lines = |what, lines: Vec<String>| Plant {
        what,
        source: Source::Auditd,
        records: lines.into_iter().map(String::into_bytes).collect(),
        by_content: false,
    };
    vec![
        one(
            "a journal's text",
            Source::Journald,
            journal(&format!("\"login password={secret}\"")),
        ),
        one(
            "a journal's bytes",
            Source::Journald,
            journal(&format!(
                "[{}]",
                numbers(format!("\u{1b}[31mlogin password={secret}").as_bytes())
            )),
        ),
        one(
            "a journal's audit record",
            Source::Journald,
            journal(&format!("\"USER_CMD pid=1 msg='cmd={} exe=x'\"", hex(plain.as_bytes()))),
        ),
        lines(
            "a title",
            vec![
                record(
                    "SYSCALL",
                    "arch=c000003e syscall=59 success=yes exit=0 pid=1 comm=\"mysql\" exe=\"/bin/mysql\"",
                ),
                record(
                    "PROCTITLE",
                    &format!("proctitle={}", hex(plain.replace(' ', "\0").as_bytes())),
                ),
            ],
        ),
        lines(
            "an argument in digits",
            vec![
                record("SYSCALL", "arch=c000003e syscall=59 success=yes pid=1"),
                record(
                    "EXECVE",
                    &format!("argc=3 a0=\"sh\" a1=\"-c\" a2={}", hex(plain.as_bytes())),
                ),
                record("PROCTITLE", "proctitle=\"sh\""),
            ],
        ),
        lines(
            "an argument after its option",
            vec![
                record(
                    "EXECVE",
                    &format!(
                        "argc=3 a0=\"mysql\" a1=\"--password\" a2={}",
                        hex(format!("{secret} x").as_bytes())
                    ),
                ),
                record("EOE", ""),
            ],
        ),
        lines(
            "a command of sudo",
            vec![record(
                "USER_CMD",
                &format!(
                    "pid=1 uid=0 msg='cwd=\"/\" cmd={} terminal=pts/0 res=success'",
                    hex(plain.as_bytes())
                ),
            )],
        ),
        by_content(
            "sudo",
            Source::Auth,
            format!(
                "2026-11-20T10:00:00Z h sudo: a : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/curl -u a:{secret} https://h"
            ),
        ),
        by_content(
            "kubelet",
            Source::Kubelet,
            format!("I1120 10:00:00.000000    1234 kubelet.go:1] \"Probe failed\" output=\"curl -u a:{secret}\""),
        ),
        by_content(
            "a request",
            Source::WebAccess,
            format!(
                "10.0.0.1 - - [20/Nov/2026:10:00:00 +0000] \"GET /cb?code={secret}&password={} HTTP/1.1\" 200 1 \"-\" \"x\"",
                percent(secret)
            ),
        ),
        by_content(
            "a request's body",
            Source::WebAccess,
            format!(
                "10.0.0.1 - - [20/Nov/2026:10:00:00 +0000] \"POST /x HTTP/1.1\" 200 1 \"{{\\x22password\\x22:\\x22{secret}\\x22}}\" \"x\""
            ),
        ),
    ]
}

fn containers(secret: &str) -> Vec<Plant> {
    let cri = |message: &str| format!("2026-11-20T10:00:00.000000001Z stdout F {message}");
    let otlp = |record: &str| {
        format!(
            r#"{{"resourceLogs":[{{"resource":{{"attributes":[]}},"scopeLogs":[{{"logRecords":[{{"timeUnixNano":"1763632800000000000",{record}}}]}}]}}]}}"#
        )
    };
    vec![
        by_content("a line", Source::ContainerLog, cri(&format!("login password={secret}"))),
        by_content(
            "JSON in a line",
            Source::ContainerLog,
            cri(&format!(r#"{{"msg":"{{\"token\":\"{secret}\"}}"}}"#)),
        ),
        by_content(
            "a cookie",
            Source::ContainerLog,
            cri(&format!("Cookie: session={secret}; a=b")),
        ),
        by_content(
            "YAML",
            Source::Application,
            format!(r#"{{"@timestamp":"2026-11-20T10:00:00Z","message":"password: |\n  {secret}\n"}}"#),
        ),
        by_content(
            "XML",
            Source::Application,
            format!(r#"{{"@timestamp":"2026-11-20T10:00:00Z","message":"<password>{secret}</password>"}}"#),
        ),
        by_content(
            "a text",
            Source::Application,
            format!("2026-11-20T10:00:00Z ERROR dsn root:{secret}@tcp(db:3306)/app"),
        ),
        by_content(
            "OTLP, an attribute",
            Source::Application,
            otlp(&format!(
                r#""body":{{"stringValue":"x"}},"attributes":[{{"key":"db.password","value":{{"stringValue":"{secret}"}}}}]"#
            )),
        ),
        one(
            "OTLP, a body",
            Source::Application,
            otlp(&format!(
                r#""body":{{"kvlistValue":{{"values":[{{"value":{{"stringValue":"{secret}"}},"key":"token"}}]}}}}"#
            )),
        ),
        by_content(
            "base64 in a record",
            Source::Application,
            format!(
                r#"{{"@timestamp":"2026-11-20T10:00:00Z","message":"x","data":"{}"}}"#,
                base64(format!("{{\"password\":\"{secret}\"}}").as_bytes())
            ),
        ),
        one(
            "Falco",
            Source::Falco,
            format!(
                r#"{{"time":"2026-11-20T10:00:00Z","rule":"r","priority":"Notice","output":"x (command=mysql -p{secret} app)","output_fields":{{"proc.cmdline":"mysql -p{secret} app"}},"hostname":"h"}}"#
            ),
        ),
        one(
            "Tetragon",
            Source::Tetragon,
            format!(
                r#"{{"process_exec":{{"process":{{"exec_id":"x","pid":1,"binary":"/usr/bin/curl","arguments":"-s -u a:{secret} https://h","start_time":"2026-11-20T10:00:00Z"}}}},"node_name":"n","time":"2026-11-20T10:00:00Z"}}"#
            ),
        ),
        one(
            "a changed file",
            Source::FileIntegrity,
            format!(
                r#"{{"@timestamp":"2026-11-20T10:00:00Z","event":{{"module":"file_integrity","action":["updated"],"kind":"event"}},"file":{{"path":"/etc/app.conf"}},"diff":"password={secret}"}}"#
            ),
        ),
        one(
            "statistics",
            Source::ContainerStats,
            format!(
                r#"{{"read":"2026-11-20T10:00:00Z","name":"/web","id":"0123456789ab","cpu_stats":{{"cpu_usage":{{"total_usage":1}}}},"labels":{{"password":"{secret}"}}}}"#
            ),
        ),
    ]
}
