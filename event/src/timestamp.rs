//! A point in event time: nanoseconds since the Unix epoch, UTC.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Nanoseconds since 1970-01-01T00:00:00Z. Covers the years 1677 to 2262, as Arrow's `Timestamp(Nanosecond)` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

impl Timestamp {
    /// The earliest representable time: the watermark of a partition that has not spoken yet.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest representable time: the watermark of a finite input that has ended.
    pub const MAX: Self = Self(i64::MAX);

    /// From nanoseconds since the epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From milliseconds since the epoch; saturates at the representable range.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// From whole seconds since the epoch; saturates at the representable range.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(NANOS_PER_SECOND))
    }

    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// This time plus `nanos`, saturating: the ends of time absorb what is added to them.
    pub const fn saturating_add_nanos(self, nanos: i64) -> Self {
        if self.0 == i64::MIN || self.0 == i64::MAX {
            self
        } else {
            Self(self.0.saturating_add(nanos))
        }
    }

    /// Days since the epoch (floor), which is the `event_date` partition of the tables.
    pub const fn days(self) -> i32 {
        self.0.div_euclid(NANOS_PER_SECOND * SECONDS_PER_DAY) as i32
    }

    /// From a civil UTC date and time. `None` where a part is out of its range; second 60 (a leap second) counts as 59.
    pub fn from_civil(
        year: i64,
        month: u32,
        day: u32,
        hour: u32,
        minute: u32,
        second: u32,
        nanos: u32,
    ) -> Option<Self> {
        if !(1..=12).contains(&month) || day == 0 || day > days_in_month(year, month) {
            return None;
        }
        if hour > 23 || minute > 59 || second > 60 || nanos > 999_999_999 {
            return None;
        }
        let second_of_day = hour * 3600 + minute * 60 + second.min(59);
        // The earliest second of the range lies partly outside it, so the sum is made in wider numbers.
        let seconds =
            i128::from(days_from_civil(year, month, day)) * i128::from(SECONDS_PER_DAY) + i128::from(second_of_day);
        i64::try_from(seconds * i128::from(NANOS_PER_SECOND) + i128::from(nanos))
            .ok()
            .map(Self)
    }

    /// Parses RFC 3339 (section 5.6), with what logs do to it: a space for `T`, 1 to 9 and more fraction digits (cut at
    /// nanoseconds), a comma before the fraction, `+hhmm` offsets, and a missing offset, which is taken as UTC.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let b = text.as_bytes();
        if b.len() < 19
            || b[4] != b'-'
            || b[7] != b'-'
            || !matches!(b[10], b'T' | b't' | b' ')
            || b[13] != b':'
            || b[16] != b':'
        {
            return None;
        }
        let (year, month, day) = (digits(&b[0..4])?, digits(&b[5..7])?, digits(&b[8..10])?);
        let (hour, minute, second) = (digits(&b[11..13])?, digits(&b[14..16])?, digits(&b[17..19])?);
        let mut at = 19;
        let mut nanos = 0u32;
        if at < b.len() && matches!(b[at], b'.' | b',') {
            at += 1;
            let start = at;
            while at < b.len() && b[at].is_ascii_digit() {
                if at - start < 9 {
                    nanos = nanos * 10 + u32::from(b[at] - b'0');
                }
                at += 1;
            }
            let seen = at - start;
            if seen == 0 {
                return None;
            }
            nanos *= 10u32.pow(9u32.saturating_sub(seen.min(9) as u32));
        }
        let offset_seconds = parse_offset(&b[at..])?;
        let local = Self::from_civil(i64::from(year), month, day, hour, minute, second, nanos)?;
        local.0.checked_sub(offset_seconds * NANOS_PER_SECOND).map(Self)
    }

    /// The civil UTC parts: year, month, day, hour, minute, second, nanosecond.
    pub fn civil(self) -> (i64, u32, u32, u32, u32, u32, u32) {
        let seconds = self.0.div_euclid(NANOS_PER_SECOND);
        let nanos = self.0.rem_euclid(NANOS_PER_SECOND) as u32;
        let (year, month, day) = civil_from_days(seconds.div_euclid(SECONDS_PER_DAY));
        let second_of_day = seconds.rem_euclid(SECONDS_PER_DAY) as u32;
        (
            year,
            month,
            day,
            second_of_day / 3600,
            second_of_day / 60 % 60,
            second_of_day % 60,
            nanos,
        )
    }
}

fn digits(bytes: &[u8]) -> Option<u32> {
    bytes
        .iter()
        .try_fold(0u32, |n, b| b.is_ascii_digit().then(|| n * 10 + u32::from(b - b'0')))
}

/// Seconds east of UTC; an empty offset is UTC.
fn parse_offset(b: &[u8]) -> Option<i64> {
    let sign = match b.first() {
        None => return Some(0),
        Some(b'Z' | b'z') if b.len() == 1 => return Some(0),
        Some(b'+') => 1,
        Some(b'-') => -1,
        Some(_) => return None,
    };
    let (hours, minutes) = match b.len() {
        3 => (digits(&b[1..3])?, 0),
        5 => (digits(&b[1..3])?, digits(&b[3..5])?),
        6 if b[3] == b':' => (digits(&b[1..3])?, digits(&b[4..6])?),
        _ => return None,
    };
    (hours <= 23 && minutes <= 59).then(|| sign * i64::from(hours * 3600 + minutes * 60))
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 => 28 + is_leap(year) as u32,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar, counting years from March so that the leap day is last.
fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let month_from_march = i64::from((month + 9) % 12);
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    y * 365 + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + day_of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u32;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    } as u32;
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, with as many fraction digits (0, 3, 6 or 9) as the value needs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day, hour, minute, second, nanos) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        match nanos {
            0 => {}
            n if n % 1_000_000 == 0 => write!(f, ".{:03}", n / 1_000_000)?,
            n if n % 1_000 == 0 => write!(f, ".{:06}", n / 1_000)?,
            n => write!(f, ".{n:09}")?,
        }
        f.write_str("Z")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse_rfc3339(&text).ok_or_else(|| D::Error::custom(format!("not an RFC 3339 time: {text}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_logs_contain() {
        let check = |text: &str, want: Option<&str>| {
            assert_eq!(
                Timestamp::parse_rfc3339(text).map(|t| t.to_string()).as_deref(),
                want,
                "{text}"
            );
        };
        check("2017-09-11T19:55:05Z", Some("2017-09-11T19:55:05Z"));
        check("2023-07-10 12:00:00,250", Some("2023-07-10T12:00:00.250Z"));
        check(
            "2024-02-29T23:59:60.123456789123+01:00",
            Some("2024-02-29T22:59:59.123456789Z"),
        );
        check("2024-01-01T00:00:00.5+1100", Some("2023-12-31T13:00:00.500Z"));
        check("1969-12-31T23:59:59.999999Z", Some("1969-12-31T23:59:59.999999Z"));
        check("2023-02-29T00:00:00Z", None);
        check("2023-13-01T00:00:00Z", None);
        check("2023-01-01T24:00:00Z", None);
        check("2023-01-01T00:00:00.Z", None);
        check("2023-01-01T00:00:00Zjunk", None);
        check("2023-01-01", None);
        check("９023-01-01T00:00:00Z", None);
    }

    #[test]
    fn the_ends_of_time_parse_back() {
        for time in [Timestamp::MIN, Timestamp::MAX] {
            assert_eq!(Timestamp::parse_rfc3339(&time.to_string()), Some(time));
        }
        assert_eq!(Timestamp::parse_rfc3339("1677-09-21T00:12:43.145224191Z"), None);
    }

    #[test]
    fn ends_of_time_absorb() {
        assert_eq!(Timestamp::MIN.saturating_add_nanos(5), Timestamp::MIN);
        assert_eq!(Timestamp::MAX.saturating_add_nanos(-5), Timestamp::MAX);
    }

    proptest::proptest! {
        #[test]
        fn display_parses_back(nanos in proptest::num::i64::ANY) {
            let time = Timestamp::from_nanos(nanos);
            proptest::prop_assert_eq!(Timestamp::parse_rfc3339(&time.to_string()), Some(time));
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in "\\PC*") {
            let _ = Timestamp::parse_rfc3339(&text);
        }
    }
}
