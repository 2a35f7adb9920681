//! Envoy's access log, in its own format and in Istio's (Envoy documentation, "Default format string"; Istio, `accessLogFormat`).
//!
//! Envoy writes headers as they came: whoever sends a quote in one may invent what stands after it. So the request is read by
//! its spaces, which no path holds, and Istio's addresses from the end, where Envoy alone writes.

use casebook_event::{FieldId, Fields, Timestamp, Value};
use compact_str::CompactString;

use super::web_request::{WebLine, set_destination, set_duration, set_request, word};
use crate::normalize::address::Hops;
use crate::settings::TrustedProxies;

/// `[TIME] "REQUEST" STATUS FLAGS [DETAILS TERMINATION "REASON"] RECEIVED SENT MILLIS SERVICE_MILLIS "FORWARDED_FOR" "AGENT"
/// "REQUEST_ID" "AUTHORITY" "UPSTREAM" [CLUSTER UPSTREAM_LOCAL DOWNSTREAM_LOCAL DOWNSTREAM_REMOTE SERVER_NAME ROUTE]`.
pub(crate) fn read(line: &str, proxies: &TrustedProxies, fields: &mut Fields) -> Option<WebLine> {
    let (time, rest) = line.strip_prefix('[')?.split_once("] \"")?;
    let time = time.ends_with('Z').then(|| Timestamp::parse_rfc3339(time))??;
    let (method, rest) = rest.split_once(' ')?;
    let (path, rest) = rest.split_once(' ')?;
    let (protocol, rest) = rest.split_once("\" ")?;
    let (status, rest) = word(rest);
    let status: i64 = status.parse().ok().filter(|status| (0..1000).contains(status))?;
    let (flags, rest) = word(rest);
    let rest = numbers_of(rest)?;
    let (sent, rest) = word(word(rest).1);
    let (millis, rest) = word(rest);
    let (_, rest) = word(rest);
    let (forwarded, rest) = rest.strip_prefix('"')?.split_once('"')?;
    let (_, tail) = rest.rsplit_once('"')?;
    let (before, upstream) = rest.strip_suffix(tail)?.strip_suffix('"')?.rsplit_once('"')?;

    let mut native: Vec<(CompactString, Value)> = Vec::with_capacity(12);
    let mut note = |key: &str, text: &str| {
        if !text.is_empty() && text != "-" {
            native.push((key.into(), Value::str(text)));
        }
    };
    fields.push(FieldId::EventCategory, "web");
    fields.push(FieldId::EventType, "access");
    // 0: the client was gone before there was an answer.
    let failed = status >= 400 || status == 0;
    fields.set(FieldId::EventOutcome, if failed { "failure" } else { "success" });
    set_request(&format!("{method} {path} {protocol}"), fields, &mut note);
    if status > 0 {
        fields.set(FieldId::HttpResponseStatusCode, status);
    }
    note("sc-status", &status.to_string());
    note("response_flags", flags);
    if let Ok(bytes) = sent.parse::<i64>() {
        fields.set(FieldId::HttpResponseBytes, bytes);
        note("sc-bytes", sent);
    }
    set_duration(millis.parse().ok(), 1e6, fields);
    note("x-forwarded-for", forwarded);
    set_headers(before, fields, &mut note);
    set_destination(upstream, fields);
    set_origin(forwarded, tail, proxies, fields);
    Some(WebLine {
        time,
        native,
        mark: "[time], \"request\", status and flags (Envoy access log)",
    })
}

/// The columns from the received bytes on: Istio says before them why there was an answer.
fn numbers_of(rest: &str) -> Option<&str> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if is_number(word(rest).0) {
        return Some(rest);
    }
    let (_, rest) = word(rest);
    let (_, rest) = word(rest);
    let (_, rest) = rest.strip_prefix('"')?.split_once("\" ")?;
    is_number(word(rest).0).then_some(rest)
}

/// ` "AGENT" "REQUEST_ID" "AUTHORITY" `, each as its client wrote it.
fn set_headers(headers: &str, fields: &mut Fields, note: &mut dyn FnMut(&str, &str)) {
    let mut parts = headers.trim().trim_matches('"').split("\" \"");
    let mut next = || parts.next().filter(|text| !matches!(*text, "" | "-"));
    let (agent, request_id, authority) = (next(), next(), next());
    if let Some(agent) = agent {
        fields.set(FieldId::UserAgentOriginal, agent);
        note("c-useragent", agent);
        note("cs-user-agent", agent);
    }
    fields.set_str(FieldId::CorrelationId, request_id);
    if let Some(authority) = authority {
        let name = authority.rsplit_once(':').map_or(authority, |(name, _)| name);
        fields.set(FieldId::UrlDomain, name);
        note("cs-host", authority);
    }
}

/// Istio's format ends with the far end of the connection. Envoy's own has `X-Forwarded-For` alone, which does not say who sent
/// it.
fn set_origin(forwarded: &str, tail: &str, proxies: &TrustedProxies, fields: &mut Fields) {
    let mut hops = Hops::default();
    hops.add(forwarded);
    let columns: Vec<&str> = tail.split_ascii_whitespace().take(7).collect();
    match columns.as_slice() {
        [cluster, _, _, remote, _, _] => {
            hops.add(remote);
            hops.set(proxies, fields);
            // `outbound|80||shop.prod.svc.cluster.local`
            fields.set_str(
                FieldId::ServiceName,
                cluster.rsplit('|').next().filter(|name| *name != "-"),
            );
        }
        _ => hops.claim(fields),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, proxies: &[&str], want: &[(FieldId, &str)]) {
        let mut fields = Fields::new();
        let read = read(line, &TrustedProxies::parse(proxies).unwrap(), &mut fields);
        assert_eq!(read.unwrap().time.to_string(), "2026-11-24T10:00:00.533Z", "{line}");
        for (id, want) in want {
            let got = fields.get(*id).map(|value| value.to_text().into_owned());
            assert_eq!(got.unwrap_or_default(), *want, "{id} of {line}");
        }
    }

    #[test]
    fn envoys_own_format_has_claims_alone() {
        check(
            r#"[2026-11-24T10:00:00.533Z] "GET /cart?id=1 HTTP/1.1" 503 UF 0 89 5 - "8.8.8.8,10.0.0.3" "curl/8" "cc21d9b0" "shop.example:80" "10.2.0.3:8080""#,
            &["10.0.0.0/8"],
            &[
                (FieldId::SourceIp, ""),
                (FieldId::ClaimedIps, r#"["8.8.8.8","10.0.0.3"]"#),
                (FieldId::HttpRequestMethod, "GET"),
                (FieldId::UrlPath, "/cart"),
                (FieldId::HttpResponseStatusCode, "503"),
                (FieldId::HttpResponseBytes, "89"),
                (FieldId::EventOutcome, "failure"),
                (FieldId::EventDuration, "5000000"),
                (FieldId::UserAgentOriginal, "curl/8"),
                (FieldId::CorrelationId, "cc21d9b0"),
                (FieldId::UrlDomain, "shop.example"),
                (FieldId::DestinationIp, "10.2.0.3"),
                (FieldId::DestinationPort, "8080"),
            ],
        );
    }

    const ISTIO: &str = r#"[2026-11-24T10:00:00.533Z] "GET /status HTTP/2" 200 - via_upstream - "-" 0 135 5 2 "8.8.8.8,203.0.113.7" "curl/8" "84961386" "shop.example" "[fd00::3]:8080" outbound|80||shop.prod.svc.cluster.local 10.2.0.1:4100 10.2.0.1:80 10.0.0.9:5001 shop.example default"#;

    #[test]
    fn istios_format_ends_with_the_far_end() {
        check(
            ISTIO,
            &[],
            &[
                (FieldId::SourceIp, "10.0.0.9"),
                (FieldId::SourcePort, "5001"),
                (FieldId::ClaimedIps, r#"["8.8.8.8","203.0.113.7"]"#),
                (FieldId::DestinationIp, "fd00::3"),
                (FieldId::ServiceName, "shop.prod.svc.cluster.local"),
                (FieldId::HttpVersion, "2"),
            ],
        );
        check(
            ISTIO,
            &["10.0.0.9"],
            &[
                (FieldId::SourceIp, "203.0.113.7"),
                (FieldId::ClaimedIps, r#"["8.8.8.8"]"#),
            ],
        );
    }

    #[test]
    fn a_quote_in_a_header_moves_neither_status_nor_source() {
        let forged = ISTIO.replace("curl/8", r#"x" "y" "z" "9.9.9.9:1" a b c 9.9.9.9:1 e f"#);
        check(
            &forged,
            &[],
            &[(FieldId::SourceIp, "10.0.0.9"), (FieldId::DestinationIp, "fd00::3")],
        );
        let forged = ISTIO.replace("/status", r#"/"200"#).replace(" 200 - via", " 404 - via");
        check(&forged, &[], &[(FieldId::HttpResponseStatusCode, "404")]);
        let forged = ISTIO.replace("8.8.8.8,203.0.113.7", r#"1.1.1.1" "x"#);
        check(&forged, &[], &[(FieldId::SourceIp, "10.0.0.9")]);
    }

    #[test]
    fn no_answer_is_a_failure() {
        let line = r#"[2026-11-24T10:00:00.533Z] "- - -" 0 DPE 0 11 0 - "-" "-" "-" "-" "-""#;
        check(
            line,
            &[],
            &[
                (FieldId::EventOutcome, "failure"),
                (FieldId::SourceIp, ""),
                (FieldId::HttpResponseStatusCode, ""),
            ],
        );
    }

    proptest::proptest! {
        #[test]
        fn any_line_ends(line in r#"(\[2026-11-24T10:00:00Z\] "GET / HTTP/1" 200 - )?[\[\]"a0/:, é-]{0,80}"#) {
            let _ = read(&line, &TrustedProxies::NONE, &mut Fields::new());
        }
    }
}
