//! Parts of dates, for the time modifiers.
//!
//! Specification: Sigma modifiers 2.1, "Time Modifiers". It leaves formats and zones open; here a date is in UTC, and so is
//! one that names another zone, once converted.

use casebook_event::{Timestamp, ValueRef};

/// A part of a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum DatePart {
    Minute,
    Hour,
    Day,
    /// The week of ISO 8601, 1 to 53.
    Week,
    Month,
    Year,
}

impl DatePart {
    const ALL: [(&str, Self); 6] = [
        ("minute", Self::Minute),
        ("hour", Self::Hour),
        ("day", Self::Day),
        ("week", Self::Week),
        ("month", Self::Month),
        ("year", Self::Year),
    ];

    /// The part that a modifier names.
    pub(crate) fn of(modifier: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(name, _)| *name == modifier)
            .map(|(_, part)| *part)
    }

    /// The modifier.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, part)| *part == self)
            .map_or("", |(name, _)| name)
    }

    /// This part of a value; `None` if the value is no date.
    pub(crate) fn value_of(self, value: ValueRef<'_>) -> Option<i64> {
        Some(self.of_date(date(value)?))
    }

    fn of_date(self, date: Timestamp) -> i64 {
        let (year, month, day, hour, minute, ..) = date.civil();
        match self {
            Self::Minute => i64::from(minute),
            Self::Hour => i64::from(hour),
            Self::Day => i64::from(day),
            Self::Week => iso_week(date),
            Self::Month => i64::from(month),
            Self::Year => year,
        }
    }
}

/// The week of ISO 8601: weeks begin on Monday, and the first has the year's first Thursday.
fn iso_week(date: Timestamp) -> i64 {
    const SECONDS_PER_DAY: i64 = 86_400;
    let days = date.as_nanos().div_euclid(SECONDS_PER_DAY * 1_000_000_000);
    // 1970-01-01 was a Thursday; Monday is 0.
    let weekday = (days + 3).rem_euclid(7);
    let thursday = days - weekday + 3;
    let (year, ..) = Timestamp::from_seconds(thursday * SECONDS_PER_DAY).civil();
    let first = Timestamp::from_civil(year, 1, 1, 0, 0, 0, 0);
    let first = first.map_or(0, |first| first.as_nanos().div_euclid(SECONDS_PER_DAY * 1_000_000_000));
    (thursday - first) / 7 + 1
}

/// A date as logs write it: RFC 3339, the same without a zone or a time of day, or seconds, milliseconds, microseconds or
/// nanoseconds since 1970, told apart by their size.
fn date(value: ValueRef<'_>) -> Option<Timestamp> {
    match value {
        ValueRef::Int(number) => epoch(number),
        ValueRef::Float(number) if number.is_finite() && number.abs() < 1e11 => {
            Some(Timestamp::from_nanos((number * 1e9) as i64))
        }
        ValueRef::Str(text) => text.parse().ok().and_then(epoch).or_else(|| civil(text)),
        _ => None,
    }
}

fn epoch(number: i64) -> Option<Timestamp> {
    let scale = match number.unsigned_abs() {
        // Until the year 5138 as seconds, and from 1973 on as milliseconds, and so on.
        0..=99_999_999_999 => 1_000_000_000,
        100_000_000_000..=99_999_999_999_999 => 1_000_000,
        100_000_000_000_000..=99_999_999_999_999_999 => 1_000,
        _ => 1,
    };
    number.checked_mul(scale).map(Timestamp::from_nanos)
}

fn civil(text: &str) -> Option<Timestamp> {
    // No date is longer than one with nanoseconds and a zone.
    if text.len() > 64 {
        return None;
    }
    let whole = |text: &str| Timestamp::parse_rfc3339(text);
    whole(text)
        .or_else(|| whole(&format!("{text}Z")))
        .or_else(|| whole(&format!("{text}T00:00:00Z")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_dates() {
        let check = |text: &str, want: [Option<i64>; 6]| {
            let parts = DatePart::ALL.map(|(_, part)| part.value_of(ValueRef::Str(text)));
            assert_eq!(parts, want, "{text}");
        };
        let some = |parts: [i64; 6]| parts.map(Some);
        check("2026-11-25T20:41:05Z", some([41, 20, 25, 48, 11, 2026]));
        check("2026-11-25T20:41:05.123456+02:00", some([41, 18, 25, 48, 11, 2026]));
        check("2026-11-25 20:41:05", some([41, 20, 25, 48, 11, 2026]));
        check("2026-11-25", some([0, 0, 25, 48, 11, 2026]));
        check("1764103265", some([41, 20, 25, 48, 11, 2025]));
        check("1764103265000", some([41, 20, 25, 48, 11, 2025]));
        check("1764103265000000", some([41, 20, 25, 48, 11, 2025]));
        check("1764103265000000000", some([41, 20, 25, 48, 11, 2025]));
        // The first of January may be in the last week of the year before, and the last of December in the first one.
        check("2021-01-01", some([0, 0, 1, 53, 1, 2021]));
        check("2024-12-30", some([0, 0, 30, 1, 12, 2024]));
        check("yesterday", [None; 6]);
        check("", [None; 6]);
        assert_eq!(DatePart::Hour.value_of(ValueRef::Int(i64::MAX)), Some(23));
        assert_eq!(DatePart::Hour.value_of(ValueRef::Bool(true)), None);
    }
}
