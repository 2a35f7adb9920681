//! What an investigator types for an entity, and what is guessed where the kind is left out.

use std::fmt;
use std::net::IpAddr;

use casebook_event::ip_address;
use serde::{Serialize, Serializer};

/// The kinds of thing that can be asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `namespace/name`, a name, or a uid.
    Pod,
    /// An id or its beginning, or a name.
    Container,
    /// A node or another machine.
    Node,
    /// A user name, an ARN or an access key.
    User,
    /// An address or a network.
    Ip,
    /// An image, with or without a tag.
    Image,
    /// A program's name or path.
    Process,
    /// `namespace/name`.
    ServiceAccount,
    /// A namespace of the cluster.
    Namespace,
    /// An alert's id or its beginning.
    Alert,
    /// An event's id or its beginning.
    Event,
}

/// The words for kinds. The first of each is the one that is printed.
const WORDS: &[(&str, Kind)] = &[
    ("pod", Kind::Pod),
    ("container", Kind::Container),
    ("node", Kind::Node),
    ("user", Kind::User),
    ("ip", Kind::Ip),
    ("image", Kind::Image),
    ("process", Kind::Process),
    ("serviceaccount", Kind::ServiceAccount),
    ("namespace", Kind::Namespace),
    ("alert", Kind::Alert),
    ("event", Kind::Event),
    ("sa", Kind::ServiceAccount),
    ("ns", Kind::Namespace),
    ("host", Kind::Node),
];

impl Kind {
    /// The word for it.
    pub fn word(self) -> &'static str {
        WORDS
            .iter()
            .find(|(_, kind)| *kind == self)
            .map_or("entity", |(word, _)| word)
    }

    /// Whether a name of the kind may have its cluster before it: `pod:CLUSTER/NAMESPACE/NAME`.
    pub fn names_cluster(self) -> bool {
        matches!(self, Self::Pod | Self::Node | Self::ServiceAccount | Self::Namespace)
    }
}

/// An entity by its kind and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityName {
    /// What kind of thing it is.
    pub kind: Kind,
    /// Its name, in the one form of the kind.
    pub value: String,
    /// The cluster that is meant, where one was said; else those of any cluster are.
    pub cluster: Option<String>,
}

impl fmt::Display for EntityName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cluster.as_deref().filter(|_| self.kind.names_cluster()) {
            Some(cluster) => write!(f, "{}:{cluster}/{}", self.kind.word(), self.value),
            None => write!(f, "{}:{}", self.kind.word(), self.value),
        }
    }
}

impl Serialize for EntityName {
    /// As it is typed: `pod:east/shop/web-1`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a text may mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interpretation {
    /// The kind was said.
    Explicit(EntityName),
    /// The kind was guessed: what it may be, the likeliest first. At least one.
    Guesses(Vec<EntityName>),
}

impl EntityName {
    /// An entity of that kind.
    ///
    /// # Errors
    /// The text names nothing of the kind; the message says what would.
    pub fn new(kind: Kind, text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err(format!("a name is expected after `{}:`", kind.word()));
        }
        let (cluster, text) = with_cluster(kind, text);
        let value = match kind {
            Kind::Ip => address(text).ok_or_else(|| format!("`{text}` is no address and no network"))?,
            Kind::ServiceAccount => service_account(text)
                .ok_or_else(|| format!("`{text}` is no service account: write sa:NAMESPACE/NAME"))?,
            Kind::Container => text.rsplit_once("://").map_or(text, |(_, id)| id).to_owned(),
            Kind::Alert | Kind::Event => {
                let hex = text.bytes().all(|b| b.is_ascii_hexdigit()) && text.len() <= 32;
                if !hex {
                    return Err(format!(
                        "`{text}` is no id of an {}: ids are up to 32 hexadecimal digits",
                        kind.word()
                    ));
                }
                text.to_ascii_lowercase()
            }
            Kind::Node => text.strip_prefix("system:node:").unwrap_or(text).to_owned(),
            _ => text.to_owned(),
        };
        Ok(Self { kind, value, cluster })
    }

    /// The same in that cluster, where one was said beside the name.
    ///
    /// # Errors
    /// The name says another one, or is unique whatever the cluster.
    pub fn in_cluster(mut self, cluster: Option<&str>) -> Result<Self, String> {
        let Some(cluster) = cluster.map(str::trim).filter(|name| !name.is_empty()) else {
            return Ok(self);
        };
        if matches!(self.kind, Kind::Alert | Kind::Event) {
            return Err(format!("--cluster: {self} is the same in every cluster"));
        }
        match &self.cluster {
            Some(known) if known != cluster => Err(format!("--cluster: `{self}` names another cluster")),
            _ => {
                self.cluster = Some(cluster.to_owned());
                Ok(self)
            }
        }
    }

    /// The words of a command line that mean it.
    pub fn words(&self) -> Vec<String> {
        let flag = self.cluster.iter().filter(|_| !self.kind.names_cluster());
        let flag = flag.flat_map(|cluster| ["--cluster".to_owned(), cluster.clone()]);
        std::iter::once(self.to_string()).chain(flag).collect()
    }

    /// Whether it is meant by an identifier of that cluster.
    pub fn is_in(&self, cluster: &str) -> bool {
        self.cluster.as_deref().is_none_or(|wanted| wanted == cluster)
    }

    /// The namespace and name of a pod or service account, where both were said.
    pub fn namespaced(&self) -> Option<(&str, &str)> {
        self.value
            .split_once('/')
            .filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty())
    }

    /// Whether it is a pod by its uid.
    pub fn is_pod_uid(&self) -> bool {
        self.kind == Kind::Pod && is_uuid(&self.value)
    }
}

/// Reads what was typed: `kind:name`, or a name whose kind is guessed by its form.
///
/// # Errors
/// There is no name, or it is none of the kind that was said.
pub fn parse(text: &str) -> Result<Interpretation, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("an entity is expected: pod:NAMESPACE/NAME, user:NAME, ip:ADDRESS, …".to_owned());
    }
    if let Some((word, name)) = text.split_once(':')
        && let Some((_, kind)) = WORDS.iter().find(|(known, _)| word.eq_ignore_ascii_case(known))
    {
        return EntityName::new(*kind, name).map(Interpretation::Explicit);
    }
    let guessed: Vec<EntityName> = kinds_by_form(text)
        .iter()
        .filter_map(|kind| EntityName::new(*kind, text).ok())
        .collect();
    if guessed.is_empty() {
        return Err(format!(
            "`{text}` is no name that is known: say its kind, as in user:{text}"
        ));
    }
    Ok(Interpretation::Guesses(guessed))
}

/// A cluster that stands before a name, and the name. Names of clusters may have slashes themselves: those of EKS are ARNs in
/// places.
fn with_cluster(kind: Kind, text: &str) -> (Option<String>, &str) {
    let slashes_of_name = match kind {
        Kind::Pod | Kind::ServiceAccount => 1,
        Kind::Node | Kind::Namespace => 0,
        _ => return (None, text),
    };
    let cut = text.rmatch_indices('/').nth(slashes_of_name);
    match cut.map(|(at, _)| (&text[..at], &text[at + 1..])) {
        Some((cluster, name)) if !cluster.is_empty() && !name.is_empty() => (Some(cluster.to_owned()), name),
        _ => (None, text),
    }
}

/// What a name may be by its form alone.
fn kinds_by_form(text: &str) -> &'static [Kind] {
    let is_hex = text.len() >= 12 && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let runtime_id = text.split_once("://").is_some_and(|(runtime, _)| {
        ["containerd", "docker", "cri-o"]
            .iter()
            .any(|known| runtime.eq_ignore_ascii_case(known))
    });
    if address(text).is_some() {
        &[Kind::Ip]
    } else if is_uuid(text) {
        &[Kind::Pod]
    } else if text.starts_with("system:serviceaccount:") {
        &[Kind::ServiceAccount]
    } else if text.starts_with("system:node:") {
        &[Kind::Node, Kind::User]
    } else if text.starts_with("arn:") || text.starts_with("system:") {
        &[Kind::User]
    } else if runtime_id {
        &[Kind::Container]
    } else if is_hex && text.len() <= 32 {
        &[Kind::Container, Kind::Alert, Kind::Event]
    } else if is_hex {
        &[Kind::Container]
    } else if text.starts_with('/') {
        &[Kind::Process]
    } else if text.contains("@sha256:") {
        &[Kind::Image]
    } else if text.contains('@') {
        &[Kind::User]
    } else if let Some((first, rest)) = text.split_once('/') {
        // A registry has a dot or a port in its name, and only images have tags.
        if first.contains(['.', ':']) || rest.contains(['/', ':']) {
            &[Kind::Image]
        } else {
            &[Kind::Pod, Kind::ServiceAccount, Kind::Image]
        }
    } else if text.contains(':') {
        &[Kind::Image, Kind::ServiceAccount, Kind::User]
    } else {
        &[
            Kind::Pod,
            Kind::User,
            Kind::Node,
            Kind::Namespace,
            Kind::Process,
            Kind::Image,
            Kind::Container,
        ]
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(n, b)| match n {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// An address as RFC 5952 writes it, or a network.
fn address(text: &str) -> Option<String> {
    if let Some(ip) = ip_address(text) {
        return Some(ip.to_canonical().to_string());
    }
    let (ip, bits) = text.split_once('/')?;
    let (ip, bits) = (ip.parse::<IpAddr>().ok()?, bits.parse::<u8>().ok()?);
    (bits <= if ip.is_ipv4() { 32 } else { 128 }).then(|| format!("{ip}/{bits}"))
}

/// `namespace/name` of a service account, as the API server, its fields or people write it.
fn service_account(text: &str) -> Option<String> {
    let text = text.strip_prefix("system:serviceaccount:").unwrap_or(text);
    let (namespace, name) = text.split_once('/').or_else(|| text.split_once(':'))?;
    let plain = |part: &str| !part.is_empty() && !part.contains(['/', ':']);
    (plain(namespace) && plain(name)).then(|| format!("{namespace}/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match parse(text) {
            Ok(Interpretation::Explicit(name)) => name.to_string(),
            Ok(Interpretation::Guesses(names)) => {
                let names: Vec<String> = names.iter().map(ToString::to_string).collect();
                format!("? {}", names.join(" "))
            }
            Err(message) => format!("! {message}"),
        }
    }

    #[test]
    fn kinds_that_are_said() {
        let check = |text: &str, want: &str| assert_eq!(shown(text), want, "{text}");
        check("pod:prod/web-1", "pod:prod/web-1");
        check("POD:web-1", "pod:web-1");
        check("sa:prod/web", "serviceaccount:prod/web");
        check("sa:prod:web", "serviceaccount:prod/web");
        check(
            "serviceaccount:system:serviceaccount:prod:web",
            "serviceaccount:prod/web",
        );
        check("sa:web", "! `web` is no service account: write sa:NAMESPACE/NAME");
        check("ns:prod", "namespace:prod");
        check("ip:::ffff:10.0.0.1", "ip:10.0.0.1");
        check("ip:FD00:0::5", "ip:fd00::5");
        check("ip:fe80::1%eth0", "ip:fe80::1");
        check("ip:10.0.0.0/8", "ip:10.0.0.0/8");
        check("ip:10.0.0.0/33", "! `10.0.0.0/33` is no address and no network");
        check("ip:web", "! `web` is no address and no network");
        check("user:arn:aws:iam::1:role/x", "user:arn:aws:iam::1:role/x");
        check("node:system:node:n1", "node:n1");
        check("container:containerd://0123456789ab", "container:0123456789ab");
        check("alert:E2D0", "alert:e2d0");
        check(
            "alert:web",
            "! `web` is no id of an alert: ids are up to 32 hexadecimal digits",
        );
        check("user:", "! a name is expected after `user:`");
        check("pod:east/prod/web-1", "pod:east/prod/web-1");
        check("sa:east/prod/web", "serviceaccount:east/prod/web");
        check("node:east/n1", "node:east/n1");
        check("ns:east/prod", "namespace:east/prod");
    }

    #[test]
    fn a_cluster_stands_before_the_name_or_beside_it() {
        let check = |text: &str, want: (Option<&str>, &str)| match parse(text) {
            Ok(Interpretation::Explicit(name)) => {
                assert_eq!((name.cluster.as_deref(), name.value.as_str()), want, "{text}")
            }
            other => panic!("{other:?}"),
        };
        check("pod:prod/web-1", (None, "prod/web-1"));
        check("pod:east/prod/web-1", (Some("east"), "prod/web-1"));
        let arn = "arn:aws:eks:eu-west-1:1:cluster/east";
        check(&format!("pod:{arn}/prod/web-1"), (Some(arn), "prod/web-1"));
        check(&format!("node:{arn}/n1"), (Some(arn), "n1"));
        check("image:a/b/c", (None, "a/b/c"));
        let named = |text: &str, cluster: &str| match parse(text) {
            Ok(Interpretation::Explicit(name)) => name.in_cluster(Some(cluster)).map(|name| name.words().join(" ")),
            other => panic!("{other:?}"),
        };
        assert_eq!(named("pod:prod/web-1", "east").as_deref(), Ok("pod:east/prod/web-1"));
        assert_eq!(named("user:alice", "east").as_deref(), Ok("user:alice --cluster east"));
        assert_eq!(named("user:alice", "").as_deref(), Ok("user:alice"));
        assert!(named("pod:west/prod/web-1", "east").is_err());
        assert!(named("event:00ff", "east").is_err());
    }

    #[test]
    fn kinds_that_are_guessed() {
        let check = |text: &str, want: &str| assert_eq!(shown(text), want, "{text}");
        check("10.0.0.1", "? ip:10.0.0.1");
        check("fe80::1", "? ip:fe80::1");
        check("10.0.0.0/8", "? ip:10.0.0.0/8");
        check(
            "5f1da4ff-f7bd-4a89-897b-5f406068b8fc",
            "? pod:5f1da4ff-f7bd-4a89-897b-5f406068b8fc",
        );
        check("system:serviceaccount:prod:web", "? serviceaccount:prod/web");
        check("system:node:n1", "? node:n1 user:system:node:n1");
        check("system:anonymous", "? user:system:anonymous");
        check("arn:aws:iam::1:role/x", "? user:arn:aws:iam::1:role/x");
        check(
            "0123456789ab",
            "? container:0123456789ab alert:0123456789ab event:0123456789ab",
        );
        check(&"a1".repeat(32), &format!("? container:{}", "a1".repeat(32)));
        check("/usr/bin/curl", "? process:/usr/bin/curl");
        check("a@b.example", "? user:a@b.example");
        check(
            "prod/web-1",
            "? pod:prod/web-1 serviceaccount:prod/web-1 image:prod/web-1",
        );
        check("quay.io/a/b:1", "? image:quay.io/a/b:1");
        check("nginx@sha256:00", "? image:nginx@sha256:00");
        check(
            "nginx:1.25",
            "? image:nginx:1.25 serviceaccount:nginx/1.25 user:nginx:1.25",
        );
        assert!(shown("deploy").starts_with("? pod:deploy user:deploy node:deploy"));
        assert!(shown("  ").starts_with("! an entity is expected"));
    }
}
