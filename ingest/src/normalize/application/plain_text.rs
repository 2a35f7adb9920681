//! What can be read in a program's line of text: its time, level and logger, logfmt's pairs, an access log, a query of the
//! cluster's DNS, and the exception of a joined stack trace.

use std::borrow::Cow;

use casebook_event::{FieldId, Fields, Timestamp, Value};
use compact_str::CompactString;

use super::{application_fields, web_line};
use crate::format::logfmt;
use crate::format::syslog::month;
use crate::normalize::address;
use crate::settings::TrustedProxies;

/// What was read beside the fields.
#[derive(Debug, Default)]
pub(crate) struct PlainText {
    /// The line's own time.
    pub(crate) time: Option<Timestamp>,
    /// Its parts, under the names that the line gives them.
    pub(crate) native: Vec<(CompactString, Value)>,
}

/// Reads a text of one line, or of a line and its stack trace, and sets what it says, the message included.
pub(crate) fn read(text: &str, proxies: &TrustedProxies, fields: &mut Fields) -> PlainText {
    let line = text.lines().next().unwrap_or_default();
    if let Some(web) = web_line::read(line, proxies, fields) {
        fields.set(FieldId::Message, text);
        return PlainText {
            time: Some(web.time),
            native: web.native,
        };
    }
    if let Some(read) = read_logfmt(line, proxies, fields) {
        return read;
    }
    let (time, rest) = leading_time(line).map_or((None, line), |(time, rest)| (Some(time), rest));
    set_level(rest, fields);
    set_query(line, fields);
    if text.len() > line.len() {
        set_exception(text, line, fields);
    }
    fields.set(FieldId::Message, text);
    PlainText {
        time,
        native: Vec::new(),
    }
}

/// A line that is pairs from its beginning, with a message, level or time among them (logfmt: logrus, zap, go-kit, hclog).
fn read_logfmt(line: &str, proxies: &TrustedProxies, fields: &mut Fields) -> Option<PlainText> {
    let first = line.split('=').next()?;
    let key = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-@".contains(&b));
    if !line.contains('=') || !key(first) {
        return None;
    }
    let pairs: Vec<(&str, Cow<'_, str>)> = logfmt::pairs(line).take(256).collect();
    let known = |names: &[&str]| pairs.iter().any(|(key, _)| names.contains(key));
    if pairs.len() < 2 || !known(&["level", "lvl", "severity", "msg", "message", "ts", "time", "t"]) {
        return None;
    }
    let entries: Vec<(CompactString, Value)> = pairs
        .iter()
        .map(|(key, value)| ((*key).into(), Value::str(value)))
        .collect();
    let record = Value::Map(entries);
    // A line cannot say where it was written: that is the shipper's to say.
    application_fields::set_inner(&record, proxies, fields);
    if fields.get(FieldId::Message).is_none() {
        fields.set(FieldId::Message, line);
    }
    let time = ["time", "ts", "timestamp", "t"]
        .iter()
        .find_map(|key| record.get(key).and_then(crate::format::epoch::parse));
    let native = match record {
        Value::Map(entries) => entries,
        _ => Vec::new(),
    };
    Some(PlainText { time, native })
}

/// The time that a line begins with, and what follows: RFC 3339 with `T` or a space, `2024/01/02 03:04:05` (Go, nginx), either
/// in brackets (Monolog), `02 Jan 2024 03:04:05.678` after a process (Redis), and `I, [TIME #PID]` (Ruby). Without a zone it is
/// taken to be UTC.
fn leading_time(line: &str) -> Option<(Timestamp, &str)> {
    let line = match line.as_bytes() {
        // `I, [2024-01-02T03:04:05.678 #123]  INFO -- : message`
        [_, b',', b' ', b'[', ..] => &line[3..],
        _ => line,
    };
    let inner = line.strip_prefix('[').unwrap_or(line);
    let bytes = inner.as_bytes();
    let date = |separator: u8| {
        bytes.len() >= 19
            && bytes[..4].iter().all(u8::is_ascii_digit)
            && bytes[4] == separator
            && bytes[7] == separator
            && matches!(bytes[10], b'T' | b' ')
    };
    if date(b'-') || date(b'/') {
        let end = inner
            .bytes()
            .skip(19)
            .position(|b| !(b.is_ascii_digit() || matches!(b, b'.' | b',' | b'Z' | b'+' | b'-' | b':')))
            .map_or(inner.len(), |at| 19 + at);
        let text = inner.get(..end)?.trim_end_matches([':', '-', ',']);
        let time = Timestamp::parse_rfc3339(&text.replace('/', "-"))?;
        return Some((time, inner[end..].trim_start_matches([']', ' ', ':', '-', '#'])));
    }
    // `1:M 02 Jan 2024 03:04:05.678 * message`
    let (_, rest) = line.split_once(' ')?;
    let mut words = rest.splitn(5, ' ');
    let (day, name, year, clock) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let month = month(name)?;
    let time = Timestamp::parse_rfc3339(&format!("{year}-{month:02}-{day:0>2} {clock}"))?;
    Some((time, words.next().unwrap_or_default()))
}

/// The words that programs write for levels, and what each is called here.
const LEVELS: &[(&str, &str)] = &[
    ("trace", "trace"),
    ("debug", "debug"),
    ("info", "info"),
    ("information", "info"),
    ("notice", "notice"),
    ("log", "info"),
    ("warn", "warn"),
    ("warning", "warn"),
    ("err", "error"),
    ("error", "error"),
    ("severe", "error"),
    ("fatal", "fatal"),
    ("critical", "critical"),
    ("panic", "panic"),
];

/// How many words of a line are read for its level.
const LEVEL_WORDS: usize = 6;

/// The level is a word of its own near the beginning, in capitals or in brackets: prose does not write `error` so. What stands
/// between it and ` - ` is the logger, where it is one word.
fn set_level(rest: &str, fields: &mut Fields) {
    for word in rest.split_ascii_whitespace().take(LEVEL_WORDS) {
        let bare = word.trim_matches(['[', ']', '(', ')', '<', '>', ':', '|', ',']);
        // `local.ERROR:` (Monolog): the channel, then the level.
        let (channel, name) = match bare.rsplit_once('.') {
            Some((channel, name)) if word.ends_with(':') => (Some(channel), name),
            _ => (None, bare),
        };
        let marked = bare.len() < word.len() || name.bytes().all(|b| b.is_ascii_uppercase());
        let level = LEVELS.iter().find(|(written, _)| name.eq_ignore_ascii_case(written));
        if let Some((_, level)) = level.filter(|_| marked && !name.is_empty()) {
            fields.set(FieldId::LogLevel, *level);
            fields.set_str(FieldId::LogLogger, channel);
            break;
        }
    }
    if fields.get(FieldId::LogLevel).is_some()
        && let Some((before, _)) = rest.split_once(" - ")
        && let Some(logger) = before.rsplit(' ').next()
        && logger.contains('.')
        && logger
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._$-".contains(&b))
    {
        fields.set(FieldId::LogLogger, logger);
    }
}

/// CoreDNS's `log` plugin: `[INFO] 10.0.0.5:4000 - 321 "A IN example.com. udp 45 false 512" NOERROR qr,rd 90 0.0002s`.
fn set_query(line: &str, fields: &mut Fields) {
    let Some((before, rest)) = line.split_once(" \"") else {
        return;
    };
    let Some((query, answer)) = rest.split_once("\" ") else {
        return;
    };
    let mut words = query.split(' ');
    let (Some(_), Some("IN" | "CH"), Some(name), Some(transport)) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return;
    };
    let Some(client) = before.split_ascii_whitespace().find(|word| word.contains(':')) else {
        return;
    };
    fields.push(FieldId::EventCategory, "network");
    fields.push(FieldId::EventType, "protocol");
    fields.set(FieldId::NetworkProtocol, "dns");
    fields.set(FieldId::NetworkTransport, transport);
    fields.set(FieldId::DnsQuestionName, name.trim_end_matches('.'));
    fields.set(FieldId::EventReason, answer.split(' ').next().unwrap_or_default());
    address::set_source(fields, client);
}

/// The exception that a joined stack trace reports.
fn set_exception(text: &str, line: &str, fields: &mut Fields) {
    fields.set(FieldId::ErrorStackTrace, text);
    // Python names the exception last, all others first.
    let named = match line.contains("Traceback (most recent call last)") {
        true => text
            .lines()
            .rev()
            .find(|line| !line.trim().is_empty() && !line.starts_with(' ')),
        false => Some(line),
    };
    let Some(named) = named else { return };
    if let Some(rest) = named.strip_prefix("panic: ").or(named.strip_prefix("fatal error: ")) {
        fields.set(FieldId::ErrorType, "panic");
        return fields.set(FieldId::ErrorMessage, rest);
    }
    for (at, word) in words(named) {
        let name = word.trim_end_matches(':');
        if name.ends_with("Exception") || name.ends_with("Error") || name.ends_with("Throwable") {
            fields.set(FieldId::ErrorType, name);
            let rest = &named[at + word.len()..];
            return fields.set(FieldId::ErrorMessage, rest.trim_start_matches([':', ' ']));
        }
    }
}

/// The words of a line, with where each begins.
fn words(line: &str) -> impl Iterator<Item = (usize, &str)> {
    line.split(' ').scan(0, |at, word| {
        let begin = *at;
        *at += word.len() + 1;
        Some((begin, word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, time: Option<&str>, want: &[(FieldId, &str)]) {
        let mut fields = Fields::new();
        let read = read(text, &TrustedProxies::NONE, &mut fields);
        assert_eq!(read.time.map(|t| t.to_string()).as_deref(), time, "{text}");
        for (id, want) in want {
            let got = fields.get(*id).map(|value| value.to_text().into_owned());
            assert_eq!(got.unwrap_or_default(), *want, "{id} of {text}");
        }
    }

    #[test]
    fn times_and_levels() {
        use FieldId::{LogLevel, LogLogger};
        check(
            "2024-01-02 03:04:05,678 INFO  [main] com.shop.Api - started",
            Some("2024-01-02T03:04:05.678Z"),
            &[(LogLevel, "info"), (LogLogger, "com.shop.Api")],
        );
        check(
            "2024/01/02 03:04:05 listening on :80",
            Some("2024-01-02T03:04:05Z"),
            &[(LogLevel, "")],
        );
        check(
            "[2024-01-02 03:04:05] local.ERROR: no such table",
            Some("2024-01-02T03:04:05Z"),
            &[(LogLevel, "error"), (LogLogger, "local")],
        );
        check(
            "I, [2024-01-02T03:04:05.678901 #123]  INFO -- : hi",
            Some("2024-01-02T03:04:05.678901Z"),
            &[(LogLevel, "info")],
        );
        check(
            "2024-01-02 03:04:05.123 UTC [77] LOG:  database system is ready",
            Some("2024-01-02T03:04:05.123Z"),
            &[(LogLevel, "info")],
        );
        check(
            "1:M 02 Jan 2024 03:04:05.678 * Ready",
            Some("2024-01-02T03:04:05.678Z"),
            &[],
        );
        check(
            "2024-01-02T03:04:05.5+01:00 WARN tower: slow",
            Some("2024-01-02T02:04:05.500Z"),
            &[(LogLevel, "warn")],
        );
        check("there was an error in the log", None, &[(LogLevel, "")]);
    }

    #[test]
    fn pairs_queries_and_requests() {
        check(
            r#"ts=2024-01-02T03:04:05Z level=error caller=a.go:1 msg="login failed" user=eve remote_addr=10.0.0.1"#,
            Some("2024-01-02T03:04:05Z"),
            &[
                (FieldId::LogLevel, "error"),
                (FieldId::Message, "login failed"),
                (FieldId::UserName, "eve"),
            ],
        );
        check(
            r#"[INFO] 10.42.0.5:54321 - 321 "A IN evil.example.com. udp 45 false 512" NXDOMAIN qr,rd 90 0.0002s"#,
            None,
            &[
                (FieldId::DnsQuestionName, "evil.example.com"),
                (FieldId::SourceIp, "10.42.0.5"),
                (FieldId::LogLevel, "info"),
                (FieldId::EventReason, "NXDOMAIN"),
            ],
        );
        check("x=1 is a formula", None, &[(FieldId::Message, "x=1 is a formula")]);
    }

    #[test]
    fn exceptions() {
        use FieldId::{ErrorMessage, ErrorType};
        check(
            "2024-01-02 03:04:05 ERROR a.B - java.lang.IllegalStateException: boom now\n\tat a.B.c(B.java:1)",
            Some("2024-01-02T03:04:05Z"),
            &[
                (ErrorType, "java.lang.IllegalStateException"),
                (ErrorMessage, "boom now"),
                (FieldId::LogLevel, "error"),
            ],
        );
        check(
            "Traceback (most recent call last):\n  File \"a.py\", line 1\nValueError: no good",
            None,
            &[(ErrorType, "ValueError"), (ErrorMessage, "no good")],
        );
        check(
            "panic: oh no\n\ngoroutine 1 [running]:",
            None,
            &[(ErrorType, "panic"), (ErrorMessage, "oh no")],
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_ends(text in r#"[\[\]"a0/:., =\\é\n-]{0,60}"#) {
            let _ = read(&text, &TrustedProxies::NONE, &mut Fields::new());
        }
    }
}
