//! Numbers over time, drawn with blocks.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Result;
use casebook_event::Timestamp;

const MINUTE: i64 = 60 * 1_000_000_000;
const HOUR: i64 = 3_600 * 1_000_000_000;
const DAY: i64 = 24 * HOUR;
/// Widths of a bar, the smallest first.
const UNITS: [i64; 5] = [HOUR, DAY, 7 * DAY, 30 * DAY, 365 * DAY];
/// Bars from first to last; more, and the next unit is taken.
const MAX_BARS: i64 = 62;
/// Characters of the longest bar.
const WIDTH: u64 = 40;

/// Draws how many of `times` fall into each hour, day or longer span from the first to the last, empty ones too.
pub fn write(times: impl Iterator<Item = Timestamp>, out: &mut impl Write) -> Result<()> {
    let times: Vec<i64> = times.map(Timestamp::as_nanos).collect();
    let (Some(&first), Some(&last)) = (times.iter().min(), times.iter().max()) else {
        return Ok(());
    };
    let span = |unit: i64| last.div_euclid(unit) - first.div_euclid(unit);
    let unit = UNITS
        .into_iter()
        .find(|unit| span(*unit) < MAX_BARS)
        .unwrap_or(i64::MAX);
    let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
    for time in times {
        *counts.entry(time.div_euclid(unit)).or_default() += 1;
    }
    out.write_all(bars(&counts, unit).as_bytes())?;
    Ok(())
}

/// Counts by the number of their unit of so many nanoseconds, a line each, with those between them of which there are none.
pub fn bars(counts: &BTreeMap<i64, u64>, unit: i64) -> String {
    let (Some((&first, _)), Some((&last, _))) = (counts.first_key_value(), counts.last_key_value()) else {
        return String::new();
    };
    let highest = counts.values().max().copied().unwrap_or(1);
    let lines = (first..=last).map(|bar| {
        let count = counts.get(&bar).copied().unwrap_or(0);
        let start = Timestamp::from_nanos(bar.saturating_mul(unit)).to_string();
        let label = match unit {
            unit if unit % DAY == 0 => &start[..10],
            unit if unit % MINUTE == 0 => &start[..16],
            _ => start.as_str(),
        };
        format!("  {label} {count:>8} {}\n", blocks(count, highest))
    });
    lines.collect()
}

/// A bar, to an eighth of a character; never nothing for something.
fn blocks(count: u64, highest: u64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = u128::from(count) * u128::from(WIDTH) * 8 / u128::from(highest.max(1));
    let eighths = eighths.max(u128::from(count > 0)) as usize;
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_cover_every_unit_between_first_and_last() {
        let draw = |times: &[&str]| {
            let mut out = Vec::new();
            let times = times.iter().map(|time| Timestamp::parse_rfc3339(time).unwrap());
            write(times, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(draw(&[]), "");
        let hours = draw(&["2026-11-24T10:59:59Z", "2026-11-24T12:00:00Z", "2026-11-24T12:30:00Z"]);
        let want = format!(
            "  2026-11-24T10:00        1 {}\n  2026-11-24T11:00        0 \n  2026-11-24T12:00        2 {}\n",
            "█".repeat(20),
            "█".repeat(40)
        );
        assert_eq!(hours, want);
        let days = draw(&["2026-10-24T10:00:00Z", "2026-11-24T10:00:00Z"]);
        assert_eq!(days.lines().count(), 32);
        assert!(days.starts_with("  2026-10-24        1 █"));
        assert!(draw(&["1970-01-01T00:00:00Z", "2026-11-24T10:00:00Z"]).lines().count() < 62);
    }

    #[test]
    fn little_is_not_nothing() {
        assert_eq!(blocks(0, 1_000_000), "");
        assert_eq!(blocks(1, 1_000_000), "▏");
        assert_eq!(blocks(u64::MAX, u64::MAX).chars().count(), 40);
    }
}
