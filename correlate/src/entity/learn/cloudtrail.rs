//! What CloudTrail tells: which session of a role is whose.

use casebook_event::{Event, FieldId, ValueRef};

use super::{PodNames, Told, field};
use crate::entity::{Confidence, How, Identifier, IdentifierKind};

/// The service that takes on roles for pods (EKS Pod Identity).
const POD_IDENTITY: &str = "pods.eks.amazonaws.com";

/// Tells what a CloudTrail event tells.
pub(super) fn learn(event: &Event, told: &mut Told<'_>) {
    let native = event.native();
    let caller = learn_caller(event, native, told);
    if field(event, FieldId::EventOutcome) != Some("success") {
        return;
    }
    match field(event, FieldId::EventAction).unwrap_or_default() {
        "AssumeRoleWithWebIdentity" => learn_web_identity(native, told),
        "AssumeRole" => learn_role(native, caller.as_ref(), told),
        "AssumeRoleForPodIdentity" => learn_pod_identity(native, told),
        "RunInstances" => learn_instances(native, told),
        _ => {}
    }
}

fn session(text: Option<&str>) -> Option<Identifier> {
    Identifier::new(IdentifierKind::RoleSession, text?)
}

/// Who calls; returns the session or key by which it is known.
fn learn_caller(event: &Event, native: ValueRef<'_>, told: &mut Told<'_>) -> Option<Identifier> {
    let mut told = told.by(How::CloudSession);
    let arn = field(event, FieldId::AwsUserArn);
    let key = session(field(event, FieldId::AwsAccessKeyId));
    match field(event, FieldId::AwsUserType)? {
        "AssumedRole" => {
            let name = arn.and_then(|arn| arn.rsplit_once('/')).map(|(_, name)| name);
            let arn = session(arn);
            told.bind(key.as_ref(), arn.as_ref(), Confidence::Certain);
            let instance = name
                .filter(|name| name.starts_with("i-"))
                .and_then(|name| Identifier::new(IdentifierKind::InstanceId, name));
            // Whoever takes on a role names the session: only of credentials that a machine was given is the name its own.
            let given = native
                .at(&["userIdentity", "sessionContext", "ec2RoleDelivery"])
                .is_some();
            let confidence = if given { Confidence::Certain } else { Confidence::Likely };
            told.bind(arn.as_ref(), instance.as_ref(), confidence);
            key.or(arn)
        }
        "IAMUser" => {
            let user = native
                .str_at(&["userIdentity", "userName"])
                .and_then(|user| Identifier::new(IdentifierKind::Identity, user));
            told.bind(key.as_ref(), user.as_ref(), Confidence::Certain);
            told.bind(session(arn).as_ref(), user.as_ref(), Confidence::Certain);
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

    fn bind(&self, to: Option<&Identifier>, confidence: Confidence, told: &mut Told<'_>) {
        for session in [&self.key, &self.arn] {
            told.bind(session.as_ref(), to, confidence);
        }
    }
}

/// A service account's token was exchanged for a role (IAM roles for service accounts).
fn learn_web_identity(native: ValueRef<'_>, told: &mut Told<'_>) {
    let mut told = told.by(How::WebIdentity);
    let new = NewSession::of(native);
    told.bind(new.key.as_ref(), new.arn.as_ref(), Confidence::Certain);
    let account = native
        .str_at(&["responseElements", "subjectFromWebIdentityToken"])
        .or(native.str_at(&["userIdentity", "userName"]))
        .and_then(Identifier::service_account_of_user);
    new.bind(account.as_ref(), Confidence::Certain, &mut told);
}

/// A role was taken on, by another session or key, or by EKS for a pod.
fn learn_role(native: ValueRef<'_>, caller: Option<&Identifier>, told: &mut Told<'_>) {
    let new = NewSession::of(native);
    if native.str_at(&["userIdentity", "invokedBy"]) != Some(POD_IDENTITY) {
        told.by(How::CloudSession)
            .bind(new.key.as_ref(), new.arn.as_ref(), Confidence::Certain);
        new.bind(caller, Confidence::Certain, &mut told.by(How::CloudRole));
        return;
    }
    let mut told = told.by(How::PodIdentity);
    told.bind(new.key.as_ref(), new.arn.as_ref(), Confidence::Certain);
    // The tags are EKS's own words here: anyone else's would be the caller's.
    let tags = native.at(&["requestParameters", "tags"]).and_then(ValueRef::as_list);
    let tag = |key: &str| {
        let found = tags?.into_iter().find(|tag| tag.str_at(&["key"]) == Some(key))?;
        found.str_at(&["value"])
    };
    if told.cluster.is_empty() {
        told.cluster = tag("eks-cluster-name").unwrap_or_default();
    }
    let namespace = tag("kubernetes-namespace");
    let pod = PodNames::new(tag("kubernetes-pod-uid"), namespace, tag("kubernetes-pod-name"));
    let account = namespace
        .zip(tag("kubernetes-service-account"))
        .and_then(|(namespace, name)| Identifier::namespaced(IdentifierKind::ServiceAccount, namespace, name));
    pod.tell(Confidence::Certain, &mut told);
    told.bind(pod.subject(), account.as_ref(), Confidence::Certain);
    new.bind(pod.subject(), Confidence::Certain, &mut told);
    new.bind(account.as_ref(), Confidence::Certain, &mut told);
}

/// EKS's own event of the same (`eks-auth.amazonaws.com`): it has the service account.
fn learn_pod_identity(native: ValueRef<'_>, told: &mut Told<'_>) {
    let mut told = told.by(How::PodIdentity);
    let new = NewSession::of(native);
    told.bind(new.key.as_ref(), new.arn.as_ref(), Confidence::Certain);
    let text = |key: &str| native.str_at(&["responseElements", "subject", key]);
    let account = text("namespace")
        .zip(text("serviceAccount"))
        .and_then(|(namespace, name)| Identifier::namespaced(IdentifierKind::ServiceAccount, namespace, name));
    new.bind(account.as_ref(), Confidence::Certain, &mut told);
}

/// New machines: by default a node of EKS is called by its private DNS name. Whether one becomes a node is not known.
fn learn_instances(native: ValueRef<'_>, told: &mut Told<'_>) {
    let mut told = told.by(How::CloudInstance);
    let items = native
        .at(&["responseElements", "instancesSet", "items"])
        .and_then(ValueRef::as_list);
    for item in items.into_iter().flatten() {
        let of = |kind, key| item.str_at(&[key]).and_then(|text| Identifier::new(kind, text));
        let instance = of(IdentifierKind::InstanceId, "instanceId");
        let node = of(IdentifierKind::NodeName, "privateDnsName");
        let ip = of(IdentifierKind::NodeIp, "privateIpAddress");
        told.bind(instance.as_ref(), node.as_ref(), Confidence::Guessed);
        told.bind(node.as_ref(), instance.as_ref(), Confidence::Guessed);
        told.bind(ip.as_ref(), node.as_ref(), Confidence::Guessed);
    }
}
