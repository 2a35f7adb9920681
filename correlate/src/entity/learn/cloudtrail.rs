//! What CloudTrail reports: which session of a role is whose.

use casebook_event::{Event, FieldId, ValueRef};

use super::pod_names::{PodNames, field};
use super::sink::BindingSink;
use crate::entity::{Confidence, How, Identifier, IdentifierKind};

/// The service that takes on roles for pods (EKS Pod Identity).
const POD_IDENTITY: &str = "pods.eks.amazonaws.com";

/// Reports what a CloudTrail event reports.
pub(super) fn learn(event: &Event, sink: &mut BindingSink<'_>) {
    let native = event.native();
    let caller = learn_caller(event, native, sink);
    if field(event, FieldId::EventOutcome) != Some("success") {
        return;
    }
    match field(event, FieldId::EventAction).unwrap_or_default() {
        "AssumeRoleWithWebIdentity" => learn_web_identity(native, sink),
        "AssumeRole" => learn_role(native, caller.as_ref(), sink),
        "AssumeRoleForPodIdentity" => learn_pod_identity(native, sink),
        "RunInstances" => learn_instances(native, sink),
        _ => {}
    }
}

fn session(text: Option<&str>) -> Option<Identifier> {
    Identifier::new(IdentifierKind::RoleSession, text?)
}

/// Who calls; returns the session or key by which it is known.
fn learn_caller(event: &Event, native: ValueRef<'_>, sink: &mut BindingSink<'_>) -> Option<Identifier> {
    let mut sink = sink.by(How::CloudSession);
    let arn = field(event, FieldId::AwsUserArn);
    let key = session(field(event, FieldId::AwsAccessKeyId));
    match field(event, FieldId::AwsUserType)? {
        "AssumedRole" => {
            let name = arn.and_then(|arn| arn.rsplit_once('/')).map(|(_, name)| name);
            let arn = session(arn);
            sink.bind(key.as_ref(), arn.as_ref(), Confidence::Certain);
            let instance = name
                .filter(|name| name.starts_with("i-"))
                .and_then(|name| Identifier::new(IdentifierKind::InstanceId, name));
            // Whoever takes on a role names the session: only of credentials that a machine was given is the name its own.
            let given = native
                .at(&["userIdentity", "sessionContext", "ec2RoleDelivery"])
                .is_some();
            let confidence = if given { Confidence::Certain } else { Confidence::Likely };
            sink.bind(arn.as_ref(), instance.as_ref(), confidence);
            key.or(arn)
        }
        "IAMUser" => {
            let user = native
                .str_at(&["userIdentity", "userName"])
                .and_then(|user| Identifier::new(IdentifierKind::Identity, user));
            sink.bind(key.as_ref(), user.as_ref(), Confidence::Certain);
            sink.bind(session(arn).as_ref(), user.as_ref(), Confidence::Certain);
            key.or_else(|| session(arn))
        }
        _ => key,
    }
}

/// The new session of an answer of STS, by its key and by its ARN.
struct NewSession {
    key: Option<Identifier>,
    arn: Option<Identifier>,
}

impl NewSession {
    fn of(native: ValueRef<'_>) -> Self {
        Self {
            key: session(native.str_at(&["responseElements", "credentials", "accessKeyId"])),
            arn: session(native.str_at(&["responseElements", "assumedRoleUser", "arn"])),
        }
    }

    fn bind(&self, to: Option<&Identifier>, confidence: Confidence, sink: &mut BindingSink<'_>) {
        for session in [&self.key, &self.arn] {
            sink.bind(session.as_ref(), to, confidence);
        }
    }
}

/// A service account's token was exchanged for a role (IAM roles for service accounts).
fn learn_web_identity(native: ValueRef<'_>, sink: &mut BindingSink<'_>) {
    let mut sink = sink.by(How::WebIdentity);
    let new = NewSession::of(native);
    sink.bind(new.key.as_ref(), new.arn.as_ref(), Confidence::Certain);
    let account = native
        .str_at(&["responseElements", "subjectFromWebIdentityToken"])
        .or(native.str_at(&["userIdentity", "userName"]))
        .and_then(Identifier::service_account_of_user);
    new.bind(account.as_ref(), Confidence::Certain, &mut sink);
}

/// A role was taken on, by another session or key, or by EKS for a pod.
fn learn_role(native: ValueRef<'_>, caller: Option<&Identifier>, sink: &mut BindingSink<'_>) {
    let new = NewSession::of(native);
    if native.str_at(&["userIdentity", "invokedBy"]) != Some(POD_IDENTITY) {
        sink.by(How::CloudSession)
            .bind(new.key.as_ref(), new.arn.as_ref(), Confidence::Certain);
        new.bind(caller, Confidence::Certain, &mut sink.by(How::CloudRole));
        return;
    }
    let mut sink = sink.by(How::PodIdentity);
    sink.bind(new.key.as_ref(), new.arn.as_ref(), Confidence::Certain);
    // The tags are EKS's own words here: anyone else's would be the caller's.
    let tags = native.at(&["requestParameters", "tags"]).and_then(ValueRef::as_list);
    let tag = |key: &str| {
        let found = tags?.into_iter().find(|tag| tag.str_at(&["key"]) == Some(key))?;
        found.str_at(&["value"])
    };
    if sink.cluster.is_empty() {
        sink.cluster = tag("eks-cluster-name").unwrap_or_default();
    }
    let namespace = tag("kubernetes-namespace");
    let pod = PodNames::new(tag("kubernetes-pod-uid"), namespace, tag("kubernetes-pod-name"));
    let account = namespace
        .zip(tag("kubernetes-service-account"))
        .and_then(|(namespace, name)| Identifier::namespaced(IdentifierKind::ServiceAccount, namespace, name));
    pod.report(Confidence::Certain, &mut sink);
    sink.bind(pod.subject(), account.as_ref(), Confidence::Certain);
    new.bind(pod.subject(), Confidence::Certain, &mut sink);
    new.bind(account.as_ref(), Confidence::Certain, &mut sink);
}

/// EKS's own event of the same (`eks-auth.amazonaws.com`): it has the service account.
fn learn_pod_identity(native: ValueRef<'_>, sink: &mut BindingSink<'_>) {
    let mut sink = sink.by(How::PodIdentity);
    let new = NewSession::of(native);
    sink.bind(new.key.as_ref(), new.arn.as_ref(), Confidence::Certain);
    let text = |key: &str| native.str_at(&["responseElements", "subject", key]);
    let account = text("namespace")
        .zip(text("serviceAccount"))
        .and_then(|(namespace, name)| Identifier::namespaced(IdentifierKind::ServiceAccount, namespace, name));
    new.bind(account.as_ref(), Confidence::Certain, &mut sink);
}

/// New machines: by default a node of EKS is called by its private DNS name. Whether one becomes a node is not known.
fn learn_instances(native: ValueRef<'_>, sink: &mut BindingSink<'_>) {
    let mut sink = sink.by(How::CloudInstance);
    let items = native
        .at(&["responseElements", "instancesSet", "items"])
        .and_then(ValueRef::as_list);
    for item in items.into_iter().flatten() {
        let of = |kind, key| item.str_at(&[key]).and_then(|text| Identifier::new(kind, text));
        let instance = of(IdentifierKind::InstanceId, "instanceId");
        let node = of(IdentifierKind::NodeName, "privateDnsName");
        let ip = of(IdentifierKind::NodeIp, "privateIpAddress");
        sink.bind(instance.as_ref(), node.as_ref(), Confidence::Guessed);
        sink.bind(node.as_ref(), instance.as_ref(), Confidence::Guessed);
        sink.bind(ip.as_ref(), node.as_ref(), Confidence::Guessed);
    }
}
