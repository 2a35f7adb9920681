//! The world that every source tells of: one cluster with its nodes, pods and people, in one cloud account. Names,
//! addresses and ids agree across sources, so that what joins in real life joins here.

use crate::line::{Hex, Put, Uuid, put};
use crate::random::Random;

/// The cluster's region.
pub(crate) const REGION: &str = "eu-west-1";
/// The cluster's own account.
pub(crate) const ACCOUNT: &str = "111122223333";
/// The role that nodes run as.
pub(crate) const NODE_ROLE: &str = "eks-shop-node";

const NODES: usize = 40;
const WORKLOADS: usize = 220;
const PEOPLE: usize = 260;
/// What the runtime names pods with: no vowels, and no digits that look like letters.
const NAME_LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// A machine of the cluster.
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) ip: String,
    pub(crate) instance_id: String,
    pub(crate) access_key: String,
}

/// A pod, with what its shipper and its service account say of it.
pub(crate) struct Pod {
    pub(crate) namespace: String,
    pub(crate) workload: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) ip: String,
    pub(crate) container: &'static str,
    pub(crate) image: String,
    pub(crate) node: usize,
    /// The place of its service account in [`Cluster::service_accounts`].
    pub(crate) service_account: usize,
    /// The `kubernetes` object that a shipper adds to its lines, as JSON.
    pub(crate) metadata: String,
}

/// Someone who calls the API server, rendered once as the audit log shows them.
pub(crate) struct Identity {
    pub(crate) name: String,
    /// The audit event's `user` object, as JSON.
    pub(crate) user: String,
    pub(crate) ip: String,
    pub(crate) agent: &'static str,
    /// Why the API server lets them: the `authorization.k8s.io/reason` annotation, escaped for JSON.
    pub(crate) reason: String,
}

/// Everything there is.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    pub(crate) pods: Vec<Pod>,
    pub(crate) people: Vec<Identity>,
    pub(crate) service_accounts: Vec<Identity>,
    pub(crate) kubelets: Vec<Identity>,
    pub(crate) controllers: Vec<Identity>,
}

const TEAMS: &[&str] = &[
    "payments",
    "checkout",
    "catalog",
    "search",
    "identity",
    "shipping",
    "billing",
    "inventory",
    "loyalty",
    "media",
    "pricing",
    "reviews",
    "support",
    "returns",
    "fraud",
    "ledger",
    "email",
    "mobile",
    "partner",
    "data",
];
const ENVIRONMENTS: &[&str] = &["", "-staging", "-preview"];
const PARTS: &[&str] = &[
    "api",
    "worker",
    "web",
    "cache",
    "scheduler",
    "consumer",
    "gateway",
    "exporter",
    "migrator",
    "webhook",
    "indexer",
    "proxy",
];
const FIRST_NAMES: &[&str] = &[
    "alma", "bruno", "chiara", "dmitri", "elena", "farid", "greta", "hugo", "ines", "jonas", "kaya", "liam", "mara",
    "nils", "olga", "pavel", "quinn", "rosa", "sven", "tara", "uma", "viktor", "wen", "xenia", "yusuf", "zoe",
];
const LAST_NAMES: &[&str] = &[
    "adler", "berg", "castro", "dietz", "ekman", "fontana", "garcia", "haas", "ito", "jensen", "kowalski", "lindt",
    "moreau",
];
const CONTROLLERS: &[&str] = &[
    "deployment-controller",
    "replicaset-controller",
    "endpointslice-controller",
    "generic-garbage-collector",
    "job-controller",
    "cronjob-controller",
    "namespace-controller",
    "horizontal-pod-autoscaler",
    "node-controller",
    "resourcequota-controller",
];
const KUBECTL: &[&str] = &[
    "kubectl/v1.33.4 (linux/amd64) kubernetes/74cdb42",
    "kubectl/v1.34.1 (darwin/arm64) kubernetes/93248f9",
    "k9s/v0.50.9 (darwin/arm64) kubernetes/$Format",
    "Lens/6.5.2 (windows/amd64)",
    "helm/v3.19.0",
];

impl Cluster {
    /// The cluster of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed, "cluster");
        let nodes: Vec<Node> = (0..NODES).map(|n| node(&mut random, n)).collect();
        let namespaces: Vec<String> = ENVIRONMENTS
            .iter()
            .flat_map(|environment| TEAMS.iter().map(move |team| format!("{team}{environment}")))
            .collect();
        let mut pods = Vec::new();
        let mut service_accounts = Vec::new();
        for workload in 0..WORKLOADS {
            let namespace = &namespaces[workload % namespaces.len()];
            let part = PARTS[workload / namespaces.len() % PARTS.len()];
            let replicas = if workload == 0 { 3 } else { random.between(1, 5) };
            let first = pods.len();
            let account = service_accounts.len();
            let replica_set = random.letters(NAME_LETTERS, 10);
            let version = format!("{}.{}.{}", random.below(5), random.below(40), random.below(20));
            for _ in 0..replicas {
                let at = pods.len();
                let node = random.index(nodes.len());
                pods.push(pod(
                    &mut random,
                    at,
                    namespace,
                    part,
                    &replica_set,
                    &version,
                    node,
                    &nodes,
                    account,
                ));
            }
            service_accounts.push(service_account(&mut random, &pods[first], &nodes));
        }
        let people = (0..PEOPLE).map(|n| person(&mut random, n)).collect();
        let kubelets = nodes.iter().map(kubelet).collect();
        let controllers = CONTROLLERS.iter().map(|name| controller(&mut random, name)).collect();
        Self {
            nodes,
            pods,
            people,
            service_accounts,
            kubelets,
            controllers,
        }
    }
}

fn node(random: &mut Random, n: usize) -> Node {
    let (third, fourth) = (n as u64 / 16 + 16, random.between(4, 250));
    Node {
        name: format!("ip-10-0-{third}-{fourth}.{REGION}.compute.internal"),
        ip: format!("10.0.{third}.{fourth}"),
        instance_id: format!("i-0{}", random.hex(16)),
        access_key: access_key(random, "ASIA"),
    }
}

/// An access key id: four letters for its kind, and sixteen random ones.
pub(crate) fn access_key(random: &mut Random, kind: &str) -> String {
    format!("{kind}{}", random.letters(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16))
}

#[expect(
    clippy::too_many_arguments,
    reason = "a pod is where all of these meet, and it is made in one place"
)]
fn pod(
    random: &mut Random,
    at: usize,
    namespace: &str,
    part: &'static str,
    replica_set: &str,
    version: &str,
    node: usize,
    nodes: &[Node],
    service_account: usize,
) -> Pod {
    let team = namespace.split('-').next().unwrap_or(namespace);
    let workload = format!("{team}-{part}");
    let name = format!("{workload}-{replica_set}-{}", random.letters(NAME_LETTERS, 5));
    let uid = uuid(random);
    let container_id = random.hex(64);
    let image = format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/shop/{workload}:{version}");
    let ip = format!("10.244.{}.{}", at / 250, at % 250 + 2);
    let mut metadata = Vec::new();
    put!(
        &mut metadata;
        r#"{"pod_name":""#, name, r#"","namespace_name":""#, namespace, r#"","pod_id":""#, uid,
        r#"","labels":{"app.kubernetes.io/name":""#, workload, r#"","app.kubernetes.io/version":""#, version,
        r#"","pod-template-hash":""#, replica_set, r#""},"host":""#, nodes[node].name, r#"","pod_ip":""#, ip,
        r#"","container_name":""#, part, r#"","docker_id":""#, container_id, r#"","container_image":""#, image, r#""}"#,
    );
    Pod {
        namespace: namespace.to_owned(),
        workload,
        name,
        uid,
        ip,
        container: part,
        image,
        node,
        service_account,
        metadata: String::from_utf8(metadata).unwrap_or_default(),
    }
}

/// A random UUID's text.
pub(crate) fn uuid(random: &mut Random) -> String {
    let mut out = Vec::with_capacity(36);
    Uuid(random.next_u128()).put(&mut out);
    String::from_utf8(out).unwrap_or_default()
}

fn service_account(random: &mut Random, pod: &Pod, nodes: &[Node]) -> Identity {
    let (namespace, name) = (&pod.namespace, &pod.workload);
    let user = format!("system:serviceaccount:{namespace}:{name}");
    let node = &nodes[pod.node].name;
    let (uid, token, node_uid) = (uuid(random), uuid(random), uuid(random));
    Identity {
        user: format!(
            r#"{{"username":"{user}","uid":"{uid}","groups":["system:serviceaccounts","system:serviceaccounts:{namespace}","system:authenticated"],"extra":{{"authentication.kubernetes.io/credential-id":["JTI={token}"],"authentication.kubernetes.io/node-name":["{node}"],"authentication.kubernetes.io/node-uid":["{node_uid}"],"authentication.kubernetes.io/pod-name":["{}"],"authentication.kubernetes.io/pod-uid":["{}"]}}}}"#,
            pod.name, pod.uid
        ),
        name: user,
        ip: pod.ip.clone(),
        agent: random.word(&[
            "Go-http-client/2.0",
            "okhttp/4.12.0",
            "python-requests/2.32.5",
            "OpenAPI-Generator/33.1.0/python",
        ]),
        reason: format!(
            r#"RBAC: allowed by RoleBinding \"{name}/{namespace}\" of Role \"{name}\" to ServiceAccount \"{name}/{namespace}\""#
        ),
    }
}

fn person(random: &mut Random, n: usize) -> Identity {
    let (first, last) = (
        FIRST_NAMES[n % FIRST_NAMES.len()],
        LAST_NAMES[n / FIRST_NAMES.len() % LAST_NAMES.len()],
    );
    let name = format!("{first}.{last}@shop.example");
    let team = random.word(TEAMS);
    let (session, key) = (
        random.between(1_700_000_000_000_000_000, 1_800_000_000_000_000_000),
        access_key(random, "ASIA"),
    );
    Identity {
        user: format!(
            r#"{{"username":"{name}","uid":"aws-iam-authenticator:{ACCOUNT}:AROA2PEOPLE{first}","groups":["shop:developers","shop:team-{team}","system:authenticated"],"extra":{{"accessKeyId":["{key}"],"arn":["arn:aws:sts::{ACCOUNT}:assumed-role/developer/{first}.{last}"],"canonicalArn":["arn:aws:iam::{ACCOUNT}:role/developer"],"principalId":["AROA2PEOPLE{first}"],"sessionName":["{session}"]}}}}"#
        ),
        name,
        // People come through the office's and the tunnel's addresses.
        ip: format!("198.51.100.{}", random.between(10, 60)),
        agent: random.word(KUBECTL),
        reason: format!(
            r#"RBAC: allowed by RoleBinding \"team-{team}/{team}\" of ClusterRole \"edit\" to Group \"shop:team-{team}\""#
        ),
    }
}

fn kubelet(node: &Node) -> Identity {
    let name = format!("system:node:{}", node.name);
    Identity {
        user: format!(
            r#"{{"username":"{name}","uid":"aws-iam-authenticator:{ACCOUNT}:AROA2NODES","groups":["system:bootstrappers","system:nodes","system:authenticated"],"extra":{{"accessKeyId":["{}"],"arn":["arn:aws:sts::{ACCOUNT}:assumed-role/{NODE_ROLE}/{}"],"canonicalArn":["arn:aws:iam::{ACCOUNT}:role/{NODE_ROLE}"],"principalId":["AROA2NODES"],"sessionName":["{}"]}}}}"#,
            node.access_key, node.instance_id, node.instance_id
        ),
        name,
        ip: node.ip.clone(),
        agent: "kubelet/v1.33.5 (linux/amd64) kubernetes/5a9cfe9",
        reason: String::new(),
    }
}

fn controller(random: &mut Random, name: &str) -> Identity {
    let user = format!("system:serviceaccount:kube-system:{name}");
    let uid = uuid(random);
    Identity {
        user: format!(
            r#"{{"username":"{user}","uid":"{uid}","groups":["system:serviceaccounts","system:serviceaccounts:kube-system","system:authenticated"]}}"#
        ),
        name: user,
        ip: "10.0.0.5".to_owned(),
        agent: "kube-controller-manager/v1.33.5 (linux/amd64) kubernetes/5a9cfe9/system:serviceaccount:kube-system",
        reason: format!(
            r#"RBAC: allowed by ClusterRoleBinding \"system:controller:{name}\" of ClusterRole \"system:controller:{name}\" to ServiceAccount \"{name}/kube-system\""#
        ),
    }
}

/// An address of someone on the internet: one of four million, so that strangers seldom come twice.
pub(crate) struct StrangerIp(pub(crate) u64);

impl Put for StrangerIp {
    fn put(&self, out: &mut Vec<u8>) {
        if self.0 & 7 == 0 {
            put!(out; "2001:db8:", Hex(u128::from(self.0 >> 4) | 0x1000, 4), "::", Hex(u128::from(self.0 >> 20) | 0x1000, 4));
        } else {
            let bits = self.0 >> 3;
            put!(out; "100.", 64 + (bits >> 16 & 63), ".", bits >> 8 & 255, ".", bits & 255);
        }
    }
}
