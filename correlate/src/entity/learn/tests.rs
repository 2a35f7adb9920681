//! What each source reports, case by case.

use casebook_event::{Event, FieldId, Source, Timestamp, Value};
use proptest::prelude::*;

use super::bindings_of;
use crate::entity::relation::relation;
use crate::entity::tests::samples::{ABOUT_WEB, audit, event};
use crate::entity::{Binding, EntityKind, identifiers_of};

/// What is reported is of some known relation: else it would be reported for nothing.
fn assert_learnable(bindings: &[Binding]) {
    for binding in bindings {
        assert!(relation(&binding.from, &binding.to).is_some(), "{binding:?}");
    }
}

/// What an event reports, a line each; `!` stands before an end, with its time.
fn reported(event: &Event) -> Vec<String> {
    let mut bindings = Vec::new();
    bindings_of(event, &mut bindings);
    assert_learnable(&bindings);
    bindings
        .iter()
        .map(|b| match b.ends {
            true => format!("! {} at {}", b.from, b.time.as_nanos() / 1_000_000_000),
            false => format!("{} > {} ({:?} {:?})", b.from, b.to, b.how, b.confidence),
        })
        .collect()
}

/// Checks that an event reports these, and with `only`, nothing else.
fn check(event: &Event, want: &[&str]) {
    let found = reported(event);
    assert_eq!(found, want, "{}", event.raw);
}

fn check_among(event: &Event, want: &[&str]) {
    let found = reported(event);
    for want in want {
        assert!(found.iter().any(|found| found == want), "{want} is not in {found:#?}");
    }
}

#[test]
fn a_pod_in_the_audit_log() {
    let pod = r#"{"responseObject":{"kind":"Pod","metadata":{"name":"web-7d4b9c6f5-x2x9z","namespace":"shop","uid":"u1",
        "labels":{"pod-template-hash":"7d4b9c6f5"},
        "ownerReferences":[{"kind":"ReplicaSet","name":"web-7d4b9c6f5","controller":true}]},
        "spec":{"nodeName":"n1","serviceAccountName":"web","containers":[{"name":"app","image":"web:1"}]},
        "status":{"phase":"Running","hostIP":"10.0.0.1","podIP":"10.244.0.5","podIPs":[{"ip":"10.244.0.5"},{"ip":"FD00::5"}],
        "containerStatuses":[{"image":"docker.io/web:1","containerID":"containerd://0123456789abcdef",
            "lastState":{"terminated":{"containerID":"containerd://fedcba9876543210"}}}]}}}"#;
    check(
        &audit(1, "get", "pods", &[(FieldId::OrchestratorNamespace, "shop")], pod),
        &[
            "PodName shop/web-7d4b9c6f5-x2x9z > PodUid u1 (AuditPod Certain)",
            "PodUid u1 > PodName shop/web-7d4b9c6f5-x2x9z (AuditPod Certain)",
            "PodUid u1 > NodeName n1 (AuditPod Certain)",
            "PodUid u1 > ServiceAccount shop/web (AuditPod Certain)",
            "PodUid u1 > Image web:1 (AuditPod Certain)",
            "PodUid u1 > Workload shop/ReplicaSet/web-7d4b9c6f5 (AuditPod Certain)",
            "Workload shop/ReplicaSet/web-7d4b9c6f5 > Workload shop/Deployment/web (AuditPod Likely)",
            "NodeIp 10.0.0.1 > NodeName n1 (AuditPodStatus Certain)",
            "PodIp 10.244.0.5 > PodUid u1 (AuditPodStatus Certain)",
            "PodIp fd00::5 > PodUid u1 (AuditPodStatus Certain)",
            "ContainerId 0123456789ab > PodUid u1 (AuditPodStatus Certain)",
            "ContainerId 0123456789ab > Image docker.io/web:1 (AuditPodStatus Certain)",
            "ContainerId fedcba987654 > PodUid u1 (AuditPodStatus Certain)",
            "ContainerId fedcba987654 > Image docker.io/web:1 (AuditPodStatus Certain)",
        ],
    );
}

#[test]
fn what_changes_pods() {
    let of = |verb: &str, resource: &str, user: &str, native: &str| {
        let mut fields = ABOUT_WEB.to_vec();
        fields.push((FieldId::UserName, user));
        audit(10, verb, resource, &fields, native)
    };
    let node = "system:node:n1";
    // A kubelet's patch of the status.
    let patch = r#"{"requestObject":{"metadata":{"uid":"u1"},"status":{"podIP":"10.244.0.5"}}}"#;
    check(
        &of("patch", "pods/status", node, patch),
        &[
            "PodName shop/web-1 > PodUid u1 (AuditPod Certain)",
            "PodUid u1 > PodName shop/web-1 (AuditPod Certain)",
            "PodIp 10.244.0.5 > PodUid u1 (AuditPodStatus Certain)",
            "PodName shop/web-1 > NodeName n1 (AuditPod Certain)",
        ],
    );
    // Anyone else's.
    check_among(
        &of("patch", "pods/status", "mallory", patch),
        &["PodIp 10.244.0.5 > PodUid u1 (AuditPodStatus Likely)"],
    );
    let found = reported(&of("update", "pods", "mallory", patch));
    assert!(!found.iter().any(|line| line.starts_with("PodIp")), "{found:?}");
    // Pods in their node's network, and pods that are through, have no address of their own.
    for native in [
        r#"{"responseObject":{"metadata":{"uid":"u1"},"spec":{"hostNetwork":true},"status":{"podIP":"10.0.0.1"}}}"#,
        r#"{"responseObject":{"metadata":{"uid":"u1"},"status":{"podIP":"10.0.0.1","hostIP":"10.0.0.1"}}}"#,
        r#"{"responseObject":{"metadata":{"uid":"u1"},"status":{"phase":"Succeeded","podIP":"10.244.0.5"}}}"#,
    ] {
        let found = reported(&of("get", "pods", "x", native));
        assert!(!found.iter().any(|line| line.starts_with("PodIp")), "{found:?}");
    }
    // What is applied to a pod says nothing of its owner; a pod that is answered without one has none.
    let applied = r#"{"kind":"Pod","metadata":{"name":"web-1","uid":"u1"},"spec":{"containers":[{"image":"web:1"}]}}"#;
    let itself = "PodUid u1 > Workload shop/Pod/web-1 (AuditPod Certain)";
    for (body, has) in [("requestObject", false), ("responseObject", true)] {
        let found = reported(&of("patch", "pods", "alice", &format!(r#"{{"{body}":{applied}}}"#)));
        assert_eq!(found.iter().any(|line| line == itself), has, "{found:?}");
    }
    // The scheduler's choice.
    check(
        &of(
            "create",
            "pods/binding",
            "system:kube-scheduler",
            r#"{"requestObject":{"kind":"Binding","metadata":{"name":"web-1","uid":"u1"},"target":{"kind":"Node","name":"n1"}}}"#,
        ),
        &[
            "PodName shop/web-1 > PodUid u1 (AuditBinding Certain)",
            "PodUid u1 > PodName shop/web-1 (AuditBinding Certain)",
            "PodUid u1 > NodeName n1 (AuditBinding Certain)",
        ],
    );
    // Ends: of a uid after its time of grace; of a name only if at once.
    let ends = |verb: &str, user: &str, native: &str| {
        let found = reported(&of(verb, "pods", user, native));
        found
            .into_iter()
            .filter(|line| line.starts_with('!'))
            .collect::<Vec<_>>()
    };
    let with_uid = r#"{"requestObject":{"gracePeriodSeconds":0,"preconditions":{"uid":"u1"}}}"#;
    assert_eq!(ends("delete", node, with_uid), ["! PodUid u1 at 10"]);
    assert_eq!(
        ends("delete", "alice", r#"{"requestObject":{"preconditions":{"uid":"u1"}}}"#),
        ["! PodUid u1 at 40"]
    );
    let patient = r#"{"responseObject":{"metadata":{"uid":"u1","deletionGracePeriodSeconds":60}}}"#;
    assert_eq!(ends("delete", "alice", patient), ["! PodUid u1 at 70"]);
    assert_eq!(ends("delete", node, "{}"), ["! PodName shop/web-1 at 10"]);
    assert_eq!(ends("delete", "alice", "{}"), [""; 0]);
    // Neither what was refused nor what was only tried.
    let mut refused = of("delete", "pods", node, with_uid);
    refused.fields.set(FieldId::EventOutcome, "failure");
    check(&refused, &[]);
    let mut tried = of("delete", "pods", node, with_uid);
    tried
        .fields
        .set(FieldId::UrlOriginal, "/api/v1/namespaces/shop/pods/web-1?dryRun=All");
    check(&tried, &[]);
}

#[test]
fn nodes_owners_endpoints_and_tokens_in_the_audit_log() {
    let node = r#"{"responseObject":{"kind":"Node","metadata":{"name":"n1"},"spec":{"providerID":"aws:///eu-west-1a/i-0abc1234"},
        "status":{"addresses":[{"type":"InternalIP","address":"10.0.0.1"},{"type":"Hostname","address":"n1"}]}}}"#;
    check(
        &audit(1, "patch", "nodes/status", &[], node),
        &[
            "InstanceId i-0abc1234 > NodeName n1 (AuditNode Certain)",
            "NodeName n1 > InstanceId i-0abc1234 (AuditNode Certain)",
            "NodeIp 10.0.0.1 > NodeName n1 (AuditNode Certain)",
        ],
    );
    let namespace = (FieldId::OrchestratorNamespace, "shop");
    let set = r#"{"requestObject":{"kind":"ReplicaSet","metadata":{"name":"web-7d4b9c6f5",
        "ownerReferences":[{"kind":"Deployment","name":"web","controller":true}]}}}"#;
    check(
        &audit(1, "create", "replicasets", &[namespace], set),
        &["Workload shop/ReplicaSet/web-7d4b9c6f5 > Workload shop/Deployment/web (AuditOwner Certain)"],
    );
    let slice = r#"{"requestObject":{"kind":"EndpointSlice","endpoints":[{"addresses":["10.244.0.5"],"nodeName":"n1",
        "targetRef":{"kind":"Pod","namespace":"shop","name":"web-1","uid":"u1"}}]}}"#;
    check_among(
        &audit(1, "update", "endpointslices", &[namespace], slice),
        &[
            "PodIp 10.244.0.5 > PodUid u1 (AuditEndpoints Likely)",
            "PodUid u1 > NodeName n1 (AuditEndpoints Likely)",
        ],
    );
    let token = r#"{"requestObject":{"spec":{"boundObjectRef":{"kind":"Pod","name":"web-1","uid":"u1"}}}}"#;
    let fields = [
        namespace,
        (FieldId::OrchestratorResourceName, "web"),
        (FieldId::UserName, "system:node:n1"),
    ];
    check(
        &audit(1, "create", "serviceaccounts/token", &fields, token),
        &[
            "PodName shop/web-1 > PodUid u1 (AuditTokenRequest Certain)",
            "PodUid u1 > PodName shop/web-1 (AuditTokenRequest Certain)",
            "PodUid u1 > ServiceAccount shop/web (AuditTokenRequest Certain)",
            "PodUid u1 > NodeName n1 (AuditTokenRequest Certain)",
        ],
    );
}

#[test]
fn who_asks_in_the_audit_log() {
    let claims = r#"{"user":{"username":"system:serviceaccount:shop:web","extra":{
        "authentication.kubernetes.io/pod-name":["web-1"],"authentication.kubernetes.io/pod-uid":["u1"],
        "authentication.kubernetes.io/node-name":["n1"]}}}"#;
    // The token's use is refused, and comes from anywhere: what it says of its pod holds, and nothing of the address.
    let mut request = audit(1, "list", "secrets", &[(FieldId::SourceIp, "203.0.113.9")], claims);
    request.fields.set(FieldId::EventOutcome, "failure");
    request.fields.set(FieldId::HttpResponseStatusCode, 403);
    let want = [
        "PodName shop/web-1 > PodUid u1 (AuditTokenClaims Certain)",
        "PodUid u1 > PodName shop/web-1 (AuditTokenClaims Certain)",
        "PodUid u1 > ServiceAccount shop/web (AuditTokenClaims Certain)",
        "PodUid u1 > NodeName n1 (AuditTokenClaims Certain)",
    ];
    check(&request, &want);
    // A token that was not accepted says nothing.
    request.fields.set(FieldId::HttpResponseStatusCode, 401);
    check(&request, &[]);
    let person = r#"{"user":{"username":"alice@shop","extra":{"accessKeyId":["ASIA1"],"arn":["arn:aws:sts::1:assumed-role/dev/alice"]}}}"#;
    check(
        &audit(1, "list", "pods", &[], person),
        &[
            "RoleSession ASIA1 > RoleSession arn:aws:sts::1:assumed-role/dev/alice (AuditCloudSession Certain)",
            "RoleSession ASIA1 > Identity alice@shop (AuditCloudSession Certain)",
            "RoleSession arn:aws:sts::1:assumed-role/dev/alice > Identity alice@shop (AuditCloudSession Certain)",
        ],
    );
    let kubelet = r#"{"user":{"username":"system:node:n1","extra":{"sessionName":["i-0abc1234"]}}}"#;
    check(
        &audit(1, "update", "leases", &[(FieldId::SourceIp, "10.0.0.1")], kubelet),
        &[
            "InstanceId i-0abc1234 > NodeName n1 (AuditNodeUser Certain)",
            "NodeName n1 > InstanceId i-0abc1234 (AuditNodeUser Certain)",
            "NodeIp 10.0.0.1 > NodeName n1 (AuditNodeUser Guessed)",
        ],
    );
}

#[test]
fn nodes_and_runtimes() {
    let pod = [
        (FieldId::KubernetesPodUid, "u1"),
        (FieldId::OrchestratorNamespace, "shop"),
        (FieldId::KubernetesPodName, "web-1"),
        (FieldId::ContainerId, "0123456789abcdef0123456789abcdef"),
        (FieldId::KubernetesNodeName, "n1"),
    ];
    let of_pod = |how: &str, confidence: &str| {
        [
            format!("PodName shop/web-1 > PodUid u1 ({how} {confidence})"),
            format!("PodUid u1 > PodName shop/web-1 ({how} {confidence})"),
            format!("ContainerId 0123456789ab > PodUid u1 ({how} {confidence})"),
            format!("PodUid u1 > NodeName n1 ({how} {confidence})"),
            format!("ContainerId 0123456789ab > NodeName n1 ({how} {confidence})"),
        ]
    };
    for (source, how) in [
        (Source::Kubelet, "Kubelet"),
        (Source::ContainerLog, "Shipper"),
        (Source::Falco, "Falco"),
        (Source::Tetragon, "Tetragon"),
        (Source::ContainerStats, "ContainerStats"),
    ] {
        assert_eq!(
            reported(&event(source, 1, &pod, "{}")),
            of_pod(how, "Certain"),
            "{source}"
        );
    }
    let mut of_event = pod.to_vec();
    of_event.push((FieldId::OrchestratorResourceType, "pods"));
    assert_eq!(
        reported(&event(Source::KubernetesEvent, 1, &of_event, "{}")),
        of_pod("KubernetesEvent", "Likely")
    );
    // containerd names the pod with the sandbox, and the container with the sandbox.
    let run = [
        (FieldId::KubernetesPodUid, "u1"),
        (
            FieldId::Message,
            r#"RunPodSandbox for &PodSandboxMetadata{Name:web-1,Uid:u1,} returns sandbox id "aaaabbbbccccdddd""#,
        ),
    ];
    check(
        &event(Source::Kubelet, 1, &run, "{}"),
        &["ContainerId aaaabbbbcccc > PodUid u1 (Kubelet Certain)"],
    );
    let create = [
        (FieldId::ContainerId, "0123456789abcdef"),
        (
            FieldId::Message,
            r#"CreateContainer within sandbox "aaaabbbbccccdddd" for &ContainerMetadata{Name:app,} returns container id "0123456789abcdef""#,
        ),
    ];
    check(
        &event(Source::Kubelet, 1, &create, "{}"),
        &["ContainerId 0123456789ab > ContainerId aaaabbbbcccc (Kubelet Certain)"],
    );
}

#[test]
fn workloads_by_labels_and_events() {
    let place = [
        (FieldId::KubernetesPodUid, "u1"),
        (FieldId::OrchestratorNamespace, "shop"),
        (FieldId::KubernetesPodName, "web-7d4b9c6f5-x2x9z"),
        (FieldId::Message, "hello"),
    ];
    let workload = |source: Source, fields: &[(FieldId, &str)], native: &str| {
        let found = reported(&event(source, 1, fields, native));
        found
            .into_iter()
            .filter(|line| line.contains("Workload"))
            .collect::<Vec<_>>()
    };
    let labels = r#"{"kubernetes":{"labels":{"pod-template-hash":"7d4b9c6f5"}}}"#;
    let want = [
        "PodUid u1 > Workload shop/ReplicaSet/web-7d4b9c6f5 (Shipper Likely)",
        "Workload shop/ReplicaSet/web-7d4b9c6f5 > Workload shop/Deployment/web (Shipper Likely)",
    ];
    assert_eq!(workload(Source::ContainerLog, &place, labels), want);
    // A line that says `kubernetes` itself may be where the labels are from.
    for message in [
        r#"{"kubernetes":{"labels":{"job-name":"x"}}}"#,
        r#"{"\u006bubernetes":{}}"#,
    ] {
        let mut forged = place.to_vec();
        forged.push((FieldId::Message, message));
        assert_eq!(workload(Source::ContainerLog, &forged, labels), [""; 0]);
    }
    let tetragon =
        r#"{"process_exec":{"process":{"pod":{"workload":"web","workload_kind":"Deployment"}}},"node_name":"n1"}"#;
    assert_eq!(
        workload(Source::Tetragon, &place, tetragon),
        ["PodUid u1 > Workload shop/Deployment/web (Tetragon Likely)"]
    );
    let falco = r#"{"output_fields":{"k8smeta.rs.name":"web-7d4b9c6f5","k8smeta.deployment.name":"web"}}"#;
    assert_eq!(
        workload(Source::Falco, &place, falco),
        [
            "PodUid u1 > Workload shop/ReplicaSet/web-7d4b9c6f5 (Falco Likely)",
            "Workload shop/ReplicaSet/web-7d4b9c6f5 > Workload shop/Deployment/web (Falco Likely)",
        ]
    );
    let of = |kind: &str, name: &str, message: &str| {
        let fields = [
            (FieldId::OrchestratorResourceType, kind),
            (FieldId::OrchestratorNamespace, "shop"),
            (FieldId::OrchestratorResourceName, name),
            (FieldId::Message, message),
        ];
        reported(&event(Source::KubernetesEvent, 1, &fields, "{}"))
    };
    assert_eq!(
        of("replicasets", "web-7d4b9c6f5", "Created pod: web-7d4b9c6f5-x2x9z"),
        ["PodName shop/web-7d4b9c6f5-x2x9z > Workload shop/ReplicaSet/web-7d4b9c6f5 (KubernetesEvent Likely)"]
    );
    assert_eq!(
        of("deployments", "web", "Scaled up replica set web-7d4b9c6f5 to 3 from 2"),
        ["Workload shop/ReplicaSet/web-7d4b9c6f5 > Workload shop/Deployment/web (KubernetesEvent Likely)"]
    );
}

#[test]
fn sessions_of_cloud_roles() {
    let of = |action: &str, user_type: &str, native: &str| {
        let value: Value = serde_json::from_str(native).expect(native);
        let text = |path: &[&str]| value.str_at(path).unwrap_or_default();
        event(
            Source::CloudTrail,
            1,
            &[
                (FieldId::EventAction, action),
                (FieldId::EventOutcome, "success"),
                (FieldId::AwsUserType, user_type),
                (FieldId::AwsUserArn, text(&["userIdentity", "arn"])),
                (FieldId::AwsAccessKeyId, text(&["userIdentity", "accessKeyId"])),
            ],
            native,
        )
    };
    let new = r#""responseElements":{"credentials":{"accessKeyId":"ASIANEW"},"assumedRoleUser":{"arn":"arn:aws:sts::1:assumed-role/r/s"},
        "subjectFromWebIdentityToken":"system:serviceaccount:shop:web"}"#;
    let arn = "RoleSession arn:aws:sts::1:assumed-role/r/s";
    check(
        &of("AssumeRoleWithWebIdentity", "WebIdentityUser", &format!("{{{new}}}")),
        &[
            &format!("RoleSession ASIANEW > {arn} (WebIdentity Certain)"),
            "RoleSession ASIANEW > ServiceAccount shop/web (WebIdentity Certain)",
            &format!("{arn} > ServiceAccount shop/web (WebIdentity Certain)"),
        ],
    );
    let tags = r#""requestParameters":{"tags":[{"key":"kubernetes-namespace","value":"shop"},
        {"key":"kubernetes-service-account","value":"web"},{"key":"kubernetes-pod-name","value":"web-1"},
        {"key":"kubernetes-pod-uid","value":"u1"}]}"#;
    let by_eks =
        format!(r#"{{"userIdentity":{{"type":"AWSService","invokedBy":"pods.eks.amazonaws.com"}},{tags},{new}}}"#);
    check_among(
        &of("AssumeRole", "AWSService", &by_eks),
        &[
            "RoleSession ASIANEW > PodUid u1 (PodIdentity Certain)",
            "RoleSession ASIANEW > ServiceAccount shop/web (PodIdentity Certain)",
            "PodUid u1 > ServiceAccount shop/web (PodIdentity Certain)",
        ],
    );
    // Anyone may tag a session: the same tags from another caller say nothing of a pod.
    let by_other = format!(
        r#"{{"userIdentity":{{"type":"IAMUser","accessKeyId":"AKIA1","userName":"alice","arn":"arn:aws:iam::1:user/alice"}},{tags},{new}}}"#
    );
    check(
        &of("AssumeRole", "IAMUser", &by_other),
        &[
            "RoleSession AKIA1 > Identity alice (CloudSession Certain)",
            "RoleSession arn:aws:iam::1:user/alice > Identity alice (CloudSession Certain)",
            &format!("RoleSession ASIANEW > {arn} (CloudSession Certain)"),
            "RoleSession ASIANEW > RoleSession AKIA1 (CloudRole Certain)",
            &format!("{arn} > RoleSession AKIA1 (CloudRole Certain)"),
        ],
    );
    let machine = r#"{"userIdentity":{"accessKeyId":"ASIAN","arn":"arn:aws:sts::1:assumed-role/nodes/i-0abc1234"}}"#;
    check(
        &of("DescribeInstances", "AssumedRole", machine),
        &[
            "RoleSession ASIAN > RoleSession arn:aws:sts::1:assumed-role/nodes/i-0abc1234 (CloudSession Certain)",
            "RoleSession arn:aws:sts::1:assumed-role/nodes/i-0abc1234 > InstanceId i-0abc1234 (CloudSession Likely)",
        ],
    );
}

#[test]
fn clouds_on_machines() {
    let gcp = r#"{"resource":{"labels":{"instance_id":"4711"}},"protoPayload":{"resourceName":"projects/p/zones/z/instances/gke-shop-1"}}"#;
    check(
        &event(Source::GcpAudit, 1, &[], gcp),
        &[
            "InstanceId 4711 > NodeName gke-shop-1 (CloudInstance Likely)",
            "InstanceId gke-shop-1 > NodeName gke-shop-1 (CloudInstance Likely)",
        ],
    );
    let azure = r#"{"identity":{"claims":{"appid":"app-1","xms_mirid":"/subscriptions/s/resourcegroups/g/providers/Microsoft.Compute/virtualMachines/vm-1"}}}"#;
    check(
        &event(Source::AzureActivity, 1, &[], azure),
        &["RoleSession app-1 > InstanceId vm-1 (CloudInstance Certain)"],
    );
}

/// The keys that are looked for, and one that is not.
const KEYS: &[&str] = &[
    "user",
    "extra",
    "username",
    "authentication.kubernetes.io/pod-uid",
    "authentication.kubernetes.io/pod-name",
    "arn",
    "accessKeyId",
    "sessionName",
    "requestObject",
    "responseObject",
    "items",
    "kind",
    "metadata",
    "name",
    "namespace",
    "uid",
    "labels",
    "pod-template-hash",
    "annotations",
    "ownerReferences",
    "controller",
    "spec",
    "nodeName",
    "serviceAccountName",
    "containers",
    "image",
    "hostNetwork",
    "providerID",
    "boundObjectRef",
    "status",
    "podIP",
    "podIPs",
    "ip",
    "hostIP",
    "phase",
    "addresses",
    "address",
    "type",
    "containerStatuses",
    "containerID",
    "lastState",
    "terminated",
    "endpoints",
    "targetRef",
    "target",
    "gracePeriodSeconds",
    "preconditions",
    "userIdentity",
    "invokedBy",
    "userName",
    "requestParameters",
    "tags",
    "key",
    "value",
    "responseElements",
    "credentials",
    "assumedRoleUser",
    "subject",
    "instancesSet",
    "kubernetes",
    "pod_owner",
    "output_fields",
    "process_exec",
    "process",
    "pod",
    "workload",
    "workload_kind",
    "pod_labels",
    "protoPayload",
    "resourceName",
    "authenticationInfo",
    "principalSubject",
    "identity",
    "claims",
    "xms_mirid",
    "other",
];

/// Texts that mean something somewhere.
const TEXTS: &[&str] = &[
    "",
    "/",
    "a/b",
    "shop",
    "web-7d4b9c6f5-x2x9z",
    "Pod",
    "Node",
    "ReplicaSet",
    "10.0.0.1",
    "fd00::1",
    "0123456789abcdef",
    "éééééééééééé",
    "containerd://",
    "system:node:",
    "system:node:n1",
    "system:serviceaccount:shop:web",
    "i-0abc1234",
    "pods.eks.amazonaws.com",
    "aws:///z/i-1",
    "x.svc.id.goog[a/b]",
    "x.svc.id.goog[",
    "pods",
    "nodes",
    "delete",
    "list",
    "AssumeRole",
    "success",
    "returns sandbox id \"",
    "Created pod: ",
    "replica set x",
];

fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        6 => proptest::sample::select(TEXTS).prop_map(Value::str),
        1 => any::<i64>().prop_map(Value::Int),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => Just(Value::Null),
    ];
    leaf.prop_recursive(6, 80, 8, |inner| {
        let key = proptest::sample::select(KEYS).prop_map(Into::into);
        prop_oneof![
            3 => proptest::collection::vec((key, inner.clone()), 0..8).prop_map(Value::Map),
            1 => proptest::collection::vec(inner, 0..4).prop_map(Value::List),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn any_record_tells_something_or_nothing(
        source in proptest::sample::select(Source::ALL),
        native in tree(),
        fields in proptest::collection::vec((proptest::sample::select(FieldId::ALL), proptest::sample::select(TEXTS)), 0..20),
        nanos in any::<i64>(),
    ) {
        let mut event = event(source, 1, &[], "null");
        event.native = native.into();
        event.time = Timestamp::from_nanos(nanos);
        for (field, text) in fields {
            event.fields.set(field, text);
        }
        let mut bindings = Vec::new();
        bindings_of(&event, &mut bindings);
        assert_learnable(&bindings);
        for &kind in EntityKind::ALL {
            let mut named = Vec::new();
            identifiers_of(&event, kind, &mut named);
        }
    }
}
