//! Where a request came from, by the names that programs log it under: frameworks, access logs as JSON, and the headers of
//! proxies.
//!
//! A program may log what its connection says, what its framework made of that and of headers, and headers as they came.
//! The nearer a name is to the connection, the more it is believed; what a header says is a claim.

use casebook_event::{Fields, Value};

use crate::normalize::address::Hops;
use crate::settings::TrustedProxies;

/// What a name stands for, what is believed least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// A header that any client may send.
    Header,
    /// What the program takes for the client, often by such headers.
    Client,
    /// The far end, as most name that of their connection.
    Remote,
    /// The connection's own far end.
    Peer,
}

/// The addresses that a record names a request's origin by.
#[derive(Debug, Default)]
pub(crate) struct Origin<'a>(Vec<(Kind, &'a str)>);

impl<'a> Origin<'a> {
    /// Takes note of an entry, if its name is one of an origin's.
    pub(crate) fn note(&mut self, key: &str, value: &'a Value) {
        if let Some(kind) = kind_of(key) {
            self.push(kind, value);
        }
    }

    /// Takes note of one of a request's headers.
    pub(crate) fn note_header(&mut self, name: &str, value: &'a Value) {
        if is_header(name) {
            self.push(Kind::Header, value);
        }
    }

    fn push(&mut self, kind: Kind, value: &'a Value) {
        match value {
            Value::Str(text) => self.0.push((kind, text)),
            Value::List(items) => self
                .0
                .extend(items.iter().filter_map(Value::as_str).map(|text| (kind, text))),
            _ => {}
        }
    }

    /// Sets `source.ip`, and keeps the claims.
    pub(crate) fn set(mut self, proxies: &TrustedProxies, fields: &mut Fields) {
        self.0.sort_by_key(|(kind, _)| *kind);
        let mut hops = Hops::default();
        for (_, text) in &self.0 {
            hops.add(text);
        }
        match self.0.last() {
            None => {}
            // Who sent the header is not said.
            Some((Kind::Header, _)) => hops.claim(fields),
            Some(_) => hops.set(proxies, fields),
        }
    }
}

fn kind_of(key: &str) -> Option<Kind> {
    Some(match key {
        "remote_addr"
        | "remoteAddr"
        | "remoteAddress"
        | "remote_address"
        | "peer"
        | "peer_addr"
        | "origin.address"
        | "ClientAddr"
        | "downstream_remote_address"
        | "downstream_direct_remote_address" => Kind::Peer,
        "remote_ip" | "remoteIp" | "source_ip" | "sourceIp" | "src_ip" => Kind::Remote,
        "client_ip" | "clientIp" | "clientIP" | "ClientIP" | "ClientHost" | "ip" => Kind::Client,
        _ if is_header(key) => Kind::Header,
        _ => return None,
    })
}

/// Headers that carry a client's address, without case and signs, and without what servers put before a header's name.
const HEADERS: &[&str] = &[
    "cfconnectingip",
    "fastlyclientip",
    "forwarded",
    "forwardedfor",
    "forwardedip",
    "networkforwardedip",
    "realip",
    "trueclientip",
    "xclientip",
    "xclusterclientip",
    "xenvoyexternaladdress",
    "xff",
    "xforwardedfor",
    "xoriginalforwardedfor",
    "xrealip",
];

/// Length of the longest name with signs and a prefix, in bytes.
const MAX_HEADER_BYTES: usize = 40;

fn is_header(key: &str) -> bool {
    // Most names are none: what all have in common costs a comparison of two bytes.
    let plausible = (3..=MAX_HEADER_BYTES).contains(&key.len())
        && matches!(key.as_bytes()[0] | 0x20, b'c' | b'f' | b'h' | b'n' | b'r' | b't' | b'x')
        && matches!(key.as_bytes()[key.len() - 1] | 0x20, b'p' | b'r' | b'd' | b's' | b'f');
    if !plausible {
        return false;
    }
    let mut bare = String::with_capacity(MAX_HEADER_BYTES);
    bare.extend(
        key.chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase()),
    );
    let bare = bare
        .strip_prefix("http")
        .or_else(|| bare.strip_prefix("request"))
        .or_else(|| bare.strip_prefix("headers"))
        .or_else(|| bare.strip_prefix("header"))
        .unwrap_or(&bare);
    HEADERS.binary_search(&bare).is_ok()
}

#[cfg(test)]
mod tests {
    use casebook_event::FieldId;

    use super::*;

    fn origin(record: &str, proxies: &[&str]) -> (String, String) {
        let record: Value = serde_json::from_str(record).unwrap();
        let (mut origin, mut fields) = (Origin::default(), Fields::new());
        let Value::Map(entries) = &record else { unreachable!() };
        for (key, value) in entries {
            origin.note(key, value);
        }
        origin.set(&TrustedProxies::parse(proxies).unwrap(), &mut fields);
        let text = |id| {
            fields
                .get(id)
                .map(|value| value.to_text().into_owned())
                .unwrap_or_default()
        };
        (text(FieldId::SourceIp), text(FieldId::ClaimedIps))
    }

    #[test]
    fn what_is_nearest_to_the_connection_is_the_source() {
        let check = |record: &str, source: &str, claimed: &str| {
            assert_eq!(origin(record, &[]), (source.to_owned(), claimed.to_owned()), "{record}");
        };
        check(r#"{"client_ip":"203.0.113.7"}"#, "203.0.113.7", "");
        check(
            r#"{"remote_addr":"10.0.0.9:4711","x_forwarded_for":"8.8.8.8, 1.1.1.1"}"#,
            "10.0.0.9",
            r#"["8.8.8.8","1.1.1.1"]"#,
        );
        // The order of the keys says nothing.
        check(
            r#"{"X-Forwarded-For":["8.8.8.8"],"remoteAddress":"::ffff:10.0.0.9","ip":"1.1.1.1"}"#,
            "10.0.0.9",
            r#"["8.8.8.8","1.1.1.1"]"#,
        );
        check(
            r#"{"remote_ip":"10.0.0.9","client_ip":"8.8.8.8"}"#,
            "10.0.0.9",
            r#"["8.8.8.8"]"#,
        );
        // A header alone does not say who sent it.
        check(r#"{"http_x_forwarded_for":"8.8.8.8"}"#, "", r#"["8.8.8.8"]"#);
        check(r#"{"True-Client-IP":"8.8.8.8"}"#, "", r#"["8.8.8.8"]"#);
        check(r#"{"forwarded":"for=8.8.8.8;proto=https"}"#, "", r#"["8.8.8.8"]"#);
        check(r#"{"x_forwarded_for":"-","remote_addr":"10.0.0.9"}"#, "10.0.0.9", "");
    }

    #[test]
    fn a_trusted_proxy_is_believed() {
        let record = r#"{"remote_addr":"10.0.0.9","x_forwarded_for":"8.8.8.8, 203.0.113.7"}"#;
        let want = ("203.0.113.7".to_owned(), r#"["8.8.8.8"]"#.to_owned());
        assert_eq!(origin(record, &["10.0.0.0/24"]), want);
    }

    #[test]
    fn headers_are_known_however_they_are_written() {
        assert!(HEADERS.is_sorted());
        for name in [
            "X-Forwarded-For",
            "http_x_real_ip",
            "request_X-Forwarded-For",
            "xff",
            "CF-Connecting-IP",
            "headers.x-client-ip",
            "network.forwarded_ip",
        ] {
            assert!(is_header(name), "{name}");
        }
        for name in [
            "x",
            "forward",
            "xforwardedproto",
            "trip",
            "ship",
            "http",
            "X-Forwarded-For-Long-Long-Long-Long-Long",
        ] {
            assert!(!is_header(name), "{name}");
        }
    }
}
