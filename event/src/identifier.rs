//! What things are called: by the API server, by the network, by the cloud.

use std::fmt;
use std::net::IpAddr;

use compact_str::{CompactString, ToCompactString, format_compact};
use serde::{Deserialize, Serialize};

use crate::{MAX_CLUSTER_BYTES, MAX_IDENTIFIER_BYTES, bounded_text, fits, ip_address};

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

impl IdentifierKind {
    /// Every kind of name.
    pub const ALL: &[Self] = &[
        Self::PodUid,
        Self::PodName,
        Self::PodIp,
        Self::ContainerId,
        Self::NodeName,
        Self::NodeIp,
        Self::InstanceId,
        Self::Image,
        Self::ServiceAccount,
        Self::Workload,
        Self::RoleSession,
        Self::Identity,
    ];
}

/// The name of something, within its kind and, where the name is unique in a cluster only, within its cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identifier {
    /// What kind of name it is.
    pub kind: IdentifierKind,
    /// The name, in the one form that all sources' names are brought to: see [`Identifier::new`].
    pub value: CompactString,
    /// The cluster whose name it is. Empty of what is unique by itself, and where the cluster is not known: see
    /// [`Identifier::within`].
    #[serde(default, skip_serializing_if = "CompactString::is_empty")]
    pub cluster: CompactString,
}

/// The kinds of thing that events are about.
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
    /// and cut to the twelve characters that every source has, what is very long by its beginning and a hash. `None` where the
    /// text names nothing: it is empty, a placeholder, a pair of names that are too long for any, or no address of a pod or
    /// node.
    pub fn new(kind: IdentifierKind, text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() || matches!(text, "-" | "<NA>" | "unknown") {
            return None;
        }
        let value = match kind {
            IdentifierKind::PodIp | IdentifierKind::NodeIp => address(text)?,
            IdentifierKind::ContainerId => container_id(text)?,
            IdentifierKind::PodName | IdentifierKind::ServiceAccount => {
                let (namespace, name) = text.split_once('/')?;
                let holds = !namespace.is_empty() && !name.is_empty() && !name.contains('/');
                (holds && fits(text, MAX_IDENTIFIER_BYTES)).then(|| text.into())?
            }
            IdentifierKind::Workload => fits(text, MAX_IDENTIFIER_BYTES).then(|| text.into())?,
            _ => bounded_text(text, MAX_IDENTIFIER_BYTES).into(),
        };
        Some(Self {
            kind,
            value,
            cluster: CompactString::const_new(""),
        })
    }

    /// The same as a name of that cluster, where the name alone says too little: two clusters may each have a pod `shop/web-1` with
    /// the address 10.244.0.5. What is never given twice, or is given by a cloud, stays what it is in every cluster.
    pub fn within(mut self, cluster: &str) -> Self {
        if !cluster.is_empty() && self.is_of_cluster() {
            self.cluster = cluster_text(cluster);
        }
        self
    }

    /// Whether the name is unique within its cluster only.
    pub fn is_of_cluster(&self) -> bool {
        match self.kind {
            IdentifierKind::PodName
            | IdentifierKind::NodeName
            | IdentifierKind::ServiceAccount
            | IdentifierKind::Workload
            // Twelve characters of an id are not enough to distinguish all containers of all clusters.
            | IdentifierKind::ContainerId
            | IdentifierKind::Identity => true,
            IdentifierKind::PodIp | IdentifierKind::NodeIp => self.value.parse::<IpAddr>().is_ok_and(is_private),
            // A static pod's is a hash of its manifest and its node's name, which two clusters may share.
            IdentifierKind::PodUid => self.value.len() == 32 && self.value.bytes().all(|b| b.is_ascii_hexdigit()),
            IdentifierKind::InstanceId | IdentifierKind::Image | IdentifierKind::RoleSession => false,
        }
    }

    /// The name with its cluster before it, where that is known: `prod/shop/web-1`.
    pub fn qualified(&self) -> CompactString {
        match self.cluster.as_str() {
            "" => self.value.clone(),
            cluster => format_compact!("{cluster}/{}", self.value),
        }
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
        write!(f, "{:?} {}", self.kind, self.qualified())
    }
}

/// Addresses that belong to no single pod or node lead nowhere: they are not taken.
fn address(text: &str) -> Option<CompactString> {
    let ip = ip_address(text)?.to_canonical();
    let nobody = ip.is_unspecified() || ip.is_loopback() || ip.is_multicast();
    (!nobody).then(|| ip.to_compact_string())
}

/// Whether networks that know nothing of each other may both have the address: RFC 1918, RFC 6598 (shared by carriers and by
/// clouds for pods), link-local, and IPv6's unique local ones.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private() || v4.is_link_local() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// The name of a cluster as identifiers and groups have it: as it is reported, and where that is too long, its beginning and a
/// hash of the whole.
pub fn cluster_text(name: &str) -> CompactString {
    bounded_text(name.trim(), MAX_CLUSTER_BYTES).into()
}

/// Falco reports twelve characters of a container's id, Tetragon's `docker` field 31, the runtimes all 64.
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
        let long = "n".repeat(600);
        check(Identity, &long, Some(&bounded_text(&long, MAX_IDENTIFIER_BYTES)));
        check(PodName, &format!("shop/{long}"), None);
    }

    #[test]
    fn names_are_of_a_cluster_and_ids_of_none() {
        use IdentifierKind::*;
        let check = |kind: IdentifierKind, text: &str, want: &str| {
            let found = Identifier::new(kind, text).unwrap().within(" prod ");
            assert_eq!(found.qualified(), want, "{kind:?}");
        };
        check(PodName, "shop/web", "prod/shop/web");
        check(NodeName, "n1", "prod/n1");
        check(ServiceAccount, "shop/web", "prod/shop/web");
        check(Workload, "shop/Deployment/web", "prod/shop/Deployment/web");
        check(Identity, "alice", "prod/alice");
        check(ContainerId, "containerd://0123456789abcdef", "prod/0123456789ab");
        check(
            PodUid,
            "5f1da4ff-f7bd-4a89-897b-5f406068b8fc",
            "5f1da4ff-f7bd-4a89-897b-5f406068b8fc",
        );
        // A static pod's: a hash of manifest and node name.
        let of_static = "0d2c4f4a1b7c9e8f0d2c4f4a1b7c9e8f";
        check(PodUid, of_static, &format!("prod/{of_static}"));
        check(InstanceId, "i-0abc1234", "i-0abc1234");
        check(Image, "app:1", "app:1");
        check(RoleSession, "ASIA1", "ASIA1");
        for (text, is_private) in [
            ("10.244.0.5", true),
            ("172.16.0.1", true),
            ("192.168.1.1", true),
            ("100.64.0.9", true),
            ("100.128.0.9", false),
            ("169.254.10.1", true),
            ("203.0.113.7", false),
            ("fd00::5", true),
            ("fe80::1", true),
            ("2001:db8::1", false),
        ] {
            for kind in [PodIp, NodeIp] {
                let found = Identifier::new(kind, text).unwrap().within("prod");
                assert_eq!(found.cluster.is_empty(), !is_private, "{text}");
            }
        }
        // An unknown cluster changes nothing, and a name of any length fits.
        assert_eq!(
            Identifier::new(PodName, "shop/web").unwrap().within("").qualified(),
            "shop/web"
        );
        let (one, other) = (cluster_text(&"é".repeat(400)), cluster_text(&"é".repeat(401)));
        assert!(one != other && one.len() <= MAX_CLUSTER_BYTES, "{}", one.len());
    }

    #[test]
    fn an_identifier_without_a_cluster_is_written_as_before() {
        let of_none = Identifier::new(IdentifierKind::PodName, "shop/web").unwrap();
        let text = r#"{"kind":"pod_name","value":"shop/web"}"#;
        assert_eq!(serde_json::to_string(&of_none).unwrap(), text);
        assert_eq!(serde_json::from_str::<Identifier>(text).unwrap(), of_none);
        let of_prod = of_none.within("prod");
        let text = serde_json::to_string(&of_prod).unwrap();
        assert_eq!(serde_json::from_str::<Identifier>(&text).unwrap(), of_prod);
    }
}
