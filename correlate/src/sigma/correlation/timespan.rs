//! Lengths of time, as rules write them.

use crate::diagnostic::{Report, code};
use crate::limits::MAX_TIMESPAN_SECONDS;
use crate::sigma::yaml::Entry;

/// A length of time, in nanoseconds; positive.
pub(super) fn duration(entry: &Entry, report: &mut Report<'_>) -> Option<i64> {
    let text = entry.value.scalar_text().unwrap_or_default();
    let seconds = parse_timespan_seconds(text);
    if seconds.is_none() {
        let message = format!(
            "`{text}` is no timespan of at most {} days",
            MAX_TIMESPAN_SECONDS / 86_400
        );
        report.add_help(
            code::BAD_TIMESPAN,
            entry.value.mark,
            message,
            "write a number and s, m, h, d or w: `90m`",
        );
    }
    seconds.map(|seconds| seconds * 1_000_000_000)
}

fn parse_timespan_seconds(text: &str) -> Option<i64> {
    let unit = text.chars().next_back()?;
    let scale = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return None,
    };
    let digits = &text[..text.len() - 1];
    let number: i64 = if digits.bytes().all(|b| b.is_ascii_digit()) {
        digits.parse().ok()?
    } else {
        return None;
    };
    number
        .checked_mul(scale)
        .filter(|seconds| (1..=MAX_TIMESPAN_SECONDS).contains(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timespans_have_a_unit_and_a_limit() {
        let check = |text: &str, want: Option<i64>| assert_eq!(parse_timespan_seconds(text), want, "{text}");
        check("30s", Some(30));
        check("90m", Some(5_400));
        check("1h", Some(3_600));
        check("7d", Some(604_800));
        check("2w", Some(1_209_600));
        check("0s", None);
        check("-1s", None);
        check("5", None);
        check("5M", None);
        check("", None);
        check("s", None);
        check("99999999999999999999s", None);
        check("53w", None);
        check("5é", None);
    }
}
