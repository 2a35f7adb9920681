//! What each writer may choose, and what is made of it: the rows of `docs/trust.md`, by the way that records really take.

use std::collections::BTreeSet;

use base64::Engine as _;
use casebook_event::{Event, EventId, FieldId, Source};

use super::decode;
use crate::decode::*;

fn events(source: Source, payload: &str) -> Vec<Event> {
    let batch = decode(SourceKind::Source(source), payload.as_bytes());
    assert_eq!(batch.dead_letters, [], "{payload}");
    batch.events
}

fn event(source: Source, payload: &str) -> Event {
    let mut events = events(source, payload);
    assert_eq!(events.len(), 1, "{payload}");
    events.pop().unwrap()
}

fn id(source: Source, payload: &str) -> EventId {
    event(source, payload).id
}

/// Each change makes it another event; the record itself, given twice, stays one.
fn differs(source: Source, record: &str, changes: &[(&str, &str)]) {
    let first = id(source, record);
    assert_eq!(id(source, record), first);
    for (from, to) in changes {
        assert!(record.contains(from), "{from} in {record}");
        assert_ne!(id(source, &record.replace(from, to)), first, "{from} → {to}");
    }
}

const READ: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"mine","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/bank/secrets/vault","verb":"get","user":{"username":"eve","groups":["system:authenticated"]},"sourceIPs":["198.51.100.9"],"userAgent":"curl/8","objectRef":{"resource":"secrets","namespace":"bank","name":"vault","apiVersion":"v1"},"responseStatus":{"metadata":{},"code":200},"requestReceivedTimestamp":"2026-05-04T08:00:00.000001Z","stageTimestamp":"2026-05-04T08:00:00.000009Z"}"#;

#[test]
fn every_way_an_audit_event_comes_gives_one_identity() {
    let text = serde_json::to_string(READ).unwrap();
    let base64 = base64::engine::general_purpose::STANDARD.encode(READ);
    let reordered = READ
        .replace(r#""auditID":"mine","#, "")
        .replace(r#"{"kind""#, r#"{ "auditID" : "mine", "kind""#);
    let first = id(Source::KubernetesAudit, READ);
    for (way, record) in [
        (
            "the webhook's list",
            format!(r#"{{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{{}},"items":[{READ}]}}"#),
        ),
        ("another order of keys", reordered),
        (
            "Fluent Bit's object",
            format!(r#"{{"@timestamp":1777881600.5,"log":{text},"host":"cp-1"}}"#),
        ),
        (
            "EKS: a CloudWatch subscription",
            format!(
                r#"{{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"/aws/eks/c1/cluster","logStream":"kube-apiserver-audit-1",
                "logEvents":[{{"id":"7","timestamp":1777881600000,"message":{text}}}]}}"#
            ),
        ),
        (
            "AKS: a resource log",
            format!(
                r#"{{"records":[{{"time":"2026-05-04T08:00:01Z","category":"kube-audit","operationName":"x","resourceId":"/SUBSCRIPTIONS/s/RESOURCEGROUPS/g/PROVIDERS/MICROSOFT.CONTAINERSERVICE/MANAGEDCLUSTERS/c1",
                "properties":{{"log":{text},"stream":"stdout","pod":"kube-apiserver-1"}}}}]}}"#
            ),
        ),
        (
            "Pub/Sub",
            format!(r#"{{"message":{{"data":"{base64}","messageId":"1","publishTime":"2026-05-04T08:00:01Z"}}}}"#),
        ),
        (
            "SNS",
            format!(r#"{{"Type":"Notification","Message":{text},"Timestamp":"2026-05-04T08:00:01Z"}}"#),
        ),
    ] {
        let event = event(Source::KubernetesAudit, &record);
        assert_eq!(event.id, first, "{way}");
        assert_eq!(event.time.to_string(), "2026-05-04T08:00:00.000009Z", "{way}");
    }
}

#[test]
fn a_record_cut_before_its_times_takes_the_time_of_what_carried_it() {
    let cut = |body: &str, time: &str| {
        let log = format!(
            r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"mine","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/n/pods","verb":"create","user":{{"username":"eve"}},"objectRef":{{"resource":"pods","namespace":"n"}},"requestObject":{{"metadata":{{"annotations":{{"a":"{body}"#
        );
        let log = serde_json::to_string(&log).unwrap();
        event(
            Source::KubernetesAudit,
            &format!(
                r#"{{"records":[{{"time":"{time}","category":"kube-audit","operationName":"x","resourceId":"/SUBSCRIPTIONS/s/RESOURCEGROUPS/g/PROVIDERS/MICROSOFT.CONTAINERSERVICE/MANAGEDCLUSTERS/c1","properties":{{"log":{log}}}}}]}}"#
            ),
        )
    };
    let first = cut("aaaa", "2026-05-04T08:00:00.125Z");
    assert_eq!(first.time.to_string(), "2026-05-04T08:00:00.125Z");
    assert_eq!(first.fields.str(FieldId::UserName), Some("eve"));
    assert_eq!(first.fields.str(FieldId::Truncated), Some("true"));
    assert_eq!(first.fields.str(FieldId::TimeOrigin), Some("envelope"));
    assert_eq!(cut("aaaa", "2026-05-04T08:00:00.125Z").id, first.id, "delivered twice");
    assert_ne!(
        cut("aaab", "2026-05-04T08:00:00.125Z").id,
        first.id,
        "two bodies in one millisecond"
    );
    assert_ne!(cut("aaaa", "2026-05-04T08:00:00.126Z").id, first.id);
    let whole = READ.replace(
        r#""requestReceivedTimestamp":"2026-05-04T08:00:00.000001Z","stageTimestamp":"2026-05-04T08:00:00.000009Z""#,
        r#""level":"Request""#,
    );
    let refused = decode(SourceKind::Source(Source::KubernetesAudit), whole.as_bytes());
    assert_eq!(
        refused.dead_letters[0].reason, "no_timestamp",
        "a whole record has its times"
    );
}

#[test]
fn the_row_says_by_which_definition_its_id_was_made() {
    let version = |source, record: &str| {
        let event = event(source, record);
        event
            .fields
            .get(FieldId::IdentityVersion)
            .and_then(casebook_event::Value::as_i64)
    };
    assert_eq!(version(Source::KubernetesAudit, READ), Some(2));
    assert_eq!(version(Source::CloudTrail, TRAIL), None);
}

#[test]
fn a_method_that_the_api_has_no_verb_for_is_an_event() {
    let event = event(
        Source::KubernetesAudit,
        &READ.replace(r#""verb":"get""#, r#""verb":"""#),
    );
    assert_eq!(event.fields.get(FieldId::EventAction), None);
    assert_eq!(event.fields.str(FieldId::UserName), Some("eve"));
}

const TRAIL: &str = r#"{"eventID":"e-1","eventTime":"2026-05-04T08:00:00Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","userIdentity":{"type":"AssumedRole","principalId":"AROAX:admin","arn":"arn:aws:sts::1:assumed-role/reader/admin","sessionContext":{"sessionIssuer":{"type":"Role","userName":"reader"}}}}"#;

#[test]
fn a_trail_s_event_id_is_the_identity() {
    differs(Source::CloudTrail, TRAIL, &[(r#""e-1""#, r#""e-2""#)]);
    assert_eq!(
        id(Source::CloudTrail, &format!(r#"{{"Records":[{TRAIL}]}}"#)),
        id(Source::CloudTrail, TRAIL)
    );
}

#[test]
fn a_role_s_session_name_is_not_the_user() {
    let event = event(Source::CloudTrail, TRAIL);
    assert_eq!(event.fields.str(FieldId::UserName), Some("reader"));
    assert_eq!(event.fields.str(FieldId::SessionId), Some("admin"));
}

#[test]
fn an_entry_under_another_s_insert_id_is_another_event() {
    let entry = r#"{"insertId":"i","logName":"projects/p/logs/cloudaudit.googleapis.com%2Factivity","timestamp":"2026-05-04T08:00:00.5Z","resource":{"labels":{"project_id":"p"}},"protoPayload":{"serviceName":"iam.googleapis.com","methodName":"SetPolicy","resourceName":"projects/p","authenticationInfo":{"principalEmail":"a@x.example"},"requestMetadata":{"callerIp":"198.51.100.9"}}}"#;
    differs(
        Source::GcpAudit,
        entry,
        &[
            ("cloudaudit.googleapis.com", "mine"),
            ("SetPolicy", "GetPolicy"),
            ("a@x.example", "b@x.example"),
            ("198.51.100.9", "198.51.100.8"),
            (r#""resourceName":"projects/p""#, r#""resourceName":"projects/q""#),
            (r#""insertId":"i""#, r#""insertId":"j""#),
        ],
    );
    let data = base64::engine::general_purpose::STANDARD.encode(entry);
    let message = format!(r#"{{"message":{{"data":"{data}","messageId":"1","publishTime":"2026-05-04T08:00:01Z"}}}}"#);
    assert_eq!(id(Source::GcpAudit, &message), id(Source::GcpAudit, entry));
}

#[test]
fn one_correlation_id_for_differing_operations_is_as_many_events() {
    let record = r#"{"time":"2026-05-04T08:00:00.1234567Z","resourceId":"/SUBSCRIPTIONS/S/RESOURCEGROUPS/G/PROVIDERS/MICROSOFT.COMPUTE/VIRTUALMACHINES/V","operationName":"MICROSOFT.COMPUTE/VIRTUALMACHINES/DELETE","category":"Administrative","resultType":"Start","resultSignature":"Started.","callerIpAddress":"198.51.100.9","caller":"eve@x.example","correlationId":"mine"}"#;
    differs(
        Source::AzureActivity,
        record,
        &[
            ("VIRTUALMACHINES/V", "VIRTUALMACHINES/W"),
            ("MACHINES/DELETE", "MACHINES/WRITE"),
            (".1234567Z", ".1234568Z"),
            ("eve@", "eva@"),
            ("198.51.100.9", "198.51.100.8"),
            (r#""Start""#, r#""Success""#),
            ("Started.", "Accepted."),
            ("mine", "yours"),
        ],
    );
}

#[test]
fn an_event_that_repeats_another_s_uid_is_another_event() {
    let record = r#"{"kind":"Event","metadata":{"name":"web.1","namespace":"n","uid":"u","creationTimestamp":"2026-05-04T08:00:00Z"},"reason":"Killing","message":"Stopping container a","involvedObject":{"kind":"Pod","name":"web","namespace":"n","uid":"p"},"lastTimestamp":"2026-05-04T08:00:00Z","count":1}"#;
    differs(
        Source::KubernetesEvent,
        record,
        &[
            ("container a", "container b"),
            ("Killing", "Pulled"),
            (r#""uid":"p""#, r#""uid":"q""#),
            (r#""count":1"#, r#""count":2"#),
        ],
    );
}

#[test]
fn an_event_is_not_older_than_its_creation() {
    let at = |last: &str| {
        let record = format!(
            r#"{{"kind":"Event","metadata":{{"name":"w","namespace":"n","uid":"u","creationTimestamp":"2026-05-04T08:00:00Z"}},"reason":"r","message":"m","involvedObject":{{"kind":"Pod","name":"w"}},"lastTimestamp":"{last}"}}"#
        );
        let event = event(Source::KubernetesEvent, &record);
        let origin = event.fields.str(FieldId::TimeOrigin).unwrap_or_default().to_owned();
        (event.time.to_string(), origin)
    };
    assert_eq!(
        at("2026-01-01T00:00:00Z"),
        ("2026-05-04T08:00:00Z".into(), "created".into())
    );
    // The broker of these tests had them in 2023.
    assert_eq!(
        at("2026-05-04T07:58:00Z"),
        ("2026-05-04T07:58:00Z".into(), "ahead".into())
    );
    assert_eq!(
        at("2026-05-04T09:00:00Z"),
        ("2026-05-04T09:00:00Z".into(), "ahead".into())
    );
}

#[test]
fn nodes_that_do_not_name_themselves_are_distinguished_by_what_carried_the_record() {
    let line = "type=USER_LOGIN msg=audit(1777881600.100:903): pid=80 uid=0 auid=1000 ses=4 msg='op=login acct=\\\"a\\\" res=failed'";
    let of = |host: &str| id(Source::Auditd, &format!(r#"{{"log":"{line}","host":"{host}"}}"#));
    assert_ne!(of("node-1"), of("node-2"));
    assert_eq!(of("node-1"), of("node-1"));
    let named = |host: &str| {
        id(
            Source::Auditd,
            &format!(r#"{{"log":"node=n9 {line}","host":"{host}"}}"#),
        )
    };
    assert_eq!(
        named("node-1"),
        named("node-2"),
        "a node's own name counts where there is one"
    );
}

#[test]
fn one_uuid_for_differing_alerts_is_as_many_events() {
    let record = r#"{"uuid":"mine","rule":"R","priority":"Notice","hostname":"n1","time":"2026-05-04T08:00:00.000000001Z","output":"o","output_fields":{"proc.name":"sh"}}"#;
    differs(
        Source::Falco,
        record,
        &[
            (r#""rule":"R""#, r#""rule":"S""#),
            ("000000001Z", "000000002Z"),
            ("n1", "n2"),
            (r#""output":"o""#, r#""output":"p""#),
            ("mine", "yours"),
        ],
    );
}

#[test]
fn a_hook_in_one_process_is_distinguished_by_time_and_arguments() {
    let record = r#"{"process_kprobe":{"process":{"exec_id":"x","pid":7,"binary":"/bin/cat"},"function_name":"security_file_permission","args":[{"file_arg":{"path":"/etc/shadow"}}],"policy_name":"p"},"node_name":"n1","time":"2026-05-04T08:00:00.000000001Z"}"#;
    differs(
        Source::Tetragon,
        record,
        &[
            ("000000001Z", "000000002Z"),
            ("/etc/shadow", "/etc/passwd"),
            ("n1", "n2"),
            (r#""x""#, r#""y""#),
        ],
    );
}

#[test]
fn a_container_s_line_is_distinguished_by_the_runtime_s_time() {
    differs(
        Source::ContainerLog,
        "2026-05-04T08:00:00.000000001Z stdout F login failed",
        &[
            ("000000001Z", "000000002Z"),
            ("stdout", "stderr"),
            ("failed", "refused"),
        ],
    );
}

#[test]
fn a_time_in_the_text_of_a_container_is_not_its_time() {
    let line = r#"2026-05-04T08:00:00.5Z stdout F {"time":"1999-01-01T00:00:00Z","msg":"m"}"#;
    assert_eq!(
        event(Source::ContainerLog, line).time.to_string(),
        "2026-05-04T08:00:00.500Z"
    );
}

#[test]
fn equal_lines_at_two_offsets_of_a_file_are_two_events() {
    let line = r#"198.51.100.9 - - [04/May/2026:08:00:00 +0000] \"POST /login HTTP/1.1\" 401 5 \"-\" \"curl/8\""#;
    let at = |offset: &str, host: &str| {
        let record = format!(
            r#"{{"@timestamp":"2026-05-04T08:00:09Z","message":"{line}","host":{{"name":"{host}"}},"agent":{{"type":"filebeat"}},{offset}}}"#
        );
        id(Source::WebAccess, &record)
    };
    let nested = |offset: u32| {
        at(
            &format!(r#""log":{{"offset":{offset},"file":{{"path":"/var/log/nginx/access.log"}}}}"#),
            "web-1",
        )
    };
    assert_ne!(nested(0), nested(96), "two requests");
    assert_eq!(nested(96), nested(96), "one line that was sent twice");
    let flat = |offset: u32, host: &str| {
        at(
            &format!(r#""offset":{offset},"file":"/var/log/nginx/access.log""#),
            host,
        )
    };
    assert_ne!(flat(0, "web-1"), flat(96, "web-1"));
    assert_ne!(flat(96, "web-1"), flat(96, "web-2"), "two machines");
    let unknown = || at(r#""file":"/var/log/nginx/access.log""#, "web-1");
    assert_eq!(unknown(), unknown());
    let syslog = |offset: u32| {
        let record = format!(
            r#"{{"message":"2026-05-04T08:00:00+00:00 h sudo: pam_unix(sudo:auth): authentication failure","offset":{offset},"file":"/var/log/auth.log"}}"#
        );
        id(Source::Auth, &record)
    };
    assert_ne!(syslog(0), syslog(80));
    assert_eq!(syslog(80), syslog(80));
}

#[test]
fn one_number_of_two_changes_is_two_events() {
    let record = r#"{"id":"1777881600.1","timestamp":"2026-05-04T08:00:00.000+0000","manager":{"name":"m"},"agent":{"id":"001","name":"n1"},"syscheck":{"path":"/etc/passwd","event":"modified"},"rule":{"id":"550"}}"#;
    differs(
        Source::FileIntegrity,
        record,
        &[("/etc/passwd", "/etc/shadow"), ("001", "002"), ("\"m\"", "\"m2\"")],
    );
}

#[test]
fn a_statistic_is_of_one_container_at_one_time() {
    let record = r#"{"node":{"nodeName":"n1","cpu":{"time":"2026-05-04T08:00:00Z","usageNanoCores":5}},"pods":[{"podRef":{"name":"p","namespace":"n","uid":"u"},"containers":[{"name":"c","cpu":{"time":"2026-05-04T08:00:00Z","usageNanoCores":5,"usageCoreNanoSeconds":9}}]}]}"#;
    let ids = |record: &str| {
        events(Source::ContainerStats, record)
            .iter()
            .map(|event| event.id)
            .collect::<BTreeSet<_>>()
    };
    assert!(!ids(record).is_empty());
    assert_eq!(ids(record), ids(record));
    assert_ne!(ids(record), ids(&record.replace("08:00:00Z", "08:00:10Z")));
    assert_ne!(ids(record), ids(&record.replace(r#""name":"c""#, r#""name":"d""#)));
}

fn journal(more: &str) -> String {
    format!(
        r#"{{"__CURSOR":"s=1;i=2","__REALTIME_TIMESTAMP":"1777881600000001","_HOSTNAME":"n1","_MACHINE_ID":"m",{more}}}"#
    )
}

#[test]
fn a_cursor_is_the_identity_of_a_journal_entry() {
    let entry = journal(r#""SYSLOG_IDENTIFIER":"x","MESSAGE":"m""#);
    differs(Source::Journald, &entry, &[("i=2", "i=3")]);
}

#[test]
fn a_journal_entry_s_time_is_the_journal_s() {
    let entry = journal(r#""SYSLOG_TIMESTAMP":"Jan  1 00:00:00 ","SYSLOG_IDENTIFIER":"x","MESSAGE":"m""#);
    assert_eq!(
        event(Source::Journald, &entry).time.to_string(),
        "2026-05-04T08:00:00.000001Z"
    );
}

#[test]
fn a_forged_login_in_the_journal_is_a_text() {
    let login = |writer: &str| {
        let message = "Accepted password for root from 198.51.100.9 port 4 ssh2";
        event(
            Source::Journald,
            &journal(&format!(
                r#""SYSLOG_IDENTIFIER":"sshd","_COMM":"sshd","MESSAGE":"{message}",{writer}"#
            )),
        )
    };
    let forged = login(r#""_EXE":"/usr/bin/logger","_UID":"1000""#);
    assert_eq!(forged.source, Source::Journald);
    assert_eq!(forged.fields.str(FieldId::UserName), None);
    assert_eq!(forged.fields.str(FieldId::SourceIp), None);
    assert_eq!(
        forged.fields.str(FieldId::UserId),
        Some("1000"),
        "who wrote it is the kernel's to say"
    );
    let claimed = forged
        .fields
        .get(FieldId::Claimed)
        .map(|claimed| claimed.to_text().into_owned());
    assert_eq!(claimed.as_deref(), Some(r#"["program:sshd"]"#));
    assert!(forged.fields.str(FieldId::Message).unwrap().contains("198.51.100.9"));
    // The process is gone already: what is left is that it was no daemon's.
    assert_eq!(login(r#""_UID":"1000""#).source, Source::Journald);
    let real = login(r#""_EXE":"/usr/sbin/sshd","_UID":"0""#);
    assert_eq!(real.source, Source::Auth);
    assert_eq!(real.fields.str(FieldId::UserName), Some("root"));
    assert_eq!(real.fields.get(FieldId::Claimed), None);
}

#[test]
fn a_forged_container_in_the_journal_is_a_claim() {
    let entry = |writer: &str| {
        event(
            Source::Journald,
            &journal(&format!(
                r#""SYSLOG_IDENTIFIER":"x","MESSAGE":"m","CONTAINER_ID_FULL":"0123456789abcdef","CONTAINER_NAME":"bank",{writer}"#
            )),
        )
    };
    let forged = entry(r#""_EXE":"/usr/bin/python3","_UID":"1000""#);
    assert_eq!(forged.fields.str(FieldId::ContainerId), None);
    assert_eq!(forged.fields.str(FieldId::ContainerName), None);
    let claimed = forged
        .fields
        .get(FieldId::Claimed)
        .map(|claimed| claimed.to_text().into_owned());
    assert_eq!(claimed.as_deref(), Some(r#"["container:0123456789abcdef"]"#));
    let real = entry(r#""_EXE":"/usr/bin/dockerd","_UID":"0","_SYSTEMD_UNIT":"docker.service""#);
    assert_eq!(real.fields.str(FieldId::ContainerId), Some("0123456789abcdef"));
}

#[test]
fn a_container_does_not_choose_its_pod() {
    // Fluent Bit with `Merge_Log`: what the container printed as JSON stands before what the filter knows.
    let record = r#"{"stream":"stdout","log":"{\"kubernetes\":{\"pod_name\":\"victim\",\"namespace_name\":\"bank\"}}","time":"2026-05-04T08:00:00.5Z","kubernetes":{"pod_name":"victim","namespace_name":"bank","docker_id":"aaaaaaaaaaaa"},"kubernetes":{"pod_name":"eve-1","namespace_name":"play","docker_id":"bbbbbbbbbbbb"}}"#;
    for source in [Source::ContainerLog, Source::Application] {
        let event = event(source, record);
        assert_eq!(event.fields.str(FieldId::KubernetesPodName), Some("eve-1"), "{source}");
        assert_eq!(
            event.fields.str(FieldId::OrchestratorNamespace),
            Some("play"),
            "{source}"
        );
    }
}

#[test]
fn a_record_does_not_write_what_casebook_finds_out() {
    let record = r#"{"time":"2020-05-04T08:00:00Z","message":"m","casebook.masked":["x"],"casebook":{"identity":{"version":9},"claimed":["y"],"time":{"origin":"broker"},"audit":{"decisive":"true"}}}"#;
    let event = event(Source::Application, record);
    for id in [
        FieldId::Masked,
        FieldId::Claimed,
        FieldId::TimeOrigin,
        FieldId::AuditDecisive,
    ] {
        assert_eq!(event.fields.get(id), None, "{id}");
    }
    let version = event
        .fields
        .get(FieldId::IdentityVersion)
        .and_then(casebook_event::Value::as_i64);
    assert_eq!(version, Some(Source::Application.identity_version()));
}

#[test]
fn a_time_after_the_broker_s_says_so() {
    let origin = |time: &str| {
        let event = event(Source::Application, &format!(r#"{{"time":"{time}","message":"m"}}"#));
        event.fields.str(FieldId::TimeOrigin).map(str::to_owned)
    };
    // The broker of these tests had the record at 2023-11-14T22:13:20Z.
    assert_eq!(origin("2099-01-01T00:00:00Z").as_deref(), Some("ahead"));
    assert_eq!(origin("2023-11-14T22:18:19Z"), None, "clocks differ");
    assert_eq!(origin("2023-11-14T22:18:21Z").as_deref(), Some("ahead"));
    assert_eq!(
        origin("2001-01-01T00:00:00Z"),
        None,
        "what was kept for long may come late"
    );
}

#[test]
fn a_time_that_is_not_the_record_s_own_says_whose_it_is() {
    let origin = |source, record: &str| {
        let event = event(source, record);
        event.fields.str(FieldId::TimeOrigin).map(str::to_owned)
    };
    assert_eq!(
        origin(Source::Application, r#"{"message":"m"}"#).as_deref(),
        Some("broker")
    );
    assert_eq!(origin(Source::Application, "no time at all").as_deref(), Some("broker"));
    let carried = r#"{"@timestamp":"2020-05-04T08:00:00Z","message":"no time at all","agent":{"type":"filebeat"},"host":{"name":"h"}}"#;
    assert_eq!(origin(Source::Kubelet, carried).as_deref(), Some("envelope"));
    assert_eq!(
        origin(Source::ContainerLog, r#"{"log":"x\n","stream":"stdout"}"#).as_deref(),
        Some("broker")
    );
}

#[test]
fn ids_that_callers_choose_are_no_entities() {
    use casebook_event::Indexed;
    for id in [
        FieldId::CorrelationId,
        FieldId::TraceId,
        FieldId::SpanId,
        FieldId::Claimed,
    ] {
        assert_eq!(
            id.info().indexed,
            Indexed::Exact,
            "{id} is found exactly, and leads nowhere"
        );
    }
}
