//! A web server's line: the access logs of nginx, ingress-nginx, Traefik and Apache ([`super::access_line`]), that of Envoy
//! ([`super::envoy_line`]), and the error logs of nginx and Apache 2.4.

use casebook_event::{FieldId, Fields, Timestamp, Value};
use compact_str::CompactString;

use super::web_request::{WebLine, set_destination, set_request};
use super::{access_line, envoy_line};
use crate::format::syslog::month;
use crate::normalize::address::{self, Address};
use crate::settings::TrustedProxies;

/// Reads a line and sets what it says; `None`, and nothing set, where it is no web server's.
pub(crate) fn read(line: &str, proxies: &TrustedProxies, fields: &mut Fields) -> Option<WebLine> {
    access_line::read(line, proxies, fields)
        .or_else(|| envoy_line::read(line, proxies, fields))
        .or_else(|| nginx_error(line, fields))
        .or_else(|| apache_error(line, fields))
}

/// `2021/08/26 16:50:17 [error] 29060#29060: *2191 message, client: …, server: …, request: "…"`.
fn nginx_error(line: &str, fields: &mut Fields) -> Option<WebLine> {
    let date = line.get(..19)?;
    let shape = date.bytes().zip(*b"0000/00/00 00:00:00").all(|(have, want)| {
        if want == b'0' {
            have.is_ascii_digit()
        } else {
            have == want
        }
    });
    let rest = line.get(19..)?.strip_prefix(" [")?;
    let (level, rest) = rest.split_once("] ")?;
    let (process, message) = rest.split_once(": ")?;
    let (pid, _) = process.split_once('#')?;
    let pid: i64 = pid.parse().ok().filter(|_| shape)?;
    let time = Timestamp::parse_rfc3339(&date.replacen('/', "-", 2))?;
    let mut native: Vec<(CompactString, Value)> = Vec::new();
    let mut note = |key: &str, text: &str| native.push((key.into(), Value::str(text)));
    fields.push(FieldId::EventCategory, "web");
    fields.push(FieldId::EventType, "error");
    fields.set(FieldId::EventOutcome, "failure");
    fields.set(FieldId::LogLevel, level);
    fields.set(FieldId::ProcessPid, pid);
    fields.set(FieldId::ProcessName, "nginx");
    let (text, details) = match message.find(", client: ") {
        Some(at) => (&message[..at], &message[at..]),
        None => (message, ""),
    };
    let text = match text.strip_prefix('*').and_then(|rest| rest.split_once(' ')) {
        Some((connection, text)) if connection.bytes().all(|b| b.is_ascii_digit()) => text,
        _ => text,
    };
    fields.set(FieldId::ErrorMessage, text);
    for detail in details.split(", ").filter_map(|detail| detail.split_once(": ")) {
        match detail {
            ("client", ip) => {
                address::set_source(fields, ip);
                note("c-ip", ip);
            }
            ("server" | "host", host) => {
                let host = host.trim_matches('"');
                if fields.get(FieldId::UrlDomain).is_none() && host != "_" {
                    fields.set(FieldId::UrlDomain, host);
                }
            }
            ("request", request) => set_request(request.trim_matches('"'), fields, &mut note),
            ("referrer", referrer) => fields.set(FieldId::HttpRequestReferrer, referrer.trim_matches('"')),
            ("upstream", upstream) => {
                let url = upstream.trim_matches('"');
                let host = url.split_once("://").map_or(url, |(_, rest)| rest).split('/').next();
                set_destination(host.unwrap_or_default(), fields);
            }
            _ => {}
        }
    }
    Some(WebLine {
        time,
        native,
        mark: "date, [level] and pid#tid (nginx error log)",
    })
}

/// `[Wed Oct 11 14:32:52.123456 2000] [core:error] [pid 1:tid 2] [client 1.2.3.4:5] AH00001: message`.
fn apache_error(line: &str, fields: &mut Fields) -> Option<WebLine> {
    let (stamp, rest) = line.strip_prefix('[')?.split_once("] ")?;
    let mut parts = stamp.split_ascii_whitespace();
    let (_, name, day, clock, year) = (
        parts.next()?,
        parts.next()?,
        parts.next()?,
        parts.next()?,
        parts.next()?,
    );
    let month = month(name)?;
    let date = format!("{year}-{month:02}-{:0>2} {clock}", day);
    let time = Timestamp::parse_rfc3339(&date)?;
    let mut native: Vec<(CompactString, Value)> = Vec::new();
    let mut rest = rest;
    let mut level = "";
    while let Some((inside, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        match inside.split_once(' ') {
            Some(("pid", pid)) => {
                let pid = pid.split(':').next().and_then(|pid| pid.parse::<i64>().ok());
                if let Some(pid) = pid {
                    fields.set(FieldId::ProcessPid, pid);
                }
            }
            Some(("client", client)) => {
                // The port is always there, also after IPv6 without brackets.
                let named = match client
                    .rsplit_once(':')
                    .map(|(ip, port)| (Address::parse(ip), port.parse::<u16>()))
                {
                    Some((Some(_), Ok(_))) if !client.starts_with('[') => {
                        let (ip, port) = client.rsplit_once(':').unwrap_or((client, ""));
                        fields.set(FieldId::SourcePort, port.parse::<i64>().unwrap_or_default());
                        ip
                    }
                    _ => client,
                };
                address::set_source(fields, named);
                native.push(("c-ip".into(), Value::str(client)));
            }
            None if level.is_empty() => level = inside.rsplit(':').next().unwrap_or_default(),
            _ => {}
        }
        rest = after.trim_start();
    }
    if level.is_empty() {
        return None;
    }
    fields.push(FieldId::EventCategory, "web");
    fields.push(FieldId::EventType, "error");
    fields.set(FieldId::EventOutcome, "failure");
    fields.set(FieldId::LogLevel, level);
    fields.set(FieldId::ProcessName, "httpd");
    let (text, referrer) = rest.split_once(", referer: ").unwrap_or((rest, ""));
    fields.set(FieldId::HttpRequestReferrer, referrer);
    let code = text
        .split_once(": ")
        .filter(|(code, _)| code.len() == 7 && code.starts_with("AH"));
    if let Some((code, _)) = code {
        fields.set(FieldId::EventCode, code);
    }
    fields.set(FieldId::ErrorMessage, code.map_or(text, |(_, text)| text));
    Some(WebLine {
        time,
        native,
        mark: "[weekday date] and [module:level] (Apache error log)",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, time: &str, want: &[(FieldId, &str)]) {
        let mut fields = Fields::new();
        let read = read(line, &TrustedProxies::NONE, &mut fields).unwrap();
        assert_eq!(read.time.to_string(), time, "{line}");
        for (id, want) in want {
            let got = fields.get(*id).map(|value| value.to_text().into_owned());
            assert_eq!(got.unwrap_or_default(), *want, "{id} of {line}");
        }
    }

    #[test]
    fn error_logs() {
        check(
            r#"2021/08/26 16:52:45 [error] 29060#29060: *2193 connect() failed (111: Connection refused) while connecting to upstream, client: 10.0.0.50, server: api.example.com, request: "GET /api HTTP/1.1", upstream: "http://127.0.0.1:8080/users", host: "api.example.com""#,
            "2021-08-26T16:52:45Z",
            &[
                (FieldId::LogLevel, "error"),
                (FieldId::ProcessPid, "29060"),
                (FieldId::SourceIp, "10.0.0.50"),
                (FieldId::UrlPath, "/api"),
                (FieldId::DestinationPort, "8080"),
                (
                    FieldId::ErrorMessage,
                    "connect() failed (111: Connection refused) while connecting to upstream",
                ),
            ],
        );
        check(
            "[Wed Oct 11 14:32:52.123456 2000] [core:error] [pid 35708:tid 4328636416] [client 72.15.99.187:80] AH00128: File does not exist: /x",
            "2000-10-11T14:32:52.123456Z",
            &[
                (FieldId::LogLevel, "error"),
                (FieldId::EventCode, "AH00128"),
                (FieldId::SourceIp, "72.15.99.187"),
                (FieldId::ErrorMessage, "File does not exist: /x"),
            ],
        );
    }

    #[test]
    fn other_lines_are_none() {
        for line in [
            "",
            "2024/01/02 03:04:05 listening",
            "[12/Mar/2024] hello",
            "a [b] c",
            r#"10.0.0.1 - - [26/Aug/2021:16:49:43 +0000] "GET /" x 5"#,
            r#"10.0.0.1 - - [26/Foo/2021:16:49:43 +0000] "GET /" 200 5"#,
        ] {
            let mut fields = Fields::new();
            assert!(read(line, &TrustedProxies::NONE, &mut fields).is_none(), "{line}");
            assert_eq!(fields.iter().count(), 0, "{line}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_line_ends(line in r#"[\[\]"a0/: \\é-]{0,60}"#) {
            let _ = read(&line, &TrustedProxies::NONE, &mut Fields::new());
        }
    }
}
