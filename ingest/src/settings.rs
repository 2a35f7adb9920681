//! What a deployment says of a topic's records, beside their kind: what no record can be believed about itself.

use std::net::IpAddr;
use std::str::FromStr;

use compact_str::CompactString;
use ipnet::IpNet;

use crate::limits::{MAX_CLUSTER_NAME_BYTES, MAX_TRUSTED_PROXIES};

/// What a deployment says of a topic. The default says nothing: no cluster is named, and no proxy is trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicSettings {
    /// The cluster that events are of which do not name theirs.
    pub cluster: Option<ClusterName>,
    /// The peers that are believed about whom they forward for.
    pub trusted_proxies: TrustedProxies,
}

impl TopicSettings {
    /// Nothing said.
    pub const NONE: Self = Self {
        cluster: None,
        trusted_proxies: TrustedProxies::NONE,
    };
}

/// The name of a cluster: one line of 1 to [`MAX_CLUSTER_NAME_BYTES`] bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterName(CompactString);

impl ClusterName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClusterName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if name.trim() != name || name.is_empty() {
            return Err("the name of a cluster is not empty, and has no white space at its ends".into());
        }
        if name.len() > MAX_CLUSTER_NAME_BYTES || name.contains(char::is_control) {
            return Err(format!(
                "the name of a cluster has at most {MAX_CLUSTER_NAME_BYTES} bytes, and no control characters"
            ));
        }
        Ok(Self(CompactString::new(name)))
    }
}

/// Networks whose addresses are proxies of one's own. What such a peer says of the address it forwards for is believed;
/// of anybody else it is a claim.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// None.
    pub const NONE: Self = Self(Vec::new());

    /// Reads networks (`10.0.0.0/8`, `2001:db8::/32`) and single addresses.
    ///
    /// # Errors
    /// One of them is none, or there are more than [`MAX_TRUSTED_PROXIES`].
    pub fn parse<T: AsRef<str>>(networks: &[T]) -> Result<Self, String> {
        if networks.len() > MAX_TRUSTED_PROXIES {
            return Err(format!(
                "{} networks are more than {MAX_TRUSTED_PROXIES}",
                networks.len()
            ));
        }
        networks
            .iter()
            .map(|text| network(text.as_ref()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether that address is a proxy's. IPv4 inside IPv6 is IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let network = text.parse::<IpNet>().or_else(|_| {
        text.parse::<IpAddr>()
            .map(|address| IpNet::from(address.to_canonical()))
    });
    network.map_err(|_| format!("`{text}` is no network such as 10.0.0.0/8 and no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_single_addresses_are_proxies() {
        let proxies = TrustedProxies::parse(&["10.0.0.0/8", "192.0.2.7", " 2001:db8::/32 ", "::ffff:198.51.100.1"]);
        let proxies = proxies.unwrap();
        let check = |text: &str, want: bool| assert_eq!(proxies.contains(text.parse().unwrap()), want, "{text}");
        check("10.255.0.1", true);
        check("::ffff:10.0.0.1", true);
        check("192.0.2.7", true);
        check("192.0.2.8", false);
        check("2001:db8:1::2", true);
        check("198.51.100.1", true);
        check("::1", false);
        assert!(!TrustedProxies::default().contains("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn what_is_no_network_or_name_is_refused() {
        for text in ["", "10.0.0.0/33", "example.org", "10.0.0.0/8, 10.1.0.0/16"] {
            assert!(TrustedProxies::parse(&[text]).is_err(), "{text}");
        }
        assert!(TrustedProxies::parse(&vec!["10.0.0.1"; MAX_TRUSTED_PROXIES + 1]).is_err());
        for name in ["", " a", "a\nb", &"x".repeat(MAX_CLUSTER_NAME_BYTES + 1)] {
            assert!(name.parse::<ClusterName>().is_err(), "{name:?}");
        }
        assert_eq!("prod-eu 1".parse::<ClusterName>().unwrap().as_str(), "prod-eu 1");
    }
}
