//! Network addresses as logs write them.

use std::net::IpAddr;
use std::net::{Ipv4Addr, SocketAddr};

use casebook_event::{FieldId, Fields, Value};
use compact_str::{CompactString, ToCompactString};

use crate::limits::MAX_RELATED_IPS;

/// The canonical text of an IP address, so that every source writes the same address alike: IPv6 compressed and lower
/// case, IPv4 inside IPv6 as IPv4. `None` where `text` is none.
pub(crate) fn canonical_ip(text: &str) -> Option<CompactString> {
    if text.parse::<Ipv4Addr>().is_ok() {
        return Some(CompactString::new(text));
    }
    if !text.contains(':') {
        return None;
    }
    let address = text
        .strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
        .unwrap_or(text);
    address
        .parse::<IpAddr>()
        .ok()
        .map(|address| address.to_canonical().to_compact_string())
}

/// Sets `source.ip` and `related.ip`, or `source.address` where the text is a name; a port behind the address goes to
/// `source.port`. Of a list (`X-Forwarded-For`) the first is taken.
pub(crate) fn set_source(fields: &mut Fields, text: &str) {
    let text = text.split(',').next().unwrap_or(text).trim();
    if text.is_empty() || text == "-" {
        return;
    }
    if let Some(ip) = canonical_ip(text) {
        push_related(fields, &ip);
        fields.set(FieldId::SourceIp, ip);
    } else if let Ok(address) = text.parse::<SocketAddr>() {
        let ip = address.ip().to_canonical().to_compact_string();
        push_related(fields, &ip);
        fields.set(FieldId::SourceIp, ip);
        fields.set(FieldId::SourcePort, i64::from(address.port()));
    } else {
        fields.set(FieldId::SourceAddress, text);
    }
}

/// Adds to `related.ip`, within its bound.
pub(crate) fn push_related(fields: &mut Fields, ip: &str) {
    let held = fields
        .get(FieldId::RelatedIps)
        .and_then(Value::as_list)
        .map_or(0, <[Value]>::len);
    if held < MAX_RELATED_IPS {
        fields.push(FieldId::RelatedIps, ip);
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
        check("075.050.255.67", None);
        check("ec2.amazonaws.com", None);
        check("", None);
    }

    #[test]
    fn ports_and_lists() {
        let check = |text: &str, ip: Option<&str>, port: Option<i64>, name: Option<&str>| {
            let mut fields = Fields::new();
            set_source(&mut fields, text);
            assert_eq!(fields.str(FieldId::SourceIp), ip, "{text}");
            assert_eq!(fields.get(FieldId::SourcePort).and_then(Value::as_i64), port, "{text}");
            assert_eq!(fields.str(FieldId::SourceAddress), name, "{text}");
        };
        check("10.0.0.1:8080", Some("10.0.0.1"), Some(8080), None);
        check("[::1]:80", Some("::1"), Some(80), None);
        check("203.0.113.7, 10.0.0.1", Some("203.0.113.7"), None, None);
        check("AWS Internal", None, None, Some("AWS Internal"));
        check("-", None, None, None);
    }
}
