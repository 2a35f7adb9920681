//! Every file of the samples: no record is lost, and what each source yields.

use std::collections::BTreeMap;
use std::path::Path;

use casebook_event::{EventBatch, FieldId, RawRecord, Value};
use casebook_ingest::{Decoder, FileRecords, SourceKind};

/// The samples that are logs, and the source that a topic of each would be given.
const LOGS: &[(&str, &str)] = &[
    ("k8s_audit/audit2rbac_demo.log", "auto"),
    ("k8s_audit/falco_traces", "auto"),
    ("k8s_events", "auto"),
    ("kubelet/openshift_kubelet_journal.log", "auto"),
    ("kubelet/khi_klog_lines.log", "auto"),
    ("container/plaso_cri.log", "auto"),
    ("container/plaso_docker_json_file.log", "auto"),
    ("container/fluentbit_kubernetes/log", "container"),
    ("container/fluentbit_tail/log", "container"),
    ("app/opsagent_nginx-access/input.log", "auto"),
    ("app/opsagent_nginx-error/input.log", "auto"),
    ("app/opsagent_apache-access/input.log", "auto"),
    ("app/opsagent_elasticsearch-json-ecs/input.log", "auto"),
    ("app/opsagent_mongodb/input.log", "application"),
    ("app/opsagent_parse_json/input.log", "container"),
    ("cloud/aws_invictus_cloudtrail", "auto"),
    ("cloud/aws_stratus", "auto"),
    ("cloud/falco_alice_start_instances.json", "auto"),
    ("cloud/plaso_aws_cloudtrail.jsonl", "auto"),
    ("cloud/plaso_azure_activity.jsonl", "auto"),
    ("cloud/plaso_gcp_logging.jsonl", "auto"),
    ("cloud/plaso_microsoft_audit.jsonl", "auto"),
    ("cloud/gcp_security_analytics", "auto"),
    ("cloud/otrf_aws_s3_honeybucket.csv", "application"),
    ("os/go_libaudit/auparse/testdata", "auditd"),
    ("os/go_libaudit/testdata", "auditd"),
    ("os/plaso_selinux.log", "auto"),
    ("os/plaso_audit_enriched.log", "auto"),
    ("os/otrf_sh_binary_padding_dd.log", "auto"),
    ("os/otrf_sh_arp_cache.log", "auto"),
    ("os/plaso_syslog", "auto"),
    ("os/beats_system_auth/secure-rhel7.log", "auto"),
    ("os/journald_kubelet_containerd.jsonl", "auto"),
    ("runtime/tetragon_golden", "auto"),
    ("runtime/tetragon_events.json", "auto"),
    ("stats/telegraf_docker", "auto"),
    ("stats/beats_kubelet_stats_summary.json", "auto"),
    ("stats/beats_docker", "auto"),
    ("schema_classification", "auto"),
    ("cluster_inventory/k3s_bundle/cluster-resources/events", "auto"),
    (
        "cluster_inventory/k3s_bundle/cluster-resources/pods/logs",
        "application",
    ),
];

/// Samples that wrap each record: `{"event":…}`.
const WRAPPED: &[&str] = &[
    "runtime/falco_alerts.jsonl",
    "runtime/kubearmor.jsonl",
    "runtime/tracee.jsonl",
    "runtime/inspektor_gadget.jsonl",
    "panther_samples/panther_samples.jsonl",
];

/// What came of one file.
#[derive(Default)]
struct Outcome {
    records: usize,
    /// Records that are a batch of none.
    empty_batches: usize,
    batch: EventBatch,
}

/// Reads the records, and checks that each of them is in an event or a dead letter.
#[track_caller]
fn decode(records: impl Iterator<Item = RawRecord>, kind: SourceKind, name: &str) -> Outcome {
    let mut decoder = Decoder::new(kind);
    let mut outcome = Outcome::default();
    let mut waiting: Vec<String> = Vec::new();
    let mut last = None;
    for record in records {
        let before = outcome.batch.events.len() + outcome.batch.dead_letters.len();
        let waits = decoder.resume();
        decoder.decode(&record, super::now(), &mut outcome.batch);
        outcome.records += 1;
        let text = String::from_utf8_lossy(&record.payload).replace([' ', '\n'], "");
        outcome.empty_batches += usize::from(text.contains("\"items\":[]") || text.contains("\"items\":null"));
        let after = outcome.batch.events.len() + outcome.batch.dead_letters.len();
        if after == before || decoder.resume().is_some() || waits.is_some() {
            // It waits, or it completed something: it must be found in an event at the end.
            waiting.push(String::from_utf8_lossy(&record.payload).trim().to_owned());
        }
        last = Some(record.position);
    }
    if let Some(last) = last {
        decoder.flush(&last, super::now(), &mut outcome.batch);
    }
    let emitted: Vec<&str> = outcome.batch.events.iter().map(|event| event.raw.as_str()).collect();
    for text in waiting
        .iter()
        .filter(|text| !text.contains("type=EOE") && !text.is_empty())
    {
        let letters = outcome.batch.dead_letters.iter();
        let found = emitted.iter().any(|raw| raw.contains(text.as_str()))
            || letters
                .map(|letter| String::from_utf8_lossy(&letter.payload))
                .any(|payload| payload.contains(text.as_str()));
        // Of a batch, each member has its own text.
        assert!(found || text.starts_with(['{', '[']), "{name}: {text} is lost");
    }
    let nothing = outcome.batch.events.is_empty() && outcome.batch.dead_letters.is_empty();
    assert!(
        outcome.records == 0 || !nothing || outcome.empty_batches == outcome.records,
        "{name}"
    );
    outcome
}

/// What an investigator looks for first.
const YIELDS: &[(&str, &[FieldId])] = &[
    ("user", &[FieldId::UserName, FieldId::UserId, FieldId::UserTargetName]),
    (
        "address",
        &[FieldId::SourceIp, FieldId::DestinationIp, FieldId::SourceAddress],
    ),
    ("pod", &[FieldId::KubernetesPodName]),
    ("container", &[FieldId::ContainerId, FieldId::ContainerName]),
    ("node", &[FieldId::HostName, FieldId::KubernetesNodeName]),
    (
        "process",
        &[
            FieldId::ProcessName,
            FieldId::ProcessExecutable,
            FieldId::ProcessCommandLine,
        ],
    ),
    ("file", &[FieldId::FilePath]),
    ("outcome", &[FieldId::EventOutcome]),
];

#[test]
fn no_record_of_the_samples_is_lost() {
    let mut yields: BTreeMap<&'static str, (usize, [usize; YIELDS.len()])> = BTreeMap::new();
    let mut total = (0, 0, 0);
    println!("{:>7} {:>7} {:>5}  file", "records", "events", "dead");
    let mut report = |name: &str, outcome: &Outcome| {
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for letter in &outcome.batch.dead_letters {
            *reasons.entry(letter.reason).or_default() += 1;
        }
        let (events, dead) = (outcome.batch.events.len(), outcome.batch.dead_letters.len());
        println!("{:>7} {events:>7} {dead:>5}  {name} {reasons:?}", outcome.records);
        total = (total.0 + outcome.records, total.1 + events, total.2 + dead);
        for event in &outcome.batch.events {
            let entry = yields.entry(event.source.name()).or_default();
            entry.0 += 1;
            for (count, (_, ids)) in entry.1.iter_mut().zip(YIELDS) {
                *count += usize::from(ids.iter().any(|id| event.fields.get(*id).is_some()));
            }
        }
    };
    for (path, kind) in LOGS {
        let Some(path) = super::samples(path) else { continue };
        let kind: SourceKind = kind.parse().unwrap();
        for file in super::files(&path).iter().filter(|path| is_log(path)) {
            let name = file.display().to_string();
            let reader = std::fs::File::open(file).unwrap();
            let records = FileRecords::new(reader, &name, kind, super::now());
            let outcome = decode(records.map(Result::unwrap), kind, &name);
            report(name.rsplit("data/").next().unwrap(), &outcome);
        }
    }
    for path in WRAPPED {
        let Some(file) = super::samples(path) else { continue };
        let text = std::fs::read_to_string(file).unwrap();
        let records = text.lines().enumerate().map(|(n, line)| {
            let wrapped: Value = serde_json::from_str(line).unwrap();
            super::record(path, n as i64, &wrapped.get("event").unwrap().to_text())
        });
        let outcome = decode(records, SourceKind::Auto, path);
        report(path, &outcome);
    }
    println!("{:>7} {:>7} {:>5}  in all\n", total.0, total.1, total.2);
    print!("{:<18}{:>7}", "source", "events");
    YIELDS.iter().for_each(|(name, _)| print!("{name:>10}"));
    println!();
    for (source, (events, counts)) in &yields {
        print!("{source:<18}{events:>7}");
        counts.iter().for_each(|count| print!("{:>9}%", count * 100 / events));
        println!();
    }
}

/// Files that say what should come of the others are no logs.
fn is_log(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    !(name.contains("expected")
        || name.ends_with(".golden")
        || name.ends_with(".yaml")
        || name.ends_with(".out")
        || name.ends_with(".json.golden"))
}
