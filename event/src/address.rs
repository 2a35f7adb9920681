//! IP addresses as people and logs write them.

use std::net::{IpAddr, Ipv6Addr};

/// Longest zone of an address, in bytes. Linux has interfaces of at most 15, other systems longer ones.
const MAX_ZONE_BYTES: usize = 64;

/// The address that `text` names: IPv4, or IPv6 with or without brackets, and with or without a zone (`fe80::1%eth0`). The
/// zone says by which interface a machine reaches the address, and is no part of it.
pub fn ip_address(text: &str) -> Option<IpAddr> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(ip);
    }
    let host = match text.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?,
        None => text,
    };
    let host = match host.split_once('%') {
        Some((host, zone)) if is_zone(zone) => host,
        Some(_) => return None,
        None => host,
    };
    host.parse::<Ipv6Addr>().ok().map(IpAddr::from)
}

/// The name of an interface, or its number; `%25` stands for the sign itself in a URL.
fn is_zone(zone: &str) -> bool {
    let byte = |b: u8| b.is_ascii_alphanumeric() || b"_.-~@%:".contains(&b);
    (1..=MAX_ZONE_BYTES).contains(&zone.len()) && zone.bytes().all(byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_and_zones_are_no_part_of_an_address() {
        let check = |text: &str, want: Option<&str>| {
            assert_eq!(ip_address(text).map(|ip| ip.to_string()).as_deref(), want, "{text}");
        };
        check("10.0.0.1", Some("10.0.0.1"));
        check("FE80:0::1", Some("fe80::1"));
        check("fe80::1%eth0", Some("fe80::1"));
        check("fe80::1%25en0", Some("fe80::1"));
        check("[fe80::1%3]", Some("fe80::1"));
        check("[::1]", Some("::1"));
        check("fe80::1%", None);
        check("fe80::1%a b", None);
        check(&format!("fe80::1%{}", "x".repeat(MAX_ZONE_BYTES + 1)), None);
        check("10.0.0.1%eth0", None);
        check("[10.0.0.1", None);
        check("fe80::1]", None);
        check("", None);
    }
}
