//! Clouds, and the API server on them.

use casebook_event::{FieldId, Source, Value, ValueRef};
use casebook_ingest::SourceKind;

use super::{check, count, decode, files, find, identities, reasons, samples, text};

#[test]
fn kubernetes_audit() {
    if let Some(events) = check("k8s_audit/audit2rbac_demo.log", Source::KubernetesAudit, 37, &[]) {
        let first = &events[0];
        assert_eq!(first.time.to_string(), "2017-09-11T19:55:05Z");
        assert_eq!(text(first, FieldId::UserName), "system:admin");
        assert_eq!(text(first, FieldId::UserEffectiveName), "bob");
        assert_eq!(text(first, FieldId::EventOutcome), "failure");
        assert_eq!(identities(&events), 37);
        assert!(
            events
                .iter()
                .all(|event| matches!(event.native(), ValueRef::Map(_)) && event.raw.starts_with("{\"kind\""))
        );
    }
    check(
        "schema_classification/k8s_audit/test_event.json",
        Source::KubernetesAudit,
        1,
        &[],
    );
}

#[test]
fn kubernetes_audit_of_attacks() {
    let Some(path) = samples("k8s_audit/falco_traces") else {
        return;
    };
    let mut events = Vec::new();
    for path in files(&path)
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
    {
        let batch = decode(path, SourceKind::Auto);
        assert!(batch.dead_letters.is_empty(), "{path:?}: {:?}", reasons(&batch));
        assert!(
            batch.events.iter().all(|event| event.source == Source::KubernetesAudit),
            "{path:?}"
        );
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if name == "exec_pod" {
            let event = &batch.events[0];
            assert_eq!(text(event, FieldId::ProcessCommandLine), "bash");
            assert_eq!(text(event, FieldId::ContainerName), "nginx1");
            assert_eq!(
                text(event, FieldId::KubernetesPodName),
                "nginx-deployment-7998647bdf-phvq7"
            );
            assert_eq!(text(event, FieldId::EventCategory), r#"["process"]"#);
        }
        if name == "create_nginx_pod_privileged" {
            let event = &batch.events[0];
            assert_eq!(text(event, FieldId::ContainerImageName), "nginx");
            assert_eq!(
                text(event, FieldId::KubernetesPodName),
                "nginx-deployment-5cdcc99dbf-rgw6z"
            );
            assert_eq!(
                text(event, FieldId::KubernetesServiceAccount),
                "kube-system:replicaset-controller"
            );
            assert_eq!(event.time.to_string(), "2018-10-25T14:09:12.581541Z");
        }
        events.extend(batch.events);
    }
    assert_eq!(events.len(), 26);
    assert!(
        events
            .iter()
            .all(|event| !text(event, FieldId::OrchestratorResourceType).is_empty())
    );
}

#[test]
fn cloudtrail() {
    if let Some(events) = check("cloud/aws_invictus_cloudtrail", Source::CloudTrail, 1452, &[]) {
        assert_eq!(identities(&events), 1452);
        assert!(events.iter().all(|event| !text(event, FieldId::EventAction).is_empty()));
        let unnamed: Vec<_> = events
            .iter()
            .filter(|event| text(event, FieldId::UserName).is_empty())
            .collect();
        assert!(
            unnamed.iter().all(|event| event
                .native()
                .get("userIdentity")
                .is_none_or(|user| user.get("arn").is_none())),
            "{unnamed:?}"
        );
        // Each event has its own bytes, whole.
        for event in &events {
            assert_eq!(
                serde_json::from_str::<Value>(&event.raw).unwrap(),
                event.native().to_value()
            );
        }
        let outcomes = count(&events, FieldId::EventOutcome);
        let failed = events
            .iter()
            .filter(|event| event.native().get("errorCode").is_some())
            .count();
        assert_eq!(outcomes["failure"], failed);
    }
    if let Some(events) = check("cloud/aws_stratus", Source::CloudTrail, 59, &[]) {
        let event = find(&events, "AttachUserPolicy", |event| {
            text(event, FieldId::EventAction) == "AttachUserPolicy"
        });
        assert_eq!(text(event, FieldId::UserTargetName), "malicious-iam-user");
        assert_eq!(text(event, FieldId::UserName), "christophe");
    }
    if let Some(events) = check("cloud/falco_alice_start_instances.json", Source::CloudTrail, 1, &[]) {
        let event = &events[0];
        assert_eq!(text(event, FieldId::UserName), "Alice");
        assert_eq!(text(event, FieldId::CloudInstanceId), "i-ebeaf9e2");
        assert_eq!(text(event, FieldId::SourceIp), "205.251.233.176");
    }
    if let Some(events) = check("cloud/plaso_aws_cloudtrail.jsonl", Source::CloudTrail, 6, &[]) {
        let event = &events[0];
        assert_eq!(event.time.to_string(), "2022-02-07T22:23:37Z");
        assert_eq!(text(event, FieldId::CloudRegion), "ap-southeast-2");
    }
    check(
        "schema_classification/aws_cloudtrail/test_event.json",
        Source::CloudTrail,
        1,
        &[],
    );
}

#[test]
fn azure_s_activity_log() {
    let Some(events) = check("cloud/plaso_azure_activity.jsonl", Source::AzureActivity, 4, &[]) else {
        return;
    };
    assert_eq!(identities(&events), 4);
    let disk = &events[0];
    assert_eq!(disk.time.to_string(), "2022-02-09T03:04:54.297853Z");
    assert_eq!(text(disk, FieldId::EventAction), "Microsoft.Compute/disks/delete");
    let machine = find(&events, "a machine's deletion", |event| {
        text(event, FieldId::EventAction) == "Microsoft.Compute/virtualMachines/delete"
    });
    assert_eq!(text(machine, FieldId::UserName), "fakeemail@fakedomain.com");
    for event in &events {
        assert_eq!(text(event, FieldId::CloudProvider), "azure");
        assert_ne!(text(event, FieldId::SourceIp), "", "{}", event.raw);
        assert_ne!(text(event, FieldId::EventOutcome), "", "{}", event.raw);
    }
}

#[test]
fn cloud_audit_logs_of_gcp() {
    let Some(path) = samples("cloud/plaso_gcp_logging.jsonl") else {
        return;
    };
    // Two are entries of other logs.
    let batch = decode(&path, SourceKind::Auto);
    assert_eq!((batch.events.len(), reasons(&batch)), (9, vec![("unknown_source", 2)]));
    assert_eq!(identities(&batch.events), 9);
    for event in &batch.events {
        assert_eq!(event.source, Source::GcpAudit, "{}", event.raw);
        assert_eq!(text(event, FieldId::CloudProvider), "gcp");
        assert_ne!(text(event, FieldId::UserName), "", "{}", event.raw);
        assert_ne!(text(event, FieldId::EventAction), "", "{}", event.raw);
    }
}
