//! The same change of a workload, written as a JSON patch and as a merge patch: both say the same.

use casebook_event::{Event, FieldId, FieldRef, Source, Value};
use casebook_ingest::SourceKind;

/// The audit event of a patch of `resource` with that body.
fn patched(resource: &str, body: &str) -> Event {
    let record = format!(
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Request","auditID":"p-1","stage":"ResponseComplete","requestURI":"/apis/apps/v1/namespaces/shop/{resource}/web","verb":"patch","user":{{"username":"eve"}},"objectRef":{{"resource":"{resource}","namespace":"shop","name":"web","apiGroup":"apps","apiVersion":"v1"}},"responseStatus":{{"code":200}},"requestObject":{body},"stageTimestamp":"2026-11-24T10:00:00Z"}}"#
    );
    let mut batch = super::cut::decode(SourceKind::Source(Source::KubernetesAudit), record.as_bytes());
    assert!(batch.dead_letters.is_empty(), "{body}: {:?}", batch.dead_letters);
    batch.events.remove(0)
}

/// The same entry of GKE's log: a body that is no object is wrapped there.
fn patched_in_gke(resource: &str, body: &str) -> Event {
    let body = if body.starts_with('[') {
        format!(r#"{{"@type":"k8s.io/Patch","value":{body}}}"#)
    } else {
        body.to_owned()
    };
    let record = format!(
        r#"{{"insertId":"p-2","logName":"projects/shop/logs/cloudaudit.googleapis.com%2Factivity","timestamp":"2026-11-24T10:00:00Z","resource":{{"type":"k8s_cluster","labels":{{}}}},"protoPayload":{{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","serviceName":"k8s.io","methodName":"io.k8s.apps.v1.{resource}.patch","resourceName":"apps/v1/namespaces/shop/{resource}/web","authenticationInfo":{{"principalEmail":"eve@x"}},"request":{body}}}}}"#
    );
    let mut batch = super::cut::decode(SourceKind::Auto, record.as_bytes());
    batch.events.remove(0)
}

const FIELDS: &[FieldId] = &[
    FieldId::ContainerImageName,
    FieldId::ContainerName,
    FieldId::ContainerPrivileged,
    FieldId::PodImages,
    FieldId::PodRisks,
    FieldId::KubernetesNodeName,
];

/// Both bodies give the same fields, and `risks` are those of the pod.
#[track_caller]
fn check(resource: &str, json_patch: &str, merge_patch: &str, risks: &[&str]) {
    for patched in [patched, patched_in_gke] {
        let (patch, merge) = (patched(resource, json_patch), patched(resource, merge_patch));
        for id in FIELDS {
            assert_eq!(patch.fields.get(*id), merge.fields.get(*id), "{id} of {json_patch}");
        }
        let got = patch
            .fields
            .get(FieldId::PodRisks)
            .and_then(Value::as_list)
            .unwrap_or_default();
        let mut got: Vec<_> = got.iter().filter_map(Value::as_str).collect();
        got.sort_unstable();
        assert_eq!(got, risks, "{json_patch}");
    }
}

#[test]
fn a_json_patch_says_what_a_merge_patch_says() {
    check(
        "deployments",
        r#"[{"op":"replace","path":"/spec/template/spec/hostPID","value":true}]"#,
        r#"{"spec":{"template":{"spec":{"hostPID":true}}}}"#,
        &["host_pid"],
    );
    check(
        "deployments",
        r#"[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"evil.example/m:1"},
            {"op":"add","path":"/spec/template/spec/containers/0/securityContext/privileged","value":true},
            {"op":"add","path":"/spec/template/spec/hostNetwork","value":true}]"#,
        r#"{"spec":{"template":{"spec":{"hostNetwork":true,"containers":[{"image":"evil.example/m:1","securityContext":{"privileged":true}}]}}}}"#,
        &["host_network", "privileged"],
    );
    check(
        "daemonsets",
        r#"[{"op":"add","path":"/spec/template/spec","value":{"hostIPC":true,"containers":[{"name":"c","image":"i:1","securityContext":{"capabilities":{"add":["SYS_ADMIN"]}}}]}},
            {"op":"add","path":"/spec/template/spec/volumes","value":[{"name":"h","hostPath":{"path":"/etc"}}]}]"#,
        r#"{"spec":{"template":{"spec":{"hostIPC":true,"containers":[{"name":"c","image":"i:1","securityContext":{"capabilities":{"add":["SYS_ADMIN"]}}}],"volumes":[{"name":"h","hostPath":{"path":"/etc"}}]}}}}"#,
        &["capability:SYS_ADMIN", "host_ipc", "host_path:/etc"],
    );
    check(
        "cronjobs",
        r#"[{"op":"replace","path":"","value":{"spec":{"jobTemplate":{"spec":{"template":{"spec":{"containers":[{"name":"c","image":"i:2"}]}}}}}}}]"#,
        r#"{"spec":{"jobTemplate":{"spec":{"template":{"spec":{"containers":[{"name":"c","image":"i:2"}]}}}}}}"#,
        &[],
    );
    check(
        "pods",
        r#"[{"op":"add","path":"/spec/ephemeralContainers/-","value":{"name":"debug","image":"busybox"}},
            {"op":"add","path":"/spec/ephemeralContainers/-","value":{"name":"x","image":"alpine"}}]"#,
        r#"{"spec":{"ephemeralContainers":[{"name":"debug","image":"busybox"},{"name":"x","image":"alpine"}]}}"#,
        &["ephemeral_container"],
    );
    check(
        "statefulsets",
        r#"[{"op":"add","path":"/spec/template/metadata/annotations","value":{"a/b":{"privileged":true}}},
            {"op":"move","from":"/spec/template/metadata/annotations/a~1b","path":"/spec/template/spec/containers/1/securityContext"},
            {"op":"add","path":"/spec/template/spec/containers/1/securityContext/capabilities","value":{"add":[]}},
            {"op":"add","path":"/spec/template/spec/containers/1/securityContext/capabilities/add/-","value":"CAP_BPF"}]"#,
        r#"{"spec":{"template":{"spec":{"containers":[{"securityContext":{"privileged":true,"capabilities":{"add":["CAP_BPF"]}}}]}}}}"#,
        &["capability:BPF", "privileged"],
    );
    // What is taken away again, or only tested for, is not asked for.
    check(
        "deployments",
        r#"[{"op":"test","path":"/spec/template/spec/hostPID","value":true},
            {"op":"add","path":"/spec/template/spec/hostIPC","value":true},
            {"op":"remove","path":"/spec/template/spec/hostIPC"}]"#,
        r#"{"spec":{"template":{"spec":{}}}}"#,
        &[],
    );
}

#[test]
fn a_rule_reaches_a_json_patch_as_a_body_and_as_it_was_sent() {
    let body = r#"[{"op":"add","path":"/spec/template/spec/containers/0/command","value":["sh"]}]"#;
    for event in [patched("deployments", body), patched_in_gke("deployments", body)] {
        for (path, want) in [
            ("requestObject.spec.template.spec.containers.command", "sh"),
            ("requestObject.op", "add"),
        ] {
            let text = event.text(&FieldRef::resolve(path)).unwrap_or_default();
            // GKE's wrapper stays where it was.
            if event.raw.contains("protoPayload") && path == "requestObject.op" {
                let text = event.text(&FieldRef::resolve("requestObject.value.op"));
                assert_eq!(text.unwrap_or_default(), want, "{path}");
            } else {
                assert_eq!(text, want, "{path}");
            }
        }
    }
    // A body that looks like one of another kind stays what it is.
    let scale = patched("deployments", r#"{"spec":{"replicas":3}}"#);
    assert!(scale.fields.get(FieldId::PodRisks).is_none());
}
