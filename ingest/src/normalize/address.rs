//! Network addresses as logs write them, and which of several a request came from.
//!
//! A server sees one address for itself: its peer's. All others that a request comes with (`X-Forwarded-For`, `X-Real-Ip`,
//! `Forwarded`) its client may have written, and they are claims: `source.ip` is the peer's, unless the topic's
//! `trusted_proxies` say that the peer is a proxy of one's own. Then it is the last address before it that is none.

use std::net::{IpAddr, Ipv4Addr};

use casebook_event::{FieldId, Fields, Value, ip_address};
use compact_str::{CompactString, ToCompactString};

use crate::limits::{MAX_CLAIMED_IPS, MAX_RELATED_IPS};
use crate::settings::TrustedProxies;

/// An address, with what logs write around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address {
    /// IPv4 inside IPv6 is IPv4.
    pub(crate) ip: IpAddr,
    pub(crate) port: Option<u16>,
    /// Whether a zone was named (`fe80::1%eth0`): the interface by which it is reached, which is no part of it.
    zoned: bool,
}

impl Address {
    /// Reads `10.0.0.1`, `2001:db8::1`, either with a port after it (`[2001:db8::1]:443`), IPv6 with a zone, and brackets.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Ok(ip) = text.parse::<Ipv4Addr>() {
            return Some(Self::plain(ip.into()));
        }
        let (host, after) = match text.strip_prefix('[') {
            Some(inner) => inner.split_once(']')?,
            None => match text.split_once(':') {
                Some((host, port)) if !port.contains(':') => {
                    let ip = host.parse::<Ipv4Addr>().ok()?;
                    return Self::plain(ip.into()).with_port(port);
                }
                Some(_) => (text, ""),
                None => return None,
            },
        };
        // What stands in brackets may be IPv4, as sshd writes it.
        let address = Self {
            zoned: host.contains('%'),
            ..Self::plain(ip_address(host)?.to_canonical())
        };
        match after.strip_prefix(':') {
            Some(port) => address.with_port(port),
            None if after.is_empty() => Some(address),
            None => None,
        }
    }

    fn plain(ip: IpAddr) -> Self {
        Self {
            ip,
            port: None,
            zoned: false,
        }
    }

    fn with_port(mut self, port: &str) -> Option<Self> {
        self.port = Some(port.parse().ok()?);
        Some(self)
    }
}

/// The canonical text of an IP address, so that every source writes the same address alike: IPv6 compressed and lower
/// case, IPv4 inside IPv6 as IPv4, without brackets and zone. `None` where `text` is none, or has a port.
pub(crate) fn canonical_ip(text: &str) -> Option<CompactString> {
    if text.parse::<Ipv4Addr>().is_ok() {
        return Some(CompactString::new(text));
    }
    if !text.contains(':') {
        return None;
    }
    let address = Address::parse(text)?;
    address.port.is_none().then(|| address.ip.to_compact_string())
}

/// Sets `source.ip` and `related.ip`, or `source.address` where the text is a name; a port after the address goes to
/// `source.port`. The writer saw that address itself: there is one, and nobody forwarded it. Of a list (a header that somebody
/// has copied) the last is nearest to the writer, and the others are claims.
pub(crate) fn set_source(fields: &mut Fields, text: &str) {
    let text = text.trim();
    if text.is_empty() || text == "-" {
        return;
    }
    match Address::parse(text) {
        Some(address) => set_source_address(fields, text, address),
        None if text.contains(',') => {
            let mut hops = Hops::default();
            hops.add(text);
            hops.set(&TrustedProxies::NONE, fields);
        }
        None => fields.set(FieldId::SourceAddress, text),
    }
}

fn set_source_address(fields: &mut Fields, text: &str, address: Address) {
    let ip = address.ip.to_compact_string();
    push_related(fields, &ip);
    fields.set(FieldId::SourceIp, ip);
    if let Some(port) = address.port {
        fields.set(FieldId::SourcePort, i64::from(port));
    }
    if address.zoned {
        // The zone says on which network of the machine that address is: it stays to be seen.
        fields.set(FieldId::SourceAddress, text);
    }
}

/// The addresses that one request came with, in the order in which each was added: what its client claims first, the peer
/// of the server that wrote the record last.
#[derive(Debug, Default)]
pub(crate) struct Hops<'a>(Vec<&'a str>);

impl<'a> Hops<'a> {
    /// Adds an address or a list with commas between, as a header or a record of several writes them.
    pub(crate) fn add(&mut self, text: &'a str) {
        let parts = text.split(',').map(bare);
        self.0.extend(parts.filter(|part| !part.is_empty() && *part != "-"));
    }

    /// Adds what a client claims to all that is there.
    pub(crate) fn add_before(&mut self, text: &'a str) {
        let known = std::mem::take(&mut self.0);
        self.add(text);
        self.0.extend(known);
    }

    /// The last, or nothing.
    pub(crate) fn peer(&self) -> &'a str {
        self.0.last().copied().unwrap_or_default()
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets where the request came from, and keeps what was only claimed as `casebook.claimed_ip`.
    pub(crate) fn set(&self, proxies: &TrustedProxies, fields: &mut Fields) {
        let Some((peer, mut claimed)) = self.0.split_last() else {
            return;
        };
        let mut source = (*peer, Address::parse(peer));
        // What a proxy of one's own says is believed, as far as it names an address.
        while let (_, Some(address)) = source
            && proxies.contains(address.ip)
            && let Some((before, rest)) = claimed.split_last()
            && let Some(forwarded) = Address::parse(before)
        {
            source = (before, Some(forwarded));
            claimed = rest;
        }
        match source {
            (text, Some(address)) => set_source_address(fields, text, address),
            (text, None) => fields.set(FieldId::SourceAddress, text),
        }
        for proxy in self.0[claimed.len() + 1..]
            .iter()
            .filter_map(|text| Address::parse(text))
        {
            push_related(fields, &proxy.ip.to_compact_string());
        }
        claim(fields, claimed);
    }

    /// Keeps what is known where the end is missing: that the addresses were named, and, where no proxy may be among them, that
    /// all before the last are claims. The last is the peer's or one more claim.
    pub(crate) fn set_without_end(&self, proxies: &TrustedProxies, fields: &mut Fields) {
        if let ([claimed @ .., _], true) = (self.0.as_slice(), proxies.is_empty()) {
            claim(fields, claimed);
        }
        for address in self.0.iter().filter_map(|text| Address::parse(text)) {
            push_related(fields, &address.ip.to_compact_string());
        }
    }

    /// Keeps all as claims: who the peer was is not said.
    pub(crate) fn claim(&self, fields: &mut Fields) {
        claim(fields, &self.0);
    }
}

/// Adds addresses that a client claims to `casebook.claimed_ip`, and to `related.ip` as every address. Those nearest to the
/// server are kept where there are too many.
fn claim(fields: &mut Fields, texts: &[&str]) {
    let mut nearest: Vec<CompactString> = Vec::new();
    for address in texts.iter().rev().filter_map(|text| Address::parse(text)) {
        let ip = address.ip.to_compact_string();
        if !nearest.contains(&ip) {
            nearest.push(ip);
        }
        if nearest.len() == MAX_CLAIMED_IPS {
            break;
        }
    }
    for ip in nearest.iter().rev() {
        push_once(fields, FieldId::ClaimedIps, ip, MAX_CLAIMED_IPS);
        push_related(fields, ip);
    }
}

/// An element of a list without what may be around it: white space, quotes, and the other parameters of RFC 7239
/// (`by=203.0.113.1;for="[2001:db8::1]:443"`).
fn bare(part: &str) -> &str {
    let part = part.trim().trim_matches('"');
    if !part.contains('=') {
        return part;
    }
    let named = |parameter: &'_ str| {
        parameter
            .trim()
            .get(..4)
            .is_some_and(|name| name.eq_ignore_ascii_case("for="))
    };
    match part.split(';').find(|parameter| named(parameter)) {
        Some(parameter) => parameter.trim()[4..].trim_matches('"'),
        None => "",
    }
}

/// Adds to `related.ip`, within its bound.
pub(crate) fn push_related(fields: &mut Fields, ip: &str) {
    push_once(fields, FieldId::RelatedIps, ip, MAX_RELATED_IPS);
}

fn push_once(fields: &mut Fields, id: FieldId, ip: &str, most: usize) {
    let held = fields.get(id).and_then(Value::as_list).map_or(0, <[Value]>::len);
    if held < most {
        fields.push(id, ip);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_one_way() {
        let check = |text: &str, want: Option<&str>| assert_eq!(canonical_ip(text).as_deref(), want, "{text}");
        check("10.0.0.1", Some("10.0.0.1"));
        check("2001:0DB8:0a0b:12f0:0000:0000:0000:0001", Some("2001:db8:a0b:12f0::1"));
        check("::ffff:10.0.0.1", Some("10.0.0.1"));
        check("[::1]", Some("::1"));
        check("fe80::1%eth0", Some("fe80::1"));
        check("FE80::1%25en0", Some("fe80::1"));
        check("[fe80::a:b%3]", Some("fe80::a:b"));
        check("fe80::1%br-0123456789ab", Some("fe80::1"));
        check("075.050.255.67", None);
        check("ec2.amazonaws.com", None);
        check("fe80::1%", None);
        check("fe80::1%eth0 port 22", None);
        check("10.0.0.1%eth0", None);
        check("fe80::1%eth0:x]", None);
        check("", None);
    }

    #[test]
    fn ports_brackets_and_zones() {
        let check = |text: &str, ip: Option<&str>, port: Option<i64>, name: Option<&str>| {
            let mut fields = Fields::new();
            set_source(&mut fields, text);
            assert_eq!(fields.str(FieldId::SourceIp), ip, "{text}");
            assert_eq!(fields.get(FieldId::SourcePort).and_then(Value::as_i64), port, "{text}");
            assert_eq!(fields.str(FieldId::SourceAddress), name, "{text}");
        };
        check("10.0.0.1:8080", Some("10.0.0.1"), Some(8080), None);
        check("[::1]:80", Some("::1"), Some(80), None);
        check("[10.0.0.1]:22", Some("10.0.0.1"), Some(22), None);
        check("[::ffff:10.0.0.1]:22", Some("10.0.0.1"), Some(22), None);
        check("fe80::1%eth0", Some("fe80::1"), None, Some("fe80::1%eth0"));
        check(
            "[fe80::1%eth0]:22",
            Some("fe80::1"),
            Some(22),
            Some("[fe80::1%eth0]:22"),
        );
        check("10.0.0.1:99999", None, None, Some("10.0.0.1:99999"));
        check("203.0.113.7, 10.0.0.1:80", Some("10.0.0.1"), Some(80), None);
        check("AWS Internal", None, None, Some("AWS Internal"));
        check("-", None, None, None);
    }

    /// What `hops` become: the source and the claims.
    fn hops(texts: &[&str], proxies: &[&str]) -> (String, String, String) {
        let (mut hops, mut fields) = (Hops::default(), Fields::new());
        texts.iter().for_each(|text| hops.add(text));
        hops.set(&TrustedProxies::parse(proxies).unwrap(), &mut fields);
        let text = |id| {
            fields
                .get(id)
                .map(|value| value.to_text().into_owned())
                .unwrap_or_default()
        };
        (
            text(FieldId::SourceIp) + &text(FieldId::SourceAddress),
            text(FieldId::ClaimedIps),
            text(FieldId::RelatedIps),
        )
    }

    #[test]
    fn the_peer_is_the_source_and_what_stands_before_it_a_claim() {
        let check = |texts: &[&str], proxies: &[&str], source: &str, claimed: &str, related: &str| {
            let want = (source.to_owned(), claimed.to_owned(), related.to_owned());
            assert_eq!(hops(texts, proxies), want, "{texts:?} {proxies:?}");
        };
        check(&["10.0.0.9"], &[], "10.0.0.9", "", r#"["10.0.0.9"]"#);
        check(
            &["8.8.8.8", "::1", "10.0.0.9"],
            &[],
            "10.0.0.9",
            r#"["8.8.8.8","::1"]"#,
            r#"["10.0.0.9","8.8.8.8","::1"]"#,
        );
        // One proxy is trusted, then two; a client of theirs still only claims.
        let proxies = &["10.0.0.0/8", "fd00::/8"];
        check(
            &["8.8.8.8", "203.0.113.7", "10.0.0.9"],
            proxies,
            "203.0.113.7",
            r#"["8.8.8.8"]"#,
            r#"["203.0.113.7","10.0.0.9","8.8.8.8"]"#,
        );
        check(
            &["8.8.8.8, 203.0.113.7", "fd00::1", "10.0.0.9"],
            proxies,
            "203.0.113.7",
            r#"["8.8.8.8"]"#,
            r#"["203.0.113.7","fd00::1","10.0.0.9","8.8.8.8"]"#,
        );
        // A proxy that is asked by itself, and one that says nothing that is an address.
        check(
            &["10.0.0.3", "10.0.0.9"],
            proxies,
            "10.0.0.3",
            "",
            r#"["10.0.0.3","10.0.0.9"]"#,
        );
        check(
            &["8.8.8.8", "unknown", "10.0.0.9"],
            proxies,
            "10.0.0.9",
            r#"["8.8.8.8"]"#,
            r#"["10.0.0.9","8.8.8.8"]"#,
        );
        // A peer without an address is trusted by no network.
        check(
            &["8.8.8.8", "unix:"],
            proxies,
            "unix:",
            r#"["8.8.8.8"]"#,
            r#"["8.8.8.8"]"#,
        );
        // As headers write them: quotes, ports, zones, RFC 7239.
        check(
            &[r#""8.8.8.8:99, [2001:DB8::1]:5""#, "fe80::2%eth0"],
            &[],
            "fe80::2fe80::2%eth0",
            r#"["8.8.8.8","2001:db8::1"]"#,
            r#"["fe80::2","8.8.8.8","2001:db8::1"]"#,
        );
        check(
            &[
                r#"for=8.8.8.8;proto=http, by=1.1.1.1;For="[2001:db8::1]:5""#,
                "10.0.0.9",
            ],
            &["10.0.0.9"],
            "2001:db8::1",
            r#"["8.8.8.8"]"#,
            r#"["2001:db8::1","10.0.0.9","8.8.8.8"]"#,
        );
    }

    #[test]
    fn of_too_many_claims_the_nearest_are_kept() {
        let many: Vec<String> = (0..300).map(|n| format!("8.8.{}.{}", n / 256, n % 256)).collect();
        let all = many.join(",");
        let (source, claimed, _) = hops(&[&all, "10.0.0.9"], &[]);
        assert_eq!(source, "10.0.0.9");
        assert_eq!(claimed.matches("8.8.").count(), MAX_CLAIMED_IPS);
        assert!(
            claimed.ends_with("\"8.8.1.43\"]") && !claimed.contains("8.8.0.0\""),
            "{claimed}"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_ends(texts in proptest::collection::vec(r#"[\[\]"0-9a-f:.%=;, é-]{0,30}"#, 0..6)) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let _ = hops(&texts, &["0.0.0.0/0", "::/0"]);
        }
    }
}
