//! Syslog lines: RFC 3164 (no year, no zone), RFC 5424, and the RFC 3339 stamps of rsyslog's own file format.

use casebook_event::Timestamp;

use super::reject::{self, Reject, quote};

/// The parts of a syslog line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SyslogLine<'a> {
    /// Facility × 8 + severity, where the line begins with `<PRI>`.
    pub(crate) priority: Option<u8>,
    /// When it was written.
    pub(crate) time: Timestamp,
    /// That time as written.
    pub(crate) time_text: &'a str,
    /// The machine.
    pub(crate) host: Option<&'a str>,
    /// The program, as it calls itself.
    pub(crate) program: Option<&'a str>,
    /// Its process id.
    pub(crate) pid: Option<i64>,
    /// RFC 5424 MSGID.
    pub(crate) message_id: Option<&'a str>,
    /// RFC 5424 STRUCTURED-DATA, as written.
    pub(crate) structured_data: Option<&'a str>,
    /// A severity that stands as a word where others have the host.
    pub(crate) severity_word: Option<&'a str>,
    /// The text.
    pub(crate) message: &'a str,
}

const MONTHS: &[&str] = &[
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const SEVERITY_WORDS: &[&str] = &[
    "EMERG", "ALERT", "CRIT", "ERR", "ERROR", "WARNING", "WARN", "NOTICE", "INFO", "DEBUG",
];
const DAY_NANOS: i64 = 86_400_000_000_000;
/// How far back a year is looked for: 29 February may be eight years away (1896 to 1904 style gaps).
const MAX_YEARS_BACK: i64 = 8;

/// A time as it stands at the beginning of a line, and what follows it.
enum Stamp<'a> {
    Full(Timestamp, &'a str, &'a str),
    /// Month, day, hour, minute, second, nanosecond.
    YearLess([u32; 6], &'a str, &'a str),
}

impl<'a> SyslogLine<'a> {
    /// Whether a line is syslog's, for telling it from other text. A priority or a stamp without a year says so alone; many
    /// programs begin their lines with RFC 3339, so that a host and a program must follow that.
    pub(crate) fn recognize(line: &str) -> bool {
        let (priority, rest) = priority(line);
        match stamp(rest) {
            Some(Stamp::YearLess(..)) => true,
            Some(Stamp::Full(_, _, rest)) => {
                let named = |host: &str| {
                    !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:".contains(&b))
                };
                let tagged = |rest: &str| tag(rest).0.is_some();
                let host = rest.strip_prefix(' ').and_then(|rest| rest.split_once(' '));
                priority.is_some() || host.is_some_and(|(host, rest)| named(host) && tagged(rest))
            }
            None => priority.is_some() && rest.strip_prefix("1 ").is_some_and(|rest| stamp(rest).is_some()),
        }
    }

    /// Parses a line. A stamp without a year is taken to be of the latest year that puts it at or before `near` plus one
    /// day, and to be in UTC: the line says neither.
    pub(crate) fn parse(line: &'a str, near: Timestamp) -> Result<Self, Reject> {
        let (priority, rest) = priority(line);
        if priority.is_some()
            && let Some(rest) = rest.strip_prefix("1 ")
        {
            return Self::parse_5424(priority, rest).ok_or_else(|| shape("no RFC 5424 line", line));
        }
        let (time, time_text, rest) = match stamp(rest) {
            Some(Stamp::Full(time, text, rest)) => (time, text, rest),
            Some(Stamp::YearLess(parts, text, rest)) => match resolve_year(parts, near) {
                Some(time) => (time, text, rest),
                None => {
                    return Err(Reject::new(
                        reject::NO_TIMESTAMP,
                        format!("{} is no date of any year", quote(text)),
                    ));
                }
            },
            None => return Err(shape("no syslog time at the beginning of", line)),
        };
        let mut parsed = Self {
            priority,
            time,
            time_text,
            host: None,
            program: None,
            pid: None,
            message_id: None,
            structured_data: None,
            severity_word: None,
            message: "",
        };
        // `Feb 29 01:15:43: --- last message repeated ---`: neither host nor program.
        if let Some(message) = rest.strip_prefix(':') {
            parsed.message = message.trim_ascii_start();
            return Ok(parsed);
        }
        let rest = rest.trim_ascii_start();
        let (first, after) = rest.split_once(' ').unwrap_or((rest, ""));
        // `Nov 18 08:30:20 kernel: …`: a program, but no host.
        let tagged = first.ends_with(':') && first.parse::<std::net::Ipv6Addr>().is_err();
        let rest = if tagged {
            rest
        } else if SEVERITY_WORDS.contains(&first) {
            parsed.severity_word = Some(first);
            after
        } else {
            parsed.host = Some(first).filter(|host| !host.is_empty());
            after
        };
        (parsed.program, parsed.pid, parsed.message) = tag(rest);
        Ok(parsed)
    }

    fn parse_5424(priority: Option<u8>, rest: &'a str) -> Option<Self> {
        let mut parts = rest.splitn(6, ' ');
        let mut next = || parts.next().map(|part| Some(part).filter(|part| *part != "-"));
        let (time_text, host, program, pid, message_id) = (next()??, next()?, next()?, next()?, next()?);
        let rest = next().flatten().unwrap_or_default();
        let (structured_data, message) = structured_data(rest)?;
        Some(Self {
            priority,
            time: Timestamp::parse_rfc3339(time_text)?,
            time_text,
            host,
            program,
            pid: pid.and_then(|pid| pid.parse().ok()),
            message_id,
            structured_data,
            severity_word: None,
            message: message.strip_prefix('\u{feff}').unwrap_or(message),
        })
    }

    /// A line whose parts were delivered one by one, as a journal does.
    pub(crate) fn of_parts(
        time: Timestamp,
        host: Option<&'a str>,
        program: Option<&'a str>,
        pid: Option<i64>,
        message: &'a str,
    ) -> Self {
        Self {
            priority: None,
            time,
            time_text: "",
            host,
            program,
            pid,
            message_id: None,
            structured_data: None,
            severity_word: None,
            message,
        }
    }

    /// The facility, 0 to 23.
    pub(crate) fn facility(&self) -> Option<u8> {
        self.priority.map(|priority| priority / 8)
    }

    /// The severity, 0 (emergency) to 7 (debug).
    pub(crate) fn severity(&self) -> Option<u8> {
        self.priority.map(|priority| priority % 8)
    }
}

/// The number of a month by its English name's first three letters.
pub(crate) fn month(name: &str) -> Option<u32> {
    let at = MONTHS.iter().position(|month| *month == name)?;
    u32::try_from(at + 1).ok()
}

fn shape(what: &str, line: &str) -> Reject {
    Reject::new(reject::WRONG_SHAPE, format!("{what} {}", quote(line)))
}

/// `<PRI>`: 0 to 191 (RFC 5424, 6.2.1).
fn priority(line: &str) -> (Option<u8>, &str) {
    let found = line.strip_prefix('<').and_then(|rest| {
        let (digits, rest) = rest.split_once('>')?;
        let number: u8 = digits
            .bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| digits.parse().ok())??;
        (number <= 191).then_some((number, rest))
    });
    found.map_or((None, line), |(priority, rest)| (Some(priority), rest))
}

fn stamp(text: &str) -> Option<Stamp<'_>> {
    let month = text.get(..3)?;
    if let Some(month) = MONTHS.iter().position(|name| *name == month) {
        let clock = text.get(7..15)?.as_bytes();
        let day = text.get(3..7)?.strip_prefix(' ')?.strip_suffix(' ')?.trim_ascii_start();
        let number = |text: &str| {
            text.bytes()
                .all(|b| b.is_ascii_digit())
                .then(|| text.parse::<u32>().ok())
                .flatten()
        };
        if clock[2] != b':' || clock[5] != b':' {
            return None;
        }
        let parts = [
            number(day)?,
            number(text.get(7..9)?)?,
            number(text.get(10..12)?)?,
            number(text.get(13..15)?)?,
        ];
        let fraction = text[15..].strip_prefix('.').map_or("", |rest| {
            let end = rest.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(rest.len());
            &rest[..end]
        });
        let end = 15 + if fraction.is_empty() { 0 } else { 1 + fraction.len() };
        if !matches!(text.as_bytes().get(end), Some(b' ' | b':')) {
            return None;
        }
        let digits = &fraction[..fraction.len().min(9)];
        let nanos = number(digits).unwrap_or(0) * 10u32.pow(9 - digits.len() as u32);
        let [day, hour, minute, second] = parts;
        return Some(Stamp::YearLess(
            [month as u32 + 1, day, hour, minute, second, nanos],
            &text[..end],
            &text[end..],
        ));
    }
    let (time_text, _) = text.split_once(' ')?;
    if time_text.as_bytes().get(10) != Some(&b'T') {
        return None;
    }
    let time = Timestamp::parse_rfc3339(time_text)?;
    Some(Stamp::Full(time, time_text, &text[time_text.len()..]))
}

/// The latest year that puts a stamp without one at or before `near` plus one day.
pub(crate) fn resolve_year([month, day, hour, minute, second, nanos]: [u32; 6], near: Timestamp) -> Option<Timestamp> {
    let latest = near.saturating_add_nanos(DAY_NANOS);
    let year = latest.civil().0;
    (0..=MAX_YEARS_BACK)
        .filter_map(|back| Timestamp::from_civil(year - back, month, day, hour, minute, second, nanos))
        .find(|time| *time <= latest)
}

/// `program[pid]: message`. Without the colon there is no program: the words are the message.
fn tag(rest: &str) -> (Option<&str>, Option<i64>, &str) {
    let end = rest
        .bytes()
        .position(|b| matches!(b, b' ' | b'[' | b':'))
        .unwrap_or(rest.len());
    let (program, after) = rest.split_at(end);
    let (pid, after) = match after.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((pid, after)) => (pid.parse().ok(), after),
        None => (None, after),
    };
    // macOS puts the level between the tag and its colon.
    let after = match after.strip_prefix(" <").and_then(|inner| inner.split_once(">:")) {
        Some((_, message)) if !program.is_empty() => return (Some(program), pid, message.trim_ascii_start()),
        _ => after,
    };
    match after.strip_prefix(':') {
        Some(message) if !program.is_empty() => (Some(program), pid, message.strip_prefix(' ').unwrap_or(message)),
        _ => (None, None, rest),
    }
}

/// STRUCTURED-DATA and what follows it. A quoted value may hold `]` after a backslash (RFC 5424, 6.3.3).
fn structured_data(text: &str) -> Option<(Option<&str>, &str)> {
    if !text.starts_with('[') {
        return Some((
            None,
            text.strip_prefix("- ").unwrap_or(if text == "-" { "" } else { text }),
        ));
    }
    let bytes = text.as_bytes();
    let (mut at, mut quoted) = (0, false);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quoted => at += 1,
            b'"' => quoted = !quoted,
            b']' if !quoted && bytes.get(at + 1) != Some(&b'[') => {
                return Some((text.get(..=at), text[at + 1..].strip_prefix(' ').unwrap_or("")));
            }
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEAR: &str = "2024-03-01T00:00:00Z";

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn lines_of_every_layout() {
        let check = |line: &str, want: &str| {
            assert!(SyslogLine::recognize(line), "{line}");
            let l = SyslogLine::parse(line, at(NEAR)).unwrap();
            let none = "-";
            let got = format!(
                "{}|{}|{}|{}|{}|{}",
                l.priority.map_or(none.into(), |p| p.to_string()),
                l.time,
                l.host.unwrap_or(none),
                l.program.unwrap_or(none),
                l.pid.map_or(none.into(), |p| p.to_string()),
                l.message
            );
            assert_eq!(got, want, "{line}");
        };
        check(
            "Feb 22 16:45:20 slave22 sshd[2738]: Failed",
            "-|2024-02-22T16:45:20Z|slave22|sshd|2738|Failed",
        );
        check(
            "Feb  6 15:16:30 victoria process: two  spaces",
            "-|2024-02-06T15:16:30Z|victoria|process|-|two  spaces",
        );
        check(
            "Mar 23 23:01:18.123 h p[19]: fraction",
            "-|2023-03-23T23:01:18.123Z|h|p|19|fraction",
        );
        check(
            "Feb 29 01:15:43: --- leap ---",
            "-|2024-02-29T01:15:43Z|-|-|-|--- leap ---",
        );
        check(
            "Nov 18 08:30:20 kernel: [997.390602] sda2",
            "-|2023-11-18T08:30:20Z|-|kernel|-|[997.390602] sda2",
        );
        check(
            "Jan 22 07:54:32 h Job `cron.daily' terminated",
            "-|2024-01-22T07:54:32Z|h|-|-|Job `cron.daily' terminated",
        );
        check("<13>Jan  2 03:04:05 h app: m", "13|2024-01-02T03:04:05Z|h|app|-|m");
        check(
            "Mar 11 19:26:45 osx fw[1985] <Info>: launchd",
            "-|2023-03-11T19:26:45Z|osx|fw|1985|launchd",
        );
        check(
            "2020-05-31T00:00:45.698463+00:00 localhost systemd[1]: up",
            "-|2020-05-31T00:00:45.698463Z|localhost|systemd|1|up",
        );
        check(
            "2016-10-25T12:37:23-07:00 INFO sched[13707]: done",
            "-|2016-10-25T19:37:23Z|-|sched|13707|done",
        );
        check(
            "<30>1 2021-03-06T04:07:38.263426+00:00 h systemd 1 - -  Stopping",
            "30|2021-03-06T04:07:38.263426Z|h|systemd|1| Stopping",
        );
        check(
            r#"<165>1 2003-10-11T22:14:15.003Z m.example.com ev - ID47 [a@1 k="v\"]"][b x="y"] text"#,
            "165|2003-10-11T22:14:15.003Z|m.example.com|ev|-|text",
        );
        check("<34>1 2003-10-11T22:14:15Z - - - - -", "34|2003-10-11T22:14:15Z|-|-|-|");
    }

    #[test]
    fn other_lines_are_refused() {
        for line in [
            "MMM 22 07:54:32 h p: m",
            "Feb 30",
            "Feb 2x 10:00:00 h p: m",
            "<999>x",
            "",
            "2020-05-31 00:00:45 h p: m",
        ] {
            assert!(!SyslogLine::recognize(line), "{line}");
            assert!(SyslogLine::parse(line, at(NEAR)).is_err(), "{line}");
        }
        let reject = SyslogLine::parse("Feb 30 10:00:00 h p: m", at(NEAR)).unwrap_err();
        assert_eq!(reject.reason, reject::NO_TIMESTAMP);
    }

    #[test]
    fn other_programs_stamps_are_not_taken_for_syslog() {
        for line in [
            "2014-11-03T18:28:32.450-0500 I NETWORK [initandlisten] waiting for connections",
            "2024-01-01T00:00:00Z  INFO app::server: listening",
            "2024-01-01T00:00:00Z starting",
        ] {
            assert!(!SyslogLine::recognize(line), "{line}");
        }
    }

    #[test]
    fn the_year_is_the_latest_that_is_not_ahead() {
        let check = |line: &str, near: &str, want: &str| {
            assert_eq!(
                SyslogLine::parse(line, at(near)).unwrap().time,
                at(want),
                "{line} near {near}"
            );
        };
        check("Dec 31 23:59:59 h p: m", "2024-01-01T00:00:05Z", "2023-12-31T23:59:59Z");
        check("Jan  1 00:00:01 h p: m", "2023-12-31T23:59:59Z", "2024-01-01T00:00:01Z");
        check("Jan  2 12:00:00 h p: m", "2023-12-31T23:59:59Z", "2023-01-02T12:00:00Z");
        check("Feb 29 00:00:00 h p: m", "2023-06-01T00:00:00Z", "2020-02-29T00:00:00Z");
        check("Feb 29 00:00:00 h p: m", "1903-06-01T00:00:00Z", "1896-02-29T00:00:00Z");
    }
}
