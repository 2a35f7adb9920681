//! What the lines of all web servers share: a request, a destination, a duration, words and quotes.

use casebook_event::{FieldId, Fields, Timestamp, Value};
use compact_str::CompactString;

use crate::normalize::address::Address;

/// What a line was.
#[derive(Debug)]
pub(crate) struct WebLine {
    pub(crate) time: Timestamp,
    /// Its parts under the names of the W3C extended log format, which rules for web servers use.
    pub(crate) native: Vec<(CompactString, Value)>,
    pub(crate) mark: &'static str,
}

/// The text in double quotes at the beginning, in which a quote is escaped by a backslash, and what follows.
pub(crate) fn quoted(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('"')?;
    let bytes = inner.as_bytes();
    let mut at = 0;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    let end = inner.floor_char_boundary(at.min(inner.len()));
    Some((&inner[..end], inner.get(end + 1..).unwrap_or_default()))
}

/// The first word, and what follows the space after it.
pub(crate) fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_once(' ').unwrap_or((text, ""))
}

/// Sets where a request was passed on to.
pub(crate) fn set_destination(host: &str, fields: &mut Fields) {
    if let Some(Address {
        ip, port: Some(port), ..
    }) = Address::parse(host)
    {
        fields.set(FieldId::DestinationIp, ip.to_string());
        fields.set(FieldId::DestinationPort, i64::from(port));
    }
}

/// `GET /path?query HTTP/1.1`. What is no such line (a TLS handshake on a plain port) is kept as it is.
pub(crate) fn set_request(request: &str, fields: &mut Fields, note: &mut dyn FnMut(&str, &str)) {
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

pub(crate) fn set_duration(number: Option<f64>, nanos: f64, fields: &mut Fields) {
    if let Some(number) = number.filter(|number| (0.0..1e6).contains(number)) {
        fields.set(FieldId::EventDuration, (number * nanos).round() as i64);
    }
}
