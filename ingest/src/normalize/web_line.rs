//! A web server's line: the access logs of nginx, ingress-nginx, Traefik and Apache (common and combined, with or without a
//! virtual host in front), and the error logs of nginx and Apache 2.4.

use casebook_event::{FieldId, Fields, Timestamp, Value};
use compact_str::CompactString;

use super::address;
use crate::decode::month;

/// What a line was.
#[derive(Debug)]
pub(super) struct WebLine {
    pub(super) time: Timestamp,
    /// Its parts under the names of the W3C extended log format, which rules for web servers use.
    pub(super) native: Vec<(CompactString, Value)>,
    pub(super) mark: &'static str,
}

/// Reads a line and sets what it says; `None`, and nothing set, where it is no web server's.
pub(super) fn read(line: &str, fields: &mut Fields) -> Option<WebLine> {
    access(line, fields)
        .or_else(|| nginx_error(line, fields))
        .or_else(|| apache_error(line, fields))
}

/// The text in double quotes at the beginning, in which a quote is escaped by a backslash, and what follows.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('"')?;
    let bytes = inner.as_bytes();
    let mut at = 0;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    let end = inner.floor_char_boundary(at.min(inner.len()));
    Some((&inner[..end], inner.get(end + 1..).unwrap_or_default()))
}

fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_once(' ').unwrap_or((text, ""))
}

/// `10/Oct/2000:13:55:36 -0700`.
fn access_time(text: &str) -> Option<Timestamp> {
    let (date, zone) = text.split_once(' ').unwrap_or((text, "+0000"));
    let mut parts = date.splitn(4, ['/', ':']);
    let (day, name, year, clock) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let mut clock = clock.split(':').map(|part| part.parse::<u32>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let time = Timestamp::from_civil(
        year.parse().ok()?,
        month(name)?,
        day.parse().ok()?,
        hour,
        minute,
        second,
        0,
    )?;
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (-1, digits),
        ("-", digits) => (1, digits),
        _ => return None,
    };
    let zone: i64 = digits.parse().ok().filter(|zone| (0..=2359).contains(zone))?;
    Some(time.saturating_add_nanos(sign * (zone / 100 * 3600 + zone % 100 * 60) * 1_000_000_000))
}

/// `ADDRESS IDENT USER [TIME] "REQUEST" STATUS BYTES ["REFERER" "AGENT" …]`.
fn access(line: &str, fields: &mut Fields) -> Option<WebLine> {
    let (head, rest) = line.split_once(" [")?;
    let (time_text, rest) = rest.split_once("] ")?;
    let time = access_time(time_text)?;
    let (request, rest) = quoted(rest.trim_start())?;
    let (status, rest) = word(rest);
    let status: i64 = status.parse().ok().filter(|status| (0..1000).contains(status))?;
    let (bytes, rest) = word(rest);
    let (referrer, rest) = quoted(rest.trim_start()).unwrap_or(("", rest));
    let (agent, rest) = quoted(rest.trim_start()).unwrap_or(("", rest));

    // The user may hold spaces; the address may be a list, and a virtual host may stand in front of it.
    let mut words = head.split(' ');
    let first = words.next()?;
    let (host, client) = match address::canonical_ip(first.trim_end_matches(',')) {
        Some(_) => (None, first),
        None => match words
            .clone()
            .next()
            .map(|second| (second, address::canonical_ip(second)))
        {
            Some((second, Some(_))) => {
                words.next();
                (Some(first), second)
            }
            _ => (None, first),
        },
    };
    let user = words
        .skip_while(|word| *word != "-" && !word.is_empty())
        .skip(1)
        .collect::<Vec<_>>()
        .join(" ");
    let user = if user.is_empty() {
        head.rsplit(' ').next().unwrap_or_default()
    } else {
        &user
    };
    let mut native: Vec<(CompactString, Value)> = Vec::with_capacity(12);
    let mut note = |key: &str, text: &str| {
        if !text.is_empty() && text != "-" {
            native.push((key.into(), Value::str(text)));
        }
    };
    fields.push(FieldId::EventCategory, "web");
    fields.push(FieldId::EventType, "access");
    fields.set(FieldId::EventOutcome, if status >= 400 { "failure" } else { "success" });
    address::set_source(fields, client.trim_end_matches(','));
    note("c-ip", client.trim_end_matches(','));
    if user != "-" && !user.is_empty() {
        fields.set(FieldId::UserName, user);
        note("cs-username", user);
    }
    if let Some(host) = host {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        fields.set(FieldId::UrlDomain, name);
        note("cs-host", name);
    }
    set_request(request, fields, &mut note);
    fields.set(FieldId::HttpResponseStatusCode, status);
    note("sc-status", &status.to_string());
    if let Ok(bytes) = bytes.parse::<i64>() {
        fields.set(FieldId::HttpResponseBytes, bytes);
    }
    note("sc-bytes", bytes);
    if referrer != "-" {
        fields.set(FieldId::HttpRequestReferrer, referrer);
        note("cs-referer", referrer);
    }
    if agent != "-" {
        fields.set(FieldId::UserAgentOriginal, agent);
        note("c-useragent", agent);
        note("cs-user-agent", agent);
    }
    set_upstream(rest.trim(), fields);
    Some(WebLine {
        time,
        native,
        mark: "client, [time], \"request\" and status (access log)",
    })
}

/// `GET /path?query HTTP/1.1`. What is no such line (a TLS handshake on a plain port) is kept as it is.
fn set_request(request: &str, fields: &mut Fields, note: &mut dyn FnMut(&str, &str)) {
    let mut parts = request.split(' ');
    let (method, url) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let named = !method.is_empty() && method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
    if !named || url.is_empty() {
        if !request.is_empty() && request != "-" {
            fields.set(FieldId::UrlOriginal, request);
            note("c-uri", request);
        }
        return;
    }
    fields.set(FieldId::HttpRequestMethod, method);
    note("cs-method", method);
    if let Some(version) = parts.next_back().and_then(|version| version.strip_prefix("HTTP/")) {
        fields.set(FieldId::HttpVersion, version);
    }
    fields.set(FieldId::UrlOriginal, url);
    note("c-uri", url);
    note("cs-uri", url);
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let path = match path.split_once("://") {
        Some((_, rest)) => {
            let (host, path) = rest
                .split_once('/')
                .map_or((rest, "/"), |(host, _)| (host, &rest[host.len()..]));
            fields.set(FieldId::UrlDomain, host);
            path
        }
        None => path,
    };
    fields.set(FieldId::UrlPath, path);
    note("cs-uri-stem", path);
    fields.set(FieldId::UrlQuery, query);
    note("cs-uri-query", query);
    note("c-uri-query", query);
    if let Some((_, extension)) = path.rsplit('/').next().and_then(|name| name.rsplit_once('.')) {
        note("c-uri-extension", extension);
    }
}

/// What ingress-nginx and Traefik write behind the agent.
fn set_upstream(rest: &str, fields: &mut Fields) {
    let mut set_address = |text: &str| {
        let host = text
            .split_once("://")
            .map_or(text, |(_, rest)| rest)
            .trim_end_matches('/');
        if let Ok(address) = host.parse::<std::net::SocketAddr>() {
            fields.set(FieldId::DestinationIp, address.ip().to_string());
            fields.set(FieldId::DestinationPort, i64::from(address.port()));
        }
    };
    let words: Vec<&str> = rest.split(' ').take(16).collect();
    match words.as_slice() {
        // ingress-nginx, "Log format": REQUEST_LENGTH SECONDS [SERVICE] [ALTERNATIVE] UPSTREAM LENGTH SECONDS STATUS ID
        [length, seconds, service, _, upstream, _, _, _, id, ..]
            if length.parse::<u64>().is_ok() && service.starts_with('[') =>
        {
            set_address(upstream);
            set_duration(seconds.parse().ok(), 1e9, fields);
            fields.set(FieldId::ServiceName, service.trim_matches(['[', ']']));
            fields.set(FieldId::CorrelationId, *id);
        }
        // Traefik, "Access logs": COUNT "ROUTER" "SERVER" MILLISms
        [_, router, server, millis] if millis.ends_with("ms") => {
            set_address(server.trim_matches('"'));
            set_duration(millis.trim_end_matches("ms").parse().ok(), 1e6, fields);
            fields.set(FieldId::ServiceName, router.trim_matches('"'));
        }
        _ => {}
    }
}

fn set_duration(number: Option<f64>, nanos: f64, fields: &mut Fields) {
    if let Some(number) = number.filter(|number| (0.0..1e6).contains(number)) {
        fields.set(FieldId::EventDuration, (number * nanos).round() as i64);
    }
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
                if let Some(address) = host.and_then(|host| host.parse::<std::net::SocketAddr>().ok()) {
                    fields.set(FieldId::DestinationIp, address.ip().to_string());
                    fields.set(FieldId::DestinationPort, i64::from(address.port()));
                }
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
    while let Some((inside, behind)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        match inside.split_once(' ') {
            Some(("pid", pid)) => {
                let pid = pid.split(':').next().and_then(|pid| pid.parse::<i64>().ok());
                if let Some(pid) = pid {
                    fields.set(FieldId::ProcessPid, pid);
                }
            }
            Some(("client", client)) => {
                address::set_source(fields, client);
                native.push(("c-ip".into(), Value::str(client)));
            }
            None if level.is_empty() => level = inside.rsplit(':').next().unwrap_or_default(),
            _ => {}
        }
        rest = behind.trim_start();
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
        let read = read(line, &mut fields).unwrap();
        assert_eq!(read.time.to_string(), time, "{line}");
        for (id, want) in want {
            let got = fields.get(*id).map(|value| value.to_text().into_owned());
            assert_eq!(got.unwrap_or_default(), *want, "{id} of {line}");
        }
    }

    #[test]
    fn access_logs() {
        check(
            r#"10.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /a.php?x=1&y=%20 HTTP/1.1" 404 2326 "http://r/" "Mozilla/4.08 \"x\"""#,
            "2000-10-10T20:55:36Z",
            &[
                (FieldId::SourceIp, "10.0.0.1"),
                (FieldId::UserName, "frank"),
                (FieldId::HttpRequestMethod, "GET"),
                (FieldId::UrlPath, "/a.php"),
                (FieldId::UrlQuery, "x=1&y=%20"),
                (FieldId::HttpVersion, "1.1"),
                (FieldId::HttpResponseStatusCode, "404"),
                (FieldId::HttpResponseBytes, "2326"),
                (FieldId::HttpRequestReferrer, "http://r/"),
                (FieldId::UserAgentOriginal, r#"Mozilla/4.08 \"x\""#),
                (FieldId::EventOutcome, "failure"),
            ],
        );
        check(
            r#"::1 - - [26/Aug/2021:16:49:43 +0000] "\x16\x03\x01" 400 150 "-" "-""#,
            "2021-08-26T16:49:43Z",
            &[
                (FieldId::UrlOriginal, r"\x16\x03\x01"),
                (FieldId::HttpRequestMethod, ""),
                (FieldId::SourceIp, "::1"),
            ],
        );
        check(
            r#"shop.example:443 10.0.0.1 - - [26/Aug/2021:16:49:43 +0000] "POST / HTTP/2.0" 200 - "-" "curl/8""#,
            "2021-08-26T16:49:43Z",
            &[
                (FieldId::UrlDomain, "shop.example"),
                (FieldId::SourceIp, "10.0.0.1"),
                (FieldId::UserName, ""),
            ],
        );
        check(
            r#"10.0.0.1 - - [26/Aug/2021:16:49:43 +0000] "GET / HTTP/1.1" 200 5 "-" "curl/8" 88 0.004 [prod-web-80] [] 10.2.0.9:8080 5 0.003 200 8f1f0cafe"#,
            "2021-08-26T16:49:43Z",
            &[
                (FieldId::DestinationIp, "10.2.0.9"),
                (FieldId::DestinationPort, "8080"),
                (FieldId::EventDuration, "4000000"),
                (FieldId::ServiceName, "prod-web-80"),
                (FieldId::CorrelationId, "8f1f0cafe"),
            ],
        );
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
            assert!(read(line, &mut fields).is_none(), "{line}");
            assert_eq!(fields.iter().count(), 0, "{line}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_line_ends(line in r#"[\[\]"a0/: \\é-]{0,60}"#) {
            let _ = read(&line, &mut Fields::new());
        }
    }
}
