//! Entity resolution in real records, where they are at hand.

#![expect(clippy::unwrap_used, reason = "a test fails loudly")]

use std::io::Write as _;
use std::path::{Path, PathBuf};

use casebook_correlate::{Binding, Bindings, EntityKind, Identifier, IdentifierKind, bindings_of};
use casebook_event::{Event, EventId, FieldId, Fields, Position, Source, Timestamp, Value, ValueRef};

/// A directory of `../shared/data`, beside the workspace; `None` where it is absent.
fn data(directory: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/data")
        .join(directory);
    if !path.is_dir() {
        // What is printed is shown of failed tests alone; a skip is to be seen.
        let _ = writeln!(std::io::stderr(), "skipped: {} is absent", path.display());
        return None;
    }
    Some(path)
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn event(source: Source, time: Timestamp, fields: &[(FieldId, &str)], native: Value) -> Event {
    let mut normalized = Fields::new();
    for (id, text) in fields {
        normalized.set(*id, *text);
    }
    Event {
        id: EventId::from_u128(1),
        time,
        ingested: time,
        source,
        position: Position {
            topic: "t".into(),
            partition: 0,
            offset: 1,
            index: 0,
        },
        fields: normalized,
        native: native.into(),
        raw: "".into(),
    }
}

fn learn(known: &mut Bindings, event: &Event) -> Vec<Binding> {
    let mut bindings = Vec::new();
    bindings_of(event, &mut bindings);
    bindings.iter().for_each(|binding| known.learn(binding));
    bindings
}

fn entity(known: &Bindings, kind: IdentifierKind, value: &str, of: EntityKind, at: Timestamp) -> Option<String> {
    let found = known.resolve(&Identifier::new(kind, value).unwrap(), of, at);
    found.only().map(ToString::to_string)
}

#[test]
fn the_pods_and_nodes_of_a_cluster() {
    let Some(bundle) = data("cluster_inventory/k3s_bundle/cluster-resources") else {
        return;
    };
    let at = Timestamp::from_seconds(1_700_000_000);
    let mut known = Bindings::new();
    let list = |resource: &str, path: &str| {
        let fields = [
            (FieldId::EventAction, "list"),
            (FieldId::EventOutcome, "success"),
            (FieldId::OrchestratorResourceType, resource),
        ];
        let body = json(&bundle.join(path));
        let native = Value::Map(vec![("responseObject".into(), body.clone())]);
        (event(Source::KubernetesAudit, at, &fields, native), body)
    };
    let (nodes, _) = list("nodes", "nodes.json");
    learn(&mut known, &nodes);
    let (mut running, mut through) = (0, 0);
    for path in ["pods/default.json", "pods/kube-system.json"] {
        let (answer, body) = list("pods", path);
        learn(&mut known, &answer);
        for pod in body.as_ref().get("items").and_then(ValueRef::as_list).unwrap() {
            let text = |path: &[&str]| pod.str_at(path).unwrap();
            let uid = text(&["metadata", "uid"]);
            let name = format!("{}/{}", text(&["metadata", "namespace"]), text(&["metadata", "name"]));
            let check = |kind: IdentifierKind, value: &str, of: EntityKind, want: Option<&str>| {
                assert_eq!(entity(&known, kind, value, of, at).as_deref(), want, "{kind:?} {value}");
            };
            check(IdentifierKind::PodName, &name, EntityKind::Pod, Some(uid));
            check(
                IdentifierKind::PodUid,
                uid,
                EntityKind::Node,
                Some(text(&["spec", "nodeName"])),
            );
            let is_running = text(&["status", "phase"]) == "Running";
            let of_ip = is_running.then_some(uid);
            check(
                IdentifierKind::PodIp,
                text(&["status", "podIP"]),
                EntityKind::Pod,
                of_ip,
            );
            check(
                IdentifierKind::PodIp,
                text(&["status", "hostIP"]),
                EntityKind::Pod,
                None,
            );
            let statuses = pod.at(&["status", "containerStatuses"]).and_then(ValueRef::as_list);
            for container in statuses.unwrap() {
                let id = container.str_at(&["containerID"]).unwrap();
                check(IdentifierKind::ContainerId, id, EntityKind::Pod, Some(uid));
            }
            let identity = known.resolve(
                &Identifier::new(IdentifierKind::PodUid, uid).unwrap(),
                EntityKind::Identity,
                at,
            );
            assert!(
                identity.only().unwrap().starts_with("system:serviceaccount:"),
                "{identity:?}"
            );
            if is_running { running += 1 } else { through += 1 }
        }
    }
    println!("{running} pods running, {through} through");
    assert!(running > 0 && through > 0);
    let nginx = "default/nginx-deployment-7986654d4-ztx2g";
    assert_eq!(
        entity(&known, IdentifierKind::PodName, nginx, EntityKind::Workload, at).as_deref(),
        Some("default/Deployment/nginx-deployment")
    );
}

#[test]
fn the_sessions_of_an_account() {
    let Some(trail) = data("cloud/aws_invictus_cloudtrail") else {
        return;
    };
    let mut records: Vec<Value> = Vec::new();
    for entry in std::fs::read_dir(trail).unwrap().flatten() {
        let file = json(&entry.path());
        let all = file.get("Records").and_then(Value::as_list).unwrap_or_default();
        records.extend(all.iter().cloned());
    }
    let mut known = Bindings::new();
    let (mut reported, mut users, mut sessions) = (0, 0, 0);
    let mut events = Vec::new();
    for record in &records {
        let text = |path: &[&str]| record.str_at(path).unwrap_or_default();
        let outcome = if record.str_at(&["errorCode"]).is_some() {
            "failure"
        } else {
            "success"
        };
        let fields = [
            (FieldId::EventAction, text(&["eventName"])),
            (FieldId::EventOutcome, outcome),
            (FieldId::AwsUserType, text(&["userIdentity", "type"])),
            (FieldId::AwsUserArn, text(&["userIdentity", "arn"])),
            (FieldId::AwsAccessKeyId, text(&["userIdentity", "accessKeyId"])),
        ];
        let time = Timestamp::parse_rfc3339(text(&["eventTime"])).unwrap();
        events.push(event(Source::CloudTrail, time, &fields, record.clone()));
    }
    for event in &events {
        reported += learn(&mut known, event).len();
    }
    for event in &events {
        let Some(key) = event.fields.str(FieldId::AwsAccessKeyId) else {
            continue;
        };
        let found = known.resolve(
            &Identifier::new(IdentifierKind::RoleSession, key).unwrap(),
            EntityKind::Identity,
            event.time,
        );
        match event.fields.str(FieldId::AwsUserType) {
            Some("IAMUser") => {
                let user = event.native().str_at(&["userIdentity", "userName"]).unwrap().to_owned();
                assert_eq!(found.only().map(|user| user.as_str()), Some(user.as_str()));
                users += 1;
            }
            Some("AssumedRole") => {
                // Taken on by a user of the account, where this part of the trail has it.
                sessions += usize::from(found.only().is_some());
            }
            _ => {}
        }
    }
    println!(
        "{} events reported {reported} bindings, of which {} are kept in {} bytes; {users} by users' keys, {sessions} by sessions that lead to one",
        events.len(),
        known.len(),
        known.approximate_bytes()
    );
    assert!(users > 0 && sessions > 0);
}
