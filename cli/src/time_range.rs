//! `--since`, `--from` and `--to`.

use anyhow::Result;
use casebook_event::Timestamp;

use crate::args::TimeArgs;
use crate::exit_code::usage;

/// The half-open range of event time that the flags name.
pub fn parse(args: &TimeArgs) -> Result<(Option<Timestamp>, Option<Timestamp>)> {
    let from = match (&args.since, &args.from) {
        (Some(since), _) => {
            let duration = casebook_pipeline::parse_duration(since).ok_or_else(|| {
                usage(format!(
                    "--since: `{since}` is no duration: write a number and s, m, h, d or w, as in 2h"
                ))
            })?;
            let nanos = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
            Some(casebook_pipeline::now().saturating_add_nanos(-nanos))
        }
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

fn parse_time(flag: &str, text: &str) -> Result<Timestamp> {
    // A date, and a date with hours and minutes, are what people type: the rest is filled in.
    let full = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        16 => format!("{text}:00Z"),
        _ => text.to_owned(),
    };
    Timestamp::parse_rfc3339(&full).ok_or_else(|| {
        usage(format!(
            "{flag}: `{text}` is no time: write 2026-11-24, 2026-11-24T10:00 or 2026-11-24T10:00:00Z"
        ))
    })
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
        check("yesterday", None);
        check("2026-02-30", None);
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
