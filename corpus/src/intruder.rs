//! The intruder of the story: what is done, turned into the records that each source makes of it.

use casebook_event::{Source, Timestamp};

use crate::application::{AppEvent, Shape};
use crate::audit::{self, AuditEvent, Object};
use crate::auth;
use crate::cloudtrail::{self, CloudTrailEvent};
use crate::cluster::{ACCOUNT, Cluster, Identity, NODE_ROLE, Pod};
use crate::container;
use crate::corpus::{CorpusRecord, topic};
use crate::line::put;
use crate::random::Random;

/// Where the intruder comes from: an address of a documentation range (RFC 5737).
pub const ATTACKER_IP: &str = "203.0.113.66";
/// The bastion that the intruder comes in by.
const BASTION: &str = "bastion-1";
/// The account whose password is guessed, and whose kubeconfig is stolen.
pub(crate) const ACCOUNT_NAME: &str = "deploy";
/// The access key of the role that the intruder assumes.
pub(crate) const ASSUMED_KEY: &str = "ASIA2SUPPORTSTOLENXX";
const KUBECTL: &str = "kubectl/v1.34.1 (linux/amd64) kubernetes/93248f9";
const CURL: &str = "curl/8.14.1";
const AWS_CLI: &str =
    "aws-cli/2.31.9 md/awscrt#0.27.6 ua/2.1 os/linux#6.12 md/arch#x86_64 lang/python#3.13.7 md/pyimpl#CPython";

/// A request to the API server.
#[derive(Clone, Copy)]
pub(crate) struct ApiRequest<'a> {
    pub(crate) verb: &'a str,
    pub(crate) object: Object<'a>,
    pub(crate) query: &'a str,
    pub(crate) code: u64,
    /// The body as JSON; empty where the log has none.
    pub(crate) body: &'a str,
}

/// A request to the shop.
#[derive(Clone, Copy)]
pub(crate) struct ShopRequest<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) status: u64,
    pub(crate) user: &'a str,
}

/// A call to AWS.
#[derive(Clone, Copy)]
pub(crate) struct AwsCall<'a> {
    /// `iam.amazonaws.com`.
    pub(crate) service: &'a str,
    pub(crate) name: &'a str,
    pub(crate) read_only: bool,
    pub(crate) request: &'a str,
    pub(crate) response: &'a str,
}

/// What an intruder does, and the records of it so far.
pub(crate) struct Intruder<'a> {
    pub(crate) cluster: &'a Cluster,
    /// The pod that is broken into.
    pub(crate) pod: &'a Pod,
    pub(crate) random: Random,
    pub(crate) start: Timestamp,
    pub(crate) records: Vec<CorpusRecord>,
}

impl Intruder<'_> {
    /// The time so many seconds into the story, and a part of one.
    fn at(&mut self, seconds: u32) -> Timestamp {
        let jitter = self.random.below(900_000_000) as i64;
        self.start
            .saturating_add_nanos(i64::from(seconds) * 1_000_000_000 + jitter)
    }

    fn push(&mut self, source: Source, key: &str, time: Timestamp, payload: Vec<u8>) {
        let (topic, key) = (topic(source), key.to_owned());
        self.records.push(CorpusRecord {
            topic,
            source,
            key,
            time,
            payload,
            damage: None,
        });
    }

    /// A line of the bastion's auth log.
    pub(crate) fn auth(&mut self, seconds: u32, program: &str, pid: u64, text: &str) {
        let time = self.at(seconds);
        let mut out = Vec::new();
        auth::head(&mut out, auth::Stamp::Rfc3339, time, BASTION, program, pid);
        put!(&mut out; text);
        self.push(Source::Auth, BASTION, time, out);
    }

    /// A sudo line of the stolen account.
    pub(crate) fn sudo(&mut self, seconds: u32, command: &str) {
        let text = format!("{ACCOUNT_NAME} : TTY=pts/3 ; PWD=/home/{ACCOUNT_NAME} ; USER=root ; COMMAND={command}");
        self.auth(seconds, "sudo", 0, &text);
    }

    /// A line of the shop, about a request from the intruder's address.
    pub(crate) fn shop(&mut self, seconds: u32, level: &str, message: &str, request: ShopRequest<'_>, extra: &str) {
        let time = self.at(seconds);
        let mut out = Vec::new();
        AppEvent {
            time,
            service: "checkout-api",
            host: "checkout-api-5d9c7b6f4d-x2k8q",
            level,
            logger: "http.access",
            message,
            client_ip: &ATTACKER_IP,
            user: request.user,
            method: request.method,
            path: request.path,
            status: request.status,
            duration_ms: self.random.between(3, 90),
            trace: self.random.next_u128(),
            extra,
        }
        .write(&mut out, Shape::Ecs);
        self.push(Source::Application, "checkout-api", time, out);
    }

    /// A line of the pod's output.
    pub(crate) fn container(&mut self, seconds: u32, stream: &str, text: &str) {
        let (time, pod) = (self.at(seconds), self.pod);
        let mut out = Vec::new();
        container::write(&mut out, container::Shape::Shipped, time, stream, pod, text);
        self.push(
            Source::ContainerLog,
            &format!("{}/{}", pod.namespace, pod.name),
            time,
            out,
        );
    }

    /// A request with the stolen kubeconfig.
    pub(crate) fn kubectl(&mut self, seconds: u32, request: ApiRequest<'_>) {
        self.audit(seconds, &stolen_kubeconfig(), ATTACKER_IP, KUBECTL, request);
    }

    /// A request with the pod's token, from `ip`.
    pub(crate) fn token(&mut self, seconds: u32, ip: &str, request: ApiRequest<'_>) {
        let cluster = self.cluster;
        self.audit(
            seconds,
            &cluster.service_accounts[self.pod.service_account],
            ip,
            CURL,
            request,
        );
    }

    fn audit(&mut self, seconds: u32, who: &Identity, ip: &str, agent: &str, request: ApiRequest<'_>) {
        let id = self.random.next_u128();
        let time = self.at(seconds);
        let event = AuditEvent {
            received: time,
            duration_nanos: 4_200_000,
            id,
            level: if request.body.is_empty() { "Metadata" } else { "Request" },
            // A connection that is upgraded is logged when it starts.
            stage: if request.code == 101 {
                "ResponseStarted"
            } else {
                "ResponseComplete"
            },
            verb: request.verb,
            query: request.query,
            who,
            ip: Some(ip),
            agent: Some(agent),
            object: request.object,
            code: request.code,
            request: request.body.into(),
        };
        let mut out = Vec::new();
        event.write(&mut out);
        self.push(Source::KubernetesAudit, &audit::key(id), time, out);
    }

    /// A call to AWS from outside: of `role`'s session where one is named, else of the node's.
    pub(crate) fn aws(&mut self, seconds: u32, role: Option<(&str, &str)>, call: AwsCall<'_>) {
        let time = self.at(seconds);
        let node = &self.cluster.nodes[self.pod.node];
        let (role, session, key, since) = match role {
            Some((role, session)) => (role, session, ASSUMED_KEY, time),
            None => (
                NODE_ROLE,
                node.instance_id.as_str(),
                node.access_key.as_str(),
                self.start,
            ),
        };
        let mut identity = Vec::new();
        cloudtrail::role_session(&mut identity, role, session, key, since);
        let mut out = Vec::new();
        CloudTrailEvent {
            time,
            id: self.random.next_u128(),
            name: call.name,
            service: call.service,
            identity: std::str::from_utf8(&identity).unwrap_or_default(),
            ip: ATTACKER_IP,
            agent: AWS_CLI,
            request: call.request,
            response: call.response,
            read_only: call.read_only,
            error: None,
        }
        .write(&mut out);
        self.push(Source::CloudTrail, ACCOUNT, time, out);
    }
}

/// The user of the stolen kubeconfig: a client certificate of the bastion's deploy account.
fn stolen_kubeconfig() -> Identity {
    Identity {
        name: ACCOUNT_NAME.to_owned(),
        user: format!(
            r#"{{"username":"{ACCOUNT_NAME}","groups":["shop:deployers","system:authenticated"],"extra":{{"authentication.kubernetes.io/credential-id":["X509SHA256=6d1b9d4c0e5f7a28"]}}}}"#
        ),
        ip: ATTACKER_IP.to_owned(),
        agent: KUBECTL,
        reason: concat!(
            r#"RBAC: allowed by ClusterRoleBinding \"shop-deployers\" of ClusterRole \"shop-deployer\" "#,
            r#"to Group \"shop:deployers\""#
        )
        .to_owned(),
    }
}
