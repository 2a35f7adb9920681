//! The words of a story: times, silences, what a group of events did.

use casebook_event::Timestamp;

use casebook_investigate::story::{Group, Raised};

const SECOND: i64 = 1_000_000_000;

/// A time to the millisecond, RFC 3339 in UTC.
pub fn brief(time: Timestamp) -> String {
    let (year, month, day, hour, minute, second, nanos) = time.civil();
    format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z",
        nanos / 1_000_000
    )
}

/// A time as it is written after an earlier one: the clock alone where the day is the same.
pub fn until(time: Timestamp, since: Timestamp) -> String {
    let (.., hour, minute, second, _) = time.civil();
    if time.days() == since.days() {
        format!("{hour:02}:{minute:02}:{second:02}")
    } else {
        brief(time)
    }
}

/// A span in its two greatest units: `42m`, `3h 5m`, `2d 4h`.
pub fn span(from: Timestamp, to: Timestamp) -> String {
    let seconds = to.as_nanos().saturating_sub(from.as_nanos()).max(0) / SECOND;
    let units = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
    let mut rest = seconds;
    let mut parts: Vec<String> = Vec::new();
    for (unit, length) in units {
        let n = rest / length;
        rest %= length;
        if n > 0 {
            parts.push(format!("{n}{unit}"));
        }
        // Nobody asks for the seconds of an hour.
        if parts.len() == 2 || (parts.len() == 1 && n == 0) || (length == 60 && !parts.is_empty()) {
            break;
        }
    }
    if parts.is_empty() {
        "0s".to_owned()
    } else {
        parts.join(" ")
    }
}

/// What a group of events did: deed, objects, how it went, the detail, and how often.
pub fn what(group: &Group) -> String {
    let entry = &group.first;
    let mut parts: Vec<String> = Vec::new();
    if entry.cited {
        parts.push("!".to_owned());
    }
    parts.push(entry.deed());
    parts.push(group.named_objects());
    parts.extend(entry.outcome.clone());
    parts.extend(entry.detail.clone());
    if group.count > 1 {
        let until = until(group.last, entry.time);
        parts.push(format!("×{} until {until}", group.count));
    }
    parts.retain(|part| !part.is_empty());
    parts.join(" ")
}

/// What an alert says.
pub fn alert(raised: &Raised) -> String {
    let alert = &raised.first;
    let about: Vec<String> = alert
        .group
        .iter()
        .map(|(field, value)| format!("{field}={value}"))
        .collect();
    let events = match alert.evidence_total {
        1 => "1 event".to_owned(),
        n => format!("{n} events"),
    };
    let head = format!(
        "▲ {}: {} ({events})",
        alert.rule.level.name().to_uppercase(),
        alert.rule.name
    );
    let mut parts = vec![head];
    parts.extend(about);
    if raised.count > 1 {
        parts.push(format!(
            "×{} until {}",
            raised.count,
            until(raised.last, alert.alert.time)
        ));
    }
    parts.join(" ")
}

/// The silence between two events.
pub fn gap(from: Timestamp, to: Timestamp) -> String {
    format!("· · · {} without events · · ·", span(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_times() {
        let check = |seconds: i64, want: &str| {
            assert_eq!(span(Timestamp::from_seconds(0), Timestamp::from_seconds(seconds)), want);
        };
        check(0, "0s");
        check(59, "59s");
        check(601, "10m");
        check(2_520, "42m");
        check(3_600, "1h");
        check(11_100, "3h 5m");
        check(187_200, "2d 4h");
        let time = Timestamp::parse_rfc3339("2026-11-24T10:05:12.123456Z").unwrap();
        assert_eq!(brief(time), "2026-11-24T10:05:12.123Z");
        assert_eq!(until(time, time), "10:05:12");
        assert_eq!(until(time, Timestamp::from_seconds(0)), "2026-11-24T10:05:12.123Z");
    }
}
