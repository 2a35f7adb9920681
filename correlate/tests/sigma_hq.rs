//! The public SigmaHQ rules, where they are at hand: each parses, or is refused with a place and a reason.

#![expect(clippy::unwrap_used, reason = "a test fails loudly")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use casebook_correlate::{Detector, RuleFile, RuleSet, Severity};
use casebook_event::{Event, EventId, Fields, Position, Source, Timestamp, Value};

/// `../shared/data/sigma`, beside the workspace; `None` where it is absent.
fn sigma() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/sigma");
    if !path.is_dir() {
        // What is printed is shown of failed tests alone; a skip is to be seen.
        let _ = writeln!(std::io::stderr(), "skipped: {} is absent", path.display());
        return None;
    }
    Some(path)
}

fn read(directory: &Path, files: &mut Vec<RuleFile>) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            read(&path, files);
        } else if path.extension().is_some_and(|e| e == "yml") {
            let text = std::fs::read_to_string(&path).unwrap();
            files.push(RuleFile {
                path: path.display().to_string(),
                text,
            });
        }
    }
}

#[test]
fn every_rule_parses_or_says_why_not() {
    let Some(sigma) = sigma() else { return };
    let mut files = Vec::new();
    for directory in ["rules", "rules-emerging-threats", "rules-threat-hunting"] {
        read(&sigma.join(directory), &mut files);
    }
    let total = files.len();
    let loaded = RuleSet::load_partial(files);
    let (rules, findings) = (loaded.rules.unwrap(), loaded.diagnostics);
    let mut counts: BTreeMap<(Severity, &str), usize> = BTreeMap::new();
    for finding in &findings {
        *counts.entry((finding.severity, finding.code)).or_default() += 1;
        if finding.severity == Severity::Error {
            println!("{finding}");
        }
    }
    println!("{total} files, {} rules, findings: {counts:?}", rules.len());
    let routed = rules.rules().filter(|rule| !rule.sources.is_empty()).count();
    println!("{routed} rules have a source");
    assert!(rules.len() * 100 >= total * 99, "{} of {total}", rules.len());
    assert!(
        findings
            .iter()
            .all(|f| f.line >= 1 && f.column >= 1 && !f.message.is_empty())
    );
    assert!(!counts.contains_key(&(Severity::Error, "yaml-syntax")));
}

#[test]
fn the_specification_s_own_examples_are_read() {
    let Some(sigma) = sigma() else { return };
    let mut files = Vec::new();
    read(&sigma.join("specification/tests/schema"), &mut files);
    assert!(!files.is_empty());
    for file in files {
        // Each stands alone, so its references lead nowhere.
        let path = file.path.clone();
        for finding in RuleSet::load(Some(file)).diagnostics {
            let expected = ["unsupported", "unknown-rule"].contains(&finding.code);
            assert!(finding.severity == Severity::Warning || expected, "{path}: {finding}");
        }
    }
}

/// What the API server writes when the thing happens that the rule of that file is about.
const KUBERNETES: &[(&str, &str)] = &[
    (
        "events_deleted",
        r#"{"verb":"delete","objectRef":{"resource":"events","namespace":"prod"}}"#,
    ),
    (
        "cronjob_modification",
        r#"{"verb":"patch","objectRef":{"resource":"cronjobs","apiGroup":"batch","namespace":"prod"}}"#,
    ),
    (
        "pod_in_system_namespace",
        r#"{"verb":"create","objectRef":{"resource":"pods","namespace":"kube-system"}}"#,
    ),
    (
        "unauthorized_unauthenticated_actions",
        r#"{"verb":"list","objectRef":{"resource":"nodes"},"responseStatus":{"code":403}}"#,
    ),
    (
        "hostpath_mount",
        r#"{"verb":"create","objectRef":{"resource":"pods"},"requestObject":{"spec":{"volumes":[
            {"name":"a","emptyDir":{}},{"name":"b","hostPath":{"path":"/","type":""}}]}}}"#,
    ),
    (
        "privileged_pod_creation",
        r#"{"verb":"create","objectRef":{"resource":"pods"},"requestObject":{"spec":{"containers":[
            {"name":"a"},{"name":"b","securityContext":{"capabilities":{"add":["NET_ADMIN"]}}}]}}}"#,
    ),
    (
        "serviceaccount_creation",
        r#"{"verb":"create","objectRef":{"resource":"serviceaccounts","namespace":"prod"}}"#,
    ),
    (
        "secrets_modified_or_deleted",
        r#"{"verb":"update","objectRef":{"resource":"secrets","namespace":"prod"}}"#,
    ),
    (
        "deployment_deleted",
        r#"{"verb":"delete","objectRef":{"resource":"deployments","apiGroup":"apps"}}"#,
    ),
    // As kubectl has done it since 1.30: over a WebSocket.
    (
        "exec_into_container",
        r#"{"verb":"get","objectRef":{"resource":"pods","subresource":"exec","name":"api-0"}}"#,
    ),
    (
        "change_admission_controller",
        r#"{"verb":"create","objectRef":{"resource":"mutatingwebhookconfigurations","apiGroup":"admissionregistration.k8s.io"}}"#,
    ),
    (
        "rbac_permisions_listing",
        r#"{"verb":"create","objectRef":{"resource":"selfsubjectrulesreviews","apiGroup":"authorization.k8s.io"}}"#,
    ),
    (
        "secrets_enumeration",
        r#"{"verb":"list","objectRef":{"resource":"secrets"}}"#,
    ),
    (
        "sidecar_injection",
        r#"{"verb":"patch","objectRef":{"resource":"deployments","apiGroup":"apps"}}"#,
    ),
    (
        "rolebinding_modification",
        r#"{"verb":"create","objectRef":{"resource":"clusterrolebindings","apiGroup":"rbac.authorization.k8s.io"}}"#,
    ),
];

/// It asks for `responseStatus.code: ALLOW`, where the API server writes numbers.
const NEVER: &str = "potential_enumeration_activity";

#[test]
fn every_kubernetes_rule_fires_on_what_it_is_about() {
    let Some(sigma) = sigma() else { return };
    let mut files = Vec::new();
    read(&sigma.join("rules/application/kubernetes/audit"), &mut files);
    assert_eq!(files.len(), KUBERNETES.len() + 1);
    for file in files {
        let name = Path::new(&file.path).file_stem().unwrap().to_string_lossy();
        let name = name.trim_start_matches("kubernetes_audit_").to_owned();
        if name == NEVER {
            continue;
        }
        let rules = Arc::new(RuleSet::load([file]).rules.unwrap());
        let fires = |record: &str| {
            let mut signals = Vec::new();
            Detector::new(rules.clone()).detect(&audit(record), &mut signals);
            !signals.is_empty()
        };
        let own = KUBERNETES.iter().find(|(rule, _)| *rule == name);
        assert!(own.is_some_and(|(_, record)| fires(record)), "{name}");
        let quiet = r#"{"verb":"get","objectRef":{"resource":"pods"},"responseStatus":{"code":200}}"#;
        assert!(!fires(quiet), "{name}");
    }
}

fn audit(record: &str) -> Event {
    let native: Value = serde_json::from_str(record).unwrap();
    Event {
        id: EventId::from_u128(1),
        time: Timestamp::from_seconds(1),
        ingested: Timestamp::from_seconds(1),
        source: Source::KubernetesAudit,
        position: Position {
            topic: "t".into(),
            partition: 0,
            offset: 0,
            index: 0,
        },
        fields: Fields::new(),
        native: native.into(),
        raw: record.into(),
    }
}
