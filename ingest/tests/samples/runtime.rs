//! What runs in containers: Falco, Tetragon, statistics, Kubernetes Events.

use casebook_event::{EventBatch, FieldId, Source, Value};
use casebook_ingest::{Decoder, SourceKind};

use super::{check, decode, files, find, identities, now, reasons, record, samples, text};

#[test]
fn falco_s_alerts() {
    let Some(path) = samples("runtime/falco_alerts.jsonl") else {
        return;
    };
    let mut batch = EventBatch::default();
    let mut decoder = Decoder::new(SourceKind::Source(Source::Falco));
    for (line, wrapped) in (1..).zip(std::fs::read_to_string(path).unwrap().lines()) {
        let wrapped: Value = serde_json::from_str(wrapped).unwrap();
        let alert = wrapped.get("event").unwrap().to_text();
        decoder.decode(&record("falco", line, &alert), now(), &mut batch);
    }
    assert_eq!((batch.events.len(), reasons(&batch)), (10, vec![("no_timestamp", 1)]));
    assert_eq!(identities(&batch.events), 10);
    let shell = find(&batch.events, "a shell in a container", |event| {
        text(event, FieldId::RuleName) == "Terminal shell in container"
    });
    assert_eq!(shell.time.to_string(), "2021-01-14T23:39:44.834631763Z");
    assert_eq!(text(shell, FieldId::KubernetesPodName), "alpine");
    assert_eq!(text(shell, FieldId::OrchestratorNamespace), "default");
    assert_eq!(text(shell, FieldId::ContainerId), "5892b41bcf46");
    assert_eq!(text(shell, FieldId::ProcessCommandLine), "sh");
    assert_eq!(text(shell, FieldId::UserName), "root");
}

#[test]
fn tetragon_s_events() {
    check("runtime/tetragon_golden", Source::Tetragon, 15, &[]);
    let Some(events) = check("runtime/tetragon_events.json", Source::Tetragon, 3, &[]) else {
        return;
    };
    assert_eq!(identities(&events), 3);
    let server = &events[0];
    // An execution without a time of its own has its process's start.
    assert_eq!(server.time.to_string(), "2022-10-18T03:16:18.273546829Z");
    assert_eq!(text(server, FieldId::EventAction), "process_exec");
    assert_eq!(text(server, FieldId::ProcessExecutable), "/usr/bin/netserver");
    assert_eq!(text(server, FieldId::KubernetesPodName), "tiefighter");
    assert_eq!(text(server, FieldId::ContainerName), "spaceship");
    assert_eq!(text(server, FieldId::HostName), "my-node");
    assert_eq!(events[1].time.to_string(), "2022-10-18T03:16:21.373327754Z");
}

#[test]
fn statistics_of_containers() {
    if let Some(events) = check("stats/beats_kubelet_stats_summary.json", Source::ContainerStats, 3, &[]) {
        // A node, a pod and its container, each with its own part of the record.
        assert_eq!(identities(&events), 3);
        let pod = find(&events, "a pod", |event| {
            !text(event, FieldId::KubernetesPodName).is_empty()
        });
        assert_ne!(text(pod, FieldId::OrchestratorNamespace), "");
        assert!(
            events
                .iter()
                .all(|event| { text(event, FieldId::HostName) == "gke-beats-default-pool-a5b33e2e-hdww" })
        );
    }
    let Some(directory) = samples("stats/telegraf_docker") else {
        return;
    };
    let mut names = Vec::new();
    for path in files(&directory) {
        if path.file_name().unwrap().to_string_lossy().starts_with("stats_") {
            let batch = decode(&path, SourceKind::Source(Source::ContainerStats));
            assert_eq!((batch.events.len(), batch.dead_letters.len()), (1, 0), "{path:?}");
            names.push(text(&batch.events[0], FieldId::ContainerName));
        }
    }
    assert_eq!(names.len(), 5);
    assert!(names.contains(&"acme-test".to_owned()), "{names:?}");
}

#[test]
fn kubernetes_events() {
    let Some(directory) = samples("k8s_events/fluentbit") else {
        return;
    };
    let mut events = Vec::new();
    for path in files(&directory) {
        if path.extension().is_some_and(|extension| extension == "json") {
            let batch = decode(&path, SourceKind::Source(Source::KubernetesEvent));
            assert_eq!((batch.events.len(), batch.dead_letters.len()), (1, 0), "{path:?}");
            events.extend(batch.events);
        }
    }
    assert_eq!(events.len(), 3);
    for event in &events {
        assert_ne!(text(event, FieldId::EventReason), "", "{}", event.raw);
        assert_ne!(text(event, FieldId::Message), "", "{}", event.raw);
    }
}
