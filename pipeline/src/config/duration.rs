//! Durations as people write them: `500ms`, `90s`, `15m`, `2h`, `7d`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error as _};

/// Parses a whole number and a unit: `ms`, `s`, `m`, `h`, `d` or `w`. `None` for anything else and beyond 10,000 weeks.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let unit_ms: u64 = match text[digits..].trim() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 7 * 86_400_000,
        _ => return None,
    };
    let millis = number
        .checked_mul(unit_ms)
        .filter(|ms| *ms <= 10_000 * 7 * 86_400_000)?;
    Some(Duration::from_millis(millis))
}

/// A duration in nanoseconds of event time.
pub(crate) fn as_nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// A [`Duration`] that a configuration gives as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfigDuration(pub Duration);

impl<'de> Deserialize<'de> for ConfigDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration(&text).map(Self).ok_or_else(|| {
            D::Error::custom(format!(
                "`{text}` is no duration: write a number and ms, s, m, h, d or w, as in `15m`"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let check =
            |text: &str, want: Option<u64>| assert_eq!(parse_duration(text), want.map(Duration::from_millis), "{text}");
        check("500ms", Some(500));
        check("15m", Some(900_000));
        check("7d", Some(604_800_000));
        check("5", None);
        check("-5s", None);
        check("5 s", Some(5_000));
        check("99999999999999999999s", None);
        check("18446744073709551615w", None);
        check("", None);
        check("ß", None);
    }
}
