//! Parts of dates, for the time modifiers.
//!
//! Specification: Sigma modifiers 2.1, "Time Modifiers". It leaves formats and zones open; here a date is in UTC, and so is
//! one that names another zone, once converted.

use std::ops::RangeInclusive;

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
    /// Modifier, part, least and greatest value. A year may have 53 weeks, whatever the specification says; and before or
    /// after these years there are no events.
    const ALL: [(&str, Self, i64, i64); 6] = [
        ("minute", Self::Minute, 0, 59),
        ("hour", Self::Hour, 0, 23),
        ("day", Self::Day, 1, 31),
        ("week", Self::Week, 1, 53),
        ("month", Self::Month, 1, 12),
        ("year", Self::Year, 1677, 2262),
    ];

    /// The part that a modifier names.
    pub(crate) fn of(modifier: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(name, ..)| *name == modifier)
            .map(|(_, part, ..)| *part)
    }

    /// The modifier.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, part, ..)| *part == self)
            .map_or("", |(name, ..)| name)
    }

    /// The values that it can have.
    pub(crate) fn range(self) -> RangeInclusive<i64> {
        let found = Self::ALL.iter().find(|(_, part, ..)| *part == self);
        found.map_or(i64::MIN..=i64::MAX, |(_, _, least, most)| *least..=*most)
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

/// A date as logs write it: RFC 3339, the same without a zone, seconds or a time of day, or seconds, milliseconds,
/// microseconds or nanoseconds since 1970, distinguished by their size.
fn date(value: ValueRef<'_>) -> Option<Timestamp> {
    match value {
        ValueRef::Int(number) => epoch(number),
        ValueRef::Float(number) => fractional_epoch(number),
        ValueRef::Str(text) => match text.parse() {
            Ok(number) => epoch(number),
            Err(_) => civil(text).or_else(|| fractional_epoch(plain_fraction(text)?)),
        },
        _ => None,
    }
}

fn epoch(number: i64) -> Option<Timestamp> {
    number.checked_mul(nanos_per_unit(number)).map(Timestamp::from_nanos)
}

/// The unit of a number of its size, in nanoseconds.
fn nanos_per_unit(number: i64) -> i64 {
    match number.unsigned_abs() {
        // Until the year 5138 as seconds, and from 1973 on as milliseconds, and so on.
        0..=99_999_999_999 => 1_000_000_000,
        100_000_000_000..=99_999_999_999_999 => 1_000_000,
        100_000_000_000_000..=99_999_999_999_999_999 => 1_000,
        _ => 1,
    }
}

fn fractional_epoch(number: f64) -> Option<Timestamp> {
    // What is not finite has no date; the comparison below is false of it.
    let whole = number as i64;
    let nanos = number * nanos_per_unit(whole) as f64;
    (nanos.abs() < i64::MAX as f64).then(|| Timestamp::from_nanos(nanos as i64))
}

/// A text of digits with one point among them: `1e9`, `inf` and the like are no dates.
fn plain_fraction(text: &str) -> Option<f64> {
    let (whole, fraction) = text.split_once('.')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_plain = digits(whole.strip_prefix('-').unwrap_or(whole)) && digits(fraction);
    text.parse().ok().filter(|_| is_plain)
}

fn civil(text: &str) -> Option<Timestamp> {
    // No date is longer than one with nanoseconds and a zone.
    if text.len() > 64 {
        return None;
    }
    let whole = Timestamp::parse_rfc3339;
    whole(text).or_else(|| match (text.get(..16), text.get(16..)) {
        // To the minute; or to the day.
        (Some(minute), Some(zone)) => whole(&format!("{minute}:00{zone}")),
        _ => whole(&format!("{text}T00:00:00Z")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_dates() {
        let check = |text: &str, want: [Option<i64>; 6]| {
            let parts = DatePart::ALL.map(|(_, part, ..)| part.value_of(ValueRef::Str(text)));
            assert_eq!(parts, want, "{text}");
        };
        let some = |parts: [i64; 6]| parts.map(Some);
        check("2026-11-25T20:41:05Z", some([41, 20, 25, 48, 11, 2026]));
        check("2026-11-25T20:41:05.123456+02:00", some([41, 18, 25, 48, 11, 2026]));
        check("2026-11-25 20:41:05", some([41, 20, 25, 48, 11, 2026]));
        check("2026-11-25", some([0, 0, 25, 48, 11, 2026]));
        check("2026-11-25T20:41Z", some([41, 20, 25, 48, 11, 2026]));
        check("2026-11-25T20:41+02:00", some([41, 18, 25, 48, 11, 2026]));
        check("1764103265.123", some([41, 20, 25, 48, 11, 2025]));
        check("1764103265000.5", some([41, 20, 25, 48, 11, 2025]));
        check("1764103265", some([41, 20, 25, 48, 11, 2025]));
        check("1764103265000", some([41, 20, 25, 48, 11, 2025]));
        check("1764103265000000", some([41, 20, 25, 48, 11, 2025]));
        check("1764103265000000000", some([41, 20, 25, 48, 11, 2025]));
        // The first of January may be in the last week of the year before, and the last of December in the first one.
        check("2021-01-01", some([0, 0, 1, 53, 1, 2021]));
        check("2024-12-30", some([0, 0, 30, 1, 12, 2024]));
        check("yesterday", [None; 6]);
        check("inf", [None; 6]);
        check("1.5e9", [None; 6]);
        check("1764103265.12.3", [None; 6]);
        check("99999999999999999999.0", [None; 6]);
        check("", [None; 6]);
        assert_eq!(DatePart::Hour.value_of(ValueRef::Int(i64::MAX)), Some(23));
        assert_eq!(DatePart::Hour.value_of(ValueRef::Float(1_764_103_265_000.0)), Some(20));
        assert_eq!(DatePart::Hour.value_of(ValueRef::Float(f64::NAN)), None);
        assert_eq!(DatePart::Hour.value_of(ValueRef::Bool(true)), None);
    }
}
