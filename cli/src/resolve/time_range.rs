//! `--since`, `--from` and `--to`.

use anyhow::Result;
use casebook_event::{Source, Timestamp};
use casebook_investigate::archive::Scope;

use crate::args::TimeArgs;
use crate::exit_code::usage;

/// The half-open range of event time that the flags name.
pub fn parse(args: &TimeArgs) -> Result<(Option<Timestamp>, Option<Timestamp>)> {
    let from = match (&args.since, &args.from) {
        (Some(since), _) => Some(parse_since(since)?),
        (None, Some(from)) => Some(parse_time("--from", from)?),
        (None, None) => None,
    };
    let to = args.to.as_deref().map(|to| parse_time("--to", to)).transpose()?;
    if let (Some(from), Some(to)) = (from, to)
        && from >= to
    {
        return Err(usage(format!(
            "the time range is empty: it starts at {from} and ends at {to}"
        )));
    }
    Ok((from, to))
}

/// The range of time and the sources of a command line.
pub fn scope(time: &TimeArgs, sources: &[Source]) -> Result<Scope> {
    let (from, to) = parse(time)?;
    Ok(Scope {
        from,
        to,
        sources: sources.to_vec(),
    })
}

fn parse_since(text: &str) -> Result<Timestamp> {
    match ago(text.trim_start_matches('-')) {
        Some(time) => Ok(time),
        None => parse_time("--since", text),
    }
}

/// So long before now.
fn ago(duration: &str) -> Option<Timestamp> {
    let duration = casebook_pipeline::parse_duration(duration.trim())?;
    let nanos = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    Some(casebook_pipeline::now().saturating_add_nanos(-nanos))
}

fn parse_time(flag: &str, text: &str) -> Result<Timestamp> {
    read_time(text.trim()).ok_or_else(|| {
        usage(format!(
            "{flag}: `{text}` is no time: write 2026-11-24, 2026-11-24T10:00:00Z, 10:30 (today), yesterday, now-2h, or seconds since 1970"
        ))
    })
}

fn read_time(text: &str) -> Option<Timestamp> {
    let now = casebook_pipeline::now();
    let day = |days_ago: i64| Timestamp::from_seconds((i64::from(now.days()) - days_ago) * 86_400);
    match text {
        "now" => return Some(now),
        "today" => return Some(day(0)),
        "yesterday" => return Some(day(1)),
        _ => {}
    }
    if let Some(duration) = text.strip_prefix("now-").or_else(|| text.strip_suffix(" ago")) {
        return ago(duration);
    }
    if text.len() >= 10 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return epoch(text);
    }
    // A date, a time of today, and either without seconds, are what people type: the rest is filled in.
    let date = now.to_string();
    let date = date.get(..10)?;
    let full = match text.len() {
        5 => format!("{date}T{text}:00Z"),
        8 => format!("{date}T{text}Z"),
        10 => format!("{text}T00:00:00Z"),
        16 => format!("{text}:00Z"),
        19 => format!("{text}Z"),
        _ => match text.split_at_checked(16) {
            Some((minutes, zone)) if zone.starts_with(['Z', 'z', '+', '-']) => format!("{minutes}:00{zone}"),
            _ => text.to_owned(),
        },
    };
    Timestamp::parse_rfc3339(&full)
}

/// Seconds, milli-, micro- or nanoseconds since 1970: which of them shows by the number of digits.
fn epoch(text: &str) -> Option<Timestamp> {
    let number: i64 = text.parse().ok()?;
    let nanos = match text.len() {
        10 => 1_000_000_000,
        13 => 1_000_000,
        16 => 1_000,
        19 => 1,
        _ => return None,
    };
    Some(Timestamp::from_nanos(number.checked_mul(nanos)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let check = |text: &str, want: Option<&str>| {
            assert_eq!(
                parse_time("--from", text).ok().map(|t| t.to_string()).as_deref(),
                want,
                "{text}"
            );
        };
        check("2026-11-24", Some("2026-11-24T00:00:00Z"));
        check("2026-11-24T10:30", Some("2026-11-24T10:30:00Z"));
        check("2026-11-24 10:30", Some("2026-11-24T10:30:00Z"));
        check("2026-11-24T10:30:00+02:00", Some("2026-11-24T08:30:00Z"));
        check("2026-11-24 10:30:07", Some("2026-11-24T10:30:07Z"));
        check("2026-11-24T10:30Z", Some("2026-11-24T10:30:00Z"));
        check("2026-11-24 10:30+02:00", Some("2026-11-24T08:30:00Z"));
        check("1795000000", Some("2026-11-18T11:06:40Z"));
        check("1795000000000", Some("2026-11-18T11:06:40Z"));
        check("17950000000", None);
        check("last week", None);
        check("25:61", None);
        check("2026-02-30", None);
    }

    #[test]
    fn times_from_now() {
        let now = casebook_pipeline::now();
        let near = |text: &str, nanos_ago: i64| {
            let time = parse_since(text).unwrap();
            let off = now.saturating_add_nanos(-nanos_ago).as_nanos() - time.as_nanos();
            assert!(off.abs() < 60_000_000_000, "{text}: {time}");
        };
        let hour = 3_600_000_000_000;
        near("2h", 2 * hour);
        near("-2h", 2 * hour);
        near("2h ago", 2 * hour);
        near("now-2h", 2 * hour);
        near("now", 0);
        let midnight = |text: &str| parse_time("--from", text).unwrap().to_string().ends_with("T00:00:00Z");
        assert!(midnight("today") && midnight("yesterday"));
        assert!(
            parse_time("--from", "10:30")
                .unwrap()
                .to_string()
                .ends_with("T10:30:00Z")
        );
        assert!(parse_since("2 parsecs").is_err());
    }

    #[test]
    fn an_empty_range_is_refused() {
        let range = |from: &str, to: &str| {
            parse(&TimeArgs {
                since: None,
                from: Some(from.into()),
                to: Some(to.into()),
            })
        };
        assert!(range("2026-11-24", "2026-11-24").is_err());
        assert!(range("2026-11-24", "2026-11-25").is_ok());
    }
}
