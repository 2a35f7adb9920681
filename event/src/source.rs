//! The kinds of log that are understood, and what Sigma and ECS call each.

use std::fmt;
use std::str::FromStr;

/// A kind of log. Its name is what a configuration, `--source` and the `source` column say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Kubernetes API-server audit (`audit.k8s.io/v1`), as the API server or EKS, GKE and AKS deliver it.
    KubernetesAudit,
    /// Kubernetes Events (`v1` and `events.k8s.io/v1`).
    KubernetesEvent,
    /// kubelet and container runtime on a node (klog, containerd's and CRI-O's logrus text).
    Kubelet,
    /// A container's output, as the runtime writes it (CRI) or as docker's json-file driver does.
    ContainerLog,
    /// AWS CloudTrail.
    CloudTrail,
    /// Google Cloud Audit Logs, those of GKE's API server excepted.
    GcpAudit,
    /// Azure Activity log.
    AzureActivity,
    /// The Linux audit daemon.
    Auditd,
    /// sshd, sudo, su, logind, cron and others over syslog (`/var/log/auth.log`, `/var/log/secure`).
    Auth,
    /// systemd's journal as JSON, of units that no other source stands for.
    Journald,
    /// An application's own log: JSON, logfmt, or plain text.
    Application,
    /// Access and error logs of nginx, ingress-nginx and Apache.
    WebAccess,
    /// Falco's alerts.
    Falco,
    /// Tetragon's events.
    Tetragon,
    /// What a file-integrity monitor saw.
    FileIntegrity,
    /// Statistics of containers, pods and nodes: docker, kubelet, cAdvisor.
    ContainerStats,
}

struct SourceInfo {
    source: Source,
    name: &'static str,
    module: &'static str,
    dataset: &'static str,
    logsources: &'static [Logsource],
}

/// A Sigma logsource. An empty part of a rule's logsource matches anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Logsource {
    /// Sigma `product`.
    pub product: &'static str,
    /// Sigma `category`.
    pub category: &'static str,
    /// Sigma `service`.
    pub service: &'static str,
}

const fn logsource(product: &'static str, category: &'static str, service: &'static str) -> Logsource {
    Logsource {
        product,
        category,
        service,
    }
}

/// In the order of the enum. The first logsource is the source's own; the others are what rule authors also write.
const SOURCES: &[SourceInfo] = &[
    SourceInfo {
        source: Source::KubernetesAudit,
        name: "kubernetes_audit",
        module: "kubernetes",
        dataset: "kubernetes.audit_logs",
        logsources: &[
            logsource("kubernetes", "application", "audit"),
            logsource("kubernetes", "", "kube-audit"),
        ],
    },
    SourceInfo {
        source: Source::KubernetesEvent,
        name: "kubernetes_event",
        module: "kubernetes",
        dataset: "kubernetes.event",
        logsources: &[logsource("kubernetes", "", "event")],
    },
    SourceInfo {
        source: Source::Kubelet,
        name: "kubelet",
        module: "kubernetes",
        dataset: "kubernetes.kubelet",
        logsources: &[
            logsource("kubernetes", "", "kubelet"),
            logsource("linux", "", "kubelet"),
            logsource("linux", "", "containerd"),
        ],
    },
    SourceInfo {
        source: Source::ContainerLog,
        name: "container",
        module: "kubernetes",
        dataset: "kubernetes.container_logs",
        logsources: &[
            logsource("kubernetes", "container", "container"),
            logsource("container", "application", "container"),
        ],
    },
    SourceInfo {
        source: Source::CloudTrail,
        name: "cloudtrail",
        module: "aws",
        dataset: "aws.cloudtrail",
        logsources: &[logsource("aws", "", "cloudtrail")],
    },
    SourceInfo {
        source: Source::GcpAudit,
        name: "gcp_audit",
        module: "gcp",
        dataset: "gcp.audit",
        logsources: &[logsource("gcp", "", "gcp.audit")],
    },
    SourceInfo {
        source: Source::AzureActivity,
        name: "azure_activity",
        module: "azure",
        dataset: "azure.activitylogs",
        logsources: &[logsource("azure", "", "activitylogs")],
    },
    SourceInfo {
        source: Source::Auditd,
        name: "auditd",
        module: "auditd",
        dataset: "auditd.log",
        logsources: &[
            logsource("linux", "", "auditd"),
            PROCESS_CREATION,
            NETWORK_CONNECTION,
            FILE_EVENT,
            FILE_ACCESS,
            FILE_CHANGE,
            FILE_DELETE,
        ],
    },
    SourceInfo {
        source: Source::Auth,
        name: "auth",
        module: "system",
        dataset: "system.auth",
        logsources: &[
            logsource("linux", "authentication", "auth"),
            logsource("linux", "", "sshd"),
            logsource("linux", "", "sudo"),
            logsource("linux", "", "syslog"),
            logsource("linux", "", "cron"),
        ],
    },
    SourceInfo {
        source: Source::Journald,
        name: "journald",
        module: "journald",
        dataset: "journald.log",
        logsources: &[logsource("linux", "", "journald"), logsource("linux", "", "syslog")],
    },
    SourceInfo {
        source: Source::Application,
        name: "application",
        module: "application",
        dataset: "application.log",
        logsources: &[logsource("application", "application", "json")],
    },
    SourceInfo {
        source: Source::WebAccess,
        name: "web",
        module: "web",
        dataset: "web.access",
        logsources: &[
            logsource("", "webserver", ""),
            logsource("nginx", "webserver", "nginx"),
            logsource("apache", "webserver", "apache"),
        ],
    },
    SourceInfo {
        source: Source::Falco,
        name: "falco",
        module: "falco",
        dataset: "falco.alerts",
        logsources: &[
            logsource("falco", "", "falco"),
            PROCESS_CREATION,
            NETWORK_CONNECTION,
            FILE_EVENT,
            FILE_ACCESS,
            FILE_CHANGE,
            FILE_DELETE,
        ],
    },
    SourceInfo {
        source: Source::Tetragon,
        name: "tetragon",
        module: "tetragon",
        dataset: "tetragon.events",
        logsources: &[
            logsource("tetragon", "", "tetragon"),
            PROCESS_CREATION,
            NETWORK_CONNECTION,
            FILE_EVENT,
            FILE_ACCESS,
            FILE_CHANGE,
            FILE_DELETE,
        ],
    },
    SourceInfo {
        source: Source::FileIntegrity,
        name: "file_integrity",
        module: "file_integrity",
        dataset: "file_integrity.event",
        logsources: &[
            logsource("linux", "", "file_integrity"),
            FILE_EVENT,
            FILE_CHANGE,
            FILE_DELETE,
        ],
    },
    SourceInfo {
        source: Source::ContainerStats,
        name: "container_stats",
        module: "kubernetes",
        dataset: "kubernetes.container_stats",
        logsources: &[logsource("container", "", "stats")],
    },
];

// The generic categories of the Sigma taxonomy. A rule for one of them reads only the events that are of its kind.
const PROCESS_CREATION: Logsource = logsource("linux", "process_creation", "");
const NETWORK_CONNECTION: Logsource = logsource("linux", "network_connection", "");
const FILE_EVENT: Logsource = logsource("linux", "file_event", "");
const FILE_ACCESS: Logsource = logsource("linux", "file_access", "");
const FILE_CHANGE: Logsource = logsource("linux", "file_change", "");
const FILE_DELETE: Logsource = logsource("linux", "file_delete", "");

impl Source {
    /// Which definition of its events' identity is in force: what an event's id is made of. A row of an event store says by
    /// which its id was made (`casebook.identity.version`, 1 where it says nothing), so that ids of two definitions are never
    /// taken for those of two events without a word. `docs/trust.md` says what changed, and what is promised across a change.
    pub fn identity_version(self) -> i64 {
        match self {
            // 2: what a client chooses no longer identifies (audit ids, insert ids, correlation ids, journal fields, uuids).
            Self::KubernetesAudit
            | Self::KubernetesEvent
            | Self::GcpAudit
            | Self::AzureActivity
            | Self::Auditd
            | Self::Auth
            | Self::Application
            | Self::WebAccess
            | Self::Falco
            | Self::FileIntegrity => 2,
            Self::Kubelet
            | Self::ContainerLog
            | Self::CloudTrail
            | Self::Journald
            | Self::Tetragon
            | Self::ContainerStats => 1,
        }
    }

    /// Every source, in order.
    pub const ALL: &[Source] = &[
        Source::KubernetesAudit,
        Source::KubernetesEvent,
        Source::Kubelet,
        Source::ContainerLog,
        Source::CloudTrail,
        Source::GcpAudit,
        Source::AzureActivity,
        Source::Auditd,
        Source::Auth,
        Source::Journald,
        Source::Application,
        Source::WebAccess,
        Source::Falco,
        Source::Tetragon,
        Source::FileIntegrity,
        Source::ContainerStats,
    ];

    /// Who can write the time of such an event (`docs/trust.md`): `server` (the API server, or the cloud's own service), `client`
    /// (whoever may call it), `node` (root on the node: its runtime, kernel log or sensor), `container` (what runs in it).
    pub fn time_written_by(self) -> &'static str {
        match self {
            Self::KubernetesAudit | Self::CloudTrail | Self::GcpAudit | Self::AzureActivity => "server",
            Self::KubernetesEvent => "client",
            Self::Application | Self::WebAccess => "container",
            Self::Kubelet
            | Self::ContainerLog
            | Self::Auditd
            | Self::Auth
            | Self::Journald
            | Self::Falco
            | Self::Tetragon
            | Self::FileIntegrity
            | Self::ContainerStats => "node",
        }
    }

    fn info(self) -> &'static SourceInfo {
        &SOURCES[self as usize]
    }

    /// The name in configurations and tables.
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// ECS `event.module`.
    pub fn module(self) -> &'static str {
        self.info().module
    }

    /// ECS `event.dataset`.
    pub fn dataset(self) -> &'static str {
        self.info().dataset
    }

    /// The Sigma logsources under which rules for this source are written.
    pub fn logsources(self) -> &'static [Logsource] {
        self.info().logsources
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that no source has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownSource(pub String);

impl fmt::Display for UnknownSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown source `{}`; it is one of", self.0)?;
        for (n, source) in Source::ALL.iter().enumerate() {
            write!(f, "{} {source}", if n == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownSource {}

impl FromStr for Source {
    type Err = UnknownSource;

    fn from_str(name: &str) -> Result<Self, UnknownSource> {
        SOURCES
            .iter()
            .find(|info| info.name == name)
            .map(|info| info.source)
            .ok_or_else(|| UnknownSource(name.to_owned()))
    }
}

impl serde::Serialize for Source {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> serde::Deserialize<'de> for Source {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_parse_back() {
        for (n, &source) in Source::ALL.iter().enumerate() {
            assert_eq!(SOURCES[n].source, source, "SOURCES is in the order of the enum");
            assert_eq!(source.name().parse::<Source>(), Ok(source));
        }
        let error = "nope".parse::<Source>().unwrap_err().to_string();
        assert!(
            error.contains("kubernetes_audit") && error.contains("`nope`"),
            "{error}"
        );
    }
}
