//! What things are called: by the API server, by the network, by the cloud.

use std::fmt;

use compact_str::{CompactString, ToCompactString, format_compact};
use serde::{Deserialize, Serialize};

use crate::ip_address;

/// Longest value of an identifier, in bytes. A longer one is no identifier: nothing is learned of it.
pub const MAX_IDENTIFIER_BYTES: usize = 512;

/// What kind of name an identifier is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentifierKind {
    /// The uid of a pod: never given twice.
    PodUid,
    /// The name of a pod, `namespace/name`.
    PodName,
    /// An address as a pod's.
    PodIp,
    /// The id of a container, or of a pod's sandbox: its first twelve characters.
    ContainerId,
    /// The name of a node.
    NodeName,
    /// An address as a node's.
    NodeIp,
    /// A virtual machine, as its cloud calls it.
    InstanceId,
    /// A container image, as it was asked for.
    Image,
    /// A service account, `namespace/name`.
    ServiceAccount,
    /// What makes pods, `namespace/Kind/name`; for a pod that nothing made, `namespace/Pod/name`.
    Workload,
    /// A session of a cloud role, by its ARN or by the id of its access key.
    RoleSession,
    /// A user name as the audit log has it.
    Identity,
}

/// The name of something, within its kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identifier {
    /// What kind of name it is.
    pub kind: IdentifierKind,
    /// The name, in the one form that all sources' names are brought to: see [`Identifier::new`].
    pub value: CompactString,
}

/// The kinds of thing that events are told to be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntityKind {
    /// A pod: its uid where that is known, else `namespace/name`.
    Pod,
    /// What made the pod: `namespace/Kind/name`.
    Workload,
    /// A node: its name.
    Node,
    /// Who acts: `system:serviceaccount:namespace:name`, or a user name.
    Identity,
}

impl EntityKind {
    /// Every kind of entity.
    pub const ALL: &[EntityKind] = &[Self::Pod, Self::Workload, Self::Node, Self::Identity];

    /// The word of rules.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::Workload => "workload",
            Self::Node => "node",
            Self::Identity => "identity",
        }
    }
}

impl Identifier {
    /// The identifier, in the one form of its kind: addresses as RFC 5952 writes them, container ids without their runtime
    /// and cut to the twelve characters that every source has. `None` where the text names nothing: it is empty, a
    /// placeholder, too long, or no address of a pod or node.
    pub fn new(kind: IdentifierKind, text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() || text.len() > MAX_IDENTIFIER_BYTES || matches!(text, "-" | "<NA>" | "unknown") {
            return None;
        }
        let value = match kind {
            IdentifierKind::PodIp | IdentifierKind::NodeIp => address(text)?,
            IdentifierKind::ContainerId => container_id(text)?,
            IdentifierKind::PodName | IdentifierKind::ServiceAccount => {
                let (namespace, name) = text.split_once('/')?;
                (!namespace.is_empty() && !name.is_empty() && !name.contains('/')).then(|| text.into())?
            }
            _ => text.into(),
        };
        Some(Self { kind, value })
    }

    /// `namespace/name` of a pod or service account.
    pub fn namespaced(kind: IdentifierKind, namespace: &str, name: &str) -> Option<Self> {
        Self::new(kind, &format_compact!("{namespace}/{name}"))
    }

    /// `namespace/Kind/name` of what makes pods.
    pub fn workload(namespace: &str, kind: &str, name: &str) -> Option<Self> {
        if namespace.is_empty() || kind.is_empty() || name.is_empty() {
            return None;
        }
        Self::new(IdentifierKind::Workload, &format_compact!("{namespace}/{kind}/{name}"))
    }

    /// The service account of the user name that the API server gives it, `system:serviceaccount:namespace:name`.
    pub fn service_account_of_user(user: &str) -> Option<Self> {
        let (namespace, name) = user.strip_prefix("system:serviceaccount:")?.split_once(':')?;
        Self::namespaced(IdentifierKind::ServiceAccount, namespace, name)
    }

    /// The node of the user name that its kubelet has, `system:node:name`.
    pub fn node_of_user(user: &str) -> Option<Self> {
        Self::new(IdentifierKind::NodeName, user.strip_prefix("system:node:")?)
    }

    /// The parts of `namespace/name`, and of `namespace/Kind/name` the first and the rest.
    pub fn parts(&self) -> Option<(&str, &str)> {
        self.value.split_once('/')
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.kind, self.value)
    }
}

/// Addresses that belong to no single pod or node lead nowhere: they are not taken.
fn address(text: &str) -> Option<CompactString> {
    let ip = ip_address(text)?.to_canonical();
    let nobody = ip.is_unspecified() || ip.is_loopback() || ip.is_multicast();
    (!nobody).then(|| ip.to_compact_string())
}

/// Falco tells twelve characters of a container's id, Tetragon's `docker` field 31, the runtimes all 64.
const CONTAINER_ID_CHARS: usize = 12;

fn container_id(text: &str) -> Option<CompactString> {
    let id = text.rsplit_once("//").map_or(text, |(_, id)| id);
    match id.get(..CONTAINER_ID_CHARS) {
        Some(short) if id.bytes().all(|b| b.is_ascii_hexdigit()) => Some(short.to_ascii_lowercase().into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_have_one_form() {
        let check = |kind: IdentifierKind, text: &str, want: Option<&str>| {
            let found = Identifier::new(kind, text);
            assert_eq!(found.as_ref().map(|id| id.value.as_str()), want, "{kind:?} {text}");
        };
        use IdentifierKind::*;
        check(ContainerId, "containerd://0123456789ABCDEF", Some("0123456789ab"));
        check(ContainerId, "0123456789ab", Some("0123456789ab"));
        check(ContainerId, "host", None);
        check(ContainerId, "{docker}", None);
        check(PodIp, "FD00:0::5", Some("fd00::5"));
        check(PodIp, "::ffff:10.0.0.1", Some("10.0.0.1"));
        check(PodIp, "fe80::5%eth0", Some("fe80::5"));
        check(PodIp, "127.0.0.1", None);
        check(PodIp, "0.0.0.0", None);
        check(PodName, "shop/web", Some("shop/web"));
        check(PodName, "/web", None);
        check(PodName, "a/b/c", None);
        check(NodeName, " ", None);
        check(NodeName, &"n".repeat(600), None);
    }
}
