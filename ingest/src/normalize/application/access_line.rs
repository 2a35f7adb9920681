//! The access logs of nginx, ingress-nginx, Traefik and Apache: common and combined, with or without a virtual host or a list of
//! forwarders in front.

use casebook_event::{FieldId, Fields, Timestamp, Value};
use compact_str::CompactString;

use super::web_request::{WebLine, quoted, set_destination, set_duration, set_request, word};
use crate::format::syslog::month;
use crate::normalize::address::{self, Address, Hops};
use crate::settings::TrustedProxies;

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

/// What stands before the time: who asked, as the server and its client say.
struct Head<'a> {
    hops: Hops<'a>,
    host: Option<&'a str>,
    user: &'a str,
}

/// `[VHOST] ADDRESS… IDENT USER`, where the addresses may begin with a list of those that a client claims, in quotes or not.
fn read_head(head: &str) -> Head<'_> {
    let mut hops = Hops::default();
    let mut host = None;
    let mut rest = head;
    if let Some((list, after)) = quoted(head) {
        hops.add(list);
        rest = after.trim_start();
    } else if let Some((first, after)) = head.split_once(' ')
        && address::canonical_ip(first.trim_end_matches(',')).is_none()
        && !first.ends_with(',')
        && address::canonical_ip(word(after).0.trim_end_matches(',')).is_some()
    {
        // A virtual host, also one that has an address for a name: what is a client's is followed by no other.
        host = Some(first).filter(|host| *host != "-");
        rest = after;
    }
    let mut first = hops.is_empty();
    while !rest.is_empty() {
        let (text, after) = word(rest);
        // The first is the client, whatever it is: a name, or nothing that can be read.
        if !first && Address::parse(text.trim_end_matches(',')).is_none() {
            break;
        }
        hops.add(text);
        first = false;
        rest = after;
    }
    Head {
        hops,
        host,
        user: user_of(rest),
    }
}

/// The user of `IDENT USER`, of whose text the client is the author: it may hold spaces. ingress-nginx wrote the address again
/// before it, in brackets.
fn user_of(rest: &str) -> &str {
    let mut rest = rest.trim();
    if let Some((again, after)) = rest.strip_prefix("- [").and_then(|rest| rest.split_once("] "))
        && Address::parse(again).is_some()
    {
        rest = after.trim();
    }
    match word(rest) {
        ("-", user) if !user.is_empty() => user,
        _ => rest.rsplit(' ').next().unwrap_or_default(),
    }
}

/// Where the time of an access log ends: `] "` stands before the request. The client has a say in what is before the time, but
/// servers write its quotes with a backslash, and the list of forwarders is skipped.
fn split_at_time(line: &str) -> Option<(&str, &str, &str)> {
    let skipped = quoted(line).map_or(0, |(_, after)| line.len() - after.len());
    let end = skipped + line.get(skipped..)?.find("] \"")?;
    let begin = line[..end].rfind(" [")?;
    Some((&line[..begin], &line[begin + 2..end], &line[end + 2..]))
}

/// The addresses in quotes after the agent, where nginx's own format has `X-Forwarded-For`; and what follows.
fn forwarded_for(rest: &str) -> Option<(&str, &str)> {
    let (list, after) = quoted(rest)?;
    let mut any = false;
    for part in list
        .split(',')
        .map(str::trim)
        .filter(|part| !matches!(*part, "-" | "unknown"))
    {
        Address::parse(part)?;
        any = true;
    }
    any.then_some((list, after))
}

/// `ADDRESS IDENT USER [TIME] "REQUEST" STATUS BYTES ["REFERER" "AGENT" ["X-FORWARDED-FOR"] …]`.
pub(crate) fn read(line: &str, proxies: &TrustedProxies, fields: &mut Fields) -> Option<WebLine> {
    let (head, time_text, rest) = split_at_time(line)?;
    let time = access_time(time_text)?;
    let (request, rest) = quoted(rest)?;
    let (status, rest) = word(rest);
    let status: i64 = status.parse().ok().filter(|status| (0..1000).contains(status))?;
    let (bytes, rest) = word(rest);
    let (referrer, rest) = quoted(rest.trim_start()).unwrap_or(("", rest));
    let (agent, rest) = quoted(rest.trim_start()).unwrap_or(("", rest));

    let (forwarded, rest) = match forwarded_for(rest.trim_start()) {
        Some((list, rest)) => (Some(list), rest),
        None => (None, rest),
    };
    let Head { mut hops, host, user } = read_head(head);
    hops.add_before(forwarded.unwrap_or_default());
    let mut native: Vec<(CompactString, Value)> = Vec::with_capacity(12);
    let mut note = |key: &str, text: &str| {
        if !text.is_empty() && text != "-" {
            native.push((key.into(), Value::str(text)));
        }
    };
    fields.push(FieldId::EventCategory, "web");
    fields.push(FieldId::EventType, "access");
    fields.set(FieldId::EventOutcome, if status >= 400 { "failure" } else { "success" });
    hops.set(proxies, fields);
    note("c-ip", hops.peer());
    note("x-forwarded-for", forwarded.unwrap_or_default());
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

/// What ingress-nginx and Traefik write after the agent.
fn set_upstream(rest: &str, fields: &mut Fields) {
    let set_address = |text: &str, fields: &mut Fields| {
        let host = text
            .split_once("://")
            .map_or(text, |(_, rest)| rest)
            .trim_end_matches('/');
        set_destination(host, fields);
    };
    if let Some(tried) = Tried::parse(rest) {
        set_address(tried.upstream, fields);
        set_duration(tried.seconds.parse().ok(), 1e9, fields);
        fields.set(FieldId::ServiceName, tried.service.trim_matches(['[', ']']));
        return fields.set_str(FieldId::CorrelationId, tried.id);
    }
    let words: Vec<&str> = rest.split(' ').take(16).collect();
    match words.as_slice() {
        // Traefik, "Access logs": COUNT "ROUTER" "SERVER" MILLISms
        [_, router, server, millis] if millis.ends_with("ms") => {
            set_address(server.trim_matches('"'), fields);
            set_duration(millis.trim_end_matches("ms").parse().ok(), 1e6, fields);
            fields.set(FieldId::ServiceName, router.trim_matches('"'));
        }
        _ => {}
    }
}

/// What ingress-nginx says of the upstreams that it tried (its documentation, "Log format"):
/// `REQUEST_LENGTH SECONDS [SERVICE] [ALTERNATIVE] UPSTREAM LENGTH SECONDS STATUS ID`.
struct Tried<'a> {
    seconds: &'a str,
    service: &'a str,
    /// The last, which answered.
    upstream: &'a str,
    id: Option<&'a str>,
}

impl<'a> Tried<'a> {
    /// Each of the four columns after the services is a list where several upstreams were tried: with commas between those of
    /// one group, with colons between groups.
    fn parse(rest: &'a str) -> Option<Self> {
        let mut words = rest.split(' ');
        let (length, seconds, service, alternative) = (words.next()?, words.next()?, words.next()?, words.next()?);
        if length.parse::<u64>().is_err() || !service.starts_with('[') || !alternative.starts_with('[') {
            return None;
        }
        let mut words = words.peekable();
        let mut column = || {
            let mut last = words.next()?;
            while last.ends_with(',') || words.peek() == Some(&":") {
                if !last.ends_with(',') {
                    words.next();
                }
                last = words.next()?;
            }
            Some(last)
        };
        let upstream = column()?;
        let _ = (column(), column(), column());
        Some(Self {
            seconds,
            service,
            upstream,
            id: words.next().filter(|id| *id != "-"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_of(line: &str, proxies: &[&str]) -> (Timestamp, Fields) {
        let mut fields = Fields::new();
        let read = read(line, &TrustedProxies::parse(proxies).unwrap(), &mut fields);
        (read.unwrap_or_else(|| panic!("{line}")).time, fields)
    }

    fn check(line: &str, time: &str, want: &[(FieldId, &str)]) {
        let (read, fields) = read_of(line, &[]);
        assert_eq!(read.to_string(), time, "{line}");
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
    fn the_peer_is_the_source_wherever_the_list_of_forwarders_stands() {
        let tail = r#"[26/Aug/2021:16:49:43 +0000] "GET / HTTP/1.1" 200 5 "-" "curl/8""#;
        let check = |head: &str, after: &str, proxies: &[&str], want: [&str; 4]| {
            let line = format!("{head} {tail}{after}");
            let (_, fields) = read_of(&line, proxies);
            let ids = [
                FieldId::SourceIp,
                FieldId::ClaimedIps,
                FieldId::UserName,
                FieldId::UrlDomain,
            ];
            let got = ids.map(|id| {
                fields
                    .get(id)
                    .map(|value| value.to_text().into_owned())
                    .unwrap_or_default()
            });
            assert_eq!(got, want, "{line}");
        };
        let claims = r#"["8.8.8.8","1.1.1.1"]"#;
        check(
            r#""8.8.8.8, 1.1.1.1" 10.0.0.9 - eve"#,
            "",
            &[],
            ["10.0.0.9", claims, "eve", ""],
        );
        check(r#""-" 10.0.0.9 - -"#, "", &[], ["10.0.0.9", "", "", ""]);
        check(
            "8.8.8.8, 1.1.1.1, 10.0.0.9 - eve",
            "",
            &[],
            ["10.0.0.9", claims, "eve", ""],
        );
        check(
            "8.8.8.8, 1.1.1.1 10.0.0.9 - eve",
            "",
            &[],
            ["10.0.0.9", claims, "eve", ""],
        );
        check("- 10.0.0.9 - eve", "", &[], ["10.0.0.9", "", "eve", ""]);
        check(
            "10.0.0.9 - eve",
            r#" "8.8.8.8, 1.1.1.1""#,
            &[],
            ["10.0.0.9", claims, "eve", ""],
        );
        check(
            "10.0.0.9 - eve",
            r#" "8.8.8.8, 1.1.1.1""#,
            &["10.0.0.0/8"],
            ["1.1.1.1", r#"["8.8.8.8"]"#, "eve", ""],
        );
        check(
            "10.0.0.9 - eve",
            r#" "-""#,
            &["10.0.0.0/8"],
            ["10.0.0.9", "", "eve", ""],
        );
        // What is no list of addresses is no claim of any.
        check(
            "10.0.0.9 - -",
            r#" "shop.example, 8.8.8.8""#,
            &[],
            ["10.0.0.9", "", "", ""],
        );
        // A virtual host that is named by an address, and one whose client has a zone.
        check(
            "10.1.1.1:443 10.0.0.9 - eve",
            "",
            &[],
            ["10.0.0.9", "", "eve", "10.1.1.1"],
        );
        check(
            "shop.example:443 fe80::1%eth0 - eve",
            "",
            &[],
            ["fe80::1", "", "eve", "shop.example"],
        );
        check("10.0.0.9:4711 - eve", "", &[], ["10.0.0.9", "", "eve", ""]);
        // ingress-nginx before 0.26.
        check("10.0.0.9 - [10.0.0.9] - eve", "", &[], ["10.0.0.9", "", "eve", ""]);
    }

    #[test]
    fn what_a_client_names_itself_moves_neither_time_nor_address() {
        let check = |line: &str, source: &str, user: &str| {
            let (time, fields) = read_of(line, &[]);
            assert_eq!(time.to_string(), "2021-08-26T16:49:43Z", "{line}");
            assert_eq!(fields.str(FieldId::SourceIp), Some(source), "{line}");
            assert_eq!(fields.str(FieldId::UserName).unwrap_or_default(), user, "{line}");
        };
        let tail = r#"[26/Aug/2021:16:49:43 +0000] "GET / HTTP/1.1" 200 5 "-" "curl/8""#;
        check(
            &format!("10.0.0.9 - x [01/Jan/2001:00:00:00 +0000] y {tail}"),
            "10.0.0.9",
            "x [01/Jan/2001:00:00:00 +0000] y",
        );
        check(
            &format!(r#""8.8.8.8 [01/Jan/2001:00:00:00 +0000] \"GET" 10.0.0.9 - - {tail}"#),
            "10.0.0.9",
            "",
        );
        check(&format!("10.0.0.9 - 8.8.8.8 {tail}"), "10.0.0.9", "8.8.8.8");
    }

    #[test]
    fn of_several_upstreams_the_last_answered() {
        let line = |after: &str| {
            format!(r#"10.0.0.9 - - [26/Aug/2021:16:49:43 +0000] "GET / HTTP/1.1" 200 61 "-" "curl/8" {after}"#)
        };
        let check = |after: &str, ip: &str, port: &str, id: &str| {
            check(
                &line(after),
                "2021-08-26T16:49:43Z",
                &[
                    (FieldId::DestinationIp, ip),
                    (FieldId::DestinationPort, port),
                    (FieldId::CorrelationId, id),
                ],
            );
        };
        check(
            "348 0.001 [a-b-80] [] 10.2.0.6:8080, 10.2.0.7:8081 61, - 0.100, - 200, - 1f2e",
            "10.2.0.7",
            "8081",
            "1f2e",
        );
        check(
            "348 0.001 [a-b-80] [] 10.2.0.6:8080, 10.2.0.7:8080 : [fd00::1]:443 1, 2 : 3 0.1, 0.2 : 0.3 502, 502 : 200 1f2e",
            "fd00::1",
            "443",
            "1f2e",
        );
        check("348 0.001 [a-b-80] [] - - - - 1f2e", "", "", "1f2e");
        check(
            "348 0.001 [a-b-80] [] 10.2.0.6:8080 61 0.1 200 -",
            "10.2.0.6",
            "8080",
            "",
        );
        check("348 0.001 [a-b-80] [] 10.2.0.6:8080,", "", "", "");
    }

    proptest::proptest! {
        #[test]
        fn any_line_ends(line in r#"[\[\]"a0/:, \\é-]{0,80}"#) {
            let _ = read(&line, &TrustedProxies::NONE, &mut Fields::new());
        }
    }
}
