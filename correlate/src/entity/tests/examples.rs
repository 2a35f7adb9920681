//! The worked examples of `docs/entities.md`.

use casebook_event::{Event, FieldId, Source, Timestamp};

use super::samples::{audit, event};
use crate::entity::*;

pub(super) fn known(events: &[Event]) -> Bindings {
    let mut known = Bindings::new();
    let mut bindings = Vec::new();
    events.iter().for_each(|event| bindings_of(event, &mut bindings));
    bindings.iter().for_each(|binding| known.learn(binding));
    known
}

pub(super) fn id(kind: IdentifierKind, value: &str) -> Identifier {
    Identifier::new(kind, value).expect(value)
}

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

/// `entity confidence`, with `| other` for each other candidate; `-` for none.
pub(super) fn answer(known: &Bindings, id: &Identifier, kind: EntityKind, seconds: i64) -> String {
    let found = known.resolve(id, kind, at(seconds));
    let Some(entity) = found.entity else { return "-".into() };
    let others: String = found.ambiguous.iter().map(|other| format!(" | {other}")).collect();
    format!("{entity} {:?}{others}", found.confidence)
}

/// A pod as the audit log has it when its kubelet has started it.
pub(super) fn running(seconds: i64, uid: &str, name: &str, ip: &str) -> Event {
    let native = format!(
        r#"{{"responseObject":{{"kind":"Pod","metadata":{{"name":"{name}","namespace":"shop","uid":"{uid}"}},
            "spec":{{"nodeName":"n1","serviceAccountName":"web"}},"status":{{"hostIP":"10.0.0.1","podIP":"{ip}"}}}}}}"#
    );
    audit(seconds, "get", "pods", &[], &native)
}

pub(super) fn gone(seconds: i64, uid: &str) -> Event {
    let native = format!(r#"{{"requestObject":{{"gracePeriodSeconds":0,"preconditions":{{"uid":"{uid}"}}}}}}"#);
    audit(
        seconds,
        "delete",
        "pods",
        &[(FieldId::UserName, "system:node:n1")],
        &native,
    )
}

pub(super) const HOUR: i64 = 3_600;

#[test]
fn an_address_passes_from_pod_to_pod() {
    let ip = id(IdentifierKind::PodIp, "10.244.0.5");
    let known = known(&[
        running(100, "u1", "web-1", "10.244.0.5"),
        gone(500, "u1"),
        running(1_000, "u2", "job-1", "10.244.0.5"),
    ]);
    let check =
        |seconds: i64, want: &str| assert_eq!(answer(&known, &ip, EntityKind::Pod, seconds), want, "at {seconds}");
    check(99, "-");
    check(100, "u1 Certain");
    check(500, "u1 Certain");
    check(560, "u1 Certain");
    check(561, "-");
    check(1_000, "u2 Certain");
    check(1_000 + 24 * HOUR, "u2 Certain");
    check(1_001 + 24 * HOUR, "-");
    let name = id(IdentifierKind::PodName, "shop/web-1");
    assert_eq!(answer(&known, &name, EntityKind::Pod, 300), "u1 Certain");
    assert_eq!(answer(&known, &name, EntityKind::Pod, 700), "shop/web-1 Certain");
    assert_eq!(
        answer(&known, &ip, EntityKind::Identity, 300),
        "system:serviceaccount:shop:web Certain"
    );
    assert_eq!(answer(&known, &ip, EntityKind::Node, 300), "n1 Certain");
}

#[test]
fn two_pods_with_one_address_are_said_to_be_two() {
    let ip = id(IdentifierKind::PodIp, "10.244.0.5");
    let known = known(&[
        running(100, "u1", "web-1", "10.244.0.5"),
        running(1_000, "u2", "web-2", "10.244.0.5"),
        running(2_000, "u1", "web-1", "10.244.0.5"),
        gone(3_000, "u1"),
    ]);
    assert_eq!(answer(&known, &ip, EntityKind::Pod, 1_500), "u2 Certain");
    assert_eq!(answer(&known, &ip, EntityKind::Pod, 2_000), "u2 Certain | u1");
    // Both are of one service account: as for that there is no doubt.
    assert_eq!(
        answer(&known, &ip, EntityKind::Identity, 2_000),
        "system:serviceaccount:shop:web Certain"
    );
    assert_eq!(answer(&known, &ip, EntityKind::Pod, 3_001), "u2 Certain");
    assert_eq!(known.resolve(&ip, EntityKind::Pod, at(2_000)).only(), None);
}

#[test]
fn an_address_of_a_node_is_no_pods() {
    let ip = id(IdentifierKind::PodIp, "10.0.0.1");
    let shipped = |seconds: i64, uid: &str| {
        let fields = [(FieldId::KubernetesPodUid, uid), (FieldId::KubernetesPodIp, "10.0.0.1")];
        event(Source::ContainerLog, seconds, &fields, "{}")
    };
    // A shipper gives the pods in their node's network its address.
    let alone = known(&[shipped(100, "proxy"), shipped(100, "exporter")]);
    assert_eq!(answer(&alone, &ip, EntityKind::Pod, 200), "proxy Certain | exporter");
    let known = known(&[
        shipped(100, "proxy"),
        shipped(100, "exporter"),
        running(150, "u1", "web-1", "10.244.0.5"),
    ]);
    assert_eq!(answer(&known, &ip, EntityKind::Pod, 120), "proxy Certain | exporter");
    assert_eq!(answer(&known, &ip, EntityKind::Pod, 200), "-");
    assert_eq!(answer(&known, &ip, EntityKind::Node, 200), "n1 Certain");
}

#[test]
fn a_stolen_kubelets_credential_hides_no_pod() {
    let ip = id(IdentifierKind::PodIp, "10.244.0.5");
    let kubelet = r#"{"user":{"username":"system:node:n1"}}"#;
    let known = known(&[
        running(100, "u1", "web-1", "10.244.0.5"),
        audit(200, "list", "secrets", &[(FieldId::SourceIp, "10.244.0.5")], kubelet),
    ]);
    assert_eq!(answer(&known, &ip, EntityKind::Pod, 300), "u1 Certain");
}

#[test]
fn a_forged_event_moves_no_name() {
    let fields = [
        (FieldId::OrchestratorResourceType, "pods"),
        (FieldId::OrchestratorNamespace, "shop"),
        (FieldId::KubernetesPodName, "web-1"),
        (FieldId::KubernetesPodUid, "forged"),
    ];
    let forged = event(Source::KubernetesEvent, 200, &fields, "{}");
    let name = id(IdentifierKind::PodName, "shop/web-1");
    let both = known(&[running(100, "u1", "web-1", "10.244.0.5"), forged.clone()]);
    assert_eq!(answer(&both, &name, EntityKind::Pod, 300), "u1 Certain");
    // Where nothing better is known, it is taken for what it is.
    assert_eq!(answer(&known(&[forged]), &name, EntityKind::Pod, 300), "forged Likely");
}

#[test]
fn from_a_call_to_the_cloud_back_to_the_pod() {
    let assumed = event(
        Source::CloudTrail,
        200,
        &[
            (FieldId::EventAction, "AssumeRole"),
            (FieldId::EventOutcome, "success"),
            (FieldId::AwsUserType, "AWSService"),
        ],
        r#"{"userIdentity":{"invokedBy":"pods.eks.amazonaws.com"},
            "requestParameters":{"tags":[{"key":"kubernetes-namespace","value":"shop"},{"key":"kubernetes-service-account","value":"web"},
                {"key":"kubernetes-pod-name","value":"web-1"},{"key":"kubernetes-pod-uid","value":"u1"}]},
            "responseElements":{"credentials":{"accessKeyId":"ASIA1"},"assumedRoleUser":{"arn":"arn:aws:sts::1:assumed-role/shop/eks-x"}}}"#,
    );
    // The pod's session takes on another role.
    let chained = event(
        Source::CloudTrail,
        300,
        &[
            (FieldId::EventAction, "AssumeRole"),
            (FieldId::EventOutcome, "success"),
            (FieldId::AwsUserType, "AssumedRole"),
            (FieldId::AwsAccessKeyId, "ASIA1"),
            (FieldId::AwsUserArn, "arn:aws:sts::1:assumed-role/shop/eks-x"),
        ],
        r#"{"responseElements":{"credentials":{"accessKeyId":"ASIA2"},"assumedRoleUser":{"arn":"arn:aws:sts::1:assumed-role/admin/x"}}}"#,
    );
    let known = known(&[running(100, "u1", "web-1", "10.244.0.5"), assumed, chained]);
    let key = id(IdentifierKind::RoleSession, "ASIA2");
    assert_eq!(answer(&known, &key, EntityKind::Pod, 400), "u1 Certain");
    assert_eq!(
        answer(&known, &key, EntityKind::Identity, 400),
        "system:serviceaccount:shop:web Certain"
    );
    assert_eq!(answer(&known, &key, EntityKind::Node, 400), "n1 Certain");
    let steps = known.resolve(&key, EntityKind::Pod, at(400)).how;
    assert_eq!(
        steps.iter().map(|step| step.how).collect::<Vec<_>>(),
        [How::CloudRole, How::PodIdentity]
    );
    assert_eq!(answer(&known, &key, EntityKind::Pod, 400 + 12 * HOUR), "-");
}

#[test]
fn sessions_of_one_name_are_side_by_side() {
    let exchanged = |seconds: i64, key: &str, account: &str| {
        let native = format!(
            r#"{{"responseElements":{{"credentials":{{"accessKeyId":"{key}"}},"subjectFromWebIdentityToken":"system:serviceaccount:shop:{account}",
                "assumedRoleUser":{{"arn":"arn:aws:sts::1:assumed-role/shop/session"}}}}}}"#
        );
        let fields = [
            (FieldId::EventAction, "AssumeRoleWithWebIdentity"),
            (FieldId::EventOutcome, "success"),
        ];
        event(Source::CloudTrail, seconds, &fields, &native)
    };
    let known = known(&[exchanged(100, "ASIA1", "web"), exchanged(200, "ASIA2", "cart")]);
    let of = |session: &str| {
        answer(
            &known,
            &id(IdentifierKind::RoleSession, session),
            EntityKind::Identity,
            300,
        )
    };
    assert_eq!(of("ASIA1"), "system:serviceaccount:shop:web Certain");
    assert_eq!(of("ASIA2"), "system:serviceaccount:shop:cart Certain");
    assert_eq!(
        of("arn:aws:sts::1:assumed-role/shop/session"),
        "system:serviceaccount:shop:cart Certain | system:serviceaccount:shop:web"
    );
}

#[test]
fn a_workload_by_what_is_known_of_it() {
    let name = id(IdentifierKind::PodName, "shop/web-7d4b9c6f5-x2x9z");
    let check = |events: &[Event], want: &str| {
        assert_eq!(answer(&known(events), &name, EntityKind::Workload, 100), want);
    };
    check(&[], "shop/Deployment/web Guessed");
    let place = [
        (FieldId::OrchestratorNamespace, "shop"),
        (FieldId::KubernetesPodName, "web-7d4b9c6f5-x2x9z"),
        (FieldId::KubernetesPodUid, "u1"),
    ];
    let labels = r#"{"kubernetes":{"labels":{"pod-template-hash":"7d4b9c6f5"}}}"#;
    let shipped = event(Source::ContainerLog, 10, &place, labels);
    check(std::slice::from_ref(&shipped), "shop/Deployment/web Likely");
    let owner = |kind: &str, name: &str, above: &str, owner: &str| {
        let native = format!(
            r#"{{"responseObject":{{"kind":"{kind}","metadata":{{"name":"{name}","namespace":"shop","uid":"u1","ownerReferences":[{{"kind":"{above}","name":"{owner}"}}]}}}}}}"#
        );
        let resource = if kind == "Pod" { "pods" } else { "replicasets" };
        audit(20, "get", resource, &[], &native)
    };
    let pod = owner("Pod", "web-7d4b9c6f5-x2x9z", "ReplicaSet", "web-7d4b9c6f5");
    let set = owner("ReplicaSet", "web-7d4b9c6f5", "Deployment", "web");
    check(&[pod.clone(), shipped.clone()], "shop/Deployment/web Likely");
    check(&[pod, set, shipped], "shop/Deployment/web Certain");
    // A pod that nothing made stands for itself.
    let bare = audit(
        10,
        "create",
        "pods",
        &[(FieldId::OrchestratorNamespace, "shop")],
        r#"{"requestObject":{"kind":"Pod","metadata":{"name":"shell"},"spec":{"containers":[{"image":"alpine"}]}}}"#,
    );
    let known = known(&[bare]);
    let shell = id(IdentifierKind::PodName, "shop/shell");
    assert_eq!(
        answer(&known, &shell, EntityKind::Workload, 100),
        "shop/Pod/shell Certain"
    );
    assert_eq!(
        known.held(&shell, IdentifierKind::Image, at(100)),
        [id(IdentifierKind::Image, "alpine")]
    );
}

/// The same event, as one of that cluster.
fn of_cluster(mut event: Event, cluster: &str) -> Event {
    event.fields.set(FieldId::OrchestratorClusterName, cluster);
    event
}

#[test]
fn names_of_two_clusters_are_two() {
    let known = known(&[
        of_cluster(running(100, "u1", "web-1", "10.244.0.5"), "east"),
        of_cluster(running(200, "u2", "web-1", "10.244.0.5"), "west"),
        running(300, "u3", "web-1", "10.244.0.5"),
    ]);
    let check = |kind: IdentifierKind, value: &str, of: EntityKind, want: [&str; 3]| {
        for (cluster, want) in ["east", "west", ""].into_iter().zip(want) {
            let asked = id(kind, value).within(cluster);
            assert_eq!(answer(&known, &asked, of, 400), want, "{asked}");
        }
    };
    let pods = ["u1 Certain", "u2 Certain", "u3 Certain"];
    check(IdentifierKind::PodIp, "10.244.0.5", EntityKind::Pod, pods);
    check(IdentifierKind::PodName, "shop/web-1", EntityKind::Pod, pods);
    check(
        IdentifierKind::PodName,
        "shop/web-2",
        EntityKind::Pod,
        [
            "east/shop/web-2 Certain",
            "west/shop/web-2 Certain",
            "shop/web-2 Certain",
        ],
    );
    let nodes = ["east/n1 Certain", "west/n1 Certain", "n1 Certain"];
    check(IdentifierKind::PodIp, "10.244.0.5", EntityKind::Node, nodes);
    check(IdentifierKind::NodeIp, "10.0.0.1", EntityKind::Node, nodes);
    let accounts = [
        "east/system:serviceaccount:shop:web Certain",
        "west/system:serviceaccount:shop:web Certain",
        "system:serviceaccount:shop:web Certain",
    ];
    check(IdentifierKind::PodName, "shop/web-1", EntityKind::Identity, accounts);
    check(
        IdentifierKind::PodName,
        "shop/web-7d4b9c6f5-x2x9z",
        EntityKind::Workload,
        [
            "east/shop/Deployment/web Guessed",
            "west/shop/Deployment/web Guessed",
            "shop/Deployment/web Guessed",
        ],
    );
    check(
        IdentifierKind::Identity,
        "system:node:n1",
        EntityKind::Node,
        ["east/n1 Certain", "west/n1 Certain", "n1 Certain"],
    );
    // A uid leads to the names of its own cluster, whoever asks.
    assert_eq!(
        answer(&known, &id(IdentifierKind::PodUid, "u1"), EntityKind::Node, 400),
        "east/n1 Certain"
    );
}

#[test]
fn a_cloud_leads_into_the_cluster_whose_pod_acts() {
    let tags = r#""requestParameters":{"tags":[{"key":"eks-cluster-name","value":"east"},
        {"key":"kubernetes-namespace","value":"shop"},{"key":"kubernetes-service-account","value":"web"},
        {"key":"kubernetes-pod-name","value":"web-1"},{"key":"kubernetes-pod-uid","value":"u1"}]}"#;
    let assumed = |cluster: &str| {
        let fields = [
            (FieldId::EventAction, "AssumeRole"),
            (FieldId::EventOutcome, "success"),
            (FieldId::AwsUserType, "AWSService"),
            (FieldId::OrchestratorClusterName, cluster),
        ];
        let native = format!(
            r#"{{"userIdentity":{{"type":"AWSService","invokedBy":"pods.eks.amazonaws.com"}},{tags},
                "responseElements":{{"credentials":{{"accessKeyId":"ASIA1"}}}}}}"#
        );
        event(Source::CloudTrail, 200, &fields, &native)
    };
    let pods = |trail: Event| {
        known(&[
            of_cluster(running(100, "u1", "web-1", "10.244.0.5"), "east"),
            of_cluster(running(100, "u2", "web-1", "10.244.0.5"), "west"),
            trail,
        ])
    };
    let key = id(IdentifierKind::RoleSession, "ASIA1");
    let known = pods(assumed(""));
    assert_eq!(answer(&known, &key, EntityKind::Pod, 300), "u1 Certain");
    assert_eq!(answer(&known, &key, EntityKind::Node, 300), "east/n1 Certain");
    let account = "east/system:serviceaccount:shop:web Certain";
    assert_eq!(
        answer(&known, &key, EntityKind::Identity, 300),
        account,
        "by EKS's tags"
    );
    let account = "prod/system:serviceaccount:shop:web Certain";
    let known = pods(assumed("prod"));
    assert_eq!(
        answer(&known, &key, EntityKind::Identity, 300),
        account,
        "by what the topic says"
    );
    assert_eq!(answer(&known, &key, EntityKind::Pod, 300), "u1 Certain");
}
