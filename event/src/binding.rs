//! A fact that one event reported: this name stood for that one, then.

use serde::{Deserialize, Serialize};

use crate::{Identifier, Timestamp};

/// How far a binding can be relied upon. A weaker one never stands against a stronger one that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// Concluded from a name's form or from where a request came from.
    #[default]
    Guessed,
    /// Reported by what may be wrong: Kubernetes Events, labels, names that a caller chooses.
    Likely,
    /// Reported by the platform itself.
    Certain,
}

/// Which log reported a binding, and by what in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// The `creationTimestamp` of a pod in an answer of the API server, as the audit log has it: a pod has its name from then on,
    /// and not before.
    AuditCreated,
    /// The same of a pod that was created longer ago than is reported: it had its name then, and before.
    AuditExisted,
    /// A pod's object in the audit log.
    AuditPod,
    /// The status of a pod, as its kubelet writes it, in the audit log.
    AuditPodStatus,
    /// `pods/binding`: the scheduler's choice, in the audit log.
    AuditBinding,
    /// The deletion of a pod in the audit log.
    AuditDelete,
    /// The `ownerReferences` of a ReplicaSet or Job in the audit log.
    AuditOwner,
    /// A node's object in the audit log: addresses, `providerID`.
    AuditNode,
    /// An EndpointSlice in the audit log.
    AuditEndpoints,
    /// Who a node's kubelet is, and from where it speaks to the API server.
    AuditNodeUser,
    /// The claims of a service account's token (`user.extra`).
    AuditTokenClaims,
    /// `serviceaccounts/token`: a token was asked for, for a pod.
    AuditTokenRequest,
    /// The cloud session of a user of the API server (`user.extra` of EKS).
    AuditCloudSession,
    /// kubelet and container runtime.
    Kubelet,
    /// A Kubernetes Event.
    KubernetesEvent,
    /// What the log shipper adds to a container's line.
    Shipper,
    /// Falco's fields.
    Falco,
    /// Tetragon's fields.
    Tetragon,
    /// Statistics of pods and containers.
    ContainerStats,
    /// `userIdentity` of a CloudTrail event.
    CloudSession,
    /// An answer of STS: who took on which role.
    CloudRole,
    /// `AssumeRoleWithWebIdentity` of a service account.
    WebIdentity,
    /// EKS Pod Identity: the role was taken on for a pod.
    PodIdentity,
    /// A cloud's audit log on a virtual machine.
    CloudInstance,
    /// The form of a name: `web-7d4b9c6f5-x2x9z` is of `web`. Not learned: seen when it is asked for.
    NameForm,
}

impl How {
    /// Whether it is reported of a time before the event's own.
    pub fn is_of_earlier(self) -> bool {
        matches!(self, Self::AuditCreated | Self::AuditExisted)
    }

    /// Who can write the time of what is reported so, as [`Source::time_written_by`](crate::Source::time_written_by) says it.
    pub fn time_written_by(self) -> &'static str {
        match self {
            Self::AuditCreated
            | Self::AuditExisted
            | Self::AuditPod
            | Self::AuditPodStatus
            | Self::AuditBinding
            | Self::AuditDelete
            | Self::AuditOwner
            | Self::AuditNode
            | Self::AuditEndpoints
            | Self::AuditNodeUser
            | Self::AuditTokenClaims
            | Self::AuditTokenRequest
            | Self::AuditCloudSession
            | Self::CloudSession
            | Self::CloudRole
            | Self::WebIdentity
            | Self::PodIdentity
            | Self::CloudInstance => "server",
            Self::KubernetesEvent => "client",
            Self::Kubelet | Self::Shipper | Self::Falco | Self::Tetragon | Self::ContainerStats => "node",
            Self::NameForm => "unknown",
        }
    }
}

/// What one event reported.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Binding {
    /// What stood for something.
    pub from: Identifier,
    /// What it stood for. With `ends` it may be the same: what is called so ended.
    pub to: Identifier,
    /// When it was seen to hold, in event time, which is before the event where `how` is of an earlier time; with `ends`, when it
    /// stopped.
    pub time: Timestamp,
    /// Whether it was seen to end.
    pub ends: bool,
    /// Which log reported it.
    pub how: How,
    /// How far it can be relied upon.
    pub confidence: Confidence,
}
