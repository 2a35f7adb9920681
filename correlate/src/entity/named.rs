//! What an event names that may lead to an entity.

use casebook_event::{Event, FieldId, MAX_SIGNAL_IDENTIFIERS, Source, ValueRef};

use super::IdentifierKind::{ContainerId, Identity, InstanceId, NodeIp, NodeName, PodIp, PodName, PodUid, RoleSession};
use super::cluster::{cluster_of_names, qualify};
use super::limits::MAX_HOST_ADDRESSES;
use super::{EntityKind, Identifier, IdentifierKind};

/// Appends what an event names that may lead to an entity of that kind, the best first.
///
/// It is about what the event is about where the two differ: an audit event of a request for a pod names that pod, and where
/// the request came from comes last. With a kind of `Identity` it is about who acts.
pub fn identifiers_of(event: &Event, kind: EntityKind, out: &mut Vec<Identifier>) {
    let first = out.len();
    let mut named = Named {
        event,
        cluster: cluster_of_names(event),
        first,
        out,
    };
    match kind {
        EntityKind::Pod => {
            named.pod();
            named.field(PodIp, FieldId::SourceIp);
        }
        EntityKind::Workload => {
            named.pod();
            named.workload();
            named.field(PodIp, FieldId::SourceIp);
        }
        EntityKind::Node => named.node(),
        EntityKind::Identity => named.identity(),
    }
}

struct Named<'a> {
    event: &'a Event,
    /// Whose names it has, where that is known.
    cluster: &'a str,
    /// Where this event's own begin.
    first: usize,
    out: &'a mut Vec<Identifier>,
}

impl Named<'_> {
    fn push(&mut self, id: Option<Identifier>) {
        if let Some(id) = id.map(|id| qualify(id, self.event.source, self.cluster))
            && self.out.len() - self.first < MAX_SIGNAL_IDENTIFIERS
            && !self.out.iter().skip(self.first).any(|other| *other == id)
        {
            self.out.push(id);
        }
    }

    fn field(&mut self, kind: IdentifierKind, field: FieldId) {
        let id = self.text(field).and_then(|text| Identifier::new(kind, text));
        self.push(id);
    }

    fn text(&self, field: FieldId) -> Option<&str> {
        self.event.fields.str(field)
    }

    fn pod(&mut self) {
        self.field(PodUid, FieldId::KubernetesPodUid);
        let name = self
            .namespace_of_pod()
            .zip(self.text(FieldId::KubernetesPodName))
            .and_then(|(namespace, name)| Identifier::namespaced(PodName, namespace, name));
        self.push(name);
        self.field(ContainerId, FieldId::ContainerId);
        self.field(PodIp, FieldId::KubernetesPodIp);
        if self.event.source == Source::CloudTrail {
            self.sessions();
        }
    }

    /// An audit event that is not about a pod has the pod in which the caller's token was mounted, and the namespace of what
    /// it is about: that pod is in the service account's.
    fn namespace_of_pod(&self) -> Option<&str> {
        let about_pod = self.text(FieldId::OrchestratorResourceType) == Some("pods");
        if self.event.source != Source::KubernetesAudit || about_pod {
            return self.text(FieldId::OrchestratorNamespace);
        }
        let (namespace, _) = self.text(FieldId::KubernetesServiceAccount)?.split_once(':')?;
        Some(namespace)
    }

    /// The workload that a request or an Event is about.
    fn workload(&mut self) {
        let kind = match self.text(FieldId::OrchestratorResourceType) {
            Some("deployments") => "Deployment",
            Some("replicasets") => "ReplicaSet",
            Some("statefulsets") => "StatefulSet",
            Some("daemonsets") => "DaemonSet",
            Some("jobs") => "Job",
            Some("cronjobs") => "CronJob",
            _ => return,
        };
        let id = self
            .text(FieldId::OrchestratorNamespace)
            .zip(self.text(FieldId::OrchestratorResourceName))
            .and_then(|(namespace, name)| Identifier::workload(namespace, kind, name));
        // What the event is about comes before the pod that its caller's token was mounted in.
        if let Some(id) = id {
            self.out.insert(self.first, id.within(self.cluster));
        }
    }

    fn node(&mut self) {
        self.field(NodeName, FieldId::KubernetesNodeName);
        let of_node = matches!(
            self.event.source,
            Source::Kubelet
                | Source::Auditd
                | Source::Auth
                | Source::Journald
                | Source::Tetragon
                | Source::FileIntegrity
        );
        if of_node {
            self.field(NodeName, FieldId::HostName);
        }
        self.field(InstanceId, FieldId::CloudInstanceId);
        let addresses = self.event.fields.get(FieldId::HostIp).and_then(|ips| ips.as_list());
        for ip in addresses.unwrap_or_default().iter().take(MAX_HOST_ADDRESSES) {
            let ip = ip.as_str().and_then(|ip| Identifier::new(NodeIp, ip));
            self.push(ip);
        }
        self.pod();
        let user = self.text(FieldId::UserName).and_then(Identifier::node_of_user);
        self.push(user);
        self.field(NodeIp, FieldId::SourceIp);
        self.field(PodIp, FieldId::SourceIp);
    }

    fn identity(&mut self) {
        match self.event.source {
            Source::CloudTrail => {
                // A role's name is not who acts: whose session it is, is.
                self.sessions();
                self.field(Identity, FieldId::UserName);
            }
            Source::GcpAudit => {
                let accounts = google_accounts(self.event.native());
                accounts.into_iter().for_each(|account| self.push(Some(account)));
                self.field(Identity, FieldId::UserName);
            }
            Source::KubernetesAudit => {
                self.field(Identity, FieldId::UserName);
                self.sessions();
            }
            // A web server logs the name that the caller sends, whether it asked for one and believed it or not.
            Source::WebAccess => self.pod(),
            _ => {
                // Who acts in a container is its pod's service account: the user there is a name in its own files.
                self.pod();
                self.field(Identity, FieldId::UserName);
            }
        }
    }

    fn sessions(&mut self) {
        self.field(RoleSession, FieldId::AwsAccessKeyId);
        self.field(RoleSession, FieldId::AwsUserArn);
    }
}

/// The service accounts that act under a Google identity (workload identity federation of GKE):
/// `serviceAccount:PROJECT.svc.id.goog[namespace/name]`.
fn google_accounts(native: ValueRef<'_>) -> Vec<Identifier> {
    let Some(caller) = native.at(&["protoPayload", "authenticationInfo"]) else {
        return Vec::new();
    };
    let delegates = caller.get("serviceAccountDelegationInfo").and_then(ValueRef::as_list);
    let subjects = delegates
        .into_iter()
        .flatten()
        .filter_map(|delegate| delegate.str_at(&["principalSubject"]))
        .chain(caller.str_at(&["principalSubject"]))
        .chain(caller.str_at(&["principalEmail"]));
    subjects.filter_map(google_account).collect()
}

fn google_account(subject: &str) -> Option<Identifier> {
    let (_, rest) = subject.split_once(".svc.id.goog[")?;
    let (namespace, name) = rest.strip_suffix(']')?.split_once('/')?;
    Identifier::namespaced(IdentifierKind::ServiceAccount, namespace, name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entity::tests::samples::{ABOUT_WEB, audit, event};

    #[test]
    fn a_name_that_a_web_server_logs_is_no_identity() {
        let named = |source: Source| {
            let mut found = Vec::new();
            let fields = [
                (FieldId::UserName, "admin"),
                (FieldId::OrchestratorNamespace, "shop"),
                (FieldId::KubernetesPodName, "web-1"),
            ];
            identifiers_of(&event(source, 1, &fields, "{}"), EntityKind::Identity, &mut found);
            found.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(named(Source::WebAccess), ["PodName shop/web-1"]);
        assert_eq!(
            named(Source::ContainerLog)[0],
            "PodName shop/web-1",
            "its pod comes first"
        );
    }

    #[test]
    fn what_events_name() {
        let named = |event: &Event, kind: EntityKind| {
            let mut found = Vec::new();
            identifiers_of(event, kind, &mut found);
            found.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let exec = audit(
            1,
            "create",
            "pods/exec",
            &[
                ABOUT_WEB,
                &[
                    (FieldId::UserName, "alice"),
                    (FieldId::SourceIp, "198.51.100.7"),
                    (FieldId::AwsAccessKeyId, "ASIA1"),
                ],
            ]
            .concat(),
            "{}",
        );
        assert_eq!(
            named(&exec, EntityKind::Pod),
            ["PodName shop/web-1", "PodIp 198.51.100.7"]
        );
        assert_eq!(
            named(&exec, EntityKind::Identity),
            ["Identity alice", "RoleSession ASIA1"]
        );
        // A token's pod is in its service account's namespace, not in that of the secret.
        let read = audit(
            1,
            "get",
            "secrets",
            &[
                (FieldId::OrchestratorNamespace, "vault"),
                (FieldId::KubernetesServiceAccount, "shop:web"),
                (FieldId::KubernetesPodName, "web-1"),
                (FieldId::KubernetesPodUid, "u1"),
                (FieldId::UserName, "system:serviceaccount:shop:web"),
            ],
            "{}",
        );
        assert_eq!(named(&read, EntityKind::Pod), ["PodUid u1", "PodName shop/web-1"]);
        let call = event(
            Source::CloudTrail,
            1,
            &[
                (FieldId::UserName, "shop-role"),
                (FieldId::AwsAccessKeyId, "ASIA1"),
                (FieldId::SourceIp, "10.244.0.5"),
            ],
            "{}",
        );
        assert_eq!(
            named(&call, EntityKind::Identity),
            ["RoleSession ASIA1", "Identity shop-role"]
        );
        assert_eq!(named(&call, EntityKind::Pod), ["RoleSession ASIA1", "PodIp 10.244.0.5"]);
        let google = event(
            Source::GcpAudit,
            1,
            &[(FieldId::UserName, "sa@p.iam.gserviceaccount.com")],
            r#"{"protoPayload":{"authenticationInfo":{"serviceAccountDelegationInfo":[{"principalSubject":"serviceAccount:p.svc.id.goog[shop/web]"}]}}}"#,
        );
        assert_eq!(
            named(&google, EntityKind::Identity),
            ["ServiceAccount shop/web", "Identity sa@p.iam.gserviceaccount.com"]
        );
        let process = event(
            Source::Tetragon,
            1,
            &[(FieldId::ContainerId, "0123456789abcdef"), (FieldId::HostName, "n1")],
            "{}",
        );
        assert_eq!(named(&process, EntityKind::Pod), ["ContainerId 0123456789ab"]);
        assert_eq!(
            named(&process, EntityKind::Node),
            ["NodeName n1", "ContainerId 0123456789ab"]
        );
        let deployment = audit(
            1,
            "patch",
            "deployments",
            &[
                (FieldId::OrchestratorNamespace, "shop"),
                (FieldId::OrchestratorResourceName, "web"),
            ],
            "{}",
        );
        assert_eq!(
            named(&deployment, EntityKind::Workload),
            ["Workload shop/Deployment/web"]
        );
    }
}
