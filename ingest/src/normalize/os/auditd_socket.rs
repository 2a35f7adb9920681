//! Socket addresses in audit records: the bytes of `struct sockaddr`, in hexadecimal digits (sockaddr(3type), ip(7),
//! ipv6(7), unix(7)).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::auditd_record::hex;

/// What a socket is connected or bound to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SocketAddress {
    /// An address of IPv4 or IPv6, and a port.
    Internet(IpAddr, u16),
    /// A path, or a name that is in no file system (it begins with `@`).
    Unix(String),
    /// Another family, by its number.
    Other(u16),
}

impl SocketAddress {
    /// Reads `saddr`; `None` where it is no address.
    pub(crate) fn parse(saddr: &str) -> Option<Self> {
        let bytes = hex(saddr)?;
        // The family is in the order of the machine, which is little-endian wherever Kubernetes runs.
        let family = u16::from_le_bytes(bytes.get(..2)?.try_into().ok()?);
        let port = || Some(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?));
        match family {
            1 => {
                let path = bytes.get(2..)?;
                let end = path
                    .iter()
                    .skip(1)
                    .position(|b| *b == 0)
                    .map_or(path.len(), |at| at + 1);
                let text = String::from_utf8_lossy(&path[..end]);
                let text = match text.strip_prefix('\0') {
                    Some(name) => format!("@{name}"),
                    None => text.trim_end_matches('\0').to_owned(),
                };
                (!text.is_empty() && text != "@").then_some(Self::Unix(text))
            }
            2 => {
                let ip: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
                Some(Self::Internet(Ipv4Addr::from(ip).into(), port()?))
            }
            10 => {
                let ip: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
                Some(Self::Internet(Ipv6Addr::from(ip).to_canonical(), port()?))
            }
            other => Some(Self::Other(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families() {
        let check = |saddr: &str, want: Option<SocketAddress>| assert_eq!(SocketAddress::parse(saddr), want, "{saddr}");
        let v4 = |ip: [u8; 4], port| Some(SocketAddress::Internet(Ipv4Addr::from(ip).into(), port));
        check("02000050C0A8010A0000000000000000", v4([192, 168, 1, 10], 80));
        check(
            "0A0001BB0000000000000000000000000000FFFF0A00000100000000",
            v4([10, 0, 0, 1], 443),
        );
        check(
            "0A00003500000000200100000000000000000000000000010000",
            Some(SocketAddress::Internet("2001::1".parse().unwrap(), 53)),
        );
        check(
            "01002F7661722F72756E2F782E736F636B0000",
            Some(SocketAddress::Unix("/var/run/x.sock".into())),
        );
        check("0100002F746D702F78", Some(SocketAddress::Unix("@/tmp/x".into())));
        check("0100", None);
        check("10000000", Some(SocketAddress::Other(16)));
        check("0200", None);
        check("zz", None);
        check("", None);
    }
}
